#include "journal.h"

#include <stdio.h>
#include <string.h>

#include "format.h"
#include "id.h"
#include "record.h"

/* Where a walk over a lane stands: behind the record number seq, whose hash is head. */
struct place {
	struct segment *segment;
	uint64_t offset; /* 0: the segment's header is not there, or not good */
	uint64_t seq;
	uint8_t head[HASH_BYTES];
};

static int corrupt(const struct audit_lane *lane, const char *what, struct err *err)
{
	return ERR_SET(err, ERR_CORRUPT,
		"lane %u of the journal: %s; run tenon-verify, move the folder aside to start anew",
		lane->id, what);
}

static int open_all(
	struct audit_lane *lane, const struct files *files, uint64_t from_number, struct err *err)
{
	size_t from, to;
	struct segment *last = NULL;

	files_of_lane(files, lane->id, &from, &to);
	while (from < to && files->entries[from].number < from_number)
		from++;
	for (; from < to; from++) {
		uint64_t number = files->entries[from].number;
		struct segment *segment = NULL;
		if (number != (last ? last->number + 1 : from_number))
			return corrupt(lane, "a segment is missing", err);
		/* As many as a running server has at most, and the next one. */
		if (atomic_load(&lane->n_segments) > JOURNAL_SEGMENTS_MAX)
			return corrupt(lane, "too many segments are not sealed", err);
		if (segment_open(lane->audit->folder, lane->id, number, &segment, err) != 0)
			return -1;
		atomic_fetch_add(&lane->n_segments, 1);
		if (last)
			atomic_store(&last->next, segment);
		else
			lane->oldest = segment;
		last = segment;
	}
	return 0;
}

static bool enter(struct place *place, struct segment *segment)
{
	if (!segment_is_begun(segment) || !segment_follows(segment, place->seq + 1, place->head))
		return false;
	place->segment = segment;
	place->offset = SEGMENT_HEADER;
	return true;
}

/* Steps over one good record. False when there is none; *ret_seal is the seal that it names. */
static bool step(struct place *place, uint64_t *ret_seal)
{
	const uint8_t *p = place->segment->map + place->offset;
	uint64_t left = place->segment->size - place->offset;
	struct audit_entry entry;

	if (left < RECORD_MIN)
		return false;
	size_t length = record_length(p);
	if (length == 0 || length > left || get_u64(p + RECORD_AT_SEQ) != place->seq + 1 ||
		!record_read(p, length, &entry) || !record_follows(p, length, place->head))
		return false;
	*ret_seal = entry.seal;
	place->offset += length;
	place->seq++;
	return true;
}

/* Walks to the last good record. -1 when a record names a seal that is not there. */
static int walk(const struct audit_lane *lane, struct place *place, uint64_t seal, struct err *err)
{
	for (;;) {
		uint64_t named;
		while (place->offset > 0 && step(place, &named))
			if (named > seal)
				return corrupt(lane, "a record names a seal that is missing", err);
		struct segment *left = place->segment, *next = atomic_load(&left->next);
		uint64_t end = place->offset;
		if (!next || place->offset == 0 ||
			segment_data_end(place->segment, place->offset) > place->offset ||
			!enter(place, next))
			return 0;
		/* The last hash may end in zeros: only the walk knows where the records end. */
		atomic_store(&left->committed, end);
		atomic_store(&left->is_closed, true);
	}
}

static void measure_tail(const struct place *place, struct scan_tail *ret)
{
	uint64_t end = segment_data_end(place->segment, place->offset);
	const uint8_t *p = place->segment->map + place->offset;
	struct hash hash;

	*ret = (struct scan_tail){ .segment = place->segment, .offset = place->offset };
	ret->n_bytes = end - place->offset;
	if (place->offset == 0)
		ret->is_unfinished = end <= SEGMENT_HEADER && !segment_is_begun(place->segment);
	else
		ret->is_unfinished =
			ret->n_bytes <= RECORD_MAX && (place->segment->size - place->offset < 4 ||
							      get_u32(p + RECORD_AT_COMMIT) == 0);

	hash_init(&hash);
	hash_add(&hash, p, end - place->offset);
	for (struct segment *at = atomic_load(&place->segment->next); at;
		at = atomic_load(&at->next)) {
		end = segment_data_end(at, 0);
		ret->is_unfinished &= end <= SEGMENT_HEADER && !segment_is_begun(at);
		ret->n_bytes += end;
		hash_add(&hash, at->map, end);
	}
	hash_end(&hash, ret->hash);
}

