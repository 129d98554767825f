/*
 * sqlite_conn.c - a connection to an SQLite database: how it is opened, its transactions, its
 * errors
 */
#include "sqlite_conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECKPOINT_PAGES 8000 /* 32 MiB of log: read again in some 50 ms after a crash */
#define BUSY_TIMEOUT_MS  1000
#define RESTART_WAIT_MS  50 /* for readers, once in CHECKPOINT_PAGES */
#define PAGE_BYTES       4096
#define WRITER_CACHE_KIB 2048
#define READER_CACHE_KIB 4096

/* The order matters: journal_mode writes the header of a new file. */
static const char *const writer_pragmas[] = {
	"PRAGMA trusted_schema=OFF",
	"PRAGMA journal_mode=WAL",
	"PRAGMA synchronous=FULL",
	"PRAGMA foreign_keys=ON",
	"PRAGMA cell_size_check=ON",
	"PRAGMA mmap_size=0",
	"PRAGMA temp_store=MEMORY",
	"PRAGMA secure_delete=FAST",
	"PRAGMA wal_autocheckpoint=0",
	"PRAGMA journal_size_limit=67108864",
};
static const char *const reader_pragmas[] = {
	"PRAGMA trusted_schema=OFF",
	"PRAGMA cell_size_check=ON",
	"PRAGMA mmap_size=0",
	"PRAGMA temp_store=MEMORY",
	"PRAGMA query_only=ON",
	"PRAGMA wal_autocheckpoint=0",
};

static enum store_conflict conflict_of(int rc)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return STORE_CONFLICT_UNIQUE;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return STORE_CONFLICT_FOREIGN_KEY;
	case SQLITE_CONSTRAINT_NOTNULL:
		return STORE_CONFLICT_NOT_NULL;
	default:
		return STORE_CONFLICT_CHECK;
	}
}

static enum err_code err_code_of(int rc)
{
	switch (rc) {
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return ERR_IO;
	case SQLITE_INTERRUPT:
		return ERR_TIMEOUT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_UNAVAILABLE;
	default:
		return ERR_STATE;
	}
}

static void note_conflict(struct store_conn *conn)
{
	conn->conflict = conflict_of(sqlite3_extended_errcode(conn->db));
	const char *colon = strchr(conn->message, ':');
	conn->conflict_columns[0] = '\0';
	if (colon)
		bytes_to_string(bytes_of(colon + 2), conn->conflict_columns,
			sizeof(conn->conflict_columns));
}

/* A read that a client asked for met a view whose own part fails. */
static enum store_outcome fail_view(struct store_conn *conn)
{
	ERR_SET(&conn->err, ERR_INVALID, "%s", conn->message);
	return STORE_FAULT;
}

enum store_outcome conn_fail(struct store_conn *conn, int rc)
{
	int primary = rc & 0xff;
	bytes_to_string(bytes_of(sqlite3_errmsg(conn->db)), conn->message, sizeof(conn->message));

	switch (primary) {
	case SQLITE_CONSTRAINT:
		note_conflict(conn);
		return STORE_CONFLICT;
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_AUTH:
		return conn->is_viewing ? fail_view(conn) : STORE_REFUSED;
	default:
		/* Foreign SQL fails for reasons of its own (overflow, memory, a bad pattern): no
		 * fault of ours, but time, the disk and the file are. */
		if (conn->grant && (primary == SQLITE_ERROR || primary == SQLITE_NOMEM ||
					   primary == SQLITE_TOOBIG || primary == SQLITE_MISMATCH ||
					   primary == SQLITE_RANGE || primary == SQLITE_READONLY))
			return conn->is_viewing ? fail_view(conn) : STORE_REFUSED;
		ERR_SET(&conn->err, err_code_of(primary), "%s", conn->message);
		conn->err.os_errno = sqlite3_system_errno(conn->db);
		return STORE_FAULT;
	}
}

const char *store_message(struct store_conn *conn)
{
	return conn->message;
}

static int run_pragma(sqlite3 *db, const char *sql, struct err *err)
{
	char *message = NULL;
	int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
	if (rc != SQLITE_OK)
		ERR_SET(err, err_code_of(rc & 0xff), "%s: %s", sql, message ? message : "failed");
	sqlite3_free(message);
	return rc == SQLITE_OK ? 0 : -1;
}

/* Creates the file before the library would, so that it and its log are never readable by others.
 */
