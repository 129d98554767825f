#include <string.h>

#include "plugin.h"

#define STEPS_KEPT 200

enum store_outcome plugin_catalogue_put_version(
	struct store_conn *conn, const struct plugin_version *version)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO plugin_versions (sha256, plugin, version, size_bytes, manifest) "
		      "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (sha256) DO NOTHING"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(version->sha256));
	store_bind_text(stmt, 2, version->manifest.id);
	store_bind_text(stmt, 3, version->manifest.version);
	store_bind_int64(stmt, 4, (int64_t)version->size_bytes);
	store_bind_text(stmt, 5, version->manifest.json);
	return store_exec(stmt, NULL);
}

enum store_outcome plugin_catalogue_put_step(struct store_conn *conn, const char *tenant,
	const char *plugin, const char *sha256, const char *state, const char *message)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO plugin_steps (tenant, plugin, sha256, state, message) "
		      "VALUES (?1, ?2, ?3, ?4, ?5)"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	const char *texts[] = { tenant, plugin, sha256, state, message };
	for (int i = 0; i < 5; i++)
		store_bind_text(stmt, i + 1, bytes_of(texts[i]));
	outcome = store_exec(stmt, NULL);
	if (outcome != STORE_OK)
		return outcome;

	outcome = store_prepare(conn,
		BYTES("DELETE FROM plugin_steps WHERE tenant = ?1 AND plugin = ?2 AND id <= "
		      "(SELECT id FROM plugin_steps WHERE tenant = ?1 AND plugin = ?2 "
		      "ORDER BY id DESC LIMIT 1 OFFSET ?3)"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(tenant));
	store_bind_text(stmt, 2, bytes_of(plugin));
	store_bind_int64(stmt, 3, STEPS_KEPT);
	return store_exec(stmt, NULL);
}

enum store_outcome plugin_catalogue_put_deployment(
	struct store_conn *conn, const struct plugin_deployment *deployment)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO plugin_deployments "
		      "(tenant, plugin, sha256, previous_sha256, wanted, grant_all) "
		      "VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
		      "ON CONFLICT (tenant, plugin) DO UPDATE SET sha256 = excluded.sha256, "
		      "previous_sha256 = excluded.previous_sha256, wanted = excluded.wanted, "
		      "grant_all = excluded.grant_all, generation = generation + 1, "
		      "changed = strftime('%Y-%m-%d %H:%M:%fZ')"),
		&stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(deployment->tenant));
	store_bind_text(stmt, 2, bytes_of(deployment->plugin));
	store_bind_text(stmt, 3, bytes_of(deployment->sha256));
	if (deployment->previous_sha256[0])
		store_bind_text(stmt, 4, bytes_of(deployment->previous_sha256));
	else
		store_bind_null(stmt, 4);
	store_bind_text(stmt, 5,
		deployment->wanted == PLUGIN_WANTED_ACTIVE ? BYTES("active") : BYTES("disabled"));
	store_bind_int64(stmt, 6, deployment->grant_all);
	return store_exec(stmt, NULL);
}

enum store_outcome plugin_catalogue_remove_deployment(
	struct store_conn *conn, const char *tenant, const char *plugin)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("DELETE FROM plugin_deployments WHERE tenant = ?1 AND plugin = ?2"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(tenant));
	store_bind_text(stmt, 2, bytes_of(plugin));
	return store_exec(stmt, NULL);
}

#define DEPLOYMENT_COLUMNS                                                                         \
	"SELECT tenant, plugin, sha256, previous_sha256, wanted, grant_all, generation "           \
	"FROM plugin_deployments "

static void read_deployment(struct store_stmt *stmt, struct plugin_deployment *ret)
{
	memset(ret, 0, sizeof *ret);
	bytes_to_string(store_column_text(stmt, 0), ret->tenant, sizeof ret->tenant);
	bytes_to_string(store_column_text(stmt, 1), ret->plugin, sizeof ret->plugin);
	bytes_to_string(store_column_text(stmt, 2), ret->sha256, sizeof ret->sha256);
	if (!store_column_is_null(stmt, 3))
		bytes_to_string(store_column_text(stmt, 3), ret->previous_sha256,
			sizeof ret->previous_sha256);
	ret->wanted = bytes_eq_string(store_column_text(stmt, 4), "active")
			      ? PLUGIN_WANTED_ACTIVE
			      : PLUGIN_WANTED_DISABLED;
	ret->grant_all = store_column_int64(stmt, 5) != 0;
	ret->generation = (uint32_t)store_column_int64(stmt, 6);
}

enum store_outcome plugin_catalogue_get_deployment(struct store_conn *conn, const char *tenant,
	const char *plugin, struct plugin_deployment *ret, bool *ret_found)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(
		conn, BYTES(DEPLOYMENT_COLUMNS "WHERE tenant = ?1 AND plugin = ?2"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(tenant));
	store_bind_text(stmt, 2, bytes_of(plugin));
	outcome = store_step(stmt, ret_found);
	if (outcome == STORE_OK && *ret_found)
		read_deployment(stmt, ret);
	return outcome;
}

enum store_outcome plugin_catalogue_each_deployment(struct store_conn *conn,
	void (*each)(void *context, const struct plugin_deployment *deployment), void *context)
{
	struct store_stmt *stmt;
	enum store_outcome outcome =
		store_prepare(conn, BYTES(DEPLOYMENT_COLUMNS "ORDER BY tenant, plugin"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	for (;;) {
		bool has_row;
		outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK || !has_row)
			return outcome;
		struct plugin_deployment deployment;
		read_deployment(stmt, &deployment);
		each(context, &deployment);
	}
}

enum store_outcome plugin_catalogue_get_version(struct store_conn *conn, const char *sha256,
	struct arena *arena, struct bytes *ret_manifest, uint64_t *ret_size)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT manifest, size_bytes FROM plugin_versions WHERE sha256 = ?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(sha256));
	outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return outcome;
	*ret_manifest = (struct bytes){ NULL, 0 };
	if (!has_row)
		return STORE_OK;
	struct bytes manifest = store_column_text(stmt, 0);
	const char *copy = arena_copy(arena, manifest);
	if (!copy)
		return STORE_FAULT;
	*ret_manifest = (struct bytes){ copy, manifest.n };
	*ret_size = (uint64_t)store_column_int64(stmt, 1);
	return STORE_OK;
}
