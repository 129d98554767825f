/*
 * The two back ends, held together: random conditions on random rows, in a real database and in
 * memory. Where the evaluator has a verdict it is the database's.
 */
#include "expr_fixture.h"

#define CONDITIONS 2000
#define FAR        600 /* of them that look into other tables */
#define ROWS       24
#define TEXT_BYTES 3000

/* A generator of its own, so that each run asks the same. */
static uint32_t state = 20260101;

static unsigned below(unsigned n)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % n;
}

static const char *one_of(const char *const *texts, size_t n)
{
	return texts[below((unsigned)n)];
}
#define ONE_OF(texts) one_of((texts), sizeof(texts) / sizeof((texts)[0]))

/* ---- rows ---- */

static const char *const words[] = { "", "a", "A", "b", "ab", "5", "5.0", "-3.5", "12", " 12 ",
	"1e1", "a_b", "a%b", "a\\b", "__", "100%", "\xe4\xb8\xad\xe6\x96\x87", "\xc3\xa9t\xc3\xa9",
	"u1", "2026-11-23 00:00:00.000Z", "true", "null", "[1]", "x y" };
static const char *const numbers[] = { "0", "1", "5", "-3.5", "12", "5.5", "1e300", "0.1",
	"123456789012", "1234567890123456789", "-0.0", "1e15", "1e16" };
static const char *const documents[] = { "null", "true", "false", "5", "5.0", "5.5", "\"5\"",
	"\"\"", "\"a_b\"", "\"\\u4e2d\\n\"", "[]", "[1,\"a\",null]", "[[5],{\"a\":5}]", "{}",
	"{\"a\":5}", "{\"a\":{\"b\":[1,5,\"x\"]}}", "{\"a\":null,\"0\":7}", "{\"a\":[\"b\",\"\"]}",
	"9223372036854775807", "1e20" };

static struct expr_value text_of(const char *text)
{
	return (struct expr_value){ .type = EXPR_VALUE_TEXT, .text = bytes_of(text) };
}

/* A list of words as JSON, for tags and friends. */
static struct expr_value list_of(void)
{
	char text[400] = "[";
	for (unsigned i = below(4); i > 0; i--)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "\"%s\"%s",
			(const char *[]){ "a", "b", "ab", "5", "", "u1", "u2", "A", "_" }[below(9)],
			i > 1 ? "," : "");
	strcat(text, "]");
	struct expr_value value = text_of(text);
	value.text.p = arena_copy(fixture.own, value.text);
	return value;
}

static struct expr_value random_value(const struct fixture_field *field)
{
	if (field->type == EXPR_NUMBER)
		return (struct expr_value){ .type = EXPR_VALUE_REAL,
			.real = strtod(ONE_OF(numbers), NULL) };
	if (field->type == EXPR_BOOL)
		return (struct expr_value){ .type = EXPR_VALUE_INTEGER, .integer = below(2) };
	if (field->type == EXPR_JSON)
		return below(6) ? text_of(ONE_OF(documents)) : (struct expr_value){ 0 };
	return field->many == LIST ? list_of() : text_of(ONE_OF(words));
}

static struct expr_value rows[ROWS][FIXTURE_FIELDS];

static bool insert_row(unsigned i)
{
	struct store_stmt *stmt;
	if (store_prepare(fixture.conn,
		    BYTES("INSERT INTO posts(id,title,n,active,tags,one,data,day,author,friends)"
			  "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"),
		    &stmt) != STORE_OK)
		return false;
	for (int f = 0; f < 10; f++) {
		struct expr_value *value = &rows[i][f];
		*value = random_value(&fixture_fields[f]);
		if (f == 0)
			value->text = arena_printf(fixture.own, "row%02u", i);
		if (value->type == EXPR_VALUE_REAL)
			store_bind_double(stmt, f + 1, value->real);
		else if (value->type == EXPR_VALUE_INTEGER)
			store_bind_int64(stmt, f + 1, value->integer);
		else if (value->type == EXPR_VALUE_TEXT)
			store_bind_text(stmt, f + 1, value->text);
	}
	return store_exec(stmt, NULL) == STORE_OK;
}

