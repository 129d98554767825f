/*
 * cursor.c - where a page ended, as a text that the client brings back
 *
 *   mac 15 | number of keys 1 | for each: type 1, value | id        in base64url
 *
 * The rows of the next page are those behind the values of the last row in the order of the sort
 * keys and, where all are equal, of the id: rows that come or go meanwhile shift nothing. The
 * values are those that the viewer sees. The code in front, keyed with a secret of the tenant,
 * makes the text good for its collection, sort and viewer only.
 */
#include <string.h>

#include "base64.h"
#include "list.h"

#define MAC_BYTES 15 /* 20 characters: the values behind it begin with one of their own */

/* ---- signed ---- */

static void add_part(struct bytes_buf *out, struct bytes part)
{
	uint32_t n = (uint32_t)part.n;
	bytes_buf_append(out, (struct bytes){ (const char *)&n, sizeof(n) });
	bytes_buf_append(out, part);
}

/* False when memory is short. */
static bool sign(
	const struct cursor_context *context, struct bytes data, uint8_t out[static HASH_BYTES])
{
	DEFER(bytes_buf_fini) struct bytes_buf text;
	bytes_buf_init(&text, 65536);
	add_part(&text, BYTES("tenon cursor 1"));
	add_part(&text, context->collection_id);
	add_part(&text, context->sort);
	add_part(&text, context->viewer_collection_id);
	add_part(&text, context->viewer_id);
	add_part(&text, context->is_superuser ? BYTES("s") : BYTES("u"));
	add_part(&text, data);
	if (text.failed)
		return false;
	hash_hmac(context->key, bytes_buf_view(&text), out);
	return true;
}

/* ---- text ---- */

static void put_value(struct bytes_buf *out, const struct key_value *value)
{
	bytes_buf_append_byte(out, (char)value->type);
	if (value->type == STORE_INT64)
		bytes_buf_append(out,
			(struct bytes){ (const char *)&value->integer, sizeof(value->integer) });
	else if (value->type == STORE_DOUBLE)
		bytes_buf_append(
			out, (struct bytes){ (const char *)&value->real, sizeof(value->real) });
	else if (value->type != STORE_NULL)
		add_part(out, value->text);
}

bool cursor_format(
	const struct cursor_context *context, const struct cursor *cursor, struct bytes_buf *out)
{
	DEFER(bytes_buf_fini) struct bytes_buf data;
	uint8_t mac[HASH_BYTES];
	bytes_buf_init(&data, CURSOR_BYTES_MAX);
	bytes_buf_append(&data, (struct bytes){ (const char[MAC_BYTES]){ 0 }, MAC_BYTES });
	bytes_buf_append_byte(&data, (char)cursor->n_keys);
	for (size_t i = 0; i < cursor->n_keys; i++)
		put_value(&data, &cursor->keys[i]);
	add_part(&data, cursor->id);
	struct bytes signed_part = { data.p + MAC_BYTES, data.n - MAC_BYTES };
	if (data.failed || !sign(context, signed_part, mac))
		return false;
	memcpy(data.p, mac, MAC_BYTES);
	char *to = bytes_buf_reserve(out, BASE64_TEXT_BYTES(data.n));
	if (to)
		out->n += base64_format(bytes_buf_view(&data), to);
	return to;
}

static bool take(struct bytes *data, void *out, size_t n)
{
	if (data->n < n)
		return false;
	memcpy(out, data->p, n);
	*data = (struct bytes){ data->p + n, data->n - n };
	return true;
}

static bool take_part(struct bytes *data, struct bytes *ret)
{
	uint32_t n;
	if (!take(data, &n, sizeof(n)) || n > data->n)
		return false;
	*ret = (struct bytes){ data->p, n };
	*data = (struct bytes){ data->p + n, data->n - n };
	return true;
}

