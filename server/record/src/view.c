/*
 * view.c - see view.h
 */
#include "view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text_json_check.h"

void view_encode(struct bytes_buf *out, struct store_stmt *stmt, int column)
{
	char number[TEXT_JSON_DOUBLE_BYTES];
	struct bytes text;
	switch (store_column_type(stmt, column)) {
	case STORE_INT64:
		bytes_buf_appendf(out, "%lld", (long long)store_column_int64(stmt, column));
		return;
	case STORE_DOUBLE:
		text.n = text_json_format_double(store_column_double(stmt, column), number);
		bytes_buf_append(out, (struct bytes){ number, text.n });
		return;
	case STORE_TEXT:
		text = store_column_text(stmt, column);
		if (text_json_check(text, &TEXT_JSON_LIMITS, NULL) == TEXT_JSON_VALID)
			bytes_buf_append(out, text);
		else
			text_json_append_string(out, text);
		return;
	default:
		bytes_buf_append_string(out, "null");
	}
}

/* ---- from columns to fields ---- */

static enum store_outcome __attribute__((format(printf, 2, 3)))
refuse(struct view_probe *probe, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(probe->why, sizeof(probe->why), format, args);
	va_end(args);
	return STORE_REFUSED;
}

static const struct record_field *find_column(
	const struct record_collection *collection, struct bytes column)
{
	for (size_t i = 0; i < collection->n_fields; i++) {
		struct bytes quoted = collection->fields[i].column;
		if (bytes_eq_nocase((struct bytes){ quoted.p + 1, quoted.n - 2 }, column))
			return &collection->fields[i];
	}
	return NULL;
}

/* Fields keep their ids while they show the same thing, so that a new name of it is a new name and
 * not another field. */
static bool give_id(struct view_probe *probe, struct record_field *field, struct bytes source)
{
	unsigned n_same = 0;
	struct bytes id = arena_printf(probe->arena, "_clone_%.*s", (int)source.n, source.p);
	for (size_t i = 0; i < probe->n_fields; i++)
		n_same += bytes_starts_with(probe->fields[i].id, id);
	if (n_same)
		id = arena_printf(probe->arena, "_clone_%.*s_%u", (int)source.n, source.p, n_same);
	field->id = id;
	return id.p;
}

/* "id" is the key; another record's id is a relation to it; a field is what it is at its source. */
static bool make_field(struct view_probe *probe, struct bytes name, enum view_kind kind,
	const struct record_collection *from, const struct record_field *source)
{
	struct record_field *field = &probe->fields[probe->n_fields];
	bool is_id = bytes_eq_string(name, "id"), is_record = source && source->is_primary;
	*field = (struct record_field){ .type = FIELD_JSON, .max = 1 };
	if (is_id)
		*field = (struct record_field){ .type = FIELD_TEXT,
			.id = is_record ? BYTES("text_id") : BYTES(VIEW_COMPUTED_ID),
			.is_system = true,
			.is_required = true,
			.is_primary = true,
			.pattern = BYTES("^[a-z0-9]+$") };
	else if (kind == VIEW_NUMBER)
		*field = (struct record_field){ .type = FIELD_NUMBER };
	else if (kind == VIEW_TEXT)
		*field = (struct record_field){ .type = FIELD_TEXT };
	else if (kind == VIEW_BOOL)
		*field = (struct record_field){ .type = FIELD_BOOL };
	else if (is_record)
		*field = (struct record_field){
			.type = FIELD_RELATION, .max = 1, .collection_id = from->id
		};
	else if (source)
		*field = *source;
	if (!source || is_record || kind != VIEW_PLAIN)
		field->read_rule.is_null = field->write_rule.is_null = true;
	field->regex = NULL;
	field->is_system = is_id;
	field->name = name;
	struct bytes origin = source && kind == VIEW_PLAIN && !is_record
				      ? source->id
				      : arena_printf(probe->arena, "%.*s", (int)name.n, name.p);
	if (!origin.p || (!is_id && !give_id(probe, field, origin)) ||
		field_prepare(field, probe->arena) == FIELD_NOMEM)
		return false;
	field_fini(field); /* a pattern's automaton is the snapshot's to make */
	return true;
}

static enum store_outcome check_name(struct view_probe *probe, struct bytes name)
{
	if (!name_is_valid(name))
		return refuse(probe,
			"the column %.*s needs a name (AS ...) of a letter, then letters, digits "
			"and '_'",
			(int)(name.n > 60 ? 60 : name.n), name.p);
	for (size_t i = 0; i < probe->n_fields; i++)
		if (bytes_eq_nocase(probe->fields[i].name, name))
			return refuse(probe, "two columns are called %.*s", (int)name.n, name.p);
	return STORE_OK;
}

