/*
 * format.h - the bytes of the journal's files, as docs/journal.md draws them
 *
 * tenon-verify has its own reading of that page and shares nothing with this one: a mistake here
 * must not be made there too.
 */
#ifndef AUDIT_FORMAT_H
#define AUDIT_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Numbers are little-endian, as is every machine we run on. */
static_assert(
	__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied to the files as they are");

/* Segment: a header of 128 bytes, records one behind the other, zeros to the end. */
#define SEGMENT_MAGIC       0x01004745534e5401ull
#define SEGMENT_HEADER      128
#define SEGMENT_VERSION     1
#define SEGMENT_PAGE        4096
#define SEGMENT_AT_MAGIC    0  /* u64, stored last with release order */
#define SEGMENT_AT_VERSION  8  /* u16 */
#define SEGMENT_AT_LANE     10 /* u16 */
#define SEGMENT_AT_PAGES    12 /* u32, the file's size in pages of 4096 bytes */
#define SEGMENT_AT_NUMBER   16 /* u64, from 1 */
#define SEGMENT_AT_FIRST    24 /* u64, the seq of its first record */
#define SEGMENT_AT_WALL     32 /* i64, microseconds */
#define SEGMENT_AT_SEAL     40 /* u64, the newest seal then */
#define SEGMENT_AT_BOOT     48 /* 16 bytes, the kernel's boot id */
#define SEGMENT_AT_PREVIOUS 64 /* 32 bytes, the lane's head before it */
#define SEGMENT_AT_HASH                                                                            \
	96 /* 32 bytes, SHA-256 of bytes 0 to 95: the first record's head before                   \
	    */

/* Record: a header of 48 bytes, fields, zeros up to a multiple of 8, SHA-256 of (head before it,
 * bytes from 4 on). The commit word, stored last with release order, is a check of the header's
 * other 44. */
#define RECORD_HEADER       48
#define RECORD_AT_COMMIT    0  /* u32, never 0 */
#define RECORD_AT_LENGTH    4  /* u32, of the whole record, a multiple of 8 */
#define RECORD_AT_SEQ       8  /* u64 */
#define RECORD_AT_WALL      16 /* i64, microseconds */
#define RECORD_AT_MONO      24 /* u64, nanoseconds */
#define RECORD_AT_SEAL      32 /* u64, the newest seal then */
#define RECORD_AT_KIND      40 /* u16 */
#define RECORD_AT_FLAGS     42 /* u16 */
#define RECORD_AT_STATUS    44 /* u16 */
#define RECORD_AT_N_FIELDS  46 /* u16, bytes of the fields */
#define RECORD_HASH         32
#define RECORD_MIN          (RECORD_HEADER + RECORD_HASH)
#define RECORD_MAX          1536

#define FLAG_DECISION_SHIFT 0 /* 2 bits */
#define FLAG_PHASE_SHIFT    2 /* 2 bits */
#define FLAG_CUT            16u

/* Field: u8 tag, u16 length, bytes. Each tag at most once, in rising order. */
enum field_tag {
	FIELD_TENANT = 1,
	FIELD_PLUGIN,
	FIELD_ACTOR,
	FIELD_ACTION,
	FIELD_OBJECT,
	FIELD_REASON,
	FIELD_TRACE,      /* 16 bytes */
	FIELD_ARTIFACT,   /* 8 bytes */
	FIELD_DIGEST,     /* 32 bytes */
	FIELD_GENERATION, /* u32 */
	FIELD_PID,        /* u32 */
	FIELD_DURATION,   /* u64, nanoseconds */
	FIELD_ROWS,       /* u64 */
	FIELD_BYTES,      /* u64 */
	FIELD_ADDRESS,    /* text */
	FIELD_TAGS
};

/* Seal: written with one call and never across a page's edge, so a kill cannot tear it. Where the
 * rest of a page is too small for the next seal it is zero. */
#define SEAL_MAGIC           0x4c414553u /* "SEAL" */
#define SEAL_PAGE            4096
#define SEAL_AT_MAGIC        0   /* u32 */
#define SEAL_AT_LENGTH       4   /* u32, signature included */
#define SEAL_AT_NUMBER       8   /* u64, from 1 */
#define SEAL_AT_WALL         16  /* i64, microseconds */
#define SEAL_AT_FLAGS        24  /* u32 */
#define SEAL_AT_N_LANES      28  /* u32 */
#define SEAL_AT_PREVIOUS     32  /* 32 bytes, SHA-256 of the seal before, its signature included */
#define SEAL_AT_ROOT         64  /* 32 bytes, Merkle root over the new records' hashes */
#define SEAL_AT_KEY          96  /* 32 bytes, Ed25519 public key */
#define SEAL_AT_RECORDS      128 /* u64, how many new records */
#define SEAL_HEADER          136
#define SEAL_LANE            64
#define SEAL_SIGNATURE       64 /* Ed25519 over all bytes before it */
#define SEAL_MAX             (SEAL_HEADER + 32 * SEAL_LANE + SEAL_SIGNATURE)

#define SEAL_LANE_AT_LANE    0  /* u32, rising; 4 zero bytes behind it */
#define SEAL_LANE_AT_SEGMENT 8  /* u64 */
#define SEAL_LANE_AT_OFFSET  16 /* u64, the end of the last record sealed */
#define SEAL_LANE_AT_COUNT   24 /* u64, its seq */
#define SEAL_LANE_AT_HEAD    32 /* 32 bytes, its hash */

#define SEAL_FLAG_ALL        1u /* lists every lane that has a record, not only those that moved */
#define SEAL_FLAG_STOP       2u /* the server stopped in order after this one */

#define LANE_FILE_FORMAT     "lane-%02u-%010llu.seg"
#define SEAL_FILE_FORMAT     "seals-%010llu.log"

static_assert(SEAL_MAX <= SEAL_PAGE, "a seal fits into one page");

static inline uint16_t get_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_u16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* The commit word of the header at p. Every step is a bijection of the state, so no change of a
 * single word goes unseen but by the final fold to 32 bits; the lowest bit is set so that it is
 * never 0. */
static inline uint32_t record_commit_word(const uint8_t *p)
{
	uint64_t x = 0x74656e6f6e313937ull;

	for (size_t at = RECORD_AT_LENGTH; at < RECORD_HEADER; at += 4) {
		x = (x ^ get_u32(p + at)) * 0x9e3779b97f4a7c15ull;
		x ^= x >> 29;
	}
	return (uint32_t)(x ^ x >> 32) | 1;
}

#endif
