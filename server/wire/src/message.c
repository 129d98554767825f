#include "codec.h"

#include <string.h>

#define STATUS_LEAST 100u
#define STATUS_MOST  599u

static struct reader open_payload(struct bytes payload)
{
	return (struct reader){ .left = payload };
}

/* ---- core to worker ---- */

bool wire_put_call(struct bytes_buf *out, const struct wire_call *call)
{
	struct bytes trace = { (const char *)call->trace_id, WIRE_ID_BYTES };

	return write_u32(out, call->kind) && write_u32(out, call->route_id) &&
	       write_u32(out, call->flags) && write_u64(out, call->deadline_ns) &&
	       bytes_buf_append(out, trace) && write_text(out, call->method) &&
	       write_text(out, call->path) && write_text(out, call->query) &&
	       write_text(out, call->tenant) && write_text(out, call->principal_id) &&
	       write_text(out, call->principal_collection) && write_text(out, call->collection) &&
	       write_text(out, call->request_id) && write_list(out, &call->headers);
}

bool wire_get_call(struct bytes payload, struct wire_call *ret)
{
	struct reader reader = open_payload(payload);
	uint32_t kind = read_u32(&reader);

	if (kind < WIRE_KIND_ROUTE || kind > WIRE_KIND_HEALTH)
		return false;
	*ret = (struct wire_call){ .kind = (enum wire_call_kind)kind };
	ret->route_id = read_u32(&reader);
	ret->flags = read_u32(&reader);
	if (ret->flags & ~WIRE_CALL_SUPERUSER)
		return false;
	ret->deadline_ns = read_u64(&reader);
	read_id(&reader, ret->trace_id);
	ret->method = read_text(&reader);
	ret->path = read_text(&reader);
	ret->query = read_text(&reader);
	ret->tenant = read_text(&reader);
	ret->principal_id = read_text(&reader);
	ret->principal_collection = read_text(&reader);
	ret->collection = read_text(&reader);
	ret->request_id = read_text(&reader);
	ret->headers = read_list(&reader, WIRE_HEADERS_MAX, step_pair);
	ret->body = read_tail(&reader);
	return read_end(&reader);
}

static void read_error(struct reader *reader, struct wire_error *ret)
{
	ret->code = (int32_t)read_u32(reader);
	ret->flags = read_u32(reader);
	ret->http_status = read_u32(reader);
	ret->message = read_text(reader);
	ret->reason = read_text(reader);
	ret->field = read_text(reader);
	ret->origin = read_text(reader);
	ret->detail = read_text(reader);
	ret->rule = read_text(reader);
	if (ret->code >= 0 || (ret->http_status && ret->http_status < 400) ||
		ret->http_status > STATUS_MOST)
		reader->failed = true;
}

bool wire_put_error(struct bytes_buf *out, const struct wire_error *error)
{
	return write_u32(out, (uint32_t)error->code) && write_u32(out, error->flags) &&
	       write_u32(out, error->http_status) && write_text(out, error->message) &&
	       write_text(out, error->reason) && write_text(out, error->field) &&
	       write_text(out, error->origin) && write_text(out, error->detail) &&
	       write_text(out, error->rule);
}

bool wire_get_error(struct bytes payload, struct wire_error *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_error){ 0 };
	read_error(&reader, ret);
	return read_end(&reader);
}

bool wire_put_reply(struct bytes_buf *out, const struct wire_reply *reply)
{
	if (!write_u32(out, (uint32_t)reply->status))
		return false;
	return reply->status == 0 || wire_put_error(out, &reply->error);
}

bool wire_get_reply(struct bytes payload, struct wire_reply *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_reply){ .status = (int32_t)read_u32(&reader) };
	if (ret->status) {
		read_error(&reader, &ret->error);
		return read_end(&reader) && ret->error.code == ret->status;
	}
	ret->result = read_tail(&reader);
	return read_end(&reader);
}

