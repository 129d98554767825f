/*
 * change.c - what a request wants a collection to be, and whether that can be
 */
#include "change.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ID_MAX 31 /* characters of a collection's id, as token claims hold it */

const char *const change_rule_names[RULES] = { "listRule", "viewRule", "createRule", "updateRule",
	"deleteRule" };

/* ---- the body of a change ---- */

static bool parse_field_list(struct record_work *work, struct change *change, struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct arena *arena = work->call->arena;
	text_json_reader_init(&reader, json);
	change->has_fields = true;
	change->n_fields = 0;
	change->fields = arena_alloc(arena, FIELDS_MAX * sizeof(*change->fields));
	if (!change->fields || text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT) {
		const char *code, *message;
		struct record_field *field = &change->fields[change->n_fields];
		struct bytes object = text_json_skip(&reader, &token);
		if (change->n_fields == FIELDS_MAX) {
			problems_add(&work->problems, BYTES("fields"), "validation_length_too_long",
				"At most %d fields are allowed.", FIELDS_MAX);
			return true;
		}
		bool is_good = field_parse(object, arena, field, &code, &message);
		field_fini(field); /* a pattern's automaton is the snapshot's to make */
		if (!is_good) {
			problems_add(&work->problems, BYTES("fields"), code, "Field %zu (%.*s): %s",
				change->n_fields, (int)field->name.n,
				field->name.p ? field->name.p : "", message);
			return true;
		}
		field->is_system = false; /* nobody but us makes system fields */
		field->is_primary = false;
		change->n_fields++;
	}
	return token.type == TEXT_JSON_ARRAY_END;
}

static bool parse_rule(struct record_work *work, struct change_rule *rule, struct bytes json)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	*rule = (struct change_rule){ .is_set = true, .is_null = token.type == TEXT_JSON_NULL };
	return rule->is_null || text_json_text(&token, work->call->arena, &rule->text);
}

static bool parse_text(struct record_work *work, struct bytes json, struct bytes *ret)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	return text_json_text(&token, work->call->arena, ret);
}

static bool take_member(struct record_work *work, struct change *change,
	const struct text_json_token *key, struct bytes json)
{
	struct bytes type;
	for (int i = 0; i < RULES; i++)
		if (text_json_is(key, bytes_of(change_rule_names[i])))
			return parse_rule(work, &change->rules[i], json);
	if (text_json_is(key, BYTES("name")))
		return change->has_name = parse_text(work, json, &change->name);
	/* A collection may bring its id, so that others can name it before it is there. */
	if (text_json_is(key, BYTES("id")) && !work->collection)
		return parse_text(work, json, &change->id);
	if (text_json_is(key, BYTES("fields")))
		return parse_field_list(work, change, json);
	if (text_json_is(key, BYTES("indexes"))) {
		change->has_indexes = true;
		return bytes_list_parse(json, work->call->arena, &change->indexes);
	}
	if (text_json_is(key, BYTES("type"))) {
		if (!parse_text(work, json, &type))
			return false;
		bool is_auth = bytes_eq_string(type, "auth");
		bool is_change = work->collection && is_auth != work->collection->is_auth;
		if (!is_auth && !bytes_eq_string(type, "base"))
			problems_add(&work->problems, BYTES("type"), "validation_in_invalid",
				"Must be base or auth.");
		else if (is_change)
			problems_add(&work->problems, BYTES("type"),
				"validation_collection_type_change",
				"Collection type cannot be changed.");
		else
			change->is_auth = is_auth;
		change->has_type = true;
	}
	return true;
}

bool change_parse(struct record_work *work, struct change *change)
{
	struct text_json_reader reader;
	struct text_json_token token;
	text_json_reader_init(&reader, work->call->body);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct text_json_token key = token;
		struct bytes json = text_json_skip(&reader, &token);
		if (!take_member(work, change, &key, json))
			return false;
	}
	return token.type == TEXT_JSON_OBJECT_END;
}

/* ---- is the change a good one? ---- */

