/*
 * call.c - one call: what it is told (x.tenon.call), how it asks the core, how it ends
 */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text_url.h"
#include "text_utf8.h"

#define PARAMS_MAX   1024u
#define ALIGN_MAX    64u
#define MESSAGE_MAX  1024u /* of an error */
#define WORD_MAX     64u   /* reason and field of an error */
#define STATUS_LEAST 200u
#define STATUS_MOST  599u
#define ERROR_FLAGS  (TENON_ERROR_RETRYABLE | TENON_ERROR_NO_EFFECT)
#define ORIGIN_HOST  "host"

/* ---- errors ---- */

int32_t call_error(struct tenon_call *call, int32_t code, const char *origin, const char *message)
{
	call->last_error = (struct tenon_error){
		.size = sizeof call->last_error,
		.code = code,
		.flags = TENON_ERROR_NO_EFFECT,
		.message = str_of(bytes_of(message)),
		.origin = str_of(bytes_of(origin)),
	};
	memcpy(call->last_error.trace_id, call->request.trace_id, WIRE_ID_BYTES);
	return code;
}

static int32_t reply_error(struct tenon_call *call, const struct wire_error *error)
{
	call->last_error = (struct tenon_error){
		.size = sizeof call->last_error,
		.code = error->code,
		.flags = error->flags,
		.http_status = error->http_status,
		.message = str_of(error->message),
		.reason = str_of(error->reason),
		.field = str_of(error->field),
		.origin = str_of(error->origin),
		.detail = str_of(error->detail),
		.rule = str_of(error->rule),
	};
	memcpy(call->last_error.trace_id, call->request.trace_id, WIRE_ID_BYTES);
	return error->code;
}

int32_t call_check(struct tenon_call *call, const char *origin)
{
	if (!call || worker_running(call->worker) != call)
		return TENON_E_INVALID; /* [call]: not the call that runs, so not ours to write to
					 */
	if (call->info.kind == TENON_KIND_BOOT)
		return call_error(call, TENON_E_PRECOND, origin,
			"create() may log, allocate and fail, nothing else");
	if (call->cancel_status)
		return call_error(call, call->cancel_status, origin, "the call was cancelled");
	return TENON_OK;
}

/* ---- asking the core ---- */

static void message_set(
	struct tenon_call *call, enum wire_type type, struct bytes head, struct bytes tail)
{
	call->message = (struct ring_message){
		.type = (uint16_t)type,
		.slot = call->slot,
		.generation = call->generation,
		.sequence = wire_is_request((uint16_t)type) ? call->sequence : 0,
		.head = head,
		.tail = tail,
	};
}

int32_t call_request(struct tenon_call *call, enum wire_type type, struct bytes tail,
	const char *origin, struct bytes *ret_result)
{
	struct wire_reply reply;

	if (call->scratch.failed || call->elements.failed ||
		tail.n > WIRE_MESSAGE_MAX - call->scratch.n)
		return call_error(call, TENON_E_EXHAUSTED, origin, "the request is too big");
	call->sequence++;
	call->has_reply = false;
	message_set(call, type, bytes_buf_view(&call->scratch), tail);
	worker_send(call);
	/* A cancellation may have come while the request waited for room. */
	if (!call->cancel_status) {
		call->state = CALL_REPLY;
		fiber_suspend(call->fiber);
	}
	if (!call->has_reply)
		return call_error(call, call->cancel_status, origin, "the call was cancelled");
	if (!wire_get_reply(call->reply, &reply)) /* also when the arena could not hold it */
		return call_error(call, TENON_E_EXHAUSTED, origin, "the reply is too big");
	if (reply.status)
		return reply_error(call, &reply.error);
	*ret_result = reply.result;
	return TENON_OK;
}

/* ---- the life of a call ---- */

