#include "text_json_reader.h"

#include <stdlib.h>
#include <string.h>

#include "text_scan.h"
#include "text_utf8.h"

enum expects {
	EXPECTS_VALUE,         /* a value and nothing else: the document's, a member's, after ',' */
	EXPECTS_VALUE_OR_END,  /* just behind '[' */
	EXPECTS_MEMBER_OR_END, /* just behind '{' */
	EXPECTS_MORE_OR_END,   /* behind a value: ',' or the closing bracket, at depth 0 the end */
	EXPECTS_NOTHING,       /* the document is over */
	EXPECTS_BROKEN
};

void text_json_reader_init(struct text_json_reader *reader, struct bytes doc)
{
	const char *start = doc.n ? doc.p : "";

	*reader = (struct text_json_reader){
		.start = start, .p = start, .end = start + doc.n, .expects = EXPECTS_VALUE
	};
}

static enum text_json_type broken(struct text_json_reader *r, struct text_json_token *token)
{
	r->expects = EXPECTS_BROKEN;
	*token = (struct text_json_token){ .type = TEXT_JSON_BROKEN };
	return TEXT_JSON_BROKEN;
}

static void skip_space(struct text_json_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

static enum text_json_type give(struct text_json_reader *r, struct text_json_token *token,
	enum text_json_type type, const char *start, const char *end, enum expects expects)
{
	*token = (struct text_json_token){ .type = type, .raw = { start, (size_t)(end - start) } };
	r->p = end;
	r->expects = (uint8_t)expects;
	return type;
}

/* A KEY or STRING; p is at its opening quotation mark. */
static enum text_json_type read_string(struct text_json_reader *r, struct text_json_token *token,
	enum text_json_type type, enum expects expects)
{
	const char *start = r->p + 1, *p = start;
	bool has_escapes = false;

	for (;; p++) {
		p += text_scan_plain(p, (size_t)(r->end - p));
		if (p == r->end)
			return broken(r, token);
		if (*p == '"')
			break;
		if (*p == '\\') {
			has_escapes = true;
			if (++p == r->end)
				return broken(r, token);
		}
	}
	give(r, token, type, start, p, expects);
	token->has_escapes = has_escapes;
	r->p = p + 1;
	return type;
}

static enum text_json_type read_number(struct text_json_reader *r, struct text_json_token *token)
{
	const char *p = r->p;
	enum text_json_type type = TEXT_JSON_INTEGER;

	for (; p < r->end; p++) {
		if (*p == '.' || *p == 'e' || *p == 'E')
			type = TEXT_JSON_DOUBLE;
		else if (!(*p >= '0' && *p <= '9') && *p != '-' && *p != '+')
			break;
	}
	return give(r, token, type, r->p, p, EXPECTS_MORE_OR_END);
}

static enum text_json_type read_word(struct text_json_reader *r, struct text_json_token *token,
	enum text_json_type type, struct bytes word)
{
	if (!bytes_starts_with((struct bytes){ r->p, (size_t)(r->end - r->p) }, word))
		return broken(r, token);
	return give(r, token, type, r->p, r->p + word.n, EXPECTS_MORE_OR_END);
}

static enum text_json_type read_open(struct text_json_reader *r, struct text_json_token *token)
{
	bool is_object = *r->p == '{';

	if (r->depth == TEXT_JSON_DEPTH_MAX)
		return broken(r, token);
	uint64_t bit = 1ull << r->depth++;
	r->in_object = is_object ? r->in_object | bit : r->in_object & ~bit;
	return give(r, token, is_object ? TEXT_JSON_OBJECT : TEXT_JSON_ARRAY, r->p, r->p + 1,
		is_object ? EXPECTS_MEMBER_OR_END : EXPECTS_VALUE_OR_END);
}

static enum text_json_type read_value(struct text_json_reader *r, struct text_json_token *token)
{
	if (r->p == r->end)
		return broken(r, token);
	switch (*r->p) {
	case '{':
	case '[':
		return read_open(r, token);
	case '"':
		return read_string(r, token, TEXT_JSON_STRING, EXPECTS_MORE_OR_END);
	case 't':
		return read_word(r, token, TEXT_JSON_TRUE, BYTES("true"));
	case 'f':
		return read_word(r, token, TEXT_JSON_FALSE, BYTES("false"));
	case 'n':
		return read_word(r, token, TEXT_JSON_NULL, BYTES("null"));
	default:
		if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
			return read_number(r, token);
		return broken(r, token);
	}
}

/* A member's name with the colon behind it. */
static enum text_json_type read_key(struct text_json_reader *r, struct text_json_token *token)
{
	skip_space(r);
	if (r->p == r->end || *r->p != '"')
		return broken(r, token);
	if (read_string(r, token, TEXT_JSON_KEY, EXPECTS_VALUE) == TEXT_JSON_BROKEN)
		return TEXT_JSON_BROKEN;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return broken(r, token);
	r->p++;
	return TEXT_JSON_KEY;
}

static enum text_json_type read_close(struct text_json_reader *r, struct text_json_token *token)
{
	r->depth--;
	return give(r, token, *r->p == '}' ? TEXT_JSON_OBJECT_END : TEXT_JSON_ARRAY_END, r->p,
		r->p + 1, EXPECTS_MORE_OR_END);
}

enum text_json_type text_json_next(struct text_json_reader *r, struct text_json_token *token)
{
	if (r->expects == EXPECTS_BROKEN)
		return broken(r, token);
	skip_space(r);
	if (r->expects == EXPECTS_VALUE)
		return read_value(r, token);
	if (r->depth == 0 || r->p == r->end) {
		if (r->depth > 0 || r->p < r->end)
			return broken(r, token);
		return give(r, token, TEXT_JSON_END, r->p, r->p, EXPECTS_NOTHING);
	}
	bool is_object = r->in_object >> (r->depth - 1) & 1;
	if (*r->p == (is_object ? '}' : ']'))
		return read_close(r, token);
	if (r->expects == EXPECTS_MORE_OR_END) {
		if (*r->p != ',')
			return broken(r, token);
		r->p++;
		skip_space(r);
	}
	return is_object ? read_key(r, token) : read_value(r, token);
}

struct bytes text_json_skip(struct text_json_reader *reader, const struct text_json_token *token)
{
	struct text_json_token t = *token;

	if (t.type != TEXT_JSON_OBJECT && t.type != TEXT_JSON_ARRAY)
		text_json_next(reader, &t);
	switch (t.type) {
	case TEXT_JSON_STRING:
		return (struct bytes){ t.raw.p - 1, t.raw.n + 2 };
	case TEXT_JSON_OBJECT:
	case TEXT_JSON_ARRAY:
		break;
	case TEXT_JSON_NULL:
	case TEXT_JSON_FALSE:
	case TEXT_JSON_TRUE:
	case TEXT_JSON_INTEGER:
	case TEXT_JSON_DOUBLE:
		return t.raw;
	default:
		return (struct bytes){ NULL, 0 };
	}
	const char *start = t.raw.p;
	uint32_t outside = reader->depth - 1;
	while (reader->depth > outside) {
		enum text_json_type type = text_json_next(reader, &t);
		if (type == TEXT_JSON_BROKEN || type == TEXT_JSON_END)
			return (struct bytes){ NULL, 0 };
	}
	return (struct bytes){ start, (size_t)(reader->p - start) };
}

bool text_json_int64(const struct text_json_token *token, int64_t *ret)
{
	if (token->type == TEXT_JSON_INTEGER) {
		struct bytes digits = token->raw;
		bool is_negative = digits.n > 0 && digits.p[0] == '-';
		uint64_t magnitude;
		if (is_negative)
			digits = (struct bytes){ digits.p + 1, digits.n - 1 };
		if (!bytes_parse_u64(digits, (uint64_t)INT64_MAX + is_negative, &magnitude))
			return false;
		*ret = (int64_t)(is_negative ? 0 - magnitude : magnitude);
		return true;
	}
	double number;
	/* 2^63 itself is a double and does not fit; -2^63 does. */
	if (token->type != TEXT_JSON_DOUBLE || !text_json_double(token, &number) ||
		number < -0x1p63 || number >= 0x1p63 || number != (double)(int64_t)number)
		return false;
	*ret = (int64_t)number;
	return true;
}

/* When the digits are an integer below 2^53 and the power of ten is one that a double holds
 * exactly, one multiplication or division rounds once, so it is right. Else the C library does it.
 */
static bool parse_small_double(struct bytes text, double *ret)
{
	static const double power_of_ten[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
		1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	const char *p = text.p, *end = text.p + text.n;
	uint64_t digits = 0;
	int scale = 0;
	bool is_negative = p < end && *p == '-', is_fraction = false;

	for (p += is_negative; p < end; p++) {
		if (*p == '.') {
			is_fraction = true;
			continue;
		}
		if (*p < '0' || *p > '9')
			return false;
		if (digits >= (1ull << 53) / 10)
			return false;
		digits = digits * 10 + (uint64_t)(*p - '0');
		scale += is_fraction;
		if (scale > 22)
			return false;
	}
	double value = (double)digits / power_of_ten[scale];
	*ret = is_negative ? -value : value;
	return true;
}

bool text_json_double(const struct text_json_token *token, double *ret)
{
	if (token->type != TEXT_JSON_INTEGER && token->type != TEXT_JSON_DOUBLE)
		return false;
	if (parse_small_double(token->raw, ret))
		return true;

	char copy[TEXT_JSON_NUMBER_MAX + 1];
	char *end;
	if (!bytes_to_string(token->raw, copy, sizeof copy))
		return false;
	double value = strtod(copy, &end);
	if (*end || value - value != 0)
		return false;
	*ret = value;
	return true;
}

bool text_json_bool(const struct text_json_token *token, bool *ret)
{
	if (token->type != TEXT_JSON_TRUE && token->type != TEXT_JSON_FALSE)
		return false;
	*ret = token->type == TEXT_JSON_TRUE;
	return true;
}

bool text_json_unescape(struct bytes raw, char *out, size_t *ret_n)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	size_t n = 0;

	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p));
		size_t run = (size_t)((slash ? slash : end) - p);
		memcpy(out + n, p, run);
		n += run;
		p += run;
		if (!slash)
			break;
		uint32_t character;
		if (text_scan_escape(&p, end, &character) != TEXT_JSON_VALID)
			return false;
		/* At most 3 bytes for the 6 of an escape, 4 for the 12 of a pair, 1 for the 2 of
		 * the others. */
		n += text_utf8_put(character, out + n);
	}
	*ret_n = n;
	return true;
}

