#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

static void start_worker(struct act *act);
static void write_wanted(struct act *act);

/* ---- crashes ---- */
static void on_respawn_timer(struct loop_timer *timer);

static void try_again_at(struct deployment *deployment, uint64_t at_ns)
{
	deployment->respawn.on_fire = on_respawn_timer;
	loop_timer_start(deployment->deploy->loop, &deployment->respawn, at_ns, NULL);
}

/* One that never started is loaded from its artifact again; one that served has its file at hand.
 */
static void respawn(struct deployment *deployment)
{
	struct deploy *deploy = deployment->deploy;
	if (deploy->is_closing)
		return;
	bool is_failed = deployment->state == DEPLOYMENT_FAILED;
	struct act *act = act_new(deploy, is_failed ? ACT_START : ACT_RESPAWN, NULL);
	if (!act) {
		/* Memory may come back: the next try is a timer away. */
		try_again_at(deployment, clock_mono_ns() + CLOCK_NS_PER_S);
		return;
	}
	act->tenant = tenant_find(deploy->tenants, bytes_of(deployment->tenant));
	act_enqueue(act, deployment);
}

static void on_respawn_timer(struct loop_timer *timer)
{
	respawn((
		struct deployment *)(void *)((char *)timer - offsetof(struct deployment, respawn)));
}

static void back_off(struct deployment *deployment)
{
	deployment->backoff_ms = deployment->backoff_ms ? 2 * deployment->backoff_ms : 100;
	if (deployment->backoff_ms > 30000)
		deployment->backoff_ms = 30000;
	try_again_at(deployment, clock_mono_ns() + deployment->backoff_ms * CLOCK_NS_PER_MS);
}

void rollout_on_failed_start(struct deployment *deployment, const char *message)
{
	struct deploy *deploy = deployment->deploy;
	char reason[160];
	snprintf(reason, sizeof reason, "%s could not start: %.90s", deployment->plugin, message);
	deployment->state = DEPLOYMENT_FAILED;
	bytes_to_string(bytes_of(message), deployment->message, sizeof deployment->message);
	keeper_say_down(deployment, reason, 5000, NULL);
	if (!deploy->is_closing && !deploy->self_test.complaint[0])
		back_off(deployment);
}

static void quarantine(struct deployment *deployment)
{
	char reason[160];
	snprintf(reason, sizeof reason,
		"%s is quarantined: its worker ended %d times in 5 minutes; deploy another "
		"version, or enable it again",
		deployment->plugin, CRASHES_MAX);
	deployment->state = DEPLOYMENT_QUARANTINED;
	keeper_say_down(deployment, reason, 60000, NULL);
	struct audit_record record = {
		.kind = AUDIT_LIFECYCLE,
		.decision = AUDIT_DENIED,
		.generation = deployment->row.generation,
		.tenant = bytes_of(deployment->tenant),
		.plugin = bytes_of(deployment->plugin),
		.actor = BYTES("system"),
		.action = BYTES("plugin.quarantine"),
		.reason = bytes_of(deployment->message),
	};
	audit_append(deployment->deploy->audit_lane, &record, NULL);
	log_write(LOG_ERROR, &deployment->deploy->log, NULL, reason,
		LOG_FIELDS(log_string("tenant", deployment->tenant)));
}

void rollout_on_crash(struct deployment *deployment, const struct pool_end *end)
{
	uint64_t now = clock_mono_ns();
	bytes_to_string(bytes_of(end->reason), deployment->message, sizeof deployment->message);
	log_write(LOG_WARN, &deployment->deploy->log, NULL, "a worker ended",
		LOG_FIELDS(log_string("tenant", deployment->tenant),
			log_string("plugin", deployment->plugin),
			log_string("reason", end->reason)));
	if (end->exit && end->exit->end == SPAWN_LOST) {
		respawn(deployment);
		return;
	}
	deployment->n_worker_ends++;
	uint64_t *oldest = &deployment->crashes_ns[deployment->n_crashes % CRASHES_MAX];
	uint64_t newest =
		deployment->n_crashes
			? deployment->crashes_ns[(deployment->n_crashes - 1) % CRASHES_MAX]
			: 0;
	*oldest = now;
	deployment->n_crashes++;
	/* The one after the newest is the oldest of the last five. */
	uint64_t fifth = deployment->crashes_ns[deployment->n_crashes % CRASHES_MAX];
	if (deployment->n_crashes >= CRASHES_MAX && now - fifth < CRASHES_NS) {
		quarantine(deployment);
		return;
	}
	deployment->state = DEPLOYMENT_BACKING_OFF;
	if (newest == 0 || now - newest > 60 * CLOCK_NS_PER_S) {
		deployment->backoff_ms = 0;
		respawn(deployment);
		return;
	}
	back_off(deployment);
}

