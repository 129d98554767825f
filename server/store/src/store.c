/*
 * store.c - what runs when: the writer's batches, the pool of readers, the loops' own readers
 *
 *   jobs of all loops ──▶ serial queue ──▶ BEGIN                      one transaction, one fsync
 *                                          SAVEPOINT · job 1 · RELEASE
 *                                          SAVEPOINT · job 2 · ROLLBACK TO, RELEASE   (refused)
 *                                          ...
 *                                          COMMIT ──▶ done of each, on its loop
 *
 * While COMMIT waits for the disk, new jobs gather: the batch adapts to the disk by itself.
 */
#include "store.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "holds.h"
#include "readers.h"

#define BATCH_MAX       256     /* jobs of one transaction: bounds the wait of the first */
#define READ_NOW_MAX_NS 1000000 /* 1 ms: what a loop may be kept from its other calls */

/* A loop's own connection, opened when a read of that loop first passes by. It keeps its snapshot
 * until something was committed: taking one costs two locks of the file, more than reading a row.
 * But a snapshot that an idle loop keeps would stop the log from being cut, so the writer ends it
 * before a checkpoint; that, and nothing else, is what the lock is for. */
struct loop_reader {
	pthread_mutex_t lock;
	struct store_conn *conn;
	bool has_snapshot;
	uint64_t generation; /* of the snapshot, or an older one */
};

struct store {
	char *path;
	struct conn_limits limits;
	struct executor *executor;
	struct executor_serial *writer_queue;
	struct store_conn *writer; /* only inside run_batch, and at open and close */

	struct readers readers;
	struct holds *holds;

	struct loop_reader *loop_readers; /* n_loops of them */
	unsigned n_loops;
	_Atomic uint64_t generation; /* counts commits: tells a snapshot from a newer one */
	_Atomic uint64_t n_begun;    /* generation, and one more while a commit is under way */

	_Atomic uint64_t n_writes, n_commits, n_reads, n_busy, commit_ns_total;
	_Atomic unsigned write_queue;
};

static struct store_job *job_of(struct executor_job *job)
{
	return (struct store_job *)(void *)((char *)job - offsetof(struct store_job, job));
}

static void deliver_done(struct loop_message *message)
{
	struct store_job *job =
		(struct store_job *)(void *)((char *)message - offsetof(struct store_job, message));
	job->done(job);
}

/* The last touch: the owner may free the job before this returns. */
static void finish(struct store_job *job)
{
	if (!job->loop) {
		job->done(job);
		return;
	}
	job->message.deliver = deliver_done;
	loop_post(job->loop, &job->message);
}

static void refuse_busy(struct store *store, struct store_job *job)
{
	atomic_fetch_add_explicit(&store->n_busy, 1, memory_order_relaxed);
	job->outcome = STORE_BUSY;
	job->done(job);
}

/* ---- the writer ---- */

static enum store_outcome commit(struct store *store)
{
	uint64_t start = clock_mono_ns();
	atomic_fetch_add_explicit(&store->n_begun, 1, memory_order_seq_cst);
	enum store_outcome outcome = conn_commit(store->writer);
	atomic_fetch_add_explicit(
		&store->commit_ns_total, clock_mono_ns() - start, memory_order_relaxed);
	if (outcome == STORE_OK)
		atomic_fetch_add_explicit(&store->n_commits, 1, memory_order_relaxed);
	/* Before anybody is told of the commit, so that he reads what he wrote. */
	atomic_fetch_add_explicit(&store->generation, 1, memory_order_release);
	return outcome;
}

static void end_snapshot(struct loop_reader *reader)
{
	if (reader->has_snapshot)
		conn_rollback(reader->conn);
	reader->has_snapshot = false;
}

