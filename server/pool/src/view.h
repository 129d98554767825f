/*
 * view.h - what one loop knows: who serves which tenant
 *
 * A table of tenants, each with its plugins in order of id. Entries are made and changed by switch
 * messages only, and never removed: there are as many as there ever were deployments.
 */
#ifndef POOL_VIEW_H
#define POOL_VIEW_H

#include "lane.h"
#include "pool.h"

struct view_entry {
	char plugin[PLUGIN_ID_MAX + 1];
	size_t plugin_n;
	struct pool_lane *lane;         /* NULL: nobody serves */
	struct plugin_version *version; /* counted; NULL: no routes and no hooks */
	bool are_hooks_unknown;         /* without a version: every write is guarded */
	char reason[160];               /* why nobody serves */
	unsigned retry_after_ms;
};

struct view_tenant {
	char name[PLUGIN_TENANT_MAX + 1];
	size_t name_n;
	struct view_entry **entries; /* in order of plugin id */
	unsigned n_entries;
};

struct pool_view {
	struct pool *pool;
	struct loop *loop;
	struct audit_lane *audit;
	unsigned number; /* of its ring in every segment */
	struct loop_hook hook;
	struct pool_lane *active;

	struct view_tenant **tenants; /* open addressing, n_slots a power of two */
	size_t n_slots, n_tenants;

	/* scratch, so that a call allocates nothing */
	struct bytes_buf head, pairs;
	struct pool_header headers[POOL_HEADERS_MAX];
	char payload[WIRE_PAYLOAD_MAX];
};

/* number is the ring's: 0 for the keeper. audit is the lane that this thread appends to. */
int view_new(struct pool *pool, struct loop *loop, unsigned number, struct audit_lane *audit,
	struct pool_view **ret, struct err *err);
void view_free(struct pool_view *view);

struct view_change {
	const char *tenant, *plugin;
	struct pool_lane *lane;
	struct plugin_version *version;
	bool are_hooks_unknown;
	const char *reason;
	unsigned retry_after_ms;
};

/* Makes the entry what the change says; the lane that was there drains. Returns 0, or -1
 * (ERR_NOMEM, ERR_IO) with nothing changed. */
int view_apply(struct pool_view *view, const struct view_change *change, struct err *err);
/* The view does not look at the lane any more. */
void view_deactivate(struct pool_view *view, struct pool_lane *lane);
/* The lane serves no more. */
void view_forget_lane(struct pool_view *view, struct pool_lane *lane, const char *reason);

#endif
