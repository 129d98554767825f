#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "instance.h"
#include "view.h"

#define CANCEL_NS  (30 * CLOCK_NS_PER_S) /* a drain lets calls go on for this long */
#define KILL_NS    (35 * CLOCK_NS_PER_S)
#define GOODBYE_NS (2 * CLOCK_NS_PER_S) /* between DRAIN and the worker's exit */

#define LANE_OF(message_, member)                                                                  \
	((struct pool_lane *)(void *)((char *)(message_)-offsetof(struct pool_lane, member)))

void instance_free(struct pool_instance *instance)
{
	struct pool *pool = instance->pool;
	for (unsigned i = 0; i < pool->n_views; i++)
		if (instance->lanes[i].view)
			lane_fini(&instance->lanes[i]);
	loop_timer_stop(&instance->timer);
	instance_close_output(instance);
	for (unsigned i = 0; i < pool->n_views; i++)
		if (instance->event_fds[i] >= 0)
			close(instance->event_fds[i]);
	ring_segment_free(instance->segment);
	plugin_version_unref(instance->version);
	if (instance->next)
		instance->next->before = instance->before;
	if (instance->before)
		instance->before->next = instance->next;
	else
		pool->instances = instance->next;
	munmap(instance, sizeof(struct pool_instance) + pool->n_views * sizeof(struct pool_lane));
	pool->n_instances--;
}

/* ---- the worker is gone: every lane ends ---- */

/* On the keeper. The last lane frees the instance. */
static void on_lane_ended(struct loop_message *message)
{
	struct pool_instance *instance = LANE_OF(message, ended_message)->instance;
	struct pool *pool = instance->pool;
	assert(instance->n_unended > 0);
	if (--instance->n_unended > 0)
		return;
	void (*on_freed)(void *context) = instance->on_instance_freed;
	void *context = instance->context;
	instance_free(instance);
	if (on_freed)
		on_freed(context);
	if (pool->on_freed)
		pool->on_freed(pool->on_freed_context);
}

/* On the lane's loop. */
static void on_lane_end(struct loop_message *message)
{
	struct pool_lane *lane = LANE_OF(message, end_message);
	view_forget_lane(lane->view, lane, "it is being restarted after a crash");
	lane_close(lane, POOL_CRASHED);
	if (lane->gate.n_calls > 0)
		lane->has_ended = true; /* the gate says when its last job is back */
	else
		loop_post(lane->instance->pool->keeper, &lane->ended_message);
}

static void describe_exit(struct pool_instance *instance, const struct spawn_exit *exit)
{
	char *out = instance->reason;
	size_t room = sizeof instance->reason;
	if (out[0])
		return; /* the worker, or whoever killed it, said why */
	const char *load = instance->was_ready ? "" : "load failed: ";
	switch (exit->end) {
	case SPAWN_EXITED:
		snprintf(out, room, "%sthe worker exited with status %d", load, exit->status);
		break;
	case SPAWN_KILLED:
		if (exit->is_out_of_memory)
			snprintf(out, room, "%sthe worker passed its memory limit of %u MiB", load,
				instance->version->manifest.memory_mib);
		else if (exit->syscall_nr >= 0)
			snprintf(out, room,
				"%sthe worker was killed for the forbidden system call %d", load,
				exit->syscall_nr);
		else
			snprintf(out, room, "%sthe worker was killed by signal %d (%s)", load,
				exit->status, strsignal(exit->status));
		break;
	case SPAWN_LOST:
		snprintf(out, room, "%sthe spawner died, and the worker with it", load);
		break;
	case SPAWN_FAILED:
		snprintf(out, room, "no worker was started: %s", exit->detail);
		break;
	}
}

void instance_on_exit(void *context, struct spawn_child *child, const struct spawn_exit *exit)
{
	struct pool_instance *instance = context;
	(void)child;
	instance->child = NULL;
	/* What it said last is still in its ring: perhaps why it failed. */
	if (instance->lanes[0].is_open)
		lane_run(&instance->lanes[0]);
	instance_read_rest(instance);
	instance->state = INSTANCE_GONE;
	loop_timer_stop(&instance->timer);
	describe_exit(instance, exit);
	instance_record(instance, AUDIT_LIFECYCLE, "plugin.exit", instance->reason);

	struct pool_end end = {
		.was_ready = instance->was_ready,
		.was_asked = instance->was_asked,
		.was_late = instance->was_late,
		.was_poisoned = instance->was_poisoned,
		.exit = exit,
	};
	bytes_to_string(bytes_of(instance->reason), end.reason, sizeof end.reason);
	/* The owner hears of it first: what it switches in now reaches each loop before the end of
	 * this lane does, so that calls find somebody without a gap. */
	instance->on_probed = NULL;
	instance->on_exit(instance->context, instance, &end);

	for (unsigned i = 0; i < instance->pool->n_views; i++)
		if (instance->lanes[i].was_opened)
			instance->n_unended++;
	for (unsigned i = 0; i < instance->pool->n_views; i++) {
		struct pool_lane *lane = &instance->lanes[i];
		if (lane->was_opened)
			loop_post(lane->loop, &lane->end_message);
	}
}

