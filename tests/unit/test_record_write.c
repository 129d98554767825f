#include "record_fix.h"

#include "record_group.h"

/* ---- groups ---- */

static struct record_group *group;

static void begin_group(size_t n)
{
	struct err err;
	CU_ASSERT_EQUAL_FATAL(record_group_new(n, &group, &err), 0);
	group->book = fix.book;
	group->loop = fix.loop;
	group->viewer = fix.viewer;
}

static void item(size_t i, enum record_item_kind kind, const char *collection, const char *id,
	const char *body)
{
	struct record_item *at = &group->items[i];
	at->kind = kind;
	at->call.collection = bytes_of(collection);
	at->call.id = bytes_of(id);
	at->call.body = bytes_of(body);
}

static void done_group(struct record_group *done)
{
	*(bool *)done->context = true;
	loop_stop(fix.loop);
}

static void run_group(void)
{
	struct err err;
	bool is_done = false;
	group->done = done_group;
	group->context = &is_done;
	record_group_run(group);
	CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT(is_done);
	if (group->result == RECORD_GROUP_FAILED)
		printf("\nthe group failed: %d %s %s\n", group->status, group->message,
			group->err.message);
}

/* The answer of an item becomes what expect() looks at. */
static void look_at(size_t i)
{
	const struct record_call *call = &group->items[i].call;
	fix.status = call->status;
	snprintf(fix.message, sizeof(fix.message), "%s", call->message ? call->message : "");
	bytes_to_string(bytes_buf_view(&call->answer), fix.body, sizeof(fix.body));
}

static void expect_total(const char *collection, const char *n)
{
	expect_status(200, request(record_list, collection, NULL, NULL));
	expect("/totalItems", n);
}

#define SHOP                                                                                       \
	"{\"name\":\"shops\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\","               \
	"\"createRule\":\"\",\"updateRule\":\"\",\"deleteRule\":\"\",\"fields\":["                 \
	"{\"name\":\"name\",\"type\":\"text\",\"required\":true},"                                 \
	"{\"name\":\"n\",\"type\":\"number\"},"                                                    \
	"{\"name\":\"hidden\",\"type\":\"text\",\"hidden\":true}],"                                \
	"\"indexes\":[\"CREATE UNIQUE INDEX `idx_name` ON `shops` (`name`)\"]}"

static void make_shops(void)
{
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"items\",\"type\":\"base\",\"listRule\":\"\","
				   "\"createRule\":\"shop.n > 0\",\"updateRule\":\"\","
				   "\"deleteRule\":\"\",\"fields\":[{\"name\":\"shop\","
				   "\"type\":\"relation\",\"collectionId\":\"shops\"},"
				   "{\"name\":\"tag\",\"type\":\"text\"}]}"));
}

static const char one[] = "shop00000000001", two[] = "shop00000000002";

static void a_group_is_written_whole_and_each_item_sees_the_last(void)
{
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	fix.viewer = nobody;
	begin_group(6);
	item(0, RECORD_ITEM_CREATE, "shops", NULL,
		"{\"id\":\"shop00000000001\",\"name\":\"a\",\"n\":1}");
	item(1, RECORD_ITEM_UPDATE, "shops", one, "{\"n+\":4}");
	item(2, RECORD_ITEM_UPSERT, "shops", one, "{\"id\":\"shop00000000001\",\"n+\":1}");
	item(3, RECORD_ITEM_UPSERT, "shops", two, "{\"id\":\"shop00000000002\",\"name\":\"b\"}");
	item(4, RECORD_ITEM_CREATE, "shops", NULL, "{\"name\":\"c\"}");
	item(5, RECORD_ITEM_DELETE, "shops", two, NULL);
	run_group();
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_DONE);
	for (size_t i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(group->items[i].call.status, i == 5 ? 204 : 200);
	CU_ASSERT_EQUAL(group->items[2].action, RECORD_UPDATE);
	CU_ASSERT_EQUAL(group->items[3].action, RECORD_CREATE);
	look_at(2);
	expect("/n", "6");
	record_group_free(group);
	expect_total("shops", "2");
	teardown();
}

