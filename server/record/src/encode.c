/*
 * encode.c - rows to JSON, straight from the columns
 */
#include <string.h>

#include "view.h"
#include "work.h"

void encoder_init(struct encoder *encoder, struct record_work *work, struct store_conn *conn)
{
	struct record_call *call = work->call;
	*encoder = (struct encoder){ .conn = conn,
		.out = &call->answer,
		.arena = call->arena,
		.environment = &work->environment,
		.viewer_collection_id = call->viewer.collection_id,
		.viewer_id = call->viewer.record_id,
		.sees_all = work_sees_all(work) };
}

enum store_outcome encode_too_much(struct encoder *encoder)
{
	encoder->is_too_much = true;
	return STORE_REFUSED;
}

struct bytes encoder_columns(
	const struct encoder *encoder, const struct record_collection *collection)
{
	return encoder->sees_all ? collection->columns : collection->client_columns;
}

bool encoder_bind(const struct encoder *encoder, const struct record_collection *collection,
	struct store_stmt *stmt)
{
	if (encoder->sees_all || !collection->n_ruled)
		return true;
	for (size_t i = 0; i < collection->n_fields; i++)
		if (field_is_ruled(&collection->fields[i]) &&
			!expr_bind(
				&collection->fields[i].read_rule.sql, encoder->environment, stmt))
			return false;
	return true;
}

/* Whether this viewer may read the field on the row that stmt stands on. */
static bool may_read(
	const struct encoder *encoder, const struct record_field *field, struct store_stmt *stmt)
{
	if (encoder->sees_all)
		return true;
	return !field->is_hidden &&
	       (!field_is_ruled(field) || store_column_int64(stmt, field->read_column) != 0);
}

/* ---- one column ---- */

/* What the mask picks out of a JSON value; arrays are gone through. */
static void pick_json(struct bytes_buf *out, struct bytes json, const struct mask *mask)
{
	struct text_json_reader reader;
	struct text_json_token token;
	const struct mask *below;
	bool is_first = true;
	text_json_reader_init(&reader, json);
	text_json_next(&reader, &token);
	if (token.type != TEXT_JSON_OBJECT && token.type != TEXT_JSON_ARRAY) {
		bytes_buf_append(out, json);
		return;
	}
	bool is_object = token.type == TEXT_JSON_OBJECT;
	bytes_buf_append_byte(out, is_object ? '{' : '[');
	for (;;) {
		struct text_json_token key = { 0 };
		if (is_object && text_json_next(&reader, &key) != TEXT_JSON_KEY)
			break;
		/* Passes over a member's value, or the next of an array. */
		struct bytes value = text_json_skip(&reader, &key);
		if (!value.n)
			break;
		below = mask;
		if (is_object && !mask_enter(mask, key.raw, &below))
			continue;
		if (!is_first)
			bytes_buf_append_byte(out, ',');
		is_first = false;
		if (is_object) {
			bytes_buf_append_byte(out, '"');
			bytes_buf_append(out, key.raw);
			bytes_buf_append_string(out, "\":");
		}
		if (below)
			pick_json(out, value, below);
		else
			bytes_buf_append(out, value);
	}
	bytes_buf_append_byte(out, is_object ? '}' : ']');
}

static void append_excerpt(struct bytes_buf *out, struct bytes text, const struct mask *mask)
{
	DEFER(bytes_buf_fini) struct bytes_buf excerpt;
	bytes_buf_init(&excerpt, 4u * EXCERPT_MAX + 8);
	excerpt_append(text, mask->excerpt, mask->has_ellipsis, &excerpt);
	text_json_append_string(out, bytes_buf_view(&excerpt));
}

/* mask: of what is inside the value; NULL: all. */
static void encode_column(struct bytes_buf *out, const struct record_field *field,
	struct store_stmt *stmt, int column, const struct mask *mask)
{
	char number[TEXT_JSON_DOUBLE_BYTES];
	struct bytes text;
	switch (field->type) {
	case FIELD_NUMBER:
		text.n = text_json_format_double(store_column_double(stmt, column), number);
		bytes_buf_append(out, (struct bytes){ number, text.n });
		return;
	case FIELD_BOOL:
		bytes_buf_append(
			out, store_column_int64(stmt, column) ? BYTES("true") : BYTES("false"));
		return;
	default:
		break;
	}
	text = store_column_text(stmt, column);
	if (field->is_computed && !(mask && mask->children)) {
		view_encode(out, stmt, column);
	} else if (!field->is_raw) {
		if (mask && mask->excerpt)
			append_excerpt(out, text, mask);
		else
			text_json_append_string(out, text);
	} else if (!text.n) {
		bytes_buf_append(out, value_empty_json(field));
	} else if (mask && mask->children) {
		pick_json(out, text, mask);
	} else {
		bytes_buf_append(out, text);
	}
}

