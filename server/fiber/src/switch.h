/*
 * switch.h - leave one stack and go on with another, without asking the kernel
 *
 * swapcontext() saves and restores the signal mask, two system calls that nobody here needs: they
 * are most of what a switch costs. So a stack is entered once by setcontext() and from then on by
 * _longjmp(), which leaves the mask alone. Sanitizers watch longjmp and expect it to stay on its
 * stack; built with one of them a switch is a swapcontext().
 */
#ifndef FIBER_SWITCH_H
#define FIBER_SWITCH_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

/* Where a stack stopped, or is to begin. */
struct switch_place {
	ucontext_t context;
	jmp_buf jump;
	bool is_fresh; /* to be entered by context */
};

/* Makes *place the begin of run(argument) on that stack; run must never return. */
void switch_prepare(struct switch_place *place, void *stack, size_t n_bytes,
	void (*run)(void *argument), void *argument);

/* Stops here, as *from, and goes on at *to. Returns when somebody goes on at *from. */
void switch_stacks(struct switch_place *from, struct switch_place *to);

#endif
