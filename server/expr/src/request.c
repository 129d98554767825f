/*
 * request.c - @request.*: who asks, with what
 */
#include <string.h>

#include "plan.h"

static enum expr_result add_param(
	struct resolver *resolver, struct expr_param param, const struct term **ret)
{
	return term_new(resolver,
		(struct term){ .kind = TERM_PARAM,
			.param = param,
			.is_nullable = true,
			.is_request = true },
		ret);
}

/* ---- the signed-in record ---- */

/* @request.auth.role: whichever collection the signed-in record is in, found by its id. */
static enum expr_result auth_value(
	struct resolver *resolver, const struct path *path, const struct term **ret)
{
	static const struct {
		const char *name;
		enum expr_source source;
	} direct[] = { { "id", EXPR_AUTH_ID }, { "collectionId", EXPR_AUTH_COLLECTION_ID },
		{ "collectionName", EXPR_AUTH_COLLECTION_NAME } };
	for (size_t i = 0; i < 3 && path->n == 3 && !path->modifier.n; i++)
		if (bytes_eq_string(path->segments[2], direct[i].name))
			return add_param(
				resolver, (struct expr_param){ .source = direct[i].source }, ret);

	struct term either = { .kind = TERM_AUTH, .is_nullable = true };
	struct bytes collection_id, *names;
	const void *scope;
	const struct expr_schema *schema = resolver->schema;
	either.names = names = arena_alloc(resolver->arena, ARGS_MAX * sizeof(*names));
	if (!names)
		return EXPR_NOMEM;
	for (size_t i = 0; (scope = schema->auth_scope(schema, i, &collection_id)); i++) {
		struct source *source;
		struct source like = { .kind = SOURCE_AUTH, .scope = scope };
		const struct term *term;
		struct expr_field field;
		struct expr_error *error = resolver->error, ignored;
		/* A collection without such a field has nothing to give. */
		bool is_back =
			path->n > 3 && memmem(path->segments[2].p, path->segments[2].n, "_via_", 5);
		if (!is_back && !schema->find_field(schema, scope, path->segments[2], &field))
			continue;
		if (!resolver_keep(resolver, collection_id, &like.name))
			return EXPR_NOMEM;
		enum expr_result result = source_add(resolver, &like, &source);
		if (result != EXPR_OK)
			return result;
		resolver->error = &ignored;
		result = path_walk(resolver, path, 2, source, scope, &term);
		resolver->error = error;
		if (result == EXPR_INVALID)
			continue;
		if (result != EXPR_OK)
			return result;
		if (either.n_args == ARGS_MAX)
			return expr_fail(resolver->error, path->offset,
				"More than %d auth collections have this field.", ARGS_MAX);
		either.is_strict = either.is_strict || term->is_strict;
		names[either.n_args] = like.name;
		either.args[either.n_args++] = term;
	}
	if (!either.n_args)
		return term_new(resolver,
			(struct term){ .kind = TERM_NULL, .is_empty = true, .is_nullable = true },
			ret);
	if (either.n_args > 1)
		return term_new(resolver, either, ret);
	*ret = either.args[0];
	return EXPR_OK;
}

/* ---- the body ---- */

/* "/a/b" of the segments from first to the last but one of end. */
static bool pointer_of(struct resolver *resolver, const struct path *path, size_t first, size_t end,
	struct bytes *ret)
{
	DEFER(bytes_buf_fini) struct bytes_buf text;
	bytes_buf_init(&text, EXPR_BYTES_MAX + 64);
	for (size_t i = first; i < end; i++) {
		bytes_buf_append_byte(&text, '/');
		bytes_buf_append(&text, path->segments[i]);
	}
	return !text.failed && resolver_keep(resolver, bytes_buf_view(&text), ret);
}

/* A relation that was sent can be followed. */
static enum expr_result body_rows(struct resolver *resolver, const struct path *path,
	const struct expr_field *field, const struct term **ret)
{
	struct source *source;
	struct source like = {
		.kind = SOURCE_BODY_ROWS, .is_multi = field->is_list, .scope = field->target
	};
	if (!pointer_of(resolver, path, 2, 3, &like.name))
		return EXPR_NOMEM;
	enum expr_result result = source_add(resolver, &like, &source);
	if (result != EXPR_OK)
		return result;
	return path_walk(resolver, path, 3, source, field->target, ret);
}

