#include "unit.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "store.h"
#include "store_lock.h"

/* A database in a folder of its own, a loop that this thread runs, and an executor. */
struct fixture {
	char folder[64], path[96];
	struct loop *loop;
	struct executor *executor;
	struct store *store;
	unsigned n_waiting; /* jobs whose done has not come yet */
};

static struct fixture fix;

static void open_store(uint64_t size_limit_bytes, unsigned queue_limit)
{
	struct store_config config = { .path = fix.path,
		.n_loops = 1,
		.n_readers = 2,
		.write_queue_limit = queue_limit,
		.size_limit_bytes = size_limit_bytes };
	struct err err = { 0 };
	CU_ASSERT_EQUAL_FATAL(store_open(&config, fix.executor, &fix.store, &err), 0);
}

static void setup(void)
{
	struct err err = { 0 };
	memset(&fix, 0, sizeof(fix));
	strcpy(fix.folder, "/tmp/tenon-store-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fix.folder));
	snprintf(fix.path, sizeof(fix.path), "%s/data.db", fix.folder);
	struct executor_config config = { { 3, 1, 1, 3 }, { 1000, 10, 10, 1000 } };
	CU_ASSERT_EQUAL_FATAL(executor_new(&config, &fix.executor, &err), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fix.loop, &err), 0);
	open_store(0, 1000);
}

