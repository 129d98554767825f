#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "instance.h"
#include "view.h"

int pool_new(const struct pool_config *config, struct pool **ret, struct err *err)
{
	if (config->n_loops < 1 || config->n_loops > POOL_LOOPS_MAX)
		return ERR_SET(err, ERR_INVALID, "the pool takes 1 to %d loops", POOL_LOOPS_MAX);
	DEFER(pool_free) struct pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		return ERR_SET(err, ERR_NOMEM, "no memory for the pool");
	pool->keeper = config->keeper;
	pool->gate = config->gate;
	pool->log = LOG_SOURCE("pool");
	pool->n_views = config->n_loops + 1;
	if (view_new(pool, config->keeper, 0, audit_lane(config->audit, config->n_loops),
		    &pool->views[0], err) < 0)
		return -1;
	for (unsigned i = 0; i < config->n_loops; i++)
		if (view_new(pool, config->loops[i], i + 1, audit_lane(config->audit, i),
			    &pool->views[i + 1], err) < 0)
			return -1;
	*ret = pool;
	pool = NULL; /* handed over */
	return 0;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	for (unsigned i = 0; i < pool->n_views; i++)
		view_free(pool->views[i]);
	free(pool);
}

struct pool_view *pool_view(struct pool *pool, const struct loop *loop)
{
	for (unsigned i = 0; i < pool->n_views; i++)
		if (pool->views[i]->loop == loop)
			return pool->views[i];
	return NULL;
}

unsigned pool_n_instances(const struct pool *pool)
{
	return pool->n_instances;
}

bool pool_is_quiet(const struct pool *pool)
{
	return pool->n_instances == 0 && pool->n_changes == 0;
}

void pool_on_freed(struct pool *pool, void (*on_freed)(void *context), void *context)
{
	pool->on_freed = on_freed;
	pool->on_freed_context = context;
}

/* ---- switching every loop's view ---- */
struct change;

struct change_step {
	struct loop_message message; /* to the loop, then back */
	struct change *change;
	struct pool_view *view;
	bool has_failed;
};

struct change {
	struct pool *pool;
	char tenant[PLUGIN_TENANT_MAX + 1], plugin[PLUGIN_ID_MAX + 1], reason[160];
	unsigned retry_after_ms;
	struct pool_instance *instance;
	struct plugin_version *version;
	bool are_hooks_unknown;
	void (*done)(void *context);
	void *context;
	unsigned n_missing;
	struct change_step steps[1 + POOL_LOOPS_MAX];
};

/* On the keeper: one loop has switched. */
static void on_switched(struct loop_message *message)
{
	struct change_step *step = (struct change_step *)message;
	struct change *change = step->change;
	assert(change->n_missing > 0);
	if (step->has_failed && change->instance)
		pool_instance_kill(change->instance, "a loop could not take it: no memory");
	if (--change->n_missing > 0)
		return;
	change->pool->n_changes--;
	plugin_version_unref(change->version);
	if (change->done)
		change->done(change->context);
	free(change);
}

/* On a loop. */
static void on_switch(struct loop_message *message)
{
	struct change_step *step = (struct change_step *)message;
	struct change *change = step->change;
	struct view_change to = {
		.tenant = change->tenant,
		.plugin = change->plugin,
		.lane = change->instance ? &change->instance->lanes[step->view->number] : NULL,
		.version = change->version,
		.are_hooks_unknown = change->are_hooks_unknown,
		.reason = change->reason,
		.retry_after_ms = change->retry_after_ms,
	};
	step->has_failed = view_apply(step->view, &to, NULL) < 0;
	message->deliver = on_switched;
	loop_post(change->pool->keeper, message);
}

int pool_switch(struct pool *pool, const struct pool_switch *to, struct err *err)
{
	struct change *change = calloc(1, sizeof *change);
	if (!change)
		return ERR_SET(err, ERR_NOMEM, "no memory for a switch");
	change->pool = pool;
	pool->n_changes++;
	bytes_to_string(bytes_of(to->tenant), change->tenant, sizeof change->tenant);
	bytes_to_string(bytes_of(to->plugin), change->plugin, sizeof change->plugin);
	bytes_to_string(bytes_of(to->reason), change->reason, sizeof change->reason);
	change->retry_after_ms = to->retry_after_ms;
	change->instance = to->instance;
	struct plugin_version *version = to->instance ? to->instance->version : to->version;
	change->version = version ? plugin_version_ref(version) : NULL;
	change->are_hooks_unknown = !version && to->are_hooks_unknown;
	change->done = to->done;
	change->context = to->context;
	change->n_missing = pool->n_views - 1;
	for (unsigned i = 1; i < pool->n_views; i++) {
		struct change_step *step = &change->steps[i];
		*step = (struct change_step){
			.message.deliver = on_switch, .change = change, .view = pool->views[i]
		};
		if (to->instance && !to->instance->lanes[i].was_opened) {
			to->instance->lanes[i].was_opened = true;
			to->instance->n_undrained++;
		}
		loop_post(pool->views[i]->loop, &step->message);
	}
	return 0;
}
