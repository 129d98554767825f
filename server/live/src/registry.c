/* Clients, and what they subscribe to. All in a round, so one at a time. */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#define OPTIONS_ARENA_BYTES (64u << 10)
#define VIEWER_ROW_MAX      (64u << 10) /* a larger record of an account stays in the database */

void registry_init(struct live_hub *hub)
{
	struct live_table *const tables[] = { &hub->clients, &hub->keys, &hub->groups,
		&hub->options, &hub->viewers };
	uint64_t secret;

	memcpy(&secret, hub->secret, sizeof secret);
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		tables[i]->secret = secret;
	hub->no_options.n_refs = 1;
}

/* ---- options: one for each text ---- */

static bool is_options(const struct live_node *node, const void *key)
{
	return bytes_eq(((const struct live_options *)node)->text, *(const struct bytes *)key);
}

static void options_free(struct live_options *options)
{
	arena_free(options->arena); /* the options lie in it */
}

static void options_unref(struct live_hub *hub, struct live_options *options)
{
	if (--options->n_refs > 0)
		return;
	live_table_remove(&hub->options, &options->node);
	options_free(options);
}

static struct live_options *options_new(struct bytes topic)
{
	DEFER(arena_free) struct arena *arena = NULL;
	struct live_topic parsed;
	struct err err;

	if (arena_new(OPTIONS_ARENA_BYTES, &arena, &err) < 0)
		return NULL;
	struct live_options *options = arena_alloc(arena, sizeof *options);
	char *text = arena_copy(arena, topic);
	if (!options || !text ||
		live_topic_parse((struct bytes){ text, topic.n }, arena, &parsed) != LIVE_TOPIC_OK)
		return NULL;
	*options = (struct live_options){ .text = parsed.options,
		.arena = arena,
		.query = parsed.query,
		.n_query = parsed.n_query,
		.headers = parsed.headers,
		.n_headers = parsed.n_headers };
	arena = NULL; /* the options' */
	return options;
}

static struct live_options *options_ref(struct live_hub *hub, const struct live_topic *topic)
{
	uint64_t hash = live_hash(topic->options);
	struct live_options *options = &hub->no_options;

	if (topic->options.n)
		options = (struct live_options *)live_table_find(
			&hub->options, hash, is_options, &topic->options);
	if (!options) {
		options = options_new(topic->text);
		if (options && !live_table_add(&hub->options, &options->node, hash)) {
			options_free(options);
			options = NULL;
		}
	}
	if (options)
		options->n_refs++;
	return options;
}

/* ---- viewers: one for each account, and one for guests ---- */

static bool is_same_viewer(const struct record_viewer *a, const struct record_viewer *b)
{
	return a->is_superuser == b->is_superuser && bytes_eq(a->record_id, b->record_id) &&
	       bytes_eq(a->collection_id, b->collection_id);
}

static bool is_viewer(const struct live_node *node, const void *key)
{
	return is_same_viewer(&((const struct live_viewer *)node)->as, key);
}

/* Its collection may have got another name since: that is not what makes a viewer. */
static uint64_t viewer_hash(struct bytes collection_id, struct bytes record_id)
{
	return live_hash_more(live_hash(collection_id), record_id.p, record_id.n);
}

static struct live_viewer *viewer_new(const struct record_viewer *as)
{
	const struct bytes from[3] = { as->collection_id, as->collection_name, as->record_id };
	struct live_viewer *viewer = calloc(1, sizeof *viewer + from[0].n + from[1].n + from[2].n);
	char *at = viewer ? viewer->data : NULL;

	if (!viewer)
		return NULL;
	bytes_buf_init(&viewer->row, VIEWER_ROW_MAX);
	viewer->as.is_superuser = as->is_superuser;
	struct bytes *const to[3] = { &viewer->as.collection_id, &viewer->as.collection_name,
		&viewer->as.record_id };
	for (size_t i = 0; i < 3; i++) {
		if (from[i].n)
			memcpy(at, from[i].p, from[i].n);
		*to[i] = (struct bytes){ at, from[i].n };
		at += from[i].n;
	}
	return viewer;
}

