/*
 * settle.c - is the change a good one, as far as that can be said without the database?
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "change.h"

#define ID_MAX 31 /* characters of a collection's id, as token claims hold it */

/* ---- id and name ---- */

static void check_id(struct record_work *work, struct change *change)
{
	if (change->old)
		return;
	for (size_t i = 0; i < change->id.n; i++)
		if (!isalnum((unsigned char)change->id.p[i]) && change->id.p[i] != '_') {
			flaws_add(&change->flaws, "id", -1, NULL, "validation_match_invalid",
				"Must be in a valid format: letters, digits and '_'.");
			return;
		}
	if (change->id.n > ID_MAX)
		flaws_add(&change->flaws, "id", -1, NULL, "validation_length_out_of_range",
			"The length must be between 1 and %d.", ID_MAX);
	else if (schema_find(work->schema, change->id))
		flaws_add(&change->flaws, "id", -1, NULL, "validation_invalid_or_existing_id",
			"The model id is invalid or already exists.");
}

/* Whether the plan leaves the collection other with this name or id. */
static bool is_taken(struct record_work *work, const struct change *change,
	struct change *const *others, size_t n_others, bool *ret_by_id)
{
	*ret_by_id = false;
	for (size_t i = 0; i < n_others; i++) {
		if (others[i] != change && !others[i]->is_drop &&
			bytes_eq_nocase(others[i]->name, change->name))
			return true;
		*ret_by_id |= others[i] != change && bytes_eq(others[i]->id, change->name);
	}
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		bool is_changed = other == change->old;
		for (size_t i = 0; i < n_others; i++)
			is_changed |= others[i]->old == other;
		if (!is_changed && bytes_eq_nocase(other->name, change->name))
			return true;
		*ret_by_id |= other != change->old && bytes_eq(other->id, change->name);
	}
	return *ret_by_id;
}

static bool has_via(struct bytes name)
{
	for (size_t i = 0; i + 5 <= name.n; i++)
		if (bytes_eq_nocase((struct bytes){ name.p + i, 5 }, BYTES("_via_")))
			return true;
	return false;
}

static void check_name(struct record_work *work, struct change *change,
	struct change *const *others, size_t n_others)
{
	bool is_id;
	struct bytes name = change->name;
	struct flaws *flaws = &change->flaws;
	const struct record_collection *old = change->old;
	if (old && bytes_eq(old->name, name))
		return;
	if (old && old->is_system)
		flaws_add(flaws, "name", -1, NULL, "validation_collection_system_name_change",
			"System collection name cannot be changed.");
	else if (!name.n)
		flaws_add(flaws, "name", -1, NULL, "validation_required", "Cannot be blank.");
	else if (name.n > NAME_MAX_BYTES)
		flaws_add(flaws, "name", -1, NULL, "validation_length_out_of_range",
			"The length must be between 1 and %d.", NAME_MAX_BYTES);
	else if (has_via(name))
		flaws_add(flaws, "name", -1, NULL, "validation_found_via",
			"The value cannot contain \"_via_\".");
	else if (!name_is_valid(name))
		flaws_add(flaws, "name", -1, NULL, "validation_match_invalid",
			"Must be in a valid format: a letter, then letters, digits and '_'.");
	else if (is_taken(work, change, others, n_others, &is_id))
		flaws_add(flaws, "name", -1, NULL,
			is_id ? "validation_collection_name_id_duplicate"
			      : "validation_collection_name_exists",
			is_id ? "The name must not match an existing collection id."
			      : "Collection name must be unique (case insensitive).");
}

/* ---- fields ---- */

static bool is_system_name(const struct change *change, struct bytes name)
{
	static const char *const names[] = { "password", "tokenKey", "email", "emailVisibility",
		"verified" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && change->is_auth; i++)
		if (bytes_eq_string(name, names[i]))
			return true;
	return bytes_eq_string(name, "id");
}

static bool is_id_taken(const struct change *change, struct bytes id)
{
	for (size_t i = 0; i < change->n_fields; i++)
		if (bytes_eq(change->fields[i].id, id))
			return true;
	for (size_t i = 0; change->old && i < change->old->n_fields; i++)
		if (bytes_eq(change->old->fields[i].id, id))
			return true;
	return false;
}

