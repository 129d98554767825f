/* What is counted: requests by class, their latency, refusals, and each plugin's calls. */
#include "internal.h"

#include "clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIES_MAX  4096
#define COLUMNS_MAX 600
#define EXPOSE_MAX  (4u << 20)

static const struct metrics_family requests_family = { .name = "tenon_requests_total",
	.help = "Requests answered, by class of status.",
	.type = METRICS_COUNTER,
	.labels = { "class" } };
static const struct metrics_family latency_family = { .name = "tenon_request_seconds",
	.help = "Time from the end of a request's headers to its answer being queued.",
	.type = METRICS_HISTOGRAM };
static const struct metrics_family denied_family = { .name = "tenon_requests_denied_total",
	.help = "Requests that a rule, a role or a missing sign-in refused.",
	.type = METRICS_COUNTER };
static const struct metrics_family calls_family = { .name = "tenon_plugin_calls_total",
	.help = "Calls of a plugin's routes.",
	.type = METRICS_COUNTER,
	.labels = { "tenant", "plugin" } };
static const struct metrics_family call_errors_family = { .name = "tenon_plugin_errors_total",
	.help = "Calls of a plugin's routes that ended without an answer of the plugin, or with "
		"5xx.",
	.type = METRICS_COUNTER,
	.labels = { "tenant", "plugin" } };
static const struct metrics_family call_latency_family = { .name = "tenon_plugin_call_seconds",
	.help = "Time from the end of a plugin call's headers to its answer.",
	.type = METRICS_HISTOGRAM,
	.labels = { "tenant", "plugin" } };

static const char *const classes[6] = { "other", "1xx", "2xx", "3xx", "4xx", "5xx" };

int figures_new(struct api *api, struct err *err)
{
	if (metrics_new(api->config.n_loops, SERIES_MAX, &api->metrics, err) < 0 ||
		metrics_rollup_new(api->metrics, COLUMNS_MAX, &api->rollup, err) < 0)
		return -1;
	for (unsigned i = 0; i < 6; i++) {
		struct bytes value = bytes_of(classes[i]);
		char key[32];
		api->by_class[i] = metrics_series(api->metrics, &requests_family, &value);
		(void)snprintf(key, sizeof key, "req.%s", classes[i]);
		(void)metrics_rollup_follow(
			api->rollup, bytes_of(key), METRICS_COUNTER, api->by_class[i]);
	}
	api->latency = metrics_series(api->metrics, &latency_family, NULL);
	api->denied = metrics_series(api->metrics, &denied_family, NULL);
	(void)metrics_rollup_follow(api->rollup, BYTES("denied"), METRICS_COUNTER, api->denied);
	(void)metrics_rollup_follow_quantile(api->rollup, BYTES("latency.p50"), api->latency, 0.50);
	(void)metrics_rollup_follow_quantile(api->rollup, BYTES("latency.p95"), api->latency, 0.95);
	(void)metrics_rollup_follow_quantile(api->rollup, BYTES("latency.p99"), api->latency, 0.99);
	return 0;
}

void figures_free(struct api *api)
{
	metrics_rollup_free(api->rollup);
	metrics_free(api->metrics);
}

void figures_count(struct api_lane *lane, unsigned status, uint64_t duration_ns, bool is_denied)
{
	struct api *api = lane->api;

	metrics_add(
		api->metrics, lane->shard, api->by_class[status / 100 < 6 ? status / 100 : 0], 1);
	metrics_observe(api->metrics, lane->shard, api->latency, duration_ns);
	if (is_denied)
		metrics_add(api->metrics, lane->shard, api->denied, 1);
}

/* This loop's series of a plugin; the first call makes them. Few plugins serve at once, and the one
 * that was asked for last stands first. */
static const struct plugin_series *series_of(
	struct api_lane *lane, const char *tenant, struct bytes plugin)
{
	struct api *api = lane->api;

