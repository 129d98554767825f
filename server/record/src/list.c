/*
 * list.c - a page of records, with or without the total, by number or by cursor
 *
 *   order from an index, or none asked for    the page, then the total, if that is not plain by
 * then any other order                           one pass over rowid and keys (top.c) for both
 *
 * A total that was counted since the last write is not counted again, and the way to a page far
 * into a list in order of rowid is not walked again (total.c).
 */
#include "list.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PER_PAGE_DEFAULT 30
#define PAGE_MAX         1000000000
/* What most answers fit into, so that the buffer need not grow by steps. */
#define LIST_BYTES 16384
#define HEAD_MAX   160 /* bytes in front of the items: page, perPage, totals */
#define SQL_MAX    (1u << 20)

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* ---- what is asked ---- */

void list_answer_invalid(struct list *list, const struct list_problem *problem)
{
	struct record_work *work = list->work;
	problems_init(&work->problems, &work->call->answer);
	problems_add(&work->problems, bytes_of(problem->parameter), problem->code, "%s",
		problem->message);
	work_answer_problems(work, WORK_BAD_QUERY);
}

bool list_answer_result(
	struct list *list, enum list_result result, const struct list_problem *problem)
{
	if (result == LIST_INVALID)
		list_answer_invalid(list, problem);
	else if (result == LIST_NOMEM)
		work_answer(list->work, 503, "The server is short of memory.");
	return result == LIST_OK;
}

/* A whole number; 0 and less give the fallback, as PocketBase has it. */
static enum list_result take_number(const struct record_work *work, const char *name,
	int64_t fallback, int64_t max, int64_t *ret, struct list_problem *problem)
{
	struct bytes text = work_query(work, name);
	bool is_negative = text.n && text.p[0] == '-';
	uint64_t number = 0;
	*ret = fallback;
	if (!text.n)
		return LIST_OK;
	if (is_negative || text.p[0] == '+')
		text = (struct bytes){ text.p + 1, text.n - 1 };
	while (text.n > 1 && text.p[0] == '0')
		text = (struct bytes){ text.p + 1, text.n - 1 };
	if (!bytes_parse_u64(text, INT64_MAX, &number)) {
		*problem = (struct list_problem){ name, "validation_invalid_number",
			"A whole number is expected." };
		return LIST_INVALID;
	}
	if (number && !is_negative)
		*ret = number > (uint64_t)max ? max : (int64_t)number;
	return LIST_OK;
}

static enum list_result take_bool(
	const struct record_work *work, const char *name, bool *ret, struct list_problem *problem)
{
	static const char *const words[] = { "0", "f", "F", "false", "FALSE", "False", "1", "t",
		"T", "true", "TRUE", "True" };
	struct bytes text = work_query(work, name);
	*ret = false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (bytes_eq_string(text, words[i])) {
			*ret = i >= 6;
			return LIST_OK;
		}
	if (!text.n)
		return LIST_OK;
	*problem = (struct list_problem){ name, "validation_invalid_value",
		"Either true or false is expected." };
	return LIST_INVALID;
}

static bool holds(struct bytes text, const char *needle)
{
	return text.n && memmem(text.p, text.n, needle, strlen(needle));
}

/* What only superusers may name in a query, in PocketBase's words. */
static bool answer_guarded(struct record_work *work)
{
	struct bytes filter = work_query(work, "filter"), sort = work_query(work, "sort");
	if (work_is_superuser(work) ||
		(!holds(filter, "@request.") && !holds(filter, "@collection.") &&
			!holds(sort, "@request.") && !holds(sort, "@collection.")))
		return false;
	work->call->refused_by = RECORD_BY_RULE;
	work_answer(
		work, 403, "Only superusers can filter by @collection and @request query params.");
	return true;
}

