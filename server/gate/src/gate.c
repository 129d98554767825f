#include "gate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "hash.h"

#define PAYLOAD_MAX WIRE_MESSAGE_MAX

int gate_new(const struct gate_config *config, struct gate **ret, struct err *err)
{
	DEFER(gate_free) struct gate *gate = calloc(1, sizeof *gate);
	if (!gate)
		return ERR_SET(err, ERR_NOMEM, "no memory for the gate");
	gate->egress = config->egress;
	gate->audit = config->audit;
	if (config->n_allowed) {
		gate->allowed = calloc(config->n_allowed, sizeof *gate->allowed);
		if (!gate->allowed)
			return ERR_SET(err, ERR_NOMEM, "no memory for the gate");
		memcpy(gate->allowed, config->allowed, config->n_allowed * sizeof *gate->allowed);
		gate->n_allowed = config->n_allowed;
	}
	*ret = gate;
	gate = NULL; /* handed over */
	return 0;
}

void gate_free(struct gate *gate)
{
	if (!gate)
		return;
	free(gate->allowed);
	free(gate);
}

/* ---- a call ---- */
struct gate_call *gate_call_new(struct gate_lane *lane, const struct gate_call_spec *spec)
{
	struct gate_call *call = calloc(1, sizeof *call);
	if (!call)
		return NULL;
	call->lane = lane;
	memcpy(call->trace_id, spec->trace_id, sizeof call->trace_id);
	call->deadline_ns = spec->deadline_ns;
	call->is_hook = spec->is_hook;
	call->on_reply = spec->on_reply;
	call->context = spec->context;
	bytes_buf_init(&call->payload, PAYLOAD_MAX);
	bytes_buf_init(&call->result, WIRE_MESSAGE_MAX);
	lane->n_calls++;
	return call;
}

/* Frees a call that has ended and has nothing under way. */
static void let_go(struct gate_call *call)
{
	if (!call->has_ended || call->is_busy)
		return;
	struct gate_lane *lane = call->lane;
	gate_attachments_free(call->attachments);
	bytes_buf_fini(&call->payload);
	bytes_buf_fini(&call->result);
	free(call);
	if (--lane->n_calls == 0 && lane->on_idle)
		lane->on_idle(lane);
}

static void interrupt(struct gate_call *call)
{
	if (!call->is_busy)
		return;
	if (call->statement)
		store_cancel(&call->job);
	else
		egress_cancel(call->lane->gate->egress, call->handle);
}

void gate_call_cancel(struct gate_call *call, int32_t status)
{
	call->cancelled = status;
	interrupt(call);
}

void gate_call_end(struct gate_call *call)
{
	if (!call)
		return;
	call->has_ended = true;
	if (!call->cancelled)
		call->cancelled = STATUS_CANCELLED;
	interrupt(call);
	let_go(call);
}

unsigned gate_call_requests(const struct gate_call *call)
{
	return call->n_requests;
}

unsigned gate_call_denied(const struct gate_call *call)
{
	return call->n_denied;
}

uint32_t call_remaining_ms(const struct gate_call *call)
{
	uint64_t now = clock_mono_ns();
	if (call->deadline_ns <= now)
		return 0;
	uint64_t ms = (call->deadline_ns - now) / CLOCK_NS_PER_MS;
	return ms < 60000 ? (uint32_t)ms + 1 : 60000;
}

/* ---- the record of a request ---- */
static enum audit_result record(struct gate_call *call, enum audit_phase phase,
	enum audit_decision decision, int32_t status, const char *reason)
{
	const struct gate_lane *lane = call->lane;
	char actor[PLUGIN_ID_MAX + 8] = "plugin:";
	struct bytes id = lane->version->manifest.id;
	memcpy(actor + 7, id.p, id.n);
	uint8_t digest[HASH_BYTES], artifact[AUDIT_ARTIFACT_BYTES];
	hash_of(bytes_buf_view(&call->payload), digest);
	bytes_unhex((struct bytes){ lane->version->sha256, 2 * AUDIT_ARTIFACT_BYTES }, artifact,
		sizeof artifact);
	struct audit_record row = {
		.kind = AUDIT_FACADE,
		.decision = decision,
		.phase = phase,
		.status = (uint16_t)-status,
		.generation = lane->generation,
		.worker_pid = lane->worker_pid,
		.duration_ns = phase == AUDIT_INTENT ? 0 : clock_mono_ns() - call->started_ns,
		.n_rows = call->n_rows,
		.n_bytes = call->result.n,
		.trace = call->trace_id,
		.artifact = artifact,
		.digest = digest,
		.tenant = bytes_of(lane->tenant),
		.plugin = id,
		.actor = { actor, 7 + id.n },
		.action = bytes_of(call->action),
		.object = { call->object, call->object_n },
		.reason = bytes_of(reason),
	};
	return audit_append(lane->audit, &row, NULL);
}

