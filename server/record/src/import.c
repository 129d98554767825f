/*
 * import.c - one job that writes row after row, and lists what is wrong with them
 *
 * The rows share one work, made anew for each of them. A row that is refused does not end the
 * import: the next ones are looked at too, and at the end all is taken back.
 */
#include "import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field_rule.h"
#include "once.h"
#include "write.h"

#define IMPORT_ARENA_BYTES (8u << 20) /* of the call: names and the work itself */
#define ROW_ARENA_BYTES    (8u << 20)
#define ERRORS_BYTES_MAX   (128u * 1024)
#define IMPORT_MAX_NS      (60 * CLOCK_NS_PER_S)

struct import_work {
	struct arena *arena;
	struct id_source ids; /* those of the loop are the loop's */
	struct arena *row_arena;
	struct rows rows;
	struct bytes_buf errors; /* elements of "errors", comma separated */
	size_t n_errors;
	uint64_t n_created, n_updated;
	char ignored[2048];
	bool is_done; /* of a dry run: nothing was wrong */
};

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

static struct record_import *import_of(struct record_call *call)
{
	return (struct record_import *)(void *)((char *)call -
						offsetof(struct record_import, call));
}

/* ---- what is wrong ---- */

static void add_error(struct import_work *import, uint64_t column_at, struct bytes column,
	struct bytes code, struct bytes message)
{
	struct text_json_writer writer;
	size_t before = import->errors.n;
	if (import->errors.n)
		bytes_buf_append_byte(&import->errors, ',');
	text_json_writer_init(&writer, &import->errors);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("line"));
	text_json_write_uint64(&writer, import->rows.line);
	if (column_at) {
		text_json_write_key(&writer, BYTES("byte"));
		text_json_write_uint64(&writer, column_at);
	}
	if (import->rows.row) {
		text_json_write_key(&writer, BYTES("row"));
		text_json_write_uint64(&writer, import->rows.row);
	}
	text_json_write_key(&writer, BYTES("column"));
	text_json_write_string(&writer, column);
	text_json_write_key(&writer, BYTES("code"));
	text_json_write_string(&writer, code);
	text_json_write_key(&writer, BYTES("message"));
	text_json_write_string(&writer, message);
	text_json_end_object(&writer);
	if (import->errors.failed) { /* 100 long messages: the first ones do */
		import->errors.failed = false;
		import->errors.n = before;
	}
	import->n_errors++;
}

static void add_broken(struct import_work *import)
{
	add_error(import, import->rows.column, (struct bytes){ NULL, 0 },
		BYTES("import_unreadable"), bytes_of(import->rows.reason));
}

/* What the row was refused with: each field of it, or the refusal itself. */
static void add_refusal(struct import_work *import, struct record_work *work, const char *message)
{
	struct text_json_reader reader;
	struct text_json_token token;
	size_t n_before = import->n_errors;
	problems_finish(&work->problems);
	text_json_reader_init(&reader, bytes_buf_view(&work->call->answer));
	if (work->problems.n && text_json_next(&reader, &token) == TEXT_JSON_OBJECT)
		while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
			struct bytes code, text, name, body = text_json_skip(&reader, &token);
			if (!text_json_text(&token, import->row_arena, &name) ||
				text_json_find(body, BYTES("/code"), &code) != TEXT_JSON_FOUND ||
				text_json_find(body, BYTES("/message"), &text) != TEXT_JSON_FOUND)
				continue;
			struct text_json_token string;
			struct bytes code_text = { NULL, 0 }, message_text = { NULL, 0 };
			struct text_json_reader part;
			text_json_reader_init(&part, code);
			text_json_next(&part, &string);
			text_json_text(&string, import->row_arena, &code_text);
			text_json_reader_init(&part, text);
			text_json_next(&part, &string);
			text_json_text(&string, import->row_arena, &message_text);
			add_error(import, 0, name, code_text, message_text);
		}
	if (import->n_errors == n_before)
		add_error(import, 0, (struct bytes){ NULL, 0 }, BYTES("import_row_refused"),
			bytes_of(message ? message : "The row was refused."));
}

/* ---- one row ---- */

static enum store_outcome find_action(
	struct record_work *work, struct store_conn *conn, bool is_upsert, enum record_action *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct store_stmt *stmt;
	struct bytes json, id;
	bool found = false;
	*ret = RECORD_CREATE;
	if (!is_upsert || text_json_find(work->call->body, BYTES("/id"), &json) != TEXT_JSON_FOUND)
		return STORE_OK;
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_STRING ||
		!text_json_text(&token, work->arena, &id) || id.n == 0)
		return STORE_OK;
	enum store_outcome outcome = store_prepare(conn, work->collection->get_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	outcome = store_step(stmt, &found);
	if (outcome == STORE_OK && found && bytes_to_string(id, work->id, sizeof(work->id)))
		*ret = RECORD_UPDATE;
	return outcome;
}

/* A hash takes longer than all the rest of an import, and the writer would wait for it. */
static void refuse_password(struct record_work *work)
{
	problems_add(&work->problems, BYTES("password"), "validation_not_importable",
		"Passwords cannot be imported: let the users reset theirs.");
}

