/*
 * keep.c - a row as one JSON object by the ids of its fields, so that it outlives their names
 *
 * What is kept for the trash has the secrets of an account, since it shall sign in again when it
 * comes back; a revision has none. Both lie in tables that no plugin's SQL can name.
 */
#include "keep.h"

#include <string.h>

#include "files.h"
#include "write.h"

#define KEPT_MAX (16u << 20) /* bytes of one row */

static void write_column(struct text_json_writer *writer, const struct record_field *field,
	struct store_stmt *stmt, int column)
{
	struct bytes text;
	switch (field->type) {
	case FIELD_NUMBER:
		text_json_write_double(writer, store_column_double(stmt, column));
		return;
	case FIELD_BOOL:
		text_json_write_bool(writer, store_column_int64(stmt, column) != 0);
		return;
	default:
		break;
	}
	text = store_column_text(stmt, column);
	if (field->is_raw)
		text_json_write_raw(writer, text.n ? text : BYTES("null"));
	else
		text_json_write_string(writer, text);
}

/* False in *ret_found when there is no such row. */
static enum store_outcome read_row(struct store_conn *conn,
	const struct record_collection *collection, struct bytes id, bool has_secrets,
	struct bytes_buf *out, bool *ret_found)
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct text_json_writer writer;
	struct store_stmt *stmt;
	bytes_buf_init(&sql, 65536);
	bytes_buf_append_string(&sql, "SELECT ");
	for (size_t i = 0; i < collection->n_fields; i++)
		bytes_buf_appendf(&sql, "%s%.*s", i ? "," : "", (int)collection->fields[i].column.n,
			collection->fields[i].column.p);
	bytes_buf_appendf(
		&sql, " FROM %.*s WHERE \"id\"=?1", (int)collection->table.n, collection->table.p);
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	outcome = store_step(stmt, ret_found);
	if (outcome != STORE_OK || !*ret_found)
		return outcome;
	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->is_secret && !has_secrets)
			continue;
		text_json_write_key(&writer, field->id);
		write_column(&writer, field, stmt, (int)i);
	}
	text_json_end_object(&writer);
	return STORE_OK;
}

/* "users/abc", or "" for work of our own. */
static struct bytes actor_of(struct record_work *work)
{
	const struct record_viewer *viewer = &work->call->viewer;
	if (!viewer->record_id.n)
		return (struct bytes){ NULL, 0 };
	return arena_printf(work->call->arena, "%.*s/%.*s", (int)viewer->collection_name.n,
		viewer->collection_name.p, (int)viewer->record_id.n, viewer->record_id.p);
}

static enum store_outcome exec(struct store_conn *conn, struct bytes sql, const struct bytes *texts,
	int n_texts, int64_t number)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	for (int i = 0; i < n_texts; i++)
		store_bind_text(stmt, i + 1, texts[i]);
	if (number >= 0)
		store_bind_int64(stmt, n_texts + 1, number);
	return store_exec(stmt, NULL);
}

static enum store_outcome add_revision(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, struct bytes id, struct bytes kept)
{
	const struct bytes row[] = { collection->id, id, bytes_of(work_now(work)), actor_of(work),
		kept };
	enum store_outcome outcome = exec(conn,
		BYTES("INSERT INTO _revisions(collection,record,revision,created,actor,body) "
		      "VALUES(?1,?2,(SELECT coalesce(max(revision),0)+1 FROM _revisions WHERE "
		      "collection=?1 AND record=?2),?3,?4,?5)"),
		row, 5, -1);
	if (outcome != STORE_OK)
		return outcome;
	return exec(conn,
		BYTES("DELETE FROM _revisions WHERE collection=?1 AND record=?2 AND revision<="
		      "(SELECT max(revision) FROM _revisions WHERE collection=?1 AND "
		      "record=?2)-?3"),
		row, 2, collection->n_revisions);
}

