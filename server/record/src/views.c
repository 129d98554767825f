/*
 * views.c - the view collections of a plan: out of the way while tables change, and back again
 *
 * While tables and columns get new names, the database's own views stand, and the database writes
 * the new names into their texts. All else is done without them: it would refuse to alter a table
 * under a view. Then each is checked and made again, in whatever order they need each other; the
 * plan is refused when one of them no longer can be, and the answer names it.
 */
#include <stdio.h>
#include <string.h>

#include "plan.h"
#include "view.h"

#define PROBE_MAX_NS (2 * CLOCK_NS_PER_S) /* of all views of a plan */

static struct change *change_of(const struct plan *plan, const struct record_collection *old)
{
	for (size_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i]->old == old)
			return plan->changes[i];
	return NULL;
}

/* Takes away each standing view that another one, which is away, would break: the database refuses
 * to rename anything while one of its views is broken. */
static enum store_outcome drop_broken(struct plan *plan, struct store_conn *conn)
{
	bool is_done = false;
	while (!is_done) {
		is_done = true;
		for (size_t i = 0; i < plan->n_views; i++) {
			struct view_state *view = &plan->views[i];
			struct store_stmt *stmt;
			char sql[128];
			if (!view->is_standing)
				continue;
			int n = snprintf(sql, sizeof(sql), "SELECT 1 FROM %.*s LIMIT 0",
				(int)view->old->table.n, view->old->table.p);
			if (store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt) ==
				STORE_OK)
				continue;
			enum store_outcome outcome = view_drop(conn, view->old->name);
			if (outcome != STORE_OK)
				return outcome;
			view->is_standing = is_done = false;
		}
	}
	return STORE_OK;
}

enum store_outcome plan_views_prepare(struct record_work *work, struct store_conn *conn)
{
	struct plan *plan = plan_of(work);
	const struct record_schema *schema = work->schema;
	plan->n_views = 0;
	plan->views = arena_alloc(plan->arena, (schema->n_collections + 1) * sizeof(*plan->views));
	if (!plan->views)
		return STORE_FAULT;
	for (size_t c = 0; c < schema->n_collections; c++) {
		const struct record_collection *old = &schema->collections[c];
		if (!old->is_view)
			continue;
		bool is_planned = change_of(plan, old);
		enum store_outcome outcome = is_planned ? view_drop(conn, old->name) : STORE_OK;
		if (outcome != STORE_OK)
			return outcome;
		if (!is_planned)
			plan->views[plan->n_views++] = (struct view_state){
				.old = old, .query = old->view_query, .is_standing = true
			};
	}
	return drop_broken(plan, conn);
}

/* "CREATE VIEW "name" AS SELECT ...", as view_make wrote it but for new names. */
static enum store_outcome read_query(
	struct plan *plan, struct store_conn *conn, struct view_state *view)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("SELECT sql FROM sqlite_schema WHERE type='view' AND name=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, view->old->name);
	outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK || !has_row)
		return outcome;
	struct bytes sql = store_column_text(stmt, 0);
	struct bytes start = arena_printf(
		plan->arena, "CREATE VIEW %.*s AS ", (int)view->old->table.n, view->old->table.p);
	if (!start.p)
		return STORE_FAULT;
	if (!bytes_starts_with(sql, start))
		return STORE_OK;
	struct bytes query = { sql.p + start.n, sql.n - start.n };
	char *copy = arena_copy(plan->arena, query);
	if (copy && !bytes_eq(query, view->query))
		view->query = (struct bytes){ copy, query.n };
	return copy ? STORE_OK : STORE_FAULT;
}

enum store_outcome plan_views_take(struct record_work *work, struct store_conn *conn)
{
	struct plan *plan = plan_of(work);
	for (size_t i = 0; i < plan->n_views; i++) {
		struct view_state *view = &plan->views[i];
		if (!view->is_standing)
			continue;
		enum store_outcome outcome = read_query(plan, conn, view);
		if (outcome == STORE_OK)
			outcome = view_drop(conn, view->old->name);
		if (outcome != STORE_OK)
			return outcome;
	}
	return STORE_OK;
}

/* ---- back again ---- */

/* One view that is to be made, planned or not. */
struct wanted {
	struct view_state *state; /* of one that nobody asked to change; else NULL */
	struct change *change;    /* of one that somebody did; else NULL */
	bool is_made;
	struct view_probe probe;
};

struct making {
	struct record_work *work;
	struct store_conn *conn;
	const struct record_schema *schema; /* the tables as they are now */
	struct store_grant grant;
	struct wanted *wanted;
	size_t n_wanted;
};

static struct bytes name_of(const struct wanted *wanted)
{
	return wanted->change ? wanted->change->name : wanted->state->old->name;
}

static bool list_wanted(struct making *making)
{
	struct plan *plan = plan_of(making->work);
	const struct record_schema *schema = making->schema;
	size_t n_tables = 0;
	making->wanted = arena_alloc(
		plan->arena, (plan->n_views + plan->n_changes + 1) * sizeof(*making->wanted));
	struct bytes *tables = arena_alloc(
		plan->arena, (schema->n_collections + plan->n_changes + 1) * sizeof(*tables));
	if (!making->wanted || !tables)
		return false;
	for (size_t i = 0; i < plan->n_views; i++)
		making->wanted[making->n_wanted++].state = &plan->views[i];
	for (size_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i]->is_view && !plan->changes[i]->is_drop)
			making->wanted[making->n_wanted++].change = plan->changes[i];
	for (size_t c = 0; c < schema->n_collections; c++)
		tables[n_tables++] = schema->collections[c].name;
	for (size_t i = 0; i < plan->n_changes; i++)
		tables[n_tables++] = plan->changes[i]->name;
	making->grant = (struct store_grant){ .tables = tables,
		.n_tables = n_tables,
		.is_view = true,
		.deadline_ns = clock_mono_ns() + PROBE_MAX_NS };
	return true;
}

