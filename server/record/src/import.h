/*
 * import.h - the rows of an import, one JSON body after the other
 */
#ifndef RECORD_SRC_IMPORT_H
#define RECORD_SRC_IMPORT_H

#include "record_import.h"
#include "text_csv.h"
#include "work.h"

enum rows_result {
	ROWS_NEXT, /* a row, in body */
	ROWS_END,
	ROWS_BROKEN /* see reason, line and column: nothing can be read behind that */
};

struct rows {
	enum record_import_format format;
	const struct record_collection *collection;
	struct text_csv_reader csv;
	struct text_json_reader json;
	const char *counted; /* up to here line breaks have been counted, of JSON */
	struct bytes text;
	struct bytes *names;                /* of the columns of CSV */
	const struct record_field **fields; /* NULL: unknown */
	size_t n_names;
	struct bytes_buf body_buf;

	/* the row */
	struct bytes body;
	uint64_t line, row; /* from 1 */
	/* what is wrong */
	uint64_t column;
	const char *reason;
};

/* Reads what stands in front of the rows. arena is for what lives as long as they do. */
enum rows_result rows_open(struct rows *rows, enum record_import_format format, struct bytes text,
	const struct record_collection *collection, struct arena *arena);
/* The next row. arena is for what lives as long as that. Cells that no value of their field's type
 * are add problems. */
enum rows_result rows_next(struct rows *rows, struct arena *arena, struct problems *problems);
void rows_close(struct rows *rows);

#endif
