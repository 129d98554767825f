/*
 * driver.h - what a driver gives the scheduler of this module: connections and transactions
 *
 * store.c decides what runs when; a driver (sqlite_*.c) knows how to open a connection, to begin
 * and end a transaction, and implements the statement functions of store.h.
 *
 * Threads: a connection is used by one thread at a time; which one may change.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include <stdatomic.h>

#include "store.h"

enum conn_role {
	CONN_WRITER, /* creates the file, sets what is lasting, checkpoints */
	CONN_READER  /* can change nothing */
};

struct conn_limits { /* as in struct store_config */
	uint64_t size_bytes;
	unsigned cache_kib;
};

/* Opens a connection. Returns 0 or -1. */
int conn_open(const char *path, enum conn_role role, const struct conn_limits *limits,
	struct store_conn **ret, struct err *err);
/* Takes NULL. */
void conn_close(struct store_conn *conn);

enum store_outcome conn_begin(struct store_conn *conn);
enum store_outcome conn_commit(struct store_conn *conn);
/* Takes back the transaction if there is one. */
void conn_rollback(struct store_conn *conn);
/* False when the driver itself has taken the whole transaction back. */
bool conn_in_transaction(const struct store_conn *conn);

/* What follows is for this job: forgets earlier errors, and lets the job's deadline and its
 * cancellation interrupt the connection when may_interrupt says so. */
void conn_begin_job(struct store_conn *conn, struct store_job *job, bool may_interrupt);
/* The job that may be interrupted; NULL: none. */
const struct store_job *conn_job(const struct store_conn *conn);
/* Makes sure that the transaction of a reader has its snapshot: it takes it with its first read. */
enum store_outcome conn_take_snapshot(struct store_conn *conn);
/* Resets the job's statements, takes its grant away, and copies what went wrong into the job. */
void conn_end_job(struct store_conn *conn, struct store_job *job, enum store_outcome outcome);

/* True when enough has gathered in the log to be worth a checkpoint. */
bool conn_wants_checkpoint(const struct store_conn *conn);
/* Moves committed pages from the log into the database file : those that no reader still
 * needs, or all of them (is_closing). Never waits for readers unless is_closing. */
void conn_checkpoint(struct store_conn *conn, bool is_closing);
/* After a checkpoint: waits a little for the last who read from the log, and lets it begin anew.
 * Under load no moment without readers may come by itself. Whoever begins to read meanwhile needs
 * only the database file. */
void conn_restart_log(struct store_conn *conn);

DEFER_DEFINE(struct store_conn *, conn_close)

#endif