	for (unsigned i = 0; i < lane->n_plugins; i++) {
		struct plugin_series *series = &lane->plugins[i];
		if (!bytes_eq_string(plugin, series->plugin) || strcmp(series->tenant, tenant) != 0)
			continue;
		if (i > 0) {
			struct plugin_series first = lane->plugins[0];
			lane->plugins[0] = *series;
			*series = first;
		}
		return &lane->plugins[0];
	}
	struct plugin_series *series = &lane->rest;
	if (lane->n_plugins < PLUGIN_SERIES) {
		series = &lane->plugins[lane->n_plugins++];
	} else if (lane->has_rest) {
		return series;
	} else {
		lane->has_rest = true;
		tenant = ""; /* which is no tenant's name */
		plugin = BYTES("others");
	}
	struct bytes values[2] = { bytes_of(tenant), plugin };
	char key[METRICS_ROLLUP_KEY_BYTES];
	(void)bytes_to_string(values[0], series->tenant, sizeof series->tenant);
	(void)bytes_to_string(plugin, series->plugin, sizeof series->plugin);
	series->calls = metrics_series(api->metrics, &calls_family, values);
	series->errors = metrics_series(api->metrics, &call_errors_family, values);
	series->latency = metrics_series(api->metrics, &call_latency_family, values);
	(void)snprintf(key, sizeof key, "calls %s %s", series->tenant, series->plugin);
	(void)metrics_rollup_follow(api->rollup, bytes_of(key), METRICS_COUNTER, series->calls);
	(void)snprintf(key, sizeof key, "errors %s %s", series->tenant, series->plugin);
	(void)metrics_rollup_follow(api->rollup, bytes_of(key), METRICS_COUNTER, series->errors);
	return series;
}

void figures_count_plugin(struct api_lane *lane, const char *tenant, struct bytes plugin,
	bool is_error, uint64_t duration_ns)
{
	const struct plugin_series *series = series_of(lane, tenant, plugin);
	struct metrics *metrics = lane->api->metrics;

	metrics_add(metrics, lane->shard, series->calls, 1);
	metrics_observe(metrics, lane->shard, series->latency, duration_ns);
	if (is_error)
		metrics_add(metrics, lane->shard, series->errors, 1);
}

bool figures_plugin_p95(struct api *api, const char *tenant, const char *plugin, uint64_t *ret_us,
	uint64_t *ret_calls)
{
	struct bytes values[2] = { bytes_of(tenant), bytes_of(plugin) };
	struct metrics_series latency = metrics_series(api->metrics, &call_latency_family, values);
	struct metrics_histogram histogram;

	metrics_histogram(api->metrics, latency, &histogram);
	*ret_us = metrics_quantile_ns(&histogram, 0.95) / 1000;
	*ret_calls = histogram.count;
	return histogram.count > 0;
}

/* ---- /metrics ---- */

static bool is_loopback(struct bytes peer)
{
	return bytes_starts_with(peer, BYTES("127.")) || bytes_eq(peer, BYTES("::1"));
}

static void expose_audit(struct api *api, struct bytes_buf *out)
{
	struct audit_stats audit;

	audit_stats(api->config.audit, &audit);
	(void)bytes_buf_appendf(out,
		"# HELP tenon_audit_records_total Records appended to the audit journal.\n"
		"# TYPE tenon_audit_records_total counter\ntenon_audit_records_total %llu\n"
		"# HELP tenon_audit_refused_total Appends refused: disk full or broken.\n"
		"# TYPE tenon_audit_refused_total counter\ntenon_audit_refused_total %llu\n"
		"# HELP tenon_audit_seals_total Seals signed.\n"
		"# TYPE tenon_audit_seals_total counter\ntenon_audit_seals_total %llu\n"
		"# HELP tenon_audit_sync_seconds The longest fdatasync of the journal.\n"
		"# TYPE tenon_audit_sync_seconds gauge\ntenon_audit_sync_seconds %.6f\n",
		(unsigned long long)audit.n_records, (unsigned long long)audit.n_refused,
		(unsigned long long)audit.n_seals, (double)audit.sync_ns_max / 1e9);
}

