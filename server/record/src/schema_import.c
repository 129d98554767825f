/*
 * schema_import.c - many collections at once, all of them or none
 *
 * Each is matched with the collection of its id, else of its name. Relations among what is imported
 * may use the ids that the import gives; where a collection is matched by name they are changed for
 * the id that it has here.
 */
#include <string.h>

#include "planning.h"

/* One collection of the body. */
struct imported {
	struct bytes json, id; /* id: as the body has it */
	struct change *change;
};

struct import {
	struct imported *items;
	size_t n;
	bool delete_missing;
};

static void answer_body(struct record_work *work, const char *code, const char *message)
{
	planning_end(work);
	problems_init(&work->problems, &work->call->answer);
	problems_add(&work->problems, BYTES("collections"), code, "%s", message);
	work_answer_problems(work, "An error occurred while validating the submitted data.");
}

static struct bytes text_at(struct bytes json, struct bytes pointer, struct arena *arena)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes value, text = { NULL, 0 };
	if (text_json_find(json, pointer, &value) != TEXT_JSON_FOUND)
		return text;
	text_json_reader_init(&reader, value);
	text_json_next(&reader, &token);
	if (!text_json_text(&token, arena, &text))
		return (struct bytes){ NULL, 0 };
	return text;
}

/* False when the body is none. */
static bool read_body(struct record_work *work, struct import *import)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes list, flag, body = work->call->body;
	if (text_json_find(body, BYTES("/collections"), &list) != TEXT_JSON_FOUND)
		return false;
	if (text_json_find(body, BYTES("/deleteMissing"), &flag) == TEXT_JSON_FOUND)
		import->delete_missing = bytes_eq_string(flag, "true");
	import->items = arena_alloc(work->call->arena, COLLECTIONS_MAX * sizeof(*import->items));
	text_json_reader_init(&reader, list);
	if (!import->items || text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT && import->n < COLLECTIONS_MAX)
		import->items[import->n++].json = text_json_skip(&reader, &token);
	return token.type == TEXT_JSON_ARRAY_END;
}

static const struct record_collection *match(
	const struct record_work *work, const struct import *import, const struct imported *item)
{
	const struct record_collection *old = NULL;
	struct bytes name = text_at(item->json, BYTES("/name"), work->arena);
	for (size_t c = 0; c < work->schema->n_collections && item->id.n && !old; c++)
		if (bytes_eq(work->schema->collections[c].id, item->id))
			old = &work->schema->collections[c];
	for (size_t c = 0; c < work->schema->n_collections && name.n && !old; c++)
		if (bytes_eq_nocase(work->schema->collections[c].name, name))
			old = &work->schema->collections[c];
	/* One that was matched already: this is another, and its name will say so. */
	for (size_t i = 0; i < import->n && old; i++)
		if (import->items[i].change && import->items[i].change->old == old)
			old = NULL;
	return old;
}

static bool has_id(const struct change *change, size_t n, struct bytes id)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(change->fields[i].id, id))
			return true;
	return false;
}

/* Fields that the import does not have stay, unless what is missing shall go; those that it calls
 * by another id are the same when name and type are. */
static bool merge_fields(struct record_work *work, struct change *change, bool delete_missing)
{
	const struct record_collection *old = change->old;
	if (!old || change->is_view)
		return true;
	if (!change->has_fields && !delete_missing)
		return true; /* all of them are inherited */
	size_t n = change->has_fields ? change->n_fields : 0;
	struct record_field *fields =
		arena_alloc(work->arena, (n + old->n_fields + 1) * sizeof(*fields));
	if (!fields)
		return false;
	if (n)
		memcpy(fields, change->fields, n * sizeof(*fields));
	change->fields = fields;
	change->has_fields = true;
	size_t n_all = n;
	for (size_t i = 0; i < old->n_fields; i++) {
		const struct record_field *was = &old->fields[i];
		bool is_there = has_id(change, n, was->id);
		for (size_t f = 0; f < n && !is_there; f++)
			if (bytes_eq(fields[f].name, was->name) && fields[f].type == was->type) {
				fields[f].id = was->id;
				is_there = true;
			}
		if (is_there || (delete_missing && !was->is_system))
			continue;
		fields[n_all] = *was;
		fields[n_all++].regex = NULL;
	}
	change->n_fields = n_all;
	return true;
}

/* Ids that the import knows, as they are here. */
static void map_relations(const struct import *import, struct change *change)
{
	for (size_t f = 0; f < change->n_fields; f++)
		for (size_t i = 0; i < import->n; i++)
			if (import->items[i].id.n &&
				bytes_eq(change->fields[f].collection_id, import->items[i].id))
				change->fields[f].collection_id = import->items[i].change->id;
}

static bool add_missing(struct record_work *work, const struct import *import)
{
	struct plan *plan = plan_of(work);
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *old = &work->schema->collections[c];
		bool is_there = old->is_system;
		for (size_t i = 0; i < import->n; i++)
			is_there |= import->items[i].change->old == old;
		if (is_there)
			continue;
		struct change *change = planning_add(plan, old);
		if (!change)
			return false;
		change->is_drop = true;
	}
	return true;
}

/* Reads all of them, then settles all: what they say of one another may come in any order. */
static bool read_items(struct record_work *work, struct import *import, bool *ret_is_readable)
{
	struct plan *plan = plan_of(work);
	*ret_is_readable = true;
	for (size_t i = 0; i < import->n; i++) {
		struct imported *item = &import->items[i];
		item->id = text_at(item->json, BYTES("/id"), work->arena);
		item->change = planning_add(plan, match(work, import, item));
		if (!item->change)
			return false;
		*ret_is_readable &= change_parse(work, item->change, item->json);
	}
	for (size_t i = 0; i < import->n && *ret_is_readable; i++)
		if (!merge_fields(work, import->items[i].change, import->delete_missing) ||
			!planning_settle(work, import->items[i].change))
			return false;
	for (size_t i = 0; i < import->n; i++)
		map_relations(import, import->items[i].change);
	return !import->delete_missing || add_missing(work, import);
}

static void check_and_queue(struct record_work *work)
{
	struct plan *plan = plan_of(work);
	for (size_t i = 0; i < plan->n_changes; i++) {
		struct change *change = plan->changes[i];
		if (!change->is_drop && !change->flaws.n && !planning_check(work, change)) {
			planning_answer_short(work);
			return;
		}
		const struct record_collection *pointer =
			change->is_drop ? planning_find_pointer(work, change->old) : NULL;
		if (pointer)
			flaws_add(&change->flaws, "relations", -1, NULL,
				"validation_relation_dependency",
				"The collection %.*s has a relation to it.", (int)pointer->name.n,
				pointer->name.p);
		if (change->flaws.n) {
			planning_answer_flaws(work, change);
			return;
		}
	}
	planning_queue(work);
}

void record_collection_import(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_import, false);
	struct import import = { 0 };
	bool is_readable;
	if (!work)
		return;
	struct plan *plan = planning_begin(work, COLLECTIONS_MAX + work->schema->n_collections);
	if (!plan) {
		planning_answer_short(work);
		return;
	}
	plan->is_import = true;
	/* None at all is refused too, or a slip would delete everything. */
	if (!read_body(work, &import) || !import.n) {
		answer_body(work, "validation_required", "Cannot be blank.");
	} else if (!read_items(work, &import, &is_readable)) {
		planning_answer_short(work);
	} else if (!is_readable) {
		planning_end(work);
		work_answer(work, 400, "An error occurred while loading the submitted data.");
	} else {
		check_and_queue(work);
	}
}
