#include "wire.h"

#include <assert.h>

_Static_assert(sizeof(struct wire_frame) == WIRE_HEADER_BYTES, "the header is 64 bytes");

enum kind { KIND_NONE, KIND_CORE, KIND_INSTANCE, KIND_REQUEST, KIND_OTHER, KIND_END };

static const struct {
	const char *name;
	enum kind kind;
} types[] = {
	[WIRE_CALL] = { "call", KIND_CORE },
	[WIRE_REPLY] = { "reply", KIND_CORE },
	[WIRE_CANCEL] = { "cancel", KIND_CORE },
	[WIRE_DRAIN] = { "drain", KIND_CORE },
	[WIRE_PING] = { "ping", KIND_CORE },
	[WIRE_READY] = { "ready", KIND_INSTANCE },
	[WIRE_FAILED] = { "failed", KIND_INSTANCE },
	[WIRE_PONG] = { "pong", KIND_INSTANCE },
	[WIRE_DRAINED] = { "drained", KIND_INSTANCE },
	[WIRE_LOG] = { "log", KIND_OTHER },
	[WIRE_DB_QUERY] = { "db_query", KIND_REQUEST },
	[WIRE_DB_EXEC] = { "db_exec", KIND_REQUEST },
	[WIRE_DB_BEGIN] = { "db_begin", KIND_REQUEST },
	[WIRE_DB_COMMIT] = { "db_commit", KIND_REQUEST },
	[WIRE_DB_ROLLBACK] = { "db_rollback", KIND_REQUEST },
	[WIRE_DB_ATTACH] = { "db_attach", KIND_REQUEST },
	[WIRE_HTTP_SEND] = { "http_send", KIND_REQUEST },
	[WIRE_RESPOND] = { "respond", KIND_END },
	[WIRE_FAIL] = { "fail", KIND_END },
	[WIRE_DONE] = { "done", KIND_END },
};

static enum kind kind_of(uint16_t type)
{
	return type < sizeof types / sizeof types[0] ? types[type].kind : KIND_NONE;
}

const char *wire_name(uint16_t type)
{
	return kind_of(type) == KIND_NONE ? "unknown" : types[type].name;
}

bool wire_is_request(uint16_t type)
{
	return kind_of(type) == KIND_REQUEST;
}

bool wire_is_end(uint16_t type)
{
	return kind_of(type) == KIND_END;
}

bool wire_frame_check(const struct wire_frame *frame, enum wire_direction direction)
{
	enum kind kind = kind_of(frame->type);

	if (kind == KIND_NONE || (kind == KIND_CORE) != (direction == WIRE_TO_WORKER))
		return false;
	if (frame->payload_bytes > WIRE_PAYLOAD_MAX ||
		frame->total_bytes != WIRE_HEADER_BYTES + frame->payload_bytes)
		return false;
	if (frame->message_bytes > WIRE_MESSAGE_MAX || frame->payload_bytes > frame->message_bytes)
		return false;
	if (frame->flags & ~WIRE_FLAG_MORE)
		return false;
	/* A frame that announces more must move the message on and leave something to come. */
	if ((frame->flags & WIRE_FLAG_MORE) &&
		(frame->payload_bytes == 0 || frame->payload_bytes == frame->message_bytes))
		return false;
	if (frame->slot >= WIRE_SLOTS || (kind == KIND_REQUEST && frame->sequence == 0))
		return false;
	for (size_t i = 0; i < sizeof frame->reserved / sizeof frame->reserved[0]; i++)
		if (frame->reserved[i])
			return false;
	return true;
}
