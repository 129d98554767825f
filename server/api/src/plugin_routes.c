/*
 * /api/x/{plugin}/...: a request goes into a plugin and its answer comes back, washed.
 *
 * A plugin is foreign code that shares an origin with the console. What it answers may not run as
 * script there, nor set cookies, nor open the origin to others: such headers are dropped and
 * counted, and a sandbox policy is added.
 */
#include "internal.h"

#include <string.h>

#define ANSWER_HEADERS 68 /* the plugin's 64 and ours */
/* A body up to this is copied to the request's own memory, which costs no allocation. */
#define BODY_SMALL 4096

#define NAME(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* Headers of a plugin's answer that never leave, in lower case. Those that frame the message are
 * the listener's, those that loosen the browser's walls are nobody's. */
static const struct bytes dropped[] = { NAME("set-cookie"), NAME("set-cookie2"),
	NAME("service-worker-allowed"), NAME("clear-site-data"), NAME("content-security-policy"),
	NAME("content-security-policy-report-only"), NAME("access-control-allow-origin"),
	NAME("access-control-allow-credentials"), NAME("access-control-allow-methods"),
	NAME("access-control-allow-headers"), NAME("access-control-expose-headers"),
	NAME("access-control-max-age"), NAME("cross-origin-resource-policy"),
	NAME("cross-origin-opener-policy"), NAME("cross-origin-embedder-policy"),
	NAME("x-content-type-options"), NAME("strict-transport-security"), NAME("public-key-pins"),
	NAME("alt-svc"), NAME("refresh"), NAME("connection"), NAME("keep-alive"),
	NAME("transfer-encoding"), NAME("content-length"), NAME("te"), NAME("trailer"),
	NAME("upgrade"), NAME("proxy-authenticate"), NAME("www-authenticate"), NAME("date"),
	NAME("server"), NAME("x-request-id"), NAME("sourcemap"), NAME("report-to"),
	NAME("reporting-endpoints"), NAME("nel"), NAME("link"), NAME("origin-agent-cluster"),
	NAME("permissions-policy") };

/* Headers of a request that a plugin never sees: what would let it act as its caller. */
static const struct bytes withheld[] = { NAME("authorization"), NAME("cookie"),
	NAME("proxy-authorization"), NAME("x-tenon-csrf") };

static bool is_in(const struct bytes *list, size_t n, struct bytes name)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].n == name.n && bytes_eq_nocase(name, list[i]))
			return true;
	return false;
}

static void answer_washed(struct api_request *request, const struct pool_call *call)
{
	static const struct http_header ours[] = {
		{ NAME("Content-Security-Policy"), NAME("sandbox; default-src 'none'") },
		{ NAME("X-Content-Type-Options"), NAME("nosniff") },
		{ NAME("Cross-Origin-Resource-Policy"), NAME("same-origin") },
	};
	struct http_header headers[ANSWER_HEADERS];
	size_t n = sizeof ours / sizeof ours[0];
	unsigned status = call->status;

	memcpy(headers, ours, sizeof ours);
	for (size_t i = 0; i < call->n_answer_headers && n < ANSWER_HEADERS; i++) {
		const struct pool_header *header = &call->answer_headers[i];
		if (!is_in(dropped, sizeof dropped / sizeof dropped[0], header->name))
			headers[n++] = (struct http_header){ header->name, header->value };
	}
	/* A status that no final answer has would confuse the client's framing. */
	if (status < 200 || status > 599) {
		request->reason = BYTES("plugin answered with a status that is none");
		request_refuse_with(request, API_PLUGIN_CRASHED,
			"The plugin answered with a status that is none.", (struct bytes){ 0 });
		return;
	}
	struct http_answer answer = { .status = status,
		.headers = headers,
		.n_headers = n,
		.body = call->answer_body,
		.body_kind = HTTP_BODY_COPY };
	char *copy = answer.body.n <= BODY_SMALL ? arena_copy(request->arena, answer.body) : NULL;
	if (copy) {
		answer.body.p = copy;
		answer.body_kind = HTTP_BODY_ARENA;
	}
	request_answer(request, &answer);
}

static void on_done(struct pool_call *call)
{
	struct api_request *request = call->context;
	bool is_error = call->outcome != POOL_ANSWERED || call->status >= 500;

	request->stop = NULL;
	if (call->answered_by)
		request->artifact = call->answered_by->sha256;
	request->generation = call->generation;
	request->worker_pid = call->worker_pid;
	figures_count_plugin(request->lane, tenant_name(request->tenant), request->plugin, is_error,
		loop_now_ns(request_loop(request)) - http_started_ns(request->http));
	switch (call->outcome) {
	case POOL_ANSWERED:
		answer_washed(request, call);
		return;
	case POOL_FAILED: {
		struct bytes message = { arena_copy(request->arena, call->message),
			call->message.n };
		unsigned status = call->status >= 400 && call->status < 500 ? call->status : 500;
		request->reason = BYTES("plugin reported a failure");
		request_status(request, status, message.p, (struct bytes){ 0 });
		return;
	}
	case POOL_BUSY:
	case POOL_ENDED:
		request_refuse_later(request, API_PLUGIN_DOWN,
			"The plugin has as many calls as it takes.",
			(call->retry_after_ms + 999) / 1000);
		return;
	case POOL_DEADLINE:
		request->reason = BYTES("deadline");
		request_refuse(request, API_DEADLINE);
		return;
	case POOL_CRASHED:
		request->reason = BYTES("worker died");
		request_refuse(request, API_PLUGIN_CRASHED);
		return;
	case POOL_POISONED:
		request->reason = BYTES("protocol violation");
		request_refuse_with(request, API_PLUGIN_CRASHED,
			"The plugin broke the protocol and was ended.", (struct bytes){ 0 });
		return;
	case POOL_CANCELLED:
		/* Nobody reads it; the status is for the record. */
		request->reason = BYTES("client went away");
		request_status(request, 499, "The client went away.", (struct bytes){ 0 });
		return;
	case POOL_UNRECORDED:
		request_refuse_later(request, API_AUDIT, NULL, 5);
		return;
	case POOL_TOO_LARGE:
		request_refuse(request, API_TOO_LARGE);
		return;
	}
}

