/*
 * What the console's overview shows, and the tick: once a second lane 0 takes the figures and
 * writes them as one event; every lane that somebody watches sends it.
 */
#include "internal.h"

#include "clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX (4u << 20)

static uint64_t rss_bytes(void)
{
	char text[128];
	unsigned long long size, resident;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%llu %llu", &size, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int64_t open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int64_t n = 0;

	if (!folder)
		return 0;
	while (readdir(folder))
		n++;
	(void)closedir(folder);
	return n - 3; /* ".", ".." and the folder itself */
}

void overview_write_process(struct text_json_writer *json)
{
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("rssBytes"));
	text_json_write_uint64(json, rss_bytes());
	text_json_write_key(json, BYTES("openFiles"));
	text_json_write_int64(json, open_files());
	text_json_end_object(json);
}

void overview_write_audit(struct api *api, struct text_json_writer *json)
{
	static const struct bytes states[] = { { "ok", 2 }, { "full", 4 }, { "broken", 6 } };
	struct audit_stats stats;

	audit_stats(api->config.audit, &stats);
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("records"));
	text_json_write_uint64(json, stats.n_records);
	text_json_write_key(json, BYTES("seals"));
	text_json_write_uint64(json, stats.seal);
	text_json_write_key(json, BYTES("lastSealAt"));
	if (stats.seal_wall_us) {
		char text[CLOCK_TEXT_BYTES];
		clock_format(stats.seal_wall_us, text);
		text_json_write_string(json, bytes_of(text));
	} else {
		text_json_write_null(json);
	}
	text_json_write_key(json, BYTES("state"));
	text_json_write_string(json, states[stats.state]);
	text_json_end_object(json);
}

static uint64_t n_errors(const struct deploy_status *status)
{
	return status->n_failed + status->n_deadline + status->n_crashed;
}

static void write_plugin(
	struct api *api, const struct deploy_status *status, struct text_json_writer *json)
{
	char since[CLOCK_TEXT_BYTES];
	uint64_t p95_us, n_timed;

	clock_format(status->since_wall_us, since);
	bool has_p95 = figures_plugin_p95(api, status->tenant, status->plugin, &p95_us, &n_timed);
	text_json_write_key(json, BYTES("tenant"));
	text_json_write_string(json, bytes_of(status->tenant));
	text_json_write_key(json, BYTES("id"));
	text_json_write_string(json, bytes_of(status->plugin));
	text_json_write_key(json, BYTES("version"));
	text_json_write_string(json, bytes_of(status->version));
	text_json_write_key(json, BYTES("sha256"));
	text_json_write_string(json, bytes_of(status->sha256));
	text_json_write_key(json, BYTES("state"));
	text_json_write_string(json, bytes_of(status->state));
	text_json_write_key(json, BYTES("message"));
	text_json_write_string(json, bytes_of(status->message));
	text_json_write_key(json, BYTES("concurrency"));
	text_json_write_string(
		json, status->is_cooperative ? BYTES("cooperative") : BYTES("serial"));
	text_json_write_key(json, BYTES("instances"));
	text_json_write_int64(json, status->worker_pid ? 1 : 0);
	text_json_write_key(json, BYTES("calls"));
	text_json_write_uint64(json, status->n_calls);
	text_json_write_key(json, BYTES("errors"));
	text_json_write_uint64(json, n_errors(status));
	text_json_write_key(json, BYTES("crashes"));
	text_json_write_uint64(json, status->n_worker_ends);
	text_json_write_key(json, BYTES("denials"));
	text_json_write_uint64(json, status->n_denied);
	text_json_write_key(json, BYTES("p95Us"));
	if (has_p95)
		text_json_write_uint64(json, p95_us);
	else
		text_json_write_null(json);
	text_json_write_key(json, BYTES("rssBytes"));
	text_json_write_uint64(json, status->rss_bytes);
	text_json_write_key(json, BYTES("startedAt"));
	text_json_write_string(json, bytes_of(since));
}