void change_check_id(struct record_work *work, const struct change *change)
{
	if (work->collection)
		return;
	for (size_t i = 0; i < change->id.n; i++)
		if (!isalnum((unsigned char)change->id.p[i]) && change->id.p[i] != '_') {
			problems_add(&work->problems, BYTES("id"), "validation_match_invalid",
				"An id has letters, digits and '_' only.");
			return;
		}
	if (change->id.n > ID_MAX)
		problems_add(&work->problems, BYTES("id"), "validation_max_text_constraint",
			"Must be no more than %d character(s).", ID_MAX);
	else if (schema_find(work->schema, change->id))
		problems_add(&work->problems, BYTES("id"), "validation_not_unique",
			"The model id is invalid or already exists.");
}

void change_check_name(struct record_work *work, const struct change *change)
{
	const struct record_collection *other = schema_find(work->schema, change->name);
	const struct record_collection *old = work->collection;
	if (old && bytes_eq(old->name, change->name))
		return;
	if (old && old->is_system)
		problems_add(&work->problems, BYTES("name"),
			"validation_collection_system_name_change",
			"System collection name cannot be changed.");
	else if (!change->name.n)
		problems_add(&work->problems, BYTES("name"), "validation_required",
			"Missing required value.");
	else if (!name_is_valid(change->name) || memmem(change->name.p, change->name.n, "_via_", 5))
		problems_add(&work->problems, BYTES("name"), "validation_match_invalid",
			"A name starts with a letter and has letters, digits and '_' only.");
	else if (other && other != old)
		problems_add(&work->problems, BYTES("name"), "validation_collection_name_exists",
			"Collection name must be unique (case insensitive).");
}

static const struct record_field *old_field(
	const struct record_collection *old, struct bytes id, struct bytes name)
{
	for (size_t i = 0; old && i < old->n_fields && id.n; i++)
		if (bytes_eq(old->fields[i].id, id))
			return &old->fields[i];
	return old && !id.n ? collection_field(old, name) : NULL;
}

static bool is_system_name(const struct change *change, struct bytes name)
{
	static const char *const names[] = { "password", "tokenKey", "email", "emailVisibility",
		"verified" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && change->is_auth; i++)
		if (bytes_eq_string(name, names[i]))
			return true;
	return bytes_eq_string(name, "id");
}

/* A field keeps its id; a system field keeps everything but its looks. */
static bool settle_field(
	struct record_work *work, struct change *change, struct record_field *field)
{
	const struct record_field *was = old_field(work->collection, field->id, field->name);
	if (was && was->is_system) {
		if (!bytes_eq(was->name, field->name))
			problems_add(&work->problems, BYTES("fields"),
				"validation_system_field_change",
				"System fields cannot be deleted or renamed.");
		bool is_presentable = field->is_presentable;
		*field = *was;
		field->regex = NULL; /* the old snapshot's */
		field->is_presentable = is_presentable;
		return true;
	}
	if (was && was->type != field->type)
		problems_add(&work->problems, BYTES("fields"), "validation_field_type_change",
			"%.*s: Field type cannot be changed.", (int)field->name.n, field->name.p);
	if (was && was->type == FIELD_RELATION && field->type == FIELD_RELATION &&
		!bytes_eq(was->collection_id, field->collection_id))
		problems_add(&work->problems, BYTES("fields"), "validation_field_relation_change",
			"%.*s: The relation collection cannot be changed.", (int)field->name.n,
			field->name.p);
	if (field->type == FIELD_PASSWORD)
		problems_add(&work->problems, BYTES("fields"), "validation_invalid_field",
			"Only auth collections have a password, and only one.");
	if (was) {
		field->id = was->id;
		return true;
	}
	if (!field->id.n || field->id.n > 100) {
		char id[ID_RECORD_BYTES + 1];
		id_record(loop_ids(work->call->loop), id);
		char *copy = arena_copy(work->call->arena, bytes_of(id));
		field->id = (struct bytes){ copy, ID_RECORD_BYTES };
		return copy;
	}
	(void)change;
	return true;
}

