#include "auth.h"
#include "auth_operator.h"
#include "executor.h"
#include "migrate.h"
#include "store.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tenon-auth-XXXXXX";
static struct executor *executor;
static struct loop *loop;
static struct auth *auth;
static struct store *control;

static const struct auth_identity ada = { .kind = AUTH_USER,
	.tenant = "shop",
	.collection_id = "pbc_users",
	.collection = "users",
	.record_id = "abcdefghij12345" };

static void setup(void)
{
	struct executor_config config = { .n_threads = { 1, 1, 1, 1 },
		.queue_limit = { 64, 64, 64, 64 } };
	char path[128];

	if (auth)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL_FATAL(executor_new(&config, &executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	struct auth_config auth_config = { .keys_folder = folder, .executor = executor };
	CU_ASSERT_EQUAL_FATAL(auth_new(&auth_config, &auth, NULL), 0);
	(void)snprintf(path, sizeof path, "%s/control.db", folder);
	struct store_config store_config = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 16,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_control() };
	struct err err = { 0 };
	if (store_open(&store_config, executor, &control, &err) < 0)
		fprintf(stderr, "%s\n", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(control);
}

static struct bytes token_for(const struct auth_identity *identity, const char *key, int64_t now_s)
{
	static char text[AUTH_TOKEN_MAX];

	const struct auth_token token = { .type = AUTH_TOKEN_AUTH,
		.identity = identity,
		.account_key = bytes_of(key),
		.now_s = now_s,
		.is_refreshable = true };

	return (struct bytes){ text, auth_token_format(auth, &token, text) };
}

static void a_token_says_who_it_is_for(void)
{
	struct auth_claims claims;

	setup();
	struct bytes token = token_for(&ada, "key-of-ada", 1000);
	CU_ASSERT(token.n > 0);
	CU_ASSERT_EQUAL(auth_token_read(token, AUTH_TOKEN_AUTH, BYTES("shop"), 1001, &claims),
		AUTH_TOKEN_READ);
	CU_ASSERT_STRING_EQUAL(claims.identity.record_id, "abcdefghij12345");
	CU_ASSERT_STRING_EQUAL(claims.identity.collection_id, "pbc_users");
	CU_ASSERT_EQUAL(claims.expires_s, 1000 + 604800);
	CU_ASSERT(auth_token_check(auth, token, BYTES("key-of-ada")));
}

static void a_token_is_worth_nothing_to_another_tenant(void)
{
	struct auth_claims claims;

	setup();
	CU_ASSERT_EQUAL(auth_token_read(token_for(&ada, "k", 1000), AUTH_TOKEN_AUTH, BYTES("other"),
				1001, &claims),
		AUTH_TOKEN_FOREIGN);
	CU_ASSERT_EQUAL(auth_token_read(token_for(&ada, "k", 1000), AUTH_TOKEN_AUTH, BYTES("sho"),
				1001, &claims),
		AUTH_TOKEN_FOREIGN);
}

static void a_token_dies_with_its_account_key(void)
{
	setup();
	struct bytes token = token_for(&ada, "old-key", 1000);
	CU_ASSERT(auth_token_check(auth, token, BYTES("old-key")));
	CU_ASSERT(!auth_token_check(auth, token, BYTES("new-key")));
	CU_ASSERT(!auth_token_check(auth, token, BYTES("")));
}

static void an_expired_or_changed_token_is_refused(void)
{
	struct auth_claims claims;
	char changed[AUTH_TOKEN_MAX];

	setup();
	struct bytes token = token_for(&ada, "k", 1000);
	CU_ASSERT_EQUAL(
		auth_token_read(token, AUTH_TOKEN_AUTH, BYTES("shop"), 1000 + 604800, &claims),
		AUTH_TOKEN_NONE);
	for (size_t i = 0; i < token.n; i++) {
		memcpy(changed, token.p, token.n);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		CU_ASSERT(!auth_token_check(auth, (struct bytes){ changed, token.n }, BYTES("k")));
	}
}

static void a_token_serves_its_one_purpose(void)
{
	static char text[AUTH_TOKEN_MAX];
	struct auth_claims claims;

	setup();
	for (int type = 0; type < AUTH_TOKEN_TYPES; type++) {
		const struct auth_token wanted = { .type = (enum auth_token_type)type,
			.identity = &ada,
			.account_key = BYTES("k"),
			.now_s = 1000,
			.lifetime_s = 60,
			.email = BYTES("o\"brien@example.com"),
			.new_email = BYTES("new@example.com") };
		struct bytes token = { text, auth_token_format(auth, &wanted, text) };
		CU_ASSERT(token.n > 0);
		for (int other = 0; other < AUTH_TOKEN_TYPES; other++)
			CU_ASSERT_EQUAL(auth_token_read(token, (enum auth_token_type)other,
						BYTES("shop"), 1001, &claims),
				other == type ? AUTH_TOKEN_READ : AUTH_TOKEN_NONE);
		CU_ASSERT_EQUAL(auth_token_read(token, wanted.type, BYTES("shop"), 1060, &claims),
			AUTH_TOKEN_NONE);
		CU_ASSERT(auth_token_check(auth, token, BYTES("k")));
	}
	CU_ASSERT_STRING_EQUAL(claims.email, "o\"brien@example.com");
	CU_ASSERT_STRING_EQUAL(claims.new_email, "new@example.com");
}

static void a_bearer_prefix_is_optional(void)
{
	CU_ASSERT(bytes_eq(auth_token_of_header(BYTES("Bearer abc")), BYTES("abc")));
	CU_ASSERT(bytes_eq(auth_token_of_header(BYTES("bearer abc")), BYTES("abc")));
	CU_ASSERT(bytes_eq(auth_token_of_header(BYTES("abc")), BYTES("abc")));
}

static void the_eleventh_sign_in_of_a_minute_is_refused(void)
{
	unsigned retry_s = 0;

	setup();
	for (int i = 0; i < 10; i++)
		CU_ASSERT(auth_sign_in_is_allowed(auth, BYTES("10.1.1.1"), BYTES("ada"), &retry_s));
	CU_ASSERT(!auth_sign_in_is_allowed(auth, BYTES("10.1.1.1"), BYTES("ada"), &retry_s));
	CU_ASSERT(retry_s >= 1 && retry_s <= 7);
	CU_ASSERT(!auth_sign_in_is_allowed(auth, BYTES("10.1.1.1"), BYTES("Ada"), &retry_s));
	CU_ASSERT(auth_sign_in_is_allowed(auth, BYTES("10.1.1.2"), BYTES("ada"), &retry_s));
}

static void stop_loop(struct auth_operator_request *request)
{
	loop_stop(request->loop);
}

static enum auth_operator_outcome ask(struct auth_operators *operators, enum auth_operator_act act,
	const char *token, const char *email, const char *password, struct auth_session *ret)
{
	struct auth_operator_request request = { .act = act,
		.token = bytes_of(token),
		.email = bytes_of(email),
		.password = bytes_of(password),
		.address = BYTES("127.0.0.1"),
		.done = stop_loop,
		.loop = loop };

	auth_operator_run(operators, &request);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	if (ret)
		*ret = request.session;
	return request.outcome;
}

static void the_set_up_token_works_once(void)
{
	struct auth_operators *operators = NULL;
	struct auth_session session, found;
	char token[AUTH_SECRET_HEX + 1];

	setup();
	CU_ASSERT_EQUAL_FATAL(auth_operators_open(auth, control, &operators, NULL), 0);
	CU_ASSERT(auth_setup_is_needed(operators));
	auth_setup_offer(operators, token);
	CU_ASSERT_EQUAL(
		ask(operators, AUTH_OPERATOR_SETUP, "0000", "op@example.com", "long enough", NULL),
		AUTH_OPERATOR_BAD_TOKEN);
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_SETUP, token, "op@example.com", "short", NULL),
		AUTH_OPERATOR_BAD_PASSWORD);
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_SETUP, token, "nobody", "long enough", NULL),
		AUTH_OPERATOR_BAD_EMAIL);
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_SETUP, token, "op@example.com", "long enough",
				&session),
		AUTH_OPERATOR_OK);
	CU_ASSERT(!auth_setup_is_needed(operators));
	CU_ASSERT_EQUAL(
		ask(operators, AUTH_OPERATOR_SETUP, token, "two@example.com", "long enough", NULL),
		AUTH_OPERATOR_BAD_TOKEN);

	CU_ASSERT(auth_session_find(operators, bytes_of(session.id), &found));
	CU_ASSERT_STRING_EQUAL(found.email, "op@example.com");
	CU_ASSERT(auth_session_has_csrf(&found, bytes_of(session.csrf)));
	CU_ASSERT(!auth_session_has_csrf(&found, BYTES("")));
	auth_session_end(operators, bytes_of(session.id));
	CU_ASSERT(!auth_session_find(operators, bytes_of(session.id), &found));
	auth_operators_close(operators);
}

