/*
 * path.c - operands: literals, macros, request values, and paths over relations
 *
 * A path of single relations becomes nested scalar queries, each by primary key:
 *   author.team.name  ->  (SELECT a2."name" FROM "teams" a2 WHERE a2."id" =
 *                           (SELECT a1."team" FROM "users" a1 WHERE a1."id" = t."author"))
 * A relation to many, and a list asked for any of its values, adds a source of rows:
 *   tags.name         ->  (SELECT a2."name" FROM "tags" a2 WHERE a2."id" = a1.value)
 *                         FROM json_each(t."tags") a1
 * so that the comparison can say "some row" or "every row".
 */
#include "path.h"

#include <string.h>

/* The parts of a name: dotted segments and, behind the last, a modifier after ':'. */
struct path {
	struct bytes segments[EXPR_PATH_MAX + 4];
	size_t n;
	struct bytes modifier;
	size_t offset;
};

static enum expr_result split(
	struct compiler *compiler, const struct operand *operand, struct path *ret)
{
	*ret = (struct path){ .offset = operand->offset };
	const char *p = operand->text.p, *end = p + operand->text.n;
	const char *colon = memchr(p, ':', operand->text.n);
	if (colon) {
		ret->modifier = (struct bytes){ colon + 1, (size_t)(end - colon - 1) };
		end = colon;
	}
	for (;;) {
		const char *dot = memchr(p, '.', (size_t)(end - p));
		if (ret->n == sizeof(ret->segments) / sizeof(ret->segments[0]))
			return expr_fail(compiler->error, operand->offset, "The path is too long.");
		ret->segments[ret->n++] = (struct bytes){ p, (size_t)((dot ? dot : end) - p) };
		if (!dot)
			return EXPR_OK;
		p = dot + 1;
	}
}

/* Adds a parameter and makes it the value. */
static enum expr_result add_param(
	struct compiler *compiler, struct expr_param param, struct value *ret)
{
	if (compiler->n_params == compiler->max_params) {
		size_t max = compiler->max_params ? compiler->max_params * 2 : 8;
		struct expr_param *params = arena_alloc(compiler->arena, max * sizeof(*params));
		if (!params)
			return EXPR_NOMEM;
		if (compiler->n_params)
			memcpy(params, compiler->params, compiler->n_params * sizeof(*params));
		compiler->params = params;
		compiler->max_params = max;
	}
	*ret = (struct value){ .param = (int)compiler->n_params, .is_nullable = true };
	compiler->params[compiler->n_params] = param;
	ret->sql = arena_printf(
		compiler->arena, "?%u", compiler->first_param + (unsigned)compiler->n_params);
	compiler->n_params++;
	return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
}

/* A copy that lives as long as the compiled condition: the text may not. */
static bool keep(struct compiler *compiler, struct bytes text, struct bytes *ret)
{
	char *copy = arena_copy(compiler->arena, text);
	*ret = (struct bytes){ copy, text.n };
	return copy;
}

static enum expr_result add_literal(struct compiler *compiler, struct bytes text, struct value *ret)
{
	struct expr_param param = { .source = EXPR_LITERAL };
	if (!keep(compiler, text, &param.name))
		return EXPR_NOMEM;
	enum expr_result result = add_param(compiler, param, ret);
	ret->is_nullable = false;
	ret->is_empty = text.n == 0;
	ret->is_known = text.n > 0;
	return result;
}

static enum expr_result unknown(
	struct compiler *compiler, const struct path *path, struct bytes name)
{
	int shown = name.n < 80 ? (int)name.n : 80;
	return expr_fail(compiler->error, path->offset, "Unknown field \"%.*s\".", shown, name.p);
}

/* The segments from first on as a JSON path, which goes into a parameter: $."name"[0]."x" */
static enum expr_result json_path(
	struct compiler *compiler, const struct path *path, size_t first, struct value *ret)
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
	return text.failed ? EXPR_NOMEM : add_literal(compiler, bytes_buf_view(&text), ret);
}

/* Where the walk along a path stands: on a row of scope, whose columns SQL reaches as
 * <open><qualifier><column><close>. */
struct row {
	const void *scope;
	struct bytes open, qualifier, close; /* "", t. and "", or (SELECT  a1. and  FROM ... ) */
	struct bytes from;
	bool is_nullable;
};

