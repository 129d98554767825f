#include "lane.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

#include "instance.h"
#include "view.h"

/* Frames taken from one lane before the loop looks at its other work. */
#define FRAMES_PER_RUN 512

static void on_event(struct loop_watch *watch, uint32_t events);
static void on_gate_idle(struct gate_lane *gate);
static void on_gate_reply(void *context, const struct wire_reply *reply);

void lane_init(struct pool_lane *lane, struct pool_instance *instance, unsigned number)
{
	struct pool *pool = instance->pool;
	lane->instance = instance;
	lane->number = number;
	lane->view = pool->views[number];
	lane->loop = lane->view->loop;
	lane->to_worker = ring_to_worker(instance->segment, number);
	lane->to_core = ring_to_core(instance->segment, number);
	lane->event_fd = instance->event_fds[number];
	lane->counters = &instance->counters[number];
	lane->queue_end = &lane->queue;
	lane->timer_ns = CLOCK_NEVER;
	lane->timer.on_fire = lane_on_timer;
	lane->watch.fd = lane->event_fd;
	lane->watch.on_ready = on_event;
	wire_join_init(&lane->join, WIRE_MESSAGE_MAX);
	lane->gate = (struct gate_lane){
		.gate = pool->gate,
		.loop = lane->loop,
		.audit = lane->view->audit,
		.store = instance->store,
		.version = instance->version,
		.granted = &instance->granted,
		.tenant = instance->tenant,
		.generation = instance->generation,
		.log = &instance->log,
		.on_idle = on_gate_idle,
		.context = lane,
	};
}

void lane_fini(struct pool_lane *lane)
{
	assert(!lane->is_open && lane->n_live == 0 && lane->gate.n_calls == 0);
	wire_join_fini(&lane->join);
	lane_drop_queue(lane);
}

int lane_open(struct pool_lane *lane, struct err *err)
{
	/* Edge-triggered: the counter need not be read, so a worker that writes it in a loop costs
	 * one event an iteration and no system call. */
	if (loop_watch_add(lane->loop, &lane->watch, EPOLLIN | EPOLLET, err) < 0)
		return -1;
	lane->is_open = true;
	lane->gate.worker_pid = (uint32_t)lane->instance->pid;
	lane_activate(lane); /* the first run marks the ring as asleep */
	return 0;
}

/* Calls what is still running crashed (or what outcome says), after everything that the worker had
 * finished before it went. */
void lane_close(struct pool_lane *lane, enum pool_outcome outcome)
{
	if (!lane->is_open)
		return;
	if (outcome != POOL_POISONED)
		while (lane->is_open && lane_run(lane))
			;
	if (!lane->is_open)
		return; /* the last frames were poison */
	lane->is_open = false;
	view_deactivate(lane->view, lane);
	loop_watch_remove(&lane->watch);
	loop_timer_stop(&lane->timer);
	lane->timer_ns = CLOCK_NEVER;
	lane_drop_queue(lane);
	for (unsigned i = 0; i < lane->n_touched; i++) {
		struct pool_slot *slot = &lane->slots[i];
		if (slot->call) {
			slot->call->outcome = outcome;
			slot->call->retry_after_ms = 1000;
			lane_answer(slot);
		}
		if (slot->state != SLOT_FREE)
			lane_give_slot(slot);
	}
}

void lane_activate(struct pool_lane *lane)
{
	if (lane->is_active)
		return;
	lane->is_active = true;
	lane->next_active = lane->view->active;
	lane->view->active = lane;
}

static void on_event(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	struct pool_lane *lane =
		(struct pool_lane *)(void *)((char *)watch - offsetof(struct pool_lane, watch));
	lane_activate(lane);
}

/* ---- taking what the worker sent ---- */
static struct pool_slot *find_slot(struct pool_lane *lane, const struct wire_frame *frame)
{
	if (frame->slot >= POOL_CALLS_MAX)
		return NULL;
	struct pool_slot *slot = &lane->slots[frame->slot];
	if (slot->state == SLOT_FREE || slot->generation != frame->generation)
		return NULL;
	return slot;
}

/* What the worker says about itself. PONG comes on the ring of its PING, all else on the keeper's.
 */
static const char *take_instance_message(
	struct pool_lane *lane, const struct wire_frame *frame, struct bytes payload)
{
	if (frame->type == WIRE_PONG) {
		struct wire_ping pong;
		if (!wire_get_ping(payload, &pong) || !lane->is_pinged ||
			pong.number != lane->ping_ns)
			return "a PONG that nobody asked for";
		lane->is_pinged = false;
		return NULL;
	}
	if (lane->number != 0)
		return "a message of the instance on a ring of calls";
	return instance_take_message(lane->instance, frame->type, payload);
}

static const char *take_call_message(
	struct pool_lane *lane, const struct wire_frame *frame, struct bytes payload)
{
	struct pool_slot *slot = find_slot(lane, frame);
	if (!slot)
		return "a message about a call that does not exist";
	if (frame->type == WIRE_LOG)
		return instance_take_log(
			       lane->instance, payload, slot->call ? slot->call->trace_id : NULL)
			       ? NULL
			       : "a malformed LOG";
	if (wire_is_request(frame->type))
		return lane_take_request(slot, frame->type, frame->sequence, payload)
			       ? NULL
			       : "a malformed request, or two at a time";
	if (slot->is_asking)
		return "the end of a call that waits for a reply";
	return lane_take_end(slot, frame->type, payload) ? NULL : "a malformed end of a call";
}

