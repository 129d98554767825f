/*
 * A worker on a thread of its own, with a plugin that is linked in instead of loaded, and this
 * program in the place of the core: it writes CALLs and replies into the rings and reads what comes
 * back.
 */
#include "fake_core.h"
#include "unit.h"
#include "worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

/* The core, and the worker's thread. */
struct core {
	struct fake_core fake;
	struct ring_segment *workers_segment;
	struct worker *worker;
	struct loader_plugin loaded;
	pthread_t thread;
	int32_t boot_status;
	enum worker_end end;
};

static void wake(void *context, unsigned loop)
{
	const struct core *core = context;
	const uint64_t one = 1;

	(void)loop;
	(void)!write(core->fake.eventfd, &one, sizeof one);
}

/* Allocations of the worker's thread: the linker leads malloc and its kin through these. */
static _Thread_local bool is_workers_thread;
static _Atomic unsigned n_allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	n_allocations += is_workers_thread;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	n_allocations += is_workers_thread;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	n_allocations += is_workers_thread;
	return __real_realloc(p, n);
}

static void *serve(void *context)
{
	struct core *core = context;

	is_workers_thread = true;

	core->boot_status = worker_boot(core->worker, &core->loaded);
	if (core->boot_status == 0)
		core->end = worker_run(core->worker);
	return NULL;
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
	fake_core_init(&core->fake);
	CU_ASSERT_EQUAL_FATAL(
		ring_segment_share(core->fake.segment, &core->workers_segment, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(
		worker_new(core->workers_segment, wake, core, &core->worker, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&core->thread, NULL, serve, core), 0);
}

/* Opens and reads the log line and READY. */
static void core_boot(struct core *core, uint32_t concurrency)
{
	core_open(core, concurrency);
	CU_ASSERT(receives(&core->fake, WIRE_LOG, 0));
	CU_ASSERT(receives(&core->fake, WIRE_READY, 0));
}

static void core_close(struct core *core)
{
	pthread_join(core->thread, NULL);
	worker_free(core->worker);
	ring_segment_free(core->workers_segment);
	fake_core_fini(&core->fake);
}

/* Drains the worker, checks that it ends well, and closes. */
static void core_drain(struct core *core)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_drain drain = { .deadline_ns = 77 };

	bytes_buf_init(&head, 64);
	wire_put_drain(&head, &drain);
	fake_send(&core->fake, WIRE_DRAIN, 0, 0, 0, bytes_buf_view(&head), (struct bytes){ 0 });
	CU_ASSERT(receives(&core->fake, WIRE_DRAINED, 0));
	core_close(core);
	CU_ASSERT_EQUAL(core->end, WORKER_DRAINED);
	CU_ASSERT_EQUAL(instance.n_destroyed, 1);
	CU_ASSERT_EQUAL(instance.n_drained, 1);
}

/* ---- claims ---- */

static void a_created_plugin_says_who_it_is(void)
{
	struct core core;
	struct wire_ready ready;

	core_open(&core, TENON_COOPERATIVE);
	CU_ASSERT(receives(&core.fake, WIRE_LOG, 0));
	CU_ASSERT(receives(&core.fake, WIRE_READY, 0) && wire_get_ready(core.fake.payload, &ready));
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
	CU_ASSERT(receives(&core.fake, WIRE_FAILED, 0) &&
		  wire_get_failed(core.fake.payload, &failed));
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
		call(&core.fake, i % WIRE_SLOTS, WIRE_KIND_ROUTE, HELLO);
		CU_ASSERT(answers(&core.fake, i % WIRE_SLOTS, BYTES("{\"hello\":\"world\"}")));
	}
	core_drain(&core);
}

static void a_warm_call_allocates_nothing(void)
{
	struct core core;
	unsigned n_before = 0;

	core_boot(&core, TENON_COOPERATIVE);
	CU_ASSERT(n_allocations > 0);
	for (uint32_t i = 0; i < 200; i++) {
		if (i == 100)
			n_before = n_allocations;
		call(&core.fake, 1, WIRE_KIND_ROUTE, HELLO);
		CU_ASSERT(answers(&core.fake, 1, BYTES("{\"hello\":\"world\"}")));
		call(&core.fake, 2, WIRE_KIND_ROUTE, QUERY);
		CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 2));
		reply_number(&core.fake, 2, 1, 5);
		CU_ASSERT(answers(&core.fake, 2, BYTES("5")));
	}
	CU_ASSERT_EQUAL(n_allocations, n_before);
	core_drain(&core);
}

