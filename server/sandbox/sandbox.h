/*
 * sandbox.h - the jail of a worker, entered in one legal order, or not at all
 *
 * A worker starts as a trusted program with an untrusted file waiting in a descriptor. It calls
 * sandbox_worker_enter() once, just before dlopen: when that returns, the process stands on a
 * read-only root with nothing in it but /plugin.so, owns no capability, may open nothing else, and
 * is behind one seccomp filter that kills it for any call outside the list. When any step cannot be
 * done, the process names the step on descriptor 2 and is gone: no path leads on without it.
 *
 *   spawner  clone3 (pid, mount, user namespace), id map, cgroup, fixed descriptors, execveat
 *   worker   map the segment, close 3
 *   worker   sandbox_worker_enter(): namespaces, mounts, rlimits, bounding, identity,
 *            capabilities, no_new_privs, parent, memory, landlock, descriptors, seccomp
 *   worker   dlopen(SANDBOX_PLUGIN_PATH): constructors already run inside
 *
 * After the step "mounts" no shared library can be found any more. What plugins may need (libm,
 * libgcc_s) the worker program links itself, so that a later DT_NEEDED is met by its soname.
 *
 * Threads: the caller is the only thread of its process. Memory: none is kept.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* The descriptors of a worker. 0 is /dev/null; 1 and 2 are the write end of one pipe: log lines. */
enum sandbox_fd {
	SANDBOX_FD_SEGMENT = 3, /* memfd; the worker closes it once it is mapped */
	SANDBOX_FD_PLUGIN = 4,  /* sealed memfd; closed by sandbox_worker_enter() */
	SANDBOX_FD_ALIVE = 5,   /* end of file means that the spawner is gone; closed likewise */
	SANDBOX_FD_EVENT = 8    /* one eventfd per core loop, 8 .. 8 + n_eventfds - 1 */
};
#define SANDBOX_EVENTFDS_MAX 8

/* Where the plugin stands once the sandbox has been entered. */
#define SANDBOX_PLUGIN_PATH "/plugin.so"

/* What can hold a worker. A set of them is a mask of SANDBOX_BIT(layer). */
enum sandbox_layer {
	SANDBOX_SECCOMP,
	SANDBOX_NO_NEW_PRIVS,
	SANDBOX_LANDLOCK,
	SANDBOX_MOUNT_NS,
	SANDBOX_PID_NS,
	SANDBOX_NET_NS, /* net, ipc and uts together */
	SANDBOX_USER_NS,
	SANDBOX_UNIQUE_UID, /* each worker has an outer user id of its own */
	SANDBOX_CGROUP,     /* memory and pids are limited by a cgroup */
	SANDBOX_MDWE,       /* the kernel refuses memory that was writable to become executable */
	SANDBOX_LAYERS
};
#define SANDBOX_BIT(layer) (1u << (layer))

/* The layer's name in settings and reports, for example "landlock". Never NULL. */
const char *sandbox_layer_name(enum sandbox_layer layer);

/* What one worker's jail looks like. The spawner writes it, the worker reads it from argv[1]. */
struct sandbox_spec {
	uint32_t layers;     /* mask: those that this machine has and that must be entered */
	uint32_t outer_uid;  /* without a user namespace: the id to become. Else unused */
	uint32_t n_eventfds; /* 1 .. SANDBOX_EVENTFDS_MAX */
	uint32_t cpu_s;      /* CPU seconds of the whole life of the worker; 0: no limit */
	uint64_t address_space_bytes; /* RLIMIT_AS: plugin, heap, stacks and segment together */
	/* Refused system calls return EPERM instead of killing. Only the start-up self-test sets
	 * it, for a plugin of ours that counts refusals: the rows of the filter are the same, and
	 * what is not allowed by them stays refused. */
	bool is_selftest;
};

#define SANDBOX_SPEC_TEXT_BYTES 160

/* The spec as one argument, terminated. */
void sandbox_spec_format(const struct sandbox_spec *spec, char out[static SANDBOX_SPEC_TEXT_BYTES]);
/* Reads what sandbox_spec_format() wrote. Returns 0, or -1 with *err set (ERR_INVALID). */
int sandbox_spec_parse(const char *text, struct sandbox_spec *ret, struct err *err);

/* Enters the jail. On return the process is inside and SANDBOX_PLUGIN_PATH is the only file. When a
 * step fails it writes one line to descriptor 2 and ends the process with the exit status
 * SANDBOX_EXIT_STEP + the step's number. */
void sandbox_worker_enter(const struct sandbox_spec *spec);

#define SANDBOX_EXIT_STEP 64
/* The exit status of a worker's process that did not get as far as the worker program. */
#define SANDBOX_EXIT_EXEC 63

/* The name of the step with which a worker's exit status says it failed, or NULL for any other
 * status. */
const char *sandbox_step_name(int exit_status);

#endif
