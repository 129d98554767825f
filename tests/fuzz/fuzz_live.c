/*
 * fuzz_live.c - the body that sets a client's topics: what is taken keeps the promises of the rest
 */
#include <stdlib.h>
#include <string.h>

#include "live_topic.h"
#include "text_json_check.h"
#include "text_utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(claim)                                                                              \
	do {                                                                                       \
		if (!(claim))                                                                      \
			abort();                                                                   \
	} while (0)

/* Events are written under the topic's own text: it must stay within its line. */
static void check_topic(const struct live_topic *topic)
{
	EXPECT(topic->text.n > 0 && topic->text.n <= LIVE_TOPIC_BYTES_MAX);
	for (size_t i = 0; i < topic->text.n; i++)
		EXPECT((uint8_t)topic->text.p[i] >= 0x20 && topic->text.p[i] != 0x7f);
	EXPECT(topic->key.n <= topic->text.n + 2);
	EXPECT(topic->n_query <= LIVE_PAIRS_MAX && topic->n_headers <= LIVE_PAIRS_MAX);
	for (size_t i = 0; i < topic->n_query; i++)
		EXPECT(text_utf8_is_valid(topic->query[i].name) &&
			text_utf8_is_valid(topic->query[i].value));
	for (size_t i = 0; i < topic->n_headers; i++)
		for (size_t k = 0; k < topic->headers[i].name.n; k++)
			EXPECT(topic->headers[i].name.p[k] != '-' &&
				!(topic->headers[i].name.p[k] >= 'A' &&
					topic->headers[i].name.p[k] <= 'Z'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes text = { (const char *)data, n };
	DEFER(arena_free) struct arena *arena = NULL;
	struct live_topic topic;
	struct live_body body;

	EXPECT(arena_new(4u << 20, &arena, NULL) == 0);
	if (n > 0 && text_utf8_is_valid(text) &&
		live_topic_parse(text, arena, &topic) == LIVE_TOPIC_OK)
		check_topic(&topic);
	if (text_json_check(text, &TEXT_JSON_LIMITS, NULL) != TEXT_JSON_VALID ||
		live_body_parse(text, arena, &body) != LIVE_BODY_OK)
		return 0;
	EXPECT(body.client_id.n > 0 && body.client_id.n <= LIVE_CLIENT_ID_MAX);
	EXPECT(body.n_topics <= LIVE_TOPICS_MAX);
	for (size_t i = 0; i < body.n_topics; i++)
		check_topic(&body.topics[i]);
	return 0;
}
