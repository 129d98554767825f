/*
 * files.c - what a write means for the tenant's folder of files
 *
 * The row and the log of acts are one transaction; the folder follows after the commit (file.h has
 * the whole idea). Rows of the log whose acts are done are deleted by the next write that adds to
 * it, so that a write pays for no second transaction.
 *
 * A stored name is never used twice, so doing an act again is harmless. The exception is the drop
 * of a collection's folder: it could take what was placed after it. So nothing is placed into a
 * collection while a drop of it stands in the log.
 */
#include "files.h"

#include <stdio.h>
#include <string.h>

#include "write.h"

#define MAX_SIZE_DEFAULT (INT64_C(5) << 20)
#define OPEN_BATCH       500 /* acts of the log that are done between two looks at it */

static int64_t max_size(const struct record_field *field)
{
	return field->max_size > 0 ? field->max_size : MAX_SIZE_DEFAULT;
}

static int64_t max_select(const struct record_field *field)
{
	return field->max > 1 ? field->max : 1;
}

/* ---- at opening ---- */

static enum store_outcome redo_some(
	struct store_conn *conn, struct file_store *files, int64_t *last, bool *ret_more)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT id, act, collection, record, name FROM _file_acts WHERE id>?1 "
		      "ORDER BY id LIMIT ?2"),
		&stmt);
	*ret_more = false;
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, *last);
	store_bind_int64(stmt, 2, OPEN_BATCH);
	for (;;) {
		bool has_row;
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			return outcome;
		const struct file_act act = {
			.kind = (enum file_act_kind)store_column_int64(stmt, 1),
			.collection = store_column_text(stmt, 2),
			.record = store_column_text(stmt, 3),
			.name = store_column_text(stmt, 4),
		};
		/* A file that cannot be removed keeps nobody from his records. */
		(void)file_act_do(files, &act, NULL);
		*last = store_column_int64(stmt, 0);
		*ret_more = true;
	}
}

int files_on_open(struct store_conn *conn, struct file_store *files, struct err *err)
{
	enum store_outcome outcome = STORE_OK;
	int64_t last = 0;
	bool has_more = true;
	while (outcome == STORE_OK && has_more)
		outcome = redo_some(conn, files, &last, &has_more);
	if (outcome == STORE_OK && last)
		outcome = store_run_script(conn, BYTES("DELETE FROM _file_acts"));
	if (outcome != STORE_OK)
		return ERR_SET(
			err, ERR_STATE, "cannot read the log of files: %s", store_message(conn));
	return file_store_sweep(files, err);
}

/* ---- the log ---- */

static enum store_outcome delete_done(struct record_work *work, struct store_conn *conn)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = STORE_OK;
	if (!work->n_file_done)
		work->n_file_done = file_store_take_done(
			work->call->book->files, work->file_done, FILE_DONE_MOST);
	for (size_t i = 0; i < work->n_file_done && outcome == STORE_OK; i++) {
		outcome = store_prepare(
			conn, BYTES("DELETE FROM _file_acts WHERE id BETWEEN ?1 AND ?2"), &stmt);
		if (outcome != STORE_OK)
			return outcome;
		store_bind_int64(stmt, 1, work->file_done[i].first);
		store_bind_int64(stmt, 2, work->file_done[i].last);
		outcome = store_exec(stmt, NULL);
	}
	return outcome;
}

static enum store_outcome log_act(
	struct record_work *work, struct store_conn *conn, const struct file_act *act)
{
	struct store_stmt *stmt;
	bool has_row = false;
	if (!work->call->book->files)
		return STORE_OK;
	enum store_outcome outcome = work->file_acts ? STORE_OK : delete_done(work, conn);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn,
			BYTES("INSERT INTO _file_acts(act, collection, record, name) "
			      "VALUES(?1,?2,?3,?4) RETURNING id"),
			&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, act->kind);
	store_bind_text(stmt, 2, act->collection);
	store_bind_text(stmt, 3, act->record);
	store_bind_text(stmt, 4, act->name);
	outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return outcome;
	if (!has_row || !file_acts_add(&work->file_acts, store_column_int64(stmt, 0), act)) {
		ERR_SET(&work->job.err, ERR_NOMEM, "no memory for the acts on files");
		return STORE_FAULT;
	}
	return store_step(stmt, &has_row); /* to its end */
}

