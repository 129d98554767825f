#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "expr.h"

/* Three tables as a schema: posts -> users (author, friends[]) -> teams. */
enum scope { POSTS, USERS, TEAMS };

static const int scopes[] = { POSTS, USERS, TEAMS };

struct known_field {
	enum scope scope;
	const char *name, *column;
	enum expr_type type;
	bool is_list;
	int target; /* -1: none */
	bool is_guarded;
};

static const struct known_field fields[] = {
	{ POSTS, "id", "\"id\"", EXPR_TEXT, false, -1, false },
	{ POSTS, "title", "\"title\"", EXPR_TEXT, false, -1, false },
	{ POSTS, "n", "\"n\"", EXPR_NUMBER, false, -1, false },
	{ POSTS, "active", "\"active\"", EXPR_BOOL, false, -1, false },
	{ POSTS, "tags", "\"tags\"", EXPR_TEXT, true, -1, false },
	{ POSTS, "data", "\"data\"", EXPR_JSON, false, -1, false },
	{ POSTS, "author", "\"author\"", EXPR_TEXT, false, USERS, false },
	{ POSTS, "friends", "\"friends\"", EXPR_TEXT, true, USERS, false },
	{ USERS, "id", "\"id\"", EXPR_TEXT, false, -1, false },
	{ USERS, "name", "\"name\"", EXPR_TEXT, false, -1, false },
	{ USERS, "email", "\"email\"", EXPR_TEXT, false, -1, true },
	{ USERS, "team", "\"team\"", EXPR_TEXT, false, TEAMS, false },
	{ TEAMS, "id", "\"id\"", EXPR_TEXT, false, -1, false },
	{ TEAMS, "name", "\"name\"", EXPR_TEXT, false, -1, false },
	{ USERS, "visible", "\"visible\"", EXPR_BOOL, false, -1, false },
};

static struct expr_guard guard;

static bool find_field(const struct expr_schema *schema, const void *scope, struct bytes name,
	struct expr_field *ret)
{
	(void)schema;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct known_field *f = &fields[i];
		if (*(const int *)scope != (int)f->scope || !bytes_eq_string(name, f->name))
			continue;
		*ret = (struct expr_field){ .column = bytes_of(f->column),
			.type = f->type,
			.is_nullable = f->type == EXPR_JSON,
			.is_list = f->is_list,
			.target = f->target >= 0 ? &scopes[f->target] : NULL,
			.guard = f->is_guarded ? &guard : NULL };
		return true;
	}
	return false;
}

static struct bytes table(const struct expr_schema *schema, const void *scope)
{
	static const char *const names[] = { "\"posts\"", "\"users\"", "\"teams\"" };
	(void)schema;
	return bytes_of(names[*(const int *)scope]);
}

static const void *auth_scope(const struct expr_schema *schema, size_t i, struct bytes *ret_id)
{
	(void)schema;
	*ret_id = BYTES("c_users");
	return i == 0 ? &scopes[USERS] : NULL;
}

static const struct expr_schema schema = {
	.find_field = find_field, .table = table, .auth_scope = auth_scope
};

static const char rows_sql[] =
	"CREATE TABLE teams(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL);"
	"CREATE TABLE users(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, team TEXT NOT NULL,"
	" email TEXT NOT NULL, visible INT NOT NULL);"
	"CREATE TABLE posts(id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, n REAL NOT NULL,"
	" active INT NOT NULL, tags TEXT NOT NULL, data TEXT, author TEXT NOT NULL,"
	" friends TEXT NOT NULL);"
	"INSERT INTO teams VALUES('t1','red'),('t2','blue');"
	"INSERT INTO users VALUES('u1','Ann','t1','ann@x.org',1),('u2','Bob','t2','bob@x.org',0),"
	" ('u3','Cy','','cy@x.org',1);"
	"INSERT INTO posts VALUES"
	" ('1','Hello',1,1,'[\"a\",\"b\"]','{\"k\":{\"z\":[1,5]},\"s\":\"v\"}','u1','[\"u1\","
	"\"u2\"]'),"
	" ('2','100%',2,0,'[]',NULL,'u2','[]'),"
	" ('3','',-3.5,1,'[\"b\"]','\"text\"','','[\"u2\"]'),"
	" ('4','it''s \"x\"',40,0,'[\"a\"]','[7,8]','u3','[\"u1\"]'),"
	" ('5','a_b\\c',5,1,'[\"c\"]','null','nobody','[\"u3\"]');";

