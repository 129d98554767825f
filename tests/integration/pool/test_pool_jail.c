/*
 * The plugin path, from an uploaded file to an answer, and what a plugin's misdeeds come to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit_reader.h"
#include "bed.h"
#include "clock.h"
#include "unit.h"

#define RULES    "order-rules-1.0.0.so"
#define RULES_2  "order-rules-build-2.so"
#define SABOTEUR "saboteur-1.0.0.so"
#define CHAI     "chai00000000000"
#define CHANG    "chang0000000000"

static char said[512];

static bool count_entry(const struct audit_entry *entry, void *argument)
{
	(void)entry;
	++*(unsigned *)argument;
	return true;
}

static unsigned audited(const struct audit_filter *filter)
{
	unsigned n = 0;
	CU_ASSERT_EQUAL(audit_query(bed_audit_folder(), filter, 1000, count_entry, &n, NULL), 0);
	return n;
}

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

/* A call that is served in the end: right after a crash it may meet the gap. */
static bool is_served_again(const char *tenant, const char *plugin, const char *path)
{
	for (unsigned i = 0; i < 500; i++) {
		struct bed_answer answer = bed_call(0, tenant, plugin, path);
		if (answer.found == POOL_FOUND && answer.outcome == POOL_ANSWERED)
			return true;
		usleep(10000);
	}
	return false;
}

static void the_sandbox_refuses_every_attempt_of_the_canary(void)
{
	struct deploy_self_test test;
	bed_start();
	deploy_self_test(bed_deploy_of(), &test);
	CU_ASSERT(test.has_run);
	CU_ASSERT_EQUAL(test.n_attempts, 55);
	CU_ASSERT_EQUAL(test.n_refused, 55);
	CU_ASSERT_STRING_EQUAL(test.complaint, "");
}

static void a_plugin_whose_statements_do_not_fit_the_schema_is_refused(void)
{
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES, said), DEPLOY_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "/statements/0 (\"stock\")"));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "products"));
	CU_ASSERT_EQUAL(bed_measure().n_workers, 0);
	bed_make_shop("shop");
}

static void a_route_serves_its_tenant_and_no_other(void)
{
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/hello").found, POOL_NO_PLUGIN);
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES, said), DEPLOY_DONE);
	CU_ASSERT_STRING_EQUAL(said, "");
	for (unsigned loop = 0; loop < 2; loop++) {
		struct bed_answer answer = bed_call(loop, "shop", "order-rules", "/hello");
		CU_ASSERT_EQUAL(answer.found, POOL_FOUND);
		CU_ASSERT_EQUAL(answer.outcome, POOL_ANSWERED);
		CU_ASSERT_EQUAL(answer.status, 200);
		CU_ASSERT(strlen(answer.body) > 1000);
	}
	CU_ASSERT_EQUAL(bed_call(0, "other", "order-rules", "/hello").found, POOL_NO_PLUGIN);
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/nowhere").found, POOL_NO_ROUTE);
}

static void a_query_gives_declared_rows(void)
{
	struct bed_answer answer = bed_call(1, "shop", "order-rules", "/totals");
	CU_ASSERT_EQUAL(answer.status, 200);
	CU_ASSERT_STRING_EQUAL(answer.body, "{\"items\":[]}");
	struct audit_filter filter = { .tenant = BYTES("shop"),
		.action = BYTES("db.query"),
		.object = BYTES("totals"),
		.kind = AUDIT_FACADE };
	CU_ASSERT_EQUAL(audited(&filter), 1);
}

static void two_hundred_lines_for_ten_in_stock_give_ten(void)
{
	char words[256];
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 41, words), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "\"quantity\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(words, "40 in stock"));
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 200);
	CU_ASSERT_EQUAL(bed_stock("shop", CHANG), 39);

	CU_ASSERT_EQUAL(bed_write_lines("shop", CHAI, 1, 200), 10);
	CU_ASSERT_EQUAL(bed_stock("shop", CHAI), 0);
}

static void a_broken_file_is_refused_and_changes_nothing(void)
{
	CU_ASSERT_EQUAL(
		bed_deploy_bytes("shop", BYTES("#!/bin/sh\nexit 0\n"), said), DEPLOY_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "ELF"));
	CU_ASSERT_EQUAL(bed_deploy_bytes("nobody", BYTES("x"), said), DEPLOY_NO_TENANT);
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/hello").status, 200);
}

static void a_crash_answers_502_and_the_next_call_is_served(void)
{
	CU_ASSERT_EQUAL(bed_deploy("other", SABOTEUR, said), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_call(0, "other", "saboteur", "/well").status, 200);
	struct bed_answer answer = bed_call(0, "other", "saboteur", "/crash");
	CU_ASSERT_EQUAL(answer.outcome, POOL_CRASHED);
	CU_ASSERT_EQUAL(answer.status, 502);
	uint64_t began = clock_mono_ns();
	CU_ASSERT(is_served_again("other", "saboteur", "/well"));
	uint64_t ms = (clock_mono_ns() - began) / CLOCK_NS_PER_MS;
	printf(" [served again after %u ms]", (unsigned)ms);
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/hello").status, 200);
}

