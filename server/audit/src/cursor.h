/*
 * cursor.h - read the records of one segment with pread, beside a writer or without one
 */
#ifndef AUDIT_CURSOR_H
#define AUDIT_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "audit_reader.h"
#include "err.h"

#define CURSOR_BUFFER (64u << 10)

struct cursor {
	int folder;
	uint32_t lane;
	uint64_t number; /* of the open segment, 0 when none is */
	int fd;
	uint64_t start;  /* the file offset of the buffer's first byte */
	size_t n, used;  /* bytes in the buffer, bytes of them passed */
	bool is_settled; /* the buffer was read again after its last record was seen */
	uint8_t *buffer; /* CURSOR_BUFFER bytes, the cursor's */
};

/* A cursor on no segment. Returns 0 or -1 (ERR_NOMEM). */
int cursor_init(struct cursor *cursor, int folder, uint32_t lane, struct err *err);
void cursor_fini(struct cursor *cursor);

/* Opens a segment and stands before its first record; closes the one before. *ret_is_there is
 * false, and the cursor stays where it was, when there is no such file or its header is not written
 * yet. *ret_wall_us (may be NULL) is when the segment was begun. */
int cursor_enter(struct cursor *cursor, uint64_t number, bool *ret_is_there, int64_t *ret_wall_us,
	struct err *err);
/* Stands before the record at offset of the open segment. */
void cursor_seek(struct cursor *cursor, uint64_t offset);
/* Where the next record is. */
uint64_t cursor_offset(const struct cursor *cursor);

/* The next committed record of the segment; false in *ret_found when there is none (yet). Texts are
 * borrowed until the next call. */
int cursor_next(struct cursor *cursor, struct audit_entry *ret, bool *ret_found, struct err *err);

/* Whether the filter takes the entry. */
bool filter_takes(const struct audit_filter *filter, const struct audit_entry *entry);

#endif
