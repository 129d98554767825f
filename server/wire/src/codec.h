/*
 * codec.h - bounded reading and writing of the payload's members
 *
 * A reader remembers its first failure and from then on gives zeroes, so that a message is read
 * member by member and checked once at the end.
 */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H

#include "wire.h"

struct reader {
	struct bytes left;
	bool failed;
};

uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
void read_id(struct reader *reader, uint8_t id[static WIRE_ID_BYTES]);
struct bytes read_text(struct reader *reader);
/* A whole list, walked once with the given step; more than max elements fail. */
struct wire_list read_list(struct reader *reader, uint32_t max, bool (*step)(struct reader *));
/* All that is left. */
struct bytes read_tail(struct reader *reader);
/* True when nothing failed and nothing is left. */
bool read_end(struct reader *reader);

/* Steps of read_list. */
bool step_pair(struct reader *reader);
bool step_value(struct reader *reader);
bool step_text(struct reader *reader);

bool write_u32(struct bytes_buf *out, uint32_t value);
bool write_u64(struct bytes_buf *out, uint64_t value);
bool write_text(struct bytes_buf *out, struct bytes text);
bool write_list(struct bytes_buf *out, const struct wire_list *list);

#endif