static struct live_viewer *viewer_ref(struct live_hub *hub, const struct record_viewer *as)
{
	uint64_t hash = viewer_hash(as->collection_id, as->record_id);
	struct live_viewer *viewer =
		(struct live_viewer *)live_table_find(&hub->viewers, hash, is_viewer, as);

	if (!viewer) {
		viewer = viewer_new(as);
		if (viewer && !live_table_add(&hub->viewers, &viewer->node, hash)) {
			free(viewer);
			viewer = NULL;
		}
	}
	if (viewer)
		viewer->n_refs++;
	return viewer;
}

static void viewer_unref(struct live_hub *hub, struct live_viewer *viewer)
{
	if (!viewer || --viewer->n_refs > 0)
		return;
	live_table_remove(&hub->viewers, &viewer->node);
	bytes_buf_fini(&viewer->row);
	free(viewer);
}

struct viewer_key {
	struct bytes collection_id, record_id;
};

static bool is_account(const struct live_node *node, const void *key)
{
	const struct live_viewer *viewer = (const struct live_viewer *)node;
	const struct viewer_key *account = key;

	return bytes_eq(viewer->as.record_id, account->record_id) &&
	       bytes_eq(viewer->as.collection_id, account->collection_id);
}

struct live_viewer *registry_find_viewer(
	struct live_hub *hub, struct bytes collection_id, struct bytes record_id)
{
	const struct viewer_key key = { collection_id, record_id };

	return (struct live_viewer *)live_table_find(
		&hub->viewers, viewer_hash(collection_id, record_id), is_account, &key);
}

static void bind_viewer(struct live_client *client, struct live_viewer *viewer)
{
	client->viewer = viewer;
	client->prev_of_viewer = NULL;
	client->next_of_viewer = viewer->clients;
	if (viewer->clients)
		viewer->clients->prev_of_viewer = client;
	viewer->clients = client;
}

static void unbind_viewer(struct live_hub *hub, struct live_client *client)
{
	struct live_viewer *viewer = client->viewer;

	if (!viewer)
		return;
	if (client->prev_of_viewer)
		client->prev_of_viewer->next_of_viewer = client->next_of_viewer;
	else
		viewer->clients = client->next_of_viewer;
	if (client->next_of_viewer)
		client->next_of_viewer->prev_of_viewer = client->prev_of_viewer;
	client->viewer = NULL;
	viewer_unref(hub, viewer);
}

/* ---- keys and groups ---- */

static bool is_key(const struct live_node *node, const void *key)
{
	return bytes_eq(((const struct live_key *)node)->text, *(const struct bytes *)key);
}

struct live_key *registry_find_key(struct live_hub *hub, struct bytes text)
{
	return (struct live_key *)live_table_find(&hub->keys, live_hash(text), is_key, &text);
}

static struct live_key *key_find_or_new(struct live_hub *hub, struct bytes text)
{
	struct live_key *key = registry_find_key(hub, text);

	if (key)
		return key;
	key = calloc(1, sizeof *key + text.n);
	if (!key)
		return NULL;
	if (text.n)
		memcpy(key->data, text.p, text.n);
	key->text = (struct bytes){ key->data, text.n };
	if (live_table_add(&hub->keys, &key->node, live_hash(text)))
		return key;
	free(key);
	return NULL;
}

static void key_drop_empty(struct live_hub *hub, struct live_key *key)
{
	if (key->groups)
		return;
	live_table_remove(&hub->keys, &key->node);
	free(key);
}

static bool is_group(const struct live_node *node, const void *key)
{
	const struct live_group *group = (const struct live_group *)node, *like = key;

	return group->key == like->key && group->options == like->options &&
	       group->viewer == like->viewer;
}

