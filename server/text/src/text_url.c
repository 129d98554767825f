#include "text_url.h"

#include <string.h>

#include "text_utf8.h"

/* What a decoded character may be, besides UTF-8. */
enum rule {
	RULE_SEGMENT, /* no controls, '/' or '\' */
	RULE_VALUE    /* no NUL; '+' is a space */
};

static bool is_allowed(uint8_t byte, enum rule rule)
{
	if (rule == RULE_VALUE)
		return byte != 0;
	return byte >= 0x20 && byte != 0x7f && byte != '/' && byte != '\\';
}

static enum text_url_result decode(
	struct bytes text, enum rule rule, struct arena *arena, struct bytes *ret)
{
	size_t at = 0, n = 0;
	bool has_escapes = false;

	for (; at < text.n && !has_escapes; at++)
		has_escapes = text.p[at] == '%' || (rule == RULE_VALUE && text.p[at] == '+');
	char *out = NULL;
	if (has_escapes && !(out = arena_alloc(arena, text.n)))
		return TEXT_URL_LIMIT;
	for (at = 0; at < text.n; at++) {
		uint8_t byte = (uint8_t)text.p[at];
		if (byte == '%') {
			if (text.n - at < 3 ||
				!bytes_unhex((struct bytes){ text.p + at + 1, 2 }, &byte, 1))
				return TEXT_URL_ESCAPE;
			at += 2;
		} else if (byte == '+' && rule == RULE_VALUE) {
			byte = ' ';
		}
		if (!is_allowed(byte, rule))
			return TEXT_URL_FORBIDDEN;
		if (out)
			out[n++] = (char)byte;
	}
	struct bytes decoded = out ? (struct bytes){ out, n } : text;
	if (!text_utf8_is_valid(decoded))
		return TEXT_URL_UTF8;
	*ret = decoded;
	return TEXT_URL_OK;
}

enum text_url_result text_url_segment(struct bytes segment, struct arena *arena, struct bytes *ret)
{
	struct bytes decoded;

	enum text_url_result result = decode(segment, RULE_SEGMENT, arena, &decoded);
	if (result != TEXT_URL_OK)
		return result;
	if (decoded.n == 0 || bytes_eq(decoded, BYTES(".")) || bytes_eq(decoded, BYTES("..")))
		return TEXT_URL_FORBIDDEN;
	*ret = decoded;
	return TEXT_URL_OK;
}

enum text_url_result text_url_value(struct bytes text, struct arena *arena, struct bytes *ret)
{
	return decode(text, RULE_VALUE, arena, ret);
}

void text_url_query_init(struct text_url_query *query, struct bytes text, uint32_t max_pairs)
{
	*query = (struct text_url_query){ .rest = text, .max_pairs = max_pairs };
}

/* Takes what stands before the next '&' off the front of rest. */
static struct bytes take_pair(struct bytes *rest)
{
	const char *amp = memchr(rest->p, '&', rest->n);
	struct bytes pair = { rest->p, amp ? (size_t)(amp - rest->p) : rest->n };
	size_t taken = pair.n + (amp ? 1 : 0);

	*rest = (struct bytes){ rest->p + taken, rest->n - taken };
	return pair;
}

enum text_url_result text_url_query_next(struct text_url_query *query, struct arena *arena,
	struct bytes *ret_key, struct bytes *ret_value)
{
	struct bytes pair = { 0 };

	while (query->rest.n > 0 && pair.n == 0)
		pair = take_pair(&query->rest);
	if (pair.n == 0)
		return TEXT_URL_END;
	if (query->n_pairs == query->max_pairs)
		return TEXT_URL_LIMIT;
	query->n_pairs++;

	const char *equals = memchr(pair.p, '=', pair.n);
	struct bytes key = { pair.p, equals ? (size_t)(equals - pair.p) : pair.n };
	struct bytes value = { NULL, 0 };
	if (equals)
		value = (struct bytes){ equals + 1, pair.n - key.n - 1 };
	enum text_url_result result = text_url_value(key, arena, &key);
	if (result == TEXT_URL_OK)
		result = text_url_value(value, arena, &value);
	if (result != TEXT_URL_OK)
		return result;
	*ret_key = key;
	*ret_value = value;
	return TEXT_URL_OK;
}

bool text_url_encode(struct bytes_buf *out, struct bytes text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		uint8_t byte = (uint8_t)text.p[i];
		bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
				(byte >= 'a' && byte <= 'z') || byte == '-' || byte == '.' ||
				byte == '_' || byte == '~';
		char escape[3] = { '%', hex[byte >> 4], hex[byte & 15] };
		if (is_plain ? !bytes_buf_append_byte(out, (char)byte)
			     : !bytes_buf_append(out, (struct bytes){ escape, 3 }))
			return false;
	}
	return true;
}

const char *text_url_reason(enum text_url_result result)
{
	static const char *const reasons[] = {
		[TEXT_URL_OK] = "valid",
		[TEXT_URL_END] = "no more pairs",
		[TEXT_URL_ESCAPE] = "a percent sign without two hexadecimal digits",
		[TEXT_URL_FORBIDDEN] = "a character that may not stand here",
		[TEXT_URL_UTF8] = "not UTF-8",
		[TEXT_URL_LIMIT] = "too many parameters, or too long",
	};
	size_t i = (size_t)result;

	return i < sizeof reasons / sizeof reasons[0] ? reasons[i] : "unknown";
}
