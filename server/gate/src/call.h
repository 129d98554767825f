/*
 * call.h - one plugin call's requests: the one under way, and what the call has used up
 *
 * A request's payload stands in the ring reader's buffer and is gone when gate_call_request
 * returns, so what is done later works on a copy. A request ends by call_reply or call_refuse,
 * exactly once.
 */
#ifndef GATE_CALL_H
#define GATE_CALL_H

#include "egress.h"
#include "gate.h"
#include "statement.h"

/* The ABI's status codes that the gate answers with. */
enum call_status {
	STATUS_CANCELLED = -1,
	STATUS_INTERNAL = -2,
	STATUS_INVALID = -3,
	STATUS_DEADLINE = -4,
	STATUS_DENIED = -7,
	STATUS_EXHAUSTED = -8,
	STATUS_PRECOND = -9,
	STATUS_CONFLICT = -10,
	STATUS_UNSUPPORTED = -12,
	STATUS_UNAVAILABLE = -14
};

#define ERROR_RETRYABLE 1u
#define ERROR_NO_EFFECT 2u

struct gate {
	struct egress *egress;
	struct audit *audit;
	struct egress_range *allowed;
	size_t n_allowed;
};

struct gate_call {
	struct gate_lane *lane;
	uint8_t trace_id[ID_TRACE_BYTES];
	uint64_t deadline_ns;
	bool is_hook;
	bool has_ended;    /* nobody waits for a reply any more */
	bool is_busy;      /* a job or a request upstream is under way */
	int32_t cancelled; /* what requests answer from now on; 0: they are done */
	unsigned n_requests, n_denied;
	void (*on_reply)(void *context, const struct wire_reply *reply);
	void *context;
	struct gate_attachments *attachments;

	/* the request under way */
	const char *action; /* "db.query" */
	bool has_intent;    /* the journal says that it is about to be done */
	char object[256];
	size_t object_n;
	uint64_t started_ns;
	struct bytes_buf payload; /* its copy */
	struct bytes_buf result;  /* of the reply */
	uint64_t n_rows;

	/* of a statement */
	const struct plugin_statement *statement;
	struct wire_list values;
	uint32_t max_rows;
	struct store_grant grant;
	struct statement_tables tables;
	struct store_job job;
	char message[160]; /* why the job was refused */
	int32_t status;

	/* of a request upstream */
	struct egress_handle handle;
};

/* Sends the reply of the request under way, writes its record, and lets the call go if it is over.
 */
void call_reply(struct gate_call *call);
/* rule names the limit or grant that said no; "" when it was no decision. message is for people. */
void call_refuse(struct gate_call *call, int32_t status, const char *rule, const char *message);
/* Writes the record that says what is about to be done. False when the journal takes none: then the
 * request has been refused and nothing may be done. */
bool call_intend(struct gate_call *call);
uint32_t call_remaining_ms(const struct gate_call *call);

/* db.c: DB_QUERY and DB_EXEC, DB_ATTACH. False: malformed. */
bool call_statement(struct gate_call *call, uint16_t type, struct bytes payload);
bool call_attach(struct gate_call *call, struct bytes payload);
/* http.c */
bool call_http(struct gate_call *call, struct bytes payload);

#endif