static enum expr_result column_sql(struct compiler *compiler, const struct row *row,
	const struct expr_field *field, struct bytes *ret)
{
	int n_qualifier = (int)row->qualifier.n;
	struct bytes column = arena_printf(compiler->arena, "%.*s%.*s", n_qualifier,
		row->qualifier.p, (int)field->column.n, field->column.p);
	if (field->guard.n && column.p)
		column = arena_printf(compiler->arena, "(CASE WHEN %.*s%.*s THEN %.*s ELSE '' END)",
			n_qualifier, row->qualifier.p, (int)field->guard.n, field->guard.p,
			(int)column.n, column.p);
	if (row->open.n && column.p)
		column = arena_printf(compiler->arena, "%.*s%.*s%.*s", (int)row->open.n,
			row->open.p, (int)column.n, column.p, (int)row->close.n, row->close.p);
	*ret = column;
	return ret->p ? EXPR_OK : EXPR_NOMEM;
}

/* Adds json_each(list) to the row's sources; *ret_value is its value column. */
static enum expr_result add_each(
	struct compiler *compiler, struct bytes list, struct bytes *from, struct bytes *ret_value)
{
	compiler->has_subquery = true;
	unsigned n = ++compiler->n_aliases;
	*from = arena_printf(compiler->arena, "%.*s%sjson_each(%.*s) a%u", (int)from->n,
		from->p ? from->p : "", from->n ? ", " : "", (int)list.n, list.p, n);
	*ret_value = arena_printf(compiler->arena, "a%u.value", n);
	return from->p && ret_value->p ? EXPR_OK : EXPR_NOMEM;
}

/* Moves the row to the record of target whose id is key. */
static enum expr_result follow(
	struct compiler *compiler, const void *target, struct bytes key, struct row *row)
{
	compiler->has_subquery = true;
	unsigned n = ++compiler->n_aliases;
	struct bytes table = compiler->schema->table(compiler->schema, target);
	row->scope = target;
	row->is_nullable = true;
	row->open = BYTES("(SELECT ");
	row->qualifier = arena_printf(compiler->arena, "a%u.", n);
	row->close = arena_printf(compiler->arena, " FROM %.*s a%u WHERE a%u.\"id\" = %.*s)",
		(int)table.n, table.p, n, n, (int)key.n, key.p);
	return row->qualifier.p && row->close.p ? EXPR_OK : EXPR_NOMEM;
}

/* A JSON column, or what stands in it at the path from segment first on. */
static enum expr_result json_value(struct compiler *compiler, const struct path *path, size_t first,
	struct bytes column, struct bytes from, bool is_any, struct value *ret)
{
	struct value pointer;
	enum expr_result result = json_path(compiler, path, first, &pointer);
	if (result != EXPR_OK)
		return result;
	bool is_each = bytes_eq_string(path->modifier, "each");
	bool is_length = bytes_eq_string(path->modifier, "length");
	bool is_lower = bytes_eq_string(path->modifier, "lower");
	if (path->modifier.n && !is_each && !is_length && !is_lower)
		return expr_fail(
			compiler->error, path->offset, "The modifier does not fit this field.");
	struct bytes place = arena_printf(compiler->arena, "%.*s, %.*s", (int)column.n, column.p,
		(int)pointer.sql.n, pointer.sql.p);
	*ret = (struct value){ .from = from, .param = -1, .is_nullable = true };
	if (!place.p)
		return EXPR_NOMEM;
	if (is_each || (is_any && !path->modifier.n))
		return add_each(compiler, place, &ret->from, &ret->sql);
	ret->is_json = !path->modifier.n;
	ret->sql = arena_printf(compiler->arena, "%s(%.*s)%s",
		is_length  ? "json_array_length"
		: is_lower ? "LOWER(json_extract"
			   : "json_extract",
		(int)place.n, place.p, is_lower ? ")" : "");
	return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
}

static enum expr_result apply_modifier(struct compiler *compiler, const struct path *path,
	const struct expr_field *field, bool is_any, struct value *ret)
{
	const char *function = NULL;
	bool is_each = bytes_eq_string(path->modifier, "each");
	if (path->modifier.n == 0 && !(is_any && field->is_list))
		return EXPR_OK;
	if (path->modifier.n == 0 || is_each) {
		if (!field->is_list)
			return expr_fail(compiler->error, path->offset,
				"':each' needs a field with several values.");
		ret->is_nullable = true;
		return add_each(compiler, ret->sql, &ret->from, &ret->sql);
	}
	if (bytes_eq_string(path->modifier, "lower"))
		function = "LOWER";
	else if (bytes_eq_string(path->modifier, "length") && field->is_list)
		function = "json_array_length";
	if (!function)
		return expr_fail(
			compiler->error, path->offset, "The modifier does not fit this field.");
	ret->sql = arena_printf(compiler->arena, "%s(%.*s)", function, (int)ret->sql.n, ret->sql.p);
	return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
}