static void checkpoint(struct store *store)
{
	if (!conn_wants_checkpoint(store->writer))
		return;
	for (unsigned i = 0; i < store->n_loops; i++) {
		pthread_mutex_lock(&store->loop_readers[i].lock);
		end_snapshot(&store->loop_readers[i]);
		pthread_mutex_unlock(&store->loop_readers[i].lock);
	}
	conn_checkpoint(store->writer, false);
	/* A loop that finds its reader's lock taken reads on the executor; what that reads ends by
	 * itself. */
	for (unsigned i = 0; i < store->n_loops; i++) {
		pthread_mutex_lock(&store->loop_readers[i].lock);
		end_snapshot(&store->loop_readers[i]);
	}
	conn_restart_log(store->writer);
	for (unsigned i = 0; i < store->n_loops; i++)
		pthread_mutex_unlock(&store->loop_readers[i].lock);
}

/* One job in a transaction of its own. */
static void run_alone(struct store *store, struct store_job *job)
{
	struct store_conn *conn = store->writer;
	job->err = (struct err){ 0 };
	conn_begin_job(conn, job, job->alone);
	enum store_outcome outcome = conn_begin(conn);
	if (outcome == STORE_OK)
		outcome = job->run(job, conn);
	/* The commit is not the job's to interrupt any more, and runs with our own rights. */
	conn_end_job(conn, job, outcome);
	if (outcome == STORE_OK) {
		conn_begin_job(conn, job, false);
		conn_end_job(conn, job, commit(store));
	}
	conn_rollback(conn);
}

/* One job inside the shared transaction. Returns false when the transaction is lost. */
static bool run_in_savepoint(struct store_conn *conn, struct store_job *job)
{
	job->err = (struct err){ 0 };
	conn_begin_job(conn, job, false);
	if (store_savepoint(conn, "job") != STORE_OK)
		return false;
	enum store_outcome outcome = job->run(job, conn);
	conn_end_job(conn, job, outcome);
	if (!conn_in_transaction(conn))
		return false;
	if (outcome != STORE_OK && store_rollback_to(conn, "job") != STORE_OK)
		return false;
	return store_release(conn, "job") == STORE_OK;
}

/* Several jobs in one transaction. When it fails as a whole, nobody knows whose fault it was, so
 * each runs again by itself and gets an outcome of its own. */
static void run_shared(struct store *store, struct executor_job *jobs)
{
	struct store_conn *conn = store->writer;
	bool is_whole = conn_begin(conn) == STORE_OK;
	for (struct executor_job *job = jobs; job && is_whole; job = job->next)
		is_whole = run_in_savepoint(conn, job_of(job));
	if (is_whole && commit(store) == STORE_OK)
		return;
	conn_rollback(conn);
	for (struct executor_job *job = jobs; job; job = job->next)
		run_alone(store, job_of(job));
}

/* Cuts the jobs that can share a transaction off the front of the list. */
static struct executor_job *cut_group(struct executor_job *jobs)
{
	struct executor_job *last = jobs;
	if (!job_of(jobs)->alone)
		while (last->next && !job_of(last->next)->alone)
			last = last->next;
	struct executor_job *rest = last->next;
	last->next = NULL;
	return rest;
}

static void run_batch(void *context, struct executor_job *jobs)
{
	struct store *store = context;
	while (jobs) {
		struct executor_job *rest = cut_group(jobs);
		if (jobs->next)
			run_shared(store, jobs);
		else
			run_alone(store, job_of(jobs));
		while (jobs) {
			struct executor_job *next = jobs->next;
			struct store_job *job = job_of(jobs);
			if (job->outcome == STORE_OK && job->committed)
				job->committed(job);
			atomic_fetch_add_explicit(&store->n_writes, 1, memory_order_relaxed);
			atomic_fetch_sub_explicit(&store->write_queue, 1, memory_order_relaxed);
			finish(job);
			jobs = next;
		}
		jobs = rest;
	}
	checkpoint(store);
}

void store_write(struct store *store, struct store_job *job)
{
	job->store = store;
	job->generation = UINT64_MAX;
	atomic_init(&job->is_cancelled, false);
	atomic_fetch_add_explicit(&store->write_queue, 1, memory_order_relaxed);
	if (executor_serial_submit(store->writer_queue, &job->job) == EXECUTOR_OK)
		return;
	atomic_fetch_sub_explicit(&store->write_queue, 1, memory_order_relaxed);
	refuse_busy(store, job);
}

