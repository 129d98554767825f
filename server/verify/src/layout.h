/*
 * layout.h - where things are in the journal's files, copied from docs/journal.md and from nowhere
 * else
 */
#ifndef VERIFY_LAYOUT_H
#define VERIFY_LAYOUT_H

#include <stdint.h>

#include "internal.h"

/* Segment header */
#define SEGMENT_HEADER   128
#define SEGMENT_MAGIC    "\x01TNSEG\x00\x01"
#define SEGMENT_VERSION  8  /* u16 = 1 */
#define SEGMENT_LANE     10 /* u16 */
#define SEGMENT_PAGES    12 /* u32, of 4096 bytes */
#define SEGMENT_NUMBER   16 /* u64 */
#define SEGMENT_FIRST    24 /* u64 */
#define SEGMENT_SEAL     40 /* u64 */
#define SEGMENT_PREVIOUS 64 /* 32 bytes */
#define SEGMENT_HASH     96 /* 32 bytes */

/* Record */
#define RECORD_HEADER   48
#define RECORD_LENGTH   4  /* u32 */
#define RECORD_SEQ      8  /* u64 */
#define RECORD_WALL     16 /* i64 */
#define RECORD_SEAL     32 /* u64 */
#define RECORD_KIND     40 /* u16 */
#define RECORD_N_FIELDS 46 /* u16 */
#define RECORD_SMALLEST 80
#define RECORD_LARGEST  1536
#define KIND_JOURNAL    1
#define FIELD_ACTION    4

/* Seal */
#define SEAL_MAGIC     0x4c414553u
#define SEAL_PAGE      4096
#define SEAL_LENGTH    4   /* u32 */
#define SEAL_NUMBER    8   /* u64 */
#define SEAL_WALL      16  /* i64 */
#define SEAL_FLAGS     24  /* u32 */
#define SEAL_N_LANES   28  /* u32 */
#define SEAL_PREVIOUS  32  /* 32 bytes */
#define SEAL_ROOT      64  /* 32 bytes */
#define SEAL_KEY       96  /* 32 bytes */
#define SEAL_N_RECORDS 128 /* u64 */
#define SEAL_HEADER    136
#define SEAL_SIGNATURE 64
#define SEAL_ALL       1u
#define SEAL_STOP      2u

#define ENTRY_BYTES    64
#define ENTRY_LANE     0  /* u32 */
#define ENTRY_ZERO     4  /* u32 */
#define ENTRY_SEGMENT  8  /* u64 */
#define ENTRY_OFFSET   16 /* u64 */
#define ENTRY_COUNT    24 /* u64 */
#define ENTRY_HEAD     32 /* 32 bytes */

/* The commit word that belongs to bytes 4 to 47 of the record header at p. */
static inline uint32_t layout_commit_word(const uint8_t *p)
{
	uint64_t x = UINT64_C(0x74656e6f6e313937);

	for (int i = 1; i < 12; i++) {
		x = (x ^ le32(p + 4 * i)) * UINT64_C(0x9e3779b97f4a7c15);
		x ^= x >> 29;
	}
	return (uint32_t)(x ^ x >> 32) | 1;
}

#endif
