#include "arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chunks double from the first size to this one, so that a big arena costs few allocations and a
 * small one few bytes. */
#define CHUNK_FIRST_BYTES 2048
#define CHUNK_MOST_BYTES  65536
/* What a reset arena keeps at most: enough for the usual request, so that the next one asks malloc
 * for nothing, and little enough for thousands of idle ones. */
#define CHUNK_KEPT_BYTES 8192

struct chunk {
	struct chunk *next; /* the older one */
	size_t n, cap;
	alignas(max_align_t) char data[];
};

struct arena {
	struct chunk *newest;
	size_t used, max;
	size_t chunk_bytes; /* of the next chunk */
};

int arena_new(size_t max_bytes, struct arena **ret, struct err *err)
{
	struct arena *arena = calloc(1, sizeof *arena);

	if (!arena)
		return ERR_SET(err, ERR_NOMEM, "no memory for an arena");
	arena->max = max_bytes;
	arena->chunk_bytes = CHUNK_FIRST_BYTES;
	*ret = arena;
	return 0;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->newest, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

void arena_reset(struct arena *arena)
{
	struct chunk *kept = NULL;

	for (struct chunk *chunk = arena->newest, *next; chunk; chunk = next) {
		next = chunk->next;
		if (chunk->cap > CHUNK_KEPT_BYTES || (kept && kept->cap >= chunk->cap)) {
			free(chunk);
			continue;
		}
		free(kept);
		kept = chunk;
	}
	if (kept) {
		kept->next = NULL;
		kept->n = 0;
	}
	arena->newest = kept;
	arena->used = 0;
	/* If that was too small, the next one is bigger and stays instead. */
	arena->chunk_bytes =
		kept && kept->cap * 2 > CHUNK_FIRST_BYTES ? kept->cap * 2 : CHUNK_FIRST_BYTES;
	if (arena->chunk_bytes > CHUNK_KEPT_BYTES)
		arena->chunk_bytes = CHUNK_KEPT_BYTES;
}

/* n bytes, not zeroed. */
static char *take(struct arena *arena, size_t n)
{
	size_t align = alignof(max_align_t);

	if (n > arena->max - arena->used)
		return NULL;
	size_t rounded = (n + align - 1) & ~(align - 1);
	struct chunk *chunk = arena->newest;
	if (!chunk || rounded > chunk->cap - chunk->n) {
		size_t cap = rounded > arena->chunk_bytes ? rounded : arena->chunk_bytes;
		chunk = malloc(sizeof *chunk + cap);
		if (!chunk)
			return NULL;
		*chunk = (struct chunk){ .next = arena->newest, .cap = cap };
		arena->newest = chunk;
		if (arena->chunk_bytes < CHUNK_MOST_BYTES)
			arena->chunk_bytes *= 2;
	}
	char *p = chunk->data + chunk->n;
	chunk->n += rounded;
	arena->used += n;
	return p;
}

void *arena_alloc(struct arena *arena, size_t n)
{
	char *p = take(arena, n);

	return p ? memset(p, 0, n) : NULL;
}

char *arena_copy(struct arena *arena, struct bytes data)
{
	if (data.n == SIZE_MAX)
		return NULL;
	char *p = take(arena, data.n + 1);
	if (!p)
		return NULL;
	if (data.n)
		memcpy(p, data.p, data.n);
	p[data.n] = '\0';
	return p;
}

struct bytes arena_printf(struct arena *arena, const char *format, ...)
{
	struct bytes text = { 0 };
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *p = n < 0 ? NULL : take(arena, (size_t)n + 1);
	if (p) {
		(void)vsnprintf(p, (size_t)n + 1, format, again);
		text = (struct bytes){ p, (size_t)n };
	}
	va_end(again);
	return text;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}
