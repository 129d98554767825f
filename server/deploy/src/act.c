#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

#define ACT_OF(member_, at) ((struct act *)(void *)((char *)(at)-offsetof(struct act, member_)))

struct act *act_new(struct deploy *deploy, enum act_kind kind, struct deploy_request *request)
{
	struct act *act = calloc(1, sizeof *act);
	if (!act)
		return NULL;
	act->deploy = deploy;
	act->kind = kind;
	act->request = request;
	act->fd = -1;
	act->inspection.pid_fd = act->inspection.out_fd = -1;
	bytes_buf_init(&act->inspection.out, 4u << 20);
	bytes_to_string(request ? request->actor : BYTES("system"), act->actor, sizeof act->actor);
	return act;
}

static void free_act(struct act *act)
{
	if (act->fd >= 0)
		close(act->fd);
	plugin_version_unref(act->version);
	bytes_buf_fini(&act->inspection.out);
	free(act);
}

/* ---- steps elsewhere ---- */
static void on_files_done(struct loop_message *message)
{
	struct act *act = ACT_OF(message, message);
	act->then(act);
}

static void run_on_files(struct executor_job *job)
{
	struct act *act = ACT_OF(executor_job, job);
	act->err = (struct err){ 0 };
	if (act->work(act, &act->err) < 0 && act->err.code == ERR_NONE)
		act->err.code = ERR_STATE;
	act->message.deliver = on_files_done;
	loop_post(act->deploy->loop, &act->message);
}

void act_on_files(struct act *act, int (*work)(struct act *act, struct err *err),
	void (*then)(struct act *act))
{
	act->work = work;
	act->then = then;
	act->executor_job.run = run_on_files;
	if (executor_submit(act->deploy->executor, EXECUTOR_FILE, &act->executor_job) ==
		EXECUTOR_OK)
		return;
	act_end(act, DEPLOY_BUSY, "the server has too many files to write: try again");
}

static enum store_outcome run_query(struct store_job *job, struct store_conn *conn)
{
	struct act *act = ACT_OF(store_job, job);
	act->err = (struct err){ 0 };
	return act->query(act, conn);
}

static void on_query_done(struct store_job *job)
{
	struct act *act = ACT_OF(store_job, job);
	if (job->outcome == STORE_REFUSED && act->err.code == ERR_NONE)
		ERR_SET(&act->err, ERR_STATE, "the database refused a step");
	else if (job->outcome == STORE_FAULT && act->err.code == ERR_NONE)
		act->err = job->err;
	else if (job->outcome != STORE_OK && act->err.code == ERR_NONE)
		ERR_SET(&act->err, ERR_UNAVAILABLE, "the database is full or busy");
	act->then(act);
}

static void run_on_store(struct act *act, struct store *store, bool is_write,
	enum store_outcome (*query)(struct act *act, struct store_conn *conn),
	void (*then)(struct act *act))
{
	act->query = query;
	act->then = then;
	act->store_job = (struct store_job){
		.run = run_query, .done = on_query_done, .loop = act->deploy->loop
	};
	if (is_write)
		store_write(store, &act->store_job);
	else
		store_read(store, &act->store_job);
}

void act_on_control(struct act *act, bool is_write,
	enum store_outcome (*query)(struct act *act, struct store_conn *conn),
	void (*then)(struct act *act))
{
	run_on_store(act, act->deploy->control, is_write, query, then);
}

void act_on_tenant(struct act *act,
	enum store_outcome (*query)(struct act *act, struct store_conn *conn),
	void (*then)(struct act *act))
{
	run_on_store(act, act->deployment->store, false, query, then);
}

/* ---- the end ---- */
bool act_has_failed(struct act *act)
{
	if (act->err.code == ERR_NONE)
		return false;
	bool is_theirs = act->err.code == ERR_INVALID;
	char message[sizeof act->err.message];
	memcpy(message, act->err.message, sizeof message);
	act_end(act, is_theirs ? DEPLOY_REFUSED : DEPLOY_FAULT, message);
	return true;
}

void act_refuse(struct act *act, const char *format, ...)
{
	char message[400];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(message, sizeof message, format, args);
	va_end(args);
	act_end(act, DEPLOY_REFUSED, message);
}