static void the_first_item_that_fails_takes_all_back(void)
{
	static const struct {
		enum record_item_kind kind;
		const char *collection, *id, *body;
		int status;
		const char *pointer;
	} rows[] = {
		{ RECORD_ITEM_CREATE, "shops", NULL, "{\"n\":1}", 400, "/name/code" },
		{ RECORD_ITEM_CREATE, "shops", NULL, "{\"name\":\"first\"}", 400, "/name/code" },
		{ RECORD_ITEM_CREATE, "shops", NULL, "[]", 400, "" },
		{ RECORD_ITEM_UPDATE, "shops", two, "{\"n\":1}", 404, "" },
		{ RECORD_ITEM_DELETE, "shops", two, NULL, 404, "" },
		{ RECORD_ITEM_DELETE, "nosuch", two, NULL, 404, "" },
		{ RECORD_ITEM_CREATE, "_superusers", NULL, "{}", 403, "" },
		{ RECORD_ITEM_UPSERT, "shops", one, "{\"id\":\"shop00000000001\",\"name\":\"\"}",
			400, "/name/code" },
	};
	setup();
	make_shops();
	expect_status(200, request(record_create, "shops", NULL,
				   "{\"id\":\"shop00000000001\",\"name\":\"old\"}"));
	fix.viewer = nobody;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin_group(4);
		item(0, RECORD_ITEM_CREATE, "shops", NULL, "{\"name\":\"first\"}");
		item(1, RECORD_ITEM_UPDATE, "shops", one, "{\"n\":9}");
		item(2, rows[i].kind, rows[i].collection, rows[i].id, rows[i].body);
		item(3, RECORD_ITEM_CREATE, "shops", NULL, "{\"name\":\"last\"}");
		run_group();
		CU_ASSERT_EQUAL(group->result, RECORD_GROUP_ITEM_FAILED);
		CU_ASSERT_EQUAL(group->failed, 2);
		look_at(2);
		expect_status(rows[i].status, fix.status);
		if (rows[i].pointer[0] && strcmp(at(rows[i].pointer), "(absent)") == 0)
			CU_FAIL("the field is not named");
		record_group_free(group);
		expect_total("shops", "1");
		expect("/items/0/n", "0");
	}
	teardown();
}

static void a_rule_sees_what_an_earlier_item_did(void)
{
	setup();
	make_shops();
	fix.viewer = nobody;
	for (int n = 1; n >= 0; n--) {
		char body[100];
		snprintf(body, sizeof(body),
			"{\"id\":\"shop0000000000%d\",\"name\":\"s%d\",\"n\":%d}", n, n, n);
		begin_group(2);
		item(0, RECORD_ITEM_CREATE, "shops", NULL, body);
		item(1, RECORD_ITEM_CREATE, "items", NULL,
			n ? "{\"shop\":\"shop00000000001\"}" : "{\"shop\":\"shop00000000000\"}");
		run_group();
		CU_ASSERT_EQUAL(group->result, n ? RECORD_GROUP_DONE : RECORD_GROUP_ITEM_FAILED);
		look_at(1);
		expect_status(n ? 200 : 400, fix.status);
		record_group_free(group);
	}
	expect_total("items", "1");
	expect_total("shops", "1");
	teardown();
}

static void a_thousand_items_are_one_group(void)
{
	static char bodies[RECORD_GROUP_MAX][64];
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	begin_group(RECORD_GROUP_MAX);
	for (size_t i = 0; i < RECORD_GROUP_MAX; i++) {
		snprintf(bodies[i], sizeof(bodies[i]), "{\"name\":\"shop %zu\"}", i);
		item(i, RECORD_ITEM_CREATE, "shops", NULL, bodies[i]);
	}
	run_group();
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_DONE);
	look_at(RECORD_GROUP_MAX - 1);
	expect("/name", "\"shop 999\"");
	record_group_free(group);
	expect_total("shops", "1000");
	teardown();
}