void call_begin(struct tenon_call *call)
{
	const struct wire_call *request = &call->request;

	call->info = (struct tenon_call_info){
		.size = sizeof call->info,
		.kind = request->kind,
		.route_id = request->route_id,
		.is_superuser = request->flags & WIRE_CALL_SUPERUSER ? 1 : 0,
		.method = str_of(request->method),
		.path = str_of(request->path),
		.query = str_of(request->query),
		.tenant = str_of(request->tenant),
		.principal_id = str_of(request->principal_id),
		.principal_collection = str_of(request->principal_collection),
		.collection = str_of(request->collection),
		.request_id = str_of(request->request_id),
		.deadline_ns = request->deadline_ns,
	};
	memcpy(call->info.trace_id, request->trace_id, WIRE_ID_BYTES);
}

static void keep_small(struct bytes_buf *buf)
{
	if (buf->cap > WORKER_SCRATCH_KEEP)
		bytes_buf_fini(buf);
	bytes_buf_clear(buf);
}

void call_end(struct tenon_call *call)
{
	json_release(call);
	keep_small(&call->input);
	keep_small(&call->scratch);
	keep_small(&call->elements);
	keep_small(&call->answer);
	arena_reset(call->arena);
	call->request = (struct wire_call){ 0 };
	call->cancel_status = 0;
	call->sequence = 0;
	call->reply = (struct bytes){ 0 };
	call->has_reply = call->has_response = call->has_failure = false;
	call->response_body = (struct bytes){ 0 };
	call->last_error.size = 0;
}

static bool is_error_code(int32_t code)
{
	return code < 0 && code >= TENON_E_UNAUTH && code != -13 && code != -15;
}

static int32_t invoke(struct tenon_call *call)
{
	const struct tenon_plugin *plugin = &worker_plugin(call->worker)->plugin;
	struct tenon_instance *instance = worker_instance(call->worker);

	if (call->cancel_status)
		return call->cancel_status;
	if (call->info.kind != TENON_KIND_HEALTH)
		return plugin->invoke(instance, call);
	return plugin->health ? plugin->health(instance, call->info.route_id, call) : TENON_OK;
}

/* Encodes the failure of a call that returned status without fail(): the last error when that is
 * what it returned. */
static void failure_from_status(struct tenon_call *call, int32_t status)
{
	const struct tenon_error *last = &call->last_error;
	struct tenon_error error = {
		.size = sizeof error,
		.code = is_error_code(status) ? status : TENON_E_INTERNAL,
		.message = str_of(BYTES("The plugin could not do this.")),
	};

	(void)call_api.fail(call, last->size && last->code == status ? last : &error);
}

void call_main(void *context)
{
	struct tenon_call *call = context;
	int32_t status = invoke(call);
	struct wire_done done = { .status = TENON_OK };

	if (call->cancel_status) {
		/* Nobody waits for more than the news that it is over. */
		done.status = call->cancel_status;
		call->has_response = call->has_failure = false;
	} else if (status != TENON_OK && !call->has_failure) {
		failure_from_status(call, status);
	}
	bytes_buf_clear(&call->scratch);
	if (call->has_failure) {
		message_set(call, WIRE_FAIL, bytes_buf_view(&call->answer), (struct bytes){ 0 });
	} else if (call->has_response) {
		message_set(call, WIRE_RESPOND, bytes_buf_view(&call->answer), call->response_body);
	} else {
		(void)wire_put_done(&call->scratch, &done);
		message_set(call, WIRE_DONE, bytes_buf_view(&call->scratch), (struct bytes){ 0 });
	}
	worker_send(call);
}

/* ---- x.tenon.call ---- */

static const struct tenon_call_info *api_info(struct tenon_call *call)
{
	return &call->info;
}

static int32_t api_header(struct tenon_call *call, const char *name, size_t name_n, uint32_t index,
	struct tenon_str *out)
{
	struct wire_list headers = call->request.headers;
	struct bytes key, value;

