/*
 * guard.c - refuses what a locked record must not suffer: the hooks before create, update and
 * delete, each of which looks for what it was told in the text of it
 */
#include <stdbool.h>
#include <string.h>

#include <tenon/plugin.h>

enum { HOOK_CREATE = 1, HOOK_UPDATE, HOOK_DELETE };

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

static void destroy(struct tenon_instance *instance)
{
	(void)instance;
}

static int32_t refuse(struct tenon_call *call, struct tenon_str message)
{
	const struct tenon_error error = {
		.size = sizeof error,
		.code = TENON_E_PRECOND,
		.http_status = 400,
		.message = message,
		.reason = TENON_STR("locked"),
		.field = TENON_STR("locked"),
	};

	return self.call->fail(call, &error);
}

/* Whether text has part before its end. */
static bool has(const char *text, const char *end, const char *part)
{
	size_t n = strlen(part);

	for (; text && (size_t)(end - text) >= n; text++)
		if (memcmp(text, part, n) == 0)
			return true;
	return false;
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	const void *body;
	size_t n;

	(void)instance;
	if (self.call->body(call, &body, &n) != TENON_OK)
		return TENON_E_INTERNAL;
	const char *text = body, *end = text + n;
	switch (self.call->info(call)->route_id) {
	case HOOK_CREATE:
		return has(text, end, "\"title\":\"forbidden\"")
			       ? refuse(call, (struct tenon_str)TENON_STR("not that title"))
			       : TENON_OK;
	case HOOK_UPDATE: {
		/* {"old":{...},"new":{...}}: what was locked stays, what becomes locked may. */
		const char *new = text;
		while (new < end && !has(new, new + 6 < end ? new + 6 : end, "\"new\":"))
			new ++;
		return has(text, new, "\"locked\":true")
			       ? refuse(call, (struct tenon_str)TENON_STR("it is locked"))
			       : TENON_OK;
	}
	default:
		return has(text, end, "\"locked\":true")
			       ? refuse(call, (struct tenon_str)TENON_STR("it is locked"))
			       : TENON_OK;
	}
}

const struct tenon_plugin tenon_plugin_v1 = {
	.size = sizeof tenon_plugin_v1,
	.abi_major = TENON_ABI_MAJOR,
	.abi_minor = TENON_ABI_MINOR,
	.target = TENON_TARGET,
	.concurrency = TENON_COOPERATIVE,
	.id = "guard",
	.version = "1.0.0",
	.create = create,
	.invoke = invoke,
	.destroy = destroy,
};
