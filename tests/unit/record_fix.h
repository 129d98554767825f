/*
 * record_fix.h - one tenant with a loop that this thread runs; a request runs to its end
 *
 * For the tests of module record: each of its programs includes this once.
 */
#ifndef RECORD_FIX_H
#define RECORD_FIX_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "record.h"
#include "text_json_check.h"
#include "text_json_reader.h"

static struct {
	char folder[64], path[96];
	struct loop *loop;
	struct executor *executor;
	struct store *store;
	struct record_book *book;
	struct arena *arena;
	const struct record_hooks *hooks;
	const struct record_events *events;
	struct record_viewer viewer;
	struct record_pair query[8];
	size_t n_query;
	bool is_strict;
	const char *if_none_match; /* of the next request */
	/* the last answer */
	int status;
	char message[256], body[200000], ignored[512], etag[RECORD_ETAG_BYTES];
} fix;

static const struct record_viewer superuser = { .is_superuser = true,
	.collection_id = { "pbc_3142635823", 14 },
	.collection_name = { "_superusers", 11 },
	.record_id = { "superuser000000", 15 } };
static const struct record_viewer nobody = { 0 };

static void open_book(void)
{
	struct err err = { 0 };
	struct record_boot boot = { 0 };
	struct store_config config = { .path = fix.path,
		.n_loops = 1,
		.n_readers = 2,
		.write_queue_limit = 100,
		.on_open = record_on_open,
		.on_open_context = &boot };
	if (store_open(&config, fix.executor, &fix.store, &err) < 0) {
		printf("%s\n", err.message);
		CU_FAIL_FATAL("the tenant does not open");
	}
	struct record_config book = { .store = fix.store,
		.executor = fix.executor,
		.boot = &boot,
		.tenant = BYTES("shop"),
		.hooks = fix.hooks,
		.events = fix.events };
	CU_ASSERT_EQUAL_FATAL(record_book_new(&book, &fix.book, &err), 0);
}

static void setup_full(const struct record_hooks *hooks, const struct record_events *events)
{
	struct err err = { 0 };
	memset(&fix, 0, sizeof(fix));
	fix.hooks = hooks;
	fix.events = events;
	fix.viewer = superuser;
	strcpy(fix.folder, "/tmp/tenon-record-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fix.folder));
	snprintf(fix.path, sizeof(fix.path), "%s/data.db", fix.folder);
	struct executor_config config = { { 2, 1, 1, 2 }, { 1000, 10, 10, 1000 } };
	CU_ASSERT_EQUAL_FATAL(executor_new(&config, &fix.executor, &err), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fix.loop, &err), 0);
	CU_ASSERT_EQUAL_FATAL(arena_new(16u << 20, &fix.arena, &err), 0);
	open_book();
}

static inline void setup_with(const struct record_hooks *hooks)
{
	setup_full(hooks, NULL);
}

static inline void setup(void)
{
	setup_full(NULL, NULL);
}

static inline void close_book(void)
{
	record_book_free(fix.book);
	store_close(fix.store);
}