bool change_settle_fields(struct record_work *work, struct change *change)
{
	struct record_field *fields = change->fields;
	const struct record_collection *old = work->collection;
	size_t n = 0;
	for (size_t i = 0; i < change->n_fields; i++) {
		/* A new collection's system fields are ours to write. */
		if (!old && is_system_name(change, fields[i].name))
			continue;
		fields[n] = fields[i];
		if (!settle_field(work, change, &fields[n++]))
			return false;
	}
	change->n_fields = n;
	for (size_t i = 0; old && i < old->n_fields; i++) {
		bool is_kept = false;
		for (size_t f = 0; f < n; f++)
			is_kept |= bytes_eq(fields[f].id, old->fields[i].id);
		if (!is_kept && old->fields[i].is_system) {
			problems_add(&work->problems, BYTES("fields"),
				"validation_system_field_change",
				"System fields cannot be deleted or renamed.");
			return true;
		}
	}
	return true;
}

void change_check_duplicates(struct record_work *work, const struct change *change)
{
	for (size_t i = 0; i < change->n_fields; i++)
		for (size_t j = 0; j < i; j++)
			if (bytes_eq_nocase(change->fields[i].name, change->fields[j].name) ||
				bytes_eq(change->fields[i].id, change->fields[j].id)) {
				problems_add(&work->problems, BYTES("fields"),
					"validation_duplicated_field_name",
					"Duplicated field %.*s.", (int)change->fields[i].name.n,
					change->fields[i].name.p);
				return;
			}
}

static bool is_index_taken(
	const struct record_work *work, const struct change *change, size_t n, struct bytes name)
{
	char needle[NAME_MAX_BYTES + 16];
	int length = snprintf(needle, sizeof(needle), "INDEX \"%.*s\" ON", (int)name.n, name.p);
	for (size_t i = 0; i < n; i++)
		if (memmem(change->indexes.items[i].p, change->indexes.items[i].n, needle,
			    (size_t)length))
			return true;
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		for (size_t i = 0; other != work->collection && i < other->indexes.n; i++)
			if (memmem(other->indexes.items[i].p, other->indexes.items[i].n, needle,
				    (size_t)length))
				return true;
	}
	return false;
}

void change_settle_indexes(struct record_work *work, struct change *change)
{
	if (change->indexes.n > INDEXES_MAX) {
		problems_add(&work->problems, BYTES("indexes"), "validation_length_too_long",
			"At most %d indexes are allowed.", INDEXES_MAX);
		return;
	}
	for (size_t i = 0; i < change->indexes.n; i++) {
		struct bytes name;
		struct bytes *text = &change->indexes.items[i];
		if (!index_parse(*text, change, work->call->arena, text, &name)) {
			problems_add(&work->problems, BYTES("indexes"),
				"validation_invalid_index_expression",
				"Index %zu is not a CREATE INDEX that is supported here.", i);
			return;
		}
		if (is_index_taken(work, change, i, name)) {
			problems_add(&work->problems, BYTES("indexes"),
				"validation_existing_index_name",
				"The index name is already used: %.*s.", (int)name.n, name.p);
			return;
		}
	}
}

/* What the request did not say stays as it is. */
bool change_inherit(struct record_work *work, struct change *change)
{
	const struct record_collection *old = work->collection;
	struct arena *arena = work->call->arena;
	for (int i = 0; i < RULES; i++) {
		if (!change->rules[i].is_set)
			change->rules[i] = (struct change_rule){ .is_null = !old ||
									    old->rules[i].is_null,
				.text = old ? old->rules[i].text : (struct bytes){ NULL, 0 } };
		else if (old && old->is_system &&
			 (old->rules[i].is_null != change->rules[i].is_null ||
				 !bytes_eq(old->rules[i].text, change->rules[i].text)))
			problems_add(&work->problems, bytes_of(change_rule_names[i]),
				"validation_collection_system_rule_change",
				"System collection API rule cannot be changed.");
	}
	if (!old)
		return true;
	change->id = old->id;
	change->is_system = old->is_system;
	change->is_auth = old->is_auth;
	if (!change->has_name)
		change->name = old->name;
	if (!change->has_fields) {
		change->n_fields = old->n_fields;
		change->fields = arena_alloc(arena, old->n_fields * sizeof(*change->fields));
		if (!change->fields)
			return false;
		memcpy(change->fields, old->fields, old->n_fields * sizeof(*change->fields));
	}
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
