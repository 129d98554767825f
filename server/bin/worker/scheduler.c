#include "worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text_json_reader.h"

#define FRAMES_PER_TURN 64u /* of one ring, before the others have their turn */
#define INTERFACES_MAX  32u

struct link {
	struct ring *in, *out;
	struct wire_join join;
	struct call_queue blocked; /* wait for room in out, in order */
	bool needs_wake, owes_pong;
	uint64_t pong_number;
	struct tenon_call *slots[WIRE_SLOTS];
};

struct worker {
	struct tenon_host host; /* first: the plugin's pointer to it is ours */
	struct ring_segment *segment;
	worker_wake_fn *wake;
	void *wake_context;
	const struct loader_plugin *loaded;
	struct tenon_instance *instance;
	struct fiber_pool *fibers;
	struct tenon_call *running;
	struct tenon_call *free_calls;
	struct tenon_call *boot;
	struct call_queue pending, ready;
	unsigned n_started, max_started; /* calls that have a fiber */
	unsigned n_calls;                /* calls that the core waits for */
	bool is_draining, is_broken;
	uint64_t drain_deadline_ns;
	unsigned n_links;
	char buffer[WIRE_PAYLOAD_MAX];
	struct link links[RING_LOOPS_MAX];
};

/* ---- calls and queues ---- */

static void queue_put(struct call_queue *queue, struct tenon_call *call)
{
	call->next = NULL;
	if (queue->last)
		queue->last->next = call;
	else
		queue->first = call;
	queue->last = call;
}

static struct tenon_call *queue_take(struct call_queue *queue)
{
	struct tenon_call *call = queue->first;

	if (!call)
		return NULL;
	queue->first = call->next;
	if (!queue->first)
		queue->last = NULL;
	call->next = NULL;
	return call;
}

static void call_free(struct tenon_call *call)
{
	if (!call)
		return;
	json_release(call);
	bytes_buf_fini(&call->input);
	bytes_buf_fini(&call->scratch);
	bytes_buf_fini(&call->elements);
	bytes_buf_fini(&call->answer);
	arena_free(call->arena);
	free(call);
}

static struct tenon_call *call_take(struct worker *worker)
{
	struct tenon_call *call = worker->free_calls;

	if (call) {
		worker->free_calls = call->next;
		call->next = NULL;
		return call;
	}
	call = calloc(1, sizeof *call);
	if (!call)
		return NULL;
	call->worker = worker;
	bytes_buf_init(&call->input, WIRE_MESSAGE_MAX);
	bytes_buf_init(&call->scratch, WIRE_MESSAGE_MAX);
	bytes_buf_init(&call->elements, WIRE_MESSAGE_MAX);
	bytes_buf_init(&call->answer, WIRE_MESSAGE_MAX);
	if (arena_new(WORKER_ARENA_MAX, &call->arena, NULL) < 0) {
		free(call);
		return NULL;
	}
	return call;
}

static void call_give(struct tenon_call *call)
{
	struct worker *worker = call->worker;

	call_end(call);
	call->state = CALL_FREE;
	call->next = worker->free_calls;
	worker->free_calls = call;
}

/* ---- the worker ---- */

int worker_new(struct ring_segment *segment, worker_wake_fn *wake, void *wake_context,
	struct worker **ret, struct err *err)
{
	struct worker *worker = calloc(1, sizeof *worker);

	if (!worker)
		return ERR_SET(err, ERR_NOMEM, "no memory for the worker");
	worker->segment = segment;
	worker->wake = wake;
	worker->wake_context = wake_context;
	worker->n_links = ring_segment_loops(segment);
	for (unsigned i = 0; i < worker->n_links; i++) {
		struct link *link = &worker->links[i];
		link->in = ring_to_worker(segment, i);
		link->out = ring_to_core(segment, i);
		wire_join_init(&link->join, WIRE_MESSAGE_MAX);
	}
	if (fiber_pool_new(WORKER_CALLS_MAX, &worker->fibers, err) < 0) {
		worker_free(worker);
		return -1;
	}
	*ret = worker;
	return 0;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	for (unsigned i = 0; i < worker->n_links; i++) {
		struct link *link = &worker->links[i];
		wire_join_fini(&link->join);
		for (unsigned slot = 0; slot < WIRE_SLOTS; slot++)
			call_free(link->slots[slot]);
	}
	for (struct tenon_call *call = worker->free_calls, *next; call; call = next) {
		next = call->next;
		call_free(call);
	}
	call_free(worker->boot);
	fiber_pool_free(worker->fibers);
	free(worker);
}

