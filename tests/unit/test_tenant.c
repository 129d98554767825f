#include "executor.h"
#include "migrate.h"
#include "tenant.h"
#include "tenant_web.h"
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/tenon-tenant-XXXXXX";
static struct executor *executor;
static struct loop *loop;
static struct store *control;
static _Atomic unsigned n_closed;

static int open_one(void *context, struct tenant *tenant, const char *path,
	struct store **ret_store, void **ret_hung, struct err *err)
{
	struct store_config config = {
		.path = path, .n_loops = 1, .n_readers = 1, .write_queue_limit = 16
	};

	(void)context;
	(void)tenant;
	*ret_hung = strdup(path);
	return store_open(&config, executor, ret_store, err);
}

static void close_one(void *context, struct store *store, void *hung)
{
	(void)context;
	n_closed++;
	store_close(store);
	free(hung);
}

static struct tenant_catalogue *setup(unsigned open_limit)
{
	struct executor_config lanes = { .n_threads = { 1, 1, 1, 1 },
		.queue_limit = { 64, 64, 64, 64 } };
	struct tenant_catalogue *catalogue = NULL;
	char path[128];

	if (!executor) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
		CU_ASSERT_EQUAL_FATAL(executor_new(&lanes, &executor, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
		(void)snprintf(path, sizeof path, "%s/control.db", folder);
		struct store_config store = { .path = path,
			.n_loops = 1,
			.n_readers = 1,
			.write_queue_limit = 16,
			.on_open = migrate_on_open,
			.on_open_context = (void *)(uintptr_t)migrate_control() };
		CU_ASSERT_EQUAL_FATAL(store_open(&store, executor, &control, NULL), 0);
	}
	struct tenant_config config = { .data_folder = folder,
		.control = control,
		.executor = executor,
		.open_limit = open_limit,
		.on_open = open_one,
		.on_close = close_one };
	CU_ASSERT_EQUAL_FATAL(tenant_catalogue_open(&config, &catalogue, NULL), 0);
	return catalogue;
}

static void created(struct tenant_request *request)
{
	loop_stop(request->loop);
}

static enum tenant_outcome create(struct tenant_catalogue *catalogue, const char *name)
{
	struct tenant_request request = { .done = created, .loop = loop };

