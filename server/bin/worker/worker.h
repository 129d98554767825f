/*
 * worker.h - the inside of tenon-worker: one plugin, its calls as fibers, and the rings to the core
 *
 *            ring of loop i                 scheduler (the thread's own stack)
 *   CALL   ─────────────▶ pump ─▶ pending ─▶ fiber: invoke() ── facade ──▶ request frame, suspend
 *   REPLY  ─────────────▶ pump ─▶ ready ───▶ fiber goes on
 *   CANCEL, PING, DRAIN ▶ pump: at once      fiber returns ─▶ RESPOND, FAIL or DONE
 *
 * The pump only reads frames and marks calls; fibers run from the scheduler alone, so reading may
 * also happen in the middle of a plugin's computation (cancelled() does that). Nothing waits but
 * the scheduler, on one futex, when there is nothing to read, to send and to run.
 *
 * A call's memory (input, arena, encoding buffers) is kept for the next call: on a warm path a call
 * allocates nothing and makes no system call but the wake-up of a loop that sleeps.
 *
 * None of this guards against the plugin: it lives in the same memory. The core is the boundary.
 *
 * Threads: one. Memory: the worker owns its calls; what a plugin gets lives in its call's arena.
 */
#ifndef BIN_WORKER_H
#define BIN_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "err.h"
#include "fiber.h"
#include "loader.h"
#include "ring.h"
#include "wire.h"

#include <tenon/plugin.h>

#define WORKER_CALLS_MAX    256u        /* fibers at once, of a COOPERATIVE plugin */
#define WORKER_ARENA_MAX    (16u << 20) /* what one call may hold */
#define WORKER_RESPONSE_MAX (8u << 20)  /* body of an answer */
#define WORKER_SCRATCH_KEEP (64u << 10) /* a call keeps encoding buffers up to this size */

struct worker;

enum call_state {
	CALL_FREE,
	CALL_PENDING, /* has not begun */
	CALL_RUNNING, /* its fiber is on */
	CALL_REPLY,   /* its fiber waits for a REPLY */
	CALL_ROOM,    /* its fiber waits until its message is in the ring */
	CALL_READY    /* its fiber may go on */
};

/* The ABI's opaque struct. */
struct tenon_call {
	struct worker *worker;
	struct tenon_call *next; /* in a queue, or in the list of free calls */
	struct fiber *fiber;
	enum call_state state;
	uint32_t loop, slot, generation;
	uint32_t sequence; /* of the last request */

	struct bytes_buf input; /* the CALL's payload; request and info borrow from it */
	struct wire_call request;
	struct tenon_call_info info;
	struct arena *arena;

	int32_t cancel_status; /* 0, or what every function that suspends answers from now on */
	struct bytes reply;    /* payload of the REPLY, in the arena */
	bool has_reply;

	/* the message on its way into the ring */
	struct bytes_buf scratch, elements; /* its head, and a list of it while that is built */
	struct ring_message message;
	size_t sent;

	/* the answer so far */
	bool has_response, has_failure;
	struct bytes_buf answer; /* encoded RESPOND without its body, or FAIL */
	struct bytes response_body;
	int32_t failure_code;

	struct tenon_error last_error;    /* size 0: none yet */
	struct tenon_json_out *json_outs; /* to be released at the end */
};

struct call_queue {
	struct tenon_call *first, *last;
};

/* Tells loop's sleeper in the core that there is something for it. */
typedef void worker_wake_fn(void *context, unsigned loop);

/* A worker on the worker's side of a segment, which stays the caller's. Returns 0 and a worker to
 * free, or -1. */
int worker_new(struct ring_segment *segment, worker_wake_fn *wake, void *wake_context,
	struct worker **ret, struct err *err);
/* Takes NULL. */
void worker_free(struct worker *worker);

/* Tells the core why there is no plugin. stage: "load" or "create". */
void worker_report_failure(
	struct worker *worker, int32_t status, const char *stage, struct bytes message);
/* Creates the instance and says READY, or FAILED and returns -1. *loaded must outlive the worker.
 */
int worker_boot(struct worker *worker, const struct loader_plugin *loaded);

enum worker_end {
	WORKER_DRAINED, /* told to, and done */
	WORKER_BROKEN   /* the rings do not hold what the core writes: the plugin overwrote them */
};
/* Serves until the end. */
enum worker_end worker_run(struct worker *worker);

/* ---- between the parts of the worker ---- */

/* Reads what the rings hold and marks calls; runs no fiber. Also from a fiber. */
void worker_pump(struct worker *worker);
/* Wakes the loops to which something was sent since the last time, if they sleep. */
void worker_wake_loops(struct worker *worker);
/* The call whose fiber is on, NULL on the scheduler's stack. */
struct tenon_call *worker_running(const struct worker *worker);
const struct loader_plugin *worker_plugin(const struct worker *worker);
struct tenon_instance *worker_instance(const struct worker *worker);
/* Puts call->message into the ring; suspends the call's fiber while there is no room. */
void worker_send(struct tenon_call *call);
/* Puts call->message into the ring if there is room at once for all of it. */
bool worker_try_send(struct tenon_call *call);

/* call.c */
void call_begin(struct tenon_call *call); /* fills info from request */
void call_main(void *call);               /* a fiber's entry: invoke() and its answer */
void call_end(struct tenon_call *call);   /* makes it fit for the next use */
extern const struct tenon_call_api call_api;

/* Sets last_error and returns code. message and origin are static or in the arena. */
int32_t call_error(struct tenon_call *call, int32_t code, const char *origin, const char *message);
/* TENON_OK when call is the one that runs and may use facades; else sets last_error where there is
 * one. */
int32_t call_check(struct tenon_call *call, const char *origin);
/* Sends a request whose head is in scratch, suspends, and decodes the reply: TENON_OK and
 * *ret_result, or the error's code with last_error set. */
int32_t call_request(struct tenon_call *call, enum wire_type type, struct bytes tail,
	const char *origin, struct bytes *ret_result);

/* facade.c, json.c */
extern const struct tenon_log_api log_api;
extern const struct tenon_db_api db_api;
extern const struct tenon_http_api http_api;
extern const struct tenon_json_api json_api;
void json_release(struct tenon_call *call);

static inline struct bytes bytes_of_str(struct tenon_str text)
{
	return (struct bytes){ text.p, text.n };
}

static inline struct tenon_str str_of(struct bytes text)
{
	return (struct tenon_str){ text.p, text.n };
}

#endif
