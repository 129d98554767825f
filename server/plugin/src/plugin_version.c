#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

/* A manifest of 256 KiB of the smallest members still fits its tables in this. */
#define ARENA_MAX (8u << 20)

int plugin_version_new(struct bytes manifest_json, const char sha256[static PLUGIN_SHA256_HEX + 1],
	uint64_t size_bytes, struct plugin_version **ret, struct err *err)
{
	struct plugin_version *version = calloc(1, sizeof *version);
	if (!version)
		return ERR_SET(err, ERR_NOMEM, "no memory for a plugin version");
	atomic_init(&version->n_refs, 1);
	if (arena_new(ARENA_MAX, &version->arena, err) < 0 ||
		plugin_manifest_parse(manifest_json, version->arena, &version->manifest, err) < 0) {
		plugin_version_unref(version);
		return -1;
	}
	memcpy(version->sha256, sha256, sizeof version->sha256);
	version->size_bytes = size_bytes;
	*ret = version;
	return 0;
}

struct plugin_version *plugin_version_ref(struct plugin_version *version)
{
	uint32_t before = atomic_fetch_add_explicit(&version->n_refs, 1, memory_order_relaxed);
	assert(before > 0);
	return version;
}

void plugin_version_unref(struct plugin_version *version)
{
	if (!version)
		return;
	uint32_t before = atomic_fetch_sub_explicit(&version->n_refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before > 1)
		return;
	arena_free(version->arena);
	free(version);
}

void plugin_grant_all(const struct plugin_manifest *manifest, struct plugin_granted *ret)
{
	plugin_grant_none(ret);
	for (unsigned i = 0; i < manifest->n_statements; i++)
		ret->statements[i / 64] |= 1ull << i % 64;
	for (unsigned i = 0; i < manifest->n_upstreams; i++)
		ret->upstreams |= 1ull << i;
	for (unsigned i = 0; i < manifest->n_grants; i++)
		ret->actions[i] = manifest->grants[i].actions;
}

void plugin_grant_none(struct plugin_granted *ret)
{
	memset(ret, 0, sizeof *ret);
}

bool plugin_has_statement(const struct plugin_granted *granted, int statement)
{
	assert(statement >= 0 && statement < PLUGIN_STATEMENTS_MAX);
	return granted->statements[statement / 64] >> statement % 64 & 1;
}

bool plugin_has_upstream(const struct plugin_granted *granted, int upstream)
{
	assert(upstream >= 0 && upstream < PLUGIN_UPSTREAMS_MAX);
	return granted->upstreams >> upstream & 1;
}
