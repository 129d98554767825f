#include "record_fix.h"

static void a_record_is_created_and_read_back(void)
{
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	fix.viewer = nobody;
	expect_status(200, request(record_create, "posts", NULL,
				   "{\"id\":\"abcdefghij12345\",\"title\":\"H\\u00e9llo "
				   "\\\"w\\\"\",\"n\":12.5,"
				   "\"count\":\"7\",\"active\":true,"
				   "\"mail\":\"a@b.example\",\"site\":\"https://x.example/p?q=1\","
				   "\"day\":\"2026-11-23T10:00:00+02:00\",\"kind\":\"b\",\"tags\":["
				   "\"x\",\"z\",\"x\"],"
				   "\"data\":{\"k\":[1,null]},\"sku\":\"AB12\",\"nosuch\":1,"
				   "\"created\":\"2000-01-01\"}"));
	CU_ASSERT_STRING_EQUAL(fix.ignored, "nosuch,created");
	for (int i = 0; i < 3; i++) {
		expect("/id", "\"abcdefghij12345\"");
		expect("/title", "\"Héllo \\\"w\\\"\"");
		expect("/n", "12.5");
		expect("/count", "7");
		expect("/active", "true");
		expect("/day", "\"2026-11-23 08:00:00.000Z\"");
		expect("/kind", "\"b\"");
		expect("/tags", "[\"x\",\"z\"]");
		expect("/data", "{\"k\":[1,null]}");
		expect("/collectionName", "\"posts\"");
		expect("/secret", "(absent)");
		CU_ASSERT_EQUAL(strlen(at("/created")), 26);
		/* The first get goes to the executor, the second stays on the loop. */
		expect_status(200, request(record_get, "posts", "abcdefghij12345", NULL));
	}
	expect_status(404, request(record_get, "posts", "abcdefghij12346", NULL));
	expect_status(404, request(record_get, "nosuch", "abcdefghij12345", NULL));
	teardown();
}

static void what_breaks_a_field_is_named_with_its_code(void)
{
	static const struct {
		const char *body, *field, *code;
	} rows[] = {
		{ "{}", "title", "validation_required" },
		{ "{\"title\":\"\"}", "title", "validation_required" },
		{ "{\"title\":\"x\"}", "title", "validation_min_text_constraint" },
		{ "{\"title\":\"123456789012345678901\"}", "title",
			"validation_max_text_constraint" },
		{ "{\"title\":\"ok\",\"n\":-6}", "n", "validation_min_number_constraint" },
		{ "{\"title\":\"ok\",\"n\":1001}", "n", "validation_max_number_constraint" },
		{ "{\"title\":\"ok\",\"count\":1.5}", "count", "validation_only_int_constraint" },
		{ "{\"title\":\"ok\",\"mail\":\"a.b\"}", "mail", "validation_is_email" },
		{ "{\"title\":\"ok\",\"mail\":\"a@b\"}", "mail", "validation_is_email" },
		{ "{\"title\":\"ok\",\"site\":\"javascript:alert(1)\"}", "site",
			"validation_is_url" },
		{ "{\"title\":\"ok\",\"site\":\"0.001\"}", "site", "validation_is_url" },
		{ "{\"title\":\"ok\",\"site\":\"mailto:\"}", "site", "validation_is_url" },
		{ "{\"title\":\"ok\",\"kind\":\"d\"}", "kind", "validation_invalid_value" },
		{ "{\"title\":\"ok\",\"tags\":[\"x\",\"y\",\"z\"]}", "tags",
			"validation_too_many_values" },
		{ "{\"title\":\"ok\",\"sku\":\"ab12\"}", "sku", "validation_invalid_format" },
		{ "{\"title\":\"ok\",\"id\":\"short\"}", "id", "validation_min_text_constraint" },
		{ "{\"title\":\"ok\",\"id\":\"ABCDEFGHIJKLMNO\"}", "id",
			"validation_invalid_format" },
	};
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	fix.viewer = nobody;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char pointer[64], code[64];
		snprintf(pointer, sizeof(pointer), "/%s/code", rows[i].field);
		snprintf(code, sizeof(code), "\"%s\"", rows[i].code);
		expect_status(400, request(record_create, "posts", NULL, rows[i].body));
		expect(pointer, code);
		CU_ASSERT_STRING_EQUAL(fix.message, "Failed to create record.");
	}
	expect_status(400, request(record_create, "posts", NULL, "[1]"));
	expect_status(400, request(record_create, "posts", NULL, "\"x\""));
	expect_status(
		200, request(record_create, "posts", NULL, "{\"title\":\"ok\",\"sku\":\"AB1\"}"));
	expect_status(
		400, request(record_create, "posts", NULL, "{\"title\":\"ok\",\"sku\":\"AB1\"}"));
	expect("/sku/code", "\"validation_not_unique\"");
	/* The index leaves empty ones out. */
	expect_status(200, request(record_create, "posts", NULL, "{\"title\":\"ok\"}"));
	expect_status(200, request(record_create, "posts", NULL, "{\"title\":\"ok\"}"));
	fix.is_strict = true;
	expect_status(400, request(record_create, "posts", NULL, "{\"title\":\"ok\",\"x\":1}"));
	expect("/x/code", "\"validation_unknown_field\"");
	teardown();
}

