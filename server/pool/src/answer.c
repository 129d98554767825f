#include "answer.h"

#include <string.h>

/* ---- headers: what a plugin may set ---- */

#define NAME(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* Those that belong to the server, to the connection, or to the origin that the plugin shares with
 * others, and those that a proxy in front would obey (send that file instead). A name that ends in
 * '-' stands for all that start so. */
static const struct bytes FORBIDDEN[] = { NAME("access-control-"), NAME("alt-svc"),
	NAME("clear-site-data"), NAME("connection"), NAME("content-length"),
	NAME("content-security-policy"), NAME("cross-origin-"), NAME("date"), NAME("expect"),
	NAME("host"), NAME("keep-alive"), NAME("nel"), NAME("proxy-"), NAME("public-key-pins"),
	NAME("refresh"), NAME("report-to"), NAME("server"), NAME("service-worker-allowed"),
	NAME("set-cookie"), NAME("set-cookie2"), NAME("content-security-policy-report-only"),
	NAME("speculation-rules"), NAME("strict-transport-security"), NAME("te"),
	NAME("traceparent"), NAME("tracestate"), NAME("trailer"), NAME("transfer-encoding"),
	NAME("upgrade"), NAME("via"), NAME("www-authenticate"), NAME("x-accel-"),
	NAME("x-content-type-options"), NAME("x-frame-options"), NAME("x-lighttpd-send-file"),
	NAME("x-litespeed-location"), NAME("x-reproxy-url"), NAME("x-request-id"),
	NAME("x-sendfile"), NAME("x-tenon-") };

static bool is_token(struct bytes name)
{
	if (name.n == 0 || name.n > 128)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		bool is_alnum =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_alnum && !(c > ' ' && c < 127 && strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return true;
}

static bool is_value(struct bytes value)
{
	if (value.n > 8192)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		if ((c < ' ' && c != '\t') || c == 127)
			return false;
	}
	return true;
}

static bool is_forbidden(struct bytes name)
{
	for (size_t i = 0; i < sizeof FORBIDDEN / sizeof FORBIDDEN[0]; i++) {
		struct bytes start = name;
		if (FORBIDDEN[i].p[FORBIDDEN[i].n - 1] == '-' && start.n > FORBIDDEN[i].n)
			start.n = FORBIDDEN[i].n;
		if (start.n == FORBIDDEN[i].n && bytes_eq_nocase(start, FORBIDDEN[i]))
			return true;
	}
	return false;
}

/* Keeps the headers that may go out; the others are dropped. */
static void take_headers(struct pool_view *view, struct wire_list list, struct pool_call *call)
{
	struct bytes name, value;
	call->answer_headers = view->headers;
	while (call->n_answer_headers < POOL_HEADERS_MAX && wire_next_pair(&list, &name, &value)) {
		if (!is_token(name) || !is_value(value) || is_forbidden(name)) {
			call->n_dropped_headers++;
			continue;
		}
		view->headers[call->n_answer_headers++] = (struct pool_header){ name, value };
	}
}

/* ---- failures ---- */
static unsigned status_of_code(int32_t code)
{
	switch (code) {
	case -3:  /* INVALID */
	case -9:  /* PRECOND */
	case -11: /* RANGE */
		return 400;
	case -16: /* UNAUTH */
		return 401;
	case -7: /* DENIED */
		return 403;
	case -5: /* NOT_FOUND */
		return 404;
	case -6:  /* EXISTS */
	case -10: /* CONFLICT */
		return 409;
	case -8: /* EXHAUSTED */
		return 429;
	case -12: /* UNSUPPORTED */
		return 501;
	case -1:  /* CANCELLED */
	case -14: /* UNAVAILABLE */
		return 503;
	case -4: /* DEADLINE */
		return 504;
	default:
		return 500;
	}
}

static void fail(struct pool_call *call, int32_t code, unsigned wished)
{
	call->outcome = POOL_FAILED;
	call->status = wished >= 400 && wished <= 599 ? wished : status_of_code(code);
}

bool answer_decode(struct pool_view *view, struct pool_call *call, uint8_t kind, uint16_t type,
	struct bytes payload)
{
	struct wire_respond respond;
	struct wire_error error;
	struct wire_done done;
	switch (type) {
	case WIRE_RESPOND:
		if (kind != WIRE_KIND_ROUTE || !wire_get_respond(payload, &respond))
			return false;
		call->outcome = POOL_ANSWERED;
		call->status = respond.status;
		call->answer_body = respond.body;
		take_headers(view, respond.headers, call);
		return true;
	case WIRE_FAIL:
		if (!wire_get_error(payload, &error))
			return false;
		fail(call, error.code, error.http_status);
		call->message = error.message;
		call->reason = error.reason;
		call->field = error.field;
		return true;
	case WIRE_DONE:
		if (!wire_get_done(payload, &done))
			return false;
		if (done.status < 0) {
			fail(call, done.status, 0);
			return true;
		}
		call->outcome = POOL_ANSWERED;
		call->status = 204;
		return true;
	default:
		return false;
	}
}

unsigned pool_status(const struct pool_call *call)
{
	switch (call->outcome) {
	case POOL_ANSWERED:
	case POOL_FAILED:
		return call->status;
	case POOL_BUSY:
	case POOL_ENDED:
	case POOL_UNRECORDED:
		return 503;
	case POOL_DEADLINE:
		return 504;
	case POOL_CRASHED:
	case POOL_POISONED:
		return 502;
	case POOL_CANCELLED:
		return 499;
	case POOL_TOO_LARGE:
		return 413;
	}
	return 500;
}

const char *pool_outcome_name(enum pool_outcome outcome)
{
	static const char *const NAMES[] = { "answered", "failed", "busy", "ended", "deadline",
		"crashed", "poisoned", "cancelled", "too large", "unrecorded" };
	return (unsigned)outcome < sizeof NAMES / sizeof NAMES[0] ? NAMES[outcome] : "unknown";
}
