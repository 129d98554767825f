/*
 * encode.c - rows to JSON, straight from the columns; relations followed; members picked
 */
#include <string.h>

#include "work.h"

#define EXPANDED_MAX 5000 /* records that one answer may follow relations to */

/* ---- ?fields= ---- */

static struct mask *mask_child(struct arena *arena, struct mask *mask, struct bytes name)
{
	for (struct mask *child = mask->children; child; child = child->next)
		if (bytes_eq(child->name, name))
			return child;
	struct mask *child = arena_alloc(arena, sizeof(*child));
	if (!child)
		return NULL;
	*child = (struct mask){ .name = name, .next = mask->children };
	mask->children = child;
	return child;
}

static struct bytes trim(struct bytes text)
{
	while (text.n && text.p[0] == ' ') {
		text.p++;
		text.n--;
	}
	while (text.n && text.p[text.n - 1] == ' ')
		text.n--;
	return text;
}

/* Cuts the part before the next separator off text. */
static struct bytes cut(struct bytes *text, char separator)
{
	const char *at = text->n ? memchr(text->p, separator, text->n) : NULL;
	struct bytes part = { text->p, at ? (size_t)(at - text->p) : text->n };
	*text = at ? (struct bytes){ at + 1, text->n - part.n - 1 } : (struct bytes){ NULL, 0 };
	return part;
}

/* "a,b.c,d:excerpt(10)": modifiers are not applied, the member comes whole. */
bool mask_parse(struct record_work *work, struct bytes text, struct mask **ret)
{
	struct arena *arena = work->call->arena;
	*ret = NULL;
	if (trim(text).n == 0)
		return true;
	struct mask *root = arena_alloc(arena, sizeof(*root));
	if (!root)
		return false;
	while (text.n) {
		struct bytes entry = trim(cut(&text, ','));
		/* The second argument of a modifier came off as an entry of its own. */
		if (entry.n == 0 || entry.p[entry.n - 1] == ')') {
			const char *open = entry.n ? memchr(entry.p, '(', entry.n) : NULL;
			if (!open)
				continue;
		}
		entry = cut(&entry, ':');
		struct mask *at = root;
		while (entry.n && at) {
			struct bytes name = cut(&entry, '.');
			if (bytes_eq_string(name, "*"))
				at->is_all = true;
			else
				at = mask_child(arena, at, name);
			if (at && !entry.n)
				at->is_all |= at != root;
		}
		if (!at)
			return false;
	}
	*ret = root;
	return true;
}

/* What is left of the mask below a member; false when the member is not wanted. "*" takes all
 * members of its level whole. */
static bool mask_enter(const struct mask *mask, struct bytes name, const struct mask **ret)
{
	*ret = NULL;
	if (!mask)
		return true;
	for (const struct mask *child = mask->children; child; child = child->next)
		if (bytes_eq(child->name, name)) {
			*ret = child->is_all && !child->children ? NULL : child;
			return true;
		}
	return mask->is_all;
}

/* ---- ?expand= ---- */

static bool expand_add(struct record_work *work, struct expand **list, struct bytes path)
{
	const struct record_collection *collection = work->collection;
	for (unsigned depth = 0; path.n; depth++) {
		struct bytes name = trim(cut(&path, '.'));
		const struct record_field *field = collection_field(collection, name);
		/* Unknown names expand to nothing, as they always have. */
		if (!field || !field->target || depth == RECORD_EXPAND_DEPTH ||
			(field->is_hidden && !work_is_superuser(work)))
			return true;
		struct expand *node = *list;
		while (node && node->field != field)
			node = node->next;
		if (!node) {
			node = arena_alloc(work->call->arena, sizeof(*node));
			if (!node)
				return false;
			*node = (struct expand){ .field = field, .next = *list };
			*list = node;
		}
		list = &node->children;
		collection = field->target;
	}
	return true;
}

bool expand_parse(struct record_work *work, struct bytes text, struct expand **ret)
{
	*ret = NULL;
	while (text.n)
		if (!expand_add(work, ret, trim(cut(&text, ','))))
			return false;
	return true;
}

/* ---- rows ---- */

void encoder_init(struct encoder *encoder, struct record_work *work, struct store_conn *conn)
{
	struct record_call *call = work->call;
	*encoder = (struct encoder){ .conn = conn,
		.out = &call->answer,
		.arena = call->arena,
		.schema = work->schema,
		.environment = &work->environment,
		.viewer_collection_id = call->viewer.collection_id,
		.viewer_id = call->viewer.record_id,
		.sees_all = work_is_superuser(work) };
}

static void encode_column(struct bytes_buf *out, const struct record_field *field,
	struct store_stmt *stmt, int column)
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
	if (field->type == FIELD_JSON || field->is_list)
		bytes_buf_append(out, text.n ? text : BYTES("null"));
	else
		text_json_append_string(out, text);
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

