/*
 * loop.h - one thread's event loop: descriptors, timers, and a mailbox that other threads write to
 *
 * A loop owns everything that happens on its thread: connections, calls, per-loop views. Other
 * threads reach it in one way only: they post a message, which the loop delivers on its own thread.
 * The mailbox is an intrusive multi-producer list; its eventfd is written only when the loop
 * sleeps.
 *
 *   iteration:  deliver messages -> fire timers -> run hooks -> sleep in epoll_wait until the next
 *               timer, hook timeout or wake-up -> call the ready watches -> again
 *
 * Threads: loop_post, loop_stop, loop_index, loop_is_current and loop_take_longest_stall_ns from
 * any thread; everything else on the loop's own thread, or while it does not run. Memory:  watches,
 * timers, hooks and messages live inside their owner's own structs and must outlive their
 * registration; the loop allocates nothing per event.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "defer.h"
#include "err.h"
#include "id.h"

struct loop;

/* index tells loops apart in per-loop tables (0..N-1); threads of their own, as the keeper's, use
 * the next free index. Returns 0 and a loop to free, or -1 (ERR_NOMEM, ERR_IO). */
int loop_new(unsigned index, struct loop **ret, struct err *err);
/* Nothing may be registered any more but what never fires again; messages that were still waiting
 * are delivered first. Takes NULL. */
void loop_free(struct loop *loop);

/* Runs on the calling thread, which becomes the loop's, until loop_stop. Returns 0, or -1 (ERR_IO)
 * when epoll itself fails. May be run again afterwards. */
int loop_run(struct loop *loop, struct err *err);
/* Makes loop_run return after the current iteration; when it does not run yet, after its first.
 * What this thread posted before is delivered before loop_run returns. Any thread, also from a
 * signal handler; idempotent. */
void loop_stop(struct loop *loop);

unsigned loop_index(const struct loop *loop);
/* True on the thread that runs this loop; for asserts. */
bool loop_is_current(const struct loop *loop);
/* The monotonic time at which the current iteration began; cheap, for deadlines that need not be
 * exact. */
uint64_t loop_now_ns(const struct loop *loop);
/* Random ids without a system call, for what runs on this loop. */
struct id_source *loop_ids(struct loop *loop);
/* The longest time one iteration took since the last call of this function, in ns (metrics). */
uint64_t loop_take_longest_stall_ns(struct loop *loop);

/* ---- descriptors ---- */
struct loop_watch {
	int fd;
	/* events are EPOLLIN, EPOLLOUT, EPOLLRDHUP, ...; level-triggered. May remove any watch,
	 * also its own: a watch that was removed in this iteration is not called any more. */
	void (*on_ready)(struct loop_watch *watch, uint32_t events);
	/* the loop's own; zero before the first add */
	struct loop *loop; /* NULL while it is not watched */
	uint32_t events;
	uint32_t ready_slot; /* its place among the events now being delivered, + 1; 0 when none */
};

/* Starts watching watch->fd for events. Returns 0, or -1 (ERR_IO). */
int loop_watch_add(struct loop *loop, struct loop_watch *watch, uint32_t events, struct err *err);
/* Changes what is watched for. Returns 0, or -1 (ERR_IO). */
int loop_watch_change(struct loop_watch *watch, uint32_t events, struct err *err);
/* Stops watching; before the descriptor is closed. Harmless when it was not watched. */
void loop_watch_remove(struct loop_watch *watch);

/* ---- timers ---- */
struct loop_timer {
	void (*on_fire)(struct loop_timer *timer); /* the timer is stopped when this is called */
	/* the loop's own; zero before the first start */
	struct loop *loop;
	uint64_t deadline_ns;
	uint32_t heap_slot; /* its place in the heap, + 1; 0 when it does not run */
};

/* (Re)starts the timer. deadline_ns is of clock_mono_ns(); CLOCK_NEVER stops it. Fires at the
 * deadline or up to a millisecond later, never before. Returns 0, or -1 (ERR_NOMEM), which cannot
 * happen to a timer that runs already. */
int loop_timer_start(
	struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns, struct err *err);
/* Stops it; harmless when it does not run. */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_running(const struct loop_timer *timer);

/* ---- mailbox ---- */
struct loop_message {
	/* On the loop's thread; may free the message or post it again. */
	void (*deliver)(struct loop_message *message);
	/* the loop's own */
	struct loop_message *next;
};

/* Hands the message to the loop. Any thread, lock-free. The message must not be posted again before
 * it was delivered. Messages of one thread arrive in its order. */
void loop_post(struct loop *loop, struct loop_message *message);

/* ---- hooks: work that belongs into every iteration, as a library's own event run ---- */
struct loop_hook {
	/* Runs once an iteration. Returns for how long the loop may sleep as far as this hook is
	 * concerned, in ms; -1 for as long as it likes. */
	int (*run)(struct loop_hook *hook);
	/* Set by whoever makes work for this hook, on the loop's thread: then the loop does not
	 * sleep before it has run once more. Cleared before each run. */
	bool requested;
	struct loop_hook *next; /* the loop's own */
};

/* Hooks run in the order in which they were added. A hook may remove itself, but no other hook,
 * from within run. */
void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop *loop, struct loop_hook *hook);

DEFER_DEFINE(struct loop *, loop_free)

#endif
