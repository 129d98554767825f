/*
 * holds.h - the connections that holds of one store use, and one spare
 *
 * Threads: any. Memory: counted references, of the store and of each hold.
 */
#ifndef STORE_HOLDS_H
#define STORE_HOLDS_H

#include <pthread.h>
#include <stdatomic.h>

#include "driver.h"
#include "store_hold.h"

struct holds {
	atomic_uint n_refs;
	pthread_mutex_t lock; /* of all below */
	struct store_conn *spare;
	unsigned n_held;
	bool is_closed;
	struct conn_limits limits;
	char path[]; /* terminated */
};

struct holds *holds_new(const char *path, const struct conn_limits *limits);
/* The store closes: what is still held closes by itself. Takes NULL. */
void holds_close(struct holds *holds);
/* Of the store's; for store_hold_new. */
struct holds *store_holds(struct store *store);

#endif
