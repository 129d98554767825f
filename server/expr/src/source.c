/*
 * source.c - sources in SQL: rows looked up in place, and rows to choose among
 *
 * What gives one row at most is looked up where its column is needed:
 *   author.team.name  ->  (SELECT a2."name" FROM "users" a1 LEFT JOIN "teams" a2
 *                          ON a2."id" = a1."team" WHERE a1."id" = t."author")
 * What may give several is joined, in the FROM clause of an EXISTS:
 *   friends.name      ->  (SELECT 1) LEFT JOIN json_each(t."friends") a1, and
 *                         (SELECT a2."name" FROM "users" a2 WHERE a2."id" = a1.value)
 */
#include <string.h>

#include "emit.h"

#define FROM_MAX (64u << 10)

static struct bytes row_name(struct emitter *emitter, const struct source *source)
{
	return emit_text(emitter, "a%u", source->alias);
}

static struct bytes id_of(struct emitter *emitter, const struct frame *frame, struct source *source)
{
	static const struct expr_field id = { .column = { "\"id\"", 4 } };
	return emit_column(emitter, frame, source, &id, NULL);
}

/* The list in a column, whatever the column holds. */
static struct bytes list_of(struct emitter *emitter, struct bytes column)
{
	int n = (int)column.n;
	return emit_text(emitter, "CASE WHEN json_valid(%.*s) THEN %.*s ELSE json_array(%.*s) END",
		n, column.p, n, column.p, n, column.p);
}

static struct bytes table_of(
	struct emitter *emitter, const struct frame *frame, struct source *source)
{
	if (source->kind == SOURCE_BODY_ITEMS) {
		struct bytes list = emit_param(emitter,
			(struct expr_param){ .source = EXPR_BODY_LIST, .name = source->name });
		return emit_text(emitter, "json_each(%.*s)", (int)list.n, list.p);
	}
	if (source->kind != SOURCE_ITEMS)
		return source->table;
	struct bytes column =
		emit_column(emitter, frame, source->parent, &source->field, source->field_guard);
	if (source->field.type != EXPR_JSON) {
		struct bytes list = list_of(emitter, column);
		return emit_text(emitter, "json_each(%.*s)", (int)list.n, list.p);
	}
	struct bytes path = emit_param(
		emitter, (struct expr_param){ .source = EXPR_LITERAL, .name = source->name });
	return emit_text(emitter, "json_each(CASE WHEN json_valid(%.*s) THEN %.*s END, %.*s)",
		(int)column.n, column.p, (int)column.n, column.p, (int)path.n, path.p);
}

static struct bytes back_condition(
	struct emitter *emitter, const struct frame *frame, struct source *source)
{
	struct bytes id = id_of(emitter, frame, source->parent);
	struct bytes column =
		emit_column(emitter, frame, source, &source->field, source->field_guard);
	if (!source->field.is_list)
		return emit_text(emitter, "%.*s = %.*s", (int)column.n, column.p, (int)id.n, id.p);
	struct bytes list = list_of(emitter, column);
	return emit_text(emitter, "%.*s IN (SELECT value FROM json_each(%.*s))", (int)id.n, id.p,
		(int)list.n, list.p);
}

static struct bytes sent_condition(struct emitter *emitter, const struct source *source)
{
	struct expr_param param = { .source = source->is_multi ? EXPR_BODY_LIST : EXPR_BODY,
		.name = source->name };
	struct bytes sent = emit_param(emitter, param);
	return emit_text(emitter,
		source->is_multi ? "a%u.\"id\" IN (SELECT value FROM json_each(%.*s))"
				 : "a%u.\"id\" = %.*s",
		source->alias, (int)sent.n, sent.p);
}

/* What ties a source to the one it hangs from; {NULL, 0}: nothing. */
static struct bytes own_condition(
	struct emitter *emitter, const struct frame *frame, struct source *source)
{
	struct bytes key, collection;
	switch (source->kind) {
	case SOURCE_ROW:
		key = source->field.column.n
			      ? emit_column(emitter, frame, source->parent, &source->field,
					source->field_guard)
			      : emit_text(emitter, "a%u.value", source->parent->alias);
		return emit_text(emitter, "a%u.\"id\" = %.*s", source->alias, (int)key.n, key.p);
	case SOURCE_BACK:
		return back_condition(emitter, frame, source);
	case SOURCE_BODY_ROWS:
		return sent_condition(emitter, source);
	case SOURCE_AUTH:
		key = emit_param(emitter, (struct expr_param){ .source = EXPR_AUTH_ID });
		collection = emit_param(
			emitter, (struct expr_param){ .source = EXPR_AUTH_COLLECTION_ID });
		struct bytes own = emit_param(emitter,
			(struct expr_param){ .source = EXPR_LITERAL, .name = source->name });
		return emit_text(emitter, "a%u.\"id\" = %.*s AND %.*s = %.*s", source->alias,
			(int)key.n, key.p, (int)collection.n, collection.p, (int)own.n, own.p);
	default:
		return (struct bytes){ NULL, 0 };
	}
}

