/*
 * lane.h - one loop's side of one instance: its rings, its calls, what waits to be sent
 *
 *   slot   FREE -> RUNNING -> FREE                   the worker's end of the call is its answer
 *             └──> RUNNING -> LATE -> FREE           answered before: deadline, or the client left
 *
 * A slot is named to the worker by its index and its generation, which counts its uses, so that a
 * frame about a call that is over is a violation and never reaches another call. A lane that is
 * closed never touches its rings again.
 *
 * Only the lane's own loop touches a lane, but for the messages, which are how the keeper and the
 * loop tell each other things.
 */
#ifndef POOL_LANE_H
#define POOL_LANE_H

#include "gate.h"
#include "loop.h"
#include "pool.h"
#include "pool_keeper.h"
#include "ring.h"
#include "wire.h"

struct pool_instance;

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_LATE };

struct pool_slot {
	struct pool_lane *lane;
	struct pool_call *call; /* NULL once it was answered */
	struct gate_call *gate; /* NULL before its first request */
	struct pool_slot *next_free;
	uint64_t started_ns, deadline_ns;
	uint64_t next_ns; /* when the lane's timer has to look at it */
	uint32_t generation;
	uint32_t sequence; /* of the request under way, or the last one */
	uint16_t index;
	uint8_t state;
	uint8_t kind;        /* enum wire_call_kind */
	bool is_asking;      /* a request is under way */
	int32_t late_status; /* LATE: what its requests answer */
	uint8_t trace_id[ID_TRACE_BYTES];
	unsigned door; /* index of the route or hook */
};

/* A message that did not fit into the ring: all of its payload, and how much is in already. */
struct lane_message {
	struct lane_message *next;
	struct ring_message message;
	size_t sent;
	char payload[];
};

#define LANE_QUEUE_BYTES (32u << 20)

struct pool_lane {
	struct pool_instance *instance;
	struct pool_view *view;
	struct loop *loop;
	unsigned number; /* of its rings */
	int event_fd;    /* the worker wakes this loop by it */
	struct ring *to_worker, *to_core;
	struct wire_join join;
	struct gate_lane gate;
	struct pool_counters *counters;

	bool is_open;     /* watched; rings may be touched */
	bool was_opened;  /* keeper's: an end message has to be acknowledged */
	bool is_draining; /* switched out: tell the keeper when no call is left */
	bool has_ended;   /* acknowledge once the gate is idle */
	bool is_active;   /* in the view's list of lanes to look at in each iteration */
	bool is_pinged;
	bool wants_wake; /* something was sent since the worker was last woken */
	bool is_asleep;  /* the ring is marked: the worker wakes this loop */
	uint64_t ping_ns;

	struct loop_watch watch;
	struct loop_timer timer;
	uint64_t timer_ns; /* when it fires; CLOCK_NEVER when it does not run */
	struct pool_lane *next_active;

	struct lane_message *queue, **queue_end;
	size_t queued_bytes;

	struct pool_slot *free_slots;
	unsigned n_touched; /* slots [0, n_touched) have been used */
	unsigned n_live;    /* RUNNING and LATE */

	/* keeper -> loop */
	struct loop_message end_message, cancel_message;
	/* loop -> keeper */
	struct loop_message ended_message, drained_message, condemned_message;
	bool is_condemned; /* condemned_message was posted */
	bool is_poison;    /* why */
	const char *why;   /* static */

	struct pool_slot slots[POOL_CALLS_MAX];
};

void lane_init(struct pool_lane *lane, struct pool_instance *instance, unsigned number);
void lane_fini(struct pool_lane *lane);

/* Starts listening to the worker. Returns 0, or -1 (ERR_IO). */
int lane_open(struct pool_lane *lane, struct err *err);
/* Stops; what is still in flight is answered with outcome, what the worker had answered before with
 * that. */
void lane_close(struct pool_lane *lane, enum pool_outcome outcome);

/* Looks at the rings: takes what came, sends what waits. True when there is more to do before the
 * loop may sleep. */
bool lane_run(struct pool_lane *lane);
/* After sending: the worker is woken before this loop sleeps. */
void lane_wake_soon(struct pool_lane *lane);
/* The view looks at it in each iteration while it has calls or a queue. */
void lane_activate(struct pool_lane *lane);

/* ---- calls (lane_call.c) ---- */
/* A free slot with a new generation; NULL: none. */
struct pool_slot *lane_take_slot(struct pool_lane *lane);
void lane_give_slot(struct pool_slot *slot);
/* Answers the slot's call with its outcome set: audit, counters, done. The slot stays. */
void lane_answer(struct pool_slot *slot);
/* Answers a call that gets no answer of the worker; the slot becomes LATE, the plugin is told
 * status, and it has until the slot's deadline + 1 s to return. */
void lane_give_up(struct pool_slot *slot, enum pool_outcome outcome, int32_t status);
/* Takes the end of a call: RESPOND, FAIL, DONE. False: malformed. */
bool lane_take_end(struct pool_slot *slot, uint16_t type, struct bytes payload);
/* Takes a request: hands it to the gate. False: malformed, or one is under way. */
bool lane_take_request(
	struct pool_slot *slot, uint16_t type, uint32_t sequence, struct bytes payload);
void lane_cancel_all(struct pool_lane *lane);
/* It was switched out: tells the keeper when no call is left. */
void lane_start_draining(struct pool_lane *lane);

/* ---- sending (lane_send.c) ---- */
enum lane_send_result { LANE_SENT, LANE_QUEUE_FULL };

/* Puts the message into the ring, or copies it to the queue when it does not fit. */
enum lane_send_result lane_send(struct pool_lane *lane, const struct ring_message *message);
/* Sends what waits. True when the queue is empty. */
bool lane_send_queue(struct pool_lane *lane);
void lane_drop_queue(struct pool_lane *lane);
void lane_send_cancel(struct pool_slot *slot, int32_t status);
void lane_send_ping(struct pool_lane *lane);

/* ---- time (lane_time.c) ---- */
void lane_watch_deadline(struct pool_lane *lane, uint64_t at_ns);
void lane_on_timer(struct loop_timer *timer);

/* ---- ends ---- */
/* The worker broke the protocol: everything here is answered POOL_POISONED, the keeper kills it. */
void lane_poison(struct pool_lane *lane, const char *why);
/* The worker does not do what it must: the keeper kills it, which ends the calls. */
void lane_condemn(struct pool_lane *lane, const char *why);

/* One loop's relaxed counter: there is one writer, so no locked instruction is needed. */
static inline void lane_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

#endif
