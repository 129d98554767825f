/*
 * rows.c - the rows of CSV or JSON, as the bodies that a client would have sent
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "import.h"

#define COLUMNS_MAX       (FIELDS_MAX + 32)
#define CELL_NUMBER_BYTES 64

static enum rows_result broken(struct rows *rows, const char *reason)
{
	rows->reason = reason;
	return ROWS_BROKEN;
}

static enum rows_result broken_csv(struct rows *rows, enum text_csv_type type)
{
	rows->line = rows->csv.line;
	rows->column = rows->csv.column;
	return broken(rows, text_csv_reason(type));
}

/* ---- CSV ---- */

static bool is_named(const struct rows *rows, struct bytes name)
{
	for (size_t i = 0; i < rows->n_names; i++)
		if (bytes_eq(rows->names[i], name))
			return true;
	return false;
}

static enum rows_result open_csv(struct rows *rows, struct arena *arena)
{
	enum text_csv_type type;
	struct bytes name;
	rows->names = arena_alloc(arena, COLUMNS_MAX * sizeof(*rows->names));
	rows->fields = arena_alloc(arena, COLUMNS_MAX * sizeof(struct record_field *));
	if (!rows->names || !rows->fields)
		return broken(rows, "the server is short of memory");
	text_csv_init(&rows->csv, rows->text);
	while ((type = text_csv_next(&rows->csv, arena, &name)) == TEXT_CSV_FIELD) {
		rows->line = rows->csv.line;
		rows->column = rows->csv.column;
		if (rows->n_names == COLUMNS_MAX)
			return broken(rows, "more columns than a collection can have fields");
		if (name.n == 0 || is_named(rows, name))
			return broken(rows, "the first row must name each column, once");
		rows->fields[rows->n_names] = collection_field(rows->collection, name);
		rows->names[rows->n_names++] = name;
	}
	if (type == TEXT_CSV_END)
		return broken(rows, "the first row must name the columns");
	return type == TEXT_CSV_ROW ? ROWS_NEXT : broken_csv(rows, type);
}

static bool is_json(struct bytes text)
{
	return text_json_check(text, &TEXT_JSON_LIMITS, NULL) == TEXT_JSON_VALID;
}

static bool is_number(struct bytes text)
{
	char copy[CELL_NUMBER_BYTES], *stop;
	if (!bytes_to_string(text, copy, sizeof(copy)) || isspace((unsigned char)copy[0]) ||
		strpbrk(copy, "xXnNpP"))
		return false; /* 0x10, nan and inf are for C */
	double number = strtod(copy, &stop);
	return stop != copy && *stop == '\0' && isfinite(number);
}

