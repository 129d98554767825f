/*
 * child.h - from clone to exec: a process that becomes a worker
 *
 *   spawner                         child
 *   clone3 ───────────────────────▶ waits at the gate
 *   id map, cgroup
 *   opens the gate ───────────────▶ becomes root of its user namespace, session, descriptors,
 *                                   execveat of the worker program with an empty environment
 *
 * Threads: one. Memory: none is kept.
 */
#ifndef SPAWN_CHILD_H
#define SPAWN_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "sandbox.h"
#include "sandbox_cgroup.h"

/* What all workers of one spawner share. */
struct child_base {
	uint32_t layers; /* what this machine has: mask of sandbox layers */
	bool is_root;    /* each worker gets an outer id of its own */
	int worker_fd;   /* the program */
	int null_fd;
	int alive_read,
		alive_write; /* a pipe: its write end is open as long as the spawner lives */
	struct sandbox_cgroup cgroup;
};

struct child_request {
	uint64_t id;
	uint32_t outer_uid; /* unique among the living workers; used when is_root */
	struct sandbox_cgroup_limits limits;
	struct sandbox_spec spec;
	int plugin_fd, segment_fd, stdio_fd;
	const int *eventfds; /* spec.n_eventfds of them */
};

/* Starts a worker. Returns 0, its process id and a pidfd to close; or -1 with *err set, nothing
 * left behind. */
int child_start(const struct child_base *base, const struct child_request *request, pid_t *ret_pid,
	int *ret_pidfd, struct err *err);

/* Writes text to a file of /proc. Returns 0, or -1 with *err set (ERR_IO). */
int child_write_file(const char *path, const char *text, struct err *err);

#endif
