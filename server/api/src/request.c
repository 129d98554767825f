#include "internal.h"

#include "clock.h"
#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_url.h"
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_MAX   (256 * 1024)
#define METHODS_MAX 96 /* bytes of an Allow header */
#define QUERY_MAX   128

static const struct {
	unsigned status;
	const char *code, *message;
} errors[API_ERRORS] = {
	[API_BAD_REQUEST] = { 400, "TN1400",
		"Something went wrong while processing your request." },
	[API_VALIDATION] = { 400, "TN1402", "Failed to validate the request." },
	[API_UNAUTHORIZED] = { 401, "TN1401",
		"The request requires valid record authorization token." },
	[API_FOREIGN_TOKEN] = { 401, "TN1407", "The token belongs to another tenant." },
	[API_FORBIDDEN] = { 403, "TN1403", "You are not allowed to perform this request." },
	[API_NOT_FOUND] = { 404, "TN1404", "The requested resource wasn't found." },
	[API_NO_TENANT] = { 404, "TN1406", "There is no tenant of that name." },
	[API_NO_METHOD] = { 405, "TN1405",
		"This path does not take that method; Allow lists those it takes." },
	[API_CONFLICT] = { 409, "TN1409", "It exists already." },
	[API_TOO_LARGE] = { 413, "TN1413", "The request is larger than this path takes." },
	[API_BAD_TYPE] = { 415, "TN1415",
		"This path takes a JSON body (Content-Type: application/json)." },
	[API_LIMITED] = { 429, "TN1429",
		"Too many requests; wait for as long as Retry-After says." },
	[API_FAULT] = { 500, "TN1500",
		"Something went wrong on our side; the trace id leads to the cause." },
	[API_PLUGIN_CRASHED] = { 502, "TN1502", "The plugin ended before it answered." },
	[API_PLUGIN_DOWN] = { 503, "TN1505", "The plugin is not serving now." },
	[API_BUSY] = { 503, "TN1503", "The server is at its limit; try again shortly." },
	[API_SUSPENDED] = { 503, "TN1506", "This tenant is suspended." },
	[API_AUDIT] = { 503, "TN1507",
		"The audit journal cannot be written; nothing is served until it can." },
	[API_DEADLINE] = { 504, "TN1504", "The answer was not ready in time." },
};

struct loop *request_loop(const struct api_request *request)
{
	return request->lane->loop;
}

struct bytes request_address(const struct api_request *request)
{
	return (struct bytes){ request->address, request->n_address };
}

struct bytes request_param(const struct api_request *request, unsigned n)
{
	return request->match.params[n];
}

struct bytes request_actor(struct api_request *request)
{
	static const char *const words[] = { [AUTH_USER] = "user", [AUTH_SUPERUSER] = "superuser" };
	const struct auth_identity *identity = &request->identity;
	const char *key = request->key ? request->key->id : "";
	const char *slash = request->key ? "/" : "";

	_Static_assert(sizeof "key:/superuser:/" + AUTH_RECORD_MAX + AUTH_COLLECTION_MAX +
				       AUTH_RECORD_MAX <=
			       sizeof request->actor,
		"an actor fits");
	request->actor[0] = '\0';
	if (identity->kind == AUTH_OPERATOR)
		(void)snprintf(
			request->actor, sizeof request->actor, "operator:%s", identity->record_id);
	else if (identity->kind == AUTH_SUPERUSER && request->key)
		(void)snprintf(request->actor, sizeof request->actor, "key:%s", key);
	else if (identity->kind != AUTH_ANONYMOUS)
		(void)snprintf(request->actor, sizeof request->actor, "%s%s%s%s:%s/%s",
			request->key ? "key:" : "", key, slash, words[identity->kind],
			identity->collection, identity->record_id);
	return bytes_of(request->actor);
}

/* The one audit record that closes a request. */
static enum audit_result write_down(
	struct api_request *request, unsigned status, uint64_t duration_ns, uint64_t n_bytes)
{
	uint8_t artifact[AUDIT_ARTIFACT_BYTES];
	bool has_artifact = request->artifact &&
			    bytes_unhex((struct bytes){ request->artifact, 2 * sizeof artifact },
				    artifact, sizeof artifact);
	const struct audit_record record = {
		.kind = AUDIT_REQUEST,
		.decision = request->decision,
		.status = (uint16_t)status,
		.generation = request->generation,
		.worker_pid = request->worker_pid,
		.duration_ns = duration_ns,
		.n_rows = request->n_rows,
		.n_bytes = n_bytes,
		.trace = http_trace_id(request->http),
		.artifact = has_artifact ? artifact : NULL,
		.tenant = request->tenant ? bytes_of(tenant_name(request->tenant))
					  : (struct bytes){ 0 },
		.plugin = request->plugin,
		.actor = request_actor(request),
		.action = request->match.route ? bytes_of(request->match.route->action)
					       : BYTES("unrouted"),
		.object = request->object.p ? request->object : request->path,
		.reason = request->reason,
		.address = request_address(request),
	};

