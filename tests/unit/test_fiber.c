#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber.h"
#include "unit.h"

struct job {
	struct fiber *fiber;
	int n_steps, at;
	int *order, *n_order, name;
};

/* A frame of some size, so that stacks that overlapped would show. */
static void step(void *context)
{
	struct job *job = context;
	volatile char local[4096];

	for (size_t i = 0; i < sizeof local; i++)
		local[i] = (char)job->name;
	for (job->at = 0; job->at < job->n_steps; job->at++) {
		job->order[(*job->n_order)++] = job->name;
		fiber_suspend(job->fiber);
		for (size_t i = 0; i < sizeof local; i++)
			if (local[i] != (char)job->name)
				abort();
	}
}

static void fibers_interleave_and_keep_their_stacks(void)
{
	DEFER(fiber_pool_free) struct fiber_pool *pool = NULL;
	int order[16], n_order = 0;
	struct job a = { .n_steps = 3, .order = order, .n_order = &n_order, .name = 1 };
	struct job b = { .n_steps = 2, .order = order, .n_order = &n_order, .name = 2 };

	CU_ASSERT_EQUAL_FATAL(fiber_pool_new(2, &pool, NULL), 0);
	a.fiber = fiber_start(pool, step, &a);
	b.fiber = fiber_start(pool, step, &b);
	CU_ASSERT_PTR_NULL(fiber_start(pool, step, &a)); /* two at most */
	CU_ASSERT_EQUAL(fiber_resume(a.fiber), FIBER_SUSPENDED);
	CU_ASSERT_EQUAL(fiber_resume(b.fiber), FIBER_SUSPENDED);
	CU_ASSERT_EQUAL(fiber_resume(a.fiber), FIBER_SUSPENDED);
	CU_ASSERT_EQUAL(fiber_resume(a.fiber), FIBER_SUSPENDED);
	CU_ASSERT_EQUAL(fiber_resume(b.fiber), FIBER_SUSPENDED);
	CU_ASSERT_EQUAL(fiber_resume(b.fiber), FIBER_RETURNED);
	CU_ASSERT_EQUAL(fiber_resume(a.fiber), FIBER_RETURNED);
	CU_ASSERT_EQUAL(n_order, 5);
	const int expected[] = { 1, 2, 1, 1, 2 };
	CU_ASSERT(memcmp(order, expected, sizeof expected) == 0);
}

static void a_fiber_that_returned_is_used_again(void)
{
	DEFER(fiber_pool_free) struct fiber_pool *pool = NULL;
	struct fiber *first = NULL;

	CU_ASSERT_EQUAL_FATAL(fiber_pool_new(1, &pool, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		int order[4], n_order = 0;
		struct job job = { .n_steps = 1, .order = order, .n_order = &n_order, .name = 3 };
		job.fiber = fiber_start(pool, step, &job);
		CU_ASSERT_FATAL(job.fiber != NULL);
		first = first ? first : job.fiber;
		CU_ASSERT_PTR_EQUAL(job.fiber, first);
		CU_ASSERT_EQUAL(fiber_resume(job.fiber), FIBER_SUSPENDED);
		CU_ASSERT_EQUAL(fiber_resume(job.fiber), FIBER_RETURNED);
		CU_ASSERT_EQUAL(job.at, 1);
	}
}

static void a_pool_frees_fibers_that_are_still_suspended(void)
{
	DEFER(fiber_pool_free) struct fiber_pool *pool = NULL;
	int order[4], n_order = 0;
	struct job job = { .n_steps = 2, .order = order, .n_order = &n_order, .name = 4 };

	CU_ASSERT_EQUAL_FATAL(fiber_pool_new(4, &pool, NULL), 0);
	job.fiber = fiber_start(pool, step, &job);
	CU_ASSERT_EQUAL(fiber_resume(job.fiber), FIBER_SUSPENDED);
}

/* Grows downwards to a little below the stack, not so far that it would leave a neighbour's. */
static int dig(volatile char *top)
{
	volatile char local[1024];

	local[0] = top[0];
	return top - local > (ptrdiff_t)(FIBER_STACK_BYTES + 65536) ? 0 : dig(top) + local[0];
}

static void overflow(void *context)
{
	volatile char top[16] = { 0 };

	*(volatile int *)context = dig(top);
}

static void idle(void *context)
{
	(void)context;
}

static void an_overflow_hits_the_guard_and_no_other_stack(void)
{
	pid_t pid = fork();

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		struct fiber_pool *pool;
		int result;
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		(void)!freopen("/dev/null", "w", stderr);
		if (fiber_pool_new(2, &pool, NULL) < 0)
			_exit(0);
		/* The kernel puts the second stack below the first one. */
		struct fiber *above = fiber_start(pool, overflow, &result);
		(void)fiber_start(pool, idle, NULL);
		(void)fiber_resume(above);
		_exit(0);
	}
	int status = 0;
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	/* AddressSanitizer turns the fault into an exit. */
	CU_ASSERT((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) ||
		  (WIFEXITED(status) && WEXITSTATUS(status) > 0));
}

static const struct unit_test tests[] = {
	UNIT(fibers_interleave_and_keep_their_stacks),
	UNIT(a_fiber_that_returned_is_used_again),
	UNIT(a_pool_frees_fibers_that_are_still_suspended),
	UNIT(an_overflow_hits_the_guard_and_no_other_stack),
};
UNIT_MAIN("fiber", tests)