static enum store_outcome read_columns(struct view_probe *probe, struct store_stmt *stmt)
{
	struct view_column texts[FIELDS_MAX];
	size_t n = (size_t)store_n_columns(stmt);
	size_t n_texts = view_text_columns(probe->query, texts, FIELDS_MAX);
	bool has_id = false;
	for (size_t i = 0; i < n_texts; i++)
		if (texts[i].is_star)
			return refuse(probe, "dynamic column names are not supported: name each "
					     "column instead of *");
	if (n > FIELDS_MAX)
		return refuse(probe, "more than %d columns", FIELDS_MAX);
	probe->fields = arena_alloc(probe->arena, (n + 1) * sizeof(*probe->fields));
	if (!probe->fields)
		return STORE_FAULT;
	for (size_t i = 0; i < n; i++) {
		struct bytes table, column, called = store_column_name(stmt, (int)i);
		char *name = arena_copy(probe->arena, called);
		enum store_outcome outcome = check_name(probe, (struct bytes){ name, called.n });
		if (!name || outcome != STORE_OK)
			return name ? outcome : STORE_FAULT;
		store_column_origin(stmt, (int)i, &table, &column);
		const struct record_collection *from =
			table.n ? schema_find(probe->schema, table) : NULL;
		const struct record_field *source = from ? find_column(from, column) : NULL;
		if (!make_field(probe, (struct bytes){ name, called.n },
			    n_texts == n ? texts[i].kind : VIEW_PLAIN, from, source))
			return STORE_FAULT;
		has_id |= bytes_eq_string(called, "id");
		probe->n_fields++;
	}
	return has_id ? STORE_OK
		      : refuse(probe, "missing required id column (you can use `(ROW_NUMBER() "
				      "OVER()) as id` if you don't have one)");
}

/* ---- the database's view ---- */

enum store_outcome view_probe(struct store_conn *conn, struct view_probe *probe)
{
	struct store_stmt *stmt;
	struct bytes *query = &probe->query;
	while (query->n && strchr(" \t\r\n;", query->p[query->n - 1]) && query->p[query->n - 1])
		query->n--;
	if (query->n > VIEW_QUERY_MAX)
		return refuse(probe, "it has more than %d bytes", VIEW_QUERY_MAX);
	store_set_grant(conn, probe->grant);
	enum store_outcome outcome = store_prepare_foreign(conn, *query, &stmt);
	if (outcome == STORE_OK)
		outcome = read_columns(probe, stmt);
	else if (outcome == STORE_REFUSED)
		refuse(probe, "%s", store_message(conn));
	store_set_grant(conn, NULL);
	return outcome;
}

/* The first thousand: a view's ids are what records are found and told apart by. */
static enum store_outcome check_ids(
	struct store_conn *conn, struct bytes name, struct view_probe *probe)
{
	struct store_stmt *stmt;
	bool has_row;
	char sql[320];
	int n = snprintf(sql, sizeof(sql),
		"SELECT count(*), count(DISTINCT CAST(\"id\" AS TEXT)), "
		"count(nullif(\"id\",'')) FROM (SELECT \"id\" FROM \"%.*s\" LIMIT 1000)",
		(int)name.n, name.p);
	enum store_outcome outcome =
		store_prepare_view(conn, (struct bytes){ sql, (size_t)n }, probe->grant, &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return refuse(probe, "it fails: %s", store_message(conn));
	bool is_unique = store_column_int64(stmt, 0) == store_column_int64(stmt, 1);
	bool is_whole = store_column_int64(stmt, 0) == store_column_int64(stmt, 2);
	if (!is_whole)
		return refuse(probe, "some of its rows have no id");
	return is_unique ? STORE_OK : refuse(probe, "its ids are not unique");
}

enum store_outcome view_make(struct store_conn *conn, struct bytes name, struct view_probe *probe)
{
	DEFER(bytes_buf_fini) struct bytes_buf sql;
	bytes_buf_init(&sql, VIEW_QUERY_MAX + 200);
	bytes_buf_appendf(&sql, "CREATE VIEW \"%.*s\" AS ", (int)name.n, name.p);
	bytes_buf_append(&sql, probe->query);
	if (sql.failed)
		return STORE_FAULT;
	/* It was checked as one statement that only reads. */
	if (store_run_script(conn, bytes_buf_view(&sql)) != STORE_OK)
		return refuse(probe, "%s", store_message(conn));
	return check_ids(conn, name, probe);
}

enum store_outcome view_drop(struct store_conn *conn, struct bytes name)
{
	char sql[160];
	int n = snprintf(sql, sizeof(sql), "DROP VIEW IF EXISTS \"%.*s\"", (int)name.n, name.p);
	return store_run_script(conn, (struct bytes){ sql, (size_t)n });
}
