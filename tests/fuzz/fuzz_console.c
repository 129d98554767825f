/*
 * Paths and headers of requests for the console: whatever they hold, the lookup answers with one of
 * the embedded files or with none, and a path below assets/ never with the page.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "console.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = { (const char *)data, size };
	struct console_asset asset = { 0 }, page = { 0 };
	bool accepts_gzip = console_accepts_gzip(input);

	assert(console_find(BYTES("/_/"), accepts_gzip, &page) == CONSOLE_FOUND);
	(void)console_is_unchanged(&page, input);
	if (console_find(input, accepts_gzip, &asset) == CONSOLE_FOUND) {
		assert(asset.body.n > 0 && asset.content_type.n > 0);
		assert(asset.is_gzip <= accepts_gzip);
		if (bytes_starts_with(input, BYTES("/_/assets/")))
			assert(asset.body.p != page.body.p);
		(void)console_is_unchanged(&asset, input);
	}
	return 0;
}
