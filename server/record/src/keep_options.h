/*
 * keep_options.h - what a collection keeps of its records: "revisions" and "softDelete"
 */
#ifndef RECORD_KEEP_OPTIONS_H
#define RECORD_KEEP_OPTIONS_H

#include "change.h"

/* On the loop: what the request says over what there was. Adds flaws. */
void keep_options_settle(struct change *change);
/* Inside the transaction of a change, with the collection's own row there. */
enum store_outcome keep_options_save(struct store_conn *conn, const struct change *change);
/* With all that was kept of its records. */
enum store_outcome keep_options_drop(struct store_conn *conn, struct bytes collection_id);
/* Gives each collection of the snapshot its options. */
int keep_options_load(struct store_conn *conn, struct record_schema *schema, struct err *err);
/* The members of the collection's JSON. */
void keep_options_write(
	struct text_json_writer *writer, const struct record_collection *collection);

#endif
