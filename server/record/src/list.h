/*
 * list.h - a page of records while it is worked out
 *
 *   list.c    what is asked, the statements, the answer
 *   sort.c    ?sort= into ORDER BY
 *   cursor.c  ?cursor= into a condition, and the next one out of a row
 *   top.c     total and page in one pass over the rows, when no index gives the order
 *   total.c   totals that are still true
 *
 * Parameters of the statements, in this order: 1 to 9 the statement's own, the read rules of
 * fields, the list rule, the filter, the sort keys, the cursor.
 */
#ifndef RECORD_LIST_H
#define RECORD_LIST_H

#include "base64.h"
#include "hash.h"
#include "work.h"

/* ---- sort.c ---- */
struct sort_key {
	struct expr_sql sql; /* its parameters among them */
	bool is_descending;
	bool may_be_null;
	bool is_indexed; /* a column that an index begins with */
};

struct sort {
	struct sort_key keys[RECORD_SORT_KEYS_MAX];
	size_t n_keys;
	bool is_random; /* one of the keys is @random */
	bool has_id;    /* one of them is the id: behind it nothing is equal any more */
};

/* Why a query parameter cannot be taken. */
struct list_problem {
	const char *parameter, *code;
	char message[192];
};

enum list_result {
	LIST_OK,
	LIST_INVALID, /* see the problem */
	LIST_NOMEM
};

/* The names and conditions of a query are compiled with these. */
struct list_names {
	const struct expr_schema *names; /* as this viewer may use them */
	const struct record_collection *collection;
	struct arena *arena;
};

/* The value that a path names, with its parameters from param on. */
enum expr_result list_compile_path(struct bytes path, const struct list_names *names,
	unsigned param, struct expr_sql *ret, struct expr_error *error);
/* Reads ?sort=. *param is the next free parameter. */
enum list_result sort_parse(struct bytes text, const struct list_names *names, unsigned *param,
	struct sort *ret, struct list_problem *problem);
/* What stands behind the keys, where these are equal. */
enum sort_end {
	SORT_BY_ROWID,    /* as made: PocketBase's unsaid order */
	SORT_BY_ID,       /* with a cursor */
	SORT_BY_ID_TEXT,  /* with a cursor, of a view: its id may be a number */
	SORT_AS_IT_COMES, /* of a view: its own SELECT may have an order */
};
#define SORT_ID_TEXT "CAST(t.\"id\" AS TEXT)"
/* " ORDER BY ..." */
void sort_append(const struct sort *sort, enum sort_end end, struct bytes_buf *out);
/* True when the rows come out of an index in this order. */
bool sort_is_indexed(const struct sort *sort);
bool sort_bind(const struct sort *sort, const struct expr_environment *environment,
	struct store_stmt *stmt);

/* ---- values of sort keys, as the database compares them ---- */
struct key_value {
	enum store_type type;
	int64_t integer;
	double real;
	struct bytes text;
};

void key_value_read(struct store_stmt *stmt, int column, struct key_value *ret);
void key_value_bind(const struct key_value *value, struct store_stmt *stmt, int index);
/* <0, 0, >0 in the order null, numbers, text. */
int key_value_compare(const struct key_value *a, const struct key_value *b);

/* ---- cursor.c ---- */
#define CURSOR_BYTES_MAX 4096 /* of its data: what a request target can carry */
#define CURSOR_TEXT_MAX  BASE64_TEXT_BYTES(CURSOR_BYTES_MAX)

struct cursor {
	struct key_value keys[RECORD_SORT_KEYS_MAX];
	size_t n_keys;
	struct bytes id;
};

/* What a cursor is good for: it is signed together with these. */
struct cursor_context {
	struct bytes key;  /* of the tenant */
	struct bytes sort; /* ?sort= as it was sent */
	struct bytes collection_id, viewer_collection_id, viewer_id;
	bool is_superuser;
};

/* Appends the cursor's text. False when the values do not fit into one. */
bool cursor_format(
	const struct cursor_context *context, const struct cursor *cursor, struct bytes_buf *out);
/* False when text is none that was given out for this context. Borrows from data. */
bool cursor_parse(const struct cursor_context *context, struct bytes text,
	uint8_t data[static CURSOR_BYTES_MAX], struct cursor *ret);
/* Appends the condition for rows behind the cursor, its values as parameters from param on. */
void cursor_append(const struct cursor *cursor, const struct sort *sort, bool is_view,
	unsigned param, struct bytes_buf *out);
void cursor_bind(const struct cursor *cursor, unsigned param, struct store_stmt *stmt);

/* ---- top.c ---- */
#define TOP_ROWS_MAX  4096
#define TOP_BYTES_MAX (8u << 20)

