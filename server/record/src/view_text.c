/*
 * view_text.c - what the text of a SELECT says about its columns that the database does not
 *
 * The database tells where a column comes from; that an expression is a CAST, or counts, stands
 * only in the text. So the list of the first SELECT is read, by words and parentheses alone: what
 * the text means otherwise is the database's to say.
 */
#include <string.h>

#include "view.h"

enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_OTHER };

struct token {
	enum token_type type;
	struct bytes text; /* of a word or a symbol */
};

struct cursor {
	const char *p, *end;
	unsigned depth;
};

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (unsigned char)c >= 0x80;
}

static void skip_blank(struct cursor *cursor)
{
	while (cursor->p < cursor->end) {
		size_t left = (size_t)(cursor->end - cursor->p);
		if (*cursor->p && strchr(" \t\r\n\f", *cursor->p)) {
			cursor->p++;
		} else if (left >= 2 && memcmp(cursor->p, "--", 2) == 0) {
			const char *line = memchr(cursor->p, '\n', left);
			cursor->p = line ? line : cursor->end;
		} else if (left >= 2 && memcmp(cursor->p, "/*", 2) == 0) {
			const char *close = memmem(cursor->p + 2, left - 2, "*/", 2);
			cursor->p = close ? close + 2 : cursor->end;
		} else {
			return;
		}
	}
}

/* Past what is between quotation marks; two of them stand for one. */
static void skip_quoted(struct cursor *cursor)
{
	char close = *cursor->p == '[' ? ']' : *cursor->p;
	for (cursor->p++; cursor->p < cursor->end; cursor->p++) {
		if (*cursor->p != close)
			continue;
		cursor->p++;
		if (cursor->p == cursor->end || *cursor->p != close || close == ']')
			return;
	}
}

static struct token next(struct cursor *cursor)
{
	skip_blank(cursor);
	const char *start = cursor->p;
	if (start == cursor->end)
		return (struct token){ TOKEN_END, { NULL, 0 } };
	enum token_type type = TOKEN_OTHER;
	if (*start && strchr("'\"`[", *start)) {
		skip_quoted(cursor);
	} else if (is_word_byte(*start)) {
		type = TOKEN_WORD;
		while (cursor->p < cursor->end && is_word_byte(*cursor->p))
			cursor->p++;
	} else {
		cursor->depth += *start == '(';
		cursor->depth -= *start == ')' && cursor->depth;
		cursor->p++;
	}
	return (struct token){ type, { start, (size_t)(cursor->p - start) } };
}

static bool is_word(const struct token *token, const char *word)
{
	return token->type == TOKEN_WORD && bytes_eq_nocase(token->text, bytes_of(word));
}

static bool is_one_of(const struct token *token, const char *const *words)
{
	for (; *words; words++)
		if (is_word(token, *words))
			return true;
	return false;
}

static enum view_kind kind_of(const struct token *type)
{
	static const char *const numbers[] = { "real", "integer", "int", "decimal", "numeric",
		NULL };
	static const char *const bools[] = { "boolean", "bool", NULL };
	if (is_word(type, "text"))
		return VIEW_TEXT;
	if (is_one_of(type, numbers))
		return VIEW_NUMBER;
	return is_one_of(type, bools) ? VIEW_BOOL : VIEW_PLAIN;
}

/* One expression of the list, as it goes by. */
struct expression {
	size_t n;                  /* tokens at the outermost level */
	struct token first, last;  /* of them */
	bool is_call;              /* a parenthesis follows the first */
	bool is_over;              /* something other than an alias follows the call's end */
	struct token before, type; /* inside a CAST: behind its last AS */
};

static void take(struct expression *expression, const struct token *token, unsigned depth)
{
	bool opens = bytes_eq_string(token->text, "("), closes = bytes_eq_string(token->text, ")");
	if (depth == 1 && !opens && is_word(&expression->before, "as"))
		expression->type = *token;
	expression->before = *token;
	if (depth > (opens ? 1 : 0) || (closes && depth > 0))
		return;
	expression->n++;
	if (expression->n == 1)
		expression->first = *token;
	else if (expression->n == 2)
		expression->is_call = opens;
	else if (!closes && token->type != TOKEN_WORD && !strchr("\"`['", token->text.p[0]))
		expression->is_over = true;
	expression->last = *token;
}

static struct view_column judge(const struct expression *expression)
{
	static const char *const counts[] = { "count", "total", NULL };
	struct view_column column = { .kind = VIEW_PLAIN };
	bool is_star = bytes_eq_string(expression->last.text, "*");
	column.is_star =
		is_star && (expression->n == 1 || expression->n == 3) && !expression->is_call;
	if (expression->is_call && is_one_of(&expression->first, counts))
		column.kind = VIEW_NUMBER;
	else if (expression->is_call && is_word(&expression->first, "cast") && !expression->is_over)
		column.kind = kind_of(&expression->type);
	return column;
}

size_t view_text_columns(struct bytes query, struct view_column *columns, size_t max)
{
	static const char *const stops[] = { "from", "where", "group", "having", "window", "union",
		"except", "intersect", "order", "limit", NULL };
	struct cursor cursor = { query.p, query.p + query.n, 0 };
	struct token token = next(&cursor);
	size_t n = 0;
	while (token.type != TOKEN_END && !(cursor.depth == 0 && is_word(&token, "select")))
		token = next(&cursor);
	struct expression expression = { 0 };
	while (token.type != TOKEN_END) {
		token = next(&cursor);
		bool is_outer = cursor.depth == 0;
		bool ends = token.type == TOKEN_END || (is_outer && is_one_of(&token, stops));
		if (is_outer && expression.n == 0 &&
			(is_word(&token, "distinct") || is_word(&token, "all")))
			continue;
		if (!ends && !(is_outer && bytes_eq_string(token.text, ","))) {
			take(&expression, &token, cursor.depth);
			continue;
		}
		if (n == max)
			return 0;
		columns[n++] = judge(&expression);
		expression = (struct expression){ 0 };
		if (ends)
			break;
	}
	return n;
}
