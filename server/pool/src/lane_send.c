#include <stdlib.h>
#include <string.h>

#include "instance.h"
#include "lane.h"
#include "view.h"

/* Copies what did not fit, so that the caller's bytes need not live on. */
static enum lane_send_result queue_message(
	struct pool_lane *lane, const struct ring_message *message, size_t sent)
{
	size_t n = message->head.n + message->tail.n;
	if (lane->queued_bytes + n > LANE_QUEUE_BYTES)
		return LANE_QUEUE_FULL;
	struct lane_message *queued = malloc(sizeof *queued + n);
	if (!queued)
		return LANE_QUEUE_FULL;
	*queued = (struct lane_message){ .message = *message, .sent = sent };
	if (message->head.n)
		memcpy(queued->payload, message->head.p, message->head.n);
	if (message->tail.n)
		memcpy(queued->payload + message->head.n, message->tail.p, message->tail.n);
	queued->message.head = (struct bytes){ queued->payload, n };
	queued->message.tail = (struct bytes){ NULL, 0 };
	*lane->queue_end = queued;
	lane->queue_end = &queued->next;
	lane->queued_bytes += n;
	lane_activate(lane);
	return LANE_SENT;
}

enum lane_send_result lane_send(struct pool_lane *lane, const struct ring_message *message)
{
	size_t sent = 0;
	if (lane->queue)
		return queue_message(lane, message, 0);
	switch (ring_send(lane->to_worker, message, &sent)) {
	case RING_OK:
		return LANE_SENT;
	case RING_FULL:
		break;
	default:
		/* Its index is nonsense. The caller may be in the middle of a call, so the lane is
		 * not closed under its feet: the kill ends it. */
		lane_count(&lane->counters->n_violations, 1);
		lane->is_poison = !lane->is_condemned;
		lane_condemn(lane, "an index of its ring that cannot be");
		return LANE_SENT;
	}
	if (queue_message(lane, message, sent) == LANE_SENT)
		return LANE_SENT;
	if (sent > 0) /* half a message is in: nothing can follow it */
		lane_condemn(lane, "it does not read its ring");
	return LANE_QUEUE_FULL;
}

bool lane_send_queue(struct pool_lane *lane)
{
	bool has_sent = false;
	while (lane->queue) {
		struct lane_message *first = lane->queue;
		size_t before = first->sent;
		enum ring_result result = ring_send(lane->to_worker, &first->message, &first->sent);
		has_sent |= first->sent > before;
		if (result == RING_POISONED) {
			lane_poison(lane, "an index of its ring that cannot be");
			return true;
		}
		if (result != RING_OK)
			break;
		has_sent = true;
		lane->queue = first->next;
		if (!lane->queue)
			lane->queue_end = &lane->queue;
		lane->queued_bytes -= first->message.head.n;
		free(first);
	}
	if (has_sent)
		ring_wake_worker(lane->instance->segment);
	return !lane->queue;
}

void lane_drop_queue(struct pool_lane *lane)
{
	while (lane->queue) {
		struct lane_message *first = lane->queue;
		lane->queue = first->next;
		free(first);
	}
	lane->queue_end = &lane->queue;
	lane->queued_bytes = 0;
}

void lane_send_cancel(struct pool_slot *slot, int32_t status)
{
	struct pool_lane *lane = slot->lane;
	struct bytes_buf *head = &lane->view->head;
	bytes_buf_clear(head);
	if (!wire_put_cancel(head, &(struct wire_cancel){ .status = status }))
		return;
	struct ring_message message = {
		.type = WIRE_CANCEL,
		.slot = slot->index,
		.generation = slot->generation,
		.head = bytes_buf_view(head),
	};
	if (lane_send(lane, &message) != LANE_SENT)
		lane_condemn(lane, "it does not read its ring");
	lane_wake_soon(lane);
}

void lane_send_ping(struct pool_lane *lane)
{
	if (lane->is_pinged)
		return;
	struct bytes_buf *head = &lane->view->head;
	bytes_buf_clear(head);
	lane->ping_ns = clock_mono_ns();
	lane->is_pinged = true;
	if (!wire_put_ping(head, &(struct wire_ping){ .number = lane->ping_ns }))
		return;
	struct ring_message message = { .type = WIRE_PING, .head = bytes_buf_view(head) };
	if (lane_send(lane, &message) != LANE_SENT)
		lane_condemn(lane, "it does not read its ring");
	lane_wake_soon(lane);
}