void rollout_instance_gone(
	void *context, struct pool_instance *instance, const struct pool_end *end)
{
	struct deployment *deployment = context;
	struct act *act = deployment->act;
	if (act && act->instance == instance) {
		bool is_respawn = act->kind == ACT_RESPAWN;
		act->instance = NULL;
		if (act->has_switched && !is_respawn)
			return; /* on_switched finds it gone, and needs the act until then */
		if (act->is_writing) {
			bytes_to_string(bytes_of(end->reason), act->undoing, sizeof act->undoing);
			return; /* on_wanted_written finds it gone, and puts the row back */
		}
		if (deployment->deploy->is_closing) {
			act_end(act, DEPLOY_FAULT, "the server stops");
			return;
		}
		act_end(act, is_respawn ? DEPLOY_FAULT : DEPLOY_REFUSED, end->reason);
		if (is_respawn)
			rollout_on_crash(deployment, end);
	} else if (deployment->active == instance) {
		deployment->active = NULL;
		if (!deployment->deploy->is_closing)
			rollout_on_crash(deployment, end);
	}
	status_refresh(deployment->deploy);
}

/* ---- after the switch ---- */
static void on_synced_here(struct loop_message *message)
{
	struct act *act = (struct act *)(void *)((char *)message - offsetof(struct act, message));
	act_end(act, DEPLOY_DONE, "");
}

/* On the sealer's thread. A broken journal is reported by the next append. */
static void on_synced(struct audit_wait *wait, enum audit_result result)
{
	struct act *act = (struct act *)(void *)((char *)wait - offsetof(struct act, audit_wait));
	(void)result;
	act->message.deliver = on_synced_here;
	loop_post(act->deploy->loop, &act->message);
}

static void finish(struct act *act, const char *action)
{
	act_record(act, action, AUDIT_ALLOWED, NULL);
	act->audit_wait = (struct audit_wait){ .done = on_synced };
	audit_sync(act->deploy->audit_lane, &act->audit_wait);
}

/* The new version is the deployment's now. */
static void take_over(struct act *act)
{
	struct deployment *deployment = act->deployment;
	plugin_version_unref(deployment->version);
	deployment->version = plugin_version_ref(act->version);
	deployment->granted = act->granted;
	deployment->row = act->row;
	if (deployment->fd >= 0)
		close(deployment->fd);
	deployment->fd = act->fd;
	act->fd = -1;
	deployment->message[0] = 0;
	deployment->since_wall_us = clock_wall_us();
	deployment->n_crashes = 0;
	memset(deployment->crashes_ns, 0, sizeof deployment->crashes_ns);
	deployment->backoff_ms = 0;
	loop_timer_stop(&deployment->respawn);
}

/* Every loop calls the new instance. */
static void on_switched(void *context)
{
	struct act *act = context;
	struct deployment *deployment = act->deployment;
	struct pool_instance *before = deployment->active;
	take_over(act);
	deployment->active = act->instance;
	deployment->state = DEPLOYMENT_ACTIVE;
	/* Handed over: the act goes on until the journal is on disk, and if the worker dies
	 * meanwhile it is the deployment's that has died. */
	act->instance = NULL;
	if (before)
		pool_instance_drain(before);
	if (!deployment->active && !deployment->deploy->is_closing) {
		struct pool_end end = { .was_ready = true,
			.reason = "the worker ended while it took over" };
		rollout_on_crash(deployment, &end);
	}
	log_write(LOG_INFO, &act->deploy->log, NULL, "a plugin serves",
		LOG_FIELDS(log_string("tenant", deployment->tenant),
			log_string("plugin", deployment->plugin),
			log_text("version", act->version->manifest.version),
			log_text("sha256", (struct bytes){ act->sha256, 12 })));
	finish(act, "plugin.active");
}

/* ---- the wanted row ---- */
static enum store_outcome put_wanted(struct act *act, struct store_conn *conn)
{
	enum store_outcome outcome = plugin_catalogue_put_deployment(conn, &act->row);
	if (outcome == STORE_OK)
		outcome = plugin_catalogue_put_step(conn, act->row.tenant, act->row.plugin,
			act->row.sha256,
			act->row.wanted == PLUGIN_WANTED_ACTIVE ? "active" : "disabled", "");
	return outcome;
}

