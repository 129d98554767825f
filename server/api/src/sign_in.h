/*
 * sign_in.h - who has shown who he is gets a token and his record
 */
#ifndef API_SIGN_IN_H
#define API_SIGN_IN_H

#include "internal.h"

#include "record_auth.h"

struct sign_in {
	struct api_request *request;
	struct record_auth_options options;
	struct record_find_auth find;
	struct auth_password check;
	struct record_call call; /* the authRule, then the record */
	int64_t lifetime_s;      /* 0: as the collection has it */
	bool is_refreshable;
	bool keeps_token; /* the answer has the request's own token */
	char token[AUTH_TOKEN_MAX];
	size_t n_token;
};

/* For the collection in the path, which is of type auth. NULL having answered. */
struct sign_in *sign_in_new(struct api_request *request);
/* in->find has found the account: its authRule decides, but not against superusers; then the token
 * and the record as its owner sees it. */
void sign_in_welcome(struct sign_in *in);
/* Tells that something could not be asked or is at fault. */
void sign_in_unavailable(struct api_request *request, const struct record_find_auth *find);

#endif