	enum audit_result result = lane_record(request->lane, &record);
	request->is_recorded = result == AUDIT_OK;
	return result;
}

static void error_body(struct api_request *request, unsigned status, const char *code,
	const char *message, struct bytes data, struct bytes_buf *out)
{
	struct text_json_writer json;
	char trace[2 * ID_TRACE_BYTES];

	bytes_hex((struct bytes){ (const char *)http_trace_id(request->http), ID_TRACE_BYTES },
		trace);
	text_json_writer_init(&json, out);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("status"));
	text_json_write_int64(&json, status);
	text_json_write_key(&json, BYTES("message"));
	text_json_write_string(&json, bytes_of(message));
	text_json_write_key(&json, BYTES("data"));
	text_json_write_raw(&json, data.n ? data : BYTES("{}"));
	text_json_write_key(&json, BYTES("code"));
	text_json_write_string(&json, bytes_of(code));
	text_json_write_key(&json, BYTES("traceId"));
	text_json_write_string(&json, (struct bytes){ trace, sizeof trace });
	text_json_end_object(&json);
}

/* Without room for them the browser keeps the answer from its page, which is the safe side. */
static void add_headers(struct api_request *request, struct http_answer *answer,
	const struct http_header *more, size_t n_more)
{
	struct http_header *all =
		arena_alloc(request->arena, (answer->n_headers + n_more) * sizeof *all);

	if (!all)
		return;
	if (answer->n_headers)
		memcpy(all, answer->headers, answer->n_headers * sizeof *all);
	memcpy(all + answer->n_headers, more, n_more * sizeof *all);
	answer->headers = all;
	answer->n_headers += n_more;
}

void request_answer(struct api_request *request, const struct http_answer *answer)
{
	uint64_t duration_ns = clock_mono_ns() - http_started_ns(request->http);
	struct http_answer sent = *answer;
	struct http_header cors[CORS_HEADERS];
	DEFER(bytes_buf_fini) struct bytes_buf refusal;
	static const struct http_header refusal_headers[] = {
		{ { "Content-Type", 12 }, { "application/json", 16 } },
		{ { "Retry-After", 11 }, { "5", 1 } },
	};

	bytes_buf_init(&refusal, 4096);
	request->stop = NULL;
	request->is_answered = true;
	if (!request->is_recorded && write_down(request, sent.status, duration_ns,
					     http_answer_bytes(&sent)) != AUDIT_OK) {
		http_answer_drop(&sent);
		error_body(request, errors[API_AUDIT].status, errors[API_AUDIT].code,
			errors[API_AUDIT].message, (struct bytes){ 0 }, &refusal);
		sent = (struct http_answer){ .status = errors[API_AUDIT].status,
			.headers = refusal_headers,
			.n_headers = 2,
			.body = bytes_buf_view(&refusal),
			.body_kind = HTTP_BODY_COPY };
	}
	figures_count(request->lane, sent.status, duration_ns, request->decision == AUDIT_DENIED);
	upload_end(request->upload);
	if (request->is_using) {
		request->is_using = false;
		tenant_use_end(&request->use);
	}
	size_t n_cors = cors_headers(request, cors);
	if (n_cors > 0)
		add_headers(request, &sent, cors, n_cors);
	http_respond(request->http, &sent);
}

#define MORE_HEADERS 4

/* An error body, with a few headers more. */
static void refuse_more(struct api_request *request, unsigned status, const char *code,
	const char *message, struct bytes data, const struct http_header *more, size_t n_more)
{
	struct http_header headers[3 + MORE_HEADERS] = {
		{ BYTES("Content-Type"), BYTES("application/json") },
		{ BYTES("X-Content-Type-Options"), BYTES("nosniff") },
		{ BYTES("Cache-Control"), BYTES("no-store") },
	};
	size_t n_headers = 3;
	struct bytes_buf body;

	bytes_buf_init(&body, ERROR_MAX);
	error_body(request, status, code, message, data, &body);
	for (size_t i = 0; more && i < n_more; i++)
		headers[n_headers++] = more[i];
	if (status == 401 || status == 403)
		request->decision = AUDIT_DENIED;
	if (!request->reason.p)
		request->reason = bytes_of(message);
	const struct http_answer answer = { .status = status,
		.headers = headers,
		.n_headers = n_headers,
		.body = bytes_buf_view(&body),
		.body_kind = body.p ? HTTP_BODY_FREE : HTTP_BODY_COPY };
	request_answer(request, &answer);
}

