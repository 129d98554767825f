/*
 * expr_fixture.h - a small schema with rows, for the tests of filters and rules
 *
 *   posts -> people (author, friends[]) -> teams      comments -> posts (post, posts[])
 *   profiles -> people (person, unique)
 *
 * fixture_ids("filter") gives the digits of the posts that meet the filter, "!" when it is refused.
 * Each filter is asked of the database and, row by row, of the evaluator; where that has a verdict
 * it must be the same, else the answer is "?".
 */
#ifndef EXPR_FIXTURE_H
#define EXPR_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr.h"
#include "unit.h"

enum fixture_scope { POSTS, PEOPLE, TEAMS, COMMENTS, PROFILES, FIXTURE_SCOPES };

static const int fixture_scopes[FIXTURE_SCOPES] = { POSTS, PEOPLE, TEAMS, COMMENTS, PROFILES };
static const char *const fixture_names[FIXTURE_SCOPES] = { "posts", "people", "teams", "comments",
	"profiles" };

struct fixture_field {
	enum fixture_scope scope;
	const char *name, *column;
	enum expr_type type;
	enum { ONE, CHOICE, LIST } many;
	int target; /* -1: none */
};

static const struct fixture_field fixture_fields[] = {
	{ POSTS, "id", "\"id\"", EXPR_TEXT, ONE, -1 },
	{ POSTS, "title", "\"title\"", EXPR_TEXT, ONE, -1 },
	{ POSTS, "n", "\"n\"", EXPR_NUMBER, ONE, -1 },
	{ POSTS, "active", "\"active\"", EXPR_BOOL, ONE, -1 },
	{ POSTS, "tags", "\"tags\"", EXPR_TEXT, LIST, -1 },
	{ POSTS, "one", "\"one\"", EXPR_TEXT, CHOICE, -1 },
	{ POSTS, "data", "\"data\"", EXPR_JSON, ONE, -1 },
	{ POSTS, "day", "\"day\"", EXPR_TEXT, ONE, -1 },
	{ POSTS, "author", "\"author\"", EXPR_TEXT, CHOICE, PEOPLE },
	{ POSTS, "friends", "\"friends\"", EXPR_TEXT, LIST, PEOPLE },
	{ PEOPLE, "id", "\"id\"", EXPR_TEXT, ONE, -1 },
	{ PEOPLE, "name", "\"name\"", EXPR_TEXT, ONE, -1 },
	{ PEOPLE, "team", "\"team\"", EXPR_TEXT, CHOICE, TEAMS },
	{ PEOPLE, "age", "\"age\"", EXPR_NUMBER, ONE, -1 },
	{ TEAMS, "id", "\"id\"", EXPR_TEXT, ONE, -1 },
	{ TEAMS, "name", "\"name\"", EXPR_TEXT, ONE, -1 },
	{ COMMENTS, "id", "\"id\"", EXPR_TEXT, ONE, -1 },
	{ COMMENTS, "text", "\"text\"", EXPR_TEXT, ONE, -1 },
	{ COMMENTS, "post", "\"post\"", EXPR_TEXT, CHOICE, POSTS },
	{ COMMENTS, "posts", "\"posts\"", EXPR_TEXT, LIST, POSTS },
	{ PROFILES, "id", "\"id\"", EXPR_TEXT, ONE, -1 },
	{ PROFILES, "bio", "\"bio\"", EXPR_TEXT, ONE, -1 },
	{ PROFILES, "person", "\"person\"", EXPR_TEXT, CHOICE, PEOPLE },
};
#define FIXTURE_FIELDS (sizeof(fixture_fields) / sizeof(fixture_fields[0]))

static const char fixture_sql[] =
	"CREATE TABLE teams(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL) STRICT;"
	"CREATE TABLE people(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL,"
	" team TEXT NOT NULL, age REAL NOT NULL) STRICT;"
	"CREATE TABLE posts(id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, n REAL NOT NULL,"
	" active INTEGER NOT NULL, tags TEXT NOT NULL, one TEXT NOT NULL, data TEXT,"
	" day TEXT NOT NULL, author TEXT NOT NULL, friends TEXT NOT NULL) STRICT;"
	"CREATE TABLE comments(id TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL,"
	" post TEXT NOT NULL, posts TEXT NOT NULL) STRICT;"
	"CREATE TABLE profiles(id TEXT PRIMARY KEY NOT NULL, bio TEXT NOT NULL,"
	" person TEXT NOT NULL UNIQUE) STRICT;"
	"INSERT INTO teams VALUES('t1','red'),('t2','blue');"
	"INSERT INTO people VALUES('u1','Ann','t1',5),('u2','Bob','t2',7),('u3','Cy','',0);"
	"INSERT INTO posts VALUES"
	" ('1','Hello',1,1,'[\"a\",\"b\"]','a','{\"k\":{\"z\":[1,5]},\"s\":\"v\"}','','u1',"
	"'[\"u1\",\"u2\"]'),"
	" ('2','100%',2,0,'[]','',NULL,'','u2','[]'),"
	" ('3','',-3.5,1,'[\"b\"]','b','\"text\"','','','[\"u2\"]'),"
	" ('4','it''s \"x\"',40,0,'[\"a\"]','','[7,8]','','u3','[\"u1\"]'),"
	" ('5','a_b\\c',5,1,'[\"c\"]','',NULL,'2022-01-02 03:04:05.000Z','','[\"u3\",\"u1\"]'),"
	" ('6','12',12,1,'[]','','12','','','[]'),"
	" ('7','a__b',5.5,1,'[]','','12','','','[]');"
	"INSERT INTO comments VALUES('c1','good','1','[\"1\",\"2\"]'),('c2','bad','1','[\"2\"]'),"
	" ('c3','good','3','[]');"
	"INSERT INTO profiles VALUES('f1','a painter','u1'),('f2','','u2');";

