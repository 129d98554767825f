#include "auth.h"
#include "auth_key.h"
#include "auth_limit.h"
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

static void a_bucket_gives_what_its_rate_says(void)
{
	const struct bytes ada_here[] = { BYTES("*:auth"), BYTES("10.2.2.2"), BYTES("ada") };
	const struct bytes ada_there[] = { BYTES("*:auth"), BYTES("10.2.2.3"), BYTES("ada") };
	const struct bytes glued[] = { BYTES("*:auth"), BYTES("10.2.2.2a"), BYTES("da") };
	const struct auth_rate rate = { 2, 3 };

	setup();
	struct auth_limit_verdict verdict = auth_limit_take(auth, rate, ada_here, 3);
	CU_ASSERT(verdict.is_allowed);
	CU_ASSERT_EQUAL(verdict.limit, 2);
	CU_ASSERT_EQUAL(verdict.remaining, 1);
	CU_ASSERT(auth_limit_take(auth, rate, ada_here, 3).is_allowed);
	verdict = auth_limit_take(auth, rate, ada_here, 3);
	CU_ASSERT(!verdict.is_allowed);
	CU_ASSERT_EQUAL(verdict.remaining, 0);
	CU_ASSERT(verdict.retry_s >= 1 && verdict.retry_s <= 2);
	CU_ASSERT(verdict.reset_s >= 2 && verdict.reset_s <= 3);
	CU_ASSERT(auth_limit_take(auth, rate, ada_there, 3).is_allowed);
	CU_ASSERT(auth_limit_take(auth, rate, glued, 3).is_allowed);
}

static void a_flood_of_names_limits_nobody_else_for_long(void)
{
	const struct auth_rate rate = { 1, 3600 };
	unsigned n_allowed = 0;

	setup();
	for (unsigned i = 0; i < 100000; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "%u", i);
		const struct bytes parts[] = { BYTES("flood"), bytes_of(name) };
		n_allowed += auth_limit_take(auth, rate, parts, 2).is_allowed;
	}
	/* Names that never came before are never refused: at worst one of 2^64 shares a key. */
	CU_ASSERT_EQUAL(n_allowed, 100000);
}

/* ---- keys ---- */

static struct auth_key_call key_call;
static struct auth_key_find key_find;

static void stop_key_call(struct auth_key_call *call)
{
	loop_stop(call->loop);
}

static void stop_key_find(struct auth_key_find *find)
{
	loop_stop(find->loop);
}

static enum store_outcome run_key(struct auth_key_call call, struct store *tenant)
{
	bytes_buf_fini(&key_call.answer);
	key_call = call;
	key_call.store = tenant;
	key_call.loop = loop;
	key_call.done = stop_key_call;
	auth_key_run(&key_call);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	return key_call.outcome;
}

static enum auth_key_result find_key(struct store *tenant, const char *text, int64_t now_s)
{
	key_find = (struct auth_key_find){ .auth = auth,
		.store = tenant,
		.loop = loop,
		.text = bytes_of(text),
		.now_s = now_s,
		.done = stop_key_find };
	auth_key_find(&key_find);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	return key_find.result;
}

static void a_key_is_found_by_its_secret_until_it_ends(void)
{
	struct store *tenant = NULL;
	char path[128], text[AUTH_KEY_TEXT_MAX];

	setup();
	(void)snprintf(path, sizeof path, "%s/tenant.db", folder);
	struct store_config store_config = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 16,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_tenant() };
	CU_ASSERT_EQUAL_FATAL(store_open(&store_config, executor, &tenant, NULL), 0);
	const struct auth_key_call create = { .act = AUTH_KEY_CREATE,
		.name = BYTES("ci"),
		.scopes = BYTES("[\"records:posts:list\"]"),
		.now_s = 1000,
		.expires_s = 2000 };
	CU_ASSERT_EQUAL(run_key(create, tenant), STORE_OK);
	memcpy(text, key_call.text, sizeof text);
	CU_ASSERT(auth_key_is_key(bytes_of(text)));
	/* The secret is not in it. */
	CU_ASSERT_PTR_NULL(
		memmem(key_call.answer.p, key_call.answer.n, text + 20, strlen(text + 20)));
	CU_ASSERT_EQUAL(find_key(tenant, text, 1500), AUTH_KEY_FOUND);
	CU_ASSERT_STRING_EQUAL(key_find.scopes, "[\"records:posts:list\"]");
	CU_ASSERT_EQUAL(find_key(tenant, text, 2000), AUTH_KEY_NONE);
	for (size_t i = strlen(AUTH_KEY_PREFIX); text[i]; i++) {
		char was = text[i];
		text[i] = was == 'a' ? 'b' : 'a';
		CU_ASSERT_EQUAL(find_key(tenant, text, 1500), AUTH_KEY_NONE);
		text[i] = was;
	}
	CU_ASSERT_EQUAL(find_key(tenant, "tnk_", 1500), AUTH_KEY_NONE);
	/* Written behind the request's back. */
	static const char used[] = "\"lastUsed\":\"1970-01-01 00:25:00.000Z\"";
	bool is_noted = false;
	for (int i = 0; i < 400 && !is_noted; i++) {
		(void)usleep(5000);
		const struct auth_key_call list = { .act = AUTH_KEY_LIST };
		CU_ASSERT_EQUAL(run_key(list, tenant), STORE_OK);
		is_noted = memmem(key_call.answer.p, key_call.answer.n, used, sizeof used - 1);
	}
	CU_ASSERT(is_noted);
	find_key(tenant, text, 1500);
	char id[AUTH_RECORD_MAX + 1];
	memcpy(id, key_find.id, sizeof id);
	const struct auth_key_call revoke = { .act = AUTH_KEY_REVOKE, .id = bytes_of(id) };
	CU_ASSERT_EQUAL(run_key(revoke, tenant), STORE_OK);
	CU_ASSERT_EQUAL(find_key(tenant, text, 1500), AUTH_KEY_NONE);
	CU_ASSERT_EQUAL(run_key(revoke, tenant), STORE_REFUSED);
	bytes_buf_fini(&key_call.answer);
	store_close(tenant);
}

