/*
 * fuzz_collection.c - any definition of a collection: made, laid over another, imported, tried dry
 *
 * The first byte says what is asked, the rest is the body. Whatever it is, the answer is one of a
 * superuser's own making, never a fault, and what it says is JSON; and after a change that was
 * taken the collections are still listed. Now and then all of them are dropped again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "text_json_check.h"

#define ROUNDS_MAX 64 /* changes before everything begins anew */

static struct loop *loop;
static struct record_book *book;
static struct arena *arena;

static const char base[] =
	"{\"deleteMissing\":true,\"collections\":[{\"id\":\"a_id\",\"name\":\"a\",\"listRule\":\"t "
	"!= "
	"''\",\"fields\":[{\"id\":\"f_t\",\"name\":\"t\",\"type\":\"text\"},{\"id\":\"f_n\","
	"\"name\":"
	"\"n\",\"type\":\"number\"},{\"id\":\"f_r\",\"name\":\"r\",\"type\":\"relation\","
	"\"collectionId\":\"a_id\",\"maxSelect\":3}],\"indexes\":[\"CREATE INDEX i ON a (t)\"]},"
	"{\"name\":\"v\",\"type\":\"view\",\"viewQuery\":\"SELECT id, t FROM a\"}]}";

static void done(struct record_call *call)
{
	*(bool *)call->context = true;
	loop_stop(loop);
}

/* Runs the call to its end. Returns its status. */
static int run(void (*start)(struct record_call *), const char *collection, struct bytes body,
	const struct record_pair *query, size_t n_query)
{
	bool is_done = false;
	struct err err;
	struct text_json_limits limits = { 32, 1000000, 64u << 20 };
	struct record_call call = { .book = book,
		.loop = loop,
		.arena = arena,
		.viewer = { .is_superuser = true },
		.collection = bytes_of(collection),
		.body = body,
		.query = query,
		.n_query = n_query,
		.done = done,
		.context = &is_done };
	arena_reset(arena);
	start(&call);
	loop_run(loop, &err);
	int status = call.status;
	bool is_json = !call.answer.n || text_json_check(bytes_buf_view(&call.answer), &limits,
						 NULL) == TEXT_JSON_VALID;
	if (!is_done || !is_json || (status >= 500 && status != 503 && status != 504)) {
		fprintf(stderr, "%d %s %s %.*s\n", status, call.message, call.err.message,
			(int)call.answer.n, call.answer.p);
		abort();
	}
	record_call_fini(&call);
	return status;
}

static void open_tenant(void)
{
	static struct store *store;
	static struct executor *executor;
	static char folder[64];
	char path[96], command[128];
	struct err err = { 0 };
	struct record_boot boot = { 0 };
	struct executor_config lanes = { { 1, 1, 1, 1 }, { 8, 8, 8, 8 } };
	struct store_config config = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 8,
		.on_open = record_on_open,
		.on_open_context = &boot };
	record_book_free(book);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (folder[0] && system(command) != 0)
		abort();
	strcpy(folder, "/tmp/tenon-fuzz-collection-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/data.db", folder);
	if (!executor &&
		(loop_new(0, &loop, &err) < 0 || executor_new(&lanes, &executor, &err) < 0 ||
			arena_new(8u << 20, &arena, &err) < 0))
		abort();
	if (store_open(&config, executor, &store, &err) < 0)
		abort();
	struct record_config book_config = { .store = store, .executor = executor, .boot = &boot };
	if (record_book_new(&book_config, &book, &err) < 0)
		abort();
}

/* What the last rounds made may not let itself be changed for it: then a tenant of its own. */
static void begin_anew(void)
{
	if (book && run(record_collection_import, NULL, bytes_of(base), NULL, 0) == 204)
		return;
	open_tenant();
	if (run(record_collection_import, NULL, bytes_of(base), NULL, 0) != 204)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_pair query[] = { { { "lossy", 5 }, { "1", 1 } },
		{ { "dryRun", 6 }, { "1", 1 } } };
	static unsigned n_rounds;
	if (size < 2)
		return 0;
	struct bytes body = { (const char *)data + 1, size - 1 };
	if (text_json_check(body, &TEXT_JSON_LIMITS, NULL) != TEXT_JSON_VALID)
		return 0;
	if (n_rounds++ % ROUNDS_MAX == 0)
		begin_anew();
	size_t n_query = data[0] & 4 ? 2 : 1;
	switch (data[0] % 3) {
	case 0:
		run(record_collection_create, NULL, body, query, n_query);
		break;
	case 1:
		run(record_collection_update, "a_id", body, query, n_query);
		break;
	default:
		run(record_collection_import, NULL, body, query, n_query);
		break;
	}
	if (run(record_collection_list, NULL, (struct bytes){ NULL, 0 }, NULL, 0) != 200)
		abort();
	return 0;
}
