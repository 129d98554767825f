/*
 * compile.c - from a tree to a plan to an SQL condition
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "emit.h"

#define SQL_MAX    (256u << 10)
#define PIECES_MAX (16u << 20) /* of SQL, while it is put together */
#define PARAMS_MAX 8000
#define JOINS_MAX  60 /* SQLite joins 64 */
#define GROUPS_MAX 10 /* AND within OR within AND ... */
/* SQLite's parser has a stack of 100 places. An open parenthesis takes 4 at most, and 9 more when a
 * query stands in it. */
#define STACK_MAX   84u
#define STACK_OPEN  4u
#define STACK_QUERY 9u

/* ---- pieces ---- */

struct bytes emit_text(struct emitter *emitter, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *out =
		n < 0 || (unsigned)n > SQL_MAX ? NULL : arena_alloc(emitter->arena, (size_t)n + 1);
	if (out)
		(void)vsnprintf(out, (size_t)n + 1, format, again);
	va_end(again);
	emitter->failed |= !out;
	return (struct bytes){ out ? out : "", out ? (size_t)n : 0 };
}

static bool param_is_like(const struct expr_param *a, const struct expr_param *b)
{
	return a->source == b->source && a->is_pattern == b->is_pattern &&
	       a->is_number == b->is_number && a->number == b->number && bytes_eq(a->name, b->name);
}

struct bytes emit_param(struct emitter *emitter, struct expr_param param)
{
	for (size_t i = 0; i < emitter->n_params; i++)
		if (param_is_like(&emitter->params[i], &param))
			return emit_text(emitter, "?%u", emitter->first_param + (unsigned)i);
	if (emitter->n_params == emitter->max_params) {
		size_t max = emitter->max_params ? emitter->max_params * 2 : 8;
		struct expr_param *params =
			max > PARAMS_MAX ? NULL
					 : arena_alloc(emitter->arena, max * sizeof(*params));
		if (!params) {
			emitter->failed = true;
			return BYTES("NULL");
		}
		if (emitter->n_params)
			memcpy(params, emitter->params, emitter->n_params * sizeof(*params));
		emitter->params = params;
		emitter->max_params = max;
	}
	emitter->params[emitter->n_params] = param;
	return emit_text(emitter, "?%u", emitter->first_param + (unsigned)emitter->n_params++);
}

/* ---- comparisons ---- */

static struct bytes compare(struct emitter *emitter, const struct plan_node *node, bool is_every,
	struct bytes a, struct bytes b)
{
	const struct term *a_term = is_every ? node->every_a : node->a;
	const struct term *b_term = is_every ? node->every_b : node->b;
	static const char *const ops[] = { [OP_LT] = "<",
		[OP_LE] = "<=",
		[OP_GT] = ">",
		[OP_GE] = ">=",
		[OP_LIKE] = "LIKE",
		[OP_NOT_LIKE] = "NOT LIKE" };
	if (node->op == OP_EQ || node->op == OP_NE)
		return emit_equal(emitter, a_term, b_term, a, b, node->op == OP_EQ);
	bool is_like = node->op == OP_LIKE || node->op == OP_NOT_LIKE;
	return emit_text(emitter, "%.*s %s %.*s%s", (int)a.n, a.p, ops[node->op], (int)b.n, b.p,
		is_like ? " ESCAPE '\\'" : "");
}

static struct bytes operand(
	struct emitter *emitter, const struct frame *frame, const struct plan_node *node, bool is_b)
{
	if (node->op == OP_LIKE || node->op == OP_NOT_LIKE)
		return is_b ? emit_pattern(emitter, frame, node->b)
			    : emit_shown(emitter, frame, node->a);
	return emit_term(emitter, frame, is_b ? node->b : node->a);
}

static void hide(const struct frame *frame, const struct source_set *set, unsigned *saved)
{
	for (struct source *source = frame->plan->sources; source; source = source->next)
		if (set_has(set, source->index)) {
			saved[source->index] = source->alias;
			source->alias = 0;
		}
}

static void show(const struct frame *frame, const struct source_set *set, const unsigned *saved)
{
	for (struct source *source = frame->plan->sources; source; source = source->next)
		if (set_has(set, source->index))
			source->alias = saved[source->index];
}

/* Walks of its own for either side: what is bound around is out of sight meanwhile. But for =, for
 * which null may be as good as "", a row fails also when it has no value. */
