/*
 * journal.h - what struct audit and struct audit_lane hold, and who may touch it
 *
 *   writer's thread          shared, atomic              sealer's thread
 *   current, offset,   --->  segment->committed   --->   sealing, sealed
 *   seq, head                segment->next (lock)        retires segments from oldest
 *
 * A lane's segments hang from oldest: retired by the sealer once sealed, made ahead by the sealer,
 * and by the writer itself only when the sealer was too slow.
 */
#ifndef AUDIT_JOURNAL_H
#define AUDIT_JOURNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "audit.h"
#include "files.h"
#include "seal.h"
#include "segment.h"
#include "sign.h"

#define JOURNAL_LANES        (AUDIT_LANES_MAX + 1)
#define JOURNAL_SHARED       0  /* the id of the journal's own lane; the caller's begin at 1 */
#define JOURNAL_SEGMENTS_MAX 64 /* unsealed at once in one lane; then appends are refused */
#define JOURNAL_SEGMENTS_DUE 4  /* in one lane: seal before the time */

struct audit_lane {
	struct audit *audit;
	uint32_t id;
	bool is_active; /* has a writer; the lanes of earlier starts with more threads have none */

	/* The writer's. */
	_Atomic bool has_owner;
	pthread_t owner;
	struct segment *current;
	uint64_t offset; /* where the next record goes; 0 before the segment has its header */
	uint64_t seq;    /* of the last record */
	uint8_t head[HASH_BYTES];
	_Atomic uint64_t n_records, n_bytes, n_refused; /* one writer, any reader */

	/* Under make_lock: the making of a next segment. */
	pthread_mutex_t make_lock;
	_Atomic unsigned n_segments;

	/* The sealer's. */
	struct segment *oldest;
	struct segment *sealing; /* where the next record to be sealed is */
	uint64_t sealing_at;     /* its offset there */
	struct seal_lane sealed; /* as the newest seal has it, or as the one being made will */
	bool has_moved;          /* since the newest seal */
	uint64_t n_bytes_seen;   /* n_bytes at the last round */
};

struct audit {
	int folder;
	struct audit_os os;
	size_t segment_bytes;
	unsigned seal_interval_ms;
	struct sign_key key;
	uint8_t boot_id[16];
	unsigned n_lanes; /* the caller's */

	_Atomic int state;     /* AUDIT_OK or AUDIT_BROKEN */
	_Atomic bool is_full;  /* the last try to get disk for the journal failed */
	_Atomic uint64_t seal; /* number of the newest durable seal */
	pthread_mutex_t shared_lock;
	struct audit_lane lanes[JOURNAL_LANES];

	/* The sealer. */
	struct audit_wait *_Atomic waits;
	_Atomic bool is_stopping;
	int wake_fd;
	bool has_thread;
	pthread_t thread;
	struct seal_tree tree; /* over the records collected since the newest seal */
	uint8_t seal_hash[HASH_BYTES];
	int seal_fd; /* -1 before the first seal */
	uint64_t seal_file, seal_at,
		seal_size;     /* its number, where the next seal goes, its bytes */
	bool has_no_seal_room; /* no disk for the next file of seals */

	_Atomic int64_t seal_wall_us;
	_Atomic uint64_t n_seals, n_inline_segments, sync_ns_last, sync_ns_max;
};

/* lane.c */

/* The newest segment of the list. */
struct segment *lane_newest(struct audit_lane *lane);
/* The segment after the given one, which is the newest or the one before it; made when there is
 * none. Returns 0, or -1 when there is no disk, or too many segments wait to be sealed. Sets
 * is_full. */
int lane_extend(
	struct audit_lane *lane, struct segment *after, struct segment **ret, struct err *err);
/* Appends without asking who owns the lane. */
enum audit_result lane_append(
	struct audit_lane *lane, const struct audit_record *record, struct audit_position *ret);

/* scan.c */

/* What recovery found behind a lane's last good record. */
struct scan_tail {
	struct segment *segment; /* that the lane goes on in */
	uint64_t offset;         /* where the bad bytes begin in it; 0 for its header */
	uint64_t n_bytes;        /* 0: nothing is torn */
	uint8_t hash[HASH_BYTES];
	bool is_unfinished; /* no more than one append that a kill interrupted */
};

/* Opens the lane's segments from its last sealed record on, walks to the last good record, and sets
 * writer and sealer there. Changes no file. lane->sealed says what the newest seal, number seal,
 * knows. Returns 0, or -1: ERR_CORRUPT when what was sealed is not there, ERR_IO, ERR_NOMEM. */
int scan_lane(struct audit_lane *lane, const struct files *files, uint64_t seal,
	struct scan_tail *ret, struct err *err);
/* Zeroes what is torn and moves later segments out of the way. Returns 0 or -1 (ERR_IO). */
int scan_cut(struct audit_lane *lane, struct scan_tail *tail, struct err *err);

/* seals.c */

/* Reads the newest file of seals: sets seal, seal_hash, seal_file and each lane's sealed. Changes
 * no file; *ret_tail is what a power cut left behind the last good seal. Returns 0, or -1:
 * ERR_CORRUPT when seals are changed or missing, or of another key; ERR_IO, ERR_NOMEM. */
struct seals_tail {
	uint64_t offset;
	uint64_t n_bytes; /* 0: nothing is torn */
	uint8_t hash[HASH_BYTES];
};
int seals_read(struct audit *audit, const struct files *files, struct seals_tail *ret_tail,
	struct err *err);
/* Cuts the file that seals_read read to its last good seal. */
int seals_cut(struct audit *audit, const struct seals_tail *tail, struct err *err);

/* sealer.c */

int sealer_start(struct audit *audit, struct err *err);
/* Seals what is left and ends the thread. */
void sealer_stop(struct audit *audit);
void sealer_wake(struct audit *audit);
/* Cuts the file of seals to what it holds and closes it. */
void sealer_close_file(struct audit *audit);

#endif