/* Walks path from its segment first on, starting in row. */
static enum expr_result walk(struct compiler *compiler, const struct path *path, size_t first,
	struct row row, bool is_any, struct value *ret)
{
	if (path->n - first > EXPR_PATH_MAX)
		return expr_fail(compiler->error, path->offset, "The path has too many relations.");
	for (size_t i = first;; i++) {
		struct expr_field field = { 0 };
		struct bytes sql;
		if (!compiler->schema->find_field(
			    compiler->schema, row.scope, path->segments[i], &field))
			return unknown(compiler, path, path->segments[i]);
		enum expr_result result = column_sql(compiler, &row, &field, &sql);
		if (result != EXPR_OK)
			return result;
		if (field.type == EXPR_JSON)
			return json_value(compiler, path, i + 1, sql, row.from, is_any, ret);
		if (i + 1 == path->n) {
			*ret = (struct value){ .sql = sql,
				.from = row.from,
				.param = -1,
				.is_nullable = row.is_nullable || field.is_nullable };
			return apply_modifier(compiler, path, &field, is_any, ret);
		}
		if (!field.target)
			return expr_fail(compiler->error, path->offset,
				"\"%.*s\" is not a relation.", (int)path->segments[i].n,
				path->segments[i].p);
		if (field.is_list)
			result = add_each(compiler, sql, &row.from, &sql);
		if (result == EXPR_OK)
			result = follow(compiler, field.target, sql, &row);
		if (result != EXPR_OK)
			return result;
	}
}

/* @request.auth.role: whichever collection the signed-in record is in, found by its id. */
static enum expr_result auth_value(
	struct compiler *compiler, const struct path *path, bool is_any, struct value *ret)
{
	static const struct {
		const char *name;
		enum expr_source source;
	} direct[] = { { "id", EXPR_AUTH_ID }, { "collectionId", EXPR_AUTH_COLLECTION_ID },
		{ "collectionName", EXPR_AUTH_COLLECTION_NAME } };
	for (size_t i = 0; i < 3 && path->n == 3 && !path->modifier.n; i++)
		if (bytes_eq_string(path->segments[2], direct[i].name))
			return add_param(
				compiler, (struct expr_param){ .source = direct[i].source }, ret);

	struct value id, collection, own_id;
	enum expr_result result =
		add_param(compiler, (struct expr_param){ .source = EXPR_AUTH_ID }, &id);
	if (result == EXPR_OK)
		result = add_param(compiler,
			(struct expr_param){ .source = EXPR_AUTH_COLLECTION_ID }, &collection);
	if (result != EXPR_OK)
		return result;

	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 1u << 20);
	bytes_buf_appendf(&sql, "(CASE %.*s", (int)collection.sql.n, collection.sql.p);
	struct bytes collection_id, from = { NULL, 0 };
	const void *scope;
	size_t n_found = 0;
	for (size_t i = 0;
		(scope = compiler->schema->auth_scope(compiler->schema, i, &collection_id)); i++) {
		struct row row = { 0 };
		struct value value = { 0 };
		result = follow(compiler, scope, id.sql, &row);
		if (result == EXPR_OK)
			result = walk(compiler, path, 2, row, is_any, &value);
		if (result == EXPR_INVALID)
			continue; /* this collection has no such field */
		if (result == EXPR_OK)
			result = add_literal(compiler, collection_id, &own_id);
		if (result != EXPR_OK)
			return result;
		if (value.from.n && n_found++)
			return expr_fail(compiler->error, path->offset,
				"Several auth collections have lists of this name.");
		from = value.from;
		bytes_buf_appendf(&sql, " WHEN %.*s THEN %.*s", (int)own_id.sql.n, own_id.sql.p,
			(int)value.sql.n, value.sql.p);
		n_found++;
	}
	*compiler->error = (struct expr_error){ 0 };
	if (sql.failed)
		return EXPR_NOMEM;
	*ret = (struct value){ .param = -1, .is_nullable = true, .from = from };
	if (!n_found) {
		ret->sql = BYTES("NULL");
		ret->is_empty = true;
		return EXPR_OK;
	}
	ret->sql = arena_printf(compiler->arena, "%.*s END)", (int)sql.n, sql.p);
	return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
}

