/*
 * Tokens of users and superusers. The claims are PocketBase's, so that its SDK reads them, and the
 * tenant:
 *
 *   {"collectionId":"...","exp":1795443865,"id":"...","refreshable":true,"tenant":"shop","type":"auth"}
 */
#include "internal.h"

#include "jwt.h"
#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_json_writer.h"

#include <string.h>

#define CLAIMS_MAX 512
#define KEY_MAX    (SECRET_BYTES + 128)

_Static_assert(AUTH_TOKEN_MAX >= 36 + 1 + (CLAIMS_MAX * 4 + 2) / 3 + 1 + 43, "a token fits");

/* The signing key of one account: our secret, then its own. False when that is too long. */
static bool key_of(const struct auth *auth, struct bytes account_key, char out[static KEY_MAX],
	struct bytes *ret)
{
	if (account_key.n == 0 || account_key.n > KEY_MAX - SECRET_BYTES)
		return false;
	memcpy(out, auth->secret, SECRET_BYTES);
	memcpy(out + SECRET_BYTES, account_key.p, account_key.n);
	*ret = (struct bytes){ out, SECRET_BYTES + account_key.n };
	return true;
}

size_t auth_token_format(const struct auth *auth, const struct auth_identity *identity,
	struct bytes account_key, int64_t now_s, char out[static AUTH_TOKEN_MAX])
{
	DEFER(bytes_buf_fini) struct bytes_buf claims, token;
	struct text_json_writer json;
	char key_text[KEY_MAX];
	struct bytes key;
	size_t n = 0;

	bytes_buf_init(&claims, CLAIMS_MAX);
	bytes_buf_init(&token, JWT_TOKEN_MAX);
	text_json_writer_init(&json, &claims);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("collectionId"));
	text_json_write_string(&json, bytes_of(identity->collection_id));
	text_json_write_key(&json, BYTES("exp"));
	text_json_write_int64(&json, now_s + auth->config.token_lifetime_s);
	text_json_write_key(&json, BYTES("id"));
	text_json_write_string(&json, bytes_of(identity->record_id));
	text_json_write_key(&json, BYTES("refreshable"));
	text_json_write_bool(&json, true);
	text_json_write_key(&json, BYTES("tenant"));
	text_json_write_string(&json, bytes_of(identity->tenant));
	text_json_write_key(&json, BYTES("type"));
	text_json_write_string(&json, BYTES("auth"));
	text_json_end_object(&json);
	if (text_json_write_done(&json) && key_of(auth, account_key, key_text, &key) &&
		jwt_sign(key, bytes_buf_view(&claims), &token)) {
		memcpy(out, token.p, token.n);
		n = token.n;
	}
	explicit_bzero(key_text, sizeof key_text);
	return n;
}

/* Copies a string claim without escapes into out; false when it is absent, escaped or too long. */
static bool claim(struct bytes payload, struct bytes pointer, char *out, size_t cap)
{
	struct bytes value;

	if (text_json_find(payload, pointer, &value) != TEXT_JSON_FOUND || value.n < 2 ||
		value.p[0] != '"' || memchr(value.p, '\\', value.n))
		return false;
	return bytes_to_string((struct bytes){ value.p + 1, value.n - 2 }, out, cap) && out[0];
}

enum auth_token_result auth_token_read(
	struct bytes token, struct bytes tenant, int64_t now_s, struct auth_claims *ret)
{
	struct auth_claims claims = { 0 };
	struct auth_identity *identity = &claims.identity;
	struct bytes expires;
	struct jwt jwt;
	char type[8];
	uint64_t expires_s;

	if (!jwt_split(token, &jwt))
		return AUTH_TOKEN_NONE;
	struct bytes payload = { jwt.payload, jwt.n_payload };
	if (text_json_check(payload, &TEXT_JSON_LIMITS, NULL) != TEXT_JSON_VALID)
		return AUTH_TOKEN_NONE;
	if (!claim(payload, BYTES("/type"), type, sizeof type) || strcmp(type, "auth") != 0 ||
		!claim(payload, BYTES("/tenant"), identity->tenant, sizeof identity->tenant) ||
		!claim(payload, BYTES("/collectionId"), identity->collection_id,
			sizeof identity->collection_id) ||
		!claim(payload, BYTES("/id"), identity->record_id, sizeof identity->record_id) ||
		text_json_find(payload, BYTES("/exp"), &expires) != TEXT_JSON_FOUND ||
		!bytes_parse_u64(expires, INT64_MAX, &expires_s))
		return AUTH_TOKEN_NONE;
	if (!bytes_eq_string(tenant, identity->tenant))
		return AUTH_TOKEN_FOREIGN;
	if ((int64_t)expires_s <= now_s)
		return AUTH_TOKEN_NONE;
	identity->kind = AUTH_USER;
	claims.expires_s = (int64_t)expires_s;
	*ret = claims;
	return AUTH_TOKEN_READ;
}

bool auth_token_check(const struct auth *auth, struct bytes token, struct bytes account_key)
{
	char key_text[KEY_MAX];
	struct bytes key;
	struct jwt jwt;
	bool is_ours = jwt_split(token, &jwt) && key_of(auth, account_key, key_text, &key) &&
		       jwt_check(&jwt, key);

	explicit_bzero(key_text, sizeof key_text);
	return is_ours;
}

struct bytes auth_token_of_header(struct bytes authorization)
{
	struct bytes scheme = BYTES("Bearer ");

	if (authorization.n > scheme.n &&
		bytes_eq_nocase((struct bytes){ authorization.p, scheme.n }, scheme))
		return (struct bytes){ authorization.p + scheme.n, authorization.n - scheme.n };
	return authorization;
}
