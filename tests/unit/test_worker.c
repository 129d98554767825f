/*
 * A worker on a thread of its own, with a plugin that is linked in instead of loaded, and this
 * program in the place of the core: it writes CALLs and replies into the rings and reads what comes
 * back.
 */
#include "clock.h"
#include "unit.h"
#include "worker.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAIT_MS   5000
#define BIG_BYTES (3u << 20)

/* ---- the plugin ---- */

enum route {
	HELLO = 1,
	QUERY,     /* one query; answers with its integer */
	COMPUTE,   /* loops until it is cancelled */
	REFUSE,    /* fails with words of its own */
	PASS_ON,   /* returns what the host's refusal was */
	BIG,       /* 3 MiB, borrowed */
	ECHO_BODY, /* the body, copied */
	ASK,       /* header, parameter and JSON in, JSON out */
	ATTACH,    /* of a hook */
	UPSTREAM,
	WRONG /* wrong arguments, one after the other */
};

struct tenon_instance {
	const struct tenon_call_api *call;
	const struct tenon_log_api *log;
	const struct tenon_db_api *db;
	const struct tenon_http_api *http;
	const struct tenon_json_api *json;
	char *big;
	int n_destroyed, n_drained, n_entered;
	int32_t create_status, boot_query_status;
};

static struct tenon_instance instance;
static struct bytes manifest; /* of the next worker; empty: everything is declared */

static int32_t plugin_create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	struct tenon_rows *rows;
	const struct tenon_statement statement = { .size = sizeof statement };

	(void)config;
	instance.call = host->iface(host, TENON_CALL_ID, 1);
	instance.log = host->iface(host, TENON_LOG_ID, 1);
	instance.db = host->iface(host, TENON_DB_ID, 1);
	instance.http = host->iface(host, TENON_HTTP_ID, 1);
	instance.json = host->iface(host, TENON_JSON_ID, 1);
	instance.boot_query_status = instance.db ? instance.db->query(boot, &statement, &rows) : 0;
	if (instance.create_status) {
		const struct tenon_error error = { .size = sizeof error,
			.code = instance.create_status,
			.message = TENON_STR("no such luck") };
		return instance.call->fail(boot, &error);
	}
	instance.log->write(boot, TENON_LOG_INFO, TENON_LIT("created"), NULL, 0);
	*out = &instance;
	return TENON_OK;
}

static int32_t answer(struct tenon_call *call, uint32_t flags, const void *body, size_t n)
{
	const struct tenon_response response = {
		.size = sizeof response, .flags = flags, .status = 200, .body = body, .body_n = n
	};

	return instance.call->respond(call, &response);
}

static int32_t route_query(struct tenon_call *call)
{
	const struct tenon_value arg = { .type = TENON_TYPE_INTEGER, .integer = 7 };
	const struct tenon_statement statement = {
		.size = sizeof statement, .name = TENON_STR("left"), .args = &arg, .n_args = 1
	};
	const struct tenon_value *values;
	struct tenon_rows *rows;
	size_t n;
	int32_t status = instance.db->query(call, &statement, &rows);

	if (status != TENON_OK)
		return status;
	if (instance.db->next(rows, &values, &n) != TENON_OK || n != 1)
		return TENON_E_INTERNAL;
	char *text = instance.call->alloc(call, 32, 64);
	if (!text || (uintptr_t)text % 64)
		return TENON_E_EXHAUSTED;
	struct tenon_str name;
	if (instance.db->column(rows, 0, &name) != TENON_OK || name.n != 5 ||
		instance.db->next(rows, &values, &n) != TENON_E_NOT_FOUND)
		return TENON_E_INTERNAL;
	int length = snprintf(text, 32, "%lld", (long long)values[0].integer);
	return answer(call, TENON_RESPONSE_BORROW_BODY, text, (size_t)length);
}

