/*
 * sin.h - what the plugins of this folder share: one route that commits the sin, one that does not
 *
 *   GET /sin     commit()
 *   GET /well    {"well":true}: that the plugin serves
 *
 * A plugin includes this and defines commit(). One whose sin happens while it is loaded has a
 * constructor beside it; its commit() is never reached.
 *
 * Threads: one. Memory: none of its own.
 */
#ifndef SIN_H
#define SIN_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <tenon/plugin.h>

enum { ROUTE_SIN = 1, ROUTE_WELL };

struct tenon_instance {
	const struct tenon_call_api *call;
	const struct tenon_http_api *http;
};

static struct tenon_instance self;

static int32_t commit(struct tenon_call *call);

static int32_t answer(struct tenon_call *call, const char *body)
{
	const struct tenon_response response = {
		.size = sizeof response,
		.status = 200,
		.body = body,
		.body_n = strlen(body),
	};

	return self.call->respond(call, &response);
}

static int32_t create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	(void)boot;
	(void)config;
	self.call = host->iface(host, TENON_CALL_ID, 1);
	self.http = host->iface(host, TENON_HTTP_ID, 1);
	*out = &self;
	return self.call && self.http ? TENON_OK : TENON_E_UNSUPPORTED;
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	if (instance->call->info(call)->route_id == ROUTE_SIN)
		return commit(call);
	return answer(call, "{\"well\":true}");
}

static void destroy(struct tenon_instance *instance)
{
	(void)instance;
}

const struct tenon_plugin tenon_plugin_v1 = {
	.size = sizeof tenon_plugin_v1,
	.abi_major = TENON_ABI_MAJOR,
	.abi_minor = TENON_ABI_MINOR,
	.target = TENON_TARGET,
	.concurrency = TENON_SERIAL,
	.id = SIN_ID,
	.version = "1.0.0",
	.create = create,
	.invoke = invoke,
	.destroy = destroy,
};

#endif
