/*
 * defer.h - release a resource where its variable is declared
 *
 * DEFER(x_free) struct x *x = NULL; calls x_free(x) when x leaves its scope, on every path. Handing
 * the resource over is a visible line: *ret = x; x = NULL; (handed over).
 *
 * The release function must take NULL and half-built objects. DEFER_DEFINE makes the adapter for a
 * pointer type once, next to the release function's declaration.
 *
 * Threads: as the release function.
 * Memory:  none of its own.
 */
#ifndef BASE_DEFER_H
#define BASE_DEFER_H

/* Declares a variable whose release function is fn, for which DEFER_DEFINE has been written. */
#define DEFER(fn) __attribute__((cleanup(fn##_deferred)))

/* Makes DEFER(fn) possible for variables of the given pointer type.
 * NOLINTBEGIN(bugprone-macro-parentheses): a type takes none. */
#define DEFER_DEFINE(type, fn)                                                                     \
	static inline __attribute__((unused)) void fn##_deferred(type *at)                         \
	{                                                                                          \
		fn(*at);                                                                           \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
