#include "deploy.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

/* The end, from its beginning: when workers that have not gone are killed; when those whose end
 * nobody reports are given up; when the keeper does not wait for anything any more. */
#define DRAIN_NS (4 * CLOCK_NS_PER_S)
#define LOST_NS  (5 * CLOCK_NS_PER_S)
#define STUCK_NS (6 * CLOCK_NS_PER_S)

/* ---- deployments ---- */
static int compare(const struct deployment *at, struct bytes tenant, struct bytes plugin)
{
	int order = bytes_cmp(bytes_of(at->tenant), tenant);
	return order ? order : bytes_cmp(bytes_of(at->plugin), plugin);
}

struct deployment *keeper_find(struct deploy *deploy, struct bytes tenant, struct bytes plugin)
{
	for (struct deployment *at = deploy->deployments; at; at = at->next)
		if (compare(at, tenant, plugin) == 0)
			return at;
	return NULL;
}

struct deployment *keeper_need(struct deploy *deploy, struct bytes tenant, struct bytes plugin)
{
	struct deployment **at = &deploy->deployments;
	while (*at && compare(*at, tenant, plugin) < 0)
		at = &(*at)->next;
	if (*at && compare(*at, tenant, plugin) == 0)
		return *at;
	struct deployment *deployment = calloc(1, sizeof *deployment);
	if (!deployment)
		return NULL;
	deployment->counters =
		aligned_alloc(128, (deploy->n_loops + 1) * sizeof *deployment->counters);
	if (!deployment->counters) {
		free(deployment);
		return NULL;
	}
	memset(deployment->counters, 0, (deploy->n_loops + 1) * sizeof *deployment->counters);
	deployment->deploy = deploy;
	deployment->fd = -1;
	deployment->waiting_end = &deployment->waiting;
	bytes_to_string(tenant, deployment->tenant, sizeof deployment->tenant);
	bytes_to_string(plugin, deployment->plugin, sizeof deployment->plugin);
	deployment->next = *at;
	*at = deployment;
	return deployment;
}

static void free_deployment(struct deployment *deployment)
{
	if (deployment->fd >= 0)
		close(deployment->fd);
	plugin_version_unref(deployment->version);
	free(deployment->counters);
	free(deployment);
}

int keeper_say_down(
	struct deployment *deployment, const char *reason, unsigned retry_after_ms, struct err *err)
{
	bool is_wanted =
		deployment->row.sha256[0] && deployment->row.wanted == PLUGIN_WANTED_ACTIVE;
	struct pool_switch to = {
		.tenant = deployment->tenant,
		.plugin = deployment->plugin,
		.version = is_wanted ? deployment->version : NULL,
		.are_hooks_unknown = is_wanted && !deployment->version,
		.reason = reason,
		.retry_after_ms = retry_after_ms,
	};
	return pool_switch(deployment->deploy->pool, &to, err);
}

void keeper_forget_unused(struct deployment *deployment)
{
	struct deploy *deploy = deployment->deploy;
	if (deployment->row.sha256[0] || deployment->n_acts || deployment->n_instances)
		return;
	struct deployment **at = &deploy->deployments;
	while (*at != deployment)
		at = &(*at)->next;
	*at = deployment->next;
	loop_timer_stop(&deployment->respawn);
	if (deployment->store)
		tenant_use_end(&deployment->use);
	free_deployment(deployment);
}

/* ---- requests ---- */
static void refuse_request(struct act *act, enum deploy_outcome outcome, const char *message)
{
	act_end(act, outcome, message);
}

