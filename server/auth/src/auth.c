#include "internal.h"

#include "key_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIFETIME_DEFAULT_S (7 * 24 * 3600)
#define SIGN_INS_DEFAULT   10

int auth_new(const struct auth_config *config, struct auth **ret, struct err *err)
{
	struct auth *auth = calloc(1, sizeof *auth);
	char path[PATH_MAX];

	if (!auth)
		return ERR_SET(err, ERR_NOMEM, "no memory for the sign-in module");
	auth->config = *config;
	if (!auth->config.token_lifetime_s)
		auth->config.token_lifetime_s = LIFETIME_DEFAULT_S;
	if (!auth->config.sign_ins_per_min)
		auth->config.sign_ins_per_min = SIGN_INS_DEFAULT;
	(void)snprintf(path, sizeof path, "%s/token.key", config->keys_folder);
	if (key_file_open(path, sizeof auth->secret, auth->secret, err) < 0) {
		free(auth);
		return -1;
	}
	for (size_t i = 0; i < LIMIT_SHARDS; i++)
		(void)pthread_mutex_init(&auth->limits[i].lock, NULL);
	*ret = auth;
	return 0;
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	for (size_t i = 0; i < LIMIT_SHARDS; i++)
		(void)pthread_mutex_destroy(&auth->limits[i].lock);
	explicit_bzero(auth->secret, sizeof auth->secret);
	free(auth);
}
