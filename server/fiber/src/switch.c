/* The C library's fortified longjmp takes another stack for a frame that has returned. */
#undef _FORTIFY_SOURCE

#include "switch.h"

#include <stdint.h>
#include <stdlib.h>

#include "sanitize.h"

/* makecontext() passes ints only. */
static void enter(unsigned run_high, unsigned run_low, unsigned high, unsigned low)
{
	void (*run)(void *) = (void (*)(void *))(((uintptr_t)run_high << 32) | run_low);

	run((void *)(((uintptr_t)high << 32) | low));
	abort();
}

void switch_prepare(struct switch_place *place, void *stack, size_t n_bytes,
	void (*run)(void *argument), void *argument)
{
	uintptr_t function = (uintptr_t)run, value = (uintptr_t)argument;

	if (getcontext(&place->context) < 0)
		abort(); /* it has no reason to fail */
	place->context.uc_stack.ss_sp = stack;
	place->context.uc_stack.ss_size = n_bytes;
	place->context.uc_link = NULL;
	makecontext(&place->context, (void (*)(void))enter, 4, (unsigned)(function >> 32),
		(unsigned)(function & UINT32_MAX), (unsigned)(value >> 32),
		(unsigned)(value & UINT32_MAX));
	place->is_fresh = true;
}

#if defined(SANITIZE_ADDRESS) || defined(SANITIZE_THREAD)

void switch_stacks(struct switch_place *from, struct switch_place *to)
{
	if (swapcontext(&from->context, &to->context) < 0)
		abort();
}

#else

void switch_stacks(struct switch_place *from, struct switch_place *to)
{
	if (_setjmp(from->jump))
		return;
	if (!to->is_fresh)
		_longjmp(to->jump, 1);
	to->is_fresh = false;
	(void)setcontext(&to->context);
	abort(); /* it has no reason to come back */
}

#endif