/* One whole message. Returns why the worker must go, or NULL. */
static const char *take_message(
	struct pool_lane *lane, const struct wire_frame *frame, struct bytes payload)
{
	switch (frame->type) {
	case WIRE_READY:
	case WIRE_FAILED:
	case WIRE_PONG:
	case WIRE_DRAINED:
		return take_instance_message(lane, frame, payload);
	case WIRE_LOG:
		if (frame->generation == 0)
			return instance_take_log(lane->instance, payload, NULL) ? NULL
										: "a malformed LOG";
		break;
	default:
		break;
	}
	return take_call_message(lane, frame, payload);
}

/* Takes up to FRAMES_PER_RUN frames. True when there may be more. */
static bool take_frames(struct pool_lane *lane)
{
	struct wire_frame frame;
	char *buffer = lane->view->payload;
	for (unsigned n = 0; n < FRAMES_PER_RUN && lane->is_open; n++) {
		enum ring_result result = ring_try_pop(lane->to_core, &frame, buffer);
		if (result == RING_EMPTY)
			return false;
		if (result != RING_OK) {
			lane_poison(lane, "a frame or an index that cannot be");
			return false;
		}
		struct bytes whole;
		struct bytes payload = { buffer, frame.payload_bytes };
		enum wire_join_result joined = wire_join_add(&lane->join, &frame, payload, &whole);
		if (joined == WIRE_JOIN_MORE)
			continue;
		const char *why = joined == WIRE_JOIN_WHOLE ? take_message(lane, &frame, whole)
							    : "frames that do not join";
		if (why && lane->is_open) {
			lane_poison(lane, why);
			return false;
		}
	}
	return lane->is_open;
}

bool lane_run(struct pool_lane *lane)
{
	if (!lane->is_open)
		return false;
	if (lane->wants_wake) {
		lane->wants_wake = false;
		ring_wake_worker(lane->instance->segment);
	}
	bool has_more = take_frames(lane);
	if (!lane->is_open)
		return false;
	if (ring_take_waiter(lane->to_core))
		ring_wake_worker(lane->instance->segment);
	if (!lane_send_queue(lane) && lane->is_open && !ring_try_wait(lane->to_worker))
		has_more = true;
	if (!lane->is_open || has_more)
		return lane->is_open;
	lane->is_asleep = ring_try_sleep(lane->to_core);
	return !lane->is_asleep;
}

/* The hook runs once more before the loop sleeps: the worker is woken once for all that was sent
 * until then, and need not wake this loop meanwhile. */
void lane_wake_soon(struct pool_lane *lane)
{
	lane->wants_wake = true;
	lane->view->hook.requested = true;
	if (lane->is_asleep) {
		lane->is_asleep = false;
		ring_stay_awake(lane->to_core);
	}
	lane_activate(lane);
}

/* ---- requests of calls ---- */
bool lane_take_request(
	struct pool_slot *slot, uint16_t type, uint32_t sequence, struct bytes payload)
{
	struct pool_lane *lane = slot->lane;
	if (slot->is_asking || lane->number == 0)
		return false;
	if (!slot->gate) {
		struct gate_call_spec spec = {
			.trace_id = slot->trace_id,
			.deadline_ns = slot->deadline_ns,
			.is_hook = slot->kind == WIRE_KIND_HOOK,
			.on_reply = on_gate_reply,
			.context = slot,
		};
		slot->gate = gate_call_new(&lane->gate, &spec);
		if (slot->gate && slot->state == SLOT_LATE)
			gate_call_cancel(slot->gate, slot->late_status);
	}
	slot->is_asking = true;
	slot->sequence = sequence;
	if (!slot->gate) {
		on_gate_reply(slot, &(struct wire_reply){ .status = -2 });
		return true;
	}
	return gate_call_request(slot->gate, type, payload) == GATE_TAKEN;
}

static void on_gate_reply(void *context, const struct wire_reply *reply)
{
	struct pool_slot *slot = context;
	struct pool_lane *lane = slot->lane;
	assert(slot->is_asking);
	slot->is_asking = false;
	if (!lane->is_open)
		return;
	struct bytes_buf *head = &lane->view->head;
	bytes_buf_clear(head);
	struct wire_reply said = *reply;
	if (said.status != 0)
		said.error.code = said.status;
	if (!wire_put_reply(head, &said)) {
		lane_condemn(lane, "no memory for a reply");
		return;
	}
	struct ring_message message = {
		.type = WIRE_REPLY,
		.slot = slot->index,
		.generation = slot->generation,
		.sequence = slot->sequence,
		.head = bytes_buf_view(head),
		.tail = said.status == 0 ? said.result : (struct bytes){ NULL, 0 },
	};
	if (lane_send(lane, &message) != LANE_SENT)
		lane_condemn(lane, "it does not read its replies");
	lane_wake_soon(lane);
}

static void on_gate_idle(struct gate_lane *gate)
{
	struct pool_lane *lane = gate->context;
	if (lane->has_ended) {
		lane->has_ended = false;
		loop_post(lane->instance->pool->keeper, &lane->ended_message);
	}
}

/* ---- ends ---- */
void lane_condemn(struct pool_lane *lane, const char *why)
{
	if (lane->is_condemned)
		return;
	lane->is_condemned = true;
	lane->why = why;
	loop_post(lane->instance->pool->keeper, &lane->condemned_message);
}

void lane_poison(struct pool_lane *lane, const char *why)
{
	if (!lane->is_open)
		return;
	lane_count(&lane->counters->n_violations, 1);
	lane->is_poison = !lane->is_condemned;
	lane_condemn(lane, why);
	view_forget_lane(lane->view, lane, "its worker broke the protocol and was killed");
	lane_close(lane, POOL_POISONED);
}
