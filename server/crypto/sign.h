/*
 * sign.h - Ed25519 signatures and the key files they come from
 *
 * Seals of the journal and, later, plugin artifacts are signed with these. Signing is
 * deterministic: it needs no entropy, so a seal can never fail for want of it.
 *
 * Threads: all functions from any thread; a key is read-only once made. Memory: the caller's.
 */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"

#define SIGN_SEED_BYTES      32
#define SIGN_PUBLIC_BYTES    32
#define SIGN_SIGNATURE_BYTES 64

struct sign_key {
	uint8_t public_key[SIGN_PUBLIC_BYTES];
	uint8_t secret[64];
};

void sign_key_init(struct sign_key *key, const uint8_t seed[static SIGN_SEED_BYTES]);
/* Wipes the secret. */
void sign_key_fini(struct sign_key *key);

/* The key whose seed is in the key file at path, created when it is absent. As key_file_open(). */
int sign_key_open(const char *path, struct sign_key *key, struct err *err);

void sign_make(
	const struct sign_key *key, struct bytes data, uint8_t out[static SIGN_SIGNATURE_BYTES]);

/* True when signature is public_key's over data. */
bool sign_check(const uint8_t public_key[static SIGN_PUBLIC_BYTES], struct bytes data,
	const uint8_t signature[static SIGN_SIGNATURE_BYTES]);

#endif
