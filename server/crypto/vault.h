/*
 * vault.h - secrets at rest: sealed with a key that is not in the database
 *
 * What a tenant entrusts to us (the password of its mail server) lies in its database as text that
 * only the holder of a key file in data/keys/ can open: a stolen database, or a backup of it alone,
 * gives nothing away. XChaCha20-Poly1305 under a fresh nonce; the context (whose secret, which one)
 * is authenticated with it, so that a sealed text cannot be moved to another place.
 *
 * Threads: all functions from any thread; a vault is read-only once made. Memory: the caller's.
 */
#ifndef CRYPTO_VAULT_H
#define CRYPTO_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"

#define VAULT_KEY_BYTES 32
#define VAULT_PLAIN_MAX 4096 /* bytes of the longest secret */

struct vault {
	uint8_t key[VAULT_KEY_BYTES];
};

/* The key in the key file at path, created when it is absent. As key_file_open(). */
int vault_open(const char *path, struct vault *vault, struct err *err);
/* Wipes the key. */
void vault_fini(struct vault *vault);

/* Appends the sealed plain (base64url) to out. False when plain is longer than VAULT_PLAIN_MAX or
 * out is full. */
bool vault_seal(
	const struct vault *vault, struct bytes context, struct bytes plain, struct bytes_buf *out);

/* Appends what was sealed to out. False, with out as it was, when sealed is none, was changed, or
 * belongs to another context or key. */
bool vault_unseal(const struct vault *vault, struct bytes context, struct bytes sealed,
	struct bytes_buf *out);

#endif
