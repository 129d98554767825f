#include "record_fix.h"

#include "record_import.h"
#include "record_once.h"

/* ---- imports ---- */

static void done_import(struct record_import *import)
{
	*(bool *)import->context = true;
	loop_stop(fix.loop);
}

static struct {
	enum record_import_format format;
	bool is_upsert, is_dry_run, skips_hooks;
} how;

static int import(const char *collection, const char *text)
{
	struct err err;
	bool is_done = false;
	struct record_import import = { .call = { .book = fix.book,
						.loop = fix.loop,
						.viewer = fix.viewer,
						.is_strict = fix.is_strict,
						.collection = bytes_of(collection) },
		.format = how.format,
		.text = bytes_of(text),
		.is_upsert = how.is_upsert,
		.is_dry_run = how.is_dry_run,
		.skips_hooks = how.skips_hooks,
		.done = done_import,
		.context = &is_done };
	record_import_run(&import);
	CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT(is_done);
	fix.status = import.call.status;
	snprintf(fix.message, sizeof(fix.message), "%s", import.call.message);
	bytes_to_string(bytes_buf_view(&import.call.answer), fix.body, sizeof(fix.body));
	CU_ASSERT_EQUAL(
		text_json_check(bytes_of(fix.body), &TEXT_JSON_LIMITS, NULL), TEXT_JSON_VALID);
	if (fix.status == 500)
		printf("\n500: %s\n", import.call.err.message);
	record_import_fini(&import);
	return fix.status;
}

static void expect_total(const char *n)
{
	struct record_viewer before = fix.viewer;
	fix.viewer = superuser;
	expect_status(200, request(record_list, "rows", NULL, NULL));
	expect("/totalItems", n);
	fix.viewer = before;
}

#define ROWS                                                                                       \
	"{\"name\":\"rows\",\"type\":\"base\",\"createRule\":\"n < 100\",\"updateRule\":\"\","     \
	"\"fields\":["                                                                             \
	"{\"name\":\"name\",\"type\":\"text\",\"required\":true,\"max\":5},"                       \
	"{\"name\":\"n\",\"type\":\"number\"},{\"name\":\"data\",\"type\":\"json\"},"              \
	"{\"name\":\"flag\",\"type\":\"bool\"}],"                                                  \
	"\"indexes\":[\"CREATE UNIQUE INDEX `idx_n` ON `rows` (`name`)\"]}"

static void begin(const struct record_hooks *hooks)
{
	memset(&how, 0, sizeof(how));
	setup_with(hooks);
	expect_status(200, request(record_collection_create, NULL, NULL, ROWS));
}

static void a_table_is_imported_whole_or_not_at_all(void)
{
	begin(NULL);
	fix.viewer = nobody;
	expect_status(
		200, import("rows", "name,n,data,flag\na,1,\"{\"\"k\"\":[1]}\",true\nb,,,\n"));
	expect("/created", "2");
	expect_total("2");
	expect("/items/0/data", "{\"k\":[1]}");
	expect("/items/0/flag", "true");
	expect("/items/1/n", "0");
	expect_status(400, import("rows", "name,n\nc,1\nd,100\ne,2\n"));
	expect("/errors/0/row", "2");
	expect("/errors/0/line", "3");
	expect("/errors/0/code", "\"import_row_refused\"");
	expect("/errors/1", "(absent)");
	expect_status(400, import("rows", "name\na\n"));
	expect("/errors/0/column", "\"name\"");
	expect("/errors/0/code", "\"validation_not_unique\"");
	expect_status(400, import("rows", "name,data,flag\nc,{,\nd,,maybe\ntoo long,,\n"));
	expect("/errors/0/column", "\"data\"");
	expect("/errors/1/column", "\"flag\"");
	expect("/errors/2/code", "\"validation_max_text_constraint\"");
	expect_status(400, import("rows", "name\n\"multi\nline\"\n,\n"));
	expect("/errors/0/code", "\"validation_max_text_constraint\"");
	expect("/errors/1/line", "4");
	expect("/errors/1/message", "\"more cells than columns\"");
	expect_total("2");
	teardown();
}