/* Keeps the ids that the row points at: the statement may be stepped or used again before they are
 * followed. */
static bool note_ids(struct encoder *encoder, const struct record_field *field,
	struct store_stmt *stmt, int column, struct expand *expand)
{
	for (; expand; expand = expand->next)
		if (expand->field == field) {
			struct bytes text = store_column_text(stmt, column);
			char *copy = arena_copy(encoder->arena, text);
			expand->ids = (struct bytes){ copy, text.n };
			return copy;
		}
	return true;
}

static enum store_outcome encode_expanded(struct encoder *encoder, const struct expand *expand,
	struct bytes id, const struct mask *mask, bool *ret_found)
{
	*ret_found = false;
	if (++encoder->n_expanded > EXPANDED_MAX)
		return STORE_OK;
	return encode_by_id(encoder, expand->field->target, id, mask, expand->children, ret_found);
}

/* The array of a list's records; those that may not be seen are left out. */
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
	while (outcome == STORE_OK && text_json_next(&reader, &token) == TEXT_JSON_STRING) {
		bool found;
		size_t before = encoder->out->n;
		if (*ret_found)
			bytes_buf_append_byte(encoder->out, ',');
		outcome = encode_expanded(encoder, expand, token.raw, mask, &found);
		if (!found)
			encoder->out->n = before;
		*ret_found |= found;
	}
	bytes_buf_append_byte(encoder->out, ']');
	return outcome;
}

static enum store_outcome encode_expand(
	struct encoder *encoder, struct expand *expand, const struct mask *mask, bool is_first)
{
	struct bytes_buf *out = encoder->out;
	size_t start = out->n;
	bool has_any = false;
	bytes_buf_append_string(out, is_first ? "\"expand\":{" : ",\"expand\":{");
	for (; expand; expand = expand->next) {
		const struct mask *below;
		struct bytes name = expand->field->name;
		size_t before = out->n;
		bool found = false;
		if (!mask_enter(mask, name, &below) || !expand->ids.n)
			continue;
		bytes_buf_appendf(out, "%s\"%.*s\":", has_any ? "," : "", (int)name.n, name.p);
		enum store_outcome outcome =
			expand->field->is_list
				? encode_list(encoder, expand, below, &found)
				: encode_expanded(encoder, expand, expand->ids, below, &found);
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

enum store_outcome encode_row(struct encoder *encoder, const struct record_collection *collection,
	struct store_stmt *stmt, const struct mask *mask, struct expand *expand)
{
	struct bytes_buf *out = encoder->out;
	const struct mask *below;
	struct bytes id = { NULL, 0 };
	bool is_first = true;
	int column = 0;

	bytes_buf_append_byte(out, '{');
	for (size_t i = 0; i < collection->n_out; i++) {
		const struct out_item *item = &collection->out[i];
		int at = item->field ? column++ : -1;
		if (item->field && expand && !note_ids(encoder, item->field, stmt, at, expand))
			return STORE_FAULT;
		if (mask && !mask_enter(mask, item->name, &below))
			continue;
		if (item->field && item->field->is_hidden && !encoder->sees_all)
			continue;
		if (item->is_email) {
			/* The id comes later in the order of names. */
			for (int c = 0, o = 0; !id.n && o < (int)collection->n_out; o++) {
				if (!collection->out[o].field)
					continue;
				if (collection->out[o].field->is_primary)
					id = store_column_text(stmt, c);
				c++;
			}
			if (!shows_email(encoder, collection, stmt, id))
				continue;
		}
		if (!is_first)
			bytes_buf_append_byte(out, ',');
		is_first = false;
		bytes_buf_append(out, item->key);
		if (item->field)
			encode_column(out, item->field, stmt, at);
	}
	if (expand && mask_enter(mask, BYTES("expand"), &below)) {
		enum store_outcome outcome = encode_expand(encoder, expand, below, is_first);
		if (outcome != STORE_OK)
			return outcome;
	}
	bytes_buf_append_byte(out, '}');
	return STORE_OK;
}

enum store_outcome encode_by_id(struct encoder *encoder, const struct record_collection *collection,
	struct bytes id, const struct mask *mask, struct expand *expand, bool *ret_found)
{
	const struct record_rule *view = &collection->rules[RULE_VIEW];
	struct store_stmt *stmt;
	*ret_found = false;
	if (!encoder->sees_all && view->is_null)
		return STORE_OK;
	enum store_outcome outcome = store_prepare(encoder->conn,
		encoder->sees_all ? collection->get_sql : collection->view_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, id);
	if (!encoder->sees_all && !expr_bind(&view->sql, encoder->environment, stmt))
		return STORE_FAULT;
	outcome = store_step(stmt, ret_found);
	if (outcome != STORE_OK || !*ret_found)
		return outcome;
	return encode_row(encoder, collection, stmt, mask, expand);
}
