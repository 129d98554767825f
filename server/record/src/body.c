/*
 * body.c - what a client sent for a record: taken over field by field, passed over, or refused
 *
 * What a client may not set is passed over and named in call->ignored, or refused when it asked for
 * that.
 */
#include "write.h"

#include <stdlib.h>
#include <string.h>

/* Members that a whole record carries and that are nobody's to set. */
static bool is_silent(struct bytes name)
{
	static const char *const names[] = { "collectionId", "collectionName", "expand" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_eq_string(name, names[i]))
			return true;
	return false;
}

void body_ignore(struct record_work *work, struct bytes name)
{
	struct bytes_buf *out = &work->call->ignored;
	if (work->call->is_strict && !is_silent(name)) {
		problems_add(&work->problems, name, "validation_unknown_field",
			"The field does not exist or cannot be set.");
		return;
	}
	/* A header's value: what is no name of ours is left out. */
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 127 ||
			name.p[i] == ',')
			return;
	if (name.n > 64 || out->n + name.n + 1 > 2048)
		return;
	if (out->n)
		bytes_buf_append_byte(out, ',');
	bytes_buf_append(out, name);
}

enum modifier { MODIFY_SET, MODIFY_APPEND, MODIFY_PREPEND, MODIFY_REMOVE };

bool body_has_modifiers(const struct record_field *field)
{
	return field->type == FIELD_NUMBER || field->type == FIELD_SELECT ||
	       field->type == FIELD_RELATION || field->type == FIELD_FILE;
}

/* "tags", "tags+", "+tags", "tags-". */
static const struct record_field *find_target(
	const struct record_collection *collection, struct bytes name, enum modifier *ret)
{
	const struct record_field *field = collection_field(collection, name);
	*ret = MODIFY_SET;
	if (field || name.n < 2)
		return field;
	char last = name.p[name.n - 1];
	if (name.p[0] == '+') {
		*ret = MODIFY_PREPEND;
		name = (struct bytes){ name.p + 1, name.n - 1 };
	} else if (last == '+' || last == '-') {
		*ret = last == '+' ? MODIFY_APPEND : MODIFY_REMOVE;
		name.n--;
	} else {
		return NULL;
	}
	field = collection_field(collection, name);
	if (!field || !body_has_modifiers(field) ||
		(field->type == FIELD_NUMBER && *ret == MODIFY_PREPEND))
		return NULL;
	return field;
}

/* A choice and its place in the list that it stands in. */
struct choice {
	struct bytes text;
	size_t at;
};

static int compare_choices(const void *a, const void *b)
{
	const struct choice *first = a, *second = b;
	int order = bytes_cmp(first->text, second->text);
	if (order)
		return order;
	return first->at < second->at ? -1 : first->at > second->at;
}

/* Both lists, one behind the other, each choice once; of first alone, and without the choices of
 * second, when is_removal. False when the arena is full. */
static bool merge_choices(const struct value *first, const struct value *second, bool is_removal,
	struct arena *arena, struct value *ret)
{
	size_t n = first->n_items + second->n_items;
	struct choice *sorted = arena_alloc(arena, (n + 1) * sizeof(*sorted));
	bool *is_out = arena_alloc(arena, n + 1);
	*ret = (struct value){ .is_set = true };
	ret->items = arena_alloc(arena, (n + 1) * sizeof(struct bytes));
	if (!sorted || !is_out || !ret->items)
		return false;
	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct choice){
			i < first->n_items ? first->items[i] : second->items[i - first->n_items], i
		};
	qsort(sorted, n, sizeof(*sorted), compare_choices);
	/* Of equals all but the first are out, and that too when the last stands in second. */
	for (size_t i = 0, end; i < n; i = end) {
		end = i + 1;
		while (end < n && bytes_eq(sorted[i].text, sorted[end].text))
			is_out[sorted[end++].at] = true;
		is_out[sorted[i].at] = is_removal && sorted[end - 1].at >= first->n_items;
	}
	for (size_t i = 0; i < n; i++)
		if (!is_out[i])
			ret->items[ret->n_items++] = i < first->n_items
							     ? first->items[i]
							     : second->items[i - first->n_items];
	return true;
}

static bool modify(const struct record_field *field, enum modifier modifier,
	const struct value *change, struct arena *arena, struct value *value)
{
	if (modifier == MODIFY_SET) {
		*value = *change;
		return true;
	}
	value->is_set = true;
	if (field->type == FIELD_NUMBER) {
		value->number += modifier == MODIFY_REMOVE ? -change->number : change->number;
		return true;
	}
	struct value merged;
	const struct value *first = modifier == MODIFY_PREPEND ? change : value;
	const struct value *second = modifier == MODIFY_PREPEND ? value : change;
	if (!merge_choices(first, second, modifier == MODIFY_REMOVE, arena, &merged))
		return false;
	*value = merged;
	return value_set_items(field, value, arena);
}

