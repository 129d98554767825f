/*
 * bind.c - what a request gives a compiled condition
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "expr.h"
#include "text_json_reader.h"

#define DAY_S 86400

/* A number as SQL should see it: a whole one as an integer, so that it equals text like "12". */
static void bind_number(struct store_stmt *stmt, int index, double number)
{
	if (number == trunc(number) && fabs(number) < 9007199254740992.0)
		store_bind_int64(stmt, index, (int64_t)number);
	else
		store_bind_double(stmt, index, number);
}

/* Without a % of its own the text means "contains": wrapped in %, its wildcards escaped
 * where the writer has not done so. */
static bool bind_pattern(struct store_stmt *stmt, int index, struct bytes text, struct arena *arena)
{
	bool has_percent = false;
	for (size_t i = 0; i < text.n; i++)
		has_percent |= text.p[i] == '%' && (i == 0 || text.p[i - 1] != '\\');
	if (has_percent) {
		store_bind_text(stmt, index, text);
		return true;
	}
	char *out = arena_alloc(arena, 2 * text.n + 2);
	if (!out)
		return false;
	size_t n = 0;
	out[n++] = '%';
	for (size_t i = 0; i < text.n; i++) {
		bool is_special = text.p[i] && strchr("\\%_", text.p[i]);
		bool is_escape = text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] &&
				 strchr("\\%_", text.p[i + 1]);
		if (is_escape)
			out[n++] = text.p[i++];
		else if (is_special)
			out[n++] = '\\';
		out[n++] = text.p[i];
	}
	out[n++] = '%';
	store_bind_text(stmt, index, (struct bytes){ out, n });
	return true;
}

static bool bind_text(const struct expr_param *param, const struct expr_environment *environment,
	struct store_stmt *stmt, int index, struct bytes text)
{
	if (param->is_pattern)
		return bind_pattern(stmt, index, text, environment->arena);
	store_bind_text(stmt, index, text);
	return true;
}

static int64_t length_of_array(struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	int64_t n = 0;
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return 0;
	for (;; n++) {
		enum text_json_type type = text_json_next(&reader, &token);
		if (type == TEXT_JSON_OBJECT || type == TEXT_JSON_ARRAY)
			text_json_skip(&reader, &token);
		else if (type == TEXT_JSON_ARRAY_END || type == TEXT_JSON_END ||
			 type == TEXT_JSON_BROKEN)
			return n;
	}
}

static bool bind_body(const struct expr_param *param, const struct expr_environment *environment,
	struct store_stmt *stmt, int index)
{
	struct bytes json = { NULL, 0 };
	bool is_set = environment->body.n &&
		      text_json_find(environment->body, param->name, &json) == TEXT_JSON_FOUND;
	if (param->source == EXPR_BODY_ISSET) {
		store_bind_int64(stmt, index, is_set);
		return true;
	}
	if (param->source == EXPR_BODY_LENGTH) {
		store_bind_int64(stmt, index, is_set ? length_of_array(json) : 0);
		return true;
	}
	if (!is_set)
		return true; /* null */

	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes text;
	double number;
	text_json_reader_init(&reader, json);
	switch (text_json_next(&reader, &token)) {
	case TEXT_JSON_STRING:
		return text_json_text(&token, environment->arena, &text) &&
		       bind_text(param, environment, stmt, index, text);
	case TEXT_JSON_TRUE:
	case TEXT_JSON_FALSE:
		store_bind_int64(stmt, index, token.type == TEXT_JSON_TRUE);
		return true;
	case TEXT_JSON_INTEGER:
	case TEXT_JSON_DOUBLE:
		if (text_json_double(&token, &number))
			bind_number(stmt, index, number);
		return true;
	case TEXT_JSON_OBJECT:
	case TEXT_JSON_ARRAY:
		return bind_text(param, environment, stmt, index, json);
	default:
		return true; /* null */
	}
}

