#include "record_fix.h"

#include "record_kept.h"

#define NOTES                                                                                      \
	"{\"name\":\"notes\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\","               \
	"\"createRule\":\"\",\"updateRule\":\"\",\"deleteRule\":\"\",\"revisions\":2,"             \
	"\"softDelete\":true,\"fields\":["                                                         \
	"{\"name\":\"title\",\"type\":\"text\",\"required\":true},"                                \
	"{\"name\":\"tags\",\"type\":\"select\",\"values\":[\"a\",\"b\"],\"maxSelect\":2},"        \
	"{\"name\":\"data\",\"type\":\"json\"},{\"name\":\"n\",\"type\":\"number\"},"              \
	"{\"name\":\"flag\",\"type\":\"bool\"},"                                                   \
	"{\"name\":\"secret\",\"type\":\"text\",\"hidden\":true},"                                 \
	"{\"name\":\"created\",\"type\":\"autodate\",\"onCreate\":true}],"                         \
	"\"indexes\":[\"CREATE UNIQUE INDEX `idx_t` ON `notes` (`title`)\"]}"

static const char id[] = "note00000000001";

static void make_notes(void)
{
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, NOTES));
	expect("/revisions", "2");
	expect("/softDelete", "true");
	expect_status(
		200, request(record_create, "notes", NULL,
			     "{\"id\":\"note00000000001\",\"title\":\"one\",\"tags\":[\"a\",\"b\"],"
			     "\"data\":{\"k\":[1]},\"n\":1.5,\"flag\":true,\"secret\":\"s\"}"));
}

static void a_record_is_made_again_what_it_was(void)
{
	make_notes();
	expect_status(200, request(record_update, "notes", id,
				   "{\"title\":\"two\",\"tags\":[],\"data\":null,\"n\":2,"
				   "\"flag\":false,\"secret\":\"t\"}"));
	expect_status(200, request(record_revisions, "notes", id, NULL));
	expect("/items/0/revision", "1");
	expect("/items/0/record/title", "\"one\"");
	expect("/items/0/record/tags", "[\"a\",\"b\"]");
	expect("/items/0/actor", "\"_superusers/superuser000000\"");
	expect("/items/1", "(absent)");
	expect_status(200, request(record_revert, "notes", id, "{\"revision\":1}"));
	expect("/title", "\"one\"");
	expect("/tags", "[\"a\",\"b\"]");
	expect("/data", "{\"k\":[1]}");
	expect("/n", "1.5");
	expect("/flag", "true");
	expect("/secret", "\"s\"");
	CU_ASSERT_STRING_EQUAL(fix.ignored, "");
	/* What it was before the revert is a revision too; the oldest go. */
	expect_status(200, request(record_update, "notes", id, "{\"n\":3}"));
	expect_status(200, request(record_revisions, "notes", id, NULL));
	expect("/items/0/revision", "3");
	expect("/items/1/revision", "2");
	expect("/items/1/record/title", "\"two\"");
	expect("/items/2", "(absent)");
	expect_status(404, request(record_revert, "notes", id, "{\"revision\":1}"));
	expect_status(400, request(record_revert, "notes", id, "{\"revision\":\"x\"}"));
	expect_status(400, request(record_revert, "notes", id, "{}"));
	expect_status(404, request(record_revert, "notes", "note00000000002", "{\"revision\":2}"));
	fix.viewer = nobody;
	expect_status(403, request(record_revisions, "notes", id, NULL));
	expect_status(403, request(record_revert, "notes", id, "{\"revision\":2}"));
	teardown();
}

static void a_revision_outlives_the_names_of_its_fields(void)
{
	char body[20000], *at_name;
	make_notes();
	expect_status(200, request(record_update, "notes", id, "{\"title\":\"two\"}"));
	expect_status(200, request(record_collection_get, "notes", NULL, NULL));
	bytes_to_string(bytes_of(fix.body), body, sizeof(body));
	while ((at_name = strstr(body, "\"name\":\"title\"")))
		memcpy(at_name, "\"name\":\"label\"", 14);
	while ((at_name = strstr(body, "`title`")))
		memcpy(at_name, "`label`", 7);
	expect_status(200, request(record_collection_update, "notes", NULL, body));
	expect_status(200, request(record_revert, "notes", id, "{\"revision\":1}"));
	expect("/label", "\"one\"");
	teardown();
}

