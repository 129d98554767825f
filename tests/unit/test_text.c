#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_cases.h"
#include "text_json_reader.h"
#include "text_json_writer.h"
#include "text_url.h"
#include "text_utf8.h"
#include "unit.h"

static enum text_json_verdict check(struct bytes doc)
{
	return text_json_check(doc, &TEXT_JSON_LIMITS, NULL);
}

/* A copy without a byte to spare, so that the sanitizer sees a read past the end. */
static struct bytes tight(struct bytes doc)
{
	char *copy = malloc(doc.n ? doc.n : 1);

	if (doc.n)
		memcpy(copy, doc.p, doc.n);
	return (struct bytes){ copy, doc.n };
}

static void every_case_gets_its_one_verdict(void)
{
	for (size_t i = 0; i < JSON_CASES; i++) {
		struct bytes doc = tight(json_cases[i].doc);
		size_t offset = SIZE_MAX;
		enum text_json_verdict verdict = text_json_check(doc, &TEXT_JSON_LIMITS, &offset);
		if (verdict != json_cases[i].verdict)
			printf("\n  %s: %s", json_cases[i].name, text_json_reason(verdict));
		CU_ASSERT_EQUAL(verdict, json_cases[i].verdict);
		CU_ASSERT(offset <= doc.n);
		free((void *)(uintptr_t)doc.p);
	}
}

static void every_prefix_of_a_document_is_refused(void)
{
	struct bytes doc =
		BYTES("{\"k\\u00e9y\":[1,-2.5e3,true,null,\"\\ud83d\\ude00\xe2\x82\xac\"]}");

	CU_ASSERT_EQUAL(check(doc), TEXT_JSON_VALID);
	for (size_t n = 0; n < doc.n; n++) {
		struct bytes cut = tight((struct bytes){ doc.p, n });
		CU_ASSERT_NOT_EQUAL(check(cut), TEXT_JSON_VALID);
		free((void *)(uintptr_t)cut.p);
	}
}