static bool is_bool(struct bytes text)
{
	static const char *const words[] = { "true", "false", "1", "0", "t", "f" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (bytes_eq_nocase(text, bytes_of(words[i])))
			return true;
	return false;
}

/* A cell has no type of its own: what is no value of its field's would silently become the empty
 * one. */
static bool is_value(const struct record_field *field, struct bytes text)
{
	char date[CLOCK_TEXT_BYTES];
	if (text.n == 0)
		return true;
	switch (field->type) {
	case FIELD_NUMBER:
		return is_number(text);
	case FIELD_BOOL:
		return is_bool(text);
	case FIELD_DATE:
		return value_parse_date(text, date);
	case FIELD_JSON:
	case FIELD_GEO_POINT:
		return is_json(text);
	default:
		return true;
	}
}

static bool is_bracketed(struct bytes text)
{
	return text.n >= 2 && ((text.p[0] == '[' && text.p[text.n - 1] == ']') ||
				      (text.p[0] == '{' && text.p[text.n - 1] == '}'));
}

static void write_cell(struct text_json_writer *writer, const struct record_field *field,
	struct bytes name, struct bytes text, struct problems *problems)
{
	text_json_write_key(writer, name);
	if (field && !is_value(field, text)) {
		problems_add(problems, name, "validation_invalid_value", "Invalid value.");
		text_json_write_null(writer);
	} else if (field && field->type == FIELD_JSON) {
		text_json_write_raw(writer, text.n ? text : BYTES("null"));
	} else if (field && field->type == FIELD_BOOL) {
		text_json_write_bool(writer, text.n && strchr("tT1", text.p[0]));
	} else if (field && is_bracketed(text) && field->is_raw && is_json(text)) {
		text_json_write_raw(writer, text);
	} else {
		text_json_write_string(writer, text);
	}
}

static enum rows_result next_csv(struct rows *rows, struct arena *arena, struct problems *problems)
{
	struct text_json_writer writer;
	enum text_csv_type type;
	struct bytes cell;
	size_t n = 0;
	bytes_buf_clear(&rows->body_buf);
	text_json_writer_init(&writer, &rows->body_buf);
	text_json_begin_object(&writer);
	while ((type = text_csv_next(&rows->csv, arena, &cell)) == TEXT_CSV_FIELD) {
		if (n == 0)
			rows->line = rows->csv.line;
		if (n == rows->n_names) {
			rows->column = rows->csv.column;
			return broken(rows, "more cells than columns");
		}
		/* An id that is not there is drawn; a password is no cell's to give. */
		bool is_absent =
			cell.n == 0 && (bytes_eq_string(rows->names[n], "id") ||
					       bytes_eq_string(rows->names[n], "password"));
		if (!is_absent)
			write_cell(&writer, rows->fields[n], rows->names[n], cell, problems);
		n++;
	}
	text_json_end_object(&writer);
	if (type == TEXT_CSV_END)
		return ROWS_END;
	if (type != TEXT_CSV_ROW)
		return broken_csv(rows, type);
	rows->column = 1;
	if (n < rows->n_names)
		return broken(rows, "fewer cells than columns");
	if (!text_json_write_done(&writer))
		return broken(rows, "a row that is too large");
	rows->body = bytes_buf_view(&rows->body_buf);
	return ROWS_NEXT;
}

/* ---- JSON ---- */

static void count_lines(struct rows *rows, const char *to)
{
	for (; rows->counted < to; rows->counted++)
		rows->line += *rows->counted == '\n';
}

static enum rows_result open_json(struct rows *rows)
{
	const struct text_json_limits limits = { .max_depth = 32,
		.max_nodes = 100u * RECORD_IMPORT_ROWS_MAX,
		.max_bytes = RECORD_IMPORT_BYTES_MAX };
	struct text_json_token token;
	size_t offset = 0;
	rows->line = 1;
	rows->counted = rows->text.p;
	enum text_json_verdict verdict = text_json_check(rows->text, &limits, &offset);
	if (verdict != TEXT_JSON_VALID) {
		const char *at = rows->text.p + offset, *line_start = at;
		count_lines(rows, at);
		while (line_start > rows->text.p && line_start[-1] != '\n')
			line_start--;
		rows->column = (uint64_t)(at - line_start) + 1;
		return broken(rows, text_json_reason(verdict));
	}
	text_json_reader_init(&rows->json, rows->text);
	rows->column = 1;
	if (text_json_next(&rows->json, &token) != TEXT_JSON_ARRAY)
		return broken(rows, "no array of objects");
	return ROWS_NEXT;
}

static enum rows_result next_json(struct rows *rows)
{
	static const struct text_json_token between = { .type = TEXT_JSON_NULL };
	rows->body = text_json_skip(&rows->json, &between);
	if (rows->body.n == 0)
		return ROWS_END;
	count_lines(rows, rows->body.p);
	return ROWS_NEXT;
}

enum rows_result rows_open(struct rows *rows, enum record_import_format format, struct bytes text,
	const struct record_collection *collection, struct arena *arena)
{
	*rows = (struct rows){ .format = format, .text = text, .collection = collection };
	bytes_buf_init(&rows->body_buf, RECORD_BODY_MAX);
	return format == RECORD_IMPORT_CSV ? open_csv(rows, arena) : open_json(rows);
}

enum rows_result rows_next(struct rows *rows, struct arena *arena, struct problems *problems)
{
	enum rows_result result = rows->format == RECORD_IMPORT_CSV
					  ? next_csv(rows, arena, problems)
					  : next_json(rows);
	rows->row += result == ROWS_NEXT;
	return result;
}

void rows_close(struct rows *rows)
{
	bytes_buf_fini(&rows->body_buf);
}
