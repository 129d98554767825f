/*
 * bench_record.c - what a record costs without HTTP: get, encode, list, durable create
 *
 * usage: bench_record [seconds per row [get|encode|list|sort|create]]. One thread is the loop;
 * creates are 64 at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "record.h"
#include "store.h"

#define N_ROWS    10000
#define N_WRITERS 64

static struct loop *loop;
static struct record_book *book;
static uint64_t end_ns;
static uint64_t n_done, n_failed;

static const struct record_viewer superuser = { .is_superuser = true };

static void fail(const char *what, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", what, err->message);
	exit(1);
}

static void done_stop(struct record_call *call)
{
	if (call->status >= 300)
		n_failed++;
	loop_stop(loop);
}

static void run_one(struct record_call *call, void (*start)(struct record_call *))
{
	struct err err;
	start(call);
	loop_run(loop, &err);
}

static const char *collection_name = "items"; /* of 1 KB each; "small": as in the docs */

static void make_collection(struct arena *arena, const char *name)
{
	char body[600];
	snprintf(body, sizeof(body),
		"{\"name\":\"%s\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\","
		"\"createRule\":\"\","
		"\"fields\":["
		"{\"name\":\"title\",\"type\":\"text\"},{\"name\":\"n\",\"type\":\"number\"},"
		"{\"name\":\"text\",\"type\":\"text\"},{\"name\":\"active\",\"type\":\"bool\"},"
		"{\"name\":\"created\",\"type\":\"autodate\",\"onCreate\":true},"
		"{\"name\":\"updated\",\"type\":\"autodate\",\"onCreate\":true,\"onUpdate\":true}]"
		"}",
		name);
	struct record_call call = { .book = book,
		.loop = loop,
		.arena = arena,
		.viewer = superuser,
		.body = bytes_of(body),
		.done = done_stop };
	run_one(&call, record_collection_create);
	record_call_fini(&call);
	arena_reset(arena);
}

/* ---- creates, 64 at once ---- */

struct writer {
	struct record_call call;
	struct arena *arena;
	char body[1600];
	unsigned text_bytes;
};

static struct writer writers[N_WRITERS];
static unsigned n_running;
static uint64_t n_wanted, n_started;

static void start_create(struct writer *writer)
{
	snprintf(writer->body, sizeof(writer->body),
		"{\"title\":\"Item %llu\",\"n\":%llu,\"active\":true,\"text\":\"%.*s\"}",
		(unsigned long long)n_started, (unsigned long long)(n_started * 7919 % 100000),
		(int)writer->text_bytes,
		"The quick brown fox jumps over the lazy dog and runs through the long grass to "
		"the "
		"river, where it drinks. The quick brown fox jumps over the lazy dog and runs on. "
		"The quick brown fox jumps over the lazy dog and runs through the long grass to "
		"the "
		"river, where it drinks. The quick brown fox jumps over the lazy dog and runs on. "
		"The quick brown fox jumps over the lazy dog and runs through the long grass to "
		"the "
		"river, where it drinks. The quick brown fox jumps over the lazy dog and runs on. "
		"The quick brown fox jumps over the lazy dog and runs through the long grass to "
		"the "
		"river, where it drinks. The quick brown fox jumps over the lazy dog and runs on. "
		"The quick brown fox jumps over the lazy dog and runs through the long grass to "
		"the "
		"river, where it drinks. The quick brown fox jumps over the lazy dog and runs on.");
	n_started++;
	writer->call.body = bytes_of(writer->body);
	record_create(&writer->call);
}

static void done_create(struct record_call *call)
{
	struct writer *writer = call->context;
	n_done++;
	n_failed += call->status != 200;
	record_call_fini(call);
	arena_reset(writer->arena);
	call->deadline_ns = 0;
	if (n_wanted ? n_started < n_wanted : clock_mono_ns() < end_ns)
		start_create(writer);
	else if (--n_running == 0)
		loop_stop(loop);
}

/* Creates wanted records, or as many as fit into seconds. Returns how many a second. */
static double create(uint64_t wanted, double seconds, unsigned text_bytes)
{
	struct err err;
	uint64_t start = clock_mono_ns();
	end_ns = start + (uint64_t)(seconds * 1e9);
	n_done = n_started = 0;
	n_wanted = wanted;
	n_running = N_WRITERS;
	for (int i = 0; i < N_WRITERS; i++) {
		struct writer *writer = &writers[i];
		if (!writer->arena && arena_new(1u << 20, &writer->arena, &err) < 0)
			fail("arena", &err);
		writer->text_bytes = text_bytes;
		writer->call = (struct record_call){ .book = book,
			.loop = loop,
			.arena = writer->arena,
			.viewer = { .is_superuser = false },
			.collection = bytes_of(collection_name),
			.done = done_create,
			.context = writer };
		start_create(writer);
	}
	loop_run(loop, &err);
	return (double)n_done / ((double)(clock_mono_ns() - start) / 1e9);
}

/* ---- reads ---- */

static char ids[N_ROWS][16];
static size_t n_ids;

static enum store_outcome read_ids(struct store_job *job, struct store_conn *conn)
{
	(void)job;
	struct store_stmt *stmt;
	bool has_row = true;
	store_prepare(conn, BYTES("SELECT id FROM items LIMIT 10000"), &stmt);
	while (store_step(stmt, &has_row) == STORE_OK && has_row)
		bytes_to_string(store_column_text(stmt, 0), ids[n_ids++], 16);
	return STORE_OK;
}

static void done_ids(struct store_job *job)
{
	(void)job;
	loop_stop(loop);
}

/* context: whether the call has returned, so that somebody waits for the loop. */
static void done_get(struct record_call *call)
{
	n_failed += call->status != 200;
	if (*(bool *)call->context)
		loop_stop(loop);
}

