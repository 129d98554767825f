/*
 * once.h - keys of writes that shall be done once, inside the write
 */
#ifndef RECORD_SRC_ONCE_H
#define RECORD_SRC_ONCE_H

#include "record_once.h"
#include "work.h"

/* Before a write: STORE_REFUSED, with 409 in work, when the key has been used meanwhile. */
enum store_outcome once_begin(
	struct record_work *work, const struct record_once *once, struct store_conn *conn);
/* After it: keeps what it will be answered. STORE_REFUSED when that is too large to keep. */
enum store_outcome once_keep(struct record_work *work, const struct record_once *once,
	struct store_conn *conn, int status, struct bytes body);

#endif