static struct bytes no_row_fails(
	struct emitter *emitter, const struct frame *frame, const struct plan_node *node)
{
	unsigned saved[SOURCES_MAX], n = 0;
	const struct source_set *sets[2] = { &node->a_sources, &node->b_sources };
	struct bytes from[2], side[2];
	for (int i = 0; i < 2; i++) {
		hide(frame, sets[i], saved);
		from[i] = emit_from(emitter, frame, sets[i], &n);
		side[i] = operand(emitter, frame, node, i == 1);
		show(frame, sets[i], saved);
	}
	if (n > JOINS_MAX)
		expr_fail(emitter->error, 0, "A comparison goes over too many lists.");
	struct bytes met = compare(emitter, node, true, side[0], side[1]);
	struct bytes fails = emit_text(emitter, "NOT (%.*s)", (int)met.n, met.p);
	for (int i = 0; i < 2; i++)
		if (node->op != OP_EQ && !set_is_empty(sets[i]))
			fails = emit_text(emitter, "%.*s OR %.*s IS NULL", (int)fails.n, fails.p,
				(int)side[i].n, side[i].p);
	/* Both begin with (SELECT 1): of the second the rest is taken. */
	size_t skip = strlen("(SELECT 1)"), more = from[1].n > skip ? from[1].n - skip : 0;
	return emit_text(emitter, "NOT EXISTS (SELECT 1 FROM %.*s%.*s WHERE %.*s)", (int)from[0].n,
		from[0].p, (int)more, more ? from[1].p + skip : "", (int)fails.n, fails.p);
}

static struct bytes emit_compare(
	struct emitter *emitter, const struct frame *frame, const struct plan_node *node)
{
	struct bytes none = { NULL, 0 }, some = none, every = none;
	if (node->is_some) {
		struct bytes a = operand(emitter, frame, node, false);
		struct bytes b = operand(emitter, frame, node, true);
		some = compare(emitter, node, false, a, b);
	}
	if (node->is_every)
		every = no_row_fails(emitter, frame, node);
	return emit_text(emitter, "%.*s%s%.*s", (int)some.n, some.n ? some.p : "",
		some.n && every.n ? " AND " : "", (int)every.n, every.n ? every.p : "");
}

/* ---- the whole ---- */

static struct bytes emit_node(struct emitter *emitter, const struct frame *frame,
	const struct plan_node *node, enum plan_kind parent, unsigned depth);

static struct bytes emit_some(struct emitter *emitter, const struct frame *frame,
	const struct plan_node *node, unsigned depth)
{
	unsigned n = 0, saved[SOURCES_MAX];
	hide(frame, &node->sources, saved);
	struct bytes from = emit_from(emitter, frame, &node->sources, &n);
	struct bytes met = emit_node(emitter, frame, node->first, PLAN_OR, depth);
	show(frame, &node->sources, saved);
	if (n > JOINS_MAX)
		expr_fail(emitter->error, 0, "The expression goes over too many lists at once.");
	return emit_text(emitter, "EXISTS (SELECT 1 FROM %.*s WHERE %.*s)", (int)from.n, from.p,
		(int)met.n, met.p);
}

/* AND binds tighter than OR, in SQL as here: only OR within AND needs parentheses. Depth of the
 * recursion: that of the parentheses in the text. */
static struct bytes emit_node(struct emitter *emitter, const struct frame *frame,
	const struct plan_node *node, enum plan_kind parent, unsigned depth)
{
	if (node->kind == PLAN_COMPARE)
		return emit_compare(emitter, frame, node);
	if (node->kind == PLAN_SOME)
		return emit_some(emitter, frame, node, depth);
	if (++depth > GROUPS_MAX) {
		expr_fail(emitter->error, 0, "The groups nest too deep.");
		return BYTES("0");
	}
	DEFER(bytes_buf_fini) struct bytes_buf out;
	bytes_buf_init(&out, SQL_MAX);
	bool is_open = node->kind == PLAN_OR && parent == PLAN_AND;
	if (is_open)
		bytes_buf_append_byte(&out, '(');
	for (const struct plan_node *child = node->first; child; child = child->next) {
		struct bytes sql = emit_node(emitter, frame, child, node->kind, depth);
		if (child != node->first)
			bytes_buf_append_string(&out, node->kind == PLAN_AND ? " AND " : " OR ");
		bytes_buf_append(&out, sql);
	}
	if (is_open)
		bytes_buf_append_byte(&out, ')');
	emitter->failed |= out.failed;
	return emit_text(emitter, "%.*s", (int)out.n, out.p ? out.p : "");
}

struct bytes emit_plan(struct emitter *emitter, const struct plan *plan, struct bytes base)
{
	const struct frame frame = { .plan = plan, .base = base };
	return plan->root ? emit_node(emitter, &frame, plan->root, PLAN_OR, 0) : BYTES("0");
}