/* "/a/b" of the segments from first on. */
static bool pointer_of(
	struct compiler *compiler, const struct path *path, size_t first, struct bytes *ret)
{
	DEFER(bytes_buf_fini) struct bytes_buf text;
	bytes_buf_init(&text, EXPR_BYTES_MAX + 64);
	for (size_t i = first; i < path->n; i++) {
		bytes_buf_append_byte(&text, '/');
		bytes_buf_append(&text, path->segments[i]);
	}
	return !text.failed && keep(compiler, bytes_buf_view(&text), ret);
}

/* @request.body.x:changed: it was sent, and differs from what the row holds. */
static enum expr_result body_changed(struct compiler *compiler, const struct path *path,
	struct expr_param param, struct value *ret)
{
	struct value is_set, sent;
	struct expr_field field = { 0 };
	if (path->n != 3 || !compiler->schema->find_field(
				    compiler->schema, compiler->scope, path->segments[2], &field))
		return unknown(compiler, path, path->segments[path->n - 1]);
	param.source = EXPR_BODY_ISSET;
	enum expr_result result = add_param(compiler, param, &is_set);
	param.source = EXPR_BODY;
	if (result == EXPR_OK)
		result = add_param(compiler, param, &sent);
	if (result != EXPR_OK)
		return result;
	*ret = (struct value){ .param = -1 };
	ret->sql = arena_printf(compiler->arena,
		"(%.*s AND COALESCE(%.*s.%.*s, '') IS NOT COALESCE(%.*s, ''))", (int)is_set.sql.n,
		is_set.sql.p, (int)compiler->alias.n, compiler->alias.p, (int)field.column.n,
		field.column.p, (int)sent.sql.n, sent.sql.p);
	return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
}

static enum expr_result body_value(
	struct compiler *compiler, const struct path *path, bool is_any, struct value *ret)
{
	struct expr_param param = { .source = EXPR_BODY };
	struct expr_field field = { 0 };
	/* A relation that was sent can be followed. */
	if (path->n > 3 &&
		compiler->schema->find_field(
			compiler->schema, compiler->scope, path->segments[2], &field) &&
		field.target && !field.is_list) {
		struct path head = { .n = 3 };
		memcpy(head.segments, path->segments, sizeof(head.segments));
		struct row row = { 0 };
		struct value key;
		if (!pointer_of(compiler, &head, 2, &param.name))
			return EXPR_NOMEM;
		enum expr_result result = add_param(compiler, param, &key);
		if (result == EXPR_OK)
			result = follow(compiler, field.target, key.sql, &row);
		return result == EXPR_OK ? walk(compiler, path, 3, row, is_any, ret) : result;
	}
	if (!pointer_of(compiler, path, 2, &param.name))
		return EXPR_NOMEM;
	if (bytes_eq_string(path->modifier, "changed"))
		return body_changed(compiler, path, param, ret);
	bool is_each = is_any || bytes_eq_string(path->modifier, "each");
	bool is_lower = bytes_eq_string(path->modifier, "lower");
	if (bytes_eq_string(path->modifier, "isset"))
		param.source = EXPR_BODY_ISSET;
	else if (bytes_eq_string(path->modifier, "length"))
		param.source = EXPR_BODY_LENGTH;
	else if (path->modifier.n && !is_each && !is_lower)
		return expr_fail(compiler->error, path->offset, "Unknown modifier.");
	enum expr_result result = add_param(compiler, param, ret);
	if (result != EXPR_OK)
		return result;
	/* A value that is no list is a list of one; text is not JSON, so it is quoted first. */
	if (is_each && bytes_eq_string(path->modifier, "each")) {
		struct bytes list = arena_printf(compiler->arena,
			"CASE WHEN json_valid(%.*s) THEN %.*s ELSE json_quote(%.*s) END",
			(int)ret->sql.n, ret->sql.p, (int)ret->sql.n, ret->sql.p, (int)ret->sql.n,
			ret->sql.p);
		ret->param = -1;
		return list.p ? add_each(compiler, list, &ret->from, &ret->sql) : EXPR_NOMEM;
	}
	if (is_lower) {
		ret->param = -1;
		ret->sql =
			arena_printf(compiler->arena, "LOWER(%.*s)", (int)ret->sql.n, ret->sql.p);
		return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
	}
	return EXPR_OK;
}

