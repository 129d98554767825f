/*
 * schema.c - the picture of the collections: read, worked out, found in, freed
 */
#include "schema.h"

#include "auth_options.h"
#include "field_rule.h"
#include "hash.h"
#include "keep_options.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMA_MAX (64u << 20) /* bytes of one tenant's picture */

const struct record_field *collection_field(
	const struct record_collection *collection, struct bytes name)
{
	for (size_t i = 0; i < collection->n_fields; i++)
		if (bytes_eq(collection->fields[i].name, name))
			return &collection->fields[i];
	return NULL;
}

const struct record_collection *schema_find(const struct record_schema *schema, struct bytes name)
{
	for (size_t i = 0; i < schema->n_collections; i++)
		if (bytes_eq(schema->collections[i].name, name) ||
			bytes_eq(schema->collections[i].id, name))
			return &schema->collections[i];
	for (size_t i = 0; i < schema->n_collections; i++)
		if (bytes_eq_nocase(schema->collections[i].name, name))
			return &schema->collections[i];
	return NULL;
}

/* ---- reading ---- */

static bool copy_column(struct arena *arena, struct store_stmt *stmt, int column, struct bytes *ret)
{
	struct bytes text = store_column_text(stmt, column);
	char *copy = arena_copy(arena, text);
	*ret = (struct bytes){ copy, text.n };
	return copy;
}

static bool parse_fields(
	struct bytes json, struct arena *arena, struct record_collection *collection)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return false;
	size_t max = 0;
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT) {
		const char *option;
		struct bytes object = text_json_skip(&reader, &token);
		if (collection->n_fields == max) {
			max = max ? 2 * max : 8;
			struct record_field *fields = arena_alloc(arena, max * sizeof(*fields));
			if (!fields || max > 2 * FIELDS_MAX)
				return false;
			if (collection->n_fields)
				memcpy(fields, collection->fields,
					collection->n_fields * sizeof(*fields));
			collection->fields = fields;
		}
		struct record_field *field = &collection->fields[collection->n_fields];
		if (field_parse(object, arena, field, &option) != FIELD_OK)
			return false;
		field->is_computed = collection->is_view && field->type == FIELD_JSON;
		collection->has_files |= field->type == FIELD_FILE;
		collection->n_fields++;
	}
	return token.type == TEXT_JSON_ARRAY_END;
}

#define SELECT_COLLECTIONS                                                                         \
	"SELECT id, name, type, system, fields, indexes, created, updated, "                       \
	"list_rule, view_rule, create_rule, update_rule, delete_rule, view_query "                 \
	"FROM _collections ORDER BY rowid"

static bool read_collection(
	struct arena *arena, struct store_stmt *stmt, struct record_collection *ret)
{
	struct bytes fields, indexes;
	*ret = (struct record_collection){ .email_visibility = -1 };
	if (!copy_column(arena, stmt, 0, &ret->id) || !copy_column(arena, stmt, 1, &ret->name) ||
		!copy_column(arena, stmt, 4, &fields) || !copy_column(arena, stmt, 5, &indexes) ||
		!copy_column(arena, stmt, 6, &ret->created) ||
		!copy_column(arena, stmt, 7, &ret->updated))
		return false;
	ret->is_auth = bytes_eq_string(store_column_text(stmt, 2), "auth");
	ret->is_view = bytes_eq_string(store_column_text(stmt, 2), "view");
	ret->is_system = store_column_int64(stmt, 3) != 0;
	ret->is_superusers = bytes_eq_string(ret->name, "_superusers");
	for (int i = 0; i < RULES; i++) {
		ret->rules[i].is_null = store_column_is_null(stmt, 8 + i);
		if (!copy_column(arena, stmt, 8 + i, &ret->rules[i].text))
			return false;
	}
	ret->table = name_quote(arena, ret->name);
	return ret->table.p && copy_column(arena, stmt, 13, &ret->view_query) &&
	       parse_fields(fields, arena, ret) && bytes_list_parse(indexes, arena, &ret->indexes);
}

