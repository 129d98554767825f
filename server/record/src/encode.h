/*
 * encode.h - rows into JSON, straight from the columns, as one viewer may see them
 *
 * A row is read with one of the collection's statements, whose columns are collection->columns or,
 * for all but superusers, collection->client_columns: the same with, for each field that has a read
 * rule, whether it holds on this row.
 */
#ifndef RECORD_ENCODE_H
#define RECORD_ENCODE_H

#include "shape.h"

struct record_work;

/* Records that one answer may follow relations to. */
#define EXPANDED_MAX 20000
#define BACK_MAX     1000 /* that point back at one record, by one relation */

/* What the encoder needs to know besides the row. */
struct encoder {
	struct store_conn *conn;
	struct bytes_buf *out;
	struct arena *arena;
	const struct expr_environment
		*environment; /* for the rules of fields and expanded records */
	struct bytes viewer_collection_id, viewer_id;
	bool sees_all; /* a superuser, or work of our own */
	size_t n_expanded;
	bool is_too_much; /* see encode_too_much */
};

#define ENCODE_TOO_MUCH "The answer follows too many relations: ask for fewer records or relations."

void encoder_init(struct encoder *encoder, struct record_work *work, struct store_conn *conn);
/* The columns to select for this viewer. */
struct bytes encoder_columns(
	const struct encoder *encoder, const struct record_collection *collection);
/* Binds what these columns ask of the request. False when the arena is full. */
bool encoder_bind(const struct encoder *encoder, const struct record_collection *collection,
	struct store_stmt *stmt);

/* The id of the row that stmt stands on: its column is wherever the order of names puts it. */
struct bytes encode_row_id(const struct record_collection *collection, struct store_stmt *stmt);
/* Whether this viewer sees the item of the row that stmt stands on. */
bool encode_shows(const struct encoder *encoder, const struct record_collection *collection,
	const struct out_item *item, struct store_stmt *stmt);
/* Appends the row that stmt stands on. */
enum store_outcome encode_row(struct encoder *encoder, const struct record_collection *collection,
	struct store_stmt *stmt, const struct mask *mask, struct expand *expand);
/* Appends the record with this id if it exists and, unless sees_all, the view rule lets it. */
enum store_outcome encode_by_id(struct encoder *encoder, const struct record_collection *collection,
	struct bytes id, const struct mask *mask, struct expand *expand, bool *ret_found);
/* The same whatever the view rule says: for who has just written it. */
enum store_outcome encode_written(struct encoder *encoder,
	const struct record_collection *collection, struct bytes id, const struct mask *mask,
	struct expand *expand, bool *ret_found);

/* Ends with STORE_REFUSED an answer that follows more relations than EXPANDED_MAX, or whose rules
 * take more memory than a request has: 400 with ENCODE_TOO_MUCH. */
enum store_outcome encode_too_much(struct encoder *encoder);

/* ---- expand.c ---- */
/* Appends the member "expand" with what the relations of the row lead to, if anything. */
enum store_outcome encode_expand(
	struct encoder *encoder, struct expand *expand, const struct mask *mask, bool is_first);

#endif
