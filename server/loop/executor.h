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
 * Threads: submit from any thread. Memory: jobs live inside their owner's own structs.
 */
#ifndef LOOP_EXECUTOR_H
#define LOOP_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "defer.h"
#include "err.h"

struct executor;

enum executor_lane { EXECUTOR_SQL, EXECUTOR_FILE, EXECUTOR_PASSWORD, EXECUTOR_LANES };

struct executor_config {
	unsigned n_threads[EXECUTOR_LANES];
	unsigned queue_limit[EXECUTOR_LANES]; /* jobs that wait; more is EXECUTOR_FULL */
};

struct executor_job {
	void (*run)(struct executor_job *job); /* may free the job */
	/* the executor's own */
	struct executor_job *next;
};

enum executor_result {
	EXECUTOR_OK,
	EXECUTOR_FULL /* the lane's queue is at its limit; nothing was taken: answer 503 or 429 */
};

int executor_new(const struct executor_config *config, struct executor **ret, struct err *err);
/* Runs what is queued, then ends the threads. Takes NULL. */
void executor_free(struct executor *executor);

enum executor_result executor_submit(
	struct executor *executor, enum executor_lane lane, struct executor_job *job);
/* Jobs that wait or run in a lane now, for admission and metrics. */
unsigned executor_load(const struct executor *executor, enum executor_lane lane);

/* ---- a serial queue on a lane ---- */
struct executor_serial;

/* run_batch is called on a lane thread with all the jobs that were waiting (linked by next, oldest
 * first, at most max_batch of them), never two calls at a time. It owns them from then on. */
int executor_serial_new(struct executor *executor, enum executor_lane lane, unsigned queue_limit,
	unsigned max_batch, void (*run_batch)(void *context, struct executor_job *jobs),
	void *context, struct executor_serial **ret, struct err *err);
/* Waits until what was queued has run. Takes NULL. */
void executor_serial_free(struct executor_serial *serial);
enum executor_result executor_serial_submit(
	struct executor_serial *serial, struct executor_job *job);

DEFER_DEFINE(struct executor *, executor_free)
DEFER_DEFINE(struct executor_serial *, executor_serial_free)

#endif