static struct {
	const char *body, *auth_id, *auth_collection, *query_value;
	struct arena *arena;
	struct store_conn *conn;
	char ids[64], why[200];
	struct expr_sql sql;
} state;

static bool find_pair(const struct expr_environment *environment, enum expr_source source,
	struct bytes name, struct bytes *ret)
{
	(void)environment;
	if (source == EXPR_QUERY && bytes_eq_string(name, "q") && state.query_value) {
		*ret = bytes_of(state.query_value);
		return true;
	}
	*ret = BYTES("token");
	return source == EXPR_HEADER && bytes_eq_string(name, "x_key");
}

/* The ids of the posts that meet the filter, "!" when it was refused. */
static const char *ids(const char *filter)
{
	const struct expr_node *node;
	struct expr_error error;
	arena_reset(state.arena);
	strcpy(state.ids, "!");
	enum expr_result result = expr_parse(bytes_of(filter), state.arena, &node, &error);
	if (result == EXPR_OK)
		result = expr_compile(node, &schema, &scopes[POSTS], BYTES("t"), 3, state.arena,
			&state.sql, &error);
	if (result != EXPR_OK) {
		snprintf(state.why, sizeof(state.why), "%zu %s", error.offset, error.message);
		return state.ids;
	}
	struct bytes sql = arena_printf(state.arena,
		"SELECT group_concat(id, '') FROM (SELECT t.id FROM posts t WHERE %.*s ORDER BY "
		"id)",
		(int)state.sql.sql.n, state.sql.sql.p);
	struct expr_environment environment = { .auth_id = bytes_of(state.auth_id),
		.auth_collection_id = bytes_of(state.auth_collection),
		.auth_collection_name = state.auth_id ? BYTES("users") : BYTES(""),
		.method = BYTES("GET"),
		.body = bytes_of(state.body),
		.find = find_pair,
		.now_us = 1795443865123000, /* 2026-11-23 14:24:25.123Z, a Monday */
		.arena = state.arena };
	struct store_stmt *stmt;
	bool has_row;
	strcpy(state.ids, "?");
	if (store_prepare(state.conn, sql, &stmt) != STORE_OK) {
		printf("\n%s\n%.*s\n%s\n", filter, (int)sql.n, sql.p, store_message(state.conn));
		return state.ids;
	}
	CU_ASSERT(expr_bind(&state.sql, &environment, stmt));
	if (store_step(stmt, &has_row) != STORE_OK) {
		printf("\n%s\n%s\n", filter, store_message(state.conn));
		return state.ids;
	}
	bytes_to_string(store_column_text(stmt, 0), state.ids, sizeof(state.ids));
	return state.ids;
}

struct row {
	const char *filter, *ids;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *found = ids(rows[i].filter);
		if (strcmp(found, rows[i].ids) != 0) {
			printf("\n%s\n  expected '%s', found '%s' %s\n  %.*s\n", rows[i].filter,
				rows[i].ids, found, found[0] == '!' ? state.why : "",
				(int)state.sql.sql.n, state.sql.sql.p);
			CU_FAIL("a filter gave other rows");
		}
	}
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct row rows[] = { __VA_ARGS__ };                                  \
		check(rows, sizeof(rows) / sizeof(rows[0]));                                       \
	} while (0)

static void comparisons_find_what_they_say(void)
{
	CHECK({ "", "12345" }, { "// all of them", "12345" }, { "id = '1'", "1" },
		{ "'1' = id", "1" }, { "n = 2", "2" }, { "n != 2", "1345" }, { "n > 2", "45" },
		{ "n >= 2", "245" }, { "n < -1.5", "3" }, { "n <= 1", "13" }, { "n=-3.5", "3" },
		{ "active = true", "135" }, { "active = false", "24" }, { "active != true", "24" },
		{ "title = 'Hello' // greeting\n && n = 1", "1" }, { "n = title", "" },
		{ "title:lower = 'hello'", "1" }, { "1 = 1", "12345" }, { "'a' = 'b'", "" });
}

static void empty_and_null_are_one(void)
{
	CHECK({ "title = ''", "3" }, { "title = null", "3" }, { "title != ''", "1245" },
		{ "author.name = ''", "35" }, { "author.name = null", "35" },
		{ "author.name != null", "124" }, { "author.team.name = ''", "345" },
		{ "'' = null", "12345" }, { "null != ''", "" }, { "data = null", "25" },
		{ "data != null", "134" });
}