/* ---- conditions ---- */

static const char *const operands[] = { "title", "n", "active", "tags", "one", "data", "day",
	"author", "friends", "tags:each", "friends:each", "tags:length", "one:length", "one:each",
	"title:lower", "n:lower", "data.a", "data.a.b", "data.0", "data.1.a", "data:each",
	"data.a:each", "data:length", "data:lower", "friends.id", "author.id", "null", "true",
	"false", "''", "'a'", "'5'", "'a_b'", "'%'", "'_'", "'A'", "'\xe4\xb8\xad'", "5", "0",
	"-3.5", "12", "5.5", "1", "@now", "@todayStart", "@month", "@request.auth.id",
	"@request.auth.name", "@request.auth.age", "@request.auth.collectionName",
	"@request.query.q", "@request.query.q:lower", "@request.query.q:isset",
	"@request.body.title", "@request.body.n", "@request.body.tags", "@request.body.tags:each",
	"@request.body.tags:length", "@request.body.tags:isset", "@request.body.tags:changed",
	"@request.body.title:changed", "@request.body.n:changed", "@request.body.data.a",
	"@request.body.title:lower", "geoDistance(n, 1, 2, 3)", "geoDistance(data.0, n, title, 3)",
	"geoDistance(tags:each, 0, n, 0)" };
/* These need other tables. */
static const char *const far[] = { "author.name", "friends.name", "friends.team.name",
	"comments_via_post.text", "@collection.people.name", "@request.auth.team.name",
	"strftime('%Y', day)", "@request.body.author.name" };
static const char *const comparisons[] = { "=", "!=", "<", "<=", ">", ">=", "~", "!~",
	"?=", "?!=", "?<", "?<=", "?>", "?>=", "?~", "?!~" };

static bool has_far;

static const char *random_operand(bool may_be_far)
{
	if (!may_be_far || below(12))
		return ONE_OF(operands);
	has_far = true;
	return ONE_OF(far);
}

static void write_condition(char *out, unsigned depth, bool may_be_far)
{
	size_t n = strlen(out);
	if (depth == 0 || below(3) == 0) {
		const char *a = random_operand(may_be_far), *b = random_operand(may_be_far);
		snprintf(out + n, TEXT_BYTES - n, "%s %s %s", a, ONE_OF(comparisons), b);
		return;
	}
	strcat(out, "(");
	write_condition(out, depth - 1, may_be_far);
	strcat(out, below(2) ? " && " : " || ");
	write_condition(out, depth - 1, may_be_far);
	strcat(out, ")");
}

static const char *const bodies[] = { "{}",
	"{\"title\":\"a\",\"n\":5,\"tags\":[\"a\",\"b\"],\"data\":{\"a\":5},\"author\":\"u1\"}",
	"{\"title\":\"\",\"n\":\"5\",\"tags\":\"a\",\"data\":{\"a\":null}}",
	"{\"title\":null,\"n\":null,\"tags\":null}",
	"{\"title\":5,\"n\":5.5,\"tags\":[],\"data\":{\"a\":[1, 2]}}",
	"{\"title\":true,\"n\":\"x\",\"tags\":[5,\"\",null,{\"a\":1}]}" };

static void random_request(void)
{
	static const char *const queries[] = { "", "a", "A", "5", "u1", "_", "%" };
	fixture.body = below(4) ? ONE_OF(bodies) : NULL;
	fixture.query_value = below(3) ? ONE_OF(queries) : NULL;
	fixture.auth_id = below(3) ? (below(2) ? "u1" : "u3") : NULL;
	fixture.auth_collection = fixture.auth_id ? "c_people" : NULL;
}

/* ---- the claim ---- */

static size_t n_told, n_true;

