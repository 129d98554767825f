/*
 * record_sight.h - what one viewer may see of a record as a committed write left it
 *
 * Whoever tells subscribers of writes has a record's JSON, with all its fields, and may hand it to
 * nobody as it is. A sight is that JSON held against one viewer: first the list or view rule and
 * the filter that he gave himself, then his fields, his relations and what hidden fields leave of
 * it. Both run the same SQL and the same encoder as a list does, over the JSON in the table's
 * place, so a row that is gone is judged as it was, and there is no second notion of who sees what.
 *
 * Threads: where the connection may be used, with a scratch arena of the caller's.
 * Memory:  all is borrowed while a function runs; record_tell appends to the caller's buffer.
 */
#ifndef RECORD_RECORD_SIGHT_H
#define RECORD_RECORD_SIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "bytes.h"
#include "record.h"
#include "store.h"

struct record_sight {
	struct record_book *book;
	struct store_conn *conn;
	struct arena *arena; /* scratch, reset by the caller between two sights */
	struct bytes collection_id;
	struct bytes row; /* of an event: JSON of all fields */
	bool is_by_id;    /* judged by the view rule, not by the list rule */
	bool is_gone; /* the row was deleted: what the rule looks at beside it is asked of before */
	struct store_conn *before; /* the database as it was then; NULL: it is not at hand */
	struct record_viewer viewer;
	/* His own record as JSON of all fields, for @request.auth.*; "": the database is asked. */
	struct bytes viewer_row;
	/* filter, fields, expand, and @request.query.*, @request.headers.* of his topic */
	const struct record_pair *query, *headers;
	size_t n_query, n_headers;
};

enum record_verdict {
	RECORD_MAY_SEE,
	RECORD_MAY_NOT,
	RECORD_UNJUDGED /* the collection has changed since, or the database gave no answer */
};

/* Whether the collection still has exactly the fields that row was written with. What is not told
 * by the same fields is not judged by today's rules. */
bool record_sight_fits(struct record_book *book, struct bytes collection_id, struct bytes row);
/* *ret_is_shared: any other viewer who is no superuser and asks the same gets the same verdict. */
enum record_verdict record_judge(const struct record_sight *sight, bool *ret_is_shared);
/* Appends the record as a viewer who may see it sees it. False when there is no memory or no
 * database: nothing usable was appended then. *ret_is_shared as above, of the text. */
bool record_tell(const struct record_sight *sight, struct bytes_buf *out, bool *ret_is_shared);

/* Counts the changes of the collections. */
int64_t record_schema_version(struct record_book *book);

#define RECORD_STAMP_BYTES 16

/* What an account's tokens hang on, without the secret itself: another stamp, other tokens. */
void record_stamp(struct bytes token_key, uint8_t out[static RECORD_STAMP_BYTES]);
/* An account as it is now: its stamp, and its JSON of all fields, appended to row (NULL: not
 * wanted). False when it is not there any more, or the database could not tell. */
bool record_find_account(struct record_book *book, struct store_conn *conn,
	struct bytes collection_id, struct bytes id, uint8_t out[static RECORD_STAMP_BYTES],
	struct bytes_buf *row);

#endif