static void teardown(void)
{
	store_close(fix.store);
	executor_free(fix.executor);
	loop_free(fix.loop);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", fix.folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* While it is true a job keeps the writer busy, so that others gather behind it. */
static atomic_bool writer_is_held;
static atomic_bool reads_may_end;

struct job {
	struct store_job store;
	const char *sql, *then;    /* run in this order; then is optional */
	enum store_outcome result; /* what run returns when the statements went well */
	const struct store_grant *grant;
	bool ignore_refusal;
	int64_t value, changes;
	bool holds; /* the writer, until release_writer() */
	bool waits; /* until reads_may_end */
	unsigned n_runs;
	bool was_delivered, committed_before_done;
	char text[64];
};

static enum store_outcome run_one(struct job *job, struct store_conn *conn, const char *sql)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = job->grant ? store_prepare_foreign(conn, bytes_of(sql), &stmt)
						: store_prepare(conn, bytes_of(sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	if (store_n_columns(stmt) == 0)
		return store_exec(stmt, &job->changes);
	bool has_row;
	outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK && has_row) {
		job->value = store_column_int64(stmt, 0);
		bytes_to_string(store_column_text(stmt, 0), job->text, sizeof(job->text));
	} else if (outcome == STORE_OK) {
		job->value = -1;
	}
	return outcome;
}

static enum store_outcome run_job(struct store_job *store_job, struct store_conn *conn)
{
	struct job *job = (struct job *)store_job;
	job->n_runs++;
	if (job->holds) {
		atomic_store(&writer_is_held, true);
		while (atomic_load(&writer_is_held))
			usleep(200);
	}
	while (job->waits && !atomic_load(&reads_may_end))
		usleep(200);
	store_set_grant(conn, job->grant);
	enum store_outcome outcome = run_one(job, conn, job->sql);
	if (outcome == STORE_OK && job->then)
		outcome = run_one(job, conn, job->then);
	return outcome == STORE_OK ? job->result : outcome;
}

static void done_job(struct store_job *store_job)
{
	struct job *job = (struct job *)store_job;
	job->was_delivered = true;
	struct store_stats stats;
	store_stats(fix.store, &stats);
	job->committed_before_done = stats.n_commits > 0;
	if (--fix.n_waiting == 0)
		loop_stop(fix.loop);
}

static void submit(struct job *job, bool is_write)
{
	job->store.run = run_job;
	job->store.done = done_job;
	job->store.loop = fix.loop;
	fix.n_waiting++;
	if (is_write)
		store_write(fix.store, &job->store);
	else
		store_read(fix.store, &job->store);
}

static void await_hold(void)
{
	while (!atomic_load(&writer_is_held))
		usleep(200);
}

static void wait_all(void)
{
	struct err err;
	atomic_store(&writer_is_held, false);
	if (fix.n_waiting)
		CU_ASSERT_EQUAL(loop_run(fix.loop, &err), 0);
}

static enum store_outcome write_sql(const char *sql)
{
	struct job job = { .sql = sql };
	submit(&job, true);
	wait_all();
	return job.store.outcome;
}

static int64_t read_int(const char *sql)
{
	struct job job = { .sql = sql };
	submit(&job, false);
	wait_all();
	CU_ASSERT_EQUAL(job.store.outcome, STORE_OK);
	return job.value;
}

static enum store_outcome foreign(const char *sql, bool may_write, struct job *job)
{
	static const struct bytes tables[] = { { "items", 5 }, { "_secret", 7 }, { "users", 5 } };
	struct store_grant grant = { tables, 3, may_write, clock_mono_ns() + 100000000, tables, 3,
		"id", false };
	struct job own = { 0 };
	job = job ? job : &own;
	*job = (struct job){ .sql = sql, .grant = &grant };
	job->store.alone = true;
	submit(job, true);
	wait_all();
	return job->store.outcome;
}

static void a_write_is_committed_before_done_and_read_back(void)
{
	setup();
	CU_ASSERT_EQUAL(
		write_sql("CREATE TABLE items(id TEXT PRIMARY KEY, n INT) STRICT"), STORE_OK);
	struct job job = { .sql = "INSERT INTO items VALUES('a', 7)" };
	submit(&job, true);
	wait_all();
	CU_ASSERT_EQUAL(job.store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(job.changes, 1);
	CU_ASSERT(job.committed_before_done);
	CU_ASSERT_EQUAL(read_int("SELECT n FROM items WHERE id='a'"), 7);
	struct stat st;
	CU_ASSERT_EQUAL_FATAL(stat(fix.path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	teardown();
}

static void jobs_that_arrive_together_share_one_commit(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT)");
	struct store_stats before, after;
	store_stats(fix.store, &before);
	/* The first keeps the writer busy while the others gather behind it. */
	struct job jobs[21] = { { .sql = "INSERT INTO items VALUES(0)", .holds = true } };
	submit(&jobs[0], true);
	await_hold();
	for (int i = 1; i <= 20; i++) {
		jobs[i].sql = "INSERT INTO items VALUES(1)";
		submit(&jobs[i], true);
	}
	wait_all();
	store_stats(fix.store, &after);
	CU_ASSERT_EQUAL(after.n_commits - before.n_commits, 2);
	CU_ASSERT_EQUAL(after.n_writes - before.n_writes, 21);
	CU_ASSERT_EQUAL(after.write_queue, 0);
	CU_ASSERT_EQUAL(read_int("SELECT count(*) FROM items"), 21);
	teardown();
}

static void a_refused_job_is_taken_back_and_its_neighbours_stay(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT UNIQUE)");
	struct job jobs[] = { { .sql = "INSERT INTO items VALUES(1)", .holds = true },
		{ .sql = "INSERT INTO items VALUES(2)" },
		{ .sql = "INSERT INTO items VALUES(3)", .result = STORE_REFUSED },
		{ .sql = "INSERT INTO items VALUES(4)", .then = "INSERT INTO items VALUES(2)" },
		{ .sql = "INSERT INTO items VALUES(5)" } };
	submit(&jobs[0], true);
	await_hold();
	for (int i = 1; i < 5; i++)
		submit(&jobs[i], true);
	wait_all();
	CU_ASSERT_EQUAL(jobs[1].store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(jobs[2].store.outcome, STORE_REFUSED);
	CU_ASSERT_EQUAL(jobs[3].store.outcome, STORE_CONFLICT);
	CU_ASSERT_EQUAL(jobs[3].store.conflict, STORE_CONFLICT_UNIQUE);
	CU_ASSERT_STRING_EQUAL(jobs[3].store.conflict_columns, "items.id");
	CU_ASSERT_EQUAL(jobs[4].store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(jobs[4].n_runs, 1);
	CU_ASSERT_EQUAL(read_int("SELECT sum(id) FROM items"), 1 + 2 + 5);
	teardown();
}

static void a_lost_transaction_runs_each_job_again_alone(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT UNIQUE)");
	write_sql("INSERT INTO items VALUES(9)");
	/* OR ROLLBACK takes the whole transaction, the neighbours' work included. */
	struct job jobs[] = { { .sql = "INSERT INTO items VALUES(1)", .holds = true },
		{ .sql = "INSERT INTO items VALUES(2)" },
		{ .sql = "INSERT OR ROLLBACK INTO items VALUES(9)" },
		{ .sql = "INSERT INTO items VALUES(3)" } };
	submit(&jobs[0], true);
	await_hold();
	for (int i = 1; i < 4; i++)
		submit(&jobs[i], true);
	wait_all();
	CU_ASSERT_EQUAL(jobs[1].store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(jobs[1].n_runs, 2);
	CU_ASSERT_EQUAL(jobs[2].store.outcome, STORE_CONFLICT);
	CU_ASSERT_EQUAL(jobs[3].store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(read_int("SELECT sum(id) FROM items"), 9 + 1 + 2 + 3);
	teardown();
}

static void a_full_database_fails_its_job_and_keeps_what_was_there(void)
{
	setup();
	store_close(fix.store);
	open_store(20 * 4096, 100);
	CU_ASSERT_EQUAL(write_sql("CREATE TABLE items(id INT, pad TEXT)"), STORE_OK);
	struct job jobs[] = { { .sql = "INSERT INTO items VALUES(1, '')", .holds = true },
		{ .sql = "INSERT INTO items VALUES(2, '')" },
		{ .sql = "INSERT INTO items VALUES(3, printf('%.*c', 200000, 'x'))" },
		{ .sql = "INSERT INTO items VALUES(4, '')" } };
	submit(&jobs[0], true);
	await_hold();
	for (int i = 1; i < 4; i++)
		submit(&jobs[i], true);
	wait_all();
	CU_ASSERT_EQUAL(jobs[1].store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(jobs[2].store.outcome, STORE_FULL);
	CU_ASSERT_EQUAL(jobs[3].store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(read_int("SELECT sum(id) FROM items"), 1 + 2 + 4);
	teardown();
}

static void a_full_queue_answers_busy_before_it_returns(void)
{
	setup();
	store_close(fix.store);
	open_store(0, 1);
	struct job jobs[4] = { { .sql = "SELECT 1", .holds = true }, { .sql = "SELECT 1" },
		{ .sql = "SELECT 1" }, { .sql = "SELECT 1" } };
	submit(&jobs[0], true);
	await_hold();
	for (int i = 1; i < 4; i++)
		submit(&jobs[i], true);
	CU_ASSERT(jobs[3].was_delivered);
	CU_ASSERT_EQUAL(jobs[3].store.outcome, STORE_BUSY);
	CU_ASSERT_EQUAL(jobs[3].n_runs, 0);
	wait_all();
	CU_ASSERT_EQUAL(jobs[0].store.outcome, STORE_OK);
	teardown();
}

static void a_reader_cannot_write(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT)");
	struct job job = { .sql = "INSERT INTO items VALUES(1)" };
	submit(&job, false);
	wait_all();
	CU_ASSERT_EQUAL(job.store.outcome, STORE_FAULT);
	CU_ASSERT_EQUAL(read_int("SELECT count(*) FROM items"), 0);
	teardown();
}

#define ENDLESS "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT max(x) FROM c"

static void a_read_past_its_deadline_or_cancelled_is_interrupted(void)
{
	setup();
	struct job job = { .sql = ENDLESS };
	job.store.deadline_ns = clock_mono_ns() + 20000000;
	submit(&job, false);
	wait_all();
	CU_ASSERT_EQUAL(job.store.outcome, STORE_FAULT);
	CU_ASSERT_EQUAL(job.store.err.code, ERR_TIMEOUT);

	struct job cancelled = { .sql = ENDLESS };
	submit(&cancelled, false);
	usleep(5000);
	store_cancel(&cancelled.store);
	wait_all();
	CU_ASSERT_EQUAL(cancelled.store.outcome, STORE_FAULT);
	teardown();
}

static void slow_reads_leave_threads_to_other_databases_and_to_writes(void)
{
	setup();
	struct err err = { 0 };
	char path[112];
	snprintf(path, sizeof(path), "%s/other.db", fix.folder);
	struct store_config config = { .path = path, .n_readers = 2, .write_queue_limit = 8 };
	struct store *slow = fix.store, *other;
	struct job held[4], write = { .sql = "CREATE TABLE t(a)" }, read = { .sql = "SELECT 7" };
	/* Four on a database that may have two, on a lane of three threads. */
	for (size_t i = 0; i < 4; i++) {
		held[i] = (struct job){ .sql = "SELECT 1", .waits = true };
		submit(&held[i], false);
	}
	fix.n_waiting -= 4; /* the loop is to stop without them */
	submit(&write, true);
	CU_ASSERT_EQUAL_FATAL(store_open(&config, fix.executor, &other, &err), 0);
	fix.store = other;
	submit(&read, false);
	wait_all();
	CU_ASSERT(read.was_delivered && read.store.outcome == STORE_OK && read.value == 7);
	CU_ASSERT(write.was_delivered && write.store.outcome == STORE_OK);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_FALSE(held[i].was_delivered);
	fix.n_waiting = 4;
	atomic_store(&reads_may_end, true);
	wait_all();
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT(held[i].was_delivered && held[i].store.outcome == STORE_OK);
	store_close(other);
	fix.store = slow;
	teardown();
}

static void read_now_answers_on_the_loop_once_its_reader_is_open(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT)");
	struct job job = { .sql = "SELECT count(*) FROM items" };
	job.store.run = run_job;
	CU_ASSERT_EQUAL(store_read_now(fix.store, fix.loop, &job.store), STORE_BUSY);
	read_int("SELECT 1");
	CU_ASSERT_EQUAL(store_read_now(fix.store, fix.loop, &job.store), STORE_OK);
	CU_ASSERT_EQUAL(job.value, 0);
	/* It sees what was committed since, and a changed schema. */
	write_sql("INSERT INTO items VALUES(5)");
	write_sql("ALTER TABLE items ADD COLUMN more TEXT");
	CU_ASSERT_EQUAL(store_read_now(fix.store, fix.loop, &job.store), STORE_OK);
	CU_ASSERT_EQUAL(job.value, 1);
	struct job slow = { .sql = ENDLESS };
	slow.store.run = run_job;
	CU_ASSERT_EQUAL(store_read_now(fix.store, fix.loop, &slow.store), STORE_FAULT);
	CU_ASSERT_EQUAL(slow.store.err.code, ERR_TIMEOUT);
	teardown();
}

static void the_log_is_cut_although_a_loop_keeps_its_snapshot(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT, pad TEXT)");
	read_int("SELECT 1");
	struct job job = { .sql = "SELECT count(*) FROM items" };
	job.store.run = run_job;
	off_t largest = 0;
	for (int i = 0; i < 40; i++) {
		/* 1,000 pages each; the loop reads once, then never again for a while. */
		CU_ASSERT_EQUAL(
			write_sql("INSERT INTO items VALUES(1, printf('%.*c', 4000000, 'x'))"),
			STORE_OK);
		if (i % 10 == 0) {
			CU_ASSERT_EQUAL(store_read_now(fix.store, fix.loop, &job.store), STORE_OK);
			CU_ASSERT_EQUAL(job.value, i + 1);
		}
		char wal[128];
		struct stat st;
		snprintf(wal, sizeof(wal), "%s-wal", fix.path);
		CU_ASSERT_EQUAL_FATAL(stat(wal, &st), 0);
		largest = st.st_size > largest ? st.st_size : largest;
	}
	/* 160 MB were written. */
	CU_ASSERT(largest < 40000000);
	teardown();
}

/* Reads a while, and asks to be run again before it ends: there is always one. */
struct reader {
	struct store_job job;
	atomic_bool is_last;
	sem_t is_over;
};

static enum store_outcome run_reader(struct store_job *job, struct store_conn *conn)
{
	(void)job;
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < "
		      "5000) SELECT max(n), (SELECT count(*) FROM items) FROM c"),
		&stmt);
	return outcome == STORE_OK ? store_step(stmt, &has_row) : outcome;
}

static void on_read(struct store_job *job)
{
	struct reader *reader = (struct reader *)job;
	if (atomic_load(&reader->is_last))
		sem_post(&reader->is_over);
	else
		store_read(fix.store, job);
}

static void the_log_is_cut_although_somebody_always_reads(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT, pad TEXT)");
	struct reader readers[3] = { 0 };
	for (int i = 0; i < 3; i++) {
		readers[i].job.run = run_reader;
		readers[i].job.done = on_read;
		sem_init(&readers[i].is_over, 0, 0);
		store_read(fix.store, &readers[i].job);
	}
	off_t largest = 0;
	for (int i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(
			write_sql("INSERT INTO items VALUES(1, printf('%.*c', 4000000, 'x'))"),
			STORE_OK);
		char wal[128];
		struct stat st;
		snprintf(wal, sizeof(wal), "%s-wal", fix.path);
		CU_ASSERT_EQUAL_FATAL(stat(wal, &st), 0);
		largest = st.st_size > largest ? st.st_size : largest;
	}
	for (int i = 0; i < 3; i++) {
		atomic_store(&readers[i].is_last, true);
		while (sem_wait(&readers[i].is_over) < 0)
			;
		sem_destroy(&readers[i].is_over);
	}
	/* 160 MB were written; on a busy machine a reader may outlast a wait for it, or two. */
	CU_ASSERT(largest < 100000000);
	teardown();
}

static void make_foreign_tables(void)
{
	write_sql("CREATE TABLE items(id INT, n INT, name TEXT)");
	write_sql("CREATE TABLE other(id INT)");
	write_sql("CREATE TABLE _secret(id INT)");
	write_sql("CREATE TABLE users(id INT, _password_hash TEXT)");
	write_sql("INSERT INTO items VALUES(1, 10, 'bolt')");
	write_sql("INSERT INTO users VALUES(1, 'hash')");
}

static void foreign_sql_reaches_its_grant_and_nothing_else(void)
{
	setup();
	make_foreign_tables();
	struct job job;
	CU_ASSERT_EQUAL(foreign("SELECT n FROM items WHERE id=1;", false, &job), STORE_OK);
	CU_ASSERT_EQUAL(job.value, 10);
	CU_ASSERT_EQUAL(
		foreign("WITH c AS (SELECT n FROM items) SELECT max(n) FROM c", false, &job),
		STORE_OK);
	CU_ASSERT_EQUAL(foreign("SELECT value FROM json_each('[3]')", false, &job), STORE_OK);
	CU_ASSERT_EQUAL(foreign("UPDATE items SET n=n-1 WHERE id=1", true, &job), STORE_OK);
	CU_ASSERT_EQUAL(job.changes, 1);
	/* Columns with secrets read as NULL. */
	CU_ASSERT_EQUAL(foreign("SELECT _password_hash FROM users", false, &job), STORE_OK);
	CU_ASSERT_STRING_EQUAL(job.text, "");

	static const char *const refused[] = { "SELECT * FROM other", "SELECT * FROM _secret",
		"SELECT * FROM sqlite_schema", "SELECT * FROM sqlite_master",
		"SELECT * FROM pragma_table_info('items')", "PRAGMA journal_mode=DELETE",
		"ATTACH ':memory:' AS x", "CREATE TABLE x(a)", "CREATE TEMP TABLE x(a)",
		"DROP TABLE items", "ALTER TABLE items ADD COLUMN x", "BEGIN", "COMMIT", "ROLLBACK",
		"SAVEPOINT x", "RELEASE job", "VACUUM", "VACUUM INTO '/tmp/x'", "EXPLAIN SELECT 1",
		"EXPLAIN QUERY PLAN SELECT 1", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE items",
		"", "-- nothing", "SELECT load_extension('x')", "SELECT randomblob(10)",
		"SELECT zeroblob(1000000000)", "SELECT sqlite_version()", "SELECT * FROM dbstat",
		"SELECT * FROM sqlite_stmt", "INSERT INTO other VALUES(1)",
		"SELECT (SELECT id FROM other)", "UPDATE items SET n=(SELECT count(*) FROM other)",
		"UPDATE users SET _password_hash='x'", "DELETE FROM sqlite_sequence",
		"SELECT fts3_tokenizer('x')", "REINDEX", "ANALYZE", "SELECT 'a' FROM nosuch",
		"SELECT abs(-9223372036854775808)", "garbage" };
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (foreign(refused[i], true, &job) != STORE_REFUSED) {
			printf("not refused: %s\n", refused[i]);
			CU_FAIL("a foreign statement got through");
		}
	CU_ASSERT_EQUAL(foreign("DELETE FROM items", false, &job), STORE_REFUSED);
	CU_ASSERT_EQUAL(read_int("SELECT count(*) FROM items"), 1);
	/* Own SQL is free again afterwards. */
	CU_ASSERT_EQUAL(write_sql("INSERT INTO other VALUES(1)"), STORE_OK);
	teardown();
}

static enum store_outcome writes(const char *sql, bool may_read, const char *key, int64_t *changes)
{
	static const struct bytes items = { "items", 5 }, users = { "users", 5 };
	struct store_grant grant = { .tables = may_read ? &items : &users,
		.n_tables = 1,
		.may_write = true,
		.deadline_ns = clock_mono_ns() + CLOCK_NS_PER_S,
		.write_tables = &items,
		.n_write_tables = 1,
		.write_key = key };
	struct job job = { .sql = sql, .grant = &grant };
	job.store.alone = true;
	submit(&job, true);
	wait_all();
	if (changes)
		*changes = job.changes;
	return job.store.outcome;
}

static void a_right_to_write_is_none_to_read(void)
{
	static const char *const oracles[] = {
		"UPDATE items SET n=1 WHERE name='bolt'",
		"UPDATE items SET n=n+1 WHERE id=1",
		"UPDATE items SET n=1 WHERE id=1 RETURNING name",
		"UPDATE items SET n=1 WHERE rowid=1",
		"UPDATE items SET n=(SELECT count(*) FROM items)",
		"DELETE FROM items WHERE n>5",
		"INSERT INTO items(id,name) SELECT id+100, name FROM items",
		"INSERT INTO items(id,n) SELECT 9, count(*) FROM items",
		"INSERT INTO items VALUES(1,2,'x') ON CONFLICT(id) DO UPDATE SET n=n+1",
	};
	int64_t n;
	setup();
	make_foreign_tables();
	CU_ASSERT_EQUAL(write_sql("CREATE UNIQUE INDEX items_by_id ON items(id)"), STORE_OK);
	for (size_t i = 0; i < sizeof oracles / sizeof oracles[0]; i++) {
		CU_ASSERT_EQUAL(writes(oracles[i], false, "id", NULL), STORE_REFUSED);
		CU_ASSERT_EQUAL(writes(oracles[i], false, NULL, NULL), STORE_REFUSED);
	}
	CU_ASSERT_EQUAL(read_int("SELECT n FROM items WHERE id=1"), 10);
	/* The row is found by its key, and by nothing else of it. */
	CU_ASSERT_EQUAL(writes("UPDATE items SET n=8 WHERE id=1", false, "id", &n), STORE_OK);
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_EQUAL(
		writes("UPDATE items SET n=9 WHERE id=1", false, NULL, NULL), STORE_REFUSED);
	CU_ASSERT_EQUAL(writes("INSERT INTO items VALUES(50, 1, 'x')", false, NULL, &n), STORE_OK);
	CU_ASSERT_EQUAL(writes("DELETE FROM items WHERE id=50", false, "id", &n), STORE_OK);
	CU_ASSERT_EQUAL(n, 1);
	/* Who may read as well may do all of it. */
	CU_ASSERT_EQUAL(writes(oracles[0], true, "id", &n), STORE_OK);
	CU_ASSERT_EQUAL(n, 1);
	for (size_t i = 0; i < sizeof oracles / sizeof oracles[0]; i++)
		CU_ASSERT_NOT_EQUAL(writes(oracles[i], true, "id", NULL), STORE_REFUSED);
	/* The right to read one table is none to read another, nor to write it. */
	CU_ASSERT_EQUAL(writes("INSERT INTO items(id,name) SELECT 60, max(id) FROM other", true,
				"id", NULL),
		STORE_REFUSED);
	CU_ASSERT_EQUAL(
		writes("INSERT INTO users SELECT * FROM items", true, "id", NULL), STORE_REFUSED);
	teardown();
}

static void a_cached_foreign_statement_does_not_serve_another_grant(void)
{
	setup();
	make_foreign_tables();
	static const struct bytes wide[] = { { "items", 5 }, { "other", 5 } };
	struct store_grant grant = { .tables = wide, .n_tables = 2, .deadline_ns = CLOCK_NEVER };
	struct job job = { .sql = "SELECT count(*) FROM other", .grant = &grant };
	job.store.alone = true;
	submit(&job, true);
	wait_all();
	CU_ASSERT_EQUAL(job.store.outcome, STORE_OK);
	CU_ASSERT_EQUAL(foreign("SELECT count(*) FROM other", false, NULL), STORE_REFUSED);
	CU_ASSERT_EQUAL(foreign("SELECT count(*) FROM other", true, NULL), STORE_REFUSED);
	teardown();
}

static void foreign_bombs_end_at_their_deadline_or_memory(void)
{
	setup();
	make_foreign_tables();
	uint64_t start = clock_mono_ns();
	CU_ASSERT_EQUAL(foreign(ENDLESS, false, NULL), STORE_FAULT);
	struct job job;
	/* Rows of a megabyte, kept by a sort: memory ends before time does, or the other way round.
	 */
	enum store_outcome outcome = foreign(
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 100000) "
		"SELECT x, printf('%.*c', 900000, 'x') AS p FROM c ORDER BY p DESC",
		false, &job);
	CU_ASSERT(outcome == STORE_REFUSED || outcome == STORE_FAULT);
	CU_ASSERT(clock_mono_ns() - start < 2 * CLOCK_NS_PER_S);
	CU_ASSERT_EQUAL(write_sql("INSERT INTO items VALUES(2, 1, 'nut')"), STORE_OK);
	teardown();
}

