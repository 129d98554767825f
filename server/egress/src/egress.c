#include "egress.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress_core.h"

#define RESOLVER_THREADS               4
#define RESOLVER_QUEUE                 256
#define ALLOWED_MAX                    256
#define SWEEP_NS                       (30 * CLOCK_NS_PER_S)
#define IDLE_NS                        (60 * CLOCK_NS_PER_S)

#define CONTAINER_OF(at, type, member) ((type *)(void *)((char *)(at)-offsetof(type, member)))

const char *egress_outcome_name(enum egress_outcome outcome)
{
	static const char *const names[EGRESS_OUTCOMES] = {
		[EGRESS_OK] = "ok",
		[EGRESS_DENIED] = "denied",
		[EGRESS_TIMEOUT] = "timeout",
		[EGRESS_UNREACHABLE] = "unreachable",
		[EGRESS_TOO_BIG] = "too_big",
		[EGRESS_CANCELLED] = "cancelled",
		[EGRESS_BUSY] = "busy",
	};
	size_t i = (size_t)outcome;

	return i < EGRESS_OUTCOMES ? names[i] : "unknown";
}

/* ---- replies ---- */

static void deliver_reply(struct loop_message *message)
{
	struct egress_response *response = CONTAINER_OF(message, struct egress_response, message);

	response->on_done(response);
}

void egress_response_free(struct egress_response *response)
{
	if (!response)
		return;
	struct egress_reply *reply = CONTAINER_OF(response, struct egress_reply, response);
	bytes_buf_fini(&reply->body);
	arena_free(reply->arena);
	free(reply);
}

static struct egress_reply *reply_new(
	size_t max_body_bytes, void (*on_done)(struct egress_response *response), void *user)
{
	struct egress_reply *reply = calloc(1, sizeof *reply);

	if (!reply)
		return NULL;
	/* Names and values of all headers, each with a terminator, rounded up. */
	if (arena_new(4 * EGRESS_RULES_HEADERS_BYTES, &reply->arena, NULL) < 0) {
		free(reply);
		return NULL;
	}
	bytes_buf_init(&reply->body, max_body_bytes < EGRESS_RULES_ANSWER_BYTES
					     ? max_body_bytes
					     : EGRESS_RULES_ANSWER_BYTES);
	reply->response.message.deliver = deliver_reply;
	reply->response.on_done = on_done;
	reply->response.user = user;
	return reply;
}

/* ---- calls ---- */

static void call_free(struct egress_call *call)
{
	if (!call)
		return;
	egress_transfer_end(call);
	if (call->reply)
		egress_response_free(&call->reply->response);
	arena_free(call->arena);
	free(call);
}

DEFER_DEFINE(struct egress_call *, call_free)

static void free_when_over(struct egress_call *call)
{
	if (call->is_answered && !call->is_resolving && !call->awaits_cancel)
		call_free(call);
}

/* Out of the table: from now on no cancel can be posted for it. */
static void leave_table(struct egress_call *call)
{
	struct egress *egress = call->egress;
	uint32_t slot = (uint32_t)call->id - 1;

	pthread_mutex_lock(&egress->lock);
	egress->calls[slot] = NULL;
	egress->free_slots[egress->n_free++] = slot;
	/* A cancel that was posted and has not arrived holds the call. */
	call->awaits_cancel = call->is_cancel_posted && !call->has_cancel_arrived;
	pthread_mutex_unlock(&egress->lock);
}

static void post_reply(struct egress_reply *reply, struct loop *origin, enum egress_outcome outcome,
	const char *reason)
{
	reply->response.outcome = outcome;
	reply->response.reason = reason;
	loop_post(origin, &reply->response.message);
}

void egress_finish(struct egress_call *call, enum egress_outcome outcome, const char *reason)
{
	struct egress *egress = call->egress;

	if (call->is_answered)
		return;
	call->is_answered = true;
	loop_timer_stop(&call->resolve_timer);
	egress_transfer_end(call);
	if (call->tenant)
		call->tenant->n_calls--;
	call->tenant = NULL;
	leave_table(call);

	struct egress_reply *reply = call->reply;
	call->reply = NULL; /* handed over */
	reply->response.duration_ns = clock_mono_ns() - call->started_ns;
	if (egress->options.metrics) {
		metrics_add(egress->options.metrics, egress->options.thread_index,
			egress->n_by_outcome[outcome], 1);
		metrics_observe(egress->options.metrics, egress->options.thread_index,
			egress->latency, reply->response.duration_ns);
	}
	post_reply(reply, call->origin, outcome, reason);
	free_when_over(call);
}

