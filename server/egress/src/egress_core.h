/*
 * egress_core.h - the parts of egress and the life of one call (private to egress)
 *
 *     send        start message       names known          transfer done
 *   (sender) --> ( egress thread: --> RESOLVING --> TRANSFERRING --> answered ) --> message to
 * sender |               |  ^ |               |  | redirect, up to 3 times
 *                                        +--- denied ----+--+--- cancelled, timed out
 *
 * A call belongs to the egress thread from its start message on. It is freed when it was answered
 * and nothing that was posted for it is still on its way: not the result of a look-up, not a
 * cancel.
 */
#ifndef EGRESS_CORE_H
#define EGRESS_CORE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "arena.h"
#include "egress.h"
#include "egress_rules.h"
#include "executor.h"

#define EGRESS_OUTCOMES  (EGRESS_BUSY + 1)
#define EGRESS_ADDRESSES 8 /* of one name; more are left out */
#define EGRESS_HOPS      3
#define EGRESS_DNS_MS    2000

struct egress_tenant {
	struct egress *egress;
	char key[65];
	CURLM *multi;
	struct loop_timer timer; /* libcurl's own */
	uint32_t n_calls;
	uint64_t used_ns;
};

struct egress_reply {
	struct egress_response response; /* first */
	struct arena *arena;             /* of the headers' text */
	struct bytes_buf body;
	struct egress_header headers[2 * EGRESS_RULES_HEADERS];
};

struct egress_call {
	struct egress *egress;
	uint64_t id;
	struct loop *origin;
	struct loop_message start, cancel, resolved;
	struct executor_job resolve_job;
	struct loop_timer resolve_timer;
	struct arena *arena; /* of the request's copy */
	struct egress_request request;
	struct egress_reply *reply; /* handed over when the call is answered */
	struct egress_tenant *tenant;

	char host[256]; /* as the URL parser that connects sees it, without brackets or a dot at the
			   end */
	struct sockaddr_storage addresses[EGRESS_ADDRESSES];
	size_t n_addresses;

	CURL *easy;
	CURLU *url;
	struct curl_slist *headers, *pins;
	uint64_t started_ns, deadline_ns;
	uint64_t header_bytes;
	unsigned n_hops;
	const char *denied; /* why the guard refused an address of this call, or NULL */
	bool is_too_big;

	bool is_cancel_posted; /* under the lock */
	bool has_cancel_arrived, awaits_cancel;
	bool is_answered, is_resolving;
};

struct egress {
	struct egress_options options;
	struct loop *loop;
	struct executor *names; /* threads that look names up */
	pthread_t thread;
	bool has_thread;
	_Atomic bool is_stopping;
	struct loop_message stop;
	struct loop_timer sweep_timer;

	pthread_mutex_t lock; /* of the table of calls */
	struct egress_call **calls;
	uint32_t *generations, *free_slots;
	uint32_t n_free;

	struct egress_tenant **tenants;
	uint32_t n_tenants;
	struct egress_guard_self self;
	struct sockaddr_storage own_addresses[64];
	struct metrics_series n_by_outcome[EGRESS_OUTCOMES], latency;
};

/* egress.c: answers the call, unless that was done already, and frees it when it may be. */
void egress_finish(struct egress_call *call, enum egress_outcome outcome, const char *reason);

/* egress_tenants.c: the tenant's connections, made when there are none; NULL when there is no room.
 */
struct egress_tenant *egress_tenant_get(struct egress *egress, struct bytes key);
/* Closes connections that nobody has used for max_idle_ns. */
void egress_tenants_sweep(struct egress *egress, uint64_t max_idle_ns);
void egress_tenants_free(struct egress *egress);

/* egress_transfer.c: parses the URL and fills call->host. Returns NULL, or the reason of a denial.
 */
const char *egress_transfer_parse(struct egress_call *call);
/* Begins the transfer to call->addresses; answers the call when it cannot begin. */
void egress_transfer_begin(struct egress_call *call);
/* After libcurl has finished with the call's handle, which is in no multi any more. */
void egress_transfer_done(struct egress_call *call, CURLcode code);
/* Lets go of what libcurl holds for the call. */
void egress_transfer_end(struct egress_call *call);

#endif
