/*
 * http.h - the listener: bytes on a socket in, whole and checked requests out
 *
 * Wraps libmicrohttpd in external-epoll mode: one daemon per loop, all on one port (SO_REUSEPORT),
 * each connection for its whole life on one loop. In front of the handlers stands the header guard,
 * which refuses every message whose framing two servers could read differently, and total timers
 * for headers, body and slow readers, which the library does not have.
 *
 *   headers complete -> guard -> handler.on_headers (says how large a body may be, or answers)
 *   body complete    -> handler.on_request -> http_respond, now or later from the same loop
 *
 * A body is gathered for on_request, or goes piece by piece to whoever asked for that in on_headers
 * (http_stream_body): then it is read from the socket no faster than its reader takes it.
 *
 * While a request waits for its answer its connection is suspended and the listener watches the
 * socket itself; when the client leaves, on_abort runs once and the request still has to be
 * finished by http_respond (whose bytes then go nowhere).
 *
 * Threads: http_open/http_close on the thread that starts the loops; quiesce, in_flight and stats
 * on any; everything else about a request on its own loop. Memory: a request and its arena live
 * until http_respond has been called and the answer sent or the connection closed; all views given
 * out borrow from it.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "id.h"
#include "loop.h"

struct http;
struct http_request;

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_METHODS
};

struct http_header {
	struct bytes name, value;
};

/* ---- the request, as its handler sees it ---- */
struct loop *http_loop(const struct http_request *request);
/* Where to take memory for the request's life. Maximum 1 MiB beside the body. */
struct arena *http_arena(struct http_request *request);
enum http_method http_method(const struct http_request *request);
const char *http_method_name(enum http_method method);
/* The request target as it came, undecoded: path without the query, and what follows '?'. The guard
 * has refused dot segments, encoded slashes, control characters and broken percent signs. */
struct bytes http_path(const struct http_request *request);
struct bytes http_query(const struct http_request *request);
/* The value of a header, {NULL, 0} when absent. Names compare without case. */
struct bytes http_header(const struct http_request *request, struct bytes name);
/* Header number index in the order received; false behind the last. */
bool http_header_at(const struct http_request *request, size_t index, struct http_header *ret);
/* The value of a cookie, {NULL, 0} when absent. */
struct bytes http_cookie(const struct http_request *request, struct bytes name);
/* The length that the body's header announces; 0 when there is none, or it comes in chunks. */
uint64_t http_length(const struct http_request *request);
/* The body, complete in on_request; empty before, and when it was streamed. */
struct bytes http_body(const struct http_request *request);

/* In on_headers: the body is not gathered but goes to on_piece, which returns how many bytes it
 * took. When that is not all of them, nothing more is read until http_resume_body, and the time in
 * between counts against nobody. on_request comes behind the last piece, as always.
 *
 * A Content-Length over the limit is the handler's to refuse: it may have begun to work. From here
 * on the request is its handler's as if on_request had been called: when the client
 * leaves, or is too slow, on_abort runs and http_respond must still be called. An answer that is
 * given before the body is whole is sent behind it; what is left of the body is read and dropped,
 * within its limits of size and time. */
void http_stream_body(struct http_request *request,
	size_t (*on_piece)(struct http_request *request, struct bytes piece, void *context),
	void *context);
/* The reader can take more: not from within on_piece. Harmless when nothing waits. */
void http_resume_body(struct http_request *request);
/* 16 bytes, from the client's traceparent when it sent a valid one, else ours. */
const uint8_t *http_trace_id(const struct http_request *request);
/* The peer's address as text, without the port. */
struct bytes http_peer(const struct http_request *request);
/* When the request's headers were complete, monotonic. */
uint64_t http_started_ns(const struct http_request *request);

/* A place for the layer above to hang its own per-request state (in http_arena). */
void http_set_context(struct http_request *request, void *context);
void *http_context(const struct http_request *request);

/* Called once, on the loop, if the client goes away before the answer was queued. */
void http_on_abort(struct http_request *request, void (*on_abort)(struct http_request *, void *),
	void *context);

/* ---- the answer ---- */
enum http_body_kind {
	HTTP_BODY_COPY,   /* copied before http_respond returns */
	HTTP_BODY_STATIC, /* lives for ever (embedded assets) */
	HTTP_BODY_FREE,   /* malloc'd; the listener frees it, also on failure */
	HTTP_BODY_ARENA,  /* in the request's arena, or as long-lived: sent without a copy */
	HTTP_BODY_FILE    /* body_file; the listener closes it, also on failure */
};

/* A part of a regular file that does not change. It is sent by the kernel, at most 128 KiB at a
 * time for each turn of the loop: who opens it, asks for read-ahead, so that it is in memory by
 * then. */
struct http_file {
	int fd;
	uint64_t offset, n_bytes;
};

struct http_answer {
	unsigned status;
	/* Content-Length, Transfer-Encoding, Date and Connection are ours: such headers, and those
	 * that are not a token and printable text, are left out. */
	const struct http_header *headers;
	size_t n_headers;
	struct bytes body;
	enum http_body_kind body_kind;
	struct http_file body_file; /* of HTTP_BODY_FILE, instead of body */
	bool close;                 /* end the connection after this answer */
};