static void a_string_that_spells_json_is_that_in_a_json_field(void)
{
	static const char *const rows[][2] = { { "\"12\"", "12" }, { "\"true\"", "true" },
		{ "\"null\"", "null" }, { "\"[1,{}]\"", "[1,{}]" },
		{ "\"{\\\"a\\\":1}\"", "{\"a\":1}" }, { "\"\\\"12\\\"\"", "\"12\"" },
		{ "\"\"", "\"\"" }, { "\"[1\"", "\"[1\"" }, { "\"nil\"", "\"nil\"" },
		{ "\" 1\"", "\" 1\"" }, { "7", "7" } };
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char body[128];
		snprintf(body, sizeof(body), "{\"title\":\"ok\",\"data\":%s}", rows[i][0]);
		expect_status(200, request(record_create, "posts", NULL, body));
		expect("/data", rows[i][1]);
	}
	teardown();
}

static void all_problems_of_a_body_are_told_at_once(void)
{
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	expect_status(200,
		request(record_collection_create, NULL, NULL,
			"{\"name\":\"notes\",\"fields\":[{\"name\":\"text\",\"type\":\"text\","
			"\"max\":3},"
			"{\"name\":\"post\",\"type\":\"relation\",\"collectionId\":\"posts\"}]}"));
	expect_status(400, request(record_create, "notes", NULL,
				   "{\"text\":\"long\",\"post\":\"abcdefghij12345\"}"));
	expect("/text/code", "\"validation_max_text_constraint\"");
	expect("/post/code", "\"validation_missing_rel_records\"");
	expect_status(200, request(record_create, "notes", NULL,
				   "{\"id\":\"note00000000001\",\"text\":\"x\"}"));
	expect_status(400, request(record_update, "notes", "note00000000001",
				   "{\"text\":\"long\",\"post\":\"abcdefghij12345\"}"));
	expect("/text/code", "\"validation_max_text_constraint\"");
	expect("/post/code", "\"validation_missing_rel_records\"");
	teardown();
}

static void make_posts(unsigned n)
{
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	for (unsigned i = 0; i < n; i++) {
		char body[200];
		snprintf(body, sizeof(body),
			"{\"id\":\"post%011u\",\"title\":\"Post %u\",\"n\":%u,\"active\":%s,"
			"\"tags\":[\"%s\"],\"secret\":\"s%u\"}",
			i, i, i, i % 2 ? "true" : "false", i % 3 ? "x" : "y", i);
		expect_status(200, request(record_create, "posts", NULL, body));
	}
}

static void a_list_is_paged_sorted_and_filtered(void)
{
	setup();
	make_posts(35);
	fix.viewer = nobody;
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/page", "1");
	expect("/perPage", "30");
	expect("/totalItems", "35");
	expect("/totalPages", "2");
	expect("/items/0/n", "0");
	expect("/items/29/n", "29");
	expect("/items/30", "(absent)");
	query("page", "2");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/items/4/n", "34");
	query("sort", "-active, n");
	query("perPage", "2");
	query("skipTotal", "1");
	query("filter", "n > 10 && tags:each ?= 'x'");
	query("fields", "n,id");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "-1");
	expect("/totalPages", "-1");
	expect("/items",
		"[{\"id\":\"post00000000011\",\"n\":11},{\"id\":\"post00000000013\",\"n\":13}]");
	query("perPage", "99999");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/perPage", "1000");
	expect("/page", "1");
	static const char *const bad[] = { "nosuch = 1", "n >", "secret = 's1'", "n = 1 || (",
		"@x = 1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		query("filter", bad[i]);
		expect_status(400, request(record_list, "posts", NULL, NULL));
		expect("/filter/code", "\"validation_invalid_filter\"");
	}
	static const char *const bad_sorts[] = { "nosuch", "n,", "a b", "n;--", "-secret",
		"n,n,n,n,n,n,n,n,n" };
	for (size_t i = 0; i < sizeof(bad_sorts) / sizeof(bad_sorts[0]); i++) {
		query("sort", bad_sorts[i]);
		int status = request(record_list, "posts", NULL, NULL);
		if (strcmp(bad_sorts[i], "n,") != 0)
			expect_status(400, status);
	}
	query("filter", "@request.auth.id = ''");
	expect_status(403, request(record_list, "posts", NULL, NULL));
	fix.viewer = superuser;
	query("filter", "secret = 's1'");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/items/0/secret", "\"s1\"");
	expect("/totalItems", "1");
	teardown();
}