static void on_request(struct loop_message *message)
{
	static const enum act_kind KINDS[] = { ACT_UPLOAD, ACT_ROLLBACK, ACT_DISABLE, ACT_ENABLE };
	struct deploy_request *request =
		(struct deploy_request *)(void *)((char *)message -
						  offsetof(struct deploy_request, post));
	struct deploy *deploy = request->deploy;
	struct act *act = act_new(deploy, KINDS[request->act], request);
	assert(act); /* a few hundred bytes on the keeper, and somebody waits for the answer */
	act->tenant = tenant_find(deploy->tenants, request->tenant);
	if (!act->tenant) {
		refuse_request(act, DEPLOY_NO_TENANT, "there is no such tenant");
		return;
	}
	if (atomic_load(&deploy->n_requests) > DEPLOY_REQUESTS_MAX) {
		refuse_request(act, DEPLOY_BUSY, "too many deployments wait: try again");
		return;
	}
	if (act->kind == ACT_UPLOAD) {
		upload_begin(act);
		return;
	}
	struct deployment *deployment = keeper_find(deploy, request->tenant, request->plugin);
	if (!deployment || !deployment->row.sha256[0]) {
		refuse_request(act, DEPLOY_NOT_FOUND, "this tenant has no such plugin");
		return;
	}
	act_enqueue(act, deployment);
}

void deploy_submit(struct deploy *deploy, struct deploy_request *request)
{
	request->deploy = deploy;
	request->message[0] = request->plugin_id[0] = request->version[0] = request->sha256[0] = 0;
	request->post.deliver = on_request;
	atomic_fetch_add(&deploy->n_requests, 1);
	loop_post(deploy->loop, &request->post);
}

/* ---- the start ---- */
void keeper_say_ready(struct deploy *deploy)
{
	status_refresh(deploy);
	pthread_mutex_lock(&deploy->lock);
	deploy->is_ready = true;
	pthread_cond_broadcast(&deploy->changed);
	pthread_mutex_unlock(&deploy->lock);
}

static void start_all(struct deploy *deploy)
{
	deploy->n_start_acts = 1; /* this loop's own, so that nobody says ready before its end */
	for (struct deployment *at = deploy->deployments; at; at = at->next) {
		if (at->row.wanted != PLUGIN_WANTED_ACTIVE) {
			at->state = DEPLOYMENT_DISABLED;
			continue;
		}
		struct act *act = act_new(deploy, ACT_START, NULL);
		if (!act)
			continue;
		deploy->n_start_acts++;
		act->is_first = true;
		act->tenant = tenant_find(deploy->tenants, bytes_of(at->tenant));
		act_enqueue(act, at);
	}
	if (--deploy->n_start_acts == 0)
		keeper_say_ready(deploy);
}

static void on_spawn_ready(void *context, const struct sandbox_report *report,
	enum sandbox_verdict verdict, uint32_t missing)
{
	struct deploy *deploy = context;
	if (deploy->self_test.has_run || deploy->selftest)
		return; /* the spawner came back; this machine is known */
	struct bytes_buf line;
	bytes_buf_init(&line, sizeof deploy->self_test.layers - 1);
	sandbox_report_line(report, &line);
	bytes_to_string(
		bytes_buf_view(&line), deploy->self_test.layers, sizeof deploy->self_test.layers);
	bytes_buf_clear(&line);
	for (unsigned layer = 0; layer < SANDBOX_LAYERS; layer++)
		if (missing & SANDBOX_BIT(layer))
			bytes_buf_appendf(&line, "%s%s", line.n ? ", " : "",
				sandbox_layer_name((enum sandbox_layer)layer));
	bytes_to_string(
		bytes_buf_view(&line), deploy->self_test.missing, sizeof deploy->self_test.missing);
	bytes_buf_fini(&line);
	if (verdict == SANDBOX_REFUSED) {
		snprintf(deploy->self_test.complaint, sizeof deploy->self_test.complaint,
			"layers of the sandbox are missing, only these hold: %.100s",
			deploy->self_test.layers);
		deploy->self_test.has_run = true;
		start_all(deploy);
		return;
	}
	if (deploy->selftest_path) {
		selftest_begin(deploy, start_all);
		return;
	}
	deploy->self_test.has_run = true;
	start_all(deploy);
}

