/*
 * The line of a hub and its rounds.
 *
 *   push ──▶ wake (home loop) ──▶ tenant in use? ──▶ [barrier on the writer] ──▶ round (executor)
 *              ▲                                                                    │ letters
 *              └──────────── the last part of the round has ended ◀─────────────────┘
 */
#include "hub.h"

#include "hash.h"
#include "id.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ARENA_BYTES  (8u << 20)
#define RETRY_MS     20
#define TRIES_MAX    100 /* of a round that finds the executor full, before it goes without */
#define ROUND_SQL_NS (2 * CLOCK_NS_PER_S)

/* ---- the line ---- */

/* Locked. True when the caller has to wake the hub. */
static bool schedule(struct live_hub *hub)
{
	if (hub->is_scheduled)
		return false;
	hub->is_scheduled = true;
	atomic_fetch_add(&hub->live->n_busy, 1);
	return true;
}

static void append(struct live_hub *hub, struct live_input *input)
{
	input->next = NULL;
	*hub->end = input;
	hub->end = &input->next;
}

void hub_push(struct live_hub *hub, struct live_input *input, bool can_wait)
{
	pthread_mutex_lock(&hub->lock);
	append(hub, input);
	bool must_wake = !can_wait && schedule(hub);
	pthread_mutex_unlock(&hub->lock);
	if (must_wake)
		loop_post(hub->home->loop, &hub->wake);
}

/* The oldest input, NULL when the line is empty. */
static struct live_input *take(struct live_hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	struct live_input *input = hub->first;
	if (input) {
		hub->first = input->next;
		if (!hub->first)
			hub->end = &hub->first;
		if (input->kind == INPUT_EVENT) {
			hub->n_events--;
			hub->n_event_bytes -= ((struct live_event *)input)->n_bytes;
		}
	}
	pthread_mutex_unlock(&hub->lock);
	return input;
}

/* ---- events, on the writer's thread ---- */

static enum record_wanted wants(void *context, struct bytes tenant, struct bytes collection_id)
{
	const struct live_hub *hub = context;

	(void)tenant;
	(void)collection_id;
	return atomic_load_explicit(&hub->is_wanted, memory_order_relaxed) ? RECORD_WANT_RECORDS
									   : RECORD_WANT_NOTHING;
}

static struct bytes put(struct live_event *event, size_t *at, struct bytes text)
{
	struct bytes copy = { event->data + *at, text.n };

	if (text.n)
		memcpy(event->data + *at, text.p, text.n);
	*at += text.n;
	return copy;
}

void event_free(struct live_event *event)
{
	if (event)
		store_hold_unref(event->before);
	free(event);
}

static struct live_event *event_new(const struct record_event *from)
{
	struct bytes row = from->action == RECORD_DELETE ? from->old : from->record;
	size_t n = from->collection_id.n + from->collection_name.n + from->id.n + row.n, at = 0;
	struct live_event *event = malloc(sizeof *event + n);

	if (!event)
		return NULL;
	*event = (struct live_event){ .input = { .kind = INPUT_EVENT },
		.action = from->action,
		.is_bare = row.n == 0,
		.n_bytes = sizeof *event + n };
	if (from->before)
		event->before = store_hold_ref(from->before);
	event->collection_id = put(event, &at, from->collection_id);
	event->collection_name = put(event, &at, from->collection_name);
	event->record_id = put(event, &at, from->id);
	event->row = put(event, &at, row);
	return event;
}

/* Locked. An id says nothing about how much was written before it. */
static uint64_t next_id(struct live_hub *hub)
{
	uint8_t digest[HASH_BYTES];
	struct hash hash;
	uint64_t id;

	hub->n_ids++;
	hash_init(&hash);
	hash_add(&hash, hub->secret, sizeof hub->secret);
	hash_add(&hash, &hub->n_ids, sizeof hub->n_ids);
	hash_end(&hash, digest);
	memcpy(&id, digest, sizeof id);
	hub->newest = id;
	return id;
}

static void committed(
	void *context, struct bytes tenant, const struct record_event *events, size_t n_events)
{
	struct live_hub *hub = context;

	(void)tenant;
	if (!atomic_load_explicit(&hub->is_wanted, memory_order_relaxed))
		return;
	for (size_t i = 0; i < n_events; i++) {
		struct live_event *event = event_new(&events[i]);

		pthread_mutex_lock(&hub->lock);
		uint64_t id = next_id(hub);
		bool fits = event && hub->n_events < LINE_EVENTS_MAX &&
			    hub->n_event_bytes + event->n_bytes <= LINE_BYTES_MAX;
		/* One that is larger than the line waits in an empty one. */
		fits |= event && hub->n_events == 0;
		if (fits) {
			event->id = id;
			append(hub, &event->input);
			hub->n_events++;
			hub->n_event_bytes += event->n_bytes;
		}
		hub->has_lost |= !fits;
		bool must_wake = schedule(hub);
		pthread_mutex_unlock(&hub->lock);
		if (!fits)
			event_free(event);
		if (must_wake)
			loop_post(hub->home->loop, &hub->wake);
	}
	atomic_fetch_add_explicit(&hub->live->n_events, n_events, memory_order_relaxed);
}

