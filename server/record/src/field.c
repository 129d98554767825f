/*
 * field.c - one field of a collection: read from JSON, written as JSON, as a column
 */
#include <stdlib.h>
#include <string.h>

#include "schema.h"

static const char *const type_names[FIELD_TYPES] = { [FIELD_TEXT] = "text",
	[FIELD_NUMBER] = "number",
	[FIELD_BOOL] = "bool",
	[FIELD_EMAIL] = "email",
	[FIELD_URL] = "url",
	[FIELD_DATE] = "date",
	[FIELD_AUTODATE] = "autodate",
	[FIELD_SELECT] = "select",
	[FIELD_JSON] = "json",
	[FIELD_RELATION] = "relation",
	[FIELD_FILE] = "file",
	[FIELD_PASSWORD] = "password",
	[FIELD_EDITOR] = "editor",
	[FIELD_GEO_POINT] = "geoPoint" };

const char *field_type_name(enum field_type type)
{
	return type_names[type];
}

bool name_is_reserved(struct bytes name)
{
	static const char *const reserved[] = { "rowid", "oid", "_rowid_", "expand", "collectionId",
		"collectionName", "null", "true", "false", "json_each", "json_tree" };
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (bytes_eq_nocase(name, bytes_of(reserved[i])))
			return true;
	struct bytes sqlite = BYTES("sqlite_");
	return name.n >= sqlite.n && bytes_eq_nocase((struct bytes){ name.p, sqlite.n }, sqlite);
}

bool name_is_valid(struct bytes name)
{
	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))))
			return false;
	}
	return !name_is_reserved(name);
}

struct bytes name_quote(struct arena *arena, struct bytes name)
{
	return arena_printf(arena, "\"%.*s\"", (int)name.n, name.p);
}

bool bytes_list_parse(struct bytes json, struct arena *arena, struct bytes_list *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	size_t max = 0;
	*ret = (struct bytes_list){ 0 };
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return token.type == TEXT_JSON_NULL;
	while (text_json_next(&reader, &token) == TEXT_JSON_STRING) {
		if (ret->n == max) {
			max = max ? 2 * max : 8;
			struct bytes *items = arena_alloc(arena, max * sizeof(*items));
			if (!items)
				return false;
			if (ret->n)
				memcpy(items, ret->items, ret->n * sizeof(*items));
			ret->items = items;
		}
		struct bytes text;
		if (!text_json_text(&token, arena, &text))
			return false;
		char *copy = arena_copy(arena, text);
		if (!copy)
			return false;
		ret->items[ret->n++] = (struct bytes){ copy, text.n };
	}
	return token.type == TEXT_JSON_ARRAY_END;
}

/* ---- reading ---- */

enum option_kind { OPTION_TEXT, OPTION_BOOL, OPTION_INT, OPTION_LIST, OPTION_RULE };

#define ALL     ((1u << FIELD_TYPES) - 1)
#define T(type) (1u << FIELD_##type)