static void the_offset_names_the_offending_byte(void)
{
	const struct {
		struct bytes doc;
		size_t offset;
	} rows[] = {
		{ BYTES("{\"a\":1,\"b\":2,\"a\":3}"), 13 },
		{ BYTES("[1, x]"), 4 },
		{ BYTES("[\"ab\x01\"]"), 4 },
		{ BYTES("[\"ab\\q\"]"), 4 },
		{ BYTES("[1e999]"), 1 },
		{ BYTES("[1] 2"), 4 },
		{ BYTES("[\"\xe2\x82\"]"), 2 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t offset;
		CU_ASSERT_NOT_EQUAL(
			text_json_check(rows[i].doc, &TEXT_JSON_LIMITS, &offset), TEXT_JSON_VALID);
		CU_ASSERT_EQUAL(offset, rows[i].offset);
	}
}

static void nesting_is_allowed_to_the_limit_and_no_further(void)
{
	char doc[4 * TEXT_JSON_DEPTH_MAX];
	struct text_json_limits wide = TEXT_JSON_LIMITS;

	wide.max_depth = 1000; /* the module's own maximum holds */
	for (size_t depth = 1; depth <= TEXT_JSON_DEPTH_MAX + 1; depth++) {
		memset(doc, '[', depth);
		memset(doc + depth, ']', depth);
		struct bytes text = { doc, 2 * depth };
		CU_ASSERT_EQUAL(check(text), depth <= 32 ? TEXT_JSON_VALID : TEXT_JSON_DEPTH);
		CU_ASSERT_EQUAL(text_json_check(text, &wide, NULL),
			depth <= TEXT_JSON_DEPTH_MAX ? TEXT_JSON_VALID : TEXT_JSON_DEPTH);
	}
	static char deep[100000];
	memset(deep, '[', sizeof deep);
	CU_ASSERT_EQUAL(check((struct bytes){ deep, sizeof deep }), TEXT_JSON_DEPTH);
}

static void nodes_and_bytes_are_allowed_to_the_limit_and_no_further(void)
{
	struct text_json_limits limits = { .max_depth = 32, .max_nodes = 4, .max_bytes = 12 };

	CU_ASSERT_EQUAL(text_json_check(BYTES("[1,2,3]"), &limits, NULL), TEXT_JSON_VALID);
	CU_ASSERT_EQUAL(text_json_check(BYTES("[1,2,3,4]"), &limits, NULL), TEXT_JSON_NODES);
	CU_ASSERT_EQUAL(text_json_check(BYTES("[1,2,      ]"), &limits, NULL), TEXT_JSON_SYNTAX);
	CU_ASSERT_EQUAL(text_json_check(BYTES("[1,2       ]"), &limits, NULL), TEXT_JSON_VALID);
	CU_ASSERT_EQUAL(text_json_check(BYTES("[1,2        ]"), &limits, NULL), TEXT_JSON_SIZE);
}

static void a_number_has_at_most_the_documented_characters(void)
{
	char doc[TEXT_JSON_NUMBER_MAX + 8];

	memset(doc, '0', sizeof doc);
	doc[1] = '.';
	doc[TEXT_JSON_NUMBER_MAX - 1] = '1';
	CU_ASSERT_EQUAL(check((struct bytes){ doc, TEXT_JSON_NUMBER_MAX }), TEXT_JSON_VALID);
	CU_ASSERT_EQUAL(
		check((struct bytes){ doc, TEXT_JSON_NUMBER_MAX + 1 }), TEXT_JSON_NUMBER_RANGE);
}

/* Writes an object of n keys "k0".. in which the last is the twin-th again, or none when twin is n.
 */
static void write_keys(struct bytes_buf *out, unsigned n, unsigned twin)
{
	bytes_buf_clear(out);
	bytes_buf_append_byte(out, '{');
	for (unsigned i = 0; i < n; i++) {
		unsigned name = i == n - 1 && twin < n ? twin : i;
		/* The twin is written with an escape, so that only the unescaped text is equal. */
		bytes_buf_appendf(out, "%s\"%s%u\":{\"k%u\":0}", i ? "," : "",
			name == i ? "k" : "\\u006B", name, i);
	}
	bytes_buf_append_byte(out, '}');
}

static void a_key_twice_is_found_in_objects_of_any_size(void)
{
	static const unsigned sizes[] = { 2, 15, 16, 17, 18, 100, 127, 128, 129, 130, 300, 3333 };
	DEFER(bytes_buf_fini) struct bytes_buf doc;

	bytes_buf_init(&doc, 1 << 20);
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		unsigned n = sizes[s];
		write_keys(&doc, n, n);
		CU_ASSERT_EQUAL(check(bytes_buf_view(&doc)), TEXT_JSON_VALID);
		for (unsigned twin = 0; twin < n - 1; twin += 1 + n / 9) {
			size_t offset;
			write_keys(&doc, n, twin);
			CU_ASSERT_EQUAL(
				text_json_check(bytes_buf_view(&doc), &TEXT_JSON_LIMITS, &offset),
				TEXT_JSON_KEY_TWICE);
			CU_ASSERT(
				bytes_starts_with((struct bytes){ doc.p + offset, doc.n - offset },
					BYTES("\"\\u006B")));
		}
	}
}

/* Reads doc to its end and writes it again; returns false when the reader stops before. */
static bool copy_by_tokens(struct bytes doc, struct bytes_buf *out)
{
	DEFER(arena_free) struct arena *arena = NULL;
	struct text_json_reader reader;
	struct text_json_writer writer;
	struct text_json_token t;
	struct bytes text;
	int64_t integer;
	double number;

	CU_ASSERT_EQUAL_FATAL(arena_new(1 << 20, &arena, NULL), 0);
	text_json_reader_init(&reader, doc);
	text_json_writer_init(&writer, out);
	for (;;)
		switch (text_json_next(&reader, &t)) {
		case TEXT_JSON_END:
			return text_json_write_done(&writer);
		case TEXT_JSON_BROKEN:
			return false;
		case TEXT_JSON_KEY:
		case TEXT_JSON_STRING:
			if (!text_json_text(&t, arena, &text))
				return false;
			if (t.type == TEXT_JSON_KEY)
				text_json_write_key(&writer, text);
			else
				text_json_write_string(&writer, text);
			break;
		case TEXT_JSON_NULL:
			text_json_write_null(&writer);
			break;
		case TEXT_JSON_FALSE:
		case TEXT_JSON_TRUE:
			text_json_write_bool(&writer, t.type == TEXT_JSON_TRUE);
			break;
		case TEXT_JSON_INTEGER:
			if (!text_json_int64(&t, &integer))
				return false;
			text_json_write_int64(&writer, integer);
			break;
		case TEXT_JSON_DOUBLE:
			if (!text_json_double(&t, &number))
				return false;
			text_json_write_double(&writer, number);
			break;
		case TEXT_JSON_OBJECT:
			text_json_begin_object(&writer);
			break;
		case TEXT_JSON_OBJECT_END:
			text_json_end_object(&writer);
			break;
		case TEXT_JSON_ARRAY:
			text_json_begin_array(&writer);
			break;
		case TEXT_JSON_ARRAY_END:
			text_json_end_array(&writer);
			break;
		}
}