/* ---- a round, on the executor ---- */

struct forget {
	struct live_input input;
	uint64_t id; /* the one place that is known from now on */
};

static void take_losses(struct live_hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	bool has_lost = hub->has_lost;
	uint64_t newest = hub->newest;
	hub->has_lost = false;
	pthread_mutex_unlock(&hub->lock);
	authority_recheck(hub, has_lost);
	if (!has_lost)
		return;
	ring_clear(hub);
	hub->ring_base = newest;
	registry_resync_all(hub, "busy");
}

static void work_off(struct live_hub *hub, struct live_input *input)
{
	switch (input->kind) {
	case INPUT_JOIN:
		registry_join(
			hub, (struct live_client *)(void *)((char *)input -
							    offsetof(struct live_client, join)));
		return;
	case INPUT_LEAVE:
		registry_leave(
			hub, (struct live_client *)(void *)((char *)input -
							    offsetof(struct live_client, leave)));
		return;
	case INPUT_SUBSCRIBE:
		registry_subscribe(hub,
			(struct live_subscribe *)(void *)((char *)input -
							  offsetof(struct live_subscribe, input)));
		return;
	case INPUT_EVENT:
		judge_event(hub, (struct live_event *)input);
		return;
	default: /* INPUT_FORGET: nobody listens, and writes are not told any more */
		ring_clear(hub);
		hub->ring_base = ((struct forget *)input)->id;
		free(input);
		return;
	}
}

static void run_round(struct live_hub *hub, struct store_conn *conn)
{
	uint64_t until_ns = clock_mono_ns() + ROUND_MAX_NS;
	struct live_input *input;
	struct err err;

	hub->has_run = true;
	hub->round++;
	hub->conn = conn;
	if (!hub->arena && arena_new(ARENA_BYTES, &hub->arena, &err) < 0)
		hub->conn = NULL;
	take_losses(hub);
	while ((input = take(hub))) {
		work_off(hub, input);
		if (clock_mono_ns() >= until_ns)
			break;
	}
	hub->conn = NULL;
	arena_free(hub->arena);
	hub->arena = NULL;
	deliver_flush(hub);
}

static enum store_outcome run_job(struct store_job *job, struct store_conn *conn)
{
	struct live_hub *hub =
		(struct live_hub *)(void *)((char *)job - offsetof(struct live_hub, job));

	run_round(hub, conn);
	return STORE_OK;
}

/* ---- its beginning and end, on the home loop ---- */

void hub_part_done(struct live_hub *hub)
{
	if (atomic_fetch_sub(&hub->n_open, 1) == 1)
		loop_post(hub->home->loop, &hub->wake);
}

static void start_job(struct live_hub *hub);

static void end_job(struct live_hub *hub)
{
	if (hub->use.tenant)
		tenant_use_end(&hub->use);
	hub->book = NULL;
	hub_part_done(hub);
}

static void on_retry(struct loop_timer *timer)
{
	start_job((struct live_hub *)(void *)((char *)timer - offsetof(struct live_hub, retry)));
}

static void done_job(struct store_job *job)
{
	struct live_hub *hub =
		(struct live_hub *)(void *)((char *)job - offsetof(struct live_hub, job));

	if (!hub->has_run && ++hub->n_tries < TRIES_MAX &&
		loop_timer_start(hub->home->loop, &hub->retry,
			clock_mono_ns() + RETRY_MS * CLOCK_NS_PER_MS, NULL) == 0)
		return;
	/* Better to tell clients that something was missed than to tell them nothing. */
	if (!hub->has_run)
		run_round(hub, NULL);
	end_job(hub);
}

static void start_job(struct live_hub *hub)
{
	hub->job = (struct store_job){ .run = run_job,
		.done = done_job,
		.loop = hub->home->loop,
		.deadline_ns = clock_mono_ns() + ROUND_SQL_NS };
	store_read(record_book_store(hub->book), &hub->job);
}

static enum store_outcome run_barrier(struct store_job *job, struct store_conn *conn)
{
	(void)job;
	(void)conn;
	return STORE_OK;
}

static void done_barrier(struct store_job *job)
{
	start_job((struct live_hub *)(void *)((char *)job - offsetof(struct live_hub, job)));
}

