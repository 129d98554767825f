#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "view.h"

static size_t instance_bytes(const struct pool *pool)
{
	return sizeof(struct pool_instance) + pool->n_views * sizeof(struct pool_lane);
}

/* ---- starting ---- */
static int open_event_fds(struct pool_instance *instance, struct err *err)
{
	for (unsigned i = 0; i < instance->pool->n_views; i++) {
		instance->event_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (instance->event_fds[i] < 0)
			return ERR_SET(err, ERR_IO, "no descriptor for an eventfd");
	}
	return 0;
}

static void fill(
	struct pool_instance *instance, struct pool *pool, const struct pool_instance_spec *spec)
{
	instance->pool = pool;
	bytes_to_string(bytes_of(spec->tenant), instance->tenant, sizeof instance->tenant);
	instance->store = spec->store;
	instance->version = plugin_version_ref(spec->version);
	instance->granted = *spec->granted;
	instance->generation = spec->generation;
	instance->counters = spec->counters;
	instance->context = spec->context;
	instance->on_ready = spec->on_ready;
	instance->on_exit = spec->on_exit;
	instance->on_instance_freed = spec->on_freed;
	instance->output.fd = -1;
	for (unsigned i = 0; i <= POOL_LOOPS_MAX; i++)
		instance->event_fds[i] = -1;
	bytes_unhex((struct bytes){ spec->version->sha256, 2 * AUDIT_ARTIFACT_BYTES },
		instance->artifact, AUDIT_ARTIFACT_BYTES);
	snprintf(instance->log_name, sizeof instance->log_name, "plugin:%.*s",
		(int)spec->version->manifest.id.n, spec->version->manifest.id.p);
	instance->log = LOG_SOURCE(instance->log_name);
}

static void on_started(void *context, struct spawn_child *child, pid_t pid, int pidfd)
{
	struct pool_instance *instance = context;
	(void)child;
	(void)pidfd;
	instance->pid = pid;
}

static void on_load_timeout(struct loop_timer *timer)
{
	struct pool_instance *instance =
		(struct pool_instance *)(void *)((char *)timer -
						 offsetof(struct pool_instance, timer));
	pool_instance_kill(instance, "load failed: not ready within 2 s");
}

static int start_worker(struct pool_instance *instance, struct spawn *spawn,
	const struct pool_instance_spec *spec, struct err *err)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return ERR_SET(err, ERR_IO, "no descriptors for a pipe");
	instance_watch_output(instance, pipe_fds[0]);
	struct spawn_request request = {
		.plugin_fd = spec->plugin_fd,
		.segment_fd = ring_segment_fd(instance->segment),
		.stdio_fd = pipe_fds[1],
		.eventfds = instance->event_fds,
		.n_eventfds = instance->pool->n_views,
		.limits.memory_bytes = (uint64_t)spec->version->manifest.memory_mib << 20,
		.is_selftest = spec->is_selftest,
		.context = instance,
		.on_started = on_started,
		.on_exit = instance_on_exit,
	};
	int result = spawn_start(spawn, &request, &instance->child, err);
	close(pipe_fds[1]);
	return result;
}