static void a_loop_gets_504_at_its_deadline_and_a_new_worker(void)
{
	struct deploy_status before, after;
	CU_ASSERT(reaches("other", "saboteur", "active"));
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "other", "saboteur"), DEPLOY_DONE);
	CU_ASSERT(bed_status("other", "saboteur", &before));
	struct bed_answer answer = bed_call(1, "other", "saboteur", "/loop");
	CU_ASSERT_EQUAL(answer.outcome, POOL_DEADLINE);
	CU_ASSERT_EQUAL(answer.status, 504);
	printf(" [504 after %u ms]", (unsigned)(answer.ns / CLOCK_NS_PER_MS));
	CU_ASSERT(answer.ns > 490 * CLOCK_NS_PER_MS);
	CU_ASSERT(is_served_again("other", "saboteur", "/well"));
	CU_ASSERT(reaches("other", "saboteur", "active"));
	CU_ASSERT(bed_status("other", "saboteur", &after));
	CU_ASSERT_NOT_EQUAL(before.worker_pid, after.worker_pid);
}

static void noise_in_the_ring_ends_the_worker_and_harms_nobody(void)
{
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "other", "saboteur"), DEPLOY_DONE);
	struct bed_load *load = bed_load_start(0, 4, "shop", "order-rules", "/hello");
	struct bed_answer answer = bed_call(0, "other", "saboteur", "/ring");
	CU_ASSERT_EQUAL(answer.status, 502);
	CU_ASSERT(is_served_again("other", "saboteur", "/well"));
	usleep(50000);
	struct bed_load_result result = bed_load_stop(load);
	CU_ASSERT_EQUAL(result.n_other, 0);
	CU_ASSERT(result.n_answered > 10);
	struct audit_filter filter = {
		.tenant = BYTES("other"), .action = BYTES("ipc.violation"), .kind = AUDIT_SANDBOX
	};
	CU_ASSERT(audited(&filter) >= 1);
}

static void what_is_not_declared_is_denied_and_recorded(void)
{
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "other", "saboteur"), DEPLOY_DONE);
	struct bed_answer answer = bed_call(0, "other", "saboteur", "/rob");
	CU_ASSERT_EQUAL(answer.status, 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.body, "3 tries, 3 refused"));
	struct audit_filter filter = {
		.tenant = BYTES("other"), .kind = AUDIT_FACADE, .decision = AUDIT_DENIED
	};
	CU_ASSERT_EQUAL(audited(&filter), 2);
}

static void five_ends_in_five_minutes_are_quarantine(void)
{
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "other", "saboteur"), DEPLOY_DONE);
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT(is_served_again("other", "saboteur", "/well"));
		CU_ASSERT_EQUAL(bed_call(i % 2, "other", "saboteur", "/abort").status, 502);
	}
	CU_ASSERT(reaches("other", "saboteur", "quarantined"));
	struct bed_answer answer = bed_call(0, "other", "saboteur", "/well");
	CU_ASSERT_EQUAL(answer.found, POOL_DOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.reason, "quarantined"));
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "other", "saboteur"), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_call(0, "other", "saboteur", "/well").status, 200);
}

static void a_worker_that_dies_as_it_takes_over_is_noticed(void)
{
	/* The first call that the new worker gets ends it, while the journal is still written. */
	bed_slow_journal(true);
	struct bed_load *load = bed_load_start(0, 1, "other", "saboteur", "/abort");
	CU_ASSERT_EQUAL(bed_deploy("other", SABOTEUR, said), DEPLOY_DONE);
	CU_ASSERT(reaches("other", "saboteur", "quarantined"));
	bed_slow_journal(false);
	(void)bed_load_stop(load);
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "other", "saboteur"), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_call(0, "other", "saboteur", "/well").status, 200);
}

