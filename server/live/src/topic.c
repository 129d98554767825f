/* Topics out of a client's body: everything in here was sent by somebody. */
#include "live_topic.h"

#include "table.h"
#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_url.h"

#include <string.h>

/* A topic's options are small; a filter alone has at most 3,500 bytes. */
static const struct text_json_limits option_limits = {
	.max_depth = 8, .max_nodes = 256, .max_bytes = LIVE_TOPIC_BYTES_MAX
};

static bool has_control(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 32 || text.p[i] == 127)
			return true;
	return false;
}

/* "X-Forwarded-For" as rules name it: x_forwarded_for. */
static bool as_rule_name(struct arena *arena, struct bytes *name)
{
	char *out = arena_copy(arena, *name);

	if (!out)
		return false;
	for (size_t i = 0; i < name->n; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
		else if (out[i] == '-')
			out[i] = '_';
	}
	name->p = out;
	return true;
}

/* The members of an object as pairs of texts: what is no string keeps its JSON. */
static enum live_topic_result take_pairs(struct bytes json, struct arena *arena, bool are_headers,
	struct record_pair **ret, size_t *ret_n)
{
	struct text_json_reader reader;
	struct text_json_token token, value;

	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) == TEXT_JSON_NULL)
		return LIVE_TOPIC_OK;
	if (token.type != TEXT_JSON_OBJECT)
		return LIVE_TOPIC_OPTIONS;
	struct record_pair *pairs = arena_alloc(arena, LIVE_PAIRS_MAX * sizeof *pairs);
	size_t n = 0;

	if (!pairs)
		return LIVE_TOPIC_NOMEM;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		if (n == LIVE_PAIRS_MAX)
			return LIVE_TOPIC_OPTIONS;
		struct record_pair *pair = &pairs[n++];
		struct bytes whole = text_json_skip(&reader, &token);
		struct text_json_reader inner;

		text_json_reader_init(&inner, whole);
		if (!text_json_text(&token, arena, &pair->name) ||
			(are_headers && !as_rule_name(arena, &pair->name)))
			return LIVE_TOPIC_NOMEM;
		if (text_json_next(&inner, &value) != TEXT_JSON_STRING) {
			if (value.type != TEXT_JSON_NULL)
				pair->value = whole;
			continue;
		}
		if (!text_json_text(&value, arena, &pair->value))
			return LIVE_TOPIC_NOMEM;
	}
	*ret = pairs;
	*ret_n = n;
	return LIVE_TOPIC_OK;
}

static enum live_topic_result parse_options(struct arena *arena, struct live_topic *topic)
{
	enum live_topic_result result = LIVE_TOPIC_OK;
	struct bytes part;

	if (text_json_check(topic->options, &option_limits, NULL) != TEXT_JSON_VALID)
		return LIVE_TOPIC_OPTIONS;
	if (text_json_find(topic->options, BYTES("/query"), &part) == TEXT_JSON_FOUND)
		result = take_pairs(part, arena, false, &topic->query, &topic->n_query);
	if (result == LIVE_TOPIC_OK &&
		text_json_find(topic->options, BYTES("/headers"), &part) == TEXT_JSON_FOUND)
		result = take_pairs(part, arena, true, &topic->headers, &topic->n_headers);
	return result;
}

/* "posts" becomes "posts/" and a star, as it always meant; all else stays as it is. */
static bool make_key(struct bytes name, struct arena *arena, struct bytes *ret)
{
	*ret = name;
	if (name.n == 0 || memchr(name.p, '/', name.n))
		return true;
	*ret = arena_printf(arena, "%.*s/*", (int)name.n, name.p);
	return ret->p;
}

enum live_topic_result live_topic_parse(
	struct bytes text, struct arena *arena, struct live_topic *ret)
{
	const char *mark = text.n ? memchr(text.p, '?', text.n) : NULL;
	struct bytes name = { text.p, mark ? (size_t)(mark - text.p) : text.n };
	struct text_url_query query;
	struct bytes key, value;