static struct bytes condition_of(
	struct emitter *emitter, const struct frame *frame, struct source *source)
{
	struct bytes own = own_condition(emitter, frame, source);
	if (!source->row_guard)
		return own;
	struct bytes guard = emit_plan(emitter, source->row_guard, row_name(emitter, source));
	return emit_text(emitter, "%.*s%s(%.*s)", (int)own.n, own.p ? own.p : "",
		own.n ? " AND " : "", (int)guard.n, guard.p);
}

/* ---- rows looked up in place ---- */

/* (SELECT <column> FROM <the sources from the first not in sight to this one> WHERE ...) */
static struct bytes look_up(struct emitter *emitter, const struct frame *frame,
	struct source *source, const struct expr_field *field, const struct plan *guard)
{
	struct source *chain[EXPR_PATH_MAX + 4];
	size_t n = 0;
	DEFER(bytes_buf_fini) struct bytes_buf from;
	bytes_buf_init(&from, FROM_MAX);
	for (struct source *at = source; at && !at->alias; at = at->parent) {
		if (n == sizeof(chain) / sizeof(chain[0]))
			return BYTES("NULL"); /* path_walk allows no such path */
		chain[n++] = at;
	}
	struct bytes where = { NULL, 0 };
	for (size_t i = n; i-- > 0;) {
		struct bytes table = table_of(emitter, frame, chain[i]);
		chain[i]->alias = ++emitter->n_aliases;
		emitter->has_subquery = true;
		bytes_buf_appendf(&from, "%s%.*s a%u", i + 1 == n ? "" : " LEFT JOIN ",
			(int)table.n, table.p, chain[i]->alias);
		struct bytes condition = condition_of(emitter, frame, chain[i]);
		if (i + 1 == n)
			where = condition;
		else
			bytes_buf_appendf(&from, " ON %.*s", (int)condition.n, condition.p);
	}
	struct bytes column = emit_text(
		emitter, "a%u.%.*s", source->alias, (int)field->column.n, field->column.p);
	struct bytes extra = { NULL, 0 };
	if (guard) {
		struct bytes met = emit_plan(emitter, guard, row_name(emitter, source));
		extra = emit_text(emitter, " AND (%.*s)", (int)met.n, met.p);
	}
	for (size_t i = 0; i < n; i++)
		chain[i]->alias = 0;
	emitter->failed |= from.failed;
	return emit_text(emitter, "(SELECT %.*s FROM %.*s WHERE %.*s%.*s)", (int)column.n, column.p,
		(int)from.n, from.p ? from.p : "", (int)where.n, where.p ? where.p : "",
		(int)extra.n, extra.p ? extra.p : "");
}

struct bytes emit_column(struct emitter *emitter, const struct frame *frame, struct source *source,
	const struct expr_field *field, const struct plan *guard)
{
	if (source && !source->alias)
		return look_up(emitter, frame, source, field, guard);
	struct bytes row = source ? row_name(emitter, source) : frame->base;
	struct bytes column = emit_text(
		emitter, "%.*s.%.*s", (int)row.n, row.p, (int)field->column.n, field->column.p);
	if (!guard)
		return column;
	/* Unlike CASE, this keeps the column's affinity. */
	struct bytes met = emit_plan(emitter, guard, row);
	return emit_text(
		emitter, "(SELECT %.*s WHERE %.*s)", (int)column.n, column.p, (int)met.n, met.p);
}

/* ---- rows to choose among ---- */

struct bytes emit_from(struct emitter *emitter, const struct frame *frame,
	const struct source_set *set, unsigned *ret_n)
{
	DEFER(bytes_buf_fini) struct bytes_buf from;
	bytes_buf_init(&from, FROM_MAX);
	bytes_buf_append_string(&from, "(SELECT 1)");
	for (struct source *source = frame->plan->sources; source; source = source->next) {
		if (!set_has(set, source->index))
			continue;
		struct bytes table = table_of(emitter, frame, source);
		source->alias = ++emitter->n_aliases;
		emitter->has_subquery = true;
		++*ret_n;
		bytes_buf_appendf(
			&from, " LEFT JOIN %.*s a%u", (int)table.n, table.p, source->alias);
		struct bytes condition = condition_of(emitter, frame, source);
		if (condition.n)
			bytes_buf_appendf(&from, " ON %.*s", (int)condition.n, condition.p);
	}
	emitter->failed |= from.failed;
	return emit_text(emitter, "%.*s", (int)from.n, from.p ? from.p : "");
}
