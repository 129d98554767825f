/*
 * compile.c - tree to SQL: how two values are compared, and how comparisons are joined
 */
#include <string.h>

#include "path.h"

#define SQL_MAX    (256u << 10)
#define GROUPS_MAX 10 /* AND within OR within AND ... */

/* "" and null are one: a field that was never set must meet both. */
static struct bytes equal(
	struct compiler *compiler, const struct value *a, const struct value *b, bool is_equal)
{
	struct arena *arena = compiler->arena;
	const char *op = is_equal ? "=" : "IS NOT";
	if (a->is_json || b->is_json)
		return arena_printf(arena, "%.*s %s %.*s", (int)a->sql.n, a->sql.p,
			is_equal ? "IS" : "IS NOT", (int)b->sql.n, b->sql.p);
	if (a->is_empty && b->is_empty)
		return is_equal ? BYTES("1") : BYTES("0");
	if (a->is_known || b->is_known)
		return arena_printf(arena, "%.*s %s %.*s", (int)a->sql.n, a->sql.p, op,
			(int)b->sql.n, b->sql.p);
	if (a->is_empty || b->is_empty) {
		struct bytes sql = a->is_empty ? b->sql : a->sql;
		if (!(a->is_empty ? b : a)->is_nullable)
			return arena_printf(arena, "%.*s %s ''", (int)sql.n, sql.p, op);
		return arena_printf(arena, "COALESCE(%.*s, '') %s ''", (int)sql.n, sql.p, op);
	}
	/* A column that cannot be null stays bare, so that an index on it is used. */
	const char *a_open = a->is_nullable ? "COALESCE(" : "", *a_close = *a_open ? ", '')" : "";
	const char *b_open = b->is_nullable ? "COALESCE(" : "", *b_close = *b_open ? ", '')" : "";
	return arena_printf(arena, "%s%.*s%s %s %s%.*s%s", a_open, (int)a->sql.n, a->sql.p, a_close,
		op, b_open, (int)b->sql.n, b->sql.p, b_close);
}

static struct bytes like(
	struct compiler *compiler, const struct value *a, const struct value *b, bool is_like)
{
	const char *op = is_like ? "LIKE" : "NOT LIKE";
	if (b->param >= 0) {
		compiler->params[b->param].is_pattern = true;
		return arena_printf(compiler->arena, "%.*s %s %.*s ESCAPE '\\'", (int)a->sql.n,
			a->sql.p, op, (int)b->sql.n, b->sql.p);
	}
	return arena_printf(compiler->arena, "%.*s %s ('%%' || %.*s || '%%') ESCAPE '\\'",
		(int)a->sql.n, a->sql.p, op, (int)b->sql.n, b->sql.p);
}

