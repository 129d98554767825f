/*
 * gate.h - the core side of the facades: who asks, may it, what does it cost, do it, write it down
 *
 * A plugin's call may ask for things: rows of declared statements, a request to a declared
 * upstream, a log line. The request arrives as a frame in the ring of its instance; that ring, and
 * nothing in the frame, says who asks. The gate looks the name up in the version's manifest, checks
 * the grant, charges the call's budget, does it, and writes one audit record, also for a refusal.
 *
 *   frame -> known name? -> granted? -> within budget? -> do (executor, egress) -> audit -> reply
 *
 * At most one request of a call is under way: the fiber that asked is suspended until the reply.
 *
 * Threads: everything about a call on its loop.
 * Memory:  a gate_call is freed by itself once it has ended and nothing of it is under way; a lane
 *          outlives its calls.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "audit.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "loop.h"
#include "plugin.h"
#include "store.h"
#include "wire.h"

struct egress;
struct egress_range;
struct log_source;

struct gate;

struct gate_config {
	struct egress *egress; /* NULL: every http send is UNAVAILABLE */
	struct audit *audit;
	/* Addresses that requests of plugins may reach although they are private or local. */
	const struct egress_range *allowed;
	size_t n_allowed;
};

int gate_new(const struct gate_config *config, struct gate **ret, struct err *err);
/* After the last lane is idle. Takes NULL. */
void gate_free(struct gate *gate);

/* ---- who asks: one loop's side of one instance ---- */
struct gate_lane {
	/* filled by the owner; borrowed while the lane has calls */
	struct gate *gate;
	struct loop *loop;
	struct audit_lane *audit;
	struct store *store; /* the tenant's data; NULL: every statement is UNAVAILABLE */
	struct plugin_version *version;
	const struct plugin_granted *granted;
	const char *tenant;
	uint32_t generation, worker_pid;
	struct log_source *log; /* the instance's lines */
	/* Called whenever the last of the lane's calls is gone. */
	void (*on_idle)(struct gate_lane *lane);
	void *context; /* the owner's */

	unsigned n_calls; /* the gate's own */
};

/* ---- one call's requests ---- */
struct gate_call;

#define GATE_REQUESTS_MAX    100 /* of one call */
#define GATE_ATTACHMENTS_MAX 16
#define GATE_ROWS_BYTES_MAX  (1u << 20) /* of one query's result */

struct gate_call_spec {
	const uint8_t *trace_id; /* ID_TRACE_BYTES; copied */
	uint64_t deadline_ns;
	bool is_hook; /* may attach, may not exec */
	/* The answer to a request; the reply is borrowed. Also before gate_call_request returns. */
	void (*on_reply)(void *context, const struct wire_reply *reply);
	void *context;
};

/* Returns NULL when there is no memory. */
struct gate_call *gate_call_new(struct gate_lane *lane, const struct gate_call_spec *spec);

enum gate_request_result {
	GATE_TAKEN,    /* on_reply comes, or came */
	GATE_VIOLATION /* the payload is not what its type says: poison the worker */
};

/* type and payload are those of a request (wire_is_request); one at a time. */
enum gate_request_result gate_call_request(
	struct gate_call *call, uint16_t type, struct bytes payload);
/* From now on requests answer status (TENON_E_CANCELLED, TENON_E_DEADLINE); one that is under way
 * is interrupted and answers so as well. */
void gate_call_cancel(struct gate_call *call, int32_t status);
/* The call is over: on_reply does not come any more. Takes NULL. */
void gate_call_end(struct gate_call *call);
unsigned gate_call_requests(const struct gate_call *call);
unsigned gate_call_denied(const struct gate_call *call);

/* ---- attachments: what a before-hook adds to the pending write ---- */
struct gate_attachment {
	const struct plugin_statement *statement;
	struct wire_list values; /* checked */
	/* What the client is told when it says no; the plugin's words. */
	struct bytes message, reason, field;
};

/* Lives on its own: any thread may run and free it, also after its instance has ended. */
struct gate_attachments {
	struct gate_attachment list[GATE_ATTACHMENTS_MAX];
	unsigned n;
	/* the gate's own */
	struct plugin_version *version;
	struct plugin_granted granted;
	struct arena *arena;
	char complaint[200]; /* of GATE_ATTACHMENT_UNFIT: what the database said, for the log */
};

/* The attachments that the call made so far, which are the caller's then; NULL: none. */
struct gate_attachments *gate_call_take_attachments(struct gate_call *call);
/* Takes NULL. */
void gate_attachments_free(struct gate_attachments *attachments);

enum gate_attachment_result {
	GATE_ATTACHMENT_PASSED,
	/* *ret_refused says which: roll the write's savepoint back. Also what a constraint stopped:
	 * the attached write was not possible, which is no fault of the record's fields. */
	GATE_ATTACHMENT_REFUSED,
	GATE_ATTACHMENT_UNFIT, /* *ret_refused cannot be run, as when a column has gone */
	GATE_ATTACHMENT_FAULT  /* *ret_outcome is what the store said */
};

/* Runs the attachments on the connection of a write job (alone: foreign SQL that passes its
 * deadline takes the transaction with it), inside the write's own savepoint and after the write
 * itself, under the plugin's grant. On the job's executor thread. */
enum gate_attachment_result gate_run_attachments(struct store_conn *conn,
	struct gate_attachments *attachments, uint64_t deadline_ns,
	const struct gate_attachment **ret_refused, enum store_outcome *ret_outcome);

/* ---- at deployment ---- */
/* Prepares every statement of the version under its grant, without running any. STORE_OK, or
 * STORE_REFUSED with a sentence in *err that names the statement, or what the store said. Inside
 * the run of a read job that is nobody else's. */
enum store_outcome gate_check_statements(struct store_conn *conn,
	const struct plugin_version *version, const struct plugin_granted *granted,
	struct err *err);

DEFER_DEFINE(struct gate *, gate_free)
DEFER_DEFINE(struct gate_attachments *, gate_attachments_free)

#endif
