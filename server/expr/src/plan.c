/*
 * plan.c - tree to plan: what each comparison needs, and where "some row" is decided
 *
 *   friends.name ?= "Ann" && (friends.age ?> 30 || tags ?= "a")
 *
 * becomes: some friend f, so that f.name = "Ann" and (f.age > 30 or some tag is "a"). A source that
 * two conditions of one && share is bound around both; any other around its one comparison, and
 * never around an || that could be decided without it.
 */
#include <string.h>

#include "plan.h"

#define GUARDS_MAX 4 /* one within another */

bool set_is_empty(const struct source_set *set)
{
	uint64_t all = 0;
	for (size_t i = 0; i < SOURCES_MAX / 64; i++)
		all |= set->words[i];
	return all == 0;
}

static void set_add(struct source_set *set, const struct source_set *other)
{
	for (size_t i = 0; i < SOURCES_MAX / 64; i++)
		set->words[i] |= other->words[i];
}

static struct source_set set_without(struct source_set set, const struct source_set *other)
{
	for (size_t i = 0; i < SOURCES_MAX / 64; i++)
		set.words[i] &= ~other->words[i];
	return set;
}

static struct source_set set_both(struct source_set set, const struct source_set *other)
{
	for (size_t i = 0; i < SOURCES_MAX / 64; i++)
		set.words[i] &= other->words[i];
	return set;
}

/* What must be bound for a term: its sources down to the last that may give several rows. What
 * hangs from that gives one row for each, and is looked up where it is needed. */
static void need(const struct term *term, struct source_set *set)
{
	const struct source *source = term->source;
	while (source && !source->is_multi)
		source = source->parent;
	for (; source; source = source->parent)
		set->words[source->index / 64] |= UINT64_C(1) << (source->index % 64);
	for (size_t i = 0; i < term->n_args; i++)
		need(term->args[i], set);
}

enum equality equality_of(const struct term *a, const struct term *b)
{
	if (a->is_strict || b->is_strict)
		return EQUALITY_AS_IS;
	if (a->is_empty && b->is_empty)
		return EQUALITY_CERTAIN;
	if (a->is_known || b->is_known)
		return EQUALITY_DIRECT;
	if (a->is_empty || b->is_empty)
		return EQUALITY_EMPTY;
	if (a->is_request != b->is_request)
		return EQUALITY_REQUEST;
	return EQUALITY_FOLDED;
}

/* ---- comparisons ---- */

/* Where no row may fail, PocketBase compares with the values of the walk alone: that they were sent
 * is forgotten, and JSON on the other side loses that its null is not "". */
static enum expr_result make_every(struct resolver *resolver, struct plan_node *node)
{
	bool a_is_many = !set_is_empty(&node->a_sources);
	bool b_is_many = !set_is_empty(&node->b_sources);
	struct term a = *node->a, b = *node->b;
	a.is_known = a.is_known && !a_is_many;
	b.is_known = b.is_known && !b_is_many;
	a.is_strict = a.is_strict && (a_is_many || !b_is_many);
	b.is_strict = b.is_strict && (b_is_many || !a_is_many);
	enum expr_result result = term_new(resolver, a, &node->every_a);
	return result == EXPR_OK ? term_new(resolver, b, &node->every_b) : result;
}

static enum expr_result make_compare(
	struct resolver *resolver, const struct expr_node *node, struct plan_node *ret)
{
	enum expr_result result = resolve_operand(resolver, &node->a, &ret->a);
	if (result == EXPR_OK)
		result = resolve_operand(resolver, &node->b, &ret->b);
	if (result != EXPR_OK)
		return result;
	ret->kind = PLAN_COMPARE;
	ret->op = node->op;
	need(ret->a, &ret->a_sources);
	need(ret->b, &ret->b_sources);
	bool is_many = !set_is_empty(&ret->a_sources) || !set_is_empty(&ret->b_sources);
	ret->is_every = is_many && !node->is_any;
	/* != is true or false, never null, and there is a row always: if none fails, all meet it.
	 */
	ret->is_some = !(ret->is_every && node->op == OP_NE);
	if (ret->is_some) {
		ret->sources = ret->a_sources;
		set_add(&ret->sources, &ret->b_sources);
	}
	return ret->is_every ? make_every(resolver, ret) : EXPR_OK;
}

