#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "wire.h"

/* A copy without a byte to spare, so that the sanitizer sees a read past the end. */
static struct bytes tight(struct bytes payload)
{
	char *copy = malloc(payload.n ? payload.n : 1);

	if (payload.n)
		memcpy(copy, payload.p, payload.n);
	return (struct bytes){ copy, payload.n };
}

static struct wire_frame good_frame(uint16_t type)
{
	return (struct wire_frame){ .total_bytes = WIRE_HEADER_BYTES + 10,
		.type = type,
		.slot = 3,
		.generation = 9,
		.sequence = 1,
		.payload_bytes = 10,
		.message_bytes = 10 };
}

static void a_frame_is_refused_for_each_thing_that_is_wrong_with_it(void)
{
	const struct wire_frame good = good_frame(WIRE_DB_QUERY);
	struct wire_frame frame = good;

	CU_ASSERT(wire_frame_check(&good, WIRE_TO_CORE));
	CU_ASSERT(!wire_frame_check(&good, WIRE_TO_WORKER));
	frame = good_frame(WIRE_CALL);
	CU_ASSERT(wire_frame_check(&frame, WIRE_TO_WORKER));
	CU_ASSERT(!wire_frame_check(&frame, WIRE_TO_CORE));
#define REFUSES(change)                                                                            \
	do {                                                                                       \
		frame = good;                                                                      \
		change;                                                                            \
		CU_ASSERT(!wire_frame_check(&frame, WIRE_TO_CORE));                                \
	} while (0)
	REFUSES(frame.type = 0);
	REFUSES(frame.type = 20);
	REFUSES(frame.type = WIRE_DONE + 1);
	REFUSES(frame.type = UINT16_MAX);
	REFUSES(frame.flags = 2);
	REFUSES(frame.flags = UINT16_MAX);
	REFUSES(frame.flags = WIRE_FLAG_MORE); /* all of the message, and yet more to come */
	REFUSES((frame.flags = WIRE_FLAG_MORE, frame.payload_bytes = 0,
		frame.total_bytes = WIRE_HEADER_BYTES));
	REFUSES(frame.slot = WIRE_SLOTS);
	REFUSES(frame.slot = UINT32_MAX);
	REFUSES(frame.sequence = 0);
	REFUSES(frame.total_bytes = 0);
	REFUSES(frame.total_bytes--);
	REFUSES(frame.total_bytes = UINT32_MAX);
	REFUSES(frame.payload_bytes = UINT32_MAX);
	REFUSES((frame.payload_bytes = UINT32_MAX - 63, frame.total_bytes = 0));
	REFUSES((frame.payload_bytes = WIRE_PAYLOAD_MAX + 1, frame.total_bytes = WIRE_FRAME_MAX + 1,
		frame.message_bytes = WIRE_FRAME_MAX));
	REFUSES(frame.message_bytes = 9);
	REFUSES(frame.message_bytes = WIRE_MESSAGE_MAX + 1);
	for (size_t i = 0; i < sizeof frame.reserved / sizeof frame.reserved[0]; i++)
		REFUSES(frame.reserved[i] = 1);
#undef REFUSES
}

static void messages_of_one_frame_join_without_a_copy(void)
{
	const struct wire_frame frame = good_frame(WIRE_LOG);
	const struct bytes payload = BYTES("0123456789");
	struct wire_join join;
	struct bytes whole;

	wire_join_init(&join, 100);
	CU_ASSERT_EQUAL(wire_join_add(&join, &frame, payload, &whole), WIRE_JOIN_WHOLE);
	CU_ASSERT(whole.p == payload.p && whole.n == payload.n);
	CU_ASSERT_EQUAL(join.data.cap, 0);
	wire_join_fini(&join);
}

/* The part of a message of 30 bytes that a frame carries. */
static struct wire_frame part(bool has_more)
{
	struct wire_frame frame = good_frame(WIRE_RESPOND);

	frame.flags = has_more ? WIRE_FLAG_MORE : 0;
	frame.message_bytes = 30;
	return frame;
}

