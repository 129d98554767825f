/*
 * sqlite_grant.c - what foreign SQL may do: the authorizer, the limits, the clock
 *
 * The authorizer is installed once per connection, since installing it again expires every cached
 * statement. It looks at the connection's grant: none means that the SQL is ours. What it cannot
 * see (EXPLAIN, a second statement in the text) is checked at prepare.
 *
 * A statement that was prepared under one grant must not serve another one, so the grant is part of
 * the key under which foreign statements are cached.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "sqlite_conn.h"

#define PROGRESS_OPS         1000        /* some 20 to 100 us between two looks at the clock */
#define FOREIGN_PROGRESS_OPS 10          /* one of them may build a text of 1 MB: some ms */
#define FOREIGN_MEMORY_BYTES (32u << 20) /* for one statement's rows, sorts and temporary trees */
#define VIEW_PROGRESS_OPS    100
#define FOREIGN_TEXT_BYTES   100000

/* id of the limit, value while SQL is foreign, value while a view runs inside SQL of ours. They
 * also hold for the schema when a statement is prepared again after a change to it, so no table of
 * ours may pass them. */
static const int limits[LIMITS_MAX][3] = {
	{ SQLITE_LIMIT_LENGTH, 1000000, 8000000 },
	{ SQLITE_LIMIT_SQL_LENGTH, FOREIGN_TEXT_BYTES, 1000000 },
	{ SQLITE_LIMIT_COLUMN, 400, 400 },
	{ SQLITE_LIMIT_EXPR_DEPTH, 50, 1000 },
	{ SQLITE_LIMIT_COMPOUND_SELECT, 5, 16 },
	{ SQLITE_LIMIT_VDBE_OP, 25000, 100000 },
	{ SQLITE_LIMIT_FUNCTION_ARG, 16, 100 },
	{ SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50, 4000 },
	{ SQLITE_LIMIT_VARIABLE_NUMBER, 64, 32766 },
};

/* Functions that compute from their arguments alone, sorted. What is not here is refused: among
 * others load_extension, randomblob, zeroblob, fts3_tokenizer and all that tell about the library.
 */
static const char *const functions[] = { "->", "->>", "abs", "acos", "asin", "atan", "atan2", "avg",
	"ceil", "ceiling", "char", "coalesce", "cos", "count", "cume_dist", "current_date",
	"current_time", "current_timestamp", "date", "datetime", "degrees", "dense_rank", "exp",
	"first_value", "floor", "format", "glob", "group_concat", "hex", "ifnull", "iif", "instr",
	"json", "json_array", "json_array_length", "json_each", "json_extract", "json_group_array",
	"json_group_object", "json_insert", "json_object", "json_patch", "json_quote",
	"json_remove", "json_replace", "json_set", "json_tree", "json_type", "json_valid",
	"julianday", "lag", "last_value", "lead", "length", "like", "ln", "log", "log10", "log2",
	"lower", "ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif", "percent_rank", "pi",
	"pow", "power", "printf", "quote", "radians", "rank", "replace", "round", "row_number",
	"rtrim", "sign", "sin", "sqrt", "strftime", "substr", "substring", "sum", "tan", "time",
	"total", "trim", "trunc", "typeof", "unicode", "unixepoch", "unlikely", "upper" };

static int compare_name(const void *a, const void *b)
{
	const char *name = a;
	const char *const *entry = b;
	return strcasecmp(name, *entry);
}

static bool is_harmless_function(const char *name)
{
	return name && bsearch(name, functions, sizeof(functions) / sizeof(functions[0]),
			       sizeof(functions[0]), compare_name);
}

