#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "layout.h"

static void segment_name(const struct lane *lane, uint64_t number, char out[NAME_MAX_BYTES])
{
	snprintf(
		out, NAME_MAX_BYTES, "lane-%02u-%010llu.seg", lane->id, (unsigned long long)number);
}

static enum verify_result lane_broken(
	struct verify *verify, struct lane *lane, enum verify_result result, const char *what)
{
	char name[NAME_MAX_BYTES];

	segment_name(lane, lane->number, name);
	return broken(verify, lane, result, name, lane->offset, "%s", what);
}

static enum verify_result unreadable(void)
{
	return VERIFY_UNREADABLE;
}

/* What a change is called: nothing vouches for the bytes behind the last seal, which a power cut
 * may have left in any state. */
static enum verify_result changed(bool is_sealed)
{
	return is_sealed ? VERIFY_TAMPERED : VERIFY_TORN;
}

/* Judges the header of the open segment, which the lane has just come to. */
static enum verify_result check_header(
	struct verify *verify, struct lane *lane, const uint8_t *p, bool is_sealed)
{
	uint8_t expected[HASH_BYTES];

	if (memcmp(p, SEGMENT_MAGIC, 8) != 0)
		return lane_broken(
			verify, lane, changed(is_sealed), "the segment's header is damaged");
	hash_of((struct bytes){ (const char *)p, SEGMENT_HASH }, expected);
	if (memcmp(p + SEGMENT_HASH, expected, HASH_BYTES) != 0)
		return lane_broken(
			verify, lane, changed(is_sealed), "the segment header's hash is wrong");
	if (le16(p + SEGMENT_VERSION) != 1)
		return lane_broken(verify, lane, changed(is_sealed), "a version that is not known");
	if (le16(p + SEGMENT_LANE) != lane->id || le64(p + SEGMENT_NUMBER) != lane->number)
		return lane_broken(
			verify, lane, VERIFY_GAP, "the segment belongs to another place");
	if (le64(p + SEGMENT_FIRST) != lane->seq + 1)
		return lane_broken(verify, lane, VERIFY_GAP,
			"the segment does not begin with the next record");
	if (memcmp(p + SEGMENT_PREVIOUS, lane->head, HASH_BYTES) != 0)
		return lane_broken(verify, lane, changed(is_sealed),
			"the segment does not follow from the record before it");
	if (lane->window.size < (uint64_t)le32(p + SEGMENT_PAGES) * 4096)
		return lane_broken(verify, lane, VERIFY_TRUNCATED, "the segment was cut short");
	if (lane->window.size > (uint64_t)le32(p + SEGMENT_PAGES) * 4096)
		return lane_broken(verify, lane, changed(is_sealed), "the segment was made longer");
	if (le64(p + SEGMENT_SEAL) > verify->highest_named_seal)
		verify->highest_named_seal = le64(p + SEGMENT_SEAL);
	return VERIFY_OK;
}

/* Looks into the next segment. *ret_is_begun tells whether it has a header or the start of one. */
static enum verify_result peek_next(
	struct verify *verify, struct lane *lane, struct window *next, bool *ret_is_begun)
{
	char name[NAME_MAX_BYTES];
	const uint8_t *p = NULL;
	bool is_there;

	*ret_is_begun = false;
	segment_name(lane, lane->number + 1, name);
	if (window_open(next, verify->folder, name, &is_there, verify->err) != 0 ||
		(is_there && window_get(next, 0, 8, &p, verify->err) != 0))
		return unreadable();
	*ret_is_begun = p && !is_zero(p, 8);
	/* A writer stores the magic last: what is read from here on is the header that it belongs
	 * to. */
	next->n = 0;
	return VERIFY_OK;
}

/* Goes over to the next segment, which is begun. */
static enum verify_result enter(
	struct verify *verify, struct lane *lane, struct window *next, bool is_sealed)
{
	const uint8_t *p;
	struct window old = lane->window;

	lane->window = *next;
	*next = old;
	lane->number++;
	lane->offset = 0;
	if (window_get(&lane->window, 0, SEGMENT_HEADER, &p, verify->err) != 0)
		return unreadable();
	if (!p)
		return lane_broken(verify, lane, VERIFY_TRUNCATED, "the segment was cut short");
	enum verify_result result = check_header(verify, lane, p, is_sealed);
	if (result != VERIFY_OK)
		return result;
	memcpy(lane->head, p + SEGMENT_HASH, HASH_BYTES);
	lane->offset = SEGMENT_HEADER;
	verify->report->n_segments++;
	return VERIFY_OK;
}

/* A segment that was made ahead and is not begun holds zeros, or part of a header. *ret_is_over is
 * false when it was begun meanwhile. */
static enum verify_result check_reserve(
	struct verify *verify, struct lane *lane, struct window *next, bool *ret_is_over)
{
	uint64_t end = 0;
	const uint8_t *p = NULL;

