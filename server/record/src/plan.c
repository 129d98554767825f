/*
 * plan.c - see plan.h
 */
#include "plan.h"

#include "field_rule.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

struct plan *plan_of(const struct record_work *work)
{
	return work->change;
}

enum store_outcome plan_refuse(struct plan *plan, struct change *change)
{
	plan->flawed = change;
	return STORE_REFUSED;
}

static bool has_table(const struct change *change)
{
	return change->old && !change->is_view && !change->is_drop;
}

/* ---- names ---- */

/* "error in view totals after drop column: no such column: price": the database names the view. */
static enum store_outcome explain(struct plan *plan, struct store_conn *conn, struct change *change,
	enum store_outcome outcome)
{
	const char *message = store_message(conn);
	if (outcome != STORE_FAULT || strncmp(message, "error in view ", 14) != 0)
		return outcome;
	flaws_add(&change->flaws, "views", -1, NULL, "validation_view_dependency",
		"A view needs what would go: %s. Change the view first.", message);
	return plan_refuse(plan, change);
}

static enum store_outcome move_names(struct plan *plan, struct store_conn *conn)
{
	enum store_outcome outcome = STORE_OK;
	for (int step = 0; step < 2; step++)
		for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++)
			if (has_table(plan->changes[i]))
				outcome = explain(plan, conn, plan->changes[i],
					collection_rename_table(conn, plan->changes[i], i, step));
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++)
		if (has_table(plan->changes[i]))
			outcome = explain(plan, conn, plan->changes[i],
				collection_rename(conn, plan->changes[i]));
	return outcome;
}

/* ---- tables ---- */

/* The files go of what goes, while it still says which they are. */
static enum store_outcome drop_files(struct record_work *work, struct store_conn *conn)
{
	const struct plan *plan = plan_of(work);
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++) {
		const struct change *change = plan->changes[i];
		if (change->old && change->is_drop)
			outcome = files_drop(work, conn, change->old);
		else if (change->old)
			outcome = files_alter(
				work, conn, change->old, change->fields, change->n_fields);
	}
	return outcome;
}

static enum store_outcome drop_all(struct plan *plan, struct store_conn *conn)
{
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++)
		if (plan->changes[i]->is_drop)
			outcome = collection_drop(conn, plan->changes[i]->old);
	return outcome;
}

/* Two collections may exchange their names, and names are unique at every moment. */
static enum store_outcome free_names(struct plan *plan, struct store_conn *conn)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++) {
		const struct change *change = plan->changes[i];
		if (!change->old || change->is_drop || bytes_eq(change->old->name, change->name))
			continue;
		outcome = store_prepare(conn,
			BYTES("UPDATE _collections SET name='_renamed_' || id WHERE id=?1"), &stmt);
		if (outcome != STORE_OK)
			return outcome;
		store_bind_text(stmt, 1, change->id);
		outcome = store_exec(stmt, NULL);
	}
	return outcome;
}

static enum store_outcome make_indexes(
	struct plan *plan, struct store_conn *conn, struct change *change)
{
	size_t index;
	enum store_outcome outcome = collection_index(conn, change, &index);
	if (outcome != STORE_CONFLICT)
		return outcome;
	struct bytes name = index_name(change->indexes.items[index]);
	flaws_add(&change->flaws, "indexes", (long)index, NULL,
		"validation_invalid_index_expression", "Failed to create index %.*s - %s.",
		(int)name.n, name.p, store_message(conn));
	return plan_refuse(plan, change);
}

static enum store_outcome change_tables(struct record_work *work, struct store_conn *conn)
{
	struct plan *plan = plan_of(work);
	enum store_outcome outcome = free_names(plan, conn);
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++) {
		struct change *change = plan->changes[i];
		if (change->is_drop || change->is_view)
			continue;
		if (!change->old) {
			outcome = collection_insert(conn, change, work_now(work));
			continue;
		}
		outcome = collection_extend(conn, change);
		if (outcome == STORE_OK)
			outcome = plan_convert(work, conn, change);
		if (outcome == STORE_OK && !plan_follow_names(work, change))
			return STORE_FAULT;
		if (outcome == STORE_OK)
			outcome = collection_store(conn, change, work_now(work));
	}
	for (size_t i = 0; i < plan->n_changes && outcome == STORE_OK; i++)
		if (!plan->changes[i]->is_drop && !plan->changes[i]->is_view)
			outcome = make_indexes(plan, conn, plan->changes[i]);
	return outcome;
}