static void at_most_a_hundred_errors_are_listed(void)
{
	static char text[4000];
	begin(NULL);
	how.format = RECORD_IMPORT_JSON;
	strcpy(text, "[{}");
	for (int i = 0; i < 300; i++)
		strcat(text, ",\n{}");
	strcat(text, "]");
	expect_status(400, import("rows", text));
	expect("/errors/99/line", "100");
	expect("/errors/100", "(absent)");
	expect_status(400, import("rows", "[{\"name\":\"a\"},1]"));
	expect("/errors/0/row", "2");
	expect_status(400, import("rows", "[{\"name\":\"a\"},\n{\"name\":]"));
	expect("/errors/0/line", "2");
	expect("/errors/0/byte", "9");
	expect_total("0");
	teardown();
}

static void a_dry_run_and_an_upsert_do_what_they_say(void)
{
	begin(NULL);
	how.is_dry_run = true;
	expect_status(200, import("rows", "id,name\nrow000000000001,a\n"));
	expect("/created", "1");
	expect_total("0");
	how.is_dry_run = false;
	how.is_upsert = true;
	expect_status(200, import("rows", "id,name,n\nrow000000000001,a,5\n"));
	expect_status(200, import("rows", "id,n+\nrow000000000001,3\nrow000000000001,4\n"));
	expect("/updated", "2");
	expect_total("1");
	expect("/items/0/n", "12");
	expect("/items/0/name", "\"a\"");
	fix.viewer = nobody;
	fix.is_strict = true;
	expect_status(400, import("rows", "id,nosuch\nrow000000000001,3\n"));
	expect("/errors/0/code", "\"validation_unknown_field\"");
	teardown();
}

static void accounts_come_without_passwords(void)
{
	begin(NULL);
	fix.viewer = superuser;
	expect_status(400, import("users", "email,password\na@x.example,12345678\n"));
	expect("/errors/0/code", "\"validation_not_importable\"");
	expect_status(200, import("users", "email,verified\na@x.example,true\n"));
	expect_status(200, request(record_list, "users", NULL, NULL));
	expect("/items/0/verified", "true");
	fix.viewer = nobody;
	expect_status(403, import("_superusers", "email\na@x.example\n"));
	teardown();
}

static void rules_of_fields_hold_row_by_row(void)
{
	memset(&how, 0, sizeof(how));
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"rows\",\"type\":\"base\",\"createRule\":\"\","
				   "\"updateRule\":\"\",\"fields\":[{\"name\":\"name\",\"type\":"
				   "\"text\"},{\"name\":\"n\",\"type\":\"number\",\"writeRule\":"
				   "\"name = 'free'\"}]}"));
	fix.viewer = nobody;
	expect_status(200, import("rows", "id,name,n\nrow000000000001,free,1\n"
					  "row000000000002,held,1\n"));
	how.is_upsert = true;
	expect_status(200, import("rows", "id,name,n\nrow000000000002,held,5\n"
					  "row000000000001,free,5\nrow000000000003,free,5\n"));
	fix.viewer = superuser;
	query("sort", "id");
	expect_status(200, request(record_list, "rows", NULL, NULL));
	expect("/items/0/n", "5");
	expect("/items/1/n", "0");
	expect("/items/2/n", "5");
	teardown();
}

static bool has_before(void *context, struct loop *loop, struct bytes tenant,
	struct bytes collection, enum record_action action)
{
	(void)context;
	(void)loop;
	(void)tenant;
	return bytes_eq_string(collection, "rows") && action == RECORD_CREATE;
}

