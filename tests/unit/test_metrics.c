#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_rollup.h"
#include "unit.h"

static const struct metrics_family requests = { .name = "tenon_requests_total",
	.help = "Requests answered",
	.type = METRICS_COUNTER,
	.labels = { "tenant", "class" } };
static const struct metrics_family in_flight = {
	.name = "tenon_in_flight", .help = "Requests under way", .type = METRICS_GAUGE
};
static const struct metrics_family latency = { .name = "tenon_latency_seconds",
	.help = "Time to answer",
	.type = METRICS_HISTOGRAM,
	.labels = { "class" } };

static struct metrics_series request_series(
	struct metrics *m, const char *tenant, const char *class)
{
	return metrics_series(m, &requests, (struct bytes[]){ bytes_of(tenant), bytes_of(class) });
}

static void shards_are_summed(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;

	CU_ASSERT_EQUAL_FATAL(metrics_new(3, 100, &m, NULL), 0);
	struct metrics_series s = request_series(m, "shop", "2xx");
	struct metrics_series g = metrics_series(m, &in_flight, NULL);
	metrics_add(m, 0, s, 5);
	metrics_add(m, 1, s, 7);
	metrics_add(m, 2, s, 1);
	metrics_change(m, 0, g, 4);
	metrics_change(m, 1, g, -1);
	metrics_set(m, 2, g, 10);
	metrics_set(m, 2, g, -20);
	CU_ASSERT_EQUAL(metrics_value(m, s), 13);
	CU_ASSERT_EQUAL((int64_t)metrics_value(m, g), -17);
	CU_ASSERT_EQUAL(request_series(m, "shop", "2xx").slot, s.slot);
	CU_ASSERT_NOT_EQUAL(request_series(m, "shop", "4xx").slot, s.slot);
}

static void the_empty_series_counts_nothing(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;

	CU_ASSERT_EQUAL_FATAL(metrics_new(1, 10, &m, NULL), 0);
	struct metrics_series first = request_series(m, "a", "2xx");
	metrics_observe(m, 0, (struct metrics_series){ 0 }, UINT64_MAX);
	metrics_add(m, 0, (struct metrics_series){ 0 }, 1);
	CU_ASSERT_EQUAL(metrics_value(m, (struct metrics_series){ 0 }), 0);
	CU_ASSERT_EQUAL(metrics_value(m, first), 0);
}

static void beyond_the_bound_series_become_other(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;
	char name[16];

	CU_ASSERT_EQUAL_FATAL(metrics_new(1, 8, &m, NULL), 0);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof name, "t%d", i);
		metrics_add(m, 0, request_series(m, name, "2xx"), 1);
		metrics_observe(
			m, 0, metrics_series(m, &latency, (struct bytes[]){ bytes_of(name) }), 1);
	}
	/* One histogram and seven counters have series of their own, all others share one. */
	CU_ASSERT_EQUAL(metrics_value(m, request_series(m, "t6", "2xx")), 1);
	CU_ASSERT_EQUAL(metrics_value(m, request_series(m, "other", "other")), 93);
	CU_ASSERT_EQUAL(
		metrics_value(m, metrics_series(m, &latency, (struct bytes[]){ BYTES("other") })),
		99);
}