#define FIXTURE_ROWS 7

static struct {
	const char *body, *auth_id, *auth_collection, *query_value;
	/* Guards by what they guard: "people.name", or "people" for its rows. */
	struct {
		const char *what;
		struct expr_guard guard;
	} guards[4];
	bool is_denied; /* what guards do besides */
	struct arena *arena, *own;
	struct store_conn *conn;
	char ids[64], why[200];
	struct expr_sql sql;
	struct expr_value rows[FIXTURE_ROWS][FIXTURE_FIELDS];
	struct expr_value people[3][FIXTURE_FIELDS];
	size_t n_evaluated, n_needed_sql;
} fixture;

/* ---- the schema ---- */

static const struct expr_guard *fixture_guard(const char *what)
{
	for (size_t i = 0; i < sizeof(fixture.guards) / sizeof(fixture.guards[0]); i++)
		if (fixture.guards[i].what && strcmp(fixture.guards[i].what, what) == 0)
			return &fixture.guards[i].guard;
	return NULL;
}

static bool fixture_find_field(const struct expr_schema *schema, const void *scope,
	struct bytes name, struct expr_field *ret)
{
	for (size_t i = 0; i < FIXTURE_FIELDS; i++) {
		const struct fixture_field *f = &fixture_fields[i];
		if (*(const int *)scope != (int)f->scope || !bytes_eq_string(name, f->name))
			continue;
		char what[64];
		snprintf(what, sizeof(what), "%s.%s", fixture_names[f->scope], f->name);
		*ret = (struct expr_field){ .column = bytes_of(f->column),
			.type = f->type,
			.is_nullable = f->type == EXPR_JSON,
			.is_list = f->many == LIST,
			.is_choice = f->many == CHOICE,
			.target = f->target >= 0 ? &fixture_scopes[f->target] : NULL,
			.guard = schema->row_guard ? fixture_guard(what) : NULL,
			.is_denied = fixture.is_denied,
			.handle = f };
		return true;
	}
	return false;
}

static struct bytes fixture_table(const struct expr_schema *schema, const void *scope)
{
	static const char *const tables[] = { "\"posts\"", "\"people\"", "\"teams\"",
		"\"comments\"", "\"profiles\"" };
	(void)schema;
	return bytes_of(tables[*(const int *)scope]);
}

static const void *fixture_auth_scope(
	const struct expr_schema *schema, size_t i, struct bytes *ret_id)
{
	(void)schema;
	*ret_id = i == 0 ? BYTES("c_people") : BYTES("c_teams");
	return i < 2 ? &fixture_scopes[i == 0 ? PEOPLE : TEAMS] : NULL;
}

static const void *fixture_find_scope(const struct expr_schema *schema, struct bytes name)
{
	(void)schema;
	for (int i = 0; i < FIXTURE_SCOPES; i++)
		if (bytes_eq_string(name, fixture_names[i]))
			return &fixture_scopes[i];
	return NULL;
}

static bool fixture_find_back(const struct expr_schema *schema, const void *scope,
	struct bytes collection, struct bytes field, struct expr_back *ret)
{
	*ret = (struct expr_back){ .scope = fixture_find_scope(schema, collection) };
	ret->is_unique = bytes_eq_string(collection, "profiles");
	return ret->scope && fixture_find_field(schema, ret->scope, field, &ret->field) &&
	       ret->field.target == scope;
}

static const struct expr_guard *fixture_row_guard(
	const struct expr_schema *schema, const void *scope)
{
	(void)schema;
	return fixture_guard(fixture_names[*(const int *)scope]);
}

/* What rules see, and what clients' filters see. */
static const struct expr_schema fixture_rules = { fixture_find_field, fixture_table,
	fixture_auth_scope, fixture_find_back, fixture_find_scope, NULL };