static int32_t route_ask(struct tenon_call *call)
{
	const struct tenon_json_api *json = instance.json;
	struct tenon_str header, param, text;
	struct tenon_value value, element;
	struct tenon_json *document;
	struct tenon_json_out *out;
	const void *body;
	size_t n;

	if (instance.call->header(call, TENON_LIT("x-colour"), 0, &header) != TENON_OK ||
		instance.call->header(call, TENON_LIT("x-colour"), 1, &text) != TENON_E_NOT_FOUND ||
		instance.call->param(call, TENON_LIT("size"), 1, &param) != TENON_OK ||
		instance.call->body(call, &body, &n) != TENON_OK ||
		json->parse(call, body, n, &document) != TENON_OK ||
		json->get(document, TENON_LIT("/lines"), &value) != TENON_OK ||
		json->get(document, TENON_LIT("/lines/1/quantity"), &element) != TENON_OK ||
		json->get(document, TENON_LIT("/absent"), &element) != TENON_E_NOT_FOUND)
		return TENON_E_INTERNAL;
	(void)json->get(document, TENON_LIT("/lines/1/quantity"), &element);
	const struct tenon_value colour = { .type = TENON_TYPE_TEXT, .text = header };
	const struct tenon_value size = { .type = TENON_TYPE_TEXT, .text = param };
	const struct tenon_value count = { .type = TENON_TYPE_INTEGER, .integer = value.integer };
	json->build(call, &out);
	json->begin(out, TENON_TYPE_OBJECT);
	json->key(out, TENON_LIT("colour"));
	json->put(out, &colour);
	json->key(out, TENON_LIT("size"));
	json->put(out, &size);
	json->key(out, TENON_LIT("lines"));
	json->begin(out, TENON_TYPE_ARRAY);
	json->put(out, &count);
	json->put(out, &element);
	json->end(out);
	json->end(out);
	if (json->finish(out, &text) != TENON_OK)
		return TENON_E_INTERNAL;
	return answer(call, TENON_RESPONSE_BORROW_BODY, text.p, text.n);
}

static int32_t route_attach(struct tenon_call *call)
{
	const struct tenon_value args[] = {
		{ .type = TENON_TYPE_REAL, .real = 1.5 },
		{ .type = TENON_TYPE_TEXT, .text = TENON_STR("p1") },
	};
	const struct tenon_attachment attachment = { .size = sizeof attachment,
		.name = TENON_STR("take"),
		.args = args,
		.n_args = 2,
		.message = TENON_STR("not enough in stock"),
		.reason = TENON_STR("out_of_stock"),
		.field = TENON_STR("quantity") };

	return instance.db->attach(call, &attachment);
}

static int32_t route_upstream(struct tenon_call *call)
{
	const struct tenon_http_request request = { .size = sizeof request,
		.upstream = TENON_STR("rates"),
		.method = TENON_STR("GET"),
		.path = TENON_STR("/v1/latest"),
		.body = "abc",
		.body_n = 3 };
	struct tenon_http_response response = { .size = sizeof response };
	int32_t status = instance.http->send(call, &request, &response);

	if (status != TENON_OK)
		return status;
	if (response.status != 203 || response.n_headers != 1 || response.headers[0].value.n != 1)
		return TENON_E_INTERNAL;
	return answer(call, 0, response.body, response.body_n);
}

/* Each of these must be refused here, without a frame. */
static int32_t route_wrong(struct tenon_call *call)
{
	const struct tenon_pair bad = { TENON_STR("X-A"), TENON_STR("a\r\nSet-Cookie: b") };
	const struct tenon_response no_status = { .size = sizeof no_status, .status = 99 };
	const struct tenon_response no_flag = { .size = sizeof no_flag, .status = 200, .flags = 2 };
	const struct tenon_response injection = {
		.size = sizeof injection, .status = 200, .headers = &bad, .n_headers = 1
	};
	const struct tenon_value nan = { .type = TENON_TYPE_REAL, .real = __builtin_nan("") };
	const struct tenon_statement not_finite = {
		.size = sizeof not_finite, .name = TENON_STR("left"), .args = &nan, .n_args = 1
	};
	const struct tenon_attachment outside = { .size = sizeof outside };
	struct tenon_rows *rows;
	struct tenon_json *json;

	if (instance.call->respond(call, &no_status) != TENON_E_INVALID ||
		instance.call->respond(call, &no_flag) != TENON_E_INVALID ||
		instance.call->respond(call, &injection) != TENON_E_INVALID ||
		instance.db->query(call, &not_finite, &rows) != TENON_E_INVALID ||
		instance.db->attach(call, &outside) != TENON_E_PRECOND ||
		instance.json->parse(call, "{\"a\":1,\"a\":2}", 13, &json) != TENON_E_INVALID ||
		instance.call->alloc(call, (size_t)-1, 0) || instance.call->alloc(call, 8, 3) ||
		instance.call->last_error(call)->code != TENON_E_INVALID)
		return TENON_E_INTERNAL;
	return answer(call, 0, "ok", 2);
}

