/*
 * sort.c - ?sort=-created,author.name,@random into ORDER BY
 */
#include <stdio.h>
#include <string.h>

#include "list.h"

enum expr_result list_compile_path(struct bytes path, const struct list_names *names,
	unsigned param, struct expr_sql *ret, struct expr_error *error)
{
	return expr_compile_path(
		path, names->names, names->collection, BYTES("t"), param, names->arena, ret, error);
}

static enum list_result invalid(struct list_problem *problem, const char *message, size_t offset)
{
	problem->parameter = "sort";
	problem->code = "validation_invalid_sort";
	snprintf(problem->message, sizeof(problem->message), "%s (at byte %zu)", message, offset);
	return LIST_INVALID;
}

/* True when the index text names the column first: "CREATE INDEX `i` ON `t` (`name`, ...) ...".
 * A partial index is no help for all rows. */
static bool index_begins_with(struct bytes text, struct bytes column)
{
	const char *open = text.n ? memchr(text.p, '(', text.n) : NULL;
	if (!open || memmem(text.p, text.n, " WHERE ", 7))
		return false;
	struct bytes rest = { open + 1, text.n - (size_t)(open + 1 - text.p) };
	struct bytes name = { column.p + 1, column.n - 2 }; /* without its quotation marks */
	while (rest.n && (*rest.p == ' ' || *rest.p == '`' || *rest.p == '"')) {
		rest.p++;
		rest.n--;
	}
	return bytes_starts_with(rest, name) && rest.n > name.n && rest.p[name.n] != '_' &&
	       !(rest.p[name.n] >= '0' && rest.p[name.n] <= '9') &&
	       !((rest.p[name.n] | 32) >= 'a' && (rest.p[name.n] | 32) <= 'z');
}

/* What is known of a key that is a column of the row itself. */
static void look_at_column(
	const struct record_collection *collection, struct bytes name, struct sort_key *key)
{
	const struct record_field *field = collection_field(collection, name);
	key->may_be_null = true;
	if (!field || key->sql.n_params || field->type == FIELD_JSON)
		return;
	key->may_be_null = field_is_ruled(field);
	key->is_indexed = field->is_primary;
	for (size_t i = 0; i < collection->indexes.n && !field_is_ruled(field); i++)
		key->is_indexed |= index_begins_with(collection->indexes.items[i], field->column);
}

static enum list_result parse_key(struct bytes name, const struct list_names *names,
	unsigned *param, struct sort *sort, struct list_problem *problem, size_t offset)
{
	struct sort_key *key = &sort->keys[sort->n_keys];
	struct expr_error error;
	*key = (struct sort_key){ .is_descending = name.n && name.p[0] == '-' };
	if (name.n && (name.p[0] == '-' || name.p[0] == '+')) {
		name.p++;
		name.n--;
		offset++;
	}
	if (bytes_eq_string(name, "@random")) {
		key->sql = (struct expr_sql){ .sql = BYTES("random()") };
		sort->is_random = true;
		sort->n_keys++;
		return LIST_OK;
	}
	if (bytes_eq_string(name, "@rowid") && !names->collection->is_view) {
		key->sql = (struct expr_sql){ .sql = BYTES("t.rowid") };
		key->is_indexed = true;
		sort->n_keys++;
		return LIST_OK;
	}
	enum expr_result result = list_compile_path(name, names, *param, &key->sql, &error);
	if (result == EXPR_NOMEM)
		return LIST_NOMEM;
	if (result == EXPR_INVALID)
		return invalid(problem, error.message, offset + error.offset);
	*param += (unsigned)key->sql.n_params;
	look_at_column(names->collection, name, key);
	sort->has_id |= bytes_eq_string(name, "id");
	sort->n_keys++;
	return LIST_OK;
}