struct tenon_call *worker_running(const struct worker *worker)
{
	return worker->running;
}

const struct loader_plugin *worker_plugin(const struct worker *worker)
{
	return worker->loaded;
}

struct tenon_instance *worker_instance(const struct worker *worker)
{
	return worker->instance;
}

void worker_wake_loops(struct worker *worker)
{
	for (unsigned i = 0; i < worker->n_links; i++) {
		struct link *link = &worker->links[i];
		if (!link->needs_wake)
			continue;
		link->needs_wake = false;
		if (ring_take_sleeper(link->out))
			worker->wake(worker->wake_context, i);
	}
}

/* ---- sending ---- */

static enum ring_result link_send(
	struct worker *worker, struct link *link, const struct ring_message *message, size_t *sent)
{
	enum ring_result result = ring_send(link->out, message, sent);

	/* Part of it may be in even when all of it is not. */
	link->needs_wake = true;
	if (result == RING_POISONED)
		worker->is_broken = true;
	return result;
}

void worker_send(struct tenon_call *call)
{
	struct worker *worker = call->worker;
	struct link *link = &worker->links[call->loop];

	call->sent = 0;
	if (!link->blocked.first && !link->owes_pong &&
		link_send(worker, link, &call->message, &call->sent) == RING_OK)
		return;
	queue_put(&link->blocked, call);
	call->state = CALL_ROOM;
	fiber_suspend(call->fiber);
}

bool worker_try_send(struct tenon_call *call)
{
	struct worker *worker = call->worker;
	struct link *link = &worker->links[call->loop];
	size_t n = call->message.head.n + call->message.tail.n;

	/* Only a message of one frame is either in or not in. */
	call->sent = 0;
	return n <= WIRE_PAYLOAD_MAX && !link->blocked.first && !link->owes_pong &&
	       link_send(worker, link, &call->message, &call->sent) == RING_OK;
}

/* For messages of the instance itself, before and after it serves: waits for room. */
static void send_now(struct worker *worker, enum wire_type type, struct bytes head)
{
	struct link *link = &worker->links[0];
	struct ring_message message = { .type = (uint16_t)type, .head = head };
	size_t sent = 0;

	while (!worker->is_broken && link_send(worker, link, &message, &sent) == RING_FULL) {
		worker_wake_loops(worker);
		if (ring_try_wait(link->out))
			ring_worker_sleep(worker->segment);
	}
	worker_wake_loops(worker);
}

/* Sends what waits for room, as far as there is some. True when a call may go on. */
static bool link_flush(struct worker *worker, struct link *link)
{
	bool has_moved = false;

	while (link->blocked.first || link->owes_pong) {
		struct tenon_call *call = link->blocked.first;
		enum ring_result result;

		/* A pong goes between two messages, ahead of all that have not begun. */
		if (link->owes_pong && (!call || call->sent == 0)) {
			char number[sizeof link->pong_number];
			struct ring_message pong = { .type = WIRE_PONG,
				.head = { number, sizeof number } };
			size_t sent = 0;
			memcpy(number, &link->pong_number, sizeof number);
			result = link_send(worker, link, &pong, &sent);
			if (result == RING_OK)
				link->owes_pong = false;
		} else {
			result = link_send(worker, link, &call->message, &call->sent);
			if (result == RING_OK) {
				(void)queue_take(&link->blocked);
				call->state = CALL_READY;
				queue_put(&worker->ready, call);
				has_moved = true;
			}
		}
		if (result == RING_POISONED || (result == RING_FULL && ring_try_wait(link->out)))
			break;
	}
	return has_moved;
}