/* The options that are one member each; min and max mean different things and are read apart. */
static const struct option {
	const char *name;
	enum option_kind kind;
	unsigned types;
	size_t offset;
} options[] = {
	{ "autogeneratePattern", OPTION_TEXT, T(TEXT),
		offsetof(struct record_field, autogenerate) },
	{ "cascadeDelete", OPTION_BOOL, T(RELATION),
		offsetof(struct record_field, cascade_delete) },
	{ "collectionId", OPTION_TEXT, T(RELATION), offsetof(struct record_field, collection_id) },
	{ "convertURLs", OPTION_BOOL, T(EDITOR), offsetof(struct record_field, convert_urls) },
	{ "cost", OPTION_INT, T(PASSWORD), offsetof(struct record_field, cost) },
	{ "exceptDomains", OPTION_LIST, T(EMAIL) | T(URL),
		offsetof(struct record_field, except_domains) },
	{ "hidden", OPTION_BOOL, ALL, offsetof(struct record_field, is_hidden) },
	{ "id", OPTION_TEXT, ALL, offsetof(struct record_field, id) },
	{ "maxSelect", OPTION_INT, T(SELECT) | T(RELATION) | T(FILE),
		offsetof(struct record_field, max) },
	{ "maxSize", OPTION_INT, T(FILE), offsetof(struct record_field, max_size) },
	{ "maxSize", OPTION_INT, T(JSON) | T(EDITOR), offsetof(struct record_field, max) },
	{ "mimeTypes", OPTION_LIST, T(FILE), offsetof(struct record_field, mime_types) },
	{ "minSelect", OPTION_INT, T(RELATION), offsetof(struct record_field, min) },
	{ "name", OPTION_TEXT, ALL, offsetof(struct record_field, name) },
	{ "onCreate", OPTION_BOOL, T(AUTODATE), offsetof(struct record_field, on_create) },
	{ "onUpdate", OPTION_BOOL, T(AUTODATE), offsetof(struct record_field, on_update) },
	{ "onlyDomains", OPTION_LIST, T(EMAIL) | T(URL),
		offsetof(struct record_field, only_domains) },
	{ "onlyInt", OPTION_BOOL, T(NUMBER), offsetof(struct record_field, only_int) },
	{ "pattern", OPTION_TEXT, T(TEXT) | T(PASSWORD), offsetof(struct record_field, pattern) },
	{ "presentable", OPTION_BOOL, ALL, offsetof(struct record_field, is_presentable) },
	{ "primaryKey", OPTION_BOOL, T(TEXT), offsetof(struct record_field, is_primary) },
	{ "protected", OPTION_BOOL, T(FILE), offsetof(struct record_field, is_protected) },
	{ "readRule", OPTION_RULE, ALL, offsetof(struct record_field, read_rule) },
	{ "required", OPTION_BOOL, ALL & ~T(AUTODATE), offsetof(struct record_field, is_required) },
	{ "system", OPTION_BOOL, ALL, offsetof(struct record_field, is_system) },
	{ "thumbs", OPTION_LIST, T(FILE), offsetof(struct record_field, thumbs) },
	{ "values", OPTION_LIST, T(SELECT), offsetof(struct record_field, values) },
	{ "writeRule", OPTION_RULE, ALL, offsetof(struct record_field, write_rule) },
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static bool read_type(struct bytes json, struct record_field *ret)
{
	struct bytes value;
	struct text_json_reader reader;
	struct text_json_token token;
	if (text_json_find(json, BYTES("/type"), &value) != TEXT_JSON_FOUND)
		return false;
	text_json_reader_init(&reader, value);
	if (text_json_next(&reader, &token) != TEXT_JSON_STRING)
		return false;
	for (int i = 0; i < FIELD_TYPES; i++)
		if (text_json_is(&token, bytes_of(type_names[i]))) {
			ret->type = (enum field_type)i;
			return true;
		}
	return false;
}

static bool read_text(const struct text_json_token *token, struct arena *arena, struct bytes *ret)
{
	struct bytes text = { NULL, 0 };
	if (token->type != TEXT_JSON_NULL && !text_json_text(token, arena, &text))
		return false;
	char *copy = arena_copy(arena, text);
	*ret = (struct bytes){ copy, text.n };
	return copy;
}

static bool read_option(struct record_field *field, const struct option *option, struct bytes value,
	struct arena *arena)
{
	struct text_json_reader reader;
	struct text_json_token token;
	void *at = (char *)field + option->offset;
	text_json_reader_init(&reader, value);
	text_json_next(&reader, &token);
	switch (option->kind) {
	case OPTION_TEXT:
		return read_text(&token, arena, at);
	case OPTION_BOOL:
		return token.type == TEXT_JSON_NULL || text_json_bool(&token, at);
	case OPTION_INT:
		return token.type == TEXT_JSON_NULL || text_json_int64(&token, at);
	case OPTION_LIST:
		return bytes_list_parse(value, arena, at);
	case OPTION_RULE:
		((struct record_rule *)at)->is_null = token.type == TEXT_JSON_NULL;
		return read_text(&token, arena, &((struct record_rule *)at)->text);
	}
	return false;
}

/* min and max: a count of characters, a number, or a date. */
static bool read_bound(
	struct record_field *field, bool is_max, struct bytes value, struct arena *arena)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, value);
	text_json_next(&reader, &token);
	if (field->type == FIELD_DATE)
		return read_text(&token, arena, is_max ? &field->max_date : &field->min_date);
	if (token.type == TEXT_JSON_NULL)
		return true;
	if (field->type == FIELD_NUMBER) {
		*(is_max ? &field->has_max : &field->has_min) = true;
		return text_json_double(&token, is_max ? &field->max_number : &field->min_number);
	}
	if (field->type != FIELD_TEXT && field->type != FIELD_PASSWORD)
		return true;
	return text_json_int64(&token, is_max ? &field->max : &field->min);
}

