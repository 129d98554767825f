/*
 * trash.c - records that were deleted and can come back
 */
#include <string.h>

#include "files.h"
#include "keep.h"
#include "record_kept.h"
#include "write.h"

#define PER_PAGE_DEFAULT    30
#define RESTORE_ARENA_BYTES (20u << 20)

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

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
	if (!bytes_to_string(call->id, work->id, sizeof(work->id))) {
		work_answer(work, 404, "The requested resource wasn't found.");
		return NULL;
	}
	return work;
}

static void done(struct record_work *work, int status)
{
	struct record_call *call = work->call;
	if (work_answer_outcome(work))
		return;
	if (work->job.outcome == STORE_OK) {
		work_answer(work, status, "");
	} else if (work->job.outcome == STORE_CONFLICT) {
		row_note_conflict(work);
		work_answer_problems(work, "Failed to restore record.");
	} else if (work->refused_status) {
		bytes_buf_clear(&call->answer);
		work_answer(work, work->refused_status, work->refused_message);
	} else {
		work_answer_problems(work, "Failed to restore record.");
	}
}

/* ---- list ---- */

static int64_t number_query(const struct record_work *work, const char *name, int64_t fallback)
{
	uint64_t number;
	if (!bytes_parse_u64(work_query(work, name), INT32_MAX, &number) || number == 0)
		return fallback;
	return (int64_t)number;
}