static int compare_out(const void *a, const void *b)
{
	return bytes_cmp(((const struct out_item *)a)->name, ((const struct out_item *)b)->name);
}

static bool add_out(struct arena *arena, struct record_collection *collection, struct bytes name,
	const struct record_field *field, struct bytes constant)
{
	struct out_item *item = &collection->out[collection->n_out++];
	*item = (struct out_item){ .name = name, .field = field };
	item->is_email =
		field && collection->is_auth && field->is_system && bytes_eq_string(name, "email");
	item->key = field ? arena_printf(arena, "\"%.*s\":", (int)name.n, name.p)
			  : arena_printf(arena, "\"%.*s\":\"%.*s\"", (int)name.n, name.p,
				    (int)constant.n, constant.p);
	return item->key.p;
}

/* The order of a record's JSON, and the SELECT list in that order. */
static bool plan_output(struct arena *arena, struct record_collection *collection)
{
	collection->out = arena_alloc(arena, (collection->n_fields + 2) * sizeof(struct out_item));
	if (!collection->out ||
		!add_out(arena, collection, BYTES("collectionId"), NULL, collection->id) ||
		!add_out(arena, collection, BYTES("collectionName"), NULL, collection->name))
		return false;
	for (size_t i = 0; i < collection->n_fields; i++)
		if (!collection->fields[i].is_secret &&
			!add_out(arena, collection, collection->fields[i].name,
				&collection->fields[i], (struct bytes){ NULL, 0 }))
			return false;
	qsort(collection->out, collection->n_out, sizeof(struct out_item), compare_out);

	DEFER(bytes_buf_fini) struct bytes_buf columns;
	bytes_buf_init(&columns, 1u << 20);
	int n = 0;
	for (size_t i = 0; i < collection->n_out; i++) {
		const struct record_field *field = collection->out[i].field;
		if (!field)
			continue;
		bytes_buf_appendf(
			&columns, "%st.%.*s", n ? "," : "", (int)field->column.n, field->column.p);
		if (collection->is_auth && bytes_eq_string(field->name, "emailVisibility"))
			collection->email_visibility = n;
		n++;
	}
	char *copy = columns.failed ? NULL : arena_copy(arena, bytes_buf_view(&columns));
	collection->columns = (struct bytes){ copy, columns.n };
	return copy;
}

/* A rule that does not compile any more (a field of another collection went away) lets nobody in.
 */
static bool compile_rules(struct record_schema *schema, struct record_collection *collection)
{
	if (!field_rules_compile(schema, collection))
		return false;
	for (int i = 0; i < RULE_SLOTS; i++) {
		struct record_rule *rule = &collection->rules[i];
		const struct expr_node *tree;
		struct expr_error error;
		enum expr_result result = expr_parse(rule->text, schema->arena, &tree, &error);
		if (result == EXPR_OK)
			result = expr_compile(tree, &schema->rules.expr, collection, BYTES("t"),
				collection->rule_param, schema->arena, &rule->sql, &error);
		if (result == EXPR_NOMEM)
			return false;
		if (result == EXPR_INVALID)
			rule->sql = (struct expr_sql){ .sql = BYTES("0"),
				.first_param = collection->rule_param };
	}
	const struct record_rule *view = &collection->rules[RULE_VIEW];
	/* A computed id may be a number: it is compared as the text that clients are given. */
	const char *by_id =
		collection->is_view ? "t.\"id\"=?1 OR CAST(t.\"id\" AS TEXT)=?1" : "t.\"id\"=?1";
	collection->get_sql = arena_printf(schema->arena, "SELECT %.*s FROM %.*s t WHERE (%s)",
		(int)collection->columns.n, collection->columns.p, (int)collection->table.n,
		collection->table.p, by_id);
	collection->written_sql = arena_printf(schema->arena, "SELECT %.*s FROM %.*s t WHERE (%s)",
		(int)collection->client_columns.n, collection->client_columns.p,
		(int)collection->table.n, collection->table.p, by_id);
	if (!collection->get_sql.p || !collection->written_sql.p)
		return false;
	collection->view_sql =
		arena_printf(schema->arena, "%.*s AND (%.*s)", (int)collection->written_sql.n,
			collection->written_sql.p, (int)view->sql.sql.n, view->sql.sql.p);
	return collection->view_sql.p;
}