static void on_spawn_down(void *context, unsigned retry_ms)
{
	struct deploy *deploy = context;
	log_write(LOG_ERROR, &deploy->log, NULL, "the spawner died",
		LOG_FIELDS(log_uint("retry_ms", retry_ms)));
}

static void on_second(struct loop_timer *timer)
{
	struct deploy *deploy =
		(struct deploy *)(void *)((char *)timer - offsetof(struct deploy, second));
	status_refresh(deploy);
	loop_timer_start(deploy->loop, timer, clock_mono_ns() + CLOCK_NS_PER_S, NULL);
}

static void *run_keeper(void *argument)
{
	struct deploy *deploy = argument;
	struct err err = { 0 };
	struct spawn_config config = {
		.spawner_path = deploy->spawner_path,
		.worker_path = deploy->worker_path,
		.allow_missing = deploy->allow_missing,
		.context = deploy,
		.on_ready = on_spawn_ready,
		.on_down = on_spawn_down,
	};
	deploy->second.on_fire = on_second;
	if (spawn_open(deploy->loop, &config, &deploy->spawn, &err) < 0) {
		bytes_to_string(bytes_of(err.message), deploy->self_test.complaint,
			sizeof deploy->self_test.complaint);
		deploy->self_test.has_run = true;
		start_all(deploy);
	}
	loop_timer_start(deploy->loop, &deploy->second, clock_mono_ns() + CLOCK_NS_PER_S, NULL);
	if (loop_run(deploy->loop, &err) < 0)
		log_write(LOG_ERROR, &deploy->log, NULL, "the keeper ended",
			LOG_FIELDS(log_fault(&err)));
	spawn_close(deploy->spawn);
	deploy->spawn = NULL;
	return NULL;
}

/* ---- reading what is wanted, before anything runs ---- */
struct first_read {
	struct store_job job;
	struct deploy *deploy;
	sem_t done;
};

static void take_row(void *context, const struct plugin_deployment *row)
{
	struct first_read *read = context;
	struct deployment *deployment =
		keeper_need(read->deploy, bytes_of(row->tenant), bytes_of(row->plugin));
	if (deployment)
		deployment->row = *row;
	else
		ERR_SET(&read->job.err, ERR_NOMEM, "no memory for the deployments");
}

/* The version of each row, so that its hooks guard writes from the first request on. A manifest
 * that cannot be read is reported when its act begins; until then, and as long as that fails, the
 * plugin guards every write of its tenant. */
static void read_versions(struct deploy *deploy, struct store_conn *conn)
{
	for (struct deployment *at = deploy->deployments; at; at = at->next) {
		DEFER(arena_free) struct arena *arena = NULL;
		struct bytes manifest = { NULL, 0 };
		uint64_t size = 0;
		if (arena_new(1u << 20, &arena, NULL) == 0 &&
			plugin_catalogue_get_version(
				conn, at->row.sha256, arena, &manifest, &size) == STORE_OK &&
			manifest.p)
			plugin_version_new(manifest, at->row.sha256, size, &at->version, NULL);
	}
}

static enum store_outcome run_first_read(struct store_job *job, struct store_conn *conn)
{
	struct first_read *read = (struct first_read *)job;
	enum store_outcome outcome = plugin_catalogue_each_deployment(conn, take_row, read);
	if (outcome == STORE_OK)
		read_versions(read->deploy, conn);
	return outcome;
}

static void on_first_read(struct store_job *job)
{
	sem_post(&((struct first_read *)job)->done);
}

