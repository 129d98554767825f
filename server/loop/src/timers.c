#include "timers.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAP 64u

static void put(struct timers *timers, uint32_t at, struct loop_timer *timer)
{
	timers->heap[at] = timer;
	timer->heap_slot = at + 1;
}

static void rise(struct timers *timers, uint32_t at)
{
	struct loop_timer *timer = timers->heap[at];

	while (at > 0) {
		uint32_t parent = (at - 1) / 2;

		if (timers->heap[parent]->deadline_ns <= timer->deadline_ns)
			break;
		put(timers, at, timers->heap[parent]);
		at = parent;
	}
	put(timers, at, timer);
}

static void sink(struct timers *timers, uint32_t at)
{
	struct loop_timer *timer = timers->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= timers->n)
			break;
		if (child + 1 < timers->n &&
			timers->heap[child + 1]->deadline_ns < timers->heap[child]->deadline_ns)
			child++;
		if (timer->deadline_ns <= timers->heap[child]->deadline_ns)
			break;
		put(timers, at, timers->heap[child]);
		at = child;
	}
	put(timers, at, timer);
}

void timers_fini(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){ 0 };
}

int timers_add(struct timers *timers, struct loop_timer *timer, struct err *err)
{
	assert(timer->heap_slot == 0);
	if (timers->n == timers->cap) {
		/* Half of the slots' range, so that 2 * at + 1 cannot wrap. */
		if (timers->cap > UINT32_MAX / 4)
			return ERR_SET(err, ERR_LIMIT, "too many timers");
		uint32_t cap = timers->cap ? timers->cap * 2 : FIRST_CAP;
		void *grown = realloc(timers->heap, cap * sizeof(struct loop_timer *));

		if (!grown)
			return ERR_SET(err, ERR_NOMEM, "no memory for %u timers", cap);
		timers->heap = grown;
		timers->cap = cap;
	}
	timers->heap[timers->n] = timer;
	rise(timers, timers->n++);
	return 0;
}

void timers_move(struct timers *timers, struct loop_timer *timer)
{
	assert(timer->heap_slot > 0 && timers->heap[timer->heap_slot - 1] == timer);
	rise(timers, timer->heap_slot - 1);
	sink(timers, timer->heap_slot - 1);
}

void timers_remove(struct timers *timers, struct loop_timer *timer)
{
	uint32_t at = timer->heap_slot - 1;

	assert(timer->heap_slot > 0 && timers->heap[at] == timer);
	timer->heap_slot = 0;
	timers->n--;
	if (at == timers->n)
		return;
	struct loop_timer *last = timers->heap[timers->n];

	put(timers, at, last);
	timers_move(timers, last);
}

struct loop_timer *timers_first(const struct timers *timers)
{
	return timers->n > 0 ? timers->heap[0] : NULL;
}