static void an_update_changes_what_it_names(void)
{
	setup();
	make_posts(2);
	fix.viewer = nobody;
	const char *id = "post00000000001";
	expect_status(200, request(record_get, "posts", id, NULL));
	char created[64], updated[64];
	snprintf(created, sizeof(created), "%s", at("/created"));
	snprintf(updated, sizeof(updated), "%s", at("/updated"));
	usleep(3000);
	expect_status(200, request(record_update, "posts", id,
				   "{\"n\":7,\"id\":\"post00000000009\",\"created\":\"\","
				   "\"collectionId\":\"x\","
				   "\"secret\":\"mine\"}"));
	expect("/n", "7");
	expect("/id", "\"post00000000001\"");
	expect("/title", "\"Post 1\"");
	CU_ASSERT_STRING_EQUAL(at("/created"), created);
	CU_ASSERT_STRING_NOT_EQUAL(at("/updated"), updated);
	CU_ASSERT_STRING_EQUAL(fix.ignored, "id,created,collectionId,secret");
	expect_status(200, request(record_update, "posts", id,
				   "{\"n+\":5,\"tags+\":[\"z\"],\"+kind\":\"c\"}"));
	expect("/n", "12");
	expect("/tags", "[\"x\",\"z\"]");
	expect("/kind", "\"c\"");
	expect_status(200, request(record_update, "posts", id, "{\"n-\":2,\"tags-\":\"x\"}"));
	expect("/n", "10");
	expect("/tags", "[\"z\"]");
	expect_status(400, request(record_update, "posts", id, "{\"title\":\"\"}"));
	expect("/title/code", "\"validation_required\"");
	CU_ASSERT_STRING_EQUAL(fix.message, "Failed to update record.");
	expect_status(400, request(record_update, "posts", id, "{\"n+\":99999}"));
	expect("/n/code", "\"validation_max_number_constraint\"");
	expect_status(404, request(record_update, "posts", "post00000000099", "{\"n\":1}"));
	expect_status(200, request(record_update, "posts", id, "{}"));
	expect("/n", "10");
	expect_status(204, request(record_delete, "posts", id, NULL));
	CU_ASSERT_STRING_EQUAL(fix.body, "");
	expect_status(404, request(record_delete, "posts", id, NULL));
	expect_status(404, request(record_get, "posts", id, NULL));
	teardown();
}

static void sign_in_as(const char *id)
{
	fix.viewer = (struct record_viewer){ .collection_id = BYTES("_pb_users_auth_"),
		.collection_name = BYTES("users"),
		.record_id = bytes_of(id) };
}

static void make_users(void)
{
	expect_status(200, request(record_create, "users", NULL,
				   "{\"id\":\"user00000000001\",\"email\":\"ann@x.example\","
				   "\"password\":\"12345678\","
				   "\"passwordConfirm\":\"12345678\",\"name\":\"Ann\"}"));
	expect_status(200, request(record_create, "users", NULL,
				   "{\"id\":\"user00000000002\",\"email\":\"bob@x.example\","
				   "\"password\":\"12345678\","
				   "\"passwordConfirm\":\"12345678\",\"name\":\"Bob\","
				   "\"emailVisibility\":true}"));
}

static void rules_decide_with_the_right_status(void)
{
	setup();
	make_users();
	expect_status(
		200, request(record_collection_create, NULL, NULL,
			     "{\"name\":\"notes\",\"type\":\"base\",\"fields\":["
			     "{\"name\":\"owner\",\"type\":\"relation\",\"collectionId\":\"_pb_"
			     "users_auth_\"},"
			     "{\"name\":\"text\",\"type\":\"text\"}],"
			     "\"listRule\":\"owner = @request.auth.id\",\"viewRule\":\"owner = "
			     "@request.auth.id\","
			     "\"createRule\":\"owner = @request.auth.id && "
			     "@request.body.text:isset = true\","
			     "\"updateRule\":\"owner = @request.auth.id && owner.name = 'Ann'\","
			     "\"deleteRule\":\"@request.auth.name = 'Ann'\"}"));
	/* Null rules: superusers only. */
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"closed\",\"type\":\"base\"}"));
	sign_in_as("user00000000001");
	expect_status(403, request(record_list, "closed", NULL, NULL));
	expect_status(403, request(record_get, "closed", "x", NULL));
	expect_status(403, request(record_create, "closed", NULL, "{}"));
	expect_status(403, request(record_update, "closed", "x", "{}"));
	expect_status(403, request(record_delete, "closed", "x", NULL));

	const char *mine =
		"{\"id\":\"note00000000001\",\"owner\":\"user00000000001\",\"text\":\"t\"}";
	const char *his =
		"{\"id\":\"note00000000002\",\"owner\":\"user00000000002\",\"text\":\"t\"}";
	expect_status(400, request(record_create, "notes", NULL, his));
	CU_ASSERT_STRING_EQUAL(fix.message, "Failed to create record.");
	CU_ASSERT_STRING_EQUAL(fix.body, "{}");
	expect_status(
		400, request(record_create, "notes", NULL, "{\"owner\":\"user00000000001\"}"));
	expect_status(200, request(record_create, "notes", NULL, mine));
	sign_in_as("user00000000002");
	expect_status(200, request(record_create, "notes", NULL, his));
	expect_status(404, request(record_get, "notes", "note00000000001", NULL));
	expect_status(404, request(record_update, "notes", "note00000000001", "{\"text\":\"x\"}"));
	expect_status(404, request(record_update, "notes", "note00000000002", "{\"text\":\"x\"}"));
	expect_status(404, request(record_delete, "notes", "note00000000002", NULL));
	expect_status(200, request(record_list, "notes", NULL, NULL));
	expect("/totalItems", "1");
	expect("/items/0/id", "\"note00000000002\"");
	fix.viewer = nobody;
	expect_status(200, request(record_list, "notes", NULL, NULL));
	expect("/items", "[]");
	expect_status(404, request(record_get, "notes", "note00000000001", NULL));
	sign_in_as("user00000000001");
	expect_status(200, request(record_get, "notes", "note00000000001", NULL));
	expect_status(200, request(record_update, "notes", "note00000000001", "{\"text\":\"x\"}"));
	expect("/text", "\"x\"");
	expect_status(204, request(record_delete, "notes", "note00000000002", NULL));
	fix.viewer = superuser;
	expect_status(200, request(record_list, "notes", NULL, NULL));
	expect("/totalItems", "1");
	teardown();
}

