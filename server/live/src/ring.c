/* The last events of a hub, for clients that come back. */
#include "hub.h"

#include <stdlib.h>

struct live_event *ring_at(const struct live_hub *hub, size_t i)
{
	return hub->ring[(hub->ring_first + i) & (RING_EVENTS - 1)];
}

static void drop_first(struct live_hub *hub)
{
	struct live_event *event = ring_at(hub, 0);

	hub->ring_base = event->id;
	hub->ring_bytes -= event->n_bytes;
	hub->ring_first = (hub->ring_first + 1) & (RING_EVENTS - 1);
	hub->ring_n--;
	event_free(event);
}

void ring_add(struct live_hub *hub, struct live_event *event)
{
	/* No snapshot is held for those who may come back. */
	store_hold_unref(event->before);
	event->before = NULL;
	/* Of what cannot be told again a later client must not be told the half. */
	if (event->is_bare || event->n_bytes > RING_BYTES_MAX) {
		ring_clear(hub);
		hub->ring_base = event->id;
		event_free(event);
		return;
	}
	if (!hub->ring)
		hub->ring = calloc(RING_EVENTS, sizeof *hub->ring);
	if (!hub->ring) {
		hub->ring_base = event->id;
		event_free(event);
		return;
	}
	while (hub->ring_n == RING_EVENTS ||
		(hub->ring_n && hub->ring_bytes + event->n_bytes > RING_BYTES_MAX))
		drop_first(hub);
	hub->ring[(hub->ring_first + hub->ring_n) & (RING_EVENTS - 1)] = event;
	hub->ring_n++;
	hub->ring_bytes += event->n_bytes;
}

void ring_clear(struct live_hub *hub)
{
	while (hub->ring_n)
		drop_first(hub);
	free(hub->ring);
	hub->ring = NULL;
	hub->ring_first = 0;
}

bool ring_find(const struct live_hub *hub, uint64_t id, size_t *ret)
{
	if (id == hub->ring_base) {
		*ret = 0;
		return true;
	}
	for (size_t i = hub->ring_n; i-- > 0;)
		if (ring_at(hub, i)->id == id) {
			*ret = i + 1;
			return true;
		}
	return false;
}
