#include "holds.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define HOLD_MAX_NS (2 * CLOCK_NS_PER_S)

struct store_hold {
	atomic_uint n_refs;
	struct holds *holds;
	struct store_conn *conn;
	struct store_job job; /* for its deadline */
};

struct holds *holds_new(const char *path, const struct conn_limits *limits)
{
	size_t n = strlen(path) + 1;
	struct holds *holds = calloc(1, sizeof(*holds) + n);
	if (!holds)
		return NULL;
	atomic_init(&holds->n_refs, 1);
	pthread_mutex_init(&holds->lock, NULL);
	holds->limits = *limits;
	memcpy(holds->path, path, n);
	return holds;
}

static void let_go(struct holds *holds)
{
	if (atomic_fetch_sub(&holds->n_refs, 1) > 1)
		return;
	conn_close(holds->spare);
	pthread_mutex_destroy(&holds->lock);
	free(holds);
}

void holds_close(struct holds *holds)
{
	if (!holds)
		return;
	pthread_mutex_lock(&holds->lock);
	struct store_conn *spare = holds->spare;
	holds->spare = NULL;
	holds->is_closed = true;
	pthread_mutex_unlock(&holds->lock);
	conn_close(spare);
	let_go(holds);
}

/* A connection: the spare one, or a new one when there may be another. */
static struct store_conn *take_conn(struct holds *holds)
{
	struct err err;
	pthread_mutex_lock(&holds->lock);
	bool may_hold = holds->n_held < STORE_HOLDS_MAX;
	struct store_conn *conn = may_hold ? holds->spare : NULL;
	if (conn)
		holds->spare = NULL;
	holds->n_held += may_hold;
	pthread_mutex_unlock(&holds->lock);
	if (conn || !may_hold ||
		conn_open(holds->path, CONN_READER, &holds->limits, &conn, &err) == 0)
		return conn;
	pthread_mutex_lock(&holds->lock);
	holds->n_held--;
	pthread_mutex_unlock(&holds->lock);
	return NULL;
}

static void give_conn(struct holds *holds, struct store_conn *conn)
{
	pthread_mutex_lock(&holds->lock);
	holds->n_held--;
	if (!holds->is_closed && !holds->spare) {
		holds->spare = conn;
		conn = NULL;
	}
	pthread_mutex_unlock(&holds->lock);
	conn_close(conn);
}

struct store_hold *store_hold_new(struct store *store)
{
	struct holds *holds = store_holds(store);
	struct store_conn *conn = take_conn(holds);
	struct store_hold *hold = conn ? calloc(1, sizeof(*hold)) : NULL;
	if (!hold) {
		if (conn)
			give_conn(holds, conn);
		return NULL;
	}
	atomic_init(&hold->n_refs, 1);
	atomic_fetch_add(&holds->n_refs, 1);
	hold->holds = holds;
	hold->conn = conn;
	hold->job.deadline_ns = clock_mono_ns() + HOLD_MAX_NS;
	conn_begin_job(conn, &hold->job, true);
	if (conn_begin(conn) == STORE_OK && conn_take_snapshot(conn) == STORE_OK)
		return hold;
	store_hold_unref(hold);
	return NULL;
}

struct store_hold *store_hold_ref(struct store_hold *hold)
{
	atomic_fetch_add(&hold->n_refs, 1);
	return hold;
}

void store_hold_unref(struct store_hold *hold)
{
	if (!hold || atomic_fetch_sub(&hold->n_refs, 1) > 1)
		return;
	struct holds *holds = hold->holds;
	conn_end_job(hold->conn, &hold->job, STORE_OK);
	conn_rollback(hold->conn);
	give_conn(holds, hold->conn);
	free(hold);
	let_go(holds);
}

struct store_conn *store_hold_conn(struct store_hold *hold)
{
	return hold->conn;
}
