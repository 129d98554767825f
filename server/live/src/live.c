#include "hub.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_PER_TENANT  10000
#define CLIENTS_PER_ADDRESS 1000

/* ---- ticks: each lane looks at a part of its clients every second ---- */

static void visit(struct live_client *client, uint64_t now_ns, int64_t now_s)
{
	int64_t expires_s = atomic_load_explicit(&client->expires_s, memory_order_relaxed);

	if (expires_s && expires_s <= now_s)
		client_end(client, "auth");
	else if (now_ns - client->told_ns >= IDLE_NS)
		client_end(client, "idle");
	else if (tenant_get_state(client->hub->tenant) == TENANT_SUSPENDED)
		client_end(client, "suspended");
	else if (now_ns - client->written_ns >= KEEP_ALIVE_NS)
		client_keep_alive(client);
}

static void on_tick(struct loop_timer *timer)
{
	struct live_lane *lane =
		(struct live_lane *)(void *)((char *)timer - offsetof(struct live_lane, tick));
	uint64_t now_ns = loop_now_ns(lane->loop);
	int64_t now_s = clock_wall_us() / 1000000;
	unsigned n = (lane->n_clients + VISIT_EVERY_TICK - 1) / VISIT_EVERY_TICK;

	for (unsigned i = 0; i < n && lane->clients; i++) {
		struct live_client *client = lane->clients;

		lane->clients = client->next;
		if (client->stream) /* its end may take it out of the ring at once */
			visit(client, now_ns, now_s);
	}
	/* A timer that has run once is started again without memory. */
	(void)loop_timer_start(lane->loop, timer, now_ns + CLOCK_NS_PER_S, NULL);
}

static void ring_put(struct live_lane *lane, struct live_client *client)
{
	struct live_client *at = lane->clients;

	client->next = at ? at : client;
	client->prev = at ? at->prev : client;
	client->prev->next = client;
	client->next->prev = client;
	lane->clients = at ? at : client;
	lane->n_clients++;
}

static void ring_take(struct live_lane *lane, struct live_client *client)
{
	if (!client->next)
		return;
	if (lane->clients == client)
		lane->clients = client->next == client ? NULL : client->next;
	client->prev->next = client->next;
	client->next->prev = client->prev;
	client->prev = client->next = NULL;
	lane->n_clients--;
}

/* ---- its life ---- */

int live_new(const struct live_config *config, struct live **ret, struct err *err)
{
	struct live *live = calloc(1, sizeof *live);

	assert(config->n_loops > 0 && config->n_loops <= LANES_MAX);
	if (!live)
		return ERR_SET(err, ERR_NOMEM, "no memory for live events");
	live->config = *config;
	if (!live->config.clients_per_tenant)
		live->config.clients_per_tenant = CLIENTS_PER_TENANT;
	if (!live->config.clients_per_address)
		live->config.clients_per_address = CLIENTS_PER_ADDRESS;
	(void)pthread_mutex_init(&live->lock, NULL);
	for (unsigned i = 0; i < config->n_loops; i++) {
		live->lanes[i] = (struct live_lane){
			.live = live, .loop = config->loops[i], .tick = { .on_fire = on_tick }
		};
		bytes_buf_init(&live->lanes[i].scratch, LIVE_BUFFER_BYTES_MAX);
	}
	*ret = live;
	return 0;
}

void live_start(struct live *live)
{
	for (unsigned i = 0; i < live->config.n_loops; i++)
		(void)loop_timer_start(live->lanes[i].loop, &live->lanes[i].tick,
			clock_mono_ns() + CLOCK_NS_PER_S, NULL);
}

void live_set_limit(struct live *live, unsigned clients_max)
{
	live->clients_max = clients_max;
}

bool live_is_idle(const struct live *live)
{
	return atomic_load(&live->n_busy) == 0;
}

void live_free(struct live *live)
{
	struct live_node *node;

	if (!live)
		return;
	while ((node = live_table_any(&live->hubs))) {
		live_table_remove(&live->hubs, node);
		hub_free((struct live_hub *)node);
	}
	live_table_fini(&live->hubs);
	address_fini(live);
	for (unsigned i = 0; i < live->config.n_loops; i++)
		bytes_buf_fini(&live->lanes[i].scratch);
	(void)pthread_mutex_destroy(&live->lock);
	free(live);
}

static bool is_hub(const struct live_node *node, const void *key)
{
	return ((const struct live_hub *)node)->tenant == key;
}

struct live_hub *live_hub(struct live *live, struct tenant *tenant)
{
	uint64_t hash = live_hash(bytes_of(tenant_id(tenant)));

	pthread_mutex_lock(&live->lock);
	struct live_hub *hub =
		(struct live_hub *)live_table_find(&live->hubs, hash, is_hub, tenant);
	if (!hub) {
		hub = hub_new(live, tenant);
		if (hub && !live_table_add(&live->hubs, &hub->node, hash)) {
			hub_free(hub);
			hub = NULL;
		}
	}
	pthread_mutex_unlock(&live->lock);
	return hub;
}

const struct record_events *live_hub_events(const struct live_hub *hub)
{
	return &hub->events;
}

void live_stats(const struct live *live, struct live_stats *ret)
{
	*ret = (struct live_stats){ .n_clients = atomic_load(&live->n_clients),
		.n_events = atomic_load(&live->n_events),
		.n_sent = atomic_load(&live->n_sent),
		.n_resyncs = atomic_load(&live->n_resyncs) };
}

