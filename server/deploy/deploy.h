/*
 * deploy.h - the keeper: from an uploaded file to the version that serves, and back
 *
 *   UPLOADED -> VERIFIED -> STARTING -> PROBED -> ACTIVE -> COOLING -> RETIRED
 *        └──────────┴───────────┴──── REFUSED          QUARANTINED (five crashes in five minutes)
 *
 * The keeper is a loop on a thread of its own. It hashes and inspects a file, starts the new
 * version beside the old one, probes it, writes down what is wanted, switches every loop by one
 * pointer, waits until each has said so, and drains the old one. What fails before the switch
 * changes nothing. After a crash of the server the rows of control.db say what must run, and it
 * runs again.
 *
 * Threads: deploy_open and deploy_close on the main thread; requests from any loop, which also gets
 *          the answer.
 * Memory:  a struct deploy_request lives in its caller's memory until done has been called.
 */
#ifndef DEPLOY_DEPLOY_H
#define DEPLOY_DEPLOY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "id.h"
#include "loop.h"
#include "plugin.h"

struct audit;
struct deploy;
struct executor;
struct gate;
struct pool;
struct store;
struct tenant_catalogue;

struct deploy_config {
	struct loop *const *loops; /* those that serve requests; at most POOL_LOOPS_MAX (7) */
	unsigned n_loops;
	struct executor *executor;
	struct store *control;
	struct tenant_catalogue *tenants;
	struct gate *gate;
	/* The keeper appends to lane n_loops, so the journal has at least n_loops + 1. */
	struct audit *audit;
	const char *data_folder;    /* artifacts lie in plugins/ below it */
	const char *spawner_path;   /* tenon-spawn */
	const char *worker_path;    /* tenon-worker */
	const char *inspector_path; /* tenon-inspect */
	const char *selftest_path;  /* selftest-1.0.0.so; NULL: no self-test, for tests alone */
	uint32_t allow_missing;     /* sandbox layers, see spawner.h */
};

/* Reads what is wanted and starts the keeper. Call it before the loops run: their views then say
 * "starting" before the first request. Blocking. Returns 0, or -1. */
int deploy_open(const struct deploy_config *config, struct deploy **ret, struct err *err);
/* Waits until the self-test has ended and each wanted deployment serves or has failed. The loops
 * must run. False when it took longer than timeout_ms. */
bool deploy_wait_ready(struct deploy *deploy, unsigned timeout_ms);
/* Ends every worker and the keeper within 6 s. The loops must still run: calls in workers go on for
 * 4 s, then their workers are killed and the calls answered. False when something did not come back
 * in that time (a disk that hangs): then nothing that deploy_config named may be freed, nor may
 * deploy_free be called. Takes NULL. */
bool deploy_close(struct deploy *deploy);
/* After deploy_close and after the loops have ended: frees what the loops looked at. Takes NULL. */
void deploy_free(struct deploy *deploy);

/* Where the loops call plugins. */
struct pool *deploy_pool(struct deploy *deploy);

/* ---- changing what runs ---- */
enum deploy_act {
	DEPLOY_UPLOAD,   /* file is set: deploy these bytes */
	DEPLOY_ROLLBACK, /* back to the version before */
	DEPLOY_DISABLE,  /* stop serving; the version stays */
	DEPLOY_ENABLE    /* serve again; also out of quarantine */
};

enum deploy_outcome {
	DEPLOY_DONE,
	DEPLOY_REFUSED,   /* message says what is wrong and how to mend it: 400 */
	DEPLOY_NOT_FOUND, /* no such plugin in this tenant, or no version before: 404 */
	DEPLOY_NO_TENANT, /* 404 */
	DEPLOY_BUSY,      /* too many deployments wait: 503 */
	DEPLOY_FAULT      /* message is for the log: 500 */
};

#define DEPLOY_REQUESTS_MAX 64

struct deploy_request {
	enum deploy_act act;
	struct bytes tenant; /* its name */
	struct bytes plugin; /* not for DEPLOY_UPLOAD: the manifest names it */
	struct bytes file;   /* of DEPLOY_UPLOAD; borrowed until done */
	bool grant_all;      /* of DEPLOY_UPLOAD: give what the manifest asks for */
	struct bytes actor;  /* who asked, for the audit trail: "operator:1" */
	uint8_t trace_id[ID_TRACE_BYTES];
	/* Called once, on loop. After DEPLOY_DONE no call that begins later is answered by an older
	 * version. */
	void (*done)(struct deploy_request *request);
	struct loop *loop;
	void *context;

	/* what came of it; valid in done */
	enum deploy_outcome outcome;
	char message[512]; /* one sentence and the fix */
	char plugin_id[PLUGIN_ID_MAX + 1], version[PLUGIN_VERSION_MAX + 1];
	char sha256[PLUGIN_SHA256_HEX + 1];

	/* the keeper's own */
	struct loop_message post;
	struct deploy *deploy;
};

/* Any loop's thread. done is always called, from the loop's mailbox. */
void deploy_submit(struct deploy *deploy, struct deploy_request *request);

/* ---- what runs ---- */
struct deploy_status {
	char tenant[PLUGIN_TENANT_MAX + 1];
	char plugin[PLUGIN_ID_MAX + 1];
	char version[PLUGIN_VERSION_MAX + 1];
	char sha256[PLUGIN_SHA256_HEX + 1];
	char state[24];    /* "active", "starting", "backing-off", "quarantined", "disabled",
			      "failed" */
	char message[232]; /* the last refusal or crash, "" when all is well */
	int worker_pid;    /* 0 when none runs */
	uint64_t rss_bytes, size_bytes;
	int64_t since_wall_us; /* of the running version */
	uint64_t n_calls, n_failed, n_crashed, n_deadline, n_cancelled, n_busy, n_in_flight;
	uint64_t n_requests, n_denied, n_violations; /* of facades; of the protocol */
	uint64_t n_worker_ends;                      /* that nobody asked for */
	uint64_t call_ns;                            /* sum over all calls */
	unsigned n_routes, n_hooks, n_statements, n_upstreams;
	uint32_t generation;
	bool grant_all, has_previous, is_cooperative;
};

/* A copy of the table of all deployments as the keeper last saw it (at most a second old, and at
 * once after a change), in order of tenant and plugin. Any thread, does not wait. tenant "" is all.
 * Returns 0, or -1 (ERR_NOMEM); *ret is for free(). */
int deploy_list(struct deploy *deploy, struct bytes tenant, struct deploy_status **ret,
	size_t *ret_n, struct err *err);
/* Appends the manifest of the version that a tenant runs to out; false when there is none. */
bool deploy_manifest(
	struct deploy *deploy, struct bytes tenant, struct bytes plugin, struct bytes_buf *out);

/* ---- the self-test of the sandbox ---- */
struct deploy_self_test {
	bool has_run;
	unsigned n_attempts, n_refused;
	char complaint[160]; /* "" when all is well; else no tenant's plugin is loaded */
	char layers[128];    /* "seccomp, landlock 6, namespaces, cgroup v1" */
	char missing[128];   /* layers that are not there and may be missing: "cgroup"; "" */
};

/* After deploy_wait_ready. */
void deploy_self_test(struct deploy *deploy, struct deploy_self_test *ret);

#endif
