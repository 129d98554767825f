/*
 * readers.h - the read connections of one database, and whose turn it is to use one
 *
 * A database takes at most as many threads of the read lane as it has connections. Jobs beyond that
 * wait here and not on a thread, so that the slow reads of one tenant leave threads to the others.
 *
 * Threads: any. Memory: jobs that wait belong to their owners.
 */
#ifndef STORE_READERS_H
#define STORE_READERS_H

#include <pthread.h>

#include "driver.h"

struct readers {
	const char *path; /* the store's */
	struct conn_limits limits;
	pthread_mutex_t lock;
	struct store_conn **free_conns; /* n_free of them */
	unsigned n_free, limit;
	unsigned n_running; /* jobs whose turn it is: on the lane, or queued there */
	unsigned n_waiting;
	struct executor_job *first, *last; /* of those that wait */
};

enum readers_turn {
	READERS_GO,
	READERS_WAIT, /* the job is kept, and comes out of readers_leave in its turn */
	READERS_FULL
};

/* limit is the number of connections, at least 1. Returns 0 or -1 (ERR_NOMEM). */
int readers_init(struct readers *readers, const char *path, const struct conn_limits *limits,
	unsigned limit, struct err *err);
/* Closes the connections; no job may run or wait. */
void readers_fini(struct readers *readers);

enum readers_turn readers_enter(struct readers *readers, struct executor_job *job);
/* A job whose turn it was has ended. Returns the next one, whose turn it is now, or NULL. */
struct executor_job *readers_leave(struct readers *readers);

/* A connection for a job whose turn it is: there always is one, or one may be opened. Returns NULL
 * with *err set when it cannot be. */
struct store_conn *readers_take(struct readers *readers, struct err *err);
void readers_give(struct readers *readers, struct store_conn *conn);

#endif
