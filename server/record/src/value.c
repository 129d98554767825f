/*
 * value.c - from JSON to a field's type
 */
#include "value.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text_json_check.h"

void value_default(const struct record_field *field, struct value *ret)
{
	*ret = (struct value){ .is_set = true, .is_null = field->type == FIELD_JSON };
	if (field->is_raw && !ret->is_null)
		ret->text = value_empty_json(field);
}

struct bytes value_empty_json(const struct record_field *field)
{
	if (field->is_list)
		return BYTES("[]");
	return field->type == FIELD_GEO_POINT ? BYTES("{\"lon\":0,\"lat\":0}") : BYTES("null");
}

/* ---- dates ---- */

static bool take_digits(const char **at, const char *end, size_t n, int *ret)
{
	if ((size_t)(end - *at) < n)
		return false;
	int value = 0;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*at)[i]))
			return false;
		value = value * 10 + ((*at)[i] - '0');
	}
	*at += n;
	*ret = value;
	return true;
}

static bool take_byte(const char **at, const char *end, char byte)
{
	if (*at == end || **at != byte)
		return false;
	(*at)++;
	return true;
}

/* .123 of any length; what is beyond milliseconds is dropped. */
static bool take_fraction(const char **at, const char *end, int *ret_ms)
{
	int digit, scale = 100;
	*ret_ms = 0;
	if (!take_byte(at, end, '.'))
		return true;
	if (!take_digits(at, end, 1, &digit))
		return false;
	do {
		*ret_ms += digit * scale;
		scale /= 10;
	} while (take_digits(at, end, 1, &digit));
	return true;
}

/* Z, nothing, or an offset such as +02:00 or -0530. */
static bool take_zone(const char **at, const char *end, int *ret_minutes)
{
	int hours, minutes;
	*ret_minutes = 0;
	take_byte(at, end, ' ');
	if (*at == end || (take_byte(at, end, 'Z') && *at == end))
		return true;
	int sign = **at == '-' ? -1 : 1;
	if (!take_byte(at, end, '+') && !take_byte(at, end, '-'))
		return false;
	if (!take_digits(at, end, 2, &hours) || hours > 14)
		return false;
	take_byte(at, end, ':');
	if (!take_digits(at, end, 2, &minutes) || minutes > 59)
		return false;
	*ret_minutes = sign * (60 * hours + minutes);
	return *at == end;
}

bool value_parse_date(struct bytes text, char out[static CLOCK_TEXT_BYTES])
{
	const char *at = text.p, *end = text.p + text.n;
	struct tm tm = { 0 };
	int ms = 0, zone = 0, year, month;
	if (!text.n || !take_digits(&at, end, 4, &year) || !take_byte(&at, end, '-') ||
		!take_digits(&at, end, 2, &month) || !take_byte(&at, end, '-') ||
		!take_digits(&at, end, 2, &tm.tm_mday))
		return false;
	if (at != end) {
		if (!take_byte(&at, end, ' ') && !take_byte(&at, end, 'T'))
			return false;
		if (!take_digits(&at, end, 2, &tm.tm_hour) || !take_byte(&at, end, ':') ||
			!take_digits(&at, end, 2, &tm.tm_min))
			return false;
		if (take_byte(&at, end, ':') &&
			(!take_digits(&at, end, 2, &tm.tm_sec) || !take_fraction(&at, end, &ms)))
			return false;
		if (!take_zone(&at, end, &zone))
			return false;
	}
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_hour > 23 || tm.tm_min > 59 ||
		tm.tm_sec > 59)
		return false;
	int day = tm.tm_mday;
	time_t seconds = timegm(&tm);
	if (tm.tm_mday != day) /* the 30th of February */
		return false;
	clock_format((seconds - 60 * zone) * INT64_C(1000000) + ms * 1000, out);
	return true;
}

/* ---- casts ---- */

static bool to_text(const struct text_json_token *token, struct arena *arena, struct bytes *ret)
{
	*ret = (struct bytes){ NULL, 0 };
	switch (token->type) {
	case TEXT_JSON_STRING:
		return text_json_text(token, arena, ret);
	case TEXT_JSON_INTEGER:
	case TEXT_JSON_DOUBLE:
	case TEXT_JSON_TRUE:
	case TEXT_JSON_FALSE:
		*ret = token->raw;
		return true;
	default:
		return true;
	}
}

