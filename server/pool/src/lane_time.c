#include "lane.h"

#include <stddef.h>

/* How long a worker may take to answer a PING, and a fiber to return after its deadline. */
#define PONG_NS (100 * CLOCK_NS_PER_MS)

/* The timer only ever moves forward to an earlier time: calls that end leave it alone, and when it
 * fires for nobody it looks for the next one. So a call costs no timer operation as long as an
 * earlier deadline stands. */
void lane_watch_deadline(struct pool_lane *lane, uint64_t at_ns)
{
	if (at_ns >= lane->timer_ns)
		return;
	lane->timer_ns = at_ns;
	if (loop_timer_start(lane->loop, &lane->timer, at_ns, NULL) < 0)
		lane_condemn(lane, "no memory for a timer");
}

static void check_slot(struct pool_slot *slot)
{
	if (slot->state == SLOT_RUNNING) {
		lane_give_up(slot, POOL_DEADLINE, -4);
		if (!slot->lane->queue) /* what waits behind a full ring cannot be answered */
			lane_send_ping(slot->lane);
	} else {
		lane_condemn(slot->lane, "a call did not return within 1 s after its deadline");
		slot->next_ns = CLOCK_NEVER;
	}
}

void lane_on_timer(struct loop_timer *timer)
{
	struct pool_lane *lane =
		(struct pool_lane *)(void *)((char *)timer - offsetof(struct pool_lane, timer));
	lane->timer_ns = CLOCK_NEVER;
	/* A loop that was kept from looking must not blame the worker for it: what has come counts
	 * first. */
	if (lane_run(lane))
		lane_activate(lane);
	if (!lane->is_open)
		return;
	uint64_t now = clock_mono_ns();
	uint64_t next = CLOCK_NEVER;
	for (unsigned i = 0; i < lane->n_touched && lane->is_open; i++) {
		struct pool_slot *slot = &lane->slots[i];
		if (slot->state == SLOT_FREE)
			continue;
		if (slot->next_ns <= now)
			check_slot(slot);
		if (slot->state != SLOT_FREE && slot->next_ns < next)
			next = slot->next_ns;
	}
	if (!lane->is_open)
		return;
	if (lane->is_pinged) {
		if (lane->ping_ns + PONG_NS <= now)
			lane_condemn(lane, "it does not answer: a call keeps the processor");
		else if (lane->ping_ns + PONG_NS < next)
			next = lane->ping_ns + PONG_NS;
	}
	if (next != CLOCK_NEVER)
		lane_watch_deadline(lane, next);
}
