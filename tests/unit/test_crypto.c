#include "base64.h"
#include "hash.h"
#include "jwt.h"
#include "key_file.h"
#include "password.h"
#include "sign.h"
#include "unit.h"
#include "vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct password_cost cheap = { .n_passes = 1, .memory_bytes = 8192 };

static bool digest_is(const uint8_t *digest, const char *hex)
{
	uint8_t expected[HASH_BYTES];

	return bytes_unhex(bytes_of(hex), expected, HASH_BYTES) &&
	       memcmp(expected, digest, HASH_BYTES) == 0;
}

static void sha256_gives_the_standards_digests(void)
{
	uint8_t digest[HASH_BYTES];
	struct hash hash;

	hash_of(BYTES("abc"), digest);
	CU_ASSERT(digest_is(
		digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	hash_of((struct bytes){ NULL, 0 }, digest);
	CU_ASSERT(digest_is(
		digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
	hash_init(&hash);
	for (int i = 0; i < 1000000; i++)
		hash_add(&hash, "a", 1);
	hash_end(&hash, digest);
	CU_ASSERT(digest_is(
		digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

static void hmac_gives_the_rfcs_digests(void)
{
	uint8_t digest[HASH_BYTES];
	char key[131];

	hash_hmac(BYTES("Jefe"), BYTES("what do ya want for nothing?"), digest);
	CU_ASSERT(digest_is(
		digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	/* A key longer than a block is hashed first. */
	memset(key, 0xaa, sizeof(key));
	hash_hmac((struct bytes){ key, sizeof(key) },
		BYTES("Test Using Larger Than Block-Size Key - Hash Key First"), digest);
	CU_ASSERT(digest_is(
		digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
	hash_hmac((struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 }, digest);
	CU_ASSERT(digest_is(
		digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

static void base64_has_one_spelling_per_value(void)
{
	uint8_t data[8];
	char text[16];
	size_t n;

	CU_ASSERT_EQUAL(base64_format(BYTES("\xfb\xff\xbf\x00"), text), 6);
	CU_ASSERT(memcmp(text, "-_-_AA", 6) == 0);
	CU_ASSERT(base64_parse(BYTES("-_-_AA"), data, sizeof(data), &n) && n == 4);
	CU_ASSERT(memcmp(data, "\xfb\xff\xbf\x00", 4) == 0);
	CU_ASSERT(base64_parse(BYTES(""), data, sizeof(data), &n) && n == 0);
	CU_ASSERT(!base64_parse(BYTES("-_-_AB"), data, sizeof(data), &n)); /* spare bits set */
	CU_ASSERT(!base64_parse(BYTES("-_-_A"), data, sizeof(data), &n));
	CU_ASSERT(!base64_parse(BYTES("-_-_AA=="), data, sizeof(data), &n));
	CU_ASSERT(!base64_parse(BYTES("+/+/AA"), data, sizeof(data), &n));
	CU_ASSERT(!base64_parse(BYTES("-_-_AA\n"), data, sizeof(data), &n));
	CU_ASSERT(!base64_parse(BYTES("AAAAAAAA"), data, 5, &n)); /* six bytes into five */
}

static void a_token_verifies_under_its_key_only(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct jwt jwt;

	bytes_buf_init(&out, 2 * JWT_TOKEN_MAX);
	CU_ASSERT(jwt_sign(BYTES("secret"), BYTES("{\"id\":\"a\"}"), &out));
	CU_ASSERT_FATAL(jwt_split(bytes_buf_view(&out), &jwt));
	CU_ASSERT(bytes_eq((struct bytes){ jwt.payload, jwt.n_payload }, BYTES("{\"id\":\"a\"}")));
	CU_ASSERT(jwt_check(&jwt, BYTES("secret")));
	CU_ASSERT(!jwt_check(&jwt, BYTES("secreT")));
	CU_ASSERT(!jwt_check(&jwt, BYTES("")));
}

/* The token of RFC 7519's most copied example: another implementation's bytes, not our own. */
static void a_token_of_another_maker_verifies(void)
{
	struct jwt jwt;

	CU_ASSERT_FATAL(jwt_split(
		BYTES("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
		      "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
		      "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"),
		&jwt));
	CU_ASSERT(jwt_check(&jwt, BYTES("your-256-bit-secret")));
}

static void every_changed_character_of_a_token_is_noticed(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct jwt jwt;

	bytes_buf_init(&out, JWT_TOKEN_MAX);
	CU_ASSERT_FATAL(jwt_sign(BYTES("k"), BYTES("{\"exp\":1}"), &out));
	for (size_t i = 0; i < out.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			out.p[i] = (char)(out.p[i] ^ 1 << bit);
			CU_ASSERT(!jwt_split(bytes_buf_view(&out), &jwt) ||
				  !jwt_check(&jwt, BYTES("k")));
			out.p[i] = (char)(out.p[i] ^ 1 << bit);
		}
	for (size_t n = 0; n < out.n; n++) {
		/* What an earlier token left in jwt must not complete a signature that is cut. */
		CU_ASSERT(jwt_split(bytes_buf_view(&out), &jwt));
		CU_ASSERT(!jwt_split((struct bytes){ out.p, n }, &jwt) ||
			  !jwt_check(&jwt, BYTES("k")));
	}
	/* {"alg":"none"} and a header of the same content in another order. */
	CU_ASSERT(!jwt_split(BYTES("eyJhbGciOiJub25lIn0.eyJleHAiOjF9."), &jwt));
	CU_ASSERT(!jwt_split(BYTES("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.AA"), &jwt));
}

static void the_longest_payload_fits_and_no_longer_one(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct jwt jwt;
	char payload[JWT_PAYLOAD_MAX + 1];

	memset(payload, 'x', sizeof(payload));
	bytes_buf_init(&out, JWT_TOKEN_MAX);
	CU_ASSERT(jwt_sign(BYTES("k"), (struct bytes){ payload, JWT_PAYLOAD_MAX }, &out));
	CU_ASSERT_EQUAL(out.n, JWT_TOKEN_MAX);
	CU_ASSERT(jwt_split(bytes_buf_view(&out), &jwt) && jwt.n_payload == JWT_PAYLOAD_MAX);
	CU_ASSERT(!jwt_sign(BYTES("k"), (struct bytes){ payload, JWT_PAYLOAD_MAX + 1 }, &out));
}

static void a_password_matches_its_own_hash_only(void)
{
	char hash[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE];
	bool match = false;

	CU_ASSERT_EQUAL_FATAL(password_hash(BYTES("correct horse"), cheap, hash, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(password_hash(BYTES("correct horse"), cheap, again, NULL), 0);
	CU_ASSERT_STRING_NOT_EQUAL(hash, again); /* salted */
	CU_ASSERT(
		password_check(bytes_of(hash), BYTES("correct horse"), &match, NULL) == 0 && match);
	CU_ASSERT(
		password_check(bytes_of(hash), BYTES("correct hors"), &match, NULL) == 0 && !match);
	match = true;
	CU_ASSERT(password_check(bytes_of(hash), BYTES(""), &match, NULL) == 0 && !match);
	CU_ASSERT(password_is_weaker(bytes_of(hash), PASSWORD_COST));
	CU_ASSERT(!password_is_weaker(bytes_of(hash), cheap));
}

static void a_stored_text_cannot_choose_a_cost_beyond_ours(void)
{
	static const char *const texts[] = { "", "x",
		"$argon2id$v=19$m=", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$aGFzaA",
		"$argon2id$v=19$m=8,t=4000000,p=1$c29tZXNhbHQ$aGFzaA",
		"$argon2id$v=19$m=4,t=1,p=1$c29tZXNhbHQ", "$2a$10$abcdefghijklmnopqrstuv" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		bool match = true;
		CU_ASSERT_EQUAL(password_check(bytes_of(texts[i]), BYTES("p"), &match, NULL), 0);
		CU_ASSERT(!match);
		CU_ASSERT(password_is_weaker(bytes_of(texts[i]), cheap));
	}
}

static void a_signature_covers_every_bit(void)
{
	/* RFC 8032, section 7.1, test 2. */
	uint8_t seed[32], signature[64], expected[64];
	struct sign_key key;
	char data[1] = { 0x72 };

	bytes_unhex(BYTES("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"), seed,
		32);
	sign_key_init(&key, seed);
	CU_ASSERT(digest_is(key.public_key,
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
	sign_make(&key, (struct bytes){ data, 1 }, signature);
	bytes_unhex(BYTES("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
			  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
		expected, 64);
	CU_ASSERT(memcmp(signature, expected, 64) == 0);
	CU_ASSERT(sign_check(key.public_key, (struct bytes){ data, 1 }, signature));
	for (int bit = 0; bit < 512; bit++) {
		signature[bit / 8] = (uint8_t)(signature[bit / 8] ^ 1 << bit % 8);
		CU_ASSERT(!sign_check(key.public_key, (struct bytes){ data, 1 }, signature));
		signature[bit / 8] = (uint8_t)(signature[bit / 8] ^ 1 << bit % 8);
	}
	data[0] ^= 1;
	CU_ASSERT(!sign_check(key.public_key, (struct bytes){ data, 1 }, signature));
}

static void a_key_file_is_made_once_and_refused_when_others_may_read_it(void)
{
	char folder[] = "/tmp/tenon-test-crypto-XXXXXX";
	char path[64], other[64];
	uint8_t first[32], second[32];
	struct err err = { 0 };
	struct stat st;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/seal.key", folder);
	snprintf(other, sizeof(other), "%s/link.key", folder);
	CU_ASSERT_EQUAL_FATAL(key_file_open(path, 32, first, &err), 0);
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_nlink == 1);
	CU_ASSERT_EQUAL(key_file_open(path, 32, second, &err), 0);
	CU_ASSERT(memcmp(first, second, 32) == 0);
	CU_ASSERT_EQUAL(key_file_open(path, 31, second, &err), -1); /* another length */
	CU_ASSERT_EQUAL(err.code, ERR_INVALID);
	CU_ASSERT_EQUAL(symlink(path, other), 0);
	CU_ASSERT_EQUAL(key_file_open(other, 32, second, &err), -1);
	CU_ASSERT_EQUAL(chmod(path, 0640), 0);
	CU_ASSERT_EQUAL(key_file_open(path, 32, second, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_INVALID);
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	CU_ASSERT_EQUAL(truncate(path, 64), 0); /* the line feed is gone: cut short */
	CU_ASSERT_EQUAL(key_file_open(path, 32, second, &err), -1);
	unlink(other);
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing was left aside */
}

static void a_sealed_secret_opens_in_its_place_under_its_key_only(void)
{
	char folder[] = "/tmp/tenon-vault-XXXXXX", path[64];
	struct vault vault, other;
	struct bytes_buf sealed, again, opened;
	struct bytes secret = BYTES("a mail server's password");

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/a.key", folder);
	CU_ASSERT_EQUAL_FATAL(vault_open(path, &vault, NULL), 0);
	(void)unlink(path);
	CU_ASSERT_EQUAL_FATAL(vault_open(path, &other, NULL), 0);
	(void)unlink(path);
	(void)rmdir(folder);
	bytes_buf_init(&sealed, 8192);
	bytes_buf_init(&again, 8192);
	bytes_buf_init(&opened, 8192);
	CU_ASSERT(vault_seal(&vault, BYTES("shop smtp"), secret, &sealed));
	CU_ASSERT(vault_seal(&vault, BYTES("shop smtp"), secret, &again));
	CU_ASSERT(!bytes_eq(bytes_buf_view(&sealed), bytes_buf_view(&again)));
	CU_ASSERT(vault_unseal(&vault, BYTES("shop smtp"), bytes_buf_view(&sealed), &opened));
	CU_ASSERT(bytes_eq(bytes_buf_view(&opened), secret));
	CU_ASSERT(!vault_unseal(&vault, BYTES("bank smtp"), bytes_buf_view(&sealed), &opened));
	CU_ASSERT(!vault_unseal(&other, BYTES("shop smtp"), bytes_buf_view(&sealed), &opened));
	for (size_t i = 0; i < sealed.n; i++) {
		char was = sealed.p[i];
		sealed.p[i] = was == 'A' ? 'B' : 'A';
		CU_ASSERT(!vault_unseal(
			&vault, BYTES("shop smtp"), bytes_buf_view(&sealed), &opened));
		sealed.p[i] = was;
	}
	CU_ASSERT(!vault_unseal(&vault, BYTES("shop smtp"), BYTES(""), &opened));
	CU_ASSERT(bytes_eq(bytes_buf_view(&opened), secret));
	bytes_buf_fini(&sealed);
	bytes_buf_fini(&again);
	bytes_buf_fini(&opened);
	vault_fini(&vault);
}

static const struct unit_test tests[] = {
	UNIT(sha256_gives_the_standards_digests),
	UNIT(hmac_gives_the_rfcs_digests),
	UNIT(base64_has_one_spelling_per_value),
	UNIT(a_token_verifies_under_its_key_only),
	UNIT(a_token_of_another_maker_verifies),
	UNIT(every_changed_character_of_a_token_is_noticed),
	UNIT(the_longest_payload_fits_and_no_longer_one),
	UNIT(a_password_matches_its_own_hash_only),
	UNIT(a_stored_text_cannot_choose_a_cost_beyond_ours),
	UNIT(a_signature_covers_every_bit),
	UNIT(a_sealed_secret_opens_in_its_place_under_its_key_only),
	UNIT(a_key_file_is_made_once_and_refused_when_others_may_read_it),
};

UNIT_MAIN("crypto", tests)