static void addresses_and_secrets_are_shown_to_their_owner_alone(void)
{
	setup();
	make_users();
	expect("/email", "\"bob@x.example\"");
	expect("/password", "(absent)");
	expect("/tokenKey", "(absent)");
	expect_status(200, request(record_collection_update, "users", NULL,
				   "{\"listRule\":\"\",\"viewRule\":\"\"}"));
	fix.viewer = nobody;
	expect_status(200, request(record_list, "users", NULL, NULL));
	expect("/items/0/email", "(absent)");
	expect("/items/1/email", "\"bob@x.example\"");
	query("filter", "email ~ 'ann'");
	expect_status(200, request(record_list, "users", NULL, NULL));
	expect("/totalItems", "0");
	query("filter", "email ~ 'bob'");
	expect_status(200, request(record_list, "users", NULL, NULL));
	expect("/totalItems", "1");
	query("filter", "tokenKey != ''");
	expect_status(400, request(record_list, "users", NULL, NULL));
	query("filter", "password != ''");
	expect_status(400, request(record_list, "users", NULL, NULL));
	query("sort", "tokenKey");
	expect_status(400, request(record_list, "users", NULL, NULL));
	sign_in_as("user00000000001");
	expect_status(200, request(record_get, "users", "user00000000001", NULL));
	expect("/email", "\"ann@x.example\"");
	/* Nobody verifies himself, or takes an address that he has not proved to be his; but a
	 * whole record may be sent back. */
	expect_status(400, request(record_update, "users", "user00000000001",
				   "{\"verified\":true,\"email\":\"x@y.example\"}"));
	expect("/verified/code", "\"validation_values_mismatch\"");
	expect("/email/code", "\"validation_values_mismatch\"");
	expect_status(200, request(record_update, "users", "user00000000001",
				   "{\"verified\":false,\"email\":\"ann@x.example\",\"tokenKey\":"
				   "\"k\",\"name\":\"A\"}"));
	expect("/email", "\"ann@x.example\"");
	expect("/name", "\"A\"");
	CU_ASSERT_STRING_EQUAL(fix.ignored, "tokenKey");
	expect_status(404, request(record_update, "users", "user00000000002", "{\"name\":\"x\"}"));
	teardown();
}

static void done_find(struct record_find_auth *find)
{
	*(bool *)find->context = true;
	loop_stop(fix.loop);
}

static struct record_find_auth find_auth(
	const char *collection, const char *identity, const char *id)
{
	bool is_done = false;
	struct err err;
	struct record_find_auth find = { .book = fix.book,
		.loop = fix.loop,
		.collection = bytes_of(collection),
		.identity = bytes_of(identity),
		.id = bytes_of(id),
		.done = done_find,
		.context = &is_done };
	record_find_auth(&find);
	loop_run(fix.loop, &err);
	CU_ASSERT(is_done);
	return find;
}

