/*
 * main.c - tenon-spawn: starts jailed workers for the core, and reports their ends
 *
 * Exec'd by the core with an empty environment: no secret of the core's was ever in this memory.
 * One thread, one socket to the core at descriptor 3, no other input. It dies with the core, and
 * its workers die with it.
 *
 *   tenon-spawn WORKER
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "sandbox_filter.h"
#include "sandbox_kills.h"
#include "sandbox_wire.h"

#define WORKERS 4096

/* Outer ids for workers: above what systemd hands out to users, services and containers, below
 * 2^31. Two servers on one machine differ by their process ids, mostly; two workers of one server
 * always. */
#define UID_FIRST   1900000000u
#define UID_SERVERS 4096u

/* How long a worker's end waits for the kernel's record of why: it is made by a thread of the
 * kernel's, usually within a millisecond, but where the processors are busy that thread waits too.
 */
#define KILL_WAIT_MS 200

struct worker {
	uint64_t id;
	pid_t pid;      /* 0: the place is free */
	int killed_for; /* the system call, -1: not known */
};

struct spawner {
	struct child_base base;
	int signals;
	struct sandbox_kills kills;
	size_t n_workers;
	struct worker workers[WORKERS];
};

static uint32_t outer_uid(size_t place)
{
	return UID_FIRST + (uint32_t)getpid() % UID_SERVERS * WORKERS + (uint32_t)place;
}

static struct worker *find_worker(struct spawner *spawner, uint64_t id, pid_t pid)
{
	for (size_t i = 0; i < WORKERS; i++)
		if (spawner->workers[i].pid &&
			(pid ? spawner->workers[i].pid == pid : spawner->workers[i].id == id))
			return &spawner->workers[i];
	return NULL;
}

/* ---- start-up ---- */

/* What the spawner needs before it gives up the means to get it. */
static int open_all(struct spawner *spawner, const char *worker_path, struct err *err)
{
	struct child_base *base = &spawner->base;
	int alive[2];
	sigset_t child;

	base->worker_fd = open(worker_path, O_PATH | O_CLOEXEC);
	if (base->worker_fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", worker_path);
	base->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (base->null_fd < 0 || pipe2(alive, O_CLOEXEC))
		return ERR_SET(err, ERR_IO, "cannot open /dev/null or a pipe");
	base->alive_read = alive[0];
	base->alive_write = alive[1];
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL))
		return ERR_SET(err, ERR_IO, "cannot block SIGCHLD");
	spawner->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (spawner->signals < 0)
		return ERR_SET(err, ERR_IO, "cannot make a signalfd");
	sandbox_kills_open(&spawner->kills);
	sandbox_cgroup_open(&base->cgroup);
	return 0;
}

