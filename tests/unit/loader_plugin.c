/* A plugin with one thing wrong with it, for test_loader.c; built once for each VARIANT. */
#include <tenon/plugin.h>

enum { GOOD, LONGER, SHORT, OTHER_MAJOR, FLAGS, NO_CREATE, ID_OUTSIDE, ID_TOO_LONG, CONCURRENCY };

static int32_t create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	(void)host, (void)boot, (void)config, (void)out;
	return TENON_OK;
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	(void)instance, (void)call;
	return TENON_OK;
}

static void destroy(struct tenon_instance *instance)
{
	(void)instance;
}

#define LONG_ID "0123456789012345678901234567890123456789012345678901234567890123x"

/* What a later minor would export: more than we know. */
struct longer {
	struct tenon_plugin plugin;
	const char *later[4];
};

#if VARIANT == 1
TENON_EXPORT extern const struct longer tenon_longer __asm__("tenon_plugin_v1");
const struct longer tenon_longer = { .plugin = {
#else
const struct tenon_plugin tenon_plugin_v1 = {
#endif
					     .size = VARIANT == SHORT ? TENON_PLUGIN_SIZE_1_0 - 1
						     : VARIANT == LONGER
							     ? sizeof(struct longer)
							     : sizeof(struct tenon_plugin),
					     .abi_major =
						     VARIANT == OTHER_MAJOR ? 2 : TENON_ABI_MAJOR,
					     .abi_minor = TENON_ABI_MINOR,
					     .target = TENON_TARGET,
					     .concurrency =
						     VARIANT == CONCURRENCY ? 2 : TENON_COOPERATIVE,
					     .flags = VARIANT == FLAGS ? 1 : 0,
					     .id = VARIANT == ID_OUTSIDE    ? (const char *)4096
						   : VARIANT == ID_TOO_LONG ? LONG_ID
									    : "good",
					     .version = "1.2.3",
					     .create = VARIANT == NO_CREATE ? NULL : create,
					     .invoke = invoke,
					     .destroy = destroy,
#if VARIANT == 1
				     } };
#else
};
#endif