static int32_t plugin_invoke(struct tenon_instance *self, struct tenon_call *call)
{
	static const char hello[] = "{\"hello\":\"world\"}";
	const struct tenon_call_info *info = self->call->info(call);
	const struct tenon_error error = { .size = sizeof error,
		.code = TENON_E_CONFLICT,
		.http_status = 409,
		.message = TENON_STR("39 in stock"),
		.reason = TENON_STR("out_of_stock"),
		.field = TENON_STR("quantity") };
	const void *body;
	size_t n;

	self->n_entered++;
	switch (info->route_id) {
	case HELLO:
		return answer(call, TENON_RESPONSE_BORROW_BODY, hello, sizeof hello - 1);
	case QUERY:
	case PASS_ON:
		return route_query(call);
	case COMPUTE:
		while (!self->call->cancelled(call))
			;
		return TENON_OK;
	case REFUSE:
		return self->call->fail(call, &error);
	case BIG:
		return answer(call, TENON_RESPONSE_BORROW_BODY, self->big, BIG_BYTES);
	case ECHO_BODY:
		(void)self->call->body(call, &body, &n);
		return answer(call, 0, body, n);
	case ASK:
		return route_ask(call);
	case ATTACH:
		return route_attach(call);
	case UPSTREAM:
		return route_upstream(call);
	case WRONG:
		return route_wrong(call);
	default:
		return 12345;
	}
}

static void plugin_destroy(struct tenon_instance *self)
{
	self->n_destroyed++;
}

static int32_t plugin_drain(struct tenon_instance *self, uint64_t deadline_ns)
{
	self->n_drained += deadline_ns == 77;
	return TENON_OK;
}

/* ---- the core ---- */

struct core {
	struct ring_segment *segment, *workers_segment;
	struct worker *worker;
	struct loader_plugin loaded;
	int eventfd;
	pthread_t thread;
	int32_t boot_status;
	enum worker_end end;
	struct wire_join join;
	char *buffer;
	struct wire_frame frame; /* of the last message */
	struct bytes payload;
	char *body; /* of the next CALL */
	size_t body_n;
};

static void wake(void *context, unsigned loop)
{
	const struct core *core = context;
	const uint64_t one = 1;

	(void)loop;
	(void)!write(core->eventfd, &one, sizeof one);
}

static void *serve(void *context)
{
	struct core *core = context;

	core->boot_status = worker_boot(core->worker, &core->loaded);
	if (core->boot_status == 0)
		core->end = worker_run(core->worker);
	return NULL;
}

static void send(struct core *core, enum wire_type type, uint32_t slot, uint32_t generation,
	uint32_t sequence, struct bytes head, struct bytes tail)
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
static bool receive(struct core *core)
{
	struct ring *ring = ring_to_core(core->segment, 0);
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
		struct pollfd poll_for = { .fd = core->eventfd, .events = POLLIN };
		if (poll(&poll_for, 1, WAIT_MS) != 1)
			return false;
		(void)!read(core->eventfd, &count, sizeof count);
	}
}

static bool receives(struct core *core, enum wire_type type, uint32_t slot)
{
	bool is_it = receive(core) && core->frame.type == type && core->frame.slot == slot;

	if (!is_it)
		printf("\n    expected %s of slot %u, got %s of slot %u\n",
			wire_name((uint16_t)type), slot, wire_name(core->frame.type),
			core->frame.slot);
	return is_it;
}