/* Namespaces that all workers share: their networks are empty, so one empty network serves all. */
static int unshare_once(const struct sandbox_report *report, struct err *err)
{
	char map[32];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (!report->is_root && report->layers & SANDBOX_BIT(SANDBOX_USER_NS)) {
		if (unshare(CLONE_NEWUSER))
			return ERR_SET(err, ERR_IO, "cannot make a user namespace");
		(void)snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
		if (child_write_file("/proc/self/setgroups", "deny", err) ||
			child_write_file("/proc/self/uid_map", map, err))
			return -1;
		(void)snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
		if (child_write_file("/proc/self/gid_map", map, err))
			return -1;
	}
	if (report->layers & SANDBOX_BIT(SANDBOX_NET_NS) &&
		unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
		return ERR_SET(err, ERR_IO, "cannot make an empty network");
	return 0;
}

/* Follows the core in death. If it died before this, its end of the socket is closed already. */
static int follow_core(struct err *err)
{
	struct pollfd core = { .fd = SANDBOX_WIRE_FD, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot follow the core");
	if (poll(&core, 1, 0) < 0 || core.revents & (POLLHUP | POLLERR | POLLNVAL))
		return ERR_SET(err, ERR_UNAVAILABLE, "the core is gone");
	return 0;
}

static int start_up(struct spawner *spawner, const char *worker_path, struct err *err)
{
	const struct rlimit no_core = { 0, 0 };
	struct sandbox_wire hello = { .version = SANDBOX_WIRE_VERSION, .kind = SANDBOX_WIRE_HELLO };

	(void)prctl(PR_SET_NAME, "tenon-spawn", 0, 0, 0);
	(void)umask(077);
	if (syscall(SYS_close_range, SANDBOX_WIRE_FD + 1, ~0u, 0) ||
		setrlimit(RLIMIT_CORE, &no_core) || fcntl(SANDBOX_WIRE_FD, F_SETFD, FD_CLOEXEC))
		return ERR_SET(err, ERR_IO, "cannot prepare this process");
	if (follow_core(err))
		return -1;
	sandbox_probe(&hello.hello);
	if (open_all(spawner, worker_path, err) || unshare_once(&hello.hello, err) ||
		follow_core(err))
		return -1;
	spawner->base.layers = hello.hello.layers;
	spawner->base.is_root = hello.hello.is_root;
	/* Soft, because the list stays on the workers, whose own filter does the killing. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot set no_new_privs");
	if (sandbox_filter_install(SANDBOX_LIST_SPAWNER, true, err))
		return -1;
	return sandbox_wire_send(SANDBOX_WIRE_FD, &hello, NULL, 0, 0, err);
}

/* ---- messages ---- */

static int report_failed(uint64_t id, const struct err *why, struct err *err)
{
	struct sandbox_wire failed = {
		.version = SANDBOX_WIRE_VERSION,
		.kind = SANDBOX_WIRE_FAILED,
		.id = id,
		.failed.os_errno = why->os_errno,
	};

	(void)snprintf(failed.failed.detail, sizeof failed.failed.detail, "%.*s",
		(int)sizeof failed.failed.detail - 1, why->message);
	return sandbox_wire_send(SANDBOX_WIRE_FD, &failed, NULL, 0, 0, err);
}

static int start_worker(struct spawner *spawner, const struct sandbox_wire *message, const int *fds,
	struct err *err)
{
	const struct sandbox_wire_start *start = &message->start;
	struct worker *place = NULL;
	struct err why = { 0 };
	int pidfd = -1;

	for (size_t i = 0; i < WORKERS && !place; i++)
		if (!spawner->workers[i].pid)
			place = &spawner->workers[i];
	if (!place) {
		(void)ERR_SET(&why, ERR_LIMIT, "no more than %d workers", WORKERS);
		return report_failed(message->id, &why, err);
	}
	uint32_t uid = outer_uid((size_t)(place - spawner->workers));
	struct child_request request = {
		.id = message->id,
		.outer_uid = uid,
		/* Nothing may fork, so one process is all that the group may hold. */
		.limits = { start->memory_bytes, 1, start->cpu_percent },
		.spec = { .layers = spawner->base.layers,
			.outer_uid = uid,
			.n_eventfds = start->n_eventfds,
			.cpu_s = start->cpu_s,
			.address_space_bytes = start->address_space_bytes,
			.is_selftest = start->is_selftest != 0 },
		.plugin_fd = fds[0],
		.segment_fd = fds[1],
		.stdio_fd = fds[2],
		.eventfds = fds + 3,
	};
	if (child_start(&spawner->base, &request, &place->pid, &pidfd, &why)) {
		place->pid = 0;
		return report_failed(message->id, &why, err);
	}
	place->id = message->id;
	place->killed_for = -1;
	spawner->n_workers++;
	struct sandbox_wire started = {
		.version = SANDBOX_WIRE_VERSION,
		.kind = SANDBOX_WIRE_STARTED,
		.id = message->id,
		.started.pid = place->pid,
	};
	int result = sandbox_wire_send(SANDBOX_WIRE_FD, &started, &pidfd, 1, 0, err);
	(void)close(pidfd);
	return result;
}

static int handle_message(struct spawner *spawner, const struct sandbox_wire *message,
	const int *fds, size_t n_fds, struct err *err)
{
	struct worker *worker;

	switch (message->kind) {
	case SANDBOX_WIRE_START:
		if (message->start.n_eventfds < 1 ||
			message->start.n_eventfds > SANDBOX_EVENTFDS_MAX ||
			n_fds != 3 + message->start.n_eventfds)
			break;
		return start_worker(spawner, message, fds, err);
	case SANDBOX_WIRE_KILL:
		/* A worker that has ended meanwhile is not found: ids are never used twice. */
		worker = find_worker(spawner, message->id, 0);
		if (worker)
			(void)kill(worker->pid, SIGKILL);
		return 0;
	default:
		break;
	}
	return ERR_SET(err, ERR_INVALID, "a message that the core does not send");
}

/* Reads all that waits. Returns 1 when the core has closed its end, 0, or -1 with *err set. */
static int read_messages(struct spawner *spawner, struct err *err)
{
	for (;;) {
		struct sandbox_wire message;
		int fds[SANDBOX_WIRE_FDS], result = 1;
		size_t n_fds = 0;

		switch (sandbox_wire_receive(
			SANDBOX_WIRE_FD, MSG_DONTWAIT, &message, fds, &n_fds)) {
		case SANDBOX_WIRE_MESSAGE:
			result = handle_message(spawner, &message, fds, n_fds, err);
			break;
		case SANDBOX_WIRE_NONE:
			return 0;
		case SANDBOX_WIRE_CLOSED:
			break;
		}
		for (size_t i = 0; i < n_fds; i++)
			(void)close(fds[i]);
		if (result)
			return result;
	}
}

/* ---- ends ---- */

static uint64_t micros(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

/* Hands the kernel's records to the workers that they are about. */
static void read_kills(struct spawner *spawner)
{
	struct sandbox_kills_record record;

	while (sandbox_kills_next(&spawner->kills, &record))
		for (size_t i = 0; i < WORKERS; i++) {
			struct worker *worker = &spawner->workers[i];
			bool is_it = spawner->base.is_root ? record.uid == outer_uid(i)
							   : record.pid == (uint64_t)worker->pid;
			if (worker->pid && is_it)
				worker->killed_for = record.call;
		}
}

static int wait_for_reason(struct spawner *spawner, const struct worker *worker)
{
	struct pollfd record = { .fd = spawner->kills.fd, .events = POLLIN };

	read_kills(spawner);
	while (record.fd >= 0 && worker->killed_for < 0 && poll(&record, 1, KILL_WAIT_MS) > 0)
		read_kills(spawner);
	return worker->killed_for;
}

static int report_exit(struct spawner *spawner, struct worker *worker, int status,
	const struct rusage *usage, struct err *err)
{
	bool was_killed = WIFSIGNALED(status);
	struct sandbox_wire exited = {
		.version = SANDBOX_WIRE_VERSION,
		.kind = SANDBOX_WIRE_EXITED,
		.id = worker->id,
		.exited = { .was_killed = was_killed,
			.status = was_killed ? WTERMSIG(status) : WEXITSTATUS(status),
			.syscall_nr = -1,
			.max_rss_bytes = (uint64_t)usage->ru_maxrss * 1024,
			.user_us = micros(usage->ru_utime),
			.system_us = micros(usage->ru_stime) },
	};

	if (was_killed && WTERMSIG(status) == SIGSYS)
		exited.exited.syscall_nr = wait_for_reason(spawner, worker);
	if (was_killed && WTERMSIG(status) == SIGKILL)
		exited.exited.is_out_of_memory =
			sandbox_cgroup_oom_kills(&spawner->base.cgroup, worker->id) > 0;
	sandbox_cgroup_remove(&spawner->base.cgroup, worker->id);
	*worker = (struct worker){ 0 };
	spawner->n_workers--;
	return sandbox_wire_send(SANDBOX_WIRE_FD, &exited, NULL, 0, 0, err);
}

static int reap(struct spawner *spawner, struct err *err)
{
	struct signalfd_siginfo ignored;
	struct rusage usage;
	int status = 0;

	while (read(spawner->signals, &ignored, sizeof ignored) > 0)
		;
	for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
		struct worker *worker = find_worker(spawner, 0, pid);
		if (worker && report_exit(spawner, worker, status, &usage, err))
			return -1;
	}
	return 0;
}

/* The core is gone: so are all workers, and their groups. */
static void end_all(struct spawner *spawner)
{
	for (size_t i = 0; i < WORKERS; i++)
		if (spawner->workers[i].pid)
			(void)kill(spawner->workers[i].pid, SIGKILL);
	while (spawner->n_workers) {
		pid_t pid = wait4(-1, NULL, 0, NULL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		struct worker *worker = find_worker(spawner, 0, pid);
		if (!worker)
			continue;
		sandbox_cgroup_remove(&spawner->base.cgroup, worker->id);
		*worker = (struct worker){ 0 };
		spawner->n_workers--;
	}
}

static int run(struct spawner *spawner, struct err *err)
{
	struct pollfd waits[] = {
		{ .fd = SANDBOX_WIRE_FD, .events = POLLIN },
		{ .fd = spawner->signals, .events = POLLIN },
	};

	for (;;) {
		if (poll(waits, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return ERR_SET(err, ERR_IO, "cannot wait");
		}
		if (waits[1].revents && reap(spawner, err))
			return -1;
		int result = waits[0].revents ? read_messages(spawner, err) : 0;
		if (result)
			return result < 0 ? -1 : 0;
	}
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	struct spawner *spawner = calloc(1, sizeof *spawner);

	if (argc != 2 || !spawner) {
		(void)dprintf(STDERR_FILENO, "tenon-spawn is started by tenon serve\n");
		free(spawner);
		return 2;
	}
	int result = start_up(spawner, argv[1], &err);
	if (result == 0) {
		result = run(spawner, &err);
		end_all(spawner);
	}
	if (result)
		(void)dprintf(STDERR_FILENO, "tenon-spawn: %s%s%s\n", err.message,
			err.os_errno ? ": " : "", err.os_errno ? strerror(err.os_errno) : "");
	free(spawner);
	return result ? 1 : 0;
}
