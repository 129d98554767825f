/*
 * change.c - what a request wants a collection to be
 */
#include "change.h"

#include <string.h>

const char *const change_rule_names[RULES] = { "listRule", "viewRule", "createRule", "updateRule",
	"deleteRule" };

/* ---- the body of a change ---- */

static bool take_field(struct record_work *work, struct change *change, struct bytes object)
{
	const char *option;
	long index = (long)change->n_fields;
	struct record_field *field = &change->fields[change->n_fields];
	enum field_result result = field_parse(object, work->arena, field, &option);
	field_fini(field); /* a pattern's automaton is the snapshot's to make */
	change->n_fields++;
	switch (result) {
	case FIELD_NOMEM:
		return false;
	case FIELD_NO_OBJECT:
		flaws_add(&change->flaws, "fields", index, "type", "validation_invalid_field",
			"Missing or unknown field type.");
		break;
	case FIELD_BAD_OPTION:
		flaws_add(&change->flaws, "fields", index, option, "validation_invalid_value",
			"The value has another type than the option.");
		break;
	case FIELD_BAD_PATTERN:
		flaws_add(&change->flaws, "fields", index, option, "validation_invalid_regex",
			"The pattern is not a regular expression that is supported here.");
		break;
	case FIELD_OK:
		break;
	}
	field->is_system = false; /* nobody but us makes system fields */
	field->is_primary = false;
	return true;
}

static size_t count_items(struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	size_t n = 0;
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return 0;
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT && n < FIELDS_MAX) {
		text_json_skip(&reader, &token);
		n++;
	}
	return n;
}

static bool parse_fields(struct record_work *work, struct change *change, struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct arena *arena = work->arena;
	text_json_reader_init(&reader, json);
	change->has_fields = true;
	change->n_fields = 0;
	change->fields = arena_alloc(arena, (count_items(json) + 1) * sizeof(*change->fields));
	if (!change->fields)
		return false;
	if (text_json_next(&reader, &token) == TEXT_JSON_NULL) {
		change->has_fields = false;
		return true;
	}
	if (token.type != TEXT_JSON_ARRAY)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT) {
		struct bytes object = text_json_skip(&reader, &token);
		if (change->n_fields == FIELDS_MAX) {
			flaws_add(&change->flaws, "fields", -1, NULL, "validation_length_too_long",
				"At most %d fields are allowed.", FIELDS_MAX);
			return true;
		}
		if (!take_field(work, change, object))
			return false;
	}
	return token.type == TEXT_JSON_ARRAY_END;
}

static bool parse_text(struct record_work *work, struct bytes json, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	*ret = (struct bytes){ NULL, 0 };
	return token.type == TEXT_JSON_NULL || text_json_text(&token, work->arena, ret);
}

static bool parse_rule(struct record_work *work, struct change_rule *rule, struct bytes json)
{
	*rule = (struct change_rule){ .is_set = true, .is_null = bytes_eq_string(json, "null") };
	return parse_text(work, json, &rule->text);
}

static bool parse_type(struct record_work *work, struct change *change, struct bytes json)
{
	struct bytes type;
	if (!parse_text(work, json, &type))
		return false;
	if (!type.n)
		return true;
	change->has_type = true;
	change->is_auth = bytes_eq_string(type, "auth");
	change->is_view = bytes_eq_string(type, "view");
	if (!change->is_auth && !change->is_view && !bytes_eq_string(type, "base"))
		flaws_add(&change->flaws, "type", -1, NULL, "validation_in_invalid",
			"Must be a valid value: base, auth or view.");
	else if (change->old && (change->is_auth != change->old->is_auth ||
					change->is_view != change->old->is_view))
		flaws_add(&change->flaws, "type", -1, NULL, "validation_collection_type_change",
			"Collection type cannot be changed.");
	return true;
}

