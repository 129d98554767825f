/*
 * arena.h - memory that is given back all at once
 *
 * A request, a job or a parse takes its small pieces from one arena and frees none of them; the
 * arena's owner resets or frees it at the end. Chunks grow with use, up to a maximum set at birth.
 *
 * Threads: none inside. Memory: everything allocated lives until arena_reset or arena_free.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"

struct arena;

/* An arena that may hold max_bytes in all. Returns 0 and an arena to free, or -1 (ERR_NOMEM). */
int arena_new(size_t max_bytes, struct arena **ret, struct err *err);
/* Frees the arena and all that was taken from it. Takes NULL. */
void arena_free(struct arena *arena);
/* Forgets all that was taken; keeps its biggest small chunk for the next use. */
void arena_reset(struct arena *arena);

/* n zeroed bytes aligned for any type, or NULL when the maximum or the memory is used up. */
void *arena_alloc(struct arena *arena, size_t n);
/* A copy of data with a terminator behind it, or NULL as above. */
char *arena_copy(struct arena *arena, struct bytes data);
/* Formats as printf. Returns {NULL, 0} when the maximum or the memory is used up. */
struct bytes arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Bytes taken so far, for charges and tests. */
size_t arena_used(const struct arena *arena);

DEFER_DEFINE(struct arena *, arena_free)

#endif