/* ---- what came of it ---- */

static void check_rules(
	struct record_work *work, const struct record_collection *collection, struct flaws *flaws)
{
	static const char *const names[RULE_SLOTS] = { "listRule", "viewRule", "createRule",
		"updateRule", "deleteRule", "authRule", "manageRule" };
	for (int i = 0; i < RULE_SLOTS; i++) {
		const struct expr_node *tree;
		struct expr_sql sql;
		struct expr_error error;
		enum expr_result result =
			expr_parse(collection->rules[i].text, work->arena, &tree, &error);
		if (result == EXPR_OK)
			result = expr_compile(tree, &work->new_schema->rules.expr, collection,
				BYTES("t"), RULE_PARAM, work->arena, &sql, &error);
		if (result == EXPR_INVALID)
			flaws_add(flaws, names[i], -1, NULL, "validation_invalid_rule",
				"Invalid rule. Raw error: %s (at byte %zu).", error.message,
				error.offset);
	}
}

static void check_targets(const struct record_collection *collection, struct flaws *flaws)
{
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->type != FIELD_RELATION)
			continue;
		if (!field->target)
			flaws_add(flaws, "fields", (long)i, "collectionId",
				"validation_field_relation_missing_collection",
				"The relation collection doesn't exist.");
		else if (field->target->is_view && !collection->is_view)
			flaws_add(flaws, "fields", (long)i, "collectionId",
				"validation_relation_field_non_view_base_collection",
				"Only view collections are allowed to have relations to other "
				"views.");
	}
}

/* The rules, and the relations' targets, as the new snapshot sees them. */
static enum store_outcome check_result(struct record_work *work)
{
	struct plan *plan = plan_of(work);
	for (size_t i = 0; i < plan->n_changes; i++) {
		struct change *change = plan->changes[i];
		if (change->is_drop)
			continue;
		const struct record_collection *result = schema_find(work->new_schema, change->id);
		if (!result)
			return STORE_FAULT;
		check_rules(work, result, &change->flaws);
		check_targets(result, &change->flaws);
		field_rules_check(work, result, &change->flaws);
		if (change->flaws.n)
			return plan_refuse(plan, change);
	}
	return STORE_OK;
}

enum store_outcome plan_run(struct record_work *work, struct store_conn *conn)
{
	struct plan *plan = plan_of(work);
	schema_unref(work->new_schema); /* of a run before this one */
	schema_unref(plan->schema);
	work->new_schema = plan->schema = NULL;
	plan->flawed = NULL;
	plan->conversions = NULL;
	plan->conversions_end = &plan->conversions;
	plan->rewrites = NULL;
	for (size_t i = 0; i < plan->n_changes; i++)
		flaws_init(&plan->changes[i]->flaws, plan->arena);
	files_begin(work);
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK && plan->is_dry)
		outcome = plan_measure(work, conn);
	if (outcome == STORE_OK)
		outcome = drop_files(work, conn);
	/* First, so that a name which becomes free can be taken at once. */
	if (outcome == STORE_OK)
		outcome = drop_all(plan, conn);
	if (outcome == STORE_OK)
		outcome = plan_views_prepare(work, conn);
	if (outcome == STORE_OK)
		outcome = move_names(plan, conn);
	if (outcome == STORE_OK)
		outcome = plan_views_take(work, conn);
	if (outcome == STORE_OK)
		outcome = change_tables(work, conn);
	if (outcome == STORE_OK)
		outcome = plan_views_return(work, conn);
	if (outcome == STORE_OK)
		outcome = plan_rewrite_rules(work, conn);
	if (outcome == STORE_OK)
		outcome = schema_bump(conn);
	if (outcome != STORE_OK)
		return outcome;
	if (schema_load(conn, &work->new_schema, &work->job.err) < 0)
		return STORE_FAULT;
	return check_result(work);
}
