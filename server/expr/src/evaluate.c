/*
 * evaluate.c - a plan on a record at hand
 *
 * The same plan that SQL is made of, walked in memory. What would need another table has no value
 * here; a condition that turns out one way whatever such values are still has a verdict.
 */
#include <math.h>
#include <string.h>

#include "json_path.h"

#define STEPS_MAX 100000 /* values looked at: lists that are compared with lists multiply */

struct evaluation {
	const struct plan *plan;
	const struct expr_environment *environment;
	const struct expr_row *row;
	struct expr_value *items; /* by the index of a source: the item it stands on */
	unsigned n_steps;
};

static enum expr_verdict of_plan(const struct plan *plan,
	const struct expr_environment *environment, const struct expr_row *row);

/* ---- values ---- */

/* False: it is not at hand. */
static bool column_value(const struct evaluation *at, const struct source *source,
	const struct expr_field *field, const struct plan *guard, struct expr_value *ret)
{
	const struct expr_environment *environment = at->environment;
	*ret = (struct expr_value){ 0 };
	if (source) {
		if (source->kind != SOURCE_AUTH || guard)
			return false;
		if (!environment->auth_id.n ||
			!bytes_eq(environment->auth_collection_id, source->name))
			return true; /* nobody in that collection: null */
		return environment->auth_row &&
		       environment->auth_row->find_value(environment->auth_row, field, ret);
	}
	if (guard) {
		enum expr_verdict verdict = of_plan(guard, environment, at->row);
		if (verdict != EXPR_TRUE)
			return verdict == EXPR_FALSE;
	}
	return at->row->find_value(at->row, field, ret);
}

static bool json_value(const struct evaluation *at, const struct term *term, struct expr_value *ret)
{
	struct expr_value column;
	struct bytes json;
	*ret = (struct expr_value){ 0 };
	if (!column_value(at, term->source, &term->field, term->guard, &column))
		return false;
	if (column.type != EXPR_VALUE_TEXT || !json_path_find(column.text, term->name, &json))
		return true;
	return value_of_json(json, at->environment->arena, ret);
}

static bool length_value(
	const struct evaluation *at, const struct term *term, struct expr_value *ret)
{
	struct expr_value column;
	struct bytes json;
	if (!column_value(at, term->source, &term->field, term->guard, &column))
		return false;
	bool is_json = term->field.type == EXPR_JSON;
	json = column.text;
	*ret = (struct expr_value){ .type = EXPR_VALUE_INTEGER };
	if (column.type != EXPR_VALUE_TEXT ||
		(is_json && !json_path_find(column.text, term->name, &json)))
		ret->type = is_json ? EXPR_VALUE_NULL : EXPR_VALUE_INTEGER;
	else if (term->field.is_list || is_json)
		ret->integer = json_path_length(json);
	else
		ret->integer = column.text.n > 0;
	return true;
}

static bool lower_value(struct arena *arena, struct expr_value *value)
{
	struct bytes text;
	if (value->type == EXPR_VALUE_NULL)
		return true;
	if (!value_text(value, arena, &text))
		return false;
	char *copy = arena_copy(arena, text);
	if (!copy)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] = (char)(copy[i] + 32);
	*value = (struct expr_value){ .type = EXPR_VALUE_TEXT, .text = { copy, text.n } };
	return true;
}

static bool term_value(
	struct evaluation *at, const struct term *term, bool is_pattern, struct expr_value *ret);

static bool changed_value(struct evaluation *at, const struct term *term, struct expr_value *ret)
{
	struct expr_value is_set, held, sent;
	if (!term_value(at, term->args[0], false, &is_set))
		return false;
	*ret = (struct expr_value){ .type = EXPR_VALUE_INTEGER };
	if (!is_set.integer)
		return true;
	if (!term_value(at, term->args[1], false, &held) ||
		!term_value(at, term->args[2], false, &sent))
		return false;
	enum truth truth = value_compare(
		OP_NE, term->args[1], term->args[2], held, sent, at->environment->arena);
	ret->integer = truth == TRUTH_TRUE;
	return truth != TRUTH_UNKNOWN;
}

