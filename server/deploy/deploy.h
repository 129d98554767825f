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

struct deploy;

enum deploy_act {
	DEPLOY_UPLOAD,   /* file is set: deploy these bytes */
	DEPLOY_ROLLBACK, /* back to the version before */
	DEPLOY_DISABLE,  /* stop serving; the version stays */
	DEPLOY_ENABLE    /* serve again; also out of quarantine */
};

enum deploy_outcome {
	DEPLOY_DONE,
	DEPLOY_REFUSED,   /* message says what is wrong with the file and how to mend it: 400 */
	DEPLOY_NOT_FOUND, /* no such plugin in this tenant: 404 */
	DEPLOY_NO_TENANT, /* 404 */
	DEPLOY_BUSY,      /* too many deployments wait: 503 */
	DEPLOY_FAULT      /* message is for the log: 500 */
};

struct deploy_request {
	enum deploy_act act;
	struct bytes tenant;
	struct bytes plugin; /* not for DEPLOY_UPLOAD: the manifest names it */
	struct bytes file;   /* of DEPLOY_UPLOAD; borrowed until done */
	bool grant_all;      /* give what the manifest asks for */
	struct bytes actor;  /* who asked, for the audit trail */
	uint8_t trace_id[ID_TRACE_BYTES];
	/* Called once on loop. After DEPLOY_DONE no call that begins later is answered by an older
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
	struct loop_message message_to_keeper, message_to_loop;
	struct deploy_request *next;
};

/* Any loop's thread. done is always called, from the loop's mailbox. */
void deploy_submit(struct deploy *deploy, struct deploy_request *request);

/* ---- what runs ---- */
struct deploy_status {
	char tenant[PLUGIN_TENANT_MAX + 1];
	char plugin[PLUGIN_ID_MAX + 1];
	char version[PLUGIN_VERSION_MAX + 1];
	char sha256[PLUGIN_SHA256_HEX + 1];
	char state[24];    /* "active", "starting", "quarantined", "disabled", "refused" */
	char message[232]; /* the last refusal or crash, "" when all is well */
	int worker_pid;    /* 0 when none runs */
	uint64_t rss_bytes, size_bytes;
	int64_t since_wall_us; /* of the running version */
	uint64_t n_calls, n_failed, n_crashes, n_denied, n_deadline, n_in_flight;
	uint64_t call_ns_total;
	unsigned n_routes, n_hooks, n_statements, n_upstreams;
	bool grant_all;
};

/* A copy of the table of all deployments as the keeper last saw it (at most a second old, and at
 * once after a change), in order of tenant and plugin. Any thread, does not wait. tenant "" is all.
 * Returns 0, or -1 (ERR_NOMEM); *ret is for free(). */
int deploy_list(struct deploy *deploy, struct bytes tenant, struct deploy_status **ret,
	size_t *ret_n, struct err *err);
/* The manifest of the version that a tenant runs, appended to out; false when there is none. */
bool deploy_manifest(
	struct deploy *deploy, struct bytes tenant, struct bytes plugin, struct bytes_buf *out);

/* ---- the self-test of the sandbox ---- */
struct deploy_self_test {
	unsigned n_attempts, n_refused;
	char first_allowed[64]; /* "" when all were refused */
	char layers[128];       /* "seccomp, landlock, namespaces, cgroup" */
};

#endif
