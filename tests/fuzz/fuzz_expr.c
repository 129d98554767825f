/*
 * fuzz_expr.c - any text as a filter: parsed, compiled, and what comes out prepared by SQLite
 *
 * Whatever the text is, the SQL must be one statement that the database takes: a text that makes a
 * statement which does not prepare is a hole in the compiler.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr.h"

/* One table that points at itself, with a field of each kind. */
static const int scope;

static struct expr_guard guard; /* never met */

static bool find_field(
	const struct expr_schema *schema, const void *at, struct bytes name, struct expr_field *ret)
{
	static const struct {
		const char *name, *column;
		struct expr_field field;
	} fields[] = {
		{ "id", "\"id\"", { .type = EXPR_TEXT } },
		{ "title", "\"title\"", { .type = EXPR_TEXT } },
		{ "n", "\"n\"", { .type = EXPR_NUMBER } },
		{ "active", "\"active\"", { .type = EXPR_BOOL } },
		{ "tags", "\"tags\"", { .type = EXPR_TEXT, .is_list = true } },
		{ "data", "\"data\"", { .type = EXPR_JSON, .is_nullable = true } },
		{ "author", "\"author\"", { .type = EXPR_TEXT, .target = &scope } },
		{ "team", "\"author\"", { .type = EXPR_TEXT, .target = &scope } },
		{ "friends", "\"tags\"", { .type = EXPR_TEXT, .is_list = true, .target = &scope } },
		{ "name", "\"title\"", { .type = EXPR_TEXT, .guard = &guard } },
	};
	(void)schema;
	(void)at;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (bytes_eq_string(name, fields[i].name)) {
			*ret = fields[i].field;
			ret->column = bytes_of(fields[i].column);
			return true;
		}
	return false;
}

static struct bytes table(const struct expr_schema *schema, const void *at)
{
	(void)schema;
	(void)at;
	return BYTES("\"posts\"");
}

static const void *auth_scope(const struct expr_schema *schema, size_t i, struct bytes *ret_id)
{
	(void)schema;
	*ret_id = BYTES("posts");
	return i < 2 ? &scope : NULL;
}

static struct store_conn *held;

/* The connection stays in use for the life of the process: there are no jobs. */
static int keep_conn(struct store_conn *conn, void *context, struct err *err)
{
	(void)context;
	(void)err;
	held = conn;
	return store_run_script(conn,
		       BYTES("CREATE TABLE posts(id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL,"
			     "n REAL NOT NULL, active INT NOT NULL, tags TEXT NOT NULL, data TEXT,"
			     "author TEXT NOT NULL) STRICT;"
			     "INSERT INTO posts "
			     "VALUES('1','a',1,1,'[\"1\"]','{\"k\":[1]}','1')")) == STORE_OK
		       ? 0
		       : -1;
}

static void open_database(void)
{
	static struct store *store;
	static struct executor *executor;
	char folder[] = "/tmp/tenon-fuzz-expr-XXXXXX", path[64];
	struct err err = { 0 };
	struct executor_config lanes = { { 1, 1, 1, 1 }, { 1, 1, 1, 1 } };
	struct store_config config = { .path = path, .write_queue_limit = 1, .on_open = keep_conn };
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/data.db", folder);
	if (executor_new(&lanes, &executor, &err) < 0 ||
		store_open(&config, executor, &store, &err) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct expr_schema schema = {
		.find_field = find_field, .table = table, .auth_scope = auth_scope
	};
	static struct arena *arena;
	struct err err = { 0 };
	if (!held)
		open_database();
	if (!arena && arena_new(8u << 20, &arena, &err) < 0)
		abort();
	arena_reset(arena);

	struct bytes text = { (const char *)data, size };
	const struct expr_node *node;
	struct expr_sql sql;
	struct expr_error error;
	enum expr_result result = expr_parse(text, arena, &node, &error);
	if (result == EXPR_OK)
		result = expr_compile(node, &schema, &scope, BYTES("t"), 10, arena, &sql, &error);
	if (result != EXPR_OK)
		return 0;
	struct bytes full = arena_printf(
		arena, "SELECT 1 FROM posts t WHERE (%.*s)", (int)sql.sql.n, sql.sql.p);
	struct store_stmt *stmt;
	if (full.p && store_prepare(held, full, &stmt) != STORE_OK) {
		fprintf(stderr, "%.*s\n%s\n", (int)full.n, full.p, store_message(held));
		abort();
	}
	const struct expr_environment environment = { .body = BYTES("{\"title\":\"x\",\"n\":[1]}"),
		.auth_id = BYTES("1"),
		.auth_collection_id = BYTES("posts"),
		.arena = arena };
	bool has_row;
	if (full.p && expr_bind(&sql, &environment, stmt))
		store_step(stmt, &has_row);
	return 0;
}