static struct bytes compare(
	struct compiler *compiler, enum compare_op op, const struct value *a, const struct value *b)
{
	static const char *const order[] = {
		[OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">="
	};
	switch (op) {
	case OP_EQ:
	case OP_NE:
		return equal(compiler, a, b, op == OP_EQ);
	case OP_LIKE:
	case OP_NOT_LIKE:
		return like(compiler, a, b, op == OP_LIKE);
	default:
		return arena_printf(compiler->arena, "%.*s %s %.*s", (int)a->sql.n, a->sql.p,
			order[op], (int)b->sql.n, b->sql.p);
	}
}

/* Several values on a side: ?op holds when some row does, op when there are rows and all of them
 * do. No rows are unlike anything. */
static struct bytes quantify(struct compiler *compiler, const struct expr_node *node,
	const struct value *a, const struct value *b, struct bytes condition)
{
	struct arena *arena = compiler->arena;
	struct bytes from = a->from;
	if (a->from.n && b->from.n)
		from = arena_printf(
			arena, "%.*s, %.*s", (int)a->from.n, a->from.p, (int)b->from.n, b->from.p);
	else if (b->from.n)
		from = b->from;
	compiler->has_subquery = true;
	if (!from.p || !condition.p)
		return (struct bytes){ NULL, 0 };
	bool is_negative = node->op == OP_NE || node->op == OP_NOT_LIKE;
	if (node->is_any)
		return arena_printf(arena, "EXISTS (SELECT 1 FROM %.*s WHERE %.*s)", (int)from.n,
			from.p, (int)condition.n, condition.p);
	struct bytes all =
		arena_printf(arena, "NOT EXISTS (SELECT 1 FROM %.*s WHERE (%.*s) IS NOT TRUE)",
			(int)from.n, from.p, (int)condition.n, condition.p);
	if (is_negative || !all.p)
		return all;
	return arena_printf(arena, "(EXISTS (SELECT 1 FROM %.*s) AND %.*s)", (int)from.n, from.p,
		(int)all.n, all.p);
}

static enum expr_result compile_compare(
	struct compiler *compiler, const struct expr_node *node, struct bytes_buf *out)
{
	struct value a, b;
	enum expr_result result = path_compile(compiler, &node->a, node->is_any, &a);
	if (result == EXPR_OK)
		result = path_compile(compiler, &node->b, node->is_any, &b);
	if (result != EXPR_OK)
		return result;
	struct bytes sql = compare(compiler, node->op, &a, &b);
	if (sql.p && (a.from.n || b.from.n))
		sql = quantify(compiler, node, &a, &b, sql);
	if (!sql.p)
		return EXPR_NOMEM;
	bytes_buf_append(out, sql);
	return EXPR_OK;
}

/* A chain of one kind needs no parentheses, and gets none: SQLite's parser has a stack of 100
 * places, of which an open parenthesis takes 3 and a path of six relations some 50.
 * Depth of the recursion: at most one call per comparison, of which there are
 * EXPR_COMPARISONS_MAX. */
static enum expr_result compile_node(struct compiler *compiler, const struct expr_node *node,
	enum node_kind parent, unsigned depth, struct bytes_buf *out)
{
	if (node->kind == NODE_COMPARE)
		return compile_compare(compiler, node, out);
	bool is_open = node->kind != parent;
	if (is_open && ++depth > GROUPS_MAX)
		return expr_fail(compiler->error, 0, "The groups nest too deep.");
	if (is_open)
		bytes_buf_append_byte(out, '(');
	enum expr_result result = compile_node(compiler, node->left, node->kind, depth, out);
	bytes_buf_append_string(out, node->kind == NODE_AND ? " AND " : " OR ");
	if (result == EXPR_OK)
		result = compile_node(compiler, node->right, node->kind, depth, out);
	if (is_open)
		bytes_buf_append_byte(out, ')');
	return result;
}

enum expr_result expr_compile(const struct expr_node *node, const struct expr_schema *schema,
	const void *scope, struct bytes alias, unsigned first_param, struct arena *arena,
	struct expr_sql *ret, struct expr_error *error)
{
	*error = (struct expr_error){ 0 };
	struct compiler compiler = { .schema = schema,
		.scope = scope,
		.alias = alias,
		.arena = arena,
		.error = error,
		.first_param = first_param };
	*ret = (struct expr_sql){ .sql = BYTES("1"), .first_param = first_param };
	if (!node)
		return EXPR_OK;

	DEFER(bytes_buf_fini) struct bytes_buf out;
	bytes_buf_init(&out, SQL_MAX);
	enum expr_result result = compile_node(&compiler, node, NODE_COMPARE, 0, &out);
	if (result != EXPR_OK)
		return result;
	char *sql = out.failed ? NULL : arena_copy(arena, bytes_buf_view(&out));
	if (!sql)
		return EXPR_NOMEM;
	*ret = (struct expr_sql){ .sql = { sql, out.n },
		.params = compiler.params,
		.n_params = compiler.n_params,
		.first_param = first_param,
		.has_subquery = compiler.has_subquery };
	return EXPR_OK;
}

enum expr_result expr_compile_path(struct bytes path, const struct expr_schema *schema,
	const void *scope, struct bytes alias, struct arena *arena, struct bytes *ret,
	struct expr_error *error)
{
	*error = (struct expr_error){ 0 };
	struct compiler compiler = {
		.schema = schema, .scope = scope, .alias = alias, .arena = arena, .error = error
	};
	struct operand operand = { .kind = OPERAND_NAME, .text = path };
	struct value value;
	if (path.n == 0 || path.n > EXPR_BYTES_MAX || path.p[0] == '@')
		return expr_fail(error, 0, "A field is expected.");
	enum expr_result result = path_compile(&compiler, &operand, false, &value);
	if (result != EXPR_OK)
		return result;
	if (value.from.n || compiler.n_params || value.is_known || value.is_empty)
		return expr_fail(error, 0, "Only fields with one value can be sorted by.");
	*ret = value.sql;
	return EXPR_OK;
}