int pool_instance_start(struct pool *pool, struct spawn *spawn,
	const struct pool_instance_spec *spec, struct pool_instance **ret, struct err *err)
{
	struct pool_instance *instance = mmap(NULL, instance_bytes(pool), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (instance == MAP_FAILED)
		return ERR_SET(err, ERR_NOMEM, "no memory for an instance");
	fill(instance, pool, spec);
	pool->n_instances++;
	instance->next = pool->instances;
	if (pool->instances)
		pool->instances->before = instance;
	pool->instances = instance;
	if (ring_segment_new(pool->n_views, &instance->segment, err) < 0 ||
		open_event_fds(instance, err) < 0) {
		instance_free(instance);
		return -1;
	}
	for (unsigned i = 0; i < pool->n_views; i++)
		lane_init(&instance->lanes[i], instance, i);
	instance_init_messages(instance);
	instance->lanes[0].was_opened = true;
	instance->timer.on_fire = on_load_timeout;
	if (lane_open(&instance->lanes[0], err) < 0 ||
		loop_timer_start(pool->keeper, &instance->timer,
			clock_mono_ns() + POOL_LOAD_MS * CLOCK_NS_PER_MS, err) < 0 ||
		start_worker(instance, spawn, spec, err) < 0) {
		lane_close(&instance->lanes[0], POOL_ENDED);
		instance_free(instance);
		return -1;
	}
	*ret = instance;
	return 0;
}

/* ---- what the worker says about itself ---- */
static const char *take_ready(struct pool_instance *instance, struct bytes payload)
{
	struct wire_ready ready;
	const struct plugin_manifest *manifest = &instance->version->manifest;
	if (instance->state != INSTANCE_STARTING || !wire_get_ready(payload, &ready))
		return "a READY that cannot be";
	loop_timer_stop(&instance->timer);
	if (!bytes_eq(ready.id, manifest->id) || !bytes_eq(ready.version, manifest->version) ||
		ready.concurrency != (uint32_t)manifest->concurrency) {
		snprintf(instance->reason, sizeof instance->reason,
			"load failed: tenon_plugin_v1 says \"%.*s\" %.*s, its manifest says "
			"\"%.*s\" %.*s: build both from one source",
			(int)(ready.id.n < 48 ? ready.id.n : 48), ready.id.p,
			(int)(ready.version.n < 32 ? ready.version.n : 32), ready.version.p,
			(int)manifest->id.n, manifest->id.p, (int)manifest->version.n,
			manifest->version.p);
		pool_instance_kill(instance, instance->reason);
		return NULL;
	}
	instance->state = INSTANCE_READY;
	instance->was_ready = true;
	instance_record(instance, AUDIT_LIFECYCLE, "plugin.ready", NULL);
	instance->on_ready(instance->context, instance);
	return NULL;
}

static const char *take_failed(struct pool_instance *instance, struct bytes payload)
{
	struct wire_failed failed;
	if (instance->state != INSTANCE_STARTING || !wire_get_failed(payload, &failed))
		return "a FAILED that cannot be";
	int stage_n = (int)(failed.stage.n < 16 ? failed.stage.n : 16);
	int message_n = (int)(failed.message.n < 150 ? failed.message.n : 150);
	snprintf(instance->reason, sizeof instance->reason, "%.*s failed: %.*s", stage_n,
		failed.stage.p, message_n, failed.message.p);
	return NULL;
}

const char *instance_take_message(
	struct pool_instance *instance, uint16_t type, struct bytes payload)
{
	switch (type) {
	case WIRE_READY:
		return take_ready(instance, payload);
	case WIRE_FAILED:
		return take_failed(instance, payload);
	case WIRE_DRAINED:
		return instance->state == INSTANCE_ENDING ? NULL
							  : "a DRAINED that nobody asked for";
	default:
		return "a message that no instance sends";
	}
}

/* ---- the probe ---- */
static void on_probe_done(struct pool_call *call)
{
	struct pool_instance *instance =
		(struct pool_instance *)(void *)((char *)call -
						 offsetof(struct pool_instance, probe));
	char complaint[256] = "";
	void (*on_probed)(void *, const char *) = instance->on_probed;
	instance->on_probed = NULL;
	if (!on_probed)
		return; /* the worker's end was reported */
	if (call->outcome == POOL_FAILED)
		snprintf(complaint, sizeof complaint, "its health check failed: %.*s",
			(int)(call->message.n < 200 ? call->message.n : 200),
			call->message.n ? call->message.p : "");
	else if (call->outcome != POOL_ANSWERED)
		snprintf(complaint, sizeof complaint, "its health check: %s",
			pool_outcome_name(call->outcome));
	on_probed(instance->probe_context, complaint);
}

void pool_instance_probe(struct pool_instance *instance,
	void (*done)(void *context, const char *complaint), void *context)
{
	instance->on_probed = done;
	instance->probe_context = context;
	instance->probe = (struct pool_call){ .done = on_probe_done };
	struct pool_target target = { .lane = &instance->lanes[0], .version = instance->version };
	pool_call_start(instance->pool->views[0], &target, &instance->probe);
}

int pool_instance_call(
	struct pool_instance *instance, const struct plugin_route *route, struct pool_call *call)
{
	if (instance->state != INSTANCE_READY)
		return -1;
	struct pool_target target = {
		.lane = &instance->lanes[0],
		.version = instance->version,
		.route = route,
		.index = (unsigned)(route - instance->version->manifest.routes),
	};
	pool_call_start(instance->pool->views[0], &target, call);
	return 0;
}

/* ---- figures ---- */
int pool_instance_pid(const struct pool_instance *instance)
{
	return instance->pid;
}

uint64_t pool_instance_rss(const struct pool_instance *instance)
{
	char path[40], text[128];
	if (instance->pid <= 0)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/statm", instance->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	unsigned long long pages = 0;
	if (n <= 0)
		return 0;
	text[n] = 0;
	if (sscanf(text, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
