#include "id.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void refill(struct id_source *source)
{
	size_t n = 0;

	while (n < sizeof source->pool) {
		ssize_t got = getrandom(source->pool + n, sizeof source->pool - n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		n += (size_t)got;
	}
	source->left = sizeof source->pool;
}

void id_random(struct id_source *source, void *out, size_t n)
{
	assert(n <= sizeof source->pool);
	if (n > source->left)
		refill(source);
	uint8_t *from = source->pool + sizeof source->pool - source->left;
	memcpy(out, from, n);
	explicit_bzero(from, n);
	source->left -= n;
}

void id_record(struct id_source *source, char out[static ID_RECORD_BYTES + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t n = 0;

	while (n < ID_RECORD_BYTES) {
		uint8_t byte;
		id_random(source, &byte, 1);
		/* 252 is the greatest multiple of 36 in a byte: above it the low letters would come
		 * more often. */
		if (byte < 252)
			out[n++] = letters[byte % 36];
	}
	out[n] = '\0';
}