static bool bind_pair(const struct expr_param *param, const struct expr_environment *environment,
	struct store_stmt *stmt, int index)
{
	bool asks_isset = param->source == EXPR_QUERY_ISSET || param->source == EXPR_HEADER_ISSET;
	enum expr_source source = param->source == EXPR_QUERY_ISSET    ? EXPR_QUERY
				  : param->source == EXPR_HEADER_ISSET ? EXPR_HEADER
								       : param->source;
	struct bytes value = { NULL, 0 };
	bool is_set =
		environment->find && environment->find(environment, source, param->name, &value);
	if (asks_isset)
		store_bind_int64(stmt, index, is_set);
	else if (is_set)
		return bind_text(param, environment, stmt, index, value);
	return true;
}

/* The first moment of the day, month or year, or the last (is_end). */
static int64_t boundary(struct tm tm, char unit, bool is_end)
{
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (unit != 'd')
		tm.tm_mday = 1;
	if (unit == 'y')
		tm.tm_mon = 0;
	if (is_end) {
		tm.tm_mday += unit == 'd';
		tm.tm_mon += unit == 'm';
		tm.tm_year += unit == 'y';
	}
	return (int64_t)timegm(&tm) * 1000000 - (is_end ? 1000 : 0);
}

static bool bind_macro(const struct expr_param *param, const struct expr_environment *environment,
	struct store_stmt *stmt, int index)
{
	int64_t now_us = environment->now_us;
	time_t now = (time_t)(now_us / 1000000);
	struct tm tm;
	gmtime_r(&now, &tm);
	const struct {
		const char *name;
		int number;
	} numbers[] = { { "@second", tm.tm_sec }, { "@minute", tm.tm_min }, { "@hour", tm.tm_hour },
		{ "@weekday", tm.tm_wday }, { "@day", tm.tm_mday }, { "@month", tm.tm_mon + 1 },
		{ "@year", tm.tm_year + 1900 } };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (bytes_eq_string(param->name, numbers[i].name)) {
			store_bind_int64(stmt, index, numbers[i].number);
			return true;
		}
	const struct {
		const char *name;
		int64_t wall_us;
	} times[] = { { "@now", now_us }, { "@yesterday", now_us - DAY_S * INT64_C(1000000) },
		{ "@tomorrow", now_us + DAY_S * INT64_C(1000000) },
		{ "@todayStart", boundary(tm, 'd', false) },
		{ "@todayEnd", boundary(tm, 'd', true) },
		{ "@monthStart", boundary(tm, 'm', false) },
		{ "@monthEnd", boundary(tm, 'm', true) },
		{ "@yearStart", boundary(tm, 'y', false) },
		{ "@yearEnd", boundary(tm, 'y', true) } };
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (bytes_eq_string(param->name, times[i].name)) {
			char *text = arena_alloc(environment->arena, CLOCK_TEXT_BYTES);
			if (!text)
				return false;
			clock_format(times[i].wall_us, text);
			return bind_text(param, environment, stmt, index, bytes_of(text));
		}
	return true;
}

static bool bind_one(const struct expr_param *param, const struct expr_environment *environment,
	struct store_stmt *stmt, int index)
{
	struct bytes text;
	switch (param->source) {
	case EXPR_LITERAL:
		return bind_text(param, environment, stmt, index, param->name);
	case EXPR_LITERAL_NUMBER:
		bind_number(stmt, index, param->number);
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
	case EXPR_BODY:
	case EXPR_BODY_ISSET:
	case EXPR_BODY_LENGTH:
		return bind_body(param, environment, stmt, index);
	case EXPR_QUERY:
	case EXPR_QUERY_ISSET:
	case EXPR_HEADER:
	case EXPR_HEADER_ISSET:
		return bind_pair(param, environment, stmt, index);
	case EXPR_MACRO:
		return bind_macro(param, environment, stmt, index);
	default:
		return true;
	}
	return text.n == 0 || bind_text(param, environment, stmt, index, text);
}

bool expr_bind(const struct expr_sql *sql, const struct expr_environment *environment,
	struct store_stmt *stmt)
{
	/* Parameters that ended up in no part of the SQL have no number in the statement. */
	int n_known = store_n_parameters(stmt);
	for (size_t i = 0; i < sql->n_params; i++) {
		int index = (int)(sql->first_param + i);
		if (index <= n_known && !bind_one(&sql->params[i], environment, stmt, index))
			return false;
	}
	return true;
}