/* A write that looked at is_wanted before it was set is not told. Whoever subscribes now must find
 * it in what he reads next: his answer waits until the writer has passed that write. */
static void start_barrier(struct live_hub *hub)
{
	hub->job = (struct store_job){
		.run = run_barrier, .done = done_barrier, .loop = hub->home->loop
	};
	store_write(record_book_store(hub->book), &hub->job);
}

static void on_use(struct tenant_use *use, bool is_open)
{
	struct live_hub *hub =
		(struct live_hub *)(void *)((char *)use - offsetof(struct live_hub, use));

	pthread_mutex_lock(&hub->lock);
	bool needs_barrier = hub->needs_barrier;
	hub->needs_barrier &= !is_open;
	pthread_mutex_unlock(&hub->lock);
	hub->has_run = false;
	hub->n_tries = 0;
	if (!is_open) {
		hub->use.tenant = NULL;
		run_round(hub, NULL);
		end_job(hub);
		return;
	}
	hub->book = hub->live->config.book_of(tenant_hung(hub->tenant));
	if (needs_barrier)
		start_barrier(hub);
	else
		start_job(hub);
}

static void linger(struct live_hub *hub)
{
	if (!loop_timer_is_running(&hub->linger) &&
		loop_timer_start(hub->home->loop, &hub->linger,
			clock_mono_ns() + LINGER_S * CLOCK_NS_PER_S, NULL) < 0)
		atomic_store(&hub->is_wanted, true); /* it goes on, which costs and harms nobody */
}

static void on_wake(struct loop_message *message)
{
	struct live_hub *hub =
		(struct live_hub *)(void *)((char *)message - offsetof(struct live_hub, wake));

	pthread_mutex_lock(&hub->lock);
	bool has_work = hub->first || hub->has_lost;
	bool is_deserted = hub->n_clients == 0 && atomic_load(&hub->is_wanted);
	hub->is_scheduled = has_work;
	pthread_mutex_unlock(&hub->lock);
	if (!has_work) {
		if (is_deserted)
			linger(hub);
		atomic_fetch_sub(&hub->live->n_busy, 1);
		return;
	}
	atomic_store(&hub->n_open, 1); /* the job; each outbox adds itself */
	hub->use.loop = hub->home->loop;
	hub->use.done = on_use;
	tenant_use_begin(hub->tenant, &hub->use);
}

static void on_linger(struct loop_timer *timer)
{
	struct live_hub *hub =
		(struct live_hub *)(void *)((char *)timer - offsetof(struct live_hub, linger));
	struct forget *forget = calloc(1, sizeof *forget);
	bool must_wake = false;

	pthread_mutex_lock(&hub->lock);
	if (hub->n_clients == 0 && forget) {
		atomic_store(&hub->is_wanted, false);
		/* From here on writes go by unseen: no id given out so far is a place any more. */
		forget->id = next_id(hub);
		forget->input.kind = INPUT_FORGET;
		append(hub, &forget->input);
		forget = NULL; /* handed over */
		must_wake = schedule(hub);
	}
	pthread_mutex_unlock(&hub->lock);
	free(forget);
	if (must_wake)
		loop_post(hub->home->loop, &hub->wake);
}

/* ---- its life ---- */

struct live_hub *hub_new(struct live *live, struct tenant *tenant)
{
	struct live_hub *hub = calloc(1, sizeof *hub);
	uint64_t hash;

	if (!hub)
		return NULL;
	hub->live = live;
	hub->tenant = tenant;
	hash = live_hash(bytes_of(tenant_id(tenant)));
	hub->home = &live->lanes[hash % live->config.n_loops];
	hub->events =
		(struct record_events){ .context = hub, .wants = wants, .committed = committed };
	(void)pthread_mutex_init(&hub->lock, NULL);
	hub->end = &hub->first;
	while (getrandom(hub->secret, sizeof hub->secret, 0) != sizeof hub->secret)
		;
	hub->ring_base = next_id(hub);
	hub->wake.deliver = on_wake;
	hub->retry.on_fire = on_retry;
	hub->linger.on_fire = on_linger;
	registry_init(hub);
	return hub;
}

void hub_free(struct live_hub *hub)
{
	struct live_input *input;

	while ((input = take(hub)))
		if (input->kind == INPUT_EVENT)
			event_free((struct live_event *)input);
		else if (input->kind == INPUT_FORGET)
			free(input);
		else if (input->kind == INPUT_JOIN)
			registry_join(hub,
				(struct live_client *)(void *)((char *)input -
							       offsetof(struct live_client, join)));
	ring_clear(hub);
	registry_fini(hub);
	(void)pthread_mutex_destroy(&hub->lock);
	free(hub);
}
