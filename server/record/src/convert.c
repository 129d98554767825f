/*
 * convert.c - the values of a column whose field changed its type
 *
 * Between one choice and many the database does it by itself. From one type to another each value
 * takes the way of one that a client sends: told as JSON, cast, bound. What it would lose is
 * counted, and the first such value kept to be shown.
 */
#include <stdio.h>
#include <string.h>

#include "plan.h"

#define SCRATCH_BYTES (16u << 20) /* for one value */

/* ---- one choice and many ---- */

static enum store_outcome count(struct store_conn *conn, const struct bytes_buf *sql, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(sql), &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

/* One choice becomes a list of one, a list becomes its last choice. The column's type is the same,
 * but its default is not, so the column is made anew. */
static enum store_outcome convert_choices(struct store_conn *conn, struct conversion *conversion)
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	const struct change *change = conversion->change;
	const struct record_field *field = conversion->field;
	int n_table = (int)change->name.n, n = (int)field->column.n;
	const char *table = change->name.p, *column = field->column.p;
	bytes_buf_init(&sql, 8192);
	bytes_buf_appendf(&sql,
		field->is_list ? "SELECT count(*) FROM \"%.*s\" WHERE %.*s<>''"
			       : "SELECT count(*) FROM \"%.*s\" WHERE %.*s<>'[]'",
		n_table, table, n, column);
	enum store_outcome outcome = count(conn, &sql, &conversion->n_rows);
	bytes_buf_clear(&sql);
	bytes_buf_appendf(&sql, "SELECT count(*) FROM \"%.*s\" WHERE json_array_length(%.*s)>1",
		n_table, table, n, column);
	if (outcome == STORE_OK && !field->is_list)
		outcome = count(conn, &sql, &conversion->n_lost);
	bytes_buf_clear(&sql);
	bytes_buf_appendf(&sql, "ALTER TABLE \"%.*s\" RENAME COLUMN %.*s TO \"_old\";", n_table,
		table, n, column);
	bytes_buf_appendf(&sql, "ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;", n_table, table, n,
		column, field_column_type(field));
	bytes_buf_appendf(&sql,
		field->is_list ? "UPDATE \"%.*s\" SET %.*s=json_array(\"_old\") WHERE \"_old\"<>'';"
			       : "UPDATE \"%.*s\" SET %.*s=COALESCE(json_extract(\"_old\", "
				 "'$[#-1]'), '');",
		n_table, table, n, column);
	bytes_buf_appendf(&sql, "ALTER TABLE \"%.*s\" DROP COLUMN \"_old\";", n_table, table);
	if (sql.failed)
		return STORE_FAULT;
	return outcome == STORE_OK ? store_run_script(conn, bytes_buf_view(&sql)) : outcome;
}

/* ---- one type and another ---- */

static bool is_empty(const struct record_field *was, struct store_stmt *stmt, int column)
{
	struct bytes text;
	if (was->type == FIELD_NUMBER || was->type == FIELD_BOOL)
		return false;
	if (store_column_is_null(stmt, column))
		return true;
	text = store_column_text(stmt, column);
	return was->is_raw ? bytes_eq(text, value_empty_json(was)) : text.n == 0;
}

/* What the column holds, as a client would send it to the new field. */
static struct bytes tell(const struct record_field *was, const struct record_field *field,
	struct store_stmt *stmt, int column, struct bytes_buf *out)
{
	char number[TEXT_JSON_DOUBLE_BYTES];
	bytes_buf_clear(out);
	struct bytes text = store_column_text(stmt, column);
	bool is_tree = was->is_raw && text.n && (text.p[0] == '[' || text.p[0] == '{');
	bool is_text = field->type == FIELD_TEXT || field->type == FIELD_EDITOR;
	if (was->type == FIELD_NUMBER) {
		text.n = text_json_format_double(store_column_double(stmt, column), number);
		bytes_buf_append(out, (struct bytes){ number, text.n });
	} else if (was->type == FIELD_BOOL) {
		bytes_buf_append(
			out, store_column_int64(stmt, column) ? BYTES("true") : BYTES("false"));
	} else if (was->is_raw && !(is_tree && is_text)) {
		bytes_buf_append(out, text);
	} else {
		text_json_append_string(out, text);
	}
	return bytes_buf_view(out);
}

