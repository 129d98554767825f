#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64_format(struct bytes data, char *out)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < data.n; i++) {
		bits = bits << 8 | (uint8_t)data.p[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			out[n++] = alphabet[bits >> (n_bits - 6) & 63];
	}
	if (n_bits > 0)
		out[n++] = alphabet[bits << (6 - n_bits) & 63];
	return n;
}

/* The value of one character, or -1. Ranges and not a table: tokens are secrets, and a lookup by a
 * secret byte leaves its trace in the cache. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64_parse(struct bytes text, uint8_t *out, size_t cap, size_t *ret_n)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t n = 0;

	if (text.n % 4 == 1)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int value = value_of(text.p[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		if (n == cap)
			return false;
		out[n++] = (uint8_t)(bits >> n_bits);
	}
	/* What is left over is less than one byte and was zero when we wrote it. */
	if (bits & ((1u << n_bits) - 1))
		return false;
	*ret_n = n;
	return true;
}