static void deliver_cancel(struct loop_message *message)
{
	struct egress_call *call = CONTAINER_OF(message, struct egress_call, cancel);

	call->has_cancel_arrived = true;
	call->awaits_cancel = false;
	if (call->is_answered)
		free_when_over(call);
	else
		egress_finish(call, EGRESS_CANCELLED, "cancelled");
}

/* ---- looking names up ---- */

static size_t resolve_by_system(const char *host, struct sockaddr_storage *addresses, size_t cap)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	size_t n = 0;

	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return 0;
	for (const struct addrinfo *at = list; at && n < cap; at = at->ai_next)
		if (at->ai_addrlen <= sizeof addresses[n])
			memcpy(&addresses[n++], at->ai_addr, at->ai_addrlen);
	freeaddrinfo(list);
	return n;
}

/* On a resolver thread. The call is not touched by the egress thread until the message arrives, but
 * for its being answered. */
static void run_resolve(struct executor_job *job)
{
	struct egress_call *call = CONTAINER_OF(job, struct egress_call, resolve_job);
	struct egress *egress = call->egress;

	call->n_addresses = 0;
	if (!atomic_load(&egress->is_stopping))
		call->n_addresses =
			(egress->options.resolve ? egress->options.resolve : resolve_by_system)(
				call->host, call->addresses, EGRESS_ADDRESSES);
	loop_post(egress->loop, &call->resolved);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
	else if (address->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
}

/* Keeps the addresses that pass the guard. Returns NULL, or why the last one that did not was
 * refused when none did. */
static const char *keep_allowed(struct egress_call *call)
{
	const char *reason = NULL;
	size_t n = 0;

	for (size_t i = 0; i < call->n_addresses; i++) {
		struct sockaddr_storage *address = &call->addresses[i];
		set_port(address, call->request.port);
		enum egress_guard_verdict verdict = egress_guard_check(
			(const struct sockaddr *)address, sizeof *address, call->request.allowed,
			call->request.n_allowed, &call->egress->self);
		if (verdict == EGRESS_GUARD_ALLOWED)
			call->addresses[n++] = *address;
		else
			reason = egress_guard_name(verdict);
	}
	call->n_addresses = n;
	return n > 0 ? NULL : reason;
}

static void deliver_resolved(struct loop_message *message)
{
	struct egress_call *call = CONTAINER_OF(message, struct egress_call, resolved);

	call->is_resolving = false;
	if (call->is_answered) {
		free_when_over(call);
		return;
	}
	loop_timer_stop(&call->resolve_timer);
	if (call->n_addresses == 0) {
		egress_finish(call, EGRESS_UNREACHABLE, "dns");
		return;
	}
	const char *reason = keep_allowed(call);
	if (reason)
		egress_finish(call, EGRESS_DENIED, reason);
	else
		egress_transfer_begin(call);
}

static void on_resolve_timeout(struct loop_timer *timer)
{
	egress_finish(
		CONTAINER_OF(timer, struct egress_call, resolve_timer), EGRESS_TIMEOUT, "dns");
}

static void resolve(struct egress_call *call)
{
	struct egress *egress = call->egress;
	uint64_t until_ns = loop_now_ns(egress->loop) + EGRESS_DNS_MS * CLOCK_NS_PER_MS;

	call->resolve_job.run = run_resolve;
	call->resolved.deliver = deliver_resolved;
	call->resolve_timer.on_fire = on_resolve_timeout;
	if (loop_timer_start(egress->loop, &call->resolve_timer,
		    until_ns < call->deadline_ns ? until_ns : call->deadline_ns, NULL) < 0) {
		egress_finish(call, EGRESS_BUSY, "memory");
		return;
	}
	call->is_resolving = true;
	if (executor_submit(egress->names, EXECUTOR_FILE, &call->resolve_job) != EXECUTOR_OK) {
		call->is_resolving = false;
		egress_finish(call, EGRESS_BUSY, "dns");
	}
}

static bool is_numeric(const char *host)
{
	uint8_t address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* The first thing that the egress thread does with a call. */
static void deliver_start(struct loop_message *message)
{
	struct egress_call *call = CONTAINER_OF(message, struct egress_call, start);
	struct egress *egress = call->egress;

	if (atomic_load(&egress->is_stopping)) {
		egress_finish(call, EGRESS_CANCELLED, "stopping");
		return;
	}
	struct egress_tenant *tenant = egress_tenant_get(egress, call->request.tenant);
	if (!tenant || tenant->n_calls >= egress->options.max_requests_per_tenant) {
		egress_finish(call, EGRESS_BUSY, "tenant");
		return;
	}
	call->tenant = tenant;
	tenant->n_calls++;
	const char *reason = egress_transfer_parse(call);
	if (reason)
		egress_finish(call, EGRESS_DENIED, reason);
	else if (is_numeric(call->host))
		egress_transfer_begin(call);
	else
		resolve(call);
}

/* ---- sending ---- */

static bool copy_text(struct arena *arena, struct bytes *text)
{
	text->p = arena_copy(arena, *text);
	return text->p;
}

static bool copy_headers(struct arena *arena, const struct egress_header **headers, size_t n)
{
	struct egress_header *copy = arena_alloc(arena, (n + 1) * sizeof *copy);

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = (*headers)[i];
		if (!copy_text(arena, &copy[i].name) || !copy_text(arena, &copy[i].value))
			return false;
	}
	*headers = copy;
	return copy;
}

static bool copy_paths(struct arena *arena, const struct bytes **paths, size_t n)
{
	struct bytes *copy = arena_alloc(arena, (n + 1) * sizeof *copy);

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = (*paths)[i];
		if (!copy_text(arena, &copy[i]))
			return false;
	}
	*paths = copy;
	return copy;
}

