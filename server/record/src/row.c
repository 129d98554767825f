/*
 * row.c - a record's row: put in, changed, held against a rule, told
 */
#include "write.h"

#include <stdio.h>
#include <string.h>

enum store_outcome row_refuse(struct record_work *work, int status, const char *message)
{
	work->refused_status = status;
	work->refused_message = message;
	return STORE_REFUSED;
}

static enum store_outcome check_relation(struct record_work *work, struct store_conn *conn,
	const struct record_field *field, const struct value *value)
{
	struct record_call *call = work->call;
	const struct record_collection *target = field->target;
	for (size_t i = 0; i < value->n_items; i++) {
		struct store_stmt *stmt;
		bool has_row = false;
		char sql[128];
		if (target) {
			int n = snprintf(sql, sizeof(sql), "SELECT 1 FROM %.*s WHERE \"id\"=?1",
				(int)target->table.n, target->table.p);
			enum store_outcome outcome =
				store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
			if (outcome != STORE_OK)
				return outcome;
			store_bind_text(stmt, 1, value->items[i]);
			outcome = store_step(stmt, &has_row);
			if (outcome != STORE_OK)
				return outcome;
		}
		if (has_row)
			continue;
		if (!work->problems.n)
			problems_init(&work->problems, &call->answer);
		problems_add(&work->problems, field->name, "validation_missing_rel_records",
			"Failed to find all relation records with the provided ids.");
		return STORE_OK;
	}
	return STORE_OK;
}

enum store_outcome row_check_relations(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->type != FIELD_RELATION || !work->values[i].is_set)
			continue;
		enum store_outcome outcome = check_relation(work, conn, field, &work->values[i]);
		if (outcome != STORE_OK)
			return outcome;
	}
	return work->problems.n ? row_refuse(work, 0, NULL) : STORE_OK;
}

void row_bind_field(struct record_work *work, size_t i, struct store_stmt *stmt, int index)
{
	const struct record_field *field = &work->collection->fields[i];
	if (field->is_primary)
		store_bind_text(stmt, index, bytes_of(work->id));
	else if (field->type == FIELD_PASSWORD)
		store_bind_text(stmt, index, bytes_of(work->password_hash));
	else if (field->is_secret)
		store_bind_text(stmt, index, bytes_of(work->token_key));
	else
		value_bind(field, &work->values[i], stmt, index);
}

enum store_outcome row_insert(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	bytes_buf_init(&sql, 65536);
	bytes_buf_appendf(&sql, "INSERT INTO %.*s(", (int)collection->table.n, collection->table.p);
	for (size_t i = 0; i < collection->n_fields; i++)
		bytes_buf_appendf(&sql, "%s%.*s", i ? "," : "", (int)collection->fields[i].column.n,
			collection->fields[i].column.p);
	bytes_buf_append_string(&sql, ")VALUES(");
	for (size_t i = 0; i < collection->n_fields; i++)
		bytes_buf_append_string(&sql, i ? ",?" : "?");
	bytes_buf_append_byte(&sql, ')');
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	for (size_t i = 0; i < collection->n_fields; i++)
		row_bind_field(work, i, stmt, (int)i + 1);
	return store_exec(stmt, NULL);
}

enum store_outcome row_meets_rule(
	struct record_work *work, struct store_conn *conn, enum rule which, bool *ret)
{
	*ret = true;
	if (bytes_eq_string(work_rule(work, which)->sql, "1"))
		return STORE_OK;
	return row_find(work, conn, which, ret);
}

enum store_outcome row_find(
	struct record_work *work, struct store_conn *conn, enum rule which, bool *ret)
{
	const struct expr_sql *rule = work_rule(work, which);
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 512u << 10);
	bytes_buf_appendf(&sql, "SELECT 1 FROM %.*s t WHERE t.\"id\"=?1 AND (",
		(int)collection->table.n, collection->table.p);
	bytes_buf_append(&sql, rule->sql);
	bytes_buf_append_byte(&sql, ')');
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	if (!expr_bind(rule, &work->environment, stmt)) {
		ERR_SET(&work->job.err, ERR_NOMEM, "a value of a rule cannot be bound");
		return STORE_FAULT;
	}
	return store_step(stmt, ret);
}

