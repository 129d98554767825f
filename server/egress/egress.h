/*
 * egress.h - HTTP requests to the outside, on one thread, past one guard
 *
 * Requests come from loops, wait on the egress thread in one libcurl multi handle for each tenant
 * (a connection that one tenant opened is never used for another), and end with one message to the
 * loop that sent them. The address guard decides on the socket's address when it is opened, and
 * again before a request goes out on a connection that was open already.
 *
 *     loop 0 --send--> egress thread --+-- multi of tenant A -- connections of A
 *        ^                             +-- multi of tenant B -- connections of B
 *        +------- done message <-------+
 *
 * libcurl follows no redirect. Egress follows up to 3 itself, only to the scheme, host, port
 * and paths that the request was declared for; all others are DENIED. What goes out and what
 * comes back is bounded in bytes and in time, counted in the callbacks.
 *
 * Threads: egress_send and egress_cancel on the sender's loop; egress_new and _free anywhere.
 * Memory:  egress copies the request; the response belongs to the message until it is freed.
 */
#ifndef EGRESS_EGRESS_H
#define EGRESS_EGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "egress_guard.h"
#include "err.h"
#include "id.h"
#include "loop.h"
#include "metrics.h"

struct egress;

struct egress_options {
	uint32_t max_requests;            /* in flight over all tenants; 0: 512 */
	uint32_t max_requests_per_tenant; /* 0: 64 */
	uint32_t max_tenants;    /* with open connections, least recently used closed; 0: 64 */
	unsigned thread_index;   /* the egress thread's loop index, and its shard of metrics */
	struct metrics *metrics; /* may be NULL */
	/* Looks a name up, on a thread that may block; writes at most cap addresses (their port
	 * does not matter) and returns how many. NULL: the system's resolver. */
	size_t (*resolve)(const char *host, struct sockaddr_storage *addresses, size_t cap);
};

/* Starts the thread. Returns 0, or -1 (ERR_NOMEM, ERR_IO). */
int egress_new(const struct egress_options *options, struct egress **ret, struct err *err);
/* Cancels what is under way (each sender still gets its message), stops the thread and waits for
 * it. The loops must not have been freed yet. Takes NULL. */
void egress_free(struct egress *egress);

enum egress_outcome {
	EGRESS_OK,          /* an answer came, whatever its status */
	EGRESS_DENIED,      /* refused by the guard or by a rule; reason says which */
	EGRESS_TIMEOUT,     /* the time was over */
	EGRESS_UNREACHABLE, /* no such name, connection refused or reset, TLS failed */
	EGRESS_TOO_BIG,     /* the answer passed max_response_bytes or 64 KiB of headers */
	EGRESS_CANCELLED,   /* by egress_cancel, or egress stopped */
	EGRESS_BUSY         /* too many requests in flight: of this tenant, or of all */
};

struct egress_header {
	struct bytes name, value;
};

struct egress_request {
	struct bytes tenant; /* the key of its connections; 1 to 64 bytes */
	struct bytes scheme; /* "https", or "http" where the manifest says so */
	struct bytes host;   /* as declared: a name or an address, IPv6 without brackets */
	uint16_t port;
	struct bytes method; /* GET HEAD POST PUT PATCH DELETE OPTIONS */
	struct bytes
		target; /* path and query; starts with '/', nothing of a path is escaped in it */
	/* What the path may be, here and where a redirect leads: each is a whole path, or the
	 * beginning of one when it ends in '*'. At least one. */
	const struct bytes *paths;
	size_t n_paths;
	const struct egress_header *headers; /* a forbidden one is DENIED, not left out */
	size_t n_headers;
	/* Headers that the core adds itself after all checks (credentials): not subject to the list
	 * of forbidden names, sent to the declared host only, and blotted out of the answer. */
	const struct egress_header *secret_headers;
	size_t n_secret_headers;
	struct bytes body;
	uint32_t timeout_ms;       /* in all, 1 to 10000 */
	size_t max_response_bytes; /* of the body, at most 64 MiB */
	const struct egress_range *allowed;
	size_t n_allowed;
	uint8_t trace_id[ID_TRACE_BYTES]; /* all zero: no traceparent is sent */
};

struct egress_response {
	struct loop_message message; /* first: delivered on the sender's loop */
	enum egress_outcome outcome;
	const char *reason; /* static; never NULL: "private", "redirect", "header", ... */
	void *user;
	void (*on_done)(struct egress_response *response);
	int status;                    /* of EGRESS_OK */
	struct egress_header *headers; /* filtered: no hop-by-hop, no Set-Cookie */
	size_t n_headers;
	struct bytes body;
	uint64_t duration_ns;
	uint64_t bytes_out, bytes_in;
	char address[64]; /* "203.0.113.7:443", what was connected to last; may be "" */
};

/* A request under way; the number 0 is none. */
struct egress_handle {
	uint64_t id;
};

/* Sends request; on_done is called exactly once, on loop's thread, never from within this call, and
 * owns the response: it frees it with egress_response_free, at once or later. Returns 0, or -1
 * (ERR_NOMEM), in which case on_done is not called. */
int egress_send(struct egress *egress, const struct egress_request *request, struct loop *loop,
	void (*on_done)(struct egress_response *response), void *user, struct egress_handle *ret,
	struct err *err);
/* Closes the request's connection within 100 ms; on_done comes with EGRESS_CANCELLED, or with what
 * was under way already. Harmless when it has ended. */
void egress_cancel(struct egress *egress, struct egress_handle handle);
void egress_response_free(struct egress_response *response);

/* The outcome as a word: "denied". */
const char *egress_outcome_name(enum egress_outcome outcome);

DEFER_DEFINE(struct egress *, egress_free)
DEFER_DEFINE(struct egress_response *, egress_response_free)

#endif