static bool copy_request(struct egress_call *call, const struct egress_request *request)
{
	struct arena *arena = call->arena;
	struct egress_request *r = &call->request;

	*r = *request;
	if (!copy_text(arena, &r->tenant) || !copy_text(arena, &r->scheme) ||
		!copy_text(arena, &r->host) || !copy_text(arena, &r->method) ||
		!copy_text(arena, &r->target) || !copy_paths(arena, &r->paths, r->n_paths) ||
		!copy_text(arena, &r->body) || !copy_headers(arena, &r->headers, r->n_headers) ||
		!copy_headers(arena, &r->secret_headers, r->n_secret_headers))
		return false;
	struct egress_range *ranges = arena_alloc(arena, (r->n_allowed + 1) * sizeof *ranges);
	if (!ranges)
		return false;
	if (r->n_allowed > 0)
		memcpy(ranges, r->allowed, r->n_allowed * sizeof *ranges);
	r->allowed = ranges;
	if (r->timeout_ms > EGRESS_RULES_TIMEOUT_MS)
		r->timeout_ms = EGRESS_RULES_TIMEOUT_MS;
	return true;
}

/* Takes a slot of the table and the id that names it. False when all are taken. */
static bool enter_table(struct egress *egress, struct egress_call *call)
{
	pthread_mutex_lock(&egress->lock);
	bool has_room = egress->n_free > 0;
	if (has_room) {
		uint32_t slot = egress->free_slots[--egress->n_free];
		egress->calls[slot] = call;
		call->id = (uint64_t)++egress->generations[slot] << 32 | (slot + 1);
	}
	pthread_mutex_unlock(&egress->lock);
	return has_room;
}

static size_t paths_bytes(const struct egress_request *request)
{
	size_t n = (request->n_paths + 1) * sizeof *request->paths;

	for (size_t i = 0; i < request->n_paths; i++)
		n += request->paths[i].n + 1;
	return n;
}

int egress_send(struct egress *egress, const struct egress_request *request, struct loop *loop,
	void (*on_done)(struct egress_response *response), void *user, struct egress_handle *ret,
	struct err *err)
{
	DEFER(call_free) struct egress_call *call = calloc(1, sizeof *call);
	const char *reason = egress_rules_check(request);