/* Of type and name, as PocketBase makes it, so that the same definition has the same ids
 * everywhere; with a random one when that is in use. */
static bool give_id(struct record_work *work, struct change *change, struct record_field *field)
{
	char random[ID_RECORD_BYTES + 1];
	struct bytes id = arena_printf(work->arena, "%s%u", field_type_name(field->type),
		(unsigned)change_checksum(field->name));
	if (is_id_taken(change, id)) {
		id_record(loop_ids(work->call->loop), random);
		id = arena_printf(work->arena, "%s", random);
	}
	field->id = id;
	return id.p;
}

static bool may_change_type(const struct record_field *was, const struct record_field *field)
{
	return was->type == field->type ||
	       (field_can_convert(was->type) && field_can_convert(field->type));
}

static bool settle_field(struct record_work *work, struct change *change, size_t index)
{
	struct record_field *field = &change->fields[index];
	const struct record_field *was = NULL;
	if (field->id.n)
		was = change_old_field(change->old, field);
	else if (change->old)
		was = collection_field(change->old, field->name);
	if (was && was->is_system) {
		if (!bytes_eq(was->name, field->name))
			flaws_add(&change->flaws, "fields", -1, NULL,
				"validation_system_field_change",
				"System fields cannot be deleted or renamed.");
		bool is_presentable = field->is_presentable;
		*field = *was;
		field->regex = NULL; /* the old snapshot's */
		field->is_presentable = is_presentable;
		return true;
	}
	/* Who names the collection means the one that has the name now. */
	const struct record_collection *target =
		field->type == FIELD_RELATION ? schema_find(work->schema, field->collection_id)
					      : NULL;
	if (target)
		field->collection_id = target->id;
	if (was && !may_change_type(was, field))
		flaws_add(&change->flaws, "fields", (long)index, NULL,
			"validation_field_type_change", "Field type cannot be changed.");
	if (was && was->type == FIELD_RELATION && field->type == FIELD_RELATION &&
		!bytes_eq(was->collection_id, field->collection_id))
		flaws_add(&change->flaws, "fields", (long)index, "collectionId",
			"validation_field_relation_change",
			"The relation collection cannot be changed.");
	if (field->type == FIELD_PASSWORD && !(was && was->type == FIELD_PASSWORD))
		flaws_add(&change->flaws, "fields", (long)index, "type", "validation_invalid_field",
			"Only auth collections have a password, and only one.");
	if (was) {
		field->id = was->id;
		return true;
	}
	return field->id.n || give_id(work, change, field);
}

bool change_settle_fields(struct record_work *work, struct change *change)
{
	struct record_field *fields = change->fields;
	const struct record_collection *old = change->old;
	size_t n = 0;
	for (size_t i = 0; i < change->n_fields; i++) {
		/* A new collection's system fields are ours to write. */
		if (!old && is_system_name(change, fields[i].name))
			continue;
		fields[n++] = fields[i];
	}
	change->n_fields = n;
	for (size_t i = 0; i < n; i++)
		if (!settle_field(work, change, i))
			return false;
	for (size_t i = 0; old && i < old->n_fields; i++) {
		bool is_kept = false;
		for (size_t f = 0; f < n; f++)
			is_kept |= bytes_eq(fields[f].id, old->fields[i].id);
		if (!is_kept && old->fields[i].is_system)
			flaws_add(&change->flaws, "fields", -1, NULL,
				"validation_system_field_change",
				"System fields cannot be deleted or renamed.");
	}
	return true;
}

static void check_duplicates(struct change *change, size_t index)
{
	const struct record_field *field = &change->fields[index];
	for (size_t i = 0; i < index; i++) {
		if (bytes_eq(change->fields[i].id, field->id))
			flaws_add(&change->flaws, "fields", (long)index, "id",
				"validation_duplicated_field_id",
				"Duplicated or invalid field id \"%.*s\".", (int)field->id.n,
				field->id.p);
		if (!bytes_eq_nocase(change->fields[i].name, field->name))
			continue;
		flaws_add(&change->flaws, "fields", (long)index, "name",
			"validation_duplicated_field_name",
			"Duplicated or invalid field name %.*s.", (int)field->name.n,
			field->name.p);
	}
}

