/*
 * wire.h - what the core and a worker say to each other: frames and messages
 *
 * A message is one or more frames that follow each other directly in a ring; all but the last carry
 * WIRE_FLAG_MORE, so that a body of a megabyte passes through a ring of 128 KiB.
 *
 *   frame   | header, 64 bytes                                        | payload, 0 to 32,704 bytes
 * | header  | total type flags slot generation sequence payload message | reserved, zero | u32 u16
 * u16   u32  u32        u32      u32     u32        36 bytes payload | fixed members and lists of
 * the message, little-endian, each bytes member with a u32 | length in front | the tail: a body,
 * rows, or nothing |
 *
 * Each message is a plain struct here. wire_put_NAME() encodes all of it but its tail; the tail
 * goes into the ring from where it lies (ring_send()). wire_get_NAME() decodes one whole payload
 * from memory that is private to the reader; everything in the result borrows from there. Decoding
 * checks every length, count and enum; it trusts nothing, on both sides.
 *
 * A call is named by its loop (the ring), its slot in that loop (below WIRE_SLOTS) and the slot's
 * generation. Its life: CALL, then any number of worker's requests (each answered by one REPLY with
 * the same sequence; there is at most one at a time), LOG, and in the end exactly one of RESPOND,
 * FAIL or DONE, which means that the fiber has returned. CANCEL may come at any time; the end still
 * follows.
 *
 * Threads: none inside. Memory: decoded structs borrow from the payload.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define WIRE_HEADER_BYTES 64u
#define WIRE_FRAME_MAX    32768u
#define WIRE_PAYLOAD_MAX  (WIRE_FRAME_MAX - WIRE_HEADER_BYTES)
#define WIRE_MESSAGE_MAX  (9u << 20) /* the biggest body (8 MiB) and its head */
#define WIRE_SLOTS        256u       /* calls in flight per loop and instance */
#define WIRE_LIST_MAX     100000u    /* elements of one list: rows * columns of a reply */
#define WIRE_HEADERS_MAX  64u        /* headers of a call, an answer, a request upstream */
#define WIRE_VALUES_MAX   64u        /* values of a statement */
#define WIRE_FIELDS_MAX   16u        /* fields of a log line */
#define WIRE_COLUMNS_MAX  64u        /* columns of a query's reply */
#define WIRE_ID_BYTES     16

enum wire_type {
	/* core to worker */
	WIRE_CALL = 1,
	WIRE_REPLY,
	WIRE_CANCEL,
	WIRE_DRAIN,
	WIRE_PING,
	/* worker to core: of the instance (slot and generation are 0), on ring 0; PONG on PING's
	   ring */
	WIRE_READY = 32,
	WIRE_FAILED,
	WIRE_PONG,
	WIRE_DRAINED,
	/* worker to core: of a call */
	WIRE_LOG, /* before READY also of the instance */
	WIRE_DB_QUERY,
	WIRE_DB_EXEC,
	WIRE_DB_BEGIN,
	WIRE_DB_COMMIT,
	WIRE_DB_ROLLBACK,
	WIRE_DB_ATTACH,
	WIRE_HTTP_SEND,
	WIRE_RESPOND,
	WIRE_FAIL,
	WIRE_DONE
};

enum wire_direction { WIRE_TO_WORKER, WIRE_TO_CORE };

#define WIRE_FLAG_MORE 1u /* the message goes on in the call's next frame of this type */

/* The header as it stands in the ring, native order. total_bytes is header and payload. */
struct wire_frame {
	uint32_t total_bytes;
	uint16_t type;  /* enum wire_type */
	uint16_t flags; /* WIRE_FLAG_ */
	uint32_t slot, generation;
	uint32_t sequence; /* of the worker's request within its call, from 1; 0 where there is none
			    */
	uint32_t payload_bytes;
	uint32_t message_bytes; /* payload of all frames of this message */
	uint32_t reserved[9];   /* zero */
};

/* True when the header is well-formed and its type may travel in that direction. Says nothing about
 * whether such a call exists. */
bool wire_frame_check(const struct wire_frame *frame, enum wire_direction direction);

/* The type as a word for logs and audit, for example "db_query". Never NULL. */
const char *wire_name(uint16_t type);
/* True for the requests that are answered by a REPLY. */
bool wire_is_request(uint16_t type);
/* True for the messages that end a call. */
bool wire_is_end(uint16_t type);