struct look {
	struct store_job job;
	bool has_state, is_whole;
	uint64_t state;
	int64_t sum, stop_at;
};

static bool add_row(void *context, const struct store_row *row)
{
	struct look *look = context;
	look->sum += store_row_int64(row, 0);
	return look->sum < look->stop_at && store_row_type(row, 1) == STORE_TEXT &&
	       bytes_eq(store_row_text(row, 1), BYTES("nut"));
}

static enum store_outcome run_look(struct store_job *job, struct store_conn *conn)
{
	struct look *look = (struct look *)job;
	struct store_stmt *stmt;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT each_row(id, name) FROM items"), &stmt);
	if (outcome == STORE_OK)
		outcome = store_each(stmt, add_row, look, &look->is_whole);
	look->has_state = store_state(conn, &look->state);
	return outcome;
}

static void done_look(struct store_job *job)
{
	(void)job;
	loop_stop(fix.loop);
}

static struct look look(int64_t stop_at)
{
	struct err err;
	struct look look = { .job = { .run = run_look, .done = done_look, .loop = fix.loop },
		.stop_at = stop_at };
	store_read(fix.store, &look.job);
	loop_run(fix.loop, &err);
	CU_ASSERT_EQUAL(look.job.outcome, STORE_OK);
	return look;
}