static uint64_t group_hash(const struct live_group *group)
{
	const void *const parts[3] = { group->key, group->options, group->viewer };

	return live_hash_more(live_hash((struct bytes){ NULL, 0 }), parts, sizeof parts);
}

static void group_drop_empty(struct live_hub *hub, struct live_group *group)
{
	struct live_key *key = group->key;

	if (group->subs)
		return;
	if (group->prev)
		group->prev->next = group->next;
	else
		key->groups = group->next;
	if (group->next)
		group->next->prev = group->prev;
	live_table_remove(&hub->groups, &group->node);
	options_unref(hub, group->options);
	viewer_unref(hub, group->viewer);
	free(group);
	key_drop_empty(hub, key);
}

/* References of options and viewer are the group's. NULL: no memory, nothing was made. */
static struct live_group *group_find_or_new(
	struct live_hub *hub, const struct live_topic *topic, struct live_viewer *viewer)
{
	struct live_key *key = key_find_or_new(hub, topic->key);
	struct live_options *options = key ? options_ref(hub, topic) : NULL;
	struct live_group like = { .key = key, .options = options, .viewer = viewer };
	struct live_group *group = NULL;

	if (options)
		group = (struct live_group *)live_table_find(
			&hub->groups, group_hash(&like), is_group, &like);
	if (group) {
		options_unref(hub, options);
		return group;
	}
	group = options ? malloc(sizeof *group) : NULL;
	if (group) {
		*group = like;
		if (live_table_add(&hub->groups, &group->node, group_hash(&like))) {
			viewer->n_refs++;
			group->next = key->groups;
			if (key->groups)
				key->groups->prev = group;
			key->groups = group;
			return group;
		}
		free(group);
	}
	if (options)
		options_unref(hub, options);
	if (key)
		key_drop_empty(hub, key);
	return NULL;
}

/* ---- subscriptions ---- */

static bool add_sub(struct live_hub *hub, struct live_client *client,
	const struct live_topic *topic, struct live_viewer *viewer)
{
	struct live_sub *sub = malloc(sizeof *sub + topic->text.n);
	struct live_group *group = sub ? group_find_or_new(hub, topic, viewer) : NULL;

	if (!group) {
		free(sub);
		return false;
	}
	*sub = (struct live_sub){ .next = group->subs,
		.next_of_client = client->subs,
		.group = group,
		.client = client,
		.topic = { sub->data, topic->text.n } };
	memcpy(sub->data, topic->text.p, topic->text.n);
	if (group->subs)
		group->subs->prev = sub;
	group->subs = sub;
	client->subs = sub;
	client->n_topic_bytes += topic->text.n;
	hub->n_topic_bytes += topic->text.n;
	return true;
}

static void drop_subs(struct live_hub *hub, struct live_client *client)
{
	while (client->subs) {
		struct live_sub *sub = client->subs;
		struct live_group *group = sub->group;

		client->subs = sub->next_of_client;
		if (sub->prev)
			sub->prev->next = sub->next;
		else
			group->subs = sub->next;
		if (sub->next)
			sub->next->prev = sub->prev;
		free(sub);
		group_drop_empty(hub, group);
	}
	hub->n_topic_bytes -= client->n_topic_bytes;
	client->n_topic_bytes = 0;
}

/* ---- clients ---- */

static bool is_client(const struct live_node *node, const void *key)
{
	return bytes_eq_string(*(const struct bytes *)key, ((const struct live_client *)node)->id);
}

void registry_join(struct live_hub *hub, struct live_client *client)
{
	/* Without memory nobody finds it: its topics will be a 404, and it connects again. */
	(void)live_table_add(&hub->clients, &client->node, live_hash(bytes_of(client->id)));
}

