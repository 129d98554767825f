#include "console.h"

#include <assert.h>
#include <stdlib.h>

#include "embedded.h"

#define ROOT     BYTES("/_/")
#define ASSETS   BYTES("assets/")
#define THE_PAGE BYTES("index.html")

/*
 * No nonce and no hash: the page is one constant, and holds no inline script or style at all. What
 * the policy does not name is forbidden by default-src, and 'trusted-types' names one policy that a
 * shared worker's address will need; nothing may make one for markup.
 */
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "    \
	"font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; "                \
	"form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "         \
	"trusted-types console-worker"

/* BYTES() for the initialiser of a constant, where the standard allows no compound literal. */
#define TEXT(literal)                                                                              \
	{                                                                                          \
		"" literal, sizeof(literal) - 1                                                    \
	}

static const struct console_header headers[] = {
	{ TEXT("Content-Security-Policy"), TEXT(POLICY) },
	{ TEXT("X-Content-Type-Options"), TEXT("nosniff") },
	{ TEXT("X-Frame-Options"), TEXT("DENY") },
	{ TEXT("Referrer-Policy"), TEXT("no-referrer") },
	{ TEXT("Cross-Origin-Opener-Policy"), TEXT("same-origin") },
	{ TEXT("Cross-Origin-Resource-Policy"), TEXT("same-origin") },
	{ TEXT("Permissions-Policy"),
		TEXT("camera=(), geolocation=(), microphone=(), payment=(), usb=()") },
	{ TEXT("Vary"), TEXT("Accept-Encoding") },
};

const struct console_header *console_headers(size_t *ret_n)
{
	*ret_n = sizeof(headers) / sizeof(headers[0]);
	return headers;
}

struct bytes console_build_id(void)
{
	return embedded_build_id;
}

static int compare_path(const void *key, const void *row)
{
	return bytes_cmp(*(const struct bytes *)key, ((const struct embedded *)row)->path);
}

static const struct embedded *embedded_find(struct bytes path)
{
	return bsearch(
		&path, embedded_files, embedded_n_files, sizeof(embedded_files[0]), compare_path);
}

enum console_find_result console_find(
	struct bytes path, bool accepts_gzip, struct console_asset *ret)
{
	if (!bytes_starts_with(path, ROOT))
		return CONSOLE_NOT_FOUND;
	struct bytes name = { path.p + ROOT.n, path.n - ROOT.n };

	const struct embedded *file = embedded_find(name);
	if (!file) {
		if (bytes_starts_with(name, ASSETS))
			return CONSOLE_NOT_FOUND;
		name = THE_PAGE;
		file = embedded_find(name);
	}
	assert(file); /* the build refuses a dist without index.html */

	bool is_page = bytes_eq(name, THE_PAGE);
	bool is_gzip = accepts_gzip && file->gzip.n > 0;
	*ret = (struct console_asset){
		.body = is_gzip ? file->gzip : file->identity,
		.content_type = file->content_type,
		.cache_control = is_page           ? BYTES("no-store")
				 : file->is_hashed ? BYTES("public, max-age=31536000, immutable")
						   : BYTES("no-cache"),
		.etag = is_page   ? (struct bytes){ 0 }
			: is_gzip ? file->gzip_etag
				  : file->identity_etag,
		.is_gzip = is_gzip,
	};
	return CONSOLE_FOUND;
}

/* Cuts the next element of a comma-separated header value off *rest, without the blanks around it.
 * False at the end. */
static bool next_element(struct bytes *rest, char separator, struct bytes *ret)
{
	if (!rest->p)
		return false;
	size_t n = 0;
	while (n < rest->n && rest->p[n] != separator)
		n++;
	struct bytes cut = { rest->p, n };
	*rest = n < rest->n ? (struct bytes){ rest->p + n + 1, rest->n - n - 1 }
			    : (struct bytes){ 0 };

	while (cut.n > 0 && (cut.p[0] == ' ' || cut.p[0] == '\t'))
		cut = (struct bytes){ cut.p + 1, cut.n - 1 };
	while (cut.n > 0 && (cut.p[cut.n - 1] == ' ' || cut.p[cut.n - 1] == '\t'))
		cut.n--;
	*ret = cut;
	return true;
}

/* True for the weights that forbid: q=0, q=0., q=0.0 up to q=0.000. */
static bool is_zero_weight(struct bytes parameter)
{
	if (!bytes_starts_with(parameter, BYTES("q=0")) &&
		!bytes_starts_with(parameter, BYTES("Q=0")))
		return false;
	for (size_t i = 3; i < parameter.n; i++)
		if (parameter.p[i] != (i == 3 ? '.' : '0'))
			return false;
	return true;
}

bool console_accepts_gzip(struct bytes accept_encoding)
{
	bool any = false;
	struct bytes rest = accept_encoding, element;
	while (next_element(&rest, ',', &element)) {
		struct bytes part, coding = { 0 };
		bool is_allowed = true;
		(void)next_element(&element, ';', &coding);
		while (next_element(&element, ';', &part))
			if (is_zero_weight(part))
				is_allowed = false;
		/* A coding that is named outweighs the star, wherever either stands. */
		if (bytes_eq_nocase(coding, BYTES("gzip")))
			return is_allowed;
		if (bytes_eq(coding, BYTES("*")))
			any = is_allowed;
	}
	return any;
}

bool console_is_unchanged(const struct console_asset *asset, struct bytes if_none_match)
{
	if (asset->etag.n == 0)
		return false;
	struct bytes rest = if_none_match, element;
	while (next_element(&rest, ',', &element)) {
		if (bytes_eq(element, BYTES("*")))
			return true;
		/* If-None-Match compares weakly: the mark W/ does not count. */
		if (bytes_starts_with(element, BYTES("W/")))
			element = (struct bytes){ element.p + 2, element.n - 2 };
		if (bytes_eq(element, asset->etag))
			return true;
	}
	return false;
}