	if (request->n_allowed > ALLOWED_MAX)
		reason = "request";
	*ret = (struct egress_handle){ 0 };
	if (!call || !(call->reply = reply_new(request->max_response_bytes, on_done, user)))
		return ERR_SET(err, ERR_NOMEM, "no memory for a request");
	if (reason) {
		struct egress_reply *reply = call->reply;
		call->reply = NULL; /* handed over */
		post_reply(reply, loop, EGRESS_DENIED, reason);
		return 0;
	}
	/* The request itself, its header lines once more, and the URLs of each hop. */
	size_t max_bytes = request->body.n + paths_bytes(request) + 4 * EGRESS_RULES_HEADERS_BYTES +
			   16 * EGRESS_RULES_TARGET_BYTES;
	call->egress = egress;
	call->origin = loop;
	call->started_ns = clock_mono_ns();
	if (arena_new(max_bytes, &call->arena, err) < 0)
		return -1;
	if (!copy_request(call, request))
		return ERR_SET(err, ERR_NOMEM, "no memory for a request");
	call->deadline_ns = call->started_ns + call->request.timeout_ms * CLOCK_NS_PER_MS;
	call->start.deliver = deliver_start;
	call->cancel.deliver = deliver_cancel;
	if (!enter_table(egress, call)) {
		struct egress_reply *reply = call->reply;
		call->reply = NULL; /* handed over */
		post_reply(reply, loop, EGRESS_BUSY, "requests");
		return 0;
	}
	ret->id = call->id;
	loop_post(egress->loop, &call->start);
	call = NULL; /* handed over */
	return 0;
}

void egress_cancel(struct egress *egress, struct egress_handle handle)
{
	uint32_t slot = (uint32_t)handle.id - 1;

	if (handle.id == 0 || slot >= egress->options.max_requests)
		return;
	pthread_mutex_lock(&egress->lock);
	struct egress_call *call = egress->calls[slot];
	if (call && call->id == handle.id && !call->is_cancel_posted) {
		call->is_cancel_posted = true;
		loop_post(egress->loop, &call->cancel);
	}
	pthread_mutex_unlock(&egress->lock);
}

/* ---- the thread ---- */

static void on_sweep(struct loop_timer *timer)
{
	struct egress *egress = CONTAINER_OF(timer, struct egress, sweep_timer);

	egress_tenants_sweep(egress, IDLE_NS);
	(void)loop_timer_start(egress->loop, timer, clock_mono_ns() + SWEEP_NS, NULL);
}

static void *run_thread(void *arg)
{
	struct egress *egress = arg;
	struct err err;

	/* epoll itself failing leaves nothing that could be done; senders meet their own deadlines.
	 */
	(void)loop_run(egress->loop, &err);
	return NULL;
}

static void deliver_stop(struct loop_message *message)
{
	struct egress *egress = CONTAINER_OF(message, struct egress, stop);

	for (uint32_t i = 0; i < egress->options.max_requests; i++) {
		pthread_mutex_lock(&egress->lock);
		struct egress_call *call = egress->calls[i];
		pthread_mutex_unlock(&egress->lock);
		/* One whose start is still on its way is answered when that arrives. */
		if (call && call->tenant)
			egress_finish(call, EGRESS_CANCELLED, "stopping");
	}
	loop_timer_stop(&egress->sweep_timer);
	loop_stop(egress->loop);
}

static void find_own_addresses(struct egress *egress)
{
	struct ifaddrs *list = NULL;
	size_t n = 0, cap = sizeof egress->own_addresses / sizeof egress->own_addresses[0];

	if (getifaddrs(&list) < 0)
		list = NULL;
	for (const struct ifaddrs *at = list; at && n < cap; at = at->ifa_next) {
		if (!at->ifa_addr)
			continue;
		if (at->ifa_addr->sa_family == AF_INET)
			memcpy(&egress->own_addresses[n++], at->ifa_addr,
				sizeof(struct sockaddr_in));
		else if (at->ifa_addr->sa_family == AF_INET6)
			memcpy(&egress->own_addresses[n++], at->ifa_addr,
				sizeof(struct sockaddr_in6));
	}
	freeifaddrs(list);
	egress->self = (struct egress_guard_self){ egress->own_addresses, n };
}