static void quantiles_are_within_a_quarter(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;
	struct metrics_histogram h;

	CU_ASSERT_EQUAL_FATAL(metrics_new(2, 10, &m, NULL), 0);
	struct metrics_series s = metrics_series(m, &latency, (struct bytes[]){ BYTES("2xx") });
	metrics_histogram(m, s, &h);
	CU_ASSERT_EQUAL(metrics_quantile_ns(&h, 0.5), 0);
	for (uint64_t i = 1; i <= 10000; i++)
		metrics_observe(m, (unsigned)(i & 1), s, i * 10000); /* 10 us to 100 ms, evenly */
	metrics_histogram(m, s, &h);
	CU_ASSERT_EQUAL(h.count, 10000);
	CU_ASSERT_EQUAL(h.sum_ns, 10000ull * 10001 / 2 * 10000);
	static const double quantiles[] = { 0.01, 0.5, 0.95, 0.99, 1 };
	for (size_t i = 0; i < 5; i++) {
		double exact = quantiles[i] * 100e6,
		       found = (double)metrics_quantile_ns(&h, quantiles[i]);
		CU_ASSERT(found > exact * 0.75 && found < exact * 1.25);
	}
	metrics_observe(m, 0, s, 0);
	metrics_observe(m, 0, s, UINT64_MAX);
	metrics_histogram(m, s, &h);
	CU_ASSERT_EQUAL(h.buckets[0], 1);
	CU_ASSERT_EQUAL(h.buckets[METRICS_BUCKETS - 1], 1);
}

