/*
 * http_lane.h - what the parts of the listener share: a lane, its connections, their requests
 *
 * A lane is the listener on one loop: a libmicrohttpd daemon with its own listening socket, its
 * connections and a pool of request structs. Everything here is touched by that loop's thread only.
 *
 * A connection is always in one phase, and a phase has at most one deadline:
 *
 *   FRESH -> HEAD -> BODY -> HANDLER -> SEND -> IDLE -> HEAD ...
 *     |       |       |     (suspended)   |       |
 *     +-------+-------+---- deadline -----+-------+--> LEAVING: the socket is shut down, the
 * library sees that and ends the connection
 *
 * Threads: one lane, one loop. Memory: the library owns the order of events: a connection lives
 * from its STARTED to its CLOSED notification, a request from its request line to its completion.
 */
#ifndef HTTP_LANE_H
#define HTTP_LANE_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http.h"
#include "http_guard.h"

#define LANE_MIN_RATE_BYTES 8192 /* a second: slower bodies and slower readers are cut off */
/* How long a client has to read a refusal before its socket is closed. */
#define LINGER_MS       1000

#define WAIT_SCORE_MOST 64

struct link {
	struct link *prev, *next; /* NULL when in no list */
};

struct lane_counts {
	atomic_uint_least64_t accepted, evicted, timed_out, begun, refused, gone;
	atomic_uint open, in_flight;
};

struct lane {
	struct http *http;
	struct loop *loop;
	struct MHD_Daemon *daemon;
	int listen_fd;
	struct loop_watch watch; /* the daemon's epoll descriptor */
	struct loop_hook hook;
	bool is_due;        /* the daemon has something to do */
	uint64_t run_at_ns; /* when it will have something to do anyway; CLOCK_NEVER */
	bool is_draining, is_closing;
	unsigned n_fruitless; /* runs of the daemon without a call into our code, one after the
				 other */
	int wait_score;  /* of -WAIT_SCORE_MOST to it: are answers given within one iteration? */
	unsigned n_runs; /* of the daemon with the score at or below 0 */
	unsigned n_connections, connection_limit;
	struct link waiting;   /* connections without a request line, the oldest first */
	struct link heads;     /* connections whose headers are not complete, the oldest first */
	struct link handed;    /* connections whose request was handed over in the last run */
	struct link suspended; /* connections that wait for an answer, the oldest first */
	struct link streaming; /* connections that are streams */
	struct http_request *free_requests;
	unsigned n_free_requests;
	struct lingerer *lingerers; /* sockets that outlive their connections for a moment */
	unsigned n_lingerers;
	struct loop_message quiesce;
	struct lane_counts counts;
};

struct http {
	struct http_config config; /* its address is not kept */
	struct http_handler handler;
	uint16_t port;
	/* Whether the library's buffers are laid out as http_head.c expects. */
	bool knows_layout;
	unsigned n_lanes;
	/* What may outlive http_close: requests without an answer whose connection is gone, and
	 * messages in the loops' mailboxes. The last of them frees it. */
	atomic_uint n_outlive;
	atomic_bool is_quiesced;
	bool is_closed;
	struct lane lanes[];
};

/* One of those that may outlive http_close is over; http may be gone afterwards. */
static inline void http_let_go(struct http *http)
{
	if (atomic_fetch_sub(&http->n_outlive, 1) == 1 && http->is_closed)
		free(http);
}

enum phase {
	PHASE_FRESH,   /* no byte of a request has been seen */
	PHASE_HEAD,    /* the request line is there */
	PHASE_BODY,    /* the head has passed the guard */
	PHASE_HANDLER, /* the whole request is with the handler */
	PHASE_SEND,
	PHASE_STREAM,
	PHASE_IDLE,   /* between two requests */
	PHASE_LEAVING /* shut down, or answered behind the library's back */
};

struct connection {
	struct lane *lane;
	struct MHD_Connection *mhd;
	int fd;
	enum phase phase;
	bool is_suspended;
	bool is_half_closed;  /* the client sends nothing any more: it has left, as a rule */
	bool was_refused;     /* bytes that nobody will read may still come */
	uint64_t deadline_ns; /* CLOCK_NEVER: none. The timer may run earlier; it is never late */
	uint64_t phase_began_ns;
	uint64_t acked_bytes; /* what the peer had taken when we looked last */
	struct loop_timer timer;
	struct loop_watch watch; /* for the client's FIN */
	struct link link;        /* in one of the lane's lists */
	struct http_request *request;
	char peer[INET6_ADDRSTRLEN];
	size_t peer_n;
};

