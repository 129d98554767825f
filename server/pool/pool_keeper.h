/*
 * pool_keeper.h - the keeper's side of the pool: instances are started, switched in, drained, ended
 *
 *   pool_instance_start -> on_ready -> pool_instance_probe -> pool_switch -> ... calls ...
 *   pool_switch (the next one) -> pool_instance_drain -> on_exit -> gone
 *
 * Ring 0 of every segment is the keeper's own; ring i + 1 is that of loop i. What a loop needs to
 * know is posted to it, and it posts back when it has done it.
 *
 * Threads: all functions and callbacks on the keeper's loop, but pool_new and pool_free, which are
 *          called before the loops run and after they have ended.
 * Memory:  an instance belongs to the pool; it is freed by itself once its worker is gone and every
 *          loop has let go of it, and must not be named any more after on_exit.
 */
#ifndef POOL_POOL_KEEPER_H
#define POOL_POOL_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "gate.h"
#include "log.h"
#include "loop.h"
#include "plugin.h"
#include "pool.h"
#include "spawner.h"

/* Rings of a segment but the keeper's. */
#define POOL_LOOPS_MAX 7

struct pool_config {
	struct loop *const *loops; /* n_loops of them, at most POOL_LOOPS_MAX; not running yet */
	unsigned n_loops;
	struct loop *keeper;
	struct gate *gate;
	/* Loop i appends to lane i, the keeper to lane n_loops. */
	struct audit *audit;
};

/* Returns 0 and a pool to free, or -1. */
int pool_new(const struct pool_config *config, struct pool **ret, struct err *err);
/* After the loops have ended. Takes NULL. */
void pool_free(struct pool *pool);

/* Instances that have not been freed yet. */
unsigned pool_n_instances(const struct pool *pool);
/* No instance is left, and no loop has a switch to make: nothing is on its way to a loop or back.
 */
bool pool_is_quiet(const struct pool *pool);
/* Called on the keeper each time an instance has been freed. */
void pool_on_freed(struct pool *pool, void (*on_freed)(void *context), void *context);

/* ---- what was counted, by loop; each loop writes its own, any thread reads ---- */
struct pool_counters {
	_Atomic uint64_t n_calls, n_failed, n_deadline, n_crashed, n_busy, n_cancelled;
	_Atomic uint64_t n_requests, n_denied, n_violations, call_ns;
	_Atomic uint64_t n_in_flight;
	char fill[40]; /* two cache lines, so that loops do not share one */
};

/* ---- instances ---- */
struct pool_instance;

struct pool_end {
	bool was_ready;
	bool was_asked; /* drained or killed because it was replaced or disabled */
	bool was_late;  /* killed because it did not answer, or a call did not return */
	bool was_poisoned;
	const struct spawn_exit *exit;
	char reason[232]; /* for people: "load failed: ...", "killed by signal 11 (SIGSEGV)" */
};

struct pool_instance_spec {
	const char *tenant;                   /* copied */
	struct store *store;                  /* of the tenant; may be NULL (self-test) */
	struct plugin_version *version;       /* a reference is taken */
	const struct plugin_granted *granted; /* copied */
	uint32_t generation;
	int plugin_fd; /* sealed memfd; the caller closes it */
	bool is_selftest;
	struct pool_counters *counters; /* n_loops + 1 of them; outlive the instance */
	void *context;
	/* The plugin is loaded and created. */
	void (*on_ready)(void *context, struct pool_instance *instance);
	/* The worker is gone. Calls in it are being answered with POOL_CRASHED by their loops. */
	void (*on_exit)(void *context, struct pool_instance *instance, const struct pool_end *end);
	/* Every loop has let go; store may be given back. */
	void (*on_freed)(void *context);
};

/* Starts a worker; on_ready or on_exit follows within POOL_LOAD_MS. Returns 0 with the instance, or
 * -1 with nothing started and no callback. */
int pool_instance_start(struct pool *pool, struct spawn *spawn,
	const struct pool_instance_spec *spec, struct pool_instance **ret, struct err *err);

#define POOL_LOAD_MS  2000
#define POOL_PROBE_MS 1000

/* Asks the ready plugin's health() on the keeper's own ring; done with "" when it is well, else
 * with what it said. */
void pool_instance_probe(struct pool_instance *instance,
	void (*done)(void *context, const char *complaint), void *context);

/* Calls one of its routes on the keeper's own ring, where facades are refused: for the self-test.
 * Returns 0, or -1 when the instance is not ready; then done is not called. */
int pool_instance_call(
	struct pool_instance *instance, const struct plugin_route *route, struct pool_call *call);

/* Lets the calls in flight end, tells the plugin, and ends the worker: calls are cancelled after 30
 * s and the worker is killed after 35 s. The instance must have been switched out. on_exit follows.
 */
void pool_instance_drain(struct pool_instance *instance);
/* Ends the worker at once. on_exit follows. */
void pool_instance_kill(struct pool_instance *instance, const char *reason);

/* The same to each there is: the end of the server. */
void pool_kill_all(struct pool *pool, const char *reason);
/* Takes the workers of all instances for gone, so that every loop answers what waits for them: only
 * once spawn_close has returned, after which nobody else would say so. on_exit follows at once. */
void pool_lose_all(struct pool *pool);

int pool_instance_pid(const struct pool_instance *instance);
/* Resident memory from /proc, 0 when it cannot be read. */
uint64_t pool_instance_rss(const struct pool_instance *instance);

/* ---- switching ---- */
struct pool_switch {
	const char *tenant, *plugin; /* borrowed until pool_switch returns */
	/* Who serves from now on; NULL: nobody, and then these say why: */
	struct pool_instance *instance;
	struct plugin_version
		*version; /* whose hooks still guard writes; NULL: no hooks, no routes */
	/* Without a version: nobody knows which writes it guards, so it guards all of them. */
	bool are_hooks_unknown;
	const char *reason; /* for people; copied */
	unsigned retry_after_ms;
	/* Every loop has switched: no call that begins later goes to what was there before. */
	void (*done)(void *context);
	void *context;
};

/* Changes every loop's view. Returns 0, or -1 (ERR_NOMEM) with nothing changed and done not
 * called. */
int pool_switch(struct pool *pool, const struct pool_switch *to, struct err *err);

DEFER_DEFINE(struct pool *, pool_free)

#endif