bool text_json_text(const struct text_json_token *token, struct arena *arena, struct bytes *ret)
{
	if (token->type != TEXT_JSON_KEY && token->type != TEXT_JSON_STRING)
		return false;
	if (!token->has_escapes) {
		*ret = token->raw;
		return true;
	}
	char *copy = arena_alloc(arena, token->raw.n);
	size_t n;
	if (!copy || !text_json_unescape(token->raw, copy, &n))
		return false;
	*ret = (struct bytes){ copy, n };
	return true;
}

bool text_json_is(const struct text_json_token *token, struct bytes text)
{
	if (token->type != TEXT_JSON_KEY && token->type != TEXT_JSON_STRING)
		return false;
	if (!token->has_escapes)
		return bytes_eq(token->raw, text);
	struct text_scan_cursor cursor = { .p = token->raw.p, .end = token->raw.p + token->raw.n };
	for (size_t i = 0; i < text.n; i++)
		if (text_scan_next(&cursor) != (uint8_t)text.p[i])
			return false;
	return text_scan_next(&cursor) < 0 && cursor.p == cursor.end;
}

/* Is the key the one that a segment of a pointer, with its ~0 and ~1, names? */
static bool key_is_segment(const struct text_json_token *key, struct bytes segment)
{
	struct text_scan_cursor cursor = { .p = key->raw.p, .end = key->raw.p + key->raw.n };

	for (size_t i = 0; i < segment.n; i++) {
		char c = segment.p[i];
		if (c == '~')
			c = segment.p[++i] == '0' ? '~' : '/';
		if (text_scan_next(&cursor) != (uint8_t)c)
			return false;
	}
	return text_scan_next(&cursor) < 0 && cursor.p == cursor.end;
}

