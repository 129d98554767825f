#include <stdio.h>
#include <string.h>

#include "json.h"
#include "json_cases.h"
#include "json_form.h"
#include "unit.h"

static void a_tree_exists_for_exactly_what_the_check_accepts(void)
{
	for (size_t i = 0; i < JSON_CASES; i++) {
		struct json *tree = NULL;
		enum text_json_verdict verdict = json_parse(json_cases[i].doc, NULL, &tree, NULL);
		CU_ASSERT_EQUAL(verdict, json_cases[i].verdict);
		CU_ASSERT_EQUAL(tree != NULL, verdict == TEXT_JSON_VALID);
		json_free(tree);
	}
}

/* What comes out when text is parsed and written again. */
static void expect_written(struct bytes text, struct bytes expected)
{
	DEFER(json_free) struct json *tree = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct text_json_writer writer;

	bytes_buf_init(&out, 65536);
	text_json_writer_init(&writer, &out);
	CU_ASSERT_EQUAL_FATAL(json_parse(text, NULL, &tree, NULL), TEXT_JSON_VALID);
	json_write(tree, &writer);
	CU_ASSERT(text_json_write_done(&writer));
	CU_ASSERT(bytes_eq(bytes_buf_view(&out), expected));
}

static void what_is_parsed_is_written_the_same(void)
{
	struct bytes doc =
		BYTES("{\"b\":[1,-2.5,null,true,false,{}],\"a\":\"x\\u0000y\\n\xc3\xa9\","
		      "\"n\":null,\"big\":-9223372036854775808,\"most\":9223372036854775807}");
	expect_written(doc, doc);
	expect_written(BYTES("null"), BYTES("null"));
	expect_written(BYTES(" 1e2 "), BYTES("100"));
	expect_written(BYTES("-0"), BYTES("0"));
	expect_written(BYTES("7"), BYTES("7"));
	expect_written(BYTES("[\"\\ud83d\\ude00\"]"), BYTES("[\"\xf0\x9f\x98\x80\"]"));
}

static void nesting_to_the_limit_is_parsed(void)
{
	char text[2 * TEXT_JSON_DEPTH_MAX];
	struct text_json_limits limits = TEXT_JSON_LIMITS;

	limits.max_depth = TEXT_JSON_DEPTH_MAX;
	memset(text, '[', TEXT_JSON_DEPTH_MAX);
	memset(text + TEXT_JSON_DEPTH_MAX, ']', TEXT_JSON_DEPTH_MAX);
	DEFER(json_free) struct json *tree = NULL;
	CU_ASSERT_EQUAL(json_parse((struct bytes){ text, sizeof text }, &limits, &tree, NULL),
		TEXT_JSON_VALID);
}

static void getters_tell_absent_null_and_wrong_kinds_apart(void)
{
	DEFER(json_free) struct json *tree = NULL;
	int64_t integer = 7;
	double number = 7;
	bool truth = true;
	struct bytes text = { 0 };

	CU_ASSERT_EQUAL_FATAL(
		json_parse(BYTES("{\"n\":null,\"i\":3,\"d\":2.5,\"w\":2.0,\"b\":false,"
				 "\"s\":\"a\\u0000b\",\"l\":[10,null]}"),
			NULL, &tree, NULL),
		TEXT_JSON_VALID);
	CU_ASSERT_EQUAL(json_kind(json_get(tree, "x")), JSON_ABSENT);
	CU_ASSERT_EQUAL(json_kind(json_get(tree, "n")), JSON_NULL);
	CU_ASSERT(!json_as_int64(json_get(tree, "n"), &integer) && integer == 7);
	CU_ASSERT(!json_as_int64(json_get(tree, "d"), &integer) && integer == 7);
	CU_ASSERT(!json_as_int64(json_get(tree, "s"), &integer));
	CU_ASSERT(json_as_int64(json_get(tree, "w"), &integer) && integer == 2);
	CU_ASSERT(json_as_int64(json_get(tree, "i"), &integer) && integer == 3);
	CU_ASSERT(json_as_double(json_get(tree, "i"), &number) && number == 3);
	CU_ASSERT(!json_as_double(json_get(tree, "b"), &number) && number == 3);
	CU_ASSERT(json_as_bool(json_get(tree, "b"), &truth) && !truth);
	CU_ASSERT(!json_as_bool(json_get(tree, "i"), &truth));
	CU_ASSERT(json_as_string(json_get(tree, "s"), &text) && bytes_eq(text, BYTES("a\0b")));
	CU_ASSERT_EQUAL(json_count(json_get(tree, "l")), 2);
	CU_ASSERT(json_as_int64(json_at(json_get(tree, "l"), 0), &integer) && integer == 10);
	CU_ASSERT_EQUAL(json_kind(json_at(json_get(tree, "l"), 1)), JSON_NULL);
	CU_ASSERT_PTR_NULL(json_at(json_get(tree, "l"), 2));
	CU_ASSERT_PTR_NULL(json_at(tree, 0));
	CU_ASSERT_PTR_NULL(json_get(json_get(tree, "l"), "x"));
	CU_ASSERT_PTR_NULL(json_get(json_get(tree, "n"), "x"));
	CU_ASSERT_PTR_NULL(json_get(NULL, "x"));
}

static bool has_problem(const struct json_form *form, const char *field, const char *code)
{
	for (size_t i = 0; i < form->n_problems && i < JSON_FORM_PROBLEMS; i++)
		if (strcmp(form->problems[i].field, field) == 0 &&
			strcmp(form->problems[i].code, code) == 0)
			return true;
	return false;
}