static void three_frames_join_to_one_message(void)
{
	const struct wire_frame more = part(true), last = part(false);
	struct wire_join join;
	struct bytes whole = { 0 };

	wire_join_init(&join, 30);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(
			wire_join_add(&join, &more, BYTES("aaaaaaaaaa"), &whole), WIRE_JOIN_MORE);
		CU_ASSERT_EQUAL(
			wire_join_add(&join, &more, BYTES("bbbbbbbbbb"), &whole), WIRE_JOIN_MORE);
		CU_ASSERT_EQUAL(
			wire_join_add(&join, &last, BYTES("cccccccccc"), &whole), WIRE_JOIN_WHOLE);
		CU_ASSERT(bytes_eq(whole, BYTES("aaaaaaaaaabbbbbbbbbbcccccccccc")));
	}
	wire_join_fini(&join);
}

static void frames_that_do_not_belong_together_are_a_violation(void)
{
	const struct wire_frame more = part(true), last = part(false);
	struct wire_frame other;
	struct wire_join join;
	struct bytes whole;

	wire_join_init(&join, 30);
#define VIOLATES(change)                                                                           \
	do {                                                                                       \
		wire_join_clear(&join);                                                            \
		CU_ASSERT_EQUAL(                                                                   \
			wire_join_add(&join, &more, BYTES("aaaaaaaaaa"), &whole), WIRE_JOIN_MORE); \
		other = more;                                                                      \
		change;                                                                            \
		CU_ASSERT_EQUAL(wire_join_add(&join, &other, BYTES("bbbbbbbbbb"), &whole),         \
			WIRE_JOIN_VIOLATION);                                                      \
	} while (0)
	VIOLATES(other.slot = 4);
	VIOLATES(other.generation = 8);
	VIOLATES(other.type = WIRE_FAIL);
	VIOLATES(other.sequence = 2);
	VIOLATES(other.message_bytes = 20);
	VIOLATES(other.flags = 0); /* the last one, and the message is not full */
#undef VIOLATES
	/* The message runs over what its first frame announced. */
	wire_join_clear(&join);
	CU_ASSERT_EQUAL(wire_join_add(&join, &more, BYTES("aaaaaaaaaa"), &whole), WIRE_JOIN_MORE);
	CU_ASSERT_EQUAL(wire_join_add(&join, &more, BYTES("bbbbbbbbbb"), &whole), WIRE_JOIN_MORE);
	CU_ASSERT_EQUAL(
		wire_join_add(&join, &more, BYTES("cccccccccc"), &whole), WIRE_JOIN_VIOLATION);
	/* One frame alone that is shorter than its message. */
	wire_join_clear(&join);
	CU_ASSERT_EQUAL(
		wire_join_add(&join, &last, BYTES("aaaaaaaaaa"), &whole), WIRE_JOIN_VIOLATION);
	wire_join_fini(&join);
	/* Over the maximum, before anything is stored. */
	wire_join_init(&join, 29);
	CU_ASSERT_EQUAL(
		wire_join_add(&join, &more, BYTES("aaaaaaaaaa"), &whole), WIRE_JOIN_VIOLATION);
	CU_ASSERT_EQUAL(join.data.cap, 0);
	wire_join_fini(&join);
}

static struct wire_call make_call(struct bytes_buf *headers)
{
	bytes_buf_init(headers, 4096);
	wire_put_pair(headers, BYTES("Accept"), BYTES("*/*"));
	wire_put_pair(headers, BYTES("X"), BYTES(""));
	return (struct wire_call){ .kind = WIRE_KIND_HOOK,
		.route_id = 7,
		.flags = WIRE_CALL_SUPERUSER,
		.deadline_ns = UINT64_MAX - 1,
		.trace_id = { 1, 2, 3, [15] = 255 },
		.method = BYTES("create"),
		.path = BYTES("/a/b"),
		.query = BYTES("a=1"),
		.tenant = BYTES("shop"),
		.principal_id = BYTES("u1"),
		.principal_collection = BYTES("users"),
		.collection = BYTES("orders"),
		.request_id = BYTES("r"),
		.headers = { 2, bytes_buf_view(headers) },
		.body = BYTES("{\"a\":1}") };
}

