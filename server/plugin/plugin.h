/*
 * plugin.h - the catalogue: artifacts, versions, what each tenant wants to run, and its grants
 *
 * A version is one uploaded artifact, addressed by the SHA-256 of its bytes: the file lies in
 * data/plugins/<sha256>, its manifest in control.db. A deployment row says which version a tenant
 * wants of a plugin; the keeper (module deploy) makes it so. Grants are what the tenant's
 * administrator gave, a subset of what the manifest asks for.
 *
 * Threads: plugin_version is immutable and counted, any thread; catalogue functions run inside a
 *          job of the control database's store.
 * Memory:  a version owns its manifest; the last unref frees it.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "plugin_manifest.h"
#include "store.h"

#define PLUGIN_SHA256_HEX 64
#define PLUGIN_TENANT_MAX 64

struct plugin_version {
	struct plugin_manifest manifest;
	char sha256[PLUGIN_SHA256_HEX + 1];
	uint64_t size_bytes;
	/* the module's own */
	struct arena *arena;
	_Atomic uint32_t n_refs;
};

/* A version out of its manifest text. Returns 0 and one reference, or -1 as plugin_manifest_parse.
 */
int plugin_version_new(struct bytes manifest_json, const char sha256[static PLUGIN_SHA256_HEX + 1],
	uint64_t size_bytes, struct plugin_version **ret, struct err *err);
struct plugin_version *plugin_version_ref(struct plugin_version *version);
/* Takes NULL. */
void plugin_version_unref(struct plugin_version *version);

/* ---- grants: what the administrator gave, as a bit per entry of the manifest's tables ---- */
struct plugin_granted {
	uint64_t statements[PLUGIN_STATEMENTS_MAX / 64];
	uint64_t upstreams;                  /* bit i: upstreams[i] */
	uint32_t actions[PLUGIN_GRANTS_MAX]; /* actions[i]: of grants[i].collection */
};

/* Grants everything that the manifest asks for (--grant-all), or only what reads nothing and
 * reaches nothing. */
void plugin_grant_all(const struct plugin_manifest *manifest, struct plugin_granted *ret);
void plugin_grant_none(struct plugin_granted *ret);
bool plugin_has_statement(const struct plugin_granted *granted, int statement);
bool plugin_has_upstream(const struct plugin_granted *granted, int upstream);

/* ---- artifacts ---- */
/* Writes the file to <dir>/<sha256> (temporary name, fsync, rename); what was there is replaced, so
 * an upload mends a damaged one. Blocking. Returns 0, or -1 (ERR_IO, ERR_NOMEM). */
int plugin_artifact_put(const char *dir, const char sha256[static PLUGIN_SHA256_HEX + 1],
	struct bytes file, struct err *err);
/* Opens it for reading; *ret_fd is the caller's to close. Blocking. The caller compares the hash of
 * what it read: the folder is not trusted. */
int plugin_artifact_open(const char *dir, const char sha256[static PLUGIN_SHA256_HEX + 1],
	int *ret_fd, struct err *err);

/* ---- catalogue rows, inside a job of the control store ---- */
enum plugin_wanted { PLUGIN_WANTED_ACTIVE, PLUGIN_WANTED_DISABLED };

/* One row of plugin_deployments. Text fields are terminated. */
struct plugin_deployment {
	char tenant[PLUGIN_TENANT_MAX + 1];
	char plugin[PLUGIN_ID_MAX + 1];
	char sha256[PLUGIN_SHA256_HEX + 1];          /* the version that is wanted */
	char previous_sha256[PLUGIN_SHA256_HEX + 1]; /* for rollback; "" when there is none */
	enum plugin_wanted wanted;
	bool grant_all;
	uint32_t generation; /* counts the changes of this row */
};

/* Inserts the version's rows unless they are there. STORE_CONFLICT when the same plugin version
 * number was uploaded before with other bytes is not an outcome here: builds are told apart by
 * their hash alone. */
enum store_outcome plugin_catalogue_put_version(
	struct store_conn *conn, const struct plugin_version *version);
/* Appends a step to the journal of a plugin's deployments and forgets all but its last 200. */
enum store_outcome plugin_catalogue_put_step(struct store_conn *conn, const char *tenant,
	const char *plugin, const char *sha256, const char *state, const char *message);
/* Makes the row what *deployment says; its generation becomes the old one + 1. */
enum store_outcome plugin_catalogue_put_deployment(
	struct store_conn *conn, const struct plugin_deployment *deployment);
/* Takes the row away, if there is one. */
enum store_outcome plugin_catalogue_remove_deployment(
	struct store_conn *conn, const char *tenant, const char *plugin);
/* The row of a tenant's plugin; *ret_found says whether there is one. */
enum store_outcome plugin_catalogue_get_deployment(struct store_conn *conn, const char *tenant,
	const char *plugin, struct plugin_deployment *ret, bool *ret_found);
/* Calls each for every deployment row, in order of tenant and plugin. */
enum store_outcome plugin_catalogue_each_deployment(struct store_conn *conn,
	void (*each)(void *context, const struct plugin_deployment *deployment), void *context);
/* The manifest text and size of a version, copied into arena; {NULL, 0} when it is not known. */
enum store_outcome plugin_catalogue_get_version(struct store_conn *conn, const char *sha256,
	struct arena *arena, struct bytes *ret_manifest, uint64_t *ret_size);

DEFER_DEFINE(struct plugin_version *, plugin_version_unref)

#endif
