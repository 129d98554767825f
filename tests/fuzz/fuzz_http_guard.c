/*
 * fuzz_http_guard.c - a head that passed the guard has what the layers above rely on
 *
 * Input: method, target and version, each up to a line feed; then name, ':', value per line.
 */
#include "http_guard.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct bytes take(struct bytes *rest, char end)
{
	const char *at = rest->n ? memchr(rest->p, end, rest->n) : NULL;
	struct bytes taken = { rest->p, at ? (size_t)(at - rest->p) : rest->n };

	rest->p += taken.n + (at != NULL);
	rest->n -= taken.n + (at != NULL);
	return taken;
}

static void require(bool claim)
{
	if (!claim)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes rest = { (const char *)data, n };
	struct http_header headers[HTTP_GUARD_HEADERS];
	struct http_guard_head head = { .headers = headers };

	head.method = take(&rest, '\n');
	head.target = take(&rest, '\n');
	head.version = take(&rest, '\n');
	for (; rest.n > 0 && head.n_headers < HTTP_GUARD_HEADERS; head.n_headers++) {
		struct bytes line = take(&rest, '\n');

		headers[head.n_headers].name = take(&line, ':');
		headers[head.n_headers].value = line;
	}
	const struct http_guard_verdict verdict = http_guard_check(&head);

	if (verdict.status != 0) {
		require(verdict.status >= 400 && verdict.status <= 505 && verdict.reason);
		return 0;
	}
	require(verdict.method < HTTP_METHODS && !verdict.reason);
	require(!(verdict.is_chunked && verdict.has_length));
	require(head.target.n > 0 && head.target.n <= HTTP_GUARD_TARGET_BYTES);
	require(head.target.p[0] == '/' && !memchr(head.target.p, '\0', head.target.n));
	require(!memmem(head.target.p, head.target.n, "%00", 3));
	struct bytes path = head.target;

	path = take(&path, '?');
	require(!memmem(path.p, path.n, "//", 2) && !memmem(path.p, path.n, "/../", 4));
	require(!memmem(path.p, path.n, "%2f", 3) && !memmem(path.p, path.n, "%2F", 3));
	return 0;
}
