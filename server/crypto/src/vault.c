#include "vault.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base64.h"
#include "key_file.h"

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define BOX_MAX     (NONCE_BYTES + VAULT_PLAIN_MAX + TAG_BYTES)

static_assert(VAULT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	"vault.h repeats libsodium's size");

int vault_open(const char *path, struct vault *vault, struct err *err)
{
	return key_file_open(path, sizeof(vault->key), vault->key, err);
}

void vault_fini(struct vault *vault)
{
	explicit_bzero(vault, sizeof(*vault));
}

bool vault_seal(
	const struct vault *vault, struct bytes context, struct bytes plain, struct bytes_buf *out)
{
	uint8_t box[BOX_MAX]; /* nonce, ciphertext, tag */
	unsigned long long n;

	if (plain.n > VAULT_PLAIN_MAX)
		return false;
	randombytes_buf(box, NONCE_BYTES);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(box + NONCE_BYTES, &n,
		(const uint8_t *)plain.p, plain.n, (const uint8_t *)context.p, context.n, NULL, box,
		vault->key);
	struct bytes sealed = { (const char *)box, NONCE_BYTES + (size_t)n };
	char *at = bytes_buf_reserve(out, BASE64_TEXT_BYTES(sealed.n));
	if (!at)
		return false;
	out->n += base64_format(sealed, at);
	return true;
}

bool vault_unseal(
	const struct vault *vault, struct bytes context, struct bytes sealed, struct bytes_buf *out)
{
	uint8_t box[BOX_MAX], plain[VAULT_PLAIN_MAX + TAG_BYTES];
	unsigned long long n = 0;
	size_t n_box;
	bool is_whole = base64_parse(sealed, box, sizeof(box), &n_box) &&
			n_box >= NONCE_BYTES + TAG_BYTES &&
			crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &n, NULL,
				box + NONCE_BYTES, n_box - NONCE_BYTES, (const uint8_t *)context.p,
				context.n, box, vault->key) == 0 &&
			bytes_buf_append(out, (struct bytes){ (const char *)plain, (size_t)n });

	explicit_bzero(plain, sizeof(plain));
	return is_whole;
}
