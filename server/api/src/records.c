/* Records and collections over HTTP: a request becomes a struct record_call, and its outcome the
 * answer. */
#include "records.h"

#include "idempotency.h"
#include "upload.h"
#include "writes.h"

#include "text_url.h"

#include <string.h>

#define PAIRS_MAX   64
#define HEADERS_MAX 100 /* as many as the listener lets in */

struct bytes records_rule_name(struct arena *arena, struct bytes name)
{
	char *out = arena_copy(arena, name);

	if (!out)
		return (struct bytes){ 0 };
	for (size_t i = 0; i < name.n; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
		else if (out[i] == '-')
			out[i] = '_';
	}
	return (struct bytes){ out, name.n };
}

enum text_url_result records_parse_query(
	struct bytes text, struct arena *arena, const struct record_pair **ret, size_t *ret_n)
{
	struct text_url_query query;
	enum text_url_result result;
	struct record_pair pair;

	*ret_n = 0;
	struct record_pair *pairs = arena_alloc(arena, (text.n ? PAIRS_MAX : 0) * sizeof *pairs);
	if (!pairs)
		return TEXT_URL_LIMIT;
	text_url_query_init(&query, text, PAIRS_MAX);
	while ((result = text_url_query_next(&query, arena, &pair.name, &pair.value)) ==
		TEXT_URL_OK)
		pairs[(*ret_n)++] = pair;
	*ret = pairs;
	return result;
}

/* Query and headers for rules and options. False having answered. */
static bool take_pairs(struct api_request *request, struct record_call *call)
{
	size_t n_there = 0;
	struct http_header header;

	while (n_there < HEADERS_MAX && http_header_at(request->http, n_there, &header))
		n_there++;
	struct record_pair *headers = arena_alloc(request->arena, n_there * sizeof *headers);
	if (!headers) {
		request_refuse(request, API_TOO_LARGE);
		return false;
	}
	enum text_url_result result = records_parse_query(
		http_query(request->http), request->arena, &call->query, &call->n_query);
	if (result != TEXT_URL_END) {
		struct bytes message = arena_printf(request->arena,
			"The query string cannot be taken: %s.", text_url_reason(result));
		request_refuse_with(request, API_BAD_REQUEST, message.p, (struct bytes){ 0 });
		return false;
	}

	size_t n_headers = 0;
	for (size_t i = 0; i < n_there && http_header_at(request->http, i, &header); i++) {
		headers[n_headers].name = records_rule_name(request->arena, header.name);
		headers[n_headers++].value = header.value;
	}
	call->headers = headers;
	call->n_headers = n_headers;
	return true;
}

void records_refuse(struct api_request *request, struct record_call *call)
{
	unsigned status = (unsigned)call->status;

	if (status == 500 && call->err.code == ERR_NONE)
		(void)ERR_SET(&call->err, ERR_STATE, "a record call failed without a reason");
	if (status >= 500 && call->err.code == ERR_NONE)
		log_write(LOG_WARN, &request->api->log, http_trace_id(request->http),
			"request refused on the server's side",
			LOG_FIELDS(log_text("path", http_path(request->http)),
				log_uint("status", status),
				log_string("message", call->message ? call->message : "")));
	if (status >= 500 && call->err.code != ERR_NONE) {
		struct err err = call->err;
		record_call_fini(call);
		request_fault(request, &err);
		return;
	}
	struct bytes data = { arena_copy(request->arena, bytes_buf_view(&call->answer)),
		call->answer.n };
	const char *message = call->message;
	if (call->refused_by == RECORD_BY_RULE) {
		request->decision = AUDIT_DENIED;
		request->reason = BYTES("rule");
	} else if (call->refused_by == RECORD_BY_HOOK) {
		request->reason = BYTES("refused by a hook");
	}
	record_call_fini(call);
	if (status == 503)
		request_refuse_later(request, API_BUSY, message && *message ? message : NULL, 1);
	else
		request_status(request, status, message, data.p ? data : (struct bytes){ 0 });
}

static void on_done(struct record_call *call)
{
	struct api_request *request = call->context;
	unsigned status = (unsigned)call->status;

	request->stop = NULL;
	if (status >= 400) {
		records_refuse(request, call);
		return;
	}

	struct http_header headers[5] = {
		{ BYTES("Content-Type"), BYTES("application/json") },
		{ BYTES("X-Content-Type-Options"), BYTES("nosniff") },
	};
	struct http_answer answer = { .status = status, .headers = headers, .n_headers = 2 };
	if (status == 204 || status == 304)
		answer.n_headers = 0;
	if (call->etag[0]) {
		struct bytes etag = bytes_of(call->etag); /* the call is in the request's arena */
		headers[answer.n_headers++] = (struct http_header){ BYTES("ETag"), etag };
	}
	if (call->ignored.n > 0) {
		struct bytes ignored = { arena_copy(request->arena, bytes_buf_view(&call->ignored)),
			call->ignored.n };
		headers[answer.n_headers++] =
			(struct http_header){ BYTES("X-Tenon-Ignored"), ignored };
	}
	if (call->lost.n > 0) {
		struct bytes lost = { arena_copy(request->arena, bytes_buf_view(&call->lost)),
			call->lost.n };
		headers[answer.n_headers++] =
			(struct http_header){ BYTES("X-Tenon-Lost"), lost.p ? lost : BYTES("?") };
	}
	answer.body = bytes_buf_view(&call->answer);
	answer.body_kind = call->answer.p ? HTTP_BODY_FREE : HTTP_BODY_COPY;
	call->answer = (struct bytes_buf){ 0 }; /* handed over */
	record_call_fini(call);
	request_answer(request, &answer);
}

