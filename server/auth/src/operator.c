/*
 * Operators' accounts. Each act takes the same steps, and stops at the first that says no:
 *
 *   sign in    limit -> read the account's hash -> check the password -> session
 *   upsert     rules of e-mail and password -> hash the password -> write the row
 *   set up     token -> as upsert -> session
 */
#include "operators.h"

#include "clock.h"
#include "id.h"
#include "store_wait.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct count {
	struct store_job job;
	int64_t n;
};

static enum store_outcome count_rows(struct store_job *job, struct store_conn *conn)
{
	struct store_stmt *stmt;
	bool has_row = false;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT count(*) FROM operators"), &stmt);

	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK && has_row)
		((struct count *)job)->n = store_column_int64(stmt, 0);
	return outcome;
}

int auth_operators_open(
	struct auth *auth, struct store *control, struct auth_operators **ret, struct err *err)
{
	struct auth_operators *operators = calloc(1, sizeof *operators);
	struct count count = { .job = { .run = count_rows } };

	if (!operators)
		return ERR_SET(err, ERR_NOMEM, "no memory for operators");
	if (store_read_and_wait(control, &count.job) != STORE_OK) {
		free(operators);
		if (err)
			*err = count.job.err;
		return -1;
	}
	operators->auth = auth;
	operators->control = control;
	operators->has_operator = count.n > 0;
	(void)pthread_mutex_init(&operators->lock, NULL);
	*ret = operators;
	return 0;
}

void auth_operators_close(struct auth_operators *operators)
{
	if (!operators)
		return;
	(void)pthread_mutex_destroy(&operators->lock);
	free(operators);
}

bool auth_setup_is_needed(const struct auth_operators *operators)
{
	struct auth_operators *lockable = (struct auth_operators *)(uintptr_t)operators;

	pthread_mutex_lock(&lockable->lock);
	bool is_needed = !operators->has_operator;
	pthread_mutex_unlock(&lockable->lock);
	return is_needed;
}

void auth_setup_offer(struct auth_operators *operators, char out[static AUTH_SECRET_HEX + 1])
{
	struct id_source ids = { 0 };
	uint8_t random[HASH_BYTES];

	id_random(&ids, random, sizeof random);
	bytes_hex((struct bytes){ (const char *)random, sizeof random }, out);
	out[AUTH_SECRET_HEX] = '\0';
	pthread_mutex_lock(&operators->lock);
	hash_of(bytes_of(out), operators->setup_hash);
	operators->setup_until_ns = clock_mono_ns() + AUTH_SETUP_S * CLOCK_NS_PER_S;
	pthread_mutex_unlock(&operators->lock);
}

/* Takes the set-up token when it is the one on offer and nobody else is using it. finish() gives it
 * back unless the account was made. */
static bool take_setup_token(struct auth_operators *operators, struct bytes token)
{
	uint8_t digest[HASH_BYTES];

	hash_of(token, digest);
	pthread_mutex_lock(&operators->lock);
	bool is_right = !operators->has_operator && !operators->setup_is_taken &&
			clock_mono_ns() < operators->setup_until_ns &&
			bytes_eq_secret((struct bytes){ (const char *)digest, sizeof digest },
				(struct bytes){ (const char *)operators->setup_hash, HASH_BYTES });
	if (is_right)
		operators->setup_is_taken = true;
	pthread_mutex_unlock(&operators->lock);
	return is_right;
}

/* One '@' with something on both sides and no space or control character: who can read the mail is
 * for the mail to show. */
static bool is_email(struct bytes email)
{
	const char *at = email.n ? memchr(email.p, '@', email.n) : NULL;

	if (!at || at == email.p || at == email.p + email.n - 1 || email.n > AUTH_EMAIL_MAX)
		return false;
	for (size_t i = 0; i < email.n; i++)
		if ((unsigned char)email.p[i] <= ' ' || email.p[i] == 127)
			return false;
	return !memchr(at + 1, '@', (size_t)(email.p + email.n - at - 1));
}

