/*
 * tenon/plugin.h - everything a Tenon plugin needs to know about its host
 *
 * History, newest first
 *   1.0 (draft)  The first major. All interfaces carry draft ids (x.tenon.NAME/0) and may still
 * change.
 *
 * A plugin is a shared object that exports one data symbol, tenon_plugin_v1. The host loads it into
 * a process of its own, calls create() once, then invoke() for every request and every record hook
 * that the plugin's manifest (tenon.json) declares. Everything outside of the plugin's own memory
 * goes through the interfaces below: tables of functions that create() asks the host for by name.
 *
 * The rules, once
 *   Language   C99 or later, C++11 or later, or any language that can read this header. It includes
 *              <stddef.h> and <stdint.h> and nothing else, and needs no function of a library.
 *   Sizes      Every struct that may grow starts with its size in bytes, set by whoever makes it.
 * The reader takes what both know; a missing tail reads as zero and means "as before". tenon_str,
 * tenon_pair and tenon_value stand in arrays, never grow, and have no size. Text       Pointer and
 * length, UTF-8, no terminator unless a comment says so. Memory     What you pass in is borrowed
 * until the function returns, unless a comment says longer. What you get out lives until invoke()
 * (or create(), or health()) returns. Neither side frees what the other made. What must outlive a
 * call you allocate yourself. Status     int32_t: TENON_OK or one negative TENON_E_ number.
 * last_error() tells more. Threads    The host calls a plugin from one thread. [call] on a
 * function: only on that thread and only with the tenon_call that is running. [any] on a function:
 * wherever you like. Suspension [suspends] on a function: in a COOPERATIVE plugin another call of
 * the same instance may run before it returns. Hold no lock, no errno and no pointer into shared
 * state that the other call could change across it. A SERIAL plugin (the default) has one call at a
 * time and need not care. Never      Let an exception, a longjmp or a thread cross into the host. A
 * crash ends this process alone: the caller gets an error with a trace id and the next call a new
 * process.
 */
#ifndef TENON_PLUGIN_H
#define TENON_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_ABI_MAJOR 1u
#define TENON_ABI_MINOR 0u

/* The behaviour of the host that this header describes: the value for tenon_plugin.target. */
#define TENON_TARGET 1u

#if defined(__GNUC__)
#define TENON_EXPORT __attribute__((visibility("default")))
#else
#define TENON_EXPORT
#endif

/* ---- status: one fixed set, no number is ever reused ---- */

#define TENON_OK            0
#define TENON_E_CANCELLED   -1  /* the client left, or the call was ended from outside */
#define TENON_E_INTERNAL    -2  /* a fault; also what an unknown status is taken for */
#define TENON_E_INVALID     -3  /* an argument or a value is not acceptable */
#define TENON_E_DEADLINE    -4  /* time ran out */
#define TENON_E_NOT_FOUND   -5  /* no such thing; of next(): no more rows */
#define TENON_E_EXISTS      -6  /* it is there already */
#define TENON_E_DENIED      -7  /* not declared, not granted, or a rule said no */
#define TENON_E_EXHAUSTED   -8  /* a quota is used up */
#define TENON_E_PRECOND     -9  /* not in a state in which this may be asked */
#define TENON_E_CONFLICT    -10 /* somebody else was faster: the whole transaction may be retried */
#define TENON_E_RANGE       -11 /* a number or a length outside of its bounds */
#define TENON_E_UNSUPPORTED -12 /* this host does not know the flag, the option or the function */
#define TENON_E_UNAVAILABLE -14 /* the other side is not there now */
#define TENON_E_UNAUTH      -16 /* nobody is signed in */

/* ---- building blocks: frozen, without a size ---- */

struct tenon_str {
	const char *p; /* may be NULL when n is 0 */
	size_t n;
};

struct tenon_pair {
	struct tenon_str name, value;
};