enum top_result {
	TOP_DONE,
	TOP_TOO_LARGE, /* the keys do not fit: sort with SQL */
	TOP_FAILED     /* *ret_outcome says how */
};

struct top; /* the first rows of an order */

/* Runs stmt, a SELECT of each_row(rowid, keys...), and keeps the first n_rows of them. */
enum top_result top_run(struct store_stmt *stmt, const struct sort *sort, size_t n_rows,
	struct top **ret, enum store_outcome *ret_outcome);
/* How many rows there were. */
int64_t top_total(const struct top *top);
/* How many are kept, and the i-th of them in order. */
size_t top_n(const struct top *top);
int64_t top_rowid(const struct top *top, size_t i);
/* Takes NULL. */
void top_free(struct top *top);

DEFER_DEFINE(struct top *, top_free)

/* ---- total.c ---- */
struct total_key {
	uint8_t digest[HASH_BYTES];
	bool is_usable; /* false: depends on more than can be told apart */
};

/* Of a count with these conditions for this request. */
void total_key(struct total_key *ret, const struct record_schema *schema, struct bytes sql,
	const struct expr_sql *const *conditions, size_t n,
	const struct expr_environment *environment);
/* The total of a count over the state of the database that conn reads, if it is known. */
bool total_find(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t *ret);
void total_keep(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t total);

/* Marks, for pages far into a list that is in order of rowid: */
struct total_marks {
	int64_t *rowids; /* malloc'd */
	size_t n, max;
	int64_t gap, n_rows;
};
#define MARK_GAP  256 /* rows from one to the next, at least */
#define MARKS_MAX 4096
/* For a list of so many rows. False when memory is short. */
bool total_marks_init(struct total_marks *marks, int64_t total);
/* The list's next row. */
void total_marks_add(struct total_marks *marks, int64_t rowid);
/* Hands them over, to be kept or freed. */
void total_keep_marks(struct record_book *book, struct store_conn *conn,
	const struct total_key *key, struct total_marks *marks);
/* The last mark that is not behind skip rows: the page begins *ret_skip rows behind *ret_rowid. */
bool total_find_mark(struct record_book *book, struct store_conn *conn, const struct total_key *key,
	int64_t skip, int64_t *ret_rowid, int64_t *ret_skip);
void totals_fini(struct record_book *book);

/* ---- list.c, for aggregate.c and export.c ---- */
struct list {
	struct record_work *work;
	struct list_names names;
	const struct expr_sql *rule;
	struct expr_sql filter;
	struct sort sort;
	unsigned param;    /* the next free one */
	struct bytes from; /* "FROM ... t", and WHERE if there is a condition */
	bool has_condition;
	int64_t page, per_page;
	bool skip_total;
	struct encoder encoder; /* conn is set when it runs */

	const struct aggregate *aggregate; /* of aggregate.c */
	struct bytes sql, count_sql, keys_sql, row_sql, marks_sql, from_mark_sql;
	struct total_key total_key;
	bool is_total_known; /* from before */
	/* with a cursor */
	bool by_cursor, has_cursor;
	struct cursor cursor;
	unsigned cursor_param;
	struct cursor_context cursor_context;
	bool is_cursor_too_long;
};

/* ---- aggregate.c ---- */
/* Whether the query asks for figures of groups instead of records. */
bool aggregate_is_asked(const struct record_work *work);
/* Answers it. */
void aggregate_start(struct list *list);

/* ---- list.c ---- */
/* Answers what is not LIST_OK: then false. */
bool list_answer_result(
	struct list *list, enum list_result result, const struct list_problem *problem);
/* Begins: rule, numbers, filter. NULL having answered. */
struct list *list_new(struct record_work *work);
/* 400 naming the parameter. */
void list_answer_invalid(struct list *list, const struct list_problem *problem);
/* Works out the rest of a list of records: sort, cursor, statements. by_cursor: cursor is where the
 * page begins. False having answered. */
bool list_prepare(struct list *list, bool by_cursor, struct bytes cursor);
/* Appends the page's records to the answer. *ret_n: how many they are; next: the cursor behind them
 * when there are more, else empty. */
enum store_outcome list_run_page(
	struct list *list, struct store_conn *conn, int64_t *ret_n, struct bytes_buf *next);
/* Answers what came of it. */
void list_done(struct store_job *job);

/* ---- export.c ---- */
#define EXPORT_PART_BYTES (256u << 10) /* a part ends with the record that passes this */
/* Appends the row that stmt stands on, the n-th of its part. */
enum store_outcome export_row(struct list *list, struct store_stmt *stmt, int64_t n);

/* ---- list.c ---- */
/* Binds what every statement of the list has. */
bool list_bind(struct list *list, const struct record_collection *columns, struct store_stmt *stmt);

#endif