static bool take_value(struct bytes *data, struct key_value *ret)
{
	uint8_t type;
	*ret = (struct key_value){ 0 };
	if (!take(data, &type, 1))
		return false;
	ret->type = (enum store_type)type;
	switch (ret->type) {
	case STORE_NULL:
		return true;
	case STORE_INT64:
		return take(data, &ret->integer, sizeof(ret->integer));
	case STORE_DOUBLE:
		return take(data, &ret->real, sizeof(ret->real));
	case STORE_TEXT:
	case STORE_BLOB:
		return take_part(data, &ret->text);
	}
	return false;
}

bool cursor_parse(const struct cursor_context *context, struct bytes text,
	uint8_t data[static CURSOR_BYTES_MAX], struct cursor *ret)
{
	uint8_t mac[HASH_BYTES];
	size_t n;
	*ret = (struct cursor){ 0 };
	if (!base64_parse(text, data, CURSOR_BYTES_MAX, &n) || n < MAC_BYTES)
		return false;
	struct bytes rest = { (const char *)data + MAC_BYTES, n - MAC_BYTES };
	if (!sign(context, rest, mac) ||
		!bytes_eq_secret((struct bytes){ (const char *)mac, MAC_BYTES },
			(struct bytes){ (const char *)data, MAC_BYTES }))
		return false;
	/* It is ours, but what it says is checked all the same. */
	uint8_t n_keys;
	if (!take(&rest, &n_keys, 1) || n_keys > RECORD_SORT_KEYS_MAX)
		return false;
	for (ret->n_keys = 0; ret->n_keys < n_keys; ret->n_keys++)
		if (!take_value(&rest, &ret->keys[ret->n_keys]))
			return false;
	return take_part(&rest, &ret->id) && rest.n == 0;
}

/* ---- SQL ---- */

/* "behind the value of key i": null comes before everything. */
static void append_after(const struct cursor *cursor, const struct sort_key *key, size_t i,
	unsigned param, struct bytes_buf *out)
{
	int n = (int)key->sql.sql.n;
	const char *sql = key->sql.sql.p;
	bool is_null = cursor->keys[i].type == STORE_NULL;
	if (is_null && key->is_descending)
		bytes_buf_append_string(out, "0");
	else if (is_null)
		bytes_buf_appendf(out, "%.*s IS NOT NULL", n, sql);
	else if (key->is_descending && key->may_be_null)
		bytes_buf_appendf(
			out, "(%.*s<?%u OR %.*s IS NULL)", n, sql, param + (unsigned)i, n, sql);
	else
		bytes_buf_appendf(out, "%.*s%s?%u", n, sql, key->is_descending ? "<" : ">",
			param + (unsigned)i);
}

/* (k1 > v1 OR (k1 = v1 AND (k2 > v2 OR (k2 = v2 AND id > v)))), and in front of it k1 >= v1, which
 * says nothing new but lets an index begin in the right place. */
void cursor_append(const struct cursor *cursor, const struct sort *sort, bool is_view,
	unsigned param, struct bytes_buf *out)
{
	const struct sort_key *first = &sort->keys[0];
	if (sort->n_keys && !first->may_be_null && !is_view)
		bytes_buf_appendf(out, "%.*s%s?%u AND ", (int)first->sql.sql.n, first->sql.sql.p,
			first->is_descending ? "<=" : ">=", param);
	for (size_t i = 0; i < sort->n_keys; i++) {
		const struct sort_key *key = &sort->keys[i];
		bytes_buf_append_byte(out, '(');
		append_after(cursor, key, i, param, out);
		bytes_buf_appendf(out, " OR (%.*s IS ?%u AND ", (int)key->sql.sql.n, key->sql.sql.p,
			param + (unsigned)i);
	}
	bytes_buf_appendf(
		out, "%s>?%u", is_view ? SORT_ID_TEXT : "t.\"id\"", param + (unsigned)sort->n_keys);
	for (size_t i = 0; i < sort->n_keys; i++)
		bytes_buf_append_string(out, "))");
}

void cursor_bind(const struct cursor *cursor, unsigned param, struct store_stmt *stmt)
{
	for (size_t i = 0; i < cursor->n_keys; i++)
		key_value_bind(&cursor->keys[i], stmt, (int)(param + i));
	store_bind_text(stmt, (int)(param + cursor->n_keys), cursor->id);
}