static enum list_result compile_filter(struct list *list, struct list_problem *problem)
{
	const struct expr_node *tree;
	struct expr_error error;
	struct bytes text = work_query(list->work, "filter");
	enum expr_result result = expr_parse(text, list->names.arena, &tree, &error);
	if (result == EXPR_OK)
		result = expr_compile(tree, list->names.names, list->names.collection, BYTES("t"),
			list->param, list->names.arena, &list->filter, &error);
	if (result == EXPR_NOMEM)
		return LIST_NOMEM;
	if (result == EXPR_OK) {
		list->param += (unsigned)list->filter.n_params;
		return LIST_OK;
	}
	problem->parameter = "filter";
	problem->code = "validation_invalid_filter";
	snprintf(problem->message, sizeof(problem->message), "%s (at byte %zu)", error.message,
		error.offset);
	return LIST_INVALID;
}

static bool is_true(const struct expr_sql *condition)
{
	return bytes_eq_string(condition->sql, "1");
}

/* Without conditions the count is one look at each page of an index. */
static bool make_from(struct list *list)
{
	const struct record_collection *collection = list->names.collection;
	const struct expr_sql *const conditions[] = { list->rule, &list->filter };
	DEFER(bytes_buf_fini) struct bytes_buf from;
	bytes_buf_init(&from, SQL_MAX);
	bytes_buf_append_string(&from, "FROM ");
	bytes_buf_append(&from, collection->table);
	bytes_buf_append_string(&from, " t");
	for (size_t i = 0; i < 2; i++) {
		if (is_true(conditions[i]))
			continue;
		bytes_buf_append_string(&from, list->has_condition ? " AND (" : " WHERE (");
		bytes_buf_append(&from, conditions[i]->sql);
		bytes_buf_append_byte(&from, ')');
		list->has_condition = true;
	}
	char *copy = from.failed ? NULL : arena_copy(list->names.arena, bytes_buf_view(&from));
	list->from = (struct bytes){ copy, from.n };
	return copy;
}

struct list *list_new(struct record_work *work)
{
	struct arena *arena = work->call->arena;
	struct list_problem problem = { 0 };
	struct list *list = arena_alloc(arena, sizeof(*list));
	if (answer_guarded(work))
		return NULL;
	if (!list) {
		work_answer(work, 503, "The server is short of memory.");
		return NULL;
	}
	bool sees_all = work_is_superuser(work);
	*list = (struct list){ .work = work,
		.names = { sees_all ? &work->schema->rules.expr : &work->schema->clients.expr,
			work->collection, arena },
		.rule = work_rule(work, RULE_LIST) };
	work->list = list;
	list->param = list->rule->first_param + (unsigned)list->rule->n_params;
	enum list_result result = take_number(work, "page", 1, PAGE_MAX, &list->page, &problem);
	if (result == LIST_OK)
		result = take_number(work, "perPage", PER_PAGE_DEFAULT, RECORD_PER_PAGE_MAX,
			&list->per_page, &problem);
	if (result == LIST_OK)
		result = take_bool(work, "skipTotal", &list->skip_total, &problem);
	if (result == LIST_OK)
		result = compile_filter(list, &problem);
	if (result == LIST_OK && !make_from(list))
		result = LIST_NOMEM;
	return list_answer_result(list, result, &problem) ? list : NULL;
}

bool list_bind(struct list *list, const struct record_collection *columns, struct store_stmt *stmt)
{
	const struct expr_environment *environment = &list->work->environment;
	return (!columns || encoder_bind(&list->encoder, columns, stmt)) &&
	       expr_bind(list->rule, environment, stmt) &&
	       expr_bind(&list->filter, environment, stmt) &&
	       sort_bind(&list->sort, environment, stmt);
}

/* ---- the statements ---- */

static bool keep_sql(struct list *list, struct bytes_buf *sql, struct bytes *ret)
{
	char *copy = sql->failed ? NULL : arena_copy(list->names.arena, bytes_buf_view(sql));
	*ret = (struct bytes){ copy, sql->n };
	return copy;
}

static void append_keys(const struct list *list, struct bytes_buf *sql)
{
	for (size_t i = 0; i < list->sort.n_keys; i++) {
		bytes_buf_append_byte(sql, ',');
		bytes_buf_append(sql, list->sort.keys[i].sql.sql);
	}
}