void overview_write_plugins(struct api *api, struct bytes tenant, struct text_json_writer *json)
{
	struct deploy_status *list = NULL;
	size_t n = 0;

	text_json_begin_array(json);
	if (api->config.deploy && deploy_list(api->config.deploy, tenant, &list, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			text_json_begin_object(json);
			write_plugin(api, &list[i], json);
			text_json_end_object(json);
		}
	free(list);
	text_json_end_array(json);
}

/* The totals of the last tick, {0} for a plugin that was not there or does not fit. */
static struct plugin_totals last_totals(const struct api *api, const struct deploy_status *status)
{
	for (size_t i = 0; i < api->n_totals; i++)
		if (strcmp(api->totals[i].plugin, status->plugin) == 0 &&
			strcmp(api->totals[i].tenant, status->tenant) == 0)
			return api->totals[i];
	return (struct plugin_totals){ .calls = status->n_calls, .errors = n_errors(status) };
}

/* As overview_write_plugins, with what came since the last tick; totals begin anew with a new
 * server only. */
static void write_tick_plugins(struct api *api, struct text_json_writer *json)
{
	struct deploy_status *list = NULL;
	size_t n = 0;

	text_json_begin_array(json);
	if (api->config.deploy &&
		deploy_list(api->config.deploy, (struct bytes){ 0 }, &list, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		struct plugin_totals last = last_totals(api, &list[i]);
		uint64_t errors = n_errors(&list[i]);
		text_json_begin_object(json);
		write_plugin(api, &list[i], json);
		text_json_write_key(json, BYTES("callsDelta"));
		text_json_write_uint64(
			json, list[i].n_calls > last.calls ? list[i].n_calls - last.calls : 0);
		text_json_write_key(json, BYTES("errorsDelta"));
		text_json_write_uint64(json, errors > last.errors ? errors - last.errors : 0);
		text_json_end_object(json);
	}
	text_json_end_array(json);

	api->n_totals = n < PLUGIN_SERIES ? n : PLUGIN_SERIES;
	for (size_t i = 0; i < api->n_totals; i++) {
		struct plugin_totals *totals = &api->totals[i];
		(void)bytes_to_string(
			bytes_of(list[i].tenant), totals->tenant, sizeof totals->tenant);
		(void)bytes_to_string(
			bytes_of(list[i].plugin), totals->plugin, sizeof totals->plugin);
		totals->calls = list[i].n_calls;
		totals->errors = n_errors(&list[i]);
	}
	free(list);
}

/* ["seccomp","landlock"] out of "seccomp, landlock" */
static void write_words(struct text_json_writer *json, struct bytes line)
{
	text_json_begin_array(json);
	while (line.n > 0) {
		const char *comma = memchr(line.p, ',', line.n);
		size_t n = comma ? (size_t)(comma - line.p) : line.n;
		if (n > 0)
			text_json_write_string(json, (struct bytes){ line.p, n });
		line = (struct bytes){ line.p + n, line.n - n };
		while (line.n > 0 && (line.p[0] == ',' || line.p[0] == ' '))
			line = (struct bytes){ line.p + 1, line.n - 1 };
	}
	text_json_end_array(json);
}

static void write_sandbox(struct api *api, struct text_json_writer *json)
{
	pthread_mutex_lock(&api->lock);
	struct deploy_self_test test = api->self_test;
	bool has_sandbox = api->has_sandbox;
	pthread_mutex_unlock(&api->lock);

	if (!has_sandbox) {
		text_json_write_null(json);
		return;
	}
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("layers"));
	write_words(json, bytes_of(test.layers));
	text_json_write_key(json, BYTES("degraded"));
	write_words(json, bytes_of(test.missing));
	text_json_write_key(json, BYTES("selfTest"));
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("attempts"));
	text_json_write_int64(json, test.n_attempts);
	text_json_write_key(json, BYTES("refused"));
	text_json_write_int64(json, test.n_refused);
	text_json_end_object(json);
	text_json_end_object(json);
}

void overview_get(void *context)
{
	struct api_request *request = context;
	struct api *api = request->api;
	struct text_json_writer json;
	struct bytes_buf body;
	char started[CLOCK_TEXT_BYTES];

	clock_format(api->started_us, started);
	bytes_buf_init(&body, BODY_MAX);
	text_json_writer_init(&json, &body);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("version"));
	text_json_write_string(&json, bytes_of(api->config.version));
	text_json_write_key(&json, BYTES("startedAt"));
	text_json_write_string(&json, bytes_of(started));
	text_json_write_key(&json, BYTES("uptimeS"));
	text_json_write_int64(&json, (clock_wall_us() - api->started_us) / 1000000);
	text_json_write_key(&json, BYTES("process"));
	overview_write_process(&json);
	text_json_write_key(&json, BYTES("sandbox"));
	write_sandbox(api, &json);
	text_json_write_key(&json, BYTES("tenants"));
	text_json_write_int64(&json, (int64_t)tenant_count(api->config.tenants));
	text_json_write_key(&json, BYTES("audit"));
	overview_write_audit(api, &json);
	text_json_write_key(&json, BYTES("plugins"));
	overview_write_plugins(api, (struct bytes){ 0 }, &json);
	text_json_end_object(&json);
	request_json_buf(request, 200, &body);
}

