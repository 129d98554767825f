#include "record_fix.h"

#include "record_auth.h"

static const struct record_viewer ann = { .collection_id = { "_pb_users_auth_", 15 },
	.collection_name = { "users", 5 },
	.record_id = { "user00000000001", 15 } };

/* Two users with the same password; a name is unique. */
static void make_people(void)
{
	setup();
	expect_status(
		200, request(record_collection_update, "users", NULL,
			     "{\"indexes\":[\"CREATE UNIQUE INDEX idx_name ON users (name) WHERE "
			     "name != ''\"],"
			     "\"listRule\":\"\",\"viewRule\":\"\",\"updateRule\":\"\"}"));
	expect_status(200,
		request(record_create, "users", NULL,
			"{\"id\":\"user00000000001\",\"email\":\"ann@x.example\",\"name\":"
			"\"ann\",\"password\":\"12345678\",\"passwordConfirm\":\"12345678\"}"));
	expect_status(
		200, request(record_create, "users", NULL,
			     "{\"id\":\"user00000000002\",\"email\":\"bob@x.example\",\"name\":"
			     "\"ann@x.example\",\"password\":\"12345678\",\"passwordConfirm\":"
			     "\"12345678\"}"));
}

static void done_find(struct record_find_auth *find)
{
	*(bool *)find->context = true;
	loop_stop(fix.loop);
}

static struct record_find_auth find(const char *identity, const char *field)
{
	bool is_done = false;
	struct err err;
	struct record_find_auth at = { .book = fix.book,
		.loop = fix.loop,
		.collection = BYTES("users"),
		.identity = bytes_of(identity),
		.identity_field = bytes_of(field),
		.done = done_find,
		.context = &is_done };
	record_find_auth(&at);
	loop_run(fix.loop, &err);
	CU_ASSERT(is_done);
	return at;
}

static void options_are_kept_shown_and_checked(void)
{
	static const struct {
		const char *body, *pointer, *code;
	} bad[] = {
		{ "{\"authToken\":{\"duration\":9}}", "/authToken/duration/code",
			"\"validation_min_greater_equal_than_required\"" },
		{ "{\"authToken\":{\"duration\":\"x\"}}", "/authToken/duration/code",
			"\"validation_invalid_value\"" },
		{ "{\"passwordAuth\":{\"identityFields\":[]}}", "/passwordAuth/identityFields/code",
			"\"validation_required\"" },
		{ "{\"passwordAuth\":{\"identityFields\":[\"verified\"]}}",
			"/passwordAuth/identityFields/code", "\"validation_missing_field\"" },
		{ "{\"passwordAuth\":{\"identityFields\":[\"tokenKey\"]}}",
			"/passwordAuth/identityFields/code", "\"validation_missing_field\"" },
		{ "{\"indexes\":[],\"passwordAuth\":{\"identityFields\":[\"name\"]}}",
			"/passwordAuth/identityFields/code",
			"\"validation_missing_unique_constraint\"" },
		{ "{\"verificationTemplate\":{\"subject\":\"\"}}",
			"/verificationTemplate/subject/code", "\"validation_required\"" },
		{ "{\"manageRule\":\"\"}", "/manageRule/code",
			"\"validation_nil_or_not_empty_required\"" },
		{ "{\"authRule\":\"frob = 1\"}", "/authRule/code", "\"validation_invalid_rule\"" },
		{ "{\"oauth2\":{\"enabled\":true}}", "/oauth2/enabled/code",
			"\"validation_not_supported\"" },
	};
	make_people();
	expect_status(200, request(record_collection_get, "users", NULL, NULL));
	expect("/authRule", "\"\"");
	expect("/manageRule", "null");
	expect("/authToken/duration", "604800");
	expect("/passwordAuth/identityFields", "[\"email\"]");
	expect("/mfa/enabled", "false");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_status(400, request(record_collection_update, "users", NULL, bad[i].body));
		expect(bad[i].pointer, bad[i].code);
	}
	expect_status(
		200, request(record_collection_update, "users", NULL,
			     "{\"authToken\":{\"duration\":60},\"authRule\":\"verified = true\","
			     "\"passwordAuth\":{\"identityFields\":[\"email\",\"name\"]},"
			     "\"resetPasswordTemplate\":{\"subject\":\"Oh\"}}"));
	close_book();
	open_book();
	expect_status(200, request(record_collection_get, "users", NULL, NULL));
	expect("/authToken/duration", "60");
	expect("/authRule", "\"verified = true\"");
	expect("/resetPasswordTemplate/subject", "\"Oh\"");
	expect("/passwordAuth/identityFields", "[\"email\",\"name\"]");
	/* What identifies people must stay unique. */
	expect_status(400, request(record_collection_update, "users", NULL, "{\"indexes\":[]}"));
	expect("/passwordAuth/identityFields/code", "\"validation_missing_unique_constraint\"");
	/* A collection of another type says nothing of all this. */
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	expect("/authToken", "(absent)");
	teardown();
}

static void an_address_is_looked_for_among_addresses_first(void)
{
	make_people();
	CU_ASSERT_EQUAL(find("ann", NULL).result, RECORD_NO_RECORD);
	expect_status(200, request(record_collection_update, "users", NULL,
				   "{\"passwordAuth\":{\"identityFields\":[\"name\",\"email\"]}}"));
	CU_ASSERT_STRING_EQUAL(find("ann", NULL).record_id, "user00000000001");
	/* Bob calls himself by Ann's address. */
	CU_ASSERT_STRING_EQUAL(find("ann@x.example", NULL).record_id, "user00000000001");
	CU_ASSERT_STRING_EQUAL(find("ann@x.example", "name").record_id, "user00000000002");
	CU_ASSERT_EQUAL(find("ann", "email").result, RECORD_NO_RECORD);
	CU_ASSERT_EQUAL(find("ann", "password").result, RECORD_NO_RECORD);
	CU_ASSERT_EQUAL(find("", NULL).result, RECORD_NO_RECORD);
	teardown();
}

