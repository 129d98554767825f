/*
 * facade.c - log, db and http: arguments into a request, a reply into what the plugin reads
 *
 * Nothing is decided here. The core looks every name up again, checks every grant and charges every
 * budget; what is refused early is refused early only to spare a round trip.
 */
#include "worker.h"

#include <string.h>

#include "text_utf8.h"

#define LOG_TEXT_MAX 4096u
#define ORIGIN_DB    "db"
#define ORIGIN_HTTP  "http"

struct tenon_rows {
	struct tenon_call *call;
	struct wire_rows rows;      /* values: those not yet stepped over */
	struct bytes *names;        /* n_columns */
	struct tenon_value *values; /* n_columns, of the current row */
	uint32_t n_left;
};

/* ---- log ---- */

static struct bytes log_text(const char *p, size_t n)
{
	return text_utf8_prefix((struct bytes){ p, n }, LOG_TEXT_MAX);
}

/* A line never suspends: when the ring is full it is dropped, which the core's rate would do as
 * well. */
static void log_write(struct tenon_call *call, uint32_t level, const char *message,
	size_t message_n, const struct tenon_pair *fields, size_t n_fields)
{
	struct wire_log log = {
		.level = level < TENON_LOG_DEBUG   ? TENON_LOG_DEBUG
			 : level > TENON_LOG_ERROR ? TENON_LOG_ERROR
						   : level,
		.message = log_text(message, message_n),
	};

	if (worker_running(call->worker) != call)
		return;
	bytes_buf_clear(&call->elements);
	for (size_t i = 0; i < n_fields && i < WIRE_FIELDS_MAX; i++)
		if (wire_put_pair(&call->elements, log_text(fields[i].name.p, fields[i].name.n),
			    log_text(fields[i].value.p, fields[i].value.n)))
			log.fields.n++;
	log.fields.raw = bytes_buf_view(&call->elements);
	bytes_buf_clear(&call->scratch);
	if (call->elements.failed || !wire_put_log(&call->scratch, &log))
		return;
	call->message = (struct ring_message){
		.type = WIRE_LOG,
		.slot = call->slot,
		.generation = call->generation,
		.head = bytes_buf_view(&call->scratch),
	};
	(void)worker_try_send(call);
}

const struct tenon_log_api log_api = {
	.size = sizeof log_api,
	.rev = 1,
	.write = log_write,
};

/* ---- values ---- */

/* NULL, or what is wrong with them. */
static const char *put_values(struct tenon_call *call, const struct tenon_value *args,
	size_t n_args, struct wire_list *ret)
{
	bytes_buf_clear(&call->elements);
	if (n_args > WIRE_VALUES_MAX)
		return "too many values";
	for (size_t i = 0; i < n_args; i++) {
		struct wire_value value = {
			.type = (enum wire_value_type)args[i].type,
			.integer = args[i].integer,
			.real = args[i].real,
			.text = bytes_of_str(args[i].text),
		};
		if (args[i].type > TENON_TYPE_BOOL)
			return "a value is of a type that statements do not take";
		if (value.type == WIRE_REAL && !__builtin_isfinite(value.real))
			return "a value is not a finite number";
		if (value.type == WIRE_TEXT && !text_utf8_is_valid(value.text))
			return "a text is not UTF-8";
		if (value.type == WIRE_BOOL)
			value.integer = value.integer != 0;
		if (!wire_put_value(&call->elements, &value))
			return "the values are too big";
	}
	*ret = (struct wire_list){ (uint32_t)n_args, bytes_buf_view(&call->elements) };
	return NULL;
}

static struct tenon_value value_of(const struct wire_value *value)
{
	return (struct tenon_value){
		.type = value->type,
		.integer = value->integer,
		.real = value->type == WIRE_INTEGER ? (double)value->integer : value->real,
		.text = str_of(value->text),
	};
}

/* ---- db ---- */

