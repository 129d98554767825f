/*
 * check.c - may this value stand in this field? With the codes that PocketBase's users know
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text_utf8.h"
#include "value.h"

void problems_init(struct problems *problems, struct bytes_buf *out)
{
	bytes_buf_clear(out);
	*problems = (struct problems){ .out = out };
	text_json_writer_init(&problems->writer, out);
	text_json_begin_object(&problems->writer);
}

static void write_problem(struct problems *problems, struct bytes field, const char *code,
	const char *message, struct bytes params)
{
	struct text_json_writer *writer = &problems->writer;
	text_json_write_key(writer, field);
	text_json_begin_object(writer);
	text_json_write_key(writer, BYTES("code"));
	text_json_write_string(writer, bytes_of(code));
	text_json_write_key(writer, BYTES("message"));
	text_json_write_string(writer, bytes_of(message));
	if (params.n) {
		text_json_write_key(writer, BYTES("params"));
		text_json_write_raw(writer, params);
	}
	text_json_end_object(writer);
	problems->n++;
}

void problems_add(
	struct problems *problems, struct bytes field, const char *code, const char *format, ...)
{
	char message[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	write_problem(problems, field, code, message, (struct bytes){ NULL, 0 });
}

void problems_add_params(struct problems *problems, struct bytes field, const char *code,
	struct bytes params, const char *format, ...)
{
	char message[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	write_problem(problems, field, code, message, params);
}

/* A limit that was passed: {"max":5}, and a sentence around it. */
static void add_limit(struct problems *problems, const struct record_field *field, const char *code,
	const char *name, int64_t limit, const char *before, const char *after)
{
	char params[64];
	int n = snprintf(params, sizeof(params), "{\"%s\":%lld}", name, (long long)limit);
	problems_add_params(problems, field->name, code, (struct bytes){ params, (size_t)n },
		"%s %lld%s.", before, (long long)limit, after);
}

void problems_finish(struct problems *problems)
{
	text_json_end_object(&problems->writer);
}

static size_t characters(struct bytes text)
{
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}

static bool is_required_missing(
	const struct record_field *field, bool is_empty, struct problems *problems)
{
	if (is_empty && field->is_required)
		problems_add(
			problems, field->name, "validation_required", "Missing required value.");
	return is_empty;
}

/* The texts come from JSON and may hold NUL, which no pattern can match. */
static bool matches(const struct record_field *field, struct bytes text)
{
	char copy[4 * TEXT_MAX + 1];
	if (!field->regex)
		return true;
	if (text.n && memchr(text.p, '\0', text.n))
		return false;
	return bytes_to_string(text, copy, sizeof(copy)) &&
	       regexec(field->regex, copy, 0, NULL, 0) == 0;
}

static void check_length(
	const struct record_field *field, struct bytes text, int64_t max, struct problems *problems)
{
	int64_t n = (int64_t)characters(text);
	if (field->min && n < field->min)
		add_limit(problems, field, "validation_min_text_constraint", "min", field->min,
			"Must be at least", " character(s)");
	else if (n > max)
		add_limit(problems, field, "validation_max_text_constraint", "max", max,
			"Must be no more than", " character(s)");
	else if (!matches(field, text))
		problems_add(problems, field->name, "validation_invalid_format",
			"Invalid value format.");
}

static void check_number(const struct record_field *field, double number, struct problems *problems)
{
	if (is_required_missing(field, number == 0, problems))
		return;
	if (field->only_int && number != trunc(number))
		problems_add(problems, field->name, "validation_only_int_constraint",
			"Decimal numbers are not allowed.");
	else if (field->has_min && number < field->min_number)
		problems_add(problems, field->name, "validation_min_number_constraint",
			"Must be larger than %f.", field->min_number);
	else if (field->has_max && number > field->max_number)
		problems_add(problems, field->name, "validation_max_number_constraint",
			"Must be less than %f.", field->max_number);
}

static bool is_domain(struct bytes text)
{
	size_t label = 0, n_dots = 0;
	if (text.n == 0 || text.n > 253)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
		if (c == '.') {
			if (label == 0 || text.p[i - 1] == '-')
				return false;
			n_dots++;
			label = 0;
		} else if (is_alnum || (c == '-' && label > 0)) {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
	}
	return label > 0 && n_dots > 0 && text.p[text.n - 1] != '-';
}

static bool is_email(struct bytes text, struct bytes *ret_domain)
{
	const char *at = text.n ? memrchr(text.p, '@', text.n) : NULL;
	if (!at || at == text.p || text.n > 255 || at - text.p > 64)
		return false;
	for (const char *p = text.p; p < at; p++) {
		bool is_dot = *p == '.';
		if ((unsigned char)*p <= ' ' || *p == 127 || strchr("()<>[]:;@\\,\"", *p))
			return false;
		if (is_dot && (p == text.p || p + 1 == at || p[1] == '.'))
			return false;
	}
	*ret_domain = (struct bytes){ at + 1, text.n - (size_t)(at + 1 - text.p) };
	return is_domain(*ret_domain);
}

