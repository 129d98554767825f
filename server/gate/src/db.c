#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "statement.h"

static void note_name(struct gate_call *call, struct bytes name)
{
	call->object_n = name.n < sizeof call->object ? name.n : sizeof call->object;
	if (call->object_n)
		memcpy(call->object, name.p, call->object_n);
}

/* Finds the statement and asks whether this plugin may run it so. NULL: refused. */
static const struct plugin_statement *find_granted(
	struct gate_call *call, struct bytes name, struct wire_list args)
{
	const struct gate_lane *lane = call->lane;
	note_name(call, name);
	int index = plugin_find_statement(&lane->version->manifest, name);
	if (index < 0) {
		call_refuse(call, STATUS_DENIED, "not-declared",
			"the manifest declares no statement of this name");
		return NULL;
	}
	if (!plugin_has_statement(lane->granted, index)) {
		call_refuse(call, STATUS_DENIED, "not-granted",
			"the tenant's administrator did not grant this statement");
		return NULL;
	}
	const struct plugin_statement *statement = &lane->version->manifest.statements[index];
	if (args.n != statement->n_params) {
		char message[120];
		snprintf(message, sizeof message, "the statement takes %u values, %u were passed",
			(unsigned)statement->n_params, (unsigned)args.n);
		call_refuse(call, STATUS_INVALID, "", message);
		return NULL;
	}
	return statement;
}

/* ---- on the executor ---- */
static bool put_column(struct bytes_buf *out, struct store_stmt *stmt, int column)
{
	struct wire_value value = { 0 };
	switch (store_column_type(stmt, column)) {
	case STORE_NULL:
		value.type = WIRE_NULL;
		break;
	case STORE_INT64:
		value.type = WIRE_INTEGER;
		value.integer = store_column_int64(stmt, column);
		break;
	case STORE_DOUBLE:
		value.type = WIRE_REAL;
		value.real = store_column_double(stmt, column);
		break;
	case STORE_TEXT:
		value.type = WIRE_TEXT;
		value.text = store_column_text(stmt, column);
		break;
	case STORE_BLOB:
		value.type = WIRE_BLOB;
		value.text = store_column_text(stmt, column);
		break;
	}
	return wire_put_value(out, &value);
}

static enum store_outcome refuse_job(struct gate_call *call, int32_t status, const char *message)
{
	call->status = status;
	snprintf(call->message, sizeof call->message, "%s", message);
	return STORE_REFUSED;
}

/* Puts head (columns and counts) and rows into call->result. */
static enum store_outcome put_rows(struct gate_call *call, struct store_stmt *stmt,
	struct bytes_buf *names, struct bytes_buf *rows)
{
	int n_columns = store_n_columns(stmt);
	if (n_columns > (int)WIRE_COLUMNS_MAX)
		return refuse_job(call, STATUS_EXHAUSTED, "more than 64 columns");
	for (int i = 0; i < n_columns; i++)
		if (!wire_put_text(names, store_column_name(stmt, i)))
			return refuse_job(call, STATUS_EXHAUSTED, "the names take too much room");
	uint32_t n_rows = 0;
	for (;;) {
		bool has_row;
		enum store_outcome outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK)
			return outcome;
		if (!has_row)
			break;
		if (n_rows == call->max_rows || (n_rows + 1) * (uint64_t)n_columns > WIRE_LIST_MAX)
			return refuse_job(call, STATUS_EXHAUSTED, "more rows than allowed");
		n_rows++;
		for (int i = 0; i < n_columns; i++)
			if (!put_column(rows, stmt, i))
				return refuse_job(
					call, STATUS_EXHAUSTED, "the rows take more than 1 MiB");
	}
	struct wire_rows head = { .n_columns = (uint32_t)n_columns,
		.n_rows = n_rows,
		.names = { (uint32_t)n_columns, bytes_buf_view(names) } };
	call->n_rows = n_rows;
	if (!wire_put_rows(&call->result, &head) ||
		!bytes_buf_append(&call->result, bytes_buf_view(rows)))
		return refuse_job(call, STATUS_EXHAUSTED, "no memory for the rows");
	return STORE_OK;
}

