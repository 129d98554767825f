/*
 * text_utf8.h - is this UTF-8?
 *
 * Strict as RFC 3629 has it: no overlong form, no surrogate, nothing above U+10FFFF.
 *
 * Threads: all functions from any thread.
 * Memory:  none is taken.
 */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/* The length, 1 to 4, of the one character that p starts with, or 0 when the n bytes at p do not
 * start with a whole and valid one. */
size_t text_utf8_length(const char *p, size_t n);

/* True when all of text is valid; the empty text is. */
bool text_utf8_is_valid(struct bytes text);

/* As above, and writes the offset of the first bad byte to *ret_offset when the answer is false. */
bool text_utf8_check(struct bytes text, size_t *ret_offset);

/* Writes the 1 to 4 bytes of a character, which is no surrogate and at most U+10FFFF, and returns
 * how many they are. */
size_t text_utf8_put(uint32_t character, char out[static 4]);

/* The longest prefix of text that has at most max_bytes and does not cut a valid character. */
struct bytes text_utf8_prefix(struct bytes text, size_t max_bytes);

#endif
