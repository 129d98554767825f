/*
 * live_topic.h - what a client says that it wants to hear of
 *
 *   {"clientId":"...","subscriptions":["posts/abc", "posts/abc?options={\"query\":{...}}"]}
 *
 * A topic is a collection's name or id, '/', and '*' or a record's id; the collection alone is an
 * old form of that with the star. Behind '?' stand options as PocketBase's clients send them: the
 * JSON object in the parameter "options", with texts in "query" and "headers". Any other text is
 * taken as well, and no record will ever be told under it.
 *
 * Threads: all functions from any thread. Memory: results live in the arena and borrow from the
 * body.
 */
#ifndef LIVE_TOPIC_H
#define LIVE_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "record.h"

#define LIVE_TOPICS_MAX      1000 /* of a client */
#define LIVE_TOPIC_BYTES_MAX 2500 /* of one, as PocketBase has it */
#define LIVE_PAIRS_MAX       64   /* of query, and of headers */
#define LIVE_CLIENT_ID_MAX   64

struct live_topic {
	struct bytes text;    /* as the client wrote it: events come under this name */
	uint64_t hash;        /* of text */
	struct bytes key;     /* without its options, in the new form: what it is found by */
	struct bytes options; /* decoded JSON, or "" */
	struct record_pair *query, *headers;
	size_t n_query, n_headers;
};

enum live_topic_result {
	LIVE_TOPIC_OK,
	LIVE_TOPIC_LONG,    /* more than LIVE_TOPIC_BYTES_MAX */
	LIVE_TOPIC_CONTROL, /* a control character: it would end a line of the stream */
	LIVE_TOPIC_OPTIONS, /* the options are no such object */
	LIVE_TOPIC_NOMEM    /* the arena is full */
};

enum live_topic_result live_topic_parse(
	struct bytes text, struct arena *arena, struct live_topic *ret);

enum live_body_result {
	LIVE_BODY_OK,
	LIVE_BODY_SHAPE,     /* not an object with those members: nothing more is known */
	LIVE_BODY_CLIENT_ID, /* none, or a long one */
	LIVE_BODY_MANY,      /* more than LIVE_TOPICS_MAX */
	LIVE_BODY_TOPIC,     /* see ret->topic_result and n_topics: the one that is refused */
	LIVE_BODY_NOMEM
};

struct live_body {
	struct bytes client_id;
	struct live_topic *topics; /* none twice */
	size_t n_topics;
	enum live_topic_result topic_result;
};

/* Of a document that text_json_check has accepted. */
enum live_body_result live_body_parse(
	struct bytes json, struct arena *arena, struct live_body *ret);

#endif
