/*
 * sanitize.h - tells the sanitizers that a thread goes on with another stack
 *
 * Without it AddressSanitizer takes a switch for a stack overflow and ThreadSanitizer loses the
 * order of events. In a build without sanitizers all of it is empty.
 */
#ifndef FIBER_SANITIZE_H
#define FIBER_SANITIZE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ADDRESS 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SANITIZE_THREAD 1
#endif

#if defined(SANITIZE_ADDRESS)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SANITIZE_THREAD)
#include <sanitizer/tsan_interface.h>
#endif

/* One of the two stacks of a switch. */
struct sanitize_side {
	const void *stack;
	size_t n_bytes;
	void *fake_stack;
	void *tsan_fiber;
};

/* A fiber's side, with its stack. */
static inline void sanitize_side_init(struct sanitize_side *side, const void *stack, size_t n_bytes)
{
	*side = (struct sanitize_side){ .stack = stack, .n_bytes = n_bytes };
#if defined(SANITIZE_THREAD)
	side->tsan_fiber = __tsan_create_fiber(0);
#endif
}

static inline void sanitize_side_fini(struct sanitize_side *side)
{
#if defined(SANITIZE_THREAD)
	__tsan_destroy_fiber(side->tsan_fiber);
#endif
	(void)side;
}

/* The side of whoever runs now. */
static inline void sanitize_here(struct sanitize_side *side)
{
#if defined(SANITIZE_THREAD)
	side->tsan_fiber = __tsan_get_current_fiber();
#endif
	(void)side;
}

/* Just before the switch. */
static inline void sanitize_leave(struct sanitize_side *from, struct sanitize_side *to)
{
#if defined(SANITIZE_ADDRESS)
	__sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->n_bytes);
#endif
#if defined(SANITIZE_THREAD)
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
	(void)from;
	(void)to;
}

/* Just after it, on the other stack: notes where the one came from lies. */
static inline void sanitize_arrive(struct sanitize_side *here, struct sanitize_side *from)
{
#if defined(SANITIZE_ADDRESS)
	__sanitizer_finish_switch_fiber(here->fake_stack, &from->stack, &from->n_bytes);
#endif
	(void)here;
	(void)from;
}

#endif
