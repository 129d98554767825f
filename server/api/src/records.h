/*
 * records.h - what other routes of records share with records.c
 */
#ifndef API_RECORDS_H
#define API_RECORDS_H

#include "internal.h"

#include "record_auth.h"

#include "record_once.h"
#include "text_url.h"

/* Book, viewer, collection, id, query, headers and so on, out of the request. False having
 * answered. */
bool records_fill_call(struct api_request *request, struct record_call *call);
/* The name of the collection in the path, however it is spelt there; "" when there is none. */
void records_collection_name(struct api_request *request, char ret[static RECORD_NAME_BYTES]);
/* A call for this request, filled; or NULL having answered. */
struct record_call *records_new_call(struct api_request *request);
/* Starts a filled call, which answers the request when it is done. */
void records_start(struct api_request *request, struct record_call *call,
	void (*start)(struct record_call *call));
/* Answers with what a call came to that was not done, and ends the call. */
void records_refuse(struct api_request *request, struct record_call *call);
/* The pairs of a query string, decoded, in arena. Returns TEXT_URL_END, or why not. */
enum text_url_result records_parse_query(
	struct bytes text, struct arena *arena, const struct record_pair **ret, size_t *ret_n);
/* "X-Forwarded-For" as rules name it: x_forwarded_for; {NULL, 0} when the arena is full. */
struct bytes records_rule_name(struct arena *arena, struct bytes name);

/* Starts the call that the request asks for; with has_body, its JSON is the call's. once: of
 * idempotency_check. */
void records_run(struct api_request *request, void (*start)(struct record_call *), bool has_body,
	const struct record_once *once);

#endif
