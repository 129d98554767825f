/*
 * request.h - one request on its way through the api, and the ways to answer it
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api.h"
#include "api_house.h"
#include "auth_key.h"
#include "metrics.h"
#include "record.h"
#include "record_sight.h"
#include "route.h"
#include "text_json_check.h"
#include "text_json_writer.h"

/* Why a request is refused. Status, code and message stand in one table in request.c. */
enum api_error {
	API_BAD_REQUEST,
	API_VALIDATION,
	API_UNAUTHORIZED,
	API_FOREIGN_TOKEN,
	API_FORBIDDEN,
	API_NOT_FOUND,
	API_NO_TENANT,
	API_NO_METHOD,
	API_CONFLICT,
	API_TOO_LARGE,
	API_BAD_TYPE,
	API_LIMITED,
	API_FAULT,
	API_PLUGIN_CRASHED,
	API_PLUGIN_DOWN,
	API_BUSY,
	API_SUSPENDED,
	API_AUDIT,
	API_DEADLINE,
	API_ERRORS
};

struct api_lane;

struct api_request {
	struct api *api;
	struct api_lane *lane;
	struct http_request *http;
	struct arena *arena;
	struct route_match match;
	struct bytes path; /* below the tenant's base */
	bool is_platform;  /* a path of the server, not of a tenant */

	struct tenant *tenant;
	struct tenant_use use;
	bool is_using;
	struct api_house *house;  /* while is_using */
	struct record_book *book; /* of the house */

	struct auth_identity identity;
	struct auth_session session;   /* of an operator who came with a cookie */
	struct record_find_auth *find; /* while a token is being checked */
	struct auth_key_find *key;     /* of a request that an API key signed; else NULL */
	bool is_refreshable;           /* the token may be exchanged for a fresh one */
	int64_t expires_s;             /* of the token; 0: never */
	bool has_stamp;                /* of the account: realtime.c */
	uint8_t stamp[RECORD_STAMP_BYTES];
	struct upload *upload; /* the body is a form: upload.h */
	void *context;         /* of the route's function */

	/* For the audit record. */
	enum audit_decision decision;
	struct bytes reason, object, plugin;
	const char *artifact;            /* hexadecimal SHA-256, or NULL */
	uint32_t generation, worker_pid; /* of the plugin's worker that was asked, or 0 */
	uint64_t n_rows;
	bool is_recorded; /* the record that closes it is in the journal */
	bool is_answered;
	char actor[AUDIT_ACTOR_MAX + 1];
	char address[HTTP_FORWARD_TEXT]; /* of request_address */
	size_t n_address;

	/* Called when the client goes away before the answer; NULL when there is nothing to stop.
	 */
	void (*stop)(struct api_request *request);
};

/* ---- answering: each exactly once per request ---- */
/* A refusal with the table's message. */
void request_refuse(struct api_request *request, enum api_error error);
/* A refusal with a message and a reason of its own, both static or in the arena; data is a JSON
 * object for the body, {NULL, 0} for an empty one. */
void request_refuse_with(
	struct api_request *request, enum api_error error, const char *message, struct bytes data);
/* As request_refuse, with Retry-After. */
void request_refuse_later(
	struct api_request *request, enum api_error error, const char *message, unsigned retry_s);
/* 429 with what is left of a bucket, in RateLimit-* and Retry-After. */
void request_refuse_limited(struct api_request *request, uint32_t limit, uint32_t remaining,
	uint32_t reset_s, uint32_t retry_s);
/* 405 with these methods in Allow: "GET, POST". */
void request_refuse_method(struct api_request *request, struct bytes allowed);
/* A fault of ours: logs it, answers 500. */
void request_fault(struct api_request *request, const struct err *err);
/* A tenant's database did not open: a fault, or too many wait for theirs (503). */
void request_not_open(struct api_request *request, const struct err *err);
/* An error body with a status of another module's choice. */
void request_status(
	struct api_request *request, unsigned status, const char *message, struct bytes data);
/* JSON that is in the request's arena or as long-lived. */
void request_json(struct api_request *request, unsigned status, struct bytes json);
/* JSON in a buffer, whose memory is handed over. */
void request_json_buf(struct api_request *request, unsigned status, struct bytes_buf *json);
/* 204 */
void request_no_content(struct api_request *request);
/* The general form: the others end here. Writes the audit record, counts, answers. */
void request_answer(struct api_request *request, const struct http_answer *answer);

/* Instead of an answer: a stream of server-sent events. NULL having answered. */
struct http_stream *request_stream(struct api_request *request, const struct http_header *headers,
	size_t n_headers, size_t buffer_limit_bytes, void (*on_closed)(void *context),
	void *context);

/* Notes a field's error in the form of the error body's data: {"field":{"code","message"}}. Arena.
 */
struct bytes request_field_error(
	struct api_request *request, const char *field, const char *code, const char *message);

/* ---- asking ---- */
/* The body, checked as JSON. False when it is not: the request has been refused then. */
bool request_body_json(struct api_request *request, struct bytes *ret);
bool request_body_json_within(
	struct api_request *request, const struct text_json_limits *limits, struct bytes *ret);
/* The string member of a checked JSON object, unescaped into the arena; {NULL, 0} when there is
 * none. */
struct bytes request_member(struct api_request *request, struct bytes json, const char *pointer);
/* The value of a query parameter, decoded, {NULL, 0} when absent or broken. */
struct bytes request_query(struct api_request *request, const char *name);
/* The address that the request came from, as text: of the client when a trusted proxy names it,
 * else of the peer. What limits count by and the audit trail writes down. */
struct bytes request_address(const struct api_request *request);
struct loop *request_loop(const struct api_request *request);
/* The n-th parameter of the route. */
struct bytes request_param(const struct api_request *request, unsigned n);
/* "user:users/abc", "superuser:...", "operator:..."; empty for anonymous. In the request itself, so
 * that a full arena hides nobody. */
struct bytes request_actor(struct api_request *request);

#endif