/* ---- one row ---- */

struct bytes encode_row_id(const struct record_collection *collection, struct store_stmt *stmt)
{
	int column = 0;
	for (size_t i = 0; i < collection->n_out; i++) {
		const struct record_field *field = collection->out[i].field;
		if (field && field->is_primary)
			return store_column_text(stmt, column);
		column += field != NULL;
	}
	return (struct bytes){ NULL, 0 };
}

/* An address is shown to its owner, to superusers, and to all when the record says so. */
static bool shows_email(const struct encoder *encoder, const struct record_collection *collection,
	struct store_stmt *stmt, struct bytes id)
{
	return encoder->sees_all ||
	       (collection->email_visibility >= 0 &&
		       store_column_int64(stmt, collection->email_visibility)) ||
	       (bytes_eq(encoder->viewer_id, id) &&
		       bytes_eq(encoder->viewer_collection_id, collection->id));
}

bool encode_shows(const struct encoder *encoder, const struct record_collection *collection,
	const struct out_item *item, struct store_stmt *stmt)
{
	if (item->field && !may_read(encoder, item->field, stmt))
		return false;
	return !item->is_email ||
	       shows_email(encoder, collection, stmt, encode_row_id(collection, stmt));
}

/* Keeps what the relations of the row point at: the statement may be stepped or used again before
 * they are followed. A relation that may not be read leads nowhere. */
static bool keep_ids(struct encoder *encoder, struct store_stmt *stmt, struct expand *expand)
{
	for (; expand; expand = expand->next) {
		struct bytes ids = { NULL, 0 };
		if (expand->is_back || may_read(encoder, expand->field, stmt))
			ids = store_column_text(stmt, expand->column);
		if (!expand_keep(expand, encoder->arena, ids))
			return false;
	}
	return true;
}

enum store_outcome encode_row(struct encoder *encoder, const struct record_collection *collection,
	struct store_stmt *stmt, const struct mask *mask, struct expand *expand)
{
	struct bytes_buf *out = encoder->out;
	const struct mask *below = NULL;
	bool is_first = true;
	int column = 0;

	if (expand && !keep_ids(encoder, stmt, expand))
		return encode_too_much(encoder);
	bytes_buf_append_byte(out, '{');
	for (size_t i = 0; i < collection->n_out; i++) {
		const struct out_item *item = &collection->out[i];
		int at = item->field ? column++ : -1;
		if (mask && !mask_enter(mask, item->name, &below))
			continue;
		if (!encode_shows(encoder, collection, item, stmt))
			continue;
		if (!is_first)
			bytes_buf_append_byte(out, ',');
		is_first = false;
		bytes_buf_append(out, item->key);
		if (item->field)
			encode_column(out, item->field, stmt, at, below);
	}
	if (expand && mask_enter(mask, BYTES("expand"), &below)) {
		enum store_outcome outcome = encode_expand(encoder, expand, below, is_first);
		if (outcome != STORE_OK)
			return outcome;
	}
	bytes_buf_append_byte(out, '}');
	return STORE_OK;
}

static enum store_outcome encode_found(struct encoder *encoder,
	const struct record_collection *collection, struct bytes sql, const struct expr_sql *rule,
	struct bytes id, const struct mask *mask, struct expand *expand, bool *ret_found)
{
	struct store_stmt *stmt;
	*ret_found = false;
	enum store_outcome outcome = collection_prepare(encoder->conn, collection, sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	if (!encoder_bind(encoder, collection, stmt) ||
		(rule && !expr_bind(rule, encoder->environment, stmt)))
		return encode_too_much(encoder);
	outcome = store_step(stmt, ret_found);
	if (outcome != STORE_OK || !*ret_found)
		return outcome;
	return encode_row(encoder, collection, stmt, mask, expand);
}

enum store_outcome encode_by_id(struct encoder *encoder, const struct record_collection *collection,
	struct bytes id, const struct mask *mask, struct expand *expand, bool *ret_found)
{
	const struct record_rule *view = &collection->rules[RULE_VIEW];
	*ret_found = false;
	if (encoder->sees_all)
		return encode_found(encoder, collection, collection->get_sql, NULL, id, mask,
			expand, ret_found);
	if (view->is_null)
		return STORE_OK;
	return encode_found(
		encoder, collection, collection->view_sql, &view->sql, id, mask, expand, ret_found);
}

enum store_outcome encode_written(struct encoder *encoder,
	const struct record_collection *collection, struct bytes id, const struct mask *mask,
	struct expand *expand, bool *ret_found)
{
	return encode_found(encoder, collection,
		encoder->sees_all ? collection->get_sql : collection->written_sql, NULL, id, mask,
		expand, ret_found);
}
