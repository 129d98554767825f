/*
 * parse.c - text to tree
 *
 *   or      = and { "||" and }
 *   and     = term { "&&" term }
 *   term    = "(" or ")" | operand op operand
 *   operand = name | number | 'text' | "text" | name "(" operand { "," operand } ")"
 *   op      = ["?"] ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" )
 *   name    = a letter, '_' or '@', then letters, digits, '_' and single '.' ':' in between
 * White space and // comments may stand anywhere between them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text_utf8.h"
#include "tree.h"

#define ARGS_MAX      10 /* of a function */
#define FUNCTIONS_MAX 3  /* one within another */

struct parser {
	const char *start, *p, *end;
	struct arena *arena;
	struct expr_error *error;
	unsigned n_comparisons, depth, n_functions;
};

enum expr_result expr_fail(struct expr_error *error, size_t offset, const char *format, ...)
{
	error->offset = offset;
	va_list args;
	va_start(args, format);
	(void)vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return EXPR_INVALID;
}

static size_t here(const struct parser *parser)
{
	return (size_t)(parser->p - parser->start);
}

static void skip_space(struct parser *parser)
{
	while (parser->p < parser->end) {
		if (strchr(" \t\r\n", *parser->p) && *parser->p) {
			parser->p++;
		} else if (parser->end - parser->p >= 2 && parser->p[0] == '/' &&
			   parser->p[1] == '/') {
			while (parser->p < parser->end && *parser->p != '\n')
				parser->p++;
		} else {
			return;
		}
	}
}