/* ---- reading ---- */

static bool on_call(
	struct worker *worker, unsigned loop, const struct wire_frame *frame, struct bytes payload)
{
	struct tenon_call **slot = &worker->links[loop].slots[frame->slot];

	if (*slot || worker->is_draining)
		return false;
	struct tenon_call *call = call_take(worker);
	if (!call)
		return false;
	call->loop = loop;
	call->slot = frame->slot;
	call->generation = frame->generation;
	call->state = CALL_PENDING;
	*slot = call;
	if (!bytes_buf_append(&call->input, payload) ||
		!wire_get_call(bytes_buf_view(&call->input), &call->request))
		return false;
	worker->n_calls++;
	queue_put(&worker->pending, call);
	return true;
}

/* A reply that nobody waits for any more came too late and is none of our business. */
static void on_reply(struct worker *worker, struct tenon_call *call, const struct wire_frame *frame,
	struct bytes payload)
{
	if (call->state != CALL_REPLY || frame->sequence != call->sequence)
		return;
	char *copy = arena_copy(call->arena, payload);
	call->reply = (struct bytes){ copy, copy ? payload.n : 0 };
	call->has_reply = true;
	call->state = CALL_READY;
	queue_put(&worker->ready, call);
}

static bool on_cancel(struct worker *worker, struct tenon_call *call, struct bytes payload)
{
	struct wire_cancel cancel;

	if (!wire_get_cancel(payload, &cancel))
		return false;
	call->cancel_status = cancel.status;
	if (call->state == CALL_REPLY) {
		call->state = CALL_READY;
		queue_put(&worker->ready, call);
	}
	return true;
}

/* Takes one whole message. False: it is none that the core would send. */
static bool on_message(
	struct worker *worker, unsigned loop, const struct wire_frame *frame, struct bytes payload)
{
	struct link *link = &worker->links[loop];
	struct tenon_call *call = link->slots[frame->slot];
	struct wire_ping ping;
	struct wire_drain drain;

	if (call && call->generation != frame->generation)
		call = NULL;
	switch (frame->type) {
	case WIRE_CALL:
		return on_call(worker, loop, frame, payload);
	case WIRE_REPLY:
		if (call)
			on_reply(worker, call, frame, payload);
		return true;
	case WIRE_CANCEL:
		return !call || on_cancel(worker, call, payload);
	case WIRE_PING:
		if (!wire_get_ping(payload, &ping))
			return false;
		link->owes_pong = true;
		link->pong_number = ping.number;
		return true;
	case WIRE_DRAIN:
		if (!wire_get_drain(payload, &drain))
			return false;
		worker->is_draining = true;
		worker->drain_deadline_ns = drain.deadline_ns;
		return true;
	default:
		return false;
	}
}

static bool link_pump(struct worker *worker, unsigned loop)
{
	struct link *link = &worker->links[loop];
	struct wire_frame frame;
	struct bytes payload;
	unsigned n = 0;

	for (; n < FRAMES_PER_TURN; n++) {
		enum ring_result result = ring_try_pop(link->in, &frame, worker->buffer);
		if (result == RING_EMPTY)
			break;
		if (result == RING_POISONED)
			goto broken;
		payload = (struct bytes){ worker->buffer, frame.payload_bytes };
		switch (wire_join_add(&link->join, &frame, payload, &payload)) {
		case WIRE_JOIN_WHOLE:
			if (!on_message(worker, loop, &frame, payload))
				goto broken;
			break;
		case WIRE_JOIN_MORE:
			break;
		case WIRE_JOIN_VIOLATION:
			goto broken;
		}
	}
	if (n && ring_take_waiter(link->in))
		worker->wake(worker->wake_context, loop);
	return n > 0;
broken:
	worker->is_broken = true;
	return true;
}

