#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox_wire.h"

/* posix_spawn and not fork: the child shares our memory until exec, so nothing is copied, and runs
 * no code of ours in between. */
static int exec_spawner(const char *path, const char *worker_path, int socket, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char name[] = "tenon-spawn";
	char *arguments[] = { name, (char *)(uintptr_t)worker_path, NULL };
	char *environment[] = { NULL };

	if (posix_spawn_file_actions_init(&actions))
		return ENOMEM;
	if (posix_spawnattr_init(&attributes)) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	if (!failed)
		failed = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, 1);
	/* dup2 onto itself clears close-on-exec, too. */
	if (!failed)
		failed = posix_spawn_file_actions_adddup2(&actions, socket, SANDBOX_WIRE_FD);
	if (!failed)
		failed = posix_spawn_file_actions_addclosefrom_np(&actions, SANDBOX_WIRE_FD + 1);
	if (!failed)
		failed = posix_spawnattr_setsigmask(&attributes, &none);
	if (!failed)
		failed = posix_spawnattr_setsigdefault(&attributes, &all);
	if (!failed)
		failed = posix_spawnattr_setflags(&attributes,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	if (!failed)
		failed = posix_spawn(ret_pid, path, &actions, &attributes, arguments, environment);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return failed;
}

int process_start(const char *spawner_path, const char *worker_path, pid_t *ret_pid,
	int *ret_socket, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return ERR_SET(err, ERR_IO, "cannot make a socket for the spawner");
	int failed = exec_spawner(spawner_path, worker_path, pair[1], ret_pid);
	(void)close(pair[1]);
	if (!failed && fcntl(pair[0], F_SETFL, O_NONBLOCK)) {
		failed = errno;
		process_end(*ret_pid);
	}
	if (failed) {
		(void)close(pair[0]);
		errno = failed;
		return ERR_SET(err, ERR_IO, "cannot exec %s", spawner_path);
	}
	*ret_socket = pair[0];
	return 0;
}

void process_end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void process_wait(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0) {
		while (poll(&end, 1, 1000) < 0 && errno == EINTR)
			;
		(void)close(pidfd);
	}
	/* A process that has ended takes no harm from the signal. */
	process_end(pid);
}