static enum store_outcome run_prepared(struct gate_call *call, struct store_stmt *stmt)
{
	if (call->statement->kind == PLUGIN_QUERY) {
		struct bytes_buf names, rows;
		bytes_buf_init(&names, 64u << 10);
		bytes_buf_init(&rows, GATE_ROWS_BYTES_MAX);
		enum store_outcome outcome = put_rows(call, stmt, &names, &rows);
		bytes_buf_fini(&names);
		bytes_buf_fini(&rows);
		return outcome;
	}
	int64_t n_changes = 0;
	enum store_outcome outcome = store_exec(stmt, &n_changes);
	if (outcome != STORE_OK)
		return outcome;
	call->n_rows = (uint64_t)n_changes;
	struct wire_changed changed = { .n_rows = (uint64_t)n_changes };
	if (!wire_put_changed(&call->result, &changed))
		return refuse_job(call, STATUS_EXHAUSTED, "no memory for the answer");
	return STORE_OK;
}

static enum store_outcome run_statement(struct store_job *job, struct store_conn *conn)
{
	struct gate_call *call =
		(struct gate_call *)(void *)((char *)job - offsetof(struct gate_call, job));
	struct store_stmt *stmt;
	bytes_buf_clear(&call->result); /* a write may run twice */
	store_set_grant(conn, &call->grant);
	call->status = STATUS_INVALID;
	enum store_outcome outcome = statement_prepare(
		conn, call->statement, &call->values, &stmt, call->message, sizeof call->message);
	if (outcome == STORE_OK)
		outcome = run_prepared(call, stmt);
	store_set_grant(conn, NULL);
	return outcome;
}

/* ---- back on the loop ---- */
static void on_statement_done(struct store_job *job)
{
	struct gate_call *call =
		(struct gate_call *)(void *)((char *)job - offsetof(struct gate_call, job));
	switch (job->outcome) {
	case STORE_OK:
		call_reply(call);
		return;
	case STORE_REFUSED:
		call_refuse(call, call->status,
			call->status == STATUS_EXHAUSTED ? "rows-and-bytes" : "", call->message);
		return;
	case STORE_CONFLICT:
		call_refuse(call, STATUS_CONFLICT, "", "a constraint of the database said no");
		return;
	case STORE_FULL:
		call_refuse(call, STATUS_EXHAUSTED, "disk", "the tenant's disk quota is used up");
		return;
	case STORE_BUSY:
		call_refuse(call, STATUS_UNAVAILABLE, "", "the database has too much to do");
		return;
	case STORE_FAULT:
		break;
	}
	if (call->cancelled)
		call_refuse(call, call->cancelled, "", "the call is over");
	else if (job->err.code == ERR_TIMEOUT)
		call_refuse(call, STATUS_DEADLINE, "", "the statement ran too long");
	else
		call_refuse(call, STATUS_INTERNAL, "", "the database could not run the statement");
}