static void accounts_of_a_group_have_passwords(void)
{
	setup();
	begin_group(2);
	item(0, RECORD_ITEM_CREATE, "users", NULL,
		"{\"email\":\"a@x.example\",\"password\":\"12345678\",\"passwordConfirm\":"
		"\"12345678\"}");
	item(1, RECORD_ITEM_CREATE, "users", NULL,
		"{\"email\":\"b@x.example\",\"password\":\"1234567\",\"passwordConfirm\":"
		"\"1234567\"}");
	run_group();
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_ITEM_FAILED);
	CU_ASSERT_EQUAL(group->failed, 1);
	record_group_free(group);
	expect_total("users", "0");
	teardown();
}

static void a_group_outlives_a_change_of_the_schema(void)
{
	struct err err;
	bool is_done = false, is_changed = false;
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	begin_group(40);
	for (size_t i = 0; i < 40; i++)
		item(i, RECORD_ITEM_CREATE, "shops", NULL,
			i % 2 ? "{\"name\":\"odd\"}" : "{\"name\":\"even\"}");
	struct record_call change = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = superuser,
		.collection = BYTES("shops"),
		.body = BYTES("{\"indexes\":[]}"),
		.done = done_call,
		.context = &is_changed };
	group->done = done_group;
	group->context = &is_done;
	/* The change is first in the writer's queue: the group was made ready for what was. */
	record_collection_update(&change);
	record_group_run(group);
	while (!is_done || !is_changed)
		CU_ASSERT_EQUAL_FATAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT_EQUAL(change.status, 200);
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_DONE);
	record_call_fini(&change);
	record_group_free(group);
	expect_total("shops", "40");
	teardown();
}

/* ---- events ---- */

static struct {
	char text[8000];
	unsigned n_calls;
	enum record_wanted wanted;
} told;

static enum record_wanted wants(void *context, struct bytes tenant, struct bytes collection_id)
{
	(void)context;
	CU_ASSERT(bytes_eq_string(tenant, "shop"));
	CU_ASSERT(collection_id.n > 0);
	return told.wanted;
}

static void committed(
	void *context, struct bytes tenant, const struct record_event *events, size_t n)
{
	static const char *const words[] = { "create", "update", "delete" };
	(void)context;
	CU_ASSERT(bytes_eq_string(tenant, "shop"));
	told.n_calls++;
	for (size_t i = 0; i < n; i++) {
		size_t length = strlen(told.text);
		snprintf(told.text + length, sizeof(told.text) - length, "%s %.*s %.*s %s%s;",
			words[events[i].action], (int)events[i].collection_name.n,
			events[i].collection_name.p, (int)events[i].id.n, events[i].id.p,
			events[i].old.n ? "old" : "", events[i].record.n ? "new" : "");
		if (events[i].record.n)
			CU_ASSERT_PTR_NOT_NULL(
				memmem(events[i].record.p, events[i].record.n, "\"id\":\"", 6));
	}
}

static const struct record_events events = { NULL, wants, committed };

static void expect_told(const char *text, unsigned n_calls)
{
	if (strcmp(told.text, text) != 0 || told.n_calls != n_calls) {
		printf("\nexpected %s, was told %s in %u\n", text, told.text, told.n_calls);
		CU_FAIL("another tale");
	}
	told.text[0] = '\0';
	told.n_calls = 0;
}

static void what_was_committed_is_told_and_nothing_else(void)
{
	memset(&told, 0, sizeof(told));
	told.wanted = RECORD_WANT_RECORDS;
	setup_full(NULL, &events);
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	const char *body = "{\"id\":\"shop00000000001\",\"name\":\"a\",\"hidden\":\"h\"}";
	expect_status(200, request(record_create, "shops", NULL, body));
	expect_told("create shops shop00000000001 new;", 1);
	expect_status(400, request(record_create, "shops", NULL, body));
	expect_status(404, request(record_update, "shops", two, "{\"n\":1}"));
	expect_told("", 0);
	expect_status(200, request(record_update, "shops", one, "{\"n\":1}"));
	expect_told("update shops shop00000000001 oldnew;", 1);

	begin_group(2);
	item(0, RECORD_ITEM_UPDATE, "shops", one, "{\"n\":2}");
	item(1, RECORD_ITEM_CREATE, "shops", NULL, "{\"name\":\"a\"}");
	run_group();
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_ITEM_FAILED);
	record_group_free(group);
	expect_told("", 0);
	begin_group(2);
	item(0, RECORD_ITEM_UPDATE, "shops", one, "{\"n\":2}");
	item(1, RECORD_ITEM_DELETE, "shops", one, NULL);
	run_group();
	record_group_free(group);
	expect_told("update shops shop00000000001 oldnew;delete shops shop00000000001 old;", 2);
	told.wanted = RECORD_WANT_IDS;
	expect_status(200, request(record_create, "shops", NULL, body));
	expect_told("create shops shop00000000001 ;", 1);
	told.wanted = RECORD_WANT_NOTHING;
	expect_status(204, request(record_delete, "shops", one, NULL));
	expect_told("", 0);
	teardown();
}

