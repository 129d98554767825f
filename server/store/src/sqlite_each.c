/*
 * sqlite_each.c - rows looked at inside the database, without a step for each
 *
 * each_row(...) is an aggregate that hands its arguments to whoever has set himself up as
 * conn->each and has no result of its own. A step out of the engine and back costs more than most
 * rows are worth when thousands are looked at and thirty kept.
 */
#include "sqlite_conn.h"

struct store_row {
	sqlite3_value **values;
};

static void on_row(sqlite3_context *context, int n, sqlite3_value **values)
{
	struct store_conn *conn = sqlite3_user_data(context);
	const struct store_row row = { values };
	(void)n;
	if (!conn->each) {
		sqlite3_result_error(context, "nobody listens to each_row", -1);
	} else if (!conn->each(conn->each_context, &row)) {
		conn->each = NULL;
		sqlite3_result_error(context, "stopped", -1);
	}
}

static void on_end(sqlite3_context *context)
{
	sqlite3_result_null(context);
}

int each_init(struct store_conn *conn, struct err *err)
{
	int rc = sqlite3_create_function_v2(conn->db, "each_row", -1,
		SQLITE_UTF8 | SQLITE_DIRECTONLY, conn, NULL, on_row, on_end, NULL);
	if (rc != SQLITE_OK)
		return ERR_SET(err, ERR_STATE, "cannot install a function: %s", sqlite3_errstr(rc));
	return 0;
}

enum store_outcome store_each(struct store_stmt *stmt,
	bool (*each)(void *context, const struct store_row *row), void *context, bool *ret_is_whole)
{
	struct store_conn *conn = stmt->conn;
	bool has_row;
	conn->each = each;
	conn->each_context = context;
	enum store_outcome outcome = store_step(stmt, &has_row);
	*ret_is_whole = conn->each != NULL;
	conn->each = NULL;
	if (*ret_is_whole || outcome == STORE_OK)
		return outcome;
	conn->err = (struct err){ 0 }; /* it was told to stop */
	return STORE_OK;
}

enum store_type store_row_type(const struct store_row *row, int i)
{
	return type_of_code(sqlite3_value_type(row->values[i]));
}

int64_t store_row_int64(const struct store_row *row, int i)
{
	return sqlite3_value_int64(row->values[i]);
}

double store_row_double(const struct store_row *row, int i)
{
	return sqlite3_value_double(row->values[i]);
}

/* As a blob: text is taken as it lies, without a terminator being put behind it. */
struct bytes store_row_text(const struct store_row *row, int i)
{
	const void *p = sqlite3_value_blob(row->values[i]);
	return (struct bytes){ p, p ? (size_t)sqlite3_value_bytes(row->values[i]) : 0 };
}
