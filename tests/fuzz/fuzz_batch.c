/*
 * Any bytes as the body of a batch: what passes the JSON check is walked to its end, and what is
 * taken for a write names a collection and a record that are path segments and nothing more.
 */
#include <assert.h>
#include <string.h>

#include "batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segment(struct bytes text)
{
	assert(!text.n || (!memchr(text.p, '/', text.n) && !memchr(text.p, 0, text.n)));
	assert(!bytes_eq_string(text, ".") && !bytes_eq_string(text, ".."));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_pair headers[] = { { { "x_y", 3 }, { "1", 1 } } };
	const struct record_call outer = { .headers = headers, .n_headers = 1 };
	const struct text_json_limits limits = WRITES_JSON_LIMITS;
	DEFER(arena_free) struct arena *arena = NULL;
	struct bytes body = { (const char *)data, size }, list, element;
	struct text_json_reader reader;
	struct err err;
	size_t n = 0;

	if (text_json_check(body, &limits, NULL) != TEXT_JSON_VALID ||
		text_json_find(body, BYTES("/requests"), &list) != TEXT_JSON_FOUND ||
		!writes_open_array(&reader, list) || arena_new(4u << 20, &arena, &err) < 0)
		return 0;
	while ((element = writes_next_element(&reader)).n > 0 && n++ < RECORD_GROUP_MAX) {
		struct record_item item = { 0 };
		if (!batch_take_item(element, &outer, arena, &item))
			continue;
		const struct record_call *call = &item.call;
		assert(call->collection.n > 0);
		check_segment(call->collection);
		if (item.kind != RECORD_ITEM_UPSERT)
			check_segment(call->id);
		assert((item.kind == RECORD_ITEM_UPDATE || item.kind == RECORD_ITEM_DELETE) <=
			(call->id.n > 0));
		assert(call->n_headers <= 21);
		for (size_t i = 0; i < call->n_headers; i++)
			assert(!bytes_eq_string(call->headers[i].name, "authorization"));
		if (item.kind != RECORD_ITEM_DELETE)
			assert(text_json_check(call->body, &limits, NULL) == TEXT_JSON_VALID);
	}
	return 0;
}
