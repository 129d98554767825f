/*
 * password.h - argon2id password hashes
 *
 * A hash is a text of its own ("$argon2id$v=19$m=...,t=...,p=1$salt$hash") that names its cost, so
 * costs can grow while old hashes still verify. The default is libsodium's interactive cost, 64 MiB
 * and 2 passes: about 60 ms of one core, beyond what OWASP asks at least (19 MiB, 2 passes), while
 * four sign-ins at once still fit into 256 MiB. The caller caps how many run at once and never
 * calls this on a loop.
 *
 * Threads: all functions from any thread.
 * Memory:  each call takes what the hash costs and gives it back before it returns.
 */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"
#include "err.h"

#define PASSWORD_MAX       1024 /* bytes of the longest password taken */
#define PASSWORD_HASH_SIZE 128  /* characters of any hash, terminator included */

struct password_cost {
	unsigned n_passes;   /* 1 to 16 */
	size_t memory_bytes; /* 8 KiB to PASSWORD_MEMORY_MAX */
};

#define PASSWORD_MEMORY_MAX (256u << 20)
#define PASSWORD_COST       ((struct password_cost){ .n_passes = 2, .memory_bytes = 64u << 20 })

/* Hashes password under a fresh random salt; out gets a terminated text. Returns 0, or -1:
 * ERR_NOMEM when the cost's memory is not to be had, ERR_INVALID for a cost or a password out of
 * bounds. */
int password_hash(struct bytes password, struct password_cost cost,
	char out[static PASSWORD_HASH_SIZE], struct err *err);

/* Stores in *ret_match whether password belongs to hash. A text that is no argon2id hash, or one
 * whose cost passes our maxima, matches nothing. Returns 0, or -1 with ERR_NOMEM. */
int password_check(struct bytes hash, struct bytes password, bool *ret_match, struct err *err);

/* True when hash was made at a lower cost than cost, so that the next sign-in should replace it. */
bool password_is_weaker(struct bytes hash, struct password_cost cost);

#endif