	tenant_create(catalogue, bytes_of(name), &request);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	return request.outcome;
}

static void used(struct tenant_use *use, bool is_open)
{
	CU_ASSERT(is_open);
	loop_stop(use->loop);
}

static void use(struct tenant *tenant, struct tenant_use *use_of)
{
	*use_of = (struct tenant_use){ .done = used, .loop = loop };
	tenant_use_begin(tenant, use_of);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
}

static void names_follow_the_rule(void)
{
	CU_ASSERT(tenant_name_is_valid(BYTES("shop")));
	CU_ASSERT(tenant_name_is_valid(BYTES("a1-b")));
	CU_ASSERT(!tenant_name_is_valid(BYTES("a")));
	CU_ASSERT(!tenant_name_is_valid(BYTES("1shop")));
	CU_ASSERT(!tenant_name_is_valid(BYTES("Shop")));
	CU_ASSERT(!tenant_name_is_valid(BYTES("../etc")));
	CU_ASSERT(!tenant_name_is_valid(BYTES("abcdefghijklmnopqrstuvwxyz123456")));
}

static void a_tenant_is_found_after_a_restart(void)
{
	struct tenant_catalogue *catalogue = setup(8);

	CU_ASSERT_EQUAL(create(catalogue, "shop"), TENANT_OK);
	CU_ASSERT_EQUAL(create(catalogue, "shop"), TENANT_EXISTS);
	CU_ASSERT_EQUAL(create(catalogue, "Shop"), TENANT_BAD_NAME);
	CU_ASSERT_PTR_NOT_NULL(tenant_find(catalogue, BYTES("shop")));
	tenant_catalogue_close(catalogue);

	catalogue = setup(8);
	struct tenant *shop = tenant_find(catalogue, BYTES("shop"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(shop);
	CU_ASSERT_EQUAL(tenant_get_state(shop), TENANT_ACTIVE);
	struct tenant_request request = { .done = created, .loop = loop };
	tenant_set_state(shop, TENANT_SUSPENDED, &request);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT_EQUAL(tenant_get_state(shop), TENANT_SUSPENDED);
	tenant_catalogue_close(catalogue);

	catalogue = setup(8);
	CU_ASSERT_EQUAL(tenant_get_state(tenant_find(catalogue, BYTES("shop"))), TENANT_SUSPENDED);
	tenant_catalogue_close(catalogue);
}

static unsigned n_folders(void)
{
	char path[128];
	unsigned n = 0;

	(void)snprintf(path, sizeof path, "%s/tenants", folder);
	DIR *tenants = opendir(path);
	for (struct dirent *entry; (entry = readdir(tenants));)
		n += entry->d_name[0] != '.';
	(void)closedir(tenants);
	return n;
}

static unsigned n_created;

static void created_beside(struct tenant_request *request)
{
	if (++n_created == 2)
		loop_stop(request->loop);
}

static void of_two_that_are_made_at_once_one_stays(void)
{
	struct tenant_catalogue *catalogue = setup(8);
	struct tenant_request first = { .done = created_beside, .loop = loop }, second = first;
	unsigned before = n_folders();

	n_created = 0;
	tenant_create(catalogue, BYTES("twin"), &first);
	tenant_create(catalogue, BYTES("twin"), &second);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT_EQUAL(first.outcome + second.outcome, TENANT_OK + TENANT_EXISTS);
	CU_ASSERT_EQUAL(n_folders(), before + 1);
	tenant_catalogue_close(catalogue);
}

static void a_database_in_use_is_never_closed(void)
{
	struct tenant_catalogue *catalogue = setup(1);
	struct tenant_use first, second, third;

	CU_ASSERT_EQUAL(create(catalogue, "one"), TENANT_OK);
	CU_ASSERT_EQUAL(create(catalogue, "two"), TENANT_OK);
	CU_ASSERT_EQUAL(create(catalogue, "three"), TENANT_OK);
	unsigned before = n_closed;
	use(tenant_find(catalogue, BYTES("one")), &first);
	use(tenant_find(catalogue, BYTES("two")), &second);
	CU_ASSERT_EQUAL(n_closed, before);
	CU_ASSERT_PTR_NOT_NULL(tenant_store(tenant_find(catalogue, BYTES("one"))));
	tenant_use_end(&first);
	use(tenant_find(catalogue, BYTES("three")), &third);
	/* The surplus is closed on the executor, after the third was let in. */
	for (int i = 0; i < 200 && tenant_store(tenant_find(catalogue, BYTES("one"))); i++)
		(void)usleep(10000);
	CU_ASSERT_EQUAL(n_closed, before + 1);
	CU_ASSERT_PTR_NULL(tenant_store(tenant_find(catalogue, BYTES("one"))));
	use(tenant_find(catalogue, BYTES("one")), &first);
	CU_ASSERT_PTR_NOT_NULL(tenant_hung(tenant_find(catalogue, BYTES("one"))));
	tenant_use_end(&first);
	tenant_use_end(&second);
	tenant_use_end(&third);
	tenant_catalogue_close(catalogue);
}

static bool was_open;
static char why[256];

static void tried(struct tenant_use *use, bool is_open)
{
	was_open = is_open;
	(void)snprintf(why, sizeof why, "%s", use->err.message);
	if (is_open)
		tenant_use_end(use);
	loop_stop(use->loop);
}

static bool opens(struct tenant *tenant)
{
	struct tenant_use try = { .done = tried, .loop = loop };

	tenant_use_begin(tenant, &try);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	return was_open;
}

static void a_lost_database_is_not_replaced(void)
{
	char path[128], kept[136];
	struct tenant_catalogue *catalogue = setup(8);
	CU_ASSERT_EQUAL(create(catalogue, "lost"), TENANT_OK);
	CU_ASSERT_EQUAL(create(catalogue, "kept"), TENANT_OK);
	struct tenant *lost = tenant_find(catalogue, BYTES("lost"));
	(void)snprintf(path, sizeof path, "%s/tenants/%s/data.db", folder, tenant_id(lost));
	(void)snprintf(kept, sizeof kept, "%s.kept", path);
	CU_ASSERT(opens(lost));
	tenant_catalogue_close(catalogue);

	CU_ASSERT_EQUAL(rename(path, kept), 0);
	catalogue = setup(8);
	lost = tenant_find(catalogue, BYTES("lost"));
	CU_ASSERT(tenant_check_database(lost, NULL) < 0);
	CU_ASSERT(!opens(lost));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "\"lost\" is gone"));
	CU_ASSERT(access(path, F_OK) < 0);
	CU_ASSERT(opens(tenant_find(catalogue, BYTES("kept"))));
	/* One of no bytes holds nothing either. */
	fclose(fopen(path, "w"));
	CU_ASSERT(!opens(lost));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "is empty"));
	/* Put back, it is served without a restart. */
	CU_ASSERT_EQUAL(rename(kept, path), 0);
	CU_ASSERT(opens(lost));
	tenant_catalogue_close(catalogue);
}

