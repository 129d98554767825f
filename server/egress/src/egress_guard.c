#include "egress_guard.h"

#include <arpa/inet.h>
#include <string.h>

/* A network and what it is. bits counts from the first byte. The first row that matches decides. */
struct network {
	uint8_t address[16];
	uint8_t bits;
	enum egress_guard_verdict verdict;
};

static const struct network networks_v4[] = {
	/* Metadata services come first: some sit inside networks that are refused for other
	 * reasons, and one at an address that is otherwise public. */
	{ { 169, 254, 169, 254 }, 32, EGRESS_GUARD_METADATA }, /* AWS, GCP, Azure, many others */
	{ { 169, 254, 170, 2 }, 32, EGRESS_GUARD_METADATA },   /* AWS, container credentials */
	{ { 169, 254, 170, 23 }, 32, EGRESS_GUARD_METADATA },  /* AWS, pod identity */
	{ { 100, 100, 100, 200 }, 32, EGRESS_GUARD_METADATA }, /* Alibaba */
	{ { 168, 63, 129, 16 }, 32, EGRESS_GUARD_METADATA },   /* Azure, a public range */
	{ { 192, 0, 0, 192 }, 32, EGRESS_GUARD_METADATA },     /* Oracle */
	{ { 0 }, 8, EGRESS_GUARD_THIS_HOST }, { { 127 }, 8, EGRESS_GUARD_THIS_HOST },
	{ { 10 }, 8, EGRESS_GUARD_PRIVATE },
	{ { 100, 64 }, 10, EGRESS_GUARD_PRIVATE }, /* shared by carriers, RFC 6598 */
	{ { 169, 254 }, 16, EGRESS_GUARD_PRIVATE }, { { 172, 16 }, 12, EGRESS_GUARD_PRIVATE },
	{ { 192, 168 }, 16, EGRESS_GUARD_PRIVATE }, { { 192, 0, 0 }, 24, EGRESS_GUARD_RESERVED },
	{ { 192, 0, 2 }, 24, EGRESS_GUARD_RESERVED },
	{ { 192, 88, 99 }, 24, EGRESS_GUARD_RESERVED }, /* 6to4 relays */
	{ { 198, 18 }, 15, EGRESS_GUARD_RESERVED },     /* benchmarking */
	{ { 198, 51, 100 }, 24, EGRESS_GUARD_RESERVED },
	{ { 203, 0, 113 }, 24, EGRESS_GUARD_RESERVED }, { { 224 }, 4, EGRESS_GUARD_RESERVED },
	{ { 240 }, 4, EGRESS_GUARD_RESERVED }, /* 255.255.255.255 too */
};

static const struct network networks_v6[] = {
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 }, 128, EGRESS_GUARD_METADATA }, /* AWS */
	{ { 0 }, 128, EGRESS_GUARD_THIS_HOST }, { { [15] = 1 }, 128, EGRESS_GUARD_THIS_HOST },
	/* Forms that carry an IPv4 address: all refused, whatever they carry. */
	{ { 0 }, 96, EGRESS_GUARD_EMBEDDED },                                  /* ::a.b.c.d */
	{ { [10] = 0xff, [11] = 0xff }, 96, EGRESS_GUARD_EMBEDDED },           /* mapped */
	{ { [8] = 0xff, [9] = 0xff }, 96, EGRESS_GUARD_EMBEDDED },             /* translated */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, EGRESS_GUARD_EMBEDDED },             /* NAT64 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, EGRESS_GUARD_EMBEDDED }, /* local NAT64 */
	{ { 0x20, 0x02 }, 16, EGRESS_GUARD_EMBEDDED },                         /* 6to4 */
	{ { 0x20, 0x01, 0x00, 0x00 }, 32, EGRESS_GUARD_EMBEDDED },             /* Teredo */
	{ { 0xfc }, 7, EGRESS_GUARD_PRIVATE }, { { 0xfe, 0x80 }, 10, EGRESS_GUARD_PRIVATE },
	{ { 0xfe, 0xc0 }, 10, EGRESS_GUARD_PRIVATE },
	{ { 0x20, 0x01, 0x00 }, 23, EGRESS_GUARD_RESERVED }, /* protocol assignments, ORCHID */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, EGRESS_GUARD_RESERVED }, /* documentation */
	{ { 0x3f, 0xff, 0x00 }, 20, EGRESS_GUARD_RESERVED },       /* documentation */
};