/* ?1 is the number of rows, ?2 how many to pass over. */
static bool make_page(struct list *list)
{
	bool is_view = list->names.collection->is_view;
	enum sort_end end = list->by_cursor ? (is_view ? SORT_BY_ID_TEXT : SORT_BY_ID)
			    : is_view       ? SORT_AS_IT_COMES
					    : SORT_BY_ROWID;
	struct bytes columns = encoder_columns(&list->encoder, list->names.collection);
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, SQL_MAX);
	bytes_buf_append_string(&sql, "SELECT ");
	bytes_buf_append(&sql, columns);
	if (list->by_cursor)
		append_keys(list, &sql);
	bytes_buf_append_byte(&sql, ' ');
	bytes_buf_append(&sql, list->from);
	if (list->has_cursor) {
		bytes_buf_append_string(&sql, list->has_condition ? " AND (" : " WHERE (");
		cursor_append(&list->cursor, &list->sort, is_view, list->cursor_param, &sql);
		bytes_buf_append_byte(&sql, ')');
	}
	sort_append(&list->sort, end, &sql);
	bytes_buf_append_string(&sql, list->by_cursor ? " LIMIT ?1" : " LIMIT ?1 OFFSET ?2");
	return keep_sql(list, &sql, &list->sql);
}

static bool make_count(struct list *list)
{
	list->count_sql = arena_printf(
		list->names.arena, "SELECT count(*) %.*s", (int)list->from.n, list->from.p);
	return list->count_sql.p;
}

/* ?1 and ?2 as above, ?3 the rowid of the mark. */
static bool make_marks(struct list *list)
{
	struct bytes columns = encoder_columns(&list->encoder, list->names.collection);
	const char *join = list->has_condition ? " AND " : " WHERE ";
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, SQL_MAX);
	bytes_buf_append_string(&sql, "SELECT t.rowid ");
	bytes_buf_append(&sql, list->from);
	bytes_buf_append_string(&sql, " ORDER BY t.rowid");
	if (!keep_sql(list, &sql, &list->marks_sql))
		return false;
	bytes_buf_clear(&sql);
	bytes_buf_append_string(&sql, "SELECT ");
	bytes_buf_append(&sql, columns);
	bytes_buf_append_byte(&sql, ' ');
	bytes_buf_append(&sql, list->from);
	bytes_buf_appendf(&sql, "%st.rowid>?3 ORDER BY t.rowid LIMIT ?1 OFFSET ?2", join);
	return keep_sql(list, &sql, &list->from_mark_sql);
}

/* Whether the page is so far into the list that marks are worth it. */
static bool wants_marks(const struct list *list)
{
	return !list->sort.n_keys && !list->by_cursor && !list->names.collection->is_view &&
	       (list->page - 1) * list->per_page >= MARK_GAP;
}

/* Whether one pass over rowid and keys is worth it. */
static bool wants_top(const struct list *list)
{
	return list->sort.n_keys && !list->by_cursor && !list->names.collection->is_view &&
	       !sort_is_indexed(&list->sort) && list->page * list->per_page <= TOP_ROWS_MAX;
}

static bool make_top(struct list *list)
{
	const struct record_collection *collection = list->names.collection;
	struct bytes columns = encoder_columns(&list->encoder, collection);
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, SQL_MAX);
	bytes_buf_append_string(&sql, "SELECT each_row(t.rowid");
	append_keys(list, &sql);
	bytes_buf_append_string(&sql, ") ");
	bytes_buf_append(&sql, list->from);
	if (!keep_sql(list, &sql, &list->keys_sql))
		return false;
	bytes_buf_clear(&sql);
	bytes_buf_append_string(&sql, "SELECT ");
	bytes_buf_append(&sql, columns);
	bytes_buf_appendf(&sql, " FROM %.*s t WHERE t.rowid=?1", (int)collection->table.n,
		collection->table.p);
	return keep_sql(list, &sql, &list->row_sql);
}

