/*
 * sqlite_conn.h - the parts of a connection that the SQLite files share
 */
#ifndef STORE_SQLITE_CONN_H
#define STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "driver.h"

#define STMT_CACHE_SIZE    128 /* statements kept prepared per connection */
#define STMT_CACHE_BUCKETS 256
#define LIMITS_MAX         9

struct store_stmt {
	struct store_conn *conn;
	sqlite3_stmt *handle;
	uint64_t hash;
	char *key; /* the text; for foreign SQL, behind it, the grant it was prepared under */
	size_t n_key;
	bool is_foreign;
	bool is_used; /* by the current job: in conn->used, not to be evicted */
	bool bind_failed;
	const struct store_grant *grant; /* of a view: set around each step; else NULL */
	size_t budget_left;              /* of the same: what its next steps may still take */
	struct store_stmt *bucket_next;
	struct store_stmt *older, *newer; /* least recently used order */
	struct store_stmt *used_next;
};

struct store_conn {
	sqlite3 *db;
	enum conn_role role;
	int wal_pages; /* in the log after the last commit, as the driver's hook told */
	int wal_done;  /* of them at the last checkpoint */

	/* statement cache */
	struct store_stmt *buckets[STMT_CACHE_BUCKETS];
	struct store_stmt *oldest, *newest;
	struct store_stmt *used;
	unsigned n_stmts;

	/* what may interrupt: read by the progress handler */
	uint64_t deadline_ns; /* 0: none */
	const struct store_job *job;

	const struct store_grant *grant; /* NULL: the SQL is ours */
	bool is_viewing; /* grant is that of a view, set around a statement of ours */
	bool has_table_functions;
	int own_limits[LIMITS_MAX]; /* of sqlite3_limit, to go back to */

	/* who gets the rows of each_row(); NULL: nobody */
	bool (*each)(void *context, const struct store_row *row);
	void *each_context;

	/* what went wrong last */
	struct err err;
	enum store_conflict conflict;
	char conflict_columns[128];
	char message[256];
};

/* Remembers what the driver said with code rc, and maps it. */
enum store_outcome conn_fail(struct store_conn *conn, int rc);

/* Finds or prepares the statement for text; key tells it from others of the same text. */
enum store_outcome stmt_get(struct store_conn *conn, struct bytes text, struct bytes key,
	bool is_foreign, struct store_stmt **ret);
/* Forgets all cached statements. */
void stmt_cache_clear(struct store_conn *conn);

/* What a value is, by the library's code for it. */
enum store_type type_of_code(int code);
/* Installs each_row(), once per connection. */
int each_init(struct store_conn *conn, struct err *err);
/* Installs authorizer and progress handler, once per connection. */
int grant_init(struct store_conn *conn, struct err *err);
/* One step of a view's statement, under its grant. */
enum store_outcome grant_step(struct store_stmt *stmt, bool *ret_has_row);

/* Sets up the library for this process, once: before any connection. Returns 0 or -1. */
int memory_init(struct err *err);
/* While a budget is set, allocations of this thread that pass it fail. 0 takes it away. */
void memory_set_budget(size_t bytes);
/* What is left of it, at least 1. */
size_t memory_budget_left(void);

#endif
