#include "json.h"

#include <json-c/json.h>
#include <stdlib.h>

/* json-c has no object for null: it uses NULL, which is "not there" here. This stands for it; only
 * its address matters. */
static const char null_value;

static const struct json *wrap(const struct json_object *object)
{
	return object ? (const struct json *)(const void *)object
		      : (const struct json *)(const void *)&null_value;
}

/* NULL for what is not there and for null. */
static const struct json_object *unwrap(const struct json *value)
{
	return value == wrap(NULL) ? NULL : (const struct json_object *)(const void *)value;
}

/* For the few functions of json-c that take a pointer to non-const and change nothing. */
static struct json_object *unwrap_mutable(const struct json *value)
{
	return (struct json_object *)(uintptr_t)unwrap(value);
}

enum text_json_verdict json_parse(struct bytes doc, const struct text_json_limits *limits,
	struct json **ret, size_t *ret_offset)
{
	enum text_json_verdict verdict =
		text_json_check(doc, limits ? limits : &TEXT_JSON_LIMITS, ret_offset);
	if (verdict != TEXT_JSON_VALID)
		return verdict;

	/* json-c counts the document itself as a level, and wants one to spare. */
	struct json_tokener *tokener = json_tokener_new_ex(TEXT_JSON_DEPTH_MAX + 2);
	if (!tokener)
		return TEXT_JSON_NOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *root = json_tokener_parse_ex(tokener, doc.p, (int)doc.n);
	enum json_tokener_error error = json_tokener_get_error(tokener);
	/* A number at the very end could go on: an end of text tells json-c that it does not. */
	if (error == json_tokener_continue) {
		root = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
	}
	json_tokener_free(tokener);
	if (error != json_tokener_success) {
		/* The document is valid, so memory is all that can have been missing. */
		json_object_put(root);
		return TEXT_JSON_NOMEM;
	}
	*ret = (struct json *)(uintptr_t)wrap(root);
	return TEXT_JSON_VALID;
}

void json_free(struct json *root)
{
	if (root && root != wrap(NULL))
		json_object_put((struct json_object *)(void *)root);
}

enum json_kind json_kind(const struct json *value)
{
	if (!value)
		return JSON_ABSENT;
	switch (json_object_get_type(unwrap(value))) {
	case json_type_boolean:
		return JSON_BOOL;
	case json_type_double:
		return JSON_DOUBLE;
	case json_type_int:
		return JSON_INTEGER;
	case json_type_object:
		return JSON_OBJECT;
	case json_type_array:
		return JSON_ARRAY;
	case json_type_string:
		return JSON_STRING;
	case json_type_null:
		break;
	}
	return JSON_NULL;
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_ABSENT] = "nothing",
		[JSON_NULL] = "null",
		[JSON_BOOL] = "true or false",
		[JSON_INTEGER] = "an integer",
		[JSON_DOUBLE] = "a number",
		[JSON_STRING] = "a text",
		[JSON_ARRAY] = "an array",
		[JSON_OBJECT] = "an object",
	};
	size_t i = (size_t)kind;

	return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}

const struct json *json_get(const struct json *value, const char *key)
{
	struct json_object *member;

	if (json_kind(value) != JSON_OBJECT ||
		!json_object_object_get_ex(unwrap(value), key, &member))
		return NULL;
	return wrap(member);
}

size_t json_count(const struct json *value)
{
	if (json_kind(value) == JSON_ARRAY)
		return json_object_array_length(unwrap(value));
	if (json_kind(value) == JSON_OBJECT)
		return (size_t)json_object_object_length(unwrap(value));
	return 0;
}

const struct json *json_at(const struct json *value, size_t index)
{
	if (json_kind(value) != JSON_ARRAY || index >= json_count(value))
		return NULL;
	return wrap(json_object_array_get_idx(unwrap(value), index));
}

struct json_members json_members_of(const struct json *value)
{
	if (json_kind(value) != JSON_OBJECT)
		return (struct json_members){ NULL };
	return (struct json_members){ json_object_get_object(unwrap(value))->head };
}

bool json_members_next(
	struct json_members *members, struct bytes *ret_key, const struct json **ret_value)
{
	const struct lh_entry *entry = members->next;

	if (!entry)
		return false;
	/* A key holds no NUL: the check refuses it. */
	*ret_key = bytes_of(entry->k);
	*ret_value = wrap(entry->v);
	members->next = entry->next;
	return true;
}

bool json_as_bool(const struct json *value, bool *ret)
{
	if (json_kind(value) != JSON_BOOL)
		return false;
	*ret = json_object_get_boolean(unwrap(value));
	return true;
}

bool json_as_int64(const struct json *value, int64_t *ret)
{
	if (json_kind(value) == JSON_INTEGER) {
		*ret = json_object_get_int64(unwrap(value));
		return true;
	}
	if (json_kind(value) != JSON_DOUBLE)
		return false;
	double number = json_object_get_double(unwrap(value));
	/* 2^63 itself is a double and does not fit; -2^63 does. */
	if (number < -0x1p63 || number >= 0x1p63 || number != (double)(int64_t)number)
		return false;
	*ret = (int64_t)number;
	return true;
}

bool json_as_double(const struct json *value, double *ret)
{
	if (json_kind(value) != JSON_INTEGER && json_kind(value) != JSON_DOUBLE)
		return false;
	*ret = json_object_get_double(unwrap(value));
	return true;
}

bool json_as_string(const struct json *value, struct bytes *ret)
{
	if (json_kind(value) != JSON_STRING)
		return false;
	*ret = (struct bytes){ json_object_get_string(unwrap_mutable(value)),
		(size_t)json_object_get_string_len(unwrap(value)) };
	return true;
}

/* The depth of the recursion is that of the tree, which the check bounds. */
void json_write(const struct json *value, struct text_json_writer *writer)
{
	struct bytes text = { 0 };
	const struct json *member;
	double number = 0;

	switch (json_kind(value)) {
	case JSON_ABSENT:
	case JSON_NULL:
		text_json_write_null(writer);
		break;
	case JSON_BOOL:
		text_json_write_bool(writer, json_object_get_boolean(unwrap(value)));
		break;
	case JSON_INTEGER:
		text_json_write_int64(writer, json_object_get_int64(unwrap(value)));
		break;
	case JSON_DOUBLE:
		json_as_double(value, &number);
		text_json_write_double(writer, number);
		break;
	case JSON_STRING:
		json_as_string(value, &text);
		text_json_write_string(writer, text);
		break;
	case JSON_ARRAY:
		text_json_begin_array(writer);
		for (size_t i = 0; i < json_count(value); i++)
			json_write(json_at(value, i), writer);
		text_json_end_array(writer);
		break;
	case JSON_OBJECT:
		text_json_begin_object(writer);
		for (struct json_members all = json_members_of(value);
			json_members_next(&all, &text, &member);) {
			text_json_write_key(writer, text);
			json_write(member, writer);
		}
		text_json_end_object(writer);
		break;
	}
}
