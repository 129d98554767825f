/*
 * readers.c - see readers.h
 */
#include "readers.h"

#include <assert.h>
#include <stdlib.h>

#define WAITING_MAX 1024 /* reads of one database that wait for their turn */

int readers_init(struct readers *readers, const char *path, const struct conn_limits *limits,
	unsigned limit, struct err *err)
{
	*readers = (struct readers){ .path = path, .limits = *limits, .limit = limit };
	pthread_mutex_init(&readers->lock, NULL);
	readers->free_conns = calloc(limit, sizeof(struct store_conn *));
	return readers->free_conns ? 0 : ERR_SET(err, ERR_NOMEM, "no memory for readers");
}

void readers_fini(struct readers *readers)
{
	assert(!readers->n_running && !readers->n_waiting);
	for (unsigned i = 0; i < readers->n_free; i++)
		conn_close(readers->free_conns[i]);
	free(readers->free_conns);
	pthread_mutex_destroy(&readers->lock);
}

enum readers_turn readers_enter(struct readers *readers, struct executor_job *job)
{
	enum readers_turn turn = READERS_GO;
	pthread_mutex_lock(&readers->lock);
	if (readers->n_running < readers->limit) {
		readers->n_running++;
	} else if (readers->n_waiting < WAITING_MAX) {
		turn = READERS_WAIT;
		job->next = NULL;
		if (readers->n_waiting++)
			readers->last->next = job;
		else
			readers->first = job;
		readers->last = job;
	} else {
		turn = READERS_FULL;
	}
	pthread_mutex_unlock(&readers->lock);
	return turn;
}

struct executor_job *readers_leave(struct readers *readers)
{
	struct executor_job *next = NULL;
	pthread_mutex_lock(&readers->lock);
	if (readers->n_waiting) {
		next = readers->first;
		readers->first = next->next;
		readers->n_waiting--;
	} else {
		readers->n_running--;
	}
	pthread_mutex_unlock(&readers->lock);
	return next;
}

struct store_conn *readers_take(struct readers *readers, struct err *err)
{
	struct store_conn *conn = NULL;
	pthread_mutex_lock(&readers->lock);
	if (readers->n_free)
		conn = readers->free_conns[--readers->n_free];
	pthread_mutex_unlock(&readers->lock);
	if (!conn && conn_open(readers->path, CONN_READER, &readers->limits, &conn, err) < 0)
		return NULL;
	return conn;
}

void readers_give(struct readers *readers, struct store_conn *conn)
{
	pthread_mutex_lock(&readers->lock);
	readers->free_conns[readers->n_free++] = conn;
	pthread_mutex_unlock(&readers->lock);
}