/* What the keeper knows of each deployment, as one family for each column. */
static const struct {
	const char *name, *type, *help;
	size_t at; /* of an uint64_t in struct deploy_status */
} worker_columns[] = {
	{ "tenon_plugin_crashed_total", "counter", "Calls whose worker died.",
		offsetof(struct deploy_status, n_crashed) },
	{ "tenon_plugin_deadline_total", "counter", "Calls that were not answered in time.",
		offsetof(struct deploy_status, n_deadline) },
	{ "tenon_plugin_denied_total", "counter", "Facade calls that were refused.",
		offsetof(struct deploy_status, n_denied) },
	{ "tenon_plugin_violations_total", "counter", "Workers that broke the protocol.",
		offsetof(struct deploy_status, n_violations) },
	{ "tenon_plugin_worker_ends_total", "counter", "Ends of workers that nobody asked for.",
		offsetof(struct deploy_status, n_worker_ends) },
	{ "tenon_plugin_in_flight", "gauge", "Calls under way.",
		offsetof(struct deploy_status, n_in_flight) },
	{ "tenon_plugin_rss_bytes", "gauge", "Resident memory of the worker.",
		offsetof(struct deploy_status, rss_bytes) },
};

static void expose_workers(struct api *api, struct bytes_buf *out)
{
	struct deploy_status *list = NULL;
	size_t n = 0;

	if (!api->config.deploy ||
		deploy_list(api->config.deploy, (struct bytes){ 0 }, &list, &n, NULL) < 0)
		return;
	for (size_t c = 0; c < sizeof worker_columns / sizeof worker_columns[0]; c++) {
		(void)bytes_buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", worker_columns[c].name,
			worker_columns[c].help, worker_columns[c].name, worker_columns[c].type);
		for (size_t i = 0; i < n; i++) {
			uint64_t value;
			memcpy(&value, (const char *)&list[i] + worker_columns[c].at, sizeof value);
			/* Names of tenants and plugins need no escaping: they are a-z, 0-9 and '-'.
			 */
			(void)bytes_buf_appendf(out, "%s{tenant=\"%s\",plugin=\"%s\"} %llu\n",
				worker_columns[c].name, list[i].tenant, list[i].plugin,
				(unsigned long long)value);
		}
	}
	free(list);
}

struct store_sum {
	struct store_stats sum;
	struct loop *loop;
};

static void add_store(struct store_sum *sum, const struct store *store)
{
	struct store_stats stats;

	store_stats(store, &stats);
	sum->sum.n_writes += stats.n_writes;
	sum->sum.n_commits += stats.n_commits;
	sum->sum.n_reads += stats.n_reads;
	sum->sum.n_busy += stats.n_busy;
	sum->sum.commit_ns_total += stats.commit_ns_total;
	sum->sum.write_queue += stats.write_queue;
}

static bool add_tenant(struct tenant *tenant, void *context)
{
	struct store_sum *sum = context;
	struct tenant_use use = { .loop = sum->loop };

	if (tenant_try_use(tenant, &use)) {
		add_store(sum, tenant_store(tenant));
		tenant_use_end(&use);
	}
	return true;
}