static enum store_outcome create_row(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	struct bytes confirm;
	for (size_t i = 0; i < collection->n_fields; i++)
		value_default(&collection->fields[i], &work->values[i]);
	if (!body_apply(work, &confirm))
		return row_refuse(work, 400, "The row is no object, or too large.");
	body_set_id(work);
	body_set_autodates(work, true);
	body_check_values(work);
	if (collection->is_auth)
		write_draw_token_key(work);
	if (work->has_password)
		refuse_password(work);
	work->has_password = false;
	return work->problems.n ? row_refuse(work, 0, NULL) : write_create_row(work, conn);
}

static enum store_outcome update_row(struct record_work *work, struct store_conn *conn)
{
	struct bytes confirm;
	/* Once for its form: what can be read is applied again over the row. */
	if (!body_apply(work, &confirm))
		return row_refuse(work, 400, "The row is no object, or too large.");
	if (work->has_password)
		refuse_password(work);
	if (work->problems.n)
		return row_refuse(work, 0, NULL);
	bytes_buf_clear(&work->call->ignored);
	if (work->collection->is_auth)
		write_draw_token_key(work); /* for a new address */
	return write_update_row(work, conn);
}

/* Makes the work that of this row. */
static void begin_row(struct import_work *import, struct record_work *work)
{
	struct record_call *call = work->call;
	arena_reset(import->row_arena);
	work->arena = import->row_arena;
	work->environment.arena = import->row_arena;
	work->refused_status = 0;
	work->refused_message = NULL;
	work->has_refusal_data = false;
	work->has_password = work->has_new_key = work->can_manage = false;
	work->password = work->old_password = (struct bytes){ NULL, 0 };
	work->old_files = NULL;
	work->id[0] = '\0';
	memset(work->values, 0, (work->collection->n_fields + 1) * sizeof(struct value));
	if (work->sent) {
		memset(work->sent, 0, work->collection->n_fields * sizeof(bool));
		memset(work->locked, 0, work->collection->n_fields * sizeof(bool));
	}
	bytes_buf_clear(&call->answer);
	bytes_buf_clear(&call->ignored);
	problems_init(&work->problems, &call->answer);
}

static enum store_outcome import_row(
	struct import_work *import, struct record_work *work, struct store_conn *conn)
{
	struct record_call *call = work->call;
	call->body = work->environment.body = import->rows.body;
	if (work->problems.n) {
		add_refusal(import, work, NULL);
		return STORE_OK;
	}
	enum store_outcome outcome =
		find_action(work, conn, import_of(call)->is_upsert, &work->action);
	if (outcome == STORE_OK)
		outcome = work->action == RECORD_CREATE ? create_row(work, conn)
							: update_row(work, conn);
	if (outcome == STORE_OK) {
		import->n_created += work->action == RECORD_CREATE;
		import->n_updated += work->action == RECORD_UPDATE;
	} else if (outcome == STORE_CONFLICT) {
		store_note_conflict(conn, &work->job);
		row_note_conflict(work);
		add_refusal(import, work, "The row breaks a constraint.");
	} else if (outcome == STORE_REFUSED) {
		add_refusal(import, work, work->refused_message);
	} else {
		return outcome;
	}
	if (import->rows.row == 1)
		bytes_to_string(
			bytes_buf_view(&call->ignored), import->ignored, sizeof(import->ignored));
	return STORE_OK;
}

/* ---- the job ---- */

static void write_answer(struct import_work *import, struct record_work *work, bool is_dry_run)
{
	struct text_json_writer writer;
	bytes_buf_clear(&work->call->answer);
	text_json_writer_init(&writer, &work->call->answer);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("rows"));
	text_json_write_uint64(&writer, import->rows.row);
	text_json_write_key(&writer, BYTES("created"));
	text_json_write_uint64(&writer, import->n_created);
	text_json_write_key(&writer, BYTES("updated"));
	text_json_write_uint64(&writer, import->n_updated);
	text_json_write_key(&writer, BYTES("dryRun"));
	text_json_write_bool(&writer, is_dry_run);
	text_json_write_key(&writer, BYTES("ignored"));
	text_json_write_string(&writer, bytes_of(import->ignored));
	text_json_end_object(&writer);
}

static void write_errors(struct import_work *import, struct record_work *work)
{
	bytes_buf_clear(&work->call->answer);
	bytes_buf_append_string(&work->call->answer, "{\"errors\":[");
	bytes_buf_append(&work->call->answer, bytes_buf_view(&import->errors));
	bytes_buf_append_string(&work->call->answer, "]}");
}

