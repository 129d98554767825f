/*
 * internal.h - the api's own state: one struct for the server, one lane for each loop
 */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include "request.h"

#include "log.h"
#include "metrics_rollup.h"

#include <pthread.h>

#define LANES_MAX     8
#define PLUGIN_SERIES 128 /* per loop; what is beyond is counted together */
#define TICK_MAX      (256 * 1024)
#define STREAMS_MAX   64  /* browsers that watch, per loop */
#define UPLOADS_MAX   256 /* forms that are being read, per loop: each may hold 128 KiB */

/* Figures of one plugin on one loop, found by its names. */
struct plugin_series {
	char tenant[TENANT_NAME_MAX + 1];
	char plugin[PLUGIN_ID_MAX + 1];
	struct metrics_series calls, errors, latency;
};

/* What a plugin's totals were at the last tick; lane 0's alone. */
struct plugin_totals {
	char tenant[TENANT_NAME_MAX + 1];
	char plugin[PLUGIN_ID_MAX + 1];
	uint64_t calls, errors;
};

struct event_stream {
	struct api_lane *lane;
	struct http_stream *http; /* NULL: the place is free */
	uint64_t last_id;
	uint64_t written_ns;
};

struct api_lane {
	struct api *api;
	struct loop *loop;
	unsigned shard;
	struct audit_lane *audit;
	struct pool_view *view; /* NULL without plugins */
	struct plugin_series plugins[PLUGIN_SERIES];
	unsigned n_plugins;
	struct plugin_series rest; /* of the plugins that find no place, together */
	bool has_rest;
	struct loop_timer tick;
	struct event_stream streams[STREAMS_MAX];
	unsigned n_streams, n_exports, n_uploads;
};

struct api {
	struct api_config config;
	struct route_table *server_routes, *tenant_routes;
	struct api_lane lanes[LANES_MAX];
	struct log_source log;
	int64_t started_us;

	struct plugin_totals totals[PLUGIN_SERIES]; /* of the last tick, lane 0's alone */
	size_t n_totals;

	struct loop_timer hourly; /* lane 0's */

	struct metrics *metrics;
	struct metrics_rollup *rollup;
	struct metrics_series by_class[6]; /* by status / 100 */
	struct metrics_series latency, denied;

	pthread_mutex_t lock; /* all below */
	bool has_sandbox;
	struct deploy_self_test self_test;
	uint64_t tick_id;
	struct bytes_buf tick; /* the newest tick as an SSE event */
};

extern const struct route api_server_routes[], api_tenant_routes[];
extern const size_t api_n_server_routes, api_n_tenant_routes;

/* pipeline.c */
/* Appends to the lane's journal: every record of the api goes this way. */
enum audit_result lane_record(struct api_lane *lane, const struct audit_record *record);
int64_t pipeline_on_headers(void *context, struct http_request *http);
void pipeline_on_request(void *context, struct http_request *http);
void pipeline_on_done(
	void *context, struct http_request *http, unsigned status, uint64_t sent_bytes);
void pipeline_make_error(void *context, struct http_request *http, unsigned status,
	const char *message, struct bytes_buf *out);

/* cors.c */
#define CORS_HEADERS 4
/* What an answer says about who may read it. */
size_t cors_headers(const struct api_request *request, struct http_header ret[CORS_HEADERS]);
bool cors_is_preflight(const struct http_request *http);
extern const struct route cors_preflight_route;

/* static.c: what is no API below a tenant's own host name */
extern const struct route static_route;

/* figures.c */
int figures_new(struct api *api, struct err *err);
void figures_free(struct api *api);
void figures_count(struct api_lane *lane, unsigned status, uint64_t duration_ns, bool is_denied);
void figures_count_plugin(struct api_lane *lane, const char *tenant, struct bytes plugin,
	bool is_error, uint64_t duration_ns);
/* The histogram of one plugin's calls; false when it has had none. */
bool figures_plugin_p95(struct api *api, const char *tenant, const char *plugin, uint64_t *ret_us,
	uint64_t *ret_calls);

/* overview.c */
void overview_write_plugins(struct api *api, struct bytes tenant, struct text_json_writer *json);
void overview_write_process(struct text_json_writer *json);
void overview_write_audit(struct api *api, struct text_json_writer *json);
/* Starts the tick of a lane; lane 0 makes the figures. */
void overview_start(struct api_lane *lane);

/* events.c */
void events_send(struct api_lane *lane);

/* The routes' functions, by file. */
void realtime_open(void *request);
void realtime_subscribe(void *request);
void records_list(void *request);
void records_get(void *request);
void records_export(void *request);
void records_create(void *request);
void records_update(void *request);
void records_delete(void *request);
void bulk_update(void *request);
void bulk_delete(void *request);
void batch_post(void *request);
void records_import(void *request);
void revisions_list(void *request);
void revisions_revert(void *request);
void trash_list(void *request);
void trash_restore(void *request);
void trash_purge(void *request);
void tenants_import(void *request);
void files_get(void *request);
void files_token(void *request);
void collections_list(void *request);
void collections_get(void *request);
void collections_create(void *request);
void collections_update(void *request);
void collections_delete(void *request);
void collections_truncate(void *request);
void collections_scaffolds(void *request);
void collections_import(void *request);
void tenants_collections(void *request);
void sign_in_password(void *request);
void sign_in_refresh(void *request);
void sign_in_methods(void *request);
void sign_in_impersonate(void *request);
void sign_in_oauth2(void *request);
void sign_in_otp(void *request);
void accounts_request_verification(void *request);
void accounts_confirm_verification(void *request);
void accounts_request_reset(void *request);
void accounts_confirm_reset(void *request);
void accounts_request_email(void *request);
void accounts_confirm_email(void *request);
void settings_get(void *request);
void settings_patch(void *request);
void settings_test_email(void *request);
void settings_test_s3(void *request);
void settings_apple(void *request);
void backups_refuse(void *request);
void logs_refuse(void *request);
void sql_refuse(void *request);
void crons_list(void *request);
void logs_list(void *request);
void logs_get(void *request);
void logs_stats(void *request);
void crons_run(void *request);
void keys_create(void *request);
void keys_list(void *request);
void keys_revoke(void *request);
void keys_create_for(void *request);
void plugin_call(void *request);
void health(void *request);
void assets_get(void *request);
void assets_redirect(void *request);
void metrics_get(void *request);
void setup_get(void *request);
void setup_post(void *request);
void session_sign_in(void *request);
void session_get(void *request);
void session_sign_out(void *request);
void operators_put(void *request);
void tenants_list(void *request);
void tenants_create(void *request);
void tenants_suspend(void *request);
void tenants_resume(void *request);
void tenants_web(void *request);
void superusers_put(void *request);
void platform_export(void *request);
void plugins_list(void *request);
void plugins_deploy(void *request);
void plugins_show(void *request);
void plugins_rollback(void *request);
void plugins_disable(void *request);
void plugins_enable(void *request);
void overview_get(void *request);
void range_get(void *request);
void events_get(void *request);
void audit_list(void *request);

/* Of a request that sets topics: keeps what its account's tokens hang on. */
void realtime_note_account(struct api_request *request, struct bytes token_key, int64_t expires_s);

/* How large a body this plugin route takes, or -1 having answered. pipeline.c asks it at the
 * headers. */
int64_t plugin_body_limit(struct api_request *request);

#endif