static const struct expr_schema fixture_clients = { fixture_find_field, fixture_table,
	fixture_auth_scope, fixture_find_back, fixture_find_scope, fixture_row_guard };

static inline void fixture_set_guard(size_t i, const char *what, const char *condition)
{
	struct expr_error error;
	fixture.guards[i].what = what;
	fixture.guards[i].guard = (struct expr_guard){ .schema = &fixture_rules };
	if (what && expr_parse(bytes_of(condition), fixture.own, &fixture.guards[i].guard.tree,
			    &error) != EXPR_OK)
		abort();
}

/* ---- the request ---- */

static bool fixture_find_pair(const struct expr_environment *environment, enum expr_source source,
	struct bytes name, struct bytes *ret)
{
	(void)environment;
	if (source == EXPR_QUERY && bytes_eq_string(name, "q") && fixture.query_value) {
		*ret = bytes_of(fixture.query_value);
		return true;
	}
	*ret = BYTES("token");
	return source == EXPR_HEADER && bytes_eq_string(name, "x_key");
}

static bool fixture_find_value(
	const struct expr_row *row, const struct expr_field *field, struct expr_value *ret)
{
	const struct expr_value *values = row->context;
	*ret = values[(const struct fixture_field *)field->handle - fixture_fields];
	return true;
}

static struct expr_environment fixture_environment(struct expr_row *auth_row)
{
	const char *id = fixture.auth_id ? fixture.auth_id : "u1";
	*auth_row = (struct expr_row){ fixture_find_value, fixture.people[(id[1] - '1') % 3] };
	bool is_person =
		fixture.auth_collection && strcmp(fixture.auth_collection, "c_people") == 0;
	return (struct expr_environment){ .auth_id = bytes_of(fixture.auth_id),
		.auth_collection_id = bytes_of(fixture.auth_collection),
		.auth_collection_name = fixture.auth_id ? BYTES("people") : BYTES(""),
		.method = BYTES("GET"),
		.body = bytes_of(fixture.body),
		.find = fixture_find_pair,
		.now_us = 1795443865123000, /* 2026-11-23 14:24:25.123Z, a Monday */
		.arena = fixture.arena,
		.auth_row = is_person ? auth_row : NULL };
}

/* ---- asking ---- */

static inline enum expr_result fixture_compile(const char *filter, const struct expr_schema *schema)
{
	const struct expr_node *node;
	struct expr_error error;
	arena_reset(fixture.arena);
	enum expr_result result = expr_parse(bytes_of(filter), fixture.arena, &node, &error);
	if (result == EXPR_OK)
		result = expr_compile(node, schema, &fixture_scopes[POSTS], BYTES("t"), 3,
			fixture.arena, &fixture.sql, &error);
	if (result != EXPR_OK)
		snprintf(fixture.why, sizeof(fixture.why), "%zu %s", error.offset, error.message);
	return result;
}

/* The evaluator's word on each row, where it has one. */
static inline bool fixture_agrees(const struct expr_environment *environment)
{
	for (int i = 0; i < FIXTURE_ROWS; i++) {
		const struct expr_row row = { fixture_find_value, fixture.rows[i] };
		bool is_met = strchr(fixture.ids, '1' + i) != NULL;
		enum expr_verdict verdict = expr_evaluate(&fixture.sql, environment, &row);
		fixture.n_evaluated++;
		fixture.n_needed_sql += verdict == EXPR_NEEDS_SQL;
		if (verdict != EXPR_NEEDS_SQL && (verdict == EXPR_TRUE) != is_met) {
			printf("\n  the evaluator differs on row %d: it says %d\n", i + 1, verdict);
			return false;
		}
	}
	return true;
}

static inline const char *fixture_ask(const char *filter, const struct expr_schema *schema)
{
	struct expr_row auth_row;
	strcpy(fixture.ids, "!");
	if (fixture_compile(filter, schema) != EXPR_OK)
		return fixture.ids;
	struct bytes sql = arena_printf(fixture.arena,
		"SELECT group_concat(id, '') FROM (SELECT t.id FROM posts t WHERE %.*s ORDER BY "
		"id)",
		(int)fixture.sql.sql.n, fixture.sql.sql.p);
	struct expr_environment environment = fixture_environment(&auth_row);
	struct store_stmt *stmt;
	bool has_row;
	strcpy(fixture.ids, "?");
	if (store_prepare(fixture.conn, sql, &stmt) != STORE_OK ||
		!expr_bind(&fixture.sql, &environment, stmt) ||
		store_step(stmt, &has_row) != STORE_OK) {
		printf("\n%s\n%.*s\n%s\n", filter, (int)sql.n, sql.p, store_message(fixture.conn));
		return fixture.ids;
	}
	bytes_to_string(store_column_text(stmt, 0), fixture.ids, sizeof(fixture.ids));
	if (!fixture_agrees(&environment)) {
		printf("  %s\n  %.*s\n", filter, (int)fixture.sql.sql.n, fixture.sql.sql.p);
		strcpy(fixture.ids, "?");
	}
	return fixture.ids;
}