/* ---- joining the frames of a message: one join for each ring that is read ---- */

struct wire_join {
	struct bytes_buf data;   /* of a message that is not complete yet */
	struct wire_frame first; /* its first frame; type 0: between two messages */
	size_t max_bytes;
};

enum wire_join_result {
	WIRE_JOIN_WHOLE,    /* *ret is the whole payload, valid until the next call */
	WIRE_JOIN_MORE,     /* more frames must come */
	WIRE_JOIN_VIOLATION /* out of order, or not what the first frame announced, or over the
			       maximum */
};

/* Messages up to max_bytes of payload. Allocates nothing before a message of several frames comes.
 */
void wire_join_init(struct wire_join *join, size_t max_bytes);
void wire_join_fini(struct wire_join *join);
/* Drops what it holds. */
void wire_join_clear(struct wire_join *join);
/* Takes the ring's next frame (one that wire_frame_check() accepts) with its private payload. The
 * payload of a message of one frame comes back as it is, without a copy. */
enum wire_join_result wire_join_add(struct wire_join *join, const struct wire_frame *frame,
	struct bytes payload, struct bytes *ret);

/* ---- lists: a count and the encoded elements; already checked when they come out of wire_get_
 * ---- */

struct wire_list {
	uint32_t n;
	struct bytes raw; /* unread elements */
};

enum wire_value_type { WIRE_NULL, WIRE_INTEGER, WIRE_REAL, WIRE_TEXT, WIRE_BLOB, WIRE_BOOL };

struct wire_value {
	enum wire_value_type type;
	int64_t integer;   /* INTEGER, BOOL */
	double real;       /* REAL; finite */
	struct bytes text; /* TEXT, BLOB; not checked for UTF-8 */
};

/* Appends one element; the caller counts them. False when the buffer is full. */
bool wire_put_pair(struct bytes_buf *raw, struct bytes name, struct bytes value);
bool wire_put_value(struct bytes_buf *raw, const struct wire_value *value);
bool wire_put_text(struct bytes_buf *raw, struct bytes text);

/* Takes the next element off the list. False at its end (or when the raw bytes are not what the
 * count says, which does not happen after wire_get_). */
bool wire_next_pair(struct wire_list *list, struct bytes *name, struct bytes *value);
bool wire_next_value(struct wire_list *list, struct wire_value *ret);
bool wire_next_text(struct wire_list *list, struct bytes *ret);

/* ---- core to worker ---- */

enum wire_call_kind { WIRE_KIND_ROUTE = 2, WIRE_KIND_HOOK, WIRE_KIND_HEALTH };

#define WIRE_CALL_SUPERUSER 1u

struct wire_call {
	enum wire_call_kind kind;
	uint32_t route_id; /* of a HEALTH call: the level */
	uint32_t flags;    /* WIRE_CALL_ */
	uint64_t deadline_ns;
	uint8_t trace_id[WIRE_ID_BYTES];
	struct bytes method, path, query, tenant, principal_id, principal_collection;
	struct bytes collection, request_id;
	struct wire_list headers; /* pairs */
	struct bytes body;        /* the tail */
};

struct wire_error {
	int32_t code; /* negative, as TENON_E_ of the ABI */
	uint32_t flags, http_status;
	struct bytes message, reason, field, origin, detail, rule;
};

/* REPLY. With status 0 the tail is what the request asks for: rows of DB_QUERY (wire_rows), a u64
 * of DB_EXEC (wire_changed), a response of HTTP_SEND (wire_http_response), else nothing. */
struct wire_reply {
	int32_t status;          /* 0, or error.code */
	struct wire_error error; /* only when status is not 0 */
	struct bytes result;     /* the tail */
};

struct wire_rows {
	uint32_t n_columns, n_rows;
	struct wire_list names;  /* texts, n_columns of them */
	struct wire_list values; /* n_rows * n_columns, row by row; the tail */
};

struct wire_changed {
	uint64_t n_rows;
};

struct wire_http_response {
	uint32_t status;
	struct wire_list headers;
	struct bytes body; /* the tail */
};

/* CANCEL: status is what the call's functions answer from now on (CANCELLED or DEADLINE). */
struct wire_cancel {
	int32_t status;
};

/* DRAIN: no CALL will come after this. The worker ends its calls, tells the plugin, answers DRAINED
 * and exits with 0. */
