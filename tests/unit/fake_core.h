/*
 * fake_core.h - a test in the place of the core: writes CALLs and replies into a worker's rings,
 * reads what comes back
 *
 * The worker may be a thread of the test (unit) or a process in its jail (integration): only how
 * one waits for its eventfd differs.
 */
#ifndef FAKE_CORE_H
#define FAKE_CORE_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "ring.h"
#include "unit.h"
#include "wire.h"

#define WAIT_MS 20000

/* Calls of slot n have this generation. */
#define GENERATION(slot) ((slot) + 1000)

struct fake_core {
	struct ring_segment *segment;
	int eventfd;
	/* Waits until the eventfd is readable; false when it does not become so. NULL: poll() */
	bool (*wait)(struct fake_core *core);
	struct wire_join join;
	char *buffer;
	/* the last message that was received */
	struct wire_frame frame;
	struct bytes payload;
	/* of the next CALL */
	struct bytes body;
};

static inline void fake_core_init(struct fake_core *core)
{
	*core = (struct fake_core){ .eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
		.buffer = malloc(WIRE_PAYLOAD_MAX) };
	wire_join_init(&core->join, WIRE_MESSAGE_MAX);
	CU_ASSERT_EQUAL_FATAL(ring_segment_new(1, &core->segment, NULL), 0);
}

static inline void fake_core_fini(struct fake_core *core)
{
	ring_segment_free(core->segment);
	wire_join_fini(&core->join);
	free(core->buffer);
	close(core->eventfd);
}

static inline bool fake_wait(struct fake_core *core)
{
	struct pollfd poll_for = { .fd = core->eventfd, .events = POLLIN };

	return core->wait ? core->wait(core) : poll(&poll_for, 1, WAIT_MS) == 1;
}

static inline void fake_send(struct fake_core *core, enum wire_type type, uint32_t slot,
	uint32_t generation, uint32_t sequence, struct bytes head, struct bytes tail)
{
	struct ring *ring = ring_to_worker(core->segment, 0);
	struct ring_message message = { .type = (uint16_t)type,
		.slot = slot,
		.generation = generation,
		.sequence = sequence,
		.head = head,
		.tail = tail };
	uint64_t until = clock_mono_ns() + WAIT_MS * CLOCK_NS_PER_MS;
	size_t sent = 0;

	while (ring_send(ring, &message, &sent) != RING_OK) {
		ring_wake_worker(core->segment);
		if (clock_mono_ns() > until) {
			CU_FAIL("the worker does not take what it is sent");
			return;
		}
		usleep(100);
	}
	ring_wake_worker(core->segment);
}

/* The next message into core->frame and core->payload; false when none comes. */
static inline bool receive(struct fake_core *core)
{
	struct ring *ring = ring_to_core(core->segment, 0);
	bool is_over = false;
	uint64_t count;

	for (;;) {
		enum ring_result result = ring_try_pop(ring, &core->frame, core->buffer);
		if (result == RING_OK) {
			core->payload = (struct bytes){ core->buffer, core->frame.payload_bytes };
			enum wire_join_result joined = wire_join_add(
				&core->join, &core->frame, core->payload, &core->payload);
			if (joined == WIRE_JOIN_WHOLE)
				return true;
			if (joined == WIRE_JOIN_VIOLATION)
				return false;
			if (ring_take_waiter(ring))
				ring_wake_worker(core->segment);
			continue;
		}
		if (result == RING_POISONED)
			return false;
		if (ring_take_waiter(ring))
			ring_wake_worker(core->segment);
		if (!ring_try_sleep(ring))
			continue;
		/* A worker that has ended may have said something just before. */
		if (is_over)
			return false;
		is_over = !fake_wait(core);
		(void)!read(core->eventfd, &count, sizeof count);
	}
}

static inline bool receives(struct fake_core *core, enum wire_type type, uint32_t slot)
{
	bool is_it = receive(core) && core->frame.type == type && core->frame.slot == slot;

	if (!is_it)
		printf("\n    expected %s of slot %u, got %s of slot %u\n",
			wire_name((uint16_t)type), slot, wire_name(core->frame.type),
			core->frame.slot);
	return is_it;
}