static bool take_member(struct record_work *work, struct change *change,
	const struct text_json_token *key, struct bytes json)
{
	for (int i = 0; i < RULES; i++)
		if (text_json_is(key, bytes_of(change_rule_names[i])))
			return parse_rule(work, &change->rules[i], json);
	if (text_json_is(key, BYTES("name")))
		return change->has_name = parse_text(work, json, &change->name);
	/* A collection may bring its id, so that others can name it before it is there. */
	if (text_json_is(key, BYTES("id")))
		return change->old ? true : parse_text(work, json, &change->id);
	if (text_json_is(key, BYTES("fields")))
		return parse_fields(work, change, json);
	if (text_json_is(key, BYTES("indexes"))) {
		change->has_indexes = true;
		return bytes_list_parse(json, work->arena, &change->indexes);
	}
	if (text_json_is(key, BYTES("viewQuery")))
		return change->has_query = parse_text(work, json, &change->view_query);
	return !text_json_is(key, BYTES("type")) || parse_type(work, change, json);
}

bool change_parse(struct record_work *work, struct change *change, struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	change->body = json;
	text_json_reader_init(&reader, json);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct text_json_token key = token;
		struct bytes value = text_json_skip(&reader, &token);
		if (!take_member(work, change, &key, value))
			return false;
	}
	return token.type == TEXT_JSON_OBJECT_END;
}

/* ---- what the request did not say ---- */

static void inherit_rules(struct change *change)
{
	const struct record_collection *old = change->old;
	for (int i = 0; i < RULES; i++) {
		struct change_rule *rule = &change->rules[i];
		if (!rule->is_set) {
			rule->is_null = !old || old->rules[i].is_null;
			rule->text = old ? old->rules[i].text : (struct bytes){ NULL, 0 };
		} else if (old && old->is_system &&
			   (old->rules[i].is_null != rule->is_null ||
				   !bytes_eq(old->rules[i].text, rule->text))) {
			flaws_add(&change->flaws, change_rule_names[i], -1, NULL,
				"validation_collection_system_rule_change",
				"System collection API rule cannot be changed.");
		}
		if (change->is_view && i > RULE_VIEW && !rule->is_null)
			flaws_add(&change->flaws, change_rule_names[i], -1, NULL, "validation_nil",
				"Must be blank.");
	}
}

static bool copy_fields(struct change *change, struct arena *arena)
{
	const struct record_collection *old = change->old;
	change->n_fields = old->n_fields;
	change->fields = arena_alloc(arena, (old->n_fields + 1) * sizeof(*change->fields));
	if (!change->fields)
		return false;
	memcpy(change->fields, old->fields, old->n_fields * sizeof(*change->fields));
	for (size_t i = 0; i < change->n_fields; i++)
		change->fields[i].regex = NULL; /* the old snapshot's */
	return true;
}

bool change_inherit(struct record_work *work, struct change *change)
{
	const struct record_collection *old = change->old;
	struct arena *arena = work->arena;
	if (old) {
		change->id = old->id;
		change->is_system = old->is_system;
		change->is_auth = old->is_auth;
		change->is_view = old->is_view;
		if (!change->has_name)
			change->name = old->name;
		if (!change->has_query)
			change->view_query = old->view_query;
	}
	inherit_rules(change);
	if (!old)
		return true;
	if (!change->has_fields && !copy_fields(change, arena))
		return false;
	if (!change->has_indexes) {
		change->indexes.n = old->indexes.n;
		change->indexes.items =
			arena_alloc(arena, (old->indexes.n + 1) * sizeof(struct bytes));
		if (!change->indexes.items)
			return false;
		if (old->indexes.n)
			memcpy(change->indexes.items, old->indexes.items,
				old->indexes.n * sizeof(struct bytes));
	}
	return true;
}

const struct record_field *change_old_field(
	const struct record_collection *old, const struct record_field *field)
{
	for (size_t i = 0; old && i < old->n_fields; i++)
		if (bytes_eq(old->fields[i].id, field->id))
			return &old->fields[i];
	return NULL;
}

uint32_t change_checksum(struct bytes text)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < text.n; i++) {
		crc ^= (uint8_t)text.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}