static void expose_stores(struct api *api, struct loop *loop, struct bytes_buf *out)
{
	struct store_sum sum = { .loop = loop };

	tenant_each(api->config.tenants, add_tenant, &sum);
	(void)bytes_buf_appendf(out,
		"# HELP tenon_store_writes Write jobs of the open databases.\n"
		"# TYPE tenon_store_writes gauge\ntenon_store_writes %llu\n"
		"# HELP tenon_store_commits Transactions that they shared.\n"
		"# TYPE tenon_store_commits gauge\ntenon_store_commits %llu\n"
		"# HELP tenon_store_reads Read jobs of the open databases.\n"
		"# TYPE tenon_store_reads gauge\ntenon_store_reads %llu\n"
		"# HELP tenon_store_busy Write jobs refused because the queue was full.\n"
		"# TYPE tenon_store_busy gauge\ntenon_store_busy %llu\n"
		"# HELP tenon_store_commit_seconds Time spent in commits.\n"
		"# TYPE tenon_store_commit_seconds gauge\ntenon_store_commit_seconds %.6f\n"
		"# HELP tenon_store_write_queue Write jobs that wait.\n"
		"# TYPE tenon_store_write_queue gauge\ntenon_store_write_queue %u\n",
		(unsigned long long)sum.sum.n_writes, (unsigned long long)sum.sum.n_commits,
		(unsigned long long)sum.sum.n_reads, (unsigned long long)sum.sum.n_busy,
		(double)sum.sum.commit_ns_total / 1e9, sum.sum.write_queue);
}

static void expose_listeners(const struct live *live, struct bytes_buf *out)
{
	struct live_stats stats;

	live_stats(live, &stats);
	(void)bytes_buf_appendf(out,
		"# HELP tenon_realtime_clients Clients that listen.\n"
		"# TYPE tenon_realtime_clients gauge\ntenon_realtime_clients %u\n"
		"# HELP tenon_realtime_events_total Rows written that somebody might hear of.\n"
		"# TYPE tenon_realtime_events_total counter\ntenon_realtime_events_total %llu\n"
		"# HELP tenon_realtime_sent_total Events sent to clients.\n"
		"# TYPE tenon_realtime_sent_total counter\ntenon_realtime_sent_total %llu\n"
		"# HELP tenon_realtime_resyncs_total Clients told to read anew.\n"
		"# TYPE tenon_realtime_resyncs_total counter\ntenon_realtime_resyncs_total %llu\n",
		stats.n_clients, (unsigned long long)stats.n_events,
		(unsigned long long)stats.n_sent, (unsigned long long)stats.n_resyncs);
}

void metrics_get(void *context)
{
	struct api_request *request = context;
	struct http_header forwarded = { BYTES("X-Forwarded-For"), { 0 } };

	/* For a scraper on this machine, or for the operator. What came through a proxy came from
	 * anywhere. */
	bool is_local = is_loopback(http_peer(request->http)) &&
			http_header(request->http, forwarded.name).n == 0 &&
			http_header(request->http, BYTES("Forwarded")).n == 0;
	if (!is_local && request->identity.kind != AUTH_OPERATOR) {
		request_refuse(request, API_UNAUTHORIZED);
		return;
	}
	struct bytes_buf out;
	bytes_buf_init(&out, EXPOSE_MAX);
	(void)metrics_expose(request->api->metrics, &out);
	expose_audit(request->api, &out);
	expose_workers(request->api, &out);
	expose_stores(request->api, request_loop(request), &out);
	expose_listeners(request->api->config.live, &out);
	static const struct http_header headers[] = {
		{ { "Content-Type", 12 }, { "text/plain; version=0.0.4; charset=utf-8", 40 } },
	};
	const struct http_answer answer = { .status = out.failed ? 500 : 200,
		.headers = headers,
		.n_headers = 1,
		.body = bytes_buf_view(&out),
		.body_kind = out.p ? HTTP_BODY_FREE : HTTP_BODY_COPY };
	request_answer(request, &answer);
}

/* ---- /platform/metrics/range ---- */

/* Quantiles are kept in milliseconds and told in microseconds. */
#define US_PER_MS 1000.0

struct range {
	struct text_json_writer *json;
	double scale;
	bool is_latency; /* 0 means that nothing was measured */
};

