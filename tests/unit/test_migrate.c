#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate.h"

static char folder[64], path[96];
static struct executor *executor;

static void setup(void)
{
	struct err err = { 0 };
	strcpy(folder, "/tmp/tenon-migrate-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/data.db", folder);
	struct executor_config config = { { 1, 1, 1, 1 }, { 10, 10, 10, 10 } };
	CU_ASSERT_EQUAL_FATAL(executor_new(&config, &executor, &err), 0);
}

static void teardown(void)
{
	executor_free(executor);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static int64_t answer; /* of the count that the last open asked for */
struct request {
	const struct migrate_set *set;
	const char *count_sql;
};

static int on_open(struct store_conn *conn, void *context, struct err *err)
{
	const struct request *request = context;
	int result = migrate_apply(conn, request->set, err);
	if (request->count_sql) {
		struct store_stmt *stmt;
		bool has_row;
		CU_ASSERT_EQUAL_FATAL(
			store_prepare(conn, bytes_of(request->count_sql), &stmt), STORE_OK);
		CU_ASSERT_EQUAL(store_step(stmt, &has_row), STORE_OK);
		answer = store_column_int64(stmt, 0);
	}
	return result;
}

static int open_with(const struct migrate_set *set, const char *count_sql, struct err *err)
{
	struct request request = { set, count_sql };
	struct store_config config = { .path = path,
		.n_loops = 0,
		.n_readers = 1,
		.write_queue_limit = 10,
		.on_open = on_open,
		.on_open_context = &request };
	struct store *store = NULL;
	*err = (struct err){ 0 };
	answer = -1;
	int result = store_open(&config, executor, &store, err);
	store_close(store);
	return result;
}

#define STEP(id, name, digest, sql)                                                                \
	{                                                                                          \
		id, name, digest,                                                                  \
		{                                                                                  \
			sql, sizeof(sql) - 1                                                       \
		}                                                                                  \
	}

static void steps_are_applied_once_and_in_order(void)
{
	setup();
	static const struct migrate_step steps[] = {
		STEP(1, "0001_create_a", "d1", "CREATE TABLE a(x INT); INSERT INTO a VALUES(1);"),
		STEP(2, "0002_fill_a", "d2", "INSERT INTO a SELECT x + 1 FROM a;\n-- the end\n"),
	};
	const struct migrate_set one = { steps, 1 }, two = { steps, 2 };
	struct err err;
	CU_ASSERT_EQUAL(open_with(&one, "SELECT count(*) FROM a", &err), 0);
	CU_ASSERT_EQUAL(answer, 1);
	CU_ASSERT_EQUAL(open_with(&two, "SELECT count(*) FROM a", &err), 0);
	CU_ASSERT_EQUAL(answer, 2);
	CU_ASSERT_EQUAL(open_with(&two, "SELECT count(*) FROM a", &err), 0);
	CU_ASSERT_EQUAL(answer, 2);
	CU_ASSERT_EQUAL(open_with(&two, "SELECT count(*) FROM _migrations", &err), 0);
	CU_ASSERT_EQUAL(answer, 2);
	teardown();
}

static void a_newer_database_is_refused(void)
{
	setup();
	static const struct migrate_step steps[] = {
		STEP(1, "0001_create_a", "d1", "CREATE TABLE a(x INT)"),
		STEP(2, "0002_create_b", "d2", "CREATE TABLE b(x INT)"),
	};
	const struct migrate_set one = { steps, 1 }, two = { steps, 2 };
	struct err err;
	CU_ASSERT_EQUAL(open_with(&two, NULL, &err), 0);
	CU_ASSERT_EQUAL(open_with(&one, NULL, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_STATE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "newer server (migration 0002_create_b)"));
	teardown();
}

static void a_changed_step_is_refused(void)
{
	setup();
	static const struct migrate_step first[] = { STEP(1, "0001_a", "d1", "CREATE TABLE a(x)") };
	static const struct migrate_step changed[] = { STEP(
		1, "0001_a", "d9", "CREATE TABLE a(y)") };
	const struct migrate_set one = { first, 1 }, other = { changed, 1 };
	struct err err;
	CU_ASSERT_EQUAL(open_with(&one, NULL, &err), 0);
	CU_ASSERT_EQUAL(open_with(&other, NULL, &err), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "changed files"));
	teardown();
}

static void a_step_that_fails_leaves_the_step_before(void)
{
	setup();
	static const struct migrate_step steps[] = {
		STEP(1, "0001_create_a", "d1", "CREATE TABLE a(x INT)"),
		STEP(2, "0002_break", "d2", "CREATE TABLE b(x INT); INSERT INTO nosuch VALUES(1)"),
	};
	const struct migrate_set one = { steps, 1 }, two = { steps, 2 };
	struct err err;
	CU_ASSERT_EQUAL(
		open_with(
			&two, "SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b')", &err),
		-1);
	CU_ASSERT_EQUAL(answer, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "0002_break"));
	CU_ASSERT_EQUAL(open_with(&one, "SELECT count(*) FROM _migrations", &err), 0);
	CU_ASSERT_EQUAL(answer, 1);
	teardown();
}

static void the_built_in_sets_apply_to_an_empty_database(void)
{
	setup();
	struct err err;
	CU_ASSERT_EQUAL(open_with(migrate_tenant(), "SELECT count(*) FROM _collections", &err), 0);
	CU_ASSERT_EQUAL(answer, 0);
	CU_ASSERT(migrate_tenant()->n_steps > 0);
	CU_ASSERT_EQUAL(strlen(migrate_tenant()->steps[0].digest), 64);
	strcat(path, "2");
	CU_ASSERT_EQUAL(open_with(migrate_control(), NULL, &err), 0);
	teardown();
}

static const struct unit_test tests[] = {
	UNIT(steps_are_applied_once_and_in_order),
	UNIT(a_newer_database_is_refused),
	UNIT(a_changed_step_is_refused),
	UNIT(a_step_that_fails_leaves_the_step_before),
	UNIT(the_built_in_sets_apply_to_an_empty_database),
};

UNIT_MAIN("migrate", tests)