bool call_statement(struct gate_call *call, uint16_t type, struct bytes payload)
{
	struct wire_statement asked;
	struct gate_lane *lane = call->lane;
	if (!wire_get_statement(payload, &asked))
		return false;
	const struct plugin_statement *statement = find_granted(call, asked.name, asked.args);
	if (!statement)
		return true;
	bool is_query = type == WIRE_DB_QUERY;
	if (statement->kind != (is_query ? PLUGIN_QUERY : PLUGIN_EXEC)) {
		call_refuse(call, STATUS_INVALID, "", "the statement is declared as another kind");
		return true;
	}
	if (!is_query && call->is_hook) {
		call_refuse(
			call, STATUS_PRECOND, "", "a hook attaches writes, it does not run them");
		return true;
	}
	if (!lane->store) {
		call_refuse(call, STATUS_UNAVAILABLE, "", "there is no database here");
		return true;
	}
	uint32_t timeout_ms = statement->timeout_ms;
	if (asked.timeout_ms && asked.timeout_ms < timeout_ms)
		timeout_ms = asked.timeout_ms;
	uint64_t deadline_ns = call->started_ns + timeout_ms * CLOCK_NS_PER_MS;
	if (call->deadline_ns < deadline_ns)
		deadline_ns = call->deadline_ns;
	call->statement = statement;
	call->values = asked.args;
	call->max_rows = statement->max_rows;
	if (asked.max_rows && asked.max_rows < call->max_rows)
		call->max_rows = asked.max_rows;
	statement_grant(
		lane->version, lane->granted, statement, deadline_ns, &call->tables, &call->grant);
	if (!is_query && !call_intend(call))
		return true;
	call->job = (struct store_job){
		.run = run_statement,
		.done = on_statement_done,
		.loop = lane->loop,
		.alone = true,
		.deadline_ns = deadline_ns,
	};
	call->is_busy = true;
	if (is_query)
		store_read(lane->store, &call->job);
	else
		store_write(lane->store, &call->job);
	return true;
}

/* ---- attachments ---- */
#define ATTACHMENTS_BYTES (1u << 20)

static struct gate_attachments *need_attachments(struct gate_call *call)
{
	if (call->attachments)
		return call->attachments;
	struct gate_attachments *attachments = calloc(1, sizeof *attachments);
	if (!attachments)
		return NULL;
	if (arena_new(ATTACHMENTS_BYTES, &attachments->arena, NULL) < 0) {
		free(attachments);
		return NULL;
	}
	attachments->version = plugin_version_ref(call->lane->version);
	attachments->granted = *call->lane->granted;
	call->attachments = attachments;
	return attachments;
}

static bool copy_bytes(struct arena *arena, struct bytes from, struct bytes *ret)
{
	const char *copy = arena_copy(arena, from);
	*ret = (struct bytes){ copy, from.n };
	return copy != NULL;
}

bool call_attach(struct gate_call *call, struct bytes payload)
{
	struct wire_attachment asked;
	if (!wire_get_attachment(payload, &asked))
		return false;
	const struct plugin_statement *statement = find_granted(call, asked.name, asked.args);
	if (!statement)
		return true;
	if (!call->is_hook) {
		call_refuse(call, STATUS_PRECOND, "", "only a hook has a write to attach to");
		return true;
	}
	if (statement->kind != PLUGIN_CHECK && statement->kind != PLUGIN_WRITE) {
		call_refuse(call, STATUS_INVALID, "",
			"only statements of kind check and write can be attached");
		return true;
	}
	struct gate_attachments *attachments = need_attachments(call);
	if (attachments && attachments->n == GATE_ATTACHMENTS_MAX) {
		call_refuse(call, STATUS_EXHAUSTED, "attachments-per-hook",
			"a hook may attach 16 statements");
		return true;
	}
	struct gate_attachment at = { .statement = statement };
	at.values.n = asked.args.n;
	if (!attachments || !copy_bytes(attachments->arena, asked.args.raw, &at.values.raw) ||
		!copy_bytes(attachments->arena, asked.message, &at.message) ||
		!copy_bytes(attachments->arena, asked.reason, &at.reason) ||
		!copy_bytes(attachments->arena, asked.field, &at.field)) {
		call_refuse(call, STATUS_EXHAUSTED, "memory", "the attachments take too much room");
		return true;
	}
	attachments->list[attachments->n++] = at;
	call_reply(call);
	return true;
}

struct gate_attachments *gate_call_take_attachments(struct gate_call *call)
{
	struct gate_attachments *attachments = call->attachments;
	call->attachments = NULL;
	return attachments;
}