static inline void call(
	struct fake_core *core, uint32_t slot, enum wire_call_kind kind, uint32_t route_id)
{
	DEFER(bytes_buf_fini) struct bytes_buf head, headers;
	struct wire_call wire = { .kind = kind,
		.route_id = route_id,
		.method = BYTES("GET"),
		.path = BYTES("/x"),
		.query = BYTES("size=1&size=2%20m"),
		.tenant = BYTES("shop"),
		.principal_id = BYTES("u1") };

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	bytes_buf_init(&headers, WIRE_PAYLOAD_MAX);
	wire_put_pair(&headers, BYTES("X-Colour"), BYTES("red"));
	wire.headers = (struct wire_list){ 1, bytes_buf_view(&headers) };
	CU_ASSERT(wire_put_call(&head, &wire));
	fake_send(core, WIRE_CALL, slot, GENERATION(slot), 0, bytes_buf_view(&head), core->body);
}

static inline void reply_error(struct fake_core *core, uint32_t slot, uint32_t sequence,
	int32_t status, const char *message)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	struct wire_reply reply = { .status = status,
		.error = { .code = status, .message = bytes_of(message) } };

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	wire_put_reply(&head, &reply);
	fake_send(core, WIRE_REPLY, slot, GENERATION(slot), sequence, bytes_buf_view(&head),
		(struct bytes){ 0 });
}

/* A reply that says no more than that it went well. */
static inline void reply_ok(struct fake_core *core, uint32_t slot, uint32_t sequence)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_reply reply = { 0 };

	bytes_buf_init(&head, 64);
	wire_put_reply(&head, &reply);
	fake_send(core, WIRE_REPLY, slot, GENERATION(slot), sequence, bytes_buf_view(&head),
		(struct bytes){ 0 });
}

/* A reply to a query: rows of n_columns columns, all named "count". */
static inline void reply_rows(struct fake_core *core, uint32_t slot, uint32_t sequence,
	const struct wire_value *values, uint32_t n_columns, uint32_t n_rows)
{
	DEFER(bytes_buf_fini) struct bytes_buf head, names, raw;
	struct wire_reply reply = { 0 };
	struct wire_rows rows = { .n_columns = n_columns, .n_rows = n_rows };

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	bytes_buf_init(&names, WIRE_PAYLOAD_MAX);
	bytes_buf_init(&raw, WIRE_PAYLOAD_MAX);
	for (uint32_t i = 0; i < n_columns; i++)
		wire_put_text(&names, BYTES("count"));
	rows.names = (struct wire_list){ n_columns, bytes_buf_view(&names) };
	for (uint32_t i = 0; i < n_columns * n_rows; i++)
		wire_put_value(&raw, &values[i]);
	wire_put_reply(&head, &reply);
	wire_put_rows(&head, &rows);
	fake_send(core, WIRE_REPLY, slot, GENERATION(slot), sequence, bytes_buf_view(&head),
		bytes_buf_view(&raw));
}

/* A reply to a query: one row with one number. */
static inline void reply_number(
	struct fake_core *core, uint32_t slot, uint32_t sequence, int64_t number)
{
	const struct wire_value value = { .type = WIRE_INTEGER, .integer = number };

	reply_rows(core, slot, sequence, &value, 1, 1);
}

/* True when the next message is slot's answer: 200 with that body. */
static inline bool answers(struct fake_core *core, uint32_t slot, struct bytes body)
{
	struct wire_respond respond;

	return receives(core, WIRE_RESPOND, slot) && wire_get_respond(core->payload, &respond) &&
	       core->frame.generation == GENERATION(slot) && respond.status == 200 &&
	       respond.headers.n == 1 && bytes_eq(respond.body, body);
}

static inline void cancel(struct fake_core *core, uint32_t slot, int32_t status)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_cancel wire = { .status = status };

	bytes_buf_init(&head, 64);
	wire_put_cancel(&head, &wire);
	fake_send(core, WIRE_CANCEL, slot, GENERATION(slot), 0, bytes_buf_view(&head),
		(struct bytes){ 0 });
}

static inline void ping(struct fake_core *core, uint64_t number)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_ping wire = { .number = number };

	bytes_buf_init(&head, 64);
	wire_put_ping(&head, &wire);
	fake_send(core, WIRE_PING, 0, 0, 0, bytes_buf_view(&head), (struct bytes){ 0 });
}

static inline bool pongs(struct fake_core *core, uint64_t number)
{
	struct wire_ping pong;

	return receives(core, WIRE_PONG, 0) && wire_get_ping(core->payload, &pong) &&
	       pong.number == number;
}

#endif