static enum store_outcome count(struct record_work *work, struct store_conn *conn, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("SELECT count(*) FROM _trash WHERE collection=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

static enum store_outcome run_list(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct bytes_buf *out = &work->call->answer;
	int64_t page = number_query(work, "page", 1), n_items = 0;
	int64_t per_page = number_query(work, "perPage", PER_PAGE_DEFAULT);
	struct store_stmt *stmt;
	bool has_row = true;
	if (per_page > RECORD_PER_PAGE_MAX)
		per_page = RECORD_PER_PAGE_MAX;
	bytes_buf_clear(out);
	enum store_outcome outcome = count(work, conn, &n_items);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn,
			BYTES("SELECT record,deleted,actor,body FROM _trash WHERE collection=?1 "
			      "ORDER BY deleted DESC, record LIMIT ?2 OFFSET ?3"),
			&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	store_bind_int64(stmt, 2, per_page);
	store_bind_int64(stmt, 3, (page - 1) * per_page);
	bytes_buf_appendf(out,
		"{\"page\":%lld,\"perPage\":%lld,\"totalItems\":%lld,\"totalPages\":%lld,\"items\":"
		"[",
		(long long)page, (long long)per_page, (long long)n_items,
		(long long)((n_items + per_page - 1) / per_page));
	for (size_t n = 0; outcome == STORE_OK; n++) {
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row || out->failed)
			break;
		bytes_buf_append_string(out, n ? ",{\"id\":" : "{\"id\":");
		text_json_append_string(out, store_column_text(stmt, 0));
		bytes_buf_append_string(out, ",\"deleted\":");
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

static void done_list(struct store_job *job)
{
	done(work_of(job), 200);
}

void record_trash(struct record_call *call)
{
	struct record_work *work = begin(call, record_trash);
	if (!work)
		return;
	work->job.run = run_list;
	work->job.done = done_list;
	store_read(call->book->store, &work->job);
}

/* ---- restore ---- */

static enum store_outcome delete_row(
	struct record_work *work, struct store_conn *conn, struct bytes id, int64_t *ret_n)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		id.n ? BYTES("DELETE FROM _trash WHERE collection=?1 AND record=?2")
		     : BYTES("DELETE FROM _trash WHERE collection=?1"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	if (id.n)
		store_bind_text(stmt, 2, id);
	return store_exec(stmt, ret_n);
}

static enum store_outcome load(struct record_work *work, struct store_conn *conn)
{
	struct store_stmt *stmt;
	bool found = false;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("SELECT body FROM _trash WHERE collection=?1 AND record=?2"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	store_bind_text(stmt, 2, bytes_of(work->id));
	outcome = store_step(stmt, &found);
	if (outcome != STORE_OK)
		return outcome;
	if (!found)
		return row_refuse(work, 404, "The requested resource wasn't found.");
	/* The statement's text is gone once it is used again. */
	struct bytes text = store_column_text(stmt, 0);
	char *copy = arena_copy(work->arena, text);
	work->values =
		arena_alloc(work->arena, (work->collection->n_fields + 1) * sizeof(struct value));
	if (copy && work->values && keep_load(work, (struct bytes){ copy, text.n }))
		return STORE_OK;
	return row_refuse(work, 400, "What was kept of the record cannot be read any more.");
}

static enum store_outcome restore(struct record_work *work, struct store_conn *conn)
{
	int note = -1;
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = load(work, conn);
	if (outcome == STORE_OK)
		outcome = row_check_relations(work, conn);
	if (outcome == STORE_OK)
		outcome = changes_begin(
			work, conn, RECORD_CREATE, work->collection, bytes_of(work->id), &note);
	if (outcome == STORE_OK)
		outcome = row_insert(work, conn);
	if (outcome == STORE_OK)
		outcome = changes_end(work, conn, note);
	if (outcome == STORE_OK)
		outcome = delete_row(work, conn, bytes_of(work->id), NULL);
	return outcome == STORE_OK ? row_answer(work, conn) : outcome;
}

static enum store_outcome run_restore(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	DEFER(arena_free) struct arena *arena = NULL;
	work->refused_status = 0;
	changes_forget(work);
	problems_init(&work->problems, &work->call->answer);
	if (arena_new(RESTORE_ARENA_BYTES, &arena, &job->err) < 0)
		return STORE_FAULT;
	work->arena = arena;
	enum store_outcome outcome = restore(work, conn);
	work->arena = work->call->arena;
	return outcome;
}

static void done_restore(struct store_job *job)
{
	done(work_of(job), 200);
}

static void queue(struct record_work *work)
{
	work->job.committed = write_committed;
	work->job.deadline_ns = 0; /* no interrupt in a shared batch */
	store_write(work->call->book->store, &work->job);
}

void record_restore(struct record_call *call)
{
	struct record_work *work = begin(call, record_restore);
	if (!work || !work_parse_shape(work))
		return;
	work->action = RECORD_CREATE;
	work->job.run = run_restore;
	work->job.done = done_restore;
	queue(work);
}

/* ---- purge ---- */

static enum store_outcome forget_revisions(struct record_work *work, struct store_conn *conn)
{
	struct store_stmt *stmt;
	/* Of all that is in the trash, or of the one. */
	enum store_outcome outcome = store_prepare(conn,
		BYTES("DELETE FROM _revisions WHERE collection=?1 AND record IN (SELECT record "
		      "FROM _trash WHERE collection=?1 AND (?2='' OR record=?2))"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	store_bind_text(stmt, 2, bytes_of(work->id));
	return store_exec(stmt, NULL);
}

static enum store_outcome run_purge(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	int64_t n = 0;
	work->refused_status = 0;
	files_begin(work);
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = files_delete_kept(work, conn, work->collection, bytes_of(work->id));
	if (outcome == STORE_OK)
		outcome = forget_revisions(work, conn);
	if (outcome == STORE_OK)
		outcome = delete_row(work, conn, bytes_of(work->id), &n);
	if (outcome == STORE_OK && n == 0 && work->id[0])
		return row_refuse(work, 404, "The requested resource wasn't found.");
	return outcome;
}

static void done_purge(struct store_job *job)
{
	done(work_of(job), 204);
}

void record_purge(struct record_call *call)
{
	struct record_work *work = begin(call, record_purge);
	if (!work)
		return;
	work->job.run = run_purge;
	work->job.done = done_purge;
	queue(work);
}
