#include "egress_rules.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_one_of(struct bytes name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq_nocase(name, bytes_of(names[i])))
			return true;
	return false;
}

/* RFC 9110: a token, of which header names and methods are made. */
static bool is_token(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && !(c >= '0' && c <= '9') &&
			(c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return text.n > 0;
}

/* No control characters but the tab: no CR or LF that would begin another header, no NUL. */
static bool is_field_value(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t byte = (uint8_t)text.p[i];
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return false;
	}
	return true;
}

/* What only the core or libcurl may say: about the connection, the length, and who is asking. */
static bool is_reserved_name(struct bytes name, bool is_secret)
{
	static const char *const of_connection[] = { "host", "content-length", "transfer-encoding",
		"connection", "keep-alive", "te", "trailer", "upgrade", "expect",
		"http2-settings" };
	static const char *const of_core[] = { "authorization", "cookie", "cookie2", "forwarded",
		"via", "traceparent", "tracestate", "accept-encoding" };

	if (is_one_of(name, of_connection, sizeof of_connection / sizeof of_connection[0]))
		return true;
	if (name.n >= 6 && bytes_eq_nocase((struct bytes){ name.p, 6 }, BYTES("proxy-")))
		return true;
	return !is_secret && is_one_of(name, of_core, sizeof of_core / sizeof of_core[0]);
}

static bool are_headers(const struct egress_header *headers, size_t n, bool are_secret)
{
	size_t n_bytes = 0;

	if (n > EGRESS_RULES_HEADERS)
		return false;
	for (size_t i = 0; i < n; i++) {
		n_bytes += headers[i].name.n + headers[i].value.n + 4;
		if (n_bytes > EGRESS_RULES_HEADERS_BYTES || !is_token(headers[i].name) ||
			!is_field_value(headers[i].value) ||
			is_reserved_name(headers[i].name, are_secret))
			return false;
	}
	return true;
}

bool egress_rules_is_host(struct bytes host)
{
	char text[256];
	struct in6_addr address;

	if (host.n == 0 || host.n > 253 || !bytes_to_string(host, text, sizeof text))
		return false;
	if (memchr(host.p, ':', host.n))
		return strlen(text) == host.n && inet_pton(AF_INET6, text, &address) == 1;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '-' && c != '.' && c != '_')
			return false;
	}
	return host.p[0] != '.' && host.p[0] != '-';
}

/* The part of target before its query. */
static struct bytes path_of(struct bytes target)
{
	const char *query = target.n ? memchr(target.p, '?', target.n) : NULL;

	return (struct bytes){ target.p, query ? (size_t)(query - target.p) : target.n };
}

/* What makes two servers read one path in two ways. */
static bool has_ambiguity(struct bytes path)
{
	static const char *const escapes[] = { "%2e", "%2f", "%5c", "%00" };

	for (size_t i = 0; i < path.n; i++) {
		struct bytes rest = { path.p + i, path.n - i };
		for (size_t e = 0; e < sizeof escapes / sizeof escapes[0]; e++)
			if (rest.n >= 3 &&
				bytes_eq_nocase((struct bytes){ rest.p, 3 }, bytes_of(escapes[e])))
				return true;
		if (path.p[i] != '/')
			continue;
		/* The segment behind this slash. */
		const char *next = rest.n > 1 ? memchr(rest.p + 1, '/', rest.n - 1) : NULL;
		struct bytes segment = { rest.p + 1,
			next ? (size_t)(next - rest.p) - 1 : rest.n - 1 };
		if ((segment.n == 0 && next) || bytes_eq(segment, BYTES(".")) ||
			bytes_eq(segment, BYTES("..")))
			return true;
	}
	return false;
}

bool egress_rules_is_target(struct bytes target)
{
	if (target.n == 0 || target.n > EGRESS_RULES_TARGET_BYTES || target.p[0] != '/')
		return false;
	for (size_t i = 0; i < target.n; i++) {
		char c = target.p[i];
		if (c <= ' ' || c >= 0x7f || c == '#' || c == '\\')
			return false;
	}
	return !has_ambiguity(path_of(target));
}

bool egress_rules_is_among(struct bytes target, const struct bytes *paths, size_t n_paths)
{
	struct bytes path = path_of(target);

	for (size_t i = 0; i < n_paths; i++) {
		struct bytes pattern = paths[i];
		bool is_prefix = pattern.n > 0 && pattern.p[pattern.n - 1] == '*';
		if (is_prefix ? bytes_starts_with(path, (struct bytes){ pattern.p, pattern.n - 1 })
			      : bytes_eq(path, pattern))
			return true;
	}
	return false;
}

const char *egress_rules_check(const struct egress_request *r)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE",
		"OPTIONS" };
	bool is_method = false;

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		is_method |= bytes_eq_string(r->method, methods[i]);
	if (!bytes_eq(r->scheme, BYTES("https")) && !bytes_eq(r->scheme, BYTES("http")))
		return "scheme";
	if (!egress_rules_is_host(r->host) || r->port == 0)
		return "host";
	if (egress_guard_is_forbidden_name(r->host))
		return "metadata";
	if (!is_method)
		return "method";
	if (!egress_rules_is_target(r->target) || r->n_paths > EGRESS_RULES_PATHS ||
		!egress_rules_is_among(r->target, r->paths, r->n_paths))
		return "target";
	if (!are_headers(r->headers, r->n_headers, false) ||
		!are_headers(r->secret_headers, r->n_secret_headers, true))
		return "header";
	if (r->body.n > EGRESS_RULES_BODY_BYTES)
		return "body";
	if (r->tenant.n == 0 || r->tenant.n > 64 || r->timeout_ms == 0)
		return "request";
	return NULL;
}

bool egress_rules_passes_header(struct bytes name, struct bytes value)
{
	static const char *const dropped[] = { "connection", "keep-alive", "te", "trailer",
		"transfer-encoding", "upgrade", "content-length", "set-cookie", "set-cookie2",
		"alt-svc", "clear-site-data", "service-worker-allowed", "strict-transport-security",
		"refresh" };

	if (!is_token(name) || !is_field_value(value))
		return false;
	if (name.n >= 6 && bytes_eq_nocase((struct bytes){ name.p, 6 }, BYTES("proxy-")))
		return false;
	return !is_one_of(name, dropped, sizeof dropped / sizeof dropped[0]);
}

/* Shorter words would be found in texts that have nothing to do with the secret. */
#define SHORTEST_SECRET 6

static void blot_out_word(char *data, size_t n, struct bytes word)
{
	if (word.n < SHORTEST_SECRET)
		return;
	for (char *at; (at = memmem(data, n, word.p, word.n));) {
		memset(at, '*', word.n);
		n -= (size_t)(at - data) + word.n;
		data = at + word.n;
	}
}

void egress_rules_blot_out(
	char *data, size_t n, const struct egress_header *secrets, size_t n_secrets)
{
	for (size_t i = 0; i < n_secrets; i++) {
		struct bytes value = secrets[i].value;
		const char *space = value.n ? memrchr(value.p, ' ', value.n) : NULL;
		blot_out_word(data, n, value);
		if (space)
			blot_out_word(data, n,
				(struct bytes){
					space + 1, (size_t)(value.p + value.n - space) - 1 });
	}
}
