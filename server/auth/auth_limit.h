/*
 * auth_limit.h - how often: token buckets in a table of fixed size
 *
 * A bucket holds max_requests tokens and is filled evenly in duration_s. Which bucket it is, its
 * parts say: a rule, a client, an account. A bucket is two numbers, its key and the time at which
 * it will be full again; the table has shards with a lock each, so that loops do not meet. Neither
 * a flood of names nor one of addresses makes it grow: when a set is full the bucket nearest to
 * full is forgotten, which lets a few more through, never fewer.
 *
 * Threads: any. Memory: none of the caller's is kept.
 */
#ifndef AUTH_AUTH_LIMIT_H
#define AUTH_AUTH_LIMIT_H

#include "auth.h"

struct auth_rate {
	uint32_t max_requests; /* 1 or more */
	uint32_t duration_s;   /* 1 or more */
};

struct auth_limit_verdict {
	bool is_allowed;
	uint32_t limit, remaining; /* tokens */
	uint32_t reset_s;          /* until the bucket is full */
	uint32_t retry_s;          /* unless allowed: until there is a token again */
};

/* Takes a token out of the bucket that the parts name together; letters' case does not matter. */
struct auth_limit_verdict auth_limit_take(
	struct auth *auth, struct auth_rate rate, const struct bytes *parts, size_t n_parts);

#endif
