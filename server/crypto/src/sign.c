#include "sign.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "key_file.h"

static_assert(SIGN_SEED_BYTES == crypto_sign_SEEDBYTES &&
		      SIGN_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES &&
		      SIGN_SIGNATURE_BYTES == crypto_sign_BYTES &&
		      sizeof(((struct sign_key *)0)->secret) == crypto_sign_SECRETKEYBYTES,
	"sign.h repeats libsodium's sizes");

void sign_key_init(struct sign_key *key, const uint8_t seed[static SIGN_SEED_BYTES])
{
	int result = crypto_sign_seed_keypair(key->public_key, key->secret, seed);
	assert(result == 0);
}

void sign_key_fini(struct sign_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

int sign_key_open(const char *path, struct sign_key *key, struct err *err)
{
	uint8_t seed[SIGN_SEED_BYTES];

	if (key_file_open(path, sizeof(seed), seed, err) != 0)
		return -1;
	sign_key_init(key, seed);
	explicit_bzero(seed, sizeof(seed));
	return 0;
}

void sign_make(
	const struct sign_key *key, struct bytes data, uint8_t out[static SIGN_SIGNATURE_BYTES])
{
	int result = crypto_sign_detached(out, NULL, (const uint8_t *)data.p, data.n, key->secret);
	assert(result == 0);
}

bool sign_check(const uint8_t public_key[static SIGN_PUBLIC_BYTES], struct bytes data,
	const uint8_t signature[static SIGN_SIGNATURE_BYTES])
{
	return crypto_sign_verify_detached(
		       signature, (const uint8_t *)data.p, data.n, public_key) == 0;
}
