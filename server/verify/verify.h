/*
 * verify.h - is this journal whole and unchanged?
 *
 * Walks the seals and, seal by seal, the lanes: each record's hash must follow from the one before
 * it, each seal's signature, heads and Merkle root must be those of the records. Stops at the first
 * break and says where it is. Reads with pread only, changes nothing, maps nothing, and may run
 * beside the server. Every byte it reads may be forged.
 *
 * What it proves: nothing up to the last seal was changed, cut out, put in, swapped or dropped by
 * anyone without the seal's key. What it cannot know from the folder alone: that the newest seals
 * and all records behind them were not dropped together. An anchor kept elsewhere ("number:hash" of
 * a seal, printed by every run) closes that.
 *
 * Threads: none inside. Memory: 256 KiB for each lane and one file of seals.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define VERIFY_HASH_BYTES 32

/* The exit statuses of tenon-verify. */
enum verify_result {
	VERIFY_OK = 0,
	VERIFY_USAGE = 1,
	VERIFY_UNREADABLE = 2, /* the folder could not be read: nothing is proven either way */
	VERIFY_TORN =
		10, /* bytes behind the last good record that no seal covers and no append left */
	VERIFY_TAMPERED = 11, /* a record, or what surrounds it, was changed */
	VERIFY_GAP = 12,      /* records or segments are missing, doubled or in another order */
	VERIFY_BAD_SEAL = 13, /* a seal was changed, is missing, or has another key */
	VERIFY_TRUNCATED =
		14, /* a lane ends before what is sealed, or the anchor's seal is not there */
	VERIFY_MISSING = 15 /* a file is missing */
};

struct verify_options {
	const char *folder;
	uint64_t from_seal; /* 0: from the start; else records up to that seal are taken as checked
			     */
	const uint8_t *from_hash; /* the hash that seal from_seal must have, or NULL */
	const uint8_t
		*key; /* the public key that seals must have, or NULL: that of the first seal */
};

/* A record that can be read near the break. */
struct verify_neighbour {
	bool is_there;
	uint64_t seq, offset;
	int64_t wall_us;
};

struct verify_report {
	uint64_t n_records; /* checked */
	uint64_t n_sealed;  /* of them, covered by a seal */
	uint64_t n_bytes;   /* of them */
	uint64_t n_seals;
	unsigned n_lanes;
	uint64_t n_segments;
	uint64_t n_cuts; /* records that tell of a torn tail or seal which a start of the server cut
			  */
	unsigned n_torn_segments; /* files that such a cut set aside */
	bool has_unfinished;      /* an append or rotation was under way: not a defect */
	bool stopped_in_order;    /* the last seal is a stop's and nothing follows it */

	uint64_t last_seal;
	uint8_t last_seal_hash[VERIFY_HASH_BYTES];
	int64_t first_seal_us, last_seal_us;
	bool has_key;
	uint8_t key[32]; /* that the seals were checked with */

	/* Of the first break. */
	uint64_t seal; /* the seal being checked, 0 behind the last */
	int lane;      /* -1: in the seals */
	uint64_t seq;  /* expected there */
	uint64_t offset;
	char file[48];
	char what[160];
	struct verify_neighbour before, after;
};

/* Checks the folder. Returns what it found; *ret is filled for all results but VERIFY_UNREADABLE,
 * for which *err is. */
enum verify_result verify_folder(
	const struct verify_options *options, struct verify_report *ret, struct err *err);

/* The result as a phrase, for example "tampered record". Static. */
const char *verify_result_name(enum verify_result result);

#endif