static void what_the_check_accepts_the_reader_walks_and_the_writer_writes_the_same(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf once, twice;

	bytes_buf_init(&once, 1 << 16);
	bytes_buf_init(&twice, 1 << 16);
	for (size_t i = 0; i < JSON_CASES; i++) {
		if (json_cases[i].verdict != TEXT_JSON_VALID)
			continue;
		bytes_buf_clear(&once);
		bytes_buf_clear(&twice);
		CU_ASSERT(copy_by_tokens(json_cases[i].doc, &once));
		CU_ASSERT_EQUAL(check(bytes_buf_view(&once)), TEXT_JSON_VALID);
		CU_ASSERT(copy_by_tokens(bytes_buf_view(&once), &twice));
		CU_ASSERT(bytes_eq(bytes_buf_view(&once), bytes_buf_view(&twice)));
	}
	bytes_buf_clear(&once);
	CU_ASSERT(copy_by_tokens(
		BYTES(" {\"a\\u00e9\\n\\\"\" : [1, -2.50e1,{}, [ ],\"\\/\"],\"b\":null}"), &once));
	CU_ASSERT(bytes_eq(bytes_buf_view(&once),
		BYTES("{\"a\xc3\xa9\\n\\\"\":[1,-25,{},[],\"/\"],\"b\":null}")));
}

static void the_reader_ends_on_any_bytes(void)
{
	for (size_t i = 0; i < JSON_CASES; i++) {
		struct bytes doc = tight(json_cases[i].doc);
		struct text_json_reader reader;
		struct text_json_token t;
		size_t n = 0;
		text_json_reader_init(&reader, doc);
		while (text_json_next(&reader, &t) != TEXT_JSON_END && t.type != TEXT_JSON_BROKEN)
			CU_ASSERT_FATAL(++n <= doc.n);
		CU_ASSERT_EQUAL(text_json_next(&reader, &t), t.type);
		free((void *)(uintptr_t)doc.p);
	}
}

static struct text_json_token first_token(struct bytes doc)
{
	struct text_json_reader reader;
	struct text_json_token t;

	text_json_reader_init(&reader, doc);
	text_json_next(&reader, &t);
	return t;
}

static void integers_are_read_without_loss(void)
{
	const struct {
		struct bytes doc;
		bool is_integer;
		int64_t value;
	} rows[] = {
		{ BYTES("9223372036854775807"), true, INT64_MAX },
		{ BYTES("-9223372036854775808"), true, INT64_MIN },
		{ BYTES("-0"), true, 0 },
		{ BYTES("9007199254740993"), true, 9007199254740993 },
		{ BYTES("1e3"), true, 1000 },
		{ BYTES("-9.223372036854775808e18"), true, INT64_MIN },
		{ BYTES("9.223372036854775808e18"), false, 0 },
		{ BYTES("1.5"), false, 0 },
		{ BYTES("1e300"), false, 0 },
		{ BYTES("true"), false, 0 },
		{ BYTES("\"1\""), false, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text_json_token t = first_token(rows[i].doc);
		int64_t value = 0;
		CU_ASSERT_EQUAL(text_json_int64(&t, &value), rows[i].is_integer);
		CU_ASSERT_EQUAL(value, rows[i].value);
	}
}

static void doubles_are_read_to_the_nearest(void)
{
	static const char *const rows[] = { "0.1", "1.5", "123456789.125", "1e22", "1e23", "8.5e-7",
		"2.2250738585072011e-308", "5e-324", "1e-400", "179769313486231570000e288", "-3.25",
		"9007199254740993.0", "0.30000000000000004", "12345678901234567890.5" };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text_json_token t = first_token(bytes_of(rows[i]));
		double value = 7;
		CU_ASSERT(text_json_double(&t, &value));
		CU_ASSERT_EQUAL(value, strtod(rows[i], NULL));
	}
}

