/*
 * alter.c - tables made, changed and dropped to fit their collections
 *
 * A field keeps its id for life, so a field of the same id and another name is renamed, with what
 * its column holds. Everything happens inside the caller's transaction: half a change is none.
 */
#include <string.h>

#include "auth_options.h"

#define SCRIPT_MAX (256u << 10)

static enum store_outcome run(struct store_conn *conn, const struct bytes_buf *script)
{
	if (script->failed)
		return STORE_FAULT;
	return script->n ? store_run_script(conn, bytes_buf_view(script)) : STORE_OK;
}

static void add(struct bytes_buf *script, struct bytes text)
{
	bytes_buf_append(script, text);
}

/* Columns of auth collections are named in an index text as they are stored; what the API shows is
 * made of the same text. */
static void add_indexes(struct bytes_buf *script, const struct bytes_list *indexes)
{
	for (size_t i = 0; i < indexes->n; i++) {
		add(script, indexes->items[i]);
		bytes_buf_append_byte(script, ';');
	}
}

static void write_fields(struct bytes_buf *out, const struct change *change)
{
	struct text_json_writer writer;
	text_json_writer_init(&writer, out);
	text_json_begin_array(&writer);
	for (size_t i = 0; i < change->n_fields; i++)
		field_write(&writer, &change->fields[i]);
	text_json_end_array(&writer);
}

static void write_texts(struct bytes_buf *out, const struct bytes_list *list)
{
	struct text_json_writer writer;
	text_json_writer_init(&writer, out);
	text_json_begin_array(&writer);
	for (size_t i = 0; i < list->n; i++)
		text_json_write_string(&writer, list->items[i]);
	text_json_end_array(&writer);
}

enum store_outcome schema_bump(struct store_conn *conn)
{
	return store_run_script(
		conn, BYTES("UPDATE _schema_version SET version=version+1 WHERE id=1"));
}

/* Binds what INSERT and UPDATE of a _collections row share, and runs it. */
static enum store_outcome write_row(
	struct store_conn *conn, struct bytes sql, const struct change *change, const char *now)
{
	DEFER(bytes_buf_fini) struct bytes_buf fields, indexes;
	struct store_stmt *stmt;
	bytes_buf_init(&fields, 1u << 20);
	bytes_buf_init(&indexes, 1u << 20);
	write_fields(&fields, change);
	write_texts(&indexes, &change->indexes);
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	if (outcome != STORE_OK || fields.failed || indexes.failed)
		return outcome == STORE_OK ? STORE_FAULT : outcome;
	store_bind_text(stmt, 1, change->id);
	store_bind_text(stmt, 2, change->name);
	store_bind_text(stmt, 3, change->is_auth ? BYTES("auth") : BYTES("base"));
	store_bind_int64(stmt, 4, change->is_system);
	store_bind_text(stmt, 5, bytes_buf_view(&fields));
	store_bind_text(stmt, 6, bytes_buf_view(&indexes));
	store_bind_text(stmt, 7, bytes_of(now));
	for (int i = 0; i < RULES; i++)
		if (change->rules[i].is_null)
			store_bind_null(stmt, 8 + i);
		else
			store_bind_text(stmt, 8 + i, change->rules[i].text);
	return store_exec(stmt, NULL);
}

enum store_outcome collection_insert(
	struct store_conn *conn, const struct change *change, const char *now)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	bytes_buf_init(&script, SCRIPT_MAX);
	bytes_buf_appendf(&script, "CREATE TABLE \"%.*s\" (", (int)change->name.n, change->name.p);
	for (size_t i = 0; i < change->n_fields; i++)
		bytes_buf_appendf(&script, "%s%.*s %s", i ? ", " : "",
			(int)change->fields[i].column.n, change->fields[i].column.p,
			field_column_type(&change->fields[i]));
	bytes_buf_append_string(&script, ") STRICT;");
	add_indexes(&script, &change->indexes);
	enum store_outcome outcome = run(conn, &script);
	if (outcome == STORE_OK)
		outcome = auth_options_save(conn, change);
	if (outcome != STORE_OK)
		return outcome;
	return write_row(conn,
		BYTES("INSERT INTO _collections(id, name, type, system, fields, indexes, created, "
		      "updated, list_rule, view_rule, create_rule, update_rule, delete_rule) "
		      "VALUES(?1,?2,?3,?4,?5,?6,?7,?7,?8,?9,?10,?11,?12)"),
		change, now);
}

static const struct record_field *field_of_id(
	const struct record_field *fields, size_t n, struct bytes id)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(fields[i].id, id))
			return &fields[i];
	return NULL;
}

/* One choice becomes a list of one, a list becomes its last choice. The column's type is the same,
 * but its default is not, so the column is made anew. */
