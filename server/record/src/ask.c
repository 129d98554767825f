/*
 * ask.c - the hooks of plugins before a write: asked, heeded, and what they attach run
 *
 * A hook is asked outside of the writer, so what it was told about may have changed when the write
 * runs. What it attached runs with the write and cannot be overtaken. For an update or a delete the
 * write also looks whether the row is still the one that the hook saw; else it begins again.
 *
 *   create   body -> values ─────────────────▶ hook(record) ─▶ writer
 *   update   read the row ─▶ body over it ───▶ hook(record, old) ─▶ writer: still old? -> write
 *   delete   read the row ───────────────────▶ hook(record) ─▶ writer: still that? -> delete
 */
#include "field_rule.h"
#include "group.h"
#include "write.h"

#include <string.h>

/* For the values of the row as it is and as it would be. */
#define PREVIEW_ARENA_BYTES (16u << 20)

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* Copies what may be gone when the answer is written. */
static void note_refusal(struct record_work *work, const struct record_refusal *refusal)
{
	struct record_call *call = work->call;
	struct bytes message = refusal->message.n ? refusal->message : BYTES("Refused.");
	char *copy = arena_copy(call->arena, message);
	bool is_known = (refusal->status >= 400 && refusal->status < 500) || refusal->status == 503;
	work->refused_status = is_known ? refusal->status : 400;
	work->refused_message = copy ? copy : "Refused.";
	call->refused_by = RECORD_BY_HOOK;
	problems_init(&work->problems, &call->answer);
	if (refusal->field.n) {
		char code[64];
		bytes_to_string(refusal->code.n ? refusal->code : BYTES("validation_hook_refused"),
			code, sizeof(code));
		problems_add(
			&work->problems, refusal->field, code, "%.*s", (int)message.n, message.p);
	}
	problems_finish(&work->problems);
	work->has_refusal_data = true;
}

enum store_outcome ask_run_attached(struct record_work *work, struct store_conn *conn)
{
	const struct record_hooks *hooks = work->call->book->hooks;
	struct record_refusal refusal = { 0 };
	enum store_outcome outcome = STORE_FAULT;
	if (!work->has_attached)
		return STORE_OK;
	enum record_attached_result result =
		hooks->run_attached(hooks->context, work->hook.attached, conn, &refusal, &outcome);
	store_set_grant(conn, NULL);
	if (result == RECORD_ATTACHED_PASSED)
		return STORE_OK;
	if (result == RECORD_ATTACHED_FAULT)
		return outcome == STORE_OK ? STORE_FAULT : outcome;
	note_refusal(work, &refusal);
	return STORE_REFUSED;
}

/* ---- what the hook is told ---- */

/* The record as it would be stored. */
static void write_record(struct record_work *work, struct bytes_buf *out)
{
	const struct record_collection *collection = work->collection;
	struct text_json_writer writer;
	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		const struct value *value = &work->values[i];
		if (field->is_secret)
			continue;
		text_json_write_key(&writer, field->name);
		if (field->is_primary)
			text_json_write_string(&writer, bytes_of(work->id));
		else if (field->type == FIELD_NUMBER)
			text_json_write_double(&writer, value->number);
		else if (field->type == FIELD_BOOL)
			text_json_write_bool(&writer, value->number != 0);
		else if (value->is_null)
			text_json_write_null(&writer);
		else if (field->is_raw)
			text_json_write_raw(&writer, value->text);
		else
			text_json_write_string(&writer, value->text);
	}
	text_json_end_object(&writer);
}

/* The row as it is, into the values and as JSON. */
static enum store_outcome read_row(
	struct record_work *work, struct store_conn *conn, struct bytes_buf *out)
{
	bool is_whole;
	bytes_buf_init(out, RECORD_BODY_MAX);
	enum store_outcome outcome = row_load_whole(work, conn, &is_whole);
	if (outcome == STORE_OK && is_whole)
		write_record(work, out);
	if (outcome == STORE_OK && (!is_whole || out->failed))
		return row_refuse(work, 413, "The record is too large.");
	return outcome;
}

static enum store_outcome preview(struct record_work *work, struct store_conn *conn)
{
	bool is_update = work->action == RECORD_UPDATE, is_met = false;
	enum rule rule = is_update ? RULE_UPDATE : RULE_DELETE;
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = row_meets_rule(work, conn, rule, &is_met);
	if (outcome == STORE_OK && !is_met) {
		work_note_rule(work, rule);
		return row_refuse(work, 404, "The requested resource wasn't found.");
	}
	if (outcome == STORE_OK)
		outcome = match_check(work, conn);
	if (outcome == STORE_OK)
		outcome = read_row(work, conn, &work->hook_old);
	if (outcome != STORE_OK || !is_update)
		return outcome;
	outcome = field_rules_ask(work, conn);
	if (outcome == STORE_OK)
		outcome = write_work_out(work);
	if (outcome != STORE_OK)
		return outcome;
	bytes_buf_init(&work->hook_record, 2 * RECORD_BODY_MAX + 64);
	write_record(work, &work->hook_record);
	return work->hook_record.failed ? row_refuse(work, 413, "The record is too large.")
					: STORE_OK;
}

