#include <assert.h>
#include <string.h>

#include "answer.h"
#include "instance.h"
#include "lane.h"
#include "view.h"

/* After its deadline a fiber has this long to return before its worker is killed. */
#define GRACE_NS CLOCK_NS_PER_S

struct pool_slot *lane_take_slot(struct pool_lane *lane)
{
	struct pool_slot *slot = lane->free_slots;
	if (slot) {
		lane->free_slots = slot->next_free;
	} else {
		if (lane->n_touched == POOL_CALLS_MAX)
			return NULL;
		/* The first use of a slot touches its memory, so an instance with few calls at a
		 * time stays small. */
		slot = &lane->slots[lane->n_touched];
		slot->lane = lane;
		slot->index = (uint16_t)lane->n_touched++;
	}
	assert(slot->state == SLOT_FREE);
	if (++slot->generation == 0)
		slot->generation = 1; /* 0 is what messages of the instance carry */
	slot->state = SLOT_RUNNING;
	slot->is_asking = false;
	slot->sequence = 0;
	lane->n_live++;
	lane_count(&lane->counters->n_in_flight, 1);
	return slot;
}

static void tell_drained(struct pool_lane *lane)
{
	if (!lane->is_draining || lane->n_live > 0 || !lane->is_open)
		return;
	lane->is_draining = false;
	loop_post(lane->instance->pool->keeper, &lane->drained_message);
}

void lane_give_slot(struct pool_slot *slot)
{
	struct pool_lane *lane = slot->lane;
	assert(slot->state != SLOT_FREE && !slot->call);
	if (slot->gate) {
		lane_count(&lane->counters->n_requests, gate_call_requests(slot->gate));
		lane_count(&lane->counters->n_denied, gate_call_denied(slot->gate));
		struct gate_call *gate = slot->gate;
		slot->gate = NULL;
		gate_call_end(gate);
	}
	slot->is_asking = false;
	slot->state = SLOT_FREE;
	slot->next_free = lane->free_slots;
	lane->free_slots = slot;
	lane->n_live--;
	lane_count(&lane->counters->n_in_flight, (uint64_t)-1);
	tell_drained(lane);
}

void lane_start_draining(struct pool_lane *lane)
{
	lane->is_draining = true;
	tell_drained(lane);
}

static void count_outcome(struct pool_lane *lane, enum pool_outcome outcome, uint64_t ns)
{
	struct pool_counters *counters = lane->counters;
	lane_count(&counters->n_calls, 1);
	lane_count(&counters->call_ns, ns);
	switch (outcome) {
	case POOL_FAILED:
		lane_count(&counters->n_failed, 1);
		break;
	case POOL_DEADLINE:
		lane_count(&counters->n_deadline, 1);
		break;
	case POOL_CRASHED:
	case POOL_POISONED:
		lane_count(&counters->n_crashed, 1);
		break;
	case POOL_CANCELLED:
		lane_count(&counters->n_cancelled, 1);
		break;
	default:
		break;
	}
}

/* The one record that closes a hook's call. */
static enum audit_result record_hook(
	struct pool_slot *slot, const struct pool_call *call, uint64_t duration_ns)
{
	struct pool_lane *lane = slot->lane;
	const struct pool_instance *instance = lane->instance;
	if (slot->kind != WIRE_KIND_HOOK)
		return AUDIT_OK;
	struct audit_record record = {
		.kind = AUDIT_REQUEST,
		/* Who may call was decided before; a guest's call is public. */
		.decision = call->actor.n ? AUDIT_ALLOWED : AUDIT_UNDECIDED,
		.status = (uint16_t)pool_status(call),
		.generation = instance->generation,
		.worker_pid = (uint32_t)instance->pid,
		.duration_ns = duration_ns,
		.n_bytes = call->answer_body.n,
		.trace = call->trace_id,
		.artifact = instance->artifact,
		.tenant = bytes_of(instance->tenant),
		.plugin = instance->version->manifest.id,
		.actor = call->actor,
		.action = BYTES("plugin.hook"),
		.object = instance->version->manifest.hooks[slot->door].collection,
		.reason = call->outcome == POOL_ANSWERED
				  ? (struct bytes){ NULL, 0 }
				  : bytes_of(pool_outcome_name(call->outcome)),
	};
	return audit_append(lane->view->audit, &record, NULL);
}

void lane_answer(struct pool_slot *slot)
{
	struct pool_call *call = slot->call;
	assert(call && slot->state != SLOT_FREE);
	uint64_t duration_ns = clock_mono_ns() - slot->started_ns;
	call->answered_by = slot->lane->instance->version;
	call->generation = slot->lane->instance->generation;
	call->worker_pid = (uint32_t)slot->lane->instance->pid;
	if (record_hook(slot, call, duration_ns) != AUDIT_OK) {
		/* What cannot be proved afterwards is not told to anybody. */
		call->outcome = POOL_UNRECORDED;
		call->answer_body = (struct bytes){ NULL, 0 };
		call->n_answer_headers = 0;
	}
	count_outcome(slot->lane, call->outcome, duration_ns);
	slot->call = NULL;
	call->slot = NULL;
	call->attachments = NULL;
	if (call->outcome == POOL_ANSWERED && slot->gate)
		call->attachments = gate_call_take_attachments(slot->gate);
	call->done(call);
}

void lane_give_up(struct pool_slot *slot, enum pool_outcome outcome, int32_t status)
{
	struct pool_lane *lane = slot->lane;
	slot->call->outcome = outcome;
	slot->state = SLOT_LATE;
	slot->late_status = status;
	slot->next_ns = slot->deadline_ns + GRACE_NS;
	lane_watch_deadline(lane, slot->next_ns);
	lane_send_cancel(slot, status);
	if (slot->gate)
		gate_call_cancel(slot->gate, status);
	lane_answer(slot);
}

