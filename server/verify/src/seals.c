#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "layout.h"
#include "sign.h"

static void seal_name(uint64_t number, char out[NAME_MAX_BYTES])
{
	snprintf(out, NAME_MAX_BYTES, "seals-%010llu.log", (unsigned long long)number);
}

static bool is_last_file(const struct verify *verify)
{
	char name[NAME_MAX_BYTES];

	seal_name(verify->seals.file + 1, name);
	return faccessat(verify->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

static enum verify_result seal_broken(
	struct verify *verify, enum verify_result result, const char *what)
{
	return broken(verify, NULL, result, verify->seals.name, verify->seals.at, "%s", what);
}

/* Whether the bad seal at p is the last thing of the last file and lacks its end: a power cut does
 * that. */
static bool is_torn(struct verify *verify, const uint8_t *p, size_t left)
{
	uint32_t length = le32(p + SEAL_LENGTH);
	uint64_t end;

	if (!is_last_file(verify) || length < SEAL_HEADER + SEAL_SIGNATURE || length > left ||
		!is_zero(p + length - SEAL_SIGNATURE, SEAL_SIGNATURE))
		return false;
	return window_data_end(&verify->seals.window, verify->seals.at, &end, NULL) == 0 &&
	       end <= verify->seals.at + length;
}

/* Checks what a seal says of itself: shape, number, predecessor, key, signature. */
static enum verify_result check_seal(struct verify *verify, const uint8_t *p, uint32_t length)
{
	struct verify_report *report = verify->report;
	size_t n_signed = length - SEAL_SIGNATURE;
	uint64_t number = le64(p + SEAL_NUMBER);

	if (!report->has_key)
		memcpy(report->key, p + SEAL_KEY, sizeof(report->key));
	report->has_key = true;
	if (memcmp(p + SEAL_KEY, report->key, sizeof(report->key)) != 0)
		return seal_broken(verify, VERIFY_BAD_SEAL, "the seal was made with another key");
	if (!sign_check(report->key, (struct bytes){ (const char *)p, n_signed }, p + n_signed))
		return seal_broken(verify, VERIFY_BAD_SEAL, "the seal's signature is wrong");
	/* Where old files were archived, the walk begins at the first one that is left. */
	bool is_begin = report->last_seal == 0 && verify->seals.file > 1;
	if (!is_begin && number != report->last_seal + 1)
		return seal_broken(
			verify, VERIFY_BAD_SEAL, "the seal does not have the next number");
	if (!is_begin && memcmp(p + SEAL_PREVIOUS, report->last_seal_hash, HASH_BYTES) != 0)
		return seal_broken(
			verify, VERIFY_BAD_SEAL, "the seal does not follow from the one before");
	if (verify->seals.is_first_in_file && !(le32(p + SEAL_FLAGS) & SEAL_ALL))
		return seal_broken(
			verify, VERIFY_BAD_SEAL, "a file of seals does not begin with all lanes");
	return VERIFY_OK;
}

/* Takes the heads that the seal lists. */
static enum verify_result take_entries(struct verify *verify, const uint8_t *p, bool listed[LANES])
{
	int last = -1;

	for (uint32_t i = 0; i < le32(p + SEAL_N_LANES); i++) {
		const uint8_t *entry = p + SEAL_HEADER + (size_t)i * ENTRY_BYTES;
		uint32_t id = le32(entry + ENTRY_LANE);
		if (id >= LANES || (int)id <= last || le32(entry + ENTRY_ZERO) != 0)
			return seal_broken(
				verify, VERIFY_BAD_SEAL, "the seal's lanes are out of order");
		struct lane *lane = &verify->lanes[id];
		if (le64(entry + ENTRY_COUNT) < lane->sealed_count ||
			le64(entry + ENTRY_COUNT) == 0)
			return seal_broken(
				verify, VERIFY_BAD_SEAL, "the seal goes back behind another");
		last = (int)id;
		listed[id] = true;
		lane->sealed_segment = le64(entry + ENTRY_SEGMENT);
		lane->sealed_offset = le64(entry + ENTRY_OFFSET);
		lane->sealed_count = le64(entry + ENTRY_COUNT);
		memcpy(lane->sealed_head, entry + ENTRY_HEAD, HASH_BYTES);
	}
	if (le32(p + SEAL_FLAGS) & SEAL_ALL)
		for (unsigned id = 0; id < LANES; id++)
			if (verify->lanes[id].sealed_count > 0 && !listed[id])
				return seal_broken(
					verify, VERIFY_BAD_SEAL, "the seal leaves out a lane");
	return VERIFY_OK;
}

/* Walks the listed lanes to the seal's heads and compares what they add up to. p may be overwritten
 * by none of this: lanes have windows of their own. */
static enum verify_result check_lanes(
	struct verify *verify, const uint8_t *p, const bool listed[LANES])
{
	uint8_t root[HASH_BYTES];

	verify->tree.n = 0;
	for (unsigned id = 0; id < LANES; id++) {
		if (!listed[id])
			continue;
		enum verify_result result =
			lane_walk_to(verify, &verify->lanes[id], verify->lanes[id].sealed_count);
		if (result != VERIFY_OK)
			return result;
	}
	tree_root(&verify->tree, root);
	if (verify->tree.n != le64(p + SEAL_N_RECORDS) ||
		memcmp(root, p + SEAL_ROOT, HASH_BYTES) != 0)
		return seal_broken(
			verify, VERIFY_BAD_SEAL, "the seal's root is not that of the records");
	return VERIFY_OK;
}

/* At the seal that the run begins from: its heads are taken as they are. */
static enum verify_result begin_from(struct verify *verify)
{
	const struct verify_options *options = verify->options;
	struct verify_report *report = verify->report;

	verify->seals.has_reached_from = true;
	if (options->from_hash &&
		memcmp(options->from_hash, report->last_seal_hash, HASH_BYTES) != 0)
		return seal_broken(
			verify, VERIFY_BAD_SEAL, "the seal is not the one that was anchored");
	for (unsigned id = 0; id < LANES; id++) {
		struct lane *lane = &verify->lanes[id];
		if (lane->sealed_count == 0)
			continue;
		enum verify_result result = lane_jump(verify, lane);
		if (result != VERIFY_OK)
			return result;
	}
	return VERIFY_OK;
}

static enum verify_result take_seal(struct verify *verify, const uint8_t *p, uint32_t length)
{
	struct verify_report *report = verify->report;
	uint8_t copy[SEAL_PAGE];
	bool listed[LANES] = { false };

	memcpy(copy, p, length);
	report->seal = report->last_seal + 1;
	enum verify_result result = check_seal(verify, copy, length);
	if (result == VERIFY_OK && !verify->seals.is_following)
		result = take_entries(verify, copy, listed);
	report->seal = le64(copy + SEAL_NUMBER);
	if (result == VERIFY_OK && !verify->seals.is_following &&
		report->seal > verify->options->from_seal)
		result = check_lanes(verify, copy, listed);
	if (result != VERIFY_OK)
		return result;

	report->last_seal = report->seal;
	hash_of((struct bytes){ (const char *)copy, length }, report->last_seal_hash);
	report->last_seal_us = (int64_t)le64(copy + SEAL_WALL);
	if (report->n_seals++ == 0)
		report->first_seal_us = report->last_seal_us;
	report->stopped_in_order = le32(copy + SEAL_FLAGS) & SEAL_STOP;
	verify->seals.at += length;
	verify->seals.end = verify->seals.at;
	verify->seals.is_first_in_file = false;
	return report->seal == verify->options->from_seal ? begin_from(verify) : VERIFY_OK;
}

/* At a zero where a seal might begin: the rest of the page must be zero, and so must all the file
 * when a page begins with zero. */
static enum verify_result skip_zeros(struct verify *verify, bool *ret_is_over)
{
	uint64_t page_end = (verify->seals.at / SEAL_PAGE + 1) * SEAL_PAGE, end = verify->seals.at;
	const uint8_t *p = NULL;

	*ret_is_over = verify->seals.at % SEAL_PAGE == 0 || page_end >= verify->seals.window.size;
	if (*ret_is_over) {
		if (window_data_end(&verify->seals.window, verify->seals.at, &end, verify->err) !=
			0)
			return VERIFY_UNREADABLE;
		if (end == verify->seals.at)
			return VERIFY_OK;
		return seal_broken(verify, is_last_file(verify) ? VERIFY_TORN : VERIFY_BAD_SEAL,
			"bytes behind the last seal");
	}
	if (window_get(&verify->seals.window, verify->seals.at, page_end - verify->seals.at, &p,
		    verify->err) != 0)
		return VERIFY_UNREADABLE;
	if (!p || !is_zero(p, page_end - verify->seals.at))
		return seal_broken(verify, VERIFY_BAD_SEAL, "bytes between seals");
	verify->seals.at = page_end;
	return VERIFY_OK;
}

/* The seal at the walk's place, or what stands there instead of one. */
static enum verify_result next_seal(struct verify *verify, bool *ret_is_over)
{
	const uint8_t *p = NULL;
	size_t left = SEAL_PAGE - verify->seals.at % SEAL_PAGE;

	*ret_is_over = false;
	if (left > verify->seals.window.size - verify->seals.at)
		left = (size_t)(verify->seals.window.size - verify->seals.at);
	if (window_get(&verify->seals.window, verify->seals.at, left, &p, verify->err) != 0)
		return VERIFY_UNREADABLE;
	if (!p || left < SEAL_HEADER + SEAL_SIGNATURE || le32(p) == 0)
		return skip_zeros(verify, ret_is_over);
	uint32_t length = le32(p + SEAL_LENGTH), n_lanes = le32(p + SEAL_N_LANES);
	bool is_shaped = le32(p) == SEAL_MAGIC && n_lanes <= LANES && length <= left &&
			 length == SEAL_HEADER + n_lanes * ENTRY_BYTES + SEAL_SIGNATURE;
	if (is_torn(verify, p, left))
		return seal_broken(verify, VERIFY_TORN, "the last seal lacks its end");
	if (!is_shaped)
		return seal_broken(verify, VERIFY_BAD_SEAL, "the seal is damaged");
	/* is_torn may have moved the window. */
	if (window_get(&verify->seals.window, verify->seals.at, length, &p, verify->err) != 0)
		return VERIFY_UNREADABLE;
	if (!p)
		return seal_broken(verify, VERIFY_BAD_SEAL, "the file of seals shrank");
	return take_seal(verify, p, length);
}

/* From the walk's place to the end of its file. */
static enum verify_result walk_file(struct verify *verify)
{
	struct seal_walk *walk = &verify->seals;
	enum verify_result result = VERIFY_OK;
	bool is_there, is_over = false;
	unsigned n_tries = 0;

	seal_name(walk->file, walk->name);
	for (;;) {
		uint64_t end = walk->end;
		if (window_open(
			    &walk->window, verify->folder, walk->name, &is_there, verify->err) != 0)
			return VERIFY_UNREADABLE;
		if (!is_there)
			return seal_broken(verify, VERIFY_MISSING, "a file of seals is missing");
		while (result == VERIFY_OK && !is_over && walk->at < walk->window.size)
			result = next_seal(verify, &is_over);
		n_tries = walk->end > end ? 0 : n_tries + 1;
		bool is_bad = result == VERIFY_BAD_SEAL || result == VERIFY_TORN;
		if (!is_bad || verify->report->lane >= 0 || n_tries == 4)
			return result;
		/* What is newest may have been read while it was being written, or cut to its end.
		 */
		usleep(2000);
		walk->at = walk->end;
		is_over = false;
		result = VERIFY_OK;
	}
}

/* Whether the run has seen as many seals as it is to see. A server that seals faster than we check
 * would never let us go, so what it begins after the folder was listed is left to the next run;
 * only seals that records name already are followed, by themselves. */
static bool is_enough(const struct verify *verify)
{
	if (!verify->seals.is_following)
		return verify->seals.file >= verify->listing.seals.last;
	return verify->report->last_seal >= verify->highest_named_seal;
}

static enum verify_result walk_files(struct verify *verify)
{
	struct seal_walk *walk = &verify->seals;

	for (;;) {
		enum verify_result result = walk_file(verify);
		if (result != VERIFY_OK || is_enough(verify) || is_last_file(verify))
			return result;
		/* Now that another file follows, this one takes no more: a last look for what was
		 * sealed between its end and that question. */
		walk->at = walk->end;
		result = walk_file(verify);
		if (result != VERIFY_OK)
			return result;
		walk->file++;
		walk->at = walk->end = 0;
		walk->is_first_in_file = true;
	}
}

enum verify_result seals_walk(struct verify *verify)
{
	const struct listing_row *files = &verify->listing.seals;
	enum verify_result result = VERIFY_OK;

	verify->seals.file = files->first;
	verify->seals.is_first_in_file = true;
	if (files->n > 0)
		result = walk_files(verify);
	if (result == VERIFY_OK && verify->options->from_seal > 0 &&
		!verify->seals.has_reached_from)
		result = seal_broken(
			verify, VERIFY_TRUNCATED, "the seal to begin from is not there");
	if (result == VERIFY_OK)
		verify->report->seal = 0;
	return result;
}

enum verify_result seals_follow(struct verify *verify)
{
	struct seal_walk *walk = &verify->seals;

	walk->is_following = true;
	/* Without a seal so far, there may be a first one now. */
	if (walk->file == 0)
		walk->file = 1;
	walk->at = walk->end;
	enum verify_result result = walk_files(verify);
	if (result == VERIFY_MISSING && walk->file == 1)
		result = VERIFY_OK;
	if (result == VERIFY_OK)
		verify->report->seal = 0;
	return result;
}