static void core_open(struct core *core, uint32_t concurrency)
{
	*core = (struct core){ .loaded.plugin = { .size = sizeof(struct tenon_plugin),
				       .abi_major = 1,
				       .target = 1,
				       .concurrency = concurrency,
				       .id = "test",
				       .version = "1.2.3",
				       .create = plugin_create,
				       .invoke = plugin_invoke,
				       .destroy = plugin_destroy,
				       .drain = plugin_drain },
		.loaded.manifest = manifest };
	char *big = instance.big ? instance.big : malloc(BIG_BYTES);
	int32_t create_status = instance.create_status;

	instance = (struct tenon_instance){ .big = big, .create_status = create_status };
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (char)(i * 7 / 5);
	core->eventfd = eventfd(0, EFD_NONBLOCK);
	core->buffer = malloc(WIRE_PAYLOAD_MAX);
	wire_join_init(&core->join, WIRE_MESSAGE_MAX);
	CU_ASSERT_EQUAL_FATAL(ring_segment_new(1, &core->segment, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(
		ring_segment_map(ring_segment_fd(core->segment), 1, &core->workers_segment, NULL),
		0);
	CU_ASSERT_EQUAL_FATAL(
		worker_new(core->workers_segment, wake, core, &core->worker, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&core->thread, NULL, serve, core), 0);
}

/* Opens and reads the log line and READY. */
static void core_boot(struct core *core, uint32_t concurrency)
{
	core_open(core, concurrency);
	CU_ASSERT(receives(core, WIRE_LOG, 0));
	CU_ASSERT(receives(core, WIRE_READY, 0));
}

static void core_close(struct core *core)
{
	pthread_join(core->thread, NULL);
	worker_free(core->worker);
	ring_segment_free(core->workers_segment);
	ring_segment_free(core->segment);
	wire_join_fini(&core->join);
	free(core->buffer);
	close(core->eventfd);
}

/* Drains the worker, checks that it ends well, and closes. */
static void core_drain(struct core *core)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_drain drain = { .deadline_ns = 77 };

	bytes_buf_init(&head, 64);
	wire_put_drain(&head, &drain);
	send(core, WIRE_DRAIN, 0, 0, 0, bytes_buf_view(&head), (struct bytes){ 0 });
	CU_ASSERT(receives(core, WIRE_DRAINED, 0));
	core_close(core);
	CU_ASSERT_EQUAL(core->end, WORKER_DRAINED);
	CU_ASSERT_EQUAL(instance.n_destroyed, 1);
	CU_ASSERT_EQUAL(instance.n_drained, 1);
}

static void call(struct core *core, uint32_t slot, enum route route)
{
	DEFER(bytes_buf_fini) struct bytes_buf head, headers;
	struct wire_call wire = { .kind = route == ATTACH ? WIRE_KIND_HOOK : WIRE_KIND_ROUTE,
		.route_id = route,
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
	send(core, WIRE_CALL, slot, slot + 1000, 0, bytes_buf_view(&head),
		(struct bytes){ core->body, core->body_n });
}

static void reply_error(
	struct core *core, uint32_t slot, uint32_t sequence, int32_t status, const char *message)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	struct wire_reply reply = { .status = status,
		.error = { .code = status, .message = bytes_of(message) } };

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	wire_put_reply(&head, &reply);
	send(core, WIRE_REPLY, slot, slot + 1000, sequence, bytes_buf_view(&head),
		(struct bytes){ 0 });
}

/* A reply to a query: one row, one column "count". */
static void reply_rows(struct core *core, uint32_t slot, uint32_t sequence, int64_t number)
{
	DEFER(bytes_buf_fini) struct bytes_buf head, names, values;
	const struct wire_value value = { .type = WIRE_INTEGER, .integer = number };
	struct wire_reply reply = { 0 };
	struct wire_rows rows = { .n_columns = 1, .n_rows = 1 };

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	bytes_buf_init(&names, WIRE_PAYLOAD_MAX);
	bytes_buf_init(&values, WIRE_PAYLOAD_MAX);
	wire_put_text(&names, BYTES("count"));
	rows.names = (struct wire_list){ 1, bytes_buf_view(&names) };
	wire_put_value(&values, &value);
	wire_put_reply(&head, &reply);
	wire_put_rows(&head, &rows);
	send(core, WIRE_REPLY, slot, slot + 1000, sequence, bytes_buf_view(&head),
		bytes_buf_view(&values));
}

static bool answers(struct core *core, uint32_t slot, struct bytes body)
{
	struct wire_respond respond;

	return receives(core, WIRE_RESPOND, slot) && wire_get_respond(core->payload, &respond) &&
	       core->frame.generation == slot + 1000 && respond.status == 200 &&
	       respond.headers.n == 1 && bytes_eq(respond.body, body);
}

static void cancel(struct core *core, uint32_t slot, int32_t status)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_cancel wire = { .status = status };

	bytes_buf_init(&head, 64);
	wire_put_cancel(&head, &wire);
	send(core, WIRE_CANCEL, slot, slot + 1000, 0, bytes_buf_view(&head), (struct bytes){ 0 });
}

