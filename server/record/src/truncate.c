/*
 * truncate.c - all records of a collection go, and with them what pointed at them
 *
 * By sets, not record by record: what goes is gathered in a table of its own, collection after
 * collection along the relations that cascade; then what stays and pointed there is released,
 * unless it needs a record to point at: then nothing goes at all.
 */
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "write.h"

#define ROUNDS_MAX 16 /* of cascades: as deep as the delete of a record goes */

struct truncation {
	struct record_work *work;
	struct store_conn *conn;
};

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

static enum store_outcome run(
	struct truncation *truncation, const struct bytes_buf *sql, int64_t *ret_changes)
{
	struct store_stmt *stmt;
	if (sql->failed)
		return STORE_FAULT;
	enum store_outcome outcome = store_prepare(truncation->conn, bytes_buf_view(sql), &stmt);
	return outcome == STORE_OK ? store_exec(stmt, ret_changes) : outcome;
}

/* "t"."author" points at one of the records of collection to that go. */
static void append_points(struct bytes_buf *sql, const struct record_field *field, size_t to)
{
	int n = (int)field->column.n;
	const char *column = field->column.p;
	if (field->is_list)
		bytes_buf_appendf(sql,
			"EXISTS (SELECT 1 FROM json_each(t.%.*s) e JOIN temp._gone g "
			"ON g.c=%zu AND g.id=e.value)",
			n, column, to);
	else
		bytes_buf_appendf(sql, "t.%.*s IN (SELECT g.id FROM temp._gone g WHERE g.c=%zu)", n,
			column, to);
}

/* For each relation: calls back with the collections' places. */
static enum store_outcome each_relation(struct truncation *truncation,
	enum store_outcome (*visit)(struct truncation *truncation,
		const struct record_collection *from, size_t place,
		const struct record_field *field, size_t to, int64_t *ret_changes),
	int64_t *ret_changes)
{
	const struct record_schema *schema = truncation->work->schema;
	enum store_outcome outcome = STORE_OK;
	*ret_changes = 0;
	for (size_t c = 0; c < schema->n_collections; c++) {
		const struct record_collection *from = &schema->collections[c];
		for (size_t i = 0; i < from->n_fields && !from->is_view; i++) {
			const struct record_collection *target = from->fields[i].target;
			int64_t n_changes = 0;
			if (!target || outcome != STORE_OK)
				continue;
			outcome = visit(truncation, from, c, &from->fields[i],
				(size_t)(target - schema->collections), &n_changes);
			*ret_changes += n_changes;
		}
	}
	return outcome;
}

static enum store_outcome gather(struct truncation *truncation,
	const struct record_collection *from, size_t place, const struct record_field *field,
	size_t to, int64_t *ret_changes)
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 4096);
	if (!field->cascade_delete)
		return STORE_OK;
	bytes_buf_appendf(&sql,
		"INSERT OR IGNORE INTO temp._gone SELECT %zu, t.\"id\" FROM %.*s t WHERE ", place,
		(int)from->table.n, from->table.p);
	append_points(&sql, field, to);
	return run(truncation, &sql, ret_changes);
}

/* What stays no longer points at what goes. A required relation must have something left. */
static enum store_outcome let_go(struct truncation *truncation,
	const struct record_collection *from, size_t place, const struct record_field *field,
	size_t to, int64_t *ret_changes)
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	int n = (int)field->column.n;
	const char *column = field->column.p;
	int64_t n_empty = 0;
	bytes_buf_init(&sql, 4096);
	if (field->cascade_delete)
		return STORE_OK;
	bytes_buf_appendf(
		&sql, "UPDATE %.*s AS t SET %.*s=", (int)from->table.n, from->table.p, n, column);
	if (field->is_list)
		bytes_buf_appendf(&sql,
			"(SELECT json_group_array(e.value) FROM json_each(t.%.*s) e WHERE e.value "
			"NOT IN (SELECT g.id FROM temp._gone g WHERE g.c=%zu))",
			n, column, to);
	else
		bytes_buf_append_string(&sql, "''");
	bytes_buf_appendf(&sql,
		" WHERE t.\"id\" NOT IN (SELECT g.id FROM temp._gone g WHERE g.c=%zu) AND ", place);
	append_points(&sql, field, to);
	enum store_outcome outcome = run(truncation, &sql, ret_changes);
	if (outcome != STORE_OK || !field->is_required || !*ret_changes)
		return outcome;
	bytes_buf_clear(&sql);
	bytes_buf_appendf(&sql,
		"SELECT EXISTS (SELECT 1 FROM %.*s t WHERE t.%.*s=%s AND t.\"id\" NOT IN "
		"(SELECT g.id FROM temp._gone g WHERE g.c=%zu))",
		(int)from->table.n, from->table.p, n, column, field->is_list ? "'[]'" : "''",
		place);
	struct store_stmt *stmt;
	bool has_row;
	outcome = store_prepare(truncation->conn, bytes_buf_view(&sql), &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		n_empty = store_column_int64(stmt, 0);
	return outcome == STORE_OK && n_empty ? STORE_REFUSED : outcome;
}