bool wire_put_rows(struct bytes_buf *out, const struct wire_rows *rows)
{
	return write_u32(out, rows->n_columns) && write_u32(out, rows->n_rows) &&
	       write_list(out, &rows->names);
}

bool wire_get_rows(struct bytes result, struct wire_rows *ret)
{
	struct reader reader = open_payload(result);

	*ret = (struct wire_rows){ .n_columns = read_u32(&reader) };
	ret->n_rows = read_u32(&reader);
	ret->names = read_list(&reader, WIRE_COLUMNS_MAX, step_text);
	if (reader.failed || ret->n_columns != ret->names.n)
		return false;
	uint64_t n = (uint64_t)ret->n_columns * ret->n_rows;
	if (n > WIRE_LIST_MAX || (ret->n_columns == 0 && ret->n_rows))
		return false;
	ret->values = (struct wire_list){ (uint32_t)n, reader.left };
	for (uint64_t i = 0; i < n; i++)
		if (!step_value(&reader))
			return false;
	return read_end(&reader);
}

bool wire_put_changed(struct bytes_buf *out, const struct wire_changed *changed)
{
	return write_u64(out, changed->n_rows);
}

bool wire_get_changed(struct bytes result, struct wire_changed *ret)
{
	struct reader reader = open_payload(result);

	ret->n_rows = read_u64(&reader);
	return read_end(&reader);
}

bool wire_put_http_response(struct bytes_buf *out, const struct wire_http_response *response)
{
	return write_u32(out, response->status) && write_list(out, &response->headers);
}

bool wire_get_http_response(struct bytes result, struct wire_http_response *ret)
{
	struct reader reader = open_payload(result);

	*ret = (struct wire_http_response){ .status = read_u32(&reader) };
	ret->headers = read_list(&reader, WIRE_HEADERS_MAX, step_pair);
	ret->body = read_tail(&reader);
	return read_end(&reader) && ret->status >= STATUS_LEAST && ret->status <= STATUS_MOST;
}

bool wire_put_cancel(struct bytes_buf *out, const struct wire_cancel *cancel)
{
	return write_u32(out, (uint32_t)cancel->status);
}

bool wire_get_cancel(struct bytes payload, struct wire_cancel *ret)
{
	struct reader reader = open_payload(payload);

	ret->status = (int32_t)read_u32(&reader);
	return read_end(&reader) && ret->status < 0;
}

bool wire_put_drain(struct bytes_buf *out, const struct wire_drain *drain)
{
	return write_u64(out, drain->deadline_ns);
}

bool wire_get_drain(struct bytes payload, struct wire_drain *ret)
{
	struct reader reader = open_payload(payload);

	ret->deadline_ns = read_u64(&reader);
	return read_end(&reader);
}

bool wire_put_ping(struct bytes_buf *out, const struct wire_ping *ping)
{
	return write_u64(out, ping->number);
}

bool wire_get_ping(struct bytes payload, struct wire_ping *ret)
{
	struct reader reader = open_payload(payload);

	ret->number = read_u64(&reader);
	return read_end(&reader);
}

/* ---- worker to core ---- */

bool wire_put_ready(struct bytes_buf *out, const struct wire_ready *ready)
{
	return write_u32(out, ready->abi_major) && write_u32(out, ready->abi_minor) &&
	       write_u32(out, ready->target) && write_u32(out, ready->concurrency) &&
	       write_text(out, ready->id) && write_text(out, ready->version);
}

bool wire_get_ready(struct bytes payload, struct wire_ready *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_ready){ .abi_major = read_u32(&reader) };
	ret->abi_minor = read_u32(&reader);
	ret->target = read_u32(&reader);
	ret->concurrency = read_u32(&reader);
	ret->id = read_text(&reader);
	ret->version = read_text(&reader);
	return read_end(&reader);
}