static void skip_passes_over_exactly_one_value(void)
{
	struct text_json_reader reader;
	struct text_json_token t;

	text_json_reader_init(
		&reader, BYTES("{\"a\": [1,{\"x\":\"]}\"}] ,\"b\":\"s\\\"t\",\"c\":7}"));
	text_json_next(&reader, &t);
	text_json_next(&reader, &t);
	CU_ASSERT(bytes_eq(text_json_skip(&reader, &t), BYTES("[1,{\"x\":\"]}\"}]")));
	text_json_next(&reader, &t);
	CU_ASSERT(text_json_is(&t, BYTES("b")));
	CU_ASSERT(bytes_eq(text_json_skip(&reader, &t), BYTES("\"s\\\"t\"")));
	text_json_next(&reader, &t);
	CU_ASSERT(text_json_is(&t, BYTES("c")));
	CU_ASSERT(bytes_eq(text_json_skip(&reader, &t), BYTES("7")));
	CU_ASSERT_EQUAL(text_json_next(&reader, &t), TEXT_JSON_OBJECT_END);
	CU_ASSERT_EQUAL(text_json_next(&reader, &t), TEXT_JSON_END);
}

static void pointers_find_what_rfc_6901_says(void)
{
	struct bytes doc =
		BYTES("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
		      "\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"\\u00e9\":{\"x\":[[9]]}}");
	static const struct {
		const char *pointer;
		const char *value; /* NULL: absent */
	} rows[] = {
		{ "/foo", "[\"bar\",\"baz\"]" },
		{ "/foo/0", "\"bar\"" },
		{ "/foo/1", "\"baz\"" },
		{ "/foo/2", NULL },
		{ "/foo/-", NULL },
		{ "/foo/00", NULL },
		{ "/foo/01", NULL },
		{ "/foo/x", NULL },
		{ "/", "0" },
		{ "/a~1b", "1" },
		{ "/c%d", "2" },
		{ "/e^f", "3" },
		{ "/g|h", "4" },
		{ "/i\\j", "5" },
		{ "/k\"l", "6" },
		{ "/ ", "7" },
		{ "/m~0n", "8" },
		{ "/\xc3\xa9/x/0/0", "9" },
		{ "/\xc3\xa9/x/0/0/0", NULL },
		{ "/fo", NULL },
		{ "/fooo", NULL },
		{ "/a/b", NULL },
		{ "/foo/18446744073709551616", NULL },
	};
	struct bytes value;

	CU_ASSERT_EQUAL(text_json_find(doc, BYTES(""), &value), TEXT_JSON_FOUND);
	CU_ASSERT(bytes_eq(value, doc));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		enum text_json_find_result result =
			text_json_find(doc, bytes_of(rows[i].pointer), &value);
		CU_ASSERT_EQUAL(result, rows[i].value ? TEXT_JSON_FOUND : TEXT_JSON_ABSENT);
		if (rows[i].value && result == TEXT_JSON_FOUND)
			CU_ASSERT(bytes_eq_string(value, rows[i].value));
	}
	CU_ASSERT_EQUAL(text_json_find(doc, BYTES("foo"), &value), TEXT_JSON_BAD_POINTER);
	CU_ASSERT_EQUAL(text_json_find(doc, BYTES("/m~2n"), &value), TEXT_JSON_BAD_POINTER);
	CU_ASSERT_EQUAL(text_json_find(doc, BYTES("/m~"), &value), TEXT_JSON_BAD_POINTER);
	CU_ASSERT_EQUAL(text_json_find(BYTES("[1,"), BYTES("/5"), &value), TEXT_JSON_BAD_POINTER);
	CU_ASSERT_EQUAL(text_json_find(BYTES("[]"), BYTES("/0"), &value), TEXT_JSON_ABSENT);
}

