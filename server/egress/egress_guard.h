/*
 * egress_guard.h - may we connect to this address?
 *
 * A pure function over the address that a socket is about to be connected to. Names, spellings and
 * redirects do not matter here: whatever a URL looked like, and however often a name server changes
 * its mind, the decision falls on the bytes that connect(2) gets. Only addresses of the public
 * Internet pass, and of those no cloud metadata service and no form that carries an IPv4 address
 * inside an IPv6 one.
 *
 * An operator may allow private networks tenant by tenant ("10.1.0.0/16:443"): internal systems and
 * tests need it. An allowed range is the only way past the guard; a metadata service passes only by
 * a range that is exactly its address.
 *
 * Threads: all functions from any thread. Memory: none of its own.
 */
#ifndef EGRESS_EGRESS_GUARD_H
#define EGRESS_EGRESS_GUARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "bytes.h"

enum egress_guard_verdict {
	EGRESS_GUARD_ALLOWED,
	EGRESS_GUARD_FAMILY,    /* neither IPv4 nor IPv6, or not a whole address */
	EGRESS_GUARD_PORT,      /* a port that no upstream may have */
	EGRESS_GUARD_THIS_HOST, /* loopback, unspecified, or an address of our own */
	EGRESS_GUARD_PRIVATE,   /* private, shared, link-local, unique local */
	EGRESS_GUARD_METADATA,  /* a cloud's metadata service */
	EGRESS_GUARD_RESERVED,  /* documentation, benchmarking, multicast, outside global unicast */
	EGRESS_GUARD_EMBEDDED   /* an IPv6 address that carries an IPv4 one */
};

/* A network and a port that an operator allows. IPv4 is kept as it is, never mapped. */
struct egress_range {
	uint8_t address[16];  /* network order; 4 bytes used for IPv4 */
	uint8_t family_bytes; /* 4 or 16 */
	uint8_t prefix_bits;
	uint16_t port; /* 0: any port but the forbidden ones */
};

/* Parses "10.1.0.0/16:443", "127.0.0.1/32:8080", "[fd00::/8]:443"; without ":port" any port. Bits
 * beyond the prefix must be 0. False when text is not that. */
bool egress_range_parse(struct bytes text, struct egress_range *ret);

/* Addresses of this machine (its interfaces and listeners), so that a public address of our own is
 * not an upstream either. */
struct egress_guard_self {
	const struct sockaddr_storage *addresses;
	size_t n_addresses;
};

/* Decides on the address of length n that a socket is about to be connected to. self may be NULL.
 */
enum egress_guard_verdict egress_guard_check(const struct sockaddr *address, socklen_t n,
	const struct egress_range *allowed, size_t n_allowed, const struct egress_guard_self *self);

/* True for names that are refused before they are looked up: metadata.google.internal and its like.
 * Case and one trailing dot do not matter. */
bool egress_guard_is_forbidden_name(struct bytes host);

/* The verdict as a word for logs and audit records: "private". */
const char *egress_guard_name(enum egress_guard_verdict verdict);

#endif