static double to_number(const struct text_json_token *token, struct bytes text)
{
	double number;
	if (text_json_double(token, &number))
		return number;
	if (token->type == TEXT_JSON_TRUE)
		return 1;
	char copy[64], *stop;
	if (token->type != TEXT_JSON_STRING || !bytes_to_string(text, copy, sizeof(copy)))
		return 0;
	number = strtod(copy, &stop);
	return *stop || !isfinite(number) ? 0 : number;
}

static bool to_bool(const struct text_json_token *token, struct bytes text)
{
	static const char *const truths[] = { "1", "t", "T", "true", "TRUE", "True" };
	bool value;
	if (text_json_bool(token, &value))
		return value;
	for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++)
		if (token->type == TEXT_JSON_STRING && bytes_eq_string(text, truths[i]))
			return true;
	return token->type != TEXT_JSON_STRING && to_number(token, text) != 0;
}

static bool has_item(const struct value *value, struct bytes item)
{
	for (size_t i = 0; i < value->n_items; i++)
		if (bytes_eq(value->items[i], item))
			return true;
	return false;
}

/* Choices are few (they are checked against the field's maximum), so looking at all is cheap; but
 * what a client sends is not bounded by that. */
#define ITEMS_MAX 2000

static bool add_item(struct value *value, struct bytes item, struct arena *arena)
{
	if (item.n == 0 || value->n_items == ITEMS_MAX || has_item(value, item))
		return true;
	if ((value->n_items & (value->n_items + 1)) == 0) { /* 0, 1, 3, 7: full */
		struct bytes *items = arena_alloc(arena, (2 * value->n_items + 1) * sizeof(*items));
		if (!items)
			return false;
		if (value->n_items)
			memcpy(items, value->items, value->n_items * sizeof(*items));
		value->items = items;
	}
	value->items[value->n_items++] = item;
	return true;
}

static bool to_items(struct bytes json, struct arena *arena, struct value *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes text;
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return to_text(&token, arena, &text) && add_item(ret, text, arena);
	for (;;) {
		switch (text_json_next(&reader, &token)) {
		case TEXT_JSON_ARRAY_END:
		case TEXT_JSON_END:
		case TEXT_JSON_BROKEN:
			return true;
		case TEXT_JSON_OBJECT:
		case TEXT_JSON_ARRAY:
			text_json_skip(&reader, &token);
			break;
		default:
			if (!to_text(&token, arena, &text) || !add_item(ret, text, arena))
				return false;
		}
	}
}

bool value_set_items(const struct record_field *field, struct value *value, struct arena *arena)
{
	if (!field->is_list) {
		value->text = value->n_items ? value->items[value->n_items - 1]
					     : (struct bytes){ NULL, 0 };
		/* The last choice is the one that counts. */
		if (value->n_items) {
			value->items[0] = value->text;
			value->n_items = 1;
		}
		return true;
	}
	DEFER(bytes_buf_fini) struct bytes_buf out;
	bytes_buf_init(&out, JSON_MAX);
	struct text_json_writer writer;
	text_json_writer_init(&writer, &out);
	text_json_begin_array(&writer);
	for (size_t i = 0; i < value->n_items; i++)
		text_json_write_string(&writer, value->items[i]);
	text_json_end_array(&writer);
	char *copy = text_json_write_done(&writer) ? arena_copy(arena, bytes_buf_view(&out)) : NULL;
	value->text = (struct bytes){ copy, out.n };
	return copy;
}

static bool to_date(struct bytes text, struct arena *arena, struct bytes *ret)
{
	char *out = arena_alloc(arena, CLOCK_TEXT_BYTES);
	*ret = (struct bytes){ NULL, 0 };
	if (out && value_parse_date(text, out))
		*ret = bytes_of(out);
	return out;
}

/* A string that spells an array, an object, a number, true, false or null is that, so that forms
 * and JSON bodies can say the same; one in quotation marks of its own is the string in them. */