static void hooks_are_not_passed_by_unless_a_superuser_says_so(void)
{
	static const struct record_hooks hooks = { .has_before = has_before };
	begin(&hooks);
	fix.viewer = nobody;
	expect_status(400, import("rows", "name\na\n"));
	how.skips_hooks = true;
	expect_status(400, import("rows", "name\na\n"));
	expect_total("0");
	fix.viewer = superuser;
	expect_status(200, import("rows", "name\na\n"));
	teardown();
}

/* ---- once ---- */

static void done_find(struct record_once_find *find)
{
	*(bool *)find->context = true;
	loop_stop(fix.loop);
}

static enum record_once_result find_once(const struct record_once *once, char *body, size_t cap)
{
	struct err err;
	bool is_done = false;
	struct record_once_find find = { .book = fix.book,
		.loop = fix.loop,
		.once = once,
		.done = done_find,
		.context = &is_done };
	record_once_find(&find);
	CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT(is_done);
	if (find.result == RECORD_ONCE_SAME)
		bytes_to_string(bytes_buf_view(&find.body), body, cap);
	enum record_once_result result = find.result;
	record_once_find_fini(&find);
	return result;
}

static int write_once(
	operation *start, const char *id, const char *body, const struct record_once *once)
{
	struct err err;
	bool is_done = false;
	struct record_call call = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = fix.viewer,
		.collection = BYTES("rows"),
		.id = bytes_of(id),
		.body = bytes_of(body),
		.once = once,
		.done = done_call,
		.context = &is_done };
	arena_reset(fix.arena);
	start(&call);
	CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT(is_done);
	bytes_to_string(bytes_buf_view(&call.answer), fix.body, sizeof(fix.body));
	int status = call.status;
	record_call_fini(&call);
	return status;
}

static void an_answer_is_kept_with_its_write_and_only_then(void)
{
	static const struct record_once a = { "key", "request" }, other = { "key", "another" };
	char body[1000];
	begin(NULL);
	CU_ASSERT_EQUAL(find_once(&a, body, sizeof(body)), RECORD_ONCE_NEW);
	CU_ASSERT_EQUAL(write_once(record_create, NULL, "{}", &a), 400);
	CU_ASSERT_EQUAL(find_once(&a, body, sizeof(body)), RECORD_ONCE_NEW);
	CU_ASSERT_EQUAL(
		write_once(record_create, NULL, "{\"id\":\"row000000000001\",\"name\":\"a\"}", &a),
		200);
	CU_ASSERT_EQUAL(find_once(&a, body, sizeof(body)), RECORD_ONCE_SAME);
	CU_ASSERT_STRING_EQUAL(body, fix.body);
	CU_ASSERT_EQUAL(find_once(&other, body, sizeof(body)), RECORD_ONCE_OTHER);
	/* One that came too late to find it is not written either. */
	CU_ASSERT_EQUAL(write_once(record_create, NULL, "{\"name\":\"b\"}", &a), 409);
	CU_ASSERT_EQUAL(write_once(record_update, "row000000000001", "{\"n\":1}", &a), 409);
	CU_ASSERT_EQUAL(write_once(record_delete, "row000000000001", NULL, &a), 409);
	expect_total("1");
	static const struct record_once b = { "key b", "request" };
	CU_ASSERT_EQUAL(write_once(record_delete, "row000000000001", NULL, &b), 204);
	CU_ASSERT_EQUAL(find_once(&b, body, sizeof(body)), RECORD_ONCE_SAME);
	CU_ASSERT_STRING_EQUAL(body, "");
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(a_table_is_imported_whole_or_not_at_all),
	UNIT(at_most_a_hundred_errors_are_listed),
	UNIT(a_dry_run_and_an_upsert_do_what_they_say),
	UNIT(accounts_come_without_passwords),
	UNIT(rules_of_fields_hold_row_by_row),
	UNIT(hooks_are_not_passed_by_unless_a_superuser_says_so),
	UNIT(an_answer_is_kept_with_its_write_and_only_then),
};

UNIT_MAIN("record_import", tests)