static void the_auth_rule_decides_who_signs_in(void)
{
	make_people();
	fix.viewer = nobody;
	expect_status(200, request(record_check_auth_rule, "users", "user00000000001", NULL));
	fix.viewer = superuser;
	expect_status(200, request(record_collection_update, "users", NULL,
				   "{\"authRule\":\"verified = true\"}"));
	expect_status(
		200, request(record_update, "users", "user00000000001", "{\"verified\":true}"));
	fix.viewer = nobody;
	expect_status(200, request(record_check_auth_rule, "users", "user00000000001", NULL));
	expect_status(403, request(record_check_auth_rule, "users", "user00000000002", NULL));
	fix.viewer = superuser;
	expect_status(200, request(record_collection_update, "users", NULL, "{\"authRule\":null}"));
	fix.viewer = nobody;
	expect_status(403, request(record_check_auth_rule, "users", "user00000000001", NULL));
	teardown();
}

static void a_new_address_kills_tokens_as_a_new_password_does(void)
{
	make_people();
	struct record_find_auth before = find("ann@x.example", NULL);
	expect_status(200, request(record_update, "users", "user00000000001", "{\"name\":\"nn\"}"));
	CU_ASSERT_STRING_EQUAL(find("ann@x.example", NULL).token_key, before.token_key);
	expect_status(200, request(record_update, "users", "user00000000001",
				   "{\"email\":\"ann@x.example\"}"));
	CU_ASSERT_STRING_EQUAL(find("ann@x.example", NULL).token_key, before.token_key);
	expect_status(200, request(record_update, "users", "user00000000001",
				   "{\"email\":\"anna@x.example\"}"));
	struct record_find_auth after = find("anna@x.example", NULL);
	CU_ASSERT_STRING_NOT_EQUAL(after.token_key, before.token_key);
	CU_ASSERT(strlen(after.token_key) >= 40);
	CU_ASSERT_STRING_EQUAL(after.password_hash, before.password_hash);
	teardown();
}

static void only_who_manages_an_account_changes_what_is_guarded(void)
{
	const char *password = "{\"password\":\"newsecret\",\"passwordConfirm\":\"newsecret\"}";
	make_people();
	fix.viewer = ann;
	expect_status(400, request(record_update, "users", "user00000000002",
				   "{\"email\":\"ann2@x.example\"}"));
	expect("/email/code", "\"validation_values_mismatch\"");
	expect_status(400, request(record_update, "users", "user00000000002", password));
	expect("/oldPassword/code", "\"validation_required\"");
	fix.viewer = superuser;
	expect_status(
		200, request(record_collection_update, "users", NULL,
			     "{\"manageRule\":\"@request.auth.name = 'ann' && name != 'ann'\"}"));
	fix.viewer = ann;
	expect_status(200, request(record_update, "users", "user00000000002",
				   "{\"email\":\"bobby@x.example\",\"verified\":true}"));
	expect("/verified", "true");
	expect_status(200, request(record_update, "users", "user00000000002", password));
	/* The rule does not hold for her own account. */
	expect_status(400, request(record_update, "users", "user00000000001", password));
	expect("/oldPassword/code", "\"validation_required\"");
	expect_status(
		400, request(record_update, "users", "user00000000001", "{\"verified\":true}"));
	fix.viewer = nobody;
	expect_status(400, request(record_create, "users", NULL,
				   "{\"email\":\"eve@x.example\",\"verified\":true,\"password\":"
				   "\"12345678\",\"passwordConfirm\":\"12345678\"}"));
	expect("/verified/code", "\"validation_values_mismatch\"");
	teardown();
}

static bool is_called;

static void done_update(struct record_call *call)
{
	is_called = true;
	fix.status = call->status;
	loop_stop(fix.loop);
}

static void what_was_decided_over_a_key_happens_once(void)
{
	make_people();
	struct record_find_auth before = find("ann@x.example", NULL);
	static const int expected[] = { 200, 404 };
	for (int i = 0; i < 2; i++) {
		struct err err;
		arena_reset(fix.arena);
		struct record_call call = { .book = fix.book,
			.loop = fix.loop,
			.arena = fix.arena,
			.viewer = superuser,
			.ignore_rules = true,
			.token_key = bytes_of(before.token_key),
			.collection = BYTES("users"),
			.id = BYTES("user00000000001"),
			.body = BYTES(
				"{\"password\":\"newsecret\",\"passwordConfirm\":\"newsecret\"}"),
			.method = BYTES("PATCH"),
			.done = done_update };
		is_called = false;
		record_update(&call);
		CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
		CU_ASSERT(is_called);
		CU_ASSERT_EQUAL(fix.status, expected[i]);
		record_call_fini(&call);
	}
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(options_are_kept_shown_and_checked),
	UNIT(an_address_is_looked_for_among_addresses_first),
	UNIT(the_auth_rule_decides_who_signs_in),
	UNIT(a_new_address_kills_tokens_as_a_new_password_does),
	UNIT(only_who_manages_an_account_changes_what_is_guarded),
	UNIT(what_was_decided_over_a_key_happens_once),
};

UNIT_MAIN("record_auth", tests)
