/*
 * What pages of other origins may do with a tenant's answers. The platform and the console say
 * nothing of the kind: no other page reads them.
 *
 *   no list    any page may ask and read, but with no credentials that a browser adds by itself
 *   a list     the pages of those origins may; all others are told nothing, and their browser keeps
 *              the answer from them
 */
#include "internal.h"

#include "tenant_web.h"

#include <string.h>

#define ASKED_MAX 1024 /* bytes of the header names that a preflight asks for */

static const char exposed[] =
	"X-Request-Id, ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
	"X-Tenon-Ignored, Content-Disposition, Content-Range";

static bool is_listed(const struct tenant_web *web, struct bytes origin)
{
	for (size_t i = 0; i < web->n_origins; i++)
		if (bytes_eq(web->origins[i], origin))
			return true;
	return false;
}

/* The headers that let origin read the answer; *ret has room for CORS_HEADERS. */
static size_t allow(const struct api_request *request, struct bytes origin, struct http_header *ret)
{
	const struct tenant_web *web = tenant_web(request->tenant);
	size_t n = 0;

	if (web->n_origins == 0) {
		ret[n++] = (struct http_header){ BYTES("Access-Control-Allow-Origin"), BYTES("*") };
		return n;
	}
	/* The answer is another one for another origin: a cache must know. */
	ret[n++] = (struct http_header){ BYTES("Vary"), BYTES("Origin") };
	if (origin.n == 0 || !is_listed(web, origin))
		return n;
	ret[n++] = (struct http_header){ BYTES("Access-Control-Allow-Origin"), origin };
	ret[n++] = (struct http_header){ BYTES("Access-Control-Allow-Credentials"), BYTES("true") };
	return n;
}

size_t cors_headers(const struct api_request *request, struct http_header ret[CORS_HEADERS])
{
	struct bytes origin;
	size_t n;

	if (request->is_platform || !request->tenant)
		return 0;
	origin = http_header(request->http, BYTES("Origin"));
	/* Most requests are no page's, or of the tenant's own. */
	if (origin.n == 0 && tenant_web(request->tenant)->n_origins == 0)
		return 0;
	n = allow(request, origin, ret);
	if (n > 0 && !bytes_eq_string(ret[n - 1].name, "Vary"))
		ret[n++] = (struct http_header){ BYTES("Access-Control-Expose-Headers"),
			{ exposed, sizeof exposed - 1 } };
	return n;
}

/* ---- preflight ---- */

bool cors_is_preflight(const struct http_request *http)
{
	return http_method(http) == HTTP_OPTIONS && http_header(http, BYTES("Origin")).n > 0 &&
	       http_header(http, BYTES("Access-Control-Request-Method")).n > 0;
}

/* "authorization, x-my-header": names and what parts them, nothing else. */
static bool are_names(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == ',' || c == ' '))
			return false;
	}
	return text.n > 0 && text.n <= ASKED_MAX;
}

/* Whatever is asked for is allowed: who may do what is decided by the request itself. */
static void preflight(void *context)
{
	struct api_request *request = context;
	struct http_header headers[CORS_HEADERS + 4];
	struct bytes asked = http_header(request->http, BYTES("Access-Control-Request-Headers"));
	size_t n = 0;

	/* The origin's own headers are added to every answer. */
	headers[n++] = (struct http_header){ BYTES("Access-Control-Allow-Methods"),
		BYTES("GET, HEAD, POST, PUT, PATCH, DELETE") };
	if (are_names(asked))
		headers[n++] = (struct http_header){ BYTES("Access-Control-Allow-Headers"), asked };
	headers[n++] = (struct http_header){ BYTES("Access-Control-Max-Age"), BYTES("7200") };
	const struct http_answer answer = { .status = 204, .headers = headers, .n_headers = n };

	request_answer(request, &answer);
}

const struct route cors_preflight_route = { 1u << HTTP_OPTIONS, "/{rest*}", ROUTE_PUBLIC, 0,
	"cors.preflight", preflight };