static bool read_members(
	struct bytes json, struct arena *arena, struct record_field *ret, const char **ret_option)
{
	struct text_json_reader reader;
	struct text_json_token key;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &key);
	while (text_json_next(&reader, &key) == TEXT_JSON_KEY) {
		bool is_max = text_json_is(&key, BYTES("max"));
		bool is_bound = is_max || text_json_is(&key, BYTES("min"));
		struct text_json_token name = key;
		struct bytes value = text_json_skip(&reader, &key);
		*ret_option = is_max ? "max" : "min";
		if (is_bound && !read_bound(ret, is_max, value, arena))
			return false;
		for (size_t i = 0; i < N_OPTIONS && !is_bound; i++) {
			*ret_option = options[i].name;
			if ((options[i].types & (1u << ret->type)) &&
				text_json_is(&name, bytes_of(options[i].name)) &&
				!read_option(ret, &options[i], value, arena))
				return false;
		}
	}
	return true;
}

enum field_result field_parse(
	struct bytes json, struct arena *arena, struct record_field *ret, const char **ret_option)
{
	*ret = (struct record_field){ .read_rule.is_null = true, .write_rule.is_null = true };
	*ret_option = "type";
	if (!read_type(json, ret))
		return FIELD_NO_OBJECT;
	if (!read_members(json, arena, ret, ret_option))
		return FIELD_BAD_OPTION;
	*ret_option = "pattern";
	return field_prepare(ret, arena);
}

/* Patterns are POSIX extended regular expressions, with \d and (?: understood as people write
 * them. Back-references are refused: matching them takes time without bound. */
