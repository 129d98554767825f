/*
 * segment.h - one mapped file of a lane
 *
 * The writer alone stores into the map; committed says how far it may be read. A lane's segments
 * form a list that the writer walks at its front and the sealer at its back.
 */
#ifndef AUDIT_SEGMENT_H
#define AUDIT_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "audit.h"
#include "err.h"
#include "hash.h"

struct segment {
	int fd;
	uint32_t lane;
	uint64_t number;
	size_t size;
	uint8_t *map;
	_Atomic uint64_t committed; /* end of the last committed record, 0 before the first */
	_Atomic uint64_t populated; /* pages up to here are resident and writable */
	_Atomic bool is_closed;     /* the writer has gone on to next */
	struct segment *_Atomic next;
	uint64_t synced;   /* the sealer's: committed bytes that are on disk */
	uint64_t released; /* the sealer's: pages up to here are in the file alone */
};

/* What a segment's header says beside its place. */
struct segment_start {
	uint64_t first_seq;
	uint64_t seal;
	const uint8_t *boot_id; /* 16 bytes */
};

/* Makes the file of size bytes, all zero and allocated, and maps it. -1 with ERR_IO; os_errno
 * ENOSPC and EDQUOT say that the disk is full. A file of that name must not exist. */
int segment_make(int folder, uint32_t lane, uint64_t number, size_t size, const struct audit_os *os,
	struct segment **ret, struct err *err);
/* Opens and maps an existing file. ERR_CORRUPT when it is too small to be one. */
int segment_open(int folder, uint32_t lane, uint64_t number, struct segment **ret, struct err *err);
/* Unmaps and closes; takes NULL. */
void segment_free(struct segment *segment);

/* Makes pages up to end resident, 64 KiB at a time, so that the writer never waits for a page. */
void segment_populate(struct segment *segment, uint64_t end);
/* Lets go of pages before end, 64 KiB at a time: what was stored stays in the file, and who reads
 * it through the map gets it from there. */
void segment_release(struct segment *segment, uint64_t end);
/* Lets go of resident pages behind end, which the writer will not need soon. */
void segment_depopulate(struct segment *segment, uint64_t end);
/* The end of the bytes from at on that are not zero. Looks only where the file has data. */
uint64_t segment_data_end(const struct segment *segment, uint64_t at);

/* Writes the header; *head is the lane's head before it and becomes the head that the first record
 * follows. The header is there once its magic is, which is stored last. */
void segment_begin(struct segment *segment, const struct segment_start *start,
	uint8_t head[static HASH_BYTES]);
/* Whether a header was written. */
bool segment_is_begun(const struct segment *segment);
/* Whether the header is whole, belongs to this file, and follows from *head and first_seq; if so,
 * moves *head on. */
bool segment_follows(
	const struct segment *segment, uint64_t first_seq, uint8_t head[static HASH_BYTES]);

#endif