static bool take(struct parser *parser, const char *token)
{
	size_t n = strlen(token);
	if ((size_t)(parser->end - parser->p) < n || memcmp(parser->p, token, n) != 0)
		return false;
	parser->p += n;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum expr_result parse_name(struct parser *parser, struct operand *ret)
{
	const char *start = parser->p++;
	while (parser->p < parser->end) {
		char c = *parser->p;
		bool joins = c == '.' || c == ':';
		bool next_is_name =
			parser->end - parser->p >= 2 &&
			(is_letter(parser->p[1]) || is_digit(parser->p[1]) || parser->p[1] == '@');
		if (!is_letter(c) && !is_digit(c) && !(joins && next_is_name) && c != '@')
			break;
		parser->p++;
	}
	ret->kind = OPERAND_NAME;
	ret->text = (struct bytes){ start, (size_t)(parser->p - start) };
	if (parser->p < parser->end && (*parser->p == '.' || *parser->p == ':'))
		return expr_fail(
			parser->error, here(parser), "A name must not end with '%c'.", *parser->p);
	return EXPR_OK;
}

static enum expr_result parse_number(struct parser *parser, struct operand *ret)
{
	const char *start = parser->p;
	parser->p += *parser->p == '-';
	while (parser->p < parser->end && (is_digit(*parser->p) || *parser->p == '.'))
		parser->p++;
	char text[64];
	char *stop;
	size_t n = (size_t)(parser->p - start);
	if (!bytes_to_string((struct bytes){ start, n }, text, sizeof(text)))
		return expr_fail(parser->error, here(parser), "The number is too long.");
	ret->kind = OPERAND_NUMBER;
	ret->number = strtod(text, &stop);
	if (*stop || !is_digit(text[n - 1]) || (parser->p < parser->end && is_letter(*parser->p)))
		return expr_fail(parser->error, here(parser), "This is not a number.");
	return EXPR_OK;
}

/* Between equal quotation marks; a backslash takes the meaning from a quotation mark of that kind
 * and stands for itself everywhere else. */
static enum expr_result parse_text(struct parser *parser, struct operand *ret)
{
	size_t offset = here(parser);
	char quote = *parser->p++;
	const char *close = parser->p;
	while (close < parser->end && *close != quote)
		close += *close == '\\' && parser->end - close >= 2 && close[1] == quote ? 2 : 1;
	char *out = arena_alloc(parser->arena, (size_t)(close - parser->p) + 1);
	if (!out)
		return EXPR_NOMEM;
	size_t n = 0;
	while (parser->p < parser->end && *parser->p != quote) {
		if (*parser->p == '\\' && parser->end - parser->p >= 2 && parser->p[1] == quote)
			parser->p++;
		out[n++] = *parser->p++;
	}
	if (parser->p == parser->end)
		return expr_fail(parser->error, offset, "The text has no closing quotation mark.");
	parser->p++;
	ret->kind = OPERAND_TEXT;
	ret->text = (struct bytes){ out, n };
	return EXPR_OK;
}

static enum expr_result parse_operand(struct parser *parser, struct operand *ret);

/* The arguments of a function, behind its opening parenthesis. */
static enum expr_result parse_args(struct parser *parser, struct operand *ret)
{
	struct operand *args = arena_alloc(parser->arena, ARGS_MAX * sizeof(*args));
	if (!args)
		return EXPR_NOMEM;
	ret->kind = OPERAND_FUNCTION;
	ret->args = args;
	if (++parser->n_functions > FUNCTIONS_MAX)
		return expr_fail(parser->error, here(parser), "The functions nest too deep.");
	do {
		skip_space(parser);
		if (ret->n_args == 0 && take(parser, ")"))
			break;
		if (ret->n_args == ARGS_MAX)
			return expr_fail(parser->error, here(parser),
				"A function takes at most %d arguments.", ARGS_MAX);
		enum expr_result result = parse_operand(parser, &args[ret->n_args++]);
		if (result != EXPR_OK)
			return result;
		skip_space(parser);
		if (take(parser, ")"))
			break;
		if (!take(parser, ","))
			return expr_fail(parser->error, here(parser),
				"A comma or a closing parenthesis is expected here.");
	} while (true);
	parser->n_functions--;
	return EXPR_OK;
}

static enum expr_result parse_operand(struct parser *parser, struct operand *ret)
{
	skip_space(parser);
	ret->offset = here(parser);
	if (parser->p == parser->end)
		return expr_fail(parser->error, here(parser), "A name or a value is missing.");
	char c = *parser->p;
	if (c == '"' || c == '\'')
		return parse_text(parser, ret);
	if (is_letter(c) || c == '@') {
		enum expr_result result = parse_name(parser, ret);
		if (result != EXPR_OK || !take(parser, "("))
			return result;
		return parse_args(parser, ret);
	}
	if (is_digit(c) || (c == '-' && parser->end - parser->p >= 2 && is_digit(parser->p[1])))
		return parse_number(parser, ret);
	return expr_fail(parser->error, here(parser), "A name or a value is expected here.");
}

static enum expr_result parse_op(struct parser *parser, struct expr_node *node)
{
	static const struct {
		const char *text;
		enum compare_op op;
	} ops[] = { { "!=", OP_NE }, { "!~", OP_NOT_LIKE }, { "<=", OP_LE }, { ">=", OP_GE },
		{ "=", OP_EQ }, { "<", OP_LT }, { ">", OP_GT }, { "~", OP_LIKE } };

	skip_space(parser);
	node->is_any = take(parser, "?");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (take(parser, ops[i].text)) {
			node->op = ops[i].op;
			return EXPR_OK;
		}
	return expr_fail(
		parser->error, here(parser), "A comparison is expected here: = != > >= < <= ~ !~");
}

static enum expr_result parse_or(struct parser *parser, const struct expr_node **ret);

static enum expr_result parse_term(struct parser *parser, const struct expr_node **ret)
{
	skip_space(parser);
	if (take(parser, "(")) {
		if (++parser->depth > EXPR_DEPTH_MAX)
			return expr_fail(
				parser->error, here(parser), "The parentheses nest too deep.");
		enum expr_result result = parse_or(parser, ret);
		if (result != EXPR_OK)
			return result;
		skip_space(parser);
		if (!take(parser, ")"))
			return expr_fail(
				parser->error, here(parser), "A closing parenthesis is missing.");
		parser->depth--;
		return EXPR_OK;
	}
	if (++parser->n_comparisons > EXPR_COMPARISONS_MAX)
		return expr_fail(parser->error, here(parser), "At most %d comparisons are allowed.",
			EXPR_COMPARISONS_MAX);
	struct expr_node *node = arena_alloc(parser->arena, sizeof(*node));
	if (!node)
		return EXPR_NOMEM;
	node->kind = NODE_COMPARE;
	enum expr_result result = parse_operand(parser, &node->a);
	if (result == EXPR_OK)
		result = parse_op(parser, node);
	if (result == EXPR_OK)
		result = parse_operand(parser, &node->b);
	*ret = node;
	return result;
}

static enum expr_result join(struct parser *parser, enum node_kind kind,
	const struct expr_node **left, const struct expr_node *right)
{
	struct expr_node *node = arena_alloc(parser->arena, sizeof(*node));
	if (!node)
		return EXPR_NOMEM;
	*node = (struct expr_node){ .kind = kind, .left = *left, .right = right };
	*left = node;
	return EXPR_OK;
}

static enum expr_result parse_and(struct parser *parser, const struct expr_node **ret)
{
	enum expr_result result = parse_term(parser, ret);
	while (result == EXPR_OK) {
		const struct expr_node *right = NULL;
		skip_space(parser);
		if (!take(parser, "&&"))
			break;
		result = parse_term(parser, &right);
		if (result == EXPR_OK)
			result = join(parser, NODE_AND, ret, right);
	}
	return result;
}

static enum expr_result parse_or(struct parser *parser, const struct expr_node **ret)
{
	enum expr_result result = parse_and(parser, ret);
	while (result == EXPR_OK) {
		const struct expr_node *right = NULL;
		skip_space(parser);
		if (!take(parser, "||"))
			break;
		result = parse_and(parser, &right);
		if (result == EXPR_OK)
			result = join(parser, NODE_OR, ret, right);
	}
	return result;
}

enum expr_result expr_parse(struct bytes text, struct arena *arena, const struct expr_node **ret,
	struct expr_error *error)
{
	*ret = NULL;
	*error = (struct expr_error){ 0 };
	if (text.n > EXPR_BYTES_MAX)
		return expr_fail(
			error, EXPR_BYTES_MAX, "The text is longer than %d bytes.", EXPR_BYTES_MAX);
	size_t bad;
	if (!text_utf8_check(text, &bad))
		return expr_fail(error, bad, "The text is not UTF-8.");
	if (text.n && memchr(text.p, '\0', text.n))
		return expr_fail(error, 0, "The text holds a NUL character.");

	const char *start = text.p ? text.p : "";
	struct parser parser = { start, start, start + text.n, arena, error, 0, 0, 0 };
	skip_space(&parser);
	if (parser.p == parser.end)
		return EXPR_OK;
	const struct expr_node *node = NULL;
	enum expr_result result = parse_or(&parser, &node);
	if (result != EXPR_OK)
		return result;
	skip_space(&parser);
	if (parser.p != parser.end)
		return expr_fail(error, here(&parser),
			"The expression should end or go on with && or || here.");
	*ret = node;
	return EXPR_OK;
}