/* The field of which a term is made, when its guard denies comparisons; else NULL. */
static const struct term *denied(const struct term *term)
{
	const struct term *found = NULL;
	if (term->kind == TERM_COLUMN)
		return term->guard && term->field.is_denied ? term : NULL;
	for (size_t i = 0; i < term->n_args && !found; i++)
		found = denied(term->args[i]);
	return found;
}

/* A guarded field is null where its guard is not met: so the comparison, and it is not null. */
static enum expr_result deny(
	struct resolver *resolver, const struct term *column, struct plan_node **node)
{
	struct plan_node *both = arena_alloc(resolver->arena, sizeof(*both));
	struct plan_node *is_there = arena_alloc(resolver->arena, sizeof(*is_there));
	if (!both || !is_there)
		return EXPR_NOMEM;
	struct term value = *column;
	value.is_strict = true;
	*is_there = (struct plan_node){ .kind = PLAN_COMPARE, .op = OP_NE, .is_some = true };
	need(column, &is_there->sources);
	enum expr_result result = term_new(resolver, value, &is_there->a);
	if (result == EXPR_OK)
		result = term_new(resolver,
			(struct term){ .kind = TERM_NULL, .is_empty = true, .is_nullable = true },
			&is_there->b);
	*both = (struct plan_node){ .kind = PLAN_AND, .first = *node };
	(*node)->next = is_there;
	*node = both;
	return result;
}

/* ---- placing ---- */

static struct source_set needs_of(const struct plan_node *node)
{
	struct source_set set = node->sources;
	for (const struct plan_node *child = node->first; child; child = child->next) {
		struct source_set below = needs_of(child);
		set_add(&set, &below);
	}
	return set;
}

static bool wrap(struct resolver *resolver, struct plan_node **node, const struct source_set *binds)
{
	struct plan_node *some = arena_alloc(resolver->arena, sizeof(*some));
	if (!some)
		return false;
	some->kind = PLAN_SOME;
	some->sources = *binds;
	some->first = *node;
	some->next = (*node)->next;
	(*node)->next = NULL;
	*node = some;
	return true;
}

static bool place(struct resolver *resolver, struct plan_node **node, struct source_set bound);

/* Moves those children of an AND that are tied to its first one by sources not bound yet, directly
 * or by way of others, into a node of their own behind *node. Returns how many came along, and the
 * sources that two of them share. */
static size_t gather(struct plan_node *all, const struct source_set *bound, struct plan_node *group,
	struct source_set *ret_shared)
{
	struct plan_node **end = &group->first;
	struct source_set reach = { { 0 } };
	size_t n = 0;
	bool has_grown = true;
	*ret_shared = reach;
	while (has_grown) {
		has_grown = false;
		for (struct plan_node **at = &all->first; *at;) {
			struct source_set below = needs_of(*at);
			below = set_without(below, bound);
			struct source_set common = set_both(below, &reach);
			if (n > 0 && set_is_empty(&common)) {
				at = &(*at)->next;
				continue;
			}
			set_add(ret_shared, &common);
			set_add(&reach, &below);
			*end = *at;
			*at = (*at)->next;
			(*end)->next = NULL;
			end = &(*end)->next;
			n++;
			has_grown = true;
		}
	}
	return n;
}

static bool place_and(struct resolver *resolver, struct plan_node *node, struct source_set bound)
{
	struct plan_node *done = NULL, **end = &done;
	while (node->first) {
		struct plan_node *group = arena_alloc(resolver->arena, sizeof(*group));
		struct source_set shared;
		if (!group)
			return false;
		group->kind = PLAN_AND;
		size_t n = gather(node, &bound, group, &shared);
		struct plan_node *child = n == 1 ? group->first : group;
		if (n > 1) {
			struct source_set inner = bound;
			set_add(&inner, &shared);
			if (!place_and(resolver, group, inner) || !wrap(resolver, &child, &shared))
				return false;
		} else if (!place(resolver, &child, bound)) {
			return false;
		}
		*end = child;
		end = &child->next;
	}
	node->first = done;
	return true;
}