/* ---- a loop wants it dead ---- */
static void on_condemned(struct loop_message *message)
{
	struct pool_lane *lane = LANE_OF(message, condemned_message);
	struct pool_instance *instance = lane->instance;
	/* Noise in the segment is seen by every loop; the worker is condemned once. */
	if (instance->was_poisoned || instance->was_late)
		return;
	instance->was_poisoned = lane->is_poison;
	instance->was_late = !lane->is_poison;
	instance_record(instance, AUDIT_SANDBOX, lane->is_poison ? "ipc.violation" : "plugin.late",
		lane->why);
	char reason[200];
	snprintf(reason, sizeof reason, "%s: %s",
		lane->is_poison ? "the worker broke the protocol" : "the worker was killed",
		lane->why);
	log_write(LOG_WARN, &instance->log, NULL, reason,
		LOG_FIELDS(log_string("tenant", instance->tenant), log_int("pid", instance->pid)));
	if (instance->child) {
		if (!instance->reason[0])
			memcpy(instance->reason, reason, sizeof reason);
		spawn_kill(instance->child);
	}
}

void pool_instance_kill(struct pool_instance *instance, const char *reason)
{
	if (!instance->child)
		return;
	if (reason != instance->reason && !instance->reason[0])
		bytes_to_string(bytes_of(reason), instance->reason, sizeof instance->reason);
	spawn_kill(instance->child);
}

void pool_kill_all(struct pool *pool, const char *reason)
{
	for (struct pool_instance *at = pool->instances; at; at = at->next)
		pool_instance_kill(at, reason);
}

void pool_lose_all(struct pool *pool)
{
	static const struct spawn_exit lost = { .end = SPAWN_LOST, .syscall_nr = -1 };
	/* An instance is freed by a message, so the list stands while it is walked. */
	for (struct pool_instance *at = pool->instances; at; at = at->next)
		if (at->state != INSTANCE_GONE)
			instance_on_exit(at, at->child, &lost);
}

/* ---- draining ---- */
static void on_drain_timer(struct loop_timer *timer)
{
	struct pool_instance *instance =
		(struct pool_instance *)(void *)((char *)timer -
						 offsetof(struct pool_instance, timer));
	uint64_t age = clock_mono_ns() - instance->drain_ns;
	if (instance->state == INSTANCE_ENDING || age >= KILL_NS) {
		pool_instance_kill(instance, "it did not end when it was told to");
		return;
	}
	for (unsigned i = 1; i < instance->pool->n_views; i++)
		if (instance->lanes[i].was_opened)
			loop_post(instance->lanes[i].loop, &instance->lanes[i].cancel_message);
	loop_timer_start(instance->pool->keeper, timer, instance->drain_ns + KILL_NS, NULL);
}

/* No call is left: the plugin may say goodbye. */
static void say_goodbye(struct pool_instance *instance)
{
	struct pool_lane *lane = &instance->lanes[0];
	if (instance->state != INSTANCE_DRAINING || !lane->is_open)
		return;
	instance->state = INSTANCE_ENDING;
	uint64_t deadline_ns = clock_mono_ns() + GOODBYE_NS;
	struct bytes_buf *head = &lane->view->head;
	bytes_buf_clear(head);
	struct wire_drain drain = { .deadline_ns = deadline_ns };
	struct ring_message message = { .type = WIRE_DRAIN };
	if (wire_put_drain(head, &drain)) {
		message.head = bytes_buf_view(head);
		lane_send(lane, &message);
		ring_wake_worker(instance->segment);
	}
	loop_timer_start(instance->pool->keeper, &instance->timer, deadline_ns, NULL);
}

static void on_lane_drained(struct loop_message *message)
{
	struct pool_instance *instance = LANE_OF(message, drained_message)->instance;
	assert(instance->n_undrained > 0);
	if (--instance->n_undrained == 0)
		say_goodbye(instance);
}

static void on_lane_cancel(struct loop_message *message)
{
	struct pool_lane *lane = LANE_OF(message, cancel_message);
	if (lane->is_open)
		lane_cancel_all(lane);
}

void pool_instance_drain(struct pool_instance *instance)
{
	instance->was_asked = true;
	if (instance->state != INSTANCE_READY)
		return;
	instance->state = INSTANCE_DRAINING;
	instance->drain_ns = clock_mono_ns();
	instance->timer.on_fire = on_drain_timer;
	loop_timer_start(
		instance->pool->keeper, &instance->timer, instance->drain_ns + CANCEL_NS, NULL);
	if (instance->n_undrained == 0)
		say_goodbye(instance);
}

void instance_init_messages(struct pool_instance *instance)
{
	for (unsigned i = 0; i < instance->pool->n_views; i++) {
		struct pool_lane *lane = &instance->lanes[i];
		lane->end_message.deliver = on_lane_end;
		lane->cancel_message.deliver = on_lane_cancel;
		lane->ended_message.deliver = on_lane_ended;
		lane->drained_message.deliver = on_lane_drained;
		lane->condemned_message.deliver = on_condemned;
	}
}