static bool pump(struct worker *worker)
{
	bool has_read = false;

	for (unsigned i = 0; i < worker->n_links && !worker->is_broken; i++) {
		has_read |= link_pump(worker, i);
		has_read |= link_flush(worker, &worker->links[i]);
	}
	worker_wake_loops(worker);
	return has_read;
}

void worker_pump(struct worker *worker)
{
	(void)pump(worker);
}

/* ---- running ---- */

static void run_fiber(struct worker *worker, struct tenon_call *call)
{
	call->state = CALL_RUNNING;
	worker->running = call;
	enum fiber_state state = fiber_resume(call->fiber);
	worker->running = NULL;
	if (state != FIBER_RETURNED)
		return;
	call->fiber = NULL;
	worker->n_started--;
	worker->n_calls--;
	worker->links[call->loop].slots[call->slot] = NULL;
	call_give(call);
}

static bool run_ready(struct worker *worker)
{
	struct tenon_call *call;
	bool has_run = false;

	while (!worker->is_broken && (call = queue_take(&worker->ready))) {
		run_fiber(worker, call);
		has_run = true;
	}
	while (!worker->is_broken && worker->pending.first &&
		worker->n_started < worker->max_started) {
		call = worker->pending.first;
		call->fiber = fiber_start(worker->fibers, call_main, call);
		if (!call->fiber) /* no memory for a stack now: when another call has ended */
			break;
		(void)queue_take(&worker->pending);
		worker->n_started++;
		call_begin(call);
		run_fiber(worker, call);
		has_run = true;
	}
	return has_run;
}

enum worker_end worker_run(struct worker *worker)
{
	const struct tenon_plugin *plugin = &worker->loaded->plugin;

	while (!worker->is_broken && !(worker->is_draining && worker->n_calls == 0)) {
		bool is_busy = pump(worker);
		is_busy |= run_ready(worker);
		worker_wake_loops(worker);
		if (!is_busy && !worker->is_broken)
			ring_worker_sleep(worker->segment);
	}
	if (worker->is_broken)
		return WORKER_BROKEN;
	if (plugin->drain)
		(void)plugin->drain(worker->instance, worker->drain_deadline_ns);
	plugin->destroy(worker->instance);
	send_now(worker, WIRE_DRAINED, (struct bytes){ 0 });
	return WORKER_DRAINED;
}

/* ---- booting ---- */

/* The interfaces of this worker: what iface() finds. */
static const struct {
	const char *id;
	const void *table;
} interfaces[] = {
	{ TENON_CALL_ID, &call_api },
	{ TENON_LOG_ID, &log_api },
	{ TENON_DB_ID, &db_api },
	{ TENON_HTTP_ID, &http_api },
	{ TENON_JSON_ID, &json_api },
};

/* True when the manifest's "interfaces" name id. A plugin without a manifest gets everything: the
 * core has refused to start one long before. */
static bool is_declared(struct bytes manifest, struct bytes id)
{
	struct bytes at;
	char pointer[32];

	if (manifest.n == 0)
		return true;
	for (unsigned i = 0; i < INTERFACES_MAX; i++) {
		struct text_json_reader reader;
		struct text_json_token token;
		struct bytes_buf path;
		bytes_buf_init(&path, sizeof pointer);
		bool is_found =
			bytes_buf_appendf(&path, "/interfaces/%u/id", i) &&
			text_json_find(manifest, bytes_buf_view(&path), &at) == TEXT_JSON_FOUND;
		bytes_buf_fini(&path);
		if (!is_found)
			return false;
		text_json_reader_init(&reader, at);
		(void)text_json_next(&reader, &token);
		if (token.type == TEXT_JSON_STRING && text_json_is(&token, id))
			return true;
	}
	return false;
}