static bool place(struct resolver *resolver, struct plan_node **node, struct source_set bound)
{
	if ((*node)->kind == PLAN_AND)
		return place_and(resolver, *node, bound);
	if ((*node)->kind == PLAN_OR) {
		for (struct plan_node **at = &(*node)->first; *at; at = &(*at)->next)
			if (!place(resolver, at, bound))
				return false;
		return true;
	}
	struct source_set open = set_without((*node)->sources, &bound);
	return set_is_empty(&open) || wrap(resolver, node, &open);
}

/* ---- the whole ---- */

/* A chain of one kind becomes one node. Depth of the recursion: one call per comparison, at most.
 */
static enum expr_result make_node(struct resolver *resolver, const struct expr_node *node,
	enum node_kind parent, struct plan_node ***end)
{
	struct plan_node *made;
	enum expr_result result = EXPR_OK;
	if (node->kind == parent && node->kind != NODE_COMPARE) {
		result = make_node(resolver, node->left, parent, end);
		return result == EXPR_OK ? make_node(resolver, node->right, parent, end) : result;
	}
	made = arena_alloc(resolver->arena, sizeof(*made));
	if (!made)
		return EXPR_NOMEM;
	if (node->kind == NODE_COMPARE) {
		result = make_compare(resolver, node, made);
		const struct term *a = result == EXPR_OK ? denied(made->a) : NULL;
		const struct term *b = result == EXPR_OK ? denied(made->b) : NULL;
		if (a)
			result = deny(resolver, a, &made);
		if (b && result == EXPR_OK)
			result = deny(resolver, b, &made);
	} else {
		struct plan_node **inner = &made->first;
		made->kind = node->kind == NODE_AND ? PLAN_AND : PLAN_OR;
		result = make_node(resolver, node->left, node->kind, &inner);
		if (result == EXPR_OK)
			result = make_node(resolver, node->right, node->kind, &inner);
	}
	**end = made;
	*end = &made->next;
	return result;
}

enum expr_result plan_make(
	struct resolver *resolver, const struct expr_node *node, const struct plan **ret)
{
	struct plan *plan = arena_alloc(resolver->arena, sizeof(*plan));
	if (!plan)
		return EXPR_NOMEM;
	resolver->plan = plan;
	struct plan_node **end = &plan->root;
	enum expr_result result = make_node(resolver, node, NODE_COMPARE, &end);
	if (result != EXPR_OK)
		return result;
	*ret = plan;
	return place(resolver, &plan->root, (struct source_set){ { 0 } }) ? EXPR_OK : EXPR_NOMEM;
}

/* ---- guards ---- */

struct guard_plan {
	const struct expr_guard *guard;
	const void *scope;
	const struct plan *plan;
	struct guard_plan *next;
};

enum expr_result plan_guard(struct resolver *resolver, const struct expr_guard *guard,
	const void *scope, const struct plan **ret)
{
	for (struct guard_plan *made = resolver->guards; made; made = made->next)
		if (made->guard == guard && made->scope == scope) {
			*ret = made->plan;
			return EXPR_OK;
		}
	struct guard_plan *made = arena_alloc(resolver->arena, sizeof(*made));
	struct plan *never = arena_alloc(resolver->arena, sizeof(*never));
	if (!made || !never)
		return EXPR_NOMEM;
	struct expr_error error;
	struct resolver inner = { .schema = guard->schema,
		.scope = scope,
		.arena = resolver->arena,
		.error = &error,
		.n_guards = resolver->n_guards + 1 };
	*made = (struct guard_plan){ .guard = guard, .scope = scope, .plan = never };
	if (guard->tree && inner.n_guards <= GUARDS_MAX) {
		enum expr_result result = plan_make(&inner, guard->tree, &made->plan);
		if (result == EXPR_NOMEM)
			return EXPR_NOMEM;
		if (result == EXPR_INVALID)
			made->plan = never;
	}
	made->next = resolver->guards;
	resolver->guards = made;
	*ret = made->plan;
	return EXPR_OK;
}
