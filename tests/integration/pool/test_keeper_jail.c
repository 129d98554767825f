/*
 * What the keeper keeps when something dies or fails on the way from a file to the version that
 * serves.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bed.h"
#include "clock.h"
#include "unit.h"

#define RULES    "order-rules-1.0.0.so"
#define RULES_2  "order-rules-build-2.so"
#define SABOTEUR "saboteur-1.0.0.so"
#define CHANG    "chang0000000000"

static char said[512];

/* Waits until the plugin's state is so, at most 5 s. */
static bool reaches(const char *tenant, const char *plugin, const char *state)
{
	struct deploy_status status;
	for (unsigned i = 0; i < 500; i++) {
		if (bed_status(tenant, plugin, &status) && strcmp(status.state, state) == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static bool is_build(const char *number)
{
	char words[32];
	snprintf(words, sizeof words, "\"build\":%s", number);
	return strstr(bed_call(0, "shop", "order-rules", "/build").body, words) != NULL;
}

/* A deployment that is waited for elsewhere. */
struct deployment_run {
	pthread_t thread;
	const char *tenant, *file;
	enum deploy_outcome outcome;
	char message[512];
};

static void *run_deployment(void *argument)
{
	struct deployment_run *run = argument;
	run->outcome = bed_deploy(run->tenant, run->file, run->message);
	return NULL;
}

/* Kills the new worker once it is probed and its row is with the writer, which cannot go on. */
static void deploy_and_kill(struct deployment_run *run, const char *tenant, const char *file)
{
	unsigned n_before = bed_measure().n_workers;
	*run = (struct deployment_run){ .tenant = tenant, .file = file };
	bed_hold_control();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&run->thread, NULL, run_deployment, run), 0);
	bed_pass_one_to_control(); /* the version, before there is a worker */
	while (bed_measure().n_workers == n_before)
		usleep(1000);
	usleep(300000);
	kill(bed_newest_worker(), SIGKILL);
	while (bed_measure().n_workers > n_before)
		usleep(1000);
	usleep(100000);
	bed_release_control();
	pthread_join(run->thread, NULL);
}

static void a_first_upload_that_is_refused_leaves_nothing_listed(void)
{
	struct deploy_status status;
	bed_start();
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES, said), DEPLOY_REFUSED);
	CU_ASSERT(!bed_status("shop", "order-rules", &status));
	bed_make_shop("shop");
	bed_make_shop("other");
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES, said), DEPLOY_DONE);
	CU_ASSERT(reaches("shop", "order-rules", "active"));
}

static void a_worker_that_dies_while_its_row_is_written_changes_nothing(void)
{
	struct deployment_run run;
	struct deploy_status status;
	deploy_and_kill(&run, "shop", RULES_2);
	CU_ASSERT_EQUAL(run.outcome, DEPLOY_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.message, "killed by signal 9"));
	CU_ASSERT(is_build("1"));
	/* The first one of a tenant has no row to go back to. */
	deploy_and_kill(&run, "other", SABOTEUR);
	CU_ASSERT_EQUAL(run.outcome, DEPLOY_REFUSED);
	usleep(200000);
	CU_ASSERT(!bed_status("other", "saboteur", &status));
	bed_stop();
	bed_start();
	CU_ASSERT(is_build("1"));
	CU_ASSERT(!bed_status("other", "saboteur", &status));
}

static void a_refused_upload_leaves_a_crashed_plugin_to_its_timer(void)
{
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT(reaches("shop", "order-rules", "active"));
		struct deploy_status status;
		while (bed_status("shop", "order-rules", &status) && !status.worker_pid)
			usleep(1000);
		kill(status.worker_pid, SIGKILL);
		while (bed_status("shop", "order-rules", &status) && status.n_worker_ends < i + 1)
			usleep(1000);
	}
	CU_ASSERT(reaches("shop", "order-rules", "backing-off")); /* for 400 ms */
	bed_tenant_script("shop", "ALTER TABLE products RENAME COLUMN stock TO stocked");
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES_2, said), DEPLOY_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "stock"));
	CU_ASSERT(reaches("shop", "order-rules", "active"));
	bed_tenant_script("shop", "ALTER TABLE products RENAME COLUMN stocked TO stock");
	CU_ASSERT(is_build("1"));
}

