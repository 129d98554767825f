/*
 * A lane is one lock, one line of jobs and its threads. A serial queue puts a single job of its
 * own, the carrier, into the lane whenever jobs wait in it and the carrier is not there already.
 * After each batch the carrier goes to the back of the lane, so that one busy database cannot keep
 * the lane from the others. Carriers bypass the lane's limit: there is at most one for each queue.
 */
#include "executor.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
	struct executor_job *first, **end; /* end: where the next job's address goes */
};

struct lane {
	pthread_mutex_t lock;
	pthread_cond_t not_empty;
	struct line waiting;
	unsigned n_waiting, limit, n_idle;
	bool is_ending;
	atomic_uint load; /* n_waiting and those that run; read without the lock */
	unsigned n_threads;
	pthread_t *threads;
	char name[16];
};

struct executor {
	struct lane lanes[EXECUTOR_LANES];
};

struct executor_serial {
	struct executor_job carrier;
	struct lane *lane;
	pthread_mutex_t lock;
	pthread_cond_t is_idle;
	struct line waiting;
	atomic_uint n_waiting; /* written under the lock, read without */
	unsigned limit, max_batch;
	bool is_scheduled; /* the carrier is in the lane, or its batch runs */
	void (*run_batch)(void *context, struct executor_job *jobs);
	void *context;
};

static void line_init(struct line *line)
{
	line->first = NULL;
	line->end = &line->first;
}

static void line_append(struct line *line, struct executor_job *job)
{
	job->next = NULL;
	*line->end = job;
	line->end = &job->next;
}

static struct executor_job *line_take(struct line *line)
{
	struct executor_job *job = line->first;

	line->first = job->next;
	if (!line->first)
		line->end = &line->first;
	job->next = NULL;
	return job;
}

/* Puts a job into the lane. is_ours: a carrier, which neither limit nor ending refuses. */
static enum executor_result lane_append(struct lane *lane, struct executor_job *job, bool is_ours)
{
	pthread_mutex_lock(&lane->lock);
	if (!is_ours &&
		(lane->is_ending || lane->n_threads == 0 || lane->n_waiting >= lane->limit)) {
		pthread_mutex_unlock(&lane->lock);
		return EXECUTOR_FULL;
	}
	line_append(&lane->waiting, job);
	lane->n_waiting++;
	atomic_fetch_add_explicit(&lane->load, 1, memory_order_relaxed);
	if (lane->n_idle > 0)
		pthread_cond_signal(&lane->not_empty);
	pthread_mutex_unlock(&lane->lock);
	return EXECUTOR_OK;
}

static void *lane_run(void *argument)
{
	struct lane *lane = argument;

	pthread_mutex_lock(&lane->lock);
	for (;;) {
		while (lane->n_waiting == 0 && !lane->is_ending) {
			lane->n_idle++;
			pthread_cond_wait(&lane->not_empty, &lane->lock);
			lane->n_idle--;
		}
		if (lane->n_waiting == 0)
			break;
		struct executor_job *job = line_take(&lane->waiting);

		lane->n_waiting--;
		pthread_mutex_unlock(&lane->lock);
		job->run(job);
		atomic_fetch_sub_explicit(&lane->load, 1, memory_order_relaxed);
		pthread_mutex_lock(&lane->lock);
	}
	pthread_mutex_unlock(&lane->lock);
	return NULL;
}

static int lane_start(struct lane *lane, unsigned n_threads, struct err *err)
{
	sigset_t all, before;

	if (n_threads == 0)
		return 0;
	lane->threads = calloc(n_threads, sizeof *lane->threads);
	if (!lane->threads)
		return ERR_SET(err, ERR_NOMEM, "no memory for %u threads", n_threads);
	/* Signals are the main thread's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failure = 0;

	while (failure == 0 && lane->n_threads < n_threads) {
		failure = pthread_create(&lane->threads[lane->n_threads], NULL, lane_run, lane);
		if (failure == 0)
			pthread_setname_np(lane->threads[lane->n_threads++], lane->name);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure != 0)
		return ERR_SET(err, ERR_LIMIT, "cannot start thread %u of %u of lane %s: %s",
			lane->n_threads + 1, n_threads, lane->name, strerror(failure));
	return 0;
}

int executor_new(const struct executor_config *config, struct executor **ret, struct err *err)
{
	static const char *const names[EXECUTOR_LANES] = { "read", "file", "password", "write" };
	DEFER(executor_free) struct executor *executor = calloc(1, sizeof *executor);

	if (!executor)
		return ERR_SET(err, ERR_NOMEM, "no memory for the executor");
	for (int i = 0; i < EXECUTOR_LANES; i++) {
		struct lane *lane = &executor->lanes[i];

		pthread_mutex_init(&lane->lock, NULL);
		pthread_cond_init(&lane->not_empty, NULL);
		line_init(&lane->waiting);
		lane->limit = config->queue_limit[i];
		snprintf(lane->name, sizeof lane->name, "%s", names[i]);
	}
	for (int i = 0; i < EXECUTOR_LANES; i++)
		if (lane_start(&executor->lanes[i], config->n_threads[i], err) != 0)
			return -1;
	*ret = executor;
	executor = NULL; /* handed over */
	return 0;
}