static void finish(struct auth_operator_request *request, enum auth_operator_outcome outcome)
{
	struct auth_operators *operators = request->operators;

	explicit_bzero(request->check.hash, sizeof request->check.hash);
	if (request->has_setup_token) {
		pthread_mutex_lock(&operators->lock);
		operators->setup_is_taken = false;
		pthread_mutex_unlock(&operators->lock);
	}
	request->outcome = outcome;
	request->done(request);
}

/* ---- sign in ---- */

static void read_account(struct auth_operator_request *request);

static unsigned n_changes(struct auth_operators *operators)
{
	pthread_mutex_lock(&operators->lock);
	unsigned n = operators->n_changes;
	pthread_mutex_unlock(&operators->lock);
	return n;
}

static void on_checked(struct auth_password *check)
{
	struct auth_operator_request *request =
		(struct auth_operator_request *)((char *)check -
						 offsetof(struct auth_operator_request, check));

	switch (check->outcome) {
	case AUTH_PASSWORD_OK: {
		char email[AUTH_EMAIL_MAX + 1];
		/* The password may have been changed while this one was checked: a session that
		 * begins now would outlive those that the change has ended. */
		if (n_changes(request->operators) != request->n_changes) {
			read_account(request);
			break;
		}
		(void)bytes_to_string(request->email, email, sizeof email);
		session_begin(request->operators, email, request->new_id, &request->session);
		finish(request, AUTH_OPERATOR_OK);
		break;
	}
	case AUTH_PASSWORD_WRONG:
		finish(request, AUTH_OPERATOR_WRONG);
		break;
	case AUTH_PASSWORD_GONE: /* never cancelled */
	case AUTH_PASSWORD_BUSY:
		finish(request, AUTH_OPERATOR_BUSY);
		break;
	case AUTH_PASSWORD_FAULT:
		(void)ERR_SET(&request->err, ERR_NOMEM, "no memory to check a password");
		finish(request, AUTH_OPERATOR_FAULT);
		break;
	}
}

static enum store_outcome read_hash(struct store_job *job, struct store_conn *conn)
{
	struct auth_operator_request *request =
		(struct auth_operator_request *)((char *)job -
						 offsetof(struct auth_operator_request, job));
	struct store_stmt *stmt;
	bool has_row = false;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("SELECT id, password_hash FROM operators WHERE email = ?1"), &stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, request->email);
	outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK && has_row) {
		(void)bytes_to_string(
			store_column_text(stmt, 0), request->new_id, sizeof request->new_id);
		(void)bytes_to_string(store_column_text(stmt, 1), request->check.hash,
			sizeof request->check.hash);
	}
	return outcome;
}

static void on_hash_read(struct store_job *job)
{
	struct auth_operator_request *request =
		(struct auth_operator_request *)((char *)job -
						 offsetof(struct auth_operator_request, job));

	if (job->outcome != STORE_OK) {
		request->err = job->err;
		finish(request,
			job->outcome == STORE_BUSY ? AUTH_OPERATOR_BUSY : AUTH_OPERATOR_FAULT);
		return;
	}
	request->check.act = AUTH_PASSWORD_CHECK;
	request->check.done = on_checked;
	auth_password_run(request->operators->auth, &request->check);
}

static void read_account(struct auth_operator_request *request)
{
	request->n_changes = n_changes(request->operators);
	request->check.hash[0] = request->new_id[0] = '\0';
	request->job =
		(struct store_job){ .run = read_hash, .done = on_hash_read, .loop = request->loop };
	store_read(request->operators->control, &request->job);
}

/* ---- set up and upsert ---- */

