/*
 * text_json_reader.h - walk a checked JSON document without building a tree
 *
 * A pull reader: each text_json_next gives one token. It copies nothing; a token borrows from the
 * document. It is meant for documents that text_json_check has accepted: those it walks to
 * TEXT_JSON_END. On other bytes it stays inside them and ends with TEXT_JSON_BROKEN, but it does
 * not find every fault.
 *
 * Threads: none inside. Memory: the caller owns the reader; tokens live as long as the document.
 */
#ifndef TEXT_JSON_READER_H
#define TEXT_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "text_json_check.h"

enum text_json_type {
	TEXT_JSON_END,    /* the document is over; so is every later call */
	TEXT_JSON_BROKEN, /* not a document that the check accepts; so is every later call */
	TEXT_JSON_KEY,    /* a member's name; its value is the next token */
	TEXT_JSON_NULL,
	TEXT_JSON_FALSE,
	TEXT_JSON_TRUE,
	TEXT_JSON_INTEGER, /* fits int64 */
	TEXT_JSON_DOUBLE,  /* written with '.', 'e' or 'E' */
	TEXT_JSON_STRING,
	TEXT_JSON_OBJECT, /* opens; members follow until TEXT_JSON_OBJECT_END */
	TEXT_JSON_OBJECT_END,
	TEXT_JSON_ARRAY,
	TEXT_JSON_ARRAY_END
};

struct text_json_token {
	enum text_json_type type;
	bool has_escapes; /* key, string: raw needs unescaping */
	/* Key, string: what stands between the quotation marks. Number, word: its characters.
	 * Object and array: the opening bracket alone. */
	struct bytes raw;
};

struct text_json_reader {
	const char *start, *p, *end;
	uint64_t in_object; /* bit d: level d is an object */
	uint32_t depth;
	uint8_t expects; /* what may come next, private */
};

/* A reader at the start of doc, which stays the caller's and must outlive the reader's tokens. */
void text_json_reader_init(struct text_json_reader *reader, struct bytes doc);

/* The next token; returns its type, which is also in the token. */
enum text_json_type text_json_next(struct text_json_reader *reader, struct text_json_token *token);

/* After a KEY: passes over its value. After OBJECT or ARRAY: passes over what is left of it, its
 * end included. After anything else: passes over the next value of the array. Returns the whole
 * value's bytes (for OBJECT or ARRAY from the opening bracket), {NULL, 0} when there was none. */
struct bytes text_json_skip(struct text_json_reader *reader, const struct text_json_token *token);

/* The number of a TEXT_JSON_INTEGER, or of a TEXT_JSON_DOUBLE with an integral value in range.
 * False for all else. */
bool text_json_int64(const struct text_json_token *token, int64_t *ret);
/* The nearest double of an INTEGER or DOUBLE. False for all else. */
bool text_json_double(const struct text_json_token *token, double *ret);
/* False for what is not TRUE or FALSE. */
bool text_json_bool(const struct text_json_token *token, bool *ret);

/* The text of a KEY or STRING: raw itself when it holds no escapes, else a copy in arena. Returns
 * false when the token is neither, when an escape is broken or when the arena is full. */
bool text_json_text(const struct text_json_token *token, struct arena *arena, struct bytes *ret);

/* Unescapes what stands between the quotation marks into out, which has room for raw.n bytes: the
 * result is never longer. Returns false when an escape is broken. */
bool text_json_unescape(struct bytes raw, char *out, size_t *ret_n);

/* True when a KEY or STRING token, unescaped, is exactly text. Copies nothing. */
bool text_json_is(const struct text_json_token *token, struct bytes text);

enum text_json_find_result {
	TEXT_JSON_FOUND,
	TEXT_JSON_ABSENT,
	TEXT_JSON_BAD_POINTER /* pointer is not RFC 6901, or doc is not a checked document */
};

/* Finds the value at an RFC 6901 pointer ("" is the whole document, "/a/0/b~1c"). On FOUND *ret is
 * the value's bytes inside doc, itself a document, without white space around it. */
enum text_json_find_result text_json_find(
	struct bytes doc, struct bytes pointer, struct bytes *ret);

#endif
