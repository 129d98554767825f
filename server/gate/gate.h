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
 * Threads: everything about a call on its loop. Memory: a struct gate_call lives inside the pool's
 * slot; while gate_is_busy() the slot may not be used again.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "id.h"
#include "loop.h"
#include "plugin.h"
#include "store.h"

#define GATE_ATTACHMENTS_MAX 16

/* A value as a plugin passes it and a column gives it. */
enum gate_value_type { GATE_NULL, GATE_INT64, GATE_DOUBLE, GATE_TEXT, GATE_BLOB, GATE_BOOL };

struct gate_value {
	enum gate_value_type type;
	int64_t i; /* INT64, BOOL */
	double f;
	struct bytes s; /* TEXT, BLOB */
};

/* A declared check or write that a before-hook attached to the pending write. */
struct gate_attachment {
	const struct plugin_statement *statement;
	const struct gate_value *values;
	unsigned n_values;
	/* What the client is told when it says no; the plugin's words. */
	unsigned status;
	struct bytes message, field;
};

struct gate_attachments {
	struct gate_attachment list[GATE_ATTACHMENTS_MAX];
	unsigned n;
	const struct plugin_version *version;
	const struct plugin_granted *granted;
};

enum gate_attachment_result {
	GATE_ATTACHMENT_PASSED,
	GATE_ATTACHMENT_REFUSED, /* *ret_refused says which: roll the write's savepoint back */
	GATE_ATTACHMENT_FAULT    /* *ret_outcome is what the store said */
};

/* Runs the attachments on the connection of a write job, inside the write's own savepoint and after
 * the write itself, under the plugin's grant. Any executor thread. */
enum gate_attachment_result gate_run_attachments(struct store_conn *conn,
	const struct gate_attachments *attachments, const struct gate_attachment **ret_refused,
	enum store_outcome *ret_outcome);

#endif