static void end_request(struct gate_call *call, const struct wire_reply *reply)
{
	call->is_busy = false;
	call->statement = NULL;
	if (!call->has_ended)
		call->on_reply(call->context, reply);
	let_go(call);
}

static void send_error(struct gate_call *call, int32_t status, const char *rule,
	const char *message, uint32_t flags)
{
	bytes_buf_clear(&call->result);
	struct wire_reply reply = {
		.status = status,
		.error = {
			.code = status,
			.flags = flags,
			.message = bytes_of(message),
			.origin = BYTES("host"),
			.rule = bytes_of(rule),
		},
	};
	end_request(call, &reply);
}

void call_refuse(struct gate_call *call, int32_t status, const char *rule, const char *message)
{
	bool is_denied = status == STATUS_DENIED || status == STATUS_EXHAUSTED;
	if (is_denied)
		call->n_denied++;
	bytes_buf_clear(&call->result);
	/* The reply says no either way, so a journal that takes no record changes nothing here. */
	record(call, call->has_intent ? AUDIT_OUTCOME : AUDIT_WHOLE,
		is_denied ? AUDIT_DENIED : AUDIT_ALLOWED, status, rule[0] ? rule : message);
	uint32_t flags =
		status == STATUS_UNAVAILABLE ? ERROR_RETRYABLE | ERROR_NO_EFFECT : ERROR_NO_EFFECT;
	send_error(call, status, rule, message, flags);
}

bool call_intend(struct gate_call *call)
{
	call->has_intent = record(call, AUDIT_INTENT, AUDIT_ALLOWED, 0, NULL) == AUDIT_OK;
	if (call->has_intent)
		return true;
	send_error(call, STATUS_UNAVAILABLE, "audit", "the audit journal takes no record now",
		ERROR_RETRYABLE | ERROR_NO_EFFECT);
	return false;
}

void call_reply(struct gate_call *call)
{
	if (record(call, call->has_intent ? AUDIT_OUTCOME : AUDIT_WHOLE, AUDIT_ALLOWED, 0, NULL) !=
		AUDIT_OK) {
		send_error(call, STATUS_UNAVAILABLE, "audit",
			"the audit journal takes no record now", 0);
		return;
	}
	struct wire_reply reply = { .result = bytes_buf_view(&call->result) };
	end_request(call, &reply);
}

/* ---- a request ---- */
static void note_object(struct gate_call *call, struct bytes object)
{
	call->object_n = object.n < sizeof call->object ? object.n : sizeof call->object;
	if (call->object_n)
		memcpy(call->object, object.p, call->object_n);
}

static const char *action_of(uint16_t type)
{
	switch (type) {
	case WIRE_DB_QUERY:
		return "db.query";
	case WIRE_DB_EXEC:
		return "db.exec";
	case WIRE_DB_ATTACH:
		return "db.attach";
	case WIRE_HTTP_SEND:
		return "http.fetch";
	default:
		return "db.transaction";
	}
}

enum gate_request_result gate_call_request(
	struct gate_call *call, uint16_t type, struct bytes payload)
{
	assert(!call->is_busy && !call->has_ended);
	call->action = action_of(type);
	call->started_ns = clock_mono_ns();
	call->n_requests++;
	call->n_rows = 0;
	call->has_intent = false;
	note_object(call, (struct bytes){ NULL, 0 });
	bytes_buf_clear(&call->result);
	bytes_buf_clear(&call->payload);
	if (!bytes_buf_append(&call->payload, payload)) {
		call_refuse(call, STATUS_EXHAUSTED, "memory", "no memory for this request");
		return GATE_TAKEN;
	}
	if (call->cancelled) {
		call_refuse(call, call->cancelled, "", "the call is over");
		return GATE_TAKEN;
	}
	if (call->n_requests > GATE_REQUESTS_MAX) {
		call_refuse(call, STATUS_EXHAUSTED, "requests-per-call",
			"a call may ask for 100 things");
		return GATE_TAKEN;
	}
	struct bytes copy = bytes_buf_view(&call->payload);
	bool is_well = true;
	switch (type) {
	case WIRE_DB_QUERY:
	case WIRE_DB_EXEC:
		is_well = call_statement(call, type, copy);
		break;
	case WIRE_DB_ATTACH:
		is_well = call_attach(call, copy);
		break;
	case WIRE_HTTP_SEND:
		is_well = call_http(call, copy);
		break;
	case WIRE_DB_BEGIN:
	case WIRE_DB_COMMIT:
	case WIRE_DB_ROLLBACK:
		if (copy.n)
			return GATE_VIOLATION;
		call_refuse(call, STATUS_UNSUPPORTED, "",
			"this server has no transactions over several statements yet");
		break;
	default:
		is_well = false;
		break;
	}
	return is_well ? GATE_TAKEN : GATE_VIOLATION;
}