static enum store_outcome write_row(struct store_job *job, struct store_conn *conn)
{
	struct auth_operator_request *request =
		(struct auth_operator_request *)((char *)job -
						 offsetof(struct auth_operator_request, job));
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO operators (id, email, password_hash, created_us) VALUES (?1, "
		      "?2, ?3, ?4) "
		      "ON CONFLICT (email) DO UPDATE SET password_hash = excluded.password_hash"),
		&stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(request->new_id));
	store_bind_text(stmt, 2, request->email);
	store_bind_text(stmt, 3, bytes_of(request->check.hash));
	store_bind_int64(stmt, 4, clock_wall_us());
	return store_exec(stmt, NULL);
}

static void on_written(struct store_job *job)
{
	struct auth_operator_request *request =
		(struct auth_operator_request *)((char *)job -
						 offsetof(struct auth_operator_request, job));
	struct auth_operators *operators = request->operators;
	char email[AUTH_EMAIL_MAX + 1];

	if (job->outcome != STORE_OK) {
		request->err = job->err;
		finish(request,
			job->outcome == STORE_BUSY ? AUTH_OPERATOR_BUSY : AUTH_OPERATOR_FAULT);
		return;
	}
	(void)bytes_to_string(request->email, email, sizeof email);
	pthread_mutex_lock(&operators->lock);
	operators->has_operator = true;
	operators->setup_until_ns = 0;
	operators->n_changes++;
	pthread_mutex_unlock(&operators->lock);
	session_end_all(operators, email);
	if (request->act == AUTH_OPERATOR_SETUP)
		session_begin(operators, email, request->new_id, &request->session);
	finish(request, AUTH_OPERATOR_OK);
}

static void on_hashed(struct auth_password *check)
{
	struct auth_operator_request *request =
		(struct auth_operator_request *)((char *)check -
						 offsetof(struct auth_operator_request, check));

	if (check->outcome == AUTH_PASSWORD_OK) {
		id_record(loop_ids(request->loop), request->new_id);
		request->job = (struct store_job){
			.run = write_row, .done = on_written, .loop = request->loop
		};
		store_write(request->operators->control, &request->job);
	} else if (check->outcome == AUTH_PASSWORD_BUSY) {
		finish(request, AUTH_OPERATOR_BUSY);
	} else if (check->outcome == AUTH_PASSWORD_WRONG) {
		finish(request, AUTH_OPERATOR_BAD_PASSWORD);
	} else {
		(void)ERR_SET(&request->err, ERR_NOMEM, "no memory to hash a password");
		finish(request, AUTH_OPERATOR_FAULT);
	}
}

void auth_operator_run(struct auth_operators *operators, struct auth_operator_request *request)
{
	request->operators = operators;
	request->err = (struct err){ 0 };
	request->session = (struct auth_session){ 0 };
	request->check =
		(struct auth_password){ .password = request->password, .loop = request->loop };
	request->new_id[0] = '\0';
	request->has_setup_token = false;

	if (request->act != AUTH_OPERATOR_UPSERT &&
		!auth_sign_in_is_allowed(
			operators->auth, request->address, request->email, &request->retry_s)) {
		finish(request, AUTH_OPERATOR_LIMITED);
		return;
	}
	if (request->act == AUTH_OPERATOR_SIGN_IN) {
		read_account(request);
		return;
	}
	if (!is_email(request->email)) {
		finish(request, AUTH_OPERATOR_BAD_EMAIL);
		return;
	}
	if (request->password.n < AUTH_PASSWORD_MIN) {
		finish(request, AUTH_OPERATOR_BAD_PASSWORD);
		return;
	}
	if (request->act == AUTH_OPERATOR_SETUP) {
		request->has_setup_token = take_setup_token(operators, request->token);
		if (!request->has_setup_token) {
			finish(request, AUTH_OPERATOR_BAD_TOKEN);
			return;
		}
	}
	request->check.act = AUTH_PASSWORD_HASH;
	request->check.done = on_hashed;
	auth_password_run(operators->auth, &request->check);
}
