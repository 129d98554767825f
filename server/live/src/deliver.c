/*
 * Letters: written in a round, one outbox for each loop; read on that loop, into its clients'
 * streams.
 */
#include "hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS_MAX (64u << 20)
#define SLICE     128 /* letters read before the loop has its turn again: some 2 ms of it */

/* ---- in a round ---- */

static void deliver_outbox(struct loop_message *message);

static struct outbox *outbox_of(struct live_hub *hub, const struct live_client *client)
{
	size_t lane = (size_t)(client->lane - hub->live->lanes);
	struct outbox *outbox = hub->outboxes[lane];

	if (outbox)
		return outbox;
	outbox = calloc(1, sizeof *outbox);
	if (!outbox)
		return NULL;
	outbox->hub = hub;
	outbox->lane = client->lane;
	outbox->message.deliver = deliver_outbox;
	bytes_buf_init(&outbox->heads, HEADS_MAX);
	hub->outboxes[lane] = outbox;
	return outbox;
}

static struct letter *letter_new(struct live_hub *hub, struct live_client *client)
{
	struct outbox *outbox = outbox_of(hub, client);

	if (outbox && outbox->n_letters == outbox->cap) {
		size_t cap = outbox->cap ? 2 * outbox->cap : 16;
		struct letter *letters = reallocarray(outbox->letters, cap, sizeof *letters);
		if (letters) {
			outbox->letters = letters;
			outbox->cap = cap;
		}
	}
	if (!outbox || outbox->n_letters == outbox->cap) {
		pthread_mutex_lock(&hub->lock);
		hub->has_lost = true;
		pthread_mutex_unlock(&hub->lock);
		return NULL;
	}
	struct letter *letter = &outbox->letters[outbox->n_letters++];

	*letter = (struct letter){ .client = client, .at = outbox->heads.n };
	return letter;
}

/* What the letter's client alone is told; a letter that does not fit becomes "read anew". */
static void add_head(struct live_hub *hub, struct letter *letter, const struct live_event *event,
	struct bytes topic)
{
	struct outbox *outbox = outbox_of(hub, letter->client);
	struct bytes_buf *heads = &outbox->heads;

	bytes_buf_appendf(heads, "id:%016llx\nevent:", (unsigned long long)event->id);
	bytes_buf_append(heads, topic);
	bytes_buf_append_byte(heads, '\n');
	letter->n = heads->n - letter->at;
	if (!heads->failed)
		return;
	letter->kind = LETTER_RESYNC;
	letter->n = 0;
}

void deliver_event(struct live_hub *hub, const struct live_sub *sub, const struct live_event *event,
	struct live_text *text)
{
	struct letter *letter = letter_new(hub, sub->client);

	if (!letter)
		return;
	letter->kind = LETTER_EVENT;
	add_head(hub, letter, event, sub->topic);
	letter->text = text;
	atomic_fetch_add(&text->n_refs, 1);
	atomic_fetch_add_explicit(&hub->live->n_sent, 1, memory_order_relaxed);
}

static void add_reason(struct live_hub *hub, struct letter *letter, const char *reason)
{
	struct outbox *outbox = outbox_of(hub, letter->client);

	bytes_buf_append_string(&outbox->heads, reason);
	letter->n = outbox->heads.n - letter->at;
}

void deliver_resync(struct live_hub *hub, struct live_client *client, const char *reason)
{
	/* Once in a round is enough: it reads everything anew. */
	if (client->resync_round == hub->round)
		return;
	client->resync_round = hub->round;
	struct letter *letter = letter_new(hub, client);

	if (!letter)
		return;
	letter->kind = LETTER_RESYNC;
	add_reason(hub, letter, reason);
}

void deliver_end(struct live_hub *hub, struct live_client *client, const char *reason)
{
	struct letter *letter = letter_new(hub, client);

	/* Without memory it hears of nothing more all the same: its topics are gone. */
	if (!letter)
		return;
	letter->kind = LETTER_END;
	add_reason(hub, letter, reason);
}

void deliver_left(struct live_hub *hub, struct live_client *client)
{
	struct outbox *outbox = outbox_of(hub, client);

	/* Its memory is lost then, for want of memory; nobody looks at it any more. */
	if (!outbox)
		return;
	client->next_left = outbox->left;
	outbox->left = client;
}

void deliver_flush(struct live_hub *hub)
{
	unsigned n_lanes = hub->live->config.n_loops;
	struct outbox *boxes[LANES_MAX];

	memcpy(boxes, hub->outboxes, sizeof boxes);
	memset(hub->outboxes, 0, sizeof hub->outboxes);
	for (unsigned i = 0; i < n_lanes; i++)
		if (boxes[i])
			atomic_fetch_add(&hub->n_open, 1);
	for (unsigned i = 0; i < n_lanes; i++)
		if (boxes[i])
			loop_post(boxes[i]->lane->loop, &boxes[i]->message);
}

