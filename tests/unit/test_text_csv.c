#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "text_csv.h"

/* The text as "field|field;" for each row, and how it ends. */
static enum text_csv_type read_all(
	const char *text, size_t n, char *out, size_t cap, struct text_csv_reader *ret_reader)
{
	DEFER(arena_free) struct arena *arena = NULL;
	struct err err;
	struct bytes field;
	enum text_csv_type type;
	size_t at = 0;
	CU_ASSERT_EQUAL_FATAL(arena_new(65536, &arena, &err), 0);
	out[0] = '\0';
	text_csv_init(ret_reader, (struct bytes){ text, n });
	while ((type = text_csv_next(ret_reader, arena, &field)) <= TEXT_CSV_ROW)
		at += (size_t)snprintf(out + at, cap - at, "%.*s%s", (int)field.n,
			field.n ? field.p : "", type == TEXT_CSV_ROW ? ";" : "|");
	return type;
}

static void rows_and_fields_come_as_rfc_4180_has_them(void)
{
	static const struct {
		const char *text, *fields;
	} rows[] = {
		{ "", "" },
		{ "a", "a|;" },
		{ "a,b\n", "a|b|;" },
		{ "a,b\r\nc,d\r\n", "a|b|;c|d|;" },
		{ ",", "||;" },
		{ "\n", "|;" },
		{ "\n\n", "|;|;" },
		{ "a,\n,b", "a||;|b|;" },
		{ "\"\"", "|;" },
		{ "\"a,b\"", "a,b|;" },
		{ "\"a\"\"b\"", "a\"b|;" },
		{ "\"a\r\nb\",c", "a\r\nb|c|;" },
		{ "\"\"\"\"\n", "\"|;" },
		{ "\xef\xbb\xbf"
		  "a,b",
			"a|b|;" },
		{ " a , \"b", NULL },
		{ "中,é", "中|é|;" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text_csv_reader reader;
		char out[256];
		enum text_csv_type type =
			read_all(rows[i].text, strlen(rows[i].text), out, sizeof(out), &reader);
		CU_ASSERT_EQUAL(type, rows[i].fields ? TEXT_CSV_END : TEXT_CSV_QUOTE);
		if (rows[i].fields && strcmp(out, rows[i].fields) != 0) {
			printf("\n%s: %s\n", rows[i].text, out);
			CU_FAIL("other fields");
		}
	}
}

static void what_could_be_read_two_ways_is_refused_with_its_place(void)
{
	static const struct {
		const char *text;
		size_t n;
		enum text_csv_type type;
		unsigned line, column;
	} rows[] = {
		{ "a\"b", 3, TEXT_CSV_QUOTE, 1, 2 },
		{ "a,b\nc,d\"", 8, TEXT_CSV_QUOTE, 2, 4 },
		{ "\"a", 2, TEXT_CSV_UNCLOSED, 1, 1 },
		{ "x\ny,\"a\nb", 8, TEXT_CSV_UNCLOSED, 2, 3 },
		{ "\"a\"b", 4, TEXT_CSV_AFTER, 1, 4 },
		{ "\"a\" ,b", 6, TEXT_CSV_AFTER, 1, 4 },
		{ "a\rb", 3, TEXT_CSV_CONTROL, 1, 2 },
		{ "a\r", 2, TEXT_CSV_CONTROL, 1, 2 },
		{ "a,b\0c", 5, TEXT_CSV_CONTROL, 1, 4 },
		{ "\"a\nb\0\"", 6, TEXT_CSV_CONTROL, 2, 2 },
		{ "a,\xff", 3, TEXT_CSV_UTF8, 1, 3 },
		{ "\"x\n\xc0\xaf\"", 6, TEXT_CSV_UTF8, 2, 1 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text_csv_reader reader;
		struct bytes field;
		char out[256];
		enum text_csv_type type =
			read_all(rows[i].text, rows[i].n, out, sizeof(out), &reader);
		if (type != rows[i].type || reader.line != rows[i].line ||
			reader.column != rows[i].column) {
			printf("\nrow %zu: %d at %u:%u\n", i, (int)type, (unsigned)reader.line,
				(unsigned)reader.column);
			CU_FAIL("another place");
		}
		CU_ASSERT_EQUAL(text_csv_next(&reader, NULL, &field), type);
	}
}

static void what_is_written_reads_the_same(void)
{
	static const char *const fields[] = { "", "a", "a,b", "a\"b", "\"", "a\nb", "a\r\nb", "\r",
		" a ", "\xef\xbb\xbf", "中" };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		DEFER(bytes_buf_fini) struct bytes_buf out;
		DEFER(arena_free) struct arena *arena = NULL;
		struct text_csv_reader reader;
		struct bytes field;
		struct err err;
		bytes_buf_init(&out, 1024);
		CU_ASSERT(text_csv_append(&out, bytes_of(fields[i])));
		bytes_buf_append_string(&out, ",end\n");
		CU_ASSERT_EQUAL_FATAL(arena_new(65536, &arena, &err), 0);
		text_csv_init(&reader, bytes_buf_view(&out));
		CU_ASSERT_EQUAL(text_csv_next(&reader, arena, &field), TEXT_CSV_FIELD);
		CU_ASSERT(bytes_eq_string(field, fields[i]));
		CU_ASSERT_EQUAL(text_csv_next(&reader, arena, &field), TEXT_CSV_FIELD);
		CU_ASSERT(bytes_eq_string(field, "end"));
	}
}

static const struct unit_test tests[] = {
	UNIT(rows_and_fields_come_as_rfc_4180_has_them),
	UNIT(what_could_be_read_two_ways_is_refused_with_its_place),
	UNIT(what_is_written_reads_the_same),
};

UNIT_MAIN("text_csv", tests)
