/*
 * timers.h - the loop's timers, soonest first: a binary heap that knows where each timer is
 *
 * Each running timer holds its own place, so that stopping or moving one costs O(log n) and no
 * search. Threads: none inside. Memory: the heap owns its array of pointers, never the timers.
 */
#ifndef LOOP_TIMERS_H
#define LOOP_TIMERS_H

#include "loop.h"

struct timers {
	struct loop_timer **heap;
	uint32_t n, cap;
};

void timers_fini(struct timers *timers);
/* Puts a timer that is not in the heap into it. Returns 0, or -1 (ERR_NOMEM). */
int timers_add(struct timers *timers, struct loop_timer *timer, struct err *err);
/* Restores the order after the deadline of a timer in the heap has changed. */
void timers_move(struct timers *timers, struct loop_timer *timer);
void timers_remove(struct timers *timers, struct loop_timer *timer);
/* The timer that fires next, or NULL. */
struct loop_timer *timers_first(const struct timers *timers);

#endif
