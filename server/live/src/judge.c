/*
 * Who is told of an event. For each group of subscriptions that are alike one question, and for
 * groups whose rule does not ask who they are one for all of them; the same with the text.
 *
 *   event ──▶ the account's own clients: is their key still the same?
 *         ──▶ keys the two with a star, name/record, id/record ──▶ groups ──▶ verdict ──▶ text ──▶
 * letters ──▶ ring
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#define MEMOS_MAX 16
#define KEYS      4

static const char *const action_names[] = {
	[RECORD_CREATE] = "create", [RECORD_UPDATE] = "update", [RECORD_DELETE] = "delete"
};

/* What has been found out for all who are no superusers and ask the same. */
struct memo {
	const struct live_options *options;
	bool is_by_id;
	bool has_verdict, has_text;
	enum record_verdict verdict;
	struct live_text *text; /* a reference of its own */
};

struct judging {
	struct live_hub *hub;
	const struct live_event *event;
	bool fits; /* the collection still is what it was */
	struct memo memos[MEMOS_MAX];
	size_t n_memos;
};

void text_unref(struct live_text *text)
{
	if (text && atomic_fetch_sub(&text->n_refs, 1) == 1)
		free(text);
}

static struct record_sight sight_of(
	const struct judging *judging, const struct live_group *group, bool is_by_id)
{
	struct live_hub *hub = judging->hub;
	const struct live_event *event = judging->event;
	const struct live_options *options = group->options;

	return (struct record_sight){ .book = hub->book,
		.conn = hub->conn,
		.arena = hub->arena,
		.collection_id = event->collection_id,
		.row = event->row,
		.is_by_id = is_by_id,
		.is_gone = event->action == RECORD_DELETE,
		.before = event->before ? store_hold_conn(event->before) : NULL,
		.viewer = group->viewer->as,
		.viewer_row = bytes_buf_view(&group->viewer->row),
		.query = options->query,
		.n_query = options->n_query,
		.headers = options->headers,
		.n_headers = options->n_headers };
}

/* The memo for those who ask as this group does; NULL: none may be shared. */
static struct memo *memo_of(struct judging *judging, const struct live_group *group, bool is_by_id)
{
	if (group->viewer->as.is_superuser)
		return NULL;
	for (size_t i = 0; i < judging->n_memos; i++)
		if (judging->memos[i].options == group->options &&
			judging->memos[i].is_by_id == is_by_id)
			return &judging->memos[i];
	if (judging->n_memos == MEMOS_MAX)
		return NULL;
	struct memo *memo = &judging->memos[judging->n_memos++];

	*memo = (struct memo){ .options = group->options, .is_by_id = is_by_id };
	return memo;
}

static enum record_verdict verdict_of(
	struct judging *judging, const struct live_group *group, bool is_by_id)
{
	struct live_hub *hub = judging->hub;
	struct memo *memo = memo_of(judging, group, is_by_id);
	bool is_shared;

	if (!judging->fits || !hub->conn)
		return RECORD_UNJUDGED;
	if (memo && memo->has_verdict)
		return memo->verdict;
	struct record_sight sight = sight_of(judging, group, is_by_id);
	enum record_verdict verdict = record_judge(&sight, &is_shared);

	arena_reset(hub->arena);
	if (memo && is_shared) {
		memo->has_verdict = true;
		memo->verdict = verdict;
	}
	return verdict;
}

/* {"action":"create","record":{...}} as a line of the stream, and the empty line behind it. */
static struct live_text *text_new(
	const struct record_sight *sight, enum record_action action, bool *ret_is_shared)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;

	bytes_buf_init(&out, LIVE_EVENT_BYTES_MAX);
	bytes_buf_appendf(&out, "data:{\"action\":\"%s\",\"record\":", action_names[action]);
	if (!record_tell(sight, &out, ret_is_shared) || !bytes_buf_append_string(&out, "}"))
		return NULL;
	/* A json field keeps the white space that it was sent with; between values a blank is as
	 * good as the end of a line, and does not end the data. */
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] == '\n' || out.p[i] == '\r')
			out.p[i] = ' ';
	struct live_text *text =
		bytes_buf_append_string(&out, "\n\n") ? malloc(sizeof *text + out.n) : NULL;

	if (!text)
		return NULL;
	atomic_init(&text->n_refs, 1);
	text->n = out.n;
	memcpy(text->data, out.p, out.n);
	return text;
}

/* A reference; NULL: it could not be made. */
static struct live_text *text_of(
	struct judging *judging, const struct live_group *group, bool is_by_id)
{
	struct memo *memo = memo_of(judging, group, is_by_id);
	bool is_shared = false;

	if (memo && memo->has_text) {
		if (memo->text)
			atomic_fetch_add(&memo->text->n_refs, 1);
		return memo->text;
	}
	struct record_sight sight = sight_of(judging, group, is_by_id);
	struct live_text *text = text_new(&sight, judging->event->action, &is_shared);

	arena_reset(judging->hub->arena);
	if (memo && is_shared) {
		memo->has_text = true;
		memo->text = text;
		if (text)
			atomic_fetch_add(&text->n_refs, 1);
	}
	return text;
}

static void forget_memos(struct judging *judging)
{
	for (size_t i = 0; i < judging->n_memos; i++)
		text_unref(judging->memos[i].text);
	judging->n_memos = 0;
}