static void a_form_names_every_problem_and_keeps_the_defaults(void)
{
	DEFER(json_free) struct json *tree = NULL;
	struct json_form form;
	struct bytes name = BYTES("default"), note = BYTES("default"), nul = BYTES("default");
	int64_t weight = 5, part = 6, port = 7;
	double ratio = 0.5;
	bool is_on = true;
	const struct json *list = NULL;

	CU_ASSERT_EQUAL_FATAL(json_parse(BYTES("{\"name\":\"\",\"weight\":10001,\"part\":1.5,"
					       "\"port\":80,\"ratio\":2,"
					       "\"isOn\":0,\"list\":{},\"extra\":1,\"nul\":"
					       "\"a\\u0000\",\"note\":null}"),
				      NULL, &tree, NULL),
		TEXT_JSON_VALID);
	json_form_init(&form, tree);
	CU_ASSERT(!json_form_text(&form, "name", JSON_FORM_REQUIRED, 1, 9, &name));
	CU_ASSERT(!json_form_text(&form, "note", JSON_FORM_OPTIONAL, 1, 9, &note));
	CU_ASSERT(!json_form_text(&form, "nul", JSON_FORM_OPTIONAL, 1, 9, &nul));
	CU_ASSERT(!json_form_int64(&form, "weight", JSON_FORM_REQUIRED, 0, 10000, &weight));
	CU_ASSERT(!json_form_int64(&form, "part", JSON_FORM_REQUIRED, 0, 10000, &part));
	CU_ASSERT(json_form_int64(&form, "port", JSON_FORM_REQUIRED, 1, 65535, &port));
	CU_ASSERT(!json_form_double(&form, "ratio", JSON_FORM_REQUIRED, 0, 1, &ratio));
	CU_ASSERT(!json_form_bool(&form, "isOn", JSON_FORM_REQUIRED, &is_on));
	CU_ASSERT(!json_form_bool(&form, "missing", JSON_FORM_REQUIRED, &is_on));
	CU_ASSERT(!json_form_bool(&form, "optional", JSON_FORM_OPTIONAL, &is_on));
	CU_ASSERT(!json_form_value(&form, "list", JSON_FORM_REQUIRED, JSON_ARRAY, &list));
	json_form_refuse_unknown(&form);

	CU_ASSERT_EQUAL(form.n_problems, 8 + 1);
	CU_ASSERT(has_problem(&form, "name", "validation_length_out_of_range"));
	CU_ASSERT(has_problem(&form, "nul", "validation_invalid_text"));
	CU_ASSERT(has_problem(&form, "weight", "validation_out_of_range"));
	CU_ASSERT(has_problem(&form, "part", "validation_invalid_type"));
	CU_ASSERT(has_problem(&form, "ratio", "validation_out_of_range"));
	CU_ASSERT(has_problem(&form, "isOn", "validation_invalid_type"));
	CU_ASSERT(has_problem(&form, "missing", "validation_required"));
	CU_ASSERT(has_problem(&form, "list", "validation_invalid_type"));
	CU_ASSERT(has_problem(&form, "extra", "validation_unknown_field"));
	CU_ASSERT(weight == 5 && part == 6 && port == 80 && ratio == 0.5 && is_on && !list);
	CU_ASSERT(bytes_eq(name, BYTES("default")) && bytes_eq(note, BYTES("default")));
}

static void a_form_over_no_object_is_one_problem(void)
{
	struct json_form form;
	int64_t n = 1;

	json_form_init(&form, NULL);
	CU_ASSERT(!json_form_int64(&form, "n", JSON_FORM_REQUIRED, 0, 9, &n));
	json_form_refuse_unknown(&form);
	CU_ASSERT_EQUAL(form.n_problems, 1);
	CU_ASSERT(has_problem(&form, "", "validation_invalid_type"));
}

static void many_problems_are_counted_and_the_first_described(void)
{
	DEFER(json_free) struct json *tree = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf doc;
	struct json_form form;

	bytes_buf_init(&doc, 65536);
	bytes_buf_append_byte(&doc, '{');
	for (int i = 0; i < 40; i++)
		bytes_buf_appendf(&doc,
			"%s\"a_key_that_is_longer_than_the_room_there_is_for_its_name_%d\":1",
			i ? "," : "", i);
	bytes_buf_append_byte(&doc, '}');
	CU_ASSERT_EQUAL_FATAL(json_parse(bytes_buf_view(&doc), NULL, &tree, NULL), TEXT_JSON_VALID);
	json_form_init(&form, tree);
	json_form_refuse_unknown(&form);
	CU_ASSERT_EQUAL(form.n_problems, 40);
	CU_ASSERT_EQUAL(strlen(form.problems[JSON_FORM_PROBLEMS - 1].field), 59);
}

static const struct unit_test tests[] = {
	UNIT(a_tree_exists_for_exactly_what_the_check_accepts),
	UNIT(what_is_parsed_is_written_the_same),
	UNIT(nesting_to_the_limit_is_parsed),
	UNIT(getters_tell_absent_null_and_wrong_kinds_apart),
	UNIT(a_form_names_every_problem_and_keeps_the_defaults),
	UNIT(a_form_over_no_object_is_one_problem),
	UNIT(many_problems_are_counted_and_the_first_described),
};

UNIT_MAIN("json", tests)