void gate_attachments_free(struct gate_attachments *attachments)
{
	if (!attachments)
		return;
	plugin_version_unref(attachments->version);
	arena_free(attachments->arena);
	free(attachments);
}

/* Whether the statement holds: a check yields a row, a write changes one. */
static enum store_outcome run_attachment(
	struct store_stmt *stmt, const struct plugin_statement *statement, bool *ret_holds)
{
	if (statement->kind == PLUGIN_WRITE) {
		int64_t n_changes = 0;
		enum store_outcome outcome = store_exec(stmt, &n_changes);
		*ret_holds = n_changes > 0;
		return outcome;
	}
	*ret_holds = false;
	for (unsigned i = 0; i < statement->max_rows; i++) {
		bool has_row;
		enum store_outcome outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			return outcome;
		*ret_holds = true;
	}
	return STORE_OK;
}

enum gate_attachment_result gate_run_attachments(struct store_conn *conn,
	struct gate_attachments *attachments, uint64_t deadline_ns,
	const struct gate_attachment **ret_refused, enum store_outcome *ret_outcome)
{
	for (unsigned i = 0; i < attachments->n; i++) {
		const struct gate_attachment *at = &attachments->list[i];
		struct statement_tables tables;
		struct store_grant grant;
		struct store_stmt *stmt;
		char message[160] = "";
		bool holds = false;
		uint64_t until_ns = clock_mono_ns() + at->statement->timeout_ms * CLOCK_NS_PER_MS;
		statement_grant(attachments->version, &attachments->granted, at->statement,
			until_ns < deadline_ns ? until_ns : deadline_ns, &tables, &grant);
		store_set_grant(conn, &grant);
		enum store_outcome outcome = statement_prepare(
			conn, at->statement, &at->values, &stmt, message, sizeof message);
		if (outcome == STORE_OK)
			outcome = run_attachment(stmt, at->statement, &holds);
		store_set_grant(conn, NULL);
		if (outcome == STORE_REFUSED) {
			snprintf(attachments->complaint, sizeof attachments->complaint, "%s",
				message[0] ? message : store_message(conn));
			*ret_refused = at;
			return GATE_ATTACHMENT_UNFIT;
		}
		if (outcome != STORE_OK && outcome != STORE_CONFLICT) {
			*ret_outcome = outcome;
			return GATE_ATTACHMENT_FAULT;
		}
		if (!holds || outcome == STORE_CONFLICT) {
			*ret_refused = at;
			return GATE_ATTACHMENT_REFUSED;
		}
	}
	return GATE_ATTACHMENT_PASSED;
}

/* ---- at deployment ---- */
enum store_outcome gate_check_statements(struct store_conn *conn,
	const struct plugin_version *version, const struct plugin_granted *granted, struct err *err)
{
	const struct plugin_manifest *manifest = &version->manifest;
	enum store_outcome fresh = store_refresh_schema(conn);
	if (fresh != STORE_OK)
		return fresh;
	for (int i = 0; i < manifest->n_statements; i++) {
		const struct plugin_statement *statement = &manifest->statements[i];
		struct statement_tables tables;
		struct store_grant grant;
		struct store_stmt *stmt;
		char message[160] = "";
		if (!plugin_has_statement(granted, i))
			continue;
		statement_grant(version, granted, statement, clock_mono_ns() + CLOCK_NS_PER_S,
			&tables, &grant);
		store_set_grant(conn, &grant);
		enum store_outcome outcome =
			statement_prepare(conn, statement, NULL, &stmt, message, sizeof message);
		store_set_grant(conn, NULL);
		if (outcome == STORE_REFUSED)
			ERR_SET(err, ERR_INVALID, "/statements/%d (\"%.*s\"): %s", i,
				(int)statement->name.n, statement->name.p, message);
		if (outcome != STORE_OK)
			return outcome;
	}
	return STORE_OK;
}
