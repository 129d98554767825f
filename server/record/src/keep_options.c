#include "keep_options.h"

#include "keep.h"
#include "record_kept.h"

void keep_options_settle(struct change *change)
{
	const struct record_collection *old = change->old;
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes json;
	change->keeping.revisions = old ? old->n_revisions : 0;
	change->keeping.soft_delete = old && old->soft_delete;
	change->keeping.is_set = true;
	if (!change->body.n)
		return;
	if (text_json_find(change->body, BYTES("/revisions"), &json) == TEXT_JSON_FOUND) {
		int64_t number = -1;
		text_json_reader_init(&reader, json);
		text_json_next(&reader, &token);
		if (!text_json_int64(&token, &number) || number < 0 ||
			number > RECORD_REVISIONS_MAX)
			flaws_add(&change->flaws, "revisions", -1, NULL, "validation_invalid_value",
				"Must be a number from 0 to %d.", RECORD_REVISIONS_MAX);
		else
			change->keeping.revisions = number;
	}
	if (text_json_find(change->body, BYTES("/softDelete"), &json) == TEXT_JSON_FOUND) {
		text_json_reader_init(&reader, json);
		text_json_next(&reader, &token);
		if (!text_json_bool(&token, &change->keeping.soft_delete))
			flaws_add(&change->flaws, "softDelete", -1, NULL,
				"validation_invalid_value", "Must be true or false.");
	}
	if (change->is_view && (change->keeping.revisions || change->keeping.soft_delete))
		flaws_add(&change->flaws, change->keeping.revisions ? "revisions" : "softDelete",
			-1, NULL, "validation_invalid_value", "A view keeps nothing.");
}

static enum store_outcome exec(
	struct store_conn *conn, struct bytes sql, struct bytes id, const int64_t *numbers, int n)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	for (int i = 0; i < n; i++)
		store_bind_int64(stmt, 2 + i, numbers[i]);
	return store_exec(stmt, NULL);
}

enum store_outcome keep_options_save(struct store_conn *conn, const struct change *change)
{
	if (!change->keeping.is_set)
		return STORE_OK;
	return exec(conn,
		BYTES("INSERT OR REPLACE INTO _keeping(collection,revisions,soft_delete) "
		      "VALUES(?1,?2,?3)"),
		change->id, (int64_t[]){ change->keeping.revisions, change->keeping.soft_delete },
		2);
}

enum store_outcome keep_options_drop(struct store_conn *conn, struct bytes collection_id)
{
	enum store_outcome outcome = keep_forget(conn, collection_id);
	if (outcome == STORE_OK)
		outcome = exec(conn, BYTES("DELETE FROM _keeping WHERE collection=?1"),
			collection_id, NULL, 0);
	return outcome;
}

int keep_options_load(struct store_conn *conn, struct record_schema *schema, struct err *err)
{
	struct store_stmt *stmt;
	bool has_row = true;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("SELECT collection,revisions,soft_delete FROM _keeping"), &stmt);
	while (outcome == STORE_OK) {
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			break;
		for (size_t i = 0; i < schema->n_collections; i++) {
			struct record_collection *collection = &schema->collections[i];
			if (!bytes_eq(collection->id, store_column_text(stmt, 0)))
				continue;
			collection->n_revisions = store_column_int64(stmt, 1);
			collection->soft_delete = store_column_int64(stmt, 2) != 0;
		}
	}
	return outcome == STORE_OK
		       ? 0
		       : ERR_SET(err, ERR_IO, "what collections keep cannot be read: %s",
				 store_message(conn));
}

void keep_options_write(struct text_json_writer *writer, const struct record_collection *collection)
{
	if (collection->is_view)
		return;
	text_json_write_key(writer, BYTES("revisions"));
	text_json_write_int64(writer, collection->n_revisions);
	text_json_write_key(writer, BYTES("softDelete"));
	text_json_write_bool(writer, collection->soft_delete);
}
