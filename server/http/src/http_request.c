#include "http_lane.h"

#include "trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MOST_BYTES (1024 * 1024)
#define POOL_MOST        256        /* requests kept for reuse, per lane */
#define BODY_KEPT_BYTES  (4 * 1024) /* a pooled request keeps a body buffer up to this */

struct http_request *request_new(struct connection *connection)
{
	struct lane *lane = connection->lane;
	struct http_request *request = lane->free_requests;

	if (request) {
		lane->free_requests = request->next_free;
		lane->n_free_requests--;
		request->next_free = NULL;
	} else {
		request = calloc(1, sizeof *request);
		if (!request)
			return NULL;
		request->headers = calloc(HTTP_GUARD_HEADERS, sizeof *request->headers);
		if (!request->headers || arena_new(ARENA_MOST_BYTES, &request->arena, NULL) != 0) {
			free(request->headers);
			free(request);
			return NULL;
		}
		bytes_buf_init(&request->body, 0);
	}
	request->connection = connection;
	request->lane = lane;
	return request;
}

void request_forget(struct http_request *request)
{
	arena_free(request->arena);
	bytes_buf_fini(&request->body);
	free(request->headers);
	request->arena = NULL;
	request->headers = NULL;
	request->n_headers = 0;
	request->context = NULL;
}

void request_free(struct http_request *request)
{
	struct lane *lane = request->lane;

	if (request->response)
		MHD_destroy_response(request->response);
	if (request->stream)
		stream_free(request->stream);
	if (!request->connection || lane->is_closing || lane->n_free_requests >= POOL_MOST ||
		!request->headers) {
		request_forget(request);
		free(request);
		return;
	}
	struct http_header *headers = request->headers;
	struct arena *arena = request->arena;
	struct bytes_buf body = request->body;

	arena_reset(arena);
	if (body.cap > BODY_KEPT_BYTES)
		bytes_buf_fini(&body);
	else
		bytes_buf_clear(&body);
	memset(request, 0, sizeof *request);
	request->headers = headers; /* n_headers empties them */
	request->arena = arena;
	request->body = body;
	request->next_free = lane->free_requests;
	lane->free_requests = request;
	lane->n_free_requests++;
}

void request_set_trace_id(struct http_request *request)
{
	struct trace_context parent;

	if (trace_parse(http_header(request, BYTES("traceparent")), &parent))
		memcpy(request->trace_id, parent.trace_id, ID_TRACE_BYTES);
	else
		id_random(loop_ids(request->lane->loop), request->trace_id, ID_TRACE_BYTES);
}

static void detach(struct arena *arena, struct bytes *view)
{
	if (view->n > 0 && !(view->p = arena_copy(arena, *view)))
		*view = (struct bytes){ NULL, 0 };
}

void request_detach(struct http_request *request)
{
	detach(request->arena, &request->path);
	detach(request->arena, &request->query);
	request->target = (struct bytes){ NULL, 0 };
	for (size_t i = 0; i < request->n_headers; i++) {
		detach(request->arena, &request->headers[i].name);
		detach(request->arena, &request->headers[i].value);
	}
}

void request_abort(struct http_request *request)
{
	void (*on_abort)(struct http_request *, void *) = request->on_abort;

	if (request->is_client_gone)
		return;
	request->is_client_gone = true;
	count(&request->lane->counts.gone);
	request->on_abort = NULL;
	if (on_abort)
		on_abort(request, request->abort_context);
}

bool request_orphan(struct http_request *request)
{
	struct connection *connection = request->connection;
	const struct http_handler *handler = &request->lane->http->handler;

	request_abort(request);
	if (request->is_answered)
		return false;
	request_detach(request);
	handler->on_done(handler->context, request, 0, 0);
	atomic_fetch_sub_explicit(&request->lane->counts.in_flight, 1, memory_order_relaxed);
	atomic_fetch_add(&request->lane->http->n_outlive, 1);
	link_remove(&connection->link);
	connection->phase = PHASE_LEAVING;
	connection->request = NULL;
	request->connection = NULL;
	return true;
}

/* ---- what a handler may ask ---- */
struct loop *http_loop(const struct http_request *request)
{
	return request->lane->loop;
}

struct arena *http_arena(struct http_request *request)
{
	return request->arena;
}

enum http_method http_method(const struct http_request *request)
{
	return request->head.method;
}

const char *http_method_name(enum http_method method)
{
	static const char *const names[HTTP_METHODS] = { "GET", "HEAD", "POST", "PUT", "PATCH",
		"DELETE", "OPTIONS" };

	assert(method < HTTP_METHODS);
	return names[method];
}

struct bytes http_path(const struct http_request *request)
{
	return request->path;
}

struct bytes http_query(const struct http_request *request)
{
	return request->query;
}

struct bytes http_header(const struct http_request *request, struct bytes name)
{
	for (size_t i = 0; i < request->n_headers; i++)
		if (request->headers[i].name.n == name.n &&
			bytes_eq_nocase(request->headers[i].name, name))
			return request->headers[i].value;
	return (struct bytes){ NULL, 0 };
}

bool http_header_at(const struct http_request *request, size_t index, struct http_header *ret)
{
	if (index >= request->n_headers)
		return false;
	*ret = request->headers[index];
	return true;
}

/* The value of a cookie within one Cookie header. */
static bool find_cookie(struct bytes header, struct bytes name, struct bytes *ret)
{
	size_t at = 0;

	while (at < header.n) {
		while (at < header.n && (header.p[at] == ' ' || header.p[at] == ';'))
			at++;
		const char *end = memchr(header.p + at, ';', header.n - at);
		struct bytes pair = { header.p + at,
			(end ? (size_t)(end - header.p) : header.n) - at };

		at += pair.n;
		if (pair.n <= name.n || pair.p[name.n] != '=' ||
			memcmp(pair.p, name.p, name.n) != 0)
			continue;
		struct bytes value = { pair.p + name.n + 1, pair.n - name.n - 1 };

		while (value.n > 0 && value.p[value.n - 1] == ' ')
			value.n--;
		if (value.n > 1 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = (struct bytes){ value.p + 1, value.n - 2 };
		*ret = value;
		return true;
	}
	return false;
}

struct bytes http_cookie(const struct http_request *request, struct bytes name)
{
	struct bytes value = { NULL, 0 };

	for (size_t i = 0; i < request->n_headers; i++)
		if (bytes_eq_nocase(request->headers[i].name, BYTES("Cookie")) &&
			find_cookie(request->headers[i].value, name, &value))
			return value;
	return (struct bytes){ NULL, 0 };
}

uint64_t http_length(const struct http_request *request)
{
	return request->head.length_bytes;
}

struct bytes http_body(const struct http_request *request)
{
	return bytes_buf_view(&request->body);
}

const uint8_t *http_trace_id(const struct http_request *request)
{
	return request->trace_id;
}

struct bytes http_peer(const struct http_request *request)
{
	if (!request->connection)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ request->connection->peer, request->connection->peer_n };
}

uint64_t http_started_ns(const struct http_request *request)
{
	return request->started_ns;
}

void http_set_context(struct http_request *request, void *context)
{
	request->context = context;
}

void *http_context(const struct http_request *request)
{
	return request->context;
}

void http_on_abort(struct http_request *request, void (*on_abort)(struct http_request *, void *),
	void *context)
{
	request->on_abort = on_abort;
	request->abort_context = context;
}