static void what_is_in_the_trash_is_nowhere_else_and_comes_back(void)
{
	make_notes();
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"links\",\"type\":\"base\",\"fields\":[{\"name\":"
				   "\"note\",\"type\":\"relation\",\"collectionId\":\"notes\"}]}"));
	expect_status(200, request(record_create, "links", NULL,
				   "{\"id\":\"link00000000001\",\"note\":\"note00000000001\"}"));
	fix.viewer = nobody;
	expect_status(204, request(record_delete, "notes", id, NULL));
	expect_status(404, request(record_get, "notes", id, NULL));
	expect_status(200, request(record_list, "notes", NULL, NULL));
	expect("/totalItems", "0");
	expect_status(403, request(record_trash, "notes", NULL, NULL));
	expect_status(403, request(record_restore, "notes", id, NULL));
	expect_status(403, request(record_purge, "notes", id, NULL));
	fix.viewer = superuser;
	expect_status(200, request(record_get, "links", "link00000000001", NULL));
	expect("/note", "\"\"");
	expect_status(200, request(record_trash, "notes", NULL, NULL));
	expect("/totalItems", "1");
	expect("/items/0/id", "\"note00000000001\"");
	expect("/items/0/record/secret", "\"s\"");
	/* Its title is free, and taken: it cannot come back beside another. */
	expect_status(200, request(record_create, "notes", NULL,
				   "{\"id\":\"note00000000009\",\"title\":\"one\"}"));
	expect_status(400, request(record_restore, "notes", id, NULL));
	expect("/title/code", "\"validation_not_unique\"");
	expect_status(204, request(record_delete, "notes", "note00000000009", NULL));
	expect_status(204, request(record_purge, "notes", "note00000000009", NULL));
	expect_status(200, request(record_restore, "notes", id, NULL));
	expect("/title", "\"one\"");
	expect("/data", "{\"k\":[1]}");
	expect("/flag", "true");
	CU_ASSERT_EQUAL(strlen(at("/created")), 26);
	expect_status(404, request(record_restore, "notes", id, NULL));
	expect_status(204, request(record_delete, "notes", id, NULL));
	expect_status(404, request(record_purge, "notes", "note00000000002", NULL));
	expect_status(404, request(record_purge, "notes", "note000000000011111", NULL));
	expect_status(204, request(record_purge, "notes", NULL, NULL));
	expect_status(404, request(record_restore, "notes", id, NULL));
	expect_status(200, request(record_trash, "notes", NULL, NULL));
	expect("/totalItems", "0");
	teardown();
}

static void an_account_comes_back_with_its_password(void)
{
	setup();
	expect_status(
		200, request(record_collection_update, "users", NULL, "{\"softDelete\":true}"));
	expect_status(
		200, request(record_create, "users", NULL,
			     "{\"id\":\"user00000000001\",\"email\":\"a@x.example\",\"password\":"
			     "\"12345678\",\"passwordConfirm\":\"12345678\"}"));
	expect_status(204, request(record_delete, "users", "user00000000001", NULL));
	expect_status(200, request(record_trash, "users", NULL, NULL));
	CU_ASSERT_PTR_NULL(strstr(fix.body, "argon2"));
	CU_ASSERT_PTR_NULL(strstr(fix.body, "tokenKey"));
	expect_status(200, request(record_restore, "users", "user00000000001", NULL));
	CU_ASSERT_PTR_NULL(strstr(fix.body, "argon2"));
	fix.viewer = (struct record_viewer){ .collection_id = BYTES("_pb_users_auth_"),
		.collection_name = BYTES("users"),
		.record_id = BYTES("user00000000001") };
	expect_status(400, request(record_update, "users", "user00000000001",
				   "{\"oldPassword\":\"wrong678\",\"password\":\"87654321\","
				   "\"passwordConfirm\":\"87654321\"}"));
	expect_status(200, request(record_update, "users", "user00000000001",
				   "{\"oldPassword\":\"12345678\",\"password\":\"87654321\","
				   "\"passwordConfirm\":\"87654321\"}"));
	teardown();
}

static void options_are_checked_kept_and_dropped(void)
{
	setup();
	expect_status(400, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"x\",\"type\":\"base\",\"revisions\":101}"));
	expect("/revisions/code", "\"validation_invalid_value\"");
	expect_status(400, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"x\",\"type\":\"base\",\"softDelete\":1}"));
	expect_status(200, request(record_collection_create, NULL, NULL, NOTES));
	expect_status(200, request(record_collection_update, "notes", NULL, "{\"listRule\":null}"));
	expect("/revisions", "2");
	expect_status(200, request(record_collection_update, "notes", NULL, "{\"revisions\":0}"));
	expect("/revisions", "0");
	expect("/softDelete", "true");
	close_book();
	open_book();
	expect_status(200, request(record_collection_get, "notes", NULL, NULL));
	expect("/softDelete", "true");
	expect_status(204, request(record_collection_delete, "notes", NULL, NULL));
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"notes\",\"type\":\"base\"}"));
	expect("/softDelete", "false");
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(a_record_is_made_again_what_it_was),
	UNIT(a_revision_outlives_the_names_of_its_fields),
	UNIT(what_is_in_the_trash_is_nowhere_else_and_comes_back),
	UNIT(an_account_comes_back_with_its_password),
	UNIT(options_are_checked_kept_and_dropped),
};

UNIT_MAIN("record_kept", tests)