static void each_row_is_looked_at_without_a_step(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT, name TEXT)");
	write_sql("INSERT INTO items VALUES(1, 'nut'), (2, 'nut'), (4, 'nut')");
	struct look all = look(100), some = look(3);
	CU_ASSERT(all.is_whole);
	CU_ASSERT_EQUAL(all.sum, 7);
	CU_ASSERT(!some.is_whole);
	CU_ASSERT_EQUAL(some.sum, 3);
	CU_ASSERT_EQUAL(look(100).sum, 7);
	/* Nobody listens to one that is stepped, and plugins may not name it. */
	struct job job = { .sql = "SELECT each_row(1)" };
	submit(&job, false);
	wait_all();
	CU_ASSERT_EQUAL(job.store.outcome, STORE_FAULT);
	CU_ASSERT_EQUAL(foreign("SELECT each_row(id) FROM items", false, NULL), STORE_REFUSED);
	teardown();
}

static void a_state_changes_with_each_commit_and_with_nothing_else(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT, name TEXT)");
	struct look first = look(1), second = look(1);
	CU_ASSERT(first.has_state && second.has_state);
	CU_ASSERT_EQUAL(first.state, second.state);
	write_sql("INSERT INTO items VALUES(1, 'nut')");
	struct look third = look(1);
	CU_ASSERT(third.has_state);
	CU_ASSERT_NOT_EQUAL(third.state, first.state);
	teardown();
}

