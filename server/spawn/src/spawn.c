#include "spawner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop.h"
#include "process.h"
#include "sandbox_wire.h"

#define DEFAULT_MEMORY_BYTES        (64ull << 20)
#define DEFAULT_ADDRESS_SPACE_BYTES (512ull << 20)

#define RETRY_FIRST_MS              100u
#define RETRY_MOST_MS               30000u
/* A spawner that has lived this long has earned a restart at once. */
#define STEADY_NS (10 * CLOCK_NS_PER_S)

enum child_state {
	CHILD_QUEUED, /* waits here with its descriptors */
	CHILD_SENT,   /* the spawner has been asked */
	CHILD_STARTED
};

struct spawn_child {
	struct spawn_child *next;
	struct spawn *spawn;
	uint64_t id;
	enum child_state state;
	bool is_kill_wanted;
	int pidfd; /* -1 unless started */
	struct sandbox_wire message;
	int fds[SANDBOX_WIRE_FDS]; /* ours while queued */
	size_t n_fds;
	void *context;
	void (*on_started)(void *context, struct spawn_child *child, pid_t pid, int pidfd);
	void (*on_exit)(void *context, struct spawn_child *child, const struct spawn_exit *exit);
};

struct spawn {
	struct loop *loop;
	struct spawn_config config;
	pid_t pid;  /* of the spawner; 0: it is down */
	int socket; /* -1: down */
	struct loop_watch watch;
	struct loop_timer restart;
	struct loop_timer cancel; /* fires at once: ends queued children that were killed */
	bool is_ready, is_refused;
	uint64_t up_since_ns, next_id;
	unsigned retry_ms; /* the delay of the last restart; 0: none yet, or steady since */
	size_t n_children, n_queued;
	struct spawn_child *children; /* in the order of their start */
	struct sandbox_report report;
};

#define SPAWN_OF(pointer, member)                                                                  \
	((struct spawn *)(void *)((char *)(pointer)-offsetof(struct spawn, member)))

static void go_down(struct spawn *spawn);

/* ---- children ---- */

static struct spawn_child *find_child(struct spawn *spawn, uint64_t id)
{
	struct spawn_child *child = spawn->children;

	while (child && child->id != id)
		child = child->next;
	return child;
}

static void close_fds(struct spawn_child *child)
{
	for (size_t i = 0; i < child->n_fds; i++)
		(void)close(child->fds[i]);
	child->n_fds = 0;
}

static void free_child(struct spawn_child *child)
{
	if (!child)
		return;
	close_fds(child);
	if (child->pidfd >= 0)
		(void)close(child->pidfd);
	free(child);
}

static void unlink_child(struct spawn *spawn, struct spawn_child *child)
{
	struct spawn_child **at = &spawn->children;

	while (*at != child)
		at = &(*at)->next;
	*at = child->next;
	spawn->n_children--;
	if (child->state == CHILD_QUEUED)
		spawn->n_queued--;
}

/* The child's end, told once. The child is out of the list before, so that on_exit may start
 * others. */
static void end_child(struct spawn *spawn, struct spawn_child *child, const struct spawn_exit *exit)
{
	unlink_child(spawn, child);
	child->on_exit(child->context, child, exit);
	free_child(child);
}

