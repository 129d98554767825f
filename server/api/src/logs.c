#include "logs.h"

#include "clock.h"
#include "expr.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX     (64u << 20)
#define SORT_KEYS_MAX 8

/* ---- rows out of the journal ---- */

/* The record's place, as 15 characters: lane and number. */
static void format_id(const struct audit_entry *entry, char out[static LOGS_ID_BYTES + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint64_t seq = entry->position.seq;
	uint32_t lane = entry->position.lane;

	for (int i = LOGS_ID_BYTES - 1; i >= 2; i--, seq /= 36)
		out[i] = digits[seq % 36];
	out[1] = digits[lane % 36];
	out[0] = digits[lane / 36 % 36];
	out[LOGS_ID_BYTES] = '\0';
}

static void write_text(struct text_json_writer *json, const char *key, struct bytes text)
{
	text_json_write_key(json, bytes_of(key));
	text_json_write_string(json, text);
}

static void write_data(struct text_json_writer *json, const struct audit_record *record)
{
	char trace[2 * ID_TRACE_BYTES];
	struct bytes actor = record->actor;
	const char *slash = actor.n ? memrchr(actor.p, '/', actor.n) : NULL;
	struct bytes id = { slash ? slash + 1 : NULL,
		slash ? (size_t)(actor.p + actor.n - slash - 1) : 0 };

	text_json_begin_object(json);
	write_text(json, "type", BYTES("request"));
	write_text(json, "action", record->action);
	write_text(json, "object", record->object);
	write_text(json, "auth", actor);
	write_text(json, "authId", id);
	text_json_write_key(json, BYTES("status"));
	text_json_write_int64(json, record->status);
	text_json_write_key(json, BYTES("execTime"));
	text_json_write_double(json, (double)record->duration_ns / 1e6);
	text_json_write_key(json, BYTES("bytes"));
	text_json_write_uint64(json, record->n_bytes);
	if (record->decision == AUDIT_DENIED)
		write_text(json, "decision", BYTES("deny"));
	if (record->status >= 400)
		write_text(json, "error", record->reason);
	if (record->trace) {
		bytes_hex((struct bytes){ (const char *)record->trace, ID_TRACE_BYTES }, trace);
		write_text(json, "traceId", (struct bytes){ trace, sizeof trace });
	}
	text_json_end_object(json);
}

static bool add(const struct audit_entry *entry, void *context)
{
	struct log_book *book = context;
	const struct audit_record *record = &entry->record;
	DEFER(bytes_buf_fini) struct bytes_buf data;
	struct text_json_writer json;
	struct log_row *row = &book->rows[book->n_rows];

	bytes_buf_init(&data, 8192);
	text_json_writer_init(&json, &data);
	write_data(&json, record);
	*row = (struct log_row){ .wall_us = entry->wall_us,
		.level = record->status >= 500   ? 8
			 : record->status >= 400 ? 4
						 : 0,
		.message = arena_printf(book->arena, "%.*s %.*s", (int)record->action.n,
			record->action.p, (int)record->object.n, record->object.p),
		.data = { arena_copy(book->arena, bytes_buf_view(&data)), data.n },
		.status = record->status,
		.exec_ms = (double)record->duration_ns / 1e6 };
	format_id(entry, row->id);
	clock_format(entry->wall_us, row->created);
	if (!row->message.p || !row->data.p)
		return false;
	book->n_rows++;
	return book->n_rows < LOGS_SCAN_MAX;
}

int logs_read(const char *folder, struct bytes tenant, struct log_book *ret, struct err *err)
{
	struct log_book book = { 0 };
	struct audit_filter filter = { .tenant = tenant, .kind = AUDIT_REQUEST };
	size_t n_before;

	if (arena_new(ARENA_MAX, &book.arena, err) < 0)
		return -1;
	book.rows = arena_alloc(book.arena, LOGS_SCAN_MAX * sizeof *book.rows);
	if (!book.rows) {
		arena_free(book.arena);
		return ERR_SET(err, ERR_NOMEM, "no memory to read logs");
	}
	do {
		n_before = book.n_rows;
		if (audit_query(folder, &filter, AUDIT_QUERY_MAX, add, &book, err) < 0) {
			arena_free(book.arena);
			return -1;
		}
		if (book.n_rows > 0)
			filter.until_us = book.rows[book.n_rows - 1].wall_us;
	} while (book.n_rows - n_before == AUDIT_QUERY_MAX && book.n_rows < LOGS_SCAN_MAX);
	*ret = book;
	return 0;
}

void logs_fini(struct log_book *book)
{
	arena_free(book->arena);
	*book = (struct log_book){ 0 };
}

/* ---- the filter ---- */

enum column { COLUMN_ID, COLUMN_CREATED, COLUMN_LEVEL, COLUMN_MESSAGE, COLUMN_DATA, COLUMNS };

static const struct {
	const char *name;
	struct bytes sql;
	enum expr_type type;
} columns[COLUMNS] = {
	[COLUMN_ID] = { "id", { "\"id\"", 4 }, EXPR_TEXT },
	[COLUMN_CREATED] = { "created", { "\"created\"", 9 }, EXPR_TEXT },
	[COLUMN_LEVEL] = { "level", { "\"level\"", 7 }, EXPR_NUMBER },
	[COLUMN_MESSAGE] = { "message", { "\"message\"", 9 }, EXPR_TEXT },
	[COLUMN_DATA] = { "data", { "\"data\"", 6 }, EXPR_JSON },
};

static bool find_field(const struct expr_schema *schema, const void *scope, struct bytes name,
	struct expr_field *ret)
{
	(void)schema;
	(void)scope;
	for (int i = 0; i < COLUMNS; i++)
		if (bytes_eq_string(name, columns[i].name)) {
			*ret = (struct expr_field){ .column = columns[i].sql,
				.type = columns[i].type,
				.is_nullable = i == COLUMN_DATA,
				.handle = &columns[i] };
			return true;
		}
	return false;
}

static struct bytes table(const struct expr_schema *schema, const void *scope)
{
	(void)schema;
	(void)scope;
	return BYTES("\"_logs\"");
}

static const void *no_auth(
	const struct expr_schema *schema, size_t i, struct bytes *ret_collection_id)
{
	(void)schema;
	(void)i;
	(void)ret_collection_id;
	return NULL;
}

static bool no_back(const struct expr_schema *schema, const void *scope, struct bytes collection,
	struct bytes field, struct expr_back *ret)
{
	(void)schema;
	(void)scope;
	(void)collection;
	(void)field;
	(void)ret;
	return false;
}

static const void *no_scope(const struct expr_schema *schema, struct bytes name)
{
	(void)schema;
	(void)name;
	return NULL;
}

static const struct expr_schema names = { .find_field = find_field,
	.table = table,
	.auth_scope = no_auth,
	.find_back = no_back,
	.find_scope = no_scope };

static bool find_value(
	const struct expr_row *at, const struct expr_field *field, struct expr_value *ret)
{
	const struct log_row *row = at->context;
	ptrdiff_t i = (const char *)field->handle - (const char *)columns;

	*ret = (struct expr_value){ .type = EXPR_VALUE_TEXT };
	switch ((enum column)(i / (ptrdiff_t)sizeof columns[0])) {
	case COLUMN_ID:
		ret->text = bytes_of(row->id);
		return true;
	case COLUMN_CREATED:
		ret->text = bytes_of(row->created);
		return true;
	case COLUMN_LEVEL:
		*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = row->level };
		return true;
	case COLUMN_MESSAGE:
		ret->text = row->message;
		return true;
	case COLUMN_DATA:
		ret->text = row->data;
		return true;
	case COLUMNS:
		break;
	}
	return false;
}