/* Ports of services that speak something else than HTTP and might take a request for a command of
 * theirs, or that are administration. Sorted. */
static const uint16_t forbidden_ports[] = { 0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37,
	42, 43, 53, 67, 68, 69, 77, 79, 87, 88, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115,
	117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 464, 465, 512, 513,
	514, 515, 526, 530, 531, 532, 540, 543, 544, 548, 554, 556, 563, 587, 593, 601, 623, 631,
	636, 873, 989, 990, 992, 993, 995, 1080, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375,
	2376, 2379, 2380, 3128, 3260, 3268, 3269, 3306, 3389, 3659, 4045, 4369, 5060, 5061, 5432,
	5672, 5900, 5985, 5986, 6000, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6697,
	8089, 9042, 9092, 9100, 9200, 9300, 10080, 10250, 10255, 11211, 16379, 25565, 26379, 27017,
	27018, 50000 };

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(address, prefix, whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

static enum egress_guard_verdict classify_v4(const uint8_t address[4])
{
	for (size_t i = 0; i < sizeof networks_v4 / sizeof networks_v4[0]; i++)
		if (has_prefix(address, networks_v4[i].address, networks_v4[i].bits))
			return networks_v4[i].verdict;
	return EGRESS_GUARD_ALLOWED;
}

static enum egress_guard_verdict classify_v6(const uint8_t address[16])
{
	for (size_t i = 0; i < sizeof networks_v6 / sizeof networks_v6[0]; i++)
		if (has_prefix(address, networks_v6[i].address, networks_v6[i].bits))
			return networks_v6[i].verdict;
	/* ISATAP carries an IPv4 address behind 0000:5efe or 0200:5efe, in any network. */
	if ((address[8] & 0xfd) == 0 && address[9] == 0 && address[10] == 0x5e &&
		address[11] == 0xfe)
		return EGRESS_GUARD_EMBEDDED;
	/* Only 2000::/3 has been given out as global unicast. */
	return address[0] >> 5 == 1 ? EGRESS_GUARD_ALLOWED : EGRESS_GUARD_RESERVED;
}

static bool is_forbidden_port(uint16_t port)
{
	for (size_t i = 0; i < sizeof forbidden_ports / sizeof forbidden_ports[0]; i++)
		if (forbidden_ports[i] == port)
			return true;
	return false;
}

/* The parts of a socket address that decide. */
struct target {
	const uint8_t *address;
	uint8_t n_bytes;
	uint16_t port;
};

static bool take_apart(const struct sockaddr *address, socklen_t n, struct target *ret)
{
	if (n >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
		*ret = (struct target){ (const uint8_t *)&in->sin_addr, 4, ntohs(in->sin_port) };
		return true;
	}
	if (n >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)address;
		*ret = (struct target){ (const uint8_t *)&in->sin6_addr, 16, ntohs(in->sin6_port) };
		return true;
	}
	return false;
}

static bool is_own_address(const struct target *target, const struct egress_guard_self *self)
{
	for (size_t i = 0; self && i < self->n_addresses; i++) {
		struct target own;
		const struct sockaddr_storage *address = &self->addresses[i];
		if (take_apart((const struct sockaddr *)address, sizeof *address, &own) &&
			own.n_bytes == target->n_bytes &&
			memcmp(own.address, target->address, own.n_bytes) == 0)
			return true;
	}
	return false;
}

/* Does an operator's range let it pass? A metadata service only when the range is that one address:
 * who allows a whole network does not think of it. */
static bool is_in_range(const struct target *target, enum egress_guard_verdict verdict,
	const struct egress_range *range)
{
	if (range->family_bytes != target->n_bytes ||
		!has_prefix(target->address, range->address, range->prefix_bits))
		return false;
	if (verdict == EGRESS_GUARD_METADATA && range->prefix_bits < 8 * target->n_bytes)
		return false;
	if (target->port == 0)
		return false;
	return range->port ? range->port == target->port : !is_forbidden_port(target->port);
}