	while (wire_next_pair(&headers, &key, &value)) {
		if (!bytes_eq_nocase(key, (struct bytes){ name, name_n }) || index-- > 0)
			continue;
		*out = str_of(value);
		return TENON_OK;
	}
	return call_error(call, TENON_E_NOT_FOUND, ORIGIN_HOST, "the request has no such header");
}

static int32_t api_param(struct tenon_call *call, const char *name, size_t name_n, uint32_t index,
	struct tenon_str *out)
{
	struct text_url_query query;
	struct bytes key, value;
	enum text_url_result result;

	text_url_query_init(&query, call->request.query, PARAMS_MAX);
	while ((result = text_url_query_next(&query, call->arena, &key, &value)) == TEXT_URL_OK) {
		if (!bytes_eq(key, (struct bytes){ name, name_n }) || index-- > 0)
			continue;
		*out = str_of(value);
		return TENON_OK;
	}
	if (result == TEXT_URL_END)
		return call_error(
			call, TENON_E_NOT_FOUND, ORIGIN_HOST, "the request has no such parameter");
	if (result == TEXT_URL_LIMIT)
		return call_error(call, TENON_E_EXHAUSTED, ORIGIN_HOST, "too many parameters");
	return call_error(call, TENON_E_INVALID, ORIGIN_HOST, text_url_reason(result));
}

static int32_t api_body(struct tenon_call *call, const void **out, size_t *out_n)
{
	*out = call->request.body.p;
	*out_n = call->request.body.n;
	return TENON_OK;
}

/* RFC 9110: a token of at least one character. */
static bool is_header_name(struct tenon_str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool is_alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_alpha && !(c >= '0' && c <= '9') && !(c && strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return name.n > 0;
}

static bool is_header_value(struct tenon_str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return false;
	return true;
}

/* Encodes the headers into elements, with a Content-Type when there is none. NULL, or what is
 * wrong. */
static const char *put_headers(
	struct tenon_call *call, const struct tenon_response *response, struct wire_list *ret)
{
	static const char type[] = "Content-Type";
	bool has_type = response->body_n == 0;
	uint32_t n = 0;

	bytes_buf_clear(&call->elements);
	for (size_t i = 0; i < response->n_headers; i++, n++) {
		const struct tenon_pair *header = &response->headers[i];
		if (!is_header_name(header->name) || !is_header_value(header->value))
			return "a header is not well-formed";
		has_type |= bytes_eq_nocase(bytes_of_str(header->name), BYTES("Content-Type"));
		(void)wire_put_pair(
			&call->elements, bytes_of_str(header->name), bytes_of_str(header->value));
	}
	if (!has_type) {
		(void)wire_put_pair(&call->elements, bytes_of(type), BYTES("application/json"));
		n++;
	}
	if (n > WIRE_HEADERS_MAX)
		return "too many headers";
	*ret = (struct wire_list){ n, bytes_buf_view(&call->elements) };
	return NULL;
}

static int32_t api_respond(struct tenon_call *call, const struct tenon_response *response)
{
	struct wire_respond head = { .status = response->status };
	struct bytes body = { response->body, response->body_n };
	const char *wrong = NULL;

	if (worker_running(call->worker) != call)
		return TENON_E_INVALID;
	if (response->size < sizeof *response)
		wrong = "size: set it to sizeof(struct tenon_response)";
	else if (response->flags & ~TENON_RESPONSE_BORROW_BODY)
		wrong = "an unknown flag";
	else if (response->status < STATUS_LEAST || response->status > STATUS_MOST)
		wrong = "status must be from 200 to 599";
	else if (response->n_headers > WIRE_HEADERS_MAX)
		wrong = "too many headers";
	else
		wrong = put_headers(call, response, &head.headers);
	if (wrong)
		return call_error(call, TENON_E_INVALID, ORIGIN_HOST, wrong);
	if (body.n > WORKER_RESPONSE_MAX)
		return call_error(call, TENON_E_EXHAUSTED, ORIGIN_HOST, "the answer is too big");
	if (body.n && !(response->flags & TENON_RESPONSE_BORROW_BODY)) {
		body.p = arena_copy(call->arena, body);
		if (!body.p)
			return call_error(call, TENON_E_EXHAUSTED, ORIGIN_HOST,
				"the call's memory is used up");
	}
	call->has_response = call->has_failure = false;
	bytes_buf_clear(&call->answer);
	if (!wire_put_respond(&call->answer, &head) || body.n > WIRE_MESSAGE_MAX - call->answer.n)
		return call_error(call, TENON_E_EXHAUSTED, ORIGIN_HOST, "the answer is too big");
	call->response_body = body;
	call->has_response = true;
	return TENON_OK;
}

static bool is_word(struct tenon_str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!(text.p[i] >= 'a' && text.p[i] <= 'z') &&
			!(text.p[i] >= '0' && text.p[i] <= '9') && text.p[i] != '_')
			return false;
	return text.n <= WORD_MAX;
}