static void ping(struct core *core, uint64_t number)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_ping wire = { .number = number };

	bytes_buf_init(&head, 64);
	wire_put_ping(&head, &wire);
	send(core, WIRE_PING, 0, 0, 0, bytes_buf_view(&head), (struct bytes){ 0 });
}

static bool pongs(struct core *core, uint64_t number)
{
	struct wire_ping pong;

	return receives(core, WIRE_PONG, 0) && wire_get_ping(core->payload, &pong) &&
	       pong.number == number;
}

/* ---- claims ---- */

static void a_created_plugin_says_who_it_is(void)
{
	struct core core;
	struct wire_ready ready;

	core_open(&core, TENON_COOPERATIVE);
	CU_ASSERT(receives(&core, WIRE_LOG, 0));
	CU_ASSERT(receives(&core, WIRE_READY, 0) && wire_get_ready(core.payload, &ready));
	CU_ASSERT(bytes_eq(ready.id, BYTES("test")) && bytes_eq(ready.version, BYTES("1.2.3")));
	CU_ASSERT_EQUAL(ready.concurrency, TENON_COOPERATIVE);
	CU_ASSERT_EQUAL(instance.boot_query_status, TENON_E_PRECOND);
	core_drain(&core);
}

static void a_create_that_fails_is_reported_in_its_words(void)
{
	struct core core;
	struct wire_failed failed;

	instance.create_status = TENON_E_UNSUPPORTED;
	core_open(&core, TENON_SERIAL);
	CU_ASSERT(receives(&core, WIRE_FAILED, 0) && wire_get_failed(core.payload, &failed));
	CU_ASSERT_EQUAL(failed.status, TENON_E_UNSUPPORTED);
	CU_ASSERT(bytes_eq(failed.stage, BYTES("create")));
	CU_ASSERT(bytes_eq(failed.message, BYTES("no such luck")));
	core_close(&core);
	CU_ASSERT_EQUAL(core.boot_status, -1);
	instance.create_status = 0;
}

static void an_interface_that_is_not_declared_is_not_there(void)
{
	struct core core;

	manifest = BYTES("{\"interfaces\":[{\"id\":\"x.tenon.call/0\",\"rev\":1},"
			 "{\"id\":\"x.tenon.log/0\",\"rev\":1}]}");
	core_boot(&core, TENON_SERIAL);
	CU_ASSERT_PTR_NOT_NULL(instance.call);
	CU_ASSERT_PTR_NULL(instance.db);
	CU_ASSERT_PTR_NULL(instance.json);
	core_drain(&core);
	manifest = (struct bytes){ 0 };
}

static void a_route_answers_with_status_headers_and_body(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	for (uint32_t i = 0; i < 1000; i++) {
		call(&core, i % WIRE_SLOTS, HELLO);
		CU_ASSERT(answers(&core, i % WIRE_SLOTS, BYTES("{\"hello\":\"world\"}")));
	}
	core_drain(&core);
}