/* What this thread has used of a processor: tells more than the time on a machine that does other
 * things as well. */
static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Microseconds of a processor for a get, as a loop runs it: start, answer, release. */
static double get(double seconds)
{
	struct err err;
	struct arena *arena = NULL;
	if (arena_new(1u << 20, &arena, &err) < 0)
		fail("arena", &err);
	uint64_t start = clock_mono_ns(), n = 0, now = start, cpu = cpu_ns();
	struct bytes_buf kept = { 0 };
	for (; now < start + (uint64_t)(seconds * 1e9); n++) {
		bool is_waiting = false;
		struct record_call call = { .book = book,
			.loop = loop,
			.arena = arena,
			.collection = bytes_of(collection_name),
			.id = { ids[n * 7919 % n_ids], 15 },
			.answer = kept,
			.deadline_ns = CLOCK_NEVER,
			.done = done_get,
			.context = &is_waiting };
		record_get(&call);
		/* One that took its loop's millisecond goes on elsewhere. */
		is_waiting = call.work;
		if (is_waiting)
			loop_run(loop, &err);
		kept = call.answer; /* a server takes the memory over and uses it again */
		call.answer = (struct bytes_buf){ 0 };
		record_call_fini(&call);
		arena_reset(arena);
		if (n % 64 == 0)
			now = clock_mono_ns();
	}
	bytes_buf_fini(&kept);
	arena_free(arena);
	return (double)(cpu_ns() - cpu) / 1e3 / (double)n;
}

static double list(double seconds, bool is_filtered, const char *sort, const char *per_page)
{
	struct err err;
	struct arena *arena = NULL;
	if (arena_new(4u << 20, &arena, &err) < 0)
		fail("arena", &err);
	uint64_t start = clock_mono_ns(), n = 0;
	for (; clock_mono_ns() < start + (uint64_t)(seconds * 1e9); n++) {
		char text[64] = "";
		if (is_filtered)
			snprintf(text, sizeof(text), "n > %d", (int)(n * 7919 % 50000));
		struct record_pair pairs[] = { { BYTES("filter"), bytes_of(text) },
			{ BYTES("sort"), bytes_of(sort) },
			{ BYTES("perPage"), bytes_of(per_page) } };
		struct record_call call = { .book = book,
			.loop = loop,
			.arena = arena,
			.collection = bytes_of(collection_name),
			.query = pairs,
			.n_query = 3,
			.done = done_stop };
		run_one(&call, record_list);
		record_call_fini(&call);
		arena_reset(arena);
	}
	arena_free(arena);
	return (double)(clock_mono_ns() - start) / 1e3 / (double)n;
}

static void bench_create(struct store *store, double seconds)
{
	struct store_stats before, after;
	store_stats(store, &before);
	double rate = create(0, seconds, 100);
	store_stats(store, &after);
	double commits = (double)(after.n_commits - before.n_commits);
	printf("durable create, %d at once             %8.0f /s, %.1f a commit, %.0f us a commit\n",
		N_WRITERS, rate, (double)(after.n_writes - before.n_writes) / commits,
		(double)(after.commit_ns_total - before.commit_ns_total) / 1e3 / commits);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	const char *only = argc > 2 ? argv[2] : NULL;
	struct err err = { 0 };
	struct executor *executor = NULL;
	struct store *store = NULL;
	struct arena *arena = NULL;
	struct record_boot boot = { 0 };
	char folder[] = "/var/tmp/tenon-bench-XXXXXX", path[64], command[96];
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/data.db", folder);
	struct executor_config lanes = { { 2, 1, 1, 2 }, { 4096, 16, 16, 4096 } };
	struct store_config config = { .path = path,
		.n_loops = 1,
		.n_readers = 2,
		.write_queue_limit = 4096,
		.on_open = record_on_open,
		.on_open_context = &boot };
	if (loop_new(0, &loop, &err) < 0 || executor_new(&lanes, &executor, &err) < 0 ||
		arena_new(4u << 20, &arena, &err) < 0 ||
		store_open(&config, executor, &store, &err) < 0)
		fail("open", &err);
	struct record_config book_config = { .store = store, .executor = executor, .boot = &boot };
	if (record_book_new(&book_config, &book, &err) < 0)
		fail("book", &err);
	make_collection(arena, "items");
	make_collection(arena, "small");

	create(N_ROWS, 0, 750);
	struct store_job job = { .run = read_ids, .done = done_ids, .loop = loop };
	store_read(store, &job);
	loop_run(loop, &err);
	get(0.01); /* opens the loop's own reader */
	if (!only || strcmp(only, "get") == 0)
		printf("get one of %zu, 1 KB, on the loop     %8.2f us of CPU\n", n_ids,
			get(seconds));
	if (!only || strcmp(only, "encode") == 0)
		printf("row to JSON, 1 KB (of a page of 1000)  %8.2f us\n",
			list(seconds, false, "", "1000") / 1000);
	collection_name = "small";
	create(N_ROWS, 0, 100);
	if (!only || strcmp(only, "list") == 0)
		printf("list 30 with total, executor and back  %8.2f us\n",
			list(seconds, false, "", "30"));
	if (!only || strcmp(only, "sort") == 0)
		printf("list 30 filter and sort, no index      %8.2f us\n",
			list(seconds, true, "-title", "30"));
	if (!only || strcmp(only, "create") == 0)
		bench_create(store, seconds);
	printf("failed                                 %8llu\n", (unsigned long long)n_failed);

	record_book_free(book);
	store_close(store);
	executor_free(executor);
	for (int i = 0; i < N_WRITERS; i++)
		arena_free(writers[i].arena);
	arena_free(arena);
	loop_free(loop);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) != 0;
}