static enum store_outcome import_rows(
	struct import_work *import, struct record_work *work, struct store_conn *conn)
{
	const struct record_import *asked = import_of(work->call);
	enum rows_result result = rows_open(
		&import->rows, asked->format, asked->text, work->collection, work->call->arena);
	enum store_outcome outcome = STORE_OK;
	while (result == ROWS_NEXT && outcome == STORE_OK &&
		import->n_errors < RECORD_IMPORT_ERRORS_MAX) {
		begin_row(import, work);
		result = rows_next(&import->rows, import->row_arena, &work->problems);
		if (result == ROWS_NEXT && import->rows.row > RECORD_IMPORT_ROWS_MAX) {
			import->rows.reason = "more than 30,000 rows: import them in parts";
			result = ROWS_BROKEN;
		}
		if (result == ROWS_NEXT)
			outcome = import_row(import, work, conn);
	}
	if (outcome == STORE_OK && result == ROWS_BROKEN)
		add_broken(import);
	rows_close(&import->rows);
	return outcome;
}

static enum store_outcome run_import(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct record_import *asked = import_of(work->call);
	struct import_work *import = asked->work;
	work->call->refused_by = RECORD_BY_NOBODY;
	import->n_errors = import->n_created = import->n_updated = 0;
	import->is_done = false;
	bytes_buf_clear(&import->errors);
	changes_forget(work);
	files_begin(work);
	work->has_refusal_data = true; /* the answer stays as it is */
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = once_begin(work, work->call->once, conn);
	if (outcome != STORE_OK)
		return outcome;
	outcome = import_rows(import, work, conn);
	work->arena = work->environment.arena = work->call->arena;
	work->refused_status = 0;
	if (outcome != STORE_OK)
		return outcome;
	if (import->n_errors) {
		write_errors(import, work);
		return row_refuse(work, 400, "Nothing was imported: some rows are wrong.");
	}
	write_answer(import, work, asked->is_dry_run);
	import->is_done = asked->is_dry_run;
	if (asked->is_dry_run)
		return STORE_REFUSED;
	return once_keep(work, work->call->once, conn, 200, bytes_buf_view(&work->call->answer));
}

static void done_import(struct store_job *job)
{
	struct record_work *work = work_of(job);
	const struct import_work *import = import_of(work->call)->work;
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK || import->is_done) {
		work_answer(work, 200, "");
	} else if (job->outcome == STORE_CONFLICT) { /* of the commit: a deferred constraint */
		bytes_buf_clear(&work->call->answer);
		work_answer(work, 400, "The rows break a constraint.");
	} else {
		work_answer(work, work->refused_status ? work->refused_status : 400,
			work->refused_message ? work->refused_message : "Nothing was imported.");
	}
}

/* ---- on the loop ---- */

static bool is_guarded(const struct record_work *work, enum record_action action)
{
	const struct record_call *call = work->call;
	const struct record_hooks *hooks = call->book->hooks;
	return hooks && hooks->has_before(hooks->context, call->loop, call->book->tenant,
				work->collection->name, action);
}

static void start_import(struct record_call *call)
{
	struct record_import *import = import_of(call);
	struct record_work *work = work_new_with_collection(call, start_import);
	if (!work || work_answer_forbidden(work, RULE_CREATE) ||
		(import->is_upsert && work_answer_forbidden(work, RULE_UPDATE)))
		return;
	bool skips_hooks = import->skips_hooks && work_is_superuser(work);
	if (!skips_hooks && (is_guarded(work, RECORD_CREATE) ||
				    (import->is_upsert && is_guarded(work, RECORD_UPDATE)))) {
		work_answer(work, 400,
			"Plugins guard this collection, and an import does not ask them: send "
			"arrays "
			"of records, or as a superuser say skipHooks=1.");
		return;
	}
	work->values =
		arena_alloc(call->arena, (work->collection->n_fields + 1) * sizeof(struct value));
	if (!work->values || !field_rules_begin(work)) {
		work_answer(work, 503, "The server is short of memory.");
		return;
	}
	work->ids = &import->work->ids;
	work->run_write = run_import;
	work->done_write = done_import;
	work->job.run = run_import;
	work->job.done = done_import;
	work->job.committed = write_committed;
	work->job.alone = true;
	work->job.deadline_ns = call->deadline_ns;
	store_write(call->book->store, &work->job);
}

static void on_call_done(struct record_call *call)
{
	struct record_import *import = import_of(call);
	import->done(import);
}

void record_import_run(struct record_import *import)
{
	struct record_call *call = &import->call;
	struct import_work *work = calloc(1, sizeof(*work));
	struct err err;
	call->done = on_call_done;
	import->work = work;
	if (!work || arena_new(IMPORT_ARENA_BYTES, &work->arena, &err) < 0 ||
		arena_new(ROW_ARENA_BYTES, &work->row_arena, &err) < 0) {
		call->status = 503;
		call->message = "The server is short of memory.";
		import->done(import);
		return;
	}
	bytes_buf_init(&work->errors, ERRORS_BYTES_MAX);
	call->arena = work->arena;
	call->body = (struct bytes){ NULL, 0 };
	if (!call->deadline_ns)
		call->deadline_ns = clock_mono_ns() + IMPORT_MAX_NS;
	start_import(call);
}

void record_import_fini(struct record_import *import)
{
	struct import_work *work = import->work;
	record_call_fini(&import->call);
	if (!work)
		return;
	bytes_buf_fini(&work->errors);
	arena_free(work->row_arena);
	arena_free(work->arena);
	free(work);
	import->work = NULL;
}