/* scheme://host..., without blanks. */
/* Two labels at least, of letters, digits, '-' and '_'. */
static bool is_dotted(struct bytes domain)
{
	bool has_dot = false, has_letter = false; /* the last label is no number */
	size_t label = 0;
	for (size_t i = 0; i < domain.n; i++) {
		char c = domain.p[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				 (c >= '0' && c <= '9') || c == '-' || c == '_';
		if (!is_letter && (c != '.' || label == 0))
			return false;
		has_dot |= c == '.';
		has_letter = is_letter && ((label && has_letter) || c < '0' || c > '9');
		label = is_letter ? label + 1 : 0;
	}
	return has_dot && label > 0 && has_letter;
}

/* A link may leave its scheme out when what follows looks like a host: "example.org/x". */
static bool is_url(struct bytes text, struct bytes *ret_domain)
{
	static const char *const schemes[] = { "http://", "https://", "ftp://", "tcp://", "udp://",
		"ws://", "wss://" };
	size_t skip = 0;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]) && !skip; i++)
		if (bytes_starts_with(text, bytes_of(schemes[i])))
			skip = strlen(schemes[i]);
	if (text.n > 2083 || text.n == skip)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 127 ||
			strchr("<>\"\\^`{|}", text.p[i]))
			return false;
	struct bytes rest = { text.p + skip, text.n - skip };
	size_t n = 0;
	while (n < rest.n && !strchr("/?#", rest.p[n]))
		n++;
	const char *user = memrchr(rest.p, '@', n);
	if (user) {
		n -= (size_t)(user + 1 - rest.p);
		rest.p = user + 1;
	}
	const char *port = memchr(rest.p, ':', n);
	*ret_domain = (struct bytes){ rest.p, port ? (size_t)(port - rest.p) : n };
	return skip ? ret_domain->n > 0 : is_dotted(*ret_domain);
}

static bool contains(const struct bytes_list *list, struct bytes item)
{
	for (size_t i = 0; i < list->n; i++)
		if (bytes_eq(list->items[i], item))
			return true;
	return false;
}

static void check_address(
	const struct record_field *field, struct bytes text, struct problems *problems)
{
	struct bytes domain;
	bool is_mail = field->type == FIELD_EMAIL;
	if (!(is_mail ? is_email(text, &domain) : is_url(text, &domain)))
		problems_add(problems, field->name,
			is_mail ? "validation_is_email" : "validation_is_url",
			is_mail ? "Must be a valid email address." : "Must be a valid url.");
	else if ((field->only_domains.n && !contains(&field->only_domains, domain)) ||
		 contains(&field->except_domains, domain))
		problems_add(problems, field->name,
			is_mail ? "validation_email_domain_not_allowed"
				: "validation_url_domain_not_allowed",
			"The domain is not allowed.");
}

static void add_unknown_choice(
	struct problems *problems, const struct record_field *field, struct bytes choice)
{
	DEFER(bytes_buf_fini) struct bytes_buf params;
	struct bytes shown = text_utf8_prefix(choice, 100);
	bytes_buf_init(&params, 1024);
	bytes_buf_append_string(&params, "{\"value\":");
	text_json_append_string(&params, shown);
	bytes_buf_append_byte(&params, '}');
	problems_add_params(problems, field->name, "validation_invalid_value",
		params.failed ? (struct bytes){ NULL, 0 } : bytes_buf_view(&params),
		"Invalid value %.*s.", (int)shown.n, shown.p);
}

static void check_choices(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	int64_t max = field->max > 1 ? field->max : 1;
	if (is_required_missing(field, value->n_items == 0, problems) || !value->n_items)
		return;
	if ((int64_t)value->n_items < field->min && field->type == FIELD_RELATION) {
		add_limit(problems, field, "validation_not_enough_values", "minSelect", field->min,
			"Select at least", "");
		return;
	}
	if ((int64_t)value->n_items > max) {
		add_limit(problems, field, "validation_too_many_values", "maxSelect", max,
			"Select no more than", "");
		return;
	}
	for (size_t i = 0; i < value->n_items && field->type == FIELD_SELECT; i++)
		if (!contains(&field->values, value->items[i])) {
			add_unknown_choice(problems, field, value->items[i]);
			return;
		}
}

static void add_threshold(struct problems *problems, const struct record_field *field,
	const char *code, const char *before, const char *bound)
{
	char params[64];
	int n = snprintf(params, sizeof(params), "{\"threshold\":\"%s\"}", bound);
	problems_add_params(problems, field->name, code, (struct bytes){ params, (size_t)n },
		"%s %s.", before, bound);
}

static void check_date(
	const struct record_field *field, struct bytes text, struct problems *problems)
{
	char bound[CLOCK_TEXT_BYTES];
	if (value_parse_date(field->min_date, bound) && bytes_cmp(text, bytes_of(bound)) < 0)
		add_threshold(problems, field, "validation_min_greater_equal_than_required",
			"Must be no less than", bound);
	else if (value_parse_date(field->max_date, bound) && bytes_cmp(text, bytes_of(bound)) > 0)
		add_threshold(problems, field, "validation_max_less_equal_than_required",
			"Must be no greater than", bound);
}

