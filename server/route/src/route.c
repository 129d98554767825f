#include "route.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_PER_PATH 8

/* One segment of the tree. Children are a list: a node has few. */
struct node {
	struct bytes segment; /* of a literal */
	struct node *next, *literals, *parameter, *rest;
	const struct route *rows[ROWS_PER_PATH];
	unsigned n_rows;
};

struct route_table {
	struct node root;
};

static void free_nodes(struct node *node)
{
	while (node) {
		struct node *next = node->next;
		free_nodes(node->literals);
		free_nodes(node->parameter);
		free_nodes(node->rest);
		free(node);
		node = next;
	}
}

void route_table_free(struct route_table *table)
{
	if (!table)
		return;
	free_nodes(table->root.literals);
	free_nodes(table->root.parameter);
	free_nodes(table->root.rest);
	free(table);
}

/* Cuts the first segment off a path that starts with '/'. */
static struct bytes take_segment(struct bytes *path)
{
	struct bytes rest = { path->p + 1, path->n - 1 };
	const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
	size_t n = slash ? (size_t)(slash - rest.p) : rest.n;

	*path = (struct bytes){ rest.p + n, rest.n - n };
	return (struct bytes){ rest.p, n };
}

static struct node *find_literal(const struct node *node, struct bytes segment)
{
	struct node *child = node->literals;

	while (child && !bytes_eq(child->segment, segment))
		child = child->next;
	return child;
}

/* The child for a segment of a pattern, made when it is not there. NULL without memory. */
static struct node *child_for(struct node *node, struct bytes segment)
{
	bool is_parameter = segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';
	bool is_rest = is_parameter && segment.p[segment.n - 2] == '*';
	struct node **at = is_rest ? &node->rest : is_parameter ? &node->parameter : NULL;
	struct node *child = at ? *at : find_literal(node, segment);

	if (child)
		return child;
	child = calloc(1, sizeof *child);
	if (!child)
		return NULL;
	child->segment = segment;
	if (at) {
		*at = child;
	} else {
		child->next = node->literals;
		node->literals = child;
	}
	return child;
}

static int add(struct route_table *table, const struct route *row, struct err *err)
{
	struct bytes pattern = bytes_of(row->pattern);
	struct node *node = &table->root;

	if (pattern.n == 0 || pattern.p[0] != '/')
		return ERR_SET(
			err, ERR_INVALID, "the pattern '%s' does not start with '/'", row->pattern);
	while (pattern.n > 0) {
		node = child_for(node, take_segment(&pattern));
		if (!node)
			return ERR_SET(err, ERR_NOMEM, "no memory for the route table");
	}
	for (unsigned i = 0; i < node->n_rows; i++)
		if (node->rows[i]->methods & row->methods)
			return ERR_SET(err, ERR_INVALID, "'%s' is routed twice", row->pattern);
	if (node->n_rows == ROWS_PER_PATH)
		return ERR_SET(
			err, ERR_LIMIT, "'%s' has more than %d rows", row->pattern, ROWS_PER_PATH);
	node->rows[node->n_rows++] = row;
	return 0;
}

int route_table_new(
	const struct route *routes, size_t n_routes, struct route_table **ret, struct err *err)
{
	DEFER(route_table_free) struct route_table *table = calloc(1, sizeof *table);

	if (!table)
		return ERR_SET(err, ERR_NOMEM, "no memory for the route table");
	for (size_t i = 0; i < n_routes; i++)
		if (add(table, &routes[i], err) < 0)
			return -1;
	*ret = table;
	table = NULL; /* handed over */
	return 0;
}

/* The node of a path, and the parameters on the way. A literal is tried first, then the parameter,
 * then the rest; depth is that of the patterns, so the recursion is bounded by them. */
static const struct node *walk(
	const struct node *node, struct bytes path, struct route_match *match, unsigned n_params)
{
	if (path.n == 0 && node->n_rows > 0)
		return node;

	struct bytes after = path;
	struct bytes segment = path.n ? take_segment(&after) : (struct bytes){ 0 };
	const struct node *found = NULL;
	const struct node *literal = path.n ? find_literal(node, segment) : NULL;
	if (literal)
		found = walk(literal, after, match, n_params);
	if (!found && node->parameter && segment.n > 0 && n_params < ROUTE_PARAMS_MAX) {
		match->params[n_params] = segment;
		found = walk(node->parameter, after, match, n_params + 1);
	}
	if (!found && node->rest && n_params < ROUTE_PARAMS_MAX) {
		match->params[n_params] = path.n ? (struct bytes){ path.p + 1, path.n - 1 } : path;
		found = node->rest;
	}
	return found;
}

enum route_result route_find(const struct route_table *table, enum http_method method,
	struct bytes path, struct route_match *ret)
{
	struct route_match match = { 0 };
	const struct node *node = NULL;

	if (path.n > 0 && path.p[0] == '/')
		node = walk(&table->root, path, &match, 0);
	if (!node)
		return ROUTE_NO_PATH;
	uint32_t bit = 1u << (method == HTTP_HEAD ? HTTP_GET : method);
	match.route = node->rows[0];
	for (unsigned i = 0; i < node->n_rows; i++)
		if (node->rows[i]->methods & bit) {
			match.route = node->rows[i];
			*ret = match;
			return ROUTE_FOUND;
		}
	*ret = match;
	return ROUTE_NO_METHOD;
}

void route_allow(const struct route_table *table, struct bytes path, struct bytes_buf *out)
{
	struct route_match match = { 0 };
	const struct node *node =
		path.n > 0 && path.p[0] == '/' ? walk(&table->root, path, &match, 0) : NULL;
	uint32_t methods = 0;

	for (unsigned i = 0; node && i < node->n_rows; i++)
		methods |= node->rows[i]->methods;
	if (methods & ROUTE_GET)
		methods |= 1u << HTTP_HEAD;
	for (unsigned m = 0; m < HTTP_METHODS; m++)
		if (methods & 1u << m) {
			if (out->n > 0)
				(void)bytes_buf_append_string(out, ", ");
			(void)bytes_buf_append_string(out, http_method_name((enum http_method)m));
		}
}
