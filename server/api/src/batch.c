/*
 * POST /api/batch: writes over collections in one transaction, as PocketBase's clients send them.
 *
 *   {"requests":[{"method","url","headers","body"}, ...]}  ─▶  [{"status","body"}, ...]
 *
 * Reading it and running it are two steps, so that what comes beside the JSON (files, by the
 * number of their request) can be hung on the items in between.
 */
#include "batch.h"

#include "idempotency.h"
#include "records.h"
#include "upload.h"

#include "text_json_reader.h"
#include "text_url.h"

#include "clock.h"

#include <string.h>

#define HEADERS_MAX 20 /* of one request of a batch */

/* What one element of "requests" says. */
struct part {
	struct bytes method, url, body, headers;
};

/* ---- reading ---- */

static bool take_text(struct bytes json, struct arena *arena, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;

	text_json_reader_init(&reader, json);
	return text_json_next(&reader, &token) == TEXT_JSON_STRING &&
	       text_json_text(&token, arena, ret);
}

static bool take_part(struct bytes json, struct arena *arena, struct part *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;

	*ret = (struct part){ 0 };
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct bytes value = text_json_skip(&reader, &token);
		if (text_json_is(&token, BYTES("method"))) {
			if (!take_text(value, arena, &ret->method))
				return false;
		} else if (text_json_is(&token, BYTES("url"))) {
			if (!take_text(value, arena, &ret->url))
				return false;
		} else if (text_json_is(&token, BYTES("headers"))) {
			ret->headers = value;
		} else if (text_json_is(&token, BYTES("body"))) {
			ret->body = value;
		}
	}
	return token.type == TEXT_JSON_OBJECT_END;
}

/* "/api/collections/{c}/records[/{id}][?query]" */
static bool take_url(struct bytes url, struct arena *arena, struct record_call *call, bool *has_id)
{
	static const struct bytes prefix = { "/api/collections/", 17 };
	const char *question = url.n ? memchr(url.p, '?', url.n) : NULL;
	struct bytes path = { url.p, question ? (size_t)(question - url.p) : url.n };
	struct bytes query =
		question ? (struct bytes){ question + 1, url.n - path.n - 1 } : (struct bytes){ 0 };

	if (!bytes_starts_with(path, prefix))
		return false;
	path = (struct bytes){ path.p + prefix.n, path.n - prefix.n };
	const char *slash = path.p && path.n ? memchr(path.p, '/', path.n) : NULL;
	if (!slash)
		return false;
	struct bytes collection = { path.p, (size_t)(slash - path.p) };
	struct bytes rest = { slash, path.n - collection.n };
	if (!bytes_starts_with(rest, BYTES("/records")))
		return false;
	rest = (struct bytes){ rest.p + 8, rest.n - 8 };
	*has_id = rest.n > 0;
	call->id = (struct bytes){ 0 };
	if (rest.n > 0 &&
		(rest.p[0] != '/' || text_url_segment((struct bytes){ rest.p + 1, rest.n - 1 },
					     arena, &call->id) != TEXT_URL_OK))
		return false;
	return text_url_segment(collection, arena, &call->collection) == TEXT_URL_OK &&
	       records_parse_query(query, arena, &call->query, &call->n_query) == TEXT_URL_END;
}

/* Those of the batch's own request, and over them those of the element. Nobody signs in here. */
static bool take_headers(struct bytes json, const struct record_call *outer, struct arena *arena,
	struct record_call *call)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes name, value;
	size_t n = outer->n_headers;

	text_json_reader_init(&reader, json);
	enum text_json_type type = json.n ? text_json_next(&reader, &token) : TEXT_JSON_NULL;
	if (type == TEXT_JSON_NULL)
		return true;
	struct record_pair *pairs = arena_alloc(arena, (n + HEADERS_MAX) * sizeof *pairs);
	if (!pairs || type != TEXT_JSON_OBJECT)
		return false;
	if (n > 0)
		memcpy(pairs, outer->headers, n * sizeof *pairs);
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct bytes json_value = text_json_skip(&reader, &token);
		if (n == outer->n_headers + HEADERS_MAX || !text_json_text(&token, arena, &name) ||
			!take_text(json_value, arena, &value))
			return false;
		pairs[n].name = records_rule_name(arena, name);
		if (!pairs[n].name.p)
			return false;
		if (bytes_eq_string(pairs[n].name, "authorization"))
			continue;
		if (bytes_eq_string(pairs[n].name, "tenon_strict"))
			call->is_strict = bytes_eq_string(value, "1");
		if (bytes_eq_string(pairs[n].name, "if_match"))
			call->if_match = value;
		pairs[n++].value = value;
	}
	call->headers = pairs;
	call->n_headers = n;
	return token.type == TEXT_JSON_OBJECT_END;
}

