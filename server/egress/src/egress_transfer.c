#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "egress_core.h"
#include "trace.h"

/* A slow upstream may hold a connection, not keep it: less than 1 KiB/s for 3 s ends the transfer.
 */
#define LOW_SPEED_BYTES   1024L
#define LOW_SPEED_SECONDS 3L
#define CONNECT_MS        2000L

/* ---- the URL ---- */

/* Is the part of url, which may be absent, this text but for the case of letters? */
static bool part_is(CURLU *url, CURLUPart part, const char *text)
{
	char *value = NULL;

	bool is_same = curl_url_get(url, part, &value, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       strcasecmp(value, text) == 0;
	curl_free(value);
	return is_same;
}

const char *egress_transfer_parse(struct egress_call *call)
{
	const struct egress_request *r = &call->request;
	bool is_ipv6 = memchr(r->host.p, ':', r->host.n);
	struct bytes host = r->host;

	if (host.p[host.n - 1] == '.')
		host.n--;
	struct bytes text = arena_printf(call->arena,
		is_ipv6 ? "%.*s://[%.*s]:%u%.*s" : "%.*s://%.*s:%u%.*s", (int)r->scheme.n,
		r->scheme.p, (int)host.n, host.p, r->port, (int)r->target.n, r->target.p);
	call->url = text.p ? curl_url() : NULL;
	if (!call->url)
		return "memory";
	if (curl_url_set(call->url, CURLUPART_URL, text.p,
		    CURLU_DISALLOW_USER | CURLU_PATH_AS_IS) != CURLUE_OK)
		return "url";
	/* What the parser made of the host is what will be connected to: 0x7f.1 is 127.0.0.1 now.
	 */
	char *parsed = NULL;
	if (curl_url_get(call->url, CURLUPART_HOST, &parsed, 0) != CURLUE_OK)
		return "url";
	struct bytes name = bytes_of(parsed);
	if (name.n > 2 && name.p[0] == '[')
		name = (struct bytes){ name.p + 1, name.n - 2 };
	bool fits = bytes_to_string(name, call->host, sizeof call->host);
	for (char *c = call->host; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
	bool is_forbidden = egress_guard_is_forbidden_name(name);
	curl_free(parsed);
	return !fits ? "url" : is_forbidden ? "metadata" : NULL;
}

/* Moves call->url on to where an answer points, when that is within what was declared. */
static const char *follow(struct egress_call *call, const char *location)
{
	char scheme[8], port[8], host[264], *target = NULL, *query = NULL;
	const struct egress_request *r = &call->request;

	if (++call->n_hops > EGRESS_HOPS)
		return "redirects";
	bytes_to_string(r->scheme, scheme, sizeof scheme);
	(void)snprintf(port, sizeof port, "%u", r->port);
	(void)snprintf(host, sizeof host, strchr(call->host, ':') ? "[%s]" : "%s", call->host);
	if (curl_url_set(call->url, CURLUPART_URL, location,
		    CURLU_DISALLOW_USER | CURLU_PATH_AS_IS) != CURLUE_OK ||
		!part_is(call->url, CURLUPART_SCHEME, scheme) ||
		!part_is(call->url, CURLUPART_HOST, host) ||
		!part_is(call->url, CURLUPART_PORT, port))
		return "redirect";
	curl_url_set(call->url, CURLUPART_FRAGMENT, NULL, 0);
	curl_url_get(call->url, CURLUPART_PATH, &target, 0);
	curl_url_get(call->url, CURLUPART_QUERY, &query, 0);
	struct bytes whole = arena_printf(
		call->arena, query ? "%s?%s" : "%s", target ? target : "", query ? query : "");
	bool is_within =
		egress_rules_is_target(whole) && egress_rules_is_among(whole, r->paths, r->n_paths);
	curl_free(target);
	curl_free(query);
	return is_within ? NULL : "redirect";
}

/* ---- what libcurl asks on the way ---- */

static enum egress_guard_verdict guard(
	const struct egress_call *call, const struct sockaddr *address, socklen_t n)
{
	return egress_guard_check(
		address, n, call->request.allowed, call->request.n_allowed, &call->egress->self);
}

/* The decision: on the address that the socket is going to be connected to. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct egress_call *call = user;

	(void)purpose;
	enum egress_guard_verdict verdict = guard(call, &address->addr, address->addrlen);
	if (verdict != EGRESS_GUARD_ALLOWED) {
		call->denied = egress_guard_name(verdict);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The same once more before the request goes out: a connection that was open already did not pass
 * open_socket for this request. */
static int before_request(void *user, char *peer, char *local, int peer_port, int local_port)
{
	struct egress_call *call = user;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)peer_port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)peer_port) };
	enum egress_guard_verdict verdict = EGRESS_GUARD_FAMILY;

	(void)local;
	(void)local_port;
	if (inet_pton(AF_INET, peer, &in.sin_addr) == 1)
		verdict = guard(call, (const struct sockaddr *)&in, sizeof in);
	else if (inet_pton(AF_INET6, peer, &in6.sin6_addr) == 1)
		verdict = guard(call, (const struct sockaddr *)&in6, sizeof in6);
	if (verdict == EGRESS_GUARD_ALLOWED && peer_port == call->request.port)
		return CURL_PREREQFUNC_OK;
	call->denied = verdict == EGRESS_GUARD_ALLOWED ? "port" : egress_guard_name(verdict);
	return CURL_PREREQFUNC_ABORT;
}