void files_begin(struct record_work *work)
{
	file_acts_free(work->file_acts);
	work->file_acts = NULL;
	for (size_t i = 0; i < work->call->n_uploads; i++)
		work->call->uploads[i].is_placed = false;
}

void files_end(struct record_work *work)
{
	if (!work->file_acts && !work->n_file_done)
		return;
	file_acts_free(work->file_acts);
	work->file_acts = NULL;
	file_store_give_done(work->call->book->files, work->file_done, work->n_file_done);
	work->n_file_done = 0;
}

void files_committed(struct record_work *work)
{
	for (size_t i = 0; i < work->call->n_uploads; i++)
		if (work->call->uploads[i].is_placed)
			file_stage_keep(work->call->uploads[i].stage);
	if (work->file_acts)
		file_store_act(work->call->book->files, work->file_acts);
	work->file_acts = NULL;
	work->n_file_done = 0;
}

/* ---- values ---- */

static bool has_item(const struct bytes *items, size_t n, struct bytes item)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(items[i], item))
			return true;
	return false;
}

static struct record_upload *find_upload(const struct record_work *work, struct bytes name)
{
	struct record_call *call = work->call;
	for (size_t i = 0; i < call->n_uploads; i++)
		if (bytes_eq_string(name, file_stage_name(call->uploads[i].stage)))
			return &call->uploads[i];
	return NULL;
}

bool files_remember(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	work->old_files = NULL;
	if (!collection->has_files)
		return true;
	work->old_files = arena_alloc(work->arena, collection->n_fields * sizeof(*work->old_files));
	if (!work->old_files)
		return false;
	for (size_t i = 0; i < collection->n_fields; i++) {
		const struct value *value = &work->values[i];
		if (collection->fields[i].type == FIELD_FILE)
			work->old_files[i] = (struct bytes_list){ value->items, value->n_items };
	}
	return true;
}

static bool is_of_kind(const struct record_field *field, const char *type)
{
	for (size_t i = 0; i < field->mime_types.n; i++) {
		/* "text/plain; charset=utf-8" allows text/plain. */
		struct bytes wanted = field->mime_types.items[i];
		const char *end = wanted.n ? memchr(wanted.p, ';', wanted.n) : NULL;
		if (end)
			wanted.n = (size_t)(end - wanted.p);
		while (wanted.n && wanted.p[wanted.n - 1] == ' ')
			wanted.n--;
		if (bytes_eq_nocase(wanted, bytes_of(type)))
			return true;
	}
	return field->mime_types.n == 0;
}

static void add_kind_problem(
	struct record_work *work, const struct record_field *field, struct bytes original)
{
	DEFER(bytes_buf_fini) struct bytes_buf list;
	bytes_buf_init(&list, 512);
	for (size_t i = 0; i < field->mime_types.n; i++) {
		bytes_buf_append_string(&list, i ? ", " : "");
		bytes_buf_append(&list, field->mime_types.items[i]);
	}
	problems_add(&work->problems, field->name, "validation_invalid_mime_type",
		"\"%.*s\" mime type must be one of: %.*s.", (int)original.n, original.p,
		(int)list.n, list.p);
}

