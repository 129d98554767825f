#include "record.h"
#include "text_json_check.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One tenant with its files and a loop that this thread runs. A request runs to its end before the
 * next. */
static struct {
	char folder[64], database[96], files_folder[96];
	struct loop *loop;
	struct executor *executor;
	struct store *store;
	struct file_store *files;
	struct record_book *book;
	struct arena *arena;
	struct record_viewer viewer;
	struct record_upload uploads[8];
	size_t n_uploads;
	enum file_outcome outcome;
	/* the last answer */
	int status;
	char body[65536];
} fix;

static const struct record_viewer superuser = { .is_superuser = true };

static void open_book(void)
{
	struct err err = { 0 };
	const struct file_config files = { .folder = fix.files_folder, .executor = fix.executor };

	CU_ASSERT_EQUAL_FATAL(file_store_open(&files, &fix.files, &err), 0);
	struct record_boot boot = { .files = fix.files };
	const struct store_config store = { .path = fix.database,
		.n_loops = 1,
		.n_readers = 2,
		.write_queue_limit = 100,
		.on_open = record_on_open,
		.on_open_context = &boot };
	CU_ASSERT_EQUAL_FATAL(store_open(&store, fix.executor, &fix.store, &err), 0);
	const struct record_config book = { .store = fix.store,
		.executor = fix.executor,
		.boot = &boot,
		.files = fix.files,
		.tenant = BYTES("shop") };
	CU_ASSERT_EQUAL_FATAL(record_book_new(&book, &fix.book, &err), 0);
}

static void close_book(void)
{
	record_book_free(fix.book);
	store_close(fix.store);
	file_store_close(fix.files);
}

static void settle(void)
{
	for (int i = 0; i < 200 && executor_load(fix.executor, EXECUTOR_FILE) > 0; i++)
		usleep(5000);
	usleep(5000);
}

static void on_done(struct record_call *call)
{
	fix.status = call->status;
	bytes_to_string(
		(struct bytes){ call->answer.p, call->answer.n }, fix.body, sizeof fix.body);
	loop_stop(fix.loop);
}

static int ask(void (*start)(struct record_call *), const char *id, const char *body)
{
	struct record_call call = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = fix.viewer,
		.collection = BYTES("notes"),
		.id = bytes_of(id),
		.body = bytes_of(body),
		.uploads = fix.uploads,
		.n_uploads = fix.n_uploads,
		.method = BYTES("POST"),
		.done = on_done };

	CU_ASSERT(!body || text_json_check(call.body, &TEXT_JSON_LIMITS, NULL) == TEXT_JSON_VALID);
	arena_reset(fix.arena);
	start(&call);
	loop_run(fix.loop, NULL);
	record_call_fini(&call);
	return fix.status;
}

