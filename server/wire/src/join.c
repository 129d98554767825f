#include "wire.h"

void wire_join_init(struct wire_join *join, size_t max_bytes)
{
	*join = (struct wire_join){ .max_bytes = max_bytes };
	bytes_buf_init(&join->data, max_bytes);
}

void wire_join_fini(struct wire_join *join)
{
	bytes_buf_fini(&join->data);
	join->first = (struct wire_frame){ 0 };
}

void wire_join_clear(struct wire_join *join)
{
	bytes_buf_clear(&join->data);
	join->first = (struct wire_frame){ 0 };
}

static bool goes_on(const struct wire_frame *first, const struct wire_frame *next)
{
	return next->type == first->type && next->slot == first->slot &&
	       next->generation == first->generation && next->sequence == first->sequence &&
	       next->message_bytes == first->message_bytes;
}

enum wire_join_result wire_join_add(struct wire_join *join, const struct wire_frame *frame,
	struct bytes payload, struct bytes *ret)
{
	bool has_more = frame->flags & WIRE_FLAG_MORE;

	if (payload.n != frame->payload_bytes || frame->message_bytes > join->max_bytes)
		return WIRE_JOIN_VIOLATION;
	if (!join->first.type) {
		/* The memory of the message before this one served until now. */
		bytes_buf_clear(&join->data);
		if (!has_more) {
			if (payload.n != frame->message_bytes)
				return WIRE_JOIN_VIOLATION;
			*ret = payload;
			return WIRE_JOIN_WHOLE;
		}
		join->first = *frame;
	} else if (!goes_on(&join->first, frame)) {
		return WIRE_JOIN_VIOLATION;
	}
	size_t missing = join->first.message_bytes - join->data.n;
	if (has_more ? payload.n >= missing : payload.n != missing)
		return WIRE_JOIN_VIOLATION;
	/* Memory follows what has really come, not what the first frame announced. */
	if (!bytes_buf_append(&join->data, payload))
		return WIRE_JOIN_VIOLATION;
	if (has_more)
		return WIRE_JOIN_MORE;
	join->first = (struct wire_frame){ 0 };
	*ret = bytes_buf_view(&join->data);
	return WIRE_JOIN_WHOLE;
}