static void two_cooperative_calls_interleave_across_a_suspension_in_db(void)
{
	struct core core;
	struct wire_statement statement;
	struct wire_value value;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 1));
	CU_ASSERT(wire_get_statement(core.fake.payload, &statement));
	CU_ASSERT(bytes_eq(statement.name, BYTES("left")) && statement.args.n == 1);
	CU_ASSERT(wire_next_value(&statement.args, &value) && value.integer == 7);
	CU_ASSERT_EQUAL(core.fake.frame.sequence, 1);
	/* The first call is suspended in its query; the second one enters, and asks as well. */
	call(&core.fake, 2, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 2));
	CU_ASSERT_EQUAL(instance.n_entered, 2);
	/* The later one is answered first and ends first. */
	reply_number(&core.fake, 2, 1, 222);
	CU_ASSERT(answers(&core.fake, 2, BYTES("222")));
	reply_number(&core.fake, 1, 1, 111);
	CU_ASSERT(answers(&core.fake, 1, BYTES("111")));
	core_drain(&core);
}

static void a_serial_plugin_has_one_call_at_a_time(void)
{
	struct core core;

	core_boot(&core, TENON_SERIAL);
	call(&core.fake, 1, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 1));
	call(&core.fake, 2, WIRE_KIND_ROUTE, HELLO);
	/* A pong after the second CALL proves that it was read, and yet it has not entered. */
	ping(&core.fake, 5);
	CU_ASSERT(pongs(&core.fake, 5));
	CU_ASSERT_EQUAL(instance.n_entered, 1);
	reply_number(&core.fake, 1, 1, 1);
	CU_ASSERT(answers(&core.fake, 1, BYTES("1")));
	CU_ASSERT(answers(&core.fake, 2, BYTES("{\"hello\":\"world\"}")));
	core_drain(&core);
}

static void a_cancelled_call_comes_back_from_its_facade_call(void)
{
	struct core core;
	struct wire_done done;

	core_boot(&core, TENON_SERIAL);
	call(&core.fake, 3, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 3));
	cancel(&core.fake, 3, TENON_E_DEADLINE);
	CU_ASSERT(receives(&core.fake, WIRE_DONE, 3) && wire_get_done(core.fake.payload, &done));
	CU_ASSERT_EQUAL(done.status, TENON_E_DEADLINE);
	/* The reply that comes too late belongs to nobody, not even to the next call of the slot.
	 */
	reply_number(&core.fake, 3, 1, 9);
	call(&core.fake, 3, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 3));
	/* Nor does one of an older call of this slot. */
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_reply reply = { 0 };
	bytes_buf_init(&head, 64);
	wire_put_reply(&head, &reply);
	fake_send(&core.fake, WIRE_REPLY, 3, GENERATION(3) - 1, 1, bytes_buf_view(&head),
		(struct bytes){ 0 });
	reply_number(&core.fake, 3, 2, 8);
	reply_number(&core.fake, 3, 1, 10);
	CU_ASSERT(answers(&core.fake, 3, BYTES("10")));
	core_drain(&core);
}

static void a_computation_sees_that_it_was_cancelled(void)
{
	struct core core;
	struct wire_done done;

	core_boot(&core, TENON_SERIAL);
	call(&core.fake, 0, WIRE_KIND_ROUTE, COMPUTE);
	/* It never suspends, and yet it reads, so a ping is answered too. */
	ping(&core.fake, 6);
	CU_ASSERT(pongs(&core.fake, 6));
	cancel(&core.fake, 0, TENON_E_CANCELLED);
	CU_ASSERT(receives(&core.fake, WIRE_DONE, 0) && wire_get_done(core.fake.payload, &done));
	CU_ASSERT_EQUAL(done.status, TENON_E_CANCELLED);
	core_drain(&core);
}

