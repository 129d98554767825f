/*
 * sandbox_report.h - what this machine offers to hold a worker with, and whether that is enough
 *
 * Nothing is taken from version numbers: each layer is tried in a child that is thrown away. The
 * report is shown by `tenon doctor`, logged at start and written to the audit log.
 *
 * Threads: sandbox_probe() forks, so it is called by programs of one thread only (the spawner, a
 * command). Memory: the report is plain data and travels between processes of one build.
 */
#ifndef SANDBOX_REPORT_H
#define SANDBOX_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "sandbox.h"

enum sandbox_cgroup_kind {
	SANDBOX_CGROUP_NONE, /* no hierarchy that this process may write to */
	SANDBOX_CGROUP_V1,
	SANDBOX_CGROUP_V2
};

struct sandbox_report {
	uint32_t layers;      /* mask of what was tried and holds */
	uint32_t cgroup_kind; /* enum sandbox_cgroup_kind */
	bool has_cgroup_memory, has_cgroup_pids, has_cgroup_cpu;
	bool is_root;         /* with the whole range of user ids */
	int32_t landlock_abi; /* 0: none */
	/* Settings of the kernel; -1: this kernel has no such setting. */
	int32_t yama_ptrace_scope, unprivileged_bpf_disabled, io_uring_disabled, smt_active;
	char kernel[64];           /* uname's release */
	char vulnerabilities[192]; /* names the kernel calls vulnerable, separated by spaces */
};

/* Tries every layer. Always fills *ret; what could not be tried is absent. */
void sandbox_probe(struct sandbox_report *ret);

enum sandbox_verdict {
	SANDBOX_FULL,     /* every layer that holds is there */
	SANDBOX_DEGRADED, /* layers are missing, all of them allowed to be */
	SANDBOX_REFUSED   /* plugins must not be started on this machine */
};

/* Judges a report. allow_missing is a mask of the layers that the operator allows to be missing;
 * seccomp, no_new_privs, Landlock and the mount and pid namespaces are never allowed to.
 * *ret_missing is the mask of those that are. MDWE is reported only. */
enum sandbox_verdict sandbox_report_check(
	const struct sandbox_report *report, uint32_t allow_missing, uint32_t *ret_missing);

/* One line for people: "seccomp, landlock 6, namespaces, cgroup v1". False when out is full. */
bool sandbox_report_line(const struct sandbox_report *report, struct bytes_buf *out);
/* Many lines for `tenon doctor`. False when out is full. */
bool sandbox_report_text(const struct sandbox_report *report, struct bytes_buf *out);
/* One JSON object for the audit log and the console. False when out is full. */
bool sandbox_report_json(const struct sandbox_report *report, struct bytes_buf *out);

#endif