static void write_column(
	void *user, struct bytes key, const double *samples, size_t n, int64_t last_s)
{
	struct range *range = user;

	(void)key;
	(void)last_s;
	text_json_begin_array(range->json);
	for (size_t i = 0; i < n; i++) {
		if (range->is_latency && !(samples[i] > 0))
			text_json_write_null(range->json);
		else
			text_json_write_double(range->json, samples[i] * range->scale);
	}
	text_json_end_array(range->json);
}

static void write_named(struct api *api, struct text_json_writer *json, int64_t since_s,
	const char *name, const char *key, double scale)
{
	struct range range = { .json = json, .scale = scale, .is_latency = scale > 1.0 };

	text_json_write_key(json, bytes_of(name));
	if (!metrics_rollup_read_one(api->rollup, bytes_of(key), since_s, write_column, &range))
		text_json_write_null(json);
}

static void write_range_plugins(struct api *api, struct text_json_writer *json, int64_t since_s)
{
	struct deploy_status *list = NULL;
	size_t n = 0;
	char key[2 * METRICS_ROLLUP_KEY_BYTES]; /* names are shorter, but their types are not */

	text_json_write_key(json, BYTES("plugins"));
	text_json_begin_array(json);
	if (api->config.deploy &&
		deploy_list(api->config.deploy, (struct bytes){ 0 }, &list, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			text_json_begin_object(json);
			text_json_write_key(json, BYTES("tenant"));
			text_json_write_string(json, bytes_of(list[i].tenant));
			text_json_write_key(json, BYTES("id"));
			text_json_write_string(json, bytes_of(list[i].plugin));
			(void)snprintf(
				key, sizeof key, "calls %s %s", list[i].tenant, list[i].plugin);
			write_named(api, json, since_s, "calls", key, 1);
			(void)snprintf(
				key, sizeof key, "errors %s %s", list[i].tenant, list[i].plugin);
			write_named(api, json, since_s, "errors", key, 1);
			text_json_end_object(json);
		}
	free(list);
	text_json_end_array(json);
}

void range_get(void *context)
{
	struct api_request *request = context;
	struct api *api = request->api;
	struct bytes text = request_query(request, "seconds");
	uint64_t seconds = METRICS_ROLLUP_SECONDS;

	if (text.n && (!bytes_parse_u64(text, METRICS_ROLLUP_SECONDS, &seconds) || seconds == 0)) {
		request_refuse_with(request, API_BAD_REQUEST, "seconds is a number from 1 to 900.",
			(struct bytes){ 0 });
		return;
	}
	int64_t now_s = clock_wall_us() / 1000000, since_s = now_s - (int64_t)seconds;
	struct text_json_writer json;
	struct bytes_buf body;
	bytes_buf_init(&body, EXPOSE_MAX);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("stepS"));
	text_json_write_int64(&json, 1);
	text_json_write_key(&json, BYTES("start"));
	text_json_write_int64(&json, since_s);
	text_json_write_key(&json, BYTES("requests"));
	text_json_begin_object(&json);
	write_named(api, &json, since_s, "s2xx", "req.2xx", 1);
	write_named(api, &json, since_s, "s3xx", "req.3xx", 1);
	write_named(api, &json, since_s, "s4xx", "req.4xx", 1);
	write_named(api, &json, since_s, "s5xx", "req.5xx", 1);
	text_json_end_object(&json);
	text_json_write_key(&json, BYTES("latencyUs"));
	text_json_begin_object(&json);
	write_named(api, &json, since_s, "p50", "latency.p50", US_PER_MS);
	write_named(api, &json, since_s, "p95", "latency.p95", US_PER_MS);
	write_named(api, &json, since_s, "p99", "latency.p99", US_PER_MS);
	text_json_end_object(&json);
	write_named(api, &json, since_s, "denied", "denied", 1);
	write_range_plugins(api, &json, since_s);
	text_json_end_object(&json);
	request_json_buf(request, 200, &body);
}