static void megabytes_pass_both_ways_beside_other_calls(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, BIG);
	usleep(2000);
	/* The ring is full of the big answer: these wait behind it, and nothing is lost. */
	call(&core.fake, 2, WIRE_KIND_ROUTE, HELLO);
	ping(&core.fake, 7);
	bool has_big = false, has_answer = false, has_pong = false;
	for (int i = 0; i < 3; i++) {
		struct wire_respond respond;
		CU_ASSERT(receive(&core.fake));
		has_answer |= core.fake.frame.type == WIRE_RESPOND && core.fake.frame.slot == 2;
		has_pong |= core.fake.frame.type == WIRE_PONG;
		if (core.fake.frame.type == WIRE_RESPOND && core.fake.frame.slot == 1)
			has_big = wire_get_respond(core.fake.payload, &respond) &&
				  bytes_eq(respond.body, (struct bytes){ instance.big, BIG_BYTES });
	}
	CU_ASSERT(has_big && has_answer && has_pong);
	core.fake.body = (struct bytes){ instance.big, BIG_BYTES };
	call(&core.fake, 4, WIRE_KIND_ROUTE, ECHO_BODY);
	CU_ASSERT(answers(&core.fake, 4, (struct bytes){ instance.big, BIG_BYTES }));
	core_drain(&core);
}

static void a_failure_carries_the_plugins_words(void)
{
	struct core core;
	struct wire_error error;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, REFUSE);
	CU_ASSERT(receives(&core.fake, WIRE_FAIL, 1) && wire_get_error(core.fake.payload, &error));
	CU_ASSERT_EQUAL(error.code, TENON_E_CONFLICT);
	CU_ASSERT_EQUAL(error.http_status, 409);
	CU_ASSERT(bytes_eq(error.message, BYTES("39 in stock")));
	CU_ASSERT(bytes_eq(error.reason, BYTES("out_of_stock")));
	CU_ASSERT(bytes_eq(error.field, BYTES("quantity")));
	/* What the host said travels on when the plugin only returns the status. */
	call(&core.fake, 2, WIRE_KIND_ROUTE, PASS_ON);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 2));
	reply_error(&core.fake, 2, 1, TENON_E_DENIED, "left is not declared");
	CU_ASSERT(receives(&core.fake, WIRE_FAIL, 2) && wire_get_error(core.fake.payload, &error));
	CU_ASSERT_EQUAL(error.code, TENON_E_DENIED);
	CU_ASSERT(bytes_eq(error.message, BYTES("left is not declared")));
	/* A status that does not exist is INTERNAL. */
	call(&core.fake, 3, WIRE_KIND_ROUTE, 99);
	CU_ASSERT(receives(&core.fake, WIRE_FAIL, 3) && wire_get_error(core.fake.payload, &error));
	CU_ASSERT_EQUAL(error.code, TENON_E_INTERNAL);
	core_drain(&core);
}

static void header_parameter_and_json_come_in_and_json_goes_out(void)
{
	static char body[] = "{\"lines\":[{\"quantity\":1},{\"quantity\":2.5},null]}";
	struct core core;

	core_boot(&core, TENON_SERIAL);
	core.fake.body = (struct bytes){ body, sizeof body - 1 };
	call(&core.fake, 1, WIRE_KIND_ROUTE, ASK);
	CU_ASSERT(answers(
		&core.fake, 1, BYTES("{\"colour\":\"red\",\"size\":\"2 m\",\"lines\":[3,2.5]}")));
	core_drain(&core);
}

