#include <stdlib.h>
#include <string.h>

#include "keeper.h"

static const char *state_name(enum deployment_state state)
{
	static const char *const NAMES[] = { "new", "starting", "active", "backing-off",
		"quarantined", "disabled", "failed" };
	return NAMES[state];
}

/* While somebody's act tries to bring up what does not run, that is what there is to say. */
static const char *state_now(const struct deployment *deployment)
{
	const struct act *act = deployment->act;
	bool is_coming =
		act && !deployment->active &&
		(act->kind == ACT_UPLOAD || act->kind == ACT_ROLLBACK || act->kind == ACT_ENABLE);
	return state_name(is_coming ? DEPLOYMENT_STARTING : deployment->state);
}

static uint64_t sum(const struct deployment *deployment, size_t offset)
{
	uint64_t total = 0;
	for (unsigned i = 0; i <= deployment->deploy->n_loops; i++) {
		char *at = (char *)&deployment->counters[i] + offset;
		total += atomic_load_explicit((_Atomic uint64_t *)(void *)at, memory_order_relaxed);
	}
	return total;
}

#define SUM(member) sum(deployment, offsetof(struct pool_counters, member))

static void fill_figures(struct deployment *deployment, struct deploy_status *to)
{
	to->n_calls = SUM(n_calls);
	to->n_failed = SUM(n_failed);
	to->n_crashed = SUM(n_crashed);
	to->n_deadline = SUM(n_deadline);
	to->n_cancelled = SUM(n_cancelled);
	to->n_busy = SUM(n_busy);
	to->n_in_flight = SUM(n_in_flight);
	to->n_requests = SUM(n_requests);
	to->n_denied = SUM(n_denied);
	to->n_violations = SUM(n_violations);
	to->call_ns = SUM(call_ns);
	to->n_worker_ends = deployment->n_worker_ends;
	if (deployment->active) {
		to->worker_pid = pool_instance_pid(deployment->active);
		to->rss_bytes = pool_instance_rss(deployment->active);
	}
}

static void fill(struct deployment *deployment, struct status_row *row)
{
	struct deploy_status *to = &row->status;
	const struct plugin_version *version = deployment->version;
	memset(row, 0, sizeof *row);
	memcpy(to->tenant, deployment->tenant, sizeof to->tenant);
	memcpy(to->plugin, deployment->plugin, sizeof to->plugin);
	memcpy(to->sha256, deployment->row.sha256, sizeof to->sha256);
	bytes_to_string(bytes_of(state_now(deployment)), to->state, sizeof to->state);
	memcpy(to->message, deployment->message, sizeof to->message);
	to->since_wall_us = deployment->since_wall_us;
	to->generation = deployment->row.generation;
	to->grant_all = deployment->row.grant_all;
	to->has_previous = deployment->row.previous_sha256[0] != 0;
	fill_figures(deployment, to);
	if (!version)
		return;
	row->version = plugin_version_ref(deployment->version);
	bytes_to_string(version->manifest.version, to->version, sizeof to->version);
	to->is_cooperative = version->manifest.concurrency == PLUGIN_COOPERATIVE;
	to->size_bytes = version->size_bytes;
	to->n_routes = version->manifest.n_routes;
	to->n_hooks = version->manifest.n_hooks;
	to->n_statements = version->manifest.n_statements;
	to->n_upstreams = version->manifest.n_upstreams;
}

static void free_rows(struct status_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		plugin_version_unref(rows[i].version);
	free(rows);
}

/* What never served and is not about to is waiting for its last instance to go, see
 * keeper_forget_unused(). */
static bool is_listed(const struct deployment *deployment)
{
	return deployment->row.sha256[0] || deployment->n_acts > 0;
}

void status_refresh(struct deploy *deploy)
{
	size_t n = 0, i = 0;
	for (struct deployment *at = deploy->deployments; at; at = at->next)
		n += is_listed(at);
	struct status_row *rows = calloc(n ? n : 1, sizeof *rows);
	if (!rows)
		return; /* the old table stands for another second */
	for (struct deployment *at = deploy->deployments; at; at = at->next)
		if (is_listed(at))
			fill(at, &rows[i++]);
	pthread_mutex_lock(&deploy->lock);
	struct status_row *before = deploy->rows;
	size_t n_before = deploy->n_rows;
	deploy->rows = rows;
	deploy->n_rows = n;
	pthread_mutex_unlock(&deploy->lock);
	free_rows(before, n_before);
}

void status_fini(struct deploy *deploy)
{
	free_rows(deploy->rows, deploy->n_rows);
	deploy->rows = NULL;
	deploy->n_rows = 0;
}

int deploy_list(struct deploy *deploy, struct bytes tenant, struct deploy_status **ret,
	size_t *ret_n, struct err *err)
{
	size_t n = 0;
	pthread_mutex_lock(&deploy->lock);
	struct deploy_status *list = calloc(deploy->n_rows ? deploy->n_rows : 1, sizeof *list);
	for (size_t i = 0; list && i < deploy->n_rows; i++)
		if (!tenant.n || bytes_eq_string(tenant, deploy->rows[i].status.tenant))
			list[n++] = deploy->rows[i].status;
	pthread_mutex_unlock(&deploy->lock);
	if (!list)
		return ERR_SET(err, ERR_NOMEM, "no memory for the list of plugins");
	*ret = list;
	*ret_n = n;
	return 0;
}

bool deploy_manifest(
	struct deploy *deploy, struct bytes tenant, struct bytes plugin, struct bytes_buf *out)
{
	bool is_found = false;
	pthread_mutex_lock(&deploy->lock);
	for (size_t i = 0; i < deploy->n_rows && !is_found; i++) {
		const struct status_row *row = &deploy->rows[i];
		if (row->version && bytes_eq_string(tenant, row->status.tenant) &&
			bytes_eq_string(plugin, row->status.plugin))
			is_found = bytes_buf_append(out, row->version->manifest.json);
	}
	pthread_mutex_unlock(&deploy->lock);
	return is_found;
}

void deploy_self_test(struct deploy *deploy, struct deploy_self_test *ret)
{
	pthread_mutex_lock(&deploy->lock);
	*ret = deploy->self_test;
	pthread_mutex_unlock(&deploy->lock);
}
