/*
 * Tokens of users and superusers. The claims are PocketBase's, so that its SDK reads them, and the
 * tenant:
 *
 *   {"collectionId":"...","exp":1795443865,"id":"...","refreshable":true,"tenant":"shop","type":"auth"}
 *
 * and of those that go by mail "email" and "newEmail".
 */
#include "internal.h"

#include "jwt.h"
#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_json_writer.h"

#include <assert.h>
#include <string.h>

#define CLAIMS_MAX 1024
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

static const char *const type_names[AUTH_TOKEN_TYPES] = { "auth", "file", "verification",
	"passwordReset", "emailChange" };

static void write_claims(
	const struct auth *auth, const struct auth_token *token, struct text_json_writer *json)
{
	const struct auth_identity *identity = token->identity;
	int64_t lifetime_s = token->lifetime_s ? token->lifetime_s : auth->config.token_lifetime_s;

	text_json_begin_object(json);
	text_json_write_key(json, BYTES("collectionId"));
	text_json_write_string(json, bytes_of(identity->collection_id));
	if (token->email.n) {
		text_json_write_key(json, BYTES("email"));
		text_json_write_string(json, token->email);
	}
	text_json_write_key(json, BYTES("exp"));
	text_json_write_int64(json, token->now_s + lifetime_s);
	text_json_write_key(json, BYTES("id"));
	text_json_write_string(json, bytes_of(identity->record_id));
	if (token->new_email.n) {
		text_json_write_key(json, BYTES("newEmail"));
		text_json_write_string(json, token->new_email);
	}
	if (token->type == AUTH_TOKEN_AUTH) {
		text_json_write_key(json, BYTES("refreshable"));
		text_json_write_bool(json, token->is_refreshable);
	}
	text_json_write_key(json, BYTES("tenant"));
	text_json_write_string(json, bytes_of(identity->tenant));
	text_json_write_key(json, BYTES("type"));
	text_json_write_string(json, bytes_of(type_names[token->type]));
	text_json_end_object(json);
}

size_t auth_token_format(
	const struct auth *auth, const struct auth_token *token, char out[static AUTH_TOKEN_MAX])
{
	DEFER(bytes_buf_fini) struct bytes_buf claims, signed_token;
	struct text_json_writer json;
	char key_text[KEY_MAX];
	struct bytes key;
	size_t n = 0;

	assert(token->type < AUTH_TOKEN_TYPES);
	bytes_buf_init(&claims, CLAIMS_MAX);
	bytes_buf_init(&signed_token, JWT_TOKEN_MAX);
	text_json_writer_init(&json, &claims);
	write_claims(auth, token, &json);
	if (text_json_write_done(&json) && key_of(auth, token->account_key, key_text, &key) &&
		jwt_sign(key, bytes_buf_view(&claims), &signed_token)) {
		memcpy(out, signed_token.p, signed_token.n);
		n = signed_token.n;
	}
	explicit_bzero(key_text, sizeof key_text);
	return n;
}

/* Copies a string claim into out; false when it is absent, empty or too long. */
static bool claim(struct bytes payload, struct bytes pointer, char *out, size_t cap)
{
	char text[JWT_PAYLOAD_MAX];
	struct bytes value;
	size_t n;

	if (text_json_find(payload, pointer, &value) != TEXT_JSON_FOUND || value.n < 2 ||
		value.p[0] != '"' || value.n > sizeof text ||
		!text_json_unescape((struct bytes){ value.p + 1, value.n - 2 }, text, &n) ||
		n == 0 || memchr(text, '\0', n))
		return false;
	return bytes_to_string((struct bytes){ text, n }, out, cap);
}

enum auth_token_result auth_token_read(struct bytes token, enum auth_token_type type,
	struct bytes tenant, int64_t now_s, struct auth_claims *ret)
{
	struct auth_claims claims = { 0 };
	struct auth_identity *identity = &claims.identity;
	struct bytes expires, refreshable;
	struct jwt jwt;
	char name[16];
	uint64_t expires_s;

	assert(type < AUTH_TOKEN_TYPES);
	if (!jwt_split(token, &jwt))
		return AUTH_TOKEN_NONE;
	struct bytes payload = { jwt.payload, jwt.n_payload };
	if (text_json_check(payload, &TEXT_JSON_LIMITS, NULL) != TEXT_JSON_VALID)
		return AUTH_TOKEN_NONE;
	if (!claim(payload, BYTES("/type"), name, sizeof name) ||
		strcmp(name, type_names[type]) != 0 ||
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
	/* Of a type that goes by mail the address is a part. */
	bool is_mailed = type == AUTH_TOKEN_VERIFICATION || type == AUTH_TOKEN_RESET ||
			 type == AUTH_TOKEN_EMAIL_CHANGE;
	if ((is_mailed && !claim(payload, BYTES("/email"), claims.email, sizeof claims.email)) ||
		(type == AUTH_TOKEN_EMAIL_CHANGE &&
			!claim(payload, BYTES("/newEmail"), claims.new_email,
				sizeof claims.new_email)))
		return AUTH_TOKEN_NONE;
	claims.is_refreshable =
		text_json_find(payload, BYTES("/refreshable"), &refreshable) == TEXT_JSON_FOUND &&
		bytes_eq(refreshable, BYTES("true"));
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
