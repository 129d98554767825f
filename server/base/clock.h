/*
 * clock.h - two clocks: one for deadlines, one for people
 *
 * Deadlines, ages and durations use the monotonic clock, which never jumps. The wall clock is only
 * for what people or other machines read: records' dates, log lines, audit records, tokens.
 *
 * Threads: all functions from any thread.
 * Memory:  none is taken; texts go into the caller's array.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NS_PER_MS 1000000ull
#define CLOCK_NS_PER_S  1000000000ull

/* A deadline that never comes. */
#define CLOCK_NEVER UINT64_MAX

/* Nanoseconds of the monotonic clock; all processes of one boot share its origin. */
uint64_t clock_mono_ns(void);
/* Microseconds since 1970-01-01 00:00 UTC. */
int64_t clock_wall_us(void);

#define CLOCK_TEXT_BYTES 25 /* "2026-11-23 14:24:25.123Z" and a terminator */

/* Formats a wall-clock time as records carry it: "2026-11-23 14:24:25.123Z", UTC, terminated. Times
 * outside the years 0000 to 9999 are clamped to them. */
void clock_format(int64_t wall_us, char out[static CLOCK_TEXT_BYTES]);

#endif
