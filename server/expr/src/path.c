/*
 * path.c - paths: from a row over relations, lists and back-relations to a value
 *
 *   author.team.name        the source "row of author", hanging from it "row of team", the column
 *   friends.name            items of friends, the row whose id an item is, the column
 *   comments_via_post.text  the rows of comments whose post is this row, the column
 *   data.a.0                a column and a JSON path
 */
#include <string.h>

#include "plan.h"

enum expr_result path_unknown(struct resolver *resolver, const struct path *path, struct bytes name)
{
	int shown = name.n < 80 ? (int)name.n : 80;
	return expr_fail(resolver->error, path->offset, "Unknown field \"%.*s\".", shown, name.p);
}

static enum expr_result bad_modifier(struct resolver *resolver, const struct path *path)
{
	int shown = path->modifier.n < 40 ? (int)path->modifier.n : 40;
	return expr_fail(resolver->error, path->offset,
		"The modifier \":%.*s\" does not fit this field.", shown, path->modifier.p);
}

static bool source_is_like(const struct source *a, const struct source *b)
{
	return a->kind == b->kind && a->parent == b->parent && a->scope == b->scope &&
	       bytes_eq(a->field.column, b->field.column) && bytes_eq(a->name, b->name);
}

enum expr_result source_add(
	struct resolver *resolver, const struct source *like, struct source **ret)
{
	for (struct source *source = resolver->plan->sources; source; source = source->next)
		if (source_is_like(source, like)) {
			*ret = source;
			return EXPR_OK;
		}
	if (resolver->plan->n_sources == SOURCES_MAX)
		return expr_fail(
			resolver->error, 0, "The expression follows too many different relations.");
	struct source *source = arena_alloc(resolver->arena, sizeof(*source));
	if (!source)
		return EXPR_NOMEM;
	*source = *like;
	source->index = resolver->plan->n_sources++;
	/* What is paid for once is asked of the schema once. */
	const struct expr_schema *schema = resolver->schema;
	const struct expr_guard *guard = NULL;
	bool is_table = source->kind != SOURCE_ITEMS && source->kind != SOURCE_BODY_ITEMS;
	if (is_table)
		source->table = schema->table(schema, source->scope);
	if (schema->row_guard && is_table && source->kind != SOURCE_AUTH)
		guard = schema->row_guard(schema, source->scope);
	enum expr_result result = EXPR_OK;
	if (guard)
		result = plan_guard(resolver, guard, source->scope, &source->row_guard);
	if (resolver->last)
		resolver->last->next = source;
	else
		resolver->plan->sources = source;
	resolver->last = source;
	*ret = source;
	return result;
}

enum expr_result term_new(struct resolver *resolver, struct term like, const struct term **ret)
{
	struct term *term = arena_alloc(resolver->arena, sizeof(*term));
	if (!term)
		return EXPR_NOMEM;
	*term = like;
	*ret = term;
	return EXPR_OK;
}

enum expr_result term_lower(
	struct resolver *resolver, const struct term *term, const struct term **ret)
{
	return term_new(resolver,
		(struct term){ .kind = TERM_LOWER,
			.args = { term },
			.n_args = 1,
			.is_nullable = term->is_nullable,
			.is_strict = term->is_strict,
			.is_request = term->is_request },
		ret);
}

bool resolver_keep(struct resolver *resolver, struct bytes text, struct bytes *ret)
{
	char *copy = arena_copy(resolver->arena, text);
	*ret = (struct bytes){ copy, text.n };
	return copy;
}