static enum store_outcome make_one(struct making *making, struct wanted *wanted)
{
	wanted->probe = (struct view_probe){ .query = wanted->change ? wanted->change->view_query
								     : wanted->state->query,
		.schema = making->schema,
		.grant = &making->grant,
		.arena = plan_of(making->work)->arena };
	enum store_outcome outcome = view_probe(making->conn, &wanted->probe);
	if (outcome == STORE_OK)
		outcome = view_make(making->conn, name_of(wanted), &wanted->probe);
	wanted->is_made = outcome == STORE_OK;
	return outcome;
}

static enum store_outcome refuse_view(struct plan *plan, const struct wanted *wanted)
{
	struct bytes name = name_of(wanted);
	struct change *change = wanted->change;
	if (change) {
		flaws_add(&change->flaws, "viewQuery", -1, NULL, "validation_invalid_view_query",
			"Invalid query - %s.", wanted->probe.why);
		return plan_refuse(plan, change);
	}
	change = plan->changes[0];
	flaws_add(&change->flaws, "views", -1, NULL, "validation_view_dependency",
		"The view %.*s would not work any more: %s. Change the view first.", (int)name.n,
		name.p, wanted->probe.why);
	flaws_params(&change->flaws, "{\"view\":\"%.*s\"}", (int)name.n, name.p);
	return plan_refuse(plan, change);
}

/* Passes over them until all are made: a view may read one that comes later. */
static enum store_outcome make_all(struct making *making)
{
	size_t n_left = making->n_wanted, n_before = n_left + 1;
	while (n_left && n_left < n_before) {
		n_before = n_left;
		for (size_t i = 0; i < making->n_wanted; i++) {
			struct wanted *wanted = &making->wanted[i];
			if (wanted->is_made)
				continue;
			enum store_outcome outcome = make_one(making, wanted);
			if (outcome != STORE_OK && outcome != STORE_REFUSED)
				return outcome;
			/* Half made: its ids are no good. */
			if (outcome == STORE_REFUSED)
				outcome = view_drop(making->conn, name_of(wanted));
			if (outcome != STORE_OK)
				return outcome;
			n_left -= wanted->is_made;
		}
	}
	for (size_t i = 0; i < making->n_wanted; i++)
		if (!making->wanted[i].is_made)
			return refuse_view(plan_of(making->work), &making->wanted[i]);
	return STORE_OK;
}

static bool is_same(const struct record_collection *old, const struct wanted *wanted)
{
	DEFER(bytes_buf_fini) struct bytes_buf before, now;
	struct text_json_writer writer;
	bytes_buf_init(&before, 1u << 20);
	bytes_buf_init(&now, 1u << 20);
	if (!bytes_eq(old->view_query, wanted->probe.query) ||
		old->n_fields != wanted->probe.n_fields)
		return false;
	for (size_t i = 0; i < old->n_fields; i++) {
		text_json_writer_init(&writer, &before);
		field_write(&writer, &old->fields[i]);
		text_json_writer_init(&writer, &now);
		field_write(&writer, &wanted->probe.fields[i]);
	}
	return !before.failed && !now.failed &&
	       bytes_eq(bytes_buf_view(&before), bytes_buf_view(&now));
}

/* Writes down what a view is now. */
static enum store_outcome store_one(struct making *making, struct wanted *wanted)
{
	struct plan *plan = plan_of(making->work);
	struct change *change = wanted->change;
	if (!change) {
		const struct record_collection *old = wanted->state->old;
		if (is_same(old, wanted))
			return STORE_OK;
		change = arena_alloc(plan->arena, sizeof(*change));
		if (!change)
			return STORE_FAULT;
		*change = (struct change){ .old = old };
		flaws_init(&change->flaws, plan->arena);
		if (!change_inherit(making->work, change))
			return STORE_FAULT;
		wanted->state->change = change;
	}
	change->view_query = wanted->probe.query;
	change->fields = wanted->probe.fields;
	change->n_fields = wanted->probe.n_fields;
	return change->old ? collection_store(making->conn, change, work_now(making->work))
			   : collection_insert(making->conn, change, work_now(making->work));
}

enum store_outcome plan_views_return(struct record_work *work, struct store_conn *conn)
{
	struct plan *plan = plan_of(work);
	struct making *making = arena_alloc(plan->arena, sizeof(*making));
	if (!making || schema_load(conn, &plan->schema, &work->job.err) < 0)
		return STORE_FAULT;
	*making = (struct making){ .work = work, .conn = conn, .schema = plan->schema };
	if (!list_wanted(making))
		return STORE_FAULT;
	enum store_outcome outcome = make_all(making);
	for (size_t i = 0; i < making->n_wanted && outcome == STORE_OK; i++)
		outcome = store_one(making, &making->wanted[i]);
	return outcome;
}
