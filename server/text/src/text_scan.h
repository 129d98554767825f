/*
 * text_scan.h - the parts that check, reader and writer share (private to text)
 *
 * Runs of plain characters are found eight bytes at a time, in one machine word. Each test below
 * sets the top bit of a byte that matches. A borrow may set it in bytes above a match too, never
 * below, so the lowest bit set is always right, and only that one is used.
 */
#ifndef TEXT_SCAN_H
#define TEXT_SCAN_H

#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "text_json_check.h"

#define TEXT_SCAN_ONES 0x0101010101010101u
#define TEXT_SCAN_TOPS 0x8080808080808080u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest bit must be the first byte");

/* True for the bytes that a JSON string holds as they are, whatever their neighbours. */
static inline bool text_scan_is_plain(char c)
{
	uint8_t byte = (uint8_t)c;

	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* How many bytes at the start of the n at p are plain. */
static inline size_t text_scan_plain(const char *p, size_t n)
{
	size_t at = 0;

	while (n - at >= 8) {
		uint64_t x;
		memcpy(&x, p + at, 8);
		uint64_t quote = x ^ (TEXT_SCAN_ONES * '"');
		uint64_t slash = x ^ (TEXT_SCAN_ONES * '\\');
		uint64_t special = ((x - TEXT_SCAN_ONES * 0x20) | (quote - TEXT_SCAN_ONES)) & ~x;
		/* x's own top bit is not part of quote's or slash's complement, since both
		 * constants are below 0x80: ~x serves all three. */
		special |= (slash - TEXT_SCAN_ONES) & ~x;
		special = (special | x) & TEXT_SCAN_TOPS;
		if (special)
			return at + (size_t)__builtin_ctzll(special) / 8;
		at += 8;
	}
	while (at < n && text_scan_is_plain(p[at]))
		at++;
	return at;
}

/* Decodes the escape at *p, a backslash, with its second half when it is a surrogate pair. On
 * TEXT_JSON_VALID *p is past it and *ret_character is what it stands for. Else *p is unchanged and
 * the result is ESCAPE, SURROGATE or TRUNCATED. */
enum text_json_verdict text_scan_escape(const char **p, const char *end, uint32_t *ret_character);

/* Walks the bytes of a JSON string after unescaping, one at a time. */
struct text_scan_cursor {
	const char *p, *end; /* end: the closing quotation mark, or where the bytes end */
	char pending[4];
	uint8_t at, n; /* in pending */
};

/* The next byte, 0 to 255, or -1 at the closing quotation mark, at the end or at a broken escape.
 */
int text_scan_next(struct text_scan_cursor *cursor);

#endif
