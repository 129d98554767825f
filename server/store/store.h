/*
 * store.h - a database file behind an interface without SQL dialect: jobs in, outcomes out
 *
 * A store is one database (a tenant's, or the control database). Work on it is a job:
 *
 *   store_write     joins the store's one writer queue. Jobs that arrive together share one
 *                   transaction, a savepoint each, and one fsync. done runs on the asking loop
 *                   after the COMMIT, never before.
 *   store_read      runs on the executor with a pooled read connection, in one snapshot.
 *   store_read_now  runs at once on the calling loop with that loop's own read connection: only for
 *                   a point read by primary key that cannot take longer than a page or two.
 *
 * A write job may run twice: when the shared transaction fails as a whole (disk full, interrupt),
 * each of its jobs is run again in a transaction of its own. So run must only depend on the job's
 * input and the database.
 *
 * Threads: submit from any loop; run on an executor thread; done on the loop that the job names.
 * Memory: a job lives inside its owner's struct until done has been called.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "executor.h"
#include "loop.h"

struct store;
struct store_conn;
struct store_stmt;

/* ---- opening ---- */
struct store_config {
	const char *path;   /* of the database file; created when absent, mode 0600 */
	unsigned n_loops;   /* for store_read_now */
	unsigned n_readers; /* pooled read connections, at most */
	unsigned write_queue_limit;
	uint64_t size_limit_bytes; /* 0: none; else writes fail with STORE_FULL beyond it */
	unsigned cache_kib; /* pages that a connection keeps; 0: 2048 writing, 4096 reading */
	/* Runs once on the fresh write connection before any job, as migrations do. May be NULL. */
	int (*on_open)(struct store_conn *conn, void *context, struct err *err);
	void *on_open_context;
};

/* Blocking; call it where waiting is allowed. Returns 0 and a store to close, or -1. */
int store_open(const struct store_config *config, struct executor *executor, struct store **ret,
	struct err *err);
/* After its jobs have ended. Checkpoints and closes. Takes NULL. */
void store_close(struct store *store);

/* ---- jobs ---- */
enum store_outcome {
	STORE_OK,
	STORE_REFUSED,  /* run returned STORE_REFUSED: the job's own savepoint was rolled back, the
			   job knows why */
	STORE_CONFLICT, /* a constraint said no; store_job.conflict says which */
	STORE_FULL,     /* disk or quota */
	STORE_BUSY,     /* the queue is at its limit: nothing ran; answer 503 */
	STORE_FAULT     /* see store_job.err */
};

enum store_conflict {
	STORE_CONFLICT_NONE,
	STORE_CONFLICT_UNIQUE,
	STORE_CONFLICT_FOREIGN_KEY,
	STORE_CONFLICT_NOT_NULL,
	STORE_CONFLICT_CHECK
};

struct store_job {
	/* Does the work. Returns STORE_OK or STORE_REFUSED as the job decides, or what a store call
	 * gave. */
	enum store_outcome (*run)(struct store_job *job, struct store_conn *conn);
	void (*done)(struct store_job *job); /* on loop; outcome is set */
	/* Of a write, NULL: nothing to do. Right after the COMMIT that holds it, on the writer's
	 * thread, so in the order of commits and before done. The next commit waits for it. */
	void (*committed)(struct store_job *job);
	struct loop *loop; /* NULL: done runs on the executor thread */
	/* A write that must not share a transaction: plugin SQL, imports, schema changes. */
	bool alone;
	/* Monotonic; 0: none. A read, or a write that is alone, is interrupted when it passes, and
	 * ends as STORE_FAULT with ERR_TIMEOUT. */
	uint64_t deadline_ns;

	enum store_outcome outcome;
	enum store_conflict conflict;
	char conflict_columns[128]; /* "products.sku" as the driver names them; "" when unknown */
	struct err err;

