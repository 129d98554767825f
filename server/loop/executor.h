/*
 * executor.h - threads for work that may block, in lanes
 *
 * Loops never block; what may (SQL, files, password hashing) is a job on an executor lane. A lane
 * has its own threads and its own bounded queue, so that a flood of sign-ins cannot take the
 * threads that run SQL. A job runs once, to its end, on one of the lane's threads, and tells its
 * result by posting a message to the loop that asked (loop_post).
 *
 * A serial queue is a line of jobs on a lane of which at most one runs at a time, in order: a
 * database's writer is one. It costs no thread of its own.
 *
 * Threads: submit and load from any thread; new and free on the one that owns the executor.
 * Memory:  jobs live inside their owner's own structs.
 */
#ifndef LOOP_EXECUTOR_H
#define LOOP_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "defer.h"
#include "err.h"

struct executor;

enum executor_lane {
	EXECUTOR_READ, /* of databases */
	EXECUTOR_FILE,
	EXECUTOR_PASSWORD,
	EXECUTOR_WRITE, /* to databases: a slow read keeps no write waiting */
	EXECUTOR_LANES
};

struct executor_config {
	unsigned n_threads[EXECUTOR_LANES];   /* a lane without threads takes no job */
	unsigned queue_limit[EXECUTOR_LANES]; /* jobs that wait; more is EXECUTOR_FULL */
};

struct executor_job {
	void (*run)(struct executor_job *job); /* may free the job */
	/* the executor's own */
	struct executor_job *next;
};

enum executor_result {
	EXECUTOR_OK,
	EXECUTOR_FULL /* the queue is at its limit or ending; nothing was taken: answer 503 or 429
		       */
};

/* Starts the threads. Returns 0 and an executor to free, or -1 (ERR_NOMEM, ERR_IO). */
int executor_new(const struct executor_config *config, struct executor **ret, struct err *err);
/* Runs what is queued, then ends the threads; jobs submitted from now on are refused. Its serial
 * queues must have been freed. Takes NULL. */
void executor_free(struct executor *executor);

enum executor_result executor_submit(
	struct executor *executor, enum executor_lane lane, struct executor_job *job);
/* Jobs that wait or run in a lane now, for admission and metrics. A serial queue counts as one. */
unsigned executor_load(const struct executor *executor, enum executor_lane lane);

/* ---- a serial queue on a lane ---- */
struct executor_serial;

/* run_batch is called on a lane thread with all the jobs that were waiting (linked by next, oldest
 * first, at most max_batch of them), never two calls at a time. It owns them from then on; their
 * own run is not called and may be NULL. The lane must have threads.
 * Returns 0 and a queue to free, or -1 (ERR_NOMEM). */
int executor_serial_new(struct executor *executor, enum executor_lane lane, unsigned queue_limit,
	unsigned max_batch, void (*run_batch)(void *context, struct executor_job *jobs),
	void *context, struct executor_serial **ret, struct err *err);
/* Waits until what was queued has run. Not from a lane thread. Takes NULL. */
void executor_serial_free(struct executor_serial *serial);
enum executor_result executor_serial_submit(
	struct executor_serial *serial, struct executor_job *job);
/* Jobs that wait in this queue now; those of the batch that runs are not among them. */
unsigned executor_serial_load(const struct executor_serial *serial);

DEFER_DEFINE(struct executor *, executor_free)
DEFER_DEFINE(struct executor_serial *, executor_serial_free)

#endif
