#include "file.h"
#include "file_type.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One tenant's files, with a loop that this thread runs. */
static struct {
	char folder[64], files[80];
	struct loop *loop;
	struct executor *executor;
	struct file_store *store;
	enum file_outcome outcome;
	unsigned n_done;
} fix;

static void open_store(uint64_t limit_bytes)
{
	const struct file_config config = {
		.folder = fix.files, .executor = fix.executor, .limit_bytes = limit_bytes
	};

	CU_ASSERT_EQUAL_FATAL(file_store_open(&config, &fix.store, NULL), 0);
}

static void setup(uint64_t limit_bytes)
{
	const struct executor_config lanes = { .n_threads = { [EXECUTOR_FILE] = 2 },
		.queue_limit = { [EXECUTOR_FILE] = 100 } };

	memset(&fix, 0, sizeof fix);
	strcpy(fix.folder, "/tmp/tenon-file-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fix.folder));
	(void)snprintf(fix.files, sizeof fix.files, "%s/files", fix.folder);
	CU_ASSERT_EQUAL_FATAL(executor_new(&lanes, &fix.executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fix.loop, NULL), 0);
	open_store(limit_bytes);
}

static void teardown(void)
{
	char command[128];

	file_store_close(fix.store);
	executor_free(fix.executor);
	loop_free(fix.loop);
	(void)snprintf(command, sizeof command, "rm -rf %s", fix.folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* Whether there is such a path below the folder of files. */
static bool exists(const char *folder, const char *name)
{
	char path[400];
	struct stat info;

	(void)snprintf(path, sizeof path, "%s/%s/%s", fix.files, folder, name);
	return lstat(path, &info) == 0;
}

static unsigned count_staged(void)
{
	char path[128];
	unsigned n = 0;

	(void)snprintf(path, sizeof path, "%s/.staging", fix.files);
	DIR *dir = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void on_flushed(struct file_stage *stage, enum file_outcome outcome, void *context)
{
	(void)stage;
	(void)context;
	fix.outcome = outcome;
	fix.n_done++;
	loop_stop(fix.loop);
}

/* A whole file, staged. */
static struct file_stage *stage_file(const char *original, struct bytes content, uint64_t max_bytes)
{
	struct file_stage *stage =
		file_stage_new(fix.store, fix.loop, bytes_of(original), max_bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(stage);
	for (size_t at = 0; at < content.n;) {
		at += file_stage_add(stage, (struct bytes){ content.p + at, content.n - at });
		if (!file_stage_is_full(stage))
			continue;
		file_stage_flush(stage, false, on_flushed, NULL);
		loop_run(fix.loop, NULL);
		if (fix.outcome != FILE_OK)
			return stage;
	}
	file_stage_flush(stage, true, on_flushed, NULL);
	loop_run(fix.loop, NULL);
	return stage;
}

/* Waits for what the file lane has to do: a job of ours that comes behind it, on each thread. */
static void settle(void)
{
	for (int i = 0; i < 200 && executor_load(fix.executor, EXECUTOR_FILE) > 0; i++)
		usleep(5000);
	usleep(5000);
}

static void on_got(struct file_get *get)
{
	(void)get;
	loop_stop(fix.loop);
}

static struct file_get get_file(const char *collection, const char *record, const char *name)
{
	static struct file_get get;

	get = (struct file_get){ .store = fix.store,
		.collection = bytes_of(collection),
		.record = bytes_of(record),
		.name = bytes_of(name),
		.loop = fix.loop,
		.done = on_got };
	file_get(&get);
	loop_run(fix.loop, NULL);
	if (get.fd >= 0)
		close(get.fd);
	return get;
}

static struct file_act act(enum file_act_kind kind, const char *name)
{
	return (struct file_act){ kind, BYTES("coll"), BYTES("record000000001"), bytes_of(name) };
}

/* ---- names and types ---- */

static void a_stored_name_has_nothing_of_a_path(void)
{
	static const char *const rows[][3] = {
		{ "My Report (1).PDF", "", "my_report_1_abcdefghij.PDF" },
		{ "../../etc/passwd", ".txt", "passwd_abcdefghij.txt" },
		{ "..", "", "klmnopqrst_abcdefghij" },
		{ "", ".png", "klmnopqrst_abcdefghij.png" },
		{ ".htaccess", "", "klmnopqrst_abcdefghij.htaccess" },
		{ "x.tar.gz", "", "xklmnopqrst_abcdefghij.tar.gz" },
		{ "CamelCase.b/c", ".bin", "cklmnopqrst_abcdefghij.bin" },
		{ "a b\tc\n.j%2fs", "", "a_b_c_abcdefghij.j2fs" },
		{ "\xe4\xbd\xa0\xe5\xa5\xbd.png", "", "klmnopqrst_abcdefghij.png" },
		{ "three.", ".txt", "three_abcdefghij.txt" },
	};
	char name[FILE_NAME_MAX + 1], longest[2000];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		file_name_make(bytes_of(rows[i][0]), rows[i][1], "abcdefghijklmnopqrst", name);
		CU_ASSERT_STRING_EQUAL(name, rows[i][2]);
		CU_ASSERT(file_name_is_component(bytes_of(name)));
	}
	memset(longest, 'A', sizeof longest);
	longest[1000] = '.';
	file_name_make((struct bytes){ longest, sizeof longest }, "", "abcdefghijklmnopqrst", name);
	CU_ASSERT(strlen(name) <= FILE_NAME_MAX);
	CU_ASSERT(file_name_is_component(bytes_of(name)));
}

static void a_component_is_never_more_than_one(void)
{
	static const char *const bad[] = { "", ".", "..", ".staging", "a/b", "a\\b", "a b", "a%2f",
		"\xc3\xa4", "a\n" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!file_name_is_component(bytes_of(bad[i])));
	CU_ASSERT(!file_name_is_component((struct bytes){ "a\0b", 3 }));
	CU_ASSERT(file_name_is_component(BYTES("a..b-C_9.txt")));
}

static void first_bytes_say_what_a_file_is(void)
{
	static const struct {
		struct bytes head;
		const char *type;
		bool is_inline;
	} rows[] = {
		{ { "", 0 }, "text/plain", false },
		{ { "\x89PNG\r\n\x1a\n....", 12 }, "image/png", true },
		{ { "\xff\xd8\xff\xe0", 4 }, "image/jpeg", true },
		{ { "RIFF....WEBPVP8 ", 16 }, "image/webp", true },
		{ { "RIFF....WAVEfmt ", 16 }, "audio/wav", true },
		{ { "........WAVEfmt ", 16 }, "text/plain", false },
		{ { "%PDF-1.7", 8 }, "application/pdf", true },
		{ { "\0\0\0\x20"
		    "ftypisom",
			  12 },
			"video/mp4", true },
		{ { "PK\3\4................word/document.xml", 37 },
			"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
			false },
		{ { "BMW is a car", 12 }, "text/plain", false },
		{ { " \n<!DOCTYPE html><p>", 20 }, "text/html", false },
		{ { "<svg onload=alert(1)>", 21 }, "image/svg+xml", false },
		{ { "<?xml version='1.0'?><svg>", 26 }, "image/svg+xml", false },
		{ { "{\"a\":1}", 7 }, "application/json", false },
		{ { "a,b\n1,2\n", 8 }, "text/plain", false },
		{ { "\0\1\2\3", 4 }, "application/octet-stream", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *type = file_type_of(rows[i].head);
		CU_ASSERT_STRING_EQUAL(type, rows[i].type);
		CU_ASSERT_EQUAL(file_type_is_inline(type), rows[i].is_inline);
	}
	CU_ASSERT_STRING_EQUAL(
		file_type_of_answer("text/plain", BYTES("a.csv")), "text/csv; charset=utf-8");
	CU_ASSERT_STRING_EQUAL(file_type_of_answer("image/png", BYTES("a.js")), "image/png");
}

/* ---- staging, placing, removing ---- */

static void a_file_is_placed_when_its_record_stands(void)
{
	struct file_acts *list = NULL;
	struct file_done done;
	static char content[300000];

	setup(0);
	memset(content, 'x', sizeof content);
	struct file_stage *stage =
		stage_file("big.txt", (struct bytes){ content, sizeof content }, sizeof content);
	char name[FILE_NAME_MAX + 1];
	strcpy(name, file_stage_name(stage));
	CU_ASSERT_EQUAL(fix.outcome, FILE_OK);
	CU_ASSERT_EQUAL(file_stage_bytes(stage), sizeof content);
	CU_ASSERT_STRING_EQUAL(file_stage_type(stage), "text/plain");
	CU_ASSERT(exists(".staging", name));

	/* Served from where it is until it is placed. */
	CU_ASSERT_EQUAL(get_file("coll", "record000000001", name).outcome, FILE_OK);
	const struct file_act place = act(FILE_PLACE, name);
	CU_ASSERT_FATAL(file_acts_add(&list, 7, &place));
	file_stage_keep(stage);
	file_store_act(fix.store, list);
	file_stage_free(stage);
	settle();
	CU_ASSERT(exists("coll/record000000001", name));
	CU_ASSERT_EQUAL(count_staged(), 0);
	CU_ASSERT_EQUAL(file_store_take_done(fix.store, &done, 1), 1);
	CU_ASSERT(done.first == 7 && done.last == 7);
	struct file_get get = get_file("coll", "record000000001", name);
	CU_ASSERT_EQUAL(get.outcome, FILE_OK);
	CU_ASSERT_EQUAL(get.n_bytes, sizeof content);

	/* Doing it again changes nothing; removing takes the folder along. */
	CU_ASSERT_EQUAL(file_act_do(fix.store, &place, NULL), 0);
	const struct file_act removal = act(FILE_REMOVE, name);
	CU_ASSERT_EQUAL(file_act_do(fix.store, &removal, NULL), 0);
	CU_ASSERT_EQUAL(file_act_do(fix.store, &removal, NULL), 0);
	CU_ASSERT(!exists("coll", "record000000001"));
	CU_ASSERT_EQUAL(get_file("coll", "record000000001", name).outcome, FILE_NONE);
	teardown();
}

static void a_removal_that_comes_before_its_placing_wins(void)
{
	setup(0);
	struct file_stage *stage = stage_file("a.txt", BYTES("a"), 10);
	const struct file_act place = act(FILE_PLACE, file_stage_name(stage));
	const struct file_act removal = act(FILE_REMOVE, file_stage_name(stage));
	CU_ASSERT_EQUAL(file_act_do(fix.store, &removal, NULL), 0);
	CU_ASSERT_EQUAL(file_act_do(fix.store, &place, NULL), 0);
	CU_ASSERT_EQUAL(count_staged(), 0);
	CU_ASSERT(!exists("coll/record000000001", file_stage_name(stage)));
	file_stage_keep(stage);
	file_stage_free(stage);
	teardown();
}

static void a_stage_that_nobody_keeps_leaves_nothing(void)
{
	setup(0);
	file_stage_free(stage_file("a.txt", BYTES("a"), 10));
	settle();
	CU_ASSERT_EQUAL(count_staged(), 0);

	/* In the middle of a flush: its done is not called. */
	struct file_stage *stage = file_stage_new(fix.store, fix.loop, BYTES("b.txt"), 10);
	unsigned n_done = fix.n_done;
	CU_ASSERT_EQUAL(file_stage_add(stage, BYTES("b")), 1);
	file_stage_flush(stage, false, on_flushed, NULL);
	file_stage_free(stage);
	settle();
	loop_stop(fix.loop);
	loop_run(fix.loop, NULL);
	settle();
	CU_ASSERT_EQUAL(fix.n_done, n_done);
	CU_ASSERT_EQUAL(count_staged(), 0);
	teardown();
}

static void an_empty_file_is_a_file_and_one_too_large_is_counted_only(void)
{
	static char content[300000];

	setup(0);
	struct file_stage *stage = stage_file("empty", BYTES(""), 10);
	CU_ASSERT_EQUAL(fix.outcome, FILE_OK);
	CU_ASSERT(exists(".staging", file_stage_name(stage)));
	file_stage_free(stage);
	stage = stage_file("large.bin", (struct bytes){ content, sizeof content }, 200000);
	CU_ASSERT_EQUAL(fix.outcome, FILE_OK);
	CU_ASSERT_EQUAL(file_stage_bytes(stage), sizeof content);
	CU_ASSERT(file_stage_name(stage)[0]);
	file_stage_free(stage);
	settle();
	CU_ASSERT_EQUAL(count_staged(), 0);
	teardown();
}

static void the_limit_counts_what_lies_there_and_what_arrives(void)
{
	static char content[100];

	setup(250);
	struct file_stage *first =
		stage_file("a.bin", (struct bytes){ content, sizeof content }, 1000);
	CU_ASSERT_EQUAL(fix.outcome, FILE_OK);
	const struct file_act place = act(FILE_PLACE, file_stage_name(first));
	CU_ASSERT_EQUAL(file_act_do(fix.store, &place, NULL), 0);
	file_stage_keep(first);
	file_stage_free(first);
	struct file_stage *second =
		stage_file("b.bin", (struct bytes){ content, sizeof content }, 1000);
	CU_ASSERT_EQUAL(fix.outcome, FILE_OK);
	struct file_stage *third =
		stage_file("c.bin", (struct bytes){ content, sizeof content }, 1000);
	CU_ASSERT_EQUAL(fix.outcome, FILE_FULL);
	file_stage_free(third);
	file_stage_free(second);
	settle();
	third = stage_file("c.bin", (struct bytes){ content, sizeof content }, 1000);
	CU_ASSERT_EQUAL(fix.outcome, FILE_OK);
	file_stage_free(third);
	settle();

	/* Opened again, it finds out what is there. */
	file_store_close(fix.store);
	open_store(150);
	third = stage_file("d.bin", (struct bytes){ content, sizeof content }, 1000);
	CU_ASSERT_EQUAL(fix.outcome, FILE_FULL);
	file_stage_free(third);
	settle();
	teardown();
}

static void a_collection_goes_with_all_of_its_files(void)
{
	setup(0);
	for (int i = 0; i < 3; i++) {
		struct file_stage *stage = stage_file("a.txt", BYTES("a"), 10);
		const struct file_act place = act(FILE_PLACE, file_stage_name(stage));
		CU_ASSERT_EQUAL(file_act_do(fix.store, &place, NULL), 0);
		file_stage_keep(stage);
		file_stage_free(stage);
	}
	const struct file_act drop = { .kind = FILE_DROP, .collection = BYTES("coll") };
	CU_ASSERT_EQUAL(file_act_do(fix.store, &drop, NULL), 0);
	CU_ASSERT_EQUAL(file_act_do(fix.store, &drop, NULL), 0);
	CU_ASSERT(!exists("coll", ""));
	settle();
	CU_ASSERT_EQUAL(count_staged(), 0);
	teardown();
}

static void a_sweep_takes_what_nobody_placed(void)
{
	char path[200];

	setup(0);
	(void)snprintf(path, sizeof path, "%s/.staging/drop-1-1", fix.files);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/.staging/half_aaaaaaaaaa.txt", fix.files);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	CU_ASSERT_EQUAL(count_staged(), 2);
	CU_ASSERT_EQUAL(file_store_sweep(fix.store, NULL), 0);
	settle();
	CU_ASSERT_EQUAL(count_staged(), 0);
	teardown();
}

static void links_and_other_things_than_files_lead_nowhere(void)
{
	char path[256], folder[128];

	setup(0);
	(void)snprintf(folder, sizeof folder, "%s/coll", fix.files);
	CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
	(void)snprintf(folder, sizeof folder, "%s/coll/record000000001", fix.files);
	CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/link.txt", folder);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path), 0);
	(void)snprintf(path, sizeof path, "%s/fifo.txt", folder);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof path, "%s/folder.txt", folder);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/linked", fix.files);
	CU_ASSERT_EQUAL(symlink("/etc", path), 0);
	static const char *const rows[][3] = {
		{ "coll", "record000000001", "link.txt" },
		{ "coll", "record000000001", "fifo.txt" },
		{ "coll", "record000000001", "folder.txt" },
		{ "linked", "ssl", "openssl.cnf" },
		{ "..", "..", "passwd" },
		{ "coll", "../..", "x" },
		{ "", "", "" },
		{ "coll", "record000000001", "../../.staging" },
		{ "coll", "record000000002", "x.txt" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_EQUAL(get_file(rows[i][0], rows[i][1], rows[i][2]).outcome, FILE_NONE);
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(a_stored_name_has_nothing_of_a_path),
	UNIT(a_component_is_never_more_than_one),
	UNIT(first_bytes_say_what_a_file_is),
	UNIT(a_file_is_placed_when_its_record_stands),
	UNIT(a_removal_that_comes_before_its_placing_wins),
	UNIT(a_stage_that_nobody_keeps_leaves_nothing),
	UNIT(an_empty_file_is_a_file_and_one_too_large_is_counted_only),
	UNIT(the_limit_counts_what_lies_there_and_what_arrives),
	UNIT(a_collection_goes_with_all_of_its_files),
	UNIT(a_sweep_takes_what_nobody_placed),
	UNIT(links_and_other_things_than_files_lead_nowhere),
};

UNIT_MAIN("file", tests)
