/*
 * report.c - what a change would touch, told by a dry run of it
 */
#include <stdio.h>
#include <string.h>

#include "plan.h"

/* ---- before ---- */

static enum store_outcome count(struct store_conn *conn, struct bytes sql, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

static bool is_dropped(const struct change *change, const struct record_field *was)
{
	for (size_t i = 0; !change->is_drop && i < change->n_fields; i++)
		if (bytes_eq(change->fields[i].id, was->id))
			return false;
	return true;
}

static const char *empty_text(const struct record_field *field)
{
	if (field->type == FIELD_NUMBER || field->type == FIELD_BOOL)
		return "0";
	if (field->is_list)
		return "'[]'";
	return field->type == FIELD_GEO_POINT ? "'{\"lon\":0,\"lat\":0}'" : "''";
}

static enum store_outcome measure(
	struct store_conn *conn, const struct change *change, struct measure *ret)
{
	char sql[512];
	struct bytes table = change->old->table;
	int n = snprintf(sql, sizeof(sql), "SELECT count(*) FROM %.*s", (int)table.n, table.p);
	enum store_outcome outcome = count(conn, (struct bytes){ sql, (size_t)n }, &ret->n_rows);
	for (size_t i = 0; i < change->old->n_fields && outcome == STORE_OK; i++) {
		const struct record_field *field = &change->old->fields[i];
		if (change->is_drop || !is_dropped(change, field))
			continue;
		n = snprintf(sql, sizeof(sql),
			"SELECT count(*) FROM %.*s WHERE coalesce(%.*s,%s)<>%s", (int)table.n,
			table.p, (int)field->column.n, field->column.p, empty_text(field),
			empty_text(field));
		outcome = count(conn, (struct bytes){ sql, (size_t)n }, &ret->n_values[i]);
	}
	return outcome;
}

enum store_outcome plan_measure(struct record_work *work, struct store_conn *conn)
{
	struct plan *plan = plan_of(work);
	enum store_outcome outcome = STORE_OK;
	plan->measures = arena_alloc(plan->arena, (plan->n_changes + 1) * sizeof(*plan->measures));
	if (!plan->measures)
		return STORE_FAULT;
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++) {
		const struct change *change = plan->changes[i];
		if (!change->old || change->old->is_view)
			continue;
		plan->measures[i].n_values =
			arena_alloc(plan->arena, (change->old->n_fields + 1) * sizeof(int64_t));
		if (!plan->measures[i].n_values)
			return STORE_FAULT;
		outcome = measure(conn, change, &plan->measures[i]);
	}
	return outcome;
}

/* ---- after ---- */

static void write_text(struct text_json_writer *writer, const char *key, struct bytes text)
{
	text_json_write_key(writer, bytes_of(key));
	text_json_write_string(writer, text);
}

static void write_number(struct text_json_writer *writer, const char *key, int64_t number)
{
	text_json_write_key(writer, bytes_of(key));
	text_json_write_int64(writer, number);
}

static void begin_list(struct text_json_writer *writer, const char *key)
{
	text_json_write_key(writer, bytes_of(key));
	text_json_begin_array(writer);
}

static void write_added(struct text_json_writer *writer, const struct change *change)
{
	begin_list(writer, "added");
	for (size_t i = 0; !change->is_drop && i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		if (change_old_field(change->old, field))
			continue;
		text_json_begin_object(writer);
		write_text(writer, "name", field->name);
		write_text(writer, "type", bytes_of(field_type_name(field->type)));
		text_json_end_object(writer);
	}
	text_json_end_array(writer);
}

static void write_dropped(
	struct text_json_writer *writer, const struct change *change, const struct measure *measure)
{
	begin_list(writer, "dropped");
	for (size_t i = 0; change->old && !change->is_drop && i < change->old->n_fields; i++) {
		const struct record_field *was = &change->old->fields[i];
		if (!is_dropped(change, was))
			continue;
		text_json_begin_object(writer);
		write_text(writer, "name", was->name);
		write_text(writer, "type", bytes_of(field_type_name(was->type)));
		if (measure->n_values)
			write_number(writer, "values", measure->n_values[i]);
		text_json_end_object(writer);
	}
	text_json_end_array(writer);
}

static void write_renamed(struct text_json_writer *writer, const struct change *change)
{
	begin_list(writer, "renamed");
	for (size_t i = 0; !change->is_drop && i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		const struct record_field *was = change_old_field(change->old, field);
		if (!was || bytes_eq(was->name, field->name))
			continue;
		text_json_begin_object(writer);
		write_text(writer, "from", was->name);
		write_text(writer, "to", field->name);
		text_json_end_object(writer);
	}
	text_json_end_array(writer);
}

static void write_type(
	struct text_json_writer *writer, const char *key, const struct record_field *field)
{
	char text[40];
	(void)snprintf(text, sizeof(text), "%s%s", field_type_name(field->type),
		field->is_list ? "[]" : "");
	write_text(writer, key, bytes_of(text));
}

