/*
 * Any bytes as CSV: fields lie inside the text or the arena, places are sane, and what was read,
 * written again and read again is the same.
 */
#include <assert.h>
#include <string.h>

#include "arena.h"
#include "text_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all of text, and writes what it holds into out as CSV. */
static enum text_csv_type copy(struct bytes text, struct arena *arena, struct bytes_buf *out)
{
	struct text_csv_reader reader;
	enum text_csv_type type;
	struct bytes field;
	uint64_t line = 1;
	bool is_first = true;

	text_csv_init(&reader, text);
	while ((type = text_csv_next(&reader, arena, &field)) <= TEXT_CSV_ROW) {
		assert(reader.line >= line && reader.column >= 1);
		line = reader.line;
		if (type == TEXT_CSV_ROW) {
			bytes_buf_append_string(out, "\r\n");
			is_first = true;
			continue;
		}
		assert(field.n <= text.n);
		if (!is_first)
			bytes_buf_append_byte(out, ',');
		is_first = false;
		text_csv_append(out, field);
	}
	assert(text_csv_next(&reader, arena, &field) == type);
	assert(reader.line <= text.n + 1 && reader.column <= text.n + 1);
	return type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DEFER(arena_free) struct arena *arena = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf first, second;
	struct bytes text = { (const char *)data, size };
	struct err err;

	bytes_buf_init(&first, 4 * size + 1024);
	bytes_buf_init(&second, 4 * size + 1024);
	if (arena_new(4 * size + 65536, &arena, &err) < 0)
		return 0;
	enum text_csv_type type = copy(text, arena, &first);
	if (type != TEXT_CSV_END)
		return 0;
	assert(!first.failed);
	assert(copy(bytes_buf_view(&first), arena, &second) == TEXT_CSV_END);
	assert(bytes_eq(bytes_buf_view(&first), bytes_buf_view(&second)));
	return 0;
}
