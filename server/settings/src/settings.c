/*
 * settings.c - a snapshot: made, filled from JSON, checked, told
 */
#include "internal.h"

#include "egress_smtp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (256u << 10)

static void *at(const struct settings *settings, const struct settings_row *row)
{
	return (char *)(uintptr_t)settings + row->offset;
}

void settings_problem(struct settings_problems *problems, const char *group, const char *name,
	const char *code, const char *message)
{
	struct text_json_writer *writer = &problems->writer;

	if (problems->n++)
		return; /* the first is told; two of one group would be one key twice */
	text_json_write_key(writer, bytes_of(group));
	text_json_begin_object(writer);
	text_json_write_key(writer, bytes_of(name));
	text_json_begin_object(writer);
	text_json_write_key(writer, BYTES("code"));
	text_json_write_string(writer, bytes_of(code));
	text_json_write_key(writer, BYTES("message"));
	text_json_write_string(writer, bytes_of(message));
	text_json_end_object(writer);
	text_json_end_object(writer);
}

/* ---- making ---- */

static bool copy_text(struct arena *arena, struct bytes text, struct bytes *ret)
{
	char *copy = arena_copy(arena, text);

	*ret = (struct bytes){ copy, text.n };
	return copy;
}

static bool set_default(struct settings *settings, const struct settings_row *row)
{
	uint64_t number;

	switch (row->type) {
	case ROW_BOOL:
		*(bool *)at(settings, row) = strcmp(row->initial, "true") == 0;
		return true;
	case ROW_NUMBER:
		if (!bytes_parse_u64(bytes_of(row->initial), INT64_MAX, &number))
			abort(); /* the table is ours */
		*(int64_t *)at(settings, row) = (int64_t)number;
		return true;
	case ROW_LIMITS:
		return settings_default_limits(settings, NULL) == 0;
	case ROW_TEXT:
	case ROW_CHOICE:
	case ROW_SECRET:
		break;
	}
	*(struct bytes *)at(settings, row) = bytes_of(row->initial);
	return true;
}

int settings_new(struct settings **ret, struct err *err)
{
	DEFER(settings_unref) struct settings *settings = calloc(1, sizeof *settings);

	if (!settings)
		return ERR_SET(err, ERR_NOMEM, "no memory for settings");
	atomic_init(&settings->n_refs, 1);
	if (arena_new(ARENA_MAX, &settings->arena, err) < 0)
		return -1;
	for (size_t i = 0; i < settings_n_rows; i++)
		if (!set_default(settings, &settings_rows[i]))
			return ERR_SET(err, ERR_NOMEM, "no memory for settings");
	*ret = settings;
	settings = NULL; /* handed over */
	return 0;
}

void settings_unref(struct settings *settings)
{
	if (!settings || atomic_fetch_sub_explicit(&settings->n_refs, 1, memory_order_acq_rel) > 1)
		return;
	/* In the arena is a password; a default's text is a literal. */
	if (settings->smtp.password.n > 0)
		explicit_bzero(
			(char *)(uintptr_t)settings->smtp.password.p, settings->smtp.password.n);
	arena_free(settings->arena);
	free(settings);
}

/* ---- reading ---- */

static bool is_url(struct bytes text)
{
	size_t n = bytes_starts_with(text, BYTES("https://"))  ? 8
		   : bytes_starts_with(text, BYTES("http://")) ? 7
							       : 0;

	if (n == 0 || text.n == n)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 127 ||
			strchr("<>\"'\\^`{|}", text.p[i]))
			return false;
	return true;
}

static bool is_choice(const struct settings_row *row, struct bytes text)
{
	for (size_t i = 0; row->choices[i]; i++)
		if (bytes_eq_string(text, row->choices[i]))
			return true;
	return false;
}

/* Whether the row's check holds now: some only while the group is enabled. */
static bool is_checked(const struct settings *settings, const struct settings_row *row)
{
	if (!row->enabled_by)
		return true;
	for (size_t i = 0; i < settings_n_rows; i++)
		if (strcmp(settings_rows[i].group, row->group) == 0 &&
			strcmp(settings_rows[i].name, row->enabled_by) == 0)
			return *(bool *)at(settings, &settings_rows[i]);
	return true;
}

static const char *check_text(const struct settings *settings, const struct settings_row *row,
	struct bytes text, const char **ret_message)
{
	if ((int64_t)text.n > row->max) {
		*ret_message = "It is too long.";
		return "validation_length_out_of_range";
	}
	if (row->type == ROW_CHOICE) {
		*ret_message = "Must be a valid value.";
		return is_choice(row, text) ? NULL : "validation_in_invalid";
	}
	if (row->check == CHECK_NONE || !is_checked(settings, row))
		return NULL;
	*ret_message = "Cannot be blank.";
	if (text.n == 0)
		return "validation_required";
	*ret_message = "Must be a valid email address.";
	if (row->check == CHECK_EMAIL && !egress_smtp_address_is_valid(text))
		return "validation_is_email";
	*ret_message = "Must be a valid URL.";
	if (row->check == CHECK_URL && !is_url(text))
		return "validation_is_url";
	*ret_message = "Must be a valid hostname or IP address.";
	return row->check == CHECK_HOST && !egress_smtp_host_is_valid(text) ? "validation_is_host"
									    : NULL;
}

