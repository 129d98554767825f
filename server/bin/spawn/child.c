#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors on their way to their places wait above all places. */
#define PARKING 64

static bool has(const struct child_base *base, enum sandbox_layer layer)
{
	return base->layers & SANDBOX_BIT(layer);
}

int child_write_file(const char *path, const char *text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", path);
	size_t n = strlen(text);
	int result = 0;
	if (write(fd, text, n) != (ssize_t)n)
		result = ERR_SET(err, ERR_IO, "cannot write %s", path);
	(void)close(fd);
	return result;
}

/* ---- the child's side: no allocation, no return ---- */

static void __attribute__((noreturn)) give_up(const char *what)
{
	(void)dprintf(STDERR_FILENO, "tenon-spawn: %s: %s\n", what, strerror(errno));
	_exit(SANDBOX_EXIT_EXEC);
}

static int park(int fd)
{
	int parked = fcntl(fd, F_DUPFD_CLOEXEC, PARKING);
	if (parked < 0)
		give_up("cannot duplicate a descriptor");
	return parked;
}

static void place(int parked, int target)
{
	if (dup2(parked, target) < 0)
		give_up("cannot place a descriptor");
}

/* Puts every descriptor in its place; all others close, at once or with exec. */
static void place_descriptors(const struct child_base *base, const struct child_request *request)
{
	uint32_t n_eventfds = request->spec.n_eventfds;
	int null_fd = park(base->null_fd), stdio_fd = park(request->stdio_fd),
	    segment_fd = park(request->segment_fd), plugin_fd = park(request->plugin_fd),
	    alive_fd = park(base->alive_read), eventfds[SANDBOX_EVENTFDS_MAX];

	for (uint32_t i = 0; i < n_eventfds; i++)
		eventfds[i] = park(request->eventfds[i]);
	place(null_fd, STDIN_FILENO);
	place(stdio_fd, STDOUT_FILENO);
	place(stdio_fd, STDERR_FILENO);
	place(segment_fd, SANDBOX_FD_SEGMENT);
	place(plugin_fd, SANDBOX_FD_PLUGIN);
	place(alive_fd, SANDBOX_FD_ALIVE);
	for (uint32_t i = 0; i < n_eventfds; i++)
		place(eventfds[i], SANDBOX_FD_EVENT + (int)i);
	if (syscall(SYS_close_range, SANDBOX_FD_ALIVE + 1, SANDBOX_FD_EVENT - 1, 0) ||
		syscall(SYS_close_range, SANDBOX_FD_EVENT + n_eventfds, ~0u, CLOSE_RANGE_CLOEXEC))
		give_up("cannot close descriptors");
}

static void __attribute__((noreturn))
become_worker(const struct child_base *base, const struct child_request *request, int gate[2])
{
	char go, spec[SANDBOX_SPEC_TEXT_BYTES], name[] = "tenon-worker";
	char *arguments[] = { name, spec, NULL }, *environment[] = { NULL };

	/* The write ends: with these open here, the end of the spawner would not be seen. */
	(void)close(gate[1]);
	(void)close(base->alive_write);
	if (read(gate[0], &go, 1) != 1)
		_exit(SANDBOX_EXIT_EXEC);

	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* The map has one id. Without this the process would keep one that the map does not know.
	 * An ordinary user may not drop groups; those it has cannot be used from inside. */
	if (has(base, SANDBOX_USER_NS) &&
		((setgroups(0, NULL) && base->is_root) || setresgid(0, 0, 0) || setresuid(0, 0, 0)))
		give_up("cannot become root of the namespace");
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		give_up("cannot leave the session");
	/* Its own descriptor may stand where one of the worker's belongs. */
	int program = park(base->worker_fd);
	place_descriptors(base, request);
	sandbox_spec_format(&request->spec, spec);
	(void)syscall(SYS_execveat, program, "", arguments, environment, AT_EMPTY_PATH);
	give_up("cannot start the worker program");
}

/* ---- the spawner's side ---- */

/* One id inside: 0. Outside it is the worker's own when root gives it, else the spawner's. */
static int write_maps(const struct child_base *base, const struct child_request *request, pid_t pid,
	struct err *err)
{
	char path[64], map[32];

	if (!has(base, SANDBOX_USER_NS))
		return 0;
	(void)snprintf(
		map, sizeof map, "0 %u 1", base->is_root ? (unsigned)request->outer_uid : 0u);
	if (!base->is_root) {
		(void)snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
		if (child_write_file(path, "deny", err))
			return -1;
	}
	(void)snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
	if (child_write_file(path, map, err))
		return -1;
	(void)snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
	return child_write_file(path, map, err);
}

static pid_t clone_child(const struct child_base *base, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_NEWPID | CLONE_NEWNS,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};

	if (has(base, SANDBOX_USER_NS))
		args.flags |= CLONE_NEWUSER;
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

int child_start(const struct child_base *base, const struct child_request *request, pid_t *ret_pid,
	int *ret_pidfd, struct err *err)
{
	int gate[2], pidfd = -1;

	if (sandbox_cgroup_make(&base->cgroup, request->id, &request->limits, err))
		return -1;
	if (pipe2(gate, O_CLOEXEC)) {
		(void)ERR_SET(err, ERR_IO, "cannot make a pipe");
		sandbox_cgroup_remove(&base->cgroup, request->id);
		return -1;
	}
	pid_t pid = clone_child(base, &pidfd);
	if (pid == 0)
		become_worker(base, request, gate);
	(void)close(gate[0]);
	int result = 0;
	if (pid < 0)
		result = ERR_SET(err, ERR_IO, "cannot clone a worker");
	else if (write_maps(base, request, pid, err) ||
		 (base->cgroup.kind != SANDBOX_CGROUP_NONE &&
			 sandbox_cgroup_enter(&base->cgroup, request->id, pid, err)))
		result = -1;
	else if (write(gate[1], "g", 1) != 1)
		result = ERR_SET(err, ERR_IO, "cannot open the gate");
	(void)close(gate[1]);
	if (result) {
		if (pid > 0) {
			(void)kill(pid, SIGKILL);
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
			(void)close(pidfd);
		}
		sandbox_cgroup_remove(&base->cgroup, request->id);
		return -1;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}