static bool is_listed(const struct bytes *tables, size_t n, const char *name)
{
	if (!name || name[0] == '_' || strncasecmp(name, "sqlite_", 7) == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (bytes_eq_nocase(tables[i], bytes_of(name)))
			return true;
	return false;
}

static bool may_write(const struct store_grant *grant, const char *table)
{
	return grant->may_write && is_listed(grant->write_tables, grant->n_write_tables, table);
}

/* A change count tells whether a condition held, so a condition is a read. */
static bool may_read(const struct store_grant *grant, const char *table, const char *column)
{
	if (is_listed(grant->tables, grant->n_tables, table))
		return true;
	if (grant->write_key && column && strcasecmp(column, grant->write_key) == 0 &&
		may_write(grant, table))
		return true;
	/* The table-valued functions over a value of the statement's own. */
	return table && (strcmp(table, "json_each") == 0 || strcmp(table, "json_tree") == 0);
}

static int authorize(void *context, int action, const char *a, const char *b, const char *schema,
	const char *trigger)
{
	const struct store_conn *conn = context;
	const struct store_grant *grant = conn->grant;
	if (!grant)
		return SQLITE_OK;
	/* The last argument names a view, a trigger or a common table expression that the access
	 * goes through: none widens what may be touched. */
	(void)trigger;
	if (schema && strcmp(schema, "main") != 0)
		return SQLITE_DENY;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		/* A page of a view may be asked for in random order. */
		if (grant->is_view && b && strcasecmp(b, "random") == 0)
			return SQLITE_OK;
		return is_harmless_function(b) ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_READ:
		if (!may_read(grant, a, b))
			return SQLITE_DENY;
		/* Secrets (password hashes, token keys) read as NULL, so that SELECT * works. A
		 * view's text is checked once and kept: it must not name them at all. */
		if (b && b[0] == '_')
			return grant->is_view ? SQLITE_DENY : SQLITE_IGNORE;
		return SQLITE_OK;
	case SQLITE_INSERT:
	case SQLITE_DELETE:
		return may_write(grant, a) ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_UPDATE:
		return may_write(grant, a) && b && b[0] != '_' ? SQLITE_OK : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

static int on_progress(void *context)
{
	const struct store_conn *conn = context;
	if (conn->job && atomic_load_explicit(&conn->job->is_cancelled, memory_order_relaxed))
		return 1;
	if (!conn->deadline_ns && !conn->grant)
		return 0;
	uint64_t now = clock_mono_ns();
	if (conn->deadline_ns && now >= conn->deadline_ns)
		return 1;
	return conn->grant && conn->grant->deadline_ns && now >= conn->grant->deadline_ns;
}

int grant_init(struct store_conn *conn, struct err *err)
{
	for (int i = 0; i < LIMITS_MAX; i++)
		conn->own_limits[i] = sqlite3_limit(conn->db, limits[i][0], -1);
	sqlite3_progress_handler(conn->db, PROGRESS_OPS, on_progress, conn);
	int rc = sqlite3_set_authorizer(conn->db, authorize, conn);
	if (rc != SQLITE_OK)
		return ERR_SET(
			err, ERR_STATE, "cannot install the authorizer: %s", sqlite3_errstr(rc));
	return 0;
}

/* The table-valued functions declare their columns in SQL when they are first named, which no grant
 * allows: name them once with our own rights. */
static void connect_table_functions(struct store_conn *conn)
{
	if (conn->has_table_functions)
		return;
	conn->has_table_functions = true;
	sqlite3_exec(conn->db, "SELECT 1 FROM json_each('[]'), json_tree('[]')", NULL, NULL, NULL);
}

static void set_limits(struct store_conn *conn, const struct store_grant *grant)
{
	int column = grant && grant->is_view ? 2 : 1;
	int n_ops = column == 2 ? VIEW_PROGRESS_OPS : FOREIGN_PROGRESS_OPS;
	sqlite3_progress_handler(conn->db, grant ? n_ops : PROGRESS_OPS, on_progress, conn);
	for (int i = 0; i < LIMITS_MAX; i++)
		sqlite3_limit(
			conn->db, limits[i][0], grant ? limits[i][column] : conn->own_limits[i]);
}

void store_set_grant(struct store_conn *conn, const struct store_grant *grant)
{
	const struct store_grant *had = conn->grant;
	if (grant)
		connect_table_functions(conn);
	conn->grant = grant;
	if (!grant && !had)
		return;
	memory_set_budget(grant ? FOREIGN_MEMORY_BYTES : 0);
	if (!grant != !had || (grant && grant->is_view != had->is_view))
		set_limits(conn, grant);
}

static void begin_view(struct store_conn *conn, const struct store_grant *grant)
{
	assert(grant->is_view && !conn->grant); /* one kind of foreign SQL at a time */
	store_set_grant(conn, grant);
	conn->is_viewing = true;
}

static void end_view(struct store_conn *conn)
{
	store_set_grant(conn, NULL);
	conn->is_viewing = false;
}

enum store_outcome grant_step(struct store_stmt *stmt, bool *ret_has_row)
{
	struct store_conn *conn = stmt->conn;
	enum store_outcome outcome = STORE_OK;
	begin_view(conn, stmt->grant);
	memory_set_budget(stmt->budget_left);
	int rc = sqlite3_step(stmt->handle);
	*ret_has_row = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		outcome = conn_fail(conn, rc);
		sqlite3_reset(stmt->handle);
	}
	stmt->budget_left = memory_budget_left();
	end_view(conn);
	return outcome;
}

static enum store_outcome refuse(struct store_conn *conn, const char *why)
{
	bytes_to_string(bytes_of(why), conn->message, sizeof(conn->message));
	return STORE_REFUSED;
}

static void append_names(struct bytes_buf *out, char mark, const struct bytes *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bytes_buf_append_byte(out, '\0');
		bytes_buf_append_byte(out, mark);
		bytes_buf_append(out, names[i]);
	}
}