static struct bytes spelled_json(struct bytes text, struct bytes json)
{
	static const char starts[] = "[{\"-0123456789tfn";
	bool may_be = text.n && memchr(starts, text.p[0], sizeof(starts) - 1);
	if (may_be && text_json_check(text, &TEXT_JSON_LIMITS, NULL) == TEXT_JSON_VALID)
		return text;
	return json;
}

static double coordinate(struct bytes json, struct bytes pointer)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes member;
	double number;
	if (text_json_find(json, pointer, &member) != TEXT_JSON_FOUND)
		return 0;
	text_json_reader_init(&reader, member);
	text_json_next(&reader, &token);
	return text_json_double(&token, &number) ? number : 0;
}

/* {"lon":..,"lat":..}, or a text that holds it; all else is where both are 0. */
static bool to_point(const struct text_json_token *token, struct bytes json, struct bytes text,
	struct arena *arena, struct value *ret)
{
	char lon[TEXT_JSON_DOUBLE_BYTES], lat[TEXT_JSON_DOUBLE_BYTES];
	struct bytes point = token->type == TEXT_JSON_STRING ? spelled_json(text, json) : json;
	if (point.n && point.p[0] == '{') {
		ret->number = coordinate(point, BYTES("/lon"));
		ret->latitude = coordinate(point, BYTES("/lat"));
	}
	size_t n_lon = text_json_format_double(ret->number, lon);
	size_t n_lat = text_json_format_double(ret->latitude, lat);
	ret->text = arena_printf(
		arena, "{\"lon\":%.*s,\"lat\":%.*s}", (int)n_lon, lon, (int)n_lat, lat);
	return ret->text.p;
}

bool value_parse(
	const struct record_field *field, struct bytes json, struct arena *arena, struct value *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes text;
	*ret = (struct value){ .is_set = true };
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	if (!to_text(&token, arena, &text))
		return false;
	switch (field->type) {
	case FIELD_NUMBER:
		ret->number = to_number(&token, text);
		return true;
	case FIELD_BOOL:
		ret->number = to_bool(&token, text);
		return true;
	case FIELD_DATE:
	case FIELD_AUTODATE:
		return to_date(text, arena, &ret->text);
	case FIELD_SELECT:
	case FIELD_RELATION:
	case FIELD_FILE:
		return to_items(json, arena, ret) && value_set_items(field, ret, arena);
	case FIELD_JSON:
		ret->is_null = token.type == TEXT_JSON_NULL;
		ret->text = token.type == TEXT_JSON_STRING ? spelled_json(text, json) : json;
		ret->is_null |= bytes_eq_string(ret->text, "null");
		return true;
	case FIELD_GEO_POINT:
		return to_point(&token, json, text, arena, ret);
	default:
		ret->text = text;
		return true;
	}
}

bool value_of_column(const struct record_field *field, struct store_stmt *stmt, int column,
	struct arena *arena, struct value *ret)
{
	*ret = (struct value){ .is_set = true };
	if (field->type == FIELD_NUMBER || field->type == FIELD_BOOL) {
		ret->number = store_column_double(stmt, column);
		return true;
	}
	ret->is_null = store_column_is_null(stmt, column);
	struct bytes text = store_column_text(stmt, column);
	char *copy = arena_copy(arena, text);
	ret->text = (struct bytes){ copy, text.n };
	if (!copy)
		return false;
	if (field->is_list)
		return to_items(ret->text, arena, ret);
	if (field->type == FIELD_SELECT || field->type == FIELD_RELATION ||
		field->type == FIELD_FILE)
		return add_item(ret, ret->text, arena);
	return true;
}

void value_bind(const struct record_field *field, const struct value *value,
	struct store_stmt *stmt, int index)
{
	if (field->type == FIELD_NUMBER)
		store_bind_double(stmt, index, value->number);
	else if (field->type == FIELD_BOOL)
		store_bind_int64(stmt, index, value->number != 0);
	else if (value->is_null)
		store_bind_null(stmt, index);
	else
		store_bind_text(stmt, index, value->text);
}