static void a_new_password_needs_the_old_one_and_kills_tokens(void)
{
	setup();
	make_users();
	struct record_find_auth find = find_auth("users", "ann@x.example", NULL);
	CU_ASSERT_EQUAL(find.result, RECORD_FOUND);
	CU_ASSERT_STRING_EQUAL(find.record_id, "user00000000001");
	CU_ASSERT_PTR_NOT_NULL(strstr(find.password_hash, "$argon2id$"));
	CU_ASSERT(strlen(find.token_key) >= 40);
	CU_ASSERT_FALSE(find.is_superuser);
	CU_ASSERT_EQUAL(find_auth("users", "nobody@x.example", NULL).result, RECORD_NO_RECORD);
	CU_ASSERT_EQUAL(find_auth("nosuch", "ann@x.example", NULL).result, RECORD_NO_COLLECTION);
	CU_ASSERT_EQUAL(find_auth("users", NULL, "user00000000002").result, RECORD_FOUND);

	sign_in_as("user00000000001");
	const char *id = "user00000000001";
	static const struct {
		const char *body, *field, *code;
	} rows[] = {
		{ "{\"password\":\"newsecret\"}", "passwordConfirm", "validation_required" },
		{ "{\"password\":\"newsecret\",\"passwordConfirm\":\"x\",\"oldPassword\":"
		  "\"12345678\"}",
			"passwordConfirm", "validation_values_mismatch" },
		{ "{\"password\":\"short\",\"passwordConfirm\":\"short\",\"oldPassword\":"
		  "\"12345678\"}",
			"password", "validation_min_text_constraint" },
		{ "{\"password\":\"newsecret\",\"passwordConfirm\":\"newsecret\"}", "oldPassword",
			"validation_required" },
		{ "{\"password\":\"newsecret\",\"passwordConfirm\":\"newsecret\","
		  "\"oldPassword\":\"wrong\"}",
			"oldPassword", "validation_invalid_old_password" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char pointer[64], code[64];
		snprintf(pointer, sizeof(pointer), "/%s/code", rows[i].field);
		snprintf(code, sizeof(code), "\"%s\"", rows[i].code);
		expect_status(400, request(record_update, "users", id, rows[i].body));
		expect(pointer, code);
	}
	const char *good = "{\"password\":\"newsecret\",\"passwordConfirm\":\"newsecret\","
			   "\"oldPassword\":\"12345678\"}";
	/* Another's password is not to be guessed at. */
	expect_status(404, request(record_update, "users", "user00000000002", good));
	expect_status(200, request(record_update, "users", id, good));
	struct record_find_auth now = find_auth("users", "ann@x.example", NULL);
	CU_ASSERT_STRING_NOT_EQUAL(now.password_hash, find.password_hash);
	CU_ASSERT_STRING_NOT_EQUAL(now.token_key, find.token_key);
	fix.viewer = superuser;
	expect_status(200, request(record_update, "users", id,
				   "{\"password\":\"bysuper1\",\"passwordConfirm\":\"bysuper1\","
				   "\"verified\":true}"));
	expect("/verified", "true");
	expect_status(400, request(record_create, "users", NULL, "{\"email\":\"c@x.example\"}"));
	expect("/password/code", "\"validation_required\"");
	expect_status(400, request(record_create, "users", NULL,
				   "{\"email\":\"ann@x.example\",\"password\":\"12345678\","
				   "\"passwordConfirm\":\"12345678\"}"));
	expect("/email/code", "\"validation_not_unique\"");
	teardown();
}

static void make_shop(const char *options)
{
	char body[1200];
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"products\",\"type\":\"base\",\"viewRule\":\"name "
				   "!= 'hidden'\","
				   "\"fields\":[{\"name\":\"name\",\"type\":\"text\"}]}"));
	char products[64];
	const char *id = at("/id");
	bytes_to_string((struct bytes){ id + 1, strlen(id) - 2 }, products, sizeof(products));
	snprintf(body, sizeof(body),
		"{\"name\":\"lines\",\"type\":\"base\",\"viewRule\":\"\",\"listRule\":\"\","
		"\"createRule\":\"\",\"deleteRule\":\"\",\"fields\":["
		"{\"name\":\"product\",\"type\":\"relation\",\"collectionId\":\"%s\"%s},"
		"{\"name\":\"others\",\"type\":\"relation\",\"collectionId\":\"%s\",\"maxSelect\":"
		"9}]}",
		products, options, products);
	expect_status(200, request(record_collection_create, NULL, NULL, body));
	static const char *const rows[] = { "{\"id\":\"product00000001\",\"name\":\"bolt\"}",
		"{\"id\":\"product00000002\",\"name\":\"nut\"}",
		"{\"id\":\"product00000003\",\"name\":\"hidden\"}" };
	for (int i = 0; i < 3; i++)
		expect_status(200, request(record_create, "products", NULL, rows[i]));
	expect_status(200,
		request(record_create, "lines", NULL,
			"{\"id\":\"line00000000001\",\"product\":\"product00000001\",\"others\":"
			"[\"product00000002\",\"product00000003\"]}"));
	expect_status(200, request(record_create, "lines", NULL,
				   "{\"id\":\"line00000000002\",\"product\":\"product00000003\"}"));
}

static void relations_are_checked_and_followed(void)
{
	setup();
	make_shop("");
	expect_status(
		400, request(record_create, "lines", NULL, "{\"product\":\"product00000009\"}"));
	expect("/product/code", "\"validation_missing_rel_records\"");
	fix.viewer = nobody;
	query("expand", "product,others,nosuch,product.x");
	expect_status(200, request(record_list, "lines", NULL, NULL));
	expect("/items/0/expand/product/name", "\"bolt\"");
	expect("/items/0/expand/others/0/name", "\"nut\"");
	/* What the view rule does not show is not shown by a detour. */
	expect("/items/0/expand/others/1", "(absent)");
	expect("/items/1/expand", "(absent)");
	query("expand", "product");
	query("fields", "id,expand.product.name");
	expect_status(200, request(record_get, "lines", "line00000000001", NULL));
	CU_ASSERT_STRING_EQUAL(fix.body,
		"{\"id\":\"line00000000001\",\"expand\":{\"product\":{\"name\":\"bolt\"}}}");
	query("filter", "product.name = 'bolt'");
	expect_status(200, request(record_list, "lines", NULL, NULL));
	expect("/totalItems", "1");
	fix.viewer = superuser;
	query("expand", "product");
	expect_status(200, request(record_get, "lines", "line00000000002", NULL));
	expect("/expand/product/name", "\"hidden\"");
	teardown();
}

