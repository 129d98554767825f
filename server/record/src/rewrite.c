/*
 * rewrite.c - the rules of all collections follow what a plan renames
 */
#include <stdio.h>
#include <string.h>

#include "auth_options.h"
#include "plan.h"

static const char *const rule_columns[RULES] = { "list_rule", "view_rule", "create_rule",
	"update_rule", "delete_rule" };

static enum store_outcome rewrite_rule(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, int rule)
{
	struct plan *plan = plan_of(work);
	struct store_stmt *stmt;
	char sql[96];
	struct bytes text = rename_rule(
		work->schema, plan, collection, collection->rules[rule].text, plan->arena);
	if (!text.p || bytes_eq(text, collection->rules[rule].text))
		return text.p || !collection->rules[rule].text.n ? STORE_OK : STORE_FAULT;
	struct rewrite *rewrite = arena_alloc(plan->arena, sizeof(*rewrite));
	if (!rewrite)
		return STORE_FAULT;
	*rewrite = (struct rewrite){ collection, rule, text, plan->rewrites };
	plan->rewrites = rewrite;
	int n = snprintf(
		sql, sizeof(sql), "UPDATE _collections SET %s=?1 WHERE id=?2", rule_columns[rule]);
	enum store_outcome outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, text);
	store_bind_text(stmt, 2, collection->id);
	return store_exec(stmt, NULL);
}

/* A rule that the request brings is taken as it is, unless it is the one that stood before. */
static bool is_new_rule(
	const struct plan *plan, const struct record_collection *collection, int rule)
{
	for (size_t i = 0; i < plan->n_changes; i++) {
		const struct change *change = plan->changes[i];
		if (change->old == collection)
			return change->is_drop || (change->rules[rule].is_set &&
							  !bytes_eq(change->rules[rule].text,
								  collection->rules[rule].text));
	}
	return false;
}

static bool has_new_names(const struct plan *plan)
{
	bool has = false;
	for (size_t i = 0; i < plan->n_changes; i++) {
		const struct change *change = plan->changes[i];
		if (!change->old || change->is_drop)
			continue;
		has |= !bytes_eq(change->name, change->old->name);
		for (size_t f = 0; f < change->n_fields; f++) {
			const struct record_field *was =
				change_old_field(change->old, &change->fields[f]);
			has |= was && !bytes_eq(was->name, change->fields[f].name);
		}
	}
	return has;
}

/* The rules of single fields: those of a collection that is changed anyway, which is yet to be
 * stored, and (with a change of its own) those of another. *ret_is_changed: some have new names. */
static bool rewrite_field_rules(struct record_work *work,
	const struct record_collection *collection, struct record_field *fields, size_t n,
	bool *ret_is_changed)
{
	const struct plan *plan = plan_of(work);
	*ret_is_changed = false;
	for (size_t i = 0; i < n; i++) {
		const struct record_field *was = change_old_field(collection, &fields[i]);
		struct record_rule *const rules[] = { &fields[i].read_rule, &fields[i].write_rule };
		for (size_t r = 0; r < 2 && was; r++) {
			struct bytes text = rules[r]->text;
			if (!text.n ||
				!bytes_eq(text, r ? was->write_rule.text : was->read_rule.text))
				continue;
			rules[r]->text =
				rename_rule(work->schema, plan, collection, text, plan->arena);
			if (!rules[r]->text.p)
				return false;
			*ret_is_changed |= !bytes_eq(rules[r]->text, text);
		}
	}
	return true;
}

/* The two rules that are kept with the options of an auth collection. *ret: a copy of options with
 * new names in them, or NULL when there are none. */
static bool rewrite_auth_rules(struct record_work *work, const struct record_collection *collection,
	const struct auth_options *options, struct auth_options **ret)
{
	struct plan *plan = plan_of(work);
	struct bytes texts[2];
	bool is_changed = false;
	*ret = NULL;
	for (int i = 0; i < 2 && options; i++) {
		struct bytes was = collection->rules[RULE_AUTH + i].text;
		texts[i] = i ? options->manage_rule.text : options->auth_rule.text;
		if (!texts[i].n || !bytes_eq(texts[i], was))
			continue;
		texts[i] = rename_rule(work->schema, plan, collection, was, plan->arena);
		if (!texts[i].p)
			return false;
		is_changed |= !bytes_eq(texts[i], was);
	}
	if (!is_changed)
		return true;
	*ret = arena_alloc(plan->arena, sizeof(**ret));
	if (!*ret)
		return false;
	**ret = *options;
	(*ret)->auth_rule.text = texts[0];
	(*ret)->manage_rule.text = texts[1];
	return true;
}

bool plan_follow_names(struct record_work *work, struct change *change)
{
	struct auth_options *options;
	bool is_changed;
	if (!rewrite_field_rules(
		    work, change->old, change->fields, change->n_fields, &is_changed) ||
		!rewrite_auth_rules(work, change->old, change->auth, &options))
		return false;
	if (options)
		change->auth = options;
	return true;
}

static bool is_planned(const struct plan *plan, const struct record_collection *collection)
{
	for (size_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i]->old == collection)
			return true;
	return collection->is_view; /* its fields' rules are those of their sources */
}

static enum store_outcome rewrite_others_fields(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection)
{
	bool has_rules = collection->is_auth, is_changed;
	struct auth_options *options;
	for (size_t i = 0; i < collection->n_fields; i++)
		has_rules |= collection->fields[i].read_rule.text.n ||
			     collection->fields[i].write_rule.text.n;
	if (!has_rules)
		return STORE_OK;
	struct change change = { .old = collection };
	flaws_init(&change.flaws, plan_of(work)->arena);
	if (!change_inherit(work, &change) ||
		!rewrite_field_rules(
			work, collection, change.fields, change.n_fields, &is_changed) ||
		!rewrite_auth_rules(work, collection, collection->auth, &options))
		return STORE_FAULT;
	change.auth = options;
	return is_changed || options ? collection_store(conn, &change, work_now(work)) : STORE_OK;
}

enum store_outcome plan_rewrite_rules(struct record_work *work, struct store_conn *conn)
{
	const struct plan *plan = plan_of(work);
	enum store_outcome outcome = STORE_OK;
	if (!has_new_names(plan))
		return STORE_OK;
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *collection = &work->schema->collections[c];
		/* First: it writes all of the definition, the rules as they were. */
		if (outcome == STORE_OK && !is_planned(plan, collection))
			outcome = rewrite_others_fields(work, conn, collection);
		for (int i = 0; i < RULES && outcome == STORE_OK; i++)
			if (collection->rules[i].text.n && !is_new_rule(plan, collection, i))
				outcome = rewrite_rule(work, conn, collection, i);
	}
	return outcome;
}
