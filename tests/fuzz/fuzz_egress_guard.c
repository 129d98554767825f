/*
 * fuzz_egress_guard.c - no address that may be refused passes without a range, ranges parse to what
 * they say, and no IPv4 address passes in an IPv6 disguise
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "egress_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_v6(const uint8_t address[16])
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(443) };

	memcpy(&in6.sin6_addr, address, 16);
	if (egress_guard_check((const struct sockaddr *)&in6, sizeof in6, NULL, 0, NULL) !=
		EGRESS_GUARD_ALLOWED)
		return;
	/* What passed is global unicast, and none of the forms that carry an IPv4 address. */
	if (address[0] >> 5 != 1 || (address[0] == 0x20 && address[1] == 0x02) ||
		(address[0] == 0x20 && address[1] == 0x01 && address[2] < 2) ||
		IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) || IN6_IS_ADDR_V4COMPAT(&in6.sin6_addr) ||
		IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) || IN6_IS_ADDR_MULTICAST(&in6.sin6_addr))
		abort();
}

static void check_v4(const uint8_t address[4])
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(443) };
	uint8_t a = address[0], b = address[1];

	memcpy(&in.sin_addr, address, 4);
	if (egress_guard_check((const struct sockaddr *)&in, sizeof in, NULL, 0, NULL) !=
		EGRESS_GUARD_ALLOWED)
		return;
	if (a == 0 || a == 10 || a == 127 || a >= 224 || (a == 172 && b >= 16 && b < 32) ||
		(a == 192 && b == 168) || (a == 169 && b == 254) ||
		(a == 100 && b >= 64 && b < 128))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct egress_range range;
	struct bytes text = { (const char *)data, n };

	if (n >= 16)
		check_v6(data);
	if (n >= 4)
		check_v4(data);
	(void)egress_guard_is_forbidden_name(text);
	if (egress_range_parse(text, &range) &&
		(range.prefix_bits > 8 * range.family_bytes ||
			(range.family_bytes != 4 && range.family_bytes != 16)))
		abort();
	return 0;
}