static void setup(void)
{
	const struct executor_config lanes = { .n_threads = { [EXECUTOR_READ] = 2,
						       [EXECUTOR_FILE] = 2,
						       [EXECUTOR_PASSWORD] = 1,
						       [EXECUTOR_WRITE] = 1 },
		.queue_limit = { 100, 100, 100, 100 } };

	memset(&fix, 0, sizeof fix);
	fix.viewer = superuser;
	strcpy(fix.folder, "/tmp/tenon-record-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fix.folder));
	(void)snprintf(fix.database, sizeof fix.database, "%s/data.db", fix.folder);
	(void)snprintf(fix.files_folder, sizeof fix.files_folder, "%s/files", fix.folder);
	CU_ASSERT_EQUAL_FATAL(executor_new(&lanes, &fix.executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fix.loop, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(arena_new(16u << 20, &fix.arena, NULL), 0);
	open_book();
	CU_ASSERT_EQUAL(
		ask(record_collection_create, NULL,
			"{\"id\":\"notes0000000001\",\"name\":\"notes\",\"type\":\"base\","
			"\"createRule\":\"title != 'no'\",\"viewRule\":\"title = 'open'\","
			"\"fields\":[{\"id\":\"f_title\",\"name\":\"title\",\"type\":\"text\"},"
			"{\"id\":\"f_cover\",\"name\":\"cover\",\"type\":\"file\",\"maxSize\":10,"
			"\"mimeTypes\":["
			"\"text/plain\"]},"
			"{\"id\":\"f_docs\",\"name\":\"docs\",\"type\":\"file\",\"maxSelect\":2},"
			"{\"name\":\"secret\",\"type\":\"file\",\"protected\":true}]}"),
		200);
}

static void teardown(void)
{
	char command[128];

	close_book();
	executor_free(fix.executor);
	loop_free(fix.loop);
	arena_free(fix.arena);
	(void)snprintf(command, sizeof command, "rm -rf %s", fix.folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void on_flushed(struct file_stage *stage, enum file_outcome outcome, void *context)
{
	(void)stage;
	(void)context;
	fix.outcome = outcome;
	loop_stop(fix.loop);
}

/* Stages a file for the next call. Returns its stored name. */
static const char *stage(const char *original, const char *content)
{
	struct file_stage *made = file_stage_new(fix.files, fix.loop, bytes_of(original), 100);

	CU_ASSERT_PTR_NOT_NULL_FATAL(made);
	(void)file_stage_add(made, bytes_of(content));
	file_stage_flush(made, true, on_flushed, NULL);
	loop_run(fix.loop, NULL);
	CU_ASSERT_EQUAL_FATAL(fix.outcome, FILE_OK);
	fix.uploads[fix.n_uploads++] = (struct record_upload){ .stage = made };
	return file_stage_name(made);
}

static void drop_stages(void)
{
	while (fix.n_uploads > 0)
		file_stage_free(fix.uploads[--fix.n_uploads].stage);
	settle();
}

static bool exists(const char *folder, const char *name)
{
	char path[400];
	struct stat info;

	(void)snprintf(path, sizeof path, "%s/%s/%s", fix.files_folder, folder, name);
	return lstat(path, &info) == 0;
}

#define ID     "record000000001"
#define PLACED "notes0000000001/" ID

/* A record with these members beside its id. */
static int create(const char *format, const char *first, const char *second)
{
	char body[600], members[500];
	const char *at = format;
	size_t n = 0;

	for (int i = 0; *at; at++) /* %: the names, in turn */
		if (*at == '%')
			n += (size_t)snprintf(
				members + n, sizeof members - n, "%s", i++ ? second : first);
		else
			members[n++] = *at;
	members[n] = '\0';
	(void)snprintf(body, sizeof body, "{\"id\":\"" ID "\"%s}", members);
	return ask(record_create, NULL, body);
}

static void a_record_takes_its_uploads_and_no_other_names(void)
{
	char one[FILE_NAME_MAX + 1], two[FILE_NAME_MAX + 1];

	setup();
	strcpy(one, stage("one.txt", "one"));
	strcpy(two, stage("two.txt", "two"));
	CU_ASSERT_EQUAL(create(",\"docs\":[\"%\",\"somebodys.txt\"]", one, two), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, "validation_invalid_file"));
	CU_ASSERT_EQUAL(create(",\"docs\":[\"%\",\"%\"]", one, two), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, one));
	drop_stages();
	CU_ASSERT(exists(PLACED, one) && exists(PLACED, two));

	/* Its own names may stay or go; another's may not come. */
	CU_ASSERT_EQUAL(ask(record_update, ID, "{\"docs+\":\"somebodys.txt\"}"), 400);
	char body[400];
	(void)snprintf(body, sizeof body, "{\"docs-\":\"%s\"}", one);
	CU_ASSERT_EQUAL(ask(record_update, ID, body), 200);
	settle();
	CU_ASSERT(!exists(PLACED, one) && exists(PLACED, two));
	CU_ASSERT_EQUAL(ask(record_delete, ID, NULL), 204);
	settle();
	CU_ASSERT(!exists("notes0000000001", ID));
	teardown();
}

static void what_a_field_does_not_take_has_its_code(void)
{
	setup();
	CU_ASSERT_EQUAL(create(",\"cover\":\"%\"", stage("a.txt", "eleven bytes"), ""), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, "validation_file_size_limit"));
	CU_ASSERT_EQUAL(create(",\"cover\":\"%\"", stage("a.txt", "%PDF-"), ""), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, "validation_invalid_mime_type"));
	const char *one = stage("b.txt", "b"), *two = stage("c.txt", "c");
	char both[400];
	(void)snprintf(both, sizeof both, "%s\",\"%s", one, two);
	CU_ASSERT_EQUAL(create(",\"docs\":[\"%\",\"%\"]", both, stage("d.txt", "d")), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(fix.body, "validation_too_many_files"));
	drop_stages();
	CU_ASSERT(!exists("notes0000000001", ""));
	teardown();
}

static void a_write_that_is_taken_back_places_nothing(void)
{
	char name[FILE_NAME_MAX + 1];

	setup();
	fix.viewer.is_superuser = false;
	strcpy(name, stage("a.txt", "a"));
	CU_ASSERT_EQUAL(create(",\"title\":\"no\",\"docs\":[\"%\"]", name, ""), 400);
	drop_stages();
	CU_ASSERT(!exists(PLACED, name) && !exists(".staging", name));
	teardown();
}

struct script {
	struct store_job job;
	char sql[600];
	int64_t n;
};

static enum store_outcome run_script(struct store_job *job, struct store_conn *conn)
{
	struct script *script = (struct script *)(void *)job;
	struct store_stmt *stmt;
	bool has_row;

	enum store_outcome outcome = store_run_script(conn, bytes_of(script->sql));
	if (outcome == STORE_OK)
		outcome = store_prepare(conn, BYTES("SELECT count(*) FROM _file_acts"), &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		script->n = store_column_int64(stmt, 0);
	return outcome;
}

static void on_script(struct store_job *job)
{
	(void)job;
	loop_stop(fix.loop);
}

/* Runs it as a transaction of its own; how many acts the log has then. */
static int64_t script(const char *sql)
{
	struct script made = { .job = { .run = run_script, .done = on_script, .loop = fix.loop } };

	CU_ASSERT_FATAL(bytes_to_string(bytes_of(sql), made.sql, sizeof made.sql));
	store_write(fix.store, &made.job);
	loop_run(fix.loop, NULL);
	CU_ASSERT_EQUAL(made.job.outcome, STORE_OK);
	return made.n;
}

static void what_a_crash_left_is_done_at_the_next_opening(void)
{
	char kept[FILE_NAME_MAX + 1], lost[FILE_NAME_MAX + 1], gone[FILE_NAME_MAX + 1], sql[600];

	setup();
	strcpy(gone, stage("gone.txt", "gone"));
	CU_ASSERT_EQUAL(create(",\"docs\":[\"%\"]", gone, ""), 200);
	drop_stages();
	/* Committed, and then nothing more was done: neither the place nor the removal. */
	strcpy(kept, stage("kept.txt", "kept"));
	strcpy(lost, stage("lost.txt", "lost"));
	(void)snprintf(sql, sizeof sql,
		"UPDATE notes SET docs='[\"%s\"]' WHERE id='" ID "';"
		"INSERT INTO _file_acts(act,collection,record,name) VALUES"
		"(0,'notes0000000001','" ID "','%s'),(1,'notes0000000001','" ID "','%s')",
		kept, kept, gone);
	CU_ASSERT(script(sql) >= 2);
	for (size_t i = 0; i < fix.n_uploads; i++)
		file_stage_keep(fix.uploads[i].stage); /* as a process that is gone cannot tidy */
	drop_stages();
	close_book();
	open_book();
	settle();
	CU_ASSERT(exists(PLACED, kept));
	CU_ASSERT(!exists(PLACED, gone) && !exists(".staging", lost));
	CU_ASSERT_EQUAL(script("SELECT 1"), 0);
	teardown();
}

/* What may be sent as the field docs of the collection, as the only one beside the others. */
#define FIELDS(docs)                                                                               \
	"{\"fields\":[{\"id\":\"text_id\",\"name\":\"id\",\"type\":\"text\",\"primaryKey\":true,"  \
	"\"system\":true},{\"id\":\"f_title\",\"name\":\"title\",\"type\":\"text\"}," docs         \
	"{\"id\":\"f_cover\",\"name\":\"cover\",\"type\":\"file\"}]}"

static int change(const char *body)
{
	struct record_call call = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = superuser,
		.collection = BYTES("notes"),
		.body = bytes_of(body),
		.done = on_done };

	arena_reset(fix.arena);
	record_collection_update(&call);
	loop_run(fix.loop, NULL);
	record_call_fini(&call);
	settle();
	return fix.status;
}

static void what_a_change_of_the_fields_drops_goes_with_its_files(void)
{
	char one[FILE_NAME_MAX + 1], two[FILE_NAME_MAX + 1], cover[FILE_NAME_MAX + 1];

	setup();
	strcpy(one, stage("one.txt", "one"));
	strcpy(two, stage("two.txt", "two"));
	CU_ASSERT_EQUAL(create(",\"docs\":[\"%\",\"%\"]", one, two), 200);
	strcpy(cover, stage("cover.txt", "c"));
	char body[300];
	(void)snprintf(body, sizeof body, "{\"cover\":\"%s\"}", cover);
	CU_ASSERT_EQUAL(ask(record_update, ID, body), 200);
	drop_stages();

	/* A list becomes its last choice. */
	CU_ASSERT_EQUAL(
		change(FIELDS("{\"id\":\"f_docs\",\"name\":\"docs\",\"type\":\"file\"},")), 200);
	CU_ASSERT(!exists(PLACED, one) && exists(PLACED, two) && exists(PLACED, cover));
	CU_ASSERT_EQUAL(
		change(FIELDS("{\"id\":\"f_docs\",\"name\":\"docs\",\"type\":\"text\"},")), 400);
	CU_ASSERT(exists(PLACED, two));
	CU_ASSERT_EQUAL(change(FIELDS("")), 200);
	CU_ASSERT(!exists(PLACED, two) && exists(PLACED, cover));
	CU_ASSERT_EQUAL(ask(record_collection_delete, NULL, NULL), 204);
	settle();
	CU_ASSERT(!exists("notes0000000001", ""));
	teardown();
}

static void done_acts_leave_the_log_with_a_later_write(void)
{
	setup();
	CU_ASSERT_EQUAL(create(",\"docs\":[\"%\"]", stage("a.txt", "a"), ""), 200);
	drop_stages();
	CU_ASSERT_EQUAL(script("SELECT 1"), 1);
	CU_ASSERT_EQUAL(ask(record_update, ID, "{\"docs\":[]}"), 200);
	settle();
	CU_ASSERT_EQUAL(script("SELECT 1"), 1); /* the removal; the place is out */
	teardown();
}

static void on_found(struct record_call *call)
{
	fix.status = call->status;
	loop_stop(fix.loop);
}

static int find(const char *name)
{
	struct record_find_file find = { .call = { .book = fix.book,
						 .loop = fix.loop,
						 .arena = fix.arena,
						 .viewer = fix.viewer,
						 .collection = BYTES("notes"),
						 .id = BYTES(ID),
						 .method = BYTES("GET"),
						 .done = on_found },
		.name = bytes_of(name) };

	arena_reset(fix.arena);
	record_find_file(&find);
	loop_run(fix.loop, NULL);
	record_call_fini(&find.call);
	return fix.status;
}

static void a_guarded_file_is_for_whom_the_view_rule_lets_in(void)
{
	char open[FILE_NAME_MAX + 1], secret[FILE_NAME_MAX + 1];

	setup();
	strcpy(open, stage("open.txt", "a"));
	strcpy(secret, stage("secret.txt", "b"));
	CU_ASSERT_EQUAL(
		create(",\"title\":\"shut\",\"docs\":[\"%\"],\"secret\":\"%\"", open, secret), 200);
	drop_stages();
	CU_ASSERT_EQUAL(find(secret), 200);
	fix.viewer.is_superuser = false;
	CU_ASSERT_EQUAL(find(open), 200);
	CU_ASSERT_EQUAL(find(secret), 404);
	CU_ASSERT_EQUAL(find("none_aaaaaaaaaa.txt"), 404);
	fix.viewer.is_superuser = true;
	CU_ASSERT_EQUAL(ask(record_update, ID, "{\"title\":\"open\"}"), 200);
	fix.viewer.is_superuser = false;
	CU_ASSERT_EQUAL(find(secret), 200);
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(a_record_takes_its_uploads_and_no_other_names),
	UNIT(what_a_field_does_not_take_has_its_code),
	UNIT(a_write_that_is_taken_back_places_nothing),
	UNIT(what_a_crash_left_is_done_at_the_next_opening),
	UNIT(what_a_change_of_the_fields_drops_goes_with_its_files),
	UNIT(done_acts_leave_the_log_with_a_later_write),
	UNIT(a_guarded_file_is_for_whom_the_view_rule_lets_in),
};

UNIT_MAIN("record_files", tests)
