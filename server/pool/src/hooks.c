#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "instance.h"
#include "pool_hooks.h"

#define PLUGINS_MAX 16 /* whose hooks one write may ask */

struct attached {
	struct gate_attachments *list[PLUGINS_MAX];
	unsigned n;
	uint64_t deadline_ns;
	uint8_t trace_id[ID_TRACE_BYTES];
	char message[160]; /* of a refusal of ours */
};

/* One write's way through the hooks. */
struct hook_run {
	struct pool_view *view;
	struct record_hook_call *asked;
	struct pool_call call;
	struct attached *attached;      /* NULL until something is */
	char plugin[PLUGIN_ID_MAX + 1]; /* the last that was asked */
	char actor[AUDIT_ACTOR_MAX + 1];
	unsigned n_asked;
	bool is_fail_open;
	struct bytes_buf both; /* of an update: what the plugin is told */
};

static void ask_next(struct hook_run *run);

static enum plugin_action action_of(enum record_action action)
{
	static const enum plugin_action ACTIONS[] = {
		[RECORD_CREATE] = PLUGIN_CREATE,
		[RECORD_UPDATE] = PLUGIN_UPDATE,
		[RECORD_DELETE] = PLUGIN_REMOVE,
	};
	return ACTIONS[action];
}

static struct bytes action_name(enum record_action action)
{
	static const char *const NAMES[] = {
		[RECORD_CREATE] = "create", [RECORD_UPDATE] = "update", [RECORD_DELETE] = "delete"
	};
	return bytes_of(NAMES[action]);
}

static void free_attached(struct attached *attached)
{
	for (unsigned i = 0; attached && i < attached->n; i++)
		gate_attachments_free(attached->list[i]);
	free(attached);
}

/* ---- the end of the way ---- */
static void finish(struct hook_run *run)
{
	struct record_hook_call *asked = run->asked;
	asked->attached = run->attached;
	bytes_buf_fini(&run->both);
	free(run);
	asked->done(asked);
}

static void refuse(struct hook_run *run, const struct record_refusal *refusal)
{
	struct record_hook_call *asked = run->asked;
	asked->is_refused = true;
	asked->refusal = *refusal;
	free_attached(run->attached);
	run->attached = NULL;
	finish(run);
}

/* The plugin did not answer. Goes on when the hook may be missed. */
static void miss(struct hook_run *run, const char *why)
{
	if (run->is_fail_open) {
		ask_next(run);
		return;
	}
	char message[160];
	snprintf(message, sizeof message, "%s could not check this: %s", run->plugin, why);
	struct record_refusal refusal = {
		.status = 503, .message = bytes_of(message), .code = BYTES("hook_unavailable")
	};
	refuse(run, &refusal);
}

static bool keep_attachments(struct hook_run *run, struct gate_attachments *attachments)
{
	if (!attachments)
		return true;
	if (!run->attached)
		run->attached = calloc(1, sizeof *run->attached);
	if (!run->attached || run->attached->n == PLUGINS_MAX) {
		gate_attachments_free(attachments);
		return false;
	}
	run->attached->deadline_ns = run->asked->deadline_ns;
	memcpy(run->attached->trace_id, run->asked->trace_id, sizeof run->attached->trace_id);
	run->attached->list[run->attached->n++] = attachments;
	return true;
}

static void on_hook_done(struct pool_call *call)
{
	struct hook_run *run = call->context;
	if (call->outcome == POOL_ANSWERED) {
		if (keep_attachments(run, call->attachments))
			ask_next(run);
		else
			miss(run, "it attached too much");
		return;
	}
	if (call->outcome != POOL_FAILED) {
		miss(run, pool_outcome_name(call->outcome));
		return;
	}
	struct record_refusal refusal = {
		/* What a plugin says is the writer's fault; 5xx is for those that do not answer. */
		.status = call->status >= 400 && call->status < 500 ? (int)call->status : 400,
		.message = call->message.n ? call->message : BYTES("The plugin refused this."),
		.field = call->field,
		.code = call->reason,
	};
	refuse(run, &refusal);
}

static void ask_next(struct hook_run *run)
{
	struct record_hook_call *asked = run->asked;
	struct pool_target target;
	enum pool_find_result found =
		pool_find_hook(run->view, record_book_tenant(asked->book), asked->collection,
			PLUGIN_BEFORE, action_of(asked->action), bytes_of(run->plugin), &target);
	if (found != POOL_FOUND && found != POOL_DOWN) {
		finish(run);
		return;
	}
	bytes_to_string(target.plugin, run->plugin, sizeof run->plugin);
	run->is_fail_open = target.hook && target.hook->fail_open;
	if (found == POOL_DOWN) {
		miss(run, target.reason);
		return;
	}
	if (++run->n_asked > PLUGINS_MAX || asked->depth > RECORD_DEPTH_MAX) {
		run->is_fail_open = false;
		miss(run, "too many hooks");
		return;
	}
	run->call = (struct pool_call){
		.method = action_name(asked->action),
		.body = asked->old.n ? bytes_buf_view(&run->both) : asked->record,
		.principal = asked->viewer.record_id,
		.principal_collection = asked->viewer.collection_name,
		.is_superuser = asked->viewer.is_superuser,
		.actor = bytes_of(run->actor),
		.depth = asked->depth + 1,
		.deadline_ns = asked->deadline_ns,
		.done = on_hook_done,
		.context = run,
	};
	memcpy(run->call.trace_id, asked->trace_id, sizeof run->call.trace_id);
	pool_call_start(run->view, &target, &run->call);
}

