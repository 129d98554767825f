/*
 * keeper.h - the keeper's tables: deployments, and the acts that change them
 *
 * An act is one change of one deployment, from its file to the switch, as a chain of steps: each
 * starts something (a job on the executor, a write to control.db, a worker) and names the step that
 * goes on when it is done. A deployment has one act at a time; the others wait in line. An act that
 * fails undoes nothing, because nothing is changed before the switch; but for the wanted row, which
 * is committed just before it, and put back when the worker does not live to see the switch.
 *
 *   upload:   hash, keep in a sealed memfd -> inspect -> manifest -> [line] -> artifact ->
 * catalogue
 *             -> statements -> start -> probe -> wanted row -> switch -> sync the journal -> done
 *   rollback, enable, at start:  artifact into a memfd -> statements -> start -> ... as above
 *   respawn:  switch to the worker that starts -> ready -> done
 */
#ifndef DEPLOY_KEEPER_H
#define DEPLOY_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit.h"
#include "deploy.h"
#include "executor.h"
#include "gate.h"
#include "log.h"
#include "pool_keeper.h"
#include "spawner.h"
#include "store.h"
#include "tenant.h"

#define CRASHES_MAX 5 /* in CRASHES_NS: quarantine */
#define CRASHES_NS  (300 * CLOCK_NS_PER_S)

struct act;

enum deployment_state {
	DEPLOYMENT_NEW,
	DEPLOYMENT_STARTING,
	DEPLOYMENT_ACTIVE,
	DEPLOYMENT_BACKING_OFF,
	DEPLOYMENT_QUARANTINED,
	DEPLOYMENT_DISABLED,
	DEPLOYMENT_FAILED
};

struct deployment {
	struct deployment *next; /* in order of tenant and plugin */
	struct deploy *deploy;
	char tenant[PLUGIN_TENANT_MAX + 1], plugin[PLUGIN_ID_MAX + 1];
	struct plugin_deployment row; /* what is wanted; sha256 "" before the first success */
	enum deployment_state state;
	char message[232];

	struct plugin_version *version; /* that serves, or shall; NULL before the first success */
	struct plugin_granted granted;
	int fd; /* its sealed memfd, for respawns; -1: none */
	struct pool_instance *active;
	int64_t since_wall_us;

	struct act *act; /* under way */
	struct act *waiting, **waiting_end;
	/* Those that name it: the acts, also before their turn, and the instances until every loop
	 * has let go of them. Without any of them, and without a row, it is forgotten. */
	unsigned n_acts, n_instances;

	struct tenant_use use;
	struct store *store; /* of the tenant; NULL until it is in use */

	uint64_t crashes_ns[CRASHES_MAX]; /* when the last ones were, a ring */
	unsigned n_crashes;
	uint64_t n_worker_ends;
	unsigned backoff_ms;
	struct loop_timer respawn;
	struct pool_counters *counters;
};

enum act_kind { ACT_UPLOAD, ACT_ROLLBACK, ACT_DISABLE, ACT_ENABLE, ACT_START, ACT_RESPAWN };

struct inspection {
	pid_t pid;
	int pid_fd, out_fd;
	struct loop_watch exit_watch, out_watch;
	struct loop_timer timer;
	struct bytes_buf out;
};

struct act {
	struct act *next;
	struct deploy *deploy;
	struct deployment *deployment;  /* NULL before the manifest was read */
	struct deploy_request *request; /* NULL: the keeper's own act */
	enum act_kind kind;
	char actor[AUDIT_ACTOR_MAX + 1];
	struct tenant *tenant;

	struct bytes file; /* of an upload: the request's */
	int fd;            /* sealed memfd, -1: none */
	char sha256[PLUGIN_SHA256_HEX + 1];
	uint64_t size_bytes;
	struct plugin_version *version;
	struct plugin_granted granted;
	bool grant_all;
	struct plugin_deployment row; /* as it shall be */
	bool is_first;                /* of those that the start waits for */

	struct inspection inspection;
	struct pool_instance *instance;
	bool has_switched;
	bool is_writing;   /* the wanted row is with the writer, which needs the act */
	char undoing[232]; /* why the wanted row is put back */

	/* the step under way and what comes after it */
	int (*work)(struct act *act, struct err *err);
	enum store_outcome (*query)(struct act *act, struct store_conn *conn);
	void (*then)(struct act *act);
	struct executor_job executor_job;
	struct loop_message message;
	struct store_job store_job;
	struct audit_wait audit_wait;
	struct err err;
	bool is_refused; /* what is being undone is the author's to mend, not ours */
};

struct status_row {
	struct deploy_status status;
	struct plugin_version *version; /* counted */
};

struct deploy {
	/* what deploy_config said; strings are copies */
	struct executor *executor;
	struct store *control;
	struct tenant_catalogue *tenants;
	struct gate *gate;
	struct audit *audit;
	unsigned n_loops;
	uint32_t allow_missing;
	char *artifact_folder, *spawner_path, *worker_path, *inspector_path, *selftest_path;