static bool prepare_pattern(struct record_field *field, struct arena *arena)
{
	if (field->pattern.n == 0)
		return true;
	DEFER(bytes_buf_fini) struct bytes_buf text;
	bytes_buf_init(&text, 4096);
	for (size_t i = 0; i < field->pattern.n; i++) {
		const char *p = field->pattern.p + i;
		size_t left = field->pattern.n - i;
		if (*p == '\\' && left >= 2) {
			if (p[1] >= '1' && p[1] <= '9')
				return false;
			if (p[1] == 'd')
				bytes_buf_append_string(&text, "[0-9]");
			else
				bytes_buf_append(&text, (struct bytes){ p, 2 });
			i++;
		} else if (left >= 3 && memcmp(p, "(?:", 3) == 0) {
			bytes_buf_append_byte(&text, '(');
			i += 2;
		} else {
			bytes_buf_append_byte(&text, *p);
		}
	}
	bytes_buf_append_byte(&text, '\0');
	regex_t *regex = arena_alloc(arena, sizeof(*regex));
	if (text.failed || !regex || regcomp(regex, text.p, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	field->regex = regex;
	return true;
}

enum field_result field_prepare(struct record_field *field, struct arena *arena)
{
	bool is_token_key = field->is_system && bytes_eq_string(field->name, "tokenKey");
	bool is_choice = field->type == FIELD_SELECT || field->type == FIELD_RELATION ||
			 field->type == FIELD_FILE;
	field->is_secret = is_token_key || field->type == FIELD_PASSWORD;
	field->is_list = is_choice && field->max > 1;
	field->is_raw =
		field->is_list || field->type == FIELD_JSON || field->type == FIELD_GEO_POINT;
	/* Columns that start with '_' are closed to plugins whatever they are granted. */
	if (is_token_key)
		field->column = BYTES("\"_token_key\"");
	else if (field->type == FIELD_PASSWORD && field->is_system)
		field->column = BYTES("\"_password_hash\"");
	else if (field->type == FIELD_PASSWORD)
		field->column =
			arena_printf(arena, "\"_secret_%.*s\"", (int)field->name.n, field->name.p);
	else
		field->column = name_quote(arena, field->name);
	if (!field->column.p)
		return FIELD_NOMEM;
	return prepare_pattern(field, arena) ? FIELD_OK : FIELD_BAD_PATTERN;
}

void field_fini(struct record_field *field)
{
	if (field->regex)
		regfree(field->regex);
	field->regex = NULL;
}

/* ---- writing ---- */

static void write_option(struct text_json_writer *writer, const struct record_field *field,
	const struct option *option)
{
	const void *at = (const char *)field + option->offset;
	const struct bytes_list *list = at;
	const struct record_rule *rule = at;
	if (option->kind == OPTION_RULE && rule->is_null)
		return;
	text_json_write_key(writer, bytes_of(option->name));
	switch (option->kind) {
	case OPTION_TEXT:
		text_json_write_string(writer, *(const struct bytes *)at);
		break;
	case OPTION_BOOL:
		text_json_write_bool(writer, *(const bool *)at);
		break;
	case OPTION_INT:
		text_json_write_int64(writer, *(const int64_t *)at);
		break;
	case OPTION_LIST:
		text_json_begin_array(writer);
		for (size_t i = 0; i < list->n; i++)
			text_json_write_string(writer, list->items[i]);
		text_json_end_array(writer);
		break;
	case OPTION_RULE:
		text_json_write_string(writer, rule->text);
		break;
	}
}

static void write_bound(
	struct text_json_writer *writer, const struct record_field *field, bool is_max)
{
	struct bytes key = is_max ? BYTES("max") : BYTES("min");
	if (field->type == FIELD_DATE) {
		text_json_write_key(writer, key);
		text_json_write_string(writer, is_max ? field->max_date : field->min_date);
	} else if (field->type == FIELD_NUMBER) {
		text_json_write_key(writer, key);
		if (is_max ? field->has_max : field->has_min)
			text_json_write_double(
				writer, is_max ? field->max_number : field->min_number);
		else
			text_json_write_null(writer);
	} else if (field->type == FIELD_TEXT || field->type == FIELD_PASSWORD) {
		text_json_write_key(writer, key);
		text_json_write_int64(writer, is_max ? field->max : field->min);
	}
}

void field_write(struct text_json_writer *writer, const struct record_field *field)
{
	text_json_begin_object(writer);
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (options[i].types & (1u << field->type))
			write_option(writer, field, &options[i]);
	write_bound(writer, field, false);
	write_bound(writer, field, true);
	text_json_write_key(writer, BYTES("type"));
	text_json_write_string(writer, bytes_of(type_names[field->type]));
	text_json_end_object(writer);
}

/* A hash says nothing of its password, and a name is no file. */
bool field_can_convert(enum field_type type)
{
	return type != FIELD_PASSWORD && type != FIELD_FILE;
}

const char *field_column_type(const struct record_field *field)
{
	if (field->is_primary)
		return "TEXT PRIMARY KEY NOT NULL";
	if (field->is_list)
		return "TEXT NOT NULL DEFAULT '[]'";
	switch (field->type) {
	case FIELD_NUMBER:
		return "REAL NOT NULL DEFAULT 0";
	case FIELD_BOOL:
		return "INTEGER NOT NULL DEFAULT 0";
	case FIELD_JSON:
		return "TEXT";
	case FIELD_GEO_POINT:
		return "TEXT NOT NULL DEFAULT '{\"lon\":0,\"lat\":0}'";
	default:
		return "TEXT NOT NULL DEFAULT ''";
	}
}