static void signal_child(struct spawn_child *child)
{
	/* The only failure is that it has died already. */
	(void)syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

/* Sends what is queued, as far as the socket takes it. */
static void flush(struct spawn *spawn)
{
	if (!spawn->is_ready || spawn->is_refused)
		return;
	for (struct spawn_child *child = spawn->children; child; child = child->next) {
		struct err err = { 0 };
		if (child->state != CHILD_QUEUED || child->is_kill_wanted)
			continue;
		if (sandbox_wire_send(spawn->socket, &child->message, child->fds, child->n_fds,
			    MSG_DONTWAIT, &err)) {
			/* Any other failure is the spawner's end, which its socket will tell. */
			bool is_full = err.os_errno == EAGAIN || err.os_errno == ETOOMANYREFS;
			(void)loop_watch_change(
				&spawn->watch, is_full ? EPOLLIN | EPOLLOUT : EPOLLIN, NULL);
			return;
		}
		child->state = CHILD_SENT;
		spawn->n_queued--;
		close_fds(child);
	}
	(void)loop_watch_change(&spawn->watch, EPOLLIN, NULL);
}

/* Ends every child that matches, also when an on_exit starts or kills others meanwhile. */
static void end_children(struct spawn *spawn, bool (*matches)(const struct spawn_child *child),
	const struct spawn_exit *exit)
{
	uint64_t newest = spawn->next_id;

	for (struct spawn_child *child = spawn->children; child;) {
		if (child->id >= newest)
			break;
		if (!matches(child)) {
			child = child->next;
			continue;
		}
		end_child(spawn, child, exit);
		child = spawn->children;
	}
}

static bool is_cancelled(const struct spawn_child *child)
{
	return child->state == CHILD_QUEUED && child->is_kill_wanted;
}

static bool is_queued(const struct spawn_child *child)
{
	return child->state == CHILD_QUEUED;
}

static bool is_with_spawner(const struct spawn_child *child)
{
	return child->state != CHILD_QUEUED;
}

static void cancel_fires(struct loop_timer *timer)
{
	static const struct spawn_exit cancelled = {
		.end = SPAWN_FAILED,
		.status = ECANCELED,
		.syscall_nr = -1,
		.detail = "killed before it was started",
	};

	end_children(SPAWN_OF(timer, cancel), is_cancelled, &cancelled);
}

/* ---- what the spawner says ---- */

static void handle_hello(struct spawn *spawn, const struct sandbox_report *report)
{
	static const struct spawn_exit refused = {
		.end = SPAWN_FAILED,
		.status = ENOSYS,
		.syscall_nr = -1,
		.detail = "this machine cannot hold a worker: see the sandbox report",
	};
	uint32_t missing = 0;

	spawn->report = *report;
	spawn->report.kernel[sizeof report->kernel - 1] = '\0';
	spawn->report.vulnerabilities[sizeof report->vulnerabilities - 1] = '\0';
	enum sandbox_verdict verdict =
		sandbox_report_check(report, spawn->config.allow_missing, &missing);
	spawn->is_ready = true;
	spawn->is_refused = verdict == SANDBOX_REFUSED;
	if (spawn->config.on_ready)
		spawn->config.on_ready(spawn->config.context, &spawn->report, verdict, missing);
	if (spawn->is_refused)
		end_children(spawn, is_queued, &refused);
	flush(spawn);
}

static void handle_started(struct spawn_child *child, pid_t pid, int pidfd)
{
	child->pidfd = pidfd;
	child->state = CHILD_STARTED;
	if (child->is_kill_wanted)
		signal_child(child);
	else if (child->on_started)
		child->on_started(child->context, child, pid, pidfd);
}

static void handle_exited(
	struct spawn *spawn, struct spawn_child *child, const struct sandbox_wire_exited *exited)
{
	struct spawn_exit exit = {
		.end = exited->was_killed ? SPAWN_KILLED : SPAWN_EXITED,
		.status = exited->status,
		.syscall_nr = exited->syscall_nr,
		.is_out_of_memory = exited->is_out_of_memory != 0,
		.max_rss_bytes = exited->max_rss_bytes,
		.user_us = exited->user_us,
		.system_us = exited->system_us,
	};
	const char *step = exited->was_killed ? NULL : sandbox_step_name(exited->status);

	if (step)
		(void)snprintf(
			exit.detail, sizeof exit.detail, "could not enter the sandbox: %s", step);
	else if (exited->was_killed && exited->status == SIGSYS && exited->syscall_nr >= 0)
		(void)snprintf(exit.detail, sizeof exit.detail, "killed for system call %d",
			(int)exited->syscall_nr);
	else if (exited->was_killed && exited->status == SIGSYS)
		(void)snprintf(exit.detail, sizeof exit.detail, "killed for a system call");
	else if (exit.is_out_of_memory)
		(void)snprintf(exit.detail, sizeof exit.detail, "killed at its memory limit");
	else if (exited->was_killed)
		(void)snprintf(exit.detail, sizeof exit.detail, "killed by signal %d",
			(int)exited->status);
	else
		(void)snprintf(exit.detail, sizeof exit.detail, "exited with status %d",
			(int)exited->status);
	end_child(spawn, child, &exit);
}

static void handle_failed(
	struct spawn *spawn, struct spawn_child *child, int os_errno, const char *detail)
{
	struct spawn_exit exit = { .end = SPAWN_FAILED, .status = os_errno, .syscall_nr = -1 };

	(void)snprintf(
		exit.detail, sizeof exit.detail, "%.*s", (int)sizeof exit.detail - 1, detail);
	end_child(spawn, child, &exit);
}

/* Returns false when the spawner breaks the protocol. Takes over the descriptors that it uses by
 * setting their place to -1. */
static bool handle_message(
	struct spawn *spawn, struct sandbox_wire *message, int *fds, size_t n_fds)
{
	if (message->kind == SANDBOX_WIRE_HELLO) {
		if (spawn->is_ready)
			return false;
		handle_hello(spawn, &message->hello);
		return true;
	}
	struct spawn_child *child = find_child(spawn, message->id);
	if (!child || child->state == CHILD_QUEUED)
		return false;
	switch (message->kind) {
	case SANDBOX_WIRE_STARTED:
		if (child->state != CHILD_SENT || n_fds != 1)
			return false;
		handle_started(child, message->started.pid, fds[0]);
		fds[0] = -1;
		return true;
	case SANDBOX_WIRE_EXITED:
		if (child->state != CHILD_STARTED)
			return false;
		handle_exited(spawn, child, &message->exited);
		return true;
	case SANDBOX_WIRE_FAILED:
		if (child->state != CHILD_SENT)
			return false;
		message->failed.detail[sizeof message->failed.detail - 1] = '\0';
		handle_failed(spawn, child, message->failed.os_errno, message->failed.detail);
		return true;
	default:
		return false;
	}
}

static void socket_is_ready(struct loop_watch *watch, uint32_t events)
{
	struct spawn *spawn = SPAWN_OF(watch, watch);

	if (events & EPOLLOUT)
		flush(spawn);
	for (;;) {
		struct sandbox_wire message;
		int fds[SANDBOX_WIRE_FDS];
		size_t n_fds = 0;
		bool is_good = false;

		switch (sandbox_wire_receive(spawn->socket, MSG_DONTWAIT, &message, fds, &n_fds)) {
		case SANDBOX_WIRE_MESSAGE:
			is_good = handle_message(spawn, &message, fds, n_fds);
			break;
		case SANDBOX_WIRE_NONE:
			return;
		case SANDBOX_WIRE_CLOSED:
			break;
		}
		for (size_t i = 0; i < n_fds; i++)
			if (fds[i] >= 0)
				(void)close(fds[i]);
		if (!is_good) {
			go_down(spawn);
			return;
		}
	}
}

/* ---- the spawner's life ---- */

static int go_up(struct spawn *spawn, struct err *err)
{
	if (process_start(spawn->config.spawner_path, spawn->config.worker_path, &spawn->pid,
		    &spawn->socket, err))
		return -1;
	spawn->up_since_ns = clock_mono_ns();
	spawn->watch = (struct loop_watch){ .fd = spawn->socket, .on_ready = socket_is_ready };
	if (loop_watch_add(spawn->loop, &spawn->watch, EPOLLIN, err) == 0)
		return 0;
	process_end(spawn->pid);
	(void)close(spawn->socket);
	spawn->pid = 0;
	spawn->socket = -1;
	return -1;
}

static void schedule_restart(struct spawn *spawn)
{
	bool was_steady = spawn->up_since_ns && clock_mono_ns() - spawn->up_since_ns >= STEADY_NS;
	unsigned delay_ms = 0;

	if (was_steady || spawn->retry_ms == 0) {
		/* At once; the next one waits. */
		spawn->retry_ms = RETRY_FIRST_MS;
	} else {
		delay_ms = spawn->retry_ms;
		spawn->retry_ms = delay_ms < RETRY_MOST_MS / 2 ? delay_ms * 2 : RETRY_MOST_MS;
	}
	spawn->up_since_ns = 0;
	(void)loop_timer_start(
		spawn->loop, &spawn->restart, clock_mono_ns() + delay_ms * CLOCK_NS_PER_MS, NULL);
	if (spawn->config.on_down)
		spawn->config.on_down(spawn->config.context, delay_ms);
}

static void restart_fires(struct loop_timer *timer)
{
	struct spawn *spawn = SPAWN_OF(timer, restart);

	if (go_up(spawn, NULL))
		schedule_restart(spawn);
}

/* The spawner is gone or speaks nonsense. Its workers die with it: each follows it by a signal of
 * the kernel's that no worker can refuse. */
static void go_down(struct spawn *spawn)
{
	static const struct spawn_exit lost = {
		.end = SPAWN_LOST,
		.syscall_nr = -1,
		.detail = "lost with its spawner",
	};

	loop_watch_remove(&spawn->watch);
	(void)close(spawn->socket);
	process_end(spawn->pid);
	spawn->socket = -1;
	spawn->pid = 0;
	spawn->is_ready = false;
	end_children(spawn, is_with_spawner, &lost);
	schedule_restart(spawn);
}

static void free_spawn(struct spawn *spawn)
{
	free((char *)(uintptr_t)spawn->config.spawner_path);
	free((char *)(uintptr_t)spawn->config.worker_path);
	free(spawn);
}

int spawn_open(
	struct loop *loop, const struct spawn_config *config, struct spawn **ret, struct err *err)
{
	struct spawn *spawn = calloc(1, sizeof *spawn);
	if (!spawn)
		return ERR_SET(err, ERR_NOMEM, "no memory for the spawner's state");
	spawn->loop = loop;
	spawn->config = *config;
	spawn->config.spawner_path = strdup(config->spawner_path);
	spawn->config.worker_path = strdup(config->worker_path);
	spawn->socket = -1;
	spawn->next_id = 1;
	spawn->restart.on_fire = restart_fires;
	spawn->cancel.on_fire = cancel_fires;
	if (!spawn->config.spawner_path || !spawn->config.worker_path) {
		free_spawn(spawn);
		return ERR_SET(err, ERR_NOMEM, "no memory for the spawner's state");
	}
	if (go_up(spawn, err)) {
		free_spawn(spawn);
		return -1;
	}
	*ret = spawn;
	return 0;
}

void spawn_close(struct spawn *spawn)
{
	if (!spawn)
		return;
	loop_timer_stop(&spawn->restart);
	loop_timer_stop(&spawn->cancel);
	if (spawn->pid) {
		loop_watch_remove(&spawn->watch);
		/* The end of the socket makes it end its workers and remove their groups. */
		(void)close(spawn->socket);
		process_wait(spawn->pid);
	}
	while (spawn->children) {
		struct spawn_child *child = spawn->children;
		unlink_child(spawn, child);
		free_child(child);
	}
	free_spawn(spawn);
}

/* Fills in what goes over the wire; duplicates the descriptors above the standard ones. */
static int fill_child(
	struct spawn_child *child, const struct spawn_request *request, struct err *err)
{
	const struct spawn_limits *limits = &request->limits;
	int fds[SANDBOX_WIRE_FDS] = { request->plugin_fd, request->segment_fd, request->stdio_fd };

	for (uint32_t i = 0; i < request->n_eventfds; i++)
		fds[3 + i] = request->eventfds[i];
	for (uint32_t i = 0; i < 3 + request->n_eventfds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (copy < 0)
			return ERR_SET(err, ERR_IO, "cannot duplicate a worker's descriptor");
		child->fds[child->n_fds++] = copy;
	}
	child->message = (struct sandbox_wire){
		.version = SANDBOX_WIRE_VERSION,
		.kind = SANDBOX_WIRE_START,
		.id = child->id,
		.start = { .n_eventfds = request->n_eventfds,
			.cpu_s = limits->cpu_s,
			.cpu_percent = limits->cpu_percent,
			.is_selftest = request->is_selftest,
			.memory_bytes =
				limits->memory_bytes ? limits->memory_bytes : DEFAULT_MEMORY_BYTES,
			.address_space_bytes = limits->address_space_bytes
						       ? limits->address_space_bytes
						       : DEFAULT_ADDRESS_SPACE_BYTES },
	};
	return 0;
}

int spawn_start(struct spawn *spawn, const struct spawn_request *request, struct spawn_child **ret,
	struct err *err)
{
	assert(request->on_exit);
	assert(request->n_eventfds >= 1 && request->n_eventfds <= SANDBOX_EVENTFDS_MAX);
	if (spawn->is_refused)
		return ERR_SET(err, ERR_UNAVAILABLE, "this machine cannot hold a worker");
	if (spawn->n_queued >= SPAWN_PENDING || spawn->n_children >= SPAWN_CHILDREN)
		return ERR_SET(err, ERR_LIMIT, "too many workers are waiting to be started");

	struct spawn_child *child = calloc(1, sizeof *child);
	if (!child)
		return ERR_SET(err, ERR_NOMEM, "no memory for a worker's state");
	child->spawn = spawn;
	child->id = spawn->next_id++;
	child->pidfd = -1;
	child->context = request->context;
	child->on_started = request->on_started;
	child->on_exit = request->on_exit;
	if (fill_child(child, request, err)) {
		free_child(child);
		return -1;
	}
	struct spawn_child **at = &spawn->children;
	while (*at)
		at = &(*at)->next;
	*at = child;
	spawn->n_children++;
	spawn->n_queued++;
	flush(spawn);
	*ret = child;
	return 0;
}

void spawn_kill(struct spawn_child *child)
{
	struct spawn *spawn = child->spawn;

	child->is_kill_wanted = true;
	if (child->state == CHILD_STARTED)
		signal_child(child);
	else if (child->state == CHILD_QUEUED)
		(void)loop_timer_start(spawn->loop, &spawn->cancel, clock_mono_ns(), NULL);
}

const struct sandbox_report *spawn_report(const struct spawn *spawn)
{
	return spawn->report.kernel[0] ? &spawn->report : NULL;
}
