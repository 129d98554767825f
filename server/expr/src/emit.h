/*
 * emit.h - from a plan to SQL
 */
#ifndef EXPR_EMIT_H
#define EXPR_EMIT_H

#include "plan.h"

/* What one statement's condition gathers, guards included. */
struct emitter {
	struct arena *arena; /* of its own: the pieces are forgotten */
	struct expr_error *error;
	struct expr_param *params;
	size_t n_params, max_params;
	unsigned first_param, n_aliases;
	bool has_subquery;
	bool failed; /* the SQL would be too large */
};

/* Whose sources are meant, and what the row that the plan is about is called. */
struct frame {
	const struct plan *plan;
	struct bytes base;
};

/* Formats a piece; {"", 0} and failed when that is too much. */
struct bytes emit_text(struct emitter *emitter, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* "?12": the parameter that is like this one, added when there is none yet. */
struct bytes emit_param(struct emitter *emitter, struct expr_param param);

/* ---- source.c ---- */
/* The column of a row of source, or of the row itself; null where a guard says no. */
struct bytes emit_column(struct emitter *emitter, const struct frame *frame, struct source *source,
	const struct expr_field *field, const struct plan *guard);
/* Brings the sources of a set in sight: gives them aliases and returns the FROM clause, which
 * yields one row of nulls where there is none. *ret_n counts them. */
struct bytes emit_from(struct emitter *emitter, const struct frame *frame,
	const struct source_set *set, unsigned *ret_n);

/* ---- term.c ---- */
struct bytes emit_term(struct emitter *emitter, const struct frame *frame, const struct term *term);
/* The sides of a LIKE. */
struct bytes emit_shown(
	struct emitter *emitter, const struct frame *frame, const struct term *term);
struct bytes emit_pattern(
	struct emitter *emitter, const struct frame *frame, const struct term *term);
struct bytes emit_equal(struct emitter *emitter, const struct term *a, const struct term *b,
	struct bytes a_sql, struct bytes b_sql, bool is_equal);

/* ---- compile.c ---- */
/* A condition; "0" for a plan that is never met. */
struct bytes emit_plan(struct emitter *emitter, const struct plan *plan, struct bytes base);

#endif