static void like_wraps_and_escapes(void)
{
	CHECK({ "title ~ 'ell'", "1" }, { "title ~ 'ELL'", "1" }, { "title ~ 'H%'", "1" },
		{ "title ~ 'e%'", "" }, { "title ~ '\\%'", "2" }, { "title ~ '_'", "5" },
		{ "title ~ '\\\\c'", "5" }, { "title !~ 'l'", "2345" }, { "title ~ ''", "12345" },
		{ "title ~ '0%'", "" }, { "title ~ '1%'", "2" }, { "author.name ~ 'n'", "1" },
		{ "title ~ title", "1234" });
}

static void text_takes_both_quotes_and_no_sql(void)
{
	CHECK({ "title = 'it\\'s \"x\"'", "4" }, { "title = \"it's \\\"x\\\"\"", "4" },
		{ "title = \"'; DROP TABLE posts; --\"", "" }, { "title = 'a_b\\c'", "5" },
		{ "title ~ \"' OR 1=1 --\"", "" }, { "data.\\\" = 1", "!" });
	const char *hostile = "title = \"') OR 1=1 --\" || title ~ 'x\" DROP'";
	CU_ASSERT_STRING_EQUAL(ids(hostile), "");
	char sql[2000];
	bytes_to_string(state.sql.sql, sql, sizeof(sql));
	CU_ASSERT_PTR_NULL(strstr(sql, "DROP"));
	CU_ASSERT_PTR_NULL(strstr(sql, "1=1"));
}

static void and_binds_tighter_than_or(void)
{
	CHECK({ "id='1' || id='2' && n=99", "1" }, { "(id='1' || id='2') && n=99", "" },
		{ "n=99 && id='1' || id='2'", "2" }, { "((id='1'))", "1" },
		{ "id='1'||id='2'||id='3'", "123" });
}

static void relations_are_followed(void)
{
	CHECK({ "author.name = 'Ann'", "1" }, { "author.team.name = 'blue'", "2" },
		{ "author.id = 'u3'", "4" }, { "author = 'nobody'", "5" },
		{ "author.email ~ 'ann'", "1" }, { "author.email ~ 'bob'", "" },
		{ "author.name > 'B'", "24" });
}

static void several_values_mean_all_or_any(void)
{
	CHECK({ "tags ?= 'a'", "" }, { "tags:each ?= 'a'", "14" }, { "tags:each = 'b'", "3" },
		{ "tags:each != 'a'", "35" }, { "tags:each ?!= 'a'", "1235" },
		{ "tags:length = 2", "1" }, { "tags:length > 0", "1345" }, { "tags ~ 'a'", "14" },
		{ "friends.name ?= 'Ann'", "14" }, { "friends.name = 'Ann'", "4" },
		{ "friends.name != 'Ann'", "35" }, { "friends.team.name ?= 'blue'", "13" },
		{ "friends ?= 'u2'", "" }, { "data ?= 7", "" }, { "data.k.z:length = 2", "1" },
		{ "data.s:lower = 'v'", "1" }, { "data.k.z:each > 0", "1" },
		{ "data.k.z:each ?= 5", "1" });
}

static void json_is_reached_by_path(void)
{
	CHECK({ "data.s = 'v'", "1" }, { "data.k.z.1 = 5", "1" }, { "data.k.z.1 > 4", "1" },
		{ "data = 'text'", "3" }, { "data.0 = 7", "4" }, { "data.nosuch = null", "12345" });
}