static void make_series(struct egress *egress)
{
	static const struct metrics_family requests = { .name = "tenon_egress_requests_total",
		.help = "Requests to upstreams by outcome",
		.type = METRICS_COUNTER,
		.labels = { "outcome" } };
	static const struct metrics_family latency = { .name = "tenon_egress_seconds",
		.help = "Time that requests to upstreams took",
		.type = METRICS_HISTOGRAM };

	if (!egress->options.metrics)
		return;
	for (int i = 0; i < EGRESS_OUTCOMES; i++) {
		struct bytes name = bytes_of(egress_outcome_name((enum egress_outcome)i));
		egress->n_by_outcome[i] = metrics_series(egress->options.metrics, &requests, &name);
	}
	egress->latency = metrics_series(egress->options.metrics, &latency, NULL);
}

static int start_thread(struct egress *egress, struct err *err)
{
	sigset_t all, before;

	/* Signals are for the main thread; a broken pipe is an error of write here. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&egress->thread, NULL, run_thread, egress);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return ERR_SET(err, ERR_IO, "no thread for egress");
	egress->has_thread = true;
	return 0;
}

int egress_new(const struct egress_options *options, struct egress **ret, struct err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR_SET(err, ERR_IO, "libcurl does not start");
	DEFER(egress_free) struct egress *egress = calloc(1, sizeof *egress);
	if (!egress)
		return ERR_SET(err, ERR_NOMEM, "no memory for egress");
	pthread_mutex_init(&egress->lock, NULL);
	struct egress_options *o = &egress->options;
	*o = *options;
	o->max_requests = o->max_requests ? o->max_requests : 512;
	o->max_requests_per_tenant = o->max_requests_per_tenant ? o->max_requests_per_tenant : 64;
	o->max_tenants = o->max_tenants ? o->max_tenants : 64;
	egress->calls = calloc(o->max_requests, sizeof *egress->calls);
	egress->generations = calloc(o->max_requests, sizeof *egress->generations);
	egress->free_slots = calloc(o->max_requests, sizeof *egress->free_slots);
	egress->tenants = calloc(o->max_tenants, sizeof(struct egress_tenant *));
	if (!egress->calls || !egress->generations || !egress->free_slots || !egress->tenants)
		return ERR_SET(err, ERR_NOMEM, "no memory for %u requests", o->max_requests);
	while (egress->n_free < o->max_requests) {
		egress->free_slots[egress->n_free] = o->max_requests - 1 - egress->n_free;
		egress->n_free++;
	}
	find_own_addresses(egress);
	make_series(egress);
	struct executor_config names = { .n_threads[EXECUTOR_FILE] = RESOLVER_THREADS,
		.queue_limit[EXECUTOR_FILE] = RESOLVER_QUEUE };
	egress->stop.deliver = deliver_stop;
	egress->sweep_timer.on_fire = on_sweep;
	if (loop_new(o->thread_index, &egress->loop, err) < 0 ||
		executor_new(&names, &egress->names, err) < 0 ||
		loop_timer_start(
			egress->loop, &egress->sweep_timer, clock_mono_ns() + SWEEP_NS, err) < 0 ||
		start_thread(egress, err) < 0)
		return -1;
	*ret = egress;
	egress = NULL; /* handed over */
	return 0;
}

void egress_free(struct egress *egress)
{
	if (!egress)
		return;
	atomic_store(&egress->is_stopping, true);
	if (egress->has_thread) {
		loop_post(egress->loop, &egress->stop);
		pthread_join(egress->thread, NULL);
	}
	/* Look-ups that run end first: each posts its message, which frees its call below. */
	executor_free(egress->names);
	egress_tenants_free(egress);
	if (egress->loop)
		loop_timer_stop(&egress->sweep_timer);
	loop_free(egress->loop);
	pthread_mutex_destroy(&egress->lock);
	free(egress->tenants);
	free(egress->free_slots);
	free(egress->generations);
	free(egress->calls);
	free(egress);
}
