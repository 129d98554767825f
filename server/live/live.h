/*
 * live.h - who listens to a tenant's records, and what each of them is told
 *
 * A client is a connection that stays open; a hub is all that listens to one tenant. Committed
 * writes come to the hub from the writer's thread, in their order; what clients ask comes from
 * their loops. Both wait in one line, and a round takes from it on the executor, with a connection
 * to the tenant's database:
 *
 *   writer  --event--> |      |             round (executor)              --letters--> client's
 * loop loop A  --join---> | line | --> who subscribes to it? who may see it? --letters--> client's
 * loop loop B  --topics-> |      |     one evaluation and one text for all who are alike
 *
 * The next round begins when all letters of the last one have arrived, so a hub has one round of
 * them in memory, and a slow loop slows its hub and nobody else. What does not fit is not lost in
 * silence: those whom it might have concerned get the event TN_RESYNC, and read anew.
 *
 * Threads: a client belongs to one loop; which function may be called where stands with each.
 * Memory:  a hub lives as long as struct live, a client until live_leave.
 */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "live_topic.h"
#include "loop.h"
#include "record.h"
#include "record_sight.h"
#include "tenant.h"

struct live;
struct live_hub;
struct live_client;

/* The most bytes of one event, and so of a stream's buffer. */
#define LIVE_EVENT_BYTES_MAX  (4u << 20)
#define LIVE_BUFFER_BYTES_MAX (LIVE_EVENT_BYTES_MAX + 4096)

/* How bytes reach a client. All on its loop. */
struct live_sink {
	/* False, with nothing taken, when there is no memory. Never asked to take more than
	 * LIVE_BUFFER_BYTES_MAX beside what is pending. */
	bool (*write)(void *stream, struct bytes data);
	size_t (*pending)(void *stream); /* bytes that the reader has not taken yet */
	/* Ends it; live_leave follows, now or later. */
	void (*end)(void *stream);
};

struct live_config {
	struct loop *const *loops;
	unsigned n_loops;
	unsigned clients_per_tenant;  /* 0: 10,000 */
	unsigned clients_per_address; /* over all tenants; 0: 1,000 */
	/* The book of what hangs on an open tenant. */
	struct record_book *(*book_of)(void *hung);
	struct live_sink sink;
};

int live_new(const struct live_config *config, struct live **ret, struct err *err);
/* Starts the ticks on every loop, before the loops run. */
void live_start(struct live *live);
/* The most clients of all tenants together, so that those who only listen leave connections to
 * those who ask; before the loops run. */
void live_set_limit(struct live *live, unsigned clients_max);
/* True when no line is being worked off: once no client is left either, the loops may end. Any
 * thread. */
bool live_is_idle(const struct live *live);
/* After the loops have ended. Takes NULL. */
void live_free(struct live *live);

/* The hub of a tenant. Made when first asked for; NULL: no memory. Any thread. */
struct live_hub *live_hub(struct live *live, struct tenant *tenant);
/* For struct record_config. A write asks it one relaxed load when nobody listens. */
const struct record_events *live_hub_events(const struct live_hub *hub);

/* ---- clients ---- */
enum live_join_result {
	LIVE_JOINED,
	LIVE_SERVER_FULL,
	LIVE_TENANT_FULL,
	LIVE_ADDRESS_FULL,
	LIVE_NO_MEMORY
};

/* A client arrives on its loop. last_event_id: what it says it heard last, or "". */
enum live_join_result live_join(struct live_hub *hub, struct loop *loop, struct bytes address,
	struct bytes last_event_id, struct live_client **ret);
/* Its stream is open: writes PB_CONNECT. Without it, only live_leave may follow. */
void live_open(struct live_client *client, void *stream);
/* Its stream is gone, and so is the client for the caller. */
void live_leave(struct live_client *client);

enum live_subscribe_outcome {
	LIVE_SUBSCRIBED,
	LIVE_NO_CLIENT,  /* 404 */
	LIVE_OTHER_AUTH, /* 403: the client belongs to somebody else */
	LIVE_TOO_MUCH,   /* 429: the tenant's clients ask for more topics than fit */
	LIVE_BUSY        /* 503 */
};

struct live_subscribe {
	struct loop *loop;
	const struct live_body *body; /* lives until done */
	/* Who asks: nobody when record_id is empty. */
	struct record_viewer viewer;
	bool has_stamp; /* of the account that he signed in with */
	uint8_t stamp[RECORD_STAMP_BYTES];
	int64_t expires_s;                              /* wall clock; 0: never */
	void (*done)(struct live_subscribe *subscribe); /* on loop, once, later */
	void *context;
	enum live_subscribe_outcome outcome;
	/* the module's own */
	struct live_input {
		struct live_input *next;
		int kind;
	} input;
	struct loop_message message;
};

/* The client's topics are these from now on, and its viewer the one who asks. Any loop. */
void live_subscribe(struct live_hub *hub, struct live_subscribe *subscribe);

struct live_stats {
	unsigned n_clients;
	uint64_t n_events, n_sent, n_resyncs;
};
void live_stats(const struct live *live, struct live_stats *ret);

DEFER_DEFINE(struct live *, live_free)

#endif