static int create_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open the database %s", path);
	/* Closed at once: closing a descriptor later would drop the locks of the library's own. */
	close(fd);
	return 0;
}

static int on_wal(void *context, sqlite3 *db, const char *name, int n_pages)
{
	(void)db;
	(void)name;
	struct store_conn *conn = context;
	if (n_pages < conn->wal_pages)
		conn->wal_done = 0; /* it began anew */
	conn->wal_pages = n_pages;
	return SQLITE_OK;
}

static int limit(struct store_conn *conn, const struct conn_limits *limits, struct err *err)
{
	bool is_writer = conn->role == CONN_WRITER;
	unsigned cache_kib = is_writer ? WRITER_CACHE_KIB : READER_CACHE_KIB;
	char sql[64];
	snprintf(sql, sizeof(sql), "PRAGMA cache_size=-%u",
		limits->cache_kib ? limits->cache_kib : cache_kib);
	if (run_pragma(conn->db, sql, err) < 0)
		return -1;
	if (!is_writer || !limits->size_bytes)
		return 0;
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%llu",
		(unsigned long long)(limits->size_bytes / PAGE_BYTES));
	return run_pragma(conn->db, sql, err);
}

static int harden(struct store_conn *conn, const struct conn_limits *limits, struct err *err)
{
	sqlite3_extended_result_codes(conn->db, 1);
	sqlite3_busy_timeout(
		conn->db, BUSY_TIMEOUT_MS); /* recovery of a log by another connection */
	sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_db_config(conn->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, NULL);
	sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(conn->db, SQLITE_LIMIT_WORKER_THREADS, 0);

	bool is_writer = conn->role == CONN_WRITER;
	const char *const *pragmas = is_writer ? writer_pragmas : reader_pragmas;
	size_t n = is_writer ? sizeof(writer_pragmas) / sizeof(writer_pragmas[0])
			     : sizeof(reader_pragmas) / sizeof(reader_pragmas[0]);
	for (size_t i = 0; i < n; i++)
		if (run_pragma(conn->db, pragmas[i], err) < 0)
			return -1;
	if (limit(conn, limits, err) < 0)
		return -1;
	sqlite3_wal_hook(conn->db, on_wal, conn);
	return grant_init(conn, err) < 0 || each_init(conn, err) < 0 ? -1 : 0;
}

int conn_open(const char *path, enum conn_role role, const struct conn_limits *limits,
	struct store_conn **ret, struct err *err)
{
	if (memory_init(err) < 0)
		return -1;
	if (role == CONN_WRITER && create_file(path, err) < 0)
		return -1;

	DEFER(conn_close) struct store_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return ERR_SET(err, ERR_NOMEM, "no memory for a database connection");
	conn->role = role;
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW |
		    (role == CONN_WRITER ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
	int rc = sqlite3_open_v2(path, &conn->db, flags, NULL);
	if (rc != SQLITE_OK)
		return ERR_SET(err, err_code_of(rc & 0xff), "cannot open the database %s: %s", path,
			conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc));
	if (harden(conn, limits, err) < 0)
		return -1;
	*ret = conn;
	conn = NULL; /* handed over */
	return 0;
}

void conn_close(struct store_conn *conn)
{
	if (!conn)
		return;
	stmt_cache_clear(conn);
	sqlite3_close(conn->db);
	free(conn);
}

static enum store_outcome run_fixed(struct store_conn *conn, struct bytes sql)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	return outcome == STORE_OK ? store_exec(stmt, NULL) : outcome;
}

enum store_outcome conn_begin(struct store_conn *conn)
{
	return run_fixed(
		conn, conn->role == CONN_WRITER ? BYTES("BEGIN IMMEDIATE") : BYTES("BEGIN"));
}

enum store_outcome conn_commit(struct store_conn *conn)
{
	return run_fixed(conn, BYTES("COMMIT"));
}

void conn_rollback(struct store_conn *conn)
{
	if (conn_in_transaction(conn))
		run_fixed(conn, BYTES("ROLLBACK"));
}

bool conn_in_transaction(const struct store_conn *conn)
{
	return !sqlite3_get_autocommit(conn->db);
}

void conn_begin_job(struct store_conn *conn, struct store_job *job, bool may_interrupt)
{
	conn->err = (struct err){ 0 };
	conn->conflict = STORE_CONFLICT_NONE;
	conn->conflict_columns[0] = '\0';
	conn->message[0] = '\0';
	conn->deadline_ns = may_interrupt ? job->deadline_ns : 0;
	conn->job = may_interrupt ? job : NULL;
}

