/*
 * fuzz_config.c - a settings file of any bytes is taken or refused with a message, and what was
 * taken is within its range
 */
#include <stdlib.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct config_row rows[] = {
	{ "a", CONFIG_TEXT, "x", 1, 8, NULL, NULL, "Text", false },
	{ "b", CONFIG_CHOICE, "one", 0, 0, NULL, "one two", "Choice", false },
	{ "c", CONFIG_BOOL, NULL, 0, 0, NULL, NULL, "Bool", false },
	{ "d.e", CONFIG_INTEGER, "4", 1, 64, "threads", NULL, "Integer", false },
	{ "d.f", CONFIG_BYTES, "1 KiB", 1, 1 << 20, NULL, NULL, "Bytes", false },
	{ "g", CONFIG_DURATION, "2 s", 1, 60000, NULL, NULL, "Duration", false },
	{ "h", CONFIG_LIST, "x y", 1, 9, NULL, NULL, "List", false },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	DEFER(config_free) struct config *config = NULL;
	struct err err = { 0 };

	if (config_new(rows, sizeof rows / sizeof rows[0], &config, NULL) < 0)
		abort();
	if (config_load(config, (struct bytes){ (const char *)data, n }, &err) < 0) {
		if (err.code == ERR_NONE || err.message[0] == '\0')
			abort();
		return 0;
	}
	int64_t e = config_int64(config, "d.e"), f = config_int64(config, "d.f");
	if (e < 1 || e > 64 || f < 1 || f > 1 << 20 || config_text(config, "a").n > 8)
		abort();
	return 0;
}