struct wire_drain {
	uint64_t deadline_ns;
};

/* PING and PONG: the number comes back. */
struct wire_ping {
	uint64_t number;
};

/* ---- worker to core ---- */

struct wire_ready {
	uint32_t abi_major, abi_minor, target, concurrency;
	struct bytes id, version;
};

struct wire_failed {
	int32_t status;
	struct bytes stage; /* "load" or "create" */
	struct bytes message;
};

struct wire_log {
	uint32_t level; /* 1 debug to 4 error */
	struct bytes message;
	struct wire_list fields; /* pairs */
};

/* DB_QUERY, DB_EXEC */
struct wire_statement {
	uint32_t max_rows, timeout_ms;
	struct bytes name;
	struct wire_list args; /* values */
};

/* DB_ATTACH */
struct wire_attachment {
	struct bytes name, message, reason, field;
	struct wire_list args; /* values */
};

/* DB_BEGIN, DB_COMMIT and DB_ROLLBACK have an empty payload. */

struct wire_http_request {
	uint32_t timeout_ms, max_response_bytes;
	struct bytes upstream, method, path;
	struct wire_list headers;
	struct bytes body; /* the tail */
};

struct wire_respond {
	uint32_t status; /* 200 to 599 */
	struct wire_list headers;
	struct bytes body; /* the tail */
};

/* FAIL is a wire_error. */

struct wire_done {
	int32_t status;
};

/* ---- one pair of functions per message ----
 * put appends the payload without its tail (so that a struct with an unset tail encodes the same)
 * and returns false when the buffer is full. get returns false when the payload is malformed. */
bool wire_put_call(struct bytes_buf *out, const struct wire_call *call);
bool wire_get_call(struct bytes payload, struct wire_call *ret);
bool wire_put_reply(struct bytes_buf *out, const struct wire_reply *reply);
bool wire_get_reply(struct bytes payload, struct wire_reply *ret);
bool wire_put_rows(struct bytes_buf *out, const struct wire_rows *rows);
bool wire_get_rows(struct bytes result, struct wire_rows *ret);
bool wire_put_changed(struct bytes_buf *out, const struct wire_changed *changed);
bool wire_get_changed(struct bytes result, struct wire_changed *ret);
bool wire_put_http_response(struct bytes_buf *out, const struct wire_http_response *response);
bool wire_get_http_response(struct bytes result, struct wire_http_response *ret);
bool wire_put_cancel(struct bytes_buf *out, const struct wire_cancel *cancel);
bool wire_get_cancel(struct bytes payload, struct wire_cancel *ret);
bool wire_put_drain(struct bytes_buf *out, const struct wire_drain *drain);
bool wire_get_drain(struct bytes payload, struct wire_drain *ret);
bool wire_put_ping(struct bytes_buf *out, const struct wire_ping *ping);
bool wire_get_ping(struct bytes payload, struct wire_ping *ret);

bool wire_put_ready(struct bytes_buf *out, const struct wire_ready *ready);
bool wire_get_ready(struct bytes payload, struct wire_ready *ret);
bool wire_put_failed(struct bytes_buf *out, const struct wire_failed *failed);
bool wire_get_failed(struct bytes payload, struct wire_failed *ret);
bool wire_put_log(struct bytes_buf *out, const struct wire_log *log);
bool wire_get_log(struct bytes payload, struct wire_log *ret);
bool wire_put_statement(struct bytes_buf *out, const struct wire_statement *statement);
bool wire_get_statement(struct bytes payload, struct wire_statement *ret);
bool wire_put_attachment(struct bytes_buf *out, const struct wire_attachment *attachment);
bool wire_get_attachment(struct bytes payload, struct wire_attachment *ret);
bool wire_put_http_request(struct bytes_buf *out, const struct wire_http_request *request);
bool wire_get_http_request(struct bytes payload, struct wire_http_request *ret);
bool wire_put_respond(struct bytes_buf *out, const struct wire_respond *respond);
bool wire_get_respond(struct bytes payload, struct wire_respond *ret);
bool wire_put_error(struct bytes_buf *out, const struct wire_error *error);
bool wire_get_error(struct bytes payload, struct wire_error *ret);
bool wire_put_done(struct bytes_buf *out, const struct wire_done *done);
bool wire_get_done(struct bytes payload, struct wire_done *ret);

#endif