/* Whether all records exist that the value points at, when it was no relation before. */
static enum store_outcome check_targets(struct record_work *work, struct store_conn *conn,
	const struct record_field *field, const struct value *value, bool *ret_all)
{
	const struct plan *plan = plan_of(work);
	const struct record_collection *target = schema_find(work->schema, field->collection_id);
	struct bytes name = target ? target->name : (struct bytes){ NULL, 0 };
	char sql[160];
	*ret_all = true;
	for (size_t i = 0; i < plan->n_changes; i++)
		if (bytes_eq(plan->changes[i]->id, field->collection_id))
			name = plan->changes[i]->name;
	for (size_t i = 0; i < value->n_items && name.n && *ret_all; i++) {
		struct store_stmt *stmt;
		int n = snprintf(sql, sizeof(sql), "SELECT 1 FROM \"%.*s\" WHERE \"id\"=?1",
			(int)name.n, name.p);
		enum store_outcome outcome =
			store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
		if (outcome != STORE_OK)
			return outcome;
		store_bind_text(stmt, 1, value->items[i]);
		outcome = store_step(stmt, ret_all);
		if (outcome != STORE_OK)
			return outcome;
	}
	return STORE_OK;
}

static bool note_loss(struct plan *plan, struct conversion *conversion, struct store_stmt *stmt,
	struct bytes json)
{
	if (conversion->n_lost++)
		return true;
	struct bytes id = store_column_text(stmt, 1);
	struct bytes shown = { json.p, json.n > 200 ? 0 : json.n };
	char *id_copy = arena_copy(plan->arena, id), *copy = arena_copy(plan->arena, shown);
	conversion->sample_id = (struct bytes){ id_copy, id.n };
	conversion->sample_value = (struct bytes){ copy, shown.n };
	return id_copy && copy;
}

struct rows {
	struct store_stmt *select, *update;
	struct arena *scratch;
	struct bytes_buf json;
};

static enum store_outcome convert_row(struct record_work *work, struct store_conn *conn,
	struct conversion *conversion, struct rows *rows)
{
	const struct record_field *field = conversion->field;
	struct value value;
	bool has_targets = true;
	if (is_empty(conversion->was, rows->select, 2))
		return STORE_OK; /* as the new column's default */
	conversion->n_rows++;
	struct bytes json = tell(conversion->was, field, rows->select, 2, &rows->json);
	if (rows->json.failed || !value_parse(field, json, rows->scratch, &value))
		return STORE_FAULT;
	bool is_kept = value_converts(field, json, rows->scratch) &&
		       !(conversion->was->is_list && !field->is_list && value.n_items > 1);
	if (is_kept && field->type == FIELD_RELATION) {
		enum store_outcome outcome = check_targets(work, conn, field, &value, &has_targets);
		if (outcome != STORE_OK)
			return outcome;
	}
	if (!is_kept || !has_targets) {
		if (!note_loss(plan_of(work), conversion, rows->select, json))
			return STORE_FAULT;
		return STORE_OK;
	}
	value_bind(field, &value, rows->update, 1);
	store_bind_int64(rows->update, 2, store_column_int64(rows->select, 0));
	return store_exec(rows->update, NULL);
}