static bool either_value(struct evaluation *at, const struct term *term, struct expr_value *ret)
{
	struct bytes collection = at->environment->auth_collection_id;
	*ret = (struct expr_value){ 0 };
	for (size_t i = 0; i < term->n_args; i++)
		if (collection.n && bytes_eq(collection, term->names[i]))
			return term_value(at, term->args[i], false, ret);
	return true;
}

/* As distance_of() has it; what is no number has no distance. */
static bool distance_value(struct evaluation *at, const struct term *term, struct expr_value *ret)
{
	double args[4];
	bool is_known = true;
	for (size_t i = 0; i < 4; i++) {
		struct expr_value value, number;
		if (!term_value(at, term->args[i], false, &value))
			return false;
		is_known = value_number(&value, &number) && is_known;
		args[i] = number.type == EXPR_VALUE_INTEGER ? (double)number.integer : number.real;
	}
	*ret = (struct expr_value){ 0 };
	if (!is_known)
		return true;
	double lon_a = args[0], lat_a = args[1] * (M_PI / 180.0);
	double lon_b = args[2], lat_b = args[3] * (M_PI / 180.0);
	double cosine =
		cos(lat_a) * cos(lat_b) * cos(lon_b * (M_PI / 180.0) - lon_a * (M_PI / 180.0)) +
		sin(lat_a) * sin(lat_b);
	if (isnan(cosine))
		return true;
	cosine = cosine < -1.0 ? -1.0 : cosine > 1.0 ? 1.0 : cosine;
	*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = 6371 * acos(cosine) };
	return true;
}

static bool term_value(
	struct evaluation *at, const struct term *term, bool is_pattern, struct expr_value *ret)
{
	struct expr_param param = term->param;
	*ret = (struct expr_value){ 0 };
	if (at->n_steps++ > STEPS_MAX)
		return false;
	switch (term->kind) {
	case TERM_NULL:
		return true;
	case TERM_CONSTANT:
		*ret = (struct expr_value){ .type = EXPR_VALUE_INTEGER, .integer = term->number };
		return true;
	case TERM_PARAM:
		param.is_pattern = is_pattern;
		return param_value(&param, at->environment, ret);
	case TERM_COLUMN:
		return column_value(at, term->source, &term->field, term->guard, ret);
	case TERM_ITEM:
		*ret = at->items[term->source->index];
		return true;
	case TERM_BARE:
		return term_value(at, term->args[0], false, ret);
	case TERM_JSON:
		return json_value(at, term, ret);
	case TERM_LENGTH:
		return length_value(at, term, ret);
	case TERM_LOWER:
		return term_value(at, term->args[0], is_pattern, ret) &&
		       lower_value(at->environment->arena, ret);
	case TERM_CHANGED:
		return changed_value(at, term, ret);
	case TERM_AUTH:
		return either_value(at, term, ret);
	case TERM_DISTANCE:
		return distance_value(at, term, ret);
	default:
		return false;
	}
}

/* ---- lists ---- */

/* Goes through the rows of sources of a set, from one on; visit says whether to go on. */
struct walk {
	struct evaluation *at;
	const struct source_set *set;
	bool (*visit)(struct walk *walk);
	/* for the visitors */
	const struct plan_node *node;
	const struct term *term;
	bool is_pattern;
	struct expr_value *values;
	size_t n_values, max_values;
	enum expr_verdict verdict;
	bool is_lost; /* something is not at hand */
};

static bool walk_on(struct walk *walk, const struct source *source);

struct items {
	struct walk *walk;
	const struct source *source;
	bool has_item;
};

static bool stand_on(struct items *items, struct expr_value value)
{
	struct walk *walk = items->walk;
	items->has_item = true;
	walk->at->items[items->source->index] = value;
	if (walk->at->n_steps++ > STEPS_MAX) {
		walk->is_lost = true;
		return false;
	}
	return walk_on(walk, items->source->next);
}