static void check_fields(struct change *change)
{
	static const char *const reserved[] = { "passwordConfirm", "oldPassword" };
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct record_field *field = &change->fields[i];
		if (field->is_system)
			continue;
		for (size_t r = 0; r < 2 && change->is_auth; r++)
			if (bytes_eq_string(field->name, reserved[r]))
				flaws_add(&change->flaws, "fields", (long)i, "name",
					"validation_reserved_field_name",
					"The field name is reserved and cannot be used.");
		change_check_field(change, i);
		check_duplicates(change, i);
	}
	if (change->n_fields > FIELDS_MAX)
		flaws_add(&change->flaws, "fields", -1, NULL, "validation_length_too_long",
			"At most %d fields are allowed.", FIELDS_MAX);
}

/* ---- indexes ---- */

static bool has_index(const struct bytes_list *list, size_t n, struct bytes quoted)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq_nocase(index_name(list->items[i]), quoted))
			return true;
	return false;
}

/* The collection that has an index of this name and that the plan leaves alone. */
static const struct record_collection *find_index(struct record_work *work,
	const struct change *change, struct change *const *others, size_t n_others,
	struct bytes quoted)
{
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		bool is_changed = other == change->old;
		for (size_t i = 0; i < n_others; i++)
			is_changed |= others[i]->old == other;
		if (!is_changed && has_index(&other->indexes, other->indexes.n, quoted))
			return other;
	}
	return NULL;
}

static bool stood_before(const struct change *change, struct bytes text)
{
	for (size_t i = 0; change->old && i < change->old->indexes.n; i++)
		if (bytes_eq(change->old->indexes.items[i], text))
			return true;
	return false;
}

static void check_index(struct record_work *work, struct change *change, size_t i,
	struct change *const *others, size_t n_others)
{
	struct bytes name;
	struct bytes *text = &change->indexes.items[i];
	if (!index_parse(*text, change, stood_before(change, *text), work->arena, text, &name)) {
		flaws_add(&change->flaws, "indexes", (long)i, NULL,
			"validation_invalid_index_expression", "Invalid CREATE INDEX expression.");
		return;
	}
	struct bytes quoted = name_quote(work->arena, name);
	if (has_index(&change->indexes, i, quoted)) {
		flaws_add(&change->flaws, "indexes", (long)i, NULL,
			"validation_duplicated_index_name", "The index name already exists.");
		return;
	}
	const struct record_collection *other = find_index(work, change, others, n_others, quoted);
	if (other) {
		flaws_add(&change->flaws, "indexes", (long)i, NULL,
			"validation_existing_index_name",
			"The index name is already used in %.*s collection.", (int)other->name.n,
			other->name.p);
		flaws_params(&change->flaws, "{\"usedTableName\":\"%.*s\"}", (int)other->name.n,
			other->name.p);
	}
}

/* An inherited index goes when a column of it goes: nobody asked for it to stay. */
static void drop_lost_indexes(struct record_work *work, struct change *change)
{
	struct bytes text, name;
	size_t n = 0;
	for (size_t i = 0; i < change->indexes.n; i++)
		if (index_parse(change->indexes.items[i], change, true, work->arena, &text, &name))
			change->indexes.items[n++] = change->indexes.items[i];
	change->indexes.n = n;
}

static void check_indexes(struct record_work *work, struct change *change,
	struct change *const *others, size_t n_others)
{
	if (change->is_view) {
		if (change->indexes.n)
			flaws_add(&change->flaws, "indexes", -1, NULL,
				"validation_indexes_not_supported",
				"View collections don't support indexes.");
		return;
	}
	if (change->indexes.n > INDEXES_MAX) {
		flaws_add(&change->flaws, "indexes", -1, NULL, "validation_length_too_long",
			"At most %d indexes are allowed.", INDEXES_MAX);
		return;
	}
	if (!change->has_indexes)
		drop_lost_indexes(work, change);
	for (size_t i = 0; i < change->indexes.n; i++)
		check_index(work, change, i, others, n_others);
}

void change_check(struct record_work *work, struct change *change, struct change *const *others,
	size_t n_others)
{
	check_id(work, change);
	check_name(work, change, others, n_others);
	if (!change->is_view)
		check_fields(change);
	else if (!change->view_query.n)
		flaws_add(&change->flaws, "viewQuery", -1, NULL, "validation_required",
			"Cannot be blank.");
	check_indexes(work, change, others, n_others);
}
