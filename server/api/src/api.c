#include "internal.h"

#include "crons.h"

#include "clock.h"

#include <assert.h>
#include <stdlib.h>

int api_new(const struct api_config *config, struct api **ret, struct err *err)
{
	DEFER(api_free) struct api *api = calloc(1, sizeof *api);

	assert(config->n_loops >= 1 && config->n_loops <= LANES_MAX);
	if (!api)
		return ERR_SET(err, ERR_NOMEM, "no memory for the api");
	(void)pthread_mutex_init(&api->lock, NULL);
	api->config = *config;
	api->log = LOG_SOURCE("api");
	api->started_us = clock_wall_us();
	bytes_buf_init(&api->tick, TICK_MAX);
	if (route_table_new(api_server_routes, api_n_server_routes, &api->server_routes, err) < 0 ||
		route_table_new(api_tenant_routes, api_n_tenant_routes, &api->tenant_routes, err) <
			0 ||
		figures_new(api, err) < 0)
		return -1;
	for (unsigned i = 0; i < config->n_loops; i++) {
		assert(loop_index(config->loops[i]) == i);
		api->lanes[i] = (struct api_lane){ .api = api,
			.loop = config->loops[i],
			.shard = i,
			.audit = audit_lane(config->audit, i),
			.view = config->pool ? pool_view(config->pool, config->loops[i]) : NULL };
	}
	*ret = api;
	api = NULL; /* handed over */
	return 0;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	figures_free(api);
	route_table_free(api->server_routes);
	route_table_free(api->tenant_routes);
	bytes_buf_fini(&api->tick);
	(void)pthread_mutex_destroy(&api->lock);
	free(api);
}

void api_start(struct api *api)
{
	for (unsigned i = 0; i < api->config.n_loops; i++)
		overview_start(&api->lanes[i]);
	crons_start(api);
}

struct http_handler api_handler(struct api *api)
{
	return (struct http_handler){ .context = api,
		.on_headers = pipeline_on_headers,
		.on_request = pipeline_on_request,
		.on_done = pipeline_on_done,
		.make_error = pipeline_make_error };
}

void api_set_sandbox(struct api *api, const struct deploy_self_test *self_test)
{
	pthread_mutex_lock(&api->lock);
	api->self_test = *self_test;
	api->has_sandbox = true;
	pthread_mutex_unlock(&api->lock);
}