static void deployments_under_load_drop_nothing_and_never_go_back(void)
{
	struct bed_load *loads[2];
	for (unsigned i = 0; i < 2; i++)
		loads[i] = bed_load_start(i, 16, "shop", "order-rules", "/hello");
	for (unsigned i = 0; i < 20; i++) {
		bool is_second = i % 2 == 0;
		CU_ASSERT_EQUAL(bed_deploy("shop", is_second ? RULES_2 : RULES, said), DEPLOY_DONE);
		for (unsigned loop = 0; loop < 2; loop++) {
			struct bed_answer answer = bed_call(loop, "shop", "order-rules", "/build");
			CU_ASSERT_STRING_EQUAL(
				answer.body, is_second ? "{\"version\":\"1.0.0\",\"build\":2}"
						       : "{\"version\":\"1.0.0\",\"build\":1}");
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		struct bed_load_result result = bed_load_stop(loads[i]);
		CU_ASSERT_EQUAL(result.n_other, 0);
		CU_ASSERT(result.n_answered > 100);
		if (result.n_other)
			printf(" [other: %u]", result.last_other);
	}
}

static void deployments_leave_nothing_behind(void)
{
	/* The first ones warm caches and allocators up. */
	for (unsigned i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(bed_deploy("shop", i % 2 ? RULES : RULES_2, said), DEPLOY_DONE);
	usleep(300000);
	struct bed_measure before = bed_measure();
	for (unsigned i = 0; i < 60; i++)
		CU_ASSERT_EQUAL(bed_deploy("shop", i % 2 ? RULES : RULES_2, said), DEPLOY_DONE);
	usleep(300000);
	struct bed_measure after = bed_measure();
	printf(" [fds %u -> %u, workers %u -> %u, rss %u -> %u KiB]", before.n_fds, after.n_fds,
		before.n_workers, after.n_workers, (unsigned)(before.rss_bytes / 1024),
		(unsigned)(after.rss_bytes / 1024));
	CU_ASSERT_EQUAL(before.n_fds, after.n_fds);
	CU_ASSERT_EQUAL(before.n_workers, 2);
	CU_ASSERT_EQUAL(after.n_workers, 2);
	CU_ASSERT(after.rss_bytes < before.rss_bytes + (1u << 20));
}

static void rollback_and_disable_do_what_they_say(void)
{
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES_2, said), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES, said), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ROLLBACK, "shop", "order-rules"), DEPLOY_DONE);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(bed_call(0, "shop", "order-rules", "/build").body, "\"build\":2"));
	CU_ASSERT_EQUAL(bed_act(DEPLOY_DISABLE, "shop", "order-rules"), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/build").found, POOL_DOWN);
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ENABLE, "shop", "order-rules"), DEPLOY_DONE);
	CU_ASSERT_EQUAL(bed_act(DEPLOY_ROLLBACK, "shop", "nothing"), DEPLOY_NOT_FOUND);
}

static void a_stop_waits_for_the_journal_of_what_it_interrupts(void)
{
	bed_stop();
	bed_slow_journal(true);
	bed_start(); /* what serves is served before its start stands in the journal */
	CU_ASSERT(is_served_again("shop", "order-rules", "/build"));
	bed_stop();
	bed_slow_journal(false);
	bed_start();
}

static void what_was_wanted_runs_again_after_a_restart(void)
{
	bed_stop();
	bed_start();
	struct bed_answer answer = bed_call(0, "shop", "order-rules", "/build");
	CU_ASSERT_EQUAL(answer.status, 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.body, "\"build\":2"));
	CU_ASSERT_EQUAL(bed_call(1, "other", "saboteur", "/well").status, 200);
	bed_stop();
}

static void a_plugin_that_cannot_start_guards_its_writes_and_is_tried_again(void)
{
	char words[256];
	bed_move_artifacts(true);
	bed_start();
	struct bed_answer answer = bed_call(0, "shop", "order-rules", "/build");
	CU_ASSERT_EQUAL(answer.found, POOL_DOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer.reason, "could not start"));
	CU_ASSERT_EQUAL(bed_write_line("shop", CHANG, 1, words), 503);
	bed_move_artifacts(false);
	CU_ASSERT(is_served_again("shop", "order-rules", "/build"));
	bed_stop();
}

static void without_a_passed_self_test_no_plugin_runs(void)
{
	bed_start_with(SABOTEUR); /* its first route crashes */
	struct deploy_self_test test;
	deploy_self_test(bed_deploy_of(), &test);
	CU_ASSERT(test.complaint[0]);
	CU_ASSERT_EQUAL(bed_call(0, "shop", "order-rules", "/hello").found, POOL_DOWN);
	CU_ASSERT_EQUAL(bed_deploy("shop", RULES, said), DEPLOY_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "may not run plugins"));
	CU_ASSERT_EQUAL(bed_measure().n_workers, 0);
	bed_stop();
	bed_remove();
}

static const struct unit_test tests[] = {
	UNIT(the_sandbox_refuses_every_attempt_of_the_canary),
	UNIT(a_plugin_whose_statements_do_not_fit_the_schema_is_refused),
	UNIT(a_route_serves_its_tenant_and_no_other),
	UNIT(a_query_gives_declared_rows),
	UNIT(two_hundred_lines_for_ten_in_stock_give_ten),
	UNIT(a_broken_file_is_refused_and_changes_nothing),
	UNIT(a_crash_answers_502_and_the_next_call_is_served),
	UNIT(a_loop_gets_504_at_its_deadline_and_a_new_worker),
	UNIT(noise_in_the_ring_ends_the_worker_and_harms_nobody),
	UNIT(what_is_not_declared_is_denied_and_recorded),
	UNIT(five_ends_in_five_minutes_are_quarantine),
	UNIT(a_worker_that_dies_as_it_takes_over_is_noticed),
	UNIT(deployments_under_load_drop_nothing_and_never_go_back),
	UNIT(deployments_leave_nothing_behind),
	UNIT(rollback_and_disable_do_what_they_say),
	UNIT(a_stop_waits_for_the_journal_of_what_it_interrupts),
	UNIT(what_was_wanted_runs_again_after_a_restart),
	UNIT(a_plugin_that_cannot_start_guards_its_writes_and_is_tried_again),
	UNIT(without_a_passed_self_test_no_plugin_runs),
};

UNIT_MAIN("pool", tests)