static bool take_member(
	struct record_work *work, struct bytes name, struct bytes json, struct bytes *ret_confirm)
{
	struct arena *arena = work->arena;
	const struct record_collection *collection = work->collection;
	enum modifier modifier;
	const struct record_field *field = find_target(collection, name, &modifier);
	struct value value;
	static const struct record_field text_field = { .type = FIELD_TEXT };

	bool is_confirm = bytes_eq_string(name, "passwordConfirm");
	if (collection->is_auth && (is_confirm || bytes_eq_string(name, "oldPassword"))) {
		if (!value_parse(&text_field, json, arena, &value))
			return false;
		*(is_confirm ? ret_confirm : &work->old_password) = value.text;
		return true;
	}
	if (field && field->type == FIELD_PASSWORD) {
		if (!value_parse(&text_field, json, arena, &value))
			return false;
		work->password = value.text;
		work->has_password = value.text.n > 0;
		return true;
	}
	if (!field || field->is_secret || field->type == FIELD_AUTODATE ||
		(field->is_hidden && !work_is_superuser(work))) {
		body_ignore(work, name);
		return true;
	}
	if (field->is_primary && work->action == RECORD_UPDATE) { /* an id never changes */
		if (value_parse(field, json, arena, &value) &&
			!bytes_eq_string(value.text, work->id))
			body_ignore(work, name);
		return true;
	}
	size_t i = (size_t)(field - collection->fields);
	if (work->locked && work->locked[i]) {
		body_ignore(work, name);
		return true;
	}
	if (work->sent)
		work->sent[i] = true;
	struct value *at = &work->values[i];
	return value_parse(field, json, arena, &value) &&
	       modify(field, modifier, &value, arena, at);
}

/* Applies the body to work->values. False when the arena is full or the body is no object: then
 * the call has been answered. */
bool body_apply(struct record_work *work, struct bytes *ret_confirm)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes name;
	*ret_confirm = (struct bytes){ NULL, 0 };
	text_json_reader_init(&reader, work->call->body);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct text_json_token key = token;
		struct bytes json = text_json_skip(&reader, &token);
		if (!text_json_text(&key, work->arena, &name) ||
			!take_member(work, name, json, ret_confirm))
			return false;
	}
	return token.type == TEXT_JSON_OBJECT_END;
}

const struct record_field *body_password_field(const struct record_collection *collection)
{
	return collection->is_auth ? collection_field(collection, BYTES("password")) : NULL;
}

void body_check_password(struct record_work *work, struct bytes confirm, bool is_create)
{
	const struct record_field *field = body_password_field(work->collection);
	if (!field || (!work->has_password && !is_create))
		return;
	value_check_password(field, work->password, &work->problems);
	if (!work->has_password)
		return;
	if (!confirm.n)
		problems_add(&work->problems, BYTES("passwordConfirm"), "validation_required",
			"Missing required value.");
	else if (!bytes_eq(confirm, work->password))
		problems_add(&work->problems, BYTES("passwordConfirm"),
			"validation_values_mismatch", "Values don't match.");
	/* Who may manage the account needs none; that is looked at together with the old one. */
	bool is_own = work->collection->rules[RULE_MANAGE].is_null;
	if (!is_create && is_own && !work_is_superuser(work) && !work->old_password.n)
		problems_add(&work->problems, BYTES("oldPassword"), "validation_required",
			"Missing required value.");
}

void body_set_autodates(struct record_work *work, bool is_create)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->type == FIELD_AUTODATE &&
			(is_create ? field->on_create || field->on_update : field->on_update))
			work->values[i] =
				(struct value){ .is_set = true, .text = bytes_of(work_now(work)) };
	}
}

/* The id that the client chose, or a fresh one. */
void body_set_id(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		struct bytes text = work->values[i].text;
		if (!field->is_primary)
			continue;
		if (!text.n) {
			id_record(work_ids(work), work->id);
			work->values[i].text = bytes_of(work->id);
			return;
		}
		bool is_good = text.n == ID_RECORD_BYTES;
		for (size_t c = 0; c < text.n; c++)
			is_good &= (text.p[c] >= 'a' && text.p[c] <= 'z') ||
				   (text.p[c] >= '0' && text.p[c] <= '9');
		/* The length first, as PocketBase does. */
		if (!bytes_to_string(text, work->id, sizeof(work->id)) || !is_good)
			problems_add(&work->problems, field->name,
				text.n < ID_RECORD_BYTES   ? "validation_min_text_constraint"
				: text.n > ID_RECORD_BYTES ? "validation_max_text_constraint"
							   : "validation_invalid_format",
				"An id has 15 characters out of a-z and 0-9.");
		return;
	}
}

void body_check_values(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++)
		if (work->values[i].is_set && !collection->fields[i].is_primary &&
			!collection->fields[i].is_secret)
			value_check(&collection->fields[i], &work->values[i], &work->problems);
	files_check(work);
}