/* ---- the readers ---- */

/* So that the next store_read_now of this loop finds a connection. Not having one is no fault. */
static void open_loop_reader(struct store *store, const struct loop *loop)
{
	if (!loop || loop_index(loop) >= store->n_loops)
		return;
	struct loop_reader *reader = &store->loop_readers[loop_index(loop)];
	struct err err;
	/* The loop waits for it at most once; it asked for a read that takes longer anyway. */
	pthread_mutex_lock(&reader->lock);
	if (!reader->conn)
		conn_open(store->path, CONN_READER, &store->limits, &reader->conn, &err);
	pthread_mutex_unlock(&reader->lock);
}

/* Lets the next of those that wait for this database have its turn on the lane: behind what other
 * databases have queued there. */
static void pass_turn(struct store *store)
{
	struct executor_job *next;
	while ((next = readers_leave(&store->readers))) {
		if (executor_submit(store->executor, EXECUTOR_READ, next) == EXECUTOR_OK)
			return;
		atomic_fetch_add_explicit(&store->n_busy, 1, memory_order_relaxed);
		job_of(next)->outcome = STORE_BUSY;
		finish(job_of(next));
	}
}

static void run_read(struct executor_job *executor_job)
{
	struct store_job *job = job_of(executor_job);
	struct store *store = job->store;
	job->err = (struct err){ 0 };
	job->outcome = STORE_FAULT;
	struct store_conn *conn = readers_take(&store->readers, &job->err);
	if (conn) {
		conn_begin_job(conn, job, true);
		job->generation = atomic_load_explicit(&store->generation, memory_order_seq_cst);
		enum store_outcome outcome = conn_begin(conn);
		if (outcome == STORE_OK)
			outcome = job->run(job, conn);
		conn_end_job(conn, job, outcome);
		conn_rollback(conn);
		readers_give(&store->readers, conn);
		atomic_fetch_add_explicit(&store->n_reads, 1, memory_order_relaxed);
		open_loop_reader(store, job->loop);
	}
	pass_turn(store);
	finish(job);
}

void store_read(struct store *store, struct store_job *job)
{
	job->store = store;
	job->job.run = run_read;
	atomic_init(&job->is_cancelled, false);
	enum readers_turn turn = readers_enter(&store->readers, &job->job);
	if (turn == READERS_WAIT)
		return;
	if (turn == READERS_GO) {
		if (executor_submit(store->executor, EXECUTOR_READ, &job->job) == EXECUTOR_OK)
			return;
		pass_turn(store);
	}
	refuse_busy(store, job);
}

/* Makes sure that the reader's snapshot has all that was committed so far. */
static enum store_outcome take_snapshot(struct store *store, struct loop_reader *reader)
{
	uint64_t generation = atomic_load_explicit(&store->generation, memory_order_acquire);
	if (reader->has_snapshot && reader->generation == generation)
		return STORE_OK;
	end_snapshot(reader);
	enum store_outcome outcome = conn_begin(reader->conn);
	reader->has_snapshot = outcome == STORE_OK;
	reader->generation = generation;
	return outcome;
}

enum store_outcome store_read_now(struct store *store, struct loop *loop, struct store_job *job)
{
	if (loop_index(loop) >= store->n_loops)
		return STORE_BUSY;
	struct loop_reader *reader = &store->loop_readers[loop_index(loop)];
	/* Held by another thread only while that opens or ends a snapshot: then rather ask it. */
	if (pthread_mutex_trylock(&reader->lock) != 0)
		return STORE_BUSY;
	if (!reader->conn) {
		pthread_mutex_unlock(&reader->lock);
		return STORE_BUSY;
	}
	job->store = store;
	job->err = (struct err){ 0 };
	job->deadline_ns = clock_mono_ns() + READ_NOW_MAX_NS;
	atomic_init(&job->is_cancelled, false);
	conn_begin_job(reader->conn, job, true);
	enum store_outcome outcome = take_snapshot(store, reader);
	job->generation = UINT64_MAX; /* the snapshot may be newer than its number says */
	if (outcome == STORE_OK)
		outcome = job->run(job, reader->conn);
	conn_end_job(reader->conn, job, outcome);
	if (outcome == STORE_FAULT)
		end_snapshot(reader);
	pthread_mutex_unlock(&reader->lock);
	atomic_fetch_add_explicit(&store->n_reads, 1, memory_order_relaxed);
	return outcome;
}