static void stop(struct api_request *request)
{
	record_cancel(request->context);
}

void records_start(struct api_request *request, struct record_call *call,
	void (*start)(struct record_call *call))
{
	call->done = on_done;
	call->context = request;
	request->context = call;
	request->stop = stop;
	start(call);
}

/* "collection/id" for the audit record. */
static struct bytes name_record(struct arena *arena, struct bytes collection, struct bytes id)
{
	char *text = arena_alloc(arena, collection.n + 1 + id.n);

	if (!text)
		return collection;
	memcpy(text, collection.p, collection.n);
	text[collection.n] = '/';
	memcpy(text + collection.n + 1, id.p, id.n);
	return (struct bytes){ text, collection.n + 1 + id.n };
}

void records_collection_name(struct api_request *request, char ret[static RECORD_NAME_BYTES])
{
	struct bytes name = { 0 };

	ret[0] = '\0';
	if (text_url_segment(request_param(request, 0), request->arena, &name) == TEXT_URL_OK)
		record_collection_name(request->book, name, ret);
}

bool records_fill_call(struct api_request *request, struct record_call *call)
{
	const struct auth_identity *identity = &request->identity;
	struct bytes id = { 0 };

	call->book = request->book;
	call->loop = request_loop(request);
	call->arena = request->arena;
	call->viewer.is_superuser = identity->kind == AUTH_SUPERUSER;
	call->viewer.collection_id = bytes_of(identity->collection_id);
	call->viewer.collection_name = bytes_of(identity->collection);
	call->viewer.record_id = bytes_of(identity->record_id);
	call->method = bytes_of(http_method_name(http_method(request->http)));
	call->is_strict = bytes_eq(http_header(request->http, BYTES("Tenon-Strict")), BYTES("1"));
	call->if_match = http_header(request->http, BYTES("If-Match"));
	call->if_none_match = http_header(request->http, BYTES("If-None-Match"));
	memcpy(call->trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	call->done = on_done;
	call->context = request;
	/* What a path segment must not become after decoding, no collection or record is called. */
	struct bytes names[2] = { request_param(request, 0), request_param(request, 1) };
	if ((names[0].n &&
		    text_url_segment(names[0], request->arena, &call->collection) != TEXT_URL_OK) ||
		(names[1].n && text_url_segment(names[1], request->arena, &id) != TEXT_URL_OK)) {
		request_refuse(request, API_NOT_FOUND);
		return false;
	}
	call->id = id;
	if (call->collection.n)
		request->object =
			id.n ? name_record(request->arena, call->collection, id) : call->collection;
	return take_pairs(request, call);
}

struct record_call *records_new_call(struct api_request *request)
{
	struct record_call *call = arena_alloc(request->arena, sizeof *call);

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return NULL;
	}
	return records_fill_call(request, call) ? call : NULL;
}

/* JSON, or a form that has been read. False having answered. */
static bool take_body(struct api_request *request, struct record_call *call)
{
	const struct bytes none = { NULL, 0 };

	if (!request->upload)
		return request_body_json(request, &call->body);
	return upload_json(request, none, none, &call->body) &&
	       upload_files(request, none, &call->uploads, &call->n_uploads);
}

void records_run(struct api_request *request, void (*start)(struct record_call *), bool has_body,
	const struct record_once *once)
{
	struct record_call *call = records_new_call(request);

	if (!call || (has_body && !take_body(request, call)))
		return;
	call->once = once;
	records_start(request, call, start);
}

static void run(struct api_request *request, void (*start)(struct record_call *), bool has_body)
{
	records_run(request, start, has_body, NULL);
}

void records_list(void *request)
{
	run(request, record_list, false);
}

void records_get(void *request)
{
	run(request, record_get, false);
}

static void read_form(struct api_request *request, void (*then)(struct api_request *request))
{
	struct bytes collection;

	if (text_url_segment(request_param(request, 0), request->arena, &collection) == TEXT_URL_OK)
		upload_read(request, collection, then);
	else
		request_refuse(request, API_NOT_FOUND);
}

static void create(struct api_request *request, const struct record_once *once, void *context)
{
	(void)context;
	if (!request->upload && writes_first_byte(request) == '[')
		bulk_run(request, RECORD_CREATE, once);
	else
		records_run(request, record_create, true, once);
}

/* A form is read before it is asked whether its key is known: its files are part of that. */
static void on_create_form(struct api_request *request)
{
	idempotency_check(request, create, NULL);
}

void records_create(void *context)
{
	struct api_request *request = context;

	if (request->upload)
		read_form(request, on_create_form);
	else
		idempotency_check(request, create, NULL);
}

static void update(struct api_request *request, const struct record_once *once, void *context)
{
	(void)context;
	records_run(request, record_update, true, once);
}

static void on_update_form(struct api_request *request)
{
	idempotency_check(request, update, NULL);
}

void records_update(void *context)
{
	struct api_request *request = context;

	if (request->upload)
		read_form(request, on_update_form);
	else
		idempotency_check(request, update, NULL);
}

static void remove_one(struct api_request *request, const struct record_once *once, void *context)
{
	(void)context;
	records_run(request, record_delete, false, once);
}

void records_delete(void *request)
{
	idempotency_check(request, remove_one, NULL);
}