static void foreign_bytes_are_written_as_valid_json(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	char all[256];

	bytes_buf_init(&out, 4096);
	text_json_append_string(&out, BYTES("a\"b\\c\n\x01\x1f\x7f/\xc3\xa9\xff\xed\xa0\x80z"));
	CU_ASSERT(bytes_eq(bytes_buf_view(&out),
		BYTES("\"a\\\"b\\\\c\\n\\u0001\\u001f\x7f/"
		      "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"")));
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t from = 0; from < 256; from++) {
		bytes_buf_clear(&out);
		text_json_append_string(&out, (struct bytes){ all + from, 256 - from });
		CU_ASSERT_EQUAL(check(bytes_buf_view(&out)), TEXT_JSON_VALID);
	}
}

static void commas_and_colons_stand_where_they_must(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct text_json_writer w;

	bytes_buf_init(&out, 4096);
	text_json_writer_init(&w, &out);
	text_json_begin_object(&w);
	text_json_write_key(&w, BYTES("a"));
	text_json_begin_array(&w);
	text_json_begin_array(&w);
	text_json_end_array(&w);
	text_json_write_int64(&w, INT64_MIN);
	text_json_write_uint64(&w, 42);
	text_json_write_uint64(&w, UINT64_MAX);
	text_json_write_string(&w, BYTES(""));
	text_json_write_string(&w, (struct bytes){ NULL, 0 });
	text_json_end_array(&w);
	text_json_write_key(&w, BYTES("b"));
	text_json_begin_object(&w);
	text_json_end_object(&w);
	text_json_write_key(&w, BYTES("\"c"));
	text_json_write_raw(&w, BYTES("[1]"));
	text_json_write_key(&w, BYTES("d"));
	text_json_write_bool(&w, true);
	text_json_write_key(&w, BYTES("e"));
	text_json_write_null(&w);
	CU_ASSERT(!text_json_write_done(&w));
	text_json_end_object(&w);
	CU_ASSERT(text_json_write_done(&w));
	CU_ASSERT(bytes_eq(bytes_buf_view(&out), BYTES("{\"a\":[[],-9223372036854775808,42,1."
						       "8446744073709552e+19,\"\",\"\"],\"b\":{},"
						       "\"\\\"c\":[1],\"d\":true,\"e\":null}")));
	CU_ASSERT_EQUAL(check(bytes_buf_view(&out)), TEXT_JSON_VALID);
}

static void a_misused_writer_is_never_done(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct text_json_writer w;

	bytes_buf_init(&out, 4096);
	text_json_writer_init(&w, &out);
	CU_ASSERT(!text_json_write_done(&w)); /* nothing written */
	text_json_write_null(&w);
	CU_ASSERT(text_json_write_done(&w));
	text_json_write_null(&w); /* a second document */
	CU_ASSERT(!text_json_write_done(&w));

	text_json_writer_init(&w, &out);
	text_json_begin_object(&w);
	text_json_write_null(&w); /* no key */
	text_json_end_object(&w);
	CU_ASSERT(!text_json_write_done(&w));

	text_json_writer_init(&w, &out);
	text_json_begin_array(&w);
	text_json_end_object(&w); /* the wrong bracket */
	text_json_end_array(&w);
	CU_ASSERT(!text_json_write_done(&w));

	text_json_writer_init(&w, &out);
	for (int i = 0; i < 100; i++)
		text_json_begin_array(&w);
	for (int i = 0; i < 100; i++)
		text_json_end_array(&w);
	CU_ASSERT(!text_json_write_done(&w)); /* too deep, and no memory touched for it */

	DEFER(bytes_buf_fini) struct bytes_buf small;
	bytes_buf_init(&small, 6);
	text_json_writer_init(&w, &small);
	text_json_begin_array(&w);
	text_json_write_string(&w, BYTES("abcdef"));
	text_json_end_array(&w);
	CU_ASSERT(!text_json_write_done(&w));
}

static void doubles_are_written_as_javascript_prints_them(void)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {
		{ 0.0, "0" },
		{ -0.0, "0" },
		{ 1, "1" },
		{ -1.5, "-1.5" },
		{ 0.1, "0.1" },
		{ 12.34, "12.34" },
		{ 19.99, "19.99" },
		{ 100, "100" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 1e21, "1e+21" },
		{ 1.5e300, "1.5e+300" },
		{ 1e-7, "1e-7" },
		{ 0.000001, "0.000001" },
		{ 1.234e-6, "0.000001234" },
		{ 123456789012345680.0, "123456789012345680" },
		{ 9007199254740993.0, "9007199254740992" },
		{ 5e-324, "5e-324" },
		{ 2.2250738585072014e-308, "2.2250738585072014e-308" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ 0x1p-44, "5.684341886080802e-14" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 2.0 / 3, "0.6666666666666666" },
		{ 52.520008, "52.520008" },
		{ 13.404954, "13.404954" },
		{ 0x1p63, "9.223372036854776e+18" },
		{ 0x1p62, "4611686018427388000" },
		{ 1e20, "1e+20" },
		{ 123e18, "1.23e+20" },
		{ 4.35, "4.35" },
		{ 0.000035, "0.000035" },
		{ 1e23, "1e+23" },
		{ 999999999999999.9, "999999999999999.9" },
		{ INFINITY, "null" },
		{ -INFINITY, "null" },
		{ NAN, "null" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[TEXT_JSON_DOUBLE_BYTES];
		size_t n = text_json_format_double(rows[i].value, text);
		if (!bytes_eq_string((struct bytes){ text, n }, rows[i].text))
			printf("\n  %s came as %.*s", rows[i].text, (int)n, text);
		CU_ASSERT(bytes_eq_string((struct bytes){ text, n }, rows[i].text));
	}
}

static void written_doubles_read_back_as_the_same_double(void)
{
	uint64_t state = 88172645463325252u;

	for (int i = 0; i < 100000; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		double value, back = 0;
		uint64_t bits =
			i % 4 == 3 ? state & 0x7ff0000000000000u : state; /* powers of two too */
		memcpy(&value, &bits, sizeof value);
		if (i % 4 == 1)
			value = (double)(state % 100000000) / 100;
		if (!isfinite(value))
			continue;
		char text[TEXT_JSON_DOUBLE_BYTES];
		struct bytes doc = { text, text_json_format_double(value, text) };
		CU_ASSERT_FATAL(check(doc) == TEXT_JSON_VALID);
		struct text_json_token t = first_token(doc);
		CU_ASSERT_FATAL(text_json_double(&t, &back));
		CU_ASSERT_FATAL(back == value);
	}
}

static void utf8_is_decided_at_every_border(void)
{
	static const struct {
		const char *text;
		size_t n, length;
	} rows[] = {
		{ "", 0, 0 },
		{ "a", 1, 1 },
		{ "\x7f", 1, 1 },
		{ "\x80", 1, 0 },
		{ "\xc1\xbf", 2, 0 },
		{ "\xc2\x80", 2, 2 },
		{ "\xc2", 1, 0 },
		{ "\xc2\x7f", 2, 0 },
		{ "\xc2\xc0", 2, 0 },
		{ "\xdf\xbf", 2, 2 },
		{ "\xe0\x9f\xbf", 3, 0 },
		{ "\xe0\xa0\x80", 3, 3 },
		{ "\xe0\xa0", 2, 0 },
		{ "\xed\x9f\xbf", 3, 3 },
		{ "\xed\xa0\x80", 3, 0 },
		{ "\xee\x80\x80", 3, 3 },
		{ "\xef\xbf\xbf", 3, 3 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 },
		{ "\xf0\x90\x80\x80", 4, 4 },
		{ "\xf0\x90\x80", 3, 0 },
		{ "\xf4\x8f\xbf\xbf", 4, 4 },
		{ "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 },
		{ "\xff", 1, 0 },
		{ "\xe1\x80\x7f", 3, 0 },
		{ "\xf1\x80\x80\x7f", 4, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CU_ASSERT_EQUAL(text_utf8_length(rows[i].text, rows[i].n), rows[i].length);

	size_t offset = 0;
	CU_ASSERT(!text_utf8_check(BYTES("0123456789\xc3\xa9\xc3"), &offset) && offset == 12);
	CU_ASSERT(text_utf8_is_valid(BYTES("0123456789\xc3\xa9")));
	CU_ASSERT(text_utf8_is_valid((struct bytes){ NULL, 0 }));
	CU_ASSERT_EQUAL(text_utf8_prefix(BYTES("ab\xe2\x82\xac"), 4).n, 2);
	CU_ASSERT_EQUAL(text_utf8_prefix(BYTES("ab\xe2\x82\xac"), 5).n, 5);
	CU_ASSERT_EQUAL(text_utf8_prefix(BYTES("ab\xe2\x82\xac"), 2).n, 2);
	CU_ASSERT_EQUAL(text_utf8_prefix(BYTES("\xe2\x82\xac"), 0).n, 0);
}

static void all_characters_go_to_utf8_and_are_valid(void)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char out[4];
		if (c == 0xd800)
			c = 0xe000;
		size_t n = text_utf8_put(c, out);
		CU_ASSERT_FATAL(text_utf8_length(out, n) == n);
	}
}

static void path_segments_decode_to_nothing_that_a_path_is_made_of(void)
{
	static const struct {
		const char *segment;
		enum text_url_result result;
		const char *decoded;
	} rows[] = {
		{ "posts", TEXT_URL_OK, "posts" },
		{ "a%20b", TEXT_URL_OK, "a b" },
		{ "a+b", TEXT_URL_OK, "a+b" },
		{ "%c3%A9", TEXT_URL_OK, "\xc3\xa9" },
		{ "...", TEXT_URL_OK, "..." },
		{ "%2525", TEXT_URL_OK, "%25" },
		{ "", TEXT_URL_FORBIDDEN, NULL },
		{ ".", TEXT_URL_FORBIDDEN, NULL },
		{ "..", TEXT_URL_FORBIDDEN, NULL },
		{ "%2e%2E", TEXT_URL_FORBIDDEN, NULL },
		{ ".%2e", TEXT_URL_FORBIDDEN, NULL },
		{ "a%2fb", TEXT_URL_FORBIDDEN, NULL },
		{ "a%5Cb", TEXT_URL_FORBIDDEN, NULL },
		{ "a/b", TEXT_URL_FORBIDDEN, NULL },
		{ "a\\b", TEXT_URL_FORBIDDEN, NULL },
		{ "a%00b", TEXT_URL_FORBIDDEN, NULL },
		{ "%0a", TEXT_URL_FORBIDDEN, NULL },
		{ "%7f", TEXT_URL_FORBIDDEN, NULL },
		{ "%", TEXT_URL_ESCAPE, NULL },
		{ "%4", TEXT_URL_ESCAPE, NULL },
		{ "%zz", TEXT_URL_ESCAPE, NULL },
		{ "%+1", TEXT_URL_ESCAPE, NULL },
		{ "a%e9", TEXT_URL_UTF8, NULL },
		{ "%c0%ae", TEXT_URL_UTF8, NULL },
		{ "\xff", TEXT_URL_UTF8, NULL },
	};
	DEFER(arena_free) struct arena *arena = NULL;

	CU_ASSERT_EQUAL_FATAL(arena_new(4096, &arena, NULL), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bytes decoded = { 0 };
		CU_ASSERT_EQUAL(text_url_segment(bytes_of(rows[i].segment), arena, &decoded),
			rows[i].result);
		CU_ASSERT(bytes_eq_string(decoded, rows[i].decoded));
	}
}

static void a_query_is_walked_pair_by_pair_up_to_its_bound(void)
{
	DEFER(arena_free) struct arena *arena = NULL;
	struct text_url_query query;
	struct bytes key, value;
	char text[256] = "";
	enum text_url_result result;

	CU_ASSERT_EQUAL_FATAL(arena_new(4096, &arena, NULL), 0);
	text_url_query_init(&query, BYTES("&a=1&&b=x%26y+z=&c&=d&e=%0A&"), 5);
	while ((result = text_url_query_next(&query, arena, &key, &value)) == TEXT_URL_OK)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "[%.*s|%.*s]",
			(int)key.n, key.p, (int)value.n, value.p);
	CU_ASSERT_EQUAL(result, TEXT_URL_END);
	CU_ASSERT_STRING_EQUAL(text, "[a|1][b|x&y z=][c|][|d][e|\n]");

	text_url_query_init(&query, BYTES("a=1&b=2&c=3"), 2);
	CU_ASSERT_EQUAL(text_url_query_next(&query, arena, &key, &value), TEXT_URL_OK);
	CU_ASSERT_EQUAL(text_url_query_next(&query, arena, &key, &value), TEXT_URL_OK);
	CU_ASSERT_EQUAL(text_url_query_next(&query, arena, &key, &value), TEXT_URL_LIMIT);

	static const struct {
		const char *text;
		enum text_url_result result;
	} refused[] = { { "a=%00", TEXT_URL_FORBIDDEN }, { "%00=a", TEXT_URL_FORBIDDEN },
		{ "a=%ff", TEXT_URL_UTF8 }, { "a=%", TEXT_URL_ESCAPE }, { "a=%f", TEXT_URL_ESCAPE },
		{ "%u0041=1", TEXT_URL_ESCAPE } };
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		text_url_query_init(&query, bytes_of(refused[i].text), 9);
		CU_ASSERT_EQUAL(
			text_url_query_next(&query, arena, &key, &value), refused[i].result);
	}
	text_url_query_init(&query, (struct bytes){ NULL, 0 }, 9);
	CU_ASSERT_EQUAL(text_url_query_next(&query, arena, &key, &value), TEXT_URL_END);
}

static void encoding_and_decoding_give_the_text_back(void)
{
	DEFER(arena_free) struct arena *arena = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct bytes text = BYTES("a b/c?d=e&f\xc3\xa9~-._%"), back;

	CU_ASSERT_EQUAL_FATAL(arena_new(4096, &arena, NULL), 0);
	bytes_buf_init(&out, 256);
	CU_ASSERT(text_url_encode(&out, text));
	CU_ASSERT(bytes_eq(bytes_buf_view(&out), BYTES("a%20b%2Fc%3Fd%3De%26f%C3%A9~-._%25")));
	CU_ASSERT_EQUAL(text_url_value(bytes_buf_view(&out), arena, &back), TEXT_URL_OK);
	CU_ASSERT(bytes_eq(back, text));
}

static const struct unit_test tests[] = {
	UNIT(every_case_gets_its_one_verdict),
	UNIT(every_prefix_of_a_document_is_refused),
	UNIT(the_offset_names_the_offending_byte),
	UNIT(nesting_is_allowed_to_the_limit_and_no_further),
	UNIT(nodes_and_bytes_are_allowed_to_the_limit_and_no_further),
	UNIT(a_number_has_at_most_the_documented_characters),
	UNIT(a_key_twice_is_found_in_objects_of_any_size),
	UNIT(what_the_check_accepts_the_reader_walks_and_the_writer_writes_the_same),
	UNIT(the_reader_ends_on_any_bytes),
	UNIT(integers_are_read_without_loss),
	UNIT(doubles_are_read_to_the_nearest),
	UNIT(skip_passes_over_exactly_one_value),
	UNIT(pointers_find_what_rfc_6901_says),
	UNIT(foreign_bytes_are_written_as_valid_json),
	UNIT(commas_and_colons_stand_where_they_must),
	UNIT(a_misused_writer_is_never_done),
	UNIT(doubles_are_written_as_javascript_prints_them),
	UNIT(written_doubles_read_back_as_the_same_double),
	UNIT(utf8_is_decided_at_every_border),
	UNIT(all_characters_go_to_utf8_and_are_valid),
	UNIT(path_segments_decode_to_nothing_that_a_path_is_made_of),
	UNIT(a_query_is_walked_pair_by_pair_up_to_its_bound),
	UNIT(encoding_and_decoding_give_the_text_back),
};

UNIT_MAIN("text", tests)