static void two_cooperative_calls_interleave_across_a_suspension_in_db(void)
{
	struct core core;
	struct wire_statement statement;
	struct wire_value value;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 1));
	CU_ASSERT(wire_get_statement(core.payload, &statement));
	CU_ASSERT(bytes_eq(statement.name, BYTES("left")) && statement.args.n == 1);
	CU_ASSERT(wire_next_value(&statement.args, &value) && value.integer == 7);
	CU_ASSERT_EQUAL(core.frame.sequence, 1);
	/* The first call is suspended in its query; the second one enters, and asks as well. */
	call(&core, 2, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 2));
	CU_ASSERT_EQUAL(instance.n_entered, 2);
	/* The later one is answered first and ends first. */
	reply_rows(&core, 2, 1, 222);
	CU_ASSERT(answers(&core, 2, BYTES("222")));
	reply_rows(&core, 1, 1, 111);
	CU_ASSERT(answers(&core, 1, BYTES("111")));
	core_drain(&core);
}

static void a_serial_plugin_has_one_call_at_a_time(void)
{
	struct core core;

	core_boot(&core, TENON_SERIAL);
	call(&core, 1, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 1));
	call(&core, 2, HELLO);
	/* A pong after the second CALL proves that it was read, and yet it has not entered. */
	ping(&core, 5);
	CU_ASSERT(pongs(&core, 5));
	CU_ASSERT_EQUAL(instance.n_entered, 1);
	reply_rows(&core, 1, 1, 1);
	CU_ASSERT(answers(&core, 1, BYTES("1")));
	CU_ASSERT(answers(&core, 2, BYTES("{\"hello\":\"world\"}")));
	core_drain(&core);
}

static void a_cancelled_call_comes_back_from_its_facade_call(void)
{
	struct core core;
	struct wire_done done;

	core_boot(&core, TENON_SERIAL);
	call(&core, 3, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 3));
	cancel(&core, 3, TENON_E_DEADLINE);
	CU_ASSERT(receives(&core, WIRE_DONE, 3) && wire_get_done(core.payload, &done));
	CU_ASSERT_EQUAL(done.status, TENON_E_DEADLINE);
	/* The reply that comes too late belongs to nobody, not even to the next call of the slot.
	 */
	reply_rows(&core, 3, 1, 9);
	call(&core, 3, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 3));
	reply_rows(&core, 3, 2, 8);
	reply_rows(&core, 3, 1, 10);
	CU_ASSERT(answers(&core, 3, BYTES("10")));
	core_drain(&core);
}

static void a_computation_sees_that_it_was_cancelled(void)
{
	struct core core;
	struct wire_done done;

	core_boot(&core, TENON_SERIAL);
	call(&core, 0, COMPUTE);
	/* It never suspends, and yet it reads, so a ping is answered too. */
	ping(&core, 6);
	CU_ASSERT(pongs(&core, 6));
	cancel(&core, 0, TENON_E_CANCELLED);
	CU_ASSERT(receives(&core, WIRE_DONE, 0) && wire_get_done(core.payload, &done));
	CU_ASSERT_EQUAL(done.status, TENON_E_CANCELLED);
	core_drain(&core);
}

static void megabytes_pass_both_ways_beside_other_calls(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, BIG);
	usleep(2000);
	/* The ring is full of the big answer: these wait behind it, and nothing is lost. */
	call(&core, 2, HELLO);
	ping(&core, 7);
	bool has_big = false, has_answer = false, has_pong = false;
	for (int i = 0; i < 3; i++) {
		struct wire_respond respond;
		CU_ASSERT(receive(&core));
		has_answer |= core.frame.type == WIRE_RESPOND && core.frame.slot == 2;
		has_pong |= core.frame.type == WIRE_PONG;
		if (core.frame.type == WIRE_RESPOND && core.frame.slot == 1)
			has_big = wire_get_respond(core.payload, &respond) &&
				  bytes_eq(respond.body, (struct bytes){ instance.big, BIG_BYTES });
	}
	CU_ASSERT(has_big && has_answer && has_pong);
	core.body = instance.big;
	core.body_n = BIG_BYTES;
	call(&core, 4, ECHO_BODY);
	CU_ASSERT(answers(&core, 4, (struct bytes){ instance.big, BIG_BYTES }));
	core_drain(&core);
}

