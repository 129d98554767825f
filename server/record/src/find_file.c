/*
 * find_file.c - whether a record names a file, and who may have it
 *
 * A file of an ordinary field is anybody's who knows its name, as in PocketBase. One of a protected
 * field is for whom the view rule lets see the record; so is one of a field with a read rule, if
 * that lets it be read; one of a hidden field is for superusers.
 */
#include <string.h>

#include "write.h"

static struct record_find_file *find_of(struct store_job *job)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
	return (struct record_find_file *)(void *)((char *)work->call -
						   offsetof(struct record_find_file, call));
}

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

static bool names(const struct record_field *field, struct bytes text, struct bytes name)
{
	struct text_json_reader reader;
	struct text_json_token token;
	if (!field->is_list)
		return bytes_eq(text, name);
	text_json_reader_init(&reader, text);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return false;
	while (text_json_next(&reader, &token) == TEXT_JSON_STRING)
		if (text_json_is(&token, name))
			return true;
	return false;
}

static enum store_outcome refuse(struct record_work *work)
{
	return row_refuse(work, 404, "The requested resource wasn't found.");
}

/* The field of the record that names the file; NULL: none does. */
static enum store_outcome find_field(struct record_work *work, struct store_conn *conn,
	struct bytes name, const struct record_field **ret)
{
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	bool has_row;
	int n = 0;
	*ret = NULL;
	bytes_buf_init(&sql, 65536);
	bytes_buf_append_string(&sql, "SELECT ");
	for (size_t i = 0; i < collection->n_fields; i++)
		if (collection->fields[i].type == FIELD_FILE)
			bytes_buf_appendf(&sql, "%s%.*s", n++ ? "," : "",
				(int)collection->fields[i].column.n,
				collection->fields[i].column.p);
	bytes_buf_appendf(
		&sql, " FROM %.*s WHERE \"id\"=?1", (int)collection->table.n, collection->table.p);
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->call->id);
	outcome = store_step(stmt, &has_row);
	n = 0;
	for (size_t i = 0; i < collection->n_fields && outcome == STORE_OK && has_row; i++) {
		const struct record_field *field = &collection->fields[i];
		if (field->type == FIELD_FILE && names(field, store_column_text(stmt, n++), name)) {
			*ret = field;
			break;
		}
	}
	return outcome;
}

static bool is_guarded(const struct record_field *field)
{
	return field->is_protected || field->is_hidden || field_is_ruled(field);
}

/* Whether the field's own rule lets the viewer read it in this row. */
static enum store_outcome meets_read_rule(struct record_work *work, struct store_conn *conn,
	const struct record_field *field, bool *ret)
{
	const struct expr_sql *rule = &field->read_rule.sql;
	const struct record_collection *collection = work->collection;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct store_stmt *stmt;
	bytes_buf_init(&sql, 512u << 10);
	bytes_buf_appendf(&sql, "SELECT 1 FROM %.*s t WHERE t.\"id\"=?1 AND (",
		(int)collection->table.n, collection->table.p);
	bytes_buf_append(&sql, rule->sql);
	bytes_buf_append_byte(&sql, ')');
	enum store_outcome outcome = store_prepare(conn, bytes_buf_view(&sql), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->call->id);
	if (!expr_bind(rule, &work->environment, stmt)) {
		ERR_SET(&work->job.err, ERR_NOMEM, "a value of a rule cannot be bound");
		return STORE_FAULT;
	}
	return store_step(stmt, ret);
}

/* A guarded file: whoever may see the record, and the field of it. */
static enum store_outcome check_viewer(struct record_work *work, struct store_conn *conn,
	const struct record_field *field, bool *ret)
{
	enum store_outcome outcome = STORE_OK;
	*ret = !field->is_hidden && !work->collection->rules[RULE_VIEW].is_null;
	if (*ret)
		outcome = row_meets_rule(work, conn, RULE_VIEW, ret);
	if (outcome == STORE_OK && *ret && field_is_ruled(field))
		outcome = meets_read_rule(work, conn, field, ret);
	return outcome;
}

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct record_find_file *find = find_of(job);
	const struct record_field *field;
	bool is_met = false;
	work->refused_status = 0;
	work->call->refused_by = RECORD_BY_NOBODY;
	enum store_outcome outcome = find_field(work, conn, find->name, &field);
	if (outcome != STORE_OK || !field)
		return outcome == STORE_OK ? refuse(work) : outcome;
	find->is_protected = is_guarded(field);
	if (!find->is_protected || work_is_superuser(work))
		return STORE_OK;
	outcome = check_viewer(work, conn, field, &is_met);
	if (outcome == STORE_OK && !is_met) {
		work->call->refused_by = RECORD_BY_RULE;
		return refuse(work);
	}
	return outcome;
}

static void done_find(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK)
		work_answer(work, 200, "");
	else
		work_answer(work, 404, "The requested resource wasn't found.");
}

static void start(struct record_call *call)
{
	struct record_find_file *find =
		(struct record_find_file *)(void *)((char *)call -
						    offsetof(struct record_find_file, call));
	struct record_work *work = work_new_with_collection(call, start);
	bool is_guarded_here = false;
	if (!work)
		return;
	const struct record_collection *collection = work->collection;
	/* Of a view's file nobody knows here where it lies. */
	if (!collection->has_files || collection->is_view || !call->book->files || !call->id.n ||
		call->id.n > ID_RECORD_BYTES || !file_name_is_component(find->name) ||
		!bytes_to_string(
			collection->id, find->collection_id, sizeof(find->collection_id))) {
		work_answer(work, 404, "The requested resource wasn't found.");
		return;
	}
	bytes_to_string(call->id, work->id, sizeof(work->id));
	for (size_t i = 0; i < collection->n_fields; i++)
		is_guarded_here |= collection->fields[i].type == FIELD_FILE &&
				   is_guarded(&collection->fields[i]);
	work->job.run = run_find;
	work->job.done = done_find;
	/* A point read without a rule is a loop's own work. */
	if (!is_guarded_here) {
		work->job.outcome = store_read_now(call->book->store, call->loop, &work->job);
		if (work->job.outcome == STORE_OK || work->job.outcome == STORE_REFUSED) {
			done_find(&work->job);
			return;
		}
	}
	store_read(call->book->store, &work->job);
}

void record_find_file(struct record_find_file *find)
{
	start(&find->call);
}