static enum expr_result body_items(
	struct resolver *resolver, struct bytes pointer, const struct term **ret)
{
	struct source *source;
	enum expr_result result = source_add(resolver,
		&(struct source){ .kind = SOURCE_BODY_ITEMS, .is_multi = true, .name = pointer },
		&source);
	if (result != EXPR_OK)
		return result;
	return term_new(resolver,
		(struct term){ .kind = TERM_ITEM,
			.source = source,
			.affinity = AFFINITY_BLOB,
			.is_nullable = true,
			.is_known = true },
		ret);
}

/* It was sent, and differs from what the row holds. */
static enum expr_result body_changed(struct resolver *resolver, const struct path *path,
	struct expr_param param, const struct term **ret)
{
	struct path field = { .segments = { path->segments[2] }, .n = 1, .offset = path->offset };
	struct term term = { .kind = TERM_CHANGED, .n_args = 3 };
	if (path->n != 3)
		return path_unknown(resolver, path, path->segments[path->n - 1]);
	enum expr_result result =
		path_walk(resolver, &field, 0, NULL, resolver->scope, &term.args[1]);
	if (result == EXPR_OK)
		result = add_param(resolver, param, &term.args[2]);
	param.source = EXPR_BODY_ISSET;
	if (result == EXPR_OK)
		result = add_param(resolver, param, &term.args[0]);
	return result == EXPR_OK ? term_new(resolver, term, ret) : result;
}

static enum expr_result body_value(
	struct resolver *resolver, const struct path *path, const struct term **ret)
{
	struct expr_param param = { .source = EXPR_BODY };
	struct expr_field field = { 0 };
	bool is_field = resolver->schema->find_field(
		resolver->schema, resolver->scope, path->segments[2], &field);
	if (is_field && field.target && path->n > 3)
		return body_rows(resolver, path, &field, ret);
	if (!pointer_of(resolver, path, 2, path->n, &param.name))
		return EXPR_NOMEM;
	param.is_number = is_field && field.type == EXPR_NUMBER && path->n == 3;
	if (bytes_eq_string(path->modifier, "changed"))
		return body_changed(resolver, path, param, ret);
	if (bytes_eq_string(path->modifier, "each"))
		return body_items(resolver, param.name, ret);
	if (bytes_eq_string(path->modifier, "isset"))
		param.source = EXPR_BODY_ISSET;
	else if (bytes_eq_string(path->modifier, "length"))
		param.source = EXPR_BODY_LENGTH;
	else if (path->modifier.n && !bytes_eq_string(path->modifier, "lower"))
		return expr_fail(resolver->error, path->offset, "Unknown modifier.");
	enum expr_result result = add_param(resolver, param, ret);
	if (result == EXPR_OK && bytes_eq_string(path->modifier, "lower"))
		result = term_lower(resolver, *ret, ret);
	return result;
}

/* ---- query and headers ---- */

static enum expr_result pair_value(struct resolver *resolver, const struct path *path,
	enum expr_source source, enum expr_source isset, const struct term **ret)
{
	struct expr_param param = { .source = source };
	if (path->n != 3)
		return path_unknown(resolver, path, path->segments[path->n - 1]);
	bool is_lower = bytes_eq_string(path->modifier, "lower");
	if (bytes_eq_string(path->modifier, "isset"))
		param.source = isset;
	else if (path->modifier.n && !is_lower)
		return expr_fail(resolver->error, path->offset, "Unknown modifier.");
	if (!resolver_keep(resolver, path->segments[2], &param.name))
		return EXPR_NOMEM;
	enum expr_result result = add_param(resolver, param, ret);
	return result == EXPR_OK && is_lower ? term_lower(resolver, *ret, ret) : result;
}

enum expr_result request_resolve(
	struct resolver *resolver, const struct path *path, const struct term **ret)
{
	struct bytes part = path->n >= 2 ? path->segments[1] : (struct bytes){ NULL, 0 };
	if (path->n == 2 && !path->modifier.n && bytes_eq_string(part, "method"))
		return add_param(resolver, (struct expr_param){ .source = EXPR_METHOD }, ret);
	if (path->n == 2 && !path->modifier.n && bytes_eq_string(part, "context"))
		return add_param(resolver, (struct expr_param){ .source = EXPR_CONTEXT }, ret);
	if (path->n >= 3 && bytes_eq_string(part, "auth"))
		return auth_value(resolver, path, ret);
	if (path->n >= 3 && bytes_eq_string(part, "body"))
		return body_value(resolver, path, ret);
	if (bytes_eq_string(part, "query"))
		return pair_value(resolver, path, EXPR_QUERY, EXPR_QUERY_ISSET, ret);
	if (bytes_eq_string(part, "headers"))
		return pair_value(resolver, path, EXPR_HEADER, EXPR_HEADER_ISSET, ret);
	return path_unknown(resolver, path, part.n ? part : path->segments[0]);
}
