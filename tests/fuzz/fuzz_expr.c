/*
 * fuzz_expr.c - any text as a filter: parsed, compiled, prepared and run by SQLite, and evaluated
 *
 * Whatever the text is, the SQL must be one statement that the database takes and runs: a text that
 * makes one which does not prepare, or fails, is a hole in the compiler. The evaluator's verdict,
 * if it has one, must be the database's. The first byte says whether it is a rule or a client's
 * filter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr.h"

/* One table that points at itself, with a field of each kind. */
static const int scope;

static struct expr_guard guard, row_guard;

static const struct known_field {
	const char *name, *column;
	struct expr_field field;
} fields[] = {
	{ "id", "\"id\"", { .type = EXPR_TEXT } },
	{ "title", "\"title\"", { .type = EXPR_TEXT } },
	{ "n", "\"n\"", { .type = EXPR_NUMBER } },
	{ "active", "\"active\"", { .type = EXPR_BOOL } },
	{ "tags", "\"tags\"", { .type = EXPR_TEXT, .is_list = true } },
	{ "data", "\"data\"", { .type = EXPR_JSON, .is_nullable = true } },
	{ "author", "\"author\"", { .type = EXPR_TEXT, .is_choice = true, .target = &scope } },
	{ "team", "\"author\"", { .type = EXPR_TEXT, .target = &scope } },
	{ "friends", "\"tags\"", { .type = EXPR_TEXT, .is_list = true, .target = &scope } },
	{ "name", "\"title\"", { .type = EXPR_TEXT, .guard = &guard } },
	{ "peers", "\"tags\"",
		{ .type = EXPR_TEXT, .is_list = true, .target = &scope, .guard = &guard } },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static bool find_field(
	const struct expr_schema *schema, const void *at, struct bytes name, struct expr_field *ret)
{
	(void)at;
	for (size_t i = 0; i < FIELDS; i++)
		if (bytes_eq_string(name, fields[i].name)) {
			*ret = fields[i].field;
			ret->column = bytes_of(fields[i].column);
			ret->handle = &fields[i];
			if (!schema->row_guard)
				ret->guard = NULL;
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
	*ret_id = i == 0 ? BYTES("posts") : BYTES("others");
	return i < 2 ? &scope : NULL;
}

/* "posts_via_author" and "ones_via_author", of which the second gives one row at most. */
static bool find_back(const struct expr_schema *schema, const void *at, struct bytes collection,
	struct bytes field, struct expr_back *ret)
{
	*ret = (struct expr_back){ .scope = at, .is_unique = bytes_eq_string(collection, "ones") };
	return (ret->is_unique || bytes_eq_string(collection, "posts")) &&
	       find_field(schema, at, field, &ret->field) && ret->field.target;
}

static const void *find_scope(const struct expr_schema *schema, struct bytes name)
{
	(void)schema;
	return bytes_eq_string(name, "posts") ? &scope : NULL;
}

static const struct expr_guard *guard_of_row(const struct expr_schema *schema, const void *at)
{
	(void)schema;
	(void)at;
	return &row_guard;
}

static const struct expr_schema rules = { find_field, table, auth_scope, find_back, find_scope,
	NULL };
static const struct expr_schema clients = { find_field, table, auth_scope, find_back, find_scope,
	guard_of_row };

/* The one row. */
static bool find_value(
	const struct expr_row *row, const struct expr_field *field, struct expr_value *ret)
{
	static const struct {
		const char *column, *text;
	} texts[] = { { "\"id\"", "1" }, { "\"title\"", "a" }, { "\"tags\"", "[\"1\"]" },
		{ "\"data\"", "{\"k\":[1]}" }, { "\"author\"", "1" } };
	(void)row;
	*ret = (struct expr_value){ .type = EXPR_VALUE_INTEGER, .integer = 1 };
	if (field->type == EXPR_NUMBER)
		*ret = (struct expr_value){ .type = EXPR_VALUE_REAL, .real = 1 };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (bytes_eq_string(field->column, texts[i].column))
			*ret = (struct expr_value){ .type = EXPR_VALUE_TEXT,
				.text = bytes_of(texts[i].text) };
	return true;
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

static void set_up(void)
{
	static struct store *store;
	static struct executor *executor;
	static struct arena *arena;
	char folder[] = "/tmp/tenon-fuzz-expr-XXXXXX", path[64];
	struct err err = { 0 };
	struct expr_error error;
	struct executor_config lanes = { { 1, 1, 1, 1 }, { 10, 10, 10, 10 } };
	struct store_config config = { .path = path, .write_queue_limit = 1, .on_open = keep_conn };
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/data.db", folder);
	if (executor_new(&lanes, &executor, &err) < 0 ||
		store_open(&config, executor, &store, &err) < 0 ||
		arena_new(1u << 20, &arena, &err) < 0)
		abort();
	guard.schema = row_guard.schema = &rules;
	if (expr_parse(BYTES("active = true && friends.title ?~ @request.auth.id"), arena,
		    &guard.tree, &error) != EXPR_OK ||
		expr_parse(BYTES("author.author.n > 0 || posts_via_friends.id = title"), arena,
			&row_guard.tree, &error) != EXPR_OK)
		abort();
}

static _Noreturn void fail(const char *what, struct bytes sql)
{
	fprintf(stderr, "%s: %s\n%.*s\n", what, store_message(held), (int)sql.n, sql.p);
	abort();
}

static void run(const struct expr_sql *sql, struct arena *arena)
{
	struct expr_row row = { find_value, NULL };
	const struct expr_environment environment = {
		.body = BYTES("{\"title\":\"x\",\"n\":[1],\"tags\":[\"1\",null],\"author\":\"1\"}"),
		.auth_id = BYTES("1"),
		.auth_collection_id = BYTES("posts"),
		.arena = arena,
		.auth_row = &row,
		.now_us = 1795443865123000
	};
	struct bytes full =
		arena_printf(arena, "SELECT %.*s FROM posts t", (int)sql->sql.n, sql->sql.p);
	struct store_stmt *stmt;
	bool has_row;
	if (!full.p)
		return;
	if (store_prepare(held, full, &stmt) != STORE_OK)
		fail("it does not prepare", full);
	if (!expr_bind(sql, &environment, stmt))
		return;
	if (store_step(stmt, &has_row) != STORE_OK || !has_row)
		fail("it does not run", full);
	if (!sql->plan)
		return;
	enum expr_verdict verdict = expr_evaluate(sql, &environment, &row);
	bool is_met = store_column_int64(stmt, 0) != 0;
	if (verdict != EXPR_NEEDS_SQL && (verdict == EXPR_TRUE) != is_met)
		fail("the evaluator says otherwise", full);
}

/* ---- mutation that knows the words ---- */

static const char *const words[] = { "id", "title", "n", "active", "tags", "data", "data.k.0",
	"author", "author.", "friends.", "name", "peers.", "posts_via_author.",
	"posts_via_friends.", "ones_via_author.", "@request.auth.", "@request.body.",
	"@request.query.q", "@request.headers.x", "@request.method", "@collection.posts.",
	"@collection.posts:x.", ":each", ":length", ":lower", ":isset", ":changed", " = ",
	" != ", " ?= ", " ?!= ", " ~ ", " !~ ", " ?~ ", " > ", " <= ", " ?< ", " && ", " || ", "(",
	")", "'", "\"", "''", "'a'", "'%_\\\\'", "null", "true", "1", "-2.5", "@now", "@todayStart",
	"@month", "geoDistance(n, 1, 2, 3)", "strftime('%Y', title)", "// x\n", "id = 1 && ",
	"n > 0 || " };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Puts a word somewhere, or leaves it to the fuzzer to change bytes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	const char *word = words[seed / 3 % (sizeof(words) / sizeof(words[0]))];
	size_t n = strlen(word), at = size ? seed / 331 % (size + 1) : 0;
	if (seed % 3 == 0 || size + n > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(data + at + n, data + at, size - at);
	memcpy(data + at, word, n);
	return size + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	struct err err = { 0 };
	if (!held)
		set_up();
	if (!arena && arena_new(8u << 20, &arena, &err) < 0)
		abort();
	arena_reset(arena);
	if (size == 0)
		return 0;

	const struct expr_schema *schema = data[0] % 2 ? &rules : &clients;
	struct bytes text = { (const char *)data + 1, size - 1 };
	const struct expr_node *node;
	struct expr_sql sql;
	struct expr_error error;
	if (expr_compile_path(text, schema, &scope, BYTES("t"), 10, arena, &sql, &error) == EXPR_OK)
		run(&sql, arena);
	enum expr_result result = expr_parse(text, arena, &node, &error);
	if (result == EXPR_OK)
		result = expr_compile(node, schema, &scope, BYTES("t"), 10, arena, &sql, &error);
	if (result == EXPR_OK)
		run(&sql, arena);
	return 0;
}
