/*
 * audit_reader.h - read the journal: `tenon audit tail|query|export` and the console's audit page
 *
 * Works on the folder alone, beside the running server or without one, and never maps a file: one
 * that shrinks under the reader is an end, not a crash. It reads what is committed and checks each
 * record's own bounds; it does not prove anything, that is tenon-verify's work.
 *
 * Threads: none inside; all functions block on files, so they run on the executor or in a command.
 * Memory:  a reader holds one 64 KiB buffer and one open file per lane.
 */
#ifndef AUDIT_AUDIT_READER_H
#define AUDIT_AUDIT_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"
#include "bytes.h"
#include "defer.h"
#include "err.h"

/* A record as read back. The texts are borrowed until the next call on the reader. */
struct audit_entry {
	struct audit_position position;
	int64_t wall_us;
	uint64_t mono_ns;
	uint64_t seal; /* the newest seal when this was appended */
	bool was_cut;  /* a text was longer than it may be */
	struct audit_record record;
	uint8_t hash[AUDIT_HASH_BYTES];
};

/* What to read: every field that is set must hold. {0} takes all. Texts are borrowed. */
struct audit_filter {
	struct bytes tenant;
	struct bytes plugin;
	struct bytes actor;
	struct bytes action; /* whole, or the start of it when it ends with '.': "plugin." */
	struct bytes object; /* the start of it */
	const uint8_t *trace;
	enum audit_kind kind;         /* 0: all */
	enum audit_decision decision; /* AUDIT_UNDECIDED: all */
	int64_t since_us;             /* wall clock, inclusive; 0: from the start */
	int64_t until_us;             /* exclusive; 0: to the end */
};

#define AUDIT_QUERY_MAX 1000

/* Visits up to limit (at most AUDIT_QUERY_MAX) matching records, the newest first, by wall time.
 * For the next page ask again with until_us set to the last one's time. visit returns false to
 * stop. Returns 0, or -1: ERR_IO, ERR_NOMEM. A folder without records is no fault. */
int audit_query(const char *folder, const struct audit_filter *filter, unsigned limit,
	bool (*visit)(const struct audit_entry *entry, void *arg), void *arg, struct err *err);

struct audit_reader;

/* A reader of all matching records, oldest first, lanes merged by wall time. The filter is copied,
 * the texts it borrows are not. */
int audit_reader_open(const char *folder, const struct audit_filter *filter,
	struct audit_reader **ret, struct err *err);
void audit_reader_close(struct audit_reader *reader);

/* Stores the next record and true in *ret_found, or false when there is none at the moment; ask
 * again later to follow a journal that grows. Returns 0 or -1 (ERR_IO, ERR_CORRUPT: a lane that
 * cannot be read on). */
int audit_reader_next(
	struct audit_reader *reader, struct audit_entry *ret, bool *ret_found, struct err *err);

/* Appends the record as one JSON object, without a line feed. False when out is full. */
bool audit_entry_format(const struct audit_entry *entry, struct bytes_buf *out);

DEFER_DEFINE(struct audit_reader *, audit_reader_close)

#endif
