/*
 * catalog.c - collections listed, shown, and shown as they could be
 */
#include <stdio.h>
#include <string.h>

#include "auth_options.h"

#define PAGE_MAX  1000000
#define SORTS_MAX 8
#define FIRST     3 /* parameters of the filter; 1 and 2 are limit and offset */

/* ---- filter and sort: over the table that keeps the definitions ---- */

static bool find_field(const struct expr_schema *schema, const void *scope, struct bytes name,
	struct expr_field *ret)
{
	static const char *const columns[] = { "id", "name", "type", "system", "created",
		"updated" };
	(void)schema;
	(void)scope;
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (bytes_eq_string(name, columns[i])) {
			*ret = (struct expr_field){ .column = bytes_of(columns[i]),
				.type = strcmp(columns[i], "system") == 0 ? EXPR_BOOL : EXPR_TEXT };
			return true;
		}
	return false;
}

static struct bytes table(const struct expr_schema *schema, const void *scope)
{
	(void)schema;
	(void)scope;
	return BYTES("_collections");
}

static const void *auth_scope(const struct expr_schema *schema, size_t i, struct bytes *ret_id)
{
	(void)schema;
	(void)i;
	(void)ret_id;
	return NULL;
}

static bool find_back(const struct expr_schema *schema, const void *scope, struct bytes collection,
	struct bytes field, struct expr_back *ret)
{
	(void)schema;
	(void)scope;
	(void)collection;
	(void)field;
	(void)ret;
	return false;
}

static const void *find_scope(const struct expr_schema *schema, struct bytes name)
{
	(void)schema;
	(void)name;
	return NULL;
}

static const struct expr_schema names = { .find_field = find_field,
	.table = table,
	.auth_scope = auth_scope,
	.find_back = find_back,
	.find_scope = find_scope };

/* ---- a page of them ---- */

/* Which collections are on the page, found by the database. */
struct catalog {
	struct expr_sql filter;
	struct bytes sql, count_sql;
	struct bytes_list ids;
	int64_t n_items, page, per_page;
};

static struct catalog *catalog_of(const struct record_work *work)
{
	return work->change;
}

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

static uint64_t number_query(
	const struct record_work *work, const char *name, uint64_t fallback, uint64_t max)
{
	uint64_t number;
	if (!bytes_parse_u64(work_query(work, name), UINT64_MAX, &number) || number == 0)
		return fallback;
	return number > max ? max : number;
}

static void write_page(struct record_work *work, size_t n_items,
	const struct record_collection *(*at)(const struct record_work *work, size_t i), size_t n)
{
	struct text_json_writer writer;
	const struct catalog *catalog = catalog_of(work);
	size_t per_page = (size_t)catalog->per_page;
	bytes_buf_clear(&work->call->answer);
	text_json_writer_init(&writer, &work->call->answer);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("page"));
	text_json_write_int64(&writer, catalog->page);
	text_json_write_key(&writer, BYTES("perPage"));
	text_json_write_int64(&writer, catalog->per_page);
	text_json_write_key(&writer, BYTES("totalItems"));
	text_json_write_uint64(&writer, n_items);
	text_json_write_key(&writer, BYTES("totalPages"));
	text_json_write_uint64(&writer, (n_items + per_page - 1) / per_page);
	text_json_write_key(&writer, BYTES("items"));
	text_json_begin_array(&writer);
	for (size_t i = 0; i < n; i++) {
		const struct record_collection *collection = at(work, i);
		if (collection)
			collection_write(&writer, collection);
	}
	text_json_end_array(&writer);
	text_json_end_object(&writer);
	work_answer(work, 200, "");
}

static const struct record_collection *at_place(const struct record_work *work, size_t i)
{
	const struct catalog *catalog = catalog_of(work);
	size_t place = (size_t)((catalog->page - 1) * catalog->per_page) + i;
	return place < work->schema->n_collections ? &work->schema->collections[place] : NULL;
}

