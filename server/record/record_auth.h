/*
 * record_auth.h - accounts: what an auth collection says about signing in, and its records found
 *
 * The options of an auth collection (which fields identify an account, how long each kind of token
 * lives, what letters say) are a part of the schema's snapshot. Who signs somebody in asks for them
 * here, finds the account, and lets the collection's authRule decide.
 *
 * Threads: as record.h. Memory: what is asked for is copied into the caller's arena.
 */
#ifndef RECORD_RECORD_AUTH_H
#define RECORD_RECORD_AUTH_H

#include "record.h"

enum record_letter {
	RECORD_LETTER_VERIFICATION,
	RECORD_LETTER_RESET,
	RECORD_LETTER_EMAIL_CHANGE,
	RECORD_LETTER_ALERT,
	RECORD_LETTERS
};

struct record_template {
	struct bytes subject, html; /* with placeholders */
};

struct record_auth_options {
	struct bytes collection_id, collection_name;
	bool is_superusers;
	bool has_password; /* auth-with-password is enabled */
	const struct bytes *identity_fields;
	size_t n_identity_fields;
	int64_t lifetime_s[RECORD_TOKENS];
	struct record_template letters[RECORD_LETTERS];
};

enum record_options_result {
	RECORD_OPTIONS_OK,
	RECORD_OPTIONS_NONE, /* there is no such collection, or it is not one of type auth */
	RECORD_OPTIONS_NOMEM /* the arena is full */
};

/* The options of the collection with this name or id. */
enum record_options_result record_auth_options(struct record_book *book, struct bytes collection,
	struct arena *arena, struct record_auth_options *ret);

#define RECORD_NAME_BYTES 64

/* The name of the collection with this name or id, "" when there is none. */
void record_collection_name(
	struct record_book *book, struct bytes collection, char ret[static RECORD_NAME_BYTES]);

/* Whether the auth record call->id may sign in, by its collection's authRule: ends with status 200,
 * 403, or what is wrong with the server. call->ignore_rules must be false; the viewer is who asks
 * now, usually nobody. */
void record_check_auth_rule(struct record_call *call);

#endif