static size_t take_header(char *data, size_t size, size_t n, void *user)
{
	struct egress_call *call = user;

	(void)data;
	call->header_bytes += size * n;
	if (call->header_bytes <= EGRESS_RULES_HEADERS_BYTES)
		return size * n;
	call->is_too_big = true;
	return 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *user)
{
	struct egress_call *call = user;

	if (bytes_buf_append(&call->reply->body, (struct bytes){ data, size * n }))
		return size * n;
	call->is_too_big = true;
	return 0;
}

/* ---- the request ---- */

static bool add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = line ? curl_slist_append(*list, line) : NULL;

	if (longer)
		*list = longer;
	return longer;
}

static bool add_headers(struct egress_call *call, const struct egress_header *headers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct bytes name = headers[i].name, value = headers[i].value;
		/* libcurl's way to write a header without a value is a semicolon. */
		struct bytes line = arena_printf(call->arena, value.n ? "%.*s: %.*s" : "%.*s;",
			(int)name.n, name.p, (int)value.n, value.p);
		if (!add_line(&call->headers, line.p))
			return false;
	}
	return true;
}

static bool has_header(const struct egress_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (bytes_eq_nocase(r->headers[i].name, bytes_of(name)))
			return true;
	return false;
}

/* W3C trace context: the upstream is a child of a span of ours. */
static struct bytes traceparent(struct egress_call *call)
{
	struct trace_context ours = { .is_sampled = true };
	char text[TRACE_HEADER_BYTES];

	memcpy(ours.trace_id, call->request.trace_id, sizeof ours.trace_id);
	ours = trace_child(loop_ids(call->egress->loop), &ours);
	trace_format(&ours, text);
	return arena_printf(call->arena, "traceparent: %s", text);
}

static bool make_header_list(struct egress_call *call)
{
	static const uint8_t no_trace[ID_TRACE_BYTES];
	const struct egress_request *r = &call->request;

	if (!add_headers(call, r->headers, r->n_headers) ||
		!add_headers(call, r->secret_headers, r->n_secret_headers))
		return false;
	if (memcmp(r->trace_id, no_trace, sizeof no_trace) != 0 &&
		!add_line(&call->headers, traceparent(call).p))
		return false;
	/* No wait for "100 Continue", and no type for a body that the caller gave none. */
	return add_line(&call->headers, "Expect:") &&
	       (has_header(r, "content-type") || add_line(&call->headers, "Content-Type:"));
}

/* Pins the name to the addresses that were looked up and passed: libcurl does not look it up again.
 */