static void check_json(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	int64_t max = field->max ? field->max : JSON_MAX;
	bool is_empty = value->is_null || bytes_eq_string(value->text, "\"\"") ||
			bytes_eq_string(value->text, "[]") || bytes_eq_string(value->text, "{}");
	if (is_required_missing(field, is_empty, problems) && field->is_required)
		return;
	if ((int64_t)value->text.n > max)
		add_limit(problems, field, "validation_json_size_limit", "maxSize", max,
			"The maximum allowed JSON size is", " bytes");
}

static void check_editor(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	int64_t max = field->max ? field->max : EDITOR_MAX;
	if (!is_required_missing(field, value->text.n == 0, problems) &&
		(int64_t)value->text.n > max)
		add_limit(problems, field, "validation_content_size_limit", "maxSize", max,
			"The maximum allowed content size is", " bytes");
}

static void check_point(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	bool is_zero = value->number == 0 && value->latitude == 0;
	if (is_required_missing(field, is_zero, problems))
		return;
	if (!(value->latitude >= -90 && value->latitude <= 90))
		problems_add(problems, field->name, "validation_invalid_latitude",
			"Latitude must be between -90 and 90 degrees.");
	else if (!(value->number >= -180 && value->number <= 180))
		problems_add(problems, field->name, "validation_invalid_longitude",
			"Longitude must be between -180 and 180 degrees.");
}

static void check_text(
	const struct record_field *field, struct bytes text, struct problems *problems)
{
	if (is_required_missing(field, text.n == 0, problems))
		return;
	if (field->type == FIELD_DATE)
		check_date(field, text, problems);
	else if (field->type == FIELD_EMAIL || field->type == FIELD_URL)
		check_address(field, text, problems);
	else
		check_length(field, text, field->max ? field->max : TEXT_MAX, problems);
}

void value_check(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	switch (field->type) {
	case FIELD_NUMBER:
		check_number(field, value->number, problems);
		return;
	case FIELD_BOOL:
		is_required_missing(field, value->number == 0, problems);
		return;
	case FIELD_SELECT:
	case FIELD_RELATION:
		check_choices(field, value, problems);
		return;
	case FIELD_JSON:
		check_json(field, value, problems);
		return;
	case FIELD_EDITOR:
		check_editor(field, value, problems);
		return;
	case FIELD_GEO_POINT:
		check_point(field, value, problems);
		return;
	case FIELD_AUTODATE:
	case FIELD_FILE: /* files_check() */
	case FIELD_PASSWORD:
		return;
	default:
		check_text(field, value->text, problems);
	}
}

void value_check_password(
	const struct record_field *field, struct bytes password, struct problems *problems)
{
	int64_t max = field->max && field->max <= 71 ? field->max : 71;
	if (!is_required_missing(field, password.n == 0, problems))
		check_length(field, password, max, problems);
}

/* Numbers and booleans from words: those that the casts understand. */
static bool is_number_text(struct bytes text)
{
	char copy[64], *stop;
	if (!bytes_to_string(text, copy, sizeof(copy)) || isspace((unsigned char)copy[0]))
		return false;
	double number = strtod(copy, &stop);
	return !*stop && isfinite(number);
}

static bool is_bool_text(struct bytes text)
{
	static const char *const words[] = { "1", "t", "T", "true", "TRUE", "True", "0", "f", "F",
		"false", "FALSE", "False" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (bytes_eq_string(text, words[i]))
			return true;
	return false;
}

bool value_converts(const struct record_field *field, struct bytes json, struct arena *arena)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes text = { NULL, 0 }, domain;
	struct value value;
	char date[CLOCK_TEXT_BYTES];
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	bool is_text = text_json_text(&token, arena, &text);
	bool is_tree = token.type == TEXT_JSON_OBJECT || token.type == TEXT_JSON_ARRAY;
	if (token.type == TEXT_JSON_NULL || (is_text && !text.n))
		return true;
	switch (field->type) {
	case FIELD_NUMBER:
		return is_text ? is_number_text(text) : !is_tree;
	case FIELD_BOOL:
		return is_text ? is_bool_text(text) : !is_tree;
	case FIELD_DATE:
	case FIELD_AUTODATE:
		return is_text && value_parse_date(text, date);
	case FIELD_EMAIL:
		return is_text && is_email(text, &domain);
	case FIELD_URL:
		return is_text && is_url(text, &domain);
	case FIELD_GEO_POINT:
		return value_parse(field, json, arena, &value) &&
		       (value.number != 0 || value.latitude != 0 ||
			       bytes_eq_string(is_text ? text : json, "{\"lon\":0,\"lat\":0}"));
	case FIELD_SELECT:
		if (!value_parse(field, json, arena, &value))
			return false;
		for (size_t i = 0; i < value.n_items; i++)
			if (!contains(&field->values, value.items[i]))
				return false;
		return true;
	case FIELD_PASSWORD:
		return false;
	default:
		return true;
	}
}