struct http_request {
	struct connection *connection; /* NULL once the request is an orphan */
	struct lane *lane;
	struct http_request *next_free;
	struct arena *arena;
	struct bytes_buf body;
	uint64_t body_limit, body_received;
	struct bytes target, path, query;
	char *cut;     /* where the target was cut for the library, NULL when it was not */
	char cut_byte; /* what stood there */
	struct http_guard_verdict head; /* status is 0 once the guard has passed it */
	struct http_header *headers;    /* HTTP_GUARD_HEADERS of them; NULL once it is forgotten */
	size_t n_headers;
	uint8_t trace_id[ID_TRACE_BYTES];
	uint64_t started_ns;
	void *context;
	void (*on_abort)(struct http_request *request, void *context);
	void *abort_context;
	struct http_stream *stream;
	/* Of a body that is not gathered; NULL: it is */
	size_t (*on_piece)(struct http_request *request, struct bytes piece, void *context);
	void *piece_context;
	uint64_t paused_ns; /* since when its reader takes no more; 0: it does */
	/* The answer */
	struct MHD_Response *response; /* ours until it is queued */
	unsigned status;
	uint64_t sent_bytes;
	bool has_head;      /* the library's first call has been handled */
	bool is_begun;      /* on_headers has seen it; counted as in flight */
	bool is_handed;     /* on_request has seen it */
	bool is_answered;   /* http_respond or http_stream_open was called */
	bool is_queued;     /* the library has the answer */
	bool is_discarding; /* the rest of the body is of no interest */
	bool is_client_gone;
	bool in_library; /* one of the library's calls for this request is on the stack */
};

/* ---- lists ---- */
static inline void link_init(struct link *list)
{
	list->prev = list->next = list;
}

static inline bool link_is_empty(const struct link *list)
{
	return list->next == list;
}

static inline void link_remove(struct link *link)
{
	if (!link->next)
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = link->next = NULL;
}

/* Moves a link to the end of a list, out of the one it is in. */
static inline void link_append(struct link *list, struct link *link)
{
	link_remove(link);
	link->prev = list->prev;
	link->next = list;
	list->prev->next = link;
	list->prev = link;
}

/* The connection that a link is part of. */
static inline struct connection *link_connection(struct link *link)
{
	return (struct connection *)(void *)((char *)link - offsetof(struct connection, link));
}

/* One thread writes, any reads: no locked instruction needed. */
static inline void count(atomic_uint_least64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

/* ---- http_connection.c ---- */
/* The library's notification of a connection's start and end. */
void connection_notify(void *lane, struct MHD_Connection *mhd, void **socket_context,
	enum MHD_ConnectionNotificationCode code);
/* Enters a phase that must end within timeout_ms; 0 for no deadline. */
void connection_enter(struct connection *connection, enum phase phase, uint64_t timeout_ms);
/* The client has bytes to take from now on: ends the connection when it does not. */
void connection_await_reader(struct connection *connection);
/* Ends a connection that is not suspended: the library notices and lets it go. */
void connection_shut_down(struct connection *connection);
/* Answers with an error where the library cannot (in the middle of a body or of the headers), by
 * writing to the socket, and lets the connection linger shortly, so that the client can read it. */
void connection_refuse(struct connection *connection, unsigned status, const char *message);
/* The reader of a body takes no more for now, and goes on: time stands still in between. */
void connection_pause_body(struct connection *connection);
void connection_resume_body(struct connection *connection);
void connection_suspend(struct connection *connection);
void connection_resume(struct connection *connection);

/* ---- http_linger.c ---- */
/* The connection's descriptor is about to be closed: keeps the socket for a moment, if the client
 * could otherwise lose an answer. */
void linger_start(struct connection *connection);
/* Closes the sockets that still linger. */
void linger_end_all(struct lane *lane);

/* ---- http_request.c ---- */
/* A request for the connection, out of the pool, or NULL (no memory). */
struct http_request *request_new(struct connection *connection);
/* Gives back what only a handler needs of it: nobody asks it anything any more. */
void request_forget(struct http_request *request);
/* Back to the pool, or freed when the pool is full or is_orphan. */
void request_free(struct http_request *request);
/* Takes the trace id out of the traceparent header, or makes one. */
void request_set_trace_id(struct http_request *request);
/* The connection of a request that the handler has not answered yet ends: tells the handler, and
 * parts the two. False when the handler answered upon that, and nothing is left to part. */
bool request_orphan(struct http_request *request);
/* Copies all that borrows from the library's memory into the arena. */
void request_detach(struct http_request *request);
/* Tells the owner that the client has gone, once. */
void request_abort(struct http_request *request);

/* ---- http_head.c ---- */
/* Keeps the library from parsing the query: called when the request line is there. */
void head_cut_query(struct http_request *request, const char *uri);
/* Fills target, path, query and headers from what the library has parsed. Returns 0, or the status
 * to refuse the request with and why. */
unsigned head_read(struct http_request *request, const char *method, const char *version,
	const char **ret_reason);

/* ---- http_body.c ---- */
/* A piece of the body is there: *n bytes, of which *n are left afterwards. */
enum MHD_Result body_take(struct http_request *request, const char *data, size_t *n);

/* ---- http_answer.c ---- */
/* Gives the stored answer to the library. MHD_NO: close the connection. */
enum MHD_Result answer_queue(struct http_request *request);
/* The answer is stored: makes the library ask for it, unless it is just asking. */
void answer_deliver(struct http_request *request);
/* Prepares an error answer of the listener's own, which closes the connection. */
void answer_refuse(struct http_request *request, unsigned status, const char *message);
/* Adds a header, unless it is one that is ours or malformed. */
void answer_add_header(
	struct http_request *request, struct MHD_Response *response, struct http_header header);
void answer_add_common(struct http_request *request, struct MHD_Response *response, bool close);

/* ---- http_stream.c ---- */
/* The client has gone or the server stops: tells the owner, once, and ends the answer. */
void stream_close(struct http_stream *stream);
void stream_free(struct http_stream *stream);

/* ---- http.c ---- */
void lane_make_due(struct lane *lane);

#endif