static bool make_pin(struct egress_call *call)
{
	DEFER(bytes_buf_fini) struct bytes_buf line;
	char text[INET6_ADDRSTRLEN];

	bytes_buf_init(&line, 1024);
	bytes_buf_appendf(&line, "+%s:%u:", call->host, call->request.port);
	for (size_t i = 0; i < call->n_addresses; i++) {
		const struct sockaddr_storage *address = &call->addresses[i];
		bool is_ipv6 = address->ss_family == AF_INET6;
		const void *from =
			is_ipv6 ? (const void *)&(
					  (const struct sockaddr_in6 *)(const void *)address)
					  ->sin6_addr
				: (const void *)&((const struct sockaddr_in *)(const void *)address)
					  ->sin_addr;
		inet_ntop(address->ss_family, from, text, sizeof text);
		bytes_buf_appendf(&line, is_ipv6 ? "%s[%s]" : "%s%s", i ? "," : "", text);
	}
	bytes_buf_append_byte(&line, '\0');
	return !line.failed && add_line(&call->pins, line.p);
}

static void set_method(struct egress_call *call, struct bytes method, struct bytes body)
{
	CURL *easy = call->easy;
	char text[16];

	bytes_to_string(method, text, sizeof text);
	curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	if (bytes_eq(method, BYTES("HEAD"))) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (body.n > 0 || text[0] == 'P') { /* POST, PUT, PATCH: a length of 0 is said, too */
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.n ? body.p : "");
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, text);
}

/* What is the same for each hop, and what keeps libcurl to exactly this request: no proxy, no
 * cookies, no netrc, no other protocol, no redirect, no decompression, no HTTP/0.9. */
static void set_options(struct egress_call *call)
{
	CURL *easy = call->easy;
	char scheme[8];

	bytes_to_string(call->request.scheme, scheme, sizeof scheme);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme);
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, scheme);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_NONE);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "Tenon");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(easy, CURLOPT_RESOLVE, call->pins);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->reply->body.max);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, LOW_SPEED_SECONDS);
}

/* One hop: the first, or where an answer pointed. */
static void start_hop(struct egress_call *call)
{
	uint64_t now_ns = clock_mono_ns();

	if (now_ns + CLOCK_NS_PER_MS >= call->deadline_ns) {
		egress_finish(call, EGRESS_TIMEOUT, "deadline");
		return;
	}
	long left_ms = (long)((call->deadline_ns - now_ns) / CLOCK_NS_PER_MS);
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, left_ms);
	curl_easy_setopt(call->easy, CURLOPT_CURLU, call->url);
	bytes_buf_clear(&call->reply->body);
	call->header_bytes = 0;
	call->denied = NULL;
	if (curl_multi_add_handle(call->tenant->multi, call->easy) != CURLM_OK)
		egress_finish(call, EGRESS_BUSY, "memory");
}

void egress_transfer_begin(struct egress_call *call)
{
	call->easy = curl_easy_init();
	bool is_name = call->n_addresses > 0;
	if (!call->easy || !make_header_list(call) || (is_name && !make_pin(call))) {
		egress_finish(call, EGRESS_BUSY, "memory");
		return;
	}
	set_options(call);
	set_method(call, call->request.method, call->request.body);
	start_hop(call);
}

void egress_transfer_end(struct egress_call *call)
{
	if (call->easy) {
		/* Harmless when it is in no multi; else its connection is closed, as it is in use.
		 */
		if (call->tenant)
			curl_multi_remove_handle(call->tenant->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	curl_url_cleanup(call->url);
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->pins);
	call->easy = NULL;
	call->url = NULL;
	call->headers = call->pins = NULL;
}

/* ---- the answer ---- */

static void note_figures(struct egress_call *call)
{
	struct egress_response *response = &call->reply->response;
	curl_off_t n = 0;
	long sent = 0, received = 0, port = 0;
	char *ip = NULL;

	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &n);
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	response->bytes_out += (uint64_t)n + (uint64_t)sent;
	n = 0;
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &n);
	curl_easy_getinfo(call->easy, CURLINFO_HEADER_SIZE, &received);
	response->bytes_in += (uint64_t)n + (uint64_t)received;
	curl_easy_getinfo(call->easy, CURLINFO_PRIMARY_IP, &ip);
	curl_easy_getinfo(call->easy, CURLINFO_PRIMARY_PORT, &port);
	if (ip && *ip)
		(void)snprintf(response->address, sizeof response->address,
			strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, port);
}

