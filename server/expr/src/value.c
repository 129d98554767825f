/*
 * value.c - what a request gives: parameters as values, for the binder and the evaluator alike
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "text_json_reader.h"

#define PATTERN_MAX 50000              /* bytes that SQLite takes */
#define WHOLE_MAX   2251799813685248.0 /* up to 2^51 its NUMERIC makes integers */

static struct expr_value integer_value(int64_t integer)
{
	return (struct expr_value){ .type = EXPR_VALUE_INTEGER, .integer = integer };
}

static struct expr_value text_value(struct bytes text)
{
	return (struct expr_value){ .type = EXPR_VALUE_TEXT, .text = text };
}

/* ---- patterns ---- */

static bool is_wildcard(char c)
{
	return c == '%' || c == '_' || c == '\\';
}

/* A % that no backslash precedes. A second backslash is an escaped one, and escapes nothing. */
static bool has_percent(struct bytes text)
{
	bool is_escaped = false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '%' && !is_escaped)
			return true;
		is_escaped = text.p[i] == '\\' && !is_escaped;
	}
	return false;
}

/* From the end: a wildcard gets a backslash unless one is there. What stands before a wildcard is
 * not looked at itself: of "__" only the second is escaped, and the first stands for any character.
 * PocketBase's users know it so. */
static size_t escape(struct bytes text, char *out, size_t room)
{
	size_t at = room;
	bool is_open = false;
	for (size_t i = text.n; i-- > 0;) {
		if (is_open) {
			if (text.p[i] != '\\')
				out[--at] = '\\';
			is_open = false;
		} else {
			is_open = is_wildcard(text.p[i]);
		}
		out[--at] = text.p[i];
	}
	if (is_open)
		out[--at] = '\\';
	return at;
}

/* Without a % of its own the text means "contains". */
static bool pattern_of(struct bytes text, struct arena *arena, struct bytes *ret)
{
	*ret = text;
	if (has_percent(text))
		return true;
	size_t room = 2 * text.n + 1;
	char *out = arena_alloc(arena, room + 2);
	if (!out)
		return false;
	size_t at = escape(text, out + 1, room);
	out[at] = '%';
	out[room + 1] = '%';
	*ret = (struct bytes){ out + at, room + 2 - at };
	return true;
}

/* ---- numbers as text ---- */

bool value_text(const struct expr_value *value, struct arena *arena, struct bytes *ret)
{
	*ret = value->text;
	if (value->type == EXPR_VALUE_INTEGER)
		*ret = arena_printf(arena, "%lld", (long long)value->integer);
	if (value->type != EXPR_VALUE_REAL)
		return ret->p || value->type != EXPR_VALUE_INTEGER;
	char digits[40];
	(void)snprintf(digits, sizeof(digits), "%.15g", value->real == 0 ? 0.0 : value->real);
	const char *e = strchr(digits, 'e');
	size_t n = e ? (size_t)(e - digits) : strlen(digits);
	bool is_whole = !memchr(digits, '.', n) && isfinite(value->real);
	*ret = arena_printf(arena, "%.*s%s%s", (int)n, digits, is_whole ? ".0" : "", e ? e : "");
	return ret->p;
}

/* As CAST(CAST(x AS TEXT) AS NUMERIC) has it. */
bool value_shown(const struct expr_value *value, struct arena *arena, struct bytes *ret)
{
	struct expr_value whole = { .type = EXPR_VALUE_INTEGER };
	char text[40];
	if (!value_text(value, arena, ret))
		return false;
	if (value->type != EXPR_VALUE_REAL)
		return true;
	if (!bytes_to_string(*ret, text, sizeof(text)))
		return true;
	double real = strtod(text, NULL);
	if (real != trunc(real) || fabs(real) >= WHOLE_MAX)
		return true;
	whole.integer = (int64_t)real;
	return value_text(&whole, arena, ret);
}

/* ---- the body ---- */

static int64_t length_of(struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	enum text_json_type type = text_json_next(&reader, &token);
	if (type == TEXT_JSON_NULL)
		return 0;
	if (type != TEXT_JSON_ARRAY)
		return 1;
	for (int64_t n = 0;; n++) {
		type = text_json_next(&reader, &token);
		if (type == TEXT_JSON_OBJECT || type == TEXT_JSON_ARRAY)
			text_json_skip(&reader, &token);
		else if (type == TEXT_JSON_ARRAY_END || type == TEXT_JSON_END ||
			 type == TEXT_JSON_BROKEN)
			return n;
	}
}