/* A literal as two arguments (pointer, length), and as an initializer of a tenon_str. */
#define TENON_LIT(literal) ("" literal), (sizeof(literal) - 1)
#define TENON_STR(literal)                                                                         \
	{                                                                                          \
		"" literal, sizeof(literal) - 1                                                    \
	}

#define TENON_TYPE_NULL    0u
#define TENON_TYPE_INTEGER 1u /* integer */
#define TENON_TYPE_REAL    2u /* real */
#define TENON_TYPE_TEXT    3u /* text, UTF-8 */
#define TENON_TYPE_BLOB    4u /* text, any bytes */
#define TENON_TYPE_BOOL    5u /* integer, 0 or 1 */
#define TENON_TYPE_OBJECT  6u /* only from tenon.json: integer is the number of members */
#define TENON_TYPE_ARRAY   7u /* only from tenon.json: integer is the number of elements */

struct tenon_value {
	uint32_t type;     /* TENON_TYPE_ */
	uint32_t reserved; /* 0 */
	int64_t integer;
	double real; /* also set for INTEGER values that the host hands out */
	struct tenon_str text;
};

/* Opaque: tenon_instance is the plugin's own, the others are the host's. */
struct tenon_instance;
struct tenon_call; /* one entry into the plugin; lives until that entry returns */
struct tenon_rows;
struct tenon_json;
struct tenon_json_out;

/* What went wrong, in full. A plugin makes one for fail(); last_error() gives one. */
struct tenon_error {
	uint32_t size;
	int32_t code;         /* TENON_E_ */
	uint32_t flags;       /* TENON_ERROR_ */
	uint32_t http_status; /* wish for the answer's status, 400 to 599; 0: the host decides by
				 code */
	struct tenon_str message; /* one sentence, fit for the tenant's users, at most 1 KiB */
	struct tenon_str reason;  /* one word for programs: a-z, 0-9 and _, at most 64 bytes */
	struct tenon_str field;   /* the record's field that offends, when it is one */
	struct tenon_str origin;  /* "db", "http", "host" or the plugin's id; set by the host */
	struct tenon_str
		detail; /* SQLite's code, an upstream's status, an errno name; set by the host */
	struct tenon_str rule; /* the rule or the grant that denied; set by the host */
	const struct tenon_error
		*cause;       /* NULL at the end of the chain (at most 8); set by the host */
	uint8_t trace_id[16]; /* set by the host */
};

#define TENON_ERROR_RETRYABLE 1u /* the same request may succeed later */
#define TENON_ERROR_NO_EFFECT 2u /* nothing has been changed by what failed */

/* ---- what the host gives ---- */

struct tenon_host {
	uint32_t size, abi_major, abi_minor;
	uint32_t target; /* the behaviour that this host applies to this plugin */

	/* The interface table of that id (terminated) if the host has it at min_rev or later and
	 * the manifest asks for it; else NULL. The table lives as long as the process. [any]
	 * Since 1.0. */
	const void *(*iface)(struct tenon_host *host, const char *id, uint32_t min_rev);
};

/* True when the table or struct at t is long enough to have member m. For members that are newer
 * than the revision you asked for. */
#define TENON_HAS(t, m)                                                                            \
	((size_t)(t)->size >= (size_t)((const char *)(&(t)->m + 1) - (const char *)(t)))

/* -- x.tenon.call/0: the call that is running -- */

#define TENON_CALL_ID   "x.tenon.call/0"

#define TENON_KIND_BOOT 1u /* create(): may log, alloc and fail, nothing else */
#define TENON_KIND_ROUTE                                                                           \
	2u /* a request to a route of the manifest: answer with respond() or fail() */
#define TENON_KIND_HOOK                                                                            \
	3u /* a record is about to be written: TENON_OK lets it, fail() refuses it */
#define TENON_KIND_HEALTH 4u /* health() */

