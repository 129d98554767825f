/*
 * revision.c - records as they were: told, and made again what they were
 */
#include <string.h>

#include "keep.h"
#include "record_kept.h"
#include "write.h"

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* A work for a superuser and a record, or NULL having answered. */
static struct record_work *begin(struct record_call *call, void (*start)(struct record_call *call))
{
	struct record_work *work = work_new_with_collection(call, start);
	if (!work)
		return NULL;
	if (!work_is_superuser(work)) {
		call->refused_by = RECORD_BY_RULE;
		work_answer(work, 403, "Only superusers can perform this action.");
		return NULL;
	}
	if (!call->id.n || !bytes_to_string(call->id, work->id, sizeof(work->id))) {
		work_answer(work, 404, "The requested resource wasn't found.");
		return NULL;
	}
	return work;
}

static void done_read(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK)
		work_answer(work, 200, "");
	else
		work_answer(work, work->refused_status ? work->refused_status : 400,
			work->refused_message ? work->refused_message : "The request failed.");
}

/* ---- list ---- */

static enum store_outcome run_list(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct bytes_buf *out = &work->call->answer;
	struct store_stmt *stmt;
	bool has_row = true;
	work->refused_status = 0;
	bytes_buf_clear(out);
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT revision,created,actor,body FROM _revisions WHERE collection=?1 AND "
		      "record=?2 ORDER BY revision DESC"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	store_bind_text(stmt, 2, bytes_of(work->id));
	bytes_buf_append_string(out, "{\"items\":[");
	for (size_t n = 0; outcome == STORE_OK; n++) {
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row || out->failed)
			break;
		bytes_buf_appendf(out, "%s{\"revision\":%lld,\"created\":", n ? "," : "",
			(long long)store_column_int64(stmt, 0));
		text_json_append_string(out, store_column_text(stmt, 1));
		bytes_buf_append_string(out, ",\"actor\":");
		text_json_append_string(out, store_column_text(stmt, 2));
		bytes_buf_append_string(out, ",\"record\":");
		keep_write(work->collection, store_column_text(stmt, 3), false, out);
		bytes_buf_append_byte(out, '}');
	}
	bytes_buf_append_string(out, "]}");
	return outcome;
}

void record_revisions(struct record_call *call)
{
	struct record_work *work = begin(call, record_revisions);
	if (!work)
		return;
	work->job.run = run_list;
	work->job.done = done_read;
	store_read(call->book->store, &work->job);
}

/* ---- revert ---- */

static bool take_revision(struct record_work *work, int64_t *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes json;
	if (text_json_find(work->call->body, BYTES("/revision"), &json) != TEXT_JSON_FOUND)
		return false;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	return text_json_int64(&token, ret) && *ret > 0;
}

/* The body of an update that makes the record what it was. */
static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct record_call *call = work->call;
	struct store_stmt *stmt;
	int64_t revision = 0;
	bool found = false;
	work->refused_status = 0;
	bytes_buf_clear(&call->answer);
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT body FROM _revisions WHERE collection=?1 AND record=?2 AND "
		      "revision=?3"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	take_revision(work, &revision);
	store_bind_text(stmt, 1, work->collection->id);
	store_bind_text(stmt, 2, bytes_of(work->id));
	store_bind_int64(stmt, 3, revision);
	outcome = store_step(stmt, &found);
	if (outcome != STORE_OK)
		return outcome;
	if (!found)
		return row_refuse(work, 404, "There is no such revision of the record.");
	keep_write(work->collection, store_column_text(stmt, 0), true, &call->answer);
	return STORE_OK;
}

static void done_find(struct store_job *job)
{
	struct record_work *work = work_of(job);
	struct record_call *call = work->call;
	if (job->outcome != STORE_OK || call->answer.failed) {
		done_read(job);
		return;
	}
	struct bytes body = { arena_copy(call->arena, bytes_buf_view(&call->answer)),
		call->answer.n };
	if (!body.p) {
		bytes_buf_clear(&call->answer);
		work_answer(work, 413, "The record is too large.");
		return;
	}
	work_release(work);
	call->work = NULL;
	call->body = body;
	record_update(call);
}

void record_revert(struct record_call *call)
{
	struct record_work *work = begin(call, record_revert);
	int64_t revision;
	if (!work)
		return;
	if (!take_revision(work, &revision)) {
		problems_init(&work->problems, &call->answer);
		problems_add(&work->problems, BYTES("revision"), "validation_required",
			"Missing required value.");
		work_answer_problems(work, "Failed to revert record.");
		return;
	}
	work->job.run = run_find;
	work->job.done = done_find;
	store_read(call->book->store, &work->job);
}
