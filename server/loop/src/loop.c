/*
 * The mailbox is one atomic word: NULL (awake, empty), a list of messages, newest first, or the
 * address of `asleep`. A loop that wants to sleep swaps NULL for `asleep`; that fails when a
 * message came in between. Whoever posts swaps its message in, and if it took `asleep` out, it and
 * it alone writes the eventfd. So no wake-up is lost and no second one is written, without a fence
 * to reason about. The loop takes the whole list at once and turns it round; that is why messages
 * of one thread keep their order. (A queue with a wait-free push was rejected: its reader can meet
 * a link that a preempted writer has not closed yet, and would have to spin or sleep on it.)
 */
#include "loop.h"

#include "timers.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH 128 /* events taken from the kernel at a time */

struct loop {
	unsigned index;
	int epoll_fd, wake_fd;
	struct loop_watch wake_watch;
	uint64_t now_ns;
	struct timers timers;
	struct loop_hook *hooks;
	struct epoll_event batch[BATCH];
	struct loop_message asleep; /* only its address is used */
	struct id_source ids;
	/* Written by other threads: on a line of its own. */
	_Alignas(64) _Atomic(struct loop_message *) mailbox;
	atomic_bool stop;
	atomic_bool is_running;
	_Atomic(pthread_t) thread; /* valid while is_running */
	atomic_uint_least64_t longest_stall_ns;
};

static void wake(struct loop *loop)
{
	const uint64_t one = 1;
	int saved = errno;

	/* EAGAIN means that the counter is full, which wakes as well. */
	while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved;
}

static void on_wake(struct loop_watch *watch, uint32_t events)
{
	uint64_t count;

	(void)events;
	while (read(watch->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

int loop_new(unsigned index, struct loop **ret, struct err *err)
{
	DEFER(loop_free)
	struct loop *loop =
		aligned_alloc(_Alignof(struct loop), (sizeof(struct loop) + 63) & ~(size_t)63);

	if (!loop)
		return ERR_SET(err, ERR_NOMEM, "no memory for a loop");
	*loop = (struct loop){ .index = index, .epoll_fd = -1, .wake_fd = -1 };
	loop->now_ns = clock_mono_ns();
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0)
		return ERR_SET(err, ERR_IO, "cannot make a loop's descriptors");
	loop->wake_watch = (struct loop_watch){ .fd = loop->wake_fd, .on_ready = on_wake };
	if (loop_watch_add(loop, &loop->wake_watch, EPOLLIN, err) != 0)
		return -1;
	*ret = loop;
	loop = NULL; /* handed over */
	return 0;
}

/* Delivers the messages that are there now. Returns whether there were any. */
static bool deliver(struct loop *loop)
{
	struct loop_message *newest, *oldest = NULL;

	if (!atomic_load_explicit(&loop->mailbox, memory_order_relaxed))
		return false;
	newest = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
	if (newest == &loop->asleep)
		return false;
	while (newest) {
		struct loop_message *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct loop_message *message = oldest;

		oldest = oldest->next;
		message->next = NULL;
		message->deliver(message);
	}
	return true;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!atomic_load(&loop->is_running));
	while (deliver(loop))
		;
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	timers_fini(&loop->timers);
	free(loop);
}

static void fire_timers(struct loop *loop)
{
	/* As many as there are now: a timer that restarts itself in the past cannot hold us. */
	uint32_t budget = loop->timers.n;
	struct loop_timer *first;

	while (budget-- > 0 && (first = timers_first(&loop->timers)) &&
		first->deadline_ns <= loop->now_ns) {
		timers_remove(&loop->timers, first);
		first->on_fire(first);
	}
}

/* Runs the hooks. Returns the shortest of their sleeps in ms, -1 for none. */
static int run_hooks(struct loop *loop)
{
	int sleep_ms = -1;
	struct loop_hook *next;

	for (struct loop_hook *hook = loop->hooks; hook; hook = next) {
		next = hook->next;
		hook->requested = false;
		int ms = hook->run(hook);

		if (ms >= 0 && (sleep_ms < 0 || ms < sleep_ms))
			sleep_ms = ms;
	}
	for (struct loop_hook *hook = loop->hooks; hook; hook = hook->next)
		if (hook->requested)
			return 0;
	return sleep_ms;
}

/* The shorter of sleep_ms and the time to the first timer, rounded up to ms. */
static int bound_by_timers(const struct loop *loop, int sleep_ms, uint64_t now_ns)
{
	const struct loop_timer *first = timers_first(&loop->timers);

	if (!first || sleep_ms == 0)
		return sleep_ms;
	if (first->deadline_ns <= now_ns)
		return 0;
	uint64_t left_ns = first->deadline_ns - now_ns;
	uint64_t left_ms = left_ns / CLOCK_NS_PER_MS + (left_ns % CLOCK_NS_PER_MS != 0);

	if (sleep_ms >= 0 && (uint64_t)sleep_ms <= left_ms)
		return sleep_ms;
	return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

static void note_stall(struct loop *loop, uint64_t stall_ns)
{
	/* Only this thread raises it; losing a race with the reader's reset costs one sample. */
	if (stall_ns > atomic_load_explicit(&loop->longest_stall_ns, memory_order_relaxed))
		atomic_store_explicit(&loop->longest_stall_ns, stall_ns, memory_order_relaxed);
}

/* Sleeps until something happens and calls the watches that are ready. */
static int wait_and_dispatch(struct loop *loop, int sleep_ms, struct err *err)
{
	struct loop_message *empty = NULL;

	if (sleep_ms != 0 && !atomic_compare_exchange_strong_explicit(&loop->mailbox, &empty,
				     &loop->asleep, memory_order_acq_rel, memory_order_acquire))
		sleep_ms = 0;
	int n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, sleep_ms);
	/* deliver() takes `asleep` out when no message has. */

	if (n < 0 && errno != EINTR)
		return ERR_SET(err, ERR_IO, "epoll_wait failed");
	loop->now_ns = clock_mono_ns();
	for (int i = 0; i < n; i++)
		((struct loop_watch *)loop->batch[i].data.ptr)->ready_slot = (uint32_t)i + 1;
	for (int i = 0; i < n; i++) {
		struct loop_watch *watch = loop->batch[i].data.ptr;

		if (!watch)
			continue; /* removed by one that was called before it */
		watch->ready_slot = 0;
		watch->on_ready(watch, loop->batch[i].events);
	}
	return 0;
}

int loop_run(struct loop *loop, struct err *err)
{
	int result = 0;

	assert(!atomic_load(&loop->is_running));
	atomic_store(&loop->thread, pthread_self());
	atomic_store(&loop->is_running, true);
	loop->now_ns = clock_mono_ns();
	do {
		deliver(loop);
		fire_timers(loop);
		int sleep_ms = run_hooks(loop);
		uint64_t now_ns = clock_mono_ns();

		note_stall(loop, now_ns - loop->now_ns);
		if (atomic_load_explicit(&loop->stop, memory_order_acquire))
			sleep_ms = 0;
		result = wait_and_dispatch(loop, bound_by_timers(loop, sleep_ms, now_ns), err);
	} while (result == 0 && !atomic_load_explicit(&loop->stop, memory_order_acquire));
	/* Who posts and then stops may count on both: what the message lives in is freed next. */
	deliver(loop);
	atomic_store(&loop->stop, false);
	atomic_store(&loop->is_running, false);
	return result;
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	wake(loop);
}

unsigned loop_index(const struct loop *loop)
{
	return loop->index;
}

bool loop_is_current(const struct loop *loop)
{
	return atomic_load(&loop->is_running) &&
	       pthread_equal(atomic_load(&loop->thread), pthread_self());
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

struct id_source *loop_ids(struct loop *loop)
{
	return &loop->ids;
}

uint64_t loop_take_longest_stall_ns(struct loop *loop)
{
	return atomic_exchange_explicit(&loop->longest_stall_ns, 0, memory_order_relaxed);
}

/* Loop state is touched by the loop's thread, or by anybody while it does not run. */
static bool may_touch(const struct loop *loop)
{
	return !atomic_load_explicit(&loop->is_running, memory_order_relaxed) ||
	       loop_is_current(loop);
}

int loop_watch_add(struct loop *loop, struct loop_watch *watch, uint32_t events, struct err *err)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	assert(!watch->loop && watch->on_ready);
	assert(may_touch(loop));
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) != 0)
		return ERR_SET(err, ERR_IO, "cannot watch descriptor %d", watch->fd);
	watch->loop = loop;
	watch->events = events;
	watch->ready_slot = 0;
	return 0;
}

