/*
 * path.h - what one operand of a comparison becomes in SQL
 */
#ifndef EXPR_PATH_H
#define EXPR_PATH_H

#include "tree.h"

struct compiler {
	const struct expr_schema *schema;
	const void *scope;
	struct bytes alias;
	struct arena *arena;
	struct expr_error *error;
	struct expr_param *params;
	size_t n_params, max_params;
	unsigned first_param;
	unsigned n_aliases;
	bool has_subquery;
};

/* A value in SQL, and what is known about it. */
struct value {
	struct bytes sql;
	/* Not empty: the value is one of several, and this the FROM clause that gives their rows.
	 */
	struct bytes from;
	bool is_empty; /* "" or null for sure */
	bool is_known; /* a literal that is neither "" nor null */
	bool is_nullable;
	bool is_json; /* compared as it is: null is not "" */
	int param;    /* of a parameter: its index in compiler->params; else -1 */
};

/* Makes SQL of an operand. is_any: the comparison asks for any of several values. */
enum expr_result path_compile(
	struct compiler *compiler, const struct operand *operand, bool is_any, struct value *ret);

#endif