bool wire_put_failed(struct bytes_buf *out, const struct wire_failed *failed)
{
	return write_u32(out, (uint32_t)failed->status) && write_text(out, failed->stage) &&
	       write_text(out, failed->message);
}

bool wire_get_failed(struct bytes payload, struct wire_failed *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_failed){ .status = (int32_t)read_u32(&reader) };
	ret->stage = read_text(&reader);
	ret->message = read_text(&reader);
	return read_end(&reader) && ret->status < 0;
}

bool wire_put_log(struct bytes_buf *out, const struct wire_log *log)
{
	return write_u32(out, log->level) && write_text(out, log->message) &&
	       write_list(out, &log->fields);
}

bool wire_get_log(struct bytes payload, struct wire_log *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_log){ .level = read_u32(&reader) };
	ret->message = read_text(&reader);
	ret->fields = read_list(&reader, WIRE_FIELDS_MAX, step_pair);
	return read_end(&reader) && ret->level >= 1 && ret->level <= 4;
}

bool wire_put_statement(struct bytes_buf *out, const struct wire_statement *statement)
{
	return write_u32(out, statement->max_rows) && write_u32(out, statement->timeout_ms) &&
	       write_text(out, statement->name) && write_list(out, &statement->args);
}

bool wire_get_statement(struct bytes payload, struct wire_statement *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_statement){ .max_rows = read_u32(&reader) };
	ret->timeout_ms = read_u32(&reader);
	ret->name = read_text(&reader);
	ret->args = read_list(&reader, WIRE_VALUES_MAX, step_value);
	return read_end(&reader);
}

bool wire_put_attachment(struct bytes_buf *out, const struct wire_attachment *attachment)
{
	return write_text(out, attachment->name) && write_text(out, attachment->message) &&
	       write_text(out, attachment->reason) && write_text(out, attachment->field) &&
	       write_list(out, &attachment->args);
}

bool wire_get_attachment(struct bytes payload, struct wire_attachment *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_attachment){ .name = read_text(&reader) };
	ret->message = read_text(&reader);
	ret->reason = read_text(&reader);
	ret->field = read_text(&reader);
	ret->args = read_list(&reader, WIRE_VALUES_MAX, step_value);
	return read_end(&reader);
}

bool wire_put_http_request(struct bytes_buf *out, const struct wire_http_request *request)
{
	return write_u32(out, request->timeout_ms) && write_u32(out, request->max_response_bytes) &&
	       write_text(out, request->upstream) && write_text(out, request->method) &&
	       write_text(out, request->path) && write_list(out, &request->headers);
}

bool wire_get_http_request(struct bytes payload, struct wire_http_request *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_http_request){ .timeout_ms = read_u32(&reader) };
	ret->max_response_bytes = read_u32(&reader);
	ret->upstream = read_text(&reader);
	ret->method = read_text(&reader);
	ret->path = read_text(&reader);
	ret->headers = read_list(&reader, WIRE_HEADERS_MAX, step_pair);
	ret->body = read_tail(&reader);
	return read_end(&reader);
}

bool wire_put_respond(struct bytes_buf *out, const struct wire_respond *respond)
{
	return write_u32(out, respond->status) && write_list(out, &respond->headers);
}

bool wire_get_respond(struct bytes payload, struct wire_respond *ret)
{
	struct reader reader = open_payload(payload);

	*ret = (struct wire_respond){ .status = read_u32(&reader) };
	ret->headers = read_list(&reader, WIRE_HEADERS_MAX, step_pair);
	ret->body = read_tail(&reader);
	return read_end(&reader) && ret->status >= 200 && ret->status <= STATUS_MOST;
}

bool wire_put_done(struct bytes_buf *out, const struct wire_done *done)
{
	return write_u32(out, (uint32_t)done->status);
}

bool wire_get_done(struct bytes payload, struct wire_done *ret)
{
	struct reader reader = open_payload(payload);

	ret->status = (int32_t)read_u32(&reader);
	return read_end(&reader) && ret->status <= 0;
}
