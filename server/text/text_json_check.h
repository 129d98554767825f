/*
 * text_json_check.h - is this JSON, in the strict sense, and within bounds?
 *
 * One pass over the bytes. What passes is RFC 8259 JSON without the freedoms that let two readers
 * see two different documents, so everything behind this check (pull reader, json-c, a plugin's own
 * parser) sees the same one. Refused beside broken grammar:
 *
 *   - the same key twice in one object, compared after unescaping;
 *   - bytes that are not UTF-8, a byte order mark, lone surrogates written as \u escapes;
 *   - \u0000 in a key (in a value it is allowed);
 *   - an integer (a number without '.', 'e' and 'E') that does not fit a signed 64-bit one: every
 *     integer that passes is kept without loss. 2^63 and 1000...0 are refused, 1e30 is a double;
 *   - a number with '.', 'e' or 'E' that overflows a double. Underflow is not refused: it is 0;
 *   - a number of more than TEXT_JSON_NUMBER_MAX characters: no double needs more;
 *   - more depth, nodes or bytes than the limits allow.
 *
 * Duplicate keys are found by comparing with each earlier key in small objects and by sorting in
 * large ones, so no choice of keys makes the check slower than n log n.
 *
 * Threads: all functions from any thread.
 * Memory:  about 2 KiB of stack. Only while more than 128 keys are live (in objects that are still
 *          open) 8 bytes of heap for each of them, freed before the return.
 */
#ifndef TEXT_JSON_CHECK_H
#define TEXT_JSON_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define TEXT_JSON_DEPTH_MAX  64         /* no limits.max_depth goes above this */
#define TEXT_JSON_BYTES_MAX  0x7fffffff /* nor limits.max_bytes above this */
#define TEXT_JSON_NUMBER_MAX 1100       /* 2^-1074 written out has 1,076 characters */

struct text_json_limits {
	uint32_t max_depth; /* open objects and arrays at once */
	uint32_t max_nodes; /* values: objects, arrays and scalars; keys are not counted */
	size_t max_bytes;   /* of the document */
};

/* What an ordinary body may have: depth 32, 10,000 nodes, 16 MiB. */
#define TEXT_JSON_LIMITS                                                                           \
	((struct text_json_limits){ .max_depth = 32, .max_nodes = 10000, .max_bytes = 16u << 20 })

enum text_json_verdict {
	TEXT_JSON_VALID,
	TEXT_JSON_EMPTY,         /* no value at all */
	TEXT_JSON_TRUNCATED,     /* the bytes end inside a value */
	TEXT_JSON_SYNTAX,        /* a byte that may not stand here */
	TEXT_JSON_TRAILING,      /* bytes after the value */
	TEXT_JSON_BOM,           /* a byte order mark in front */
	TEXT_JSON_UTF8,          /* not UTF-8 */
	TEXT_JSON_CONTROL,       /* a control character inside a string, not escaped */
	TEXT_JSON_ESCAPE,        /* an escape that does not exist */
	TEXT_JSON_SURROGATE,     /* half a surrogate pair */
	TEXT_JSON_KEY_NUL,       /* \u0000 in a key */
	TEXT_JSON_KEY_TWICE,     /* a key that its object has already */
	TEXT_JSON_NUMBER_SYNTAX, /* NaN, Infinity, +1, 01, .5, 1., 0x10 */
	TEXT_JSON_NUMBER_RANGE,  /* does not fit int64 or double, or has too many characters */
	TEXT_JSON_DEPTH,
	TEXT_JSON_NODES,
	TEXT_JSON_SIZE,
	TEXT_JSON_NOMEM /* not a verdict on the bytes: memory was not to be had; answer 503 */
};

/* Checks that doc is exactly one JSON value, white space around it allowed. Returns
 * TEXT_JSON_VALID, or why not, with the offset of the offending byte in *ret_offset (which may be
 * NULL); for a key that is there twice the offset of the quotation mark before the later one. */
enum text_json_verdict text_json_check(
	struct bytes doc, const struct text_json_limits *limits, size_t *ret_offset);

/* The verdict as a phrase for people, for example "a key that its object has already". Static. */
const char *text_json_reason(enum text_json_verdict verdict);

#endif