static void a_new_password_ends_the_sessions(void)
{
	struct auth_operators *operators = NULL;
	struct auth_session session, found;

	setup();
	CU_ASSERT_EQUAL_FATAL(auth_operators_open(auth, control, &operators, NULL), 0);
	CU_ASSERT_EQUAL(
		ask(operators, AUTH_OPERATOR_UPSERT, "", "kim@example.com", "first password", NULL),
		AUTH_OPERATOR_OK);
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_SIGN_IN, "", "kim@example.com",
				"wrong password", NULL),
		AUTH_OPERATOR_WRONG);
	CU_ASSERT_EQUAL(
		ask(operators, AUTH_OPERATOR_SIGN_IN, "", "no@example.com", "first password", NULL),
		AUTH_OPERATOR_WRONG);
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_SIGN_IN, "", "KIM@example.com",
				"first password", &session),
		AUTH_OPERATOR_OK);
	CU_ASSERT(auth_session_find(operators, bytes_of(session.id), &found));
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_UPSERT, "", "kim@example.com",
				"second password", NULL),
		AUTH_OPERATOR_OK);
	CU_ASSERT(!auth_session_find(operators, bytes_of(session.id), &found));
	CU_ASSERT_EQUAL(ask(operators, AUTH_OPERATOR_SIGN_IN, "", "kim@example.com",
				"first password", NULL),
		AUTH_OPERATOR_WRONG);
	auth_operators_close(operators);
}

static void everything_closes(void)
{
	char command[64];

	setup();
	store_close(control);
	auth_free(auth);
	loop_free(loop);
	executor_free(executor);
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static const struct unit_test tests[] = {
	UNIT(a_token_says_who_it_is_for),
	UNIT(a_token_is_worth_nothing_to_another_tenant),
	UNIT(a_token_dies_with_its_account_key),
	UNIT(an_expired_or_changed_token_is_refused),
	UNIT(a_token_serves_its_one_purpose),
	UNIT(a_bearer_prefix_is_optional),
	UNIT(the_eleventh_sign_in_of_a_minute_is_refused),
	UNIT(the_set_up_token_works_once),
	UNIT(a_new_password_ends_the_sessions),
	UNIT(everything_closes),
};

UNIT_MAIN("auth", tests)