/* The length of an answer's body. */
static inline uint64_t http_answer_bytes(const struct http_answer *answer)
{
	return answer->body_kind == HTTP_BODY_FILE ? answer->body_file.n_bytes : answer->body.n;
}
/* For an answer that will not be given after all: what http_respond would have taken over. */
void http_answer_drop(const struct http_answer *answer);

/* Queues the answer. Exactly once per request; X-Request-Id (the trace id in hex) is added. Until
 * the answer has been sent the request's views stay valid, but the caller may not rely on being
 * told. */
void http_respond(struct http_request *request, const struct http_answer *answer);

/* ---- a streamed answer (server-sent events) ---- */
struct http_stream;

/* Instead of http_respond: sends status and headers and keeps the connection open. on_closed runs
 * once when the client leaves, the server stops, or after http_stream_end; the stream is gone then.
 * Returns NULL when there is no memory; the request then still needs its answer. */
struct http_stream *http_stream_open(struct http_request *request, unsigned status,
	const struct http_header *headers, size_t n_headers, size_t buffer_limit_bytes,
	void (*on_closed)(void *context), void *context);
/* Queues data. False, with nothing queued, when the reader is so slow that the buffer would pass
 * its limit. */
bool http_stream_write(struct http_stream *stream, struct bytes data);
/* Bytes that are queued and not yet sent. */
size_t http_stream_pending(const struct http_stream *stream);
/* The request is of no interest any more: its arena and its views go, none of its functions may be
 * called, and on_done does not run for it. A stream that is silent for hours costs a third less
 * then. */
void http_stream_forget_request(struct http_stream *stream);
/* Ends the answer after what was queued. on_closed runs later. */
void http_stream_end(struct http_stream *stream);
/* Ends it in a way that the client can tell from an end: the rest is not to be had. */
void http_stream_abort(struct http_stream *stream);

/* ---- the listener ---- */
struct http_handler {
	void *context;
	/* Headers are complete and passed the guard. Returns the largest body to accept in bytes,
	 * or -1 when it has already answered with http_respond (as for 404 before a body is read).
	 */
	int64_t (*on_headers)(void *context, struct http_request *request);
	/* The whole request is there. Must lead to one http_respond or http_stream_open, now or
	 * later. */
	void (*on_request)(void *context, struct http_request *request);
	/* A request ended: its answer was sent or its connection died. status is 0 when none was
	 * queued. Runs for every request of which there was a request line, also for those that
	 * the listener refused before on_headers (their http_context is NULL). */
	void (*on_done)(
		void *context, struct http_request *request, unsigned status, uint64_t sent_bytes);
	/* Body of an answer that the listener itself makes (guard, limits, timers): writes the
	 * error body (JSON) for status into out. Of request, only its trace id may be asked. */
	void (*make_error)(void *context, struct http_request *request, unsigned status,
		const char *message, struct bytes_buf *out);
};

struct http_config {
	struct bytes address;      /* "127.0.0.1", "::1", "0.0.0.0" */
	uint16_t port;             /* 0: any free one */
	unsigned connection_limit; /* per loop */
	/* From the start of a connection, or of a request on it, until its headers are complete. */
	unsigned header_timeout_ms;
	/* What a body may take beside one second for each 8 KiB of it. */
	unsigned body_timeout_ms;
	unsigned idle_timeout_ms; /* between two requests */
	/* In which a reader has to take the answer, or 8 KiB of it for each second. */
	unsigned send_timeout_ms;
};

/* Listens on every loop. loops[n_loops] do not run yet. Returns 0 and a listener to close, or -1
 * (ERR_IO with "address already in use" and the like). */
int http_open(const struct http_config *config, struct loop *const *loops, unsigned n_loops,
	const struct http_handler *handler, struct http **ret, struct err *err);
/* The port that was bound. */
uint16_t http_port(const struct http *http);
/* How many connections there may be, over all loops: what was asked for, as far as descriptors
 * reach. */
unsigned http_connection_limit(const struct http *http);
/* Stops accepting, on every loop. Requests in flight go on and their connections close after the
 * answer; idle connections are closed, streams ended. Any thread, while the loops run. */
void http_quiesce(struct http *http);
/* Requests that passed the guard and have not ended, over all loops. */
unsigned http_in_flight(const struct http *http);
/* After the loops have ended, before they are freed. Closes what is left: requests without an
 * answer end (on_abort, on_done with status 0), but their memory stays until http_respond, which a
 * message in a mailbox may still bring. Takes NULL. */
void http_close(struct http *http);

struct http_stats {
	uint64_t connections_accepted, connections_evicted; /* evicted: idle, over the limit */
	uint64_t connections_timed_out;                     /* by one of the total timers */
	uint64_t requests_begun;                            /* there was a request line */
	uint64_t requests_refused; /* by guard or limits, before the handler */
	uint64_t clients_gone;     /* before their answer was queued */
	unsigned connections_open;
};

/* The sums over all loops since http_open. Any thread. */
void http_stats(const struct http *http, struct http_stats *ret);

DEFER_DEFINE(struct http *, http_close)

#endif