struct tenon_call_info {
	uint32_t size;
	uint32_t kind;           /* TENON_KIND_ */
	uint32_t route_id;       /* the id that the manifest gave the route or the hook */
	uint32_t is_superuser;   /* 1: the caller administers this tenant */
	struct tenon_str method; /* "GET"; of a hook: "create", "update", "delete" */
	struct tenon_str path;   /* below /api/x/{plugin}: "/totals"; of a hook: empty */
	struct tenon_str query;  /* raw, without the question mark */
	struct tenon_str tenant;
	struct tenon_str principal_id;         /* the signed-in user's record id; empty: nobody */
	struct tenon_str principal_collection; /* the collection of that record */
	struct tenon_str collection;           /* of a hook: the collection that is written to */
	struct tenon_str request_id;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	uint8_t trace_id[16];
};

/* The body of an answer is copied by respond(). With this flag it is not: it must then stay
 * unchanged until invoke() returns, so it may be static, the instance's or alloc()'s, never a local
 * variable of a function that returns earlier. */
#define TENON_RESPONSE_BORROW_BODY 1u

struct tenon_response {
	uint32_t size;
	uint32_t flags;                   /* TENON_RESPONSE_; an unknown flag is refused */
	uint32_t status;                  /* 200 to 599 */
	uint32_t reserved;                /* 0 */
	const struct tenon_pair *headers; /* Content-Type, when absent, is application/json */
	size_t n_headers;                 /* at most 64 */
	const void *body;
	size_t body_n; /* at most 8 MiB */
};

struct tenon_call_api {
	uint32_t size, rev;

	/* What is being asked, and by whom. Never NULL. [call] Since rev 1. */
	const struct tenon_call_info *(*info)(struct tenon_call *call);

	/* The index-th (from 0) value of a request header; the name's case does not matter.
	 * NOT_FOUND: there are not so many. [call] Since rev 1. */
	int32_t (*header)(struct tenon_call *call, const char *name, size_t name_n, uint32_t index,
		struct tenon_str *out);

	/* The index-th value of a query parameter, decoded. NOT_FOUND: there are not so many;
	 * INVALID: it is not well-formed percent-encoded UTF-8. [call] Since rev 1. */
	int32_t (*param)(struct tenon_call *call, const char *name, size_t name_n, uint32_t index,
		struct tenon_str *out);

	/* The whole request body, bounded by the route's bodyLimit. Of a hook: a JSON object, the
	 * record as it is about to be written; of an update {"old":..., "new":...}; of a delete the
	 * record as it is. [call] Since rev 1. */
	int32_t (*body)(struct tenon_call *call, const void **out, size_t *out_n);

	/* The answer. It is sent when invoke() returns TENON_OK and dropped when it returns
	 * anything else; a second one replaces the first. A route that returns TENON_OK without one
	 * answers 204. INVALID: the status, a flag or a header is not acceptable; EXHAUSTED: too
	 * big. [call] Since rev 1. */
	int32_t (*respond)(struct tenon_call *call, const struct tenon_response *response);

	/* Makes error the call's answer and returns error->code (or INTERNAL when that is no
	 * TENON_E_), so that a plugin can write: return api->fail(call, &error). Drops an answer
	 * given before. [call] Since rev 1. */
	int32_t (*fail)(struct tenon_call *call, const struct tenon_error *error);

	/* What the last function of this call that did not return TENON_OK had to say; NULL when
	 * none failed yet. Valid until the next failure. [call] Since rev 1. */
	const struct tenon_error *(*last_error)(struct tenon_call *call);

	/* 1 once nobody waits for the answer any more or the deadline has passed; else 0. Every
	 * function that suspends then returns CANCELLED or DEADLINE. Ask in long computations.
	 * [call] Since rev 1. */
	uint32_t (*cancelled)(struct tenon_call *call);

	/* n zeroed bytes that live until invoke() returns, align a power of two up to 64 (0: fit
	 * for any type). NULL when the call's memory (16 MiB) is used up. [call] Since rev 1. */
	void *(*alloc)(struct tenon_call *call, size_t n, size_t align);
};

