/*
 * egress_client.h - a blocking HTTP client for the commands that talk to a running server
 *
 * One request, one answer, on the calling thread; the connection is kept for the next request. It
 * follows no redirect, uses no proxy and no cookie. It is for our own commands on a terminal: the
 * core's loops and what plugins ask for never come here.
 *
 * Threads: a client belongs to one thread. Memory: the answer's body is the caller's bytes_buf.
 */
#ifndef EGRESS_CLIENT_H
#define EGRESS_CLIENT_H

#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"

struct egress_client;

struct egress_client_header {
	const char *name, *value;
};

/* base_url is scheme, host and port without a trailing slash; headers go with every request. */
int egress_client_new(const char *base_url, const struct egress_client_header *headers,
	unsigned n_headers, struct egress_client **ret, struct err *err);
/* Takes NULL. */
void egress_client_free(struct egress_client *client);

/* Sends method and body to path (which starts with '/'). content_type NULL means that there is no
 * body. Returns 0 with the status and the body appended to out (up to its maximum), or -1:
 * ERR_UNAVAILABLE when nobody answers, ERR_TIMEOUT, ERR_LIMIT when the body is longer than out may
 * grow. */
int egress_client_send(struct egress_client *client, const char *method, const char *path,
	const char *content_type, struct bytes body, unsigned timeout_ms, unsigned *ret_status,
	struct bytes_buf *out, struct err *err);

/* A GET whose answer is handed on as it comes: of a 2xx answer to take, piece by piece, of any
 * other to out. timeout_ms is how long nothing may come. An answer that breaks off before its end
 * is ERR_UNAVAILABLE, one that take declines ERR_IO. */
int egress_client_fetch(struct egress_client *client, const char *path, unsigned timeout_ms,
	bool (*take)(void *context, struct bytes data), void *context, unsigned *ret_status,
	struct bytes_buf *out, struct err *err);

DEFER_DEFINE(struct egress_client *, egress_client_free)

#endif