	struct loop *loop;
	pthread_t thread;
	bool has_thread;
	struct pool *pool;
	struct spawn *spawn;
	struct audit_lane *audit_lane;
	struct deployment *deployments;
	struct loop_timer second; /* figures */
	struct loop_timer closing;
	struct loop_message close_message;
	bool is_closing;
	bool is_stuck;         /* at the end something had not come back */
	uint64_t closing_ns;   /* since the close began */
	unsigned n_start_acts; /* of the start that are not over */
	struct log_source log;
	_Atomic unsigned n_requests;

	/* the self-test */
	struct deploy_self_test self_test;
	struct selftest *selftest;

	/* shared with other threads */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_ready, has_failed;
	struct err start_err;
	struct status_row *rows;
	size_t n_rows;
};

/* ---- deploy.c ---- */
struct deployment *keeper_find(struct deploy *deploy, struct bytes tenant, struct bytes plugin);
/* As keeper_find, and makes it. NULL: no memory. */
struct deployment *keeper_need(struct deploy *deploy, struct bytes tenant, struct bytes plugin);
/* Frees it when nothing names it and no version of it was ever deployed. */
void keeper_forget_unused(struct deployment *deployment);
/* The self-test is over and everything wanted has been started, or not. */
void keeper_say_ready(struct deploy *deploy);

/* Tells every loop that nobody serves the plugin now, and why. The hooks of the version that is
 * wanted go on guarding writes; when its manifest cannot be read, every write of the tenant is
 * guarded. Returns 0, or -1 (ERR_NOMEM). */
int keeper_say_down(struct deployment *deployment, const char *reason, unsigned retry_after_ms,
	struct err *err);

/* ---- act.c: the engine ---- */
struct act *act_new(struct deploy *deploy, enum act_kind kind, struct deploy_request *request);
/* Runs work on the executor's file lane, then then(act) here. */
void act_on_files(struct act *act, int (*work)(struct act *act, struct err *err),
	void (*then)(struct act *act));
/* Writes to control.db, or reads from it. */
void act_on_control(struct act *act, bool is_write,
	enum store_outcome (*query)(struct act *act, struct store_conn *conn),
	void (*then)(struct act *act));
/* Reads the tenant's database. */
void act_on_tenant(struct act *act,
	enum store_outcome (*query)(struct act *act, struct store_conn *conn),
	void (*then)(struct act *act));
/* True when the step before failed; then the act has ended. */
bool act_has_failed(struct act *act);
/* Ends the act: answers its request, frees it, lets the next in line begin. */
void act_end(struct act *act, enum deploy_outcome outcome, const char *message);
void act_refuse(struct act *act, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Begins when the deployment has no act under way. */
void act_enqueue(struct act *act, struct deployment *deployment);
void act_record(
	struct act *act, const char *action, enum audit_decision decision, const char *reason);

/* ---- upload.c: from bytes to a version ---- */
void upload_begin(struct act *act);
/* Reads the artifact back into a sealed memfd and compares its hash. */
int upload_load_artifact(struct act *act, struct err *err);
/* Makes the version of act->sha256 from the catalogue's manifest. */
enum store_outcome upload_read_version(struct act *act, struct store_conn *conn);

/* ---- inspect.c ---- */
/* Runs tenon-inspect on act->fd; then then(act) with the verdict's JSON in inspection.out, or err,
 * also before this returns. */
void inspect_begin(struct act *act, void (*then)(struct act *act));
/* Reads the verdict. Returns 0 with the manifest's text (to be freed), or -1 with err: ERR_INVALID
 * says what the author has to mend. */
int inspect_read_verdict(struct bytes verdict, struct bytes_buf *ret_manifest, struct err *err);

/* ---- rollout.c: from a version to the switch ---- */
/* What the act does when its turn has come. */
void rollout_begin(struct act *act);
/* A worker that served is gone, unasked. */
void rollout_on_crash(struct deployment *deployment, const struct pool_end *end);
/* What is wanted could not be started: says so to every loop, and tries again later. */
void rollout_on_failed_start(struct deployment *deployment, const char *message);
void rollout_instance_gone(
	void *context, struct pool_instance *instance, const struct pool_end *end);

/* ---- memfd.c ---- */
/* A sealed memfd with these bytes. Returns 0 or -1 (ERR_IO). */
int memfd_make(struct bytes file, int *ret_fd, struct err *err);

/* ---- selftest.c ---- */
/* Runs the canary; then(deploy) with deploy->self_test filled. */
void selftest_begin(struct deploy *deploy, void (*then)(struct deploy *deploy));

/* ---- status.c ---- */
void status_refresh(struct deploy *deploy);
void status_fini(struct deploy *deploy);

#endif
