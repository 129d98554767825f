/*
 * record_group.h - several writes in one transaction: all of them, or none
 *
 *   on the loop       item 0: checks -> password -> hooks, then item 1, ...   the first that says
 *                     no ends it, before anything has been written
 *   on the writer     one job that is alone: item 0, item 1, ...              the first that says
 *                     no takes all back
 *   after the commit  events of each item, answers of each item
 *
 * An item is a record_call like any other, with its own rules, hooks, expand and fields; a later
 * one sees what an earlier one did. What a plugin attaches to an item runs in the same transaction.
 *
 * Threads: all on the group's loop.
 * Memory:  the group owns its items and their arena; what the items' calls point at is the
 *          caller's, or in record_group_arena.
 */
#ifndef RECORD_GROUP_H
#define RECORD_GROUP_H

#include "record.h"

#define RECORD_GROUP_MAX         1000       /* items */
#define RECORD_GROUP_ANSWERS_MAX (8u << 20) /* bytes of all answers */
#define RECORD_GROUP_ARENA_BYTES (32u << 20)

enum record_item_kind {
	RECORD_ITEM_CREATE,
	RECORD_ITEM_UPDATE,
	RECORD_ITEM_DELETE,
	RECORD_ITEM_UPSERT /* an update of call.id when that exists, else a create */
};

struct record_item {
	enum record_item_kind kind;
	/* To fill in: collection, id, body, method, query, headers, is_strict. The rest is the
	 * group's. Afterwards: status, message, answer, as of any call. */
	struct record_call call;
	enum record_action action; /* what was done: what an upsert became */
};

enum record_group_result {
	RECORD_GROUP_DONE,
	/* items[failed] says why, with a 4xx */
	RECORD_GROUP_ITEM_FAILED,
	/* status and message say why: 409 (once), 500 (err), 503, 504, 507 */
	RECORD_GROUP_FAILED
};

struct record_group {
	/* what is asked, of all items */
	struct record_book *book;
	struct loop *loop;
	struct record_viewer viewer;
	bool ignore_rules;
	unsigned depth;
	uint8_t trace_id[ID_TRACE_BYTES];
	uint64_t deadline_ns;           /* monotonic; 0: 5 s from now */
	const struct record_once *once; /* of the whole; NULL: none */
	/* On the writer's thread, when all items have run: makes the answer of the whole, which is
	 * kept with once. NULL: there is none. */
	void (*compose)(struct record_group *group, struct bytes_buf *out);
	struct record_item *items;
	size_t n_items;
	void (*done)(struct record_group *group);
	void *context; /* the caller's */

	/* what came of it */
	enum record_group_result result;
	size_t failed;
	int status;
	const char *message;
	struct bytes_buf answer; /* of compose */
	struct err err;

	struct group_work *work; /* the module's own */
};

/* A group of n_items, 1 to RECORD_GROUP_MAX, all zero. Returns 0, or -1 (ERR_NOMEM). */
int record_group_new(size_t n_items, struct record_group **ret, struct err *err);
/* Not while it runs. Takes NULL. */
void record_group_free(struct record_group *group);
/* For what the items' calls point at. */
struct arena *record_group_arena(struct record_group *group);
/* done is called once, maybe before this returns. */
void record_group_run(struct record_group *group);
/* As record_cancel. */
void record_group_cancel(struct record_group *group);

DEFER_DEFINE(struct record_group *, record_group_free)

#endif