	*ret_is_over = true;
	if (next->fd < 0)
		return VERIFY_OK;
	if (window_data_end(next, 0, &end, verify->err) != 0)
		return unreadable();
	next->n = 0;
	if (end > 0 && window_get(next, 0, 8, &p, verify->err) != 0)
		return unreadable();
	if (p && !is_zero(p, 8)) {
		*ret_is_over = false;
		return VERIFY_OK;
	}
	if (end > SEGMENT_HEADER) {
		lane->number++;
		lane->offset = 0;
		return lane_broken(
			verify, lane, VERIFY_TORN, "bytes in a segment that was never begun");
	}
	verify->report->has_unfinished |= end > 0;
	return VERIFY_OK;
}

/* No committed record was seen at the lane's offset. Either the segment is over and the next one is
 * entered, or the lane is over (*ret_is_over), or it is broken. A server may be appending
 * meanwhile, so the order counts: a segment takes no more once the next one is begun, hence that is
 * asked first. */
static enum verify_result end_of_segment(
	struct verify *verify, struct lane *lane, bool is_sealed, bool *ret_is_over)
{
	struct window next = { .fd = -1 };
	bool is_begun;
	uint64_t end = lane->offset;
	const uint8_t *p = NULL;

	*ret_is_over = false;
	enum verify_result result = peek_next(verify, lane, &next, &is_begun);
	if (result == VERIFY_OK && lane->number > 0 &&
		window_data_end(&lane->window, lane->offset, &end, verify->err) != 0)
		result = unreadable();
	if (result == VERIFY_OK && end > lane->offset) {
		lane->window.n = 0;
		if (window_get(&lane->window, lane->offset, 4, &p, verify->err) != 0)
			result = unreadable();
	}
	if (result != VERIFY_OK ||
		(p && le32(p) != 0 && lane->window.size - lane->offset >= RECORD_SMALLEST))
		; /* a record has come in between */
	else if (end > lane->offset && (is_begun || is_sealed))
		result = lane_broken(verify, lane, changed(is_sealed || is_begun),
			"bytes where a record should be that are none");
	else if (end - lane->offset > RECORD_LARGEST)
		result = lane_broken(verify, lane, VERIFY_TORN, "bytes behind the last record");
	else if (is_begun)
		result = enter(verify, lane, &next, is_sealed);
	else {
		result = check_reserve(verify, lane, &next, ret_is_over);
		verify->report->has_unfinished |= *ret_is_over && end > lane->offset;
	}
	window_close(&next);
	free(next.buffer);
	return result;
}

/* Whether a field of the record's says that a start cut something off. */
static bool tells_of_a_cut(const struct record_view *view)
{
	const uint8_t *at = view->p + RECORD_HEADER;
	const uint8_t *end = at + le16(view->p + RECORD_N_FIELDS);

	if (view->kind != KIND_JOURNAL || end > view->p + view->length)
		return false;
	while (end - at >= 3 && end - at - 3 >= le16(at + 1)) {
		if (at[0] == FIELD_ACTION)
			return le16(at + 1) >= 12 && memcmp(at + 3, "journal.torn", 12) == 0;
		at += 3 + le16(at + 1);
	}
	return false;
}

static enum verify_result check_record(
	struct verify *verify, struct lane *lane, const struct record_view *view, bool is_sealed)
{
	struct hash hash;
	uint8_t expected[HASH_BYTES];

	if (view->seq != lane->seq + 1) {
		char what[80];
		snprintf(what, sizeof(what), "record %llu stands where %llu should be",
			(unsigned long long)view->seq, (unsigned long long)lane->seq + 1);
		return lane_broken(verify, lane, VERIFY_GAP, what);
	}
	hash_init(&hash);
	hash_add(&hash, lane->head, HASH_BYTES);
	hash_add(&hash, view->p + 4, view->length - 4 - HASH_BYTES);
	hash_end(&hash, expected);
	if (memcmp(expected, view->p + view->length - HASH_BYTES, HASH_BYTES) != 0)
		return lane_broken(verify, lane, changed(is_sealed),
			"the record's hash does not follow from it and the one before");
	/* A record can only know seals that were made before it, and those do not cover it. */
	if (is_sealed && view->seal >= verify->report->seal)
		return lane_broken(verify, lane, VERIFY_BAD_SEAL,
			"the record names a seal that is newer than the one that covers it");
	memcpy(lane->head, expected, HASH_BYTES);
	return VERIFY_OK;
}

static void pass(
	struct verify *verify, struct lane *lane, const struct record_view *view, bool is_sealed)
{
	lane->before = (struct verify_neighbour){
		.is_there = true,
		.seq = view->seq,
		.offset = lane->offset,
		.wall_us = view->wall_us,
	};
	lane->seq = view->seq;
	lane->offset += view->length;
	if (view->seal > verify->highest_named_seal)
		verify->highest_named_seal = view->seal;
	verify->report->n_records++;
	verify->report->n_bytes += view->length;
	verify->report->n_sealed += is_sealed;
	verify->report->n_cuts += tells_of_a_cut(view);
	if (is_sealed)
		tree_add(&verify->tree, lane->head);
}

