/*
 * value.h - what a client sent for a field, as the field's type has it, and whether it may stand
 */
#ifndef RECORD_VALUE_H
#define RECORD_VALUE_H

#include "clock.h"
#include "schema.h"

struct value {
	bool is_set;
	bool is_null;        /* of a json field */
	double number;       /* number; bool: 0 or 1; geoPoint: its longitude */
	double latitude;     /* of geoPoint */
	struct bytes text;   /* all else: as the column will hold it */
	struct bytes *items; /* of select, relation and file: the choices */
	size_t n_items;
};

/* What a field holds when nothing was said. */
void value_default(const struct record_field *field, struct value *ret);

/* What a field of raw JSON says when its column holds nothing, as a view's may: "null", "[]". */
struct bytes value_empty_json(const struct record_field *field);
/* Turns JSON into the field's type, leniently, as PocketBase does ("12" is 12 for a number, and
 * nonsense is the default). Returns false when the arena is full. */
bool value_parse(const struct record_field *field, struct bytes json, struct arena *arena,
	struct value *ret);
/* From what the column holds. */
bool value_of_column(const struct record_field *field, struct store_stmt *stmt, int column,
	struct arena *arena, struct value *ret);
/* Makes text of the items after they were changed. */
bool value_set_items(const struct record_field *field, struct value *value, struct arena *arena);

/* The problems of one write: the error body's "data", in the making. */
struct problems {
	struct bytes_buf *out;
	struct text_json_writer writer;
	size_t n;
};
void problems_init(struct problems *problems, struct bytes_buf *out);
/* Adds one; printf-formats the message. */
void problems_add(struct problems *problems, struct bytes field, const char *code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same with the error's params: the inside of a JSON object, as in "\"max\":5". */
void problems_add_params(struct problems *problems, struct bytes field, const char *code,
	struct bytes params, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Closes the object. */
void problems_finish(struct problems *problems);

/* Adds a problem when the value breaks the field's options. What only the database knows (unique,
 * existing relations) is checked in the write. */
void value_check(
	const struct record_field *field, const struct value *value, struct problems *problems);
/* The same for a plain password. */
void value_check_password(
	const struct record_field *field, struct bytes password, struct problems *problems);

/* Whether the value that json is can become one of field without losing what it says: for a change
 * of a field's type. */
bool value_converts(const struct record_field *field, struct bytes json, struct arena *arena);

void value_bind(const struct record_field *field, const struct value *value,
	struct store_stmt *stmt, int index);

/* "2026-11-23 14:24:25.123Z" of the usual spellings of a date. False when text is none. */
bool value_parse_date(struct bytes text, char out[static CLOCK_TEXT_BYTES]);

#endif