/* Without the white space between its tokens, as stored JSON is. */
static bool without_space(struct bytes json, struct arena *arena, struct bytes *ret)
{
	char *out = arena_alloc(arena, json.n + 1);
	size_t n = 0;
	bool in_text = false;
	if (!out)
		return false;
	for (size_t i = 0; i < json.n; i++) {
		char c = json.p[i];
		if (!in_text && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
			continue;
		if (in_text && c == '\\' && i + 1 < json.n)
			out[n++] = json.p[i++];
		else if (c == '"')
			in_text = !in_text;
		out[n++] = json.p[i];
	}
	*ret = (struct bytes){ out, n };
	return true;
}

static bool as_number(struct bytes text, double *ret)
{
	char copy[64], *end;
	if (text.n == 0 || memchr(text.p, ' ', text.n) ||
		!bytes_to_string(text, copy, sizeof(copy)))
		return false;
	*ret = strtod(copy, &end);
	return *end == '\0' && end > copy && isfinite(*ret);
}

bool value_of_json(struct bytes json, struct arena *arena, struct expr_value *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	double number;
	*ret = (struct expr_value){ 0 };
	text_json_reader_init(&reader, json);
	switch (text_json_next(&reader, &token)) {
	case TEXT_JSON_STRING:
		ret->type = EXPR_VALUE_TEXT;
		return text_json_text(&token, arena, &ret->text);
	case TEXT_JSON_TRUE:
	case TEXT_JSON_FALSE:
		*ret = integer_value(token.type == TEXT_JSON_TRUE);
		return true;
	case TEXT_JSON_INTEGER:
		*ret = integer_value(0);
		return text_json_int64(&token, &ret->integer);
	case TEXT_JSON_DOUBLE:
		if (text_json_double(&token, &number))
			*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = number };
		return true;
	case TEXT_JSON_OBJECT:
	case TEXT_JSON_ARRAY:
		ret->type = EXPR_VALUE_TEXT;
		return without_space(json, arena, &ret->text);
	default:
		return true; /* null */
	}
}

static bool body_value(const struct expr_param *param, const struct expr_environment *environment,
	struct expr_value *ret)
{
	struct bytes json = { NULL, 0 };
	struct arena *arena = environment->arena;
	bool is_set = environment->body.n &&
		      text_json_find(environment->body, param->name, &json) == TEXT_JSON_FOUND;
	if (param->source == EXPR_BODY_ISSET)
		*ret = integer_value(is_set);
	else if (param->source == EXPR_BODY_LENGTH)
		*ret = integer_value(is_set ? length_of(json) : 0);
	else if (param->source == EXPR_BODY_LIST && is_set && json.p[0] == '[')
		*ret = text_value(json);
	else if (param->source == EXPR_BODY_LIST && is_set && !bytes_eq_string(json, "null"))
		*ret = text_value(arena_printf(arena, "[%.*s]", (int)json.n, json.p));
	else if (param->source == EXPR_BODY_LIST)
		*ret = text_value(BYTES("[]"));
	else if (is_set && !value_of_json(json, arena, ret))
		return false;
	/* JSON knows one kind of number. */
	bool is_truth = is_set && (json.p[0] == 't' || json.p[0] == 'f');
	if (param->source == EXPR_BODY && ret->type == EXPR_VALUE_INTEGER && !is_truth)
		*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = (double)ret->integer };
	double number;
	if (param->is_number && ret->type == EXPR_VALUE_TEXT && as_number(ret->text, &number))
		*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = number };
	return ret->type != EXPR_VALUE_TEXT || ret->text.p;
}

/* ---- parameters ---- */

static void pair_value(const struct expr_param *param, const struct expr_environment *environment,
	struct expr_value *ret)
{
	bool asks_isset = param->source == EXPR_QUERY_ISSET || param->source == EXPR_HEADER_ISSET;
	bool is_query = param->source == EXPR_QUERY || param->source == EXPR_QUERY_ISSET;
	struct bytes value = { NULL, 0 };
	bool is_set = environment->find &&
		      environment->find(environment, is_query ? EXPR_QUERY : EXPR_HEADER,
			      param->name, &value);
	if (asks_isset)
		*ret = integer_value(is_set);
	else if (is_set)
		*ret = text_value((struct bytes){ value.p ? value.p : "", value.n });
}

static bool raw_value(const struct expr_param *param, const struct expr_environment *environment,
	struct expr_value *ret)
{
	struct bytes text = { NULL, 0 };
	*ret = (struct expr_value){ 0 };
	switch (param->source) {
	case EXPR_LITERAL:
		*ret = text_value(
			(struct bytes){ param->name.p ? param->name.p : "", param->name.n });
		return true;
	case EXPR_LITERAL_NUMBER:
		*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = param->number };
		return true;
	case EXPR_AUTH_ID:
		text = environment->auth_id;
		break;
	case EXPR_AUTH_COLLECTION_ID:
		text = environment->auth_collection_id;
		break;
	case EXPR_AUTH_COLLECTION_NAME:
		text = environment->auth_collection_name;
		break;
	case EXPR_METHOD:
		text = environment->method;
		break;
	case EXPR_CONTEXT:
		text = environment->context.n ? environment->context : BYTES("default");
		break;
	case EXPR_MACRO:
		return macro_value(param->name, environment->now_us, environment->arena, ret);
	case EXPR_QUERY:
	case EXPR_QUERY_ISSET:
	case EXPR_HEADER:
	case EXPR_HEADER_ISSET:
		pair_value(param, environment, ret);
		return true;
	default:
		return body_value(param, environment, ret);
	}
	if (text.n)
		*ret = text_value(text);
	return true;
}

bool param_value(const struct expr_param *param, const struct expr_environment *environment,
	struct expr_value *ret)
{
	struct bytes text;
	if (!raw_value(param, environment, ret))
		return false;
	if (!param->is_pattern || ret->type == EXPR_VALUE_NULL)
		return true;
	if (!value_shown(ret, environment->arena, &text) ||
		!pattern_of(text, environment->arena, &text))
		return false;
	/* What is too long to be a pattern is like nothing. */
	*ret = (struct expr_value){ 0 };
	if (text.n <= PATTERN_MAX)
		*ret = text_value(text);
	return true;
}