/* False when the file is refused. */
static bool check_upload(struct record_work *work, const struct record_field *field,
	const struct record_upload *upload)
{
	struct bytes original = file_stage_original(upload->stage);
	if (file_stage_bytes(upload->stage) > (uint64_t)max_size(field)) {
		problems_add(&work->problems, field->name, "validation_file_size_limit",
			"Failed to upload \"%.*s\" - the maximum allowed file size is %lld bytes.",
			(int)original.n, original.p, (long long)max_size(field));
		return false;
	}
	if (!is_of_kind(field, file_stage_type(upload->stage))) {
		add_kind_problem(work, field, original);
		return false;
	}
	return true;
}

static void check_field(struct record_work *work, size_t i)
{
	const struct record_field *field = &work->collection->fields[i];
	const struct value *value = &work->values[i];
	const struct bytes_list none = { 0 };
	const struct bytes_list *old = work->old_files ? &work->old_files[i] : &none;
	if (!value->n_items && field->is_required)
		problems_add(&work->problems, field->name, "validation_required",
			"Missing required value.");
	for (size_t n = 0; n < value->n_items; n++)
		if (!has_item(old->items, old->n, value->items[n]) &&
			!find_upload(work, value->items[n])) {
			struct bytes shown = value->items[n];
			shown.n = shown.n > 250 ? 250 : shown.n;
			problems_add(&work->problems, field->name, "validation_invalid_file",
				"Invalid new files: [%.*s].", (int)shown.n, shown.p);
			return;
		}
	if ((int64_t)value->n_items > max_select(field)) {
		problems_add(&work->problems, field->name, "validation_too_many_files",
			"The maximum allowed files is %lld", (long long)max_select(field));
		return;
	}
	for (size_t n = 0; n < value->n_items; n++) {
		const struct record_upload *upload = find_upload(work, value->items[n]);
		if (upload && !has_item(old->items, old->n, value->items[n]) &&
			!check_upload(work, field, upload))
			return;
	}
}

void files_check(struct record_work *work)
{
	const struct record_collection *collection = work->collection;
	for (size_t i = 0; i < collection->n_fields && collection->has_files; i++)
		if (collection->fields[i].type == FIELD_FILE && work->values[i].is_set)
			check_field(work, i);
}

/* ---- writing ---- */

static enum store_outcome check_drop(struct record_work *work, struct store_conn *conn)
{
	struct store_stmt *stmt;
	bool is_dropping;
	enum store_outcome outcome = delete_done(work, conn);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn,
			BYTES("SELECT 1 FROM _file_acts WHERE act=2 AND collection=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, work->collection->id);
	outcome = store_step(stmt, &is_dropping);
	if (outcome == STORE_OK && is_dropping)
		return row_refuse(
			work, 503, "The collection's files are still being removed. Try again.");
	return outcome;
}

static enum store_outcome write_field(struct record_work *work, struct store_conn *conn, size_t f)
{
	const struct bytes_list none = { 0 };
	const struct bytes_list *old = work->old_files ? &work->old_files[f] : &none;
	const struct value *value = &work->values[f];
	struct file_act act = { .collection = work->collection->id, .record = bytes_of(work->id) };
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < value->n_items && outcome == STORE_OK; i++) {
		if (has_item(old->items, old->n, value->items[i]))
			continue;
		struct record_upload *upload = find_upload(work, value->items[i]);
		if (!upload) {
			ERR_SET(&work->job.err, ERR_STATE, "a file was not checked");
			return STORE_FAULT;
		}
		if (!work->file_acts)
			outcome = check_drop(work, conn);
		act.kind = FILE_PLACE;
		act.name = value->items[i];
		upload->is_placed = true;
		if (outcome == STORE_OK)
			outcome = log_act(work, conn, &act);
	}
	for (size_t i = 0; i < old->n && outcome == STORE_OK; i++) {
		if (has_item(value->items, value->n_items, old->items[i]))
			continue;
		act.kind = FILE_REMOVE;
		act.name = old->items[i];
		outcome = log_act(work, conn, &act);
	}
	return outcome;
}

enum store_outcome files_write(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < collection->n_fields && collection->has_files; i++)
		if (collection->fields[i].type == FIELD_FILE && work->values[i].is_set &&
			outcome == STORE_OK)
			outcome = write_field(work, conn, i);
	return outcome;
}

