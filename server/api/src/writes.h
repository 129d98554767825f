/*
 * writes.h - several writes that one request asks for, in one transaction
 *
 * Whoever reads them out of a body (batch.c, bulk.c) begins with as many as there are, fills in the
 * items of the group, and runs it. The group goes with the answer.
 *
 * Threads: the request's loop. Memory: the group's arena holds what the items point at.
 */
#ifndef API_WRITES_H
#define API_WRITES_H

#include "internal.h"

#include "record_group.h"
#include "record_once.h"
#include "text_json_check.h"
#include "text_json_reader.h"

/* A thousand records of two hundred members. */
#define WRITES_JSON_LIMITS                                                                         \
	((struct text_json_limits){ .max_depth = 32, .max_nodes = 250000, .max_bytes = 16u << 20 })

struct writes;

/* Those who read writes out of a body. */
struct writes_kind {
	/* Of record_group.compose; NULL: the answer has no body. */
	void (*compose)(struct record_group *group, struct bytes_buf *out);
	/* Answers a group that was done, or whose item failed; writes.c answers the rest. */
	void (*answer)(struct writes *writes);
};

struct writes {
	struct api_request *request;
	struct record_group *group;
	const struct writes_kind *kind;
};

/* Collection, query and headers of the request, for each item that has none of its own: outer.
 * Returns NULL having answered. */
struct writes *writes_begin(struct api_request *request, size_t n_items,
	const struct writes_kind *kind, struct record_call *ret_outer);
/* once: of idempotency_check. */
void writes_run(struct writes *writes, const struct record_once *once);
/* Instead of running it, when its items turn out not to be writes. */
void writes_end(struct writes *writes);

/* For compose: the record, or null where one was deleted. */
void writes_append_body(const struct record_item *item, struct bytes_buf *out);
/* 400 with {list: {index: {code, message, response}}}. */
void writes_refuse(struct writes *writes, const char *message, const char *list);
void writes_refuse_item(struct api_request *request, const char *message, const char *list,
	size_t index, const struct record_call *call);
/* 200 with what was composed, and X-Tenon-Ignored of all items. */
void writes_answer(struct writes *writes);

/* Stands before the first element of an array. False when json is none. */
bool writes_open_array(struct text_json_reader *reader, struct bytes json);
/* The next element, whole; {NULL, 0} after the last. */
struct bytes writes_next_element(struct text_json_reader *reader);
/* The first byte of the body that is no white space; 0 when there is none. */
char writes_first_byte(const struct api_request *request);

/* bulk.c: the body is an array of records. */
void bulk_run(
	struct api_request *request, enum record_action action, const struct record_once *once);

#endif