static void what_a_delete_takes_with_it_is_told_too(void)
{
	memset(&told, 0, sizeof(told));
	setup_full(NULL, &events);
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"owned\",\"type\":\"base\",\"fields\":[{\"name\":"
				   "\"shop\",\"type\":\"relation\",\"collectionId\":\"shops\","
				   "\"cascadeDelete\":true}]}"));
	expect_status(200, request(record_collection_create, NULL, NULL,
				   "{\"name\":\"loose\",\"type\":\"base\",\"fields\":[{\"name\":"
				   "\"shop\",\"type\":\"relation\",\"collectionId\":\"shops\"}]}"));
	expect_status(200, request(record_create, "shops", NULL,
				   "{\"id\":\"shop00000000001\",\"name\":\"a\"}"));
	expect_status(200, request(record_create, "owned", NULL,
				   "{\"id\":\"owned0000000001\",\"shop\":\"shop00000000001\"}"));
	expect_status(200, request(record_create, "loose", NULL,
				   "{\"id\":\"loose0000000001\",\"shop\":\"shop00000000001\"}"));
	told.wanted = RECORD_WANT_RECORDS;
	expect_status(204, request(record_delete, "shops", one, NULL));
	expect_told("delete shops shop00000000001 old;delete owned owned0000000001 old;"
		    "update loose loose0000000001 oldnew;",
		1);
	teardown();
}

/* ---- hooks before updates and deletes ---- */

static struct {
	enum record_action action;
	unsigned n_asked, n_released;
	bool refuse, attach, meddle;
	char record[1000], old[1000];
} hook;

static bool has_before(void *context, struct loop *loop, struct bytes tenant,
	struct bytes collection, enum record_action action)
{
	(void)context;
	(void)loop;
	(void)tenant;
	return bytes_eq_string(collection, "shops") && action == hook.action;
}

static struct record_call meddler;
static struct record_hook_call *waiting;

static void done_meddling(struct record_call *call)
{
	CU_ASSERT_EQUAL(call->status, 200);
	record_call_fini(call);
	arena_free(call->arena);
	waiting->done(waiting);
}

/* Somebody else changes the row while the hook thinks. */
static void meddle(struct record_hook_call *call)
{
	struct err err;
	hook.meddle = false;
	waiting = call;
	meddler = (struct record_call){ .book = call->book,
		.loop = call->loop,
		.viewer = superuser,
		.collection = BYTES("shops"),
		.id = bytes_of(one),
		.body = BYTES("{\"n+\":100}"),
		.done = done_meddling };
	CU_ASSERT_EQUAL_FATAL(arena_new(1u << 20, &meddler.arena, &err), 0);
	enum record_action action = hook.action;
	hook.action = RECORD_CREATE; /* nobody asks about this one */
	record_update(&meddler);
	hook.action = action;
}

static void before(void *context, struct record_hook_call *call)
{
	(void)context;
	hook.n_asked++;
	bytes_to_string(call->record, hook.record, sizeof(hook.record));
	bytes_to_string(call->old, hook.old, sizeof(hook.old));
	call->is_refused = hook.refuse;
	call->refusal = (struct record_refusal){ .status = 400, .message = BYTES("no") };
	call->attached = hook.attach ? &hook : NULL;
	if (hook.meddle)
		meddle(call);
	else
		call->done(call);
}