static void the_data_survives_close_and_open(void)
{
	setup();
	write_sql("CREATE TABLE items(id INT)");
	write_sql("INSERT INTO items VALUES(3)");
	store_close(fix.store);
	open_store(0, 10);
	CU_ASSERT_EQUAL(read_int("SELECT id FROM items"), 3);
	teardown();
}

static void more_statements_than_the_cache_holds_still_run(void)
{
	setup();
	for (int i = 0; i < 300; i++) {
		char sql[64];
		snprintf(sql, sizeof(sql), "SELECT %d", i);
		CU_ASSERT_EQUAL(read_int(sql), i);
	}
	teardown();
}

static void a_second_taker_of_the_folder_lock_is_told_who_holds_it(void)
{
	char folder[] = "/tmp/tenon-lock-XXXXXX";
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	struct store_lock *lock = NULL, *second = NULL;
	struct err err = { 0 };
	CU_ASSERT_EQUAL_FATAL(store_lock_take(folder, &lock, &err), 0);
	CU_ASSERT_EQUAL(store_lock_take(folder, &second, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_STATE);
	char pid[32];
	snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, pid));
	store_lock_give(lock);
	CU_ASSERT_EQUAL(store_lock_take(folder, &second, &err), 0);
	store_lock_give(second);
	char path[64];
	snprintf(path, sizeof(path), "%s/lock", folder);
	unlink(path);
	rmdir(folder);
}

