/*
 * auth_key.h - API keys: what a machine signs its requests with
 *
 *   tnk_0123456789abcde_7Xq...            the id of its row, and a secret of 256 bits
 *
 * A key is a row of its tenant's database: whom it acts for (a superuser, or one auth record), its
 * scopes, when it ends, and a hash of its secret. The key itself is shown once. A request finds the
 * row by its primary key on the loop, so a key that was revoked is nobody from that commit on. When
 * it was last used is written down at most once a minute, behind the request's back.
 *
 * Threads: a call is started on its loop and answered there. Memory: as auth.h.
 */
#ifndef AUTH_AUTH_KEY_H
#define AUTH_AUTH_KEY_H

#include "auth.h"
#include "auth_scope.h"
#include "store.h"

#define AUTH_KEY_PREFIX   "tnk_"
#define AUTH_KEY_TEXT_MAX 64 /* characters of a key, and a terminator */
#define AUTH_KEY_NAME_MAX 100
#define AUTH_KEYS_MAX     1000 /* of a tenant */

/* True for a text that has a key's form: then it is a key or nothing. */
bool auth_key_is_key(struct bytes text);

enum auth_key_result {
	AUTH_KEY_FOUND,
	AUTH_KEY_NONE,       /* unknown, revoked, expired, or another secret */
	AUTH_KEY_UNAVAILABLE /* 503 */
};

struct auth_key_find {
	struct auth *auth;
	struct store *store;
	struct loop *loop;
	struct bytes text; /* borrowed until done */
	int64_t now_s;
	void (*done)(struct auth_key_find *find); /* once, maybe before the start returns */
	void *context;

	enum auth_key_result result;
	char id[AUTH_RECORD_MAX + 1];
	/* Whom it acts for; both "" for a superuser. */
	char collection_id[AUTH_COLLECTION_MAX + 1], record_id[AUTH_RECORD_MAX + 1];
	char scopes[AUTH_SCOPES_TEXT_MAX]; /* terminated */

	/* the module's own */
	struct store_job job;
	int64_t last_used_s;
};
void auth_key_find(struct auth_key_find *find);

enum auth_key_act { AUTH_KEY_CREATE, AUTH_KEY_LIST, AUTH_KEY_REVOKE };

struct auth_key_call {
	enum auth_key_act act;
	struct store *store;
	struct loop *loop;
	void (*done)(struct auth_key_call *call); /* on loop */
	void *context;
	/* of a create; borrowed until done. Scopes are checked texts, as a JSON array. */
	struct bytes name, scopes, collection_id, record_id;
	int64_t expires_s, now_s;
	struct bytes id; /* of a revoke */

	enum store_outcome outcome; /* STORE_REFUSED: too many keys, or no such key */
	struct err err;
	char text[AUTH_KEY_TEXT_MAX]; /* the new key */
	char new_id[AUTH_RECORD_MAX + 1];
	struct bytes_buf answer; /* the keys as JSON, or the new one without its secret; the
				    caller's to free */

	/* the module's own */
	struct store_job job;
	char hash[64 + 1];
};
void auth_key_run(struct auth_key_call *call);

#endif