/* wants_all: else what modifiers build on. */
static enum store_outcome load(
	struct record_work *work, struct store_conn *conn, bool wants_all, bool *ret_is_whole)
{
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	bool found;
	enum store_outcome outcome = store_prepare(conn, collection->get_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	*ret_is_whole = true;
	store_bind_text(stmt, 1, bytes_of(work->id));
	outcome = store_step(stmt, &found);
	if (outcome == STORE_OK && !found)
		return row_refuse(work, 404, "The requested resource wasn't found.");
	int column = 0;
	for (size_t i = 0; i < collection->n_out && outcome == STORE_OK; i++) {
		const struct record_field *field = collection->out[i].field;
		if (!field)
			continue;
		struct value *value = &work->values[field - collection->fields];
		*value = (struct value){ 0 };
		if ((wants_all || body_has_modifiers(field)) &&
			!value_of_column(field, stmt, column, work->arena, value))
			*ret_is_whole = false;
		column++;
		value->is_set = false; /* until the body says something */
	}
	return outcome;
}

enum store_outcome row_load(struct record_work *work, struct store_conn *conn)
{
	bool is_whole;
	enum store_outcome outcome = load(work, conn, false, &is_whole);
	return outcome == STORE_OK && !is_whole ? STORE_FAULT : outcome;
}

enum store_outcome row_load_whole(
	struct record_work *work, struct store_conn *conn, bool *ret_is_whole)
{
	return load(work, conn, true, ret_is_whole);
}

enum store_outcome row_update(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	int n = 1;
	bytes_buf_init(&sql, 65536);
	bytes_buf_appendf(&sql, "UPDATE %.*s SET ", (int)collection->table.n, collection->table.p);
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		bool is_set = account_is_set(work, i);
		if (is_set && !field->is_primary)
			bytes_buf_appendf(&sql, "%s%.*s=?%d", n > 1 ? "," : "",
				(int)field->column.n, field->column.p, n + 1);
		n += is_set && !field->is_primary;
	}
	bytes_buf_append_string(&sql, " WHERE \"id\"=?1");
	if (n == 1)
		return STORE_OK; /* nothing to change */
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	n = 1;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct record_field *field = &collection->fields[i];
		bool is_set = account_is_set(work, i);
		if (is_set && !field->is_primary)
			row_bind_field(work, i, stmt, ++n);
	}
	return store_exec(stmt, NULL);
}

/* The row as it is now, as the answer. */
enum store_outcome row_answer(struct record_work *work, struct store_conn *conn)
{
	struct encoder encoder;
	bool found;
	bytes_buf_clear(&work->call->answer);
	encoder_init(&encoder, work, conn);
	/* Who may write a record sees what he wrote, whatever the view rule says; fields that he
	 * may not read, and relations that he asks to follow, keep their rules. */
	enum store_outcome outcome = encode_written(
		&encoder, work->collection, bytes_of(work->id), work->mask, work->expand, &found);
	if (encoder.is_too_much)
		return row_refuse(work, 400, ENCODE_TOO_MUCH);
	if (outcome != STORE_OK || !found)
		return outcome == STORE_OK ? row_refuse(work, 400, "The record is gone.") : outcome;
	/* Said before the commit: an answer that cannot be given must not follow a write. */
	if (work->call->answer.failed)
		return row_refuse(work, 400,
			"The answer is larger than 4 MiB: ask for fewer fields (?fields=id).");
	return outcome;
}

/* A value that this viewer may not read must not be told apart by a conflict either. */
static bool may_name(const struct record_work *work, struct bytes name)
{
	const struct record_field *field = collection_field(work->collection, name);
	return work_is_superuser(work) ||
	       (field && !field->is_hidden && !field->is_secret && !field_is_ruled(field));
}

/* Cuts the name of the next column of ours off "products.sku, products.lang". */
static bool next_column(struct bytes *left, struct bytes *ret)
{
	while (left->n) {
		const char *comma = memchr(left->p, ',', left->n);
		struct bytes part = { left->p, comma ? (size_t)(comma - left->p) : left->n };
		*left = comma && left->n > part.n + 2
				? (struct bytes){ comma + 2, left->n - part.n - 2 }
				: (struct bytes){ NULL, 0 };
		const char *dot = memchr(part.p, '.', part.n);
		if (!dot)
			continue;
		*ret = (struct bytes){ dot + 1, part.n - (size_t)(dot + 1 - part.p) };
		return true;
	}
	return false;
}

void row_note_conflict(struct record_work *work)
{
	struct bytes all = bytes_of(work->job.conflict_columns), left = all, name;
	problems_init(&work->problems, &work->call->answer);
	if (work->job.conflict != STORE_CONFLICT_UNIQUE)
		return;
	while (next_column(&left, &name))
		if (!may_name(work, name))
			return;
	for (left = all; next_column(&left, &name);)
		if (bytes_eq_string(name, "id"))
			problems_add(&work->problems, name, "validation_pk_invalid",
				"The record primary key is invalid or already exists.");
		else
			problems_add(&work->problems, name, "validation_not_unique",
				"Value must be unique.");
}
