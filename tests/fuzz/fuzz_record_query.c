/*
 * fuzz_record_query.c - any query string of a list, of a get and of an export
 *
 * The first byte says what is asked and by whom, the rest is the query: fields, expand, sort,
 * filter, cursor, aggregate, groupBy. Whatever it is, the answer is one of a client's own making:
 * never a fault, and what it says is JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "text_json_check.h"
#include "text_url.h"

#define PAIRS_MAX 16

static struct loop *loop;
static struct record_book *book;
static struct arena *arena;

static const char *const collections[] = {
	"{\"name\":\"people\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"n > "
	"0\",\"fields\":["
	"{\"name\":\"name\",\"type\":\"text\"},{\"name\":\"n\",\"type\":\"number\"}]}",
	"{\"name\":\"posts\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\",\"fields\":["
	"{\"name\":\"title\",\"type\":\"text\"},{\"name\":\"n\",\"type\":\"number\"},"
	"{\"name\":\"on\",\"type\":\"bool\"},{\"name\":\"data\",\"type\":\"json\"},"
	"{\"name\":\"tags\",\"type\":\"select\",\"values\":[\"a\",\"b\"],\"maxSelect\":2},"
	"{\"name\":\"author\",\"type\":\"relation\",\"collectionId\":\"people\"},"
	"{\"name\":\"readers\",\"type\":\"relation\",\"collectionId\":\"people\",\"maxSelect\":3},"
	"{\"name\":\"pay\",\"type\":\"number\",\"readRule\":\"n = 1 && author.n > 0\"},"
	"{\"name\":\"secret\",\"type\":\"text\",\"hidden\":true}],"
	"\"indexes\":[\"CREATE INDEX `i` ON `posts` (`n`)\"]}",
};
static const struct {
	const char *collection, *body;
} records[] = {
	{ "people", "{\"id\":\"pers00000000001\",\"name\":\"Ann\",\"n\":1}" },
	{ "people", "{\"id\":\"pers00000000002\",\"name\":\"Bob\"}" },
	{ "posts", "{\"id\":\"post00000000001\",\"title\":\"<b>=1 &amp;</b> "
		   "\\\"x\\\"\",\"n\":1,\"pay\":2,"
		   "\"data\":{\"a\":[{\"b\":1}]},\"tags\":[\"a\"],\"author\":\"pers00000000001\","
		   "\"readers\":[\"pers00000000001\",\"pers00000000002\"]}" },
	{ "posts", "{\"id\":\"post00000000002\",\"title\":\"two\",\"on\":true,\"secret\":\"s\"}" },
};

static void done(struct record_call *call)
{
	*(bool *)call->context = true;
	loop_stop(loop);
}

/* Runs the call to its end. */
static void run(void (*start)(struct record_call *), struct record_call *call)
{
	bool is_done = false;
	struct err err;
	call->book = book;
	call->loop = loop;
	call->arena = arena;
	call->done = done;
	call->context = &is_done;
	start(call);
	loop_run(loop, &err);
	call->context = NULL;
	if (!is_done)
		abort();
	if (call->status >= 500) {
		fprintf(stderr, "%d %s %s\n", call->status, call->message, call->err.message);
		abort();
	}
}

static void set_up(void)
{
	static struct store *store;
	static struct executor *executor;
	char folder[] = "/tmp/tenon-fuzz-query-XXXXXX", path[64];
	struct err err = { 0 };
	struct record_boot boot = { 0 };
	struct executor_config lanes = { { 1, 1, 1, 1 }, { 8, 8, 8, 8 } };
	struct store_config config = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 8,
		.on_open = record_on_open,
		.on_open_context = &boot };
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/data.db", folder);
	if (loop_new(0, &loop, &err) < 0 || executor_new(&lanes, &executor, &err) < 0 ||
		arena_new(8u << 20, &arena, &err) < 0 ||
		store_open(&config, executor, &store, &err) < 0)
		abort();
	struct record_config book_config = { .store = store, .executor = executor, .boot = &boot };
	if (record_book_new(&book_config, &book, &err) < 0)
		abort();
	for (size_t i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {
		struct record_call call = { .viewer.is_superuser = true,
			.body = bytes_of(collections[i]) };
		run(record_collection_create, &call);
		if (call.status != 200)
			abort();
		record_call_fini(&call);
	}
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct record_call call = { .viewer.is_superuser = true,
			.collection = bytes_of(records[i].collection),
			.body = bytes_of(records[i].body) };
		run(record_create, &call);
		if (call.status != 200)
			abort();
		record_call_fini(&call);
	}
}

static void check(struct record_call *call, bool is_json)
{
	struct text_json_limits limits = TEXT_JSON_LIMITS;
	limits.max_nodes = 1000000;
	if (is_json && call->answer.n &&
		text_json_check(bytes_buf_view(&call->answer), &limits, NULL) != TEXT_JSON_VALID) {
		fprintf(stderr, "%.*s\n", (int)call->answer.n, call->answer.p);
		abort();
	}
	record_call_fini(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_pair pairs[PAIRS_MAX + 1]; /* the last is for the walk to look behind */
	struct text_url_query query;
	size_t n = 0;
	if (!book)
		set_up();
	arena_reset(arena);
	if (!size)
		return 0;
	text_url_query_init(&query, (struct bytes){ (const char *)data + 1, size - 1 }, PAIRS_MAX);
	while (text_url_query_next(&query, arena, &pairs[n].name, &pairs[n].value) == TEXT_URL_OK)
		n++;
	struct record_export export = { 0 };
	struct record_call call = { .viewer.is_superuser = data[0] & 1,
		.collection = data[0] & 2 ? BYTES("people") : BYTES("posts"),
		.query = pairs,
		.n_query = n };
	switch (data[0] >> 2 & 3) {
	case 0:
	case 1:
		run(record_list, &call);
		check(&call, true);
		break;
	case 2:
		call.id = data[0] & 2 ? BYTES("pers00000000001") : BYTES("post00000000001");
		run(record_get, &call);
		check(&call, true);
		break;
	default:
		call.export = &export;
		run(record_export, &call);
		check(&call, !export.is_csv && call.status == 200 && !export.next.n);
		bytes_buf_fini(&export.next);
	}
	return 0;
}
