/*
 * hub.h - the module's own state: a hub, its line, its clients and what they subscribe to
 *
 *   line        under the hub's lock; any thread appends, the round takes
 *   registry    the round's alone: clients by id, topics by key, and under each key groups of those
 *               who are alike: same options, same viewer. Nobody else looks at it, so it has no
 * lock stream      of a client: its loop's alone
 *
 *   key "posts/" and a star --> group (options, viewer) --> subscriptions --> client
 *
 * Threads: as said with each part. Memory: a client is freed on its loop once the registry has let
 * go of it; all else of the registry is freed by rounds.
 */
#ifndef LIVE_HUB_H
#define LIVE_HUB_H

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "live.h"
#include "store.h"
#include "store_hold.h"
#include "table.h"

#define LANES_MAX        16

#define EVENT_ID_BYTES   16 /* hexadecimal */
#define LINE_EVENTS_MAX  8192
#define LINE_BYTES_MAX   (8u << 20)
#define RING_EVENTS      1024 /* a power of two */
#define RING_BYTES_MAX   (2u << 20)
#define TOPIC_BYTES_MAX  (64u << 20) /* of all clients of a tenant */
#define LINGER_S         120         /* that a hub goes on listening for those who may come back */
#define SOFT_BUFFER      (64u << 10) /* of a client, but for one event that is larger */
#define ROUND_MAX_NS     (30 * CLOCK_NS_PER_MS)
#define REPLAY_MAX_NS    (200 * CLOCK_NS_PER_MS)
#define IDLE_NS          (300 * CLOCK_NS_PER_S)
#define KEEP_ALIVE_NS    (20 * CLOCK_NS_PER_S)
#define VISIT_EVERY_TICK 10 /* each client once in so many ticks of a second */

struct live_lane {
	struct live *live;
	struct loop *loop;
	struct loop_timer tick;
	struct live_client *clients; /* a ring; where the next tick begins */
	unsigned n_clients;
	struct bytes_buf scratch;
};

struct live {
	struct live_config config;
	struct live_lane lanes[LANES_MAX];
	pthread_mutex_t lock; /* of hubs and addresses: at a tenant's opening, joins and leaves */
	struct live_table hubs, addresses;
	atomic_uint n_busy;   /* hubs whose line is being worked off */
	unsigned clients_max; /* 0: not said */
	atomic_uint n_clients;
	atomic_uint_least64_t n_events, n_sent, n_resyncs;
};

/* ---- what waits in a line ---- */
enum { INPUT_JOIN, INPUT_LEAVE, INPUT_SUBSCRIBE, INPUT_EVENT, INPUT_FORGET };

/* One row that was written. In the line, then maybe in the ring. */
struct live_event {
	struct live_input input;
	uint64_t id;
	enum record_action action;
	bool is_bare; /* its JSON was left out */
	struct bytes collection_id, collection_name, record_id, row;
	size_t n_bytes;
	struct store_hold *before; /* of a delete, until it is judged */
	char data[];
};

/* ---- the registry ---- */
struct live_options {
	struct live_node node;
	size_t n_refs;
	struct bytes text;
	struct arena *arena; /* of the pairs; NULL when there are none */
	const struct record_pair *query, *headers;
	size_t n_query, n_headers;
};

struct live_viewer {
	struct live_node node;
	size_t n_refs;
	struct record_viewer as;     /* its texts are in data */
	struct live_client *clients; /* those that are bound to it */
	struct bytes_buf row;        /* its own record, as JSON of all fields; "": not known */
	char data[];
};

struct live_key {
	struct live_node node;
	struct live_group *groups;
	struct bytes text;
	char data[];
};

struct live_group {
	struct live_node node;
	struct live_group *prev, *next; /* of the key */
	struct live_key *key;
	struct live_options *options;
	struct live_viewer *viewer;
	struct live_sub *subs;
};

struct live_sub {
	struct live_sub *prev, *next; /* of the group */
	struct live_sub *next_of_client;
	struct live_group *group;
	struct live_client *client;
	struct bytes topic;
	char data[];
};

struct live_client {
	struct live_node node; /* by id; the registry's */
	struct live_hub *hub;
	struct live_lane *lane;
	char id[LIVE_CLIENT_ID_MAX + 1];
	char address[48];
	struct live_input join, leave;

	/* its loop's */
	void *stream;                    /* NULL before live_open and after the end */
	struct live_client *prev, *next; /* of the lane's ring */
	uint64_t written_ns, told_ns;
	bool is_behind; /* events are dropped until it has read what it has */

	/* the round's */
	struct live_viewer *viewer; /* NULL until topics were first set */
	struct live_client *prev_of_viewer, *next_of_viewer;
	bool has_stamp;
	uint8_t stamp[RECORD_STAMP_BYTES];
	struct live_sub *subs;
	size_t n_topic_bytes;
	uint64_t resume_id;
	bool wants_resume;
	uint64_t resync_round; /* the round that has told it to read anew */
	struct live_client *next_left;

	_Atomic int64_t expires_s; /* the round's to set, its loop's to look at; 0: never */
};

/* ---- letters ---- */
/* What all who are alike are told; shared, freed with the last letter. */
struct live_text {
	atomic_uint n_refs;
	size_t n;
	char data[];
};

enum letter_kind { LETTER_EVENT, LETTER_RESYNC, LETTER_END };

