/*
 * http_guard.h - may this request head be acted upon?
 *
 * A pure verdict over method, version, raw target and header list. It refuses every message whose
 * end two servers could place differently (request smuggling), every target that would mean
 * something else after another round of decoding, and what no client of ours has reason to send.
 * It decides on exact bytes: what is unusual is refused, never repaired.
 *
 * Threads: any. Memory: borrows its input; the verdict's text is static.
 */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "http.h"

#define HTTP_GUARD_TARGET_BYTES 12288 /* 12 KiB, then 414 */
#define HTTP_GUARD_HEADERS      100   /* then 431 */
#define HTTP_GUARD_HEAD_BYTES   16384 /* names and values together, then 431 */
#define HTTP_GUARD_COOKIES      64    /* then 431 */
#define HTTP_GUARD_QUERY_PAIRS  500   /* then 414 */

struct http_guard_head {
	struct bytes method, version, target;
	const struct http_header *headers; /* values as received, with their trailing blanks */
	size_t n_headers;                  /* may be the number that were sent, over the limit */
};

struct http_guard_verdict {
	unsigned status;    /* 0: act upon it; else the status to refuse it with */
	const char *reason; /* a sentence for the client; NULL when status is 0 */
	/* Meaningful when status is 0: */
	enum http_method method;
	bool is_chunked;
	bool has_length;
	bool expects_continue;
	uint64_t length_bytes; /* Content-Length, 0 without one */
};

struct http_guard_verdict http_guard_check(const struct http_guard_head *head);

#endif