static int read_wanted(struct deploy *deploy, struct err *err)
{
	struct first_read read = { .job = { .run = run_first_read, .done = on_first_read },
		.deploy = deploy };
	sem_init(&read.done, 0, 0);
	store_read(deploy->control, &read.job);
	while (sem_wait(&read.done) < 0 && errno == EINTR)
		;
	sem_destroy(&read.done);
	if (read.job.outcome == STORE_OK && read.job.err.code == ERR_NONE)
		return 0;
	if (read.job.err.code != ERR_NONE)
		*err = read.job.err;
	else
		ERR_SET(err, ERR_UNAVAILABLE, "the deployments could not be read");
	return -1;
}

static int say_starting(struct deploy *deploy, struct err *err)
{
	for (struct deployment *at = deploy->deployments; at; at = at->next) {
		bool is_wanted = at->row.wanted == PLUGIN_WANTED_ACTIVE;
		if (keeper_say_down(at, is_wanted ? "it is starting" : "it is disabled",
			    is_wanted ? 1000 : 60000, err) < 0)
			return -1;
	}
	return 0;
}

static int copy_string(const char *from, char **ret, struct err *err)
{
	*ret = from ? strdup(from) : NULL;
	return from && !*ret ? ERR_SET(err, ERR_NOMEM, "no memory for the keeper") : 0;
}

static int copy_config(struct deploy *deploy, const struct deploy_config *config, struct err *err)
{
	deploy->executor = config->executor;
	deploy->control = config->control;
	deploy->tenants = config->tenants;
	deploy->gate = config->gate;
	deploy->audit = config->audit;
	deploy->n_loops = config->n_loops;
	deploy->allow_missing = config->allow_missing;
	deploy->audit_lane = audit_lane(config->audit, config->n_loops);
	deploy->log = LOG_SOURCE("deploy");
	char *folder;
	if (asprintf(&folder, "%s/plugins", config->data_folder) < 0)
		return ERR_SET(err, ERR_NOMEM, "no memory for the keeper");
	deploy->artifact_folder = folder;
	if (copy_string(config->spawner_path, &deploy->spawner_path, err) < 0 ||
		copy_string(config->worker_path, &deploy->worker_path, err) < 0 ||
		copy_string(config->inspector_path, &deploy->inspector_path, err) < 0 ||
		copy_string(config->selftest_path, &deploy->selftest_path, err) < 0)
		return -1;
	return 0;
}