static void the_request_is_asked(void)
{
	CHECK({ "@request.auth.id = ''", "12345" }, { "@request.auth.id != ''", "" },
		{ "author = @request.auth.id", "3" }, { "@request.auth.name = ''", "12345" },
		{ "@request.body.title = 'x'", "" },
		{ "@request.body.title:isset = false", "12345" },
		{ "@request.query.q:isset = true", "" },
		{ "@request.headers.x_key = 'token'", "12345" },
		{ "@request.method = 'GET'", "12345" }, { "@request.context = 'default'", "12345" },
		{ "@request.auth.nosuch = ''", "12345" }, { "@request.body.n > 1", "" },
		{ "author.team.name = @request.query.q", "345" },
		{ "author.team.name != @request.query.q", "12" },
		{ "author.name = author.team.name", "35" });

	state.auth_id = "u1";
	state.auth_collection = "c_users";
	state.query_value = "Hello";
	state.body = "{\"title\":\"Hello\",\"n\":2,\"author\":\"u2\",\"tags\":[\"x\",\"yy\"],"
		     "\"on\":true,"
		     "\"deep\":{\"a\":1}}";
	CHECK({ "@request.auth.id != ''", "12345" }, { "author = @request.auth.id", "1" },
		{ "@request.auth.name = 'Ann'", "12345" },
		{ "@request.auth.team.name = 'red'", "12345" },
		{ "@request.auth.collectionName = 'users'", "12345" },
		{ "@request.auth.nosuch != ''", "" }, { "title = @request.body.title", "1" },
		{ "n = @request.body.n", "2" }, { "@request.body.tags:length = 2", "12345" },
		{ "@request.body.tags:each ~ 'y'", "" },
		{ "@request.body.tags:each ?~ 'y'", "12345" },
		{ "@request.body.on = true", "12345" }, { "@request.body.deep.a = 1", "12345" },
		{ "@request.body.author.name = 'Bob'", "12345" },
		{ "@request.body.title:changed = true", "2345" },
		{ "title = @request.query.q", "1" },
		{ "@request.query.q:lower = 'hello'", "12345" },
		{ "title ~ @request.query.q", "1" });
	state.auth_collection = "c_other";
	CHECK({ "@request.auth.name = 'Ann'", "" });
	state.auth_id = state.auth_collection = state.query_value = state.body = NULL;
}

static void dates_are_of_this_request(void)
{
	CHECK({ "@now = '2026-11-23 14:24:25.123Z'", "12345" },
		{ "@yesterday = '2026-11-22 14:24:25.123Z'", "12345" },
		{ "@todayStart = '2026-11-23 00:00:00.000Z'", "12345" },
		{ "@todayEnd = '2026-11-23 23:59:59.999Z'", "12345" },
		{ "@monthStart = '2026-11-01 00:00:00.000Z'", "12345" },
		{ "@monthEnd = '2026-11-30 23:59:59.999Z'", "12345" },
		{ "@yearEnd = '2026-12-31 23:59:59.999Z'", "12345" },
		{ "@weekday = 1 && @hour = 14 && @year = 2026", "12345" });
}

