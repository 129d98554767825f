#include "bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes bytes_of(const char *string)
{
	return (struct bytes){ string, string ? strlen(string) : 0 };
}

bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_eq_string(struct bytes a, const char *string)
{
	return bytes_eq(a, bytes_of(string));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool bytes_eq_nocase(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool bytes_starts_with(struct bytes a, struct bytes prefix)
{
	return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

int bytes_cmp(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	if (order)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool bytes_eq_secret(struct bytes a, struct bytes b)
{
	volatile unsigned char differs = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		differs = (unsigned char)(differs | (unsigned char)(a.p[i] ^ b.p[i]));
	return differs == 0;
}

bool bytes_parse_u64(struct bytes text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text.p[i] - '0');
		/* Compare on the limit side: value * 10 + digit could wrap around. */
		if (digit > max || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return true;
}

void bytes_hex(struct bytes data, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < data.n; i++) {
		unsigned char byte = (unsigned char)data.p[i];
		out[2 * i] = digits[byte >> 4];
		out[2 * i + 1] = digits[byte & 15];
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool bytes_unhex(struct bytes text, uint8_t *out, size_t n)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool bytes_to_string(struct bytes text, char *out, size_t cap)
{
	assert(cap > 0);
	size_t n = text.n < cap ? text.n : cap - 1;

	if (n)
		memcpy(out, text.p, n);
	out[n] = '\0';
	return n == text.n;
}

void bytes_buf_init(struct bytes_buf *buf, size_t max_bytes)
{
	*buf = (struct bytes_buf){ .max = max_bytes };
}

void bytes_buf_fini(struct bytes_buf *buf)
{
	free(buf->p);
	*buf = (struct bytes_buf){ .max = buf->max };
}

void bytes_buf_clear(struct bytes_buf *buf)
{
	buf->n = 0;
	buf->failed = false;
}

char *bytes_buf_reserve(struct bytes_buf *buf, size_t n)
{
	/* Subtract on the limit side: n + buf->n could wrap around. */
	if (n > buf->max - buf->n) {
		buf->failed = true;
		return NULL;
	}
	if (n > buf->cap - buf->n) {
		size_t cap = buf->cap ? buf->cap : 256;
		while (cap < buf->n + n && cap <= buf->max / 2)
			cap *= 2;
		if (cap < buf->n + n || cap > buf->max)
			cap = buf->max;
		char *p = realloc(buf->p, cap);
		if (!p) {
			buf->failed = true;
			return NULL;
		}
		buf->p = p;
		buf->cap = cap;
	}
	/* An empty buffer asked for no room has no memory yet; give it an address all the same. */
	static char nothing[1];
	return buf->p ? buf->p + buf->n : nothing;
}

bool bytes_buf_append(struct bytes_buf *buf, struct bytes data)
{
	if (data.n == 0)
		return true;
	char *to = bytes_buf_reserve(buf, data.n);
	if (!to)
		return false;
	memcpy(to, data.p, data.n);
	buf->n += data.n;
	return true;
}

bool bytes_buf_append_string(struct bytes_buf *buf, const char *string)
{
	return bytes_buf_append(buf, bytes_of(string));
}

bool bytes_buf_append_byte(struct bytes_buf *buf, char byte)
{
	return bytes_buf_append(buf, (struct bytes){ &byte, 1 });
}

bool bytes_buf_append_u64(struct bytes_buf *buf, uint64_t number)
{
	char digits[20]; /* 2^64-1 has 20 */
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return bytes_buf_append(buf, (struct bytes){ digits + at, sizeof digits - at });
}

bool bytes_buf_appendf(struct bytes_buf *buf, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	/* vsnprintf wants room for a terminator, which is then not counted. */
	char *to = n < 0 ? NULL : bytes_buf_reserve(buf, (size_t)n + 1);
	if (to) {
		(void)vsnprintf(to, (size_t)n + 1, format, again);
		buf->n += (size_t)n;
	} else {
		buf->failed = true;
	}
	va_end(again);
	return to != NULL;
}

struct bytes bytes_buf_view(const struct bytes_buf *buf)
{
	return (struct bytes){ buf->p, buf->n };
}