static void a_deleted_record_leaves_no_pointer_behind(void)
{
	setup();
	make_shop("");
	expect_status(204, request(record_delete, "products", "product00000001", NULL));
	expect_status(204, request(record_delete, "products", "product00000002", NULL));
	expect_status(200, request(record_get, "lines", "line00000000001", NULL));
	expect("/product", "\"\"");
	expect("/others", "[\"product00000003\"]");
	teardown();

	setup();
	make_shop(",\"required\":true");
	expect_status(400, request(record_delete, "products", "product00000001", NULL));
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.message, "required relation reference"));
	expect_status(200, request(record_get, "products", "product00000001", NULL));
	teardown();

	setup();
	make_shop(",\"required\":true,\"cascadeDelete\":true");
	expect_status(204, request(record_delete, "products", "product00000001", NULL));
	expect_status(404, request(record_get, "lines", "line00000000001", NULL));
	expect_status(200, request(record_get, "lines", "line00000000002", NULL));
	teardown();
}

static void a_changed_collection_keeps_its_data(void)
{
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"t\",\"type\":\"base\",\"fields\":["
				   "{\"id\":\"f1\",\"name\":\"a\",\"type\":\"text\"},"
				   "{\"id\":\"f2\",\"name\":\"b\",\"type\":\"text\"},"
				   "{\"id\":\"f3\",\"name\":\"s\",\"type\":\"select\",\"values\":["
				   "\"x\",\"y\"]},"
				   "{\"id\":\"f4\",\"name\":\"gone\",\"type\":\"number\"}],"
				   "\"indexes\":[\"CREATE INDEX idx_t ON t (a, b DESC)\"]}"));
	expect("/fields/0/name", "\"id\"");
	expect("/indexes/0",
		"\"CREATE INDEX \\\"idx_t\\\" ON \\\"t\\\" (\\\"a\\\", \\\"b\\\" DESC)\"");
	expect_status(200, request(record_create, "t", NULL,
				   "{\"id\":\"t00000000000001\",\"a\":\"A\",\"b\":\"B\",\"s\":"
				   "\"y\",\"gone\":1}"));
	/* a and b swap their names, s becomes a list, gone goes, new comes, t is renamed. */
	expect_status(200, request(record_collection_update, "t", NULL,
				   "{\"name\":\"T2\",\"fields\":[{\"id\":\"text_id\",\"name\":"
				   "\"id\",\"type\":\"text\"},"
				   "{\"id\":\"f1\",\"name\":\"b\",\"type\":\"text\"},"
				   "{\"id\":\"f2\",\"name\":\"a\",\"type\":\"text\"},"
				   "{\"id\":\"f3\",\"name\":\"s\",\"type\":\"select\",\"values\":["
				   "\"x\",\"y\"],"
				   "\"maxSelect\":2},"
				   "{\"name\":\"fresh\",\"type\":\"bool\"}]}"));
	expect_status(200, request(record_get, "T2", "t00000000000001", NULL));
	expect("/b", "\"A\"");
	expect("/a", "\"B\"");
	expect("/s", "[\"y\"]");
	expect("/gone", "(absent)");
	expect("/fresh", "false");
	expect_status(
		200, request(record_collection_update, "T2", NULL,
			     "{\"fields\":[{\"id\":\"text_id\",\"name\":\"id\",\"type\":\"text\"},"
			     "{\"id\":\"f3\",\"name\":\"s\",\"type\":\"select\",\"values\":[\"x\","
			     "\"y\"]}],"
			     "\"indexes\":[]}"));
	expect_status(200, request(record_get, "T2", "t00000000000001", NULL));
	expect("/s", "\"y\"");
	/* It survives a restart. */
	close_book();
	open_book();
	expect_status(200, request(record_get, "T2", "t00000000000001", NULL));
	expect("/s", "\"y\"");
	expect_status(204, request(record_collection_delete, "T2", NULL, NULL));
	expect_status(404, request(record_get, "T2", "t00000000000001", NULL));
	expect_status(200, request(record_collection_list, NULL, NULL, NULL));
	expect("/totalItems", "3");
	expect("/items/0/name", "\"_superusers\"");
	teardown();
}