static const struct unit_test tests[] = {
	UNIT(a_write_is_committed_before_done_and_read_back),
	UNIT(jobs_that_arrive_together_share_one_commit),
	UNIT(a_refused_job_is_taken_back_and_its_neighbours_stay),
	UNIT(a_lost_transaction_runs_each_job_again_alone),
	UNIT(a_full_database_fails_its_job_and_keeps_what_was_there),
	UNIT(a_full_queue_answers_busy_before_it_returns),
	UNIT(a_reader_cannot_write),
	UNIT(a_read_past_its_deadline_or_cancelled_is_interrupted),
	UNIT(slow_reads_leave_threads_to_other_databases_and_to_writes),
	UNIT(read_now_answers_on_the_loop_once_its_reader_is_open),
	UNIT(the_log_is_cut_although_a_loop_keeps_its_snapshot),
	UNIT(the_log_is_cut_although_somebody_always_reads),
	UNIT(foreign_sql_reaches_its_grant_and_nothing_else),
	UNIT(a_cached_foreign_statement_does_not_serve_another_grant),
	UNIT(a_right_to_write_is_none_to_read),
	UNIT(foreign_bombs_end_at_their_deadline_or_memory),
	UNIT(each_row_is_looked_at_without_a_step),
	UNIT(a_state_changes_with_each_commit_and_with_nothing_else),
	UNIT(the_data_survives_close_and_open),
	UNIT(more_statements_than_the_cache_holds_still_run),
	UNIT(a_second_taker_of_the_folder_lock_is_told_who_holds_it),
};

UNIT_MAIN("store", tests)