static void a_hook_attaches_and_lets_the_write_go_on(void)
{
	struct core core;
	struct wire_attachment attachment;
	struct wire_value value;
	struct wire_done done;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_HOOK, ATTACH);
	CU_ASSERT(receives(&core.fake, WIRE_DB_ATTACH, 1));
	CU_ASSERT(wire_get_attachment(core.fake.payload, &attachment));
	CU_ASSERT(bytes_eq(attachment.name, BYTES("take")) && attachment.args.n == 2);
	CU_ASSERT(bytes_eq(attachment.message, BYTES("not enough in stock")));
	CU_ASSERT(bytes_eq(attachment.field, BYTES("quantity")));
	CU_ASSERT(wire_next_value(&attachment.args, &value) && value.type == WIRE_REAL);
	CU_ASSERT(wire_next_value(&attachment.args, &value) && bytes_eq(value.text, BYTES("p1")));
	reply_ok(&core.fake, 1, 1);
	CU_ASSERT(receives(&core.fake, WIRE_DONE, 1) && wire_get_done(core.fake.payload, &done));
	CU_ASSERT_EQUAL(done.status, TENON_OK);
	core_drain(&core);
}

static void an_upstreams_answer_reaches_the_plugin(void)
{
	struct core core;
	struct wire_http_request request;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, UPSTREAM);
	CU_ASSERT(receives(&core.fake, WIRE_HTTP_SEND, 1));
	CU_ASSERT(wire_get_http_request(core.fake.payload, &request));
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
	fake_send(&core.fake, WIRE_REPLY, 1, 1001, 1, bytes_buf_view(&head), BYTES("from far"));
	CU_ASSERT(answers(&core.fake, 1, BYTES("from far")));
	core_drain(&core);
}

static void wrong_arguments_are_refused_without_a_frame(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, WRONG);
	CU_ASSERT(answers(&core.fake, 1, BYTES("ok")));
	core_drain(&core);
}

static void hundreds_of_calls_wait_at_the_same_time(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	for (uint32_t slot = 0; slot < WIRE_SLOTS; slot++)
		call(&core.fake, slot, WIRE_KIND_ROUTE, QUERY);
	for (uint32_t slot = 0; slot < WIRE_SLOTS; slot++)
		CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, slot));
	CU_ASSERT_EQUAL(instance.n_entered, WIRE_SLOTS);
	for (uint32_t slot = WIRE_SLOTS; slot-- > 0;)
		reply_number(&core.fake, slot, 1, slot);
	for (uint32_t slot = WIRE_SLOTS; slot-- > 0;)
		CU_ASSERT(receives(&core.fake, WIRE_RESPOND, slot));
	core_drain(&core);
}

static void draining_waits_for_the_calls_in_flight(void)
{
	struct core core;
	DEFER(bytes_buf_fini) struct bytes_buf head;
	const struct wire_drain drain = { .deadline_ns = 77 };

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 1));
	bytes_buf_init(&head, 64);
	wire_put_drain(&head, &drain);
	fake_send(&core.fake, WIRE_DRAIN, 0, 0, 0, bytes_buf_view(&head), (struct bytes){ 0 });
	ping(&core.fake, 8);
	CU_ASSERT(pongs(&core.fake, 8));
	CU_ASSERT_EQUAL(instance.n_destroyed, 0);
	reply_number(&core.fake, 1, 1, 4);
	CU_ASSERT(answers(&core.fake, 1, BYTES("4")));
	CU_ASSERT(receives(&core.fake, WIRE_DRAINED, 0));
	core_close(&core);
	CU_ASSERT_EQUAL(core.end, WORKER_DRAINED);
	CU_ASSERT_EQUAL(instance.n_destroyed, 1);
}

static void frames_that_the_core_never_writes_end_the_worker(void)
{
	struct core core;

	core_boot(&core, TENON_COOPERATIVE);
	call(&core.fake, 1, WIRE_KIND_ROUTE, QUERY);
	CU_ASSERT(receives(&core.fake, WIRE_DB_QUERY, 1));
	call(&core.fake, 1, WIRE_KIND_ROUTE, HELLO); /* the slot is taken */
	core_close(&core);
	CU_ASSERT_EQUAL(core.end, WORKER_BROKEN);
}

static const struct unit_test tests[] = {
	UNIT(a_created_plugin_says_who_it_is),
	UNIT(a_create_that_fails_is_reported_in_its_words),
	UNIT(an_interface_that_is_not_declared_is_not_there),
	UNIT(a_route_answers_with_status_headers_and_body),
	UNIT(a_warm_call_allocates_nothing),
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