static bool is_expired(const struct live_client *client)
{
	int64_t expires_s = atomic_load_explicit(&client->expires_s, memory_order_relaxed);

	return expires_s && expires_s <= clock_wall_us() / 1000000;
}

/* The group's subscriptions, or only those of one client. */
static void tell_group(struct judging *judging, const struct live_group *group, bool is_by_id,
	const struct live_client *only)
{
	struct live_hub *hub = judging->hub;
	enum record_verdict verdict = verdict_of(judging, group, is_by_id);

	if (verdict == RECORD_MAY_NOT)
		return;
	struct live_text *text =
		verdict == RECORD_MAY_SEE ? text_of(judging, group, is_by_id) : NULL;

	for (const struct live_sub *sub = group->subs; sub; sub = sub->next) {
		if ((only && sub->client != only) || is_expired(sub->client))
			continue;
		if (text)
			deliver_event(hub, sub, judging->event, text);
		else
			deliver_resync(hub, sub->client, "unjudged");
	}
	text_unref(text);
}

/* ---- keys ---- */

/* The four names under which an event can be asked for. */
static size_t keys_of(const struct live_event *event, struct bytes_buf out[KEYS])
{
	const struct bytes names[KEYS] = { event->collection_name, event->collection_id,
		event->collection_name, event->collection_id };

	for (size_t i = 0; i < KEYS; i++) {
		bytes_buf_init(&out[i], 512);
		bytes_buf_append(&out[i], names[i]);
		bytes_buf_append_byte(&out[i], '/');
		bytes_buf_append(&out[i], i < 2 ? BYTES("*") : event->record_id);
	}
	return KEYS;
}

static void find_keys(
	struct live_hub *hub, const struct live_event *event, struct live_key *ret[KEYS])
{
	struct bytes_buf texts[KEYS];
	size_t n = keys_of(event, texts);

	for (size_t i = 0; i < n; i++) {
		ret[i] = texts[i].failed ? NULL : registry_find_key(hub, bytes_buf_view(&texts[i]));
		bytes_buf_fini(&texts[i]);
	}
}

/* ---- an event ---- */

void judge_event(struct live_hub *hub, struct live_event *event)
{
	struct judging judging = { .hub = hub, .event = event };
	struct live_key *keys[KEYS] = { 0 };

	if (event->record_id.n == 0) {
		/* Many rows at once: accounts may be among them. */
		authority_recheck(hub, true);
		registry_resync_all(hub, "many");
		ring_add(hub, event);
		return;
	}
	authority_check(hub, event);
	find_keys(hub, event, keys);
	if (keys[0] || keys[1] || keys[2] || keys[3]) {
		judging.fits = !event->is_bare && hub->book &&
			       record_sight_fits(hub->book, event->collection_id, event->row);
		for (size_t i = 0; i < KEYS; i++)
			for (struct live_group *group = keys[i] ? keys[i]->groups : NULL; group;
				group = group->next)
				tell_group(&judging, group, i >= 2, NULL);
		forget_memos(&judging);
	}
	ring_add(hub, event);
}

/* ---- coming back ---- */

/* The newest event of that record in the ring, from place i on. */
static const struct live_event *newest_of(const struct live_hub *hub, size_t i)
{
	const struct live_event *event = ring_at(hub, i), *newest = event;

	for (i++; i < hub->ring_n; i++) {
		const struct live_event *later = ring_at(hub, i);
		if (bytes_eq(later->record_id, event->record_id) &&
			bytes_eq(later->collection_id, event->collection_id))
			newest = later;
	}
	return newest;
}

/* Whoever comes back says himself where he was. So he is told nothing that he might not see as it
 * is now: of a record that changed again, the newest state is judged as well. */
static bool may_see_newest(
	struct live_hub *hub, size_t i, const struct live_group *group, bool is_by_id)
{
	struct judging judging = { .hub = hub, .event = newest_of(hub, i) };

	if (judging.event == ring_at(hub, i))
		return true;
	judging.fits =
		record_sight_fits(hub->book, judging.event->collection_id, judging.event->row);
	enum record_verdict verdict = verdict_of(&judging, group, is_by_id);

	forget_memos(&judging);
	return verdict == RECORD_MAY_SEE;
}

static void replay_event(struct live_hub *hub, struct live_client *client, size_t i)
{
	struct judging judging = { .hub = hub, .event = ring_at(hub, i) };
	struct live_key *keys[KEYS] = { 0 };

	find_keys(hub, judging.event, keys);
	for (const struct live_sub *sub = client->subs; sub; sub = sub->next_of_client)
		for (size_t k = 0; k < KEYS; k++) {
			if (sub->group->key != keys[k])
				continue;
			judging.fits = record_sight_fits(
				hub->book, judging.event->collection_id, judging.event->row);
			if (may_see_newest(hub, i, sub->group, k >= 2))
				tell_group(&judging, sub->group, k >= 2, client);
		}
	forget_memos(&judging);
}

void judge_replay(struct live_hub *hub, struct live_client *client)
{
	uint64_t until_ns = clock_mono_ns() + REPLAY_MAX_NS;
	size_t i = 0;

	if (!hub->conn || !ring_find(hub, client->resume_id, &i)) {
		deliver_resync(hub, client, "gap");
		return;
	}
	for (; i < hub->ring_n; i++) {
		replay_event(hub, client, i);
		if (clock_mono_ns() < until_ns)
			continue;
		deliver_resync(hub, client, "gap");
		return;
	}
}