static void stop(struct api_request *request)
{
	pool_call_cancel(request->context);
}

static enum pool_find_result find_with(
	const struct api_request *request, enum http_method method, struct pool_target *ret)
{
	struct bytes rest = request_param(request, 1);

	return pool_find_route(request->lane->view, bytes_of(tenant_name(request->tenant)),
		request->plugin, bytes_of(http_method_name(method)),
		rest.n ? (struct bytes){ rest.p - 1, rest.n + 1 } : BYTES("/"), ret);
}

/* 405 with the methods that the plugin's own routes take. */
static void refuse_method(struct api_request *request)
{
	DEFER(bytes_buf_fini) struct bytes_buf methods;
	struct pool_target target;

	bytes_buf_init(&methods, 96);
	for (unsigned m = 0; m < HTTP_METHODS; m++)
		if (find_with(request, (enum http_method)m, &target) == POOL_FOUND)
			(void)bytes_buf_appendf(&methods, "%s%s", methods.n ? ", " : "",
				http_method_name((enum http_method)m));
	request_refuse_method(request, bytes_buf_view(&methods));
}

/* Finds the plugin's route. False having answered. */
static bool find(struct api_request *request, struct pool_target *ret)
{
	request->plugin = request_param(request, 0);
	if (!request->lane->view) {
		request_refuse(request, API_NOT_FOUND);
		return false;
	}
	switch (find_with(request, http_method(request->http), ret)) {
	case POOL_FOUND:
		return true;
	case POOL_NO_PLUGIN:
	case POOL_NO_ROUTE:
		request_refuse(request, API_NOT_FOUND);
		return false;
	case POOL_NO_METHOD:
		refuse_method(request);
		return false;
	case POOL_DOWN:
		request_refuse_later(
			request, API_PLUGIN_DOWN, ret->reason, (ret->retry_after_ms + 999) / 1000);
		return false;
	}
	return false;
}

int64_t plugin_body_limit(struct api_request *request)
{
	struct pool_target target;

	return find(request, &target) ? (int64_t)target.route->body_limit : -1;
}

void plugin_call(void *context)
{
	struct api_request *request = context;
	struct pool_target target;

	/* Found again: since the headers came another version may have taken over. */
	if (!find(request, &target))
		return;
	enum auth_kind kind = request->identity.kind;
	if (target.route->access != PLUGIN_ACCESS_PUBLIC && kind == AUTH_ANONYMOUS) {
		request_refuse(request, API_UNAUTHORIZED);
		return;
	}
	if (target.route->access == PLUGIN_ACCESS_SUPERUSER && kind != AUTH_SUPERUSER) {
		request_refuse(request, API_FORBIDDEN);
		return;
	}

	struct pool_call *call = arena_alloc(request->arena, sizeof *call);
	struct http_header header;
	size_t n_there = 0, n_headers = 0;
	while (http_header_at(request->http, n_there, &header))
		n_there++;
	struct pool_header *headers = arena_alloc(request->arena, n_there * sizeof *headers);
	if (!call || !headers) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	for (size_t i = 0; http_header_at(request->http, i, &header); i++) {
		if (is_in(withheld, sizeof withheld / sizeof withheld[0], header.name))
			continue;
		/* None is left out in silence: what a proxy adds stands last. */
		if (n_headers == POOL_HEADERS_MAX) {
			request_status(request, 431, "A plugin takes at most 64 headers.",
				(struct bytes){ 0 });
			return;
		}
		headers[n_headers++] = (struct pool_header){ header.name, header.value };
	}

	struct bytes rest = request_param(request, 1);
	*call = (struct pool_call){
		.method = bytes_of(http_method_name(http_method(request->http))),
		.path = rest.n ? (struct bytes){ rest.p - 1, rest.n + 1 } : BYTES("/"),
		.query = http_query(request->http),
		.headers = headers,
		.n_headers = n_headers,
		.body = http_body(request->http),
		.principal = bytes_of(request->identity.record_id),
		.principal_collection = bytes_of(request->identity.collection),
		.is_superuser = kind == AUTH_SUPERUSER,
		.actor = request_actor(request),
		.done = on_done,
		.context = request,
	};
	memcpy(call->trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	request->context = call;
	request->stop = stop;
	pool_call_start(request->lane->view, &target, call);
}