/* The walk left every page it read resident; the sealer will read the unsealed ones once more. */
static void release_all(struct audit_lane *lane)
{
	for (struct segment *at = lane->oldest; at; at = atomic_load(&at->next)) {
		segment_release(at, at->size);
		at->released = 0;
	}
}

/* The last sealed record, or the lane's beginning. */
static int start_place(const struct audit_lane *lane, struct place *ret, struct err *err)
{
	const struct seal_lane *sealed = &lane->sealed;

	*ret = (struct place){ .segment = lane->oldest };
	if (sealed->count == 0) {
		enter(ret, lane->oldest);
		return 0;
	}
	/* The hash that ends the last sealed record is the lane's head: one look tells whether it
	 * is there. */
	if (sealed->offset < SEGMENT_HEADER + RECORD_MIN || sealed->offset > lane->oldest->size ||
		memcmp(lane->oldest->map + sealed->offset - HASH_BYTES, sealed->head, HASH_BYTES) !=
			0)
		return corrupt(lane, "sealed records are gone or changed", err);
	ret->offset = sealed->offset;
	ret->seq = sealed->count;
	memcpy(ret->head, sealed->head, HASH_BYTES);
	return 0;
}

int scan_lane(struct audit_lane *lane, const struct files *files, uint64_t seal,
	struct scan_tail *ret, struct err *err)
{
	struct place place;

	*ret = (struct scan_tail){ 0 };
	if (open_all(lane, files, lane->sealed.count > 0 ? lane->sealed.segment : 1, err) != 0)
		return -1;
	if (!lane->oldest)
		return lane->sealed.count > 0 ? corrupt(lane, "its sealed segment is missing", err)
					      : 0;
	if (start_place(lane, &place, err) != 0 || walk(lane, &place, seal, err) != 0)
		return -1;

	lane->current = place.segment;
	lane->offset = place.offset;
	lane->seq = place.seq;
	memcpy(lane->head, place.head, HASH_BYTES);
	atomic_store(&place.segment->committed, place.offset);
	lane->sealing = lane->oldest;
	lane->sealing_at = lane->sealed.count > 0 ? lane->sealed.offset : 0;
	measure_tail(&place, ret);
	release_all(lane);
	return 0;
}

/* Keeps a segment that holds torn bytes for whoever wants to look at it, under a name that is none
 * of the journal's. */
static int set_aside(struct audit_lane *lane, const struct segment *segment, struct err *err)
{
	struct id_source ids = { 0 };
	char name[FILES_NAME_SIZE], unique[ID_RECORD_BYTES + 1];
	char aside[FILES_NAME_SIZE + sizeof(unique) + 8];

	id_record(&ids, unique);
	files_name(lane->id, segment->number, name);
	snprintf(aside, sizeof(aside), "torn-%s-%s", unique, name);
	if (renameat(lane->audit->folder, name, lane->audit->folder, aside) != 0)
		return ERR_SET(err, ERR_IO, "cannot move %s aside", name);
	return 0;
}

int scan_cut(struct audit_lane *lane, struct scan_tail *tail, struct err *err)
{
	struct segment *at = atomic_load(&tail->segment->next);
	int result = 0;

	memset(tail->segment->map + tail->offset, 0,
		segment_data_end(tail->segment, tail->offset) - tail->offset);
	atomic_store(&tail->segment->next, NULL);
	while (at) {
		struct segment *next = atomic_load(&at->next);
		if (result == 0)
			result = set_aside(lane, at, err);
		segment_free(at);
		atomic_fetch_sub(&lane->n_segments, 1);
		at = next;
	}
	return result;
}