/* The id that an upsert is about. */
static struct bytes id_of(struct bytes body, struct arena *arena)
{
	struct bytes json, id = { 0 };

	if (text_json_find(body, BYTES("/id"), &json) != TEXT_JSON_FOUND ||
		!take_text(json, arena, &id))
		return (struct bytes){ 0 };
	return id;
}

bool batch_take_item(struct bytes json, const struct record_call *outer, struct arena *arena,
	struct record_item *item)
{
	static const struct {
		struct bytes method;
		enum record_item_kind kind;
		bool has_id;
	} rows[] = {
		{ { "POST", 4 }, RECORD_ITEM_CREATE, false },
		{ { "PUT", 3 }, RECORD_ITEM_UPSERT, false },
		{ { "PATCH", 5 }, RECORD_ITEM_UPDATE, true },
		{ { "DELETE", 6 }, RECORD_ITEM_DELETE, true },
	};
	struct record_call *call = &item->call;
	struct part part;
	bool has_id;

	if (!take_part(json, arena, &part) || !take_url(part.url, arena, call, &has_id) ||
		!take_headers(part.headers, outer, arena, call))
		return false;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (!bytes_eq_nocase(part.method, rows[i].method) || has_id != rows[i].has_id)
			continue;
		bool is_empty = !part.body.n || bytes_eq_string(part.body, "null");
		item->kind = rows[i].kind;
		call->method = rows[i].method;
		if (item->kind != RECORD_ITEM_DELETE)
			call->body = is_empty ? BYTES("{}") : part.body;
		if (item->kind == RECORD_ITEM_UPSERT)
			call->id = id_of(call->body, arena);
		return true;
	}
	return false;
}

/* How many elements "requests" has; the array in *ret. False having answered. */
static bool count_requests(struct api_request *request, struct bytes json, size_t max,
	struct bytes *ret, size_t *ret_n)
{
	struct text_json_reader reader;
	size_t n = 0;

	if (text_json_find(json, BYTES(""), ret) != TEXT_JSON_FOUND || ret->p[0] != '{') {
		request_refuse_with(request, API_BAD_REQUEST,
			"Failed to read the submitted batch data.", (struct bytes){ 0 });
		return false;
	}
	if (text_json_find(json, BYTES("/requests"), ret) != TEXT_JSON_FOUND)
		*ret = BYTES("[]");
	if (!writes_open_array(&reader, *ret)) {
		request_refuse_with(request, API_BAD_REQUEST,
			"Failed to read the submitted batch data.", (struct bytes){ 0 });
		return false;
	}
	while (writes_next_element(&reader).n > 0)
		n++;
	*ret_n = n;
	if (n > 0 && n <= max)
		return true;
	struct bytes message =
		arena_printf(request->arena, "The length must be no more than %zu.", max);
	request_refuse_with(request, API_VALIDATION, "Invalid batch request data.",
		request_field_error(request, "requests",
			n ? "validation_length_too_long" : "validation_required",
			n && message.p ? message.p : "Cannot be blank."));
	return false;
}

/* ---- the answer ---- */

static void compose(struct record_group *group, struct bytes_buf *out)
{
	for (size_t i = 0; i < group->n_items; i++) {
		const struct record_item *item = &group->items[i];
		bytes_buf_appendf(out, "%s{\"status\":%d,\"body\":", i ? "," : "[",
			item->action == RECORD_DELETE ? 204 : 200);
		writes_append_body(item, out);
		bytes_buf_append_byte(out, '}');
	}
	bytes_buf_append_byte(out, ']');
}

static void answer(struct writes *writes)
{
	if (writes->group->result == RECORD_GROUP_DONE)
		writes_answer(writes);
	else
		writes_refuse(writes, "Batch transaction failed.", "requests");
}

