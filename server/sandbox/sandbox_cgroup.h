/*
 * sandbox_cgroup.h - one control group per worker: memory, pids and a share of the processor
 *
 * Both kinds of hierarchy are spoken: version 1, where each controller has a tree of its own, and
 * version 2. Groups are made below the group that the caller itself is in, so that limits set on
 * the server as a whole go on to hold for its workers. Where no hierarchy may be written to, there
 * is no group, the report says so, and RLIMIT_AS and RLIMIT_CPU are what is left.
 *
 * Threads: one. Memory: the caller's; descriptors until close.
 */
#ifndef SANDBOX_CGROUP_H
#define SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "defer.h"
#include "err.h"
#include "sandbox_report.h"

enum sandbox_controller { SANDBOX_MEMORY, SANDBOX_PIDS, SANDBOX_CPU, SANDBOX_CONTROLLERS };

struct sandbox_cgroup {
	enum sandbox_cgroup_kind kind;
	int parent[SANDBOX_CONTROLLERS]; /* folder that groups are made in, -1: no such controller.
					  * With version 2 one descriptor stands in all three places
					  */
	pid_t owner;                     /* part of each group's name */
};

struct sandbox_cgroup_limits {
	uint64_t memory_bytes; /* 0: none */
	uint32_t pids;         /* 0: none */
	uint32_t cpu_percent;  /* of one processor; 0: none */
};

/* Finds what the caller may write to and removes groups that a dead owner left behind. Always fills
 * *ret; kind is SANDBOX_CGROUP_NONE unless memory and pids are both there. */
void sandbox_cgroup_open(struct sandbox_cgroup *ret);
void sandbox_cgroup_close(struct sandbox_cgroup *cgroup);

/* Makes the group of worker number id with these limits. Returns 0, or -1 with *err set (ERR_IO)
 * and nothing left behind. */
int sandbox_cgroup_make(const struct sandbox_cgroup *cgroup, uint64_t id,
	const struct sandbox_cgroup_limits *limits, struct err *err);
/* Moves a process into the group, before it may run. Returns 0, or -1 with *err set (ERR_IO). */
int sandbox_cgroup_enter(
	const struct sandbox_cgroup *cgroup, uint64_t id, pid_t pid, struct err *err);
/* How often the memory limit has killed in this group; 0 when that cannot be read. */
uint64_t sandbox_cgroup_oom_kills(const struct sandbox_cgroup *cgroup, uint64_t id);
/* Removes the empty group. One that is not there, or not empty, is left alone. */
void sandbox_cgroup_remove(const struct sandbox_cgroup *cgroup, uint64_t id);

static inline __attribute__((unused)) void sandbox_cgroup_close_deferred(struct sandbox_cgroup *at)
{
	sandbox_cgroup_close(at);
}

#endif