static const void *host_iface(struct tenon_host *host, const char *id, uint32_t min_rev)
{
	const struct worker *worker = (const struct worker *)(const void *)host;

	for (size_t i = 0; i < sizeof interfaces / sizeof interfaces[0]; i++) {
		const struct head {
			uint32_t size, rev;
		} *head = interfaces[i].table;
		if (strcmp(interfaces[i].id, id) == 0)
			return head->rev >= min_rev &&
					       is_declared(worker->loaded->manifest, bytes_of(id))
				       ? interfaces[i].table
				       : NULL;
	}
	return NULL;
}

struct boot {
	struct worker *worker;
	int32_t status;
};

static void boot_main(void *context)
{
	struct boot *boot = context;
	struct worker *worker = boot->worker;
	const struct tenon_config config = {
		.size = sizeof config,
		.settings = { "{}", 2 },
	};

	boot->status = worker->loaded->plugin.create(
		&worker->host, worker->boot, &config, &worker->instance);
}

void worker_report_failure(
	struct worker *worker, int32_t status, const char *stage, struct bytes message)
{
	DEFER(bytes_buf_fini) struct bytes_buf head;
	struct wire_failed failed = {
		.status = status < 0 ? status : TENON_E_INTERNAL,
		.stage = bytes_of(stage),
		.message = message,
	};

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	if (wire_put_failed(&head, &failed))
		send_now(worker, WIRE_FAILED, bytes_buf_view(&head));
}

/* The words with which create() failed: those of fail(), else those of the last error. */
static struct bytes boot_message(struct tenon_call *boot)
{
	struct wire_error error;

	if (boot->has_failure && wire_get_error(bytes_buf_view(&boot->answer), &error))
		return error.message;
	if (boot->last_error.size)
		return bytes_of_str(boot->last_error.message);
	return BYTES("create() failed");
}

static int send_ready(struct worker *worker)
{
	const struct tenon_plugin *plugin = &worker->loaded->plugin;
	DEFER(bytes_buf_fini) struct bytes_buf head;
	struct wire_ready ready = {
		.abi_major = plugin->abi_major,
		.abi_minor = plugin->abi_minor,
		.target = plugin->target,
		.concurrency = plugin->concurrency,
		.id = bytes_of(plugin->id),
		.version = bytes_of(plugin->version),
	};

	bytes_buf_init(&head, WIRE_PAYLOAD_MAX);
	if (!wire_put_ready(&head, &ready))
		return -1;
	send_now(worker, WIRE_READY, bytes_buf_view(&head));
	return worker->is_broken ? -1 : 0;
}

int worker_boot(struct worker *worker, const struct loader_plugin *loaded)
{
	struct boot boot = { .worker = worker, .status = TENON_E_EXHAUSTED };

	worker->loaded = loaded;
	worker->max_started =
		loaded->plugin.concurrency == TENON_COOPERATIVE ? WORKER_CALLS_MAX : 1;
	worker->host = (struct tenon_host){
		.size = sizeof worker->host,
		.abi_major = TENON_ABI_MAJOR,
		.abi_minor = TENON_ABI_MINOR,
		.target =
			loaded->plugin.target < TENON_TARGET ? loaded->plugin.target : TENON_TARGET,
		.iface = host_iface,
	};
	worker->boot = call_take(worker);
	struct fiber *fiber = worker->boot ? fiber_start(worker->fibers, boot_main, &boot) : NULL;
	if (fiber) {
		call_begin(worker->boot);
		worker->boot->info.kind = TENON_KIND_BOOT;
		worker->boot->state = CALL_RUNNING;
		worker->boot->fiber = fiber;
		worker->running = worker->boot;
		/* Nothing that create() may call suspends. */
		enum fiber_state state = fiber_resume(fiber);
		assert(state == FIBER_RETURNED);
		worker->running = NULL;
	}
	if (boot.status != TENON_OK || worker->boot->has_failure) {
		worker_report_failure(worker, boot.status, "create",
			worker->boot ? boot_message(worker->boot) : BYTES("out of memory"));
		return -1;
	}
	call_give(worker->boot);
	worker->boot = NULL;
	return send_ready(worker);
}