/* The segments from first on as SQLite writes a JSON path: $."name"[0]."x" */
static enum expr_result json_path(
	struct resolver *resolver, const struct path *path, size_t first, struct bytes *ret)
{
	DEFER(bytes_buf_fini) struct bytes_buf text;
	bytes_buf_init(&text, EXPR_BYTES_MAX + 64);
	bytes_buf_append_byte(&text, '$');
	for (size_t i = first; i < path->n; i++) {
		uint64_t index;
		if (bytes_parse_u64(path->segments[i], UINT32_MAX, &index))
			bytes_buf_appendf(&text, "[%u]", (unsigned)index);
		else
			bytes_buf_appendf(
				&text, ".\"%.*s\"", (int)path->segments[i].n, path->segments[i].p);
	}
	return !text.failed && resolver_keep(resolver, bytes_buf_view(&text), ret) ? EXPR_OK
										   : EXPR_NOMEM;
}

/* ---- the end of a path ---- */

/* The items of a list, or of the JSON value at name. */
static enum expr_result items(
	struct resolver *resolver, struct term column, const struct term **ret)
{
	struct source *source;
	enum expr_result result = source_add(resolver,
		&(struct source){ .kind = SOURCE_ITEMS,
			.is_multi = true,
			.parent = column.source,
			.field = column.field,
			.field_guard = column.guard,
			.name = column.name },
		&source);
	if (result != EXPR_OK)
		return result;
	return term_new(resolver,
		(struct term){ .kind = TERM_ITEM,
			.source = source,
			.affinity = AFFINITY_BLOB,
			.is_nullable = true,
			.is_strict = column.field.type == EXPR_JSON },
		ret);
}

/* A JSON column, or what stands in it at the path from segment first on. */
static enum expr_result json_value(struct resolver *resolver, const struct path *path, size_t first,
	struct term term, const struct term **ret)
{
	bool is_each = bytes_eq_string(path->modifier, "each");
	bool is_length = bytes_eq_string(path->modifier, "length");
	bool is_lower = bytes_eq_string(path->modifier, "lower");
	if (path->modifier.n && !is_each && !is_length && !is_lower)
		return bad_modifier(resolver, path);
	enum expr_result result = json_path(resolver, path, first, &term.name);
	if (result != EXPR_OK)
		return result;
	if (is_each)
		return items(resolver, term, ret);
	term.kind = is_length ? TERM_LENGTH : TERM_JSON;
	term.affinity = AFFINITY_NONE;
	term.is_nullable = true;
	term.is_strict = !is_length;
	result = term_new(resolver, term, ret);
	return result == EXPR_OK && is_lower ? term_lower(resolver, *ret, ret) : result;
}

static enum expr_result last_field(struct resolver *resolver, const struct path *path,
	struct term term, const struct term **ret)
{
	const struct expr_field *field = &term.field;
	bool is_each = bytes_eq_string(path->modifier, "each");
	bool is_length = bytes_eq_string(path->modifier, "length");
	bool is_lower = bytes_eq_string(path->modifier, "lower");
	if (path->modifier.n && !is_lower &&
		!((is_each || is_length) && (field->is_list || field->is_choice)))
		return bad_modifier(resolver, path);
	/* Without :each a list is compared as its text, also by ?=: so PocketBase has it, and a
	 * rule that lets nobody in there must not let somebody in here. */
	if (field->is_list && is_each)
		return items(resolver, term, ret);
	if (is_length) {
		term.kind = TERM_LENGTH;
		term.affinity = AFFINITY_NONE;
		term.is_nullable = false;
	}
	enum expr_result result = term_new(resolver, term, ret);
	if (result != EXPR_OK || !(is_each || is_lower))
		return result;
	if (is_lower)
		return term_lower(resolver, *ret, ret);
	/* The one item of such a list: items have no affinity. */
	return term_new(resolver,
		(struct term){ .kind = TERM_BARE,
			.args = { *ret },
			.n_args = 1,
			.is_nullable = term.is_nullable },
		ret);
}

/* ---- the steps of a path ---- */