static void a_scope_allows_what_it_names_alone(void)
{
	static const char *const good[] = { "all", "records:*:*", "records:posts:list",
		"records:posts:list,view", "plugins:*", "plugins:order-rules", "read:logs" };
	static const char *const bad[] = { "", "ALL", "records", "records:posts",
		"records:posts:", "records:posts:list,", "records:posts:,list",
		"records:posts:frob", "records::list", "plugins:", "plugins:a/b",
		"read:", "read:keys", "records:po\"sts:list", "all:all" };
	const struct bytes scopes = BYTES("[\"records:posts:list,view\",\"plugins:ship\"]");
	const struct auth_act list = { AUTH_ACT_RECORD, BYTES("posts"), BYTES("list") };
	const struct auth_act make = { AUTH_ACT_RECORD, BYTES("posts"), BYTES("create") };
	const struct auth_act other = { AUTH_ACT_RECORD, BYTES("post"), BYTES("list") };
	const struct auth_act gone = { AUTH_ACT_RECORD, BYTES(""), BYTES("list") };
	const struct auth_act ship = { AUTH_ACT_PLUGIN, BYTES("ship"), BYTES("") };
	const struct auth_act else_ = { AUTH_ACT_OTHER, BYTES("posts"), BYTES("list") };
	const struct auth_act logs = { AUTH_ACT_READ, BYTES("logs"), BYTES("logs") };

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT(auth_scope_is_valid(bytes_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!auth_scope_is_valid(bytes_of(bad[i])));
	CU_ASSERT(auth_scope_allows(scopes, &list));
	CU_ASSERT(auth_scope_allows(scopes, &ship));
	CU_ASSERT(!auth_scope_allows(scopes, &make));
	CU_ASSERT(!auth_scope_allows(scopes, &other));
	CU_ASSERT(!auth_scope_allows(scopes, &gone));
	CU_ASSERT(!auth_scope_allows(scopes, &else_));
	CU_ASSERT(!auth_scope_allows(scopes, &logs));
	CU_ASSERT(!auth_scope_is_all(scopes));
	CU_ASSERT(!auth_scope_allows(BYTES("[]"), &list));
	CU_ASSERT(auth_scope_allows(BYTES("[\"all\"]"), &else_));
}

/* ---- the password lane ---- */

#define N_FLOOD 40

static unsigned n_gone, n_answered;

static void count_flood(struct auth_password *password)
{
	n_gone += password->outcome == AUTH_PASSWORD_GONE;
	if (++n_answered == N_FLOOD)
		loop_stop(password->loop);
}

static void nobody_hashes_for_clients_that_left(void)
{
	static struct auth_password flood[N_FLOOD];

	setup();
	for (size_t i = 0; i < N_FLOOD; i++) {
		flood[i] = (struct auth_password){ .act = AUTH_PASSWORD_CHECK,
			.password = BYTES("a guess"),
			.done = count_flood,
			.loop = loop };
		auth_password_run(auth, &flood[i]);
	}
	for (size_t i = 0; i < N_FLOOD; i++)
		auth_password_cancel(&flood[i]);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	/* The lane has one thread here: one may have been under way, perhaps its successor. */
	CU_ASSERT(n_gone >= N_FLOOD - 2);
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
	UNIT(a_bucket_gives_what_its_rate_says),
	UNIT(a_flood_of_names_limits_nobody_else_for_long),
	UNIT(a_key_is_found_by_its_secret_until_it_ends),
	UNIT(a_scope_allows_what_it_names_alone),
	UNIT(nobody_hashes_for_clients_that_left),
	UNIT(the_set_up_token_works_once),
	UNIT(a_new_password_ends_the_sessions),
	UNIT(everything_closes),
};

UNIT_MAIN("auth", tests)