/* -- x.tenon.log/0: lines in the tenant's log -- */

#define TENON_LOG_ID    "x.tenon.log/0"

#define TENON_LOG_DEBUG 1u
#define TENON_LOG_INFO  2u
#define TENON_LOG_WARN  3u
#define TENON_LOG_ERROR 4u

struct tenon_log_api {
	uint32_t size, rev;

	/* One line with up to 16 structured fields, which carries the call's trace id. Text beyond
	 * 4 KiB is cut; lines beyond the instance's rate are counted and dropped. [call] Since
	 * rev 1. */
	void (*write)(struct tenon_call *call, uint32_t level, const char *message,
		size_t message_n, const struct tenon_pair *fields, size_t n_fields);
};

/* -- x.tenon.db/0: the statements that the manifest declares -- */

#define TENON_DB_ID "x.tenon.db/0"

/* A declared statement with its values. */
struct tenon_statement {
	uint32_t size;
	uint32_t flags;                 /* 0 */
	struct tenon_str name;          /* as in the manifest; there is no way to send SQL text */
	const struct tenon_value *args; /* in the order of the manifest's "params" */
	size_t n_args;                  /* exactly as many, at most 64 */
	uint32_t max_rows;              /* 0: as declared; never more than declared */
	uint32_t timeout_ms; /* 0: as declared; never more than declared or the call's deadline */
};

/* A declared statement that becomes part of the write that a hook was asked about: the host runs it
 * in the write's own savepoint, and refuses the write with this message when it yields no row (kind
 * "check") or changes none (kind "write"). */
struct tenon_attachment {
	uint32_t size;
	uint32_t flags;        /* 0 */
	struct tenon_str name; /* of the statement */
	const struct tenon_value *args;
	size_t n_args;
	struct tenon_str message; /* as in tenon_error */
	struct tenon_str reason;
	struct tenon_str field;
};

struct tenon_db_api {
	uint32_t size, rev;

	/* Runs a statement of kind "query". On TENON_OK *out holds all its rows, before the first.
	 * DENIED: no such statement is declared; INVALID: wrong number or types of values;
	 * DEADLINE: it ran too long; EXHAUSTED: more rows or bytes than allowed. [call] [suspends]
	 * Since rev 1. */
	int32_t (*query)(struct tenon_call *call, const struct tenon_statement *statement,
		struct tenon_rows **out);

	/* Steps to the next row. NOT_FOUND after the last. The values live as long as the rows.
	 * [call] Since rev 1. */
	int32_t (*next)(
		struct tenon_rows *rows, const struct tenon_value **values, size_t *n_values);

	/* The name of a column, from 0. RANGE: there are not so many. [call] Since rev 1. */
	int32_t (*column)(struct tenon_rows *rows, uint32_t index, struct tenon_str *out);

	/* Runs a statement of kind "exec"; *changed, which may be NULL, gets the number of rows
	 * that it changed. Outside of begin and commit it is durable when this returns TENON_OK.
	 * PRECOND: in a hook, where writes are attached instead. Else as query(). [call] [suspends]
	 * Since rev 1. */
	int32_t (*exec)(struct tenon_call *call, const struct tenon_statement *statement,
		uint64_t *changed);

	/* A transaction over the exec() and query() calls between begin and commit. At most one at
	 * a time; what is not committed when invoke() returns is rolled back. commit may answer
	 * CONFLICT. A host may answer UNSUPPORTED to begin. [call] [suspends] Since rev 1. */
	int32_t (*begin)(struct tenon_call *call, uint32_t flags);
	int32_t (*commit)(struct tenon_call *call);
	int32_t (*rollback)(struct tenon_call *call);

	/* Only in a hook: adds a statement of kind "check" or "write" to the pending write. At
	 * most 16. PRECOND: not in a hook. [call] [suspends] Since rev 1. */
	int32_t (*attach)(struct tenon_call *call, const struct tenon_attachment *attachment);
};

