/*
 * store_hold.h - the database as it was before a write that is under way
 *
 * Who is told of a delete is decided after its commit, but by what was true before it: a rule may
 * look at rows that went with it. A hold is a read connection with the snapshot of what was
 * committed when the write began, kept until whoever decides has asked it.
 *
 * A held snapshot keeps the log from being cut, so there are few and they are short: 2 s after it
 * was taken a hold answers nothing any more.
 *
 * Threads: taken on the writer's thread, inside a job; asked by one thread at a time; released on
 *          any.
 * Memory:  counted references; may outlive its store.
 */
#ifndef STORE_HOLD_H
#define STORE_HOLD_H

#include "store.h"

#define STORE_HOLDS_MAX 8 /* of a store */

struct store_hold;

/* NULL when there are as many as there may be, or the database gives none. */
struct store_hold *store_hold_new(struct store *store);
struct store_hold *store_hold_ref(struct store_hold *hold);
/* Takes NULL. */
void store_hold_unref(struct store_hold *hold);
/* For statements as in a job's run. */
struct store_conn *store_hold_conn(struct store_hold *hold);

#endif