	*ret = (struct live_topic){ .text = text, .hash = live_hash(text) };
	if (text.n > LIVE_TOPIC_BYTES_MAX)
		return LIVE_TOPIC_LONG;
	if (has_control(text))
		return LIVE_TOPIC_CONTROL;
	if (!make_key(name, arena, &ret->key))
		return LIVE_TOPIC_NOMEM;
	if (!mark)
		return LIVE_TOPIC_OK;
	text_url_query_init(
		&query, (struct bytes){ mark + 1, text.n - name.n - 1 }, LIVE_PAIRS_MAX);
	for (;;) {
		enum text_url_result result = text_url_query_next(&query, arena, &key, &value);

		if (result == TEXT_URL_END)
			break;
		if (result != TEXT_URL_OK)
			return LIVE_TOPIC_OPTIONS;
		if (bytes_eq_string(key, "options"))
			ret->options = value;
	}
	return ret->options.n ? parse_options(arena, ret) : LIVE_TOPIC_OK;
}

/* ---- the body ---- */

/* Hashes first: a thousand long texts with the same beginning are soon sent. */
static bool is_there(const struct live_body *body, struct bytes text)
{
	uint64_t hash = live_hash(text);

	for (size_t i = 0; i < body->n_topics; i++)
		if (body->topics[i].hash == hash && bytes_eq(body->topics[i].text, text))
			return true;
	return false;
}

static enum live_body_result take_topics(
	struct bytes json, struct arena *arena, struct live_body *body)
{
	struct text_json_reader reader;
	struct text_json_token token;
	size_t n_seen = 0, cap = 0;

	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) == TEXT_JSON_NULL)
		return LIVE_BODY_OK;
	if (token.type != TEXT_JSON_ARRAY)
		return LIVE_BODY_SHAPE;
	while (text_json_next(&reader, &token) == TEXT_JSON_STRING) {
		struct bytes text;

		if (n_seen++ == LIVE_TOPICS_MAX)
			return LIVE_BODY_MANY;
		if (!text_json_text(&token, arena, &text))
			return LIVE_BODY_NOMEM;
		if (text.n == 0 || is_there(body, text))
			continue;
		if (body->n_topics == cap) {
			cap = cap ? 2 * cap : 8;
			struct live_topic *topics = arena_alloc(arena, cap * sizeof *topics);
			if (!topics)
				return LIVE_BODY_NOMEM;
			if (body->n_topics)
				memcpy(topics, body->topics, body->n_topics * sizeof *topics);
			body->topics = topics;
		}
		body->topic_result = live_topic_parse(text, arena, &body->topics[body->n_topics]);
		if (body->topic_result == LIVE_TOPIC_NOMEM)
			return LIVE_BODY_NOMEM;
		if (body->topic_result != LIVE_TOPIC_OK)
			return LIVE_BODY_TOPIC;
		body->n_topics++;
	}
	return token.type == TEXT_JSON_ARRAY_END ? LIVE_BODY_OK : LIVE_BODY_SHAPE;
}

enum live_body_result live_body_parse(struct bytes json, struct arena *arena, struct live_body *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes value;

	*ret = (struct live_body){ 0 };
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return LIVE_BODY_SHAPE;
	if (text_json_find(json, BYTES("/clientId"), &value) == TEXT_JSON_FOUND) {
		text_json_reader_init(&reader, value);
		if (text_json_next(&reader, &token) != TEXT_JSON_STRING)
			return LIVE_BODY_SHAPE;
		if (!text_json_text(&token, arena, &ret->client_id))
			return LIVE_BODY_NOMEM;
	}
	if (ret->client_id.n == 0 || ret->client_id.n > LIVE_CLIENT_ID_MAX)
		return LIVE_BODY_CLIENT_ID;
	if (text_json_find(json, BYTES("/subscriptions"), &value) != TEXT_JSON_FOUND)
		return LIVE_BODY_OK;
	return take_topics(value, arena, ret);
}