const struct store_job *conn_job(const struct store_conn *conn)
{
	return conn->job;
}

enum store_outcome conn_take_snapshot(struct store_conn *conn)
{
	if (sqlite3_txn_state(conn->db, "main") != SQLITE_TXN_NONE)
		return STORE_OK;
	return run_fixed(conn, BYTES("SELECT 1 FROM sqlite_schema LIMIT 1"));
}

void conn_end_job(struct store_conn *conn, struct store_job *job, enum store_outcome outcome)
{
	for (struct store_stmt *stmt = conn->used; stmt; stmt = stmt->used_next) {
		sqlite3_reset(stmt->handle);
		stmt->is_used = false;
	}
	conn->used = NULL;
	store_set_grant(conn, NULL);
	conn->deadline_ns = 0;
	conn->job = NULL;
	job->outcome = outcome;
	job->conflict = outcome == STORE_CONFLICT ? conn->conflict : STORE_CONFLICT_NONE;
	memcpy(job->conflict_columns, conn->conflict_columns, sizeof(job->conflict_columns));
	if (outcome == STORE_FAULT && job->err.code == ERR_NONE)
		job->err = conn->err;
	/* A fault always says something: whoever is given its trace id has to find a line. */
	if (outcome == STORE_FAULT && job->err.code == ERR_NONE)
		ERR_SET(&job->err, ERR_STATE, "a job failed without a reason; last was: %s",
			conn->message[0] ? conn->message : "nothing");
}

void store_note_conflict(struct store_conn *conn, struct store_job *job)
{
	job->conflict = conn->conflict;
	memcpy(job->conflict_columns, conn->conflict_columns, sizeof(job->conflict_columns));
}

bool conn_wants_checkpoint(const struct store_conn *conn)
{
	/* A log that readers hold is not tried again at each commit: that would sync the database
	 * file each time. */
	return conn->wal_pages - conn->wal_done >= CHECKPOINT_PAGES;
}

void conn_checkpoint(struct store_conn *conn, bool is_closing)
{
	if (is_closing) {
		sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		return;
	}
	/* A failure is no news: after another round of writes it is tried again, and the log keeps
	 * what it has. */
	sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	conn->wal_done = conn->wal_pages;
}

void conn_restart_log(struct store_conn *conn)
{
	sqlite3_busy_timeout(conn->db, RESTART_WAIT_MS);
	sqlite3_wal_checkpoint_v2(conn->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	sqlite3_busy_timeout(conn->db, BUSY_TIMEOUT_MS);
}

enum store_outcome store_run_script(struct store_conn *conn, struct bytes sql)
{
	/* A table that a statement still reads cannot be altered. */
	for (struct store_stmt *stmt = conn->used; stmt; stmt = stmt->used_next)
		sqlite3_reset(stmt->handle);

	const char *at = sql.p, *end = sql.p + sql.n;
	while (at < end) {
		sqlite3_stmt *handle = NULL;
		int rc = sqlite3_prepare_v2(conn->db, at, (int)(end - at), &handle, &at);
		if (rc == SQLITE_OK && handle)
			while ((rc = sqlite3_step(handle)) == SQLITE_ROW) {
			}
		enum store_outcome outcome = STORE_OK;
		if (rc != SQLITE_OK && rc != SQLITE_DONE)
			outcome = conn_fail(conn, rc);
		sqlite3_finalize(handle);
		if (outcome != STORE_OK)
			return outcome;
	}
	return STORE_OK;
}

static enum store_outcome run_savepoint(struct store_conn *conn, const char *verb, const char *name)
{
	char sql[96];
	int n = snprintf(sql, sizeof(sql), "%s \"%s\"", verb, name);
	if (n < 0 || (size_t)n >= sizeof(sql) || strchr(name, '"')) {
		ERR_SET(&conn->err, ERR_INVALID, "bad savepoint name");
		return STORE_FAULT;
	}
	return run_fixed(conn, (struct bytes){ sql, (size_t)n });
}

enum store_outcome store_savepoint(struct store_conn *conn, const char *name)
{
	return run_savepoint(conn, "SAVEPOINT", name);
}

enum store_outcome store_release(struct store_conn *conn, const char *name)
{
	return run_savepoint(conn, "RELEASE", name);
}

enum store_outcome store_rollback_to(struct store_conn *conn, const char *name)
{
	return run_savepoint(conn, "ROLLBACK TO", name);
}
