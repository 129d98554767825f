/*
 * auth_operator.h - the people who run the server: accounts, one-time set-up, sessions
 *
 * Operators live in control.db with an argon2id hash. The first one is made with the set-up token
 * that the server prints at its first start: valid once and for 15 minutes, kept only as a hash. A
 * signed-in browser holds a random session id in a cookie (HttpOnly, SameSite=Strict) and a CSRF
 * token in the page. Sessions are kept in memory, as hashes: a restart ends them all. One ends by
 * itself after 30 idle minutes or 12 hours.
 *
 * Threads: each function is answered on the loop that asks. Session checks are answered from
 * memory. Memory:  requests live in their caller until done.
 */
#ifndef AUTH_OPERATOR_H
#define AUTH_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "bytes.h"
#include "err.h"
#include "loop.h"
#include "store.h"

#define AUTH_SECRET_HEX   64 /* 256 random bits */
#define AUTH_EMAIL_MAX    254
#define AUTH_PASSWORD_MIN 10
#define AUTH_SETUP_S      900

struct auth_operators;

/* control is open and migrated; blocking, at start. */
int auth_operators_open(
	struct auth *auth, struct store *control, struct auth_operators **ret, struct err *err);
void auth_operators_close(struct auth_operators *operators);

/* True while there is no operator yet. */
bool auth_setup_is_needed(const struct auth_operators *operators);
/* A fresh set-up token, 64 hexadecimal digits and a terminator; what was given before is void. */
void auth_setup_offer(struct auth_operators *operators, char out[static AUTH_SECRET_HEX + 1]);

enum auth_operator_act {
	AUTH_OPERATOR_SETUP,   /* token, email, password: makes the first operator and a session */
	AUTH_OPERATOR_SIGN_IN, /* email, password: a session */
	AUTH_OPERATOR_UPSERT   /* email, password: makes the account or gives it the password; ends
				  its sessions */
};

enum auth_operator_outcome {
	AUTH_OPERATOR_OK,
	AUTH_OPERATOR_WRONG,     /* unknown e-mail or wrong password: one answer for both */
	AUTH_OPERATOR_BAD_TOKEN, /* set-up token unknown, used or expired */
	AUTH_OPERATOR_BAD_EMAIL,
	AUTH_OPERATOR_BAD_PASSWORD, /* shorter than AUTH_PASSWORD_MIN */
	AUTH_OPERATOR_LIMITED,      /* too many tries: retry_s */
	AUTH_OPERATOR_BUSY,
	AUTH_OPERATOR_FAULT
};

struct auth_session {
	char id[AUTH_SECRET_HEX + 1]; /* the cookie's value */
	char csrf[AUTH_SECRET_HEX + 1];
	char email[AUTH_EMAIL_MAX + 1];
	char operator_id[AUTH_RECORD_MAX + 1];
};

struct auth_operator_request {
	enum auth_operator_act act;
	struct bytes token, email, password, address;        /* borrowed until done */
	void (*done)(struct auth_operator_request *request); /* on loop */
	struct loop *loop;
	enum auth_operator_outcome outcome;
	unsigned retry_s;
	struct auth_session session; /* of SETUP and SIGN_IN */
	struct err err;
	/* the module's own */
	struct auth_operators *operators;
	struct auth_password check;
	struct store_job job;
	char new_id[AUTH_RECORD_MAX + 1];
	unsigned n_changes; /* when the account was read */
	bool has_setup_token;
};

void auth_operator_run(struct auth_operators *operators, struct auth_operator_request *request);

/* The session of a cookie's value, renewed; false when it is unknown or has ended. Any thread. */
bool auth_session_find(struct auth_operators *operators, struct bytes id, struct auth_session *ret);
/* True when csrf is this session's; constant time. */
bool auth_session_has_csrf(const struct auth_session *session, struct bytes csrf);
/* Ends a session. Any thread. */
void auth_session_end(struct auth_operators *operators, struct bytes id);

#endif
