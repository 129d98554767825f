#include "password.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define N_PASSES_MAX 16
#define MEMORY_MIN   8192

/* Reads digits up to stop and steps over it. */
static bool take_number(struct bytes *text, char stop, uint64_t max, uint64_t *ret)
{
	const char *end = text->n > 0 ? memchr(text->p, stop, text->n) : NULL;
	if (!end || !bytes_parse_u64((struct bytes){ text->p, (size_t)(end - text->p) }, max, ret))
		return false;
	text->n -= (size_t)(end + 1 - text->p);
	text->p = end + 1;
	return true;
}

/* The cost that a hash names. False for what is no hash of ours, or dearer than we would pay: a
 * stored text may have been imported, and must not choose how much memory we take. */
static bool parse_cost(struct bytes hash, struct password_cost *ret)
{
	static const char prefix[] = "$argon2id$v=19$m=";
	uint64_t kib, passes;

	if (hash.n >= PASSWORD_HASH_SIZE || !bytes_starts_with(hash, BYTES("$argon2id$v=19$m=")))
		return false;
	struct bytes rest = { hash.p + sizeof(prefix) - 1, hash.n - (sizeof(prefix) - 1) };
	if (!take_number(&rest, ',', PASSWORD_MEMORY_MAX / 1024, &kib) ||
		!bytes_starts_with(rest, BYTES("t=")))
		return false;
	rest = (struct bytes){ rest.p + 2, rest.n - 2 };
	if (!take_number(&rest, ',', N_PASSES_MAX, &passes) ||
		!bytes_starts_with(rest, BYTES("p=1$")))
		return false;
	*ret = (struct password_cost){ .n_passes = (unsigned)passes, .memory_bytes = kib * 1024 };
	return true;
}

int password_hash(struct bytes password, struct password_cost cost,
	char out[static PASSWORD_HASH_SIZE], struct err *err)
{
	static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "room for libsodium's text");

	if (password.n > PASSWORD_MAX || cost.n_passes < 1 || cost.n_passes > N_PASSES_MAX ||
		cost.memory_bytes < MEMORY_MIN || cost.memory_bytes > PASSWORD_MEMORY_MAX)
		return ERR_SET(err, ERR_INVALID, "password or cost out of bounds");
	if (sodium_init() < 0)
		return ERR_SET(err, ERR_UNAVAILABLE, "libsodium cannot start");
	if (crypto_pwhash_str_alg(out, password.n > 0 ? password.p : "", password.n, cost.n_passes,
		    cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return ERR_SET(err, ERR_NOMEM, "no memory for a password hash");
	return 0;
}

int password_check(struct bytes hash, struct bytes password, bool *ret_match, struct err *err)
{
	struct password_cost cost;
	char text[PASSWORD_HASH_SIZE];

	if (password.n > PASSWORD_MAX || !parse_cost(hash, &cost) ||
		!bytes_to_string(hash, text, sizeof(text))) {
		*ret_match = false;
		return 0;
	}
	if (sodium_init() < 0)
		return ERR_SET(err, ERR_UNAVAILABLE, "libsodium cannot start");
	errno = 0;
	if (crypto_pwhash_str_verify(text, password.n > 0 ? password.p : "", password.n) == 0) {
		*ret_match = true;
		return 0;
	}
	/* EINVAL is a mismatch and 0 a text that does not decode; ENOMEM is what mmap left behind.
	 */
	if (errno == ENOMEM)
		return ERR_SET(err, ERR_NOMEM, "no memory for a password check");
	*ret_match = false;
	return 0;
}

bool password_is_weaker(struct bytes hash, struct password_cost cost)
{
	struct password_cost found;

	return !parse_cost(hash, &found) || found.n_passes < cost.n_passes ||
	       found.memory_bytes < cost.memory_bytes;
}