/* ---- on the client's loop ---- */

static bool write_bytes(struct live_client *client, struct bytes data)
{
	const struct live_sink *sink = &client->hub->live->config.sink;

	client->written_ns = loop_now_ns(client->lane->loop);
	return sink->write(client->stream, data);
}

static void end_stream(struct live_client *client)
{
	void *stream = client->stream;

	client->stream = NULL;
	if (stream)
		client->hub->live->config.sink.end(stream);
}

/* {"reason":"..."} under a name of ours. It has no id: who comes back names the last event that it
 * was told. */
static void write_word(struct live_client *client, const char *event, struct bytes reason)
{
	char text[160];
	int n = snprintf(text, sizeof text, "event:%s\ndata:{\"reason\":\"%.*s\"}\n\n", event,
		(int)reason.n, reason.p);

	if (n < 0 || (size_t)n >= sizeof text ||
		!write_bytes(client, (struct bytes){ text, (size_t)n }))
		end_stream(client);
}

static void fall_behind(struct live_client *client, const char *reason)
{
	client->is_behind = true;
	atomic_fetch_add_explicit(&client->hub->live->n_resyncs, 1, memory_order_relaxed);
	write_word(client, "TN_RESYNC", bytes_of(reason));
}

/* Once it was told that something is missing, everything else it is to be told waits until it has
 * read so: what was left out meanwhile is before that word for it, and it reads anew behind it. */
static bool is_behind(struct live_client *client, size_t n)
{
	size_t pending = client->hub->live->config.sink.pending(client->stream);

	if (pending == 0)
		client->is_behind = false;
	else if (!client->is_behind && pending + n > SOFT_BUFFER)
		fall_behind(client, "slow");
	return client->is_behind;
}

static void send_event(struct live_client *client, struct bytes head, const struct live_text *text)
{
	struct bytes_buf *scratch = &client->lane->scratch;

	if (is_behind(client, head.n + text->n))
		return;
	bytes_buf_clear(scratch);
	bytes_buf_append(scratch, head);
	bytes_buf_append(scratch, (struct bytes){ text->data, text->n });
	if (scratch->failed || !write_bytes(client, bytes_buf_view(scratch)))
		fall_behind(client, "busy");
	else
		client->told_ns = client->written_ns;
}

void client_end(struct live_client *client, const char *reason)
{
	write_word(client, "TN_CLOSE", bytes_of(reason));
	end_stream(client);
}

void client_keep_alive(struct live_client *client)
{
	/* One that does not read is not helped by more to read. */
	if (client->hub->live->config.sink.pending(client->stream) == 0)
		(void)write_bytes(client, BYTES(":\n\n"));
}

static void read_letter(const struct outbox *outbox, const struct letter *letter)
{
	struct live_client *client = letter->client;
	struct bytes head = { outbox->heads.p + letter->at, letter->n };
	char reason[32];

	if (!client->stream)
		return;
	if (tenant_get_state(client->hub->tenant) == TENANT_SUSPENDED) {
		client_end(client, "suspended");
		return;
	}
	(void)bytes_to_string(head, reason, sizeof reason);
	switch (letter->kind) {
	case LETTER_EVENT:
		send_event(client, head, letter->text);
		return;
	case LETTER_RESYNC:
		if (!client->is_behind)
			fall_behind(client, letter->n ? reason : "busy");
		return;
	case LETTER_END:
		client_end(client, reason);
		return;
	}
}

static void deliver_outbox(struct loop_message *message)
{
	struct outbox *outbox =
		(struct outbox *)(void *)((char *)message - offsetof(struct outbox, message));
	struct live_hub *hub = outbox->hub;

	for (size_t n = 0; n < SLICE && outbox->n_read < outbox->n_letters; n++) {
		struct letter *letter = &outbox->letters[outbox->n_read++];
		read_letter(outbox, letter);
		text_unref(letter->text);
	}
	if (outbox->n_read < outbox->n_letters) {
		loop_post(outbox->lane->loop, message);
		return;
	}
	for (struct live_client *client = outbox->left, *next; client; client = next) {
		next = client->next_left;
		free(client);
	}
	/* What one large event needed is not kept. */
	if (outbox->lane->scratch.cap > SOFT_BUFFER)
		bytes_buf_fini(&outbox->lane->scratch);
	bytes_buf_fini(&outbox->heads);
	free(outbox->letters);
	free(outbox);
	hub_part_done(hub);
}
