#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "text_json_check.h"
#include "text_json_reader.h"

#define INSPECT_NS (5 * CLOCK_NS_PER_S)

#define ACT_OF(at, member)                                                                         \
	((struct act *)(void *)((char *)(at)-offsetof(struct act, inspection.member)))

/* ---- the process ---- */
/* Standard input is the file, standard output the pipe, the environment is empty, and all else is
 * closed on exec. */
static int spawn_inspector(const char *path, int file_fd, int out_fd, pid_t *ret, struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char name[] = "tenon-inspect";
	char *arguments[] = { name, NULL }, *environment[] = { NULL };
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int failed = posix_spawn_file_actions_adddup2(&actions, file_fd, 0);
	failed |= posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	failed |= posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!failed)
		failed = posix_spawn(ret, path, &actions, &attributes, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (failed) {
		errno = failed;
		return ERR_SET(err, ERR_IO, "cannot run %s", path);
	}
	return 0;
}

static void close_all(struct inspection *inspection)
{
	loop_timer_stop(&inspection->timer);
	loop_watch_remove(&inspection->exit_watch);
	loop_watch_remove(&inspection->out_watch);
	if (inspection->pid_fd >= 0)
		close(inspection->pid_fd);
	if (inspection->out_fd >= 0)
		close(inspection->out_fd);
	inspection->pid_fd = inspection->out_fd = -1;
}

/* Takes what the pipe holds. False when there will be no more. */
static bool take_output(struct act *act)
{
	struct inspection *inspection = &act->inspection;
	for (;;) {
		char buffer[16384];
		ssize_t n = read(inspection->out_fd, buffer, sizeof buffer);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		if (!bytes_buf_append(&inspection->out, (struct bytes){ buffer, (size_t)n })) {
			ERR_SET(&act->err, ERR_LIMIT, "the inspector said too much");
			kill(inspection->pid, SIGKILL);
			return false;
		}
	}
}

static void on_output(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	struct act *act = ACT_OF(watch, out_watch);
	if (!take_output(act))
		loop_watch_remove(&act->inspection.out_watch);
}

static void on_exit_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	struct act *act = ACT_OF(watch, exit_watch);
	int status = 0;
	while (waitpid(act->inspection.pid, &status, 0) < 0 && errno == EINTR)
		;
	take_output(act);
	close_all(&act->inspection);
	if (act->err.code == ERR_NONE && !(WIFEXITED(status) && WEXITSTATUS(status) <= 1))
		ERR_SET(&act->err, ERR_UNAVAILABLE, "the inspector ended with status %d", status);
	act->then(act);
}

static void on_timeout(struct loop_timer *timer)
{
	struct act *act = ACT_OF(timer, timer);
	ERR_SET(&act->err, ERR_INVALID, "reading the file took more than 5 s: make it simpler");
	kill(act->inspection.pid, SIGKILL); /* its end goes on */
}

void inspect_begin(struct act *act, void (*then)(struct act *act))
{
	struct inspection *inspection = &act->inspection;
	struct loop *loop = act->deploy->loop;
	struct err *err = &act->err;
	int pipe_fds[2];
	*err = (struct err){ 0 };
	act->then = then;
	lseek(act->fd, 0, SEEK_SET);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		ERR_SET(err, ERR_IO, "no descriptors for a pipe");
		then(act);
		return;
	}
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	int result = spawn_inspector(
		act->deploy->inspector_path, act->fd, pipe_fds[1], &inspection->pid, err);
	close(pipe_fds[1]);
	inspection->out_fd = pipe_fds[0];
	if (result == 0) {
		inspection->pid_fd = (int)syscall(SYS_pidfd_open, inspection->pid, 0);
		inspection->exit_watch =
			(struct loop_watch){ .fd = inspection->pid_fd, .on_ready = on_exit_ready };
		inspection->out_watch =
			(struct loop_watch){ .fd = inspection->out_fd, .on_ready = on_output };
		inspection->timer.on_fire = on_timeout;
		if (inspection->pid_fd < 0 ||
			loop_watch_add(loop, &inspection->exit_watch, EPOLLIN, err) < 0 ||
			loop_watch_add(loop, &inspection->out_watch, EPOLLIN, err) < 0 ||
			loop_timer_start(
				loop, &inspection->timer, clock_mono_ns() + INSPECT_NS, err) < 0) {
			kill(inspection->pid, SIGKILL);
			waitpid(inspection->pid, NULL, 0);
			result =
				err->code ? -1 : ERR_SET(err, ERR_IO, "no descriptor of a process");
		}
	}
	if (result < 0) {
		close_all(inspection);
		then(act);
	}
}

/* ---- the verdict ---- */
static struct bytes find_text(struct bytes doc, const char *pointer, struct arena *arena)
{
	struct bytes value, text;
	struct text_json_reader reader;
	struct text_json_token token;
	if (text_json_find(doc, bytes_of(pointer), &value) != TEXT_JSON_FOUND)
		return (struct bytes){ NULL, 0 };
	text_json_reader_init(&reader, value);
	text_json_next(&reader, &token);
	if (!text_json_text(&token, arena, &text))
		return (struct bytes){ NULL, 0 };
	return text;
}

/* The first refusing finding as a sentence and the fix. */
static int refuse_by_finding(struct bytes verdict, struct arena *arena, struct err *err)
{
	for (unsigned i = 0; i < 64; i++) {
		char pointer[4][48];
		static const char *const MEMBERS[] = { "severity", "message", "what", "fix" };
		struct bytes texts[4];
		for (unsigned m = 0; m < 4; m++) {
			snprintf(pointer[m], sizeof pointer[m], "/findings/%u/%s", i, MEMBERS[m]);
			texts[m] = find_text(verdict, pointer[m], arena);
		}
		if (!texts[0].p)
			break;
		if (!bytes_eq_string(texts[0], "refuse"))
			continue;
		return ERR_SET(err, ERR_INVALID, "%.*s%s%.*s%s %.*s", (int)texts[1].n,
			texts[1].p ? texts[1].p : "", texts[2].n ? " (" : "", (int)texts[2].n,
			texts[2].p ? texts[2].p : "", texts[2].n ? ")" : "", (int)texts[3].n,
			texts[3].p ? texts[3].p : "");
	}
	return ERR_SET(err, ERR_INVALID, "the inspector refused the file");
}

int inspect_read_verdict(struct bytes verdict, struct bytes_buf *ret_manifest, struct err *err)
{
	struct text_json_limits limits = TEXT_JSON_LIMITS;
	struct bytes is_ok;
	DEFER(arena_free) struct arena *arena = NULL;
	if (text_json_check(verdict, &limits, NULL) != TEXT_JSON_VALID)
		return ERR_SET(err, ERR_CORRUPT, "the inspector's verdict is not JSON");
	if (arena_new(2u << 20, &arena, err) < 0)
		return -1;
	if (text_json_find(verdict, BYTES("/ok"), &is_ok) != TEXT_JSON_FOUND ||
		!bytes_eq_string(is_ok, "true"))
		return refuse_by_finding(verdict, arena, err);
	struct bytes manifest = find_text(verdict, "/manifestText", arena);
	if (!manifest.n)
		return ERR_SET(err, ERR_INVALID, "the file carries no manifest");
	if (!bytes_buf_append(ret_manifest, manifest))
		return ERR_SET(err, ERR_NOMEM, "no memory for a manifest");
	return 0;
}