void executor_free(struct executor *executor)
{
	if (!executor)
		return;
	/* All lanes end together: a job of one that submits to another is refused from here on. */
	for (int i = 0; i < EXECUTOR_LANES; i++) {
		struct lane *lane = &executor->lanes[i];

		pthread_mutex_lock(&lane->lock);
		lane->is_ending = true;
		pthread_cond_broadcast(&lane->not_empty);
		pthread_mutex_unlock(&lane->lock);
	}
	for (int i = 0; i < EXECUTOR_LANES; i++) {
		struct lane *lane = &executor->lanes[i];

		for (unsigned t = 0; t < lane->n_threads; t++)
			pthread_join(lane->threads[t], NULL);
		assert(lane->n_waiting == 0);
		free(lane->threads);
		pthread_cond_destroy(&lane->not_empty);
		pthread_mutex_destroy(&lane->lock);
	}
	free(executor);
}

enum executor_result executor_submit(
	struct executor *executor, enum executor_lane lane, struct executor_job *job)
{
	assert(lane < EXECUTOR_LANES && job->run);
	return lane_append(&executor->lanes[lane], job, false);
}

unsigned executor_load(const struct executor *executor, enum executor_lane lane)
{
	assert(lane < EXECUTOR_LANES);
	return atomic_load_explicit(&executor->lanes[lane].load, memory_order_relaxed);
}

/* Cuts the oldest jobs, at most max_batch, off the queue. */
static struct executor_job *serial_take_batch(struct executor_serial *serial)
{
	struct executor_job *first = serial->waiting.first, *last = first;
	unsigned n = 1;

	while (last->next && n < serial->max_batch) {
		last = last->next;
		n++;
	}
	serial->waiting.first = last->next;
	if (!last->next)
		serial->waiting.end = &serial->waiting.first;
	last->next = NULL;
	atomic_fetch_sub_explicit(&serial->n_waiting, n, memory_order_relaxed);
	return first;
}

static void serial_run(struct executor_job *carrier)
{
	struct executor_serial *serial = (struct executor_serial *)carrier; /* its first member */

	pthread_mutex_lock(&serial->lock);
	struct executor_job *batch = serial_take_batch(serial);

	pthread_mutex_unlock(&serial->lock);
	serial->run_batch(serial->context, batch);
	pthread_mutex_lock(&serial->lock);
	if (serial->waiting.first) {
		lane_append(serial->lane, carrier, true);
	} else {
		serial->is_scheduled = false;
		pthread_cond_signal(&serial->is_idle);
	}
	pthread_mutex_unlock(&serial->lock);
}

int executor_serial_new(struct executor *executor, enum executor_lane lane, unsigned queue_limit,
	unsigned max_batch, void (*run_batch)(void *context, struct executor_job *jobs),
	void *context, struct executor_serial **ret, struct err *err)
{
	assert(lane < EXECUTOR_LANES && executor->lanes[lane].n_threads > 0);
	assert(max_batch > 0 && run_batch);
	struct executor_serial *serial = calloc(1, sizeof *serial);

	if (!serial)
		return ERR_SET(err, ERR_NOMEM, "no memory for a serial queue");
	serial->carrier.run = serial_run;
	serial->lane = &executor->lanes[lane];
	pthread_mutex_init(&serial->lock, NULL);
	pthread_cond_init(&serial->is_idle, NULL);
	line_init(&serial->waiting);
	serial->limit = queue_limit;
	serial->max_batch = max_batch;
	serial->run_batch = run_batch;
	serial->context = context;
	*ret = serial;
	return 0;
}

void executor_serial_free(struct executor_serial *serial)
{
	if (!serial)
		return;
	pthread_mutex_lock(&serial->lock);
	while (serial->is_scheduled)
		pthread_cond_wait(&serial->is_idle, &serial->lock);
	pthread_mutex_unlock(&serial->lock);
	pthread_cond_destroy(&serial->is_idle);
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}

enum executor_result executor_serial_submit(
	struct executor_serial *serial, struct executor_job *job)
{
	pthread_mutex_lock(&serial->lock);
	if (atomic_load_explicit(&serial->n_waiting, memory_order_relaxed) >= serial->limit) {
		pthread_mutex_unlock(&serial->lock);
		return EXECUTOR_FULL;
	}
	line_append(&serial->waiting, job);
	atomic_fetch_add_explicit(&serial->n_waiting, 1, memory_order_relaxed);
	if (!serial->is_scheduled) {
		serial->is_scheduled = true;
		lane_append(serial->lane, &serial->carrier, true);
	}
	pthread_mutex_unlock(&serial->lock);
	return EXECUTOR_OK;
}

unsigned executor_serial_load(const struct executor_serial *serial)
{
	return atomic_load_explicit(&serial->n_waiting, memory_order_relaxed);
}
