/*
 * text_json_writer.h - write JSON straight into a buffer
 *
 * The caller says what comes next; the writer puts commas, colons, quotation marks and escapes.
 * It allocates nothing of its own and checks nothing twice: the buffer's own failed flag tells at
 * the end whether all of it went in, so a sequence of writes is checked once, by
 * text_json_write_done().
 *
 * Whatever the caller passes, the result is a document that text_json_check accepts (raw values,
 * and keys written twice, are the caller's own word): bytes that are not UTF-8 are replaced by
 * U+FFFD, a double that is not finite becomes null.
 *
 * Threads: none inside. Memory: the caller owns writer and buffer.
 */
#ifndef TEXT_JSON_WRITER_H
#define TEXT_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

#define TEXT_JSON_WRITER_DEPTH 63

struct text_json_writer {
	struct bytes_buf *out;
	uint64_t has_items; /* bit d: level d has an item, the next one wants a comma */
	uint64_t in_object; /* bit d: level d is an object */
	uint32_t depth;
	bool has_key; /* a key was written and waits for its value */
	bool misused; /* begin, end, key and value did not come in an order that JSON has */
};

/* A writer at the end of out, which may hold bytes already. */
void text_json_writer_init(struct text_json_writer *writer, struct bytes_buf *out);

void text_json_begin_object(struct text_json_writer *writer);
void text_json_end_object(struct text_json_writer *writer);
void text_json_begin_array(struct text_json_writer *writer);
void text_json_end_array(struct text_json_writer *writer);

/* The name of the next value; only inside an object, and not checked for being there already. */
void text_json_write_key(struct text_json_writer *writer, struct bytes key);

void text_json_write_string(struct text_json_writer *writer, struct bytes text);
void text_json_write_int64(struct text_json_writer *writer, int64_t number);
/* Unsigned; what passes 2^63-1 is written with an exponent, as the double nearest to it. */
void text_json_write_uint64(struct text_json_writer *writer, uint64_t number);
/* The shortest digits that read back as the same double, laid out as JavaScript does (1e21, 1.5e-7,
 * 0.000001, -0 as 0), but integral values from 2^63 on as 9.3e18, since digits alone would be an
 * integer out of range. Not finite: null. */
void text_json_write_double(struct text_json_writer *writer, double number);
void text_json_write_bool(struct text_json_writer *writer, bool value);
void text_json_write_null(struct text_json_writer *writer);
/* A value that is JSON already: the caller's word for it. Must not be empty. */
void text_json_write_raw(struct text_json_writer *writer, struct bytes json);

/* True when every value is closed, the calls came in a legal order and the buffer took all bytes.
 */
bool text_json_write_done(const struct text_json_writer *writer);

/* Appends text with quotation marks and escapes, for callers that lay out JSON themselves. */
void text_json_append_string(struct bytes_buf *out, struct bytes text);

#define TEXT_JSON_DOUBLE_BYTES 32

/* The characters of number as text_json_write_double has them, without a terminator. Returns how
 * many they are; 4 ("null") when number is not finite. */
size_t text_json_format_double(double number, char out[static TEXT_JSON_DOUBLE_BYTES]);

#endif
