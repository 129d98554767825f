/*
 * text_csv.h - comma-separated values, field by field, in the strict sense
 *
 * RFC 4180 with a line break of LF or CRLF, UTF-8, a byte order mark in front allowed. What two
 * readers could take for two different tables is refused: a quotation mark inside a field that does
 * not begin with one, anything but a comma or a line break behind a closing one, a CR alone, NUL,
 * bytes that are not UTF-8.
 *
 *   a,"b ""c""",d\r\n   ─▶   FIELD a, FIELD b "c", FIELD d, ROW
 *   (the end)           ─▶   END
 *
 * How many fields a row has is the caller's concern. An empty line is a row of one empty field; a
 * line break at the very end begins no row.
 *
 * Threads: none inside. Memory: a field borrows from the text, or is in the caller's arena when
 * quotation marks had to be taken out of it.
 */
#ifndef TEXT_CSV_H
#define TEXT_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"

enum text_csv_type {
	TEXT_CSV_FIELD,
	TEXT_CSV_ROW, /* the row is over */
	TEXT_CSV_END, /* so is the text; and every later call says so */
	/* What is wrong, at line and column; so is every later call. */
	TEXT_CSV_QUOTE,    /* a quotation mark where none may stand */
	TEXT_CSV_UNCLOSED, /* the text ends inside a quoted field */
	TEXT_CSV_AFTER,    /* something behind a closing quotation mark */
	TEXT_CSV_CONTROL,  /* NUL, or CR without LF */
	TEXT_CSV_UTF8,
	TEXT_CSV_LIMIT /* the arena is full */
};

struct text_csv_reader {
	const char *p, *end, *line_start;
	bool in_row;               /* a field must come */
	bool row_is_over;          /* and ROW must be told */
	enum text_csv_type broken; /* TEXT_CSV_FIELD: nothing is */
	/* Of the last field, or of what is wrong: the line it begins on, from 1, and the byte in
	 * that line, from 1. */
	uint64_t line, column;
	uint64_t at_line; /* private: where p is */
};

/* A reader at the start of text, which stays the caller's. */
void text_csv_init(struct text_csv_reader *reader, struct bytes text);

/* The next field, in *ret, or what else there is. */
enum text_csv_type text_csv_next(
	struct text_csv_reader *reader, struct arena *arena, struct bytes *ret);

/* For people; static. */
const char *text_csv_reason(enum text_csv_type type);

/* Appends a field, in quotation marks when it needs them. False when out may not grow. */
bool text_csv_append(struct bytes_buf *out, struct bytes field);

#endif
