/*
 * internal.h - the verifier's own reading of docs/journal.md
 */
#ifndef VERIFY_INTERNAL_H
#define VERIFY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hash.h"
#include "verify.h"

#define LANES          32 /* ids 0 to 31 */
#define NAME_MAX_BYTES 48

/* ---- window.c: bytes of a file through a buffer ---- */

struct window {
	int fd;
	uint64_t size; /* of the file when it was opened */
	uint64_t start;
	size_t n;
	uint8_t *buffer; /* WINDOW_BYTES */
};

#define WINDOW_BYTES (256u << 10)

int window_open(
	struct window *window, int folder, const char *name, bool *ret_is_there, struct err *err);
void window_close(struct window *window);
/* n bytes (at most WINDOW_BYTES) at offset; *ret is NULL when the file ends before. */
int window_get(
	struct window *window, uint64_t offset, size_t n, const uint8_t **ret, struct err *err);
/* The end of the last byte from offset on that is not zero; offset when all are. */
int window_data_end(struct window *window, uint64_t offset, uint64_t *ret, struct err *err);

/* ---- listing.c ---- */

struct listing {
	struct listing_row {
		uint64_t first, last; /* numbers of files */
		uint64_t n;
	} lanes[LANES], seals;
	uint64_t n_torn; /* files that recovery set aside */
};

/* Lists the folder. Fills rows; a row whose n is not last - first + 1 has a gap. */
int listing_read(int folder, struct listing *ret, struct err *err);

/* ---- one run ---- */

struct verify;

/* One record as the walk sees it. */
struct record_view {
	const uint8_t *p;
	uint32_t length;
	uint64_t seq, seal;
	int64_t wall_us;
	uint16_t kind;
};

struct lane {
	unsigned id;
	const struct listing_row *files;
	struct window window;
	uint64_t number; /* of the open segment, 0 before the first */
	uint64_t offset; /* behind the last good record */
	uint64_t seq;    /* of it */
	uint8_t head[HASH_BYTES];
	struct verify_neighbour before;
	/* As the newest seal that was checked has it. */
	uint64_t sealed_segment, sealed_offset, sealed_count;
	uint8_t sealed_head[HASH_BYTES];
};

/* The walk over all files of seals. */
struct seal_walk {
	struct window window;
	char name[NAME_MAX_BYTES];
	uint64_t file, at; /* the place that is looked at */
	uint64_t end;      /* behind the last good seal of the file */
	bool is_first_in_file;
	bool has_reached_from;
	bool is_following; /* lanes were walked already: only the chain of seals is checked */
};

struct tree {
	uint64_t n;
	uint8_t nodes[64][HASH_BYTES];
};

struct verify {
	int folder;
	const struct verify_options *options;
	struct verify_report *report;
	struct err *err;
	struct listing listing;
	struct lane lanes[LANES];
	struct tree tree;
	struct seal_walk seals;
	uint64_t highest_named_seal;
};

void tree_add(struct tree *tree, const uint8_t leaf[HASH_BYTES]);
void tree_root(const struct tree *tree, uint8_t out[HASH_BYTES]);

/* Records where the run broke, and evaluates to result. lane is NULL for a break in the seals. */
enum verify_result broken(struct verify *verify, struct lane *lane, enum verify_result result,
	const char *file, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* Fills after of the report with the next record behind offset that can be made out. */
void look_behind(struct verify *verify, struct lane *lane, uint64_t offset);

/* ---- lane.c ---- */

/* Walks the lane to the record number count, all of them covered by the seal being checked; adds
 * their hashes to the tree. */
enum verify_result lane_walk_to(struct verify *verify, struct lane *lane, uint64_t count);
/* Walks the lane to its end, behind the last seal. */
enum verify_result lane_walk_tail(struct verify *verify, struct lane *lane);
/* Takes the lane's sealed_ fields as checked and stands behind that record. */
enum verify_result lane_jump(struct verify *verify, struct lane *lane);

/* ---- seals.c ---- */

/* Checks all seals, and the lanes along with them. */
enum verify_result seals_walk(struct verify *verify);
/* Checks the seals that were made since, by themselves: lanes have been walked beyond them. */
enum verify_result seals_follow(struct verify *verify);

static inline bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static inline uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p)
{
	return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static inline uint64_t le64(const uint8_t *p)
{
	return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

#endif