/* Nothing was being committed when the job began (its generation is that of n_begun) and nothing
 * has begun to be until now, when the snapshot stands: so it is the state after that many commits.
 */
bool store_state(struct store_conn *conn, uint64_t *ret)
{
	const struct store_job *job = conn_job(conn);
	if (!job || job->generation == UINT64_MAX || conn_take_snapshot(conn) != STORE_OK)
		return false;
	*ret = job->generation;
	return atomic_load_explicit(&job->store->n_begun, memory_order_seq_cst) == job->generation;
}

void store_cancel(struct store_job *job)
{
	atomic_store_explicit(&job->is_cancelled, true, memory_order_relaxed);
}

/* ---- opening ---- */

int store_open(const struct store_config *config, struct executor *executor, struct store **ret,
	struct err *err)
{
	DEFER(store_close) struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return ERR_SET(err, ERR_NOMEM, "no memory for a store");
	store->executor = executor;
	store->n_loops = config->n_loops;
	store->path = strdup(config->path);
	store->limits = (struct conn_limits){ config->size_limit_bytes, config->cache_kib };
	store->loop_readers = calloc(store->n_loops + 1u, sizeof(store->loop_readers[0]));
	if (readers_init(&store->readers, store->path, &store->limits,
		    config->n_readers ? config->n_readers : 1, err) < 0)
		return -1;
	if (store->path)
		store->holds = holds_new(store->path, &store->limits);
	if (!store->path || !store->loop_readers || !store->holds)
		return ERR_SET(err, ERR_NOMEM, "no memory for a store");
	for (unsigned i = 0; i < store->n_loops; i++)
		pthread_mutex_init(&store->loop_readers[i].lock, NULL);

	if (conn_open(store->path, CONN_WRITER, &store->limits, &store->writer, err) < 0)
		return -1;
	if (config->on_open && config->on_open(store->writer, config->on_open_context, err) < 0)
		return -1;
	struct store_job nobody = { 0 };
	conn_end_job(store->writer, &nobody, STORE_OK); /* the statements that on_open used */
	if (executor_serial_new(executor, EXECUTOR_WRITE, config->write_queue_limit, BATCH_MAX,
		    run_batch, store, &store->writer_queue, err) < 0)
		return -1;
	*ret = store;
	store = NULL; /* handed over */
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	executor_serial_free(store->writer_queue);
	for (unsigned i = 0; store->loop_readers && i < store->n_loops; i++) {
		conn_close(store->loop_readers[i].conn);
		pthread_mutex_destroy(&store->loop_readers[i].lock);
	}
	readers_fini(&store->readers);
	holds_close(store->holds);
	if (store->writer)
		conn_checkpoint(store->writer, true);
	conn_close(store->writer);
	free(store->loop_readers);
	free(store->path);
	free(store);
}

struct holds *store_holds(struct store *store)
{
	return store->holds;
}

void store_stats(const struct store *store, struct store_stats *ret)
{
	*ret = (struct store_stats){
		.n_writes = atomic_load_explicit(&store->n_writes, memory_order_relaxed),
		.n_commits = atomic_load_explicit(&store->n_commits, memory_order_relaxed),
		.n_reads = atomic_load_explicit(&store->n_reads, memory_order_relaxed),
		.n_busy = atomic_load_explicit(&store->n_busy, memory_order_relaxed),
		.commit_ns_total =
			atomic_load_explicit(&store->commit_ns_total, memory_order_relaxed),
		.write_queue = atomic_load_explicit(&store->write_queue, memory_order_relaxed),
	};
}
