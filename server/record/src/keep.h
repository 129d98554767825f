/*
 * keep.h - rows kept as they were before a write changed or removed them
 */
#ifndef RECORD_SRC_KEEP_H
#define RECORD_SRC_KEEP_H

#include "work.h"

/* On the writer, before a row changes or goes: a revision of it, or a place in the trash, as its
 * collection wants. */
enum store_outcome keep_row(struct record_work *work, struct store_conn *conn,
	enum record_action action, const struct record_collection *collection, struct bytes id);
/* Appends what was kept with the names and in the form of the API, secrets left out; for_write
 * leaves out what a body cannot set. */
void keep_write(const struct record_collection *collection, struct bytes kept, bool for_write,
	struct bytes_buf *out);
/* What was kept becomes work->values, with the secrets. False when the arena is full. */
bool keep_load(struct record_work *work, struct bytes kept);
/* Forgets all that was kept of a collection, or of one record of it. */
enum store_outcome keep_forget(struct store_conn *conn, struct bytes collection_id);

#endif
