#include "jwt.h"

#include <assert.h>
#include <string.h>

#include "base64.h"

/* base64url of {"alg":"HS256","typ":"JWT"} */
#define HEADER "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

static_assert(sizeof(HEADER) - 1 == 36, "JWT_TOKEN_MAX counts the header");

bool jwt_sign(struct bytes key, struct bytes payload, struct bytes_buf *out)
{
	uint8_t signature[HASH_BYTES];
	size_t start = out->n;

	if (payload.n > JWT_PAYLOAD_MAX)
		return false;
	char *p = bytes_buf_reserve(out, JWT_TOKEN_MAX);
	if (!p)
		return false;

	memcpy(p, HEADER ".", sizeof(HEADER));
	size_t n = sizeof(HEADER);
	n += base64_format(payload, p + n);
	hash_hmac(key, (struct bytes){ p, n }, signature);
	p[n++] = '.';
	n += base64_format((struct bytes){ (const char *)signature, HASH_BYTES }, p + n);
	out->n = start + n;
	return true;
}

bool jwt_split(struct bytes token, struct jwt *ret)
{
	if (token.n > JWT_TOKEN_MAX || !bytes_starts_with(token, BYTES(HEADER ".")))
		return false;
	const char *payload = token.p + sizeof(HEADER);
	size_t left = token.n - sizeof(HEADER);
	const char *dot = memchr(payload, '.', left);
	if (!dot)
		return false;
	struct bytes signature = { dot + 1, (size_t)(token.p + token.n - dot - 1) };
	size_t n_signature;

	ret->signed_part = (struct bytes){ token.p, (size_t)(dot - token.p) };
	return base64_parse(signature, ret->signature, HASH_BYTES, &n_signature) &&
	       n_signature == HASH_BYTES &&
	       base64_parse((struct bytes){ payload, (size_t)(dot - payload) },
		       (uint8_t *)ret->payload, JWT_PAYLOAD_MAX, &ret->n_payload);
}

bool jwt_check(const struct jwt *jwt, struct bytes key)
{
	uint8_t expected[HASH_BYTES];

	hash_hmac(key, jwt->signed_part, expected);
	return bytes_eq_secret((struct bytes){ (const char *)expected, HASH_BYTES },
		(struct bytes){ (const char *)jwt->signature, HASH_BYTES });
}
