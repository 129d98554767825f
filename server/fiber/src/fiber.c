#include "fiber.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sanitize.h"
#include "switch.h"

#define GUARD_BYTES 4096u

struct fiber {
	struct fiber_pool *pool;
	struct fiber *next_free;
	struct fiber *next_all;
	char *mapping; /* guard page, then the stack */
	struct switch_place place, resumer;
	void (*entry)(void *argument);
	void *argument;
	bool is_running;
	enum fiber_state state;
	struct sanitize_side fiber_side, resumer_side;
};

struct fiber_pool {
	struct fiber *free, *all;
	unsigned n, max;
};

int fiber_pool_new(unsigned max, struct fiber_pool **ret, struct err *err)
{
	struct fiber_pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return ERR_SET(err, ERR_NOMEM, "no memory for a pool of fibers");
	pool->max = max;
	*ret = pool;
	return 0;
}

void fiber_pool_free(struct fiber_pool *pool)
{
	if (!pool)
		return;
	for (struct fiber *fiber = pool->all, *next; fiber; fiber = next) {
		next = fiber->next_all;
		assert(!fiber->is_running);
		sanitize_side_fini(&fiber->fiber_side);
		munmap(fiber->mapping, GUARD_BYTES + FIBER_STACK_BYTES);
		free(fiber);
	}
	free(pool);
}

static void switch_to_resumer(struct fiber *fiber, enum fiber_state state)
{
	fiber->state = state;
	sanitize_leave(&fiber->fiber_side, &fiber->resumer_side);
	switch_stacks(&fiber->place, &fiber->resumer);
	sanitize_arrive(&fiber->fiber_side, &fiber->resumer_side);
}

/* The place is made once; later uses of the same stack go on from the loop's top, so that starting
 * a fiber costs no more than resuming one. */
static void run(void *context)
{
	struct fiber *fiber = context;

	sanitize_arrive(&fiber->fiber_side, &fiber->resumer_side);
	for (;;) {
		fiber->entry(fiber->argument);
		switch_to_resumer(fiber, FIBER_RETURNED);
	}
}

static struct fiber *fiber_new(struct fiber_pool *pool)
{
	struct fiber *fiber = calloc(1, sizeof *fiber);

	if (!fiber)
		return NULL;
	fiber->mapping = mmap(NULL, GUARD_BYTES + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (fiber->mapping == MAP_FAILED) {
		free(fiber);
		return NULL;
	}
	if (mprotect(fiber->mapping, GUARD_BYTES, PROT_NONE) < 0) {
		munmap(fiber->mapping, GUARD_BYTES + FIBER_STACK_BYTES);
		free(fiber);
		return NULL;
	}
	switch_prepare(&fiber->place, fiber->mapping + GUARD_BYTES, FIBER_STACK_BYTES, run, fiber);
	fiber->pool = pool;
	sanitize_side_init(&fiber->fiber_side, fiber->mapping + GUARD_BYTES, FIBER_STACK_BYTES);
	fiber->next_all = pool->all;
	pool->all = fiber;
	pool->n++;
	return fiber;
}

struct fiber *fiber_start(struct fiber_pool *pool, void (*entry)(void *argument), void *argument)
{
	struct fiber *fiber = pool->free;

	if (fiber)
		pool->free = fiber->next_free;
	else if (pool->n < pool->max)
		fiber = fiber_new(pool);
	if (!fiber)
		return NULL;
	fiber->entry = entry;
	fiber->argument = argument;
	return fiber;
}

enum fiber_state fiber_resume(struct fiber *fiber)
{
	assert(!fiber->is_running && fiber->entry);
	fiber->is_running = true;
	sanitize_here(&fiber->resumer_side);
	sanitize_leave(&fiber->resumer_side, &fiber->fiber_side);
	switch_stacks(&fiber->resumer, &fiber->place);
	sanitize_arrive(&fiber->resumer_side, &fiber->fiber_side);
	fiber->is_running = false;
	if (fiber->state == FIBER_RETURNED) {
		fiber->entry = NULL;
		fiber->next_free = fiber->pool->free;
		fiber->pool->free = fiber;
		return FIBER_RETURNED;
	}
	return FIBER_SUSPENDED;
}

void fiber_suspend(struct fiber *fiber)
{
	assert(fiber->is_running);
	switch_to_resumer(fiber, FIBER_SUSPENDED);
}