enum egress_guard_verdict egress_guard_check(const struct sockaddr *address, socklen_t n,
	const struct egress_range *allowed, size_t n_allowed, const struct egress_guard_self *self)
{
	struct target target;

	if (!take_apart(address, n, &target))
		return EGRESS_GUARD_FAMILY;
	enum egress_guard_verdict verdict =
		target.n_bytes == 4 ? classify_v4(target.address) : classify_v6(target.address);
	if (verdict == EGRESS_GUARD_ALLOWED && is_own_address(&target, self))
		verdict = EGRESS_GUARD_THIS_HOST;
	if (verdict == EGRESS_GUARD_ALLOWED && is_forbidden_port(target.port))
		verdict = EGRESS_GUARD_PORT;
	for (size_t i = 0; verdict != EGRESS_GUARD_ALLOWED && i < n_allowed; i++)
		if (is_in_range(&target, verdict, &allowed[i]))
			return EGRESS_GUARD_ALLOWED;
	return verdict;
}

/* "address/bits" into ret, which knows its family by what inet_pton takes. */
static bool parse_network(struct bytes text, struct egress_range *ret)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = memchr(text.p, '/', text.n);
	uint64_t bits;

	if (!slash || !bytes_to_string((struct bytes){ text.p, (size_t)(slash - text.p) }, address,
			      sizeof address))
		return false;
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	ret->family_bytes = family == AF_INET6 ? 16 : 4;
	struct bytes digits = { slash + 1, text.n - (size_t)(slash + 1 - text.p) };
	if (inet_pton(family, address, ret->address) != 1 ||
		!bytes_parse_u64(digits, 8u * ret->family_bytes, &bits))
		return false;
	ret->prefix_bits = (uint8_t)bits;
	/* Bits beyond the prefix would say something else than the network that is matched. */
	for (unsigned bit = ret->prefix_bits; bit < 8u * ret->family_bytes; bit++)
		if (ret->address[bit / 8] >> (7 - bit % 8) & 1)
			return false;
	return true;
}

bool egress_range_parse(struct bytes text, struct egress_range *ret)
{
	struct egress_range range = { 0 };
	struct bytes network = text, port = { 0 };

	if (text.n == 0 || memchr(text.p, 0, text.n))
		return false;
	if (text.p[0] == '[') {
		const char *close = memchr(text.p, ']', text.n);
		if (!close)
			return false;
		network = (struct bytes){ text.p + 1, (size_t)(close - text.p) - 1 };
		port = (struct bytes){ close + 1, text.n - (size_t)(close + 1 - text.p) };
	} else {
		const char *colon = memchr(text.p, ':', text.n);
		if (colon) {
			network.n = (size_t)(colon - text.p);
			port = (struct bytes){ colon, text.n - network.n };
		}
	}
	if (network.n == 0 || !parse_network(network, &range))
		return false;
	if ((text.p[0] == '[') != (range.family_bytes == 16))
		return false;
	if (port.n > 0) {
		uint64_t number;
		if (port.p[0] != ':' ||
			!bytes_parse_u64(
				(struct bytes){ port.p + 1, port.n - 1 }, 65535, &number) ||
			number == 0)
			return false;
		range.port = (uint16_t)number;
	}
	*ret = range;
	return true;
}

bool egress_guard_is_forbidden_name(struct bytes host)
{
	static const char *const names[] = { "metadata.google.internal", "metadata.goog",
		"metadata", "metadata.amazonaws.com", "instance-data", "instance-data.ec2.internal",
		"metadata.azure.internal", "metadata.azure.com", "metadata.tencentyun.com" };

	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (bytes_eq_nocase(host, bytes_of(names[i])))
			return true;
	return false;
}

const char *egress_guard_name(enum egress_guard_verdict verdict)
{
	static const char *const names[] = {
		[EGRESS_GUARD_ALLOWED] = "allowed",
		[EGRESS_GUARD_FAMILY] = "address_family",
		[EGRESS_GUARD_PORT] = "port",
		[EGRESS_GUARD_THIS_HOST] = "this_host",
		[EGRESS_GUARD_PRIVATE] = "private",
		[EGRESS_GUARD_METADATA] = "metadata",
		[EGRESS_GUARD_RESERVED] = "reserved",
		[EGRESS_GUARD_EMBEDDED] = "embedded_ipv4",
	};
	size_t i = (size_t)verdict;

	return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}
