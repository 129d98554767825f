/*
 * rename.c - rules that keep meaning the same when fields and collections get new names
 *
 * The text is read as the language reads it, but only for its names: texts, numbers and comments
 * pass as they are. A name is followed through the old snapshot, step by step, and each step that
 * has a new name is written with it:
 *
 *   author.title   comments_via_post.text   @collection.posts.title   @request.body.title
 *
 * @request.auth.x is renamed when every auth collection that has x renames it alike: who signs in
 * is not known before.
 */
#include <string.h>

#include "plan.h"

struct renaming {
	const struct record_schema *schema;
	const struct plan *plan;
	struct bytes_buf *out;
};

static const struct change *change_of(
	const struct plan *plan, const struct record_collection *collection)
{
	for (size_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i]->old == collection)
			return plan->changes[i];
	for (size_t i = 0; i < plan->n_views; i++)
		if (plan->views[i].old == collection)
			return plan->views[i].change;
	return NULL;
}

static struct bytes collection_now(
	const struct plan *plan, const struct record_collection *collection)
{
	const struct change *change = change_of(plan, collection);
	return change && !change->is_drop ? change->name : collection->name;
}

static struct bytes field_now(const struct plan *plan, const struct record_collection *collection,
	const struct record_field *field)
{
	const struct change *change = change_of(plan, collection);
	for (size_t i = 0; change && !change->is_drop && i < change->n_fields; i++)
		if (bytes_eq(change->fields[i].id, field->id))
			return change->fields[i].name;
	return field->name;
}

/* Cuts the part before the next byte out of stops off *text. */
static struct bytes cut(struct bytes *text, const char *stops)
{
	size_t n = 0;
	while (n < text->n && !(text->p[n] && strchr(stops, text->p[n])))
		n++;
	struct bytes part = { text->p, n };
	*text = (struct bytes){ text->p + n, text->n - n };
	return part;
}

/* The collection and field of "comments_via_post". */
static const struct record_field *find_back(
	const struct record_schema *schema, struct bytes step, const struct record_collection **ret)
{
	for (size_t i = 1; i + 5 < step.n; i++) {
		struct bytes name = { step.p, i };
		struct bytes field = { step.p + i + 5, step.n - i - 5 };
		if (memcmp(step.p + i, "_via_", 5) != 0)
			continue;
		*ret = schema_find(schema, name);
		return *ret ? collection_field(*ret, field) : NULL;
	}
	return NULL;
}

/* The steps from collection on; what cannot be followed is written as it is. */
static void follow(
	struct renaming *renaming, const struct record_collection *collection, struct bytes path)
{
	struct bytes_buf *out = renaming->out;
	while (path.n && collection) {
		const struct record_collection *from;
		struct bytes step = cut(&path, ".:");
		const struct record_field *field = collection_field(collection, step);
		const struct record_field *back =
			field ? NULL : find_back(renaming->schema, step, &from);
		if (field) {
			bytes_buf_append(out, field_now(renaming->plan, collection, field));
			collection = field->target;
		} else if (back) {
			bytes_buf_append(out, collection_now(renaming->plan, from));
			bytes_buf_append_string(out, "_via_");
			bytes_buf_append(out, field_now(renaming->plan, from, back));
			collection = from;
		} else {
			bytes_buf_append(out, step);
			collection = NULL;
		}
		/* A modifier ends the path. */
		if (path.n && path.p[0] == ':')
			break;
		if (path.n) {
			bytes_buf_append_byte(out, '.');
			path = (struct bytes){ path.p + 1, path.n - 1 };
		}
	}
	bytes_buf_append(out, path);
}

/* The one auth collection whose new names the path shall have; NULL: none, or they disagree. */
static const struct record_collection *auth_of(struct renaming *renaming, struct bytes path)
{
	const struct record_collection *found = NULL;
	struct bytes step = cut(&path, ".:"), now = { NULL, 0 };
	for (size_t c = 0; c < renaming->schema->n_collections; c++) {
		const struct record_collection *collection = &renaming->schema->collections[c];
		const struct record_field *field =
			collection->is_auth ? collection_field(collection, step) : NULL;
		if (!field)
			continue;
		struct bytes name = field_now(renaming->plan, collection, field);
		if (found && !bytes_eq(now, name))
			return NULL;
		if (!found) {
			found = collection;
			now = name;
		}
	}
	return found;
}

static bool take(struct bytes *text, const char *prefix, struct bytes_buf *out)
{
	struct bytes start = bytes_of(prefix);
	if (!bytes_starts_with(*text, start))
		return false;
	bytes_buf_append(out, start);
	*text = (struct bytes){ text->p + start.n, text->n - start.n };
	return true;
}

static void rename_name(
	struct renaming *renaming, const struct record_collection *collection, struct bytes name)
{
	struct bytes_buf *out = renaming->out;
	bool is_body = take(&name, "@request.body.", out);
	if (!is_body && take(&name, "@request.auth.", out)) {
		follow(renaming, auth_of(renaming, name), name);
	} else if (!is_body && take(&name, "@collection.", out)) {
		struct bytes called = cut(&name, ".:");
		const struct record_collection *other = schema_find(renaming->schema, called);
		/* Where it is named by its id, that does not change. */
		bool is_named = other && bytes_eq_nocase(other->name, called);
		bytes_buf_append(out, is_named ? collection_now(renaming->plan, other) : called);
		/* ":alias" tells several uses apart. */
		if (name.n && name.p[0] == ':')
			bytes_buf_append(out, cut(&name, "."));
		if (name.n && name.p[0] == '.') {
			bytes_buf_append_byte(out, '.');
			name = (struct bytes){ name.p + 1, name.n - 1 };
		}
		follow(renaming, other, name);
	} else if (name.n && name.p[0] == '@') {
		bytes_buf_append(out, name);
	} else {
		follow(renaming, collection, name);
	}
}

/* ---- the text ---- */

static bool begins_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@';
}

static bool is_in_name(char c)
{
	return begins_name(c) || (c >= '0' && c <= '9') || c == '.' || c == ':';
}

/* How many bytes from p on are a text in quotation marks, a comment, or one other byte. */
static size_t skip(const char *p, const char *end)
{
	const char *at = p + 1;
	if (*p == '\'' || *p == '"') {
		while (at < end && *at != *p)
			at += *at == '\\' && end - at > 1 && at[1] == *p ? 2 : 1;
		return (size_t)(at - p) + (at < end);
	}
	if (*p == '/' && at < end && *at == '/')
		while (at < end && *at != '\n')
			at++;
	return (size_t)(at - p);
}

struct bytes rename_rule(const struct record_schema *schema, const struct plan *plan,
	const struct record_collection *collection, struct bytes text, struct arena *arena)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct renaming renaming = { schema, plan, &out };
	const char *end = text.p + text.n;
	bytes_buf_init(&out, 64u << 10);
	for (const char *p = text.p; p < end;) {
		size_t n = 0;
		if (!begins_name(*p)) {
			/* Digits take along what hangs on them, so that 1e5 is no name. */
			n = skip(p, end);
			while (*p >= '0' && *p <= '9' && p + n < end && is_in_name(p[n]))
				n++;
			bytes_buf_append(&out, (struct bytes){ p, n });
		} else {
			while (p + n < end && is_in_name(p[n]))
				n++;
			rename_name(&renaming, collection, (struct bytes){ p, n });
		}
		p += n;
	}
	if (!out.failed && bytes_eq(bytes_buf_view(&out), text))
		return text;
	char *copy = out.failed ? NULL : arena_copy(arena, bytes_buf_view(&out));
	return (struct bytes){ copy, out.n };
}
