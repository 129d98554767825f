/*
 * delete.c - a record goes, and with it what pointed at it
 *
 * For each relation that points at the record: with cascadeDelete its record goes too; else the
 * record is taken out of the relation, unless the relation is required and would be left empty:
 * then nothing is deleted at all.
 */
#include <stdio.h>
#include <string.h>

#include "keep.h"
#include "once.h"
#include "write.h"

#define CASCADE_DEPTH_MAX 16
#define CASCADE_MAX       10000 /* records that one delete may take with it */

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

struct removal {
	struct record_work *work;
	struct store_conn *conn;
	size_t n_removed;
};

static enum store_outcome refuse(struct removal *removal)
{
	removal->work->refused_status = 400;
	removal->work->refused_message =
		"Failed to delete record. Make sure that the record is not "
		"part of a required relation reference.";
	return STORE_REFUSED;
}

static enum store_outcome fail(struct removal *removal, const char *why)
{
	ERR_SET(&removal->work->job.err, ERR_NOMEM, "%s", why);
	return STORE_FAULT;
}

/* The ids of the records whose field points at id: collected before any of them is touched. */
static enum store_outcome find_pointers(struct removal *removal,
	const struct record_collection *collection, const struct record_field *field,
	struct bytes id, struct bytes_list *ret)
{
	struct arena *arena = removal->work->call->arena;
	struct store_stmt *stmt;
	size_t max = 0;
	char sql[512];
	int n = snprintf(sql, sizeof(sql),
		field->is_list ? "SELECT t.\"id\" FROM %.*s t WHERE EXISTS "
				 "(SELECT 1 FROM json_each(t.%.*s) e WHERE e.value=?1)"
			       : "SELECT t.\"id\" FROM %.*s t WHERE t.%.*s=?1",
		(int)collection->table.n, collection->table.p, (int)field->column.n,
		field->column.p);
	*ret = (struct bytes_list){ 0 };
	enum store_outcome outcome =
		store_prepare(removal->conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	for (;;) {
		bool has_row;
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			return outcome;
		if (ret->n == CASCADE_MAX)
			return refuse(removal);
		if (ret->n == max) {
			max = max ? 2 * max : 8;
			struct bytes *items = arena_alloc(arena, max * sizeof(*items));
			if (!items)
				return fail(removal, "no memory for what points at a record");
			if (ret->n)
				memcpy(items, ret->items, ret->n * sizeof(*items));
			ret->items = items;
		}
		struct bytes text = store_column_text(stmt, 0);
		char *copy = arena_copy(arena, text);
		if (!copy)
			return fail(removal, "no memory for what points at a record");
		ret->items[ret->n++] = (struct bytes){ copy, text.n };
	}
}

/* Before a row is changed or removed. */
static enum store_outcome touch(struct removal *removal, enum record_action action,
	const struct record_collection *collection, struct bytes id, int *ret_note)
{
	enum store_outcome outcome = keep_row(removal->work, removal->conn, action, collection, id);
	return outcome == STORE_OK ? changes_begin(removal->work, removal->conn, action, collection,
					     id, ret_note)
				   : outcome;
}

/* Takes id out of the field of the record pointer. */
static enum store_outcome unlink_pointer(struct removal *removal,
	const struct record_collection *collection, const struct record_field *field,
	struct bytes pointer, struct bytes id)
{
	struct store_stmt *stmt;
	char sql[1024];
	int64_t n_changed = 0;
	int n_table = (int)collection->table.n, n_column = (int)field->column.n, n;
	if (field->is_required && !field->is_list)
		return refuse(removal);
	/* ?3: how many choices there must be now, so that a required list does not become empty. */
	if (field->is_list)
		n = snprintf(sql, sizeof(sql),
			"UPDATE %.*s AS t SET %.*s=(SELECT json_group_array(e.value) FROM "
			"json_each(t.%.*s) e WHERE e.value<>?2) "
			"WHERE t.\"id\"=?1 AND json_array_length(t.%.*s)>=?3",
			n_table, collection->table.p, n_column, field->column.p, n_column,
			field->column.p, n_column, field->column.p);
	else
		n = snprintf(sql, sizeof(sql), "UPDATE %.*s SET %.*s='' WHERE \"id\"=?1", n_table,
			collection->table.p, n_column, field->column.p);
	int note;
	enum store_outcome outcome = touch(removal, RECORD_UPDATE, collection, pointer, &note);
	if (outcome == STORE_OK)
		outcome = store_prepare(removal->conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, pointer);
	if (field->is_list) {
		store_bind_text(stmt, 2, id);
		store_bind_int64(stmt, 3, field->is_required ? 2 : 0);
	}
	outcome = store_exec(stmt, &n_changed);
	if (outcome == STORE_OK && n_changed == 0 && field->is_required)
		return refuse(removal);
	return outcome == STORE_OK ? changes_end(removal->work, removal->conn, note) : outcome;
}

static enum store_outcome remove_record(struct removal *removal,
	const struct record_collection *collection, struct bytes id, unsigned depth);

static enum store_outcome release_field(struct removal *removal,
	const struct record_collection *collection, const struct record_field *field,
	struct bytes id, unsigned depth)
{
	struct bytes_list pointers;
	enum store_outcome outcome = find_pointers(removal, collection, field, id, &pointers);
	for (size_t i = 0; i < pointers.n && outcome == STORE_OK; i++)
		outcome =
			field->cascade_delete
				? remove_record(removal, collection, pointers.items[i], depth + 1)
				: unlink_pointer(removal, collection, field, pointers.items[i], id);
	return outcome;
}

static enum store_outcome remove_record(struct removal *removal,
	const struct record_collection *collection, struct bytes id, unsigned depth)
{
	const struct record_schema *schema = removal->work->schema;
	struct store_stmt *stmt;
	char sql[160];
	if (depth > CASCADE_DEPTH_MAX || ++removal->n_removed > CASCADE_MAX)
		return refuse(removal);
	int note;
	enum store_outcome outcome = touch(removal, RECORD_DELETE, collection, id, &note);
	/* What lies in the trash keeps its files. */
	if (outcome == STORE_OK && !collection->soft_delete)
		outcome = files_delete(removal->work, removal->conn, collection, id);
	if (outcome != STORE_OK)
		return outcome;
	/* The record goes first, so that a circle of cascades ends. */
	int n = snprintf(sql, sizeof(sql), "DELETE FROM %.*s WHERE \"id\"=?1",
		(int)collection->table.n, collection->table.p);
	outcome = store_prepare(removal->conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome == STORE_OK) {
		store_bind_text(stmt, 1, id);
		outcome = store_exec(stmt, NULL);
	}
	for (size_t c = 0; c < schema->n_collections && outcome == STORE_OK; c++) {
		const struct record_collection *other = &schema->collections[c];
		for (size_t i = 0; i < other->n_fields && outcome == STORE_OK; i++)
			if (other->fields[i].target == collection)
				outcome =
					release_field(removal, other, &other->fields[i], id, depth);
	}
	return outcome;
}

static enum store_outcome run_delete(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct removal removal = { work, conn, 0 };
	bool is_met = false;
	work->refused_status = 0;
	work->has_refusal_data = false;
	work->call->refused_by = RECORD_BY_NOBODY;
	changes_forget(work);
	files_begin(work);
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = once_begin(work, work->call->once, conn);
	if (outcome == STORE_OK)
		outcome = row_find(work, conn, RULE_DELETE, &is_met);
	if (outcome == STORE_OK && !is_met) {
		work_note_rule(work, RULE_DELETE);
		return row_refuse(work, 404, "The requested resource wasn't found.");
	}
	if (outcome == STORE_OK)
		outcome = match_check(work, conn);
	if (outcome == STORE_OK)
		outcome = ask_check_old(work, conn);
	if (outcome == STORE_OK)
		outcome = remove_record(&removal, work->collection, bytes_of(work->id), 0);
	if (outcome == STORE_OK)
		outcome = ask_run_attached(work, conn);
	return outcome == STORE_OK
		       ? once_keep(work, work->call->once, conn, 204, (struct bytes){ NULL, 0 })
		       : outcome;
}

static void done_delete(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (!work->has_refusal_data)
		bytes_buf_clear(&work->call->answer);
	if (job->outcome == STORE_OK)
		work_answer(work, 204, "");
	else if (work->refused_status)
		work_answer(work, work->refused_status, work->refused_message);
	else
		work_answer(work, 400, "Failed to delete record.");
}

void record_delete(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_delete);
	if (!work || work_answer_forbidden(work, RULE_DELETE))
		return;
	work->action = RECORD_DELETE;
	work->values =
		arena_alloc(call->arena, (work->collection->n_fields + 1) * sizeof(struct value));
	if (!work->values) {
		work_answer(work, 503, "The server is short of memory.");
		return;
	}
	if (!call->id.n || !bytes_to_string(call->id, work->id, sizeof(work->id))) {
		work_answer(work, 404, "The requested resource wasn't found.");
		return;
	}
	work->run_write = run_delete;
	work->done_write = done_delete;
	ask_then_queue(work);
}
