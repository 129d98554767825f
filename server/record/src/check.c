/*
 * check.c - may this value stand in this field? With the codes that PocketBase's users know
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
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

void problems_add(
	struct problems *problems, struct bytes field, const char *code, const char *format, ...)
{
	char message[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	struct text_json_writer *writer = &problems->writer;
	text_json_write_key(writer, field);
	text_json_begin_object(writer);
	text_json_write_key(writer, BYTES("code"));
	text_json_write_string(writer, bytes_of(code));
	text_json_write_key(writer, BYTES("message"));
	text_json_write_string(writer, bytes_of(message));
	text_json_end_object(writer);
	problems->n++;
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
		problems_add(problems, field->name, "validation_min_text_constraint",
			"Must be at least %lld character(s).", (long long)field->min);
	else if (n > max)
		problems_add(problems, field->name, "validation_max_text_constraint",
			"Must be no more than %lld character(s).", (long long)max);
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
			"Must be larger than %g.", field->min_number);
	else if (field->has_max && number > field->max_number)
		problems_add(problems, field->name, "validation_max_number_constraint",
			"Must be less than %g.", field->max_number);
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

static void check_choices(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	int64_t max = field->max > 1 ? field->max : 1;
	if (is_required_missing(field, value->n_items == 0, problems) || !value->n_items)
		return;
	if ((int64_t)value->n_items < field->min && field->type == FIELD_RELATION) {
		problems_add(problems, field->name, "validation_not_enough_values",
			"Select at least %lld.", (long long)field->min);
		return;
	}
	if ((int64_t)value->n_items > max) {
		problems_add(problems, field->name, "validation_too_many_values",
			"Select no more than %lld.", (long long)max);
		return;
	}
	for (size_t i = 0; i < value->n_items && field->type == FIELD_SELECT; i++)
		if (!contains(&field->values, value->items[i])) {
			struct bytes shown = text_utf8_prefix(value->items[i], 100);
			problems_add(problems, field->name, "validation_invalid_value",
				"Invalid value %.*s.", (int)shown.n, shown.p);
			return;
		}
}

static void check_date(
	const struct record_field *field, struct bytes text, struct problems *problems)
{
	char bound[CLOCK_TEXT_BYTES];
	if (value_parse_date(field->min_date, bound) && bytes_cmp(text, bytes_of(bound)) < 0)
		problems_add(problems, field->name, "validation_min_greater_equal_than_required",
			"Must be no less than %s.", bound);
	else if (value_parse_date(field->max_date, bound) && bytes_cmp(text, bytes_of(bound)) > 0)
		problems_add(problems, field->name, "validation_max_less_equal_than_required",
			"Must be no greater than %s.", bound);
}

void value_check(
	const struct record_field *field, const struct value *value, struct problems *problems)
{
	int64_t json_max = field->max ? field->max : JSON_MAX;
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
	case FIELD_JSON: {
		bool is_empty = value->is_null || bytes_eq_string(value->text, "\"\"") ||
				bytes_eq_string(value->text, "[]") ||
				bytes_eq_string(value->text, "{}");
		if (is_required_missing(field, is_empty, problems) && field->is_required)
			return;
		if ((int64_t)value->text.n > json_max)
			problems_add(problems, field->name, "validation_json_size_limit",
				"The maximum allowed JSON size is %lld bytes.",
				(long long)json_max);
		return;
	}
	case FIELD_AUTODATE:
	case FIELD_PASSWORD:
		return;
	default:
		break;
	}
	if (is_required_missing(field, value->text.n == 0, problems))
		return;
	if (field->type == FIELD_DATE)
		check_date(field, value->text, problems);
	else if (field->type == FIELD_EMAIL || field->type == FIELD_URL)
		check_address(field, value->text, problems);
	else
		check_length(field, value->text, field->max ? field->max : TEXT_MAX, problems);
}

void value_check_password(
	const struct record_field *field, struct bytes password, struct problems *problems)
{
	int64_t max = field->max && field->max <= 71 ? field->max : 71;
	if (!is_required_missing(field, password.n == 0, problems))
		check_length(field, password, max, problems);
}