enum store_outcome keep_row(struct record_work *work, struct store_conn *conn,
	enum record_action action, const struct record_collection *collection, struct bytes id)
{
	bool is_delete = action == RECORD_DELETE, found;
	bool is_trashed = is_delete && collection->soft_delete;
	DEFER(bytes_buf_fini) struct bytes_buf kept;
	bytes_buf_init(&kept, KEPT_MAX);
	if (is_delete && !is_trashed)
		return collection->n_revisions
			       ? exec(conn,
					 BYTES("DELETE FROM _revisions WHERE collection=?1 AND "
					       "record=?2"),
					 (struct bytes[]){ collection->id, id }, 2, -1)
			       : STORE_OK;
	if (!is_trashed && !collection->n_revisions)
		return STORE_OK;
	enum store_outcome outcome = read_row(conn, collection, id, is_trashed, &kept, &found);
	if (outcome != STORE_OK || !found)
		return outcome;
	if (kept.failed)
		return row_refuse(work, 400, "The record is too large to be kept as it was.");
	if (!is_trashed)
		return add_revision(work, conn, collection, id, bytes_buf_view(&kept));
	/* Another that had this id and is still there makes room. */
	outcome = files_delete_kept(work, conn, collection, id);
	if (outcome != STORE_OK)
		return outcome;
	return exec(conn,
		BYTES("INSERT OR REPLACE INTO _trash(collection,record,deleted,actor,body) "
		      "VALUES(?1,?2,?3,?4,?5)"),
		(struct bytes[]){ collection->id, id, bytes_of(work_now(work)), actor_of(work),
			bytes_buf_view(&kept) },
		5, -1);
}

/* ---- what was kept ---- */

/* The member of a field; ids are ours or a client's, so no pointer is made of them. */
static bool find_member(struct bytes kept, struct bytes id, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, kept);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		bool is_it = text_json_is(&token, id);
		*ret = text_json_skip(&reader, &token);
		if (is_it)
			return true;
	}
	return false;
}

/* A file that was replaced is gone, an id and an automatic date are nobody's to set. */
static bool is_settable(const struct record_field *field)
{
	return !field->is_primary && field->type != FIELD_AUTODATE && field->type != FIELD_FILE;
}

void keep_write(const struct record_collection *collection, struct bytes kept, bool for_write,
	struct bytes_buf *out)
{
	struct text_json_writer writer;
	struct bytes json;
	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->is_secret || (for_write && !is_settable(field)) ||
			!find_member(kept, field->id, &json))
			continue;
		text_json_write_key(&writer, field->name);
		text_json_write_raw(&writer, json);
	}
	text_json_end_object(&writer);
}

static bool load_secret(
	struct record_work *work, const struct record_field *field, struct bytes json)
{
	static const struct record_field text_field = { .type = FIELD_TEXT };
	struct value value;
	bool is_password = field->type == FIELD_PASSWORD;
	return value_parse(&text_field, json, work->arena, &value) &&
	       bytes_to_string(value.text, is_password ? work->password_hash : work->token_key,
		       is_password ? sizeof(work->password_hash) : sizeof(work->token_key));
}

bool keep_load(struct record_work *work, struct bytes kept)
{
	const struct record_collection *collection = work->collection;
	struct bytes json;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		value_default(field, &work->values[i]);
		if (!find_member(kept, field->id, &json))
			continue;
		if (field->is_secret ? !load_secret(work, field, json)
				     : !value_parse(field, json, work->arena, &work->values[i]))
			return false;
	}
	return true;
}

enum store_outcome keep_forget(struct store_conn *conn, struct bytes collection_id)
{
	enum store_outcome outcome = exec(
		conn, BYTES("DELETE FROM _revisions WHERE collection=?1"), &collection_id, 1, -1);
	if (outcome == STORE_OK)
		outcome = exec(conn, BYTES("DELETE FROM _trash WHERE collection=?1"),
			&collection_id, 1, -1);
	return outcome;
}
