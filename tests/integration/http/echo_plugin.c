/*
 * echo_plugin.c - what http_raw asks for when it is run against a whole server
 *
 *   GET, POST /echo   200 {"body":bytes}
 *   GET /big          4 MiB
 *
 * Threads: one. Memory: 4 MiB of zeros.
 */
#include <stdio.h>
#include <string.h>

#include <tenon/plugin.h>

#define BIG_BYTES (4u << 20)

enum { ROUTE_GET = 1, ROUTE_POST, ROUTE_BIG };

struct tenon_instance {
	const struct tenon_call_api *call;
};

static struct tenon_instance self;

static int32_t create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	(void)boot;
	(void)config;
	self.call = host->iface(host, TENON_CALL_ID, 1);
	*out = &self;
	return self.call ? TENON_OK : TENON_E_UNSUPPORTED;
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	static const char big[BIG_BYTES];
	struct tenon_response response = { .size = sizeof response, .status = 200 };
	const void *body;
	size_t body_n;
	char text[64];

	if (instance->call->info(call)->route_id == ROUTE_BIG) {
		response.flags = TENON_RESPONSE_BORROW_BODY;
		response.body = big;
		response.body_n = sizeof big;
		return instance->call->respond(call, &response);
	}
	int32_t status = instance->call->body(call, &body, &body_n);
	if (status != TENON_OK)
		return status;
	response.body = text;
	response.body_n = (size_t)snprintf(text, sizeof text, "{\"body\":%zu}\n", body_n);
	return instance->call->respond(call, &response);
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
	.concurrency = TENON_COOPERATIVE,
	.id = "echo",
	.version = "1.0.0",
	.create = create,
	.invoke = invoke,
	.destroy = destroy,
};
