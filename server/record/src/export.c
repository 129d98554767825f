/*
 * export.c - a filtered list as a file, part by part
 *
 * A part is some hundred records behind the cursor of the part before, by the same rules as a list;
 * the caller sends it and asks for the next, so that neither the file nor a snapshot of the
 * database is ever held. What is written meanwhile may or may not be in it, no record is in it
 * twice.
 *
 * CSV is RFC 4180: a line of names, CRLF, quotation marks where needed. Lists and JSON are cells of
 * JSON. A cell that begins with =, +, -, @, a tab or a carriage return is a formula to some
 * spreadsheets: with ?formulas=prefix an apostrophe stands before such text. Without it the file
 * says exactly what the records say, and can be read back.
 */
#include <string.h>

#include "list.h"

#define PART_ROWS 500

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* ---- CSV ---- */

static bool wants_quotes(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (strchr("\",\r\n", text.p[i]))
			return true;
	return text.n && (text.p[0] == ' ' || text.p[text.n - 1] == ' ');
}

static void append_cell(struct bytes_buf *out, struct bytes text, bool is_text, bool has_prefix)
{
	bool is_formula = is_text && has_prefix && text.n && strchr("=+-@\t\r", text.p[0]);
	bool is_quoted = wants_quotes(text);
	if (is_quoted)
		bytes_buf_append_byte(out, '"');
	if (is_formula)
		bytes_buf_append_byte(out, '\'');
	while (text.n) {
		const char *mark = memchr(text.p, '"', text.n);
		size_t n = mark ? (size_t)(mark + 1 - text.p) : text.n;
		bytes_buf_append(out, (struct bytes){ text.p, n });
		if (mark)
			bytes_buf_append_byte(out, '"');
		text = (struct bytes){ text.p + n, text.n - n };
	}
	if (is_quoted)
		bytes_buf_append_byte(out, '"');
}

/* Whether the item is a column of this file. */
static bool is_column(const struct list *list, const struct out_item *item)
{
	const struct mask *below;
	return item->field && (list->encoder.sees_all || !item->field->is_hidden) &&
	       mask_enter(list->work->mask, item->name, &below);
}

static void append_head(const struct list *list, struct bytes_buf *out)
{
	const struct record_collection *collection = list->names.collection;
	bool is_first = true;
	for (size_t i = 0; i < collection->n_out; i++) {
		if (!is_column(list, &collection->out[i]))
			continue;
		bytes_buf_append_string(out, is_first ? "" : ",");
		bytes_buf_append(out, collection->out[i].name);
		is_first = false;
	}
	bytes_buf_append_string(out, "\r\n");
}

static void append_value(
	struct list *list, const struct record_field *field, struct store_stmt *stmt, int column)
{
	struct bytes_buf *out = list->encoder.out;
	char number[TEXT_JSON_DOUBLE_BYTES];
	bool has_prefix = list->work->call->export->prefixes_formulas;
	if (field->type == FIELD_NUMBER) {
		size_t n = text_json_format_double(store_column_double(stmt, column), number);
		bytes_buf_append(out, (struct bytes){ number, n });
	} else if (field->type == FIELD_BOOL) {
		bytes_buf_append_string(out, store_column_int64(stmt, column) ? "true" : "false");
	} else {
		append_cell(out, store_column_text(stmt, column), true, has_prefix);
	}
}

static void append_line(struct list *list, struct store_stmt *stmt)
{
	const struct record_collection *collection = list->names.collection;
	struct bytes_buf *out = list->encoder.out;
	bool is_first = true;
	int column = 0;
	for (size_t i = 0; i < collection->n_out; i++) {
		const struct out_item *item = &collection->out[i];
		int at = item->field ? column++ : -1;
		if (!is_column(list, item))
			continue;
		if (!is_first)
			bytes_buf_append_byte(out, ',');
		is_first = false;
		if (encode_shows(&list->encoder, collection, item, stmt))
			append_value(list, item->field, stmt, at);
	}
	bytes_buf_append_string(out, "\r\n");
}

enum store_outcome export_row(struct list *list, struct store_stmt *stmt, int64_t n)
{
	struct record_work *work = list->work;
	struct record_export *export = work->call->export;
	if (export->is_csv) {
		append_line(list, stmt);
		return STORE_OK;
	}
	if (n || export->n_parts)
		bytes_buf_append_string(list->encoder.out, ",\n");
	return encode_row(&list->encoder, work->collection, stmt, work->mask, work->expand);
}

/* ---- a part ---- */

static enum store_outcome run_export(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct list *list = work->list;
	struct record_export *export = work->call->export;
	struct bytes_buf *out = &work->call->answer;
	DEFER(bytes_buf_fini) struct bytes_buf next;
	int64_t n;
	bytes_buf_init(&next, CURSOR_TEXT_MAX);
	bytes_buf_clear(out);
	encoder_init(&list->encoder, work, conn);
	if (!export->n_parts && export->is_csv)
		append_head(list, out);
	else if (!export->n_parts)
		bytes_buf_append_byte(out, '[');
	enum store_outcome outcome = list_run_page(list, conn, &n, &next);
	if (outcome != STORE_OK)
		return outcome;
	if (!next.n && !export->is_csv)
		bytes_buf_append_string(out, "]\n");
	/* Only now: a part may have to begin again. */
	bytes_buf_fini(&export->next);
	export->next = next;
	next = (struct bytes_buf){ 0 }; /* handed over */
	return STORE_OK;
}

void record_export(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_export);
	struct record_export *export = call->export;
	if (!work || work_answer_forbidden(work, RULE_LIST) || !work_parse_shape(work))
		return;
	struct list *list = list_new(work);
	if (!list)
		return;
	struct bytes format = work_query(work, "format"), formulas = work_query(work, "formulas");
	static const struct list_problem bad_format = { "format", "validation_invalid_value",
		"Either csv or json is expected." };
	export->is_csv = bytes_eq_string(format, "csv");
	export->prefixes_formulas = bytes_eq_string(formulas, "prefix");
	if (format.n && !export->is_csv && !bytes_eq_string(format, "json")) {
		list_answer_invalid(list, &bad_format);
		return;
	}
	list->per_page = PART_ROWS;
	list->skip_total = true;
	if (!list_prepare(list, true, bytes_buf_view(&export->next)))
		return;
	work->job.run = run_export;
	work->job.done = list_done;
	store_read(call->book->store, &work->job);
}
