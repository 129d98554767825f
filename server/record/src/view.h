/*
 * view.h - collections of type view: a SELECT of the superuser's, checked, and its columns as
 * fields
 *
 * The SELECT is a view of the database too, so that lists, filters and rules read it like a table.
 * It is checked under a grant that lets it name collections alone, no column that holds a secret
 * and no function but harmless ones; each read of it runs under the same grant again.
 */
#ifndef RECORD_VIEW_H
#define RECORD_VIEW_H

#include "schema.h"

#define VIEW_QUERY_MAX   20000          /* bytes */
#define VIEW_COMPUTED_ID "_computed_id" /* of the id field, when it is no record's own id */

/* A value of a computed column as JSON: a number, JSON itself, or a text. */
void view_encode(struct bytes_buf *out, struct store_stmt *stmt, int column);

/* ---- view_text.c ---- */
enum view_kind { VIEW_PLAIN, VIEW_TEXT, VIEW_NUMBER, VIEW_BOOL };

struct view_column {
	bool is_star;        /* "*" or "t.*" */
	enum view_kind kind; /* what a CAST or a count makes of it */
};

/* The columns of the first SELECT of the text, in order; 0 when there is none, or more than max. */
size_t view_text_columns(struct bytes query, struct view_column *columns, size_t max);

/* ---- view.c ---- */
struct view_probe {
	struct bytes query;                 /* without closing semicolons */
	const struct record_schema *schema; /* whose fields the columns may be */
	const struct store_grant *grant;    /* what it may read; outlives the job */
	struct arena *arena;
	/* what came of it */
	struct record_field *fields;
	size_t n_fields;
	char why[300]; /* of STORE_REFUSED: for the client */
};

/* Checks a view's text and reads its columns as fields. STORE_REFUSED: see why. */
enum store_outcome view_probe(struct store_conn *conn, struct view_probe *probe);
/* Makes the database's view, and looks whether its ids can serve as such. As above. */
enum store_outcome view_make(struct store_conn *conn, struct bytes name, struct view_probe *probe);
enum store_outcome view_drop(struct store_conn *conn, struct bytes name);

#endif