static void an_attached_statement_that_no_longer_fits_is_a_503(void)
{
	char words[256];
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 200);
	/* The hook's own query still fits; the write that it attaches cannot be prepared. */
	bed_tenant_script("shop", "CREATE TRIGGER broken BEFORE UPDATE ON products "
				  "BEGIN SELECT gone FROM products; END");
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 503);
	bed_tenant_script("shop", "DROP TRIGGER broken");
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 200);
}

static void an_attached_write_that_a_constraint_stops_is_the_hooks_refusal(void)
{
	char words[256];
	int left = (int)bed_stock("shop", CHANG);
	bed_tenant_script("shop", "CREATE UNIQUE INDEX by_stock ON products(stock)");
	/* The other product has 10 in stock. */
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, left - 10, words), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "\"quantity\""));
	CU_ASSERT_PTR_NULL(strstr(words, "unique"));
	CU_ASSERT_EQUAL(bed_stock("shop", CHANG), left);
	bed_tenant_script("shop", "DROP INDEX by_stock");
	bed_stop();
}

static void a_stop_answers_what_waits_in_a_worker_that_stays(void)
{
	bed_start();
	CU_ASSERT_EQUAL(bed_deploy("other", "stay.so", said), DEPLOY_DONE);
	struct bed_load *load = bed_load_start(1, 2, "other", "stay", "/sin");
	usleep(100000);
	uint64_t began = clock_mono_ns();
	bed_stop_keeper();
	uint64_t ms = (clock_mono_ns() - began) / CLOCK_NS_PER_MS;
	printf(" [stopped after %u ms]", (unsigned)ms);
	CU_ASSERT(ms >= 4000 && ms < 5000);
	struct bed_load_result result = bed_load_stop(load); /* its calls have all come back */
	CU_ASSERT_EQUAL(result.n_answered, 0);
	CU_ASSERT(result.n_other >= 2);
	bed_stop_rest();
}

static void a_plugin_whose_manifest_cannot_be_read_guards_every_write(void)
{
	char words[256];
	bed_start();
	bed_control_script("UPDATE plugin_versions SET manifest = '{'||manifest "
			   "WHERE plugin = 'order-rules'");
	bed_stop();
	bed_start();
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/build").found, POOL_DOWN);
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 503);
	CU_ASSERT_EQUAL(bed_write_line("other", CHANG, 1, words), 200);
	bed_stop();
	bed_start();
	bed_control_script("UPDATE plugin_versions SET manifest = substr(manifest, 2) "
			   "WHERE plugin = 'order-rules'");
	bed_stop();
	bed_start();
	CU_ASSERT(is_build("1"));
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 200);
	bed_stop();
}

static void a_self_test_that_cannot_begin_has_failed(void)
{
	struct deploy_self_test test;
	bed_start_without_inspector(); /* waits until the keeper says it is ready */
	deploy_self_test(bed_deploy_of(), &test);
	CU_ASSERT(test.has_run);
	CU_ASSERT_PTR_NOT_NULL(strstr(test.complaint, "tenon-there-is-none"));
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/build").found, POOL_DOWN);
	CU_ASSERT_EQUAL(bed_measure().n_workers, 0);
	bed_stop();
	bed_remove();
}

static const struct unit_test tests[] = {
	UNIT(a_first_upload_that_is_refused_leaves_nothing_listed),
	UNIT(a_worker_that_dies_while_its_row_is_written_changes_nothing),
	UNIT(a_refused_upload_leaves_a_crashed_plugin_to_its_timer),
	UNIT(an_attached_statement_that_no_longer_fits_is_a_503),
	UNIT(an_attached_write_that_a_constraint_stops_is_the_hooks_refusal),
	UNIT(a_stop_answers_what_waits_in_a_worker_that_stays),
	UNIT(a_plugin_whose_manifest_cannot_be_read_guards_every_write),
	UNIT(a_self_test_that_cannot_begin_has_failed),
};

UNIT_MAIN("keeper", tests)