/* Judges the record at the lane's offset, whose commit word is not 0, and passes it. */
static enum verify_result take_record(struct verify *verify, struct lane *lane, bool is_sealed)
{
	const uint8_t *p;

	if (window_get(&lane->window, lane->offset, RECORD_SMALLEST, &p, verify->err) != 0)
		return unreadable();
	if (!p || le32(p) != layout_commit_word(p))
		return lane_broken(
			verify, lane, changed(is_sealed), "the record's commit word is wrong");
	uint32_t length = le32(p + RECORD_LENGTH);
	if (length < RECORD_SMALLEST || length > RECORD_LARGEST || length % 8 != 0)
		return lane_broken(
			verify, lane, changed(is_sealed), "the record's length is wrong");
	if (window_get(&lane->window, lane->offset, length, &p, verify->err) != 0)
		return unreadable();
	if (!p)
		return lane_broken(
			verify, lane, changed(is_sealed), "the record passes the segment's end");
	struct record_view view = {
		.p = p,
		.length = length,
		.seq = le64(p + RECORD_SEQ),
		.seal = le64(p + RECORD_SEAL),
		.wall_us = (int64_t)le64(p + RECORD_WALL),
		.kind = le16(p + RECORD_KIND),
	};
	enum verify_result result = check_record(verify, lane, &view, is_sealed);
	if (result == VERIFY_OK)
		pass(verify, lane, &view, is_sealed);
	return result;
}

/* One record further. *ret_is_over is true, and nothing was passed, at the lane's end. */
static enum verify_result step(
	struct verify *verify, struct lane *lane, bool is_sealed, bool *ret_is_over)
{
	const uint8_t *p = NULL;

	for (;;) {
		if (lane->number > 0 && window_get(&lane->window, lane->offset, RECORD_SMALLEST, &p,
						verify->err) != 0)
			return unreadable();
		if (p && le32(p) != 0)
			break;
		enum verify_result result = end_of_segment(verify, lane, is_sealed, ret_is_over);
		if (result != VERIFY_OK || *ret_is_over)
			return result;
	}
	enum verify_result result = take_record(verify, lane, is_sealed);
	if (result == VERIFY_OK)
		return result;
	/* The bytes in the window may have been read while they were being written. */
	lane->window.n = 0;
	return take_record(verify, lane, is_sealed);
}

enum verify_result lane_walk_to(struct verify *verify, struct lane *lane, uint64_t count)
{
	while (lane->seq < count) {
		bool is_over = false;
		enum verify_result result = step(verify, lane, true, &is_over);
		if (result != VERIFY_OK)
			return result;
		if (!is_over)
			continue;
		if (lane->number < lane->sealed_segment && lane->files->last <= lane->number) {
			lane->number++;
			lane->offset = 0;
			return lane_broken(
				verify, lane, VERIFY_MISSING, "a sealed segment is missing");
		}
		return lane_broken(
			verify, lane, VERIFY_TRUNCATED, "the lane ends before what is sealed");
	}
	if (lane->number != lane->sealed_segment || lane->offset != lane->sealed_offset ||
		memcmp(lane->head, lane->sealed_head, HASH_BYTES) != 0)
		return lane_broken(verify, lane, VERIFY_TAMPERED,
			"the lane's records are not those that were sealed");
	return VERIFY_OK;
}

enum verify_result lane_walk_tail(struct verify *verify, struct lane *lane)
{
	bool is_over = false;
	enum verify_result result = VERIFY_OK;

	/* Segments that were made after the folder was listed are left to the next run: a server
	 * may append faster than we read. */
	while (result == VERIFY_OK && !is_over && lane->number <= lane->files->last)
		result = step(verify, lane, false, &is_over);
	return result;
}

enum verify_result lane_jump(struct verify *verify, struct lane *lane)
{
	char name[NAME_MAX_BYTES];
	const uint8_t *p = NULL;
	bool is_there;

	lane->number = lane->sealed_segment;
	lane->offset = lane->sealed_offset;
	lane->seq = lane->sealed_count;
	memcpy(lane->head, lane->sealed_head, HASH_BYTES);
	segment_name(lane, lane->number, name);
	if (window_open(&lane->window, verify->folder, name, &is_there, verify->err) != 0)
		return unreadable();
	if (!is_there)
		return lane_broken(verify, lane, VERIFY_MISSING, "the sealed segment is missing");
	if (lane->offset < SEGMENT_HEADER + RECORD_SMALLEST)
		return lane_broken(
			verify, lane, VERIFY_BAD_SEAL, "the seal names no place for a record");
	if (window_get(&lane->window, lane->offset - HASH_BYTES, HASH_BYTES, &p, verify->err) != 0)
		return unreadable();
	if (!p)
		return lane_broken(
			verify, lane, VERIFY_TRUNCATED, "the segment ends before what is sealed");
	if (memcmp(p, lane->head, HASH_BYTES) != 0)
		return lane_broken(
			verify, lane, VERIFY_TAMPERED, "the sealed record is another one");
	verify->report->n_segments++;
	return VERIFY_OK;
}