struct letter {
	enum letter_kind kind;
	struct live_client *client;
	size_t at, n; /* its own lines, in the outbox's text */
	struct live_text *text;
};

struct outbox {
	struct loop_message message;
	struct live_hub *hub;
	struct live_lane *lane;
	struct bytes_buf heads;
	struct letter *letters;
	size_t n_letters, cap, n_read;
	struct live_client *left; /* the registry has let go of them */
	bool has_failed;          /* no memory for a letter: its lane's clients have to read anew */
};

/* ---- the hub ---- */
struct live_hub {
	struct live_node node;
	struct live *live;
	struct tenant *tenant;
	struct live_lane *home; /* begins its rounds */
	struct record_events events;
	atomic_bool is_wanted; /* the one thing that a write looks at */

	pthread_mutex_t lock; /* all up to the next blank line */
	struct live_input *first, **end;
	size_t n_events, n_event_bytes; /* in the line */
	bool is_scheduled;
	bool has_lost;      /* an event did not fit: everybody has to read anew */
	bool needs_barrier; /* writes that began before is_wanted was set may still be under way */
	unsigned n_clients;
	uint64_t newest, n_ids; /* the last event's id, and how many there were */
	uint8_t secret[16];     /* ids are made of it and their number: they tell nothing */

	/* its home loop's */
	struct loop_message wake;
	struct tenant_use use;
	struct store_job job;
	struct loop_timer retry, linger;
	bool has_run;
	unsigned n_tries;
	atomic_uint n_open; /* parts of the round that have not ended: its job, its outboxes */

	/* the round's */
	uint64_t round, rechecked_ns;
	int64_t version; /* of the collections, when accounts were last looked at */
	struct record_book *book;
	struct store_conn *conn; /* NULL: no database in this round */
	struct arena *arena;
	struct live_table clients, keys, groups, options, viewers;
	size_t n_topic_bytes;
	struct live_options no_options;
	struct outbox *outboxes[LANES_MAX];
	struct live_event **ring; /* RING_EVENTS of them; NULL while there is none */
	size_t ring_first, ring_n, ring_bytes;
	uint64_t ring_base; /* the id before the ring's first event */
};

/* ---- hub.c ---- */
struct live_hub *hub_new(struct live *live, struct tenant *tenant);
void hub_free(struct live_hub *hub);
/* Appends to the line and sees to it that a round comes, unless it can wait for the next one. */
void hub_push(struct live_hub *hub, struct live_input *input, bool can_wait);
/* A part of the round has ended. Any thread. */
void hub_part_done(struct live_hub *hub);

/* ---- registry.c: in a round ---- */
void registry_init(struct live_hub *hub);
void registry_fini(struct live_hub *hub);
void registry_join(struct live_hub *hub, struct live_client *client);
void registry_leave(struct live_hub *hub, struct live_client *client);
void registry_subscribe(struct live_hub *hub, struct live_subscribe *subscribe);
/* The viewer of that record, NULL when none of the clients is bound to it. */
struct live_viewer *registry_find_viewer(
	struct live_hub *hub, struct bytes collection_id, struct bytes record_id);
struct live_key *registry_find_key(struct live_hub *hub, struct bytes text);
/* The client's authority has ended: it hears of nothing any more. */
void registry_end(struct live_hub *hub, struct live_client *client);
/* Every client that listens to anything has to read anew. */
void registry_resync_all(struct live_hub *hub, const char *reason);

/* ---- authority.c: in a round ---- */
bool authority_is_valid(struct live_hub *hub, const struct live_subscribe *subscribe);
void authority_read_row(struct live_hub *hub, struct live_viewer *viewer);
void authority_check(struct live_hub *hub, const struct live_event *event);
/* Looks at all accounts, when that is due or was not done for a while. */
void authority_recheck(struct live_hub *hub, bool is_due);

/* ---- judge.c: in a round ---- */
/* Tells those who may see it. Takes the event over. */
void judge_event(struct live_hub *hub, struct live_event *event);
/* What the client has missed since its last connection; called when its topics were first set. */
void judge_replay(struct live_hub *hub, struct live_client *client);

void event_free(struct live_event *event);

/* ---- ring.c: in a round ---- */
/* Takes the event over. */
void ring_add(struct live_hub *hub, struct live_event *event);
void ring_clear(struct live_hub *hub);
/* The place behind the event of that id; false when it is not known any more. */
bool ring_find(const struct live_hub *hub, uint64_t id, size_t *ret);
struct live_event *ring_at(const struct live_hub *hub, size_t i);

/* ---- deliver.c ---- */
/* In a round: letters for a client. text may be NULL; a reference of it is taken. */
void deliver_event(struct live_hub *hub, const struct live_sub *sub, const struct live_event *event,
	struct live_text *text);
void deliver_resync(struct live_hub *hub, struct live_client *client, const char *reason);
void deliver_end(struct live_hub *hub, struct live_client *client, const char *reason);
void deliver_left(struct live_hub *hub, struct live_client *client);
/* Sends what there is; the round's parts are counted before. */
void deliver_flush(struct live_hub *hub);
void text_unref(struct live_text *text);
/* On its loop: ends the stream after a last word. */
void client_end(struct live_client *client, const char *reason);
void client_keep_alive(struct live_client *client);

/* ---- address.c: under live's lock ---- */
/* False when the address has its share already. */
bool address_take(struct live *live, struct bytes address);
void address_give(struct live *live, struct bytes address);
void address_fini(struct live *live);

#endif