static enum store_outcome convert_rows(
	struct record_work *work, struct store_conn *conn, struct conversion *conversion)
{
	DEFER(arena_free) struct arena *scratch = NULL;
	struct rows rows = { 0 };
	char sql[320];
	struct bytes table = conversion->change->name, column = conversion->field->column;
	if (arena_new(SCRATCH_BYTES, &scratch, &work->job.err) < 0)
		return STORE_FAULT;
	rows.scratch = scratch;
	int n = snprintf(sql, sizeof(sql), "SELECT rowid,\"id\",\"_old\" FROM \"%.*s\"",
		(int)table.n, table.p);
	enum store_outcome outcome =
		store_prepare(conn, (struct bytes){ sql, (size_t)n }, &rows.select);
	n = snprintf(sql, sizeof(sql), "UPDATE \"%.*s\" SET %.*s=?1 WHERE rowid=?2", (int)table.n,
		table.p, (int)column.n, column.p);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &rows.update);
	bytes_buf_init(&rows.json, SCRATCH_BYTES);
	for (bool has_row = true; outcome == STORE_OK;) {
		outcome = store_step(rows.select, &has_row);
		if (outcome != STORE_OK || !has_row)
			break;
		arena_reset(scratch);
		outcome = convert_row(work, conn, conversion, &rows);
	}
	bytes_buf_fini(&rows.json);
	return outcome;
}

static enum store_outcome convert_type(
	struct record_work *work, struct store_conn *conn, struct conversion *conversion)
{
	char sql[1024];
	struct bytes table = conversion->change->name, column = conversion->field->column;
	int n = snprintf(sql, sizeof(sql),
		"ALTER TABLE \"%.*s\" RENAME COLUMN %.*s TO \"_old\";"
		"ALTER TABLE \"%.*s\" ADD COLUMN %.*s %s;",
		(int)table.n, table.p, (int)column.n, column.p, (int)table.n, table.p,
		(int)column.n, column.p, field_column_type(conversion->field));
	enum store_outcome outcome = store_run_script(conn, (struct bytes){ sql, (size_t)n });
	if (outcome == STORE_OK)
		outcome = convert_rows(work, conn, conversion);
	n = snprintf(sql, sizeof(sql), "ALTER TABLE \"%.*s\" DROP COLUMN \"_old\"", (int)table.n,
		table.p);
	return outcome == STORE_OK ? store_run_script(conn, (struct bytes){ sql, (size_t)n })
				   : outcome;
}

/* ---- all of a change ---- */

static void note_flaw(struct change *change, size_t index, const struct conversion *conversion)
{
	flaws_add(&change->flaws, "fields", (long)index, "type", "validation_field_type_change",
		"%lld of %lld values are no %s, e.g. %.*s in record %.*s. Change them first, or "
		"ask "
		"with lossy=1 to lose them.",
		(long long)conversion->n_lost, (long long)conversion->n_rows,
		field_type_name(conversion->field->type), (int)conversion->sample_value.n,
		conversion->sample_value.n ? conversion->sample_value.p : "",
		(int)conversion->sample_id.n, conversion->sample_id.p);
	flaws_params(&change->flaws, "{\"lost\":%lld,\"rows\":%lld}", (long long)conversion->n_lost,
		(long long)conversion->n_rows);
}

enum store_outcome plan_convert(
	struct record_work *work, struct store_conn *conn, struct change *change)
{
	struct plan *plan = plan_of(work);
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		const struct record_field *was = change_old_field(change->old, field);
		if (!was || (was->type == field->type && was->is_list == field->is_list))
			continue;
		struct conversion *conversion = arena_alloc(plan->arena, sizeof(*conversion));
		if (!conversion)
			return STORE_FAULT;
		*conversion = (struct conversion){ .change = change, .was = was, .field = field };
		*plan->conversions_end = conversion;
		plan->conversions_end = &conversion->next;
		enum store_outcome outcome = was->type == field->type
						     ? convert_choices(conn, conversion)
						     : convert_type(work, conn, conversion);
		if (outcome != STORE_OK)
			return outcome;
		if (conversion->n_lost && was->type != field->type && !plan->is_lossy &&
			!plan->is_dry) {
			note_flaw(change, i, conversion);
			return plan_refuse(plan, change);
		}
	}
	return STORE_OK;
}