static void a_failure_carries_the_plugins_words(void)
{
	struct core core;
	struct wire_error error;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, REFUSE);
	CU_ASSERT(receives(&core, WIRE_FAIL, 1) && wire_get_error(core.payload, &error));
	CU_ASSERT_EQUAL(error.code, TENON_E_CONFLICT);
	CU_ASSERT_EQUAL(error.http_status, 409);
	CU_ASSERT(bytes_eq(error.message, BYTES("39 in stock")));
	CU_ASSERT(bytes_eq(error.reason, BYTES("out_of_stock")));
	CU_ASSERT(bytes_eq(error.field, BYTES("quantity")));
	/* What the host said travels on when the plugin only returns the status. */
	call(&core, 2, PASS_ON);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 2));
	reply_error(&core, 2, 1, TENON_E_DENIED, "left is not declared");
	CU_ASSERT(receives(&core, WIRE_FAIL, 2) && wire_get_error(core.payload, &error));
	CU_ASSERT_EQUAL(error.code, TENON_E_DENIED);
	CU_ASSERT(bytes_eq(error.message, BYTES("left is not declared")));
	/* A status that does not exist is INTERNAL. */
	call(&core, 3, (enum route)99);
	CU_ASSERT(receives(&core, WIRE_FAIL, 3) && wire_get_error(core.payload, &error));
	CU_ASSERT_EQUAL(error.code, TENON_E_INTERNAL);
	core_drain(&core);
}

static void header_parameter_and_json_come_in_and_json_goes_out(void)
{
	static char body[] = "{\"lines\":[{\"quantity\":1},{\"quantity\":2.5},null]}";
	struct core core;

	core_boot(&core, TENON_SERIAL);
	core.body = body;
	core.body_n = sizeof body - 1;
	call(&core, 1, ASK);
	CU_ASSERT(answers(
		&core, 1, BYTES("{\"colour\":\"red\",\"size\":\"2 m\",\"lines\":[3,2.5]}")));
	core_drain(&core);
}

static void a_hook_attaches_and_lets_the_write_go_on(void)
{
	struct core core;
	struct wire_attachment attachment;
	struct wire_value value;
	struct wire_done done;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, ATTACH);
	CU_ASSERT(receives(&core, WIRE_DB_ATTACH, 1));
	CU_ASSERT(wire_get_attachment(core.payload, &attachment));
	CU_ASSERT(bytes_eq(attachment.name, BYTES("take")) && attachment.args.n == 2);
	CU_ASSERT(bytes_eq(attachment.message, BYTES("not enough in stock")));
	CU_ASSERT(bytes_eq(attachment.field, BYTES("quantity")));
	CU_ASSERT(wire_next_value(&attachment.args, &value) && value.type == WIRE_REAL);
	CU_ASSERT(wire_next_value(&attachment.args, &value) && bytes_eq(value.text, BYTES("p1")));
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_reply reply = { 0 };
	bytes_buf_init(&head, 64);
	wire_put_reply(&head, &reply);
	send(&core, WIRE_REPLY, 1, 1001, 1, bytes_buf_view(&head), (struct bytes){ 0 });
	CU_ASSERT(receives(&core, WIRE_DONE, 1) && wire_get_done(core.payload, &done));
	CU_ASSERT_EQUAL(done.status, TENON_OK);
	core_drain(&core);
}

