/*
 * ring.h - the shared memory between the core and one worker: byte rings, and who wakes whom
 *
 * A segment is one sealed memfd: a header page, a page of ring controls, and for each loop of the
 * core one ring of 128 KiB in each direction. A ring has one producer and one consumer and carries
 * frames (wire.h), each padded to 64 bytes, so that a header never wraps around.
 *
 *   segment | header page | control page | to worker 0 | to core 0 | to worker 1 | to core 1 | ...
 *   control | head (consumer writes) | tail (producer writes) | asleep | waiting |   one cache line
 * each
 *
 * The worker is hostile. The core keeps its own index of each ring privately and never reads it
 * back; it reads the worker's index once, checks it, copies what it names to private memory and
 * checks the copy. Whatever the worker writes, the worst is RING_POISONED: kill it and drop the
 * whole segment. Shared memory is reached through the ring_shm_ functions of src/ and nothing else.
 *
 * Waking: a side that sleeps says so first and looks once more (Dekker's handshake, sequentially
 * consistent), and the other side looks for that word after it published. So a wake-up costs a
 * system call only when somebody sleeps. to the worker: it sleeps on one futex word for all its
 * rings. ring_wake_worker() never blocks. to a loop:     the worker writes that loop's eventfd when
 * ring_take_sleeper() says it sleeps.
 *
 * Threads: each ring end belongs to one thread; the segment's wake functions may be called from
 * any. Memory:  the segment owns its rings; free it when no thread uses any of them.
 */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "wire.h"

#define RING_BYTES     131072u /* of one ring; a power of two */
#define RING_LOOPS_MAX 8u

struct ring_segment;
struct ring; /* one end of one ring */

enum ring_result {
	RING_OK,
	RING_FULL,    /* no room now */
	RING_EMPTY,   /* nothing there now */
	RING_POISONED /* the other side broke the rules: never touch this segment again */
};

/* ---- segments ---- */

/* Core: a new segment for n_loops loops (1 to RING_LOOPS_MAX), sealed against growing, shrinking
 * and further seals. Returns 0 and a segment to free, or -1. */
int ring_segment_new(unsigned n_loops, struct ring_segment **ret, struct err *err);
/* Worker: maps the segment behind fd, which stays the caller's to close. -1 with ERR_INVALID when
 * it is not one of n_loops loops. */
int ring_segment_map(int fd, unsigned n_loops, struct ring_segment **ret, struct err *err);
/* For tests and benchmarks: the worker's ends over the core's own mapping, in one process, so that
 * ThreadSanitizer sees both sides touch the same memory. Free it before segment. */
int ring_segment_share(struct ring_segment *segment, struct ring_segment **ret, struct err *err);
/* Unmaps and closes. Takes NULL. */
void ring_segment_free(struct ring_segment *segment);

/* The memfd, to be handed to the spawner; -1 in the worker. Borrowed. */
int ring_segment_fd(const struct ring_segment *segment);
unsigned ring_segment_loops(const struct ring_segment *segment);

/* This side's end of the ring of loop: in the core a producer and a consumer, in the worker the
 * other way round. Borrowed. */
struct ring *ring_to_worker(struct ring_segment *segment, unsigned loop);
struct ring *ring_to_core(struct ring_segment *segment, unsigned loop);

DEFER_DEFINE(struct ring_segment *, ring_segment_free)

/* ---- frames ---- */

/* What a message is made of: head is what wire_put_ made, tail follows it. Both are borrowed only
 * during ring_send(). */
struct ring_message {
	uint16_t type;
	uint32_t slot, generation, sequence;
	struct bytes head, tail;
};

/* Producer: puts as much of the message into the ring as fits, from *sent on (0 at first; bytes of
 * payload that are in already), in frames. RING_OK: all of it is in; RING_FULL: call again with the
 * same message and *sent when there is room, and send nothing else into this ring before;
 * RING_POISONED. Wakes nobody. */
enum ring_result ring_send(struct ring *ring, const struct ring_message *message, size_t *sent);

/* Consumer: copies the next frame out: its header to *frame, its payload to buffer, which must have
 * WIRE_PAYLOAD_MAX bytes. RING_OK: the frame passes wire_frame_check() for this direction;
 * RING_EMPTY; RING_POISONED. */
enum ring_result ring_try_pop(struct ring *ring, struct wire_frame *frame, char *buffer);

/* ---- sleeping and waking ---- */

/* Consumer (a loop of the core), after RING_EMPTY and before it sleeps: from now on the producer
 * wakes it. True: still empty, go to sleep (the mark stays until the producer takes it). False:
 * something came in meanwhile, pop again. */
bool ring_try_sleep(struct ring *ring);
/* Consumer: takes the mark of ring_try_sleep() back: it looks by itself from now on. */
void ring_stay_awake(struct ring *ring);
/* Producer (the worker), after ring_send(): true once when the consumer sleeps and must be woken:
 * write its eventfd. */
bool ring_take_sleeper(struct ring *ring);

/* Producer, after RING_FULL: asks to be woken when there is room. True: still full, go and do
 * something else. False: there is room now, send again. */
bool ring_try_wait(struct ring *ring);
/* Consumer, after it has popped: true once when the producer waits for room and must be woken (the
 * core: ring_wake_worker(); the worker: write that loop's eventfd). */
bool ring_take_waiter(struct ring *ring);

/* Core: wakes the worker if it sleeps. Call it once after any number of sends. Never blocks, from
 * any thread. */
void ring_wake_worker(struct ring_segment *segment);
/* Worker: sleeps until ring_wake_worker(), unless any of its rings holds something (with
 * is_waiting: or has room again) or a wake-up came since the last sleep. */
void ring_worker_sleep(struct ring_segment *segment);

#endif
