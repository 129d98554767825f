/*
 * auth.h - who asks: identities, the tokens of users and superusers, sign-in
 *
 * Users and superusers are records of a tenant's auth collections; this module knows them only
 * through a struct auth_account that whoever holds the records fills in. A token is a JWT (HS256)
 * whose key is made of the account's own token key and the server's secret: it dies with a change
 * of password, and one tenant's token is worth nothing to another, since the tenant is in the
 * signed claims and checked.
 *
 * Passwords are hashed with argon2id on the executor's password lane, a few at a time: a flood of
 * sign-ins waits in that lane's bounded queue and touches nothing else. An unknown account costs
 * the same work as a wrong password.
 *
 * Threads: token functions any; checks are answered on the loop that asks.
 * Memory:  everything is the caller's.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "executor.h"
#include "loop.h"

enum auth_kind {
	AUTH_ANONYMOUS,
	AUTH_USER,      /* a record of an auth collection of the tenant */
	AUTH_SUPERUSER, /* a record of the tenant's _superusers */
	AUTH_OPERATOR   /* who runs the server; has no tenant */
};

#define AUTH_COLLECTION_MAX 63
#define AUTH_RECORD_MAX     15
#define AUTH_TENANT_MAX     31
#define AUTH_TOKEN_MAX      1600
#define AUTH_ADDRESS_MAX    255 /* bytes of an e-mail address */

/* Carried by every request. Text is terminated, "" where it does not apply. */
struct auth_identity {
	enum auth_kind kind;
	char tenant[AUTH_TENANT_MAX + 1];
	char collection_id[AUTH_COLLECTION_MAX + 1];
	char collection[AUTH_COLLECTION_MAX + 1]; /* its name; "_operators" for an operator */
	char record_id[AUTH_RECORD_MAX + 1];
};

/* ---- tokens ---- */
struct auth; /* the secret, limits and counters of this server */

struct auth_config {
	const char *keys_folder; /* data/keys: token.key is read or made there, 0600 */
	struct executor *executor;
	uint32_t token_lifetime_s; /* 0: 7 days */
	unsigned sign_ins_per_min; /* for each address and identity; 0: 10 */
};

int auth_new(const struct auth_config *config, struct auth **ret, struct err *err);
void auth_free(struct auth *auth);

/* A token is good for one purpose, which stands in its signed claims. */
enum auth_token_type {
	AUTH_TOKEN_AUTH,         /* to sign requests with */
	AUTH_TOKEN_FILE,         /* to fetch protected files */
	AUTH_TOKEN_VERIFICATION, /* of the e-mail address that it names */
	AUTH_TOKEN_RESET,        /* of the password */
	AUTH_TOKEN_EMAIL_CHANGE, /* from one address to another */
	AUTH_TOKEN_TYPES
};

struct auth_claims {
	struct auth_identity identity; /* kind is AUTH_USER or AUTH_SUPERUSER */
	int64_t expires_s;             /* wall clock */
	bool is_refreshable;           /* of AUTH_TOKEN_AUTH */
	/* Of the types that go by mail, else "": the address that the account had, and the wanted
	 * one. */
	char email[AUTH_ADDRESS_MAX + 1], new_email[AUTH_ADDRESS_MAX + 1];
};

struct auth_token {
	enum auth_token_type type;
	const struct auth_identity *identity;
	struct bytes account_key; /* the record's token key: a token dies with it */
	int64_t now_s;
	int64_t lifetime_s; /* 0: the server's */
	bool is_refreshable;
	struct bytes email, new_email; /* as struct auth_claims */
};

/* Makes a token. Returns its length, or 0 when it does not fit. */
size_t auth_token_format(
	const struct auth *auth, const struct auth_token *token, char out[static AUTH_TOKEN_MAX]);
enum auth_token_result {
	AUTH_TOKEN_READ,
	AUTH_TOKEN_NONE,   /* no token of ours, of another type, or it has expired */
	AUTH_TOKEN_FOREIGN /* it names another tenant */
};

/* Reads the claims of a well-formed token without believing them: whose key is it to be checked
 * with? */
enum auth_token_result auth_token_read(struct bytes token, enum auth_token_type type,
	struct bytes tenant, int64_t now_s, struct auth_claims *ret);
/* True when the token was signed by us with account_key. Constant time. */
bool auth_token_check(const struct auth *auth, struct bytes token, struct bytes account_key);
/* The token in an Authorization header's value, with or without "Bearer "; {NULL, 0} when there is
 * none. */
struct bytes auth_token_of_header(struct bytes authorization);

/* ---- passwords ---- */
#define AUTH_HASH_BYTES 128 /* an encoded argon2id hash, terminated */

enum auth_password_act {
	AUTH_PASSWORD_CHECK, /* password against hash; hash "" is an unknown account: same work,
				never right */
	AUTH_PASSWORD_HASH   /* makes hash out of password */
};

enum auth_password_outcome {
	AUTH_PASSWORD_OK,
	AUTH_PASSWORD_WRONG,
	AUTH_PASSWORD_GONE, /* it was cancelled while it waited: nothing was hashed */
	AUTH_PASSWORD_BUSY, /* the lane's queue is full: 503 with Retry-After */
	AUTH_PASSWORD_FAULT
};

struct auth_password {
	enum auth_password_act act;
	struct bytes password; /* borrowed until done; at most 4,096 bytes */
	char hash[AUTH_HASH_BYTES];
	void (*done)(struct auth_password *password); /* on loop */
	struct loop *loop;
	enum auth_password_outcome outcome;
	/* the module's own */
	struct auth *auth;
	struct executor_job job;
	struct loop_message message;
	atomic_bool is_cancelled;
};

/* done is always called, later, from the loop's mailbox. */
void auth_password_run(struct auth *auth, struct auth_password *password);
/* Nobody wants the answer any more: a job that still waits for its turn costs nothing. done is
 * called as always. On its loop, before done. */
void auth_password_cancel(struct auth_password *password);

/* Whether another sign-in of an operator from address may be tried now. False: answer 429 with
 * *ret_retry_s. Counts the try. Any thread. */
bool auth_sign_in_is_allowed(
	struct auth *auth, struct bytes address, struct bytes identity, unsigned *ret_retry_s);

#endif
