/*
 * GET /api/realtime opens a client's stream, POST /api/realtime says what it wants to hear of. What
 * it then hears is the business of live; here is only how bytes reach it.
 */
#include "internal.h"

#include "clock.h"
#include "live.h"

#include <stddef.h>

#define KEY_LIFETIME_S 300

static void on_closed(void *context)
{
	live_leave(context);
}

static bool sink_write(void *stream, struct bytes data)
{
	return http_stream_write(stream, data);
}

static size_t sink_pending(void *stream)
{
	return http_stream_pending(stream);
}

static void sink_end(void *stream)
{
	http_stream_end(stream);
}

const struct live_sink realtime_sink = {
	.write = sink_write, .pending = sink_pending, .end = sink_end
};

static const struct http_header stream_headers[] = {
	{ { "Content-Type", 12 }, { "text/event-stream", 17 } },
	{ { "Cache-Control", 13 }, { "no-store", 8 } },
	/* nginx would keep events back until it has a buffer full of them. */
	{ { "X-Accel-Buffering", 17 }, { "no", 2 } },
	{ { "X-Content-Type-Options", 22 }, { "nosniff", 7 } },
};

/* NULL having answered. */
static struct live_hub *hub_of(struct api_request *request)
{
	struct live_hub *hub = request->api->config.live
				       ? live_hub(request->api->config.live, request->tenant)
				       : NULL;

	if (!hub)
		request_refuse_later(request, API_BUSY, NULL, 5);
	return hub;
}

void realtime_open(void *context)
{
	struct api_request *request = context;
	struct live_hub *hub = hub_of(request);
	struct live_client *client;

	if (!hub)
		return;
	if (http_method(request->http) == HTTP_HEAD) {
		const struct http_answer answer = {
			.status = 200, .headers = stream_headers, .n_headers = 4
		};
		request_answer(request, &answer);
		return;
	}
	switch (live_join(hub, request_loop(request), request_address(request),
		http_header(request->http, BYTES("Last-Event-ID")), &client)) {
	case LIVE_JOINED:
		break;
	case LIVE_SERVER_FULL:
		request_refuse_later(request, API_BUSY, NULL, 30);
		return;
	case LIVE_TENANT_FULL:
		request_refuse_later(
			request, API_LIMITED, "Too many clients listen to this tenant.", 30);
		return;
	case LIVE_ADDRESS_FULL:
		request_refuse_later(
			request, API_LIMITED, "Too many clients listen from this address.", 30);
		return;
	case LIVE_NO_MEMORY:
		request_refuse_later(request, API_BUSY, NULL, 5);
		return;
	}
	struct http_stream *stream = request_stream(
		request, stream_headers, 4, LIVE_BUFFER_BYTES_MAX, on_closed, client);
	if (!stream) {
		live_leave(client);
		return;
	}
	live_open(client, stream);
	http_stream_forget_request(stream);
}

/* ---- subscriptions ---- */

struct subscribing {
	struct api_request *request;
	struct live_body body;
	struct live_subscribe subscribe;
};

static void on_subscribed(struct live_subscribe *subscribe)
{
	struct api_request *request = subscribe->context;

	switch (subscribe->outcome) {
	case LIVE_SUBSCRIBED:
		request_no_content(request);
		return;
	case LIVE_NO_CLIENT:
		request_refuse_with(request, API_NOT_FOUND, "Missing or invalid client id.",
			(struct bytes){ 0 });
		return;
	case LIVE_OTHER_AUTH:
		request->reason = BYTES("client of another account");
		request_refuse_with(request, API_FORBIDDEN,
			"The current and the previous request authorization don't match.",
			(struct bytes){ 0 });
		return;
	case LIVE_TOO_MUCH:
		request_refuse_later(request, API_LIMITED,
			"The clients of this tenant ask for too many topics.", 30);
		return;
	case LIVE_BUSY:
		request_refuse_later(request, API_BUSY, NULL, 1);
		return;
	}
}

static void refuse_topic(struct api_request *request, enum live_topic_result result)
{
	const char *code = "validation_invalid_topic", *message = "The topic is malformed.";

	if (result == LIVE_TOPIC_LONG) {
		code = "validation_length_too_long";
		message = "The length must be no more than 2500.";
	} else if (result == LIVE_TOPIC_CONTROL) {
		message = "A topic has no control characters.";
	} else if (result == LIVE_TOPIC_OPTIONS) {
		message = "The topic's options are no JSON object with query and headers.";
	}
	request_refuse_with(request, API_VALIDATION,
		"Something went wrong while processing your request.",
		request_field_error(request, "subscriptions", code, message));
}

/* False having answered. */
static bool parse_body(struct api_request *request, struct live_body *ret)
{
	static const char failed[] = "Something went wrong while processing your request.";
	struct bytes json;

	if (!request_body_json(request, &json))
		return false;
	switch (live_body_parse(json, request->arena, ret)) {
	case LIVE_BODY_OK:
		return true;
	case LIVE_BODY_SHAPE:
		request_refuse_with(request, API_BAD_REQUEST,
			"An error occurred while loading the submitted data.", (struct bytes){ 0 });
		return false;
	case LIVE_BODY_CLIENT_ID:
		request_refuse_with(request, API_VALIDATION, failed,
			request_field_error(request, "clientId",
				ret->client_id.n ? "validation_length_out_of_range"
						 : "validation_required",
				ret->client_id.n ? "The length must be between 1 and 255."
						 : "Cannot be blank."));
		return false;
	case LIVE_BODY_MANY:
		request_refuse_with(request, API_VALIDATION, failed,
			request_field_error(request, "subscriptions", "validation_length_too_long",
				"The length must be no more than 1000."));
		return false;
	case LIVE_BODY_TOPIC:
		refuse_topic(request, ret->topic_result);
		return false;
	case LIVE_BODY_NOMEM:
		break;
	}
	request_refuse(request, API_TOO_LARGE);
	return false;
}

void realtime_note_account(struct api_request *request, struct bytes token_key, int64_t expires_s)
{
	if (request->match.route->run != realtime_subscribe)
		return;
	request->has_stamp = true;
	request->expires_s = expires_s;
	record_stamp(token_key, request->stamp);
}

void realtime_subscribe(void *context)
{
	struct api_request *request = context;
	const struct auth_identity *identity = &request->identity;
	struct live_hub *hub = hub_of(request);
	struct subscribing *in = hub ? arena_alloc(request->arena, sizeof *in) : NULL;

	if (!hub)
		return;
	if (!in) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	if (!parse_body(request, &in->body))
		return;
	/* A key may be revoked at any time, of which no event tells: its client comes back soon,
	 * and is looked at anew. */
	if (request->key)
		request->expires_s = clock_wall_us() / 1000000 + KEY_LIFETIME_S;
	in->subscribe = (struct live_subscribe){ .loop = request_loop(request),
		.body = &in->body,
		.viewer = { .is_superuser = identity->kind == AUTH_SUPERUSER,
			.collection_id = bytes_of(identity->collection_id),
			.collection_name = bytes_of(identity->collection),
			.record_id = bytes_of(identity->record_id) },
		.has_stamp = request->has_stamp,
		.expires_s = request->expires_s,
		.done = on_subscribed,
		.context = request };
	for (size_t i = 0; i < RECORD_STAMP_BYTES; i++)
		in->subscribe.stamp[i] = request->stamp[i];
	request->object = in->body.n_topics ? in->body.topics[0].key : BYTES("");
	live_subscribe(hub, &in->subscribe);
}