static int32_t db_request(struct tenon_call *call, enum wire_type type,
	const struct tenon_statement *statement, struct bytes *ret_result)
{
	struct wire_statement wire;
	int32_t status = call_check(call, ORIGIN_DB);

	if (status != TENON_OK)
		return status;
	if (statement->size < sizeof *statement || statement->flags)
		return call_error(call, TENON_E_INVALID, ORIGIN_DB,
			"statement: set size to sizeof(struct tenon_statement) and flags to 0");
	wire = (struct wire_statement){
		.max_rows = statement->max_rows,
		.timeout_ms = statement->timeout_ms,
		.name = bytes_of_str(statement->name),
	};
	const char *wrong = put_values(call, statement->args, statement->n_args, &wire.args);
	if (wrong)
		return call_error(call, TENON_E_INVALID, ORIGIN_DB, wrong);
	bytes_buf_clear(&call->scratch);
	(void)wire_put_statement(&call->scratch, &wire);
	return call_request(call, type, (struct bytes){ 0 }, ORIGIN_DB, ret_result);
}

static int32_t db_query(
	struct tenon_call *call, const struct tenon_statement *statement, struct tenon_rows **out)
{
	struct bytes result = { NULL, 0 };
	int32_t status = db_request(call, WIRE_DB_QUERY, statement, &result);

	if (status != TENON_OK)
		return status;
	struct tenon_rows *rows = arena_alloc(call->arena, sizeof *rows);
	if (rows && !wire_get_rows(result, &rows->rows))
		return call_error(call, TENON_E_INTERNAL, ORIGIN_DB, "the rows are malformed");
	if (rows) {
		rows->call = call;
		rows->n_left = rows->rows.n_rows;
		rows->names = arena_alloc(call->arena, rows->rows.n_columns * sizeof *rows->names);
		rows->values =
			arena_alloc(call->arena, rows->rows.n_columns * sizeof *rows->values);
	}
	if (!rows || !rows->names || !rows->values)
		return call_error(
			call, TENON_E_EXHAUSTED, ORIGIN_DB, "the call's memory is used up");
	for (uint32_t i = 0; i < rows->rows.n_columns; i++)
		(void)wire_next_text(&rows->rows.names, &rows->names[i]);
	*out = rows;
	return TENON_OK;
}

static int32_t db_next(struct tenon_rows *rows, const struct tenon_value **values, size_t *n_values)
{
	struct wire_value value;

	if (rows->n_left == 0)
		return call_error(rows->call, TENON_E_NOT_FOUND, ORIGIN_DB, "no more rows");
	rows->n_left--;
	for (uint32_t i = 0; i < rows->rows.n_columns; i++) {
		(void)wire_next_value(&rows->rows.values, &value);
		rows->values[i] = value_of(&value);
	}
	*values = rows->values;
	*n_values = rows->rows.n_columns;
	return TENON_OK;
}

static int32_t db_column(struct tenon_rows *rows, uint32_t index, struct tenon_str *out)
{
	if (index >= rows->rows.n_columns)
		return call_error(rows->call, TENON_E_RANGE, ORIGIN_DB, "no such column");
	*out = str_of(rows->names[index]);
	return TENON_OK;
}

static int32_t db_exec(
	struct tenon_call *call, const struct tenon_statement *statement, uint64_t *changed)
{
	struct wire_changed wire;
	struct bytes result = { NULL, 0 };
	int32_t status = db_request(call, WIRE_DB_EXEC, statement, &result);

	if (status != TENON_OK)
		return status;
	if (!wire_get_changed(result, &wire))
		return call_error(call, TENON_E_INTERNAL, ORIGIN_DB, "the reply is malformed");
	if (changed)
		*changed = wire.n_rows;
	return TENON_OK;
}

static int32_t db_transaction(struct tenon_call *call, enum wire_type type)
{
	struct bytes result;
	int32_t status = call_check(call, ORIGIN_DB);

	if (status != TENON_OK)
		return status;
	bytes_buf_clear(&call->scratch);
	return call_request(call, type, (struct bytes){ 0 }, ORIGIN_DB, &result);
}

static int32_t db_begin(struct tenon_call *call, uint32_t flags)
{
	if (flags)
		return call_error(call, TENON_E_UNSUPPORTED, ORIGIN_DB, "an unknown flag");
	return db_transaction(call, WIRE_DB_BEGIN);
}

static int32_t db_commit(struct tenon_call *call)
{
	return db_transaction(call, WIRE_DB_COMMIT);
}

static int32_t db_rollback(struct tenon_call *call)
{
	return db_transaction(call, WIRE_DB_ROLLBACK);
}

