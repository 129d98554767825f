/*
 * term.c - values in SQL, and when two of them are equal
 */
#include <string.h>

#include "emit.h"

static struct bytes json_of(struct emitter *emitter, const struct frame *frame,
	const struct term *term, const char *function)
{
	struct bytes column = emit_column(emitter, frame, term->source, &term->field, term->guard);
	struct bytes path = emit_param(
		emitter, (struct expr_param){ .source = EXPR_LITERAL, .name = term->name });
	return emit_text(emitter, "%s(CASE WHEN json_valid(%.*s) THEN %.*s END, %.*s)", function,
		(int)column.n, column.p, (int)column.n, column.p, (int)path.n, path.p);
}

static struct bytes length_of(
	struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	if (term->field.type == EXPR_JSON)
		return json_of(emitter, frame, term, "json_array_length");
	struct bytes column = emit_column(emitter, frame, term->source, &term->field, term->guard);
	if (!term->field.is_list)
		return emit_text(emitter, "(COALESCE(%.*s, '') <> '')", (int)column.n, column.p);
	return emit_text(emitter,
		"COALESCE(json_array_length(CASE WHEN json_valid(%.*s) THEN %.*s END), 0)",
		(int)column.n, column.p, (int)column.n, column.p);
}

static struct bytes either_of(
	struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	struct bytes collection =
		emit_param(emitter, (struct expr_param){ .source = EXPR_AUTH_COLLECTION_ID });
	struct bytes sql = emit_text(emitter, "CASE %.*s", (int)collection.n, collection.p);
	for (size_t i = 0; i < term->n_args; i++) {
		struct bytes own = emit_param(emitter,
			(struct expr_param){ .source = EXPR_LITERAL, .name = term->names[i] });
		struct bytes value = emit_term(emitter, frame, term->args[i]);
		sql = emit_text(emitter, "%.*s WHEN %.*s THEN %.*s", (int)sql.n, sql.p, (int)own.n,
			own.p, (int)value.n, value.p);
	}
	return emit_text(emitter, "%.*s END", (int)sql.n, sql.p);
}

/* The great-circle distance in kilometres. Rounding may lead just outside of what acos takes. */
static struct bytes distance_of(struct emitter *emitter, const struct bytes *args)
{
	int n[4];
	for (size_t i = 0; i < 4; i++)
		n[i] = (int)args[i].n;
	return emit_text(emitter,
		"(6371 * acos(min(1.0, max(-1.0, cos(radians(%.*s)) * cos(radians(%.*s)) * "
		"cos(radians(%.*s) - radians(%.*s)) + sin(radians(%.*s)) * "
		"sin(radians(%.*s))))))",
		n[1], args[1].p, n[3], args[3].p, n[2], args[2].p, n[0], args[0].p, n[1], args[1].p,
		n[3], args[3].p);
}

static struct bytes function_of(
	struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	struct bytes args[ARGS_MAX] = { { NULL, 0 } };
	for (size_t i = 0; i < term->n_args; i++)
		args[i] = emit_term(emitter, frame, term->args[i]);
	if (term->kind == TERM_DISTANCE)
		return distance_of(emitter, args);
	struct bytes sql = BYTES("strftime(");
	for (size_t i = 0; i < term->n_args; i++)
		sql = emit_text(emitter, "%.*s%s%.*s", (int)sql.n, sql.p, i ? ", " : "",
			(int)args[i].n, args[i].p);
	return emit_text(emitter, "%.*s)", (int)sql.n, sql.p);
}

static struct bytes changed_of(
	struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	struct bytes is_set = emit_term(emitter, frame, term->args[0]);
	struct bytes held = emit_term(emitter, frame, term->args[1]);
	struct bytes sent = emit_term(emitter, frame, term->args[2]);
	struct bytes differs = emit_equal(emitter, term->args[1], term->args[2], held, sent, false);
	return emit_text(
		emitter, "(%.*s AND %.*s)", (int)is_set.n, is_set.p, (int)differs.n, differs.p);
}

