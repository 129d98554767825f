/*
 * fuzz_forward.c - lists of forwarded addresses: the answer is always an address, and one that
 * somebody who is believed has named
 *
 * Input: the peer and the header's values, a line each; the first line is the list of networks.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "http_forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(claim)                                                                              \
	do {                                                                                       \
		if (!(claim))                                                                      \
			abort();                                                                   \
	} while (0)

#define LINES_MAX 8

static bool is_address(const char *text)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes rest = { (const char *)data, n }, lines[LINES_MAX];
	struct http_forward forward = { .header = "X-Forwarded-For" }, nobody = forward;
	char seen[HTTP_FORWARD_TEXT], peer[HTTP_FORWARD_TEXT];
	size_t n_lines = 0;

	while (n_lines < LINES_MAX) {
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
		lines[n_lines++] = (struct bytes){ rest.p, end ? (size_t)(end - rest.p) : rest.n };
		if (!end)
			break;
		rest = (struct bytes){ end + 1, rest.n - (size_t)(end + 1 - rest.p) };
	}
	if (n_lines < 2)
		return 0;
	if (http_network_parse(lines[0], &forward.trusted[0])) {
		EXPECT(forward.trusted[0].n_bits > 0 && forward.trusted[0].n_bits <= 128);
		forward.n_trusted = 1;
	}
	size_t n_seen = http_forward_address(&forward, lines[1], lines + 2, n_lines - 2, seen);
	size_t n_peer = http_forward_address(&nobody, lines[1], lines + 2, n_lines - 2, peer);

	EXPECT((n_seen == 0) == (n_peer == 0));
	if (n_seen == 0)
		return 0;
	EXPECT(n_seen == strlen(seen) && is_address(seen) && is_address(peer));
	/* Nobody trusted: whatever was sent changes nothing. */
	if (forward.n_trusted == 0)
		EXPECT(strcmp(seen, peer) == 0);
	return 0;
}