static enum store_outcome remove_all(struct truncation *truncation)
{
	const struct record_schema *schema = truncation->work->schema;
	enum store_outcome outcome = STORE_OK;
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, 1024);
	for (size_t c = 0; c < schema->n_collections && outcome == STORE_OK; c++) {
		const struct record_collection *collection = &schema->collections[c];
		if (collection->is_view)
			continue;
		/* The folder also has the files of what lies in the trash. */
		outcome = collection == truncation->work->collection && !collection->soft_delete
				  ? files_drop(truncation->work, truncation->conn, collection)
				  : files_delete_gone(
					    truncation->work, truncation->conn, collection, c);
		if (outcome != STORE_OK)
			return outcome;
		bytes_buf_clear(&sql);
		bytes_buf_appendf(&sql,
			"DELETE FROM %.*s WHERE \"id\" IN (SELECT g.id FROM temp._gone g WHERE "
			"g.c=%zu)",
			(int)collection->table.n, collection->table.p, c);
		outcome = run(truncation, &sql, NULL);
	}
	return outcome;
}

static enum store_outcome run_truncate(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct truncation truncation = { work, conn };
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	struct bytes table = work->collection->table;
	size_t place = (size_t)(work->collection - work->schema->collections);
	int64_t n_changes = 1;
	bytes_buf_init(&sql, 1024);
	bytes_buf_appendf(&sql,
		"DROP TABLE IF EXISTS temp._gone;"
		"CREATE TEMP TABLE _gone(c INTEGER, id TEXT, PRIMARY KEY(c, id)) WITHOUT ROWID;"
		"INSERT INTO temp._gone SELECT %zu, \"id\" FROM %.*s;",
		place, (int)table.n, table.p);
	files_begin(work);
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK)
		outcome = store_run_script(conn, bytes_buf_view(&sql));
	for (unsigned i = 0; outcome == STORE_OK && n_changes; i++)
		outcome = i < ROUNDS_MAX ? each_relation(&truncation, gather, &n_changes)
					 : STORE_REFUSED;
	if (outcome == STORE_OK)
		outcome = each_relation(&truncation, let_go, &n_changes);
	if (outcome == STORE_OK)
		outcome = remove_all(&truncation);
	if (outcome == STORE_OK)
		outcome = store_run_script(conn, BYTES("DROP TABLE temp._gone"));
	return outcome;
}

static void committed_truncate(struct store_job *job)
{
	write_committed(job);
	changes_tell_many(work_of(job));
}

static void done_truncate(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK)
		work_answer(work, 204, "");
	else
		work_answer(work, 400,
			"Failed to truncate collection. Make sure that its records are not part of "
			"a required relation reference.");
}

void record_collection_truncate(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_truncate, true);
	if (!work)
		return;
	if (work->collection->is_view) {
		work_answer(work, 400,
			"View collections cannot be truncated since they don't store their own "
			"records.");
		return;
	}
	if (work->collection->is_superusers) {
		work_answer(work, 400, "The last superuser cannot be deleted.");
		return;
	}
	work->job.run = run_truncate;
	work->job.done = done_truncate;
	work->job.committed = committed_truncate;
	work->job.alone = true;
	work->job.deadline_ns = 0;
	store_write(call->book->store, &work->job);
}
