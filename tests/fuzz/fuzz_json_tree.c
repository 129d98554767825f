/*
 * fuzz_json_tree.c - json-c takes every document that the check accepts, and reads the same one:
 * the written tree and what the pull reader finds at the same place are equal
 */
#include <stdlib.h>

#include "json.h"
#include "text_json_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void write_tree(struct bytes doc, struct bytes_buf *out)
{
	DEFER(json_free) struct json *tree = NULL;
	struct text_json_writer writer;

	if (json_parse(doc, NULL, &tree, NULL) != TEXT_JSON_VALID)
		abort(); /* the check took it, and memory is not short here */
	text_json_writer_init(&writer, out);
	json_write(tree, &writer);
	if (!text_json_write_done(&writer))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes doc = { (const char *)data, n };
	struct text_json_limits limits = TEXT_JSON_LIMITS;
	DEFER(bytes_buf_fini) struct bytes_buf once, twice;

	bytes_buf_init(&once, 1 << 22);
	bytes_buf_init(&twice, 1 << 22);
	if (text_json_check(doc, &limits, NULL) != TEXT_JSON_VALID)
		return 0;
	write_tree(doc, &once);
	if (text_json_check(bytes_buf_view(&once), &limits, NULL) != TEXT_JSON_VALID)
		abort();
	write_tree(bytes_buf_view(&once), &twice);
	if (!bytes_eq(bytes_buf_view(&once), bytes_buf_view(&twice)))
		abort();
	return 0;
}