/* ---- the tick ---- */

struct last_second {
	struct text_json_writer *json;
	double scale;
};

static void write_last(
	void *user, struct bytes key, const double *samples, size_t n, int64_t last_s)
{
	struct last_second *last = user;

	(void)key;
	(void)last_s;
	if (n == 0)
		return;
	/* A latency of 0 means that nothing was measured in that second. */
	if (last->scale > 1 && !(samples[n - 1] > 0))
		text_json_write_null(last->json);
	else
		text_json_write_double(last->json, samples[n - 1] * last->scale);
}

static void write_figure(struct api *api, struct text_json_writer *json, int64_t now_s,
	const char *name, const char *key, double scale)
{
	struct last_second last = { .json = json, .scale = scale };
	text_json_write_key(json, bytes_of(name));
	(void)metrics_rollup_read_one(api->rollup, bytes_of(key), now_s - 2, write_last, &last);
	if (json->has_key) /* the rollup has no second yet */
		text_json_write_int64(json, 0);
}

static void write_tick(struct api *api, int64_t now_s, bool has_plugins, struct bytes_buf *out)
{
	struct text_json_writer json;

	text_json_writer_init(&json, out);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("t"));
	text_json_write_int64(&json, now_s);
	text_json_write_key(&json, BYTES("requests"));
	text_json_begin_object(&json);
	write_figure(api, &json, now_s, "s2xx", "req.2xx", 1);
	write_figure(api, &json, now_s, "s3xx", "req.3xx", 1);
	write_figure(api, &json, now_s, "s4xx", "req.4xx", 1);
	write_figure(api, &json, now_s, "s5xx", "req.5xx", 1);
	text_json_end_object(&json);
	text_json_write_key(&json, BYTES("latencyUs"));
	text_json_begin_object(&json);
	write_figure(api, &json, now_s, "p50", "latency.p50", 1000);
	write_figure(api, &json, now_s, "p95", "latency.p95", 1000);
	write_figure(api, &json, now_s, "p99", "latency.p99", 1000);
	text_json_end_object(&json);
	write_figure(api, &json, now_s, "denied", "denied", 1);
	text_json_write_key(&json, BYTES("process"));
	overview_write_process(&json);
	text_json_write_key(&json, BYTES("audit"));
	overview_write_audit(api, &json);
	text_json_write_key(&json, BYTES("plugins"));
	if (has_plugins)
		write_tick_plugins(api, &json);
	else
		text_json_write_raw(&json, BYTES("[]"));
	text_json_end_object(&json);
}

static void make_tick(struct api *api)
{
	int64_t now_s = clock_wall_us() / 1000000;
	struct bytes_buf data;

	metrics_rollup_tick(api->rollup, now_s - 1);
	bytes_buf_init(&data, TICK_MAX);
	write_tick(api, now_s - 1, true, &data);
	/* Some 500 plugins are more than a tick holds: their pages ask for them. */
	if (data.failed) {
		bytes_buf_clear(&data);
		write_tick(api, now_s - 1, false, &data);
	}
	pthread_mutex_lock(&api->lock);
	api->tick_id++;
	bytes_buf_clear(&api->tick);
	(void)bytes_buf_appendf(
		&api->tick, "id: %llu\nevent: tick\ndata: ", (unsigned long long)api->tick_id);
	(void)bytes_buf_append(&api->tick, bytes_buf_view(&data));
	(void)bytes_buf_append_string(&api->tick, "\n\n");
	pthread_mutex_unlock(&api->lock);
	bytes_buf_fini(&data);
}

static void on_tick(struct loop_timer *timer)
{
	struct api_lane *lane =
		(struct api_lane *)((char *)timer - offsetof(struct api_lane, tick));

	if (lane->shard == 0)
		make_tick(lane->api);
	if (lane->n_streams > 0)
		events_send(lane);
	(void)loop_timer_start(lane->loop, &lane->tick, timer->deadline_ns + CLOCK_NS_PER_S, NULL);
}

void overview_start(struct api_lane *lane)
{
	/* The other lanes send a moment after lane 0 has made the tick. */
	lane->tick.on_fire = on_tick;
	(void)loop_timer_start(lane->loop, &lane->tick,
		clock_mono_ns() + CLOCK_NS_PER_S + lane->shard * 20 * CLOCK_NS_PER_MS, NULL);
}
