/*
 * id.h - random identifiers: records, traces, tokens
 *
 * A source draws 4 KiB from the kernel's generator at a time, so that an id on a hot path costs no
 * system call. Its bytes are used once and wiped, so ids are fit to be secrets.
 *
 * Threads: a source belongs to one thread. Memory: the caller's; {0} is a source ready for use.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#define ID_RECORD_BYTES 15 /* PocketBase's record id: a-z and 0-9 */
#define ID_TRACE_BYTES  16 /* W3C trace context */
#define ID_SPAN_BYTES   8

struct id_source {
	uint8_t pool[4096];
	size_t left; /* bytes at the end of pool that are still unused */
};

/* n unpredictable bytes, n at most 4096. Aborts when the kernel has none to give: nothing of ours
 * may go on with predictable secrets. */
void id_random(struct id_source *source, void *out, size_t n);

/* 15 characters out of a-z0-9 and a terminator. */
void id_record(struct id_source *source, char out[static ID_RECORD_BYTES + 1]);

#endif
