/*
 * alter.c - tables made, changed and dropped to fit their collections
 *
 * A field keeps its id for life, so a field of the same id and another name is renamed, with what
 * its column holds. Everything happens inside the caller's transaction: half a change is none.
 */
#include <string.h>

#include "auth_options.h"
#include "keep_options.h"

#define SCRIPT_MAX (256u << 10)

static enum store_outcome run(struct store_conn *conn, const struct bytes_buf *script)
{
	if (script->failed)
		return STORE_FAULT;
	return script->n ? store_run_script(conn, bytes_buf_view(script)) : STORE_OK;
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
	store_bind_text(stmt, 3,
		change->is_view   ? BYTES("view")
		: change->is_auth ? BYTES("auth")
				  : BYTES("base"));
	store_bind_int64(stmt, 4, change->is_system);
	store_bind_text(stmt, 5, bytes_buf_view(&fields));
	store_bind_text(stmt, 6, bytes_buf_view(&indexes));
	store_bind_text(stmt, 7, bytes_of(now));
	for (int i = 0; i < RULES; i++)
		if (change->rules[i].is_null)
			store_bind_null(stmt, 8 + i);
		else
			store_bind_text(stmt, 8 + i, change->rules[i].text);
	store_bind_text(stmt, 13, change->view_query);
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
	enum store_outcome outcome = change->is_view ? STORE_OK : run(conn, &script);
	if (outcome == STORE_OK)
		outcome = auth_options_save(conn, change);
	if (outcome == STORE_OK)
		outcome = keep_options_save(conn, change);
	if (outcome != STORE_OK)
		return outcome;
	return write_row(conn,
		BYTES("INSERT INTO _collections(id, name, type, system, fields, indexes, created, "
		      "updated, list_rule, view_rule, create_rule, update_rule, delete_rule, "
		      "view_query) VALUES(?1,?2,?3,?4,?5,?6,?7,?7,?8,?9,?10,?11,?12,?13)"),
		change, now);
}

enum store_outcome collection_store(
	struct store_conn *conn, const struct change *change, const char *now)
{
	enum store_outcome outcome = auth_options_save(conn, change);
	if (outcome == STORE_OK)
		outcome = keep_options_save(conn, change);
	if (outcome != STORE_OK)
		return outcome;
	return write_row(conn,
		BYTES("UPDATE _collections SET name=?2, type=?3, system=?4, fields=?5, indexes=?6, "
		      "updated=?7, list_rule=?8, view_rule=?9, create_rule=?10, update_rule=?11, "
		      "delete_rule=?12, view_query=?13 WHERE id=?1"),
		change, now);
}

enum store_outcome collection_index(
	struct store_conn *conn, const struct change *change, size_t *ret_index)
{
	for (*ret_index = 0; *ret_index < change->indexes.n; ++*ret_index) {
		enum store_outcome outcome =
			store_run_script(conn, change->indexes.items[*ret_index]);
		if (outcome != STORE_OK)
			return outcome;
	}
	return STORE_OK;
}

/* Two steps, so that two fields may swap their names. */
static void add_renames(struct bytes_buf *script, const struct change *change, int step)
{
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		const struct record_field *was = change_old_field(change->old, field);
		if (!was || bytes_eq(was->column, field->column))
			continue;
		bytes_buf_appendf(script, "ALTER TABLE \"%.*s\" RENAME COLUMN ",
			(int)change->name.n, change->name.p);
		if (step == 0)
			bytes_buf_appendf(script, "%.*s TO \"_rename%zu\";", (int)was->column.n,
				was->column.p, i);
		else
			bytes_buf_appendf(script, "\"_rename%zu\" TO %.*s;", i,
				(int)field->column.n, field->column.p);
	}
}

static void add_drop_indexes(struct bytes_buf *script, const struct record_collection *old)
{
	for (size_t i = 0; i < old->indexes.n; i++) {
		struct bytes name = index_name(old->indexes.items[i]);
		bytes_buf_appendf(script, "DROP INDEX IF EXISTS %.*s;", (int)name.n, name.p);
	}
}

static bool is_kept(const struct change *change, const struct record_field *was)
{
	for (size_t i = 0; i < change->n_fields; i++)
		if (bytes_eq(change->fields[i].id, was->id))
			return true;
	return false;
}

enum store_outcome collection_rename_table(
	struct store_conn *conn, const struct change *change, size_t nth, int step)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	const struct record_collection *old = change->old;
	bytes_buf_init(&script, 1024);
	if (bytes_eq(old->name, change->name))
		return STORE_OK;
	/* By way of another name: SQLite's names have no case, and two may be exchanged. */
	if (step == 0)
		bytes_buf_appendf(&script, "ALTER TABLE %.*s RENAME TO \"_renamed%zu\"",
			(int)old->table.n, old->table.p, nth);
	else
		bytes_buf_appendf(&script, "ALTER TABLE \"_renamed%zu\" RENAME TO \"%.*s\"", nth,
			(int)change->name.n, change->name.p);
	return run(conn, &script);
}

enum store_outcome collection_rename(struct store_conn *conn, const struct change *change)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	const struct record_collection *old = change->old;
	bytes_buf_init(&script, SCRIPT_MAX);
	add_drop_indexes(&script, old);
	/* Out of the way first, so that a name which becomes free can be taken at once. */
	add_renames(&script, change, 0);
	for (size_t i = 0; i < old->n_fields; i++)
		if (!is_kept(change, &old->fields[i]))
			bytes_buf_appendf(&script, "ALTER TABLE \"%.*s\" DROP COLUMN %.*s;",
				(int)change->name.n, change->name.p, (int)old->fields[i].column.n,
				old->fields[i].column.p);
	add_renames(&script, change, 1);
	return run(conn, &script);
}

enum store_outcome collection_extend(struct store_conn *conn, const struct change *change)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	bytes_buf_init(&script, SCRIPT_MAX);
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		if (!change_old_field(change->old, field))
			bytes_buf_appendf(&script, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;",
				(int)change->name.n, change->name.p, (int)field->column.n,
				field->column.p, field_column_type(field));
	}
	return run(conn, &script);
}

enum store_outcome collection_drop(
	struct store_conn *conn, const struct record_collection *collection)
{
	DEFER(bytes_buf_fini) struct bytes_buf script;
	struct store_stmt *stmt;
	bytes_buf_init(&script, 1024);
	if (!collection->is_view)
		bytes_buf_appendf(
			&script, "DROP TABLE %.*s;", (int)collection->table.n, collection->table.p);
	enum store_outcome outcome = run(conn, &script);
	if (outcome == STORE_OK)
		outcome = auth_options_drop(conn, collection->id);
	if (outcome == STORE_OK)
		outcome = keep_options_drop(conn, collection->id);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn, BYTES("DELETE FROM _collections WHERE id=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, collection->id);
	return store_exec(stmt, NULL);
}