/* ---- what record calls ---- */
static bool has_before(void *context, struct loop *loop, struct bytes tenant,
	struct bytes collection, enum record_action action)
{
	struct pool_target target;
	enum pool_find_result found = pool_find_hook(pool_view(context, loop), tenant, collection,
		PLUGIN_BEFORE, action_of(action), (struct bytes){ NULL, 0 }, &target);
	return found == POOL_FOUND || found == POOL_DOWN;
}

static void refuse_without_memory(struct record_hook_call *call)
{
	call->is_refused = true;
	call->refusal = (struct record_refusal){ .status = 503,
		.message = BYTES("The server has no memory to check this.") };
	call->done(call);
}

static void before(void *context, struct record_hook_call *call)
{
	struct hook_run *run = calloc(1, sizeof *run);
	call->is_refused = false;
	call->attached = NULL;
	if (!run) {
		refuse_without_memory(call);
		return;
	}
	if (call->old.n) {
		bytes_buf_init(&run->both, call->old.n + call->record.n + 32);
		bytes_buf_append_string(&run->both, "{\"old\":");
		bytes_buf_append(&run->both, call->old);
		bytes_buf_append_string(&run->both, ",\"new\":");
		bytes_buf_append(&run->both, call->record);
		bytes_buf_append_byte(&run->both, '}');
	}
	if (run->both.failed) {
		bytes_buf_fini(&run->both);
		free(run);
		refuse_without_memory(call);
		return;
	}
	run->view = pool_view(context, call->loop);
	run->asked = call;
	const struct record_viewer *viewer = &call->viewer;
	if (viewer->record_id.n)
		snprintf(run->actor, sizeof run->actor, "%s:%.*s/%.*s",
			viewer->is_superuser ? "superuser" : "user", (int)viewer->collection_name.n,
			viewer->collection_name.p, (int)viewer->record_id.n, viewer->record_id.p);
	ask_next(run);
}

/* The schema has changed under the plugin. What the database said is for the log: it names what the
 * writer may not know. */
static void refuse_unfit(struct pool *pool, struct attached *attached,
	const struct gate_attachments *of, const struct gate_attachment *unfit,
	struct record_refusal *ret)
{
	struct bytes plugin = of->version->manifest.id;
	struct bytes name = unfit->statement->name;
	log_write(LOG_ERROR, &pool->log, attached->trace_id,
		"a statement that a hook attached cannot be run: deploy a version that fits",
		LOG_FIELDS(log_text("plugin", plugin), log_text("statement", name),
			log_string("message", of->complaint)));
	snprintf(attached->message, sizeof attached->message,
		"%.*s could not check this: its statement does not fit any more", (int)plugin.n,
		plugin.p);
	*ret = (struct record_refusal){ .status = 503,
		.message = bytes_of(attached->message),
		.code = BYTES("hook_unavailable") };
}

static enum record_attached_result run_attached(void *context, void *attached_by,
	struct store_conn *conn, struct record_refusal *ret, enum store_outcome *ret_outcome)
{
	struct attached *attached = attached_by;
	for (unsigned i = 0; i < attached->n; i++) {
		const struct gate_attachment *refused = NULL;
		switch (gate_run_attachments(
			conn, attached->list[i], attached->deadline_ns, &refused, ret_outcome)) {
		case GATE_ATTACHMENT_PASSED:
			break;
		case GATE_ATTACHMENT_REFUSED:
			*ret = (struct record_refusal){
				.status = 400,
				.message = refused->message.n ? refused->message
							      : BYTES("The plugin refused this."),
				.field = refused->field,
				.code = refused->reason,
			};
			return RECORD_ATTACHED_REFUSED;
		case GATE_ATTACHMENT_UNFIT:
			refuse_unfit(context, attached, attached->list[i], refused, ret);
			return RECORD_ATTACHED_REFUSED;
		case GATE_ATTACHMENT_FAULT:
			return RECORD_ATTACHED_FAULT;
		}
	}
	return RECORD_ATTACHED_PASSED;
}

static void release_attached(void *context, void *attached)
{
	(void)context;
	free_attached(attached);
}

struct record_hooks pool_hooks(struct pool *pool)
{
	return (struct record_hooks){
		.context = pool,
		.has_before = has_before,
		.before = before,
		.run_attached = run_attached,
		.release_attached = release_attached,
	};
}