enum list_result sort_parse(struct bytes text, const struct list_names *names, unsigned *param,
	struct sort *ret, struct list_problem *problem)
{
	const char *start = text.p;
	enum list_result result = LIST_OK;
	*ret = (struct sort){ 0 };
	while (text.n && result == LIST_OK) {
		const char *comma = memchr(text.p, ',', text.n);
		struct bytes key = { text.p, comma ? (size_t)(comma - text.p) : text.n };
		text = comma ? (struct bytes){ comma + 1, text.n - key.n - 1 }
			     : (struct bytes){ NULL, 0 };
		while (key.n && key.p[0] == ' ') {
			key.p++;
			key.n--;
		}
		while (key.n && key.p[key.n - 1] == ' ')
			key.n--;
		if (ret->n_keys == RECORD_SORT_KEYS_MAX)
			return invalid(problem, "At most 8 sort keys are allowed.",
				(size_t)(key.p - start));
		result = parse_key(key, names, param, ret, problem, (size_t)(key.p - start));
	}
	return result;
}

bool sort_is_indexed(const struct sort *sort)
{
	return !sort->n_keys || sort->keys[0].is_indexed;
}

void sort_append(const struct sort *sort, enum sort_end end, struct bytes_buf *out)
{
	bool has_end = !sort->has_id && end != SORT_AS_IT_COMES;
	if (!sort->n_keys && !has_end)
		return;
	bytes_buf_append_string(out, " ORDER BY ");
	for (size_t i = 0; i < sort->n_keys; i++) {
		bytes_buf_append_string(out, i ? "," : "");
		bytes_buf_append(out, sort->keys[i].sql.sql);
		bytes_buf_append_string(out, sort->keys[i].is_descending ? " DESC" : "");
	}
	if (!has_end)
		return;
	bytes_buf_append_string(out, sort->n_keys ? "," : "");
	bytes_buf_append_string(out, end == SORT_BY_ROWID ? "t.rowid"
				     : end == SORT_BY_ID  ? "t.\"id\""
							  : SORT_ID_TEXT);
	/* An index that is read backwards has its equal rows backwards as well. */
	if (end == SORT_BY_ROWID && sort->n_keys && sort->keys[0].is_indexed &&
		sort->keys[sort->n_keys - 1].is_descending)
		bytes_buf_append_string(out, " DESC");
}

bool sort_bind(const struct sort *sort, const struct expr_environment *environment,
	struct store_stmt *stmt)
{
	for (size_t i = 0; i < sort->n_keys; i++)
		if (!expr_bind(&sort->keys[i].sql, environment, stmt))
			return false;
	return true;
}

/* ---- values of keys ---- */

void key_value_read(struct store_stmt *stmt, int column, struct key_value *ret)
{
	ret->type = store_column_type(stmt, column);
	if (ret->type == STORE_INT64)
		ret->integer = store_column_int64(stmt, column);
	else if (ret->type == STORE_DOUBLE)
		ret->real = store_column_double(stmt, column);
	else if (ret->type != STORE_NULL)
		ret->text = store_column_text(stmt, column);
}

void key_value_bind(const struct key_value *value, struct store_stmt *stmt, int index)
{
	if (value->type == STORE_INT64)
		store_bind_int64(stmt, index, value->integer);
	else if (value->type == STORE_DOUBLE)
		store_bind_double(stmt, index, value->real);
	else if (value->type == STORE_NULL)
		store_bind_null(stmt, index);
	else
		store_bind_text(stmt, index, value->text);
}

static int rank(enum store_type type)
{
	return type == STORE_NULL ? 0 : type == STORE_INT64 || type == STORE_DOUBLE ? 1 : 2;
}

static int compare_numbers(const struct key_value *a, const struct key_value *b)
{
	if (a->type == STORE_INT64 && b->type == STORE_INT64)
		return (a->integer > b->integer) - (a->integer < b->integer);
	double x = a->type == STORE_INT64 ? (double)a->integer : a->real;
	double y = b->type == STORE_INT64 ? (double)b->integer : b->real;
	return (x > y) - (x < y);
}

int key_value_compare(const struct key_value *a, const struct key_value *b)
{
	int rank_a = rank(a->type), rank_b = rank(b->type);
	if (rank_a != rank_b)
		return rank_a - rank_b;
	if (rank_a == 0)
		return 0;
	return rank_a == 1 ? compare_numbers(a, b) : bytes_cmp(a->text, b->text);
}