static void everything_closes(void)
{
	char command[64];

	store_close(control);
	loop_free(loop);
	executor_free(executor);
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static enum tenant_outcome set_web(struct tenant *tenant, const char *hosts, const char *origins)
{
	struct tenant_request request = { .done = created, .loop = loop };

	tenant_set_web(tenant, bytes_of(hosts), bytes_of(origins), &request);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	return request.outcome;
}

static void a_host_name_is_one_tenants_alone(void)
{
	struct tenant_catalogue *catalogue = setup(8);

	(void)create(catalogue, "web-one");
	(void)create(catalogue, "web-two");
	struct tenant *one = tenant_find(catalogue, BYTES("web-one"));
	struct tenant *two = tenant_find(catalogue, BYTES("web-two"));
	CU_ASSERT_PTR_NULL(tenant_find_host(catalogue, BYTES("a.test")));
	CU_ASSERT_EQUAL(set_web(one, "a.test b.test", "https://x.test"), TENANT_OK);
	CU_ASSERT_PTR_EQUAL(tenant_find_host(catalogue, BYTES("A.Test:8090")), one);
	CU_ASSERT_PTR_EQUAL(tenant_find_host(catalogue, BYTES("b.test.")), one);
	CU_ASSERT_PTR_NULL(tenant_find_host(catalogue, BYTES("c.test")));
	CU_ASSERT_EQUAL(set_web(two, "c.test b.test", ""), TENANT_EXISTS);
	CU_ASSERT_PTR_NULL(tenant_find_host(catalogue, BYTES("c.test")));
	/* What the refused request claimed is free again, and so is what is given up. */
	CU_ASSERT_EQUAL(set_web(one, "a.test c.test", ""), TENANT_OK);
	CU_ASSERT_PTR_NULL(tenant_find_host(catalogue, BYTES("b.test")));
	CU_ASSERT_EQUAL(set_web(two, "b.test", "http://127.0.0.1:5173 https://y.test"), TENANT_OK);
	CU_ASSERT_EQUAL(tenant_web(two)->n_origins, 2);
	tenant_catalogue_close(catalogue);
	catalogue = setup(8);
	two = tenant_find(catalogue, BYTES("web-two"));
	CU_ASSERT_PTR_EQUAL(tenant_find_host(catalogue, BYTES("b.test")), two);
	CU_ASSERT_EQUAL(tenant_web(two)->n_origins, 2);
	CU_ASSERT_EQUAL(set_web(two, "", ""), TENANT_OK);
	CU_ASSERT_PTR_NULL(tenant_find_host(catalogue, BYTES("b.test")));
	tenant_catalogue_close(catalogue);
}

static void host_names_and_origins_follow_their_rules(void)
{
	static const char *const hosts[] = { "a.test", "a-b.c", "xn--bcher-kva.example", "app1",
		"9to5.example" };
	static const char *const no_hosts[] = { "", "localhost", "127.0.0.1", "[::1]", "A.test",
		"a..b", "-a.test", "a-.test", "a.test:80", "a b", "a/b", "*", "a.12", "é.test" };
	static const char *const origins[] = { "https://a.test", "http://localhost:5173",
		"http://127.0.0.1:8080", "http://[::1]:3000" };
	static const char *const no_origins[] = { "", "a.test", "https://", "https://a.test/",
		"ftp://a.test", "null", "*", "https://*.a.test",
		"https://a.test:", "https://u@a.test" };

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		CU_ASSERT(tenant_host_is_valid(bytes_of(hosts[i])));
	for (size_t i = 0; i < sizeof no_hosts / sizeof no_hosts[0]; i++)
		CU_ASSERT(!tenant_host_is_valid(bytes_of(no_hosts[i])));
	for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++)
		CU_ASSERT(tenant_origin_is_valid(bytes_of(origins[i])));
	for (size_t i = 0; i < sizeof no_origins / sizeof no_origins[0]; i++) {
		if (tenant_origin_is_valid(bytes_of(no_origins[i])))
			printf("origin %s\n", no_origins[i]);
		CU_ASSERT(!tenant_origin_is_valid(bytes_of(no_origins[i])));
	}
}

static const struct unit_test tests[] = {
	UNIT(names_follow_the_rule),
	UNIT(a_tenant_is_found_after_a_restart),
	UNIT(a_host_name_is_one_tenants_alone),
	UNIT(host_names_and_origins_follow_their_rules),
	UNIT(of_two_that_are_made_at_once_one_stays),
	UNIT(a_database_in_use_is_never_closed),
	UNIT(a_lost_database_is_not_replaced),
	UNIT(everything_closes),
};

UNIT_MAIN("tenant", tests)