static bool stand_on_json(void *context, struct bytes json)
{
	struct items *items = context;
	struct expr_value value;
	if (!value_of_json(json, items->walk->at->environment->arena, &value)) {
		items->walk->is_lost = true;
		return false;
	}
	return stand_on(items, value);
}

/* The list as JSON; what is not at hand is lost. *ret.p NULL: there is none. */
static bool find_list(const struct evaluation *at, const struct source *source, struct bytes *ret)
{
	struct expr_value value;
	*ret = (struct bytes){ NULL, 0 };
	if (source->kind == SOURCE_BODY_ITEMS) {
		struct expr_param param = { .source = EXPR_BODY_LIST, .name = source->name };
		if (!param_value(&param, at->environment, &value))
			return false;
	} else if (!column_value(at, source->parent, &source->field, source->field_guard, &value)) {
		return false;
	}
	if (value.type != EXPR_VALUE_TEXT)
		return true;
	if (source->field.type == EXPR_JSON && source->kind == SOURCE_ITEMS &&
		!json_path_find(value.text, source->name, &value.text))
		return true;
	*ret = value.text;
	/* What is no list in a list's column is the database's to make sense of. */
	return source->field.type == EXPR_JSON || (value.text.n && value.text.p[0] == '[');
}

static bool walk_on(struct walk *walk, const struct source *source)
{
	while (source && (!set_has(walk->set, source->index) || source->kind == SOURCE_AUTH))
		source = source->next;
	if (!source)
		return walk->visit(walk);
	struct items items = { .walk = walk, .source = source };
	struct bytes list;
	bool is_list = source->kind == SOURCE_ITEMS || source->kind == SOURCE_BODY_ITEMS;
	if (!is_list || !find_list(walk->at, source, &list)) {
		walk->is_lost = true;
		return false;
	}
	if (list.p && !json_path_each(list, stand_on_json, &items))
		return false;
	return items.has_item || stand_on(&items, (struct expr_value){ 0 });
}

/* ---- comparisons ---- */

static bool gather_value(struct walk *walk)
{
	struct arena *arena = walk->at->environment->arena;
	if (walk->n_values == walk->max_values) {
		size_t max = walk->max_values ? 2 * walk->max_values : 8;
		struct expr_value *values = arena_alloc(arena, max * sizeof(*values));
		if (!values) {
			walk->is_lost = true;
			return false;
		}
		if (walk->n_values)
			memcpy(values, walk->values, walk->n_values * sizeof(*values));
		walk->values = values;
		walk->max_values = max;
	}
	walk->is_lost =
		!term_value(walk->at, walk->term, walk->is_pattern, &walk->values[walk->n_values]);
	walk->n_values++;
	return !walk->is_lost;
}

/* All values of a side, on a walk of its own. */
static bool gather(struct evaluation *at, const struct term *term, const struct source_set *set,
	bool is_pattern, struct walk *ret)
{
	*ret = (struct walk){
		.at = at, .set = set, .visit = gather_value, .term = term, .is_pattern = is_pattern
	};
	size_t n = at->plan->n_sources * sizeof(*at->items);
	struct expr_value *own = at->items, *fresh = arena_alloc(at->environment->arena, n + 1);
	if (!fresh)
		return false;
	at->items = fresh;
	walk_on(ret, at->plan->sources);
	at->items = own;
	return !ret->is_lost;
}

static bool is_pattern_of(const struct plan_node *node)
{
	return (node->op == OP_LIKE || node->op == OP_NOT_LIKE) && term_is_bound_pattern(node->b);
}

