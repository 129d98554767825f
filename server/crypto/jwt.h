/*
 * jwt.h - JSON web tokens, HS256 and nothing else
 *
 * A token is read in two steps, because the signing key depends on whom the token names:
 * jwt_split() takes it apart and hands out the payload, not to be believed yet; the caller finds
 * the key; then jwt_check() decides. The header is compared as bytes with the one we write: there
 * is no parser to confuse, no "alg" to choose, no "none".
 *
 * Expiry is in the payload: auth's token reader checks it, the only caller of this file.
 *
 * Threads: none inside. Memory: the caller's.
 */
#ifndef CRYPTO_JWT_H
#define CRYPTO_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "hash.h"

#define JWT_PAYLOAD_MAX 1024 /* bytes of a payload's JSON text */
/* Characters of the longest token: header, payload, signature and two dots. */
#define JWT_TOKEN_MAX (36 + 1 + (JWT_PAYLOAD_MAX * 4 + 2) / 3 + 1 + 43)

struct jwt {
	struct bytes signed_part; /* borrowed from the token: header, dot, payload */
	uint8_t signature[HASH_BYTES];
	size_t n_payload;
	char payload[JWT_PAYLOAD_MAX]; /* JSON text as it stood in the token; unchecked until
					  jwt_check */
};

/* Signs payload (JSON text, at most JWT_PAYLOAD_MAX bytes) and appends the token to out. False when
 * payload is too long or out is full. */
bool jwt_sign(struct bytes key, struct bytes payload, struct bytes_buf *out);

/* Takes a token apart. False when it has not exactly our header, a payload and a signature of
 * HS256's size, each strict base64url. The token must outlive *ret. */
bool jwt_split(struct bytes token, struct jwt *ret);

/* True when the token was signed with key. Time depends on the token's length only. */
bool jwt_check(const struct jwt *jwt, struct bytes key);

#endif