/* text, and behind it what it was granted: statements of different grants never meet. */
static bool make_key(const struct store_grant *grant, struct bytes text, struct bytes_buf *out)
{
	bytes_buf_append(out, text);
	append_names(out, 'r', grant->tables, grant->n_tables);
	if (grant->may_write) {
		struct bytes key = bytes_of(grant->write_key ? grant->write_key : "");
		append_names(out, 'k', &key, 1);
		append_names(out, 'w', grant->write_tables, grant->n_write_tables);
	}
	return !out->failed;
}

/* What the authorizer is not asked about when it has nothing to do (REINDEX without an index). */
static bool starts_as_data_statement(struct bytes sql)
{
	static const char *const words[] = { "SELECT", "WITH", "VALUES", "INSERT", "UPDATE",
		"DELETE", "REPLACE" };
	while (sql.n && strchr(" \t\r\n(", sql.p[0])) {
		sql.p++;
		sql.n--;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct bytes word = bytes_of(words[i]);
		if (sql.n > word.n && bytes_eq_nocase((struct bytes){ sql.p, word.n }, word))
			return true;
	}
	return false;
}

enum store_outcome store_prepare_foreign(
	struct store_conn *conn, struct bytes sql, struct store_stmt **ret)
{
	if (!conn->grant) {
		ERR_SET(&conn->err, ERR_STATE, "foreign SQL is prepared without a grant");
		return STORE_FAULT;
	}
	/* One closing semicolon is how people write statements. */
	while (sql.n && strchr(" \t\r\n;", sql.p[sql.n - 1]))
		sql.n--;
	if (sql.n > FOREIGN_TEXT_BYTES || memchr(sql.p ? sql.p : "", '\0', sql.n))
		return refuse(conn, "the statement is too long, or holds a NUL");

	if (!starts_as_data_statement(sql))
		return refuse(conn, "the statement neither reads nor changes rows");
	DEFER(bytes_buf_fini) struct bytes_buf key;
	bytes_buf_init(&key, FOREIGN_TEXT_BYTES + 65536);
	if (!make_key(conn->grant, sql, &key))
		return refuse(conn, "the grant names too many tables");

	struct store_stmt *stmt;
	enum store_outcome outcome = stmt_get(conn, sql, bytes_buf_view(&key), true, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	if (sqlite3_stmt_isexplain(stmt->handle))
		return refuse(conn, "EXPLAIN is not allowed");
	if (!conn->grant->may_write && !sqlite3_stmt_readonly(stmt->handle))
		return refuse(conn, "the statement writes");
	*ret = stmt;
	return STORE_OK;
}

enum store_outcome store_prepare_view(struct store_conn *conn, struct bytes sql,
	const struct store_grant *grant, struct store_stmt **ret)
{
	DEFER(bytes_buf_fini) struct bytes_buf key;
	/* What the grant names changes only with the schema, and then the library prepares again.
	 */
	bytes_buf_init(&key, (1u << 20) + 2);
	bytes_buf_append(&key, sql);
	bytes_buf_append(&key, (struct bytes){ "\0v", 2 });
	if (key.failed)
		return refuse(conn, "the statement is too long");
	begin_view(conn, grant);
	enum store_outcome outcome = stmt_get(conn, sql, bytes_buf_view(&key), true, ret);
	end_view(conn);
	if (outcome != STORE_OK)
		return outcome;
	(*ret)->grant = grant;
	(*ret)->budget_left = FOREIGN_MEMORY_BYTES;
	return STORE_OK;
}