/* -- x.tenon.http/0: the upstreams that the manifest declares -- */

#define TENON_HTTP_ID "x.tenon.http/0"

struct tenon_http_request {
	uint32_t size;
	uint32_t flags;            /* 0 */
	struct tenon_str upstream; /* its name in the manifest; there is no way to send a URL */
	struct tenon_str method;   /* one that the manifest allows there */
	struct tenon_str path;     /* with query; under a path that the manifest allows there */
	const struct tenon_pair
		*headers; /* not Host, lengths, connection or credentials: the host sets those */
	size_t n_headers; /* at most 32 */
	const void *body;
	size_t body_n;
	uint32_t timeout_ms;         /* 0: until the call's deadline */
	uint32_t max_response_bytes; /* 0: 1 MiB, which is also the most */
};

struct tenon_http_response {
	uint32_t size; /* set by the caller before send() */
	uint32_t status;
	const struct tenon_pair *headers;
	size_t n_headers;
	const uint8_t *body;
	size_t body_n;
};

struct tenon_http_api {
	uint32_t size, rev;

	/* Sends one request and waits for the whole answer; redirects are answers. TENON_OK: *out
	 * is filled, whatever its status says. DENIED: not declared, or the address is one that
	 * plugins may not reach; UNAVAILABLE: no connection; DEADLINE; EXHAUSTED: the answer is too
	 * big. [call] [suspends] Since rev 1. */
	int32_t (*send)(struct tenon_call *call, const struct tenon_http_request *request,
		struct tenon_http_response *out);
};

/* -- x.tenon.json/0: read and write JSON without a library -- */

#define TENON_JSON_ID "x.tenon.json/0"

struct tenon_json_api {
	uint32_t size, rev;

	/* Checks text strictly (RFC 8259, no duplicate keys, depth at most 32) and makes it
	 * readable; text is borrowed until invoke() returns. INVALID: it is not JSON. [call] Since
	 * rev 1. */
	int32_t (*parse)(
		struct tenon_call *call, const void *text, size_t text_n, struct tenon_json **out);

	/* The value at an RFC 6901 pointer ("" is the whole, "/lines/0/quantity" an inner one).
	 * Numbers are INTEGER when they are written as one that fits, else REAL; of an object or
	 * array *out has the number of members, and text is its JSON. NOT_FOUND: nothing is there;
	 * INVALID: not a pointer. Takes time in proportion to the length of the text. [call] Since
	 * rev 1. */
	int32_t (*get)(struct tenon_json *json, const char *pointer, size_t pointer_n,
		struct tenon_value *out);

	/* Starts a text. The five functions below add to it in order: begin(OBJECT or ARRAY), key
	 * (only in an object, once before each value), put (NULL, INTEGER, REAL, TEXT or BOOL),
	 * end, finish. The first one that fails makes all later ones return the same status, so it
	 * is enough to look at finish's: PRECOND: out of order; INVALID: not UTF-8, not a finite
	 * number; EXHAUSTED: out of the call's memory. [call] Since rev 1. */
	int32_t (*build)(struct tenon_call *call, struct tenon_json_out **out);
	int32_t (*begin)(struct tenon_json_out *out, uint32_t type);
	int32_t (*key)(struct tenon_json_out *out, const char *name, size_t name_n);
	int32_t (*put)(struct tenon_json_out *out, const struct tenon_value *value);
	int32_t (*end)(struct tenon_json_out *out);
	int32_t (*finish)(struct tenon_json_out *out, struct tenon_str *text);
};

/* ---- what the plugin exports ---- */

struct tenon_config {
	uint32_t size;
	uint32_t flags;
	struct tenon_str
		settings; /* JSON object, lives as long as the process; "{}" when there are none */
};

#define TENON_SERIAL      0u /* one call at a time for each instance (the default) */
#define TENON_COOPERATIVE 1u /* functions marked [suspends] may run another call meanwhile */

