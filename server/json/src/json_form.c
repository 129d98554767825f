#include "json_form.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text_utf8.h"

void json_form_init(struct json_form *form, const struct json *value)
{
	memset(form, 0, sizeof *form);
	if (json_kind(value) == JSON_OBJECT)
		form->object = value;
	else
		json_form_problem(form, BYTES(""), "validation_invalid_type", "Must be an object.");
}

void json_form_problem(
	struct json_form *form, struct bytes field, const char *code, const char *format, ...)
{
	va_list args;

	if (form->n_problems++ >= JSON_FORM_PROBLEMS)
		return;
	struct json_form_problem *problem = &form->problems[form->n_problems - 1];
	bytes_to_string(text_utf8_prefix(field, sizeof problem->field - 1), problem->field,
		sizeof problem->field);
	problem->code = code;
	va_start(args, format);
	(void)vsnprintf(problem->message, sizeof problem->message, format, args);
	va_end(args);
}

/* The member to read, or NULL when there is nothing to read: noted as a problem if it is needed. */
static const struct json *ask(struct json_form *form, const char *name, enum json_form_need need)
{
	assert(form->n_asked < JSON_FORM_FIELDS);
	form->asked[form->n_asked++] = name;

	/* Not an object at all: that has been noted, once. */
	if (!form->object)
		return NULL;
	const struct json *value = json_get(form->object, name);
	if (json_kind(value) != JSON_ABSENT && json_kind(value) != JSON_NULL)
		return value;
	if (need == JSON_FORM_REQUIRED)
		json_form_problem(
			form, bytes_of(name), "validation_required", "Missing required value.");
	return NULL;
}

static bool refuse_kind(struct json_form *form, const char *name, enum json_kind kind)
{
	json_form_problem(form, bytes_of(name), "validation_invalid_type", "Must be %s.",
		json_kind_name(kind));
	return false;
}

bool json_form_bool(struct json_form *form, const char *name, enum json_form_need need, bool *ret)
{
	const struct json *value = ask(form, name, need);

	if (!value)
		return false;
	return json_as_bool(value, ret) || refuse_kind(form, name, JSON_BOOL);
}

bool json_form_int64(struct json_form *form, const char *name, enum json_form_need need,
	int64_t min, int64_t max, int64_t *ret)
{
	const struct json *value = ask(form, name, need);
	int64_t number;

	if (!value)
		return false;
	if (!json_as_int64(value, &number))
		return refuse_kind(form, name, JSON_INTEGER);
	if (number < min || number > max) {
		json_form_problem(form, bytes_of(name), "validation_out_of_range",
			"Must be between %lld and %lld.", (long long)min, (long long)max);
		return false;
	}
	*ret = number;
	return true;
}

bool json_form_double(struct json_form *form, const char *name, enum json_form_need need,
	double min, double max, double *ret)
{
	const struct json *value = ask(form, name, need);
	double number;

	if (!value)
		return false;
	if (!json_as_double(value, &number))
		return refuse_kind(form, name, JSON_DOUBLE);
	if (number < min || number > max) {
		json_form_problem(form, bytes_of(name), "validation_out_of_range",
			"Must be between %g and %g.", min, max);
		return false;
	}
	*ret = number;
	return true;
}

bool json_form_text(struct json_form *form, const char *name, enum json_form_need need,
	size_t min_bytes, size_t max_bytes, struct bytes *ret)
{
	const struct json *value = ask(form, name, need);
	struct bytes text;

	if (!value)
		return false;
	if (!json_as_string(value, &text))
		return refuse_kind(form, name, JSON_STRING);
	if (text.n < min_bytes || text.n > max_bytes) {
		json_form_problem(form, bytes_of(name), "validation_length_out_of_range",
			"Must have between %zu and %zu bytes.", min_bytes, max_bytes);
		return false;
	}
	if (text.n > 0 && memchr(text.p, 0, text.n)) {
		json_form_problem(form, bytes_of(name), "validation_invalid_text",
			"Must not hold a NUL character.");
		return false;
	}
	*ret = text;
	return true;
}

bool json_form_value(struct json_form *form, const char *name, enum json_form_need need,
	enum json_kind kind, const struct json **ret)
{
	const struct json *value = ask(form, name, need);

	if (!value)
		return false;
	if (json_kind(value) != kind)
		return refuse_kind(form, name, kind);
	*ret = value;
	return true;
}

void json_form_refuse_unknown(struct json_form *form)
{
	struct json_members all = json_members_of(form->object);
	const struct json *value;
	struct bytes key;

	while (json_members_next(&all, &key, &value)) {
		size_t i = 0;
		while (i < form->n_asked && !bytes_eq_string(key, form->asked[i]))
			i++;
		if (i == form->n_asked)
			json_form_problem(form, key, "validation_unknown_field", "Unknown field.");
	}
}