/* What a view may read: every collection that a superuser may name. */
static bool grant_views(struct record_schema *schema)
{
	struct bytes *tables =
		arena_alloc(schema->arena, (schema->n_collections + 1) * sizeof(*tables));
	size_t n = 0;
	if (!tables)
		return false;
	for (size_t c = 0; c < schema->n_collections; c++)
		tables[n++] = schema->collections[c].name;
	for (size_t c = 0; c < schema->n_collections; c++)
		schema->collections[c].grant =
			(struct store_grant){ .tables = tables, .n_tables = n, .is_view = true };
	return true;
}

enum store_outcome collection_prepare(struct store_conn *conn,
	const struct record_collection *collection, struct bytes sql, struct store_stmt **ret)
{
	return collection->is_view ? store_prepare_view(conn, sql, &collection->grant, ret)
				   : store_prepare(conn, sql, ret);
}

static void link_relations(struct record_schema *schema)
{
	for (size_t c = 0; c < schema->n_collections; c++)
		for (size_t i = 0; i < schema->collections[c].n_fields; i++) {
			struct record_field *field = &schema->collections[c].fields[i];
			if (field->type == FIELD_RELATION)
				field->target = schema_find(schema, field->collection_id);
		}
}

static int read_count(struct store_conn *conn, struct bytes sql, int64_t *ret, struct err *err)
{
	struct store_stmt *stmt;
	bool has_row = false;
	if (store_prepare(conn, sql, &stmt) != STORE_OK || store_step(stmt, &has_row) != STORE_OK ||
		!has_row)
		return ERR_SET(err, ERR_STATE, "cannot read the schema: %s", store_message(conn));
	*ret = store_column_int64(stmt, 0);
	return 0;
}

static int read_cursor_key(struct store_conn *conn, struct record_schema *schema, struct err *err)
{
	struct store_stmt *stmt;
	bool has_row = false;
	if (store_prepare(conn, BYTES("SELECT value FROM _secrets WHERE name='cursor'"), &stmt) !=
			STORE_OK ||
		store_step(stmt, &has_row) != STORE_OK || !has_row ||
		!copy_column(schema->arena, stmt, 0, &schema->cursor_key) ||
		schema->cursor_key.n < HASH_BYTES)
		return ERR_SET(
			err, ERR_STATE, "cannot read the cursors' secret: %s", store_message(conn));
	return 0;
}

