/*
 * The pool with this program in the place of spawner and worker: it takes CALLs out of the rings
 * and puts what it likes into them, well-formed or not.
 */
#include "audit.h"
#include "clock.h"
#include "gate.h"
#include "pool.h"
#include "pool_keeper.h"
#include "ring.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the clock's place ----
 *
 * On the thread of the tests time stands still and passes when a test says so: a busy machine
 * cannot let a deadline pass between two lines. Other threads have the real clock. */
uint64_t __real_clock_mono_ns(void);
uint64_t __wrap_clock_mono_ns(void);
static _Thread_local uint64_t stopped_at_ns;

uint64_t __wrap_clock_mono_ns(void)
{
	return stopped_at_ns ? stopped_at_ns : __real_clock_mono_ns();
}

static void pass_ms(unsigned ms)
{
	stopped_at_ns += ms * CLOCK_NS_PER_MS;
}

/* ---- the spawner's place ---- */
struct spawn_child {
	struct spawn_request request;
	struct ring_segment *segment; /* as the worker maps it */
	int event_fds[SANDBOX_EVENTFDS_MAX];
	bool is_killed;
};

static struct spawn_child *child; /* the last that was started */

int spawn_start(struct spawn *spawn, const struct spawn_request *request, struct spawn_child **ret,
	struct err *err)
{
	(void)spawn;
	child = calloc(1, sizeof *child);
	child->request = *request;
	for (unsigned i = 0; i < request->n_eventfds; i++)
		child->event_fds[i] = dup(request->eventfds[i]);
	*ret = child;
	return ring_segment_map(request->segment_fd, request->n_eventfds, &child->segment, err);
}

void spawn_kill(struct spawn_child *victim)
{
	victim->is_killed = true;
}

static void end_child(enum spawn_end end, int status)
{
	struct spawn_exit exit = { .end = end, .status = status, .syscall_nr = -1 };
	child->request.on_exit(child->request.context, child, &exit);
	for (unsigned i = 0; i < child->request.n_eventfds; i++)
		close(child->event_fds[i]);
	ring_segment_free(child->segment);
	free(child);
	child = NULL;
}

/* ---- the worker's place ---- */
static struct wire_frame got;
static char got_payload[WIRE_PAYLOAD_MAX];

/* The next frame for the worker on a ring; false: none. */
static bool take(unsigned ring)
{
	return ring_try_pop(ring_to_worker(child->segment, ring), &got, got_payload) == RING_OK;
}

static void put(unsigned ring, uint16_t type, uint32_t slot, uint32_t generation, uint32_t sequence,
	const struct bytes_buf *head, struct bytes tail)
{
	struct ring_message message = { .type = type,
		.slot = slot,
		.generation = generation,
		.sequence = sequence,
		.head = bytes_buf_view(head),
		.tail = tail };
	size_t sent = 0;
	uint64_t one = 1;
	CU_ASSERT_EQUAL(ring_send(ring_to_core(child->segment, ring), &message, &sent), RING_OK);
	CU_ASSERT_EQUAL(write(child->event_fds[ring], &one, sizeof one), 8);
}

static void say_ready(const char *id)
{
	DEFER(bytes_buf_fini) struct bytes_buf head = { .max = 4096 };
	struct wire_ready ready = { .abi_major = 1,
		.target = 1,
		.concurrency = 1,
		.id = bytes_of(id),
		.version = BYTES("1.0.0") };
	CU_ASSERT(wire_put_ready(&head, &ready));
	put(0, WIRE_READY, 0, 0, 0, &head, (struct bytes){ NULL, 0 });
}