static inline void teardown(void)
{
	close_book();
	executor_free(fix.executor);
	loop_free(fix.loop);
	arena_free(fix.arena);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", fix.folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static inline void done_call(struct record_call *call)
{
	*(bool *)call->context = true;
	loop_stop(fix.loop);
}

typedef void operation(struct record_call *call);

static inline int request(
	operation *start, const char *collection, const char *id, const char *body)
{
	bool is_done = false;
	struct err err;
	struct record_call call = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = fix.viewer,
		.collection = bytes_of(collection),
		.id = bytes_of(id),
		.body = bytes_of(body),
		.is_strict = fix.is_strict,
		.if_none_match = bytes_of(fix.if_none_match),
		.method = BYTES("GET"),
		.query = fix.query,
		.n_query = fix.n_query,
		.done = done_call,
		.context = &is_done };
	if (body)
		CU_ASSERT_EQUAL(
			text_json_check(call.body, &TEXT_JSON_LIMITS, NULL), TEXT_JSON_VALID);
	arena_reset(fix.arena);
	start(&call);
	/* done has asked the loop to stop, before this or while it runs. */
	CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
	CU_ASSERT(is_done);
	fix.status = call.status;
	snprintf(fix.message, sizeof(fix.message), "%s", call.message);
	bytes_to_string(bytes_buf_view(&call.answer), fix.body, sizeof(fix.body));
	bytes_to_string(bytes_buf_view(&call.ignored), fix.ignored, sizeof(fix.ignored));
	memcpy(fix.etag, call.etag, sizeof(fix.etag));
	if (call.answer.n) {
		struct text_json_limits limits = TEXT_JSON_LIMITS;
		limits.max_nodes = 100000;
		CU_ASSERT_EQUAL(text_json_check(bytes_buf_view(&call.answer), &limits, NULL),
			TEXT_JSON_VALID);
	}
	if (call.status == 500)
		printf("\n500: %s\n", call.err.message);
	record_call_fini(&call);
	fix.n_query = 0;
	fix.if_none_match = NULL;
	return fix.status;
}

static inline void query(const char *name, const char *value)
{
	fix.query[fix.n_query++] = (struct record_pair){ bytes_of(name), bytes_of(value) };
}

/* The value at a JSON pointer of the last answer, as it stands there. */
static inline const char *at(const char *pointer)
{
	static char text[4][4096];
	static unsigned turn;
	char *out = text[turn++ % 4];
	struct bytes value;
	strcpy(out, "(absent)");
	if (text_json_find(bytes_of(fix.body), bytes_of(pointer), &value) == TEXT_JSON_FOUND)
		bytes_to_string(value, out, sizeof(text[0]));
	return out;
}

static inline void expect(const char *pointer, const char *value)
{
	const char *found = at(pointer);
	if (strcmp(found, value) != 0) {
		printf("\n%s: expected %s, found %s in %d %s %s\n", pointer, value, found,
			fix.status, fix.message, fix.body);
		CU_FAIL("another value");
	}
}

static inline void expect_status(int status, int found)
{
	if (status != found) {
		printf("\nexpected %d, found %d %s %s\n", status, found, fix.message, fix.body);
		CU_FAIL("another status");
	}
}

static const char posts[] =
	"{\"name\":\"posts\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\",\"createRule\":"
	"\"\","
	"\"updateRule\":\"\",\"deleteRule\":\"\",\"fields\":["
	"{\"name\":\"title\",\"type\":\"text\",\"required\":true,\"min\":2,\"max\":20},"
	"{\"name\":\"n\",\"type\":\"number\",\"min\":-5,\"max\":1000},"
	"{\"name\":\"count\",\"type\":\"number\",\"onlyInt\":true},"
	"{\"name\":\"active\",\"type\":\"bool\"},"
	"{\"name\":\"mail\",\"type\":\"email\"},{\"name\":\"site\",\"type\":\"url\"},"
	"{\"name\":\"day\",\"type\":\"date\"},"
	"{\"name\":\"kind\",\"type\":\"select\",\"values\":[\"a\",\"b\",\"c\"]},"
	"{\"name\":\"tags\",\"type\":\"select\",\"values\":[\"x\",\"y\",\"z\"],\"maxSelect\":2},"
	"{\"name\":\"data\",\"type\":\"json\"},"
	"{\"name\":\"sku\",\"type\":\"text\",\"pattern\":\"^[A-Z]{2}\\\\d+$\"},"
	"{\"name\":\"secret\",\"type\":\"text\",\"hidden\":true},"
	"{\"name\":\"created\",\"type\":\"autodate\",\"onCreate\":true},"
	"{\"name\":\"updated\",\"type\":\"autodate\",\"onCreate\":true,\"onUpdate\":true}],"
	"\"indexes\":[\"CREATE UNIQUE INDEX `idx_posts_sku` ON `posts` (`sku`) WHERE `sku` != "
	"''\"]}";

#endif