static void add_conversion(
	struct bytes_buf *script, const struct change *change, const struct record_field *field)
{
	int n_table = (int)change->name.n, n = (int)field->column.n;
	const char *table = change->name.p, *column = field->column.p;
	bytes_buf_appendf(script, "ALTER TABLE \"%.*s\" RENAME COLUMN %.*s TO \"_old\";", n_table,
		table, n, column);
	bytes_buf_appendf(script, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;", n_table, table, n,
		column, field_column_type(field));
	bytes_buf_appendf(script,
		field->is_list ? "UPDATE \"%.*s\" SET %.*s=json_array(\"_old\") WHERE \"_old\"<>'';"
			       : "UPDATE \"%.*s\" SET %.*s=COALESCE(json_extract(\"_old\", "
				 "'$[#-1]'), '');",
		n_table, table, n, column);
	bytes_buf_appendf(script, "ALTER TABLE \"%.*s\" DROP COLUMN \"_old\";", n_table, table);
}

/* Two steps, so that two fields may swap their names. */
static void add_renames(
	struct bytes_buf *script, const struct record_collection *old, const struct change *change)
{
	for (int step = 0; step < 2; step++)
		for (size_t i = 0; i < change->n_fields; i++) {
			const struct record_field *field = &change->fields[i];
			const struct record_field *was =
				field_of_id(old->fields, old->n_fields, field->id);
			if (!was || bytes_eq(was->column, field->column))
				continue;
			bytes_buf_appendf(script, "ALTER TABLE \"%.*s\" RENAME COLUMN ",
				(int)change->name.n, change->name.p);
			if (step == 0)
				bytes_buf_appendf(script, "%.*s TO \"_rename%zu\";",
					(int)was->column.n, was->column.p, i);
			else
				bytes_buf_appendf(script, "\"_rename%zu\" TO %.*s;", i,
					(int)field->column.n, field->column.p);
		}
}

static enum store_outcome drop_indexes(struct store_conn *conn, const struct record_collection *old)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	bytes_buf_init(&script, SCRIPT_MAX);
	for (size_t i = 0; i < old->indexes.n; i++) {
		/* CREATE [UNIQUE ]INDEX "name" ...: our own wording. */
		struct bytes text = old->indexes.items[i];
		const char *open = memchr(text.p, '"', text.n);
		const char *close =
			open ? memchr(open + 1, '"', text.n - (size_t)(open + 1 - text.p)) : NULL;
		if (!close)
			return STORE_FAULT;
		bytes_buf_appendf(
			&script, "DROP INDEX IF EXISTS %.*s;", (int)(close + 1 - open), open);
	}
	return run(conn, &script);
}

enum store_outcome collection_alter(struct store_conn *conn, const struct record_collection *old,
	const struct change *change, const char *now)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	bytes_buf_init(&script, SCRIPT_MAX);
	if (!bytes_eq(old->name, change->name)) {
		/* By way of another name: SQLite's names have no case. */
		bytes_buf_appendf(&script, "ALTER TABLE %.*s RENAME TO \"_renamed\";",
			(int)old->table.n, old->table.p);
		bytes_buf_appendf(&script, "ALTER TABLE \"_renamed\" RENAME TO \"%.*s\";",
			(int)change->name.n, change->name.p);
	}
	for (size_t i = 0; i < old->n_fields; i++)
		if (!field_of_id(change->fields, change->n_fields, old->fields[i].id))
			bytes_buf_appendf(&script, "ALTER TABLE \"%.*s\" DROP COLUMN %.*s;",
				(int)change->name.n, change->name.p, (int)old->fields[i].column.n,
				old->fields[i].column.p);
	add_renames(&script, old, change);
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		const struct record_field *was = field_of_id(old->fields, old->n_fields, field->id);
		if (!was)
			bytes_buf_appendf(&script, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;",
				(int)change->name.n, change->name.p, (int)field->column.n,
				field->column.p, field_column_type(field));
		else if (was->is_list != field->is_list)
			add_conversion(&script, change, field);
	}
	add_indexes(&script, &change->indexes);
	enum store_outcome outcome = drop_indexes(conn, old);
	if (outcome == STORE_OK)
		outcome = run(conn, &script);
	if (outcome == STORE_OK)
		outcome = auth_options_save(conn, change);
	if (outcome != STORE_OK)
		return outcome;
	return write_row(conn,
		BYTES("UPDATE _collections SET name=?2, type=?3, system=?4, fields=?5, indexes=?6, "
		      "updated=?7, list_rule=?8, view_rule=?9, create_rule=?10, update_rule=?11, "
		      "delete_rule=?12 WHERE id=?1"),
		change, now);
}

enum store_outcome collection_drop(
	struct store_conn *conn, const struct record_collection *collection)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	struct store_stmt *stmt;
	bytes_buf_init(&script, 1024);
	bytes_buf_appendf(
		&script, "DROP TABLE %.*s;", (int)collection->table.n, collection->table.p);
	enum store_outcome outcome = run(conn, &script);
	if (outcome == STORE_OK)
		outcome = auth_options_drop(conn, collection->id);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn, BYTES("DELETE FROM _collections WHERE id=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, collection->id);
	return store_exec(stmt, NULL);
}