static const struct record_collection *at_id(const struct record_work *work, size_t i)
{
	const struct catalog *catalog = catalog_of(work);
	return schema_find(work->schema, catalog->ids.items[i]);
}

static enum store_outcome bind(struct record_work *work, struct store_stmt *stmt)
{
	const struct catalog *catalog = catalog_of(work);
	return expr_bind(&catalog->filter, &work->environment, stmt) ? STORE_OK : STORE_FAULT;
}

static enum store_outcome run_list(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct catalog *catalog = catalog_of(work);
	struct store_stmt *stmt;
	bool has_row = false;
	catalog->ids.n = 0;
	enum store_outcome outcome = store_prepare(conn, catalog->count_sql, &stmt);
	if (outcome == STORE_OK)
		outcome = bind(work, stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return outcome;
	catalog->n_items = store_column_int64(stmt, 0);
	outcome = store_prepare(conn, catalog->sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, catalog->per_page);
	store_bind_int64(stmt, 2, (catalog->page - 1) * catalog->per_page);
	outcome = bind(work, stmt);
	while (outcome == STORE_OK) {
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			break;
		struct bytes id = store_column_text(stmt, 0);
		char *copy = arena_copy(work->call->arena, id);
		if (!copy)
			return STORE_FAULT;
		catalog->ids.items[catalog->ids.n++] = (struct bytes){ copy, id.n };
	}
	return outcome;
}

static void done_list(struct store_job *job)
{
	struct record_work *work = work_of(job);
	const struct catalog *catalog = catalog_of(work);
	if (!work_answer_outcome(work))
		write_page(work, (size_t)catalog->n_items, at_id, catalog->ids.n);
}

static void refuse_query(
	struct record_work *work, const char *parameter, const struct expr_error *error)
{
	problems_init(&work->problems, &work->call->answer);
	problems_add(&work->problems, bytes_of(parameter),
		parameter[0] == 'f' ? "validation_invalid_filter" : "validation_invalid_sort",
		"%s (at byte %zu)", error->message, error->offset);
	work_answer_problems(work, "Something went wrong while processing your request.");
}

/* "-created,name": only names of the table above, so what is appended is our own. */
static bool compile_sort(struct bytes text, struct bytes_buf *out, struct expr_error *error)
{
	for (unsigned n = 0; text.n; n++) {
		const char *comma = memchr(text.p, ',', text.n);
		struct bytes key = { text.p, comma ? (size_t)(comma - text.p) : text.n };
		struct expr_field field;
		text = comma ? (struct bytes){ comma + 1, text.n - key.n - 1 }
			     : (struct bytes){ NULL, 0 };
		while (key.n && key.p[0] == ' ')
			key = (struct bytes){ key.p + 1, key.n - 1 };
		bool is_descending = key.n && key.p[0] == '-';
		if (key.n && (key.p[0] == '-' || key.p[0] == '+'))
			key = (struct bytes){ key.p + 1, key.n - 1 };
		bool is_rowid = bytes_eq_string(key, "@rowid");
		if (n == SORTS_MAX || (!is_rowid && !find_field(NULL, NULL, key, &field))) {
			*error = (struct expr_error){ .message = "Collections are sorted by id, "
								 "name, type, system, created or "
								 "updated." };
			return false;
		}
		struct bytes column = is_rowid ? BYTES("rowid") : field.column;
		bytes_buf_appendf(out, "%st.%.*s%s", n ? "," : " ORDER BY ", (int)column.n,
			column.p, is_descending ? " DESC" : "");
	}
	return true;
}

/* False: answered. */
static bool compile(struct record_work *work, struct catalog *catalog)
{
	DEFER(bytes_buf_fini) struct bytes_buf sort;
	struct arena *arena = work->call->arena;
	const struct expr_node *tree;
	struct expr_error error = { 0 };
	bytes_buf_init(&sort, 4096);
	enum expr_result result = expr_parse(work_query(work, "filter"), arena, &tree, &error);
	if (result == EXPR_OK)
		result = expr_compile(
			tree, &names, &names, BYTES("t"), FIRST, arena, &catalog->filter, &error);
	if (result == EXPR_INVALID) {
		refuse_query(work, "filter", &error);
		return false;
	}
	if (!compile_sort(work_query(work, "sort"), &sort, &error)) {
		refuse_query(work, "sort", &error);
		return false;
	}
	int n = (int)catalog->filter.sql.n;
	const char *where = catalog->filter.sql.p;
	catalog->count_sql =
		arena_printf(arena, "SELECT count(*) FROM _collections t WHERE %.*s", n, where);
	catalog->sql = arena_printf(arena,
		"SELECT t.id FROM _collections t WHERE (%.*s)%.*s LIMIT ?1 OFFSET ?2", n, where,
		(int)sort.n, sort.n ? sort.p : "");
	catalog->ids.items = arena_alloc(arena, (size_t)catalog->per_page * sizeof(struct bytes));
	if (result == EXPR_OK && catalog->sql.p && catalog->count_sql.p && catalog->ids.items)
		return true;
	work_answer(work, 503, "The server is short of memory.");
	return false;
}

void record_collection_list(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_list, false);
	if (!work)
		return;
	struct catalog *catalog = arena_alloc(call->arena, sizeof(*catalog));
	if (!catalog) {
		work_answer(work, 503, "The server is short of memory.");
		return;
	}
	*catalog = (struct catalog){ .page = (int64_t)number_query(work, "page", 1, PAGE_MAX),
		.per_page = (int64_t)number_query(work, "perPage", 30, RECORD_PER_PAGE_MAX) };
	work->change = catalog;
	if (!work_query(work, "filter").n && !work_query(work, "sort").n) {
		write_page(work, work->schema->n_collections, at_place, (size_t)catalog->per_page);
		return;
	}
	if (!compile(work, catalog))
		return;
	work->job.run = run_list;
	work->job.done = done_list;
	store_read(call->book->store, &work->job);
}

