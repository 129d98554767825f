/*
 * text_url.h - percent decoding and query strings, strictly
 *
 * A path segment is decoded after the path was split, never before, and may not become what a path
 * is made of: '/', '\', "." and "..", NUL and control characters are refused however they are
 * written. A query string is walked pair by pair. Decoded text is UTF-8 or refused.
 *
 * Threads: all functions from any thread. Memory: decoded text goes where the caller says.
 */
#ifndef TEXT_URL_H
#define TEXT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"

enum text_url_result {
	TEXT_URL_OK,
	TEXT_URL_END,       /* text_url_query_next: no pair is left */
	TEXT_URL_ESCAPE,    /* '%' without two hexadecimal digits */
	TEXT_URL_FORBIDDEN, /* a character that may not stand here, escaped or not */
	TEXT_URL_UTF8,      /* the decoded bytes are not UTF-8 */
	TEXT_URL_LIMIT,     /* too many pairs, or the arena is full */
};

/* Decodes one path segment (what stands between two '/'). '+' stays '+'. Refuses the empty segment,
 * "." and "..", '/', '\', NUL and control characters. The result is segment itself when nothing was
 * escaped, else a copy in arena. */
enum text_url_result text_url_segment(struct bytes segment, struct arena *arena, struct bytes *ret);

/* Decodes a value of a query: '+' is a space; refuses NUL. Other control characters are allowed: a
 * filter may span lines. Result as above. */
enum text_url_result text_url_value(struct bytes text, struct arena *arena, struct bytes *ret);

struct text_url_query {
	struct bytes rest;
	uint32_t n_pairs, max_pairs;
};

/* A walk over a query string, without its '?', of at most max_pairs pairs. Borrows text. */
void text_url_query_init(struct text_url_query *query, struct bytes text, uint32_t max_pairs);

/* The next pair, decoded; a key without '=' has an empty value; empty pairs ("a=1&&b=2") are passed
 * over. Returns TEXT_URL_OK, TEXT_URL_END, or why the query is refused. */
enum text_url_result text_url_query_next(struct text_url_query *query, struct arena *arena,
	struct bytes *ret_key, struct bytes *ret_value);

/* Appends text with every byte but A-Z a-z 0-9 - . _ ~ escaped. False when out may not grow. */
bool text_url_encode(struct bytes_buf *out, struct bytes text);

/* Why, for people; static. */
const char *text_url_reason(enum text_url_result result);

#endif
