/*
 * egress_rules.h - what a request may look like, and what of an answer is passed on (private to
 * egress)
 *
 * Pure checks, without a network: everything here works on bytes that a plugin or an upstream made
 * up.
 */
#ifndef EGRESS_RULES_H
#define EGRESS_RULES_H

#include "egress.h"

#define EGRESS_RULES_PATHS         256
#define EGRESS_RULES_TARGET_BYTES  8192
#define EGRESS_RULES_HEADERS       64
#define EGRESS_RULES_HEADERS_BYTES (64u << 10)
#define EGRESS_RULES_BODY_BYTES    (16u << 20)
#define EGRESS_RULES_ANSWER_BYTES  (64u << 20)
#define EGRESS_RULES_TIMEOUT_MS    10000

/* NULL when the request may be sent, else the reason of its denial: a static word. */
const char *egress_rules_check(const struct egress_request *request);

/* True for a path and query that may be sent: visible ASCII, '/' first, no fragment, no "//", no
 * "." or
 * ".." segment, and no dot, slash, backslash or NUL escaped in the path: every server reads it the
 * same way, so that what it begins with means something. */
bool egress_rules_is_target(struct bytes target);

/* True when the path of target is one of paths, or begins with one of those that end in '*'. */
bool egress_rules_is_among(struct bytes target, const struct bytes *paths, size_t n_paths);

/* True for a host that is a plain name, an IPv4 or an IPv6 address: nothing that needs decoding. */
bool egress_rules_is_host(struct bytes host);

/* True when a header of an answer is passed on: well-formed, and neither about the connection nor
 * an attempt to set something in a browser. */
bool egress_rules_passes_header(struct bytes name, struct bytes value);

/* Overwrites with '*' each place in data where a secret stands: the whole value of a secret header,
 * or what follows the space in it ("Bearer xyz"). */
void egress_rules_blot_out(
	char *data, size_t n, const struct egress_header *secrets, size_t n_secrets);

#endif