void registry_leave(struct live_hub *hub, struct live_client *client)
{
	drop_subs(hub, client);
	unbind_viewer(hub, client);
	live_table_remove(&hub->clients, &client->node);
	deliver_left(hub, client);
}

void registry_end(struct live_hub *hub, struct live_client *client)
{
	drop_subs(hub, client);
	unbind_viewer(hub, client);
	/* Nobody may give it other topics: its stream ends. */
	live_table_remove(&hub->clients, &client->node);
	deliver_end(hub, client, "auth");
}

void registry_resync_all(struct live_hub *hub, const char *reason)
{
	for (size_t i = 0; i < hub->clients.n_buckets; i++)
		for (struct live_node *node = hub->clients.buckets[i]; node; node = node->next) {
			struct live_client *client = (struct live_client *)node;
			if (client->subs)
				deliver_resync(hub, client, reason);
		}
}

/* ---- setting topics ---- */

static size_t bytes_of_topics(const struct live_body *body)
{
	size_t n = 0;

	for (size_t i = 0; i < body->n_topics; i++)
		n += body->topics[i].text.n;
	return n;
}

static enum live_subscribe_outcome set_topics(
	struct live_hub *hub, struct live_client *client, const struct live_subscribe *subscribe)
{
	const struct live_body *body = subscribe->body;
	struct live_viewer *before = client->viewer;

	bool is_bound = before && (before->as.record_id.n || before->as.is_superuser);

	if (is_bound && !is_same_viewer(&before->as, &subscribe->viewer))
		return LIVE_OTHER_AUTH;
	if (hub->n_topic_bytes - client->n_topic_bytes + bytes_of_topics(body) > TOPIC_BYTES_MAX)
		return LIVE_TOO_MUCH;
	if (!authority_is_valid(hub, subscribe))
		return LIVE_BUSY;
	struct live_viewer *viewer = viewer_ref(hub, &subscribe->viewer);

	if (!viewer)
		return LIVE_BUSY;
	if (!viewer->row.n)
		authority_read_row(hub, viewer);
	drop_subs(hub, client);
	unbind_viewer(hub, client);
	bind_viewer(client, viewer);
	client->has_stamp = subscribe->has_stamp;
	memcpy(client->stamp, subscribe->stamp, sizeof client->stamp);
	atomic_store(&client->expires_s, subscribe->expires_s);
	for (size_t i = 0; i < body->n_topics; i++)
		if (!add_sub(hub, client, &body->topics[i], viewer)) {
			drop_subs(hub, client);
			return LIVE_BUSY;
		}
	if (client->wants_resume && client->subs) {
		client->wants_resume = false;
		judge_replay(hub, client);
	}
	return LIVE_SUBSCRIBED;
}

static void deliver_outcome(struct loop_message *message)
{
	struct live_subscribe *subscribe =
		(struct live_subscribe *)(void *)((char *)message -
						  offsetof(struct live_subscribe, message));

	subscribe->done(subscribe);
}

void registry_subscribe(struct live_hub *hub, struct live_subscribe *subscribe)
{
	struct bytes id = subscribe->body->client_id;
	struct live_client *client =
		(struct live_client *)live_table_find(&hub->clients, live_hash(id), is_client, &id);

	subscribe->outcome = client ? set_topics(hub, client, subscribe) : LIVE_NO_CLIENT;
	subscribe->message.deliver = deliver_outcome;
	loop_post(subscribe->loop, &subscribe->message);
}

void registry_fini(struct live_hub *hub)
{
	struct live_node *node;

	while ((node = live_table_any(&hub->clients))) {
		struct live_client *client = (struct live_client *)node;
		drop_subs(hub, client);
		unbind_viewer(hub, client);
		live_table_remove(&hub->clients, node);
		free(client);
	}
	live_table_fini(&hub->clients);
	live_table_fini(&hub->keys);
	live_table_fini(&hub->groups);
	live_table_fini(&hub->options);
	live_table_fini(&hub->viewers);
}