static void the_exposition_is_what_prometheus_reads(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf out;

	bytes_buf_init(&out, 65536);
	CU_ASSERT_EQUAL_FATAL(metrics_new(1, 10, &m, NULL), 0);
	metrics_add(m, 0, request_series(m, "a\"b\\c\nd", "2xx"), 3);
	metrics_change(m, 0, metrics_series(m, &in_flight, NULL), -2);
	struct metrics_series s = metrics_series(m, &latency, (struct bytes[]){ BYTES("2xx") });
	metrics_observe(m, 0, s, 1000000);      /* 1 ms */
	metrics_observe(m, 0, s, 500000000000); /* 500 s: beyond the last bound */
	CU_ASSERT(metrics_expose(m, &out));
	bytes_buf_append_byte(&out, '\0');
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p,
		"# HELP tenon_requests_total Requests answered\n"
		"# TYPE tenon_requests_total counter\n"
		"tenon_requests_total{tenant=\"a\\\"b\\\\c\\nd\",class=\"2xx\"} 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "# TYPE tenon_in_flight gauge\ntenon_in_flight -2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(
		out.p, "tenon_latency_seconds_bucket{class=\"2xx\",le=\"0.000524288\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(
		out.p, "tenon_latency_seconds_bucket{class=\"2xx\",le=\"0.001048576\"} 1\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out.p, "tenon_latency_seconds_bucket{class=\"2xx\",le=\"34.3597384\"} 1\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out.p, "tenon_latency_seconds_bucket{class=\"2xx\",le=\"+Inf\"} 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "tenon_latency_seconds_sum{class=\"2xx\"} 500.001\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "tenon_latency_seconds_count{class=\"2xx\"} 2\n"));

	DEFER(bytes_buf_fini) struct bytes_buf small;
	bytes_buf_init(&small, 100);
	CU_ASSERT(!metrics_expose(m, &small));
}

struct counting {
	struct metrics *metrics;
	struct metrics_series series;
	unsigned shard;
};

static void *count_to_100000(void *arg)
{
	struct counting *c = arg;

	for (int i = 0; i < 100000; i++)
		metrics_add(c->metrics, c->shard, c->series, 1);
	return NULL;
}

static void nothing_is_lost_between_threads(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;
	pthread_t threads[4];
	struct counting counting[4];

	CU_ASSERT_EQUAL_FATAL(metrics_new(4, 10, &m, NULL), 0);
	struct metrics_series s = request_series(m, "shop", "2xx");
	for (unsigned i = 0; i < 4; i++) {
		counting[i] = (struct counting){ m, s, i };
		pthread_create(&threads[i], NULL, count_to_100000, &counting[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(metrics_value(m, s), 400000);
}

struct seen {
	char text[512];
};

static void note(void *user, struct bytes key, const double *samples, size_t n, int64_t last_s)
{
	struct seen *seen = user;
	size_t at = strlen(seen->text);

	at += (size_t)snprintf(seen->text + at, sizeof seen->text - at, "%.*s@%lld:", (int)key.n,
		key.p, (long long)last_s);
	for (size_t i = 0; i < n && at < sizeof seen->text - 16; i++)
		at += (size_t)snprintf(seen->text + at, sizeof seen->text - at, "%g,", samples[i]);
	(void)snprintf(seen->text + at, sizeof seen->text - at, ";");
}

static void a_rollup_keeps_what_each_second_brought(void)
{
	DEFER(metrics_free) struct metrics *m = NULL;
	DEFER(metrics_rollup_free) struct metrics_rollup *r = NULL;
	struct seen seen = { 0 };

	CU_ASSERT_EQUAL_FATAL(metrics_new(1, 10, &m, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(metrics_rollup_new(m, 3, &r, NULL), 0);
	struct metrics_series s = request_series(m, "shop", "2xx");
	struct metrics_series h = metrics_series(m, &latency, (struct bytes[]){ BYTES("2xx") });
	struct metrics_series g = metrics_series(m, &in_flight, NULL);
	metrics_add(m, 0, s, 1000); /* before it is followed */
	CU_ASSERT(metrics_rollup_follow(r, BYTES("req"), METRICS_COUNTER, s));
	CU_ASSERT(metrics_rollup_follow(r, BYTES("req"), METRICS_COUNTER, s)); /* once */
	CU_ASSERT(metrics_rollup_follow(r, BYTES("now"), METRICS_GAUGE, g));
	CU_ASSERT(metrics_rollup_follow_quantile(r, BYTES("p50"), h, 0.5));
	CU_ASSERT(!metrics_rollup_follow(r, BYTES("more"), METRICS_COUNTER, s));
	metrics_add(m, 0, s, 5);
	metrics_set(m, 0, g, -3);
	metrics_observe(m, 0, h, 1ull << 20);
	metrics_rollup_tick(r, 100);
	metrics_add(m, 0, s, 2);
	metrics_rollup_tick(r, 101);
	metrics_add(m, 0, s, 9);
	metrics_rollup_tick(r, 104);
	metrics_rollup_read(r, 0, note, &seen);
	CU_ASSERT_STRING_EQUAL(
		seen.text, "req@104:5,2,0,0,9,;now@104:-3,-3,0,0,-3,;p50@104:1.17965,0,0,0,0,;");
	memset(&seen, 0, sizeof seen);
	CU_ASSERT(metrics_rollup_read_one(r, BYTES("now"), 102, note, &seen));
	CU_ASSERT_STRING_EQUAL(seen.text, "now@104:0,-3,;");
	CU_ASSERT(!metrics_rollup_read_one(r, BYTES("none"), 0, note, &seen));
	memset(&seen, 0, sizeof seen);
	metrics_rollup_forget(r, BYTES("now"));
	metrics_rollup_read(r, 103, note, &seen);
	CU_ASSERT_STRING_EQUAL(seen.text, "req@104:9,;p50@104:0,;");
	memset(&seen, 0, sizeof seen);
	metrics_rollup_read(r, 104, note, &seen);
	CU_ASSERT_STRING_EQUAL(seen.text, "req@104:;p50@104:;");
	/* A clock set back goes on counting, and the ring goes round. */
	metrics_rollup_tick(r, 50);
	for (int i = 51; i < 3000; i++) {
		metrics_add(m, 0, s, (uint64_t)(i == 2999));
		metrics_rollup_tick(r, i);
	}
	memset(&seen, 0, sizeof seen);
	metrics_rollup_read(r, 2997, note, &seen);
	CU_ASSERT_STRING_EQUAL(seen.text, "req@2999:0,1,;p50@2999:0,0,;");
}

static const struct unit_test tests[] = {
	UNIT(shards_are_summed),
	UNIT(the_empty_series_counts_nothing),
	UNIT(beyond_the_bound_series_become_other),
	UNIT(quantiles_are_within_a_quarter),
	UNIT(the_exposition_is_what_prometheus_reads),
	UNIT(nothing_is_lost_between_threads),
	UNIT(a_rollup_keeps_what_each_second_brought),
};

UNIT_MAIN("metrics", tests)