static void a_call_goes_over_unchanged(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf headers, out;
	const struct wire_call call = make_call(&headers);
	struct wire_call back;
	struct bytes name, value;

	bytes_buf_init(&out, 4096);
	CU_ASSERT(wire_put_call(&out, &call) && bytes_buf_append(&out, call.body));
	CU_ASSERT(wire_get_call(bytes_buf_view(&out), &back));
	CU_ASSERT(back.kind == call.kind && back.route_id == 7 && back.flags == call.flags);
	CU_ASSERT(back.deadline_ns == call.deadline_ns);
	CU_ASSERT(memcmp(back.trace_id, call.trace_id, WIRE_ID_BYTES) == 0);
	CU_ASSERT(bytes_eq(back.method, call.method) && bytes_eq(back.path, call.path));
	CU_ASSERT(bytes_eq(back.query, call.query) && bytes_eq(back.tenant, call.tenant));
	CU_ASSERT(bytes_eq(back.principal_id, call.principal_id));
	CU_ASSERT(bytes_eq(back.principal_collection, call.principal_collection));
	CU_ASSERT(bytes_eq(back.collection, call.collection));
	CU_ASSERT(bytes_eq(back.request_id, call.request_id) && bytes_eq(back.body, call.body));
	CU_ASSERT(wire_next_pair(&back.headers, &name, &value) && bytes_eq(value, BYTES("*/*")));
	CU_ASSERT(wire_next_pair(&back.headers, &name, &value) && bytes_eq(name, BYTES("X")) &&
		  value.n == 0);
	CU_ASSERT(!wire_next_pair(&back.headers, &name, &value));
}

static void a_call_cut_at_any_byte_is_malformed(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf headers, out;
	const struct wire_call call = make_call(&headers);
	struct wire_call back;

	bytes_buf_init(&out, 4096);
	CU_ASSERT_FATAL(wire_put_call(&out, &call));
	CU_ASSERT(wire_get_call(bytes_buf_view(&out), &back));
	for (size_t n = 0; n < out.n; n++) {
		struct bytes cut = tight((struct bytes){ out.p, n });
		CU_ASSERT(!wire_get_call(cut, &back));
		free((void *)(uintptr_t)cut.p);
	}
}

static void lengths_that_wrap_around_are_malformed(void)
{
	static const uint32_t lengths[] = { 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct wire_ready ready = { 0 };
		DEFER(bytes_buf_fini) struct bytes_buf out;
		bytes_buf_init(&out, 4096);
		ready.id = BYTES("a");
		CU_ASSERT_FATAL(wire_put_ready(&out, &ready));
		memcpy(out.p + 16, &lengths[i], 4); /* of id, of which one byte and 4 follow */
		struct bytes copy = tight(bytes_buf_view(&out));
		CU_ASSERT(!wire_get_ready(copy, &ready));
		free((void *)(uintptr_t)copy.p);
	}
}

static void counts_over_their_limit_are_malformed(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf list, out;
	struct wire_log log = { .level = 2, .message = BYTES("m") }, back;

	bytes_buf_init(&list, 1 << 20);
	bytes_buf_init(&out, 1 << 20);
	for (uint32_t i = 0; i <= WIRE_FIELDS_MAX; i++)
		wire_put_pair(&list, BYTES("k"), BYTES("v"));
	log.fields = (struct wire_list){ WIRE_FIELDS_MAX + 1, bytes_buf_view(&list) };
	CU_ASSERT(wire_put_log(&out, &log));
	CU_ASSERT(!wire_get_log(bytes_buf_view(&out), &back));
	bytes_buf_clear(&out);
	log.fields.n = WIRE_FIELDS_MAX;
	log.fields.raw.n -= 10;
	CU_ASSERT(wire_put_log(&out, &log));
	CU_ASSERT(wire_get_log(bytes_buf_view(&out), &back) && back.fields.n == WIRE_FIELDS_MAX);
	/* A count without the elements. */
	bytes_buf_clear(&out);
	log.fields = (struct wire_list){ 5, { 0 } };
	CU_ASSERT(wire_put_log(&out, &log));
	CU_ASSERT(!wire_get_log(bytes_buf_view(&out), &back));
}

