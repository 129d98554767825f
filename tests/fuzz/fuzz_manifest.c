/* Any bytes as a manifest: tables or a refusal, never more than the arena. */
#include "plugin_manifest.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plugin_manifest manifest;
	struct err err = { 0 };
	DEFER(arena_free) struct arena *arena = NULL;
	unsigned index;

	if (arena_new(8u << 20, &arena, &err) < 0)
		return 0;
	struct bytes json = { (const char *)data, size };
	if (plugin_manifest_parse(json, arena, &manifest, &err) < 0) {
		assert(err.code == ERR_INVALID && err.message[0]);
		return 0;
	}
	assert(plugin_id_is_valid(manifest.id) && manifest.n_routes <= PLUGIN_ROUTES_MAX);
	for (unsigned i = 0; i < manifest.n_routes; i++) {
		const struct plugin_route *route = &manifest.routes[i];
		if (plugin_match_route(&manifest, bytes_of(plugin_method_name(route->method)),
			    route->path, &index) == PLUGIN_MATCH)
			assert(index < manifest.n_routes);
	}
	return 0;
}