struct fixture_row {
	const char *filter, *ids;
};

static inline void fixture_check(
	const struct fixture_row *rows, size_t n, const struct expr_schema *schema)
{
	for (size_t i = 0; i < n; i++) {
		const char *found = fixture_ask(rows[i].filter, schema);
		if (strcmp(found, rows[i].ids) == 0)
			continue;
		printf("\n%s\n  expected '%s', found '%s' %s\n  %.*s\n", rows[i].filter,
			rows[i].ids, found, found[0] == '!' ? fixture.why : "",
			(int)fixture.sql.sql.n, fixture.sql.sql.p);
		CU_FAIL("a filter gave other rows");
	}
}

#define CHECK_AS(schema, ...)                                                                      \
	do {                                                                                       \
		static const struct fixture_row rows[] = { __VA_ARGS__ };                          \
		fixture_check(rows, sizeof(rows) / sizeof(rows[0]), (schema));                     \
	} while (0)
#define CHECK(...) CHECK_AS(&fixture_rules, __VA_ARGS__)

/* ---- the frame ---- */

static inline bool fixture_load(enum fixture_scope scope, struct expr_value (*rows)[FIXTURE_FIELDS])
{
	char sql[64];
	struct store_stmt *stmt;
	bool has_row;
	int n = snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY id", fixture_names[scope]);
	if (store_prepare(fixture.conn, (struct bytes){ sql, (size_t)n }, &stmt) != STORE_OK)
		return false;
	while (store_step(stmt, &has_row) == STORE_OK && has_row) {
		for (int column = 0; column < store_n_columns(stmt); column++) {
			struct bytes name = store_column_name(stmt, column);
			struct expr_value value = { .text = store_column_text(stmt, column) };
			value.text.p = arena_copy(fixture.own, value.text);
			if (store_column_is_null(stmt, column))
				value.type = EXPR_VALUE_NULL;
			else if (store_column_type(stmt, column) == STORE_DOUBLE)
				value.type = EXPR_VALUE_REAL;
			else
				value.type = store_column_type(stmt, column) == STORE_INT64
						     ? EXPR_VALUE_INTEGER
						     : EXPR_VALUE_TEXT;
			value.real = store_column_double(stmt, column);
			value.integer = store_column_int64(stmt, column);
			for (size_t i = 0; i < FIXTURE_FIELDS; i++)
				if (fixture_fields[i].scope == scope &&
					bytes_eq_string(name, fixture_fields[i].name))
					(*rows)[i] = value;
		}
		rows++;
	}
	return true;
}

struct fixture_run {
	const char *name;
	const struct unit_test *tests;
	size_t n;
	int result;
};

/* The tests run while the database is being opened: on its connection, without jobs. */
static int fixture_on_open(struct store_conn *conn, void *context, struct err *err)
{
	struct fixture_run *run = context;
	(void)err;
	fixture.conn = conn;
	if (store_run_script(conn, bytes_of(fixture_sql)) != STORE_OK ||
		!fixture_load(POSTS, fixture.rows) || !fixture_load(PEOPLE, fixture.people))
		return -1;
	run->result = unit_run(run->name, run->tests, run->n);
	return 0;
}

static inline int fixture_main(const char *name, const struct unit_test *tests, size_t n)
{
	struct err err = { 0 };
	struct executor *executor = NULL;
	struct store *store = NULL;
	struct executor_config lanes = { { 1, 1, 1, 1 }, { 10, 10, 10, 10 } };
	struct fixture_run run = { name, tests, n, 2 };
	char path[64];
	snprintf(path, sizeof(path), "/tmp/tenon-%s-test.db", name);
	struct store_config config = { .path = path,
		.n_readers = 1,
		.write_queue_limit = 1,
		.on_open = fixture_on_open,
		.on_open_context = &run };
	remove(path);
	if (arena_new(16u << 20, &fixture.arena, &err) < 0 ||
		arena_new(1u << 20, &fixture.own, &err) < 0 ||
		executor_new(&lanes, &executor, &err) < 0 ||
		store_open(&config, executor, &store, &err) < 0)
		printf("%s\n", err.message);
	store_close(store);
	executor_free(executor);
	arena_free(fixture.arena);
	arena_free(fixture.own);
	remove(path);
	return run.result;
}

#define FIXTURE_MAIN(name, tests)                                                                  \
	int main(void)                                                                             \
	{                                                                                          \
		return fixture_main((name), (tests), sizeof(tests) / sizeof((tests)[0]));          \
	}

#endif
