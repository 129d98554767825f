#include "internal.h"

#include "password.h"

#include <stddef.h>
#include <string.h>

_Static_assert(AUTH_HASH_BYTES >= PASSWORD_HASH_SIZE, "a hash fits");

/* What the password of an unknown account is checked against: a hash at the usual cost of 32 random
 * bytes that nobody kept. */
static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$/"
			     "JjxKwdAtwgH5JdZFmUdSA$+y1e2X84R7vkV4TG7GwkGB4xZrMs2mHy9eko1zY5eHk";

static void deliver(struct loop_message *message)
{
	struct auth_password *password =
		(struct auth_password *)((char *)message - offsetof(struct auth_password, message));

	password->done(password);
}

static void finish(struct auth_password *password, enum auth_password_outcome outcome)
{
	password->outcome = outcome;
	password->message.deliver = deliver;
	loop_post(password->loop, &password->message);
}

static enum auth_password_outcome check(struct auth_password *password)
{
	bool is_known = password->hash[0] != '\0', is_match = false;

	if (password_check(bytes_of(is_known ? password->hash : nobody), password->password,
		    &is_match, NULL) < 0)
		return AUTH_PASSWORD_FAULT;
	return is_known && is_match ? AUTH_PASSWORD_OK : AUTH_PASSWORD_WRONG;
}

static void run(struct executor_job *job)
{
	struct auth_password *password =
		(struct auth_password *)((char *)job - offsetof(struct auth_password, job));
	enum auth_password_outcome outcome;

	if (atomic_load_explicit(&password->is_cancelled, memory_order_relaxed)) {
		finish(password, AUTH_PASSWORD_GONE);
		return;
	}
	if (password->act == AUTH_PASSWORD_CHECK)
		outcome = check(password);
	else
		outcome = password_hash(password->password, PASSWORD_COST, password->hash, NULL) < 0
				  ? AUTH_PASSWORD_FAULT
				  : AUTH_PASSWORD_OK;
	finish(password, outcome);
}

void auth_password_run(struct auth *auth, struct auth_password *password)
{
	password->auth = auth;
	atomic_init(&password->is_cancelled, false);
	/* No account of ours can have such a password: the answer costs nothing and tells nothing.
	 */
	if (password->password.n > PASSWORD_MAX) {
		finish(password, AUTH_PASSWORD_WRONG);
		return;
	}
	password->job.run = run;
	if (executor_submit(auth->config.executor, EXECUTOR_PASSWORD, &password->job) !=
		EXECUTOR_OK)
		finish(password, AUTH_PASSWORD_BUSY);
}

void auth_password_cancel(struct auth_password *password)
{
	atomic_store_explicit(&password->is_cancelled, true, memory_order_relaxed);
}
