#include "hooks.h"

#include "gate.h"

#include <stdlib.h>
#include <string.h>

/* Plugins of one tenant that may attach to one write. */
#define SETS_MAX 8

/* The message of a refusal, copied: the plugin's answer ends with its call. */
#define TEXT_MAX 512

struct attached {
	struct gate_attachments *sets[SETS_MAX];
	unsigned n;
	uint64_t deadline_ns;
};

/* One walk over the plugins that have a hook for a write. */
struct walk {
	struct record_hook_call *ask;
	struct pool *pool;
	struct pool_call call;
	struct attached *attached;
	unsigned cursor;
	bool is_open; /* the hook under way: the write goes on without its answer */
	char message[TEXT_MAX], field[PLUGIN_NAME_MAX + 1], code[PLUGIN_NAME_MAX + 1];
};

static enum plugin_action plugin_action_of(enum record_action action)
{
	static const enum plugin_action actions[] = { [RECORD_CREATE] = PLUGIN_CREATE,
		[RECORD_UPDATE] = PLUGIN_UPDATE,
		[RECORD_DELETE] = PLUGIN_REMOVE };

	return actions[action];
}

static bool has_before(void *context, struct loop *loop, struct bytes tenant,
	struct bytes collection, enum record_action action)
{
	struct pool_target target;
	unsigned cursor = 0;
	enum pool_find_result result = pool_find_hook(pool_view(context, loop), tenant, collection,
		PLUGIN_BEFORE, plugin_action_of(action), &cursor, &target);

	return result == POOL_FOUND || result == POOL_DOWN;
}

static void free_attached(struct attached *attached)
{
	if (!attached)
		return;
	for (unsigned i = 0; i < attached->n; i++)
		gate_attachments_free(attached->sets[i]);
	free(attached);
}

static void allow(struct walk *walk)
{
	struct record_hook_call *ask = walk->ask;

	ask->is_refused = false;
	ask->attached = walk->attached;
	ask->done(ask);
	free(walk);
}

static void refuse(
	struct walk *walk, int status, const char *code, struct bytes field, struct bytes message)
{
	struct record_hook_call *ask = walk->ask;

	(void)bytes_to_string(message, walk->message, sizeof walk->message);
	(void)bytes_to_string(field, walk->field, sizeof walk->field);
	(void)bytes_to_string(bytes_of(code), walk->code, sizeof walk->code);
	free_attached(walk->attached);
	ask->is_refused = true;
	ask->attached = NULL;
	ask->refusal = (struct record_refusal){ .status = status,
		.message = bytes_of(walk->message),
		.field = bytes_of(walk->field),
		.code = bytes_of(walk->code) };
	ask->done(ask);
	free(walk);
}

static void next(struct walk *walk);

/* Keeps what a plugin attached. False when that is too much. */
static bool keep(struct walk *walk, struct gate_attachments *set)
{
	if (!set)
		return true;
	if (!walk->attached)
		walk->attached = calloc(1, sizeof *walk->attached);
	if (!walk->attached || walk->attached->n == SETS_MAX) {
		gate_attachments_free(set);
		return false;
	}
	walk->attached->sets[walk->attached->n++] = set;
	walk->attached->deadline_ns = walk->ask->deadline_ns;
	return true;
}

static void on_answer(struct pool_call *call)
{
	struct walk *walk = call->context;
	char code[PLUGIN_NAME_MAX + 1];

	switch (call->outcome) {
	case POOL_ANSWERED:
		if (keep(walk, call->attachments))
			next(walk);
		else
			refuse(walk, 503, "hook_limit", (struct bytes){ 0 },
				BYTES("Plugins attached more to this write than it can carry."));
		return;
	case POOL_FAILED:
		gate_attachments_free(call->attachments);
		(void)bytes_to_string(call->reason, code, sizeof code);
		refuse(walk, (int)call->status, code, call->field, call->message);
		return;
	default:
		gate_attachments_free(call->attachments);
		if (walk->is_open)
			next(walk);
		else
			refuse(walk, (int)pool_status(call), "hook_failed", (struct bytes){ 0 },
				BYTES("A plugin that must agree to this write did not answer."));
		return;
	}
}

static void next(struct walk *walk)
{
	struct record_hook_call *ask = walk->ask;
	struct pool_view *view = pool_view(walk->pool, ask->loop);
	struct pool_target target;
	enum pool_find_result result;

	do {
		result = pool_find_hook(view, record_book_tenant(ask->book), ask->collection,
			PLUGIN_BEFORE, plugin_action_of(ask->action), &walk->cursor, &target);
	} while (result == POOL_DOWN && target.hook->fail_open);
	if (result == POOL_DOWN) {
		refuse(walk, 503, "hook_down", (struct bytes){ 0 },
			BYTES("A plugin that must agree to this write is not serving now."));
		return;
	}
	if (result != POOL_FOUND) {
		allow(walk);
		return;
	}
	walk->is_open = target.hook->fail_open;
	walk->call = (struct pool_call){ .method = BYTES("POST"),
		.path = ask->collection,
		.body = ask->record,
		.principal = ask->viewer.record_id,
		.principal_collection = ask->viewer.collection_name,
		.is_superuser = ask->viewer.is_superuser,
		.depth = ask->depth,
		.deadline_ns = ask->deadline_ns,
		.done = on_answer,
		.context = walk };
	memcpy(walk->call.trace_id, ask->trace_id, ID_TRACE_BYTES);
	pool_call_start(view, &target, &walk->call);
}

static void before(void *context, struct record_hook_call *ask)
{
	struct walk *walk = calloc(1, sizeof *walk);

	if (!walk) {
		ask->is_refused = true;
		ask->refusal = (struct record_refusal){ .status = 503,
			.message = BYTES("There is no memory to ask the plugins.") };
		ask->done(ask);
		return;
	}
	walk->ask = ask;
	walk->pool = context;
	next(walk);
}

static enum record_attached_result run_attached(void *context, void *opaque,
	struct store_conn *conn, struct record_refusal *ret, enum store_outcome *ret_outcome)
{
	const struct attached *attached = opaque;
	const struct gate_attachment *refused;

	(void)context;
	for (unsigned i = 0; i < attached->n; i++) {
		switch (gate_run_attachments(
			conn, attached->sets[i], attached->deadline_ns, &refused, ret_outcome)) {
		case GATE_ATTACHMENT_PASSED:
			break;
		case GATE_ATTACHMENT_REFUSED:
			*ret = (struct record_refusal){ .status = 400,
				.message = refused->message,
				.field = refused->field,
				.code = refused->reason };
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

void hooks_init(struct pool *pool, struct record_hooks *ret)
{
	*ret = (struct record_hooks){ .context = pool,
		.has_before = has_before,
		.before = before,
		.run_attached = run_attached,
		.release_attached = release_attached };
}