static enum record_attached_result run_attached(void *context, void *attached,
	struct store_conn *conn, struct record_refusal *ret, enum store_outcome *ret_outcome)
{
	(void)context;
	(void)attached;
	(void)conn;
	*ret_outcome = STORE_OK;
	*ret = (struct record_refusal){ .status = 400, .message = BYTES("attached no") };
	return RECORD_ATTACHED_REFUSED;
}

static void release_attached(void *context, void *attached)
{
	(void)context;
	(void)attached;
	hook.n_released++;
}

static const struct record_hooks hooks = { NULL, has_before, before, run_attached,
	release_attached };

static void setup_hooks(enum record_action action)
{
	memset(&hook, 0, sizeof(hook));
	setup_with(&hooks);
	hook.action = RECORD_CREATE + 99;
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	expect_status(200, request(record_create, "shops", NULL,
				   "{\"id\":\"shop00000000001\",\"name\":\"a\",\"n\":1}"));
	hook.action = action;
}

static void a_hook_before_an_update_gets_old_and_new(void)
{
	setup_hooks(RECORD_UPDATE);
	fix.viewer = nobody;
	expect_status(200, request(record_update, "shops", one, "{\"n+\":2}"));
	expect("/n", "3");
	CU_ASSERT_EQUAL(hook.n_asked, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.old, "\"n\":1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.record, "\"n\":3"));
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.record, "\"name\":\"a\""));
	/* What is refused before is not asked about. */
	expect_status(400, request(record_update, "shops", one, "{\"name\":\"\"}"));
	expect("/name/code", "\"validation_required\"");
	expect_status(404, request(record_update, "shops", two, "{\"n\":1}"));
	CU_ASSERT_EQUAL(hook.n_asked, 1);
	hook.refuse = true;
	expect_status(400, request(record_update, "shops", one, "{\"n\":7}"));
	CU_ASSERT_STRING_EQUAL(fix.message, "no");
	hook.refuse = false;
	hook.attach = true;
	expect_status(400, request(record_update, "shops", one, "{\"n\":7}"));
	CU_ASSERT_STRING_EQUAL(fix.message, "attached no");
	CU_ASSERT_EQUAL(hook.n_released, 1);
	expect_status(200, request(record_get, "shops", one, NULL));
	expect("/n", "3");
	teardown();
}

static void a_hook_is_asked_again_when_the_row_has_moved_on(void)
{
	setup_hooks(RECORD_UPDATE);
	hook.meddle = true;
	expect_status(200, request(record_update, "shops", one, "{\"n+\":2}"));
	expect("/n", "103");
	CU_ASSERT_EQUAL(hook.n_asked, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.old, "\"n\":101"));
	teardown();
	setup_hooks(RECORD_DELETE);
	hook.meddle = true;
	expect_status(204, request(record_delete, "shops", one, NULL));
	CU_ASSERT_EQUAL(hook.n_asked, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.record, "\"n\":101"));
	teardown();
}

static void a_hook_may_forbid_a_delete(void)
{
	setup_hooks(RECORD_DELETE);
	fix.viewer = nobody;
	hook.refuse = true;
	expect_status(400, request(record_delete, "shops", one, NULL));
	CU_ASSERT_STRING_EQUAL(fix.message, "no");
	CU_ASSERT_PTR_NOT_NULL(strstr(hook.record, "\"name\":\"a\""));
	CU_ASSERT_STRING_EQUAL(hook.old, "");
	expect_status(404, request(record_delete, "shops", two, NULL));
	CU_ASSERT_EQUAL(hook.n_asked, 1);
	hook.refuse = false;
	hook.attach = true;
	expect_status(400, request(record_delete, "shops", one, NULL));
	CU_ASSERT_STRING_EQUAL(fix.message, "attached no");
	hook.attach = false;
	expect_status(204, request(record_delete, "shops", one, NULL));
	teardown();
}

