/*
 * hash.h - SHA-256 and HMAC-SHA256
 *
 * One hash for everything: content addresses, the journal's chain, token signatures. A struct hash
 * is a running computation in the caller's storage, so the journal's append path allocates nothing.
 *
 * Threads: none inside. Memory: the caller's; a struct hash may be copied to fork a common prefix.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define HASH_BYTES 32

struct hash {
	_Alignas(16) uint8_t state[128];
};

void hash_init(struct hash *hash);
void hash_add(struct hash *hash, const void *data, size_t n);
/* Writes the digest of everything added. The computation is over: hash_init starts another. */
void hash_end(struct hash *hash, uint8_t out[static HASH_BYTES]);

/* The digest of one run of bytes. */
void hash_of(struct bytes data, uint8_t out[static HASH_BYTES]);

/* HMAC-SHA256 of data under a key of any length. */
void hash_hmac(struct bytes key, struct bytes data, uint8_t out[static HASH_BYTES]);

#endif
