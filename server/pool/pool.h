/*
 * pool.h - calls into plugins: admission, dispatch to a worker, deadlines, and what a death means
 *
 * Each loop has a view: which plugins serve which tenant, and for each a lane to its instance (a
 * worker process). A lane is this loop's own pair of rings in the instance's segment, so a call is
 * begun, served and answered on one thread without a lock, an allocation or a system call but for
 * wake-ups. The keeper changes a view only by posting to its loop.
 *
 *        loop 0            loop 1                keeper
 *      view ─ lane ┐     view ─ lane ┐         starts, probes, watches, ends
 *                  └── rings ────────┴── segment of one instance ── tenon-worker
 *
 * A hook's call is closed by the pool's audit record, in the journal before done is called; a
 * route's by that of the request that asked, which its caller writes.
 *
 * A call belongs to the version and the instance that took it. Whatever happens, done is called
 * exactly once: with an answer, or with the outcome that says why there is none. A worker that
 * breaks the protocol, or does not give up the processor, is killed; a late one answers nobody.
 *
 * Threads: each function on the loop of the view or call it is given, unless it says otherwise.
 * Memory:  a struct pool_call lives in its caller's memory until done has been called; what a call
 *          points to is borrowed until then; the answer is borrowed until done returns.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "id.h"
#include "loop.h"
#include "plugin.h"

struct gate_attachments;
struct pool;
struct pool_lane;
struct pool_slot;
struct pool_view;

#define POOL_CALLS_MAX   256 /* in flight and queued, for each loop and instance */
#define POOL_HEADERS_MAX 64

/* ---- finding who would serve ---- */
enum pool_find_result {
	POOL_FOUND,
	POOL_NO_PLUGIN, /* this tenant has no such plugin: 404 */
	POOL_NO_ROUTE,  /* 404 */
	POOL_NO_METHOD, /* 405 */
	POOL_DOWN       /* disabled, quarantined, or restarting after a crash: 503 */
};

/* Who would take a route or a hook now. Borrowed: good until the loop's next iteration, find it
 * again after waiting for anything. */
struct pool_target {
	struct pool_lane *lane;
	struct bytes plugin; /* its id */
	const struct plugin_version *version;
	unsigned index;                   /* into the manifest's routes or hooks */
	const struct plugin_route *route; /* of a route */
	const struct plugin_hook *hook;   /* of a hook */
	unsigned retry_after_ms;          /* on POOL_DOWN */
	const char *reason; /* on POOL_DOWN, for people: "order-rules is quarantined ..." */
};

/* The view of a loop, which is one of the pool's. */
struct pool_view *pool_view(struct pool *pool, const struct loop *loop);

/* path is what follows /api/x/{plugin}, undecoded and without the query. */
enum pool_find_result pool_find_route(struct pool_view *view, struct bytes tenant,
	struct bytes plugin, struct bytes method, struct bytes path, struct pool_target *ret);

/* The first plugin, in order of plugin id and behind the id after ("" is before all), that has a
 * hook for this event. POOL_NO_ROUTE when there is none. POOL_DOWN fills version and hook too: the
 * caller decides by hook->fail_open. Both are NULL when nobody can say which hooks the plugin has:
 * then the event is refused. */
enum pool_find_result pool_find_hook(struct pool_view *view, struct bytes tenant,
	struct bytes collection, enum plugin_when when, enum plugin_action action,
	struct bytes after, struct pool_target *ret);

/* ---- calling ---- */
struct pool_header {
	struct bytes name, value;
};

enum pool_outcome {
	POOL_ANSWERED,  /* status, headers, body */
	POOL_FAILED,    /* the plugin reported a failure: status, message (fit for the tenant) */
	POOL_BUSY,      /* as many calls wait as may: 503 with retry_after_ms */
	POOL_ENDED,     /* the instance went away before the call began: 503 with retry_after_ms */
	POOL_DEADLINE,  /* 504 */
	POOL_CRASHED,   /* the worker died in this call or beside it: 502 */
	POOL_POISONED,  /* the worker broke the protocol and was killed: 502 */
	POOL_CANCELLED, /* pool_call_cancel */
	POOL_TOO_LARGE, /* the request does not fit the route's limits: 413 */
	POOL_UNRECORDED /* the audit journal takes no record: 503 */
};

struct pool_call {
	/* what is asked; filled by the caller */
	struct bytes method, path, query;
	const struct pool_header *headers; /* of the request; may be NULL */
	size_t n_headers;
	struct bytes body;
	struct bytes principal; /* user's record id, "" when nobody signed in */
	struct bytes principal_collection;
	bool is_superuser;
	struct bytes actor; /* as audit records name it: "user:users/0123456789abcde" */
	uint8_t trace_id[ID_TRACE_BYTES];
	unsigned depth;       /* of hooks within hooks; at most 3 */
	uint64_t deadline_ns; /* 0: the route's or hook's own timeout; else the earlier of both */
	/* Called once, on this loop, maybe before pool_call_start returns. */
	void (*done)(struct pool_call *call);
	void *context; /* the caller's */

	/* what came of it; valid in done */
	enum pool_outcome outcome;
	unsigned status;
	const struct pool_header *answer_headers;
	size_t n_answer_headers, n_dropped_headers; /* dropped: not a plugin's to set */
	struct bytes answer_body;
	struct bytes message; /* POOL_FAILED: the plugin's words */
	struct bytes reason;  /* POOL_FAILED: one word for programs, or "" */
	struct bytes field;   /* POOL_FAILED of a hook: the field it is about, or "" */
	unsigned retry_after_ms;
	/* What a before-hook attached, NULL: nothing. It is the caller's then, who frees it. */
	struct gate_attachments *attachments;
	const struct plugin_version *answered_by; /* NULL when nobody was asked */
	uint32_t generation, worker_pid;          /* 0 then; for the caller's audit record */

	/* the pool's own */
	struct pool_slot *slot;
};

/* Starts the call on target, which was found in this iteration of the loop. */
void pool_call_start(
	struct pool_view *view, const struct pool_target *target, struct pool_call *call);
/* The client went away: done is called with POOL_CANCELLED before this returns, the plugin is told,
 * and its facade calls answer CANCELLED from now on. Harmless after done. */
void pool_call_cancel(struct pool_call *call);

/* The HTTP status that says this outcome to a client; of POOL_ANSWERED and POOL_FAILED the call's
 * own. */
unsigned pool_status(const struct pool_call *call);
/* The outcome as a word for logs and figures: "crashed". */
const char *pool_outcome_name(enum pool_outcome outcome);

#endif