static const char *take_number(const struct settings_row *row, const struct json *value,
	int64_t *into, const char **ret_message)
{
	int64_t number;

	*ret_message = "Must be a whole number.";
	if (!json_as_int64(value, &number))
		return "validation_invalid_value";
	*ret_message = "It is too small.";
	if (number < row->min)
		return "validation_min_greater_equal_than_required";
	*ret_message = "It is too large.";
	if (number > row->max)
		return "validation_max_less_equal_than_required";
	*into = number;
	return NULL;
}

/* NULL when it could be taken, else the problem's code. */
static const char *take_value(struct settings *settings, const struct settings_row *row,
	const struct json *value, const char **ret_message)
{
	struct bytes text;

	*ret_message = "Invalid value.";
	switch (row->type) {
	case ROW_BOOL:
		return json_as_bool(value, at(settings, row)) ? NULL : "validation_invalid_value";
	case ROW_NUMBER:
		return take_number(row, value, at(settings, row), ret_message);
	case ROW_LIMITS:
		return NULL;
	case ROW_TEXT:
	case ROW_CHOICE:
	case ROW_SECRET:
		break;
	}
	if (!json_as_string(value, &text) || (text.n && memchr(text.p, '\0', text.n)))
		return "validation_invalid_value";
	if (!copy_text(settings->arena, text, at(settings, row))) {
		*(struct bytes *)at(settings, row) = (struct bytes){ "", 0 };
		*ret_message = "It is too long.";
		return "validation_length_out_of_range";
	}
	return NULL;
}

int settings_take(struct settings *settings, const struct json *object,
	struct settings_problems *problems, struct err *err)
{
	const char *message = NULL;

	for (size_t i = 0; i < settings_n_rows; i++) {
		const struct settings_row *row = &settings_rows[i];
		const struct json *value = json_get(json_get(object, row->group), row->name);
		if (!value)
			continue;
		if (row->type == ROW_LIMITS &&
			settings_take_limits(settings, value, problems, err) < 0)
			return -1;
		const char *code = take_value(settings, row, value, &message);
		if (code)
			settings_problem(problems, row->group, row->name, code, message);
	}
	/* Over the whole: what one setting needs may be said by another. */
	for (size_t i = 0; i < settings_n_rows; i++) {
		const struct settings_row *row = &settings_rows[i];
		if (row->type != ROW_TEXT && row->type != ROW_CHOICE && row->type != ROW_SECRET)
			continue;
		const char *code =
			check_text(settings, row, *(struct bytes *)at(settings, row), &message);
		if (code)
			settings_problem(problems, row->group, row->name, code, message);
	}
	return 0;
}

/* ---- telling ---- */

static void write_value(struct text_json_writer *json, const struct settings *settings,
	const struct settings_row *row)
{
	switch (row->type) {
	case ROW_BOOL:
		text_json_write_bool(json, *(bool *)at(settings, row));
		return;
	case ROW_NUMBER:
		text_json_write_int64(json, *(int64_t *)at(settings, row));
		return;
	case ROW_LIMITS:
		settings_write_limits(json, settings);
		return;
	case ROW_TEXT:
	case ROW_CHOICE:
	case ROW_SECRET:
		text_json_write_string(json, *(struct bytes *)at(settings, row));
		return;
	}
}

void settings_write_group(struct text_json_writer *json, const struct settings *settings,
	const char *group, struct bytes sealed)
{
	text_json_begin_object(json);
	for (size_t i = 0; i < settings_n_rows; i++) {
		const struct settings_row *row = &settings_rows[i];
		if (strcmp(row->group, group) != 0 || (row->type == ROW_SECRET && !sealed.n))
			continue;
		text_json_write_key(json, bytes_of(row->name));
		if (row->type == ROW_SECRET)
			text_json_write_string(json, sealed);
		else
			write_value(json, settings, row);
	}
	text_json_end_object(json);
}

void settings_write(struct text_json_writer *json, const struct settings *settings)
{
	/* What this version does not have, as it looks while it is off; and what only an operator
	 * sets. */
	static const char absent[] =
		"{\"enabled\":false,\"bucket\":\"\",\"region\":\"\",\"endpoint\":\"\","
		"\"accessKey\":\"\",\"forcePathStyle\":false}";
	const char *last = "";

	text_json_begin_object(json);
	for (size_t i = 0; i < settings_n_rows; i++) {
		const char *group = settings_rows[i].group;
		if (strcmp(group, last) == 0)
			continue;
		last = group;
		text_json_write_key(json, bytes_of(group));
		settings_write_group(json, settings, group, (struct bytes){ 0 });
	}
	text_json_write_key(json, BYTES("s3"));
	text_json_write_raw(json, bytes_of(absent));
	text_json_write_key(json, BYTES("backups"));
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("cron"));
	text_json_write_string(json, BYTES(""));
	text_json_write_key(json, BYTES("cronMaxKeep"));
	text_json_write_int64(json, 3);
	text_json_write_key(json, BYTES("s3"));
	text_json_write_raw(json, bytes_of(absent));
	text_json_end_object(json);
	text_json_write_key(json, BYTES("trustedProxy"));
	text_json_write_raw(json, BYTES("{\"headers\":[],\"useLeftmostIP\":false}"));
	text_json_end_object(json);
}