/* ---- clients ---- */

/* Of an IPv6 address the network, which is what one user has. */
static void address_of(struct bytes peer, char out[static 48])
{
	struct in6_addr address;

	(void)bytes_to_string(peer, out, 48);
	if (inet_pton(AF_INET6, out, &address) != 1)
		return;
	memset(address.s6_addr + 8, 0, 8);
	(void)inet_ntop(AF_INET6, &address, out, 48);
}

static bool hex_of(struct bytes text, uint64_t *ret)
{
	uint8_t raw[EVENT_ID_BYTES / 2];

	if (!bytes_unhex(text, raw, sizeof raw))
		return false;
	*ret = 0;
	for (size_t i = 0; i < sizeof raw; i++)
		*ret = *ret << 8 | raw[i];
	return true;
}

/* What it heard last: an event's id, or that of a connection, which ends in the newest event's of
 * its time. */
static void take_last_id(struct live_client *client, struct bytes last)
{
	if (last.n == 0)
		return;
	client->wants_resume = true;
	/* Another server's id, or an old one, is a place that is not known: it is told so. */
	if (last.n >= EVENT_ID_BYTES)
		(void)hex_of((struct bytes){ last.p + last.n - EVENT_ID_BYTES, EVENT_ID_BYTES },
			&client->resume_id);
}

/* Names the client, counts it in its hub and makes writes tell of themselves. */
static bool enter_hub(struct live_client *client)
{
	struct live_hub *hub = client->hub;
	struct id_source *ids = loop_ids(client->lane->loop);
	char random[2][ID_RECORD_BYTES + 1];

	id_record(ids, random[0]);
	id_record(ids, random[1]);
	pthread_mutex_lock(&hub->lock);
	bool has_room = hub->n_clients < hub->live->config.clients_per_tenant;
	if (has_room) {
		hub->n_clients++;
		if (!atomic_load(&hub->is_wanted)) {
			atomic_store(&hub->is_wanted, true);
			hub->needs_barrier = true;
		}
		(void)snprintf(client->id, sizeof client->id, "%s%s%016llx", random[0], random[1],
			(unsigned long long)hub->newest);
	}
	pthread_mutex_unlock(&hub->lock);
	return has_room;
}

enum live_join_result live_join(struct live_hub *hub, struct loop *loop, struct bytes address,
	struct bytes last_event_id, struct live_client **ret)
{
	struct live *live = hub->live;
	struct live_client *client = calloc(1, sizeof *client);

	assert(loop_index(loop) < live->config.n_loops);
	if (!client)
		return LIVE_NO_MEMORY;
	/* Two at once may pass: the limit leaves room for more than that. */
	if (live->clients_max && atomic_load(&live->n_clients) >= live->clients_max) {
		free(client);
		return LIVE_SERVER_FULL;
	}
	client->hub = hub;
	client->lane = &live->lanes[loop_index(loop)];
	address_of(address, client->address);
	take_last_id(client, last_event_id);
	pthread_mutex_lock(&live->lock);
	bool has_room = address_take(live, bytes_of(client->address));
	pthread_mutex_unlock(&live->lock);
	if (!has_room) {
		free(client);
		return LIVE_ADDRESS_FULL;
	}
	if (!enter_hub(client)) {
		pthread_mutex_lock(&live->lock);
		address_give(live, bytes_of(client->address));
		pthread_mutex_unlock(&live->lock);
		free(client);
		return LIVE_TENANT_FULL;
	}
	atomic_fetch_add(&live->n_clients, 1);
	client->join.kind = INPUT_JOIN;
	client->leave.kind = INPUT_LEAVE;
	/* It is found by whoever asks for it after that, since he asks behind it in the line. */
	hub_push(hub, &client->join, true);
	*ret = client;
	return LIVE_JOINED;
}

void live_open(struct live_client *client, void *stream)
{
	char text[2 * LIVE_CLIENT_ID_MAX + 64];
	int n = snprintf(text, sizeof text,
		"id:%s\nevent:PB_CONNECT\ndata:{\"clientId\":\"%s\"}\n\n", client->id, client->id);

	client->stream = stream;
	client->written_ns = client->told_ns = loop_now_ns(client->lane->loop);
	ring_put(client->lane, client);
	if (n < 0 || (size_t)n >= sizeof text ||
		!client->hub->live->config.sink.write(stream, (struct bytes){ text, (size_t)n }))
		client_end(client, "busy");
}

void live_leave(struct live_client *client)
{
	struct live_hub *hub = client->hub;
	struct live *live = hub->live;

	client->stream = NULL;
	ring_take(client->lane, client);
	pthread_mutex_lock(&live->lock);
	address_give(live, bytes_of(client->address));
	pthread_mutex_unlock(&live->lock);
	pthread_mutex_lock(&hub->lock);
	hub->n_clients--;
	pthread_mutex_unlock(&hub->lock);
	atomic_fetch_sub(&live->n_clients, 1);
	/* Once the loops have ended there are no rounds: live_free takes it with the hub. */
	if (loop_is_current(client->lane->loop))
		hub_push(hub, &client->leave, false);
}

void live_subscribe(struct live_hub *hub, struct live_subscribe *subscribe)
{
	subscribe->input.kind = INPUT_SUBSCRIBE;
	hub_push(hub, &subscribe->input, false);
}