static enum store_outcome put_back(struct act *act, struct store_conn *conn)
{
	/* The keeper's thread has the row from before, and changes it for no other act meanwhile.
	 */
	const struct plugin_deployment *before = &act->deployment->row;
	enum store_outcome outcome = before->sha256[0]
					     ? plugin_catalogue_put_deployment(conn, before)
					     : plugin_catalogue_remove_deployment(
						       conn, act->row.tenant, act->row.plugin);
	if (outcome == STORE_OK)
		outcome = plugin_catalogue_put_step(conn, act->row.tenant, act->row.plugin,
			act->row.sha256, "refused", act->undoing);
	return outcome;
}

static void on_put_back(struct act *act)
{
	char message[512];
	if (act->err.code == ERR_NONE) {
		memcpy(message, act->undoing, sizeof act->undoing);
		act_end(act, act->is_refused ? DEPLOY_REFUSED : DEPLOY_FAULT, message);
		return;
	}
	snprintf(message, sizeof message,
		"%s; and what was wanted before could not be written down again (%.100s): after a "
		"restart of the server this version would start",
		act->undoing, act->err.message);
	act_end(act, DEPLOY_FAULT, message);
}

/* What was committed is not to be: a start of the server would begin with it. */
static void undo_wanted(struct act *act, const char *why, bool is_refused)
{
	if (why != act->undoing)
		bytes_to_string(bytes_of(why), act->undoing, sizeof act->undoing);
	act->is_refused = is_refused;
	act_on_control(act, true, put_back, on_put_back);
}

static void switch_to(struct act *act)
{
	struct deployment *deployment = act->deployment;
	struct pool_switch to = {
		.tenant = deployment->tenant,
		.plugin = deployment->plugin,
		.instance = act->instance,
		.reason = "",
		.done = on_switched,
		.context = act,
	};
	act->has_switched = true;
	if (pool_switch(act->deploy->pool, &to, &act->err) < 0) {
		struct pool_instance *instance = act->instance;
		act->has_switched = false;
		act->instance = NULL;
		pool_instance_kill(instance, "no memory for a switch");
		if (act->kind == ACT_START) /* its row is what it was */
			act_end(act, DEPLOY_FAULT, "no memory for a switch");
		else
			undo_wanted(act, "no memory for a switch", false);
	}
}

static void on_wanted_written(struct act *act)
{
	act->is_writing = false;
	if (act->err.code != ERR_NONE) {
		if (act->instance) {
			struct pool_instance *instance = act->instance;
			act->instance = NULL;
			pool_instance_kill(instance, "the catalogue could not be written");
		}
		act_has_failed(act);
		return;
	}
	if (!act->instance) {
		undo_wanted(act, act->undoing, !act->deploy->is_closing);
		return;
	}
	switch_to(act);
}

static void write_wanted(struct act *act)
{
	act->is_writing = true;
	act_on_control(act, true, put_wanted, on_wanted_written);
}

/* ---- the worker ---- */
static void on_probed(void *context, const char *complaint)
{
	struct deployment *deployment = context;
	struct act *act = deployment->act;
	if (!act || !act->instance)
		return; /* it ended meanwhile, which was reported */
	if (complaint[0]) {
		pool_instance_kill(act->instance, complaint); /* its end refuses the act */
		return;
	}
	act_record(act, "plugin.probed", AUDIT_ALLOWED, NULL);
	if (act->kind == ACT_START)
		switch_to(act);
	else
		write_wanted(act);
}

static void on_ready(void *context, struct pool_instance *instance)
{
	struct deployment *deployment = context;
	struct act *act = deployment->act;
	if (!act || act->instance != instance) {
		pool_instance_kill(instance, "nobody waits for it");
		return;
	}
	if (act->kind == ACT_RESPAWN) {
		act->instance = NULL;
		deployment->active = instance;
		deployment->state = DEPLOYMENT_ACTIVE;
		act_record(act, "plugin.respawned", AUDIT_ALLOWED, NULL);
		act_end(act, DEPLOY_DONE, "");
		return;
	}
	pool_instance_probe(instance, on_probed, deployment);
}

/* A respawned worker is switched in before it is ready: calls wait in its rings for the few
 * milliseconds that it needs, instead of being refused. */
static void switch_early(struct act *act)
{
	struct deployment *deployment = act->deployment;
	struct pool_switch to = {
		.tenant = deployment->tenant,
		.plugin = deployment->plugin,
		.instance = act->instance,
		.reason = "",
	};
	act->has_switched = true;
	if (pool_switch(act->deploy->pool, &to, NULL) < 0)
		pool_instance_kill(act->instance, "no memory for a switch");
}

