/*
 * resolve.c - operands: literals, macros, functions, and where a path begins
 */
#include <string.h>

#include "plan.h"

static enum expr_result split(
	struct resolver *resolver, const struct operand *operand, struct path *ret)
{
	const char *p = operand->text.p, *end = p + operand->text.n;
	*ret = (struct path){ .offset = operand->offset };
	for (;;) {
		const char *dot = memchr(p, '.', (size_t)(end - p));
		if (ret->n == SEGMENTS_MAX)
			return expr_fail(resolver->error, operand->offset, "The path is too long.");
		ret->segments[ret->n++] = (struct bytes){ p, (size_t)((dot ? dot : end) - p) };
		if (!dot)
			break;
		p = dot + 1;
	}
	struct bytes *last = &ret->segments[ret->n - 1];
	const char *colon = last->n ? memchr(last->p, ':', last->n) : NULL;
	if (colon) {
		size_t n = (size_t)(colon - last->p);
		ret->modifier = (struct bytes){ colon + 1, last->n - n - 1 };
		last->n = n;
	}
	bool is_collection = bytes_eq_string(ret->segments[0], "@collection");
	for (size_t i = 0; i + 1 < ret->n; i++)
		if (!(is_collection && i == 1) && ret->segments[i].n &&
			memchr(ret->segments[i].p, ':', ret->segments[i].n))
			return expr_fail(resolver->error, operand->offset,
				"A modifier must stand at the end of a path.");
	return EXPR_OK;
}

/* @collection.posts.title, @collection.posts:other.title: any row of it. */
static enum expr_result collection_value(
	struct resolver *resolver, const struct path *path, const struct term **ret)
{
	const struct expr_schema *schema = resolver->schema;
	struct source *source;
	struct source like = { .kind = SOURCE_COLLECTION, .is_multi = true };
	if (path->n < 3)
		return expr_fail(resolver->error, path->offset,
			"@collection needs the name of a collection and a field of it.");
	struct bytes name = path->segments[1], alias = { NULL, 0 };
	const char *colon = name.n ? memchr(name.p, ':', name.n) : NULL;
	if (colon) {
		alias = (struct bytes){ colon + 1, (size_t)(name.p + name.n - colon - 1) };
		name.n = (size_t)(colon - name.p);
	}
	like.scope = schema->find_scope ? schema->find_scope(schema, name) : NULL;
	if (!like.scope)
		return expr_fail(resolver->error, path->offset, "Unknown collection \"%.*s\".",
			name.n < 80 ? (int)name.n : 80, name.p);
	if (!resolver_keep(resolver, alias, &like.name))
		return EXPR_NOMEM;
	enum expr_result result = source_add(resolver, &like, &source);
	if (result != EXPR_OK)
		return result;
	return path_walk(resolver, path, 2, source, like.scope, ret);
}

static enum expr_result literal(
	struct resolver *resolver, const struct operand *operand, const struct term **ret)
{
	bool is_text = operand->kind == OPERAND_TEXT;
	struct term term = { .kind = TERM_PARAM,
		.param = { .source = is_text ? EXPR_LITERAL : EXPR_LITERAL_NUMBER,
			.number = operand->number },
		.is_empty = is_text && operand->text.n == 0 };
	term.is_known = !term.is_empty;
	if (is_text && !resolver_keep(resolver, operand->text, &term.param.name))
		return EXPR_NOMEM;
	return term_new(resolver, term, ret);
}

/* null, true and false, whatever their case. */
static bool find_word(struct bytes name, struct term *ret)
{
	if (bytes_eq_nocase(name, BYTES("null")))
		*ret = (struct term){ .kind = TERM_NULL, .is_empty = true, .is_nullable = true };
	else if (bytes_eq_nocase(name, BYTES("true")))
		*ret = (struct term){ .kind = TERM_CONSTANT, .number = 1, .is_known = true };
	else if (bytes_eq_nocase(name, BYTES("false")))
		*ret = (struct term){ .kind = TERM_CONSTANT, .number = 0, .is_known = true };
	else
		return false;
	return true;
}

enum expr_result resolve_operand(
	struct resolver *resolver, const struct operand *operand, const struct term **ret)
{
	struct term word;
	struct path path;
	if (operand->kind == OPERAND_TEXT || operand->kind == OPERAND_NUMBER)
		return literal(resolver, operand, ret);
	if (operand->kind == OPERAND_FUNCTION)
		return function_resolve(resolver, operand, ret);
	if (find_word(operand->text, &word))
		return term_new(resolver, word, ret);
	enum expr_result result = split(resolver, operand, &path);
	if (result != EXPR_OK)
		return result;
	if (bytes_eq_string(path.segments[0], "@request"))
		return request_resolve(resolver, &path, ret);
	if (bytes_eq_string(path.segments[0], "@collection"))
		return collection_value(resolver, &path, ret);
	if (operand->text.p[0] != '@')
		return path_walk(resolver, &path, 0, NULL, resolver->scope, ret);
	if (!macro_is_known(operand->text))
		return path_unknown(resolver, &path, operand->text);
	struct term macro = {
		.kind = TERM_PARAM, .param = { .source = EXPR_MACRO }, .is_known = true
	};
	if (!resolver_keep(resolver, operand->text, &macro.param.name))
		return EXPR_NOMEM;
	return term_new(resolver, macro, ret);
}

/* ---- functions ---- */

static const struct {
	const char *name;
	enum term_kind kind;
	size_t min, max; /* arguments */
} functions[] = { { "geoDistance", TERM_DISTANCE, 4, 4 },
	{ "strftime", TERM_STRFTIME, 1, ARGS_MAX } };

enum expr_result function_resolve(
	struct resolver *resolver, const struct operand *operand, const struct term **ret)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (!bytes_eq_string(operand->text, functions[i].name))
			continue;
		if (operand->n_args < functions[i].min || operand->n_args > functions[i].max)
			return expr_fail(resolver->error, operand->offset,
				"%s takes %zu to %zu arguments.", functions[i].name,
				functions[i].min, functions[i].max);
		struct term term = { .kind = functions[i].kind,
			.n_args = operand->n_args,
			.is_nullable = true,
			.is_strict = true };
		for (size_t a = 0; a < operand->n_args; a++) {
			if (term.kind == TERM_DISTANCE && operand->args[a].kind == OPERAND_TEXT)
				return expr_fail(resolver->error, operand->args[a].offset,
					"%s takes numbers.", functions[i].name);
			enum expr_result result =
				resolve_operand(resolver, &operand->args[a], &term.args[a]);
			if (result != EXPR_OK)
				return result;
		}
		return term_new(resolver, term, ret);
	}
	size_t n = operand->text.n;
	return expr_fail(resolver->error, operand->offset + n, "Unknown function \"%.*s\".",
		n < 80 ? (int)n : 80, operand->text.p);
}