static void say_response(uint32_t slot, uint32_t generation, const char *body)
{
	DEFER(bytes_buf_fini) struct bytes_buf head = { .max = 4096 }, pairs = { .max = 4096 };
	CU_ASSERT(wire_put_pair(&pairs, BYTES("Content-Type"), BYTES("text/plain")));
	CU_ASSERT(wire_put_pair(&pairs, BYTES("Set-Cookie"), BYTES("a=b")));
	CU_ASSERT(wire_put_pair(&pairs, BYTES("Access-Control-Allow-Origin"), BYTES("*")));
	CU_ASSERT(wire_put_pair(&pairs, BYTES("X-Bad"), BYTES("a\r\nb: c")));
	struct wire_respond respond = { .status = 201, .headers = { 4, bytes_buf_view(&pairs) } };
	CU_ASSERT(wire_put_respond(&head, &respond));
	put(1, WIRE_RESPOND, slot, generation, 0, &head, bytes_of(body));
}

static void say_done(uint32_t slot, uint32_t generation)
{
	DEFER(bytes_buf_fini) struct bytes_buf head = { .max = 64 };
	CU_ASSERT(wire_put_done(&head, &(struct wire_done){ .status = 0 }));
	put(1, WIRE_DONE, slot, generation, 0, &head, (struct bytes){ NULL, 0 });
}

static void say_query(uint32_t slot, uint32_t generation, uint32_t sequence, const char *name)
{
	DEFER(bytes_buf_fini) struct bytes_buf head = { .max = 4096 };
	struct wire_statement statement = { .name = bytes_of(name) };
	CU_ASSERT(wire_put_statement(&head, &statement));
	put(1, WIRE_DB_QUERY, slot, generation, sequence, &head, (struct bytes){ NULL, 0 });
}

/* ---- the bed: keeper and one loop, both run by this thread ---- */
static char folder[] = "/tmp/tenon-unit-pool-XXXXXX";
static struct loop *keeper, *loop;
static struct audit *audit;
static struct gate *gate;
static struct pool *pool;
static struct pool_instance *instance;
static struct plugin_version *version;
static struct pool_counters counters[2];
static struct pool_end ended;
static unsigned n_ready, n_exits, n_freed;

static void stop_now(struct loop_message *message)
{
	(void)message;
	loop_stop(loop);
}

static void stop_keeper(struct loop_message *message)
{
	(void)message;
	loop_stop(keeper);
}

/* Some iterations of both loops, so that posts in both directions arrive. */
static void turn(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct loop_message stop_loop = { .deliver = stop_now },
				    stop_it = { .deliver = stop_keeper };
		loop_post(loop, &stop_loop);
		CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
		loop_post(keeper, &stop_it);
		CU_ASSERT_EQUAL(loop_run(keeper, NULL), 0);
	}
}

static void on_ready(void *context, struct pool_instance *ready)
{
	(void)context;
	(void)ready;
	n_ready++;
}

static void on_exit_of(void *context, struct pool_instance *gone, const struct pool_end *end)
{
	(void)context;
	(void)gone;
	n_exits++;
	ended = *end;
	ended.exit = NULL;
}

static void on_freed(void *context)
{
	(void)context;
	n_freed++;
}

static void start_instance(void)
{
	struct plugin_granted granted;
	plugin_grant_all(&version->manifest, &granted);
	struct pool_instance_spec spec = { .tenant = "shop",
		.version = version,
		.granted = &granted,
		.plugin_fd = -1,
		.counters = counters,
		.on_ready = on_ready,
		.on_exit = on_exit_of,
		.on_freed = on_freed };
	n_ready = n_exits = n_freed = 0;
	CU_ASSERT_EQUAL_FATAL(pool_instance_start(pool, NULL, &spec, &instance, NULL), 0);
}

static void switch_in(void)
{
	struct pool_switch to = {
		.tenant = "shop", .plugin = "p", .instance = instance, .reason = ""
	};
	say_ready("p");
	turn();
	CU_ASSERT_EQUAL(n_ready, 1);
	CU_ASSERT_EQUAL(pool_switch(pool, &to, NULL), 0);
	turn();
}

