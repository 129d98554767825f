/*
 * instance.h - one worker process of one version, as the keeper holds it
 *
 *   STARTING --READY--> READY --switched out--> DRAINING --all loops at zero--> ENDING
 *       └────────────────────────┴──────────────────┴──── the worker exits ───> GONE
 *
 * GONE: every loop that has a lane is told, closes it, and says so; then the instance is freed. It
 * lives in a mapping of its own, so that what a deployment took is given back whole.
 */
#ifndef POOL_INSTANCE_H
#define POOL_INSTANCE_H

#include "lane.h"
#include "pool_keeper.h"

enum instance_state {
	INSTANCE_STARTING,
	INSTANCE_READY,
	INSTANCE_DRAINING,
	INSTANCE_ENDING,
	INSTANCE_GONE
};

struct pool {
	struct loop *keeper;
	struct gate *gate;
	struct log_source log;
	unsigned n_views; /* the keeper's is number 0 */
	struct pool_view *views[1 + POOL_LOOPS_MAX];
	struct pool_instance *instances;
	unsigned n_instances;
	unsigned n_changes; /* switches that some loop has not made yet */
	void (*on_freed)(void *context);
	void *on_freed_context;
};

struct pool_instance {
	struct pool *pool;
	struct pool_instance *next, *before; /* of the pool's */
	char tenant[PLUGIN_TENANT_MAX + 1];
	struct store *store;
	struct plugin_version *version;
	struct plugin_granted granted;
	uint32_t generation;
	uint8_t artifact[AUDIT_ARTIFACT_BYTES];
	struct pool_counters *counters;
	void *context;
	void (*on_ready)(void *context, struct pool_instance *instance);
	void (*on_exit)(void *context, struct pool_instance *instance, const struct pool_end *end);
	void (*on_instance_freed)(void *context);

	enum instance_state state;
	struct ring_segment *segment;
	int event_fds[1 + POOL_LOOPS_MAX];
	struct spawn_child *child; /* NULL once it is gone */
	int pid;
	struct loop_timer timer; /* load, then drain */
	uint64_t drain_ns;       /* when draining began */
	bool was_ready, was_asked, was_late, was_poisoned;
	char reason[200];
	unsigned n_undrained, n_unended; /* lanes that have not said so yet */

	/* probe */
	struct pool_call probe;
	void (*on_probed)(void *context, const char *complaint);
	void *probe_context;

	/* what the worker writes to descriptors 1 and 2 */
	struct log_source log;
	char log_name[PLUGIN_ID_MAX + 16];
	struct loop_watch output;
	char line[1024];
	size_t line_n;

	struct pool_lane lanes[]; /* n_views of them */
};

/* READY, FAILED, DRAINED. Returns why the worker must go, or NULL. On the keeper. */
const char *instance_take_message(
	struct pool_instance *instance, uint16_t type, struct bytes payload);
/* A log line of the plugin. False: malformed. Any loop. */
bool instance_take_log(
	struct pool_instance *instance, struct bytes payload, const uint8_t *trace_id);

/* instance_log.c */
void instance_watch_output(struct pool_instance *instance, int fd);
void instance_read_rest(struct pool_instance *instance);
void instance_close_output(struct pool_instance *instance);
/* One record of the instance's life. */
void instance_record(struct pool_instance *instance, enum audit_kind kind, const char *action,
	const char *reason);

/* instance_end.c: how it goes */
void instance_on_exit(void *context, struct spawn_child *child, const struct spawn_exit *exit);
void instance_init_messages(struct pool_instance *instance);
void instance_free(struct pool_instance *instance);

#endif