void record_collection_get(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_get, true);
	if (!work)
		return;
	struct text_json_writer writer;
	text_json_writer_init(&writer, &call->answer);
	collection_write(&writer, work->collection);
	work_answer(work, 200, "");
}

/* ---- as they could be ---- */

/* What a new collection of this type would be, with nothing said but its type. */
static bool write_scaffold(
	struct text_json_writer *writer, struct record_work *work, const char *type)
{
	struct arena *arena = work->arena;
	struct change change = { .is_auth = strcmp(type, "auth") == 0,
		.is_view = strcmp(type, "view") == 0,
		.body = BYTES("{}") };
	struct record_collection collection = { .is_auth = change.is_auth,
		.is_view = change.is_view };
	if (!change.is_view && (!change_add_system_fields(&change, arena) ||
				       !change_add_system_indexes(&change, arena)))
		return false;
	flaws_init(&change.flaws, arena);
	if (!auth_options_settle(work, &change))
		return false;
	for (int i = 0; i < RULE_SLOTS; i++)
		collection.rules[i].is_null = true;
	if (change.auth)
		collection.rules[RULE_AUTH].is_null = change.auth->auth_rule.is_null;
	collection.auth = change.auth;
	collection.fields = change.fields;
	collection.n_fields = change.n_fields;
	collection.indexes = change.indexes;
	text_json_write_key(writer, bytes_of(type));
	collection_write(writer, &collection);
	return true;
}

void record_collection_scaffolds(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_scaffolds, false);
	if (!work)
		return;
	struct text_json_writer writer;
	text_json_writer_init(&writer, &call->answer);
	text_json_begin_object(&writer);
	bool is_done = write_scaffold(&writer, work, "base") &&
		       write_scaffold(&writer, work, "auth") &&
		       write_scaffold(&writer, work, "view");
	text_json_end_object(&writer);
	if (is_done)
		work_answer(work, 200, "");
	else
		work_answer(work, 503, "The server is short of memory.");
}
