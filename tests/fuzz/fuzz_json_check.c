/*
 * fuzz_json_check.c - what the check accepts, the reader walks to its end, the writer writes again,
 * and the check accepts that too; what it refuses, the reader survives
 */
#include <stdlib.h>

#include "text_json_reader.h"
#include "text_json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(claim)                                                                              \
	do {                                                                                       \
		if (!(claim))                                                                      \
			abort();                                                                   \
	} while (0)

/* Writes what the reader gives. Returns true when it gave a whole document. */
static bool copy(struct bytes doc, struct arena *arena, struct text_json_writer *w)
{
	struct text_json_reader reader;
	struct text_json_token t;
	struct bytes text;
	int64_t integer;
	double number;

	text_json_reader_init(&reader, doc);
	for (;;)
		switch (text_json_next(&reader, &t)) {
		case TEXT_JSON_END:
			return text_json_write_done(w);
		case TEXT_JSON_BROKEN:
			return false;
		case TEXT_JSON_KEY:
		case TEXT_JSON_STRING:
			if (!text_json_text(&t, arena, &text))
				return false;
			EXPECT(text_json_is(&t, text));
			if (t.type == TEXT_JSON_KEY)
				text_json_write_key(w, text);
			else
				text_json_write_string(w, text);
			break;
		case TEXT_JSON_INTEGER:
			if (!text_json_int64(&t, &integer))
				return false;
			text_json_write_int64(w, integer);
			break;
		case TEXT_JSON_DOUBLE:
			if (!text_json_double(&t, &number))
				return false;
			text_json_write_double(w, number);
			break;
		case TEXT_JSON_OBJECT:
			text_json_begin_object(w);
			break;
		case TEXT_JSON_OBJECT_END:
			text_json_end_object(w);
			break;
		case TEXT_JSON_ARRAY:
			text_json_begin_array(w);
			break;
		case TEXT_JSON_ARRAY_END:
			text_json_end_array(w);
			break;
		default:
			if (t.type == TEXT_JSON_NULL)
				text_json_write_null(w);
			else
				text_json_write_bool(w, t.type == TEXT_JSON_TRUE);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes doc = { (const char *)data, n }, found;
	struct text_json_limits limits = TEXT_JSON_LIMITS;
	DEFER(arena_free) struct arena *arena = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf once, twice;
	struct text_json_writer w;
	size_t offset;

	bytes_buf_init(&once, 1 << 22);
	bytes_buf_init(&twice, 1 << 22);
	EXPECT(arena_new(1 << 22, &arena, NULL) == 0);
	enum text_json_verdict verdict = text_json_check(doc, &limits, &offset);
	EXPECT(offset <= n);
	text_json_writer_init(&w, &once);
	bool is_copied = copy(doc, arena, &w);
	(void)text_json_find(doc, BYTES("/a/0/b"), &found);
	if (verdict != TEXT_JSON_VALID)
		return 0;
	EXPECT(is_copied);
	EXPECT(text_json_check(bytes_buf_view(&once), &limits, NULL) == TEXT_JSON_VALID);
	text_json_writer_init(&w, &twice);
	EXPECT(copy(bytes_buf_view(&once), arena, &w));
	EXPECT(bytes_eq(bytes_buf_view(&once), bytes_buf_view(&twice)));
	EXPECT(text_json_find(doc, BYTES(""), &found) == TEXT_JSON_FOUND);
	EXPECT(text_json_check(found, &limits, NULL) == TEXT_JSON_VALID);
	return 0;
}