static void a_bad_change_of_a_collection_changes_nothing(void)
{
	static const struct {
		const char *body, *pointer;
	} rows[] = {
		{ "{\"type\":\"base\"}", "/name" },
		{ "{\"name\":\"_x\"}", "/name" },
		{ "{\"name\":\"a b\"}", "/name" },
		{ "{\"name\":\"x\\\"; DROP TABLE users; --\"}", "/name" },
		{ "{\"name\":\"sqlite_x\"}", "/name" },
		{ "{\"name\":\"USERS\"}", "/name" },
		{ "{\"name\":\"x\",\"type\":\"view\"}", "/viewQuery" },
		{ "{\"name\":\"x\",\"type\":\"nosuch\"}", "/type" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"_a\",\"type\":\"text\"}]}",
			"/fields/1/name" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\\\" TEXT, b\",\"type\":\"text\"}]}",
			"/fields/1/name" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"nosuch\"}]}",
			"/fields/0/type" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"text\"},"
		  "{\"name\":\"A\",\"type\":\"text\"}]}",
			"/fields/2/name" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"select\"}]}",
			"/fields/1/values" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"password\"}]}",
			"/fields/0/type" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"text\",\"pattern\":\"(\"}"
		  "]}",
			"/fields/0/pattern" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"text\",\"pattern\":\"(a)"
		  "\\\\1\"}]}",
			"/fields/0/pattern" },
		{ "{\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"relation\","
		  "\"collectionId\":\"nosuch\"}]}",
			"/fields/1/collectionId" },
		{ "{\"name\":\"x\",\"listRule\":\"nosuch = 1\"}", "/listRule" },
		{ "{\"name\":\"x\",\"createRule\":\"id = \"}", "/createRule" },
		{ "{\"name\":\"x\",\"indexes\":[\"DROP TABLE users\"]}", "/indexes/0" },
		{ "{\"name\":\"x\",\"indexes\":[\"CREATE INDEX i ON x (nosuch)\"]}", "/indexes/0" },
		{ "{\"name\":\"x\",\"indexes\":[\"CREATE INDEX i ON x (id); DROP TABLE users\"]}",
			"/indexes/0" },
		{ "{\"name\":\"x\",\"indexes\":[\"CREATE INDEX i ON x (id) WHERE 1=1\"]}",
			"/indexes/0" },
		{ "{\"name\":\"x\",\"indexes\":[\"CREATE INDEX sqlite_i ON x (id)\"]}",
			"/indexes/0" },
	};
	setup();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char pointer[64];
		snprintf(pointer, sizeof(pointer), "%s/code", rows[i].pointer);
		int status = request(record_collection_create, NULL, NULL, rows[i].body);
		if (status != 400 || strcmp(at(pointer), "(absent)") == 0) {
			printf("\n%s: %d %s\n", rows[i].body, status, fix.body);
			CU_FAIL("a bad collection was not refused");
		}
	}
	expect_status(200, request(record_collection_list, NULL, NULL, NULL));
	expect("/totalItems", "3");
	expect_status(400, request(record_collection_delete, "_superusers", NULL, NULL));
	expect_status(
		400, request(record_collection_update, "_superusers", NULL, "{\"listRule\":\"\"}"));
	expect_status(400, request(record_collection_update, "users", NULL, "{\"fields\":[]}"));
	expect_status(400, request(record_collection_update, "users", NULL, "{\"type\":\"base\"}"));
	/* What is read can be sent back. */
	expect_status(200, request(record_collection_get, "users", NULL, NULL));
	char body[20000];
	bytes_to_string(bytes_of(fix.body), body, sizeof(body));
	expect_status(200, request(record_collection_update, "users", NULL, body));
	sign_in_as("user00000000001");
	expect_status(403, request(record_collection_list, NULL, NULL, NULL));
	expect_status(403, request(record_collection_create, NULL, NULL, "{\"name\":\"x\"}"));
	expect_status(403, request(record_collection_delete, "users", NULL, NULL));
	teardown();
}

/* ---- hooks ---- */

static struct {
	unsigned n_asked, n_run, n_released;
	bool refuse, attach;
	const char *check_sql;
	char record[2000];
} hook;

static bool has_before(void *context, struct loop *loop, struct bytes tenant,
	struct bytes collection, enum record_action action)
{
	(void)context;
	(void)loop;
	return bytes_eq_string(tenant, "shop") && bytes_eq_string(collection, "posts") &&
	       action == RECORD_CREATE;
}

static void before(void *context, struct record_hook_call *call)
{
	(void)context;
	hook.n_asked++;
	bytes_to_string(call->record, hook.record, sizeof(hook.record));
	call->is_refused = hook.refuse;
	call->refusal = (struct record_refusal){ .status = 400,
		.message = BYTES("only 3 in stock"),
		.field = BYTES("n"),
		.code = BYTES("validation_stock") };
	call->attached = hook.attach ? &hook : NULL;
	call->done(call);
}

static enum record_attached_result run_attached(void *context, void *attached,
	struct store_conn *conn, struct record_refusal *ret, enum store_outcome *ret_outcome)
{
	(void)context;
	(void)attached;
	static const struct bytes tables[] = { { "posts", 5 } };
	const struct store_grant grant = { tables, 1, true, clock_mono_ns() + CLOCK_NS_PER_S,
		tables, 1, "id", false };
	struct store_stmt *stmt;
	bool has_row;
	hook.n_run++;
	store_set_grant(conn, &grant);
	*ret_outcome = store_prepare_foreign(conn, bytes_of(hook.check_sql), &stmt);
	if (*ret_outcome == STORE_OK)
		*ret_outcome = store_step(stmt, &has_row);
	if (*ret_outcome != STORE_OK)
		return RECORD_ATTACHED_FAULT;
	if (has_row)
		return RECORD_ATTACHED_PASSED;
	*ret = (struct record_refusal){
		.status = 400, .message = BYTES("too many"), .field = BYTES("n")
	};
	return RECORD_ATTACHED_REFUSED;
}

