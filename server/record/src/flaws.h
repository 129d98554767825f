/*
 * flaws.h - what is wrong with a definition, gathered by its place and told as one nested object
 *
 *   flaws_add(flaws, "fields", 0, "name", ...)   {"fields":{"0":{"name":{"code":..,"message":..}}}}
 *   flaws_add(flaws, "indexes", 2, NULL, ...)    {"indexes":{"2":{"code":..,"message":..}}}
 *   flaws_add(flaws, "name", -1, NULL, ...)      {"name":{"code":..,"message":..}}
 *   flaws_add(flaws, "otp", -1, "length", ...)   {"otp":{"length":{"code":..,"message":..}}}
 *
 * The first flaw of a place stands; one of a whole member hides those of its items.
 *
 * Threads: none inside. Memory: the arena's.
 */
#ifndef RECORD_FLAWS_H
#define RECORD_FLAWS_H

#include "arena.h"
#include "bytes.h"

struct flaw {
	const char *member, *option, *code;
	long index; /* -1: of the whole member */
	struct bytes message, params;
	struct flaw *next;
};

struct flaws {
	struct arena *arena;
	struct flaw *first, *last;
	size_t n;
	bool failed; /* the arena is full */
};

void flaws_init(struct flaws *flaws, struct arena *arena);
/* member, option and code are static. */
void flaws_add(struct flaws *flaws, const char *member, long index, const char *option,
	const char *code, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Gives the last one its params: a JSON object. */
void flaws_params(struct flaws *flaws, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Appends the object. */
void flaws_write(const struct flaws *flaws, struct bytes_buf *out);

#endif
