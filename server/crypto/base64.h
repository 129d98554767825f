/*
 * base64.h - base64url without padding (RFC 4648 section 5), as tokens and cookies carry bytes
 *
 * Parsing is strict: no padding, no white space, no other alphabet, and no spare bits set, so that
 * one run of bytes has exactly one spelling and a token cannot be respelt.
 *
 * Threads: all functions from any thread. Memory: the caller's.
 */
#ifndef CRYPTO_BASE64_H
#define CRYPTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/* Characters that n bytes become, without a terminator. */
#define BASE64_TEXT_BYTES(n) (((n)*4 + 2) / 3)
/* The most bytes that n characters can hold. */
#define BASE64_DATA_BYTES(n) ((n) / 4 * 3 + 2)

/* Writes BASE64_TEXT_BYTES(data.n) characters to out, without a terminator. Returns their number.
 */
size_t base64_format(struct bytes data, char *out);

/* Parses text into out, which has room for cap bytes, and stores their number in *ret_n. False,
 * with out and *ret_n undefined, when text is not strict base64url or does not fit. */
bool base64_parse(struct bytes text, uint8_t *out, size_t cap, size_t *ret_n);

#endif