struct tenon_plugin {
	uint32_t size;      /* sizeof(struct tenon_plugin) */
	uint32_t abi_major; /* TENON_ABI_MAJOR */
	uint32_t abi_minor; /* TENON_ABI_MINOR */
	uint32_t target;    /* TENON_TARGET */
	uint32_t concurrency;
	uint32_t flags;      /* 0 */
	const char *id;      /* terminated; as in the manifest */
	const char *version; /* terminated; as in the manifest */

	/* Called once before all others. May log, allocate and fail, nothing else, so that trying a
	 * version out costs nothing. *out is handed to every later call. Since 1.0. */
	int32_t (*create)(struct tenon_host *host, struct tenon_call *boot,
		const struct tenon_config *config, struct tenon_instance **out);

	/* Every route and every hook enters here: look at the call's kind and route_id. Since 1.0.
	 */
	int32_t (*invoke)(struct tenon_instance *instance, struct tenon_call *call);

	/* Best effort: it may never be called. Since 1.0. */
	void (*destroy)(struct tenon_instance *instance);

	/* Optional, NULL allowed, from here on. */

	/* Is this instance fit to serve? level 0: answer at once; 1: look at what it depends on.
	 * Since 1.0. */
	int32_t (*health)(struct tenon_instance *instance, uint32_t level, struct tenon_call *call);

	/* No call will come any more; finish before the deadline (CLOCK_MONOTONIC). Since 1.0. */
	int32_t (*drain)(struct tenon_instance *instance, uint64_t deadline_ns);
};

/* The one symbol of a plugin. A file may export a later major's symbol beside it. */
extern TENON_EXPORT const struct tenon_plugin tenon_plugin_v1;

/* ---- the layout, frozen: the same on x86-64 and aarch64 ---- */

#define TENON_FREEZE(name, bytes)                                                                  \
	typedef char tenon_layout_of_##name[sizeof(struct name) == (bytes) ? 1 : -1]
#define TENON_FREEZE_AT(name, member, at)                                                          \
	typedef char                                                                               \
		tenon_layout_of_##name##_##member[offsetof(struct name, member) == (at) ? 1 : -1]

/* Sizes as of 1.0: what a reader may rely on. Never raise them: compare sizes with >=. */
#define TENON_PLUGIN_SIZE_1_0 64u /* up to and with destroy */
#define TENON_HOST_SIZE_1_0   24u

#if defined(__LP64__) || defined(_LP64)
TENON_FREEZE(tenon_str, 16);
TENON_FREEZE(tenon_pair, 32);
TENON_FREEZE(tenon_value, 40);
TENON_FREEZE(tenon_error, 136);
TENON_FREEZE(tenon_host, 24);
TENON_FREEZE(tenon_call_info, 168);
TENON_FREEZE(tenon_response, 48);
TENON_FREEZE(tenon_call_api, 80);
TENON_FREEZE(tenon_log_api, 16);
TENON_FREEZE(tenon_statement, 48);
TENON_FREEZE(tenon_attachment, 88);
TENON_FREEZE(tenon_db_api, 72);
TENON_FREEZE(tenon_http_request, 96);
TENON_FREEZE(tenon_http_response, 40);
TENON_FREEZE(tenon_http_api, 16);
TENON_FREEZE(tenon_json_api, 72);
TENON_FREEZE(tenon_config, 24);
TENON_FREEZE(tenon_plugin, 80);
TENON_FREEZE_AT(tenon_value, text, 24);
TENON_FREEZE_AT(tenon_error, message, 16);
TENON_FREEZE_AT(tenon_error, trace_id, 120);
TENON_FREEZE_AT(tenon_call_info, deadline_ns, 144);
TENON_FREEZE_AT(tenon_host, iface, 16);
TENON_FREEZE_AT(tenon_plugin, id, 24);
TENON_FREEZE_AT(tenon_plugin, create, 40);
TENON_FREEZE_AT(tenon_plugin, health, 64);
#endif

#ifdef __cplusplus
}
#endif
#endif