static int32_t db_attach(struct tenon_call *call, const struct tenon_attachment *attachment)
{
	struct wire_attachment wire;
	struct bytes result;
	int32_t status = call_check(call, ORIGIN_DB);

	if (status != TENON_OK)
		return status;
	if (call->info.kind != TENON_KIND_HOOK)
		return call_error(call, TENON_E_PRECOND, ORIGIN_DB, "attach() is for hooks");
	if (attachment->size < sizeof *attachment || attachment->flags)
		return call_error(call, TENON_E_INVALID, ORIGIN_DB,
			"attachment: set size to sizeof(struct tenon_attachment) and flags to 0");
	wire = (struct wire_attachment){
		.name = bytes_of_str(attachment->name),
		.message = bytes_of_str(attachment->message),
		.reason = bytes_of_str(attachment->reason),
		.field = bytes_of_str(attachment->field),
	};
	const char *wrong = put_values(call, attachment->args, attachment->n_args, &wire.args);
	if (wrong)
		return call_error(call, TENON_E_INVALID, ORIGIN_DB, wrong);
	bytes_buf_clear(&call->scratch);
	(void)wire_put_attachment(&call->scratch, &wire);
	return call_request(call, WIRE_DB_ATTACH, (struct bytes){ 0 }, ORIGIN_DB, &result);
}

const struct tenon_db_api db_api = {
	.size = sizeof db_api,
	.rev = 1,
	.query = db_query,
	.next = db_next,
	.column = db_column,
	.exec = db_exec,
	.begin = db_begin,
	.commit = db_commit,
	.rollback = db_rollback,
	.attach = db_attach,
};

/* ---- http ---- */

static int32_t http_result(
	struct tenon_call *call, struct bytes result, struct tenon_http_response *out)
{
	struct wire_http_response wire;

	if (!wire_get_http_response(result, &wire))
		return call_error(call, TENON_E_INTERNAL, ORIGIN_HTTP, "the reply is malformed");
	struct tenon_pair *headers =
		arena_alloc(call->arena, (wire.headers.n + 1) * sizeof *headers);
	if (!headers)
		return call_error(
			call, TENON_E_EXHAUSTED, ORIGIN_HTTP, "the call's memory is used up");
	struct tenon_http_response filled = {
		.size = out->size,
		.status = wire.status,
		.headers = headers,
		.n_headers = wire.headers.n,
		.body = (const uint8_t *)wire.body.p,
		.body_n = wire.body.n,
	};
	struct bytes name, value;
	for (; wire_next_pair(&wire.headers, &name, &value); headers++)
		*headers = (struct tenon_pair){ str_of(name), str_of(value) };
	memcpy(out, &filled, out->size < sizeof filled ? out->size : sizeof filled);
	return TENON_OK;
}

static int32_t http_send(struct tenon_call *call, const struct tenon_http_request *request,
	struct tenon_http_response *out)
{
	struct wire_http_request wire;
	struct bytes result;
	int32_t status = call_check(call, ORIGIN_HTTP);

	if (status != TENON_OK)
		return status;
	if (request->size < sizeof *request || request->flags || out->size < sizeof *out)
		return call_error(call, TENON_E_INVALID, ORIGIN_HTTP,
			"set size of request and response to their sizeof, and flags to 0");
	if (request->n_headers > WIRE_HEADERS_MAX / 2)
		return call_error(call, TENON_E_INVALID, ORIGIN_HTTP, "too many headers");
	wire = (struct wire_http_request){
		.timeout_ms = request->timeout_ms,
		.max_response_bytes = request->max_response_bytes,
		.upstream = bytes_of_str(request->upstream),
		.method = bytes_of_str(request->method),
		.path = bytes_of_str(request->path),
	};
	bytes_buf_clear(&call->elements);
	for (size_t i = 0; i < request->n_headers; i++)
		(void)wire_put_pair(&call->elements, bytes_of_str(request->headers[i].name),
			bytes_of_str(request->headers[i].value));
	wire.headers =
		(struct wire_list){ (uint32_t)request->n_headers, bytes_buf_view(&call->elements) };
	bytes_buf_clear(&call->scratch);
	(void)wire_put_http_request(&call->scratch, &wire);
	status = call_request(call, WIRE_HTTP_SEND,
		(struct bytes){ request->body, request->body_n }, ORIGIN_HTTP, &result);
	return status == TENON_OK ? http_result(call, result, out) : status;
}

const struct tenon_http_api http_api = {
	.size = sizeof http_api,
	.rev = 1,
	.send = http_send,
};
