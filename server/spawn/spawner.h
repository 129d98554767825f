/*
 * spawner.h - the core's side of the spawner: start a jailed worker, hear of its end
 *
 * The core never forks. It execs one small program, tenon-spawn, and asks it over a socket for
 * workers; the answers come back as callbacks on one loop. When the spawner dies all its workers
 * die with it: each child's on_exit says so (SPAWN_LOST), and the spawner is exec'd again, at once
 * the first time and then with a delay that doubles from 100 ms to 30 s.
 *
 * The header is not called spawn.h because the C library has one of that name.
 *
 * Threads: everything, callbacks too, on the thread of the loop given to spawn_open(), which
 *          must live as long as the spawn: the spawner follows that thread in death.
 * Memory:  a child belongs to the spawn until its on_exit has returned, which happens exactly once
 *          for each child that spawn_start() made. spawn_close() is not for callbacks.
 */
#ifndef SPAWN_SPAWNER_H
#define SPAWN_SPAWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "sandbox_report.h"

struct loop;
struct spawn;
struct spawn_child;

struct spawn_config {
	const char *spawner_path; /* tenon-spawn */
	const char *worker_path;  /* tenon-worker */
	uint32_t allow_missing;   /* mask of sandbox layers that may be missing:
				     sandbox_report_check() */
	void *context;            /* handed to the callbacks below; all may be NULL */
	/* The spawner is up and has tried this machine's layers. On SANDBOX_REFUSED every start
	 * fails. */
	void (*on_ready)(void *context, const struct sandbox_report *report,
		enum sandbox_verdict verdict, uint32_t missing);
	/* The spawner is gone; the children's on_exit have been called before. It is exec'd again
	 * in retry_ms. */
	void (*on_down)(void *context, unsigned retry_ms);
};

struct spawn_limits {
	uint64_t memory_bytes;        /* cgroup: resident memory; 0: 64 MiB */
	uint64_t address_space_bytes; /* RLIMIT_AS; 0: 512 MiB */
	uint32_t cpu_s;               /* CPU seconds of the worker's life; 0: no limit */
	uint32_t cpu_percent;         /* cgroup: share of one CPU, 100 is one whole; 0: no limit */
};

enum spawn_end {
	SPAWN_EXITED, /* status is the exit status; sandbox_step_name(status) knows jail steps */
	SPAWN_KILLED, /* status is the signal */
	SPAWN_LOST,   /* the spawner died, and the worker with it; status is 0 */
	SPAWN_FAILED  /* no worker was started: status is an errno, detail names the step */
};

struct spawn_exit {
	enum spawn_end end;
	int status;
	int syscall_nr; /* killed by the filter: the system call, or -1 when it is not known */
	bool is_out_of_memory; /* the memory limit's kill was counted in the worker's cgroup */
	uint64_t max_rss_bytes, user_us, system_us;
	char detail[128]; /* a sentence for logs, may be empty */
};

struct spawn_request {
	int plugin_fd;  /* sealed memfd */
	int segment_fd; /* sealed memfd */
	int stdio_fd;   /* write end of the pipe for the instance's log lines */
	const int *eventfds;
	uint32_t n_eventfds; /* 1 .. SANDBOX_EVENTFDS_MAX */
	struct spawn_limits limits;
	bool is_selftest; /* the canary: see struct sandbox_spec */
	void *context;    /* handed to the callbacks below; on_started may be NULL */
	/* The worker runs. pid is as this process sees it, pidfd stays the child's. */
	void (*on_started)(void *context, struct spawn_child *child, pid_t pid, int pidfd);
	/* The worker is gone and reaped; the child is freed after this returns. */
	void (*on_exit)(void *context, struct spawn_child *child, const struct spawn_exit *exit);
};

/* Execs the spawner. The config's strings are copied. Returns 0 and a spawn to close, or -1 with
 * *err. */
int spawn_open(
	struct loop *loop, const struct spawn_config *config, struct spawn **ret, struct err *err);

/* Ends the spawner and all its workers, without calling back, and waits for the spawner's end.
 * Takes NULL. */
void spawn_close(struct spawn *spawn);

/* Asks for a worker. The descriptors are duplicated; the caller keeps and closes its own. While the
 * spawner is down or not yet ready the request waits for it, at most SPAWN_PENDING of them. Returns
 * 0 and a child, or -1 with *err set (ERR_LIMIT, ERR_IO, ERR_UNAVAILABLE when the machine was
 * refused); then nothing calls back. */
int spawn_start(struct spawn *spawn, const struct spawn_request *request, struct spawn_child **ret,
	struct err *err);

#define SPAWN_PENDING  64
#define SPAWN_CHILDREN 4096

/* Kills the worker: by its pidfd when it has started (nothing in its pid namespace outlives it),
 * else as soon as it does. on_exit follows. */
void spawn_kill(struct spawn_child *child);

/* The last report, or NULL before on_ready. */
const struct sandbox_report *spawn_report(const struct spawn *spawn);

#endif