static void values_keep_their_type_and_only_finite_numbers_pass(void)
{
	static const struct wire_value values[] = {
		{ .type = WIRE_NULL },
		{ .type = WIRE_INTEGER, .integer = INT64_MIN },
		{ .type = WIRE_REAL, .real = -0.1 },
		{ .type = WIRE_TEXT, .text = { "text", 4 } },
		{ .type = WIRE_BLOB, .text = { "\0\xff", 2 } },
		{ .type = WIRE_BOOL, .integer = 1 },
	};
	const uint32_t n = sizeof values / sizeof values[0];
	DEFER(bytes_buf_fini) struct bytes_buf list, out;
	struct wire_statement statement = { .name = BYTES("s"), .max_rows = 1, .timeout_ms = 2 };
	struct wire_value value;

	bytes_buf_init(&list, 4096);
	bytes_buf_init(&out, 4096);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT(wire_put_value(&list, &values[i]));
	statement.args = (struct wire_list){ n, bytes_buf_view(&list) };
	CU_ASSERT(wire_put_statement(&out, &statement));
	CU_ASSERT_FATAL(wire_get_statement(bytes_buf_view(&out), &statement));
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(wire_next_value(&statement.args, &value));
		CU_ASSERT_EQUAL(value.type, values[i].type);
		CU_ASSERT_EQUAL(value.integer, values[i].integer);
		CU_ASSERT(memcmp(&value.real, &values[i].real, sizeof value.real) == 0);
		CU_ASSERT(bytes_eq(value.text, values[i].text));
	}
	CU_ASSERT(!wire_next_value(&statement.args, &value));

	const struct wire_value wrong[] = {
		{ .type = WIRE_REAL, .real = NAN },
		{ .type = WIRE_REAL, .real = INFINITY },
		{ .type = WIRE_BOOL, .integer = 2 },
		{ .type = WIRE_BOOL, .integer = -1 },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		bytes_buf_clear(&list);
		bytes_buf_clear(&out);
		wire_put_value(&list, &wrong[i]);
		statement.args = (struct wire_list){ 1, bytes_buf_view(&list) };
		wire_put_statement(&out, &statement);
		CU_ASSERT(!wire_get_statement(bytes_buf_view(&out), &statement));
	}
}

static void rows_are_as_many_as_the_head_says(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf names, out;
	const struct wire_value value = { .type = WIRE_INTEGER, .integer = 5 };
	struct wire_rows rows = { .n_columns = 2, .n_rows = 2 }, back;

	bytes_buf_init(&names, 4096);
	bytes_buf_init(&out, 4096);
	wire_put_text(&names, BYTES("a"));
	wire_put_text(&names, BYTES("b"));
	rows.names = (struct wire_list){ 2, bytes_buf_view(&names) };
	wire_put_rows(&out, &rows);
	for (int i = 0; i < 3; i++)
		wire_put_value(&out, &value);
	CU_ASSERT(!wire_get_rows(bytes_buf_view(&out), &back));
	wire_put_value(&out, &value);
	CU_ASSERT(wire_get_rows(bytes_buf_view(&out), &back) && back.values.n == 4);
	wire_put_value(&out, &value);
	CU_ASSERT(!wire_get_rows(bytes_buf_view(&out), &back));
	/* 2^31 + 1 rows of 2 columns are not 2 values in 32 bits. */
	bytes_buf_clear(&out);
	rows.n_rows = 0x80000001;
	wire_put_rows(&out, &rows);
	wire_put_value(&out, &value);
	wire_put_value(&out, &value);
	CU_ASSERT(!wire_get_rows(bytes_buf_view(&out), &back));
	/* 2^32 rows of 2^32 columns do not wrap around to few. */
	const uint32_t wide[] = { UINT32_MAX, UINT32_MAX, 0 };
	CU_ASSERT(!wire_get_rows((struct bytes){ (const char *)wide, sizeof wide }, &back));
	const uint32_t no_columns[] = { 0, 5, 0 };
	CU_ASSERT(!wire_get_rows(
		(struct bytes){ (const char *)no_columns, sizeof no_columns }, &back));
}