/* Copies the headers that are passed on, without trailers and those of interim answers. */
static bool take_headers(struct egress_call *call)
{
	struct egress_reply *reply = call->reply;
	const struct egress_request *r = &call->request;
	struct curl_header *header = NULL;
	size_t n = 0;

	while ((header = curl_easy_nextheader(call->easy, CURLH_HEADER, -1, header))) {
		struct bytes name = bytes_of(header->name), value = bytes_of(header->value);
		if (!egress_rules_passes_header(name, value))
			continue;
		if (n == sizeof reply->headers / sizeof reply->headers[0])
			return false;
		char *name_copy = arena_copy(reply->arena, name);
		char *value_copy = arena_copy(reply->arena, value);
		if (!name_copy || !value_copy)
			return false;
		egress_rules_blot_out(value_copy, value.n, r->secret_headers, r->n_secret_headers);
		reply->headers[n++] =
			(struct egress_header){ { name_copy, name.n }, { value_copy, value.n } };
	}
	egress_rules_blot_out(reply->body.p, reply->body.n, r->secret_headers, r->n_secret_headers);
	reply->response.headers = reply->headers;
	reply->response.n_headers = n;
	reply->response.body = bytes_buf_view(&reply->body);
	return true;
}

static void answer_failure(struct egress_call *call, CURLcode code)
{
	if (call->denied)
		egress_finish(call, EGRESS_DENIED, call->denied);
	else if (call->is_too_big || code == CURLE_FILESIZE_EXCEEDED)
		egress_finish(call, EGRESS_TOO_BIG, call->is_too_big ? "answer" : "length");
	else if (code == CURLE_OPERATION_TIMEDOUT)
		egress_finish(call, EGRESS_TIMEOUT, "upstream");
	else if (code == CURLE_COULDNT_RESOLVE_HOST)
		egress_finish(call, EGRESS_UNREACHABLE, "dns");
	else if (code == CURLE_COULDNT_CONNECT)
		egress_finish(call, EGRESS_UNREACHABLE, "connect");
	else if (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
		 code == CURLE_SSL_CACERT_BADFILE)
		egress_finish(call, EGRESS_UNREACHABLE, "tls");
	else if (code == CURLE_OUT_OF_MEMORY)
		egress_finish(call, EGRESS_BUSY, "memory");
	else
		egress_finish(call, EGRESS_UNREACHABLE, "transport");
}

/* Where a redirect points, or NULL when the answer is none. */
static const char *redirect_of(struct egress_call *call, long status)
{
	struct curl_header *header = NULL;

	if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
		return NULL;
	if (curl_easy_header(call->easy, "Location", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

void egress_transfer_done(struct egress_call *call, CURLcode code)
{
	long status = 0;

	note_figures(call);
	if (code != CURLE_OK) {
		answer_failure(call, code);
		return;
	}
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	const char *location = redirect_of(call, status);
	if (location) {
		const char *reason = follow(call, location);
		if (reason) {
			egress_finish(call, EGRESS_DENIED, reason);
			return;
		}
		bool is_post = bytes_eq(call->request.method, BYTES("POST"));
		bool is_head = bytes_eq(call->request.method, BYTES("HEAD"));
		if (!is_head && (status == 303 || (is_post && (status == 301 || status == 302)))) {
			call->request.method = BYTES("GET");
			call->request.body = (struct bytes){ NULL, 0 };
		}
		set_method(call, call->request.method, call->request.body);
		start_hop(call);
		return;
	}
	call->reply->response.status = (int)status;
	if (take_headers(call))
		egress_finish(call, EGRESS_OK, "ok");
	else
		egress_finish(call, EGRESS_TOO_BIG, "headers");
}
