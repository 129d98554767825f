/*
 * operators.h - what accounts (operator.c) and sessions (session.c) share
 */
#ifndef AUTH_OPERATORS_H
#define AUTH_OPERATORS_H

#include "auth_operator.h"
#include "hash.h"
#include "internal.h"

/* Browsers signed in at once; beyond it the session that was idle longest ends. */
#define SESSIONS_MAX    256
#define SESSION_IDLE_NS (30 * 60 * CLOCK_NS_PER_S)
#define SESSION_LIFE_NS (12 * 3600 * CLOCK_NS_PER_S)

struct session_slot {
	bool is_live;
	uint8_t id_hash[HASH_BYTES]; /* the id itself is only in the browser */
	uint64_t began_ns, used_ns;
	char email[AUTH_EMAIL_MAX + 1];
	char operator_id[AUTH_RECORD_MAX + 1];
};

struct auth_operators {
	struct auth *auth;
	struct store *control;
	pthread_mutex_t lock; /* all below */
	bool has_operator;
	uint8_t setup_hash[HASH_BYTES];
	uint64_t setup_until_ns; /* 0: none was offered */
	unsigned n_changes;      /* of accounts, since the start */
	bool setup_is_taken;     /* a request with the right token is under way: no second one */
	struct session_slot sessions[SESSIONS_MAX];
};

/* Begins a session for an operator and fills *ret. */
void session_begin(struct auth_operators *operators, const char *email, const char *operator_id,
	struct auth_session *ret);
/* Ends all sessions of an operator. */
void session_end_all(struct auth_operators *operators, const char *email);

#endif
