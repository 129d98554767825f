/*
 * Bytes as they come out of a ring: a header's 64 bytes, then a payload, over and over. Checks and
 * joins the frames, and decodes each payload as every message there is, walking all lists to their
 * end.
 */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static void walk_pairs(struct wire_list list)
{
	struct bytes name, value;
	uint32_t n = list.n;

	while (wire_next_pair(&list, &name, &value))
		n--;
	if (n)
		abort(); /* a list that was accepted is not as long as it says */
}

static void walk_values(struct wire_list list)
{
	struct wire_value value;
	uint32_t n = list.n;

	while (wire_next_value(&list, &value))
		n--;
	if (n)
		abort();
}

static void decode(struct bytes payload)
{
	union {
		struct wire_call call;
		struct wire_reply reply;
		struct wire_rows rows;
		struct wire_changed changed;
		struct wire_http_response response;
		struct wire_cancel cancel;
		struct wire_drain drain;
		struct wire_ping ping;
		struct wire_ready ready;
		struct wire_failed failed;
		struct wire_log log;
		struct wire_statement statement;
		struct wire_attachment attachment;
		struct wire_http_request request;
		struct wire_respond respond;
		struct wire_error error;
		struct wire_done done;
	} m;

	if (wire_get_call(payload, &m.call))
		walk_pairs(m.call.headers);
	(void)wire_get_reply(payload, &m.reply);
	if (wire_get_rows(payload, &m.rows))
		walk_values(m.rows.values);
	(void)wire_get_changed(payload, &m.changed);
	if (wire_get_http_response(payload, &m.response))
		walk_pairs(m.response.headers);
	(void)wire_get_cancel(payload, &m.cancel);
	(void)wire_get_drain(payload, &m.drain);
	(void)wire_get_ping(payload, &m.ping);
	(void)wire_get_ready(payload, &m.ready);
	(void)wire_get_failed(payload, &m.failed);
	if (wire_get_log(payload, &m.log))
		walk_pairs(m.log.fields);
	if (wire_get_statement(payload, &m.statement))
		walk_values(m.statement.args);
	if (wire_get_attachment(payload, &m.attachment))
		walk_values(m.attachment.args);
	if (wire_get_http_request(payload, &m.request))
		walk_pairs(m.request.headers);
	if (wire_get_respond(payload, &m.respond))
		walk_pairs(m.respond.headers);
	(void)wire_get_error(payload, &m.error);
	(void)wire_get_done(payload, &m.done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_join join;
	struct bytes left = { (const char *)data, size };

	decode(left);
	wire_join_init(&join, 1u << 16);
	while (left.n >= WIRE_HEADER_BYTES) {
		struct wire_frame frame;
		struct bytes whole;
		memcpy(&frame, left.p, sizeof frame);
		left.p += sizeof frame;
		left.n -= sizeof frame;
		if (!wire_frame_check(&frame, WIRE_TO_CORE) || frame.payload_bytes > left.n)
			break;
		struct bytes payload = { left.p, frame.payload_bytes };
		left.p += payload.n;
		left.n -= payload.n;
		enum wire_join_result result = wire_join_add(&join, &frame, payload, &whole);
		if (result == WIRE_JOIN_WHOLE)
			decode(whole);
		if (result == WIRE_JOIN_VIOLATION)
			break;
	}
	wire_join_fini(&join);
	return 0;
}