	/* the store's own */
	struct executor_job job;
	struct loop_message message;
	struct store *store;
	uint64_t generation; /* of the store when a read began; UINT64_MAX: of a write */
	_Atomic bool is_cancelled;
};

/* done is always called, also for STORE_BUSY (then before store_write returns). */
void store_write(struct store *store, struct store_job *job);
void store_read(struct store *store, struct store_job *job);
/* Runs job->run on the calling loop's own read connection, for at most 1 ms, and returns its
 * outcome; done is not called. STORE_BUSY: this loop has no connection to the database yet, ask
 * store_read, which opens one on its way. */
enum store_outcome store_read_now(struct store *store, struct loop *loop, struct store_job *job);

/* Interrupts what store_read, or a store_write that is alone, is doing for this job, or will do: it
 * ends soon as STORE_FAULT with ERR_TIMEOUT. done is called as always. Only on the job's loop,
 * before done. */
void store_cancel(struct store_job *job);

/* Inside run of a read: a number for the state of the database that this job sees. Two jobs with
 * the same number see the same state, of the same life of the store. False when it cannot be told,
 * because something is being committed. */
bool store_state(struct store_conn *conn, uint64_t *ret);

/* ---- inside run: statements ----
 * Every function returns STORE_OK or the outcome that run should return; the connection remembers
 * the details, and the store copies them into the job. */

/* The cached statement for this text on this connection, reset and unbound. Borrowed until the next
 * store_prepare of the same text. sql is only ever made by us from names we checked, never from a
 * client. */
enum store_outcome store_prepare(
	struct store_conn *conn, struct bytes sql, struct store_stmt **ret);

/* Parameters count from 1. Text and blobs are borrowed until the statement has been stepped for the
 * last time. A parameter that the statement does not have makes the next step a fault. */
void store_bind_null(struct store_stmt *stmt, int index);
void store_bind_int64(struct store_stmt *stmt, int index, int64_t value);
void store_bind_double(struct store_stmt *stmt, int index, double value);
void store_bind_text(struct store_stmt *stmt, int index, struct bytes text);
void store_bind_blob(struct store_stmt *stmt, int index, struct bytes blob);
/* The index of a parameter named ":name"; 0 when the statement has none of that name. */
int store_parameter(struct store_stmt *stmt, const char *name);
/* The highest number of a parameter. */
int store_n_parameters(struct store_stmt *stmt);

/* Moves to the next row: *ret_has_row says whether there is one. */
enum store_outcome store_step(struct store_stmt *stmt, bool *ret_has_row);
/* For a statement that returns no rows: steps to its end. Rows changed in *ret_changes, may be
 * NULL. */
enum store_outcome store_exec(struct store_stmt *stmt, int64_t *ret_changes);

enum store_type { STORE_NULL, STORE_INT64, STORE_DOUBLE, STORE_TEXT, STORE_BLOB };

/* Columns count from 0. Text is borrowed until the next step, reset or prepare of this statement.
 */
int store_n_columns(struct store_stmt *stmt);
struct bytes store_column_name(struct store_stmt *stmt, int column);
/* Where a result column comes from, through views and subqueries: "" and "" when it is computed.
 * Borrowed as long as the statement. */
void store_column_origin(
	struct store_stmt *stmt, int column, struct bytes *ret_table, struct bytes *ret_column);
enum store_type store_column_type(struct store_stmt *stmt, int column);
int64_t store_column_int64(struct store_stmt *stmt, int column);
double store_column_double(struct store_stmt *stmt, int column);
struct bytes store_column_text(struct store_stmt *stmt, int column);
bool store_column_is_null(struct store_stmt *stmt, int column);

/* A look at very many rows, of which few are wanted: stmt is a SELECT of each_row(a, b, ...) alone,
 * and each is called for every row that it finds, with its arguments, counted from 0. Text is
 * borrowed until each returns. When each returns false it ends there: then *ret_is_whole is false.
 */