/* An empty text is the first page's. */
static enum list_result take_cursor(
	struct list *list, struct bytes text, struct list_problem *problem)
{
	struct record_work *work = list->work;
	const struct record_viewer *viewer = &work->call->viewer;
	list->by_cursor = true;
	list->page = 1;
	list->cursor_param = list->param;
	list->cursor_context = (struct cursor_context){ .key = work->schema->cursor_key,
		.sort = work_query(work, "sort"),
		.collection_id = work->collection->id,
		.viewer_collection_id = viewer->collection_id,
		.viewer_id = viewer->record_id,
		.is_superuser = work_is_superuser(work) };
	*problem = (struct list_problem){ "cursor", "validation_invalid_cursor",
		"Pages in random order have no cursor." };
	if (list->sort.is_random)
		return LIST_INVALID;
	if (!text.n)
		return LIST_OK;
	uint8_t *data = arena_alloc(list->names.arena, CURSOR_BYTES_MAX);
	if (!data)
		return LIST_NOMEM;
	*problem = (struct list_problem){ "cursor", "validation_invalid_cursor",
		"The cursor is none that was given out for this collection, sort and viewer." };
	list->has_cursor = true;
	return cursor_parse(&list->cursor_context, text, data, &list->cursor) &&
			       list->cursor.n_keys == list->sort.n_keys
		       ? LIST_OK
		       : LIST_INVALID;
}

/* ---- running it ---- */