static void more_values_than_a_reply_may_hold_are_refused(void)
{
	static const struct wire_value null;
	DEFER(bytes_buf_fini) struct bytes_buf names, out;
	struct wire_rows rows = { .n_columns = 1, .n_rows = WIRE_LIST_MAX + 1 }, back;

	bytes_buf_init(&names, 64);
	bytes_buf_init(&out, 1 << 20);
	wire_put_text(&names, BYTES("a"));
	rows.names = (struct wire_list){ 1, bytes_buf_view(&names) };
	for (uint32_t n = WIRE_LIST_MAX; n <= WIRE_LIST_MAX + 1; n++) {
		bytes_buf_clear(&out);
		rows.n_rows = n;
		wire_put_rows(&out, &rows);
		for (uint32_t i = 0; i < n; i++)
			wire_put_value(&out, &null);
		CU_ASSERT_EQUAL(wire_get_rows(bytes_buf_view(&out), &back), n == WIRE_LIST_MAX);
	}
}

static void statuses_stand_where_they_belong(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct wire_reply reply = { .status = -4,
		.error = { .code = -4, .message = BYTES("late"), .http_status = 504 } };
	struct wire_done done = { .status = 1 };
	struct wire_respond respond = { .status = 200 };
	struct wire_error error = { .code = 0 };

	bytes_buf_init(&out, 4096);
	wire_put_reply(&out, &reply);
	CU_ASSERT(wire_get_reply(bytes_buf_view(&out), &reply) && reply.status == -4);
	CU_ASSERT(bytes_eq(reply.error.message, BYTES("late")));
	reply.status = -5; /* not what the error says */
	bytes_buf_clear(&out);
	wire_put_reply(&out, &reply);
	CU_ASSERT(!wire_get_reply(bytes_buf_view(&out), &reply));
	bytes_buf_clear(&out);
	wire_put_done(&out, &done);
	CU_ASSERT(!wire_get_done(bytes_buf_view(&out), &done));
	static const struct {
		uint32_t status;
		bool is_good;
	} rows[] = { { 0, false }, { 99, false }, { 100, false }, { 199, false }, { 200, true },
		{ 599, true }, { 600, false }, { 1000, false }, { UINT32_MAX, false } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bytes_buf_clear(&out);
		respond.status = rows[i].status;
		wire_put_respond(&out, &respond);
		CU_ASSERT_EQUAL(wire_get_respond(bytes_buf_view(&out), &respond), rows[i].is_good);
	}
	bytes_buf_clear(&out);
	wire_put_error(&out, &error);
	CU_ASSERT(!wire_get_error(bytes_buf_view(&out), &error));
}

static void a_full_buffer_says_so(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf headers, out;
	const struct wire_call call = make_call(&headers);

	bytes_buf_init(&out, 50);
	CU_ASSERT(!wire_put_call(&out, &call));
	CU_ASSERT(out.failed);
}

static const struct unit_test tests[] = {
	UNIT(a_frame_is_refused_for_each_thing_that_is_wrong_with_it),
	UNIT(messages_of_one_frame_join_without_a_copy),
	UNIT(three_frames_join_to_one_message),
	UNIT(frames_that_do_not_belong_together_are_a_violation),
	UNIT(a_call_goes_over_unchanged),
	UNIT(a_call_cut_at_any_byte_is_malformed),
	UNIT(lengths_that_wrap_around_are_malformed),
	UNIT(counts_over_their_limit_are_malformed),
	UNIT(values_keep_their_type_and_only_finite_numbers_pass),
	UNIT(rows_are_as_many_as_the_head_says),
	UNIT(more_values_than_a_reply_may_hold_are_refused),
	UNIT(statuses_stand_where_they_belong),
	UNIT(a_full_buffer_says_so),
};
UNIT_MAIN("wire", tests)