static void write_retyped(
	struct text_json_writer *writer, const struct plan *plan, const struct change *change)
{
	begin_list(writer, "retyped");
	for (const struct conversion *c = plan->conversions; c; c = c->next) {
		if (c->change != change)
			continue;
		text_json_begin_object(writer);
		write_text(writer, "name", c->field->name);
		write_type(writer, "from", c->was);
		write_type(writer, "to", c->field);
		write_number(writer, "values", c->n_rows);
		write_number(writer, "lost", c->n_lost);
		if (c->sample_id.n) {
			text_json_write_key(writer, BYTES("sample"));
			text_json_begin_object(writer);
			write_text(writer, "id", c->sample_id);
			if (c->sample_value.n) {
				text_json_write_key(writer, BYTES("value"));
				text_json_write_raw(writer, c->sample_value);
			}
			text_json_end_object(writer);
		}
		text_json_end_object(writer);
	}
	text_json_end_array(writer);
}

static bool has_text(const struct bytes_list *list, struct bytes text)
{
	for (size_t i = 0; i < list->n; i++)
		if (bytes_eq(list->items[i], text))
			return true;
	return false;
}

static void write_missing(struct text_json_writer *writer, const char *key,
	const struct bytes_list *from, const struct bytes_list *other)
{
	begin_list(writer, key);
	for (size_t i = 0; i < from->n; i++)
		if (!has_text(other, from->items[i]))
			text_json_write_string(writer, from->items[i]);
	text_json_end_array(writer);
}

static void write_rules(struct text_json_writer *writer, const struct change *change)
{
	begin_list(writer, "rules");
	for (int i = 0; i < RULES && change->old && !change->is_drop; i++)
		if (change->rules[i].is_null != change->old->rules[i].is_null ||
			!bytes_eq(change->rules[i].text, change->old->rules[i].text))
			text_json_write_string(writer, bytes_of(change_rule_names[i]));
	text_json_end_array(writer);
}

static void write_change(struct text_json_writer *writer, const struct plan *plan, size_t index)
{
	static const struct bytes_list none;
	const struct change *change = plan->changes[index];
	const struct record_collection *old = change->old;
	text_json_begin_object(writer);
	write_text(writer, "action",
		!old              ? BYTES("create")
		: change->is_drop ? BYTES("delete")
				  : BYTES("update"));
	write_text(writer, "id", change->id);
	write_text(writer, "name", change->name);
	if (old && !change->is_drop && !bytes_eq(old->name, change->name))
		write_text(writer, "renamedFrom", old->name);
	write_number(writer, "rows", plan->measures[index].n_rows);
	text_json_write_key(writer, BYTES("columns"));
	text_json_begin_object(writer);
	write_added(writer, change);
	write_dropped(writer, change, &plan->measures[index]);
	write_renamed(writer, change);
	write_retyped(writer, plan, change);
	text_json_end_object(writer);
	text_json_write_key(writer, BYTES("indexes"));
	text_json_begin_object(writer);
	write_missing(writer, "added", change->is_drop ? &none : &change->indexes,
		old ? &old->indexes : &none);
	write_missing(writer, "dropped", old ? &old->indexes : &none,
		change->is_drop ? &none : &change->indexes);
	text_json_end_object(writer);
	write_rules(writer, change);
	text_json_end_object(writer);
}

static void write_rewrites(struct text_json_writer *writer, const struct plan *plan)
{
	begin_list(writer, "rules");
	for (const struct rewrite *r = plan->rewrites; r; r = r->next) {
		text_json_begin_object(writer);
		write_text(writer, "collection", r->collection->name);
		write_text(writer, "rule", bytes_of(change_rule_names[r->rule]));
		write_text(writer, "from", r->collection->rules[r->rule].text);
		write_text(writer, "to", r->text);
		text_json_end_object(writer);
	}
	text_json_end_array(writer);
}

static void write_views(struct text_json_writer *writer, const struct plan *plan)
{
	begin_list(writer, "views");
	for (size_t i = 0; i < plan->n_views; i++) {
		const struct change *change = plan->views[i].change;
		if (!change)
			continue;
		text_json_begin_object(writer);
		write_text(writer, "name", change->name);
		write_text(writer, "viewQuery", change->view_query);
		begin_list(writer, "fields");
		for (size_t f = 0; f < change->n_fields; f++)
			text_json_write_string(writer, change->fields[f].name);
		text_json_end_array(writer);
		text_json_end_object(writer);
	}
	text_json_end_array(writer);
}

/* Rules of collections that nobody asked about: who is let in by them now would be so no more. */
static void write_broken(struct text_json_writer *writer, const struct record_work *work)
{
	begin_list(writer, "brokenRules");
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *old = &work->schema->collections[c];
		const struct record_collection *now = schema_find(work->new_schema, old->id);
		for (int i = 0; i < RULES && now; i++) {
			if (bytes_eq_string(old->rules[i].sql.sql, "0") ||
				!bytes_eq_string(now->rules[i].sql.sql, "0"))
				continue;
			text_json_begin_object(writer);
			write_text(writer, "collection", now->name);
			write_text(writer, "rule", bytes_of(change_rule_names[i]));
			text_json_end_object(writer);
		}
	}
	text_json_end_array(writer);
}

void plan_report(struct record_work *work)
{
	const struct plan *plan = plan_of(work);
	struct text_json_writer writer;
	bytes_buf_clear(&work->call->answer);
	text_json_writer_init(&writer, &work->call->answer);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("dryRun"));
	text_json_write_bool(&writer, true);
	begin_list(&writer, "collections");
	for (size_t i = 0; i < plan->n_changes; i++)
		write_change(&writer, plan, i);
	text_json_end_array(&writer);
	write_rewrites(&writer, plan);
	write_views(&writer, plan);
	write_broken(&writer, work);
	text_json_end_object(&writer);
}