static bool is_pointer(struct bytes pointer)
{
	if (pointer.n > 0 && pointer.p[0] != '/')
		return false;
	for (size_t i = 0; i < pointer.n; i++)
		if (pointer.p[i] == '~' && (i + 1 == pointer.n || (pointer.p[i + 1] != '0' &&
									  pointer.p[i + 1] != '1')))
			return false;
	return true;
}

/* Moves the reader to just before the child that segment names; token is the opening bracket. */
static enum text_json_find_result enter_child(
	struct text_json_reader *reader, struct text_json_token *token, struct bytes segment)
{
	uint64_t index;

	if (token->type == TEXT_JSON_ARRAY) {
		/* "-" names the item behind the last one, which is never there. */
		if (!bytes_parse_u64(segment, UINT32_MAX, &index))
			return TEXT_JSON_ABSENT;
		for (; index > 0; index--)
			if (!text_json_skip(
				    reader, &(struct text_json_token){ .type = TEXT_JSON_NULL })
					.p)
				break;
		return index == 0 ? TEXT_JSON_FOUND : TEXT_JSON_ABSENT;
	}
	if (token->type != TEXT_JSON_OBJECT)
		return TEXT_JSON_ABSENT;
	while (text_json_next(reader, token) == TEXT_JSON_KEY) {
		if (key_is_segment(token, segment))
			return TEXT_JSON_FOUND;
		text_json_skip(reader, token);
	}
	return TEXT_JSON_ABSENT;
}

enum text_json_find_result text_json_find(struct bytes doc, struct bytes pointer, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;

	if (!is_pointer(pointer))
		return TEXT_JSON_BAD_POINTER;
	text_json_reader_init(&reader, doc);
	while (pointer.n > 0) {
		const char *from = pointer.p + 1, *end = pointer.p + pointer.n;
		const char *to = memchr(from, '/', (size_t)(end - from));
		struct bytes segment = { from, (size_t)((to ? to : end) - from) };
		text_json_next(&reader, &token);
		enum text_json_find_result result = enter_child(&reader, &token, segment);
		if (reader.expects == EXPECTS_BROKEN)
			return TEXT_JSON_BAD_POINTER;
		if (result != TEXT_JSON_FOUND)
			return result;
		pointer = (struct bytes){ from + segment.n, (size_t)(end - from) - segment.n };
	}
	/* The value itself: nothing when an array ended where the item should stand. */
	struct bytes value =
		text_json_skip(&reader, &(struct text_json_token){ .type = TEXT_JSON_NULL });
	if (reader.expects == EXPECTS_BROKEN)
		return TEXT_JSON_BAD_POINTER;
	if (!value.p)
		return TEXT_JSON_ABSENT;
	*ret = value;
	return TEXT_JSON_FOUND;
}