static const struct writes_kind batch = { compose, answer };

/* "posts,posts/abc" for the audit record. */
static struct bytes name_targets(struct api_request *request, const struct record_group *group)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;

	bytes_buf_init(&out, AUDIT_OBJECT_MAX);
	for (size_t i = 0; i < group->n_items && !out.failed; i++) {
		const struct record_call *call = &group->items[i].call;
		bytes_buf_appendf(&out, "%s%.*s%s%.*s", i ? "," : "", (int)call->collection.n,
			call->collection.p, call->id.n ? "/" : "", (int)call->id.n,
			call->id.n ? call->id.p : "");
	}
	return (struct bytes){ arena_copy(request->arena, bytes_buf_view(&out)), out.n };
}

/* What the tenant's settings say. False having answered. */
static bool is_allowed(struct api_request *request, const struct settings *settings, size_t n_bytes)
{
	uint64_t max = (uint64_t)settings->batch.max_body_bytes;

	if (!settings->batch.enabled) {
		request_refuse_with(request, API_FORBIDDEN, "Batch requests are not allowed.",
			(struct bytes){ 0 });
		return false;
	}
	if (max > 0 && n_bytes > max) {
		request_refuse(request, API_TOO_LARGE);
		return false;
	}
	return true;
}

struct writes *batch_read(struct api_request *request, struct bytes json)
{
	struct text_json_reader reader;
	struct record_call outer;
	struct bytes list;
	size_t n;

	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	request->object = BYTES("batch");
	if (!is_allowed(request, settings, http_body(request->http).n) ||
		!count_requests(request, json, (size_t)settings->batch.max_requests, &list, &n))
		return NULL;
	struct writes *writes = writes_begin(request, n, &batch, &outer);
	if (!writes)
		return NULL;
	struct arena *arena = record_group_arena(writes->group);
	writes->group->deadline_ns =
		clock_mono_ns() + (uint64_t)settings->batch.timeout_s * CLOCK_NS_PER_S;
	writes_open_array(&reader, list);
	for (size_t i = 0; i < n; i++) {
		struct bytes element = writes_next_element(&reader);
		if (batch_take_item(element, &outer, arena, &writes->group->items[i]))
			continue;
		writes_end(writes);
		writes_refuse_item(request, "Batch transaction failed.", "requests", i, NULL);
		return NULL;
	}
	request->object = name_targets(request, writes->group);
	return writes;
}

/* The values and files of a form whose keys begin with "requests.0." belong to the first request of
 * its @jsonPayload, and so on. False having answered. */
static bool hang_files(struct api_request *request, struct writes *writes)
{
	for (size_t i = 0; i < writes->group->n_items; i++) {
		struct record_item *item = &writes->group->items[i];
		struct bytes prefix = arena_printf(request->arena, "requests.%zu.", i);

		if (item->kind == RECORD_ITEM_DELETE || !upload_has(request, prefix))
			continue;
		if (!upload_json(request, prefix, item->call.body, &item->call.body) ||
			!upload_files(request, prefix, &item->call.uploads, &item->call.n_uploads))
			return false;
	}
	return true;
}

static void post_form(struct api_request *request, const struct record_once *once, void *context)
{
	struct text_json_limits limits = WRITES_JSON_LIMITS;
	struct bytes json;

	(void)context;
	if (!upload_payload(request, &limits, &json))
		return;
	struct writes *writes = batch_read(request, json);
	if (!writes)
		return;
	if (hang_files(request, writes))
		writes_run(writes, once);
	else
		writes_end(writes);
}

static void on_form(struct api_request *request)
{
	idempotency_check(request, post_form, NULL);
}

static void post(struct api_request *request, const struct record_once *once, void *context)
{
	struct text_json_limits limits = WRITES_JSON_LIMITS;
	struct bytes json;

	(void)context;
	if (!request_body_json_within(request, &limits, &json))
		return;
	struct writes *writes = batch_read(request, json);
	if (writes)
		writes_run(writes, once);
}

void batch_post(void *context)
{
	struct api_request *request = context;

	if (request->upload)
		upload_read(request, (struct bytes){ 0 }, on_form);
	else
		idempotency_check(request, post, NULL);
}