static bool agrees(const char *filter)
{
	struct expr_row auth_row;
	struct store_stmt *stmt;
	bool has_row;
	if (fixture_compile(filter, &fixture_rules) != EXPR_OK) {
		printf("\n  refused: %s\n", fixture.why);
		return false;
	}
	struct expr_environment environment = fixture_environment(&auth_row);
	struct bytes sql = arena_printf(fixture.arena, "SELECT %.*s FROM posts t ORDER BY id",
		(int)fixture.sql.sql.n, fixture.sql.sql.p);
	if (store_prepare(fixture.conn, sql, &stmt) != STORE_OK ||
		!expr_bind(&fixture.sql, &environment, stmt)) {
		printf("\n  %s\n", store_message(fixture.conn));
		return false;
	}
	for (unsigned i = 0; i < ROWS; i++) {
		const struct expr_row row = { fixture_find_value, rows[i] };
		if (store_step(stmt, &has_row) != STORE_OK || !has_row) {
			printf("\n  row %u: %s\n", i, store_message(fixture.conn));
			return false;
		}
		bool is_met = store_column_int64(stmt, 0) != 0;
		enum expr_verdict verdict = expr_evaluate(&fixture.sql, &environment, &row);
		n_told += verdict != EXPR_NEEDS_SQL;
		n_true += is_met;
		if (verdict == EXPR_NEEDS_SQL ? !has_far : (verdict == EXPR_TRUE) == is_met)
			continue;
		if (verdict == EXPR_NEEDS_SQL && has_far)
			continue;
		printf("\n  row %u: the database says %d, the evaluator %d\n", i, is_met, verdict);
		for (size_t f = 0; f < 10; f++)
			printf("  %s: type %d, %g, %lld, '%.*s'\n", fixture_fields[f].name,
				rows[i][f].type, rows[i][f].real, (long long)rows[i][f].integer,
				(int)rows[i][f].text.n, rows[i][f].text.p);
		return false;
	}
	return true;
}

static void ask(unsigned n, bool may_be_far)
{
	char text[TEXT_BYTES];
	unsigned n_failed = 0;
	n_told = n_true = 0;
	for (unsigned i = 0; i < n && n_failed < 5; i++) {
		text[0] = '\0';
		has_far = false;
		random_request();
		write_condition(text, below(5), may_be_far);
		if (agrees(text))
			continue;
		n_failed++;
		printf("  %s\n  %.*s\n  body %s query %s auth %s\n", text, (int)fixture.sql.sql.n,
			fixture.sql.sql.p, fixture.body ? fixture.body : "-",
			fixture.query_value ? fixture.query_value : "-",
			fixture.auth_id ? fixture.auth_id : "-");
	}
	CU_ASSERT_EQUAL(n_failed, 0);
}

static void both_back_ends_say_the_same_of_the_row_itself(void)
{
	ask(CONDITIONS, false);
	/* Nothing of it needed the database, and it is not one and the same answer. */
	CU_ASSERT_EQUAL(n_told, CONDITIONS * ROWS);
	CU_ASSERT(n_true > CONDITIONS * ROWS / 10 && n_true < CONDITIONS * ROWS * 9 / 10);
}

static void with_other_tables_the_evaluator_never_says_otherwise(void)
{
	ask(FAR, true);
	CU_ASSERT(n_told > FAR * ROWS / 2 && n_told < FAR * ROWS);
}

static void rows_are_made(void)
{
	CU_ASSERT_EQUAL(store_run_script(fixture.conn, BYTES("DELETE FROM posts")), STORE_OK);
	for (unsigned i = 0; i < ROWS; i++)
		CU_ASSERT(insert_row(i));
}

static const struct unit_test tests[] = {
	UNIT(rows_are_made),
	UNIT(both_back_ends_say_the_same_of_the_row_itself),
	UNIT(with_other_tables_the_evaluator_never_says_otherwise),
};

FIXTURE_MAIN("expr_agree", tests)