void act_record(
	struct act *act, const char *action, enum audit_decision decision, const char *reason)
{
	uint8_t artifact[AUDIT_ARTIFACT_BYTES];
	bool has_artifact = bytes_unhex(
		(struct bytes){ act->sha256, 2 * AUDIT_ARTIFACT_BYTES }, artifact, sizeof artifact);
	struct audit_record record = {
		.kind = act->request ? AUDIT_ADMIN : AUDIT_LIFECYCLE,
		.decision = decision,
		.generation = act->deployment ? act->deployment->row.generation : 0,
		.trace = act->request ? act->request->trace_id : NULL,
		.artifact = has_artifact ? artifact : NULL,
		.tenant = act->tenant ? bytes_of(tenant_name(act->tenant))
				      : (struct bytes){ NULL, 0 },
		.plugin = act->deployment ? bytes_of(act->deployment->plugin)
					  : (struct bytes){ NULL, 0 },
		.actor = bytes_of(act->actor),
		.action = bytes_of(action),
		.reason = bytes_of(reason),
	};
	audit_append(act->deploy->audit_lane, &record, NULL);
}

static void on_request_done(struct loop_message *message)
{
	struct deploy_request *request =
		(struct deploy_request *)(void *)((char *)message -
						  offsetof(struct deploy_request, post));
	request->done(request);
}

static void fill_answer(struct act *act, enum deploy_outcome outcome, const char *message)
{
	struct deploy_request *request = act->request;
	if (!request)
		return;
	const struct plugin_version *version = act->version;
	request->outcome = outcome;
	bytes_to_string(bytes_of(message), request->message, sizeof request->message);
	if (act->deployment)
		bytes_to_string(bytes_of(act->deployment->plugin), request->plugin_id,
			sizeof request->plugin_id);
	if (version)
		bytes_to_string(
			version->manifest.version, request->version, sizeof request->version);
	bytes_to_string(bytes_of(act->sha256), request->sha256, sizeof request->sha256);
}

static void send_answer(struct deploy *deploy, struct deploy_request *request)
{
	if (!request)
		return;
	request->post.deliver = on_request_done;
	atomic_fetch_sub(&deploy->n_requests, 1);
	loop_post(request->loop, &request->post);
}

void act_end(struct act *act, enum deploy_outcome outcome, const char *message)
{
	static const char *const ACTIONS[] = { "plugin.deploy", "plugin.rollback", "plugin.disable",
		"plugin.enable", "plugin.start", "plugin.respawn" };
	struct deploy *deploy = act->deploy;
	struct deployment *deployment = act->deployment;
	if (outcome != DEPLOY_DONE) {
		act_record(act, ACTIONS[act->kind], AUDIT_DENIED, message);
		log_write(LOG_WARN, &deploy->log, NULL, "a deployment was refused",
			LOG_FIELDS(log_string("act", ACTIONS[act->kind]),
				log_string("tenant", act->tenant ? tenant_name(act->tenant) : ""),
				log_string("plugin", deployment ? deployment->plugin : ""),
				log_string("reason", message)));
	}
	bool is_first = act->is_first;
	if (act->kind == ACT_START && outcome != DEPLOY_DONE && deployment)
		rollout_on_failed_start(deployment, message);
	bool is_last = deployment && --deployment->n_acts == 0;
	if (deployment && deployment->act == act)
		deployment->act = NULL;
	fill_answer(act, outcome, message);
	if (is_last)
		keeper_forget_unused(deployment);
	status_refresh(deploy);
	send_answer(deploy, act->request); /* who is told finds the list as it is now */
	free_act(act);
	if (deployment && !is_last && !deployment->act && deployment->waiting) {
		struct act *next = deployment->waiting;
		deployment->waiting = next->next;
		if (!deployment->waiting)
			deployment->waiting_end = &deployment->waiting;
		deployment->act = next;
		rollout_begin(next);
	}
	if (is_first && --deploy->n_start_acts == 0)
		keeper_say_ready(deploy);
}

void act_enqueue(struct act *act, struct deployment *deployment)
{
	if (act->deployment != deployment)
		deployment->n_acts++;
	act->deployment = deployment;
	act->next = NULL;
	if (deployment->act) {
		*deployment->waiting_end = act;
		deployment->waiting_end = &act->next;
		return;
	}
	deployment->act = act;
	rollout_begin(act);
}
