#include "http_forward.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* An address without anything around it. */
static bool parse_address(struct bytes text, uint8_t out[static 16], bool *ret_is_v4)
{
	char string[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (text.n == 0 || memchr(text.p, '\0', text.n) ||
		!bytes_to_string(text, string, sizeof string))
		return false;
	*ret_is_v4 = inet_pton(AF_INET, string, &v4) == 1;
	if (*ret_is_v4) {
		memcpy(out, v4_prefix, sizeof v4_prefix);
		memcpy(out + sizeof v4_prefix, &v4, sizeof v4);
		return true;
	}
	return inet_pton(AF_INET6, string, out) == 1;
}

static size_t format_address(const uint8_t address[static 16], char out[static HTTP_FORWARD_TEXT])
{
	bool is_v4 = memcmp(address, v4_prefix, sizeof v4_prefix) == 0;
	const void *from = is_v4 ? address + sizeof v4_prefix : address;

	return inet_ntop(is_v4 ? AF_INET : AF_INET6, from, out, HTTP_FORWARD_TEXT) ? strlen(out)
										   : 0;
}

/* Whether the first n_bits are equal. */
static bool agree(const uint8_t *a, const uint8_t *b, unsigned n_bits)
{
	unsigned n = n_bits / 8, rest = n_bits % 8;

	return memcmp(a, b, n) == 0 &&
	       (rest == 0 || ((a[n] ^ b[n]) & (uint8_t)(0xff00 >> rest)) == 0);
}

bool http_network_parse(struct bytes text, struct http_network *ret)
{
	static const uint8_t mapped_v4[16] = { [10] = 0xff, [11] = 0xff };
	const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	struct bytes host = { text.p, slash ? (size_t)(slash - text.p) : text.n };
	struct http_network network;
	uint64_t n_bits;
	bool is_v4;

	if (!parse_address(host, network.address, &is_v4))
		return false;
	n_bits = is_v4 ? 32 : 128;
	if (slash &&
		!bytes_parse_u64((struct bytes){ slash + 1, text.n - host.n - 1 }, n_bits, &n_bits))
		return false;
	network.n_bits = (unsigned)n_bits + (is_v4 ? 96 : 0);
	/* 10.1.2.3/16 is a slip of the pen: rather ask than trust a network that was not meant. */
	for (unsigned bit = network.n_bits; bit < 128; bit++)
		if (network.address[bit / 8] & (0x80 >> bit % 8))
			return false;
	/* Nobody trusts the whole world, or all of IPv4 by way of a short IPv6 prefix. */
	if (network.n_bits == (is_v4 ? 96u : 0u) ||
		(!is_v4 && network.n_bits <= 96 &&
			agree(network.address, mapped_v4, network.n_bits)))
		return false;
	*ret = network;
	return true;
}

static bool is_trusted(const struct http_forward *forward, const uint8_t address[static 16])
{
	for (size_t i = 0; i < forward->n_trusted; i++)
		if (agree(forward->trusted[i].address, address, forward->trusted[i].n_bits))
			return true;
	return false;
}

static struct bytes trim(struct bytes text)
{
	while (text.n && (text.p[0] == ' ' || text.p[0] == '\t'))
		text = (struct bytes){ text.p + 1, text.n - 1 };
	while (text.n && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
		text.n--;
	return text;
}

static bool is_port(struct bytes text)
{
	uint64_t port;

	return bytes_parse_u64(text, 65535, &port);
}

/* One hop: an address, "a.b.c.d:port", "[v6]" or "[v6]:port". */
static bool parse_hop(struct bytes text, uint8_t out[static 16])
{
	const char *end = text.n ? memchr(text.p, ']', text.n) : NULL;
	const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
	bool is_v4;

	if (text.n && text.p[0] == '[') {
		if (!end)
			return false;
		struct bytes rest = { end + 1, text.n - (size_t)(end + 1 - text.p) };
		text = (struct bytes){ text.p + 1, (size_t)(end - text.p) - 1 };
		if (rest.n &&
			(rest.p[0] != ':' || !is_port((struct bytes){ rest.p + 1, rest.n - 1 })))
			return false;
		return parse_address(text, out, &is_v4) && !is_v4;
	}
	/* One colon parts a port; two are of IPv6. */
	if (colon && !memchr(colon + 1, ':', text.n - (size_t)(colon + 1 - text.p))) {
		struct bytes port = { colon + 1, text.n - (size_t)(colon + 1 - text.p) };
		text.n = (size_t)(colon - text.p);
		return is_port(port) && parse_address(text, out, &is_v4) && is_v4;
	}
	return parse_address(text, out, &is_v4);
}

/* All hops in their order; false when there are none or too many, or one is no address. */
static bool parse_hops(const struct bytes *values, size_t n_values,
	uint8_t out[HTTP_FORWARD_HOPS_MAX][16], size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < n_values; i++) {
		struct bytes rest = values[i];
		bool has_more = true;
		while (has_more) {
			const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
			struct bytes hop = { rest.p, comma ? (size_t)(comma - rest.p) : rest.n };
			if (n == HTTP_FORWARD_HOPS_MAX || !parse_hop(trim(hop), out[n++]))
				return false;
			has_more = comma;
			if (comma)
				rest = (struct bytes){ comma + 1, rest.n - hop.n - 1 };
		}
	}
	*ret_n = n;
	return n > 0;
}

size_t http_forward_address(const struct http_forward *forward, struct bytes peer,
	const struct bytes *values, size_t n_values, char out[static HTTP_FORWARD_TEXT])
{
	uint8_t hops[HTTP_FORWARD_HOPS_MAX][16], client[16];
	size_t n = 0;
	bool is_v4;

	out[0] = '\0';
	if (!parse_address(peer, client, &is_v4))
		return 0;
	if (is_trusted(forward, client) && parse_hops(values, n_values, hops, &n)) {
		/* If all are ours, the farthest is who asked. */
		while (n > 1 && is_trusted(forward, hops[n - 1]))
			n--;
		memcpy(client, hops[n - 1], sizeof client);
	}
	return format_address(client, out);
}

size_t http_forward_of(const struct http_forward *forward, const struct http_request *request,
	char out[static HTTP_FORWARD_TEXT])
{
	struct bytes values[HTTP_FORWARD_HOPS_MAX + 1], peer = http_peer(request);
	struct bytes name = bytes_of(forward->header);
	struct http_header header;
	size_t n = 0;

	/* The usual server believes nobody. */
	if (!forward->n_trusted)
		return bytes_to_string(peer, out, HTTP_FORWARD_TEXT) ? peer.n : 0;
	for (size_t i = 0; n <= HTTP_FORWARD_HOPS_MAX && http_header_at(request, i, &header); i++)
		if (bytes_eq_nocase(header.name, name))
			values[n++] = header.value;
	return http_forward_address(forward, peer, values, n, out);
}