int deploy_open(const struct deploy_config *config, struct deploy **ret, struct err *err)
{
	struct deploy *deploy = calloc(1, sizeof *deploy);
	if (!deploy)
		return ERR_SET(err, ERR_NOMEM, "no memory for the keeper");
	pthread_mutex_init(&deploy->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&deploy->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	struct pool_config pool_config = {
		.loops = config->loops,
		.n_loops = config->n_loops,
		.gate = config->gate,
		.audit = config->audit,
	};
	int result = copy_config(deploy, config, err);
	if (result == 0)
		result = loop_new(config->n_loops, &deploy->loop, err);
	pool_config.keeper = deploy->loop;
	if (result == 0)
		result = pool_new(&pool_config, &deploy->pool, err);
	if (result == 0)
		result = read_wanted(deploy, err);
	if (result == 0)
		result = say_starting(deploy, err);
	if (result == 0) {
		status_refresh(deploy);
		int failed = pthread_create(&deploy->thread, NULL, run_keeper, deploy);
		deploy->has_thread = !failed;
		errno = failed;
		result = failed ? ERR_SET(err, ERR_IO, "cannot start the keeper") : 0;
	}
	if (result < 0) {
		deploy_free(deploy);
		return -1;
	}
	*ret = deploy;
	return 0;
}

bool deploy_wait_ready(struct deploy *deploy, unsigned timeout_ms)
{
	uint64_t until = clock_mono_ns() + timeout_ms * CLOCK_NS_PER_MS;
	struct timespec at = { (time_t)(until / CLOCK_NS_PER_S), (long)(until % CLOCK_NS_PER_S) };
	pthread_mutex_lock(&deploy->lock);
	int failed = 0;
	while (!deploy->is_ready && !failed)
		failed = pthread_cond_timedwait(&deploy->changed, &deploy->lock, &at);
	bool is_ready = deploy->is_ready;
	pthread_mutex_unlock(&deploy->lock);
	return is_ready;
}

struct pool *deploy_pool(struct deploy *deploy)
{
	return deploy->pool;
}

/* ---- the end ---- */
static bool is_quiet(const struct deploy *deploy)
{
	for (const struct deployment *at = deploy->deployments; at; at = at->next)
		if (at->act)
			return false;
	return pool_is_quiet(deploy->pool);
}

/* Asks again soon: acts end in their own time. Whoever waits for a worker is answered by his loop
 * when that worker's end is told, so the keeper stays until every loop has let go. */
static void on_closing(struct loop_timer *timer)
{
	struct deploy *deploy =
		(struct deploy *)(void *)((char *)timer - offsetof(struct deploy, closing));
	static const uint64_t STEP_NS = 20 * CLOCK_NS_PER_MS;
	uint64_t age_ns = clock_mono_ns() - deploy->closing_ns;
	bool is_over = is_quiet(deploy);
	if (!is_over && age_ns >= STUCK_NS)
		is_over = deploy->is_stuck = true;
	if (is_over) {
		loop_stop(deploy->loop);
		return;
	}
	if (age_ns >= LOST_NS && deploy->spawn) {
		spawn_close(deploy->spawn);
		deploy->spawn = NULL;
		pool_lose_all(deploy->pool);
	} else if (age_ns >= DRAIN_NS) {
		pool_kill_all(deploy->pool, "the server stops");
	}
	loop_timer_start(deploy->loop, timer, clock_mono_ns() + STEP_NS, NULL);
}

static void on_close(struct loop_message *message)
{
	struct deploy *deploy =
		(struct deploy *)(void *)((char *)message - offsetof(struct deploy, close_message));
	deploy->is_closing = true;
	for (struct deployment *at = deploy->deployments; at; at = at->next) {
		loop_timer_stop(&at->respawn);
		keeper_say_down(at, "the server stops", 5000, NULL);
		if (at->active)
			pool_instance_drain(at->active);
		if (at->act && at->act->instance)
			pool_instance_kill(at->act->instance, "the server stops");
	}
	deploy->closing.on_fire = on_closing;
	deploy->closing_ns = clock_mono_ns();
	on_closing(&deploy->closing);
}

bool deploy_close(struct deploy *deploy)
{
	if (!deploy || !deploy->has_thread)
		return true;
	deploy->close_message.deliver = on_close;
	loop_post(deploy->loop, &deploy->close_message);
	pthread_join(deploy->thread, NULL);
	deploy->has_thread = false;
	if (deploy->is_stuck)
		return false;
	for (struct deployment *at = deploy->deployments; at; at = at->next)
		if (at->store)
			tenant_use_end(&at->use);
	return true;
}

void deploy_free(struct deploy *deploy)
{
	if (!deploy)
		return;
	assert(!deploy->has_thread);
	if (deploy->loop) {
		loop_timer_stop(&deploy->second);
		loop_timer_stop(&deploy->closing);
	}
	for (struct deployment *at = deploy->deployments; at; at = at->next)
		loop_timer_stop(&at->respawn);
	/* The loop first: it delivers what is still in its mailbox, to the pool among others. */
	loop_free(deploy->loop);
	pool_free(deploy->pool);
	while (deploy->deployments) {
		struct deployment *first = deploy->deployments;
		deploy->deployments = first->next;
		free_deployment(first);
	}
	status_fini(deploy);
	free(deploy->artifact_folder);
	free(deploy->spawner_path);
	free(deploy->worker_path);
	free(deploy->inspector_path);
	free(deploy->selftest_path);
	pthread_cond_destroy(&deploy->changed);
	pthread_mutex_destroy(&deploy->lock);
	free(deploy);
}