static enum expr_verdict no_row_fails(struct evaluation *at, const struct plan_node *node)
{
	struct walk a, b;
	bool a_is_many = !set_is_empty(&node->a_sources) && node->op != OP_EQ;
	bool b_is_many = !set_is_empty(&node->b_sources) && node->op != OP_EQ;
	if (!gather(at, node->a, &node->a_sources, false, &a) ||
		!gather(at, node->b, &node->b_sources, is_pattern_of(node), &b))
		return EXPR_NEEDS_SQL;
	for (size_t i = 0; i < a.n_values; i++)
		for (size_t j = 0; j < b.n_values; j++) {
			enum truth truth = value_compare(node->op, node->every_a, node->every_b,
				a.values[i], b.values[j], at->environment->arena);
			if (truth == TRUTH_UNKNOWN || at->n_steps++ > STEPS_MAX)
				return EXPR_NEEDS_SQL;
			if (truth == TRUTH_FALSE ||
				(a_is_many && a.values[i].type == EXPR_VALUE_NULL) ||
				(b_is_many && b.values[j].type == EXPR_VALUE_NULL))
				return EXPR_FALSE;
		}
	return EXPR_TRUE;
}

static enum expr_verdict compare(struct evaluation *at, const struct plan_node *node)
{
	struct expr_value a, b;
	enum expr_verdict verdict = EXPR_TRUE;
	if (node->is_some) {
		if (!term_value(at, node->a, false, &a) ||
			!term_value(at, node->b, is_pattern_of(node), &b))
			return EXPR_NEEDS_SQL;
		enum truth truth =
			value_compare(node->op, node->a, node->b, a, b, at->environment->arena);
		if (truth == TRUTH_UNKNOWN)
			return EXPR_NEEDS_SQL;
		verdict = truth == TRUTH_TRUE ? EXPR_TRUE : EXPR_FALSE;
	}
	return node->is_every && verdict == EXPR_TRUE ? no_row_fails(at, node) : verdict;
}

/* ---- the whole ---- */

static enum expr_verdict of_node(struct evaluation *at, const struct plan_node *node);

static bool try_row(struct walk *walk)
{
	enum expr_verdict verdict = of_node(walk->at, walk->node->first);
	if (verdict != EXPR_FALSE)
		walk->verdict = verdict;
	return verdict != EXPR_TRUE;
}

static enum expr_verdict some_row(struct evaluation *at, const struct plan_node *node)
{
	struct walk walk = { .at = at, .set = &node->sources, .visit = try_row, .node = node };
	walk_on(&walk, at->plan->sources);
	if (walk.verdict == EXPR_TRUE)
		return EXPR_TRUE;
	return walk.is_lost ? EXPR_NEEDS_SQL : walk.verdict;
}

static enum expr_verdict of_node(struct evaluation *at, const struct plan_node *node)
{
	if (node->kind == PLAN_COMPARE)
		return compare(at, node);
	if (node->kind == PLAN_SOME)
		return some_row(at, node);
	/* What decides an AND is a false one, an OR a true one; whatever else is not known. */
	enum expr_verdict deciding = node->kind == PLAN_AND ? EXPR_FALSE : EXPR_TRUE;
	enum expr_verdict verdict = node->kind == PLAN_AND ? EXPR_TRUE : EXPR_FALSE;
	for (const struct plan_node *child = node->first; child; child = child->next) {
		enum expr_verdict one = of_node(at, child);
		if (one == deciding)
			return deciding;
		if (one == EXPR_NEEDS_SQL)
			verdict = one;
	}
	return verdict;
}

static enum expr_verdict of_plan(const struct plan *plan,
	const struct expr_environment *environment, const struct expr_row *row)
{
	struct evaluation at = { .plan = plan, .environment = environment, .row = row };
	if (!plan->root)
		return EXPR_FALSE;
	at.items = arena_alloc(environment->arena, plan->n_sources * sizeof(*at.items) + 1);
	return at.items ? of_node(&at, plan->root) : EXPR_NEEDS_SQL;
}

enum expr_verdict expr_evaluate(const struct expr_sql *sql,
	const struct expr_environment *environment, const struct expr_row *row)
{
	if (sql->plan)
		return of_plan(sql->plan, environment, row);
	return bytes_eq_string(sql->sql, "1") ? EXPR_TRUE : EXPR_FALSE;
}