static enum store_outcome count_rows(struct list *list, struct store_conn *conn, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome =
		collection_prepare(conn, list->names.collection, list->count_sql, &stmt);
	if (outcome == STORE_OK && !list_bind(list, NULL, stmt))
		outcome = encode_too_much(&list->encoder);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

static enum store_outcome encode_item(struct list *list, struct store_stmt *stmt, int64_t n)
{
	struct record_work *work = list->work;
	if (work->call->export)
		return export_row(list, stmt, n);
	if (n)
		bytes_buf_append_byte(list->encoder.out, ',');
	return encode_row(&list->encoder, work->collection, stmt, work->mask, work->expand);
}

/* The cursor to the row that stmt stands on. */
static bool format_next(struct list *list, struct store_stmt *stmt, struct bytes_buf *next)
{
	struct cursor cursor = { .n_keys = list->sort.n_keys };
	int first = store_n_columns(stmt) - (int)cursor.n_keys;
	for (size_t i = 0; i < cursor.n_keys; i++)
		key_value_read(stmt, first + (int)i, &cursor.keys[i]);
	cursor.id = encode_row_id(list->work->collection, stmt);
	return cursor_format(&list->cursor_context, &cursor, next);
}

/* Looks for marks, and makes them when this list is asked for again with nothing written since.
 * False when there are none. */
static bool find_mark(struct list *list, struct store_conn *conn, int64_t *ret_rowid, int64_t *skip)
{
	struct record_book *book = list->work->call->book;
	const struct total_key *key = &list->total_key;
	struct store_stmt *stmt;
	struct total_marks marks;
	int64_t total, before = *skip;
	bool has_row = true;
	if (total_find_mark(book, conn, key, before, ret_rowid, skip))
		return true;
	if (!list->is_total_known || !total_find(book, conn, key, &total) || total < MARK_GAP ||
		store_prepare(conn, list->marks_sql, &stmt) != STORE_OK ||
		!list_bind(list, NULL, stmt) || !total_marks_init(&marks, total))
		return false;
	while (store_step(stmt, &has_row) == STORE_OK && has_row)
		total_marks_add(&marks, store_column_int64(stmt, 0));
	if (has_row || marks.n_rows != total)
		marks.n = 0; /* interrupted: the statement of the page will say so */
	total_keep_marks(book, conn, key, &marks);
	return total_find_mark(book, conn, key, before, ret_rowid, skip);
}

static bool is_full(const struct list *list, int64_t n)
{
	return n == list->per_page ||
	       (list->work->call->export && n && list->encoder.out->n > EXPORT_PART_BYTES);
}

enum store_outcome list_run_page(
	struct list *list, struct store_conn *conn, int64_t *ret_n, struct bytes_buf *next)
{
	struct store_stmt *stmt;
	int64_t skip = (list->page - 1) * list->per_page, rowid = 0;
	bool from_mark = list->marks_sql.p && find_mark(list, conn, &rowid, &skip);
	*ret_n = 0;
	bytes_buf_clear(next);
	enum store_outcome outcome = collection_prepare(
		conn, list->names.collection, from_mark ? list->from_mark_sql : list->sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, list->per_page + list->by_cursor);
	if (!list->by_cursor)
		store_bind_int64(stmt, 2, skip);
	if (from_mark)
		store_bind_int64(stmt, 3, rowid);
	if (!list_bind(list, list->names.collection, stmt))
		return encode_too_much(&list->encoder);
	if (list->has_cursor)
		cursor_bind(&list->cursor, list->cursor_param, stmt);
	bool has_row, is_long = false;
	while ((outcome = store_step(stmt, &has_row)) == STORE_OK && has_row &&
		!list->encoder.out->failed) {
		if (is_full(list, *ret_n)) {
			/* There is more, by this cursor. */
			list->is_cursor_too_long = is_long;
			return is_long ? STORE_REFUSED : STORE_OK;
		}
		outcome = encode_item(list, stmt, *ret_n);
		if (outcome != STORE_OK)
			return outcome;
		if (is_full(list, ++*ret_n) && list->by_cursor)
			is_long = !format_next(list, stmt, next);
	}
	bytes_buf_clear(next);
	return outcome;
}

/* Total and page in one pass. *ret_result: TOP_TOO_LARGE when SQL has to sort after all. */
static enum store_outcome run_top(
	struct list *list, struct store_conn *conn, int64_t *ret_total, enum top_result *ret_result)
{
	struct store_stmt *stmt;
	DEFER(top_free) struct top *top = NULL;
	size_t skip = (size_t)((list->page - 1) * list->per_page);
	enum store_outcome outcome = store_prepare(conn, list->keys_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	if (!list_bind(list, NULL, stmt))
		return encode_too_much(&list->encoder);
	*ret_result = top_run(stmt, &list->sort, skip + (size_t)list->per_page, &top, &outcome);
	if (*ret_result != TOP_DONE)
		return *ret_result == TOP_FAILED ? outcome : STORE_OK;
	*ret_total = top_total(top);
	for (size_t i = skip; i < top_n(top) && !list->encoder.out->failed; i++) {
		bool has_row;
		outcome = store_prepare(conn, list->row_sql, &stmt);
		if (outcome != STORE_OK)
			return outcome;
		store_bind_int64(stmt, 1, top_rowid(top, i));
		if (!encoder_bind(&list->encoder, list->work->collection, stmt))
			return encode_too_much(&list->encoder);
		outcome = store_step(stmt, &has_row);
		if (outcome == STORE_OK && has_row)
			outcome = encode_item(list, stmt, (int64_t)(i - skip));
		if (outcome != STORE_OK)
			return outcome;
	}
	return STORE_OK;
}

/* Page and total, the cheapest way. */
static enum store_outcome run_rows(
	struct list *list, struct store_conn *conn, int64_t *ret_total, struct bytes_buf *next)
{
	struct record_book *book = list->work->call->book;
	bool is_known = list->skip_total;
	enum store_outcome outcome = STORE_OK;
	int64_t n = 0;
	*ret_total = -1;
	if (!is_known)
		is_known = total_find(book, conn, &list->total_key, ret_total);
	list->is_total_known = is_known;
	if (!is_known && list->keys_sql.p) {
		enum top_result result = TOP_DONE;
		outcome = run_top(list, conn, ret_total, &result);
		is_known = result == TOP_DONE && outcome == STORE_OK;
		if (is_known)
			total_keep(book, conn, &list->total_key, *ret_total);
		if (is_known || outcome != STORE_OK)
			return outcome;
	}
	outcome = list_run_page(list, conn, &n, next);
	if (outcome != STORE_OK || is_known)
		return outcome;
	/* A page that is not full, and not empty behind the last one, is the end of the list. */
	int64_t skipped = (list->page - 1) * list->per_page;
	if (!list->by_cursor && n < list->per_page && (n || !skipped))
		*ret_total = skipped + n;
	else
		outcome = count_rows(list, conn, ret_total);
	if (outcome == STORE_OK)
		total_keep(book, conn, &list->total_key, *ret_total);
	return outcome;
}

/* Puts the head in front of the items, which were written with room for it. */
static void put_head(struct list *list, struct bytes_buf *out, int64_t total)
{
	char head[HEAD_MAX];
	long long n_pages =
		total < 0 ? -1 : (long long)((total + list->per_page - 1) / list->per_page);
	int n = snprintf(head, sizeof(head),
		"{\"page\":%lld,\"perPage\":%lld,\"totalItems\":%lld,\"totalPages\":%lld,"
		"\"items\":[",
		(long long)list->page, (long long)list->per_page, (long long)total, n_pages);
	assert(n > 0 && n < HEAD_MAX && out->n >= HEAD_MAX);
	memmove(out->p + n, out->p + HEAD_MAX, out->n - HEAD_MAX);
	memcpy(out->p, head, (size_t)n);
	out->n -= (size_t)(HEAD_MAX - n);
}

static enum store_outcome run_list(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct list *list = work->list;
	struct bytes_buf *out = &work->call->answer;
	DEFER(bytes_buf_fini) struct bytes_buf next;
	int64_t total;
	bytes_buf_init(&next, CURSOR_TEXT_MAX);
	bytes_buf_clear(out);
	encoder_init(&list->encoder, work, conn);
	if (!bytes_buf_reserve(out, LIST_BYTES)) {
		ERR_SET(&job->err, ERR_NOMEM, "no memory for a list");
		return STORE_FAULT;
	}
	out->n = HEAD_MAX;
	enum store_outcome outcome = run_rows(list, conn, &total, &next);
	if (outcome != STORE_OK)
		return outcome;
	put_head(list, out, total);
	bytes_buf_append_byte(out, ']');
	if (list->by_cursor) {
		bytes_buf_append_string(
			out, next.n ? ",\"nextCursor\":\"" : ",\"nextCursor\":null");
		bytes_buf_append(out, bytes_buf_view(&next));
		bytes_buf_append_string(out, next.n ? "\"" : "");
	}
	bytes_buf_append_byte(out, '}');
	return STORE_OK;
}

void list_done(struct store_job *job)
{
	struct record_work *work = work_of(job);
	struct list *list = work->list;
	static const struct list_problem too_long = { "cursor", "validation_invalid_cursor",
		"A value that is sorted by is too long for a cursor." };
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK) {
		work_answer(work, 200, "");
		return;
	}
	bytes_buf_clear(&work->call->answer);
	if (list->is_cursor_too_long)
		list_answer_invalid(list, &too_long);
	else
		work_answer(work, 400, ENCODE_TOO_MUCH);
}

bool list_prepare(struct list *list, bool by_cursor, struct bytes cursor)
{
	struct record_work *work = list->work;
	struct list_problem problem = { 0 };
	encoder_init(&list->encoder, work, NULL);
	enum list_result result = sort_parse(
		work_query(work, "sort"), &list->names, &list->param, &list->sort, &problem);
	if (result == LIST_OK && by_cursor)
		result = take_cursor(list, cursor, &problem);
	if (result == LIST_OK &&
		(!make_page(list) || !make_count(list) || (wants_top(list) && !make_top(list)) ||
			(wants_marks(list) && !make_marks(list))))
		result = LIST_NOMEM;
	return list_answer_result(list, result, &problem);
}

void record_list(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_list);
	struct bytes cursor;
	if (!work || work_answer_forbidden(work, RULE_LIST) || !work_parse_shape(work))
		return;
	struct list *list = list_new(work);
	if (!list)
		return;
	if (aggregate_is_asked(work)) {
		aggregate_start(list);
		return;
	}
	bool by_cursor = work_has_query(work, "cursor", &cursor);
	if (!list_prepare(list, by_cursor, cursor))
		return;
	const struct expr_sql *const conditions[] = { list->rule, &list->filter };
	if (!list->skip_total)
		total_key(&list->total_key, work->schema, list->count_sql, conditions, 2,
			&work->environment);
	work->job.run = run_list;
	work->job.done = list_done;
	store_read(call->book->store, &work->job);
}