bool logs_filter(struct log_book *book, struct bytes filter, const char **ret_message)
{
	const struct expr_node *tree;
	struct expr_error error;
	struct expr_sql sql;
	static const char scope; /* the one table there is */
	DEFER(arena_free) struct arena *scratch = NULL;
	size_t n = 0;

	*ret_message = "The filter of logs cannot be worked out.";
	enum expr_result result = expr_parse(filter, book->arena, &tree, &error);
	if (result == EXPR_OK)
		result = expr_compile(
			tree, &names, &scope, BYTES("t"), 1, book->arena, &sql, &error);
	if (result == EXPR_INVALID) {
		struct bytes message = arena_printf(book->arena, "Invalid filter: %s (at byte %zu)",
			error.message, error.offset);
		*ret_message = message.p ? message.p : "Invalid filter.";
	}
	if (result != EXPR_OK || arena_new(1u << 20, &scratch, NULL) < 0)
		return false;
	struct expr_environment environment = { .now_us = clock_wall_us() };
	for (size_t i = 0; i < book->n_rows; i++) {
		const struct expr_row row = { find_value, &book->rows[i] };
		arena_reset(scratch);
		environment.arena = scratch;
		enum expr_verdict verdict =
			tree ? expr_evaluate(&sql, &environment, &row) : EXPR_TRUE;
		if (verdict == EXPR_NEEDS_SQL)
			return false;
		if (verdict == EXPR_TRUE)
			book->rows[n++] = book->rows[i];
	}
	book->n_rows = n;
	return true;
}

