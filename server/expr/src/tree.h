/*
 * tree.h - the tree between the text and what is made of it
 */
#ifndef EXPR_TREE_H
#define EXPR_TREE_H

#include "expr.h"

enum operand_kind { OPERAND_NAME, OPERAND_TEXT, OPERAND_NUMBER, OPERAND_FUNCTION };

struct operand {
	enum operand_kind kind;
	struct bytes text; /* the name as written, or the unescaped text */
	double number;
	size_t offset;
	const struct operand *args; /* of a function */
	size_t n_args;
};

enum compare_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_LIKE, OP_NOT_LIKE };

enum node_kind { NODE_COMPARE, NODE_AND, NODE_OR };

struct expr_node {
	enum node_kind kind;
	const struct expr_node *left, *right; /* AND, OR */
	enum compare_op op;
	bool is_any; /* ?= and its kin */
	struct operand a, b;
};

/* Fills *error and returns EXPR_INVALID. */
enum expr_result expr_fail(struct expr_error *error, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