/* Logs the removal of all that the statement selects: a record's id and one of its files. */
static enum store_outcome remove_selected(struct record_work *work, struct store_conn *conn,
	struct bytes sql, struct bytes collection_id, struct bytes id)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	if (id.n)
		store_bind_text(stmt, 1, id);
	while ((outcome = store_step(stmt, &has_row)) == STORE_OK && has_row) {
		const struct file_act act = { FILE_REMOVE, collection_id,
			store_column_text(stmt, 0), store_column_text(stmt, 1) };
		outcome = log_act(work, conn, &act);
		if (outcome != STORE_OK)
			return outcome;
	}
	return outcome;
}

/* The files of one field: all, or all but the last, which is kept of a list that becomes one. */
static struct bytes select_files(char *out, size_t cap, const struct record_collection *collection,
	const struct record_field *field, const char *where)
{
	int n_table = (int)collection->table.n, n_column = (int)field->column.n, n;
	if (field->is_list)
		n = snprintf(out, cap,
			"SELECT t.\"id\", e.value FROM %.*s t, json_each(t.%.*s) e WHERE %s",
			n_table, collection->table.p, n_column, field->column.p, where);
	else
		n = snprintf(out, cap,
			"SELECT t.\"id\", t.%.*s FROM %.*s t WHERE t.%.*s<>'' AND %s", n_column,
			field->column.p, n_table, collection->table.p, n_column, field->column.p,
			where);
	return (struct bytes){ out, (size_t)n };
}

static enum store_outcome delete_where(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, const char *where, struct bytes id)
{
	enum store_outcome outcome = STORE_OK;
	char sql[512];
	if (!collection->has_files || collection->is_view || !work->call->book->files)
		return STORE_OK;
	for (size_t i = 0; i < collection->n_fields && outcome == STORE_OK; i++)
		if (collection->fields[i].type == FIELD_FILE)
			outcome = remove_selected(work, conn,
				select_files(sql, sizeof(sql), collection, &collection->fields[i],
					where),
				collection->id, id);
	return outcome;
}

enum store_outcome files_delete(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, struct bytes id)
{
	return delete_where(work, conn, collection, "t.\"id\"=?1", id);
}

enum store_outcome files_delete_gone(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, size_t place)
{
	char where[96];
	snprintf(where, sizeof(where), "t.\"id\" IN (SELECT g.id FROM temp._gone g WHERE g.c=%zu)",
		place);
	return delete_where(work, conn, collection, where, (struct bytes){ NULL, 0 });
}

static enum store_outcome delete_kept_of(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, const struct record_field *field,
	struct bytes id)
{
	struct store_stmt *stmt;
	bool has_row;
	/* A list, or the one name: json_each gives each. */
	struct bytes path =
		arena_printf(work->call->arena, "$.\"%.*s\"", (int)field->id.n, field->id.p);
	if (!path.p) {
		ERR_SET(&work->job.err, ERR_NOMEM, "no memory for the files of the trash");
		return STORE_FAULT;
	}
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT t.record, e.value FROM _trash t, json_each(t.body, ?2) e WHERE "
		      "t.collection=?1 AND (?3='' OR t.record=?3) AND e.value<>''"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, collection->id);
	store_bind_text(stmt, 2, path);
	store_bind_text(stmt, 3, id);
	while ((outcome = store_step(stmt, &has_row)) == STORE_OK && has_row) {
		const struct file_act act = { FILE_REMOVE, collection->id,
			store_column_text(stmt, 0), store_column_text(stmt, 1) };
		outcome = log_act(work, conn, &act);
		if (outcome != STORE_OK)
			return outcome;
	}
	return outcome;
}