bool lane_take_end(struct pool_slot *slot, uint16_t type, struct bytes payload)
{
	struct pool_view *view = slot->lane->view;
	if (slot->call) {
		if (!answer_decode(view, slot->call, slot->kind, type, payload))
			return false;
		lane_answer(slot);
	}
	if (slot->state != SLOT_FREE)
		lane_give_slot(slot);
	return true;
}

void lane_cancel_all(struct pool_lane *lane)
{
	for (unsigned i = 0; i < lane->n_touched && lane->is_open; i++)
		if (lane->slots[i].state == SLOT_RUNNING)
			lane_give_up(&lane->slots[i], POOL_DEADLINE, -4);
}

/* ---- starting a call ---- */
static bool put_call(struct pool_lane *lane, const struct pool_target *target,
	const struct pool_call *call, uint8_t kind, uint64_t deadline_ns)
{
	struct pool_view *view = lane->view;
	bytes_buf_clear(&view->pairs);
	for (size_t i = 0; i < call->n_headers; i++)
		if (!wire_put_pair(&view->pairs, call->headers[i].name, call->headers[i].value))
			return false;
	struct wire_call message = {
		.kind = kind,
		.flags = call->is_superuser ? WIRE_CALL_SUPERUSER : 0,
		.deadline_ns = deadline_ns,
		.method = call->method,
		.path = call->path,
		.query = call->query,
		.tenant = bytes_of(lane->instance->tenant),
		.principal_id = call->principal,
		.principal_collection = call->principal_collection,
		.headers = { (uint32_t)call->n_headers, bytes_buf_view(&view->pairs) },
	};
	if (target->route)
		message.route_id = target->route->id;
	if (target->hook) {
		message.route_id = target->hook->id;
		message.collection = target->hook->collection;
	}
	memcpy(message.trace_id, call->trace_id, sizeof message.trace_id);
	char request_id[2 * ID_TRACE_BYTES];
	bytes_hex((struct bytes){ (const char *)call->trace_id, ID_TRACE_BYTES }, request_id);
	message.request_id = (struct bytes){ request_id, sizeof request_id };
	bytes_buf_clear(&view->head);
	return wire_put_call(&view->head, &message);
}

static void refuse(struct pool_call *call, enum pool_outcome outcome)
{
	call->outcome = outcome;
	call->retry_after_ms = 1000;
	call->slot = NULL;
	call->attachments = NULL;
	call->done(call);
}

static uint64_t deadline_of(
	const struct pool_target *target, const struct pool_call *call, uint64_t now)
{
	uint32_t timeout_ms = POOL_PROBE_MS;
	if (target->route)
		timeout_ms = target->route->timeout_ms;
	if (target->hook)
		timeout_ms = target->hook->timeout_ms;
	uint64_t deadline = now + timeout_ms * CLOCK_NS_PER_MS;
	return call->deadline_ns && call->deadline_ns < deadline ? call->deadline_ns : deadline;
}

void pool_call_start(
	struct pool_view *view, const struct pool_target *target, struct pool_call *call)
{
	struct pool_lane *lane = target->lane;
	call->status = 0;
	call->n_answer_headers = call->n_dropped_headers = 0;
	call->answer_body = call->message = call->reason = call->field = (struct bytes){ NULL, 0 };
	if (!lane || !lane->is_open || lane->is_condemned) {
		refuse(call, POOL_ENDED);
		return;
	}
	assert(lane->view == view);
	size_t body_limit = target->route ? target->route->body_limit : PLUGIN_BODY_MAX;
	if (call->body.n > body_limit || call->n_headers > POOL_HEADERS_MAX) {
		refuse(call, POOL_TOO_LARGE);
		return;
	}
	if (audit_ready(view->audit) != AUDIT_OK) {
		refuse(call, POOL_UNRECORDED);
		return;
	}
	struct pool_slot *slot = lane_take_slot(lane);
	if (!slot) {
		lane_count(&lane->counters->n_busy, 1);
		refuse(call, POOL_BUSY);
		return;
	}
	uint8_t kind = WIRE_KIND_HEALTH;
	if (target->route)
		kind = WIRE_KIND_ROUTE;
	if (target->hook)
		kind = WIRE_KIND_HOOK;
	uint64_t now = clock_mono_ns();
	slot->call = call;
	slot->kind = kind;
	slot->door = target->index;
	slot->started_ns = now;
	slot->deadline_ns = slot->next_ns = deadline_of(target, call, now);
	memcpy(slot->trace_id, call->trace_id, sizeof slot->trace_id);
	call->slot = slot;
	enum lane_send_result sent = LANE_QUEUE_FULL;
	if (put_call(lane, target, call, kind, slot->deadline_ns)) {
		struct ring_message message = {
			.type = WIRE_CALL,
			.slot = slot->index,
			.generation = slot->generation,
			.head = bytes_buf_view(&view->head),
			.tail = call->body,
		};
		sent = lane_send(lane, &message);
	}
	if (sent != LANE_SENT) {
		lane_count(&lane->counters->n_busy, 1);
		slot->call = NULL;
		lane_give_slot(slot);
		refuse(call, POOL_BUSY);
		return;
	}
	lane_wake_soon(lane);
	lane_watch_deadline(lane, slot->deadline_ns);
}

void pool_call_cancel(struct pool_call *call)
{
	if (call->slot)
		lane_give_up(call->slot, POOL_CANCELLED, -1);
}