/* "comments_via_post": every place where "_via_" stands is tried. */
static bool find_back(
	struct resolver *resolver, const void *scope, struct bytes name, struct expr_back *ret)
{
	const struct expr_schema *schema = resolver->schema;
	for (size_t i = 1; schema->find_back && i + 5 < name.n; i++)
		if (memcmp(name.p + i, "_via_", 5) == 0 &&
			schema->find_back(schema, scope, (struct bytes){ name.p, i },
				(struct bytes){ name.p + i + 5, name.n - i - 5 }, ret))
			return true;
	return false;
}

static enum expr_result guard_of(struct resolver *resolver, const struct expr_field *field,
	const void *scope, const struct plan **ret)
{
	*ret = NULL;
	return field->guard ? plan_guard(resolver, field->guard, scope, ret) : EXPR_OK;
}

static enum expr_result step_back(struct resolver *resolver, const struct expr_back *back,
	struct source **source, const void **scope)
{
	const struct plan *guard;
	enum expr_result result = guard_of(resolver, &back->field, back->scope, &guard);
	if (result != EXPR_OK)
		return result;
	result = source_add(resolver,
		&(struct source){ .kind = SOURCE_BACK,
			.is_multi = !back->is_unique || back->field.is_list,
			.parent = *source,
			.scope = back->scope,
			.field = back->field,
			.field_guard = guard },
		source);
	*scope = back->scope;
	return result;
}

/* To the row, or each of the rows, that a relation points at. */
static enum expr_result step_relation(
	struct resolver *resolver, const struct term *column, struct source **source)
{
	struct source like = { .kind = SOURCE_ROW,
		.parent = column->source,
		.scope = column->field.target,
		.field = column->field,
		.field_guard = column->guard };
	if (column->field.is_list) {
		const struct term *item;
		enum expr_result result = items(resolver, *column, &item);
		if (result != EXPR_OK)
			return result;
		like.parent = item->source;
		like.field = (struct expr_field){ 0 };
		like.field_guard = NULL;
	}
	return source_add(resolver, &like, source);
}

enum expr_result path_walk(struct resolver *resolver, const struct path *path, size_t first,
	struct source *source, const void *scope, const struct term **ret)
{
	if (path->n - first > EXPR_PATH_MAX)
		return expr_fail(resolver->error, path->offset,
			"The path goes over more than %d relations.", EXPR_PATH_MAX - 1);
	for (size_t i = first;; i++) {
		struct bytes name = path->segments[i];
		bool is_last = i + 1 == path->n;
		struct expr_back back;
		struct term term = { .kind = TERM_COLUMN, .source = source };
		if (!resolver->schema->find_field(resolver->schema, scope, name, &term.field)) {
			if (is_last || !find_back(resolver, scope, name, &back))
				return path_unknown(resolver, path, name);
			enum expr_result result = step_back(resolver, &back, &source, &scope);
			if (result != EXPR_OK)
				return result;
			continue;
		}
		enum expr_result result = guard_of(resolver, &term.field, scope, &term.guard);
		if (result != EXPR_OK)
			return result;
		if (term.field.type == EXPR_JSON)
			return json_value(resolver, path, i + 1, term, ret);
		term.affinity = term.field.type == EXPR_TEXT ? AFFINITY_TEXT : AFFINITY_NUMERIC;
		term.is_nullable = source || term.guard || term.field.is_nullable;
		if (is_last)
			return last_field(resolver, path, term, ret);
		if (!term.field.target)
			return expr_fail(resolver->error, path->offset,
				"\"%.*s\" is not a relation.", (int)name.n, name.p);
		/* The id of what a relation points at is what the relation holds. */
		if (i + 2 == path->n && bytes_eq_string(path->segments[i + 1], "id")) {
			struct path each = *path;
			if (term.field.is_list && !path->modifier.n)
				each.modifier = BYTES("each");
			return last_field(resolver, &each, term, ret);
		}
		scope = term.field.target;
		result = step_relation(resolver, &term, &source);
		if (result != EXPR_OK)
			return result;
	}
}
