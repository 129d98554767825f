#include <string.h>

#include "trace.h"
#include "unit.h"

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void a_traceparent_goes_both_ways(void)
{
	struct trace_context context;
	char text[TRACE_HEADER_BYTES];

	CU_ASSERT_FATAL(trace_parse(BYTES(GOOD), &context));
	CU_ASSERT(context.is_sampled);
	CU_ASSERT_EQUAL(context.trace_id[0], 0x0a);
	CU_ASSERT_EQUAL(context.span_id[7], 0x31);
	trace_format(&context, text);
	CU_ASSERT_STRING_EQUAL(text, GOOD);
	CU_ASSERT_FATAL(trace_parse(
		BYTES("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fe"), &context));
	CU_ASSERT(!context.is_sampled);
	trace_format(&context, text);
	CU_ASSERT_STRING_EQUAL(text, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
}

static void what_is_no_traceparent_is_refused(void)
{
	static const char *const bad[] = { "", "00",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", GOOD "-", GOOD "x",
		"ff"
		"-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
		"00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x", " " GOOD };
	struct trace_context context = { .is_sampled = true };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!trace_parse(bytes_of(bad[i]), &context));
	CU_ASSERT(context.is_sampled && context.trace_id[0] == 0);
	CU_ASSERT(trace_parse(
		BYTES("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"), &context));
}

struct counting_sink {
	struct trace_sink sink;
	int n;
	struct trace_span last;
};

static void count_span(struct trace_sink *sink, const struct trace_span *span)
{
	struct counting_sink *counting = (struct counting_sink *)(void *)sink;

	counting->n++;
	counting->last = *span;
}

static void a_span_goes_on_with_its_parents_trace(void)
{
	static struct id_source ids;
	struct counting_sink sink = { .sink = { count_span } };
	struct trace_span root, child;

	trace_begin(&root, &ids, NULL, "request");
	trace_begin(&child, &ids, &root.context, "call");
	CU_ASSERT_EQUAL(memcmp(child.context.trace_id, root.context.trace_id, ID_TRACE_BYTES), 0);
	CU_ASSERT_EQUAL(memcmp(child.parent_id, root.context.span_id, ID_SPAN_BYTES), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(child.context.span_id, root.context.span_id, ID_SPAN_BYTES), 0);
	trace_end(&child, true, &sink.sink);
	CU_ASSERT(sink.n == 1 && sink.last.has_failed && strcmp(sink.last.name, "call") == 0);
	root.context.is_sampled = false;
	trace_end(&root, false, &sink.sink);
	CU_ASSERT_EQUAL(sink.n, 1);
	trace_end(&child, false, NULL);
}

static const struct unit_test tests[] = {
	UNIT(a_traceparent_goes_both_ways),
	UNIT(what_is_no_traceparent_is_refused),
	UNIT(a_span_goes_on_with_its_parents_trace),
};

UNIT_MAIN("trace", tests)