static void setup(void)
{
	static const char MANIFEST[] =
		"{\"id\":\"p\",\"version\":\"1.0.0\",\"abi\":{\"major\":1,\"minor\":0},"
		"\"interfaces\":[{\"id\":\"x.tenon.call/0\",\"rev\":1}],"
		"\"concurrency\":\"cooperative\",\"routes\":[{\"id\":3,\"method\":\"POST\","
		"\"path\":\"/r\",\"access\":\"public\",\"bodyLimit\":4194304,\"timeoutMs\":60},"
		"{\"id\":4,\"method\":\"POST\",\"path\":\"/long\",\"access\":\"public\","
		"\"timeoutMs\":30000}],"
		"\"statements\":[{\"name\":\"s\",\"kind\":\"query\",\"sql\":\"SELECT 1\"}]}";
	static const char HASH[PLUGIN_SHA256_HEX + 1] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char journal[80], keys[80];
	if (!pool) {
		stopped_at_ns = __real_clock_mono_ns();
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
		snprintf(journal, sizeof journal, "%s/audit", folder);
		snprintf(keys, sizeof keys, "%s/seal.key", folder);
		struct audit_config audit_config = {
			.folder = journal, .key_path = keys, .n_lanes = 2, .segment_bytes = 1u << 20
		};
		CU_ASSERT_EQUAL_FATAL(audit_open(&audit_config, &audit, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(loop_new(1, &keeper, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(
			gate_new(&(struct gate_config){ .audit = audit }, &gate, NULL), 0);
		struct pool_config config = {
			.loops = &loop, .n_loops = 1, .keeper = keeper, .gate = gate, .audit = audit
		};
		CU_ASSERT_EQUAL_FATAL(pool_new(&config, &pool, NULL), 0);
		CU_ASSERT_EQUAL_FATAL(
			plugin_version_new(bytes_of(MANIFEST), HASH, 1, &version, NULL), 0);
		log_set_level(LOG_ERROR);
	}
	start_instance();
	switch_in();
}

/* Everything of the instance is gone, and was freed. */
static void finish(void)
{
	if (child)
		end_child(SPAWN_KILLED, 9);
	turn();
	CU_ASSERT_EQUAL(n_exits, 1);
	CU_ASSERT_EQUAL(n_freed, 1);
	CU_ASSERT_EQUAL(pool_n_instances(pool), 0);
	CU_ASSERT_EQUAL(atomic_load(&counters[1].n_in_flight), 0);
}

/* ---- calls ---- */
struct one {
	struct pool_call call; /* first */
	unsigned n_done;
	char body[64], message[64];
	char header[64];
};

static void on_done(struct pool_call *call)
{
	struct one *one = (struct one *)call;
	one->n_done++;
	bytes_to_string(call->answer_body, one->body, sizeof one->body);
	bytes_to_string(call->message, one->message, sizeof one->message);
	if (call->n_answer_headers)
		bytes_to_string(call->answer_headers[0].name, one->header, sizeof one->header);
}

static void start_at(struct one *one, const char *path, struct bytes body)
{
	struct pool_target target;
	struct pool_view *view = pool_view(pool, loop);
	*one = (struct one){ .call = { .method = BYTES("POST"),
				     .path = bytes_of(path),
				     .body = body,
				     .done = on_done } };
	CU_ASSERT_EQUAL_FATAL(pool_find_route(view, BYTES("shop"), BYTES("p"), BYTES("POST"),
				      bytes_of(path), &target),
		POOL_FOUND);
	pool_call_start(view, &target, &one->call);
}

static void start(struct one *one, struct bytes body)
{
	start_at(one, "/r", body);
}

static void an_answer_reaches_its_caller_without_forbidden_headers(void)
{
	struct one one;
	struct wire_call call;
	setup();
	start(&one, BYTES("hello"));
	CU_ASSERT(take(1));
	CU_ASSERT_EQUAL(got.type, WIRE_CALL);
	CU_ASSERT(wire_get_call((struct bytes){ got_payload, got.payload_bytes }, &call));
	CU_ASSERT_EQUAL(call.route_id, 3);
	CU_ASSERT(bytes_eq_string(call.tenant, "shop") && bytes_eq_string(call.body, "hello"));
	say_response(got.slot, got.generation, "world");
	turn();
	CU_ASSERT_EQUAL(one.n_done, 1);
	CU_ASSERT_EQUAL(one.call.outcome, POOL_ANSWERED);
	CU_ASSERT_EQUAL(one.call.status, 201);
	CU_ASSERT_STRING_EQUAL(one.body, "world");
	CU_ASSERT_EQUAL(one.call.n_answer_headers, 1);
	CU_ASSERT_STRING_EQUAL(one.header, "Content-Type");
	CU_ASSERT_EQUAL(one.call.n_dropped_headers, 3);
	CU_ASSERT(!child->is_killed);
	finish();
}

static void frames_about_calls_that_are_not_there_poison(void)
{
	for (unsigned row = 0; row < 5; row++) {
		struct one one, other;
		setup();
		start(&one, BYTES(""));
		start(&other, BYTES(""));
		CU_ASSERT(take(1));
		uint32_t slot = got.slot, generation = got.generation;
		switch (row) {
		case 0: /* another generation */
			say_done(slot, generation + 1);
			break;
		case 1: /* a slot that is free */
			say_done(slot + 7, generation);
			break;
		case 2: /* a slot that does not exist */
			say_done(100000, generation);
			break;
		case 3: /* twice */
			say_done(slot, generation);
			say_done(slot, generation);
			break;
		case 4: /* a message of the keeper's ring on a ring of calls */
			put(1, WIRE_DRAINED, 0, 0, 0, &(struct bytes_buf){ 0 },
				(struct bytes){ NULL, 0 });
			break;
		}
		turn();
		CU_ASSERT_EQUAL(one.n_done, 1);
		CU_ASSERT_EQUAL(one.call.outcome, row == 3 ? POOL_ANSWERED : POOL_POISONED);
		CU_ASSERT_EQUAL(other.n_done, 1);
		CU_ASSERT_EQUAL(other.call.outcome, POOL_POISONED);
		CU_ASSERT(child->is_killed);
		/* Nobody is sent there any more. */
		struct pool_target target;
		CU_ASSERT_EQUAL(pool_find_route(pool_view(pool, loop), BYTES("shop"), BYTES("p"),
					BYTES("POST"), BYTES("/r"), &target),
			POOL_DOWN);
		finish();
		CU_ASSERT(ended.was_poisoned);
	}
}

static void noise_poisons_and_nothing_else(void)
{
	unsigned seed = 1;
	for (unsigned round = 0; round < 200; round++) {
		struct one one;
		setup();
		start(&one, BYTES(""));
		char noise[512];
		for (size_t i = 0; i < sizeof noise; i++) {
			seed = seed * 1103515245 + 12345;
			noise[i] = (char)(seed >> 16);
		}
		/* Behind a header that passes the frame check stands what does not decode. */
		uint16_t type = (uint16_t)(WIRE_READY + seed % (WIRE_DONE - WIRE_READY + 1));
		bool is_of_call = type >= WIRE_DB_QUERY;
		bool is_request = wire_is_request(type);
		CU_ASSERT(take(1));
		put(is_of_call || type == WIRE_PONG || type == WIRE_LOG ? 1 : 0, type,
			is_of_call ? got.slot : 0, is_of_call ? got.generation : 0,
			is_request ? 1 : 0, &(struct bytes_buf){ 0 },
			(struct bytes){ noise, 200 + round });
		turn();
		CU_ASSERT(child->is_killed);
		CU_ASSERT(one.n_done == 0 || one.call.outcome == POOL_POISONED);
		finish();
		CU_ASSERT_EQUAL(one.n_done, 1);
	}
}

static void a_deadline_answers_at_once_and_a_late_answer_nobody(void)
{
	struct one one, next;
	setup();
	start(&one, BYTES(""));
	CU_ASSERT(take(1));
	uint32_t slot = got.slot, generation = got.generation;
	pass_ms(65);
	turn();
	CU_ASSERT_EQUAL(one.n_done, 1);
	CU_ASSERT_EQUAL(one.call.outcome, POOL_DEADLINE);
	CU_ASSERT(take(1));
	CU_ASSERT_EQUAL(got.type, WIRE_CANCEL);
	CU_ASSERT(take(1));
	CU_ASSERT_EQUAL(got.type, WIRE_PING);
	DEFER(bytes_buf_fini) struct bytes_buf pong = { .max = 64 };
	CU_ASSERT(bytes_buf_append(&pong, (struct bytes){ got_payload, got.payload_bytes }));
	put(1, WIRE_PONG, 0, 0, 0, &pong, (struct bytes){ NULL, 0 });
	turn();
	start(&next, BYTES("")); /* takes another slot: the late one is not free */
	CU_ASSERT(take(1));
	CU_ASSERT_NOT_EQUAL(got.slot, slot);
	say_response(slot, generation, "late");
	turn();
	CU_ASSERT_EQUAL(one.n_done, 1);
	CU_ASSERT_EQUAL(next.n_done, 0);
	CU_ASSERT(!child->is_killed);
	say_response(got.slot, got.generation, "next");
	turn();
	CU_ASSERT_STRING_EQUAL(next.body, "next");
	finish();
}

static void a_worker_without_pong_is_killed(void)
{
	struct one one;
	setup();
	start(&one, BYTES(""));
	pass_ms(65);
	turn();
	CU_ASSERT(!child->is_killed);
	pass_ms(110);
	turn();
	CU_ASSERT(child->is_killed);
	finish();
	CU_ASSERT(ended.was_late);
	CU_ASSERT_PTR_NOT_NULL(strstr(ended.reason, "keeps the processor"));
}

static void what_has_come_counts_before_what_is_late(void)
{
	struct one answered, late;
	setup();
	start(&answered, BYTES(""));
	CU_ASSERT(take(1));
	say_response(got.slot, got.generation, "here");
	pass_ms(65); /* the loop was kept from looking */
	turn();
	CU_ASSERT_EQUAL(answered.call.outcome, POOL_ANSWERED);
	CU_ASSERT_STRING_EQUAL(answered.body, "here");

	start(&late, BYTES(""));
	pass_ms(65);
	turn();
	CU_ASSERT_EQUAL(late.call.outcome, POOL_DEADLINE);
	while (take(1) && got.type != WIRE_PING)
		;
	CU_ASSERT_EQUAL(got.type, WIRE_PING);
	DEFER(bytes_buf_fini) struct bytes_buf pong = { .max = 64 };
	CU_ASSERT(bytes_buf_append(&pong, (struct bytes){ got_payload, got.payload_bytes }));
	put(1, WIRE_PONG, 0, 0, 0, &pong, (struct bytes){ NULL, 0 });
	pass_ms(110);
	turn();
	CU_ASSERT(!child->is_killed);
	finish();
}

static void a_fiber_that_does_not_return_in_a_second_ends_its_worker(void)
{
	struct one one;
	setup();
	start(&one, BYTES(""));
	pass_ms(65);
	turn();
	while (take(1))
		if (got.type == WIRE_PING) {
			DEFER(bytes_buf_fini) struct bytes_buf pong = { .max = 64 };
			CU_ASSERT(bytes_buf_append(
				&pong, (struct bytes){ got_payload, got.payload_bytes }));
			put(1, WIRE_PONG, 0, 0, 0, &pong, (struct bytes){ NULL, 0 });
		}
	turn();
	pass_ms(500);
	turn();
	CU_ASSERT(!child->is_killed);
	pass_ms(600);
	turn();
	CU_ASSERT(child->is_killed);
	finish();
}

static void as_many_calls_as_slots_and_then_busy(void)
{
	static struct one calls[POOL_CALLS_MAX + 1];
	setup();
	for (unsigned i = 0; i < POOL_CALLS_MAX; i++)
		start(&calls[i], BYTES(""));
	for (unsigned i = 0; i < POOL_CALLS_MAX; i++)
		CU_ASSERT_EQUAL(calls[i].n_done, 0);
	start(&calls[POOL_CALLS_MAX], BYTES(""));
	CU_ASSERT_EQUAL(calls[POOL_CALLS_MAX].n_done, 1);
	CU_ASSERT_EQUAL(calls[POOL_CALLS_MAX].call.outcome, POOL_BUSY);
	CU_ASSERT(calls[POOL_CALLS_MAX].call.retry_after_ms > 0);
	CU_ASSERT(take(1));
	say_done(got.slot, got.generation);
	turn();
	start(&calls[POOL_CALLS_MAX], BYTES(""));
	CU_ASSERT_EQUAL(calls[POOL_CALLS_MAX].n_done, 0);
	finish();
	for (unsigned i = 0; i <= POOL_CALLS_MAX; i++)
		CU_ASSERT_EQUAL(calls[i].n_done, 1);
}

static void a_body_beyond_the_ring_arrives_whole_and_in_order(void)
{
	struct one big, small;
	char *body = malloc(1u << 20);
	DEFER(bytes_buf_fini) struct bytes_buf seen = { .max = 2u << 20 };
	struct wire_call call;
	for (size_t i = 0; i < 1u << 20; i++)
		body[i] = (char)(i * 7 + (i >> 10));
	setup();
	start(&big, (struct bytes){ body, 1u << 20 });
	start(&small, BYTES("after"));
	bool is_over = false;
	for (unsigned i = 0; i < 100 && !is_over; i++) {
		while (take(1) && got.slot == 0) {
			CU_ASSERT(bytes_buf_append(
				&seen, (struct bytes){ got_payload, got.payload_bytes }));
			is_over = !(got.flags & WIRE_FLAG_MORE);
		}
		uint64_t one = 1; /* the worker says that there is room */
		CU_ASSERT_EQUAL(write(child->event_fds[1], &one, 8), 8);
		turn();
	}
	CU_ASSERT(is_over);
	CU_ASSERT(wire_get_call(bytes_buf_view(&seen), &call));
	CU_ASSERT(bytes_eq(call.body, (struct bytes){ body, 1u << 20 }));
	CU_ASSERT(got.slot == 1 || take(1));
	CU_ASSERT_EQUAL(got.slot, 1);
	CU_ASSERT(wire_get_call((struct bytes){ got_payload, got.payload_bytes }, &call));
	CU_ASSERT(bytes_eq_string(call.body, "after"));
	free(body);
	finish();
}

static void a_cancelled_call_is_over_and_the_plugin_is_told(void)
{
	struct one one;
	setup();
	start(&one, BYTES(""));
	CU_ASSERT(take(1));
	pool_call_cancel(&one.call);
	CU_ASSERT_EQUAL(one.n_done, 1);
	CU_ASSERT_EQUAL(one.call.outcome, POOL_CANCELLED);
	pool_call_cancel(&one.call);
	CU_ASSERT_EQUAL(one.n_done, 1);
	uint32_t slot = got.slot, generation = got.generation;
	CU_ASSERT(take(1));
	CU_ASSERT_EQUAL(got.type, WIRE_CANCEL);
	/* What it asks for from now on is refused. */
	struct wire_reply reply;
	say_query(slot, generation, 1, "s");
	turn();
	CU_ASSERT(take(1));
	CU_ASSERT_EQUAL(got.type, WIRE_REPLY);
	CU_ASSERT(wire_get_reply((struct bytes){ got_payload, got.payload_bytes }, &reply));
	CU_ASSERT_EQUAL(reply.status, -1);
	say_done(slot, generation);
	turn();
	CU_ASSERT(!child->is_killed);
	finish();
}

static void requests_are_judged_by_the_manifest(void)
{
	struct one one;
	struct wire_reply reply;
	setup();
	start_at(&one, "/long", BYTES(""));
	CU_ASSERT(take(1));
	uint32_t slot = got.slot, generation = got.generation;
	say_query(slot, generation, 1, "nothing");
	turn();
	CU_ASSERT(take(1));
	CU_ASSERT_EQUAL(got.sequence, 1);
	CU_ASSERT(wire_get_reply((struct bytes){ got_payload, got.payload_bytes }, &reply));
	CU_ASSERT_EQUAL(reply.status, -7);
	CU_ASSERT(bytes_eq_string(reply.error.rule, "not-declared"));
	say_query(slot, generation, 2, "s"); /* declared, but there is no database here */
	turn();
	CU_ASSERT(take(1));
	CU_ASSERT(wire_get_reply((struct bytes){ got_payload, got.payload_bytes }, &reply));
	CU_ASSERT_EQUAL(reply.status, -14);
	for (unsigned i = 3; i <= GATE_REQUESTS_MAX + 1; i++) {
		say_query(slot, generation, i, "s");
		turn();
		CU_ASSERT(take(1));
		CU_ASSERT(wire_get_reply((struct bytes){ got_payload, got.payload_bytes }, &reply));
		CU_ASSERT_EQUAL(reply.status, i > GATE_REQUESTS_MAX ? -8 : -14);
	}
	finish();
}

static void what_was_answered_before_the_end_is_delivered(void)
{
	struct one answered, lost;
	setup();
	start(&answered, BYTES(""));
	start(&lost, BYTES(""));
	CU_ASSERT(take(1));
	say_response(got.slot, got.generation, "in time");
	end_child(SPAWN_KILLED, 11);
	finish();
	CU_ASSERT_EQUAL(answered.call.outcome, POOL_ANSWERED);
	CU_ASSERT_STRING_EQUAL(answered.body, "in time");
	CU_ASSERT_EQUAL(lost.n_done, 1);
	CU_ASSERT_EQUAL(lost.call.outcome, POOL_CRASHED);
}

static void a_drained_instance_ends_after_its_last_call(void)
{
	struct one one;
	setup();
	start(&one, BYTES(""));
	CU_ASSERT(take(1));
	struct pool_switch off = { .tenant = "shop", .plugin = "p", .reason = "off" };
	CU_ASSERT_EQUAL(pool_switch(pool, &off, NULL), 0);
	turn();
	pool_instance_drain(instance);
	turn();
	CU_ASSERT(!take(0)); /* the call is still in it */
	uint32_t slot = got.slot, generation = got.generation;
	CU_ASSERT(take(1) == false);
	say_response(slot, generation, "last");
	turn();
	CU_ASSERT_STRING_EQUAL(one.body, "last");
	CU_ASSERT(take(0));
	CU_ASSERT_EQUAL(got.type, WIRE_DRAIN);
	end_child(SPAWN_EXITED, 0);
	finish();
	CU_ASSERT(ended.was_asked);
}

static void a_ready_that_is_not_its_manifest_is_a_failed_load(void)
{
	setup();
	finish();
	start_instance();
	say_ready("q");
	turn();
	CU_ASSERT_EQUAL(n_ready, 0);
	CU_ASSERT(child->is_killed);
	finish();
	CU_ASSERT_PTR_NOT_NULL(strstr(ended.reason, "load failed"));
}

static void the_end(void)
{
	char command[96];
	pool_free(pool);
	gate_free(gate);
	plugin_version_unref(version);
	audit_close(audit);
	loop_free(keeper);
	loop_free(loop);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static const struct unit_test tests[] = {
	UNIT(an_answer_reaches_its_caller_without_forbidden_headers),
	UNIT(frames_about_calls_that_are_not_there_poison),
	UNIT(noise_poisons_and_nothing_else),
	UNIT(a_deadline_answers_at_once_and_a_late_answer_nobody),
	UNIT(a_worker_without_pong_is_killed),
	UNIT(what_has_come_counts_before_what_is_late),
	UNIT(a_fiber_that_does_not_return_in_a_second_ends_its_worker),
	UNIT(as_many_calls_as_slots_and_then_busy),
	UNIT(a_body_beyond_the_ring_arrives_whole_and_in_order),
	UNIT(a_cancelled_call_is_over_and_the_plugin_is_told),
	UNIT(requests_are_judged_by_the_manifest),
	UNIT(what_was_answered_before_the_end_is_delivered),
	UNIT(a_drained_instance_ends_after_its_last_call),
	UNIT(a_ready_that_is_not_its_manifest_is_a_failed_load),
	UNIT(the_end),
};

UNIT_MAIN("pool", tests)
