/*
 * http_forward.h - whose word about the client's address is believed
 *
 * A proxy in front hides the client behind its own address and says in a header who it was. Anybody
 * can send such a header, so it counts only when the peer is one of the configured proxies, and of
 * a list only as far as those vouch for it: from the right, past every trusted proxy, the first
 * other address is the client's. A value that is not a list of addresses says nothing at all.
 *
 * Threads: a struct http_forward is read by all once it is filled. Memory: the caller's.
 */
#ifndef HTTP_FORWARD_H
#define HTTP_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "http.h"

#define HTTP_NETWORKS_MAX     32
#define HTTP_FORWARD_HOPS_MAX 32 /* in all values together; more is malformed */
#define HTTP_FORWARD_TEXT     46 /* an IPv6 address and its terminator */
#define HTTP_FORWARD_NAME_MAX 64

struct http_network {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned n_bits;     /* of the 128 that have to agree */
};

struct http_forward {
	struct http_network trusted[HTTP_NETWORKS_MAX];
	size_t n_trusted; /* 0: nobody is believed */
	char header[HTTP_FORWARD_NAME_MAX];
};

/* "10.1.0.0/16", "::1". False when text is none, or has bits set behind its prefix. */
bool http_network_parse(struct bytes text, struct http_network *ret);

/* The client's address as text: what the header's values, in their order, say of a peer that is
 * believed, else the peer's. Returns its length; 0 only when the peer is no address itself. */
size_t http_forward_address(const struct http_forward *forward, struct bytes peer,
	const struct bytes *values, size_t n_values, char out[static HTTP_FORWARD_TEXT]);

/* The same of a request. */
size_t http_forward_of(const struct http_forward *forward, const struct http_request *request,
	char out[static HTTP_FORWARD_TEXT]);

#endif
