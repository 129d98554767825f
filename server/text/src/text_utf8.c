#include "text_utf8.h"

#include <assert.h>
#include <string.h>

/* The second byte carries all the exceptions: after E0 it starts at A0 and after F0 at 90 (else the
 * form is overlong), after ED it ends at 9F (else a surrogate) and after F4 at 8F (U+10FFFF). */
size_t text_utf8_length(const char *p, size_t n)
{
	const uint8_t *b = (const uint8_t *)p;

	if (n == 0)
		return 0;
	if (b[0] < 0x80)
		return 1;
	if (b[0] < 0xc2 || b[0] > 0xf4 || n < 2)
		return 0;
	if (b[0] < 0xe0)
		return (b[1] & 0xc0) == 0x80 ? 2 : 0;

	uint8_t low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
	uint8_t high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
	if (n < 3 || b[1] < low || b[1] > high || (b[2] & 0xc0) != 0x80)
		return 0;
	if (b[0] < 0xf0)
		return 3;
	return n >= 4 && (b[3] & 0xc0) == 0x80 ? 4 : 0;
}

bool text_utf8_check(struct bytes text, size_t *ret_offset)
{
	size_t at = 0;

	while (at < text.n) {
		uint64_t word;
		if (text.n - at >= sizeof word) {
			memcpy(&word, text.p + at, sizeof word);
			if (!(word & 0x8080808080808080u)) {
				at += sizeof word;
				continue;
			}
		}
		size_t n = text_utf8_length(text.p + at, text.n - at);
		if (n == 0) {
			*ret_offset = at;
			return false;
		}
		at += n;
	}
	return true;
}

bool text_utf8_is_valid(struct bytes text)
{
	size_t offset;

	return text_utf8_check(text, &offset);
}

size_t text_utf8_put(uint32_t character, char out[static 4])
{
	assert(character <= 0x10ffff && (character & 0xfffff800) != 0xd800);

	if (character < 0x80) {
		out[0] = (char)character;
		return 1;
	}
	size_t n = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	static const uint8_t lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (character & 0x3f));
		character >>= 6;
	}
	out[0] = (char)(lead[n] | character);
	return n;
}

struct bytes text_utf8_prefix(struct bytes text, size_t max_bytes)
{
	if (text.n <= max_bytes)
		return text;
	/* Step back over at most three continuation bytes to a lead whose character would be cut.
	 */
	size_t cut = max_bytes;
	for (size_t back = 0; back < 4 && back <= max_bytes; back++) {
		size_t at = max_bytes - back;
		size_t n = text_utf8_length(text.p + at, text.n - at);
		if (n > 0) {
			if (at + n > max_bytes)
				cut = at;
			break;
		}
	}
	return (struct bytes){ text.p, cut };
}
