/*
 * fuzz_query.c - decoded paths and queries keep their promises, and encoding gives them back
 */
#include <stdlib.h>
#include <string.h>

#include "text_url.h"
#include "text_utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(claim)                                                                              \
	do {                                                                                       \
		if (!(claim))                                                                      \
			abort();                                                                   \
	} while (0)

static void check_round_trip(struct bytes text, struct arena *arena)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct bytes back;

	bytes_buf_init(&out, 1 << 20);
	EXPECT(text_url_encode(&out, text));
	EXPECT(text_url_value(bytes_buf_view(&out), arena, &back) == TEXT_URL_OK);
	EXPECT(bytes_eq(back, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes text = { (const char *)data, n }, key, value;
	DEFER(arena_free) struct arena *arena = NULL;
	struct text_url_query query;

	EXPECT(arena_new(1 << 22, &arena, NULL) == 0);
	text_url_query_init(&query, text, 64);
	while (text_url_query_next(&query, arena, &key, &value) == TEXT_URL_OK) {
		EXPECT(text_utf8_is_valid(key) && text_utf8_is_valid(value));
		EXPECT(!value.n || !memchr(value.p, 0, value.n));
		check_round_trip(value, arena);
	}
	if (text_url_segment(text, arena, &value) == TEXT_URL_OK) {
		EXPECT(value.n > 0 && text_utf8_is_valid(value));
		for (size_t i = 0; i < value.n; i++)
			EXPECT((uint8_t)value.p[i] >= 0x20 && !strchr("/\\\x7f", value.p[i]));
		EXPECT(!bytes_eq(value, BYTES(".")) && !bytes_eq(value, BYTES("..")));
	}
	return 0;
}