/* ---- the order ---- */

enum sort_key { SORT_TIME, SORT_LEVEL, SORT_MESSAGE, SORT_STATUS, SORT_EXEC };

static const struct {
	const char *name;
	enum sort_key key;
} sort_names[] = {
	{ "created", SORT_TIME },
	{ "@rowid", SORT_TIME },
	{ "rowid", SORT_TIME },
	{ "id", SORT_TIME },
	{ "level", SORT_LEVEL },
	{ "message", SORT_MESSAGE },
	{ "data.status", SORT_STATUS },
	{ "data.execTime", SORT_EXEC },
};

struct order {
	enum sort_key keys[SORT_KEYS_MAX];
	bool is_down[SORT_KEYS_MAX];
	size_t n;
};

static int compare_by(const struct log_row *a, const struct log_row *b, enum sort_key key)
{
	switch (key) {
	case SORT_TIME:
		return (a->wall_us > b->wall_us) - (a->wall_us < b->wall_us);
	case SORT_LEVEL:
		return (a->level > b->level) - (a->level < b->level);
	case SORT_MESSAGE:
		return bytes_cmp(a->message, b->message);
	case SORT_STATUS:
		return (a->status > b->status) - (a->status < b->status);
	case SORT_EXEC:
		return (a->exec_ms > b->exec_ms) - (a->exec_ms < b->exec_ms);
	}
	return 0;
}

static int compare(const void *a, const void *b, void *context)
{
	const struct order *order = context;

	for (size_t i = 0; i < order->n; i++) {
		int by = compare_by(a, b, order->keys[i]);
		if (by)
			return order->is_down[i] ? -by : by;
	}
	/* As they came: the newest first. */
	return compare_by(b, a, SORT_TIME);
}

bool logs_sort(struct log_book *book, struct bytes keys)
{
	struct order order = { 0 };

	while (keys.n > 0) {
		const char *comma = memchr(keys.p, ',', keys.n);
		struct bytes key = { keys.p, comma ? (size_t)(comma - keys.p) : keys.n };
		keys = comma ? (struct bytes){ comma + 1, keys.n - key.n - 1 }
			     : (struct bytes){ 0 };
		bool is_down = key.n > 0 && key.p[0] == '-';
		if (key.n > 0 && (is_down || key.p[0] == '+'))
			key = (struct bytes){ key.p + 1, key.n - 1 };
		size_t i = 0, n = sizeof sort_names / sizeof sort_names[0];
		while (i < n && !bytes_eq_string(key, sort_names[i].name))
			i++;
		if (i == n || order.n == SORT_KEYS_MAX)
			return false;
		order.keys[order.n] = sort_names[i].key;
		order.is_down[order.n++] = is_down;
	}
	qsort_r(book->rows, book->n_rows, sizeof *book->rows, compare, &order);
	return true;
}
