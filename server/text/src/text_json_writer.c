#include "text_json_writer.h"

#include <assert.h>
#include <string.h>

#include "text_scan.h"
#include "text_utf8.h"

void text_json_writer_init(struct text_json_writer *writer, struct bytes_buf *out)
{
	*writer = (struct text_json_writer){ .out = out };
}

/* Settles what stands before the next value: nothing behind a key, a comma behind an item. Returns
 * how many bytes (0 or 1) that is, so that a caller can make room for all of its bytes at once. */
static size_t value_begins(struct text_json_writer *w)
{
	uint64_t bit = 1ull << w->depth;
	size_t comma = 0;

	if (w->has_key) {
		w->has_key = false;
		return 0;
	}
	if (w->has_items & bit) {
		comma = 1;
		w->misused |= w->depth == 0; /* a second document */
	}
	w->misused |= (w->in_object & bit) != 0; /* a value without its key */
	w->has_items |= bit;
	return comma;
}

static void put_short(struct text_json_writer *w, const char *text, size_t n)
{
	size_t comma = value_begins(w);
	char *to = bytes_buf_reserve(w->out, n + comma);

	if (!to)
		return;
	*to = ',';
	memcpy(to + comma, text, n);
	w->out->n += n + comma;
}

static void begin(struct text_json_writer *w, bool is_object)
{
	put_short(w, is_object ? "{" : "[", 1);
	if (w->depth == TEXT_JSON_WRITER_DEPTH) {
		w->misused = true;
		return;
	}
	uint64_t bit = 1ull << ++w->depth;
	w->has_items &= ~bit;
	w->in_object = is_object ? w->in_object | bit : w->in_object & ~bit;
}

static void end(struct text_json_writer *w, bool is_object)
{
	if (w->depth == 0 || w->has_key || (w->in_object >> w->depth & 1) != is_object) {
		w->misused = true;
		return;
	}
	w->depth--;
	bytes_buf_append_byte(w->out, is_object ? '}' : ']');
}

void text_json_begin_object(struct text_json_writer *writer)
{
	begin(writer, true);
}

void text_json_end_object(struct text_json_writer *writer)
{
	end(writer, true);
}

void text_json_begin_array(struct text_json_writer *writer)
{
	begin(writer, false);
}

void text_json_end_array(struct text_json_writer *writer)
{
	end(writer, false);
}

/* Appends text without quotation marks: runs as they are, the rest escaped or replaced. */
static void append_escaped(struct bytes_buf *out, struct bytes text)
{
	static const char hex[] = "0123456789abcdef";
	/* The control characters that have a short escape, else 0. */
	static const char letter[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};
	const char *p = text.p, *last = text.p + text.n, *run = p;

	while (p < last) {
		p += text_scan_plain(p, (size_t)(last - p));
		if (p == last)
			break;
		uint8_t byte = (uint8_t)*p;
		size_t n = byte >= 0x80 ? text_utf8_length(p, (size_t)(last - p)) : 0;
		if (n > 0) {
			p += n;
			continue;
		}
		bytes_buf_append(out, (struct bytes){ run, (size_t)(p - run) });
		if (byte >= 0x80)
			bytes_buf_append(out, BYTES("\xef\xbf\xbd")); /* U+FFFD */
		else if (byte >= 0x20)
			bytes_buf_append(out, (struct bytes){ (char[]){ '\\', *p }, 2 });
		else if (letter[byte])
			bytes_buf_append(out, (struct bytes){ (char[]){ '\\', letter[byte] }, 2 });
		else
			bytes_buf_append(
				out, (struct bytes){ (char[]){ '\\', 'u', '0', '0', hex[byte >> 4],
							     hex[byte & 15] },
					     6 });
		run = ++p;
	}
	bytes_buf_append(out, (struct bytes){ run, (size_t)(last - run) });
}

/* A string with a comma before it and a colon behind it, where wanted: in one piece when no
 * character needs anything done to it, as most do not. */
static void put_string(struct bytes_buf *out, size_t comma, struct bytes text, size_t colon)
{
	if (text_scan_plain(text.p, text.n) == text.n) {
		size_t n = comma + 1 + text.n + 1 + colon;
		char *to = bytes_buf_reserve(out, n);
		if (!to)
			return;
		*to = ',';
		to += comma;
		*to++ = '"';
		if (text.n)
			memcpy(to, text.p, text.n);
		to[text.n] = '"';
		if (colon)
			to[text.n + 1] = ':';
		out->n += n;
		return;
	}
	if (comma)
		bytes_buf_append_byte(out, ',');
	bytes_buf_append_byte(out, '"');
	append_escaped(out, text);
	bytes_buf_append_byte(out, '"');
	if (colon)
		bytes_buf_append_byte(out, ':');
}

void text_json_write_key(struct text_json_writer *writer, struct bytes key)
{
	uint64_t bit = 1ull << writer->depth;
	size_t comma = writer->has_items & bit ? 1 : 0;

	writer->misused |= writer->has_key || !(writer->in_object & bit);
	writer->has_items |= bit;
	writer->has_key = true;
	put_string(writer->out, comma, key, 1);
}

void text_json_write_string(struct text_json_writer *writer, struct bytes text)
{
	put_string(writer->out, value_begins(writer), text, 0);
}

void text_json_append_string(struct bytes_buf *out, struct bytes text)
{
	put_string(out, 0, text, 0);
}

void text_json_write_int64(struct text_json_writer *writer, int64_t number)
{
	char digits[20]; /* -2^63 has 20 */
	size_t at = sizeof digits;
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (number < 0)
		digits[--at] = '-';
	put_short(writer, digits + at, sizeof digits - at);
}

void text_json_write_uint64(struct text_json_writer *writer, uint64_t number)
{
	if (number <= INT64_MAX)
		text_json_write_int64(writer, (int64_t)number);
	else
		text_json_write_double(writer, (double)number);
}

void text_json_write_double(struct text_json_writer *writer, double number)
{
	char text[TEXT_JSON_DOUBLE_BYTES];

	put_short(writer, text, text_json_format_double(number, text));
}

void text_json_write_bool(struct text_json_writer *writer, bool value)
{
	put_short(writer, value ? "true" : "false", value ? 4 : 5);
}

void text_json_write_null(struct text_json_writer *writer)
{
	put_short(writer, "null", 4);
}

void text_json_write_raw(struct text_json_writer *writer, struct bytes json)
{
	writer->misused |= json.n == 0;
	if (value_begins(writer))
		bytes_buf_append_byte(writer->out, ',');
	bytes_buf_append(writer->out, json);
}

bool text_json_write_done(const struct text_json_writer *writer)
{
	return !writer->misused && !writer->out->failed && writer->depth == 0 && !writer->has_key &&
	       (writer->has_items & 1);
}