enum store_outcome files_delete_kept(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, struct bytes id)
{
	enum store_outcome outcome = STORE_OK;
	for (size_t i = 0; i < collection->n_fields && outcome == STORE_OK; i++)
		if (collection->fields[i].type == FIELD_FILE &&
			!memchr(collection->fields[i].id.p, '"', collection->fields[i].id.n))
			outcome =
				delete_kept_of(work, conn, collection, &collection->fields[i], id);
	return outcome;
}

enum store_outcome files_drop(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection)
{
	const struct file_act act = { .kind = FILE_DROP, .collection = collection->id };
	return collection->has_files && !collection->is_view ? log_act(work, conn, &act) : STORE_OK;
}

enum store_outcome files_alter(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, const struct record_field *fields,
	size_t n_fields)
{
	enum store_outcome outcome = STORE_OK;
	char sql[512];
	if (!collection->has_files || collection->is_view || !work->call->book->files)
		return STORE_OK;
	for (size_t i = 0; i < collection->n_fields && outcome == STORE_OK; i++) {
		const struct record_field *was = &collection->fields[i], *is = NULL;
		for (size_t n = 0; n < n_fields; n++)
			if (bytes_eq(fields[n].id, was->id))
				is = &fields[n];
		bool is_cut = is && was->is_list && !is->is_list;
		if (was->type != FIELD_FILE || (is && !is_cut))
			continue;
		char where[128] = "1";
		if (is)
			snprintf(where, sizeof(where), "e.key<json_array_length(t.%.*s)-1",
				(int)was->column.n, was->column.p);
		outcome = remove_selected(work, conn,
			select_files(sql, sizeof(sql), collection, was, where), collection->id,
			(struct bytes){ NULL, 0 });
	}
	return outcome;
}

/* ---- how much a form may bring ---- */

static bool is_named(const struct record_field *field, struct bytes key)
{
	if (bytes_eq(field->name, key))
		return true;
	if (key.n != field->name.n + 1)
		return false;
	struct bytes front = { key.p, key.n - 1 }, back = { key.p + 1, key.n - 1 };
	return (key.p[key.n - 1] == '+' && bytes_eq(front, field->name)) ||
	       (key.p[0] == '+' && bytes_eq(back, field->name));
}

struct file_store *record_book_files(const struct record_book *book)
{
	return book->files;
}

bool record_upload_limit(
	struct record_book *book, struct bytes collection, struct bytes key, uint64_t *ret_bytes)
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	const struct record_collection *only =
		collection.n ? schema_find(schema, collection) : NULL;
	int64_t most = 0;
	if (!book->files || (collection.n && !only))
		return false;
	for (size_t c = 0; c < schema->n_collections; c++) {
		const struct record_collection *at = &schema->collections[c];
		for (size_t i = 0; i < at->n_fields && (!only || at == only); i++)
			if (at->fields[i].type == FIELD_FILE &&
				(!only || is_named(&at->fields[i], key)) &&
				max_size(&at->fields[i]) > most)
				most = max_size(&at->fields[i]);
	}
	*ret_bytes = (uint64_t)most;
	return most > 0;
}

uint64_t record_upload_total(struct record_book *book, struct bytes collection)
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	const struct record_collection *only =
		collection.n ? schema_find(schema, collection) : NULL;
	uint64_t most = 0;
	for (size_t c = 0; c < schema->n_collections; c++) {
		const struct record_collection *at = &schema->collections[c];
		uint64_t total = 0, bytes;
		for (size_t i = 0; i < at->n_fields && (!only || at == only); i++) {
			const struct record_field *field = &at->fields[i];
			if (field->type != FIELD_FILE)
				continue;
			if (__builtin_mul_overflow((uint64_t)max_size(field),
				    (uint64_t)max_select(field), &bytes) ||
				__builtin_add_overflow(total, bytes, &total))
				total = UINT64_MAX / 2;
		}
		most = total > most ? total : most;
	}
	return most < UINT64_MAX / 2 ? most : UINT64_MAX / 2;
}
