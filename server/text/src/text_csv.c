#include "text_csv.h"

#include <string.h>

#include "text_utf8.h"

void text_csv_init(struct text_csv_reader *reader, struct bytes text)
{
	if (bytes_starts_with(text, BYTES("\xef\xbb\xbf")))
		text = (struct bytes){ text.p + 3, text.n - 3 };
	*reader = (struct text_csv_reader){ .p = text.p,
		.end = text.n ? text.p + text.n : text.p,
		.line_start = text.p,
		.line = 1,
		.column = 1,
		.at_line = 1 };
}

static enum text_csv_type fail(
	struct text_csv_reader *reader, const char *at, enum text_csv_type type)
{
	reader->line = reader->at_line;
	reader->column = (uint64_t)(at - reader->line_start) + 1;
	reader->broken = type;
	return type;
}

/* A field is over at p: by a comma, which it takes, or by the end of its row. */
static enum text_csv_type end_field(struct text_csv_reader *reader)
{
	reader->in_row = false;
	reader->row_is_over = true;
	if (reader->p == reader->end)
		return TEXT_CSV_FIELD;
	if (*reader->p == ',') {
		reader->p++;
		reader->in_row = true;
		reader->row_is_over = false;
		return TEXT_CSV_FIELD;
	}
	if (*reader->p == '\r') {
		if (reader->end - reader->p < 2 || reader->p[1] != '\n')
			return fail(reader, reader->p, TEXT_CSV_CONTROL);
		reader->p++;
	}
	reader->p++; /* the LF */
	reader->line_start = reader->p;
	reader->at_line++;
	return TEXT_CSV_FIELD;
}

static bool ends_field(char byte)
{
	return byte == ',' || byte == '\n' || byte == '\r';
}

/* True when the text of a field holds nothing that it may not. */
static enum text_csv_type check_text(
	struct text_csv_reader *reader, struct bytes text, const char *line_start)
{
	size_t offset;
	const char *nul = text.n ? memchr(text.p, 0, text.n) : NULL;
	if (!nul && text_utf8_check(text, &offset))
		return TEXT_CSV_FIELD;
	const char *at = nul ? nul : text.p + offset;
	/* Where the line begins on which that stands. */
	reader->at_line = reader->line;
	reader->line_start = line_start;
	for (const char *p = text.p; p < at; p++)
		if (*p == '\n') {
			reader->at_line++;
			reader->line_start = p + 1;
		}
	return fail(reader, at, nul ? TEXT_CSV_CONTROL : TEXT_CSV_UTF8);
}

static enum text_csv_type next_plain(struct text_csv_reader *reader, struct bytes *ret)
{
	const char *start = reader->p;
	while (reader->p < reader->end && !ends_field(*reader->p)) {
		if (*reader->p == '"')
			return fail(reader, reader->p, TEXT_CSV_QUOTE);
		reader->p++;
	}
	*ret = (struct bytes){ start, (size_t)(reader->p - start) };
	enum text_csv_type type = check_text(reader, *ret, reader->line_start);
	return type == TEXT_CSV_FIELD ? end_field(reader) : type;
}

static bool take_quotes_out(struct arena *arena, struct bytes *text)
{
	char *out = arena_alloc(arena, text->n + 1);
	size_t n = 0;
	if (!out)
		return false;
	for (size_t i = 0; i < text->n; i++) {
		out[n++] = text->p[i];
		if (text->p[i] == '"')
			i++; /* the second of two */
	}
	*text = (struct bytes){ out, n };
	return true;
}

static enum text_csv_type next_quoted(
	struct text_csv_reader *reader, struct arena *arena, struct bytes *ret)
{
	const char *line_start = reader->line_start, *start = ++reader->p;
	bool has_quotes = false;
	for (;; reader->p++) {
		if (reader->p == reader->end) {
			reader->at_line = reader->line;
			reader->line_start = line_start;
			return fail(reader, start - 1, TEXT_CSV_UNCLOSED);
		}
		if (*reader->p == '\n') {
			reader->at_line++;
			reader->line_start = reader->p + 1;
		}
		if (*reader->p != '"')
			continue;
		if (reader->end - reader->p < 2 || reader->p[1] != '"')
			break;
		has_quotes = true;
		reader->p++;
	}
	*ret = (struct bytes){ start, (size_t)(reader->p - start) };
	reader->p++; /* the closing one */
	if (reader->p < reader->end && !ends_field(*reader->p))
		return fail(reader, reader->p, TEXT_CSV_AFTER);
	uint64_t at_line = reader->at_line;
	const char *at_start = reader->line_start;
	enum text_csv_type type = check_text(reader, *ret, line_start);
	if (type != TEXT_CSV_FIELD)
		return type;
	reader->at_line = at_line;
	reader->line_start = at_start;
	if (has_quotes && !take_quotes_out(arena, ret))
		return fail(reader, reader->p, TEXT_CSV_LIMIT);
	return end_field(reader);
}

enum text_csv_type text_csv_next(
	struct text_csv_reader *reader, struct arena *arena, struct bytes *ret)
{
	*ret = (struct bytes){ NULL, 0 };
	if (reader->broken != TEXT_CSV_FIELD)
		return reader->broken;
	if (reader->row_is_over) {
		reader->row_is_over = false;
		return TEXT_CSV_ROW;
	}
	if (reader->p == reader->end && !reader->in_row)
		return TEXT_CSV_END;
	reader->line = reader->at_line;
	reader->column = (uint64_t)(reader->p - reader->line_start) + 1;
	if (reader->p < reader->end && *reader->p == '"')
		return next_quoted(reader, arena, ret);
	return next_plain(reader, ret);
}

const char *text_csv_reason(enum text_csv_type type)
{
	switch (type) {
	case TEXT_CSV_QUOTE:
		return "a quotation mark inside a field that does not begin with one";
	case TEXT_CSV_UNCLOSED:
		return "a quoted field that does not end";
	case TEXT_CSV_AFTER:
		return "something behind a closing quotation mark";
	case TEXT_CSV_CONTROL:
		return "a NUL, or a CR without LF";
	case TEXT_CSV_UTF8:
		return "bytes that are not UTF-8";
	case TEXT_CSV_LIMIT:
		return "a row that is too large";
	case TEXT_CSV_FIELD:
	case TEXT_CSV_ROW:
	case TEXT_CSV_END:
		break;
	}
	return "nothing wrong";
}

bool text_csv_append(struct bytes_buf *out, struct bytes field)
{
	/* In front of all it would be taken for a byte order mark. */
	bool is_plain = !bytes_starts_with(field, BYTES("\xef\xbb\xbf"));
	for (size_t i = 0; i < field.n && is_plain; i++)
		is_plain = !ends_field(field.p[i]) && field.p[i] != '"';
	if (is_plain)
		return bytes_buf_append(out, field);
	bool is_in = bytes_buf_append_byte(out, '"');
	for (size_t i = 0; i < field.n && is_in; i++)
		is_in = (field.p[i] != '"' || bytes_buf_append_byte(out, '"')) &&
			bytes_buf_append_byte(out, field.p[i]);
	return is_in && bytes_buf_append_byte(out, '"');
}