static void on_instance_freed(void *context)
{
	struct deployment *deployment = context;
	struct deploy *deploy = deployment->deploy;
	deployment->n_instances--;
	keeper_forget_unused(deployment);
	status_refresh(deploy);
}

static void start_worker(struct act *act)
{
	struct deployment *deployment = act->deployment;
	bool is_respawn = act->kind == ACT_RESPAWN;
	if (act->deploy->is_closing) { /* it may have no spawner any more */
		act_end(act, DEPLOY_FAULT, "the server stops");
		return;
	}
	struct pool_instance_spec spec = {
		.tenant = deployment->tenant,
		.store = deployment->store,
		.version = is_respawn ? deployment->version : act->version,
		.granted = is_respawn ? &deployment->granted : &act->granted,
		.generation = is_respawn ? deployment->row.generation : act->row.generation,
		.plugin_fd = is_respawn ? deployment->fd : act->fd,
		.counters = deployment->counters,
		.context = deployment,
		.on_ready = on_ready,
		.on_exit = rollout_instance_gone,
		.on_freed = on_instance_freed,
	};
	if (pool_instance_start(
		    act->deploy->pool, act->deploy->spawn, &spec, &act->instance, &act->err) < 0) {
		act->instance = NULL;
		if (is_respawn) {
			struct pool_end end = { 0 };
			bytes_to_string(bytes_of(act->err.message), end.reason, sizeof end.reason);
			act_end(act, DEPLOY_FAULT, end.reason);
			rollout_on_crash(deployment, &end);
			return;
		}
		act_has_failed(act);
		return;
	}
	deployment->n_instances++;
	if (is_respawn)
		switch_early(act);
}

/* ---- the statements fit the tenant's schema ---- */
static void on_statements_checked(struct act *act)
{
	if (act_has_failed(act))
		return;
	start_worker(act);
}

static enum store_outcome check_statements(struct act *act, struct store_conn *conn)
{
	return gate_check_statements(conn, act->version, &act->granted, &act->err);
}

static void on_tenant_open(struct tenant_use *use, bool is_open)
{
	struct deployment *deployment =
		(struct deployment *)(void *)((char *)use - offsetof(struct deployment, use));
	struct act *act = deployment->act;
	if (!is_open) {
		act->err = use->err;
		if (act->err.code == ERR_INVALID || act->err.code == ERR_NONE)
			act->err.code = ERR_UNAVAILABLE;
		act_has_failed(act);
		return;
	}
	deployment->store = tenant_store(act->tenant);
	act_on_tenant(act, check_statements, on_statements_checked);
}

static void need_tenant(struct act *act)
{
	struct deployment *deployment = act->deployment;
	if (act->grant_all)
		plugin_grant_all(&act->version->manifest, &act->granted);
	else
		plugin_grant_none(&act->granted);
	if (deployment->store) {
		act_on_tenant(act, check_statements, on_statements_checked);
		return;
	}
	deployment->use = (struct tenant_use){ .done = on_tenant_open, .loop = act->deploy->loop };
	tenant_use_begin(act->tenant, &deployment->use);
}

/* ---- what each kind of act begins with ---- */
static void on_artifact_loaded(struct act *act)
{
	if (act_has_failed(act))
		return;
	need_tenant(act);
}

static void on_version_read(struct act *act)
{
	if (act->err.code == ERR_INVALID) /* it was good once: not the author's fault now */
		act->err.code = ERR_CORRUPT;
	if (act_has_failed(act))
		return;
	act_on_files(act, upload_load_artifact, on_artifact_loaded);
}

/* Serves a version that the catalogue knows. */
static void load(struct act *act, const char *sha256)
{
	bytes_to_string(bytes_of(sha256), act->sha256, sizeof act->sha256);
	act->row = act->deployment->row;
	act->row.wanted = PLUGIN_WANTED_ACTIVE;
	act->grant_all = act->row.grant_all;
	act_on_control(act, false, upload_read_version, on_version_read);
}

static void on_off(void *context)
{
	struct act *act = context;
	struct deployment *deployment = act->deployment;
	struct pool_instance *before = deployment->active;
	deployment->active = NULL;
	deployment->state = DEPLOYMENT_DISABLED;
	deployment->row = act->row;
	loop_timer_stop(&deployment->respawn);
	if (before)
		pool_instance_drain(before);
	finish(act, "plugin.disabled");
}