static void refuse(struct api_request *request, unsigned status, const char *code,
	const char *message, struct bytes data, const struct http_header *more)
{
	refuse_more(request, status, code, message, data, more, more ? 1 : 0);
}

void request_refuse_limited(struct api_request *request, uint32_t limit, uint32_t remaining,
	uint32_t reset_s, uint32_t retry_s)
{
	struct arena *arena = request->arena;
	const struct http_header headers[MORE_HEADERS] = {
		{ BYTES("Retry-After"), arena_printf(arena, "%u", retry_s ? retry_s : 1) },
		{ BYTES("RateLimit-Limit"), arena_printf(arena, "%u", limit) },
		{ BYTES("RateLimit-Remaining"), arena_printf(arena, "%u", remaining) },
		{ BYTES("RateLimit-Reset"), arena_printf(arena, "%u", reset_s) },
	};

	refuse_more(request, errors[API_LIMITED].status, errors[API_LIMITED].code,
		errors[API_LIMITED].message, (struct bytes){ 0 }, headers, MORE_HEADERS);
}

void request_refuse_with(
	struct api_request *request, enum api_error error, const char *message, struct bytes data)
{
	refuse(request, errors[error].status, errors[error].code,
		message ? message : errors[error].message, data, NULL);
}

void request_refuse(struct api_request *request, enum api_error error)
{
	DEFER(bytes_buf_fini) struct bytes_buf methods;

	if (error != API_NO_METHOD) {
		request_refuse_with(request, error, NULL, (struct bytes){ 0 });
		return;
	}
	bytes_buf_init(&methods, METHODS_MAX);
	route_allow(
		request->is_platform ? request->api->server_routes : request->api->tenant_routes,
		request->path, &methods);
	request_refuse_method(request, bytes_buf_view(&methods));
}

void request_refuse_method(struct api_request *request, struct bytes allowed)
{
	struct http_header allow = { BYTES("Allow"), allowed };

	refuse(request, errors[API_NO_METHOD].status, errors[API_NO_METHOD].code,
		errors[API_NO_METHOD].message, (struct bytes){ 0 }, &allow);
}

void request_refuse_later(
	struct api_request *request, enum api_error error, const char *message, unsigned retry_s)
{
	struct http_header retry = { BYTES("Retry-After"),
		arena_printf(request->arena, "%u", retry_s ? retry_s : 1) };

	refuse(request, errors[error].status, errors[error].code,
		message ? message : errors[error].message, (struct bytes){ 0 }, &retry);
}

void request_fault(struct api_request *request, const struct err *err)
{
	log_write(LOG_ERROR, &request->api->log, http_trace_id(request->http), "request failed",
		LOG_FIELDS(log_text("path", http_path(request->http)), log_fault(err)));
	request->reason = arena_printf(request->arena, "%s: %s", err_name(err->code), err->message);
	request_refuse(request, API_FAULT);
}

void request_not_open(struct api_request *request, const struct err *err)
{
	if (err->code == ERR_LIMIT)
		request_refuse_later(request, API_BUSY, NULL, 1);
	else
		request_fault(request, err);
}

void request_status(
	struct api_request *request, unsigned status, const char *message, struct bytes data)
{
	for (unsigned i = 0; i < API_ERRORS; i++) {
		if (errors[i].status != status)
			continue;
		/* Two rows answer 400: what names fields is a validation. */
		bool has_fields = data.n > 2;
		if (status == 400 && has_fields != (i == API_VALIDATION))
			continue;
		if (status == 503 && i != API_BUSY)
			continue;
		request_refuse_with(
			request, (enum api_error)i, message && *message ? message : NULL, data);
		return;
	}
	refuse(request, status, arena_printf(request->arena, "TN1%03u", status).p,
		message && *message ? message : "The request failed.", data, NULL);
}

struct bytes request_field_error(
	struct api_request *request, const char *field, const char *code, const char *message)
{
	struct text_json_writer json;
	DEFER(bytes_buf_fini) struct bytes_buf body;

	bytes_buf_init(&body, 4096);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, bytes_of(field));
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("code"));
	text_json_write_string(&json, bytes_of(code));
	text_json_write_key(&json, BYTES("message"));
	text_json_write_string(&json, bytes_of(message));
	text_json_end_object(&json);
	text_json_end_object(&json);
	return (struct bytes){ arena_copy(request->arena, bytes_buf_view(&body)), body.n };
}