static enum expr_result pair_value(struct compiler *compiler, const struct path *path,
	enum expr_source source, enum expr_source isset, struct value *ret)
{
	struct expr_param param = { .source = source };
	if (path->n != 3)
		return unknown(compiler, path, path->segments[path->n - 1]);
	bool is_lower = bytes_eq_string(path->modifier, "lower");
	if (bytes_eq_string(path->modifier, "isset"))
		param.source = isset;
	else if (path->modifier.n && !is_lower)
		return expr_fail(compiler->error, path->offset, "Unknown modifier.");
	if (!keep(compiler, path->segments[2], &param.name))
		return EXPR_NOMEM;
	enum expr_result result = add_param(compiler, param, ret);
	if (result != EXPR_OK || !is_lower)
		return result;
	ret->param = -1;
	ret->sql = arena_printf(compiler->arena, "LOWER(%.*s)", (int)ret->sql.n, ret->sql.p);
	return ret->sql.p ? EXPR_OK : EXPR_NOMEM;
}

static enum expr_result request_value(
	struct compiler *compiler, const struct path *path, bool is_any, struct value *ret)
{
	struct bytes part = path->n >= 2 ? path->segments[1] : (struct bytes){ NULL, 0 };
	if (path->n == 2 && !path->modifier.n && bytes_eq_string(part, "method"))
		return add_param(compiler, (struct expr_param){ .source = EXPR_METHOD }, ret);
	if (path->n == 2 && !path->modifier.n && bytes_eq_string(part, "context"))
		return add_param(compiler, (struct expr_param){ .source = EXPR_CONTEXT }, ret);
	if (path->n >= 3 && bytes_eq_string(part, "auth"))
		return auth_value(compiler, path, is_any, ret);
	if (path->n >= 3 && bytes_eq_string(part, "body"))
		return body_value(compiler, path, is_any, ret);
	if (bytes_eq_string(part, "query"))
		return pair_value(compiler, path, EXPR_QUERY, EXPR_QUERY_ISSET, ret);
	if (bytes_eq_string(part, "headers"))
		return pair_value(compiler, path, EXPR_HEADER, EXPR_HEADER_ISSET, ret);
	return unknown(compiler, path, part.n ? part : path->segments[0]);
}

static bool is_macro(struct bytes name)
{
	static const char *const macros[] = { "@now", "@yesterday", "@tomorrow", "@second",
		"@minute", "@hour", "@weekday", "@day", "@month", "@year", "@todayStart",
		"@todayEnd", "@monthStart", "@monthEnd", "@yearStart", "@yearEnd" };
	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
		if (bytes_eq_string(name, macros[i]))
			return true;
	return false;
}

static enum expr_result constant(const char *sql, bool is_null, struct value *ret)
{
	*ret = (struct value){ .sql = bytes_of(sql),
		.param = -1,
		.is_empty = is_null,
		.is_known = !is_null,
		.is_nullable = is_null };
	return EXPR_OK;
}

enum expr_result path_compile(
	struct compiler *compiler, const struct operand *operand, bool is_any, struct value *ret)
{
	if (operand->kind == OPERAND_TEXT)
		return add_literal(compiler, operand->text, ret);
	if (operand->kind == OPERAND_NUMBER) {
		struct expr_param param = { .source = EXPR_LITERAL_NUMBER,
			.number = operand->number };
		enum expr_result result = add_param(compiler, param, ret);
		ret->is_nullable = false;
		ret->is_known = true;
		return result;
	}
	if (bytes_eq_string(operand->text, "null"))
		return constant("NULL", true, ret);
	if (bytes_eq_string(operand->text, "true"))
		return constant("1", false, ret);
	if (bytes_eq_string(operand->text, "false"))
		return constant("0", false, ret);

	struct path path;
	enum expr_result result = split(compiler, operand, &path);
	if (result != EXPR_OK)
		return result;
	if (bytes_eq_string(path.segments[0], "@request"))
		return request_value(compiler, &path, is_any, ret);
	if (operand->text.p[0] == '@') {
		if (!is_macro(operand->text))
			return unknown(compiler, &path, operand->text);
		struct expr_param param = { .source = EXPR_MACRO };
		if (!keep(compiler, operand->text, &param.name))
			return EXPR_NOMEM;
		result = add_param(compiler, param, ret);
		ret->is_known = true;
		ret->is_nullable = false;
		return result;
	}
	struct row row = { .scope = compiler->scope,
		.qualifier = arena_printf(
			compiler->arena, "%.*s.", (int)compiler->alias.n, compiler->alias.p) };
	return row.qualifier.p ? walk(compiler, &path, 0, row, is_any, ret) : EXPR_NOMEM;
}