/* What SQLite's parser would need for sql, which holds no text literal with a parenthesis. */
static unsigned stack_of(struct bytes sql)
{
	unsigned at[256], depth = 0, now = 0, most = 0;
	for (size_t i = 0; i < sql.n; i++) {
		if (sql.p[i] == '(') {
			struct bytes rest = { sql.p + i + 1, sql.n - i - 1 };
			bool is_query = bytes_starts_with(rest, BYTES("SELECT "));
			if (depth == sizeof(at) / sizeof(at[0]))
				return UINT32_MAX;
			at[depth++] = now;
			now += STACK_OPEN + (is_query ? STACK_QUERY : 0);
			most = now > most ? now : most;
		} else if (sql.p[i] == ')' && depth > 0) {
			now = at[--depth];
		}
	}
	return most;
}

/* Hands over what lasts: the pieces go with the emitter's own arena. */
static enum expr_result finish(struct emitter *emitter, struct bytes sql, const struct plan *plan,
	struct arena *arena, struct expr_sql *ret)
{
	if (emitter->error->message[0])
		return EXPR_INVALID;
	if (emitter->failed)
		return expr_fail(emitter->error, 0, "The expression is too large.");
	if (stack_of(sql) > STACK_MAX)
		return expr_fail(emitter->error, 0, "The expression nests too deep.");
	struct expr_param *params = NULL;
	size_t n = emitter->n_params * sizeof(*params);
	char *copy = arena_copy(arena, sql);
	if (!copy || (n && !(params = arena_alloc(arena, n))))
		return EXPR_NOMEM;
	if (n)
		memcpy(params, emitter->params, n);
	*ret = (struct expr_sql){ .sql = { copy, sql.n },
		.params = params,
		.n_params = emitter->n_params,
		.first_param = emitter->first_param,
		.has_subquery = emitter->has_subquery,
		.plan = plan };
	return EXPR_OK;
}

enum expr_result expr_compile(const struct expr_node *node, const struct expr_schema *schema,
	const void *scope, struct bytes alias, unsigned first_param, struct arena *arena,
	struct expr_sql *ret, struct expr_error *error)
{
	*error = (struct expr_error){ 0 };
	*ret = (struct expr_sql){ .sql = BYTES("1"), .first_param = first_param };
	if (!node)
		return EXPR_OK;
	const struct plan *plan;
	struct resolver resolver = {
		.schema = schema, .scope = scope, .arena = arena, .error = error
	};
	enum expr_result result = plan_make(&resolver, node, &plan);
	if (result != EXPR_OK)
		return result;
	DEFER(arena_free) struct arena *pieces = NULL;
	struct err err;
	if (arena_new(PIECES_MAX, &pieces, &err) < 0)
		return EXPR_NOMEM;
	struct emitter emitter = { .arena = pieces, .error = error, .first_param = first_param };
	struct bytes sql = emit_plan(&emitter, plan, alias);
	return finish(&emitter, sql, plan, arena, ret);
}

/* Names with single dots and colons between them, as the parser takes them. */
static bool is_path(struct bytes path, size_t *ret_bad)
{
	bool is_joined = true;
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];
		bool joins = c == '.' || c == ':';
		bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			       (c >= '0' && c <= '9') || c == '_';
		*ret_bad = i;
		if (!is_word && (!joins || is_joined))
			return false;
		is_joined = joins;
	}
	return !is_joined && path.n <= EXPR_BYTES_MAX;
}

enum expr_result expr_compile_path(struct bytes path, const struct expr_schema *schema,
	const void *scope, struct bytes alias, unsigned first_param, struct arena *arena,
	struct expr_sql *ret, struct expr_error *error)
{
	const struct operand name = { .kind = OPERAND_NAME, .text = path };
	const struct term *term;
	struct plan plan = { 0 };
	struct resolver resolver = {
		.schema = schema, .scope = scope, .arena = arena, .error = error, .plan = &plan
	};
	*error = (struct expr_error){ 0 };
	size_t bad = 0;
	if (!is_path(path, &bad))
		return expr_fail(error, bad, "A field is expected.");
	enum expr_result result = resolve_operand(&resolver, &name, &term);
	if (result != EXPR_OK)
		return result;
	bool is_single = !term->is_known && !term->is_empty;
	for (const struct source *source = plan.sources; source; source = source->next)
		is_single = is_single && !source->is_multi;
	if (!is_single)
		return expr_fail(error, 0, "Only fields with one value can be sorted by.");
	DEFER(arena_free) struct arena *pieces = NULL;
	struct err err;
	if (arena_new(PIECES_MAX, &pieces, &err) < 0)
		return EXPR_NOMEM;
	struct emitter emitter = { .arena = pieces, .error = error, .first_param = first_param };
	const struct frame frame = { .plan = &plan, .base = alias };
	struct bytes sql = emit_term(&emitter, &frame, term);
	return finish(&emitter, sql, NULL, arena, ret);
}