static void hooks_of_a_group_are_asked_before_it_runs(void)
{
	setup_hooks(RECORD_UPDATE);
	begin_group(2);
	item(0, RECORD_ITEM_CREATE, "shops", NULL, "{\"name\":\"b\"}");
	item(1, RECORD_ITEM_UPDATE, "shops", one, "{\"n\":5}");
	hook.attach = true;
	run_group();
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_ITEM_FAILED);
	CU_ASSERT_EQUAL(group->failed, 1);
	look_at(1);
	CU_ASSERT_STRING_EQUAL(fix.message, "attached no");
	CU_ASSERT_EQUAL(hook.n_asked, 1);
	CU_ASSERT_EQUAL(hook.n_released, 1);
	record_group_free(group);
	expect_total("shops", "1");
	hook.attach = false;
	/* Twice the same row: the hook cannot be shown what the first would make of it. */
	begin_group(2);
	item(0, RECORD_ITEM_UPDATE, "shops", one, "{\"n\":5}");
	item(1, RECORD_ITEM_UPDATE, "shops", one, "{\"n\":6}");
	run_group();
	CU_ASSERT_EQUAL(group->result, RECORD_GROUP_ITEM_FAILED);
	CU_ASSERT_EQUAL(group->failed, 1);
	record_group_free(group);
	teardown();
}

/* ---- If-Match ---- */

static int write_if(operation *start, const char *if_match, const char *body)
{
	struct err err;
	bool is_done = false;
	struct record_call call = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = fix.viewer,
		.collection = BYTES("shops"),
		.id = bytes_of(one),
		.body = bytes_of(body),
		.if_match = bytes_of(if_match),
		.done = done_call,
		.context = &is_done };
	arena_reset(fix.arena);
	start(&call);
	CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT(is_done);
	snprintf(fix.message, sizeof(fix.message), "%s", call.etag);
	int status = call.status;
	record_call_fini(&call);
	return status;
}

static void a_write_with_if_match_meets_the_record_that_was_seen(void)
{
	char etag[64];
	setup();
	expect_status(200, request(record_collection_create, NULL, NULL, SHOP));
	expect_status(200, request(record_create, "shops", NULL,
				   "{\"id\":\"shop00000000001\",\"name\":\"a\",\"hidden\":\"h\"}"));
	fix.viewer = nobody;
	expect_status(200, write_if(record_get, NULL, NULL));
	strcpy(etag, fix.message);
	expect_status(412, write_if(record_update, "\"other\"", "{\"n\":1}"));
	expect_status(200, write_if(record_update, etag, "{\"n\":1}"));
	expect_status(412, write_if(record_update, etag, "{\"n\":2}"));
	expect_status(412, write_if(record_delete, etag, NULL));
	/* What an update answered is what a get would say. */
	expect_status(200, write_if(record_update, "*", "{\"n\":3}"));
	strcpy(etag, fix.message);
	expect_status(200, write_if(record_get, NULL, NULL));
	CU_ASSERT_STRING_EQUAL(etag, fix.message);
	/* What this viewer does not see does not change his tag. */
	fix.viewer = superuser;
	expect_status(200, write_if(record_update, NULL, "{\"hidden\":\"changed\"}"));
	expect_status(412, write_if(record_update, etag, "{\"n\":3}"));
	fix.viewer = nobody;
	expect_status(200, write_if(record_update, etag, "{\"n\":4}"));
	strcpy(etag, fix.message);
	expect_status(204, write_if(record_delete, etag, NULL));
	expect_status(404, write_if(record_delete, etag, NULL));
	expect_status(404, write_if(record_update, etag, "{\"n\":1}"));
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(a_group_is_written_whole_and_each_item_sees_the_last),
	UNIT(the_first_item_that_fails_takes_all_back),
	UNIT(a_rule_sees_what_an_earlier_item_did),
	UNIT(a_thousand_items_are_one_group),
	UNIT(accounts_of_a_group_have_passwords),
	UNIT(a_group_outlives_a_change_of_the_schema),
	UNIT(what_was_committed_is_told_and_nothing_else),
	UNIT(what_a_delete_takes_with_it_is_told_too),
	UNIT(a_hook_before_an_update_gets_old_and_new),
	UNIT(a_hook_is_asked_again_when_the_row_has_moved_on),
	UNIT(a_hook_may_forbid_a_delete),
	UNIT(hooks_of_a_group_are_asked_before_it_runs),
	UNIT(a_write_with_if_match_meets_the_record_that_was_seen),
};

UNIT_MAIN("record_write", tests)
