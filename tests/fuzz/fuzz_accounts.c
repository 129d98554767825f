/*
 * What strangers send in an Authorization header and in the scopes of a key: a token that we did
 * not sign is never ours, and a scope that is none allows nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth.h"
#include "auth_key.h"
#include "auth_scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct auth *auth;

static void open_auth(void)
{
	char folder[] = "/tmp/tenon-fuzz-accounts-XXXXXX", path[80];
	const struct auth_config config = { .keys_folder = folder };

	if (!mkdtemp(folder) || auth_new(&config, &auth, NULL) < 0)
		abort();
	strcpy(path, folder);
	strcat(path, "/token.key");
	(void)unlink(path);
	(void)rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes text = { (const char *)data, n };
	const struct auth_act acts[] = { { AUTH_ACT_RECORD, BYTES("posts"), BYTES("list") },
		{ AUTH_ACT_PLUGIN, BYTES("ship"), BYTES("") },
		{ AUTH_ACT_READ, BYTES("logs"), BYTES("logs") },
		{ AUTH_ACT_OTHER, BYTES("x"), BYTES("x") } };
	struct auth_claims claims;

	if (!auth)
		open_auth();
	struct bytes token = auth_token_of_header(text);
	for (int type = 0; type < AUTH_TOKEN_TYPES; type++)
		(void)auth_token_read(token, (enum auth_token_type)type, BYTES("shop"), 1, &claims);
	if (auth_token_check(auth, token, BYTES("a key")))
		abort();
	(void)auth_key_is_key(token);

	/* As kept: an array with the one scope. */
	char list[AUTH_SCOPE_MAX + 8];
	if (n == 0 || n > AUTH_SCOPE_MAX || memchr(data, '"', n) || memchr(data, '\\', n))
		return 0;
	memcpy(list, "[\"", 2);
	memcpy(list + 2, data, n);
	memcpy(list + 2 + n, "\"]", 2);
	struct bytes scopes = { list, n + 4 };
	bool is_valid = auth_scope_is_valid(text);
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		if (auth_scope_allows(scopes, &acts[i]) && !is_valid &&
			!bytes_starts_with(text, BYTES("records:")))
			abort();
	if (auth_scope_allows(scopes, &acts[3]) != bytes_eq_string(text, "all"))
		abort();
	return 0;
}
