/*
 * record_once.h - the same write asked for twice is done once
 *
 * A client that does not know whether its write arrived sends it again with the same key. What was
 * answered is kept in the transaction of the write itself, so either both stand or neither; a write
 * that was refused leaves nothing, and is tried anew. Kept for 24 hours, the last 10,000 of a
 * tenant.
 *
 *   record_once_find ─▶ new: the write, with call.once or group.once set ─▶ kept with its commit
 *                    ─▶ same: the answer of then
 *                    ─▶ other: the key stands for another request
 *
 * Two that arrive together are both new; the second finds the first's row when it wants to write,
 * and is refused with 409.
 *
 * Threads: on the loop that is named.
 * Memory:  a find lives until done; its body until record_once_find_fini.
 */
#ifndef RECORD_ONCE_H
#define RECORD_ONCE_H

#include "record.h"

#define RECORD_ONCE_KEY_MAX  255          /* bytes of a client's key */
#define RECORD_ONCE_BODY_MAX (64u * 1024) /* of an answer that can be kept */

struct record_once {
	char key[65];     /* hexadecimal SHA-256 of who asks and of his key */
	char request[65]; /* of what he asks */
};

enum record_once_result {
	RECORD_ONCE_NEW,
	RECORD_ONCE_SAME,       /* status and body are what was answered */
	RECORD_ONCE_OTHER,      /* 422 */
	RECORD_ONCE_UNAVAILABLE /* busy or at fault: 503; see err */
};

struct record_once_find {
	struct record_book *book;
	struct loop *loop;
	const struct record_once *once;
	void (*done)(struct record_once_find *find);
	void *context;

	enum record_once_result result;
	int status;
	struct bytes_buf body;
	struct err err;

	struct store_job job; /* the module's own */
};

/* done is called once, maybe before this returns. */
void record_once_find(struct record_once_find *find);
void record_once_find_fini(struct record_once_find *find);

#endif