static void on_disable_written(struct act *act)
{
	if (act_has_failed(act))
		return;
	char reason[160];
	snprintf(reason, sizeof reason, "%s is disabled", act->deployment->plugin);
	struct pool_switch to = {
		.tenant = act->deployment->tenant,
		.plugin = act->deployment->plugin,
		.reason = reason,
		.retry_after_ms = 60000,
		.done = on_off,
		.context = act,
	};
	if (pool_switch(act->deploy->pool, &to, &act->err) < 0)
		undo_wanted(act, "no memory for a switch", false);
}

static void disable(struct act *act)
{
	act->row = act->deployment->row;
	bytes_to_string(bytes_of(act->row.sha256), act->sha256, sizeof act->sha256);
	act->row.wanted = PLUGIN_WANTED_DISABLED;
	act_on_control(act, true, put_wanted, on_disable_written);
}

static void begin_upload(struct act *act)
{
	const struct deployment *deployment = act->deployment;
	act->row = deployment->row;
	bytes_to_string(bytes_of(deployment->tenant), act->row.tenant, sizeof act->row.tenant);
	bytes_to_string(bytes_of(deployment->plugin), act->row.plugin, sizeof act->row.plugin);
	bool is_other = strcmp(act->row.sha256, act->sha256) != 0;
	if (act->row.sha256[0] && is_other)
		memcpy(act->row.previous_sha256, act->row.sha256, sizeof act->row.sha256);
	memcpy(act->row.sha256, act->sha256, sizeof act->row.sha256);
	act->row.wanted = PLUGIN_WANTED_ACTIVE;
	act->row.grant_all = act->grant_all;
	act->row.generation++;
	need_tenant(act);
}

static void begin_rollback(struct act *act)
{
	const struct deployment *deployment = act->deployment;
	if (!deployment->row.previous_sha256[0]) {
		act_end(act, DEPLOY_NOT_FOUND, "there is no version before this one");
		return;
	}
	load(act, deployment->row.previous_sha256);
	memcpy(act->row.previous_sha256, deployment->row.sha256, sizeof act->row.sha256);
	memcpy(act->row.sha256, act->sha256, sizeof act->row.sha256);
	act->row.generation++;
}

/* Another act may have started a worker, or disabled the plugin, while this one stood in line. */
static void begin_respawn(struct act *act)
{
	const struct deployment *deployment = act->deployment;
	bool is_wanted = deployment->state == DEPLOYMENT_BACKING_OFF ||
			 deployment->state == DEPLOYMENT_ACTIVE;
	if (deployment->active || !is_wanted || !deployment->version) {
		act_end(act, DEPLOY_DONE, "");
		return;
	}
	memcpy(act->sha256, deployment->version->sha256, sizeof act->sha256);
	start_worker(act);
}

/* Another act may have started a worker, or disabled the plugin, since the timer fired. */
static void begin_start(struct act *act)
{
	struct deployment *deployment = act->deployment;
	if (deployment->active || deployment->row.wanted != PLUGIN_WANTED_ACTIVE) {
		act_end(act, DEPLOY_DONE, "");
		return;
	}
	deployment->state = DEPLOYMENT_STARTING;
	load(act, deployment->row.sha256);
}

/* An act that somebody asked for leaves the state alone until it has succeeded: what fails must
 * leave a plugin that was to be tried again to its timer. status.c says "starting" meanwhile. */
void rollout_begin(struct act *act)
{
	struct deploy *deploy = act->deploy;
	struct deployment *deployment = act->deployment;
	if (deploy->is_closing) {
		act_end(act, DEPLOY_FAULT, "the server stops");
		return;
	}
	if (!act->tenant && act->kind != ACT_RESPAWN) {
		act_refuse(act, "its tenant is not there any more");
		return;
	}
	if (!deploy->self_test.has_run && act->kind != ACT_DISABLE) {
		act_end(act, DEPLOY_BUSY, "the sandbox's self-test has not ended yet: try again");
		return;
	}
	if (deploy->self_test.complaint[0] && act->kind != ACT_DISABLE) {
		act_refuse(
			act, "this machine may not run plugins: %s", deploy->self_test.complaint);
		return;
	}
	switch (act->kind) {
	case ACT_UPLOAD:
		begin_upload(act);
		break;
	case ACT_ROLLBACK:
		begin_rollback(act);
		break;
	case ACT_DISABLE:
		disable(act);
		break;
	case ACT_ENABLE:
		load(act, deployment->row.sha256);
		act->row.generation++;
		break;
	case ACT_START:
		begin_start(act);
		break;
	case ACT_RESPAWN:
		begin_respawn(act);
		break;
	}
}