static const struct http_header json_headers[] = {
	{ { "Content-Type", 12 }, { "application/json", 16 } },
	{ { "X-Content-Type-Options", 22 }, { "nosniff", 7 } },
};

void request_json(struct api_request *request, unsigned status, struct bytes json)
{
	const struct http_answer answer = { .status = status,
		.headers = json_headers,
		.n_headers = 2,
		.body = json,
		.body_kind = HTTP_BODY_ARENA };

	request_answer(request, &answer);
}

void request_json_buf(struct api_request *request, unsigned status, struct bytes_buf *json)
{
	if (json->failed) {
		struct err err = { 0 };
		(void)ERR_SET(&err, ERR_LIMIT, "the answer is larger than %zu bytes", json->max);
		bytes_buf_fini(json);
		request_fault(request, &err);
		return;
	}
	const struct http_answer answer = { .status = status,
		.headers = json_headers,
		.n_headers = 2,
		.body = bytes_buf_view(json),
		.body_kind = HTTP_BODY_FREE };
	bytes_buf_init(json, json->max); /* handed over */
	request_answer(request, &answer);
}

void request_no_content(struct api_request *request)
{
	const struct http_answer answer = { .status = 204 };

	request_answer(request, &answer);
}

bool request_body_json(struct api_request *request, struct bytes *ret)
{
	return request_body_json_within(request, &TEXT_JSON_LIMITS, ret);
}

bool request_body_json_within(
	struct api_request *request, const struct text_json_limits *limits, struct bytes *ret)
{
	struct bytes type = http_header(request->http, BYTES("Content-Type"));
	struct bytes body = http_body(request->http);
	size_t offset = 0;

	/* Nothing said means JSON, as PocketBase takes it. */
	if (type.n > 0 && !bytes_starts_with(type, BYTES("application/json"))) {
		request_refuse(request, API_BAD_TYPE);
		return false;
	}
	enum text_json_verdict verdict = text_json_check(body, limits, &offset);
	if (verdict == TEXT_JSON_NOMEM) {
		request_refuse_later(request, API_BUSY, NULL, 1);
		return false;
	}
	if (verdict != TEXT_JSON_VALID) {
		struct bytes message = arena_printf(request->arena,
			"The body is not JSON that can be taken: %s, at byte %zu.",
			text_json_reason(verdict), offset);
		request_refuse_with(request, API_BAD_REQUEST, message.p, (struct bytes){ 0 });
		return false;
	}
	*ret = body;
	return true;
}

struct bytes request_member(struct api_request *request, struct bytes json, const char *pointer)
{
	struct bytes value, text = { 0 };

	if (text_json_find(json, bytes_of(pointer), &value) != TEXT_JSON_FOUND || value.n < 2 ||
		value.p[0] != '"')
		return text;
	char *out = arena_alloc(request->arena, value.n);
	if (out && text_json_unescape((struct bytes){ value.p + 1, value.n - 2 }, out, &text.n))
		text.p = out;
	else
		text.n = 0;
	return text;
}

struct bytes request_query(struct api_request *request, const char *name)
{
	struct text_url_query query;
	struct bytes key, value;

	text_url_query_init(&query, http_query(request->http), QUERY_MAX);
	while (text_url_query_next(&query, request->arena, &key, &value) == TEXT_URL_OK)
		if (bytes_eq_string(key, name))
			return value;
	return (struct bytes){ 0 };
}

struct http_stream *request_stream(struct api_request *request, const struct http_header *headers,
	size_t n_headers, size_t buffer_limit_bytes, void (*on_closed)(void *context),
	void *context)
{
	request->stop = NULL;
	if (write_down(request, 200, clock_mono_ns() - http_started_ns(request->http), 0) !=
		AUDIT_OK) {
		request_refuse_later(request, API_AUDIT, NULL, 5);
		return NULL;
	}
	struct http_header cors[CORS_HEADERS];
	struct http_answer shown = { .headers = headers, .n_headers = n_headers };
	size_t n_cors = cors_headers(request, cors);
	if (n_cors > 0)
		add_headers(request, &shown, cors, n_cors);
	struct http_stream *stream = http_stream_open(request->http, 200, shown.headers,
		shown.n_headers, buffer_limit_bytes, on_closed, context);
	if (!stream) {
		request->is_recorded = false; /* what happens now is another thing */
		request_refuse_later(request, API_BUSY, NULL, 5);
		return NULL;
	}
	request->is_answered = true;
	figures_count(request->lane, 200, clock_mono_ns() - http_started_ns(request->http), false);
	if (request->is_using) {
		request->is_using = false;
		tenant_use_end(&request->use);
	}
	return stream;
}