int loop_watch_change(struct loop_watch *watch, uint32_t events, struct err *err)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	assert(watch->loop && may_touch(watch->loop));
	if (events == watch->events)
		return 0;
	if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) != 0)
		return ERR_SET(err, ERR_IO, "cannot change the watch of %d", watch->fd);
	watch->events = events;
	return 0;
}

void loop_watch_remove(struct loop_watch *watch)
{
	if (!watch->loop)
		return;
	assert(may_touch(watch->loop));
	/* ENOENT or EBADF: the descriptor was closed before, and the kernel forgot it by itself. */
	epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	if (watch->ready_slot > 0)
		watch->loop->batch[watch->ready_slot - 1].data.ptr = NULL;
	watch->ready_slot = 0;
	watch->events = 0;
	watch->loop = NULL;
}

int loop_timer_start(
	struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns, struct err *err)
{
	assert(may_touch(loop));
	assert(timer->on_fire);
	if (deadline_ns == CLOCK_NEVER) {
		loop_timer_stop(timer);
		return 0;
	}
	timer->deadline_ns = deadline_ns;
	if (timer->heap_slot > 0) {
		assert(timer->loop == loop);
		timers_move(&loop->timers, timer);
		return 0;
	}
	timer->loop = loop;
	return timers_add(&loop->timers, timer, err);
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (timer->heap_slot == 0)
		return;
	assert(may_touch(timer->loop));
	timers_remove(&timer->loop->timers, timer);
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
	return timer->heap_slot > 0;
}

void loop_post(struct loop *loop, struct loop_message *message)
{
	struct loop_message *before = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);

	do {
		message->next = before == &loop->asleep ? NULL : before;
	} while (!atomic_compare_exchange_weak_explicit(
		&loop->mailbox, &before, message, memory_order_release, memory_order_relaxed));
	if (before == &loop->asleep)
		wake(loop);
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
	struct loop_hook **at = &loop->hooks;

	assert(may_touch(loop));
	while (*at)
		at = &(*at)->next;
	hook->next = NULL;
	*at = hook;
}

void loop_hook_remove(struct loop *loop, struct loop_hook *hook)
{
	assert(may_touch(loop));
	for (struct loop_hook **at = &loop->hooks; *at; at = &(*at)->next)
		if (*at == hook) {
			*at = hook->next;
			return;
		}
}
