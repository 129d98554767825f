/* The body of PATCH /api/settings: whatever it is, what was taken of it reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Takes doc over the defaults; the settings as JSON, or nothing when there was a problem. */
static bool take(struct bytes doc, struct bytes_buf *out)
{
	DEFER(json_free) struct json *tree = NULL;
	DEFER(settings_unref) struct settings *settings = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf told;
	struct settings_problems problems = { 0 };
	struct text_json_writer json;

	bytes_buf_init(&told, 1 << 16);
	if (json_parse(doc, NULL, &tree, NULL) != TEXT_JSON_VALID)
		return false;
	text_json_writer_init(&problems.writer, &told);
	text_json_begin_object(&problems.writer);
	if (settings_new(&settings, NULL) < 0 || settings_take(settings, tree, &problems, NULL) < 0)
		return false;
	text_json_end_object(&problems.writer);
	if (!text_json_write_done(&problems.writer))
		abort();
	if (problems.n > 0)
		return false;
	text_json_writer_init(&json, out);
	settings_write(&json, settings);
	return text_json_write_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes_buf first, second;

	bytes_buf_init(&first, 1 << 18);
	bytes_buf_init(&second, 1 << 18);
	if (take((struct bytes){ (const char *)data, n }, &first) &&
		(!take(bytes_buf_view(&first), &second) ||
			!bytes_eq(bytes_buf_view(&first), bytes_buf_view(&second))))
		abort();
	bytes_buf_fini(&first);
	bytes_buf_fini(&second);
	return 0;
}
