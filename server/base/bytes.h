/*
 * bytes.h - a borrowed run of bytes, and a growing buffer that was born with a maximum
 *
 * struct bytes is how text and binary travel through Tenon: pointer and length, never a terminator.
 * struct bytes_buf is the one growing buffer; an append that would pass its maximum takes nothing
 * and says so, and the buffer remembers it (failed), so that a sequence of appends is checked once.
 *
 * Threads: none inside. Memory: struct bytes borrows; a bytes_buf owns its memory until fini.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "defer.h"

struct bytes {
	const char *p; /* may be NULL when n is 0 */
	size_t n;
};

/* A struct bytes over a string literal, without its terminator. */
#define BYTES(literal) ((struct bytes){ "" literal, sizeof(literal) - 1 })

/* A struct bytes over a C string; NULL gives an empty one. Borrows. */
struct bytes bytes_of(const char *string);

bool bytes_eq(struct bytes a, struct bytes b);
bool bytes_eq_string(struct bytes a, const char *string);
/* Equal but for the case of A to Z. */
bool bytes_eq_nocase(struct bytes a, struct bytes b);
bool bytes_starts_with(struct bytes a, struct bytes prefix);
/* Order by bytes, then by length: <0, 0, >0 as memcmp. */
int bytes_cmp(struct bytes a, struct bytes b);
/* True when both have the same length and content; takes the same time wherever they differ. */
bool bytes_eq_secret(struct bytes a, struct bytes b);

/* Parses an unsigned decimal number with nothing around it: no sign, no space, no leading zero but
 * "0" itself. Returns false, and leaves *ret alone, when it is not one or passes max. */
bool bytes_parse_u64(struct bytes text, uint64_t max, uint64_t *ret);

/* Writes 2*n lower-case hexadecimal digits to out, without a terminator. */
void bytes_hex(struct bytes data, char *out);
/* Parses exactly 2*n hexadecimal digits of either case into out. False when text is not that. */
bool bytes_unhex(struct bytes text, uint8_t *out, size_t n);

/* Copies at most cap-1 bytes to out and terminates it. Returns false when it had to cut. */
bool bytes_to_string(struct bytes text, char *out, size_t cap);

struct bytes_buf {
	char *p;
	size_t n, cap;
	size_t max;  /* n never passes this */
	bool failed; /* an append was refused: by max, or because memory was not to be had */
};

/* An empty buffer that may grow to max_bytes. Allocates nothing. */
void bytes_buf_init(struct bytes_buf *buf, size_t max_bytes);
/* Frees the memory; the buffer is empty and usable again with the same maximum. Takes {0}. */
void bytes_buf_fini(struct bytes_buf *buf);
/* Forgets the content and the failure, keeps the memory. */
void bytes_buf_clear(struct bytes_buf *buf);

/* Each append returns false, and changes nothing but failed, when it would pass the maximum. */
bool bytes_buf_append(struct bytes_buf *buf, struct bytes data);
bool bytes_buf_append_string(struct bytes_buf *buf, const char *string);
bool bytes_buf_append_byte(struct bytes_buf *buf, char byte);
bool bytes_buf_append_u64(struct bytes_buf *buf, uint64_t number);
bool bytes_buf_appendf(struct bytes_buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Makes room for n more bytes and returns where they go; the caller adds what it wrote to buf->n.
 * NULL, with failed set, when the buffer may not grow that far. */
char *bytes_buf_reserve(struct bytes_buf *buf, size_t n);

/* What the buffer holds, borrowed until its next change. */
struct bytes bytes_buf_view(const struct bytes_buf *buf);

/* DEFER(bytes_buf_fini) works on the struct itself, not on a pointer. */
static inline __attribute__((unused)) void bytes_buf_fini_deferred(struct bytes_buf *buf)
{
	bytes_buf_fini(buf);
}

#endif