static void an_upstreams_answer_reaches_the_plugin(void)
{
	struct core core;
	struct wire_http_request request;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, UPSTREAM);
	CU_ASSERT(receives(&core, WIRE_HTTP_SEND, 1));
	CU_ASSERT(wire_get_http_request(core.payload, &request));
	CU_ASSERT(bytes_eq(request.upstream, BYTES("rates")));
	CU_ASSERT(bytes_eq(request.path, BYTES("/v1/latest")));
	CU_ASSERT(bytes_eq(request.body, BYTES("abc")));
	DEFER(bytes_buf_fini) struct bytes_buf head, headers;
	bytes_buf_init(&head, 1024);
	bytes_buf_init(&headers, 1024);
	const struct wire_reply reply = { 0 };
	wire_put_pair(&headers, BYTES("X-B"), BYTES("1"));
	const struct wire_http_response response = { .status = 203,
		.headers = { 1, bytes_buf_view(&headers) } };
	wire_put_reply(&head, &reply);
	wire_put_http_response(&head, &response);
	send(&core, WIRE_REPLY, 1, 1001, 1, bytes_buf_view(&head), BYTES("from far"));
	CU_ASSERT(answers(&core, 1, BYTES("from far")));
	core_drain(&core);
}

static void wrong_arguments_are_refused_without_a_frame(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, WRONG);
	CU_ASSERT(answers(&core, 1, BYTES("ok")));
	core_drain(&core);
}

static void hundreds_of_calls_wait_at_the_same_time(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	for (uint32_t slot = 0; slot < WIRE_SLOTS; slot++)
		call(&core, slot, QUERY);
	for (uint32_t slot = 0; slot < WIRE_SLOTS; slot++)
		CU_ASSERT(receives(&core, WIRE_DB_QUERY, slot));
	CU_ASSERT_EQUAL(instance.n_entered, WIRE_SLOTS);
	for (uint32_t slot = WIRE_SLOTS; slot-- > 0;)
		reply_rows(&core, slot, 1, slot);
	for (uint32_t slot = WIRE_SLOTS; slot-- > 0;)
		CU_ASSERT(receives(&core, WIRE_RESPOND, slot));
	core_drain(&core);
}

static void draining_waits_for_the_calls_in_flight(void)
{
	struct core core;
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_drain drain = { .deadline_ns = 77 };

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 1));
	bytes_buf_init(&head, 64);
	wire_put_drain(&head, &drain);
	send(&core, WIRE_DRAIN, 0, 0, 0, bytes_buf_view(&head), (struct bytes){ 0 });
	ping(&core, 8);
	CU_ASSERT(pongs(&core, 8));
	CU_ASSERT_EQUAL(instance.n_destroyed, 0);
	reply_rows(&core, 1, 1, 4);
	CU_ASSERT(answers(&core, 1, BYTES("4")));
	CU_ASSERT(receives(&core, WIRE_DRAINED, 0));
	core_close(&core);
	CU_ASSERT_EQUAL(core.end, WORKER_DRAINED);
	CU_ASSERT_EQUAL(instance.n_destroyed, 1);
}

static void frames_that_the_core_never_writes_end_the_worker(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core, 1, QUERY);
	CU_ASSERT(receives(&core, WIRE_DB_QUERY, 1));
	call(&core, 1, HELLO); /* the slot is taken */
	core_close(&core);
	CU_ASSERT_EQUAL(core.end, WORKER_BROKEN);
}

static const struct unit_test tests[] = {
	UNIT(a_created_plugin_says_who_it_is),
	UNIT(a_create_that_fails_is_reported_in_its_words),
	UNIT(an_interface_that_is_not_declared_is_not_there),
	UNIT(a_route_answers_with_status_headers_and_body),
	UNIT(two_cooperative_calls_interleave_across_a_suspension_in_db),
	UNIT(a_serial_plugin_has_one_call_at_a_time),
	UNIT(a_cancelled_call_comes_back_from_its_facade_call),
	UNIT(a_computation_sees_that_it_was_cancelled),
	UNIT(megabytes_pass_both_ways_beside_other_calls),
	UNIT(a_failure_carries_the_plugins_words),
	UNIT(header_parameter_and_json_come_in_and_json_goes_out),
	UNIT(a_hook_attaches_and_lets_the_write_go_on),
	UNIT(an_upstreams_answer_reaches_the_plugin),
	UNIT(wrong_arguments_are_refused_without_a_frame),
	UNIT(hundreds_of_calls_wait_at_the_same_time),
	UNIT(draining_waits_for_the_calls_in_flight),
	UNIT(frames_that_the_core_never_writes_end_the_worker),
};
UNIT_MAIN("worker", tests)
