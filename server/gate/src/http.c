#include <stdio.h>
#include <string.h>

#include "call.h"

#define RESPONSE_MAX   (1u << 20)
#define TIMEOUT_MAX_MS 10000u

/* A path that every server reads the same: no dot segments in any spelling, no escaped slash, no
 * backslash, nothing outside printable ASCII. So a prefix means what its author thinks. */
static bool is_plain_target(struct bytes target)
{
	static const char *const BAD[] = { "%2e", "%2f", "%5c", "%00", "//", "/./", "/../" };
	if (target.n == 0 || target.n > 4096 || target.p[0] != '/')
		return false;
	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] <= ' ' || target.p[i] > '~' || strchr("\\#\"<>^`{|}", target.p[i]))
			return false;
	const char *query = memchr(target.p, '?', target.n);
	size_t path_n = query ? (size_t)(query - target.p) : target.n;
	for (size_t b = 0; b < sizeof BAD / sizeof BAD[0]; b++) {
		size_t n = strlen(BAD[b]);
		for (size_t i = 0; i + n <= path_n; i++)
			if (bytes_eq_nocase((struct bytes){ target.p + i, n }, bytes_of(BAD[b])))
				return false;
	}
	bool ends_in_dots = (path_n >= 2 && memcmp(target.p + path_n - 2, "/.", 2) == 0) ||
			    (path_n >= 3 && memcmp(target.p + path_n - 3, "/..", 3) == 0);
	return !ends_in_dots;
}

static void put_response(struct gate_call *call, const struct egress_response *response)
{
	struct bytes_buf pairs;
	bytes_buf_init(&pairs, 128u << 10);
	struct wire_http_response head = { .status = (uint32_t)response->status };
	bool is_in = true;
	for (size_t i = 0; i < response->n_headers && head.headers.n < WIRE_HEADERS_MAX; i++) {
		is_in &= wire_put_pair(
			&pairs, response->headers[i].name, response->headers[i].value);
		head.headers.n++;
	}
	head.headers.raw = bytes_buf_view(&pairs);
	is_in = is_in && wire_put_http_response(&call->result, &head) &&
		bytes_buf_append(&call->result, response->body);
	bytes_buf_fini(&pairs);
	if (is_in)
		call_reply(call);
	else
		call_refuse(call, STATUS_EXHAUSTED, "memory", "the answer takes too much room");
}

static void on_response(struct egress_response *response)
{
	struct gate_call *call = response->user;
	switch (response->outcome) {
	case EGRESS_OK:
		put_response(call, response);
		break;
	case EGRESS_DENIED:
		call_refuse(call, STATUS_DENIED, response->reason,
			"the address is one that plugins may not reach");
		break;
	case EGRESS_TIMEOUT:
		call_refuse(call, STATUS_DEADLINE, "", "the upstream did not answer in time");
		break;
	case EGRESS_TOO_BIG:
		call_refuse(call, STATUS_EXHAUSTED, "response-bytes", "the answer is too big");
		break;
	case EGRESS_CANCELLED:
		call_refuse(call, call->cancelled ? call->cancelled : STATUS_CANCELLED, "",
			"the call is over");
		break;
	case EGRESS_UNREACHABLE:
	case EGRESS_BUSY:
		call_refuse(call, STATUS_UNAVAILABLE, "", response->reason);
		break;
	}
	egress_response_free(response);
}

static void send_upstream(struct gate_call *call, const struct plugin_upstream *upstream,
	const struct wire_http_request *asked)
{
	struct gate_lane *lane = call->lane;
	struct egress_header headers[WIRE_HEADERS_MAX];
	struct wire_list list = asked->headers;
	size_t n_headers = 0;
	while (n_headers < WIRE_HEADERS_MAX &&
		wire_next_pair(&list, &headers[n_headers].name, &headers[n_headers].value))
		n_headers++;
	uint32_t timeout_ms = call_remaining_ms(call);
	if (timeout_ms > TIMEOUT_MAX_MS)
		timeout_ms = TIMEOUT_MAX_MS;
	if (asked->timeout_ms && asked->timeout_ms < timeout_ms)
		timeout_ms = asked->timeout_ms;
	size_t max_bytes = RESPONSE_MAX;
	if (asked->max_response_bytes && asked->max_response_bytes < max_bytes)
		max_bytes = asked->max_response_bytes;
	struct egress_request request = {
		.tenant = bytes_of(lane->tenant),
		.scheme = upstream->is_https ? BYTES("https") : BYTES("http"),
		.host = upstream->host,
		.port = upstream->port,
		.method = asked->method,
		.target = asked->path,
		.paths = upstream->paths,
		.n_paths = upstream->n_paths,
		.headers = headers,
		.n_headers = n_headers,
		.body = asked->body,
		.timeout_ms = timeout_ms ? timeout_ms : 1,
		.max_response_bytes = max_bytes,
		.allowed = lane->gate->allowed,
		.n_allowed = lane->gate->n_allowed,
	};
	memcpy(request.trace_id, call->trace_id, sizeof request.trace_id);
	call->is_busy = true;
	if (egress_send(lane->gate->egress, &request, lane->loop, on_response, call, &call->handle,
		    NULL) < 0) {
		call->is_busy = false;
		call_refuse(call, STATUS_UNAVAILABLE, "", "no memory for the request");
	}
}

bool call_http(struct gate_call *call, struct bytes payload)
{
	struct wire_http_request asked;
	const struct gate_lane *lane = call->lane;
	if (!wire_get_http_request(payload, &asked))
		return false;
	const char *query = asked.path.n ? memchr(asked.path.p, '?', asked.path.n) : NULL;
	struct bytes path = { asked.path.p, query ? (size_t)(query - asked.path.p) : asked.path.n };
	int n = snprintf(call->object, sizeof call->object, "%.*s %.*s:%.*s",
		(int)(asked.method.n < 16 ? asked.method.n : 16), asked.method.p,
		(int)(asked.upstream.n < 64 ? asked.upstream.n : 64), asked.upstream.p,
		(int)(path.n < 160 ? path.n : 160), path.p ? path.p : "");
	call->object_n = n > 0 && (size_t)n < sizeof call->object ? (size_t)n : 0;

	int index = plugin_find_upstream(&lane->version->manifest, asked.upstream);
	if (index < 0) {
		call_refuse(call, STATUS_DENIED, "not-declared",
			"the manifest declares no upstream of this name");
		return true;
	}
	if (!plugin_has_upstream(lane->granted, index)) {
		call_refuse(call, STATUS_DENIED, "not-granted",
			"the tenant's administrator did not grant this upstream");
		return true;
	}
	const struct plugin_upstream *upstream = &lane->version->manifest.upstreams[index];
	if (!is_plain_target(asked.path)) {
		call_refuse(call, STATUS_INVALID, "", "the path is not a plain one");
		return true;
	}
	if (!plugin_upstream_allows(upstream, asked.method, path)) {
		call_refuse(call, STATUS_DENIED, "not-declared",
			"the manifest does not allow this method or path there");
		return true;
	}
	if (!lane->gate->egress) {
		call_refuse(call, STATUS_UNAVAILABLE, "", "this server sends no requests");
		return true;
	}
	if (call_intend(call))
		send_upstream(call, upstream, &asked);
	return true;
}