struct store_row;
enum store_outcome store_each(struct store_stmt *stmt,
	bool (*each)(void *context, const struct store_row *row), void *context,
	bool *ret_is_whole);
enum store_type store_row_type(const struct store_row *row, int i);
int64_t store_row_int64(const struct store_row *row, int i);
double store_row_double(const struct store_row *row, int i);
struct bytes store_row_text(const struct store_row *row, int i);

/* Runs several statements separated by ';' that return nothing (migrations, schema changes of
 * ours). Resets every statement that the job has prepared so far. */
enum store_outcome store_run_script(struct store_conn *conn, struct bytes sql);
/* What went wrong last on this connection, for err messages. Borrowed. */
const char *store_message(struct store_conn *conn);

/* Which constraint the last STORE_CONFLICT of this connection was about, into job: for a job that
 * goes on after it. */
void store_note_conflict(struct store_conn *conn, struct store_job *job);

/* A savepoint inside a write job, so that a part of it can be taken back. */
enum store_outcome store_savepoint(struct store_conn *conn, const char *name);
enum store_outcome store_release(struct store_conn *conn, const char *name);
enum store_outcome store_rollback_to(struct store_conn *conn, const char *name);

/* ---- foreign SQL: the declared statements of plugins ---- */
/* What the connection may touch while foreign SQL is prepared and stepped. */
struct store_grant {
	/* That may be read. Those whose name starts with '_' or "sqlite_" stay closed even if they
	 * stand here; so do columns whose name starts with '_'. */
	const struct bytes *tables;
	size_t n_tables;
	bool may_write;
	/* Monotonic; the statement is interrupted when it passes. 0, only of a view: the job's. */
	uint64_t deadline_ns;
	/* If may_write: that may be written, which is no right to read them. What a condition, an
	 * expression or RETURNING names of them is read, but for one column, by which a row is
	 * found: NULL is none. */
	const struct bytes *write_tables;
	size_t n_write_tables;
	const char *write_key;
	/* For the SELECT of a view collection: closed columns are refused instead of read as NULL,
	 * and the limits of text and depth are wide, since it runs inside a statement of ours. */
	bool is_view;
};

/* Installs the grant for what follows on this connection, or takes it away (NULL); the end of the
 * job takes it away as well. Borrows grant. While one is set, only its tables can be named, only
 * functions known to be harmless can be called, and limits of length, depth, memory and time hold.
 * A statement that passes its deadline takes the whole transaction with it, which is why such jobs
 * are alone. */
void store_set_grant(struct store_conn *conn, const struct store_grant *grant);
/* As store_prepare, for SQL that a plugin declared: one statement, no EXPLAIN, PRAGMA, ATTACH, DDL
 * or transaction control. STORE_REFUSED with store_message() when the text or the grant says no. */
enum store_outcome store_prepare_foreign(
	struct store_conn *conn, struct bytes sql, struct store_stmt **ret);
/* As store_prepare, for a statement of ours that reads a view: it is prepared, and each of its
 * steps runs, under grant, which is one with is_view and outlives the job. Between its steps the
 * connection is our own again, so that other statements of ours may run. What goes wrong in the
 * view's own part is STORE_FAULT with ERR_INVALID. */
enum store_outcome store_prepare_view(struct store_conn *conn, struct bytes sql,
	const struct store_grant *grant, struct store_stmt **ret);

/* Inside run, before preparing only to see whether SQL fits: what is cached may have been prepared
 * under an older schema, which is noticed when it is stepped and no earlier. Drops every statement
 * of the connection and takes the schema of the job's snapshot. */
enum store_outcome store_refresh_schema(struct store_conn *conn);

/* Figures for metrics. */
struct store_stats {
	uint64_t n_writes, n_commits, n_reads, n_busy;
	uint64_t commit_ns_total;
	unsigned write_queue;
};
void store_stats(const struct store *store, struct store_stats *ret);

DEFER_DEFINE(struct store *, store_close)

#endif
