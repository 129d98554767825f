#include "route.h"
#include "unit.h"

static const struct route rows[] = {
	{ ROUTE_GET | ROUTE_POST, "/api/collections", ROUTE_SUPERUSER, 0, "a", NULL },
	{ ROUTE_GET, "/api/collections/{c}", ROUTE_SUPERUSER, 0, "b", NULL },
	{ ROUTE_GET, "/api/collections/import", ROUTE_SUPERUSER, 0, "c", NULL },
	{ ROUTE_GET, "/api/collections/{c}/records/{id}", ROUTE_PUBLIC, 0, "d", NULL },
	{ ROUTE_DELETE, "/api/collections/{c}/records/{id}", ROUTE_PUBLIC, 0, "e", NULL },
	{ ROUTE_ANY, "/api/x/{plugin}/{rest*}", ROUTE_PUBLIC, 0, "f", NULL },
	{ ROUTE_GET, "/_/{rest*}", ROUTE_PUBLIC, 0, "g", NULL },
};

static struct route_table *table(void)
{
	static struct route_table *built;

	if (!built)
		CU_ASSERT_EQUAL_FATAL(
			route_table_new(rows, sizeof rows / sizeof rows[0], &built, NULL), 0);
	return built;
}

static const char *action(enum http_method method, const char *path)
{
	struct route_match match;

	switch (route_find(table(), method, bytes_of(path), &match)) {
	case ROUTE_FOUND:
		return match.route->action;
	case ROUTE_NO_METHOD:
		return "405";
	case ROUTE_NO_PATH:
		break;
	}
	return "404";
}

static void a_literal_wins_over_a_parameter(void)
{
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/api/collections/import"), "c");
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/api/collections/imports"), "b");
	/* A literal that leads nowhere does not hide the parameter beside it. */
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/api/collections/import/records/x"), "d");
}

static void parameters_are_given_in_order(void)
{
	struct route_match match;

	CU_ASSERT_EQUAL(
		route_find(table(), HTTP_DELETE, BYTES("/api/collections/posts/records/9"), &match),
		ROUTE_FOUND);
	CU_ASSERT(bytes_eq(match.params[0], BYTES("posts")));
	CU_ASSERT(bytes_eq(match.params[1], BYTES("9")));
	CU_ASSERT_STRING_EQUAL(match.route->action, "e");
}

static void a_rest_takes_everything_and_nothing(void)
{
	struct route_match match;

	CU_ASSERT_EQUAL(route_find(table(), HTTP_POST, BYTES("/api/x/p/a/b"), &match), ROUTE_FOUND);
	CU_ASSERT(bytes_eq(match.params[1], BYTES("a/b")));
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/api/x/p"), "f");
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/_/"), "g");
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/_"), "g");
}

static void unknown_paths_and_methods_differ(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf allow;

	CU_ASSERT_STRING_EQUAL(action(HTTP_PUT, "/api/collections"), "405");
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/api/collections/"), "404");
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, "/api"), "404");
	CU_ASSERT_STRING_EQUAL(action(HTTP_GET, ""), "404");
	CU_ASSERT_STRING_EQUAL(action(HTTP_HEAD, "/api/collections"), "a");
	bytes_buf_init(&allow, 100);
	route_allow(table(), BYTES("/api/collections"), &allow);
	CU_ASSERT(bytes_eq(bytes_buf_view(&allow), BYTES("GET, HEAD, POST")));
}

static void two_rows_for_one_request_are_refused(void)
{
	static const struct route twice[] = {
		{ ROUTE_GET, "/a/{x}", ROUTE_PUBLIC, 0, "a", NULL },
		{ ROUTE_GET | ROUTE_PUT, "/a/{y}", ROUTE_PUBLIC, 0, "b", NULL },
	};
	struct route_table *none = NULL;
	struct err err = { 0 };

	CU_ASSERT_EQUAL(route_table_new(twice, 2, &none, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_INVALID);
	CU_ASSERT_PTR_NULL(none);
}

static void everything_is_freed(void)
{
	route_table_free(table());
}

static const struct unit_test tests[] = {
	UNIT(a_literal_wins_over_a_parameter),
	UNIT(parameters_are_given_in_order),
	UNIT(a_rest_takes_everything_and_nothing),
	UNIT(unknown_paths_and_methods_differ),
	UNIT(two_rows_for_one_request_are_refused),
	UNIT(everything_is_freed),
};

UNIT_MAIN("route", tests)