static struct bytes value_of(struct emitter *emitter, const struct frame *frame,
	const struct term *term, bool is_pattern)
{
	struct expr_param param = term->param;
	struct bytes inner;
	switch (term->kind) {
	case TERM_CONSTANT:
		return term->number ? BYTES("1") : BYTES("0");
	case TERM_PARAM:
		param.is_pattern = is_pattern;
		return emit_param(emitter, param);
	case TERM_COLUMN:
		return emit_column(emitter, frame, term->source, &term->field, term->guard);
	case TERM_ITEM:
		return emit_text(emitter, "a%u.value", term->source->alias);
	case TERM_JSON:
		return json_of(emitter, frame, term, "json_extract");
	case TERM_LENGTH:
		return length_of(emitter, frame, term);
	case TERM_LOWER:
		inner = value_of(emitter, frame, term->args[0], is_pattern);
		return emit_text(emitter, "LOWER(%.*s)", (int)inner.n, inner.p);
	case TERM_BARE:
		inner = value_of(emitter, frame, term->args[0], false);
		return emit_text(emitter, "+%.*s", (int)inner.n, inner.p);
	case TERM_CHANGED:
		return changed_of(emitter, frame, term);
	case TERM_AUTH:
		return either_of(emitter, frame, term);
	case TERM_DISTANCE:
	case TERM_STRFTIME:
		return function_of(emitter, frame, term);
	default:
		return BYTES("NULL");
	}
}

struct bytes emit_term(struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	return value_of(emitter, frame, term, false);
}

/* SQLite writes 2.0 where users see 2. */
struct bytes emit_shown(struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	struct bytes sql = value_of(emitter, frame, term, false);
	if (term->kind != TERM_COLUMN || term->field.type != EXPR_NUMBER)
		return sql;
	return emit_text(emitter, "CAST(CAST(%.*s AS TEXT) AS NUMERIC)", (int)sql.n, sql.p);
}

bool term_is_bound_pattern(const struct term *term)
{
	return term->kind == TERM_PARAM ||
	       (term->kind == TERM_LOWER && term_is_bound_pattern(term->args[0]));
}

struct bytes emit_pattern(
	struct emitter *emitter, const struct frame *frame, const struct term *term)
{
	if (term_is_bound_pattern(term))
		return value_of(emitter, frame, term, true);
	struct bytes sql = emit_shown(emitter, frame, term);
	return emit_text(emitter, "('%%' || CASE WHEN length(%.*s) <= %d THEN %.*s END || '%%')",
		(int)sql.n, sql.p, PATTERN_CHARACTERS, (int)sql.n, sql.p);
}

/* ---- equality ---- */

static struct bytes folded(struct emitter *emitter, struct bytes a, const char *op, struct bytes b)
{
	return emit_text(emitter, "COALESCE(%.*s, '') %s COALESCE(%.*s, '')", (int)a.n, a.p, op,
		(int)b.n, b.p);
}

/* x against what the request brings: when that is empty, null is equal to it as well. */
static struct bytes with_request(struct emitter *emitter, const struct term *x, struct bytes x_sql,
	struct bytes sent, bool is_equal)
{
	int n = (int)x_sql.n, n_sent = (int)sent.n;
	if (!x->is_nullable)
		return emit_text(emitter, "%.*s %s COALESCE(%.*s, '')", n, x_sql.p,
			is_equal ? "=" : "IS NOT", n_sent, sent.p);
	return emit_text(emitter,
		is_equal ? "(%.*s = COALESCE(%.*s, '') OR (%.*s IS NULL AND COALESCE(%.*s, '') = "
			   "''))"
			 : "(%.*s IS NOT COALESCE(%.*s, '') AND NOT (%.*s IS NULL AND "
			   "COALESCE(%.*s, '') = ''))",
		n, x_sql.p, n_sent, sent.p, n, x_sql.p, n_sent, sent.p);
}

struct bytes emit_equal(struct emitter *emitter, const struct term *a, const struct term *b,
	struct bytes a_sql, struct bytes b_sql, bool is_equal)
{
	const char *op = is_equal ? "=" : "IS NOT";
	enum equality equality = equality_of(a, b);
	if (equality == EQUALITY_CERTAIN)
		return is_equal ? BYTES("1") : BYTES("0");
	if (equality == EQUALITY_REQUEST)
		return a->is_request ? with_request(emitter, b, b_sql, a_sql, is_equal)
				     : with_request(emitter, a, a_sql, b_sql, is_equal);
	if (equality == EQUALITY_EMPTY) {
		const struct term *x = a->is_empty ? b : a;
		struct bytes sql = a->is_empty ? b_sql : a_sql;
		return emit_text(emitter,
			x->is_nullable ? "COALESCE(%.*s, '') %s ''" : "%.*s %s ''", (int)sql.n,
			sql.p, op);
	}
	if (equality == EQUALITY_FOLDED &&
		(a->is_nullable || b->is_nullable || a->affinity != b->affinity))
		return folded(emitter, a_sql, op, b_sql);
	if (equality == EQUALITY_AS_IS)
		op = is_equal ? "IS" : "IS NOT";
	else if (a->is_empty)
		a_sql = BYTES("''");
	else if (b->is_empty)
		b_sql = BYTES("''");
	return emit_text(emitter, "%.*s %s %.*s", (int)a_sql.n, a_sql.p, op, (int)b_sql.n, b_sql.p);
}
