/*
 * fiber.h - functions that can stop in the middle and go on later, on one thread
 *
 * A fiber has a stack of its own with an unmapped page below it, so that an overflow is a fault of
 * this process and never a write into another fiber. Stacks are mapped when they are first needed
 * and kept for the next fiber: taking one on a warm path allocates nothing and maps nothing.
 *
 * Only the thread's own stack resumes fibers, and a fiber suspends to it; fibers do not resume each
 * other. Built with AddressSanitizer or ThreadSanitizer each switch is announced to it.
 *
 * Threads: a pool and its fibers belong to the thread that made it. Memory: the pool owns all
 * fibers.
 */
#ifndef FIBER_H
#define FIBER_H

#include <stddef.h>

#include "defer.h"
#include "err.h"

struct fiber;
struct fiber_pool;

#define FIBER_STACK_BYTES (256u << 10) /* only the pages that are used take memory */

/* A pool of at most max fibers at once. Returns 0 and a pool to free, or -1 (ERR_NOMEM). */
int fiber_pool_new(unsigned max, struct fiber_pool **ret, struct err *err);
/* Frees the pool and its stacks, suspended fibers too (they do not run again). Takes NULL. */
void fiber_pool_free(struct fiber_pool *pool);

/* A fiber that runs entry(argument) from its first fiber_resume() on. NULL when max are in use or
 * no memory is to be had. */
struct fiber *fiber_start(struct fiber_pool *pool, void (*entry)(void *argument), void *argument);

enum fiber_state {
	FIBER_SUSPENDED,
	FIBER_RETURNED /* the fiber is back in its pool: forget the pointer */
};

/* Runs the fiber until it suspends or its entry returns. */
enum fiber_state fiber_resume(struct fiber *fiber);
/* Called on the fiber itself: goes back to fiber_resume(), and returns at the next one. */
void fiber_suspend(struct fiber *fiber);

DEFER_DEFINE(struct fiber_pool *, fiber_pool_free)

#endif
