/*
 * expand.c - relations followed: the records that a row points at, and those that point back
 *
 * Each step is by the viewer's own view rule of the collection it leads to; what that hides is left
 * out without a word. Ids are collected before any of them is followed: the same statement may be
 * needed again further down.
 */
#include <stdio.h>
#include <string.h>

#include "encode.h"

static enum store_outcome encode_one(struct encoder *encoder, const struct expand *expand,
	struct bytes id, const struct mask *mask, bool *ret_found)
{
	*ret_found = false;
	if (++encoder->n_expanded > EXPANDED_MAX)
		return encode_too_much(encoder);
	return encode_by_id(encoder, expand->target, id, mask, expand->children, ret_found);
}

/* One of several: with a comma before it, or not at all. */
static enum store_outcome encode_item(struct encoder *encoder, const struct expand *expand,
	struct bytes id, const struct mask *mask, bool *has_any)
{
	bool found;
	size_t before = encoder->out->n;
	if (*has_any)
		bytes_buf_append_byte(encoder->out, ',');
	enum store_outcome outcome = encode_one(encoder, expand, id, mask, &found);
	if (!found)
		encoder->out->n = before;
	*has_any |= found;
	return outcome;
}

static enum store_outcome encode_list(struct encoder *encoder, const struct expand *expand,
	const struct mask *mask, bool *ret_found)
{
	struct text_json_reader reader;
	struct text_json_token token;
	enum store_outcome outcome = STORE_OK;
	text_json_reader_init(&reader, expand->ids);
	text_json_next(&reader, &token);
	bytes_buf_append_byte(encoder->out, '[');
	*ret_found = false;
	while (outcome == STORE_OK && text_json_next(&reader, &token) == TEXT_JSON_STRING)
		outcome = encode_item(encoder, expand, token.raw, mask, ret_found);
	bytes_buf_append_byte(encoder->out, ']');
	return outcome;
}

/* ---- back-relations ---- */

/* The ids of the first BACK_MAX that point at id and may be seen, by a relation that may be seen:
 * each with a NUL behind it. */
static enum store_outcome find_back(struct encoder *encoder, const struct expand *expand,
	struct bytes id, struct bytes_buf *ret)
{
	const struct record_collection *from = expand->target;
	const struct record_field *field = expand->field;
	const struct expr_sql *view = &from->rules[RULE_VIEW].sql, *read = &field->read_rule.sql;
	bool is_ruled = !encoder->sees_all, has_read_rule = is_ruled && field_is_ruled(field);
	struct store_stmt *stmt;
	bool has_row;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 1u << 20);
	bytes_buf_appendf(&sql,
		field->is_list ? "SELECT t.\"id\" FROM %.*s t WHERE EXISTS "
				 "(SELECT 1 FROM json_each(t.%.*s) e WHERE e.value=?1)"
			       : "SELECT t.\"id\" FROM %.*s t WHERE t.%.*s=?1",
		(int)from->table.n, from->table.p, (int)field->column.n, field->column.p);
	if (is_ruled) {
		bytes_buf_append_string(&sql, " AND (");
		bytes_buf_append(&sql, view->sql);
		bytes_buf_append_byte(&sql, ')');
	}
	if (has_read_rule) {
		bytes_buf_append_string(&sql, " AND (");
		bytes_buf_append(&sql, read->sql);
		bytes_buf_append_byte(&sql, ')');
	}
	bytes_buf_appendf(&sql, " LIMIT %d", expand->is_many ? BACK_MAX : 1);
	if (sql.failed)
		return STORE_FAULT;
	enum store_outcome outcome =
		collection_prepare(encoder->conn, from, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	if ((is_ruled && !expr_bind(view, encoder->environment, stmt)) ||
		(has_read_rule && !expr_bind(read, encoder->environment, stmt)))
		return encode_too_much(encoder);
	while ((outcome = store_step(stmt, &has_row)) == STORE_OK && has_row) {
		bytes_buf_append(ret, store_column_text(stmt, 0));
		bytes_buf_append_byte(ret, '\0');
	}
	return outcome == STORE_OK && ret->failed ? encode_too_much(encoder) : outcome;
}

static enum store_outcome encode_back(struct encoder *encoder, const struct expand *expand,
	const struct mask *mask, bool *ret_found)
{
	*ret_found = false;
	if (!encoder->sees_all && expand->target->rules[RULE_VIEW].is_null)
		return STORE_OK;
	DEFER(bytes_buf_fini) struct bytes_buf ids;
	bytes_buf_init(&ids, 1u << 20);
	enum store_outcome outcome = find_back(encoder, expand, expand->ids, &ids);
	if (outcome == STORE_OK && ids.n && !expand->is_many)
		return encode_one(encoder, expand, bytes_of(ids.p), mask, ret_found);
	bytes_buf_append_byte(encoder->out, '[');
	for (size_t i = 0; i < ids.n && outcome == STORE_OK;) {
		struct bytes id = bytes_of(ids.p + i);
		outcome = encode_item(encoder, expand, id, mask, ret_found);
		i += id.n + 1;
	}
	bytes_buf_append_byte(encoder->out, ']');
	return outcome;
}

static enum store_outcome encode_relation(struct encoder *encoder, const struct expand *expand,
	const struct mask *mask, bool *ret_found)
{
	if (expand->is_back)
		return encode_back(encoder, expand, mask, ret_found);
	if (expand->is_many)
		return encode_list(encoder, expand, mask, ret_found);
	return encode_one(encoder, expand, expand->ids, mask, ret_found);
}

enum store_outcome encode_expand(
	struct encoder *encoder, struct expand *expand, const struct mask *mask, bool is_first)
{
	struct bytes_buf *out = encoder->out;
	size_t start = out->n;
	bool has_any = false;
	bytes_buf_append_string(out, is_first ? "\"expand\":{" : ",\"expand\":{");
	for (; expand; expand = expand->next) {
		const struct mask *below;
		size_t before = out->n;
		bool found = false;
		if (!expand->ids.n || !mask_enter(mask, expand->name, &below))
			continue;
		bytes_buf_appendf(out, "%s\"%.*s\":", has_any ? "," : "", (int)expand->name.n,
			expand->name.p);
		enum store_outcome outcome = encode_relation(encoder, expand, below, &found);
		if (outcome != STORE_OK)
			return outcome;
		if (!found)
			out->n = before;
		has_any |= found;
	}
	if (has_any)
		bytes_buf_append_byte(out, '}');
	else
		out->n = start;
	return STORE_OK;
}