/* What the row is, and what it would become, into hook_old and hook_record. */
static enum store_outcome run_preview(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	DEFER(arena_free) struct arena *arena = NULL;
	work->refused_status = 0;
	work->has_refusal_data = false;
	work->call->refused_by = RECORD_BY_NOBODY;
	bytes_buf_clear(&work->call->ignored);
	problems_init(&work->problems, &work->call->answer);
	if (arena_new(PREVIEW_ARENA_BYTES, &arena, &job->err) < 0)
		return STORE_FAULT;
	work->arena = arena;
	enum store_outcome outcome = preview(work, conn);
	work->arena = work->call->arena;
	return outcome;
}

enum store_outcome ask_check_old(struct record_work *work, struct store_conn *conn)
{
	DEFER(arena_free) struct arena *arena = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf now = { 0 };
	if (!work->was_asked || work->action == RECORD_CREATE)
		return STORE_OK;
	if (arena_new(PREVIEW_ARENA_BYTES, &arena, &work->job.err) < 0)
		return STORE_FAULT;
	struct arena *before = work->arena;
	struct value *values = work->values;
	work->arena = arena;
	work->values = arena_alloc(arena, (work->collection->n_fields + 1) * sizeof(struct value));
	enum store_outcome outcome = work->values ? read_row(work, conn, &now) : STORE_FAULT;
	work->arena = before;
	work->values = values;
	if (outcome == STORE_OK &&
		!bytes_eq(bytes_buf_view(&now), bytes_buf_view(&work->hook_old))) {
		work->is_stale = true;
		return STORE_REFUSED;
	}
	return outcome;
}

/* ---- asking ---- */

void ask_queue(struct record_work *work)
{
	struct record_call *call = work->call;
	memset(&work->problems, 0, sizeof(work->problems));
	bytes_buf_clear(&call->answer);
	work->job.run = work->run_write;
	work->job.done = work->done_write;
	work->job.committed = write_committed;
	work->job.deadline_ns = 0; /* no interrupt in a shared batch */
	/* What a plugin attached is foreign SQL, and that may be interrupted. */
	work->job.alone = work->has_attached;
	if (call->group)
		group_item_ready(call->group);
	else
		store_write(call->book->store, &work->job);
}

static void done_hook(struct record_hook_call *hook)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)hook - offsetof(struct record_work, hook));
	work->has_attached = hook->attached && work->call->book->hooks->release_attached;
	bytes_buf_fini(&work->hook_record);
	if (!hook->is_refused) {
		ask_queue(work);
		return;
	}
	note_refusal(work, &hook->refusal);
	work_answer(work, work->refused_status, work->refused_message);
}

static void ask(struct record_work *work)
{
	struct record_call *call = work->call;
	const struct record_hooks *hooks = call->book->hooks;
	bool is_delete = work->action == RECORD_DELETE;
	work->was_asked = true;
	work->hook = (struct record_hook_call){ .book = call->book,
		.loop = call->loop,
		.action = work->action,
		.collection = work->collection->name,
		.record = bytes_buf_view(is_delete ? &work->hook_old : &work->hook_record),
		.viewer = call->viewer,
		.depth = call->depth,
		.deadline_ns = call->deadline_ns,
		.done = done_hook };
	if (work->action == RECORD_UPDATE)
		work->hook.old = bytes_buf_view(&work->hook_old);
	memcpy(work->hook.trace_id, call->trace_id, sizeof(call->trace_id));
	if (work->hook_record.failed)
		work_answer(work, 413, "The record is too large.");
	else
		hooks->before(hooks->context, &work->hook);
}

static void done_preview(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (job->outcome == STORE_OK)
		ask(work);
	else
		work->done_write(job);
}

static void read_and_ask(struct record_work *work)
{
	if (group_wrote_before(work)) {
		work_answer(work, 400,
			"A plugin guards this change: a batch cannot change a record twice then.");
		return;
	}
	work->job.run = run_preview;
	work->job.done = done_preview;
	work->job.deadline_ns = work->call->deadline_ns;
	store_read(work->call->book->store, &work->job);
}

void ask_then_queue(struct record_work *work)
{
	struct record_call *call = work->call;
	const struct record_book *book = call->book;
	const struct record_hooks *hooks = book->hooks;
	if (!hooks || !hooks->has_before(hooks->context, call->loop, book->tenant,
			      work->collection->name, work->action)) {
		ask_queue(work);
	} else if (call->depth >= RECORD_DEPTH_MAX) {
		bytes_buf_clear(&call->answer);
		work_answer(work, 400, "Hooks call one another too deeply.");
	} else if (work->action == RECORD_CREATE) {
		bytes_buf_init(&work->hook_record, RECORD_BODY_MAX);
		write_record(work, &work->hook_record);
		ask(work);
	} else {
		read_and_ask(work);
	}
}