static void broken_text_is_refused_with_its_place(void)
{
	static const struct {
		const char *filter;
		size_t offset;
	} rows[] = { { "id", 2 }, { "id =", 4 }, { "id = 'x", 5 }, { "= 'x'", 0 }, { "(id='1'", 7 },
		{ "id='1')", 6 }, { "id='1' id='2'", 7 }, { "id='1' &&", 9 }, { "id == '1'", 4 },
		{ "nosuch = 1", 0 }, { "id='1' && nosuch.x = 1", 10 }, { "title.x = 1", 0 },
		{ "@nosuch = 1", 0 }, { "@request.nosuch.x = 1", 0 }, { "a. = 1", 1 },
		{ "n = 1.2.3", 9 }, { "n = 1e", 5 }, { "geo(1) = 2", 3 }, { "title:each = 'x'", 0 },
		{ "title:nosuch = 'x'", 0 }, { "id = \xff", 5 }, { "!id = 1", 0 }, { "id = -", 5 },
		{ "a.b.c.d.e.f.g.h.i.j.k.l.m.n = 1", 0 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_STRING_EQUAL(ids(rows[i].filter), "!");
		if (strtoul(state.why, NULL, 10) != rows[i].offset) {
			printf("\n%s: expected %zu, found %s\n", rows[i].filter, rows[i].offset,
				state.why);
			CU_FAIL("the place is another");
		}
	}
}

static void too_much_of_anything_is_refused(void)
{
	char text[8000] = "n=1";
	for (int i = 1; i < 200; i++)
		strcat(text, "||n=1");
	CU_ASSERT_STRING_EQUAL(ids(text), "1");
	strcat(text, "||n=1");
	CU_ASSERT_STRING_EQUAL(ids(text), "!");
	memset(text, '(', 40);
	strcpy(text + 40, "n=1");
	CU_ASSERT_STRING_EQUAL(ids(text), "!");
	CU_ASSERT_PTR_NOT_NULL(strstr(state.why, "too deep"));
	strcpy(text, "n=1");
	for (int i = 0; i < 11; i++) {
		char outer[8000];
		snprintf(outer, sizeof(outer), "n=2 %s (n=9 %s (%s))", i % 2 ? "&&" : "||",
			i % 2 ? "||" : "&&", text);
		strcpy(text, outer);
	}
	CU_ASSERT_STRING_EQUAL(ids(text), "!");
	/* The deepest that is allowed, with the longest paths, still fits into SQLite's parser. */
	strcpy(text, "friends.team.name ?= 'x' && author.team.name = 'x'");
	for (int i = 0; i < 4; i++) {
		char outer[8000];
		snprintf(outer, sizeof(outer), "n=1 || (n=9 && (%s))", text);
		strcpy(text, outer);
	}
	CU_ASSERT_STRING_EQUAL(ids(text), "1");
	memset(text, ' ', 3501);
	text[3501] = '\0';
	CU_ASSERT_STRING_EQUAL(ids(text), "!");
	text[3500] = '\0';
	CU_ASSERT_STRING_EQUAL(ids(text), "12345");
}

static void only_what_needs_more_rows_says_so(void)
{
	ids("title = 'x' && n > 3 && @request.auth.id != ''");
	CU_ASSERT_FALSE(state.sql.has_subquery);
	ids("author.name = 'x'");
	CU_ASSERT(state.sql.has_subquery);
	ids("tags:each ?= 'x'");
	CU_ASSERT(state.sql.has_subquery);
	ids("@request.auth.name = 'x'");
	CU_ASSERT(state.sql.has_subquery);
}

static void sort_keys_are_single_fields(void)
{
	struct expr_sql sql;
	struct expr_error error;
	CU_ASSERT_EQUAL(expr_compile_path(BYTES("title"), &schema, &scopes[POSTS], BYTES("t"), 1,
				state.arena, &sql, &error),
		EXPR_OK);
	CU_ASSERT(bytes_eq_string(sql.sql, "t.\"title\""));
	CU_ASSERT_EQUAL(expr_compile_path(BYTES("author.name"), &schema, &scopes[POSTS], BYTES("t"),
				1, state.arena, &sql, &error),
		EXPR_OK);
	static const char *const refused[] = { "", "@now", "null", "friends.name", "nosuch", "true",
		"tags:each" };
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CU_ASSERT_EQUAL(expr_compile_path(bytes_of(refused[i]), &schema, &scopes[POSTS],
					BYTES("t"), 1, state.arena, &sql, &error),
			EXPR_INVALID);
}

static const struct unit_test tests[] = {
	UNIT(comparisons_find_what_they_say),
	UNIT(empty_and_null_are_one),
	UNIT(like_wraps_and_escapes),
	UNIT(text_takes_both_quotes_and_no_sql),
	UNIT(and_binds_tighter_than_or),
	UNIT(relations_are_followed),
	UNIT(several_values_mean_all_or_any),
	UNIT(json_is_reached_by_path),
	UNIT(the_request_is_asked),
	UNIT(dates_are_of_this_request),
	UNIT(broken_text_is_refused_with_its_place),
	UNIT(too_much_of_anything_is_refused),
	UNIT(only_what_needs_more_rows_says_so),
	UNIT(sort_keys_are_single_fields),
};

/* The tests run while the database is being opened: on its connection, without jobs. */
static int on_open(struct store_conn *conn, void *context, struct err *err)
{
	state.conn = conn;
	if (store_run_script(conn, bytes_of(rows_sql)) != STORE_OK)
		return -1;
	struct arena *arena;
	struct expr_error error;
	if (arena_new(4096, &arena, err) < 0 ||
		expr_parse(BYTES("visible = true"), arena, &guard.tree, &error) != EXPR_OK)
		return -1;
	guard.schema = &schema;
	*(int *)context = unit_run("expr", tests, sizeof(tests) / sizeof(tests[0]));
	arena_free(arena);
	return 0;
}

int main(void)
{
	struct err err = { 0 };
	struct executor *executor = NULL;
	struct store *store = NULL;
	struct executor_config lanes = { { 1, 1, 1, 1 }, { 10, 10, 10, 10 } };
	int result = 2;
	char path[64];
	snprintf(path, sizeof(path), "/tmp/tenon-expr-%d.db", (int)getpid());
	struct store_config config = { .path = path,
		.n_readers = 1,
		.write_queue_limit = 1,
		.on_open = on_open,
		.on_open_context = &result };
	remove(config.path);
	if (arena_new(4u << 20, &state.arena, &err) < 0 ||
		executor_new(&lanes, &executor, &err) < 0 ||
		store_open(&config, executor, &store, &err) < 0)
		printf("%s\n", err.message);
	store_close(store);
	executor_free(executor);
	arena_free(state.arena);
	remove(config.path);
	return result;
}
