/*
 * record.h - one record between struct audit_record and its bytes
 */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"
#include "audit_reader.h"
#include "hash.h"

/* What the lane adds to a record. */
struct record_stamp {
	uint64_t seq;
	uint64_t seal;
	int64_t wall_us;
	uint64_t mono_ns;
};

/* Writes everything but the commit word to p, which has room for RECORD_MAX zeroed bytes, and moves
 * head on to this record's hash. Returns the record's length. */
size_t record_write(uint8_t *p, const struct audit_record *record, const struct record_stamp *stamp,
	uint8_t head[static HASH_BYTES]);

/* The length of the record whose header is at p, or 0 when the header is not one: nothing
 * committed, commit word or length wrong. Reads RECORD_HEADER bytes. */
size_t record_length(const uint8_t *p);

/* Takes the whole record of length bytes at p apart; texts and digests borrow from p. False when
 * its fields are not well formed. Leaves position.lane alone. */
bool record_read(const uint8_t *p, size_t length, struct audit_entry *ret);

/* Whether the record's hash follows from head; if so, moves head on to it. */
bool record_follows(const uint8_t *p, size_t length, uint8_t head[static HASH_BYTES]);

#endif