/* Text for the tenant's users: valid, and cut where it is too long. */
static struct bytes cut(struct tenon_str text, size_t max)
{
	struct bytes bytes = bytes_of_str(text);

	if (!text_utf8_is_valid(bytes))
		return BYTES("The plugin gave a message that is not UTF-8.");
	return text_utf8_prefix(bytes, max);
}

static int32_t api_fail(struct tenon_call *call, const struct tenon_error *from)
{
	struct tenon_error error = { 0 };

	if (worker_running(call->worker) != call)
		return TENON_E_INVALID;
	memcpy(&error, from, from->size < sizeof error ? from->size : sizeof error);
	struct wire_error wire = {
		.code = is_error_code(error.code) ? error.code : TENON_E_INTERNAL,
		.flags = error.flags & ERROR_FLAGS,
		.http_status = error.http_status >= 400 && error.http_status <= STATUS_MOST
				       ? error.http_status
				       : 0,
		.message = cut(error.message, MESSAGE_MAX),
		.reason = is_word(error.reason) ? bytes_of_str(error.reason) : (struct bytes){ 0 },
		.field = cut(error.field, WORD_MAX),
		.origin = cut(error.origin, WORD_MAX),
		.detail = cut(error.detail, MESSAGE_MAX),
		.rule = cut(error.rule, MESSAGE_MAX),
	};
	bytes_buf_clear(&call->answer);
	call->has_response = false;
	call->has_failure = wire_put_error(&call->answer, &wire);
	return wire.code;
}

static const struct tenon_error *api_last_error(struct tenon_call *call)
{
	return call->last_error.size ? &call->last_error : NULL;
}

static uint32_t api_cancelled(struct tenon_call *call)
{
	if (worker_running(call->worker) == call && !call->cancel_status)
		worker_pump(call->worker);
	if (call->cancel_status)
		return 1;
	return call->info.deadline_ns && clock_mono_ns() >= call->info.deadline_ns;
}

static void *api_alloc(struct tenon_call *call, size_t n, size_t align)
{
	if (align > ALIGN_MAX || (align & (align - 1)) || n > WORKER_ARENA_MAX)
		return NULL;
	/* The arena aligns for any type; more than that is cut out of a bigger piece. */
	size_t slack = align > _Alignof(max_align_t) ? align : 0;
	char *p = arena_alloc(call->arena, n + slack);
	if (!p || !slack)
		return p;
	return p + (align - (uintptr_t)p % align) % align;
}

const struct tenon_call_api call_api = {
	.size = sizeof call_api,
	.rev = 1,
	.info = api_info,
	.header = api_header,
	.param = api_param,
	.body = api_body,
	.respond = api_respond,
	.fail = api_fail,
	.last_error = api_last_error,
	.cancelled = api_cancelled,
	.alloc = api_alloc,
};