static int read_all(struct store_conn *conn, struct record_schema *schema, struct err *err)
{
	struct store_stmt *stmt;
	int64_t n = 0;
	if (read_count(conn, BYTES("SELECT version FROM _schema_version WHERE id=1"),
		    &schema->version, err) < 0 ||
		read_count(conn, BYTES("SELECT count(*) FROM _collections"), &n, err) < 0)
		return -1;
	if (read_cursor_key(conn, schema, err) < 0)
		return -1;
	if (n > COLLECTIONS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d collections", COLLECTIONS_MAX);
	schema->collections =
		arena_alloc(schema->arena, ((size_t)n + 1) * sizeof(struct record_collection));
	if (!schema->collections)
		return ERR_SET(err, ERR_NOMEM, "no memory for the schema");
	if (store_prepare(conn, BYTES(SELECT_COLLECTIONS), &stmt) != STORE_OK)
		return ERR_SET(err, ERR_STATE, "cannot read the schema: %s", store_message(conn));
	for (int64_t i = 0; i < n; i++) {
		bool has_row;
		if (store_step(stmt, &has_row) != STORE_OK || !has_row)
			return ERR_SET(
				err, ERR_STATE, "cannot read the schema: %s", store_message(conn));
		struct record_collection *collection = &schema->collections[i];
		schema->n_collections++;
		if (!read_collection(schema->arena, stmt, collection))
			return ERR_SET(err, ERR_CORRUPT,
				"the stored collection %.60s is unreadable",
				collection->name.p ? collection->name.p : "?");
	}
	return 0;
}

int schema_load(struct store_conn *conn, struct record_schema **ret, struct err *err)
{
	DEFER(schema_unref) struct record_schema *schema = calloc(1, sizeof(*schema));
	if (!schema)
		return ERR_SET(err, ERR_NOMEM, "no memory for the schema");
	atomic_init(&schema->n_refs, 1);
	if (arena_new(SCHEMA_MAX, &schema->arena, err) < 0)
		return -1;
	if (read_all(conn, schema, err) < 0 || auth_options_load(conn, schema, err) < 0 ||
		keep_options_load(conn, schema, err) < 0)
		return -1;
	link_relations(schema);
	bool is_done = names_init(schema) && grant_views(schema);
	for (size_t i = 0; i < schema->n_collections && is_done; i++)
		is_done = plan_output(schema->arena, &schema->collections[i]);
	for (size_t i = 0; i < schema->n_collections && is_done; i++)
		is_done = compile_rules(schema, &schema->collections[i]);
	if (!is_done)
		return ERR_SET(err, ERR_NOMEM, "the schema is larger than %u bytes", SCHEMA_MAX);
	*ret = schema;
	schema = NULL; /* handed over */
	return 0;
}

struct record_schema *schema_ref(struct record_schema *schema)
{
	atomic_fetch_add_explicit(&schema->n_refs, 1, memory_order_relaxed);
	return schema;
}

void schema_unref(struct record_schema *schema)
{
	if (!schema || atomic_fetch_sub_explicit(&schema->n_refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t c = 0; c < schema->n_collections; c++)
		for (size_t i = 0; i < schema->collections[c].n_fields; i++)
			field_fini(&schema->collections[c].fields[i]);
	arena_free(schema->arena);
	free(schema);
}

/* ---- writing ---- */

static void write_member(struct text_json_writer *writer, const char *key, struct bytes text)
{
	text_json_write_key(writer, bytes_of(key));
	text_json_write_string(writer, text);
}

const char *collection_type_name(const struct record_collection *collection)
{
	if (collection->is_view)
		return "view";
	return collection->is_auth ? "auth" : "base";
}

void collection_write(struct text_json_writer *writer, const struct record_collection *collection)
{
	static const char *const rule_names[RULES] = { "listRule", "viewRule", "createRule",
		"updateRule", "deleteRule" };
	text_json_begin_object(writer);
	write_member(writer, "id", collection->id);
	for (int i = 0; i < RULES; i++) {
		text_json_write_key(writer, bytes_of(rule_names[i]));
		if (collection->rules[i].is_null)
			text_json_write_null(writer);
		else
			text_json_write_string(writer, collection->rules[i].text);
	}
	write_member(writer, "name", collection->name);
	write_member(writer, "type", bytes_of(collection_type_name(collection)));
	text_json_write_key(writer, BYTES("fields"));
	text_json_begin_array(writer);
	for (size_t i = 0; i < collection->n_fields; i++)
		field_write(writer, &collection->fields[i]);
	text_json_end_array(writer);
	text_json_write_key(writer, BYTES("indexes"));
	text_json_begin_array(writer);
	for (size_t i = 0; i < collection->indexes.n; i++)
		text_json_write_string(writer, collection->indexes.items[i]);
	text_json_end_array(writer);
	text_json_write_key(writer, BYTES("system"));
	text_json_write_bool(writer, collection->is_system);
	if (collection->is_auth)
		auth_options_write(writer, collection);
	keep_options_write(writer, collection);
	write_member(writer, "created", collection->created);
	write_member(writer, "updated", collection->updated);
	if (collection->is_view)
		write_member(writer, "viewQuery", collection->view_query);
	text_json_end_object(writer);
}