static void release_attached(void *context, void *attached)
{
	(void)context;
	CU_ASSERT_PTR_EQUAL(attached, &hook);
	hook.n_released++;
}

static void a_hook_may_refuse_or_attach_what_must_hold(void)
{
	static const struct record_hooks hooks = { NULL, has_before, before, run_attached,
		release_attached };
	memset(&hook, 0, sizeof(hook));
	setup_with(&hooks);
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	const char *body = "{\"title\":\"ok\",\"n\":7,\"data\":[1],\"active\":true}";
	expect_status(200, request(record_create, "posts", NULL, body));
	CU_ASSERT_EQUAL(hook.n_asked, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.record, "\"n\":7"));
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.record, "\"data\":[1]"));
	/* What is refused before is not asked about. */
	expect_status(400, request(record_create, "posts", NULL, "{}"));
	CU_ASSERT_EQUAL(hook.n_asked, 1);

	hook.refuse = true;
	expect_status(400, request(record_create, "posts", NULL, body));
	CU_ASSERT_STRING_EQUAL(fix.message, "only 3 in stock");
	expect("/n/code", "\"validation_stock\"");
	hook.refuse = false;
	hook.attach = true;
	/* The check sees the row that is being written: the second is one too many. */
	hook.check_sql = "SELECT 1 FROM posts GROUP BY 1 HAVING count(id) <= 2";
	expect_status(200, request(record_create, "posts", NULL, body));
	expect_status(400, request(record_create, "posts", NULL, body));
	CU_ASSERT_STRING_EQUAL(fix.message, "too many");
	expect("/n/message", "\"too many\"");
	expect("/n/code", "\"validation_hook_refused\"");
	hook.check_sql = "SELECT 1 FROM _collections";
	CU_ASSERT_NOT_EQUAL(request(record_create, "posts", NULL, body), 200);
	CU_ASSERT_EQUAL(hook.n_released, 3);
	CU_ASSERT_EQUAL(hook.n_run, 3);
	query("skipTotal", "0");
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "2");
	teardown();
}

/* ---- many at once ---- */

struct racer {
	struct record_call call;
	struct arena *arena;
	unsigned *n_left;
};

static void done_racer(struct record_call *call)
{
	struct racer *racer = call->context;
	if (--*racer->n_left == 0)
		loop_stop(fix.loop);
}

static void writes_and_a_change_of_the_schema_meet_in_peace(void)
{
	enum { N = 40 };
	static struct racer racers[N];
	unsigned n_left = N;
	struct err err;
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, posts));
	for (int i = 0; i < N; i++) {
		struct racer *racer = &racers[i];
		*racer = (struct racer){ .n_left = &n_left };
		arena_new(1u << 20, &racer->arena, &err);
		racer->call = (struct record_call){ .book = fix.book,
			.loop = fix.loop,
			.arena = racer->arena,
			.viewer = superuser,
			.collection = BYTES("posts"),
			.body = i == N / 2
					? BYTES("{\"fields\":[{\"id\":\"text_id\",\"name\":\"id\","
						"\"type\":\"text\"},{\"name\":\"title\","
						"\"type\":\"text\"}],\"indexes\":[]}")
					: BYTES("{\"title\":\"same\",\"n\":3}"),
			.done = done_racer,
			.context = racer };
		if (i == N / 2)
			record_collection_update(&racer->call);
		else
			record_create(&racer->call);
	}
	loop_run(fix.loop, &err);
	int n_good = 0;
	for (int i = 0; i < N; i++) {
		n_good += racers[i].call.status == 200;
		record_call_fini(&racers[i].call);
		arena_free(racers[i].arena);
	}
	CU_ASSERT_EQUAL(n_good, N);
	expect_status(200, request(record_list, "posts", NULL, NULL));
	expect("/totalItems", "39");
	expect("/items/0/title", "\"same\"");
	expect("/items/0/n", "(absent)");
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(a_record_is_created_and_read_back),
	UNIT(what_breaks_a_field_is_named_with_its_code),
	UNIT(a_string_that_spells_json_is_that_in_a_json_field),
	UNIT(all_problems_of_a_body_are_told_at_once),
	UNIT(a_list_is_paged_sorted_and_filtered),
	UNIT(an_update_changes_what_it_names),
	UNIT(rules_decide_with_the_right_status),
	UNIT(addresses_and_secrets_are_shown_to_their_owner_alone),
	UNIT(a_new_password_needs_the_old_one_and_kills_tokens),
	UNIT(relations_are_checked_and_followed),
	UNIT(a_deleted_record_leaves_no_pointer_behind),
	UNIT(a_changed_collection_keeps_its_data),
	UNIT(a_bad_change_of_a_collection_changes_nothing),
	UNIT(a_hook_may_refuse_or_attach_what_must_hold),
	UNIT(writes_and_a_change_of_the_schema_meet_in_peace),
};

UNIT_MAIN("record", tests)
