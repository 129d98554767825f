/*
 * Whose word a client's connection is: an account that goes, or whose tokens die, takes its
 * connections with it before any later event. All in a round.
 */
#include "hub.h"

#include <string.h>

#define RECHECK_NS (10 * CLOCK_NS_PER_S)

/* The key may have changed between the request's sign-in and this round; a client that is bound
 * would not be told of that any more. */
bool authority_is_valid(struct live_hub *hub, const struct live_subscribe *subscribe)
{
	uint8_t stamp[RECORD_STAMP_BYTES];

	if (!subscribe->has_stamp)
		return true;
	return hub->conn &&
	       record_find_account(hub->book, hub->conn, subscribe->viewer.collection_id,
		       subscribe->viewer.record_id, stamp, NULL) &&
	       memcmp(stamp, subscribe->stamp, sizeof stamp) == 0;
}

/* Kept, so that a rule that asks for something of the viewer's own record need not ask the database
 * at each event; events of the account keep it fresh. */
void authority_read_row(struct live_hub *hub, struct live_viewer *viewer)
{
	uint8_t stamp[RECORD_STAMP_BYTES];

	if (viewer->as.record_id.n && hub->conn &&
		!record_find_account(hub->book, hub->conn, viewer->as.collection_id,
			viewer->as.record_id, stamp, &viewer->row))
		bytes_buf_clear(&viewer->row);
}

/* Those whose token is signed with another stamp; all, when there is none. The viewer goes with its
 * last client. */
static void end_clients(struct live_hub *hub, struct live_viewer *viewer, const uint8_t *stamp)
{
	for (struct live_client *client = viewer->clients, *next; client; client = next) {
		next = client->next_of_viewer;
		if (!stamp || (client->has_stamp &&
				      memcmp(stamp, client->stamp, RECORD_STAMP_BYTES) != 0))
			registry_end(hub, client);
	}
}

/* An account was changed or is gone: whoever listens with one of its tokens may not any more, when
 * the token is none any more. */
void authority_check(struct live_hub *hub, const struct live_event *event)
{
	struct live_viewer *viewer =
		registry_find_viewer(hub, event->collection_id, event->record_id);
	uint8_t stamp[RECORD_STAMP_BYTES];

	if (!viewer || event->action == RECORD_CREATE)
		return;
	bool is_there = event->action == RECORD_UPDATE && hub->conn &&
			record_find_account(hub->book, hub->conn, event->collection_id,
				event->record_id, stamp, NULL);
	/* From here on its rules ask the record as this write left it. */
	bytes_buf_clear(&viewer->row);
	if (!bytes_buf_append(&viewer->row, event->row))
		bytes_buf_fini(&viewer->row);

	end_clients(hub, viewer, is_there ? stamp : NULL);
}

/* Not every way out of a table is told as an event, and an event may have been lost: now and then
 * all accounts are looked at. */
void authority_recheck(struct live_hub *hub, bool is_due)
{
	uint64_t now_ns = clock_mono_ns();
	uint8_t stamp[RECORD_STAMP_BYTES];

	if (!hub->conn)
		return;
	int64_t version = record_schema_version(hub->book);
	if (!is_due && version == hub->version && now_ns - hub->rechecked_ns < RECHECK_NS)
		return;
	hub->rechecked_ns = now_ns;
	hub->version = version;
	for (size_t i = 0; i < hub->viewers.n_buckets; i++)
		for (struct live_node *node = hub->viewers.buckets[i], *next; node; node = next) {
			struct live_viewer *viewer = (struct live_viewer *)node;
			/* Ending its clients takes a viewer out of the table, and no other. */
			next = node->next;
			if (!viewer->as.record_id.n)
				continue;
			bool is_there = record_find_account(hub->book, hub->conn,
				viewer->as.collection_id, viewer->as.record_id, stamp, NULL);
			bytes_buf_fini(&viewer->row);
			end_clients(hub, viewer, is_there ? stamp : NULL);
		}
}
