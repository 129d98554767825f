#include "verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static void join(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
	uint8_t pair[1 + 2 * HASH_BYTES] = { 1 };

	memcpy(pair + 1, left, HASH_BYTES);
	memcpy(pair + 1 + HASH_BYTES, right, HASH_BYTES);
	hash_of((struct bytes){ (const char *)pair, sizeof(pair) }, out);
}

/* nodes holds the roots of the full trees that the leaves so far make up, the largest first, as a
 * stack: as many as n has bits set. */
static unsigned height(const struct tree *tree)
{
	return (unsigned)__builtin_popcountll(tree->n);
}

void tree_add(struct tree *tree, const uint8_t leaf[HASH_BYTES])
{
	unsigned top = height(tree);

	memcpy(tree->nodes[top], leaf, HASH_BYTES);
	/* Each trailing one of n is a tree of the size that the new one has by then. */
	for (uint64_t n = tree->n; n & 1; n >>= 1, top--)
		join(tree->nodes[top - 1], tree->nodes[top], tree->nodes[top - 1]);
	tree->n++;
}

void tree_root(const struct tree *tree, uint8_t out[HASH_BYTES])
{
	unsigned top = height(tree);

	memset(out, 0, HASH_BYTES);
	if (top == 0)
		return;
	memcpy(out, tree->nodes[--top], HASH_BYTES);
	while (top-- > 0)
		join(tree->nodes[top], out, out);
}

/* A row of files without its beginning or with a hole. Where old files were archived, the beginning
 * is allowed to lack: the walk from a seal does not need it. */
static enum verify_result check_row(
	struct verify *verify, const struct listing_row *row, const char *of_what)
{
	if (row->n == 0)
		return VERIFY_OK;
	if (row->first > 1 && verify->options->from_seal == 0)
		return broken(verify, NULL, VERIFY_MISSING, of_what, 0,
			"the files before number %llu are missing", (unsigned long long)row->first);
	if (row->n != row->last - row->first + 1)
		return broken(verify, NULL, VERIFY_MISSING, of_what, 0,
			"of the files %llu to %llu only %llu are there",
			(unsigned long long)row->first, (unsigned long long)row->last,
			(unsigned long long)row->n);
	return VERIFY_OK;
}

static enum verify_result check_files(struct verify *verify)
{
	unsigned n_files = verify->listing.seals.n > 0;
	enum verify_result result = check_row(verify, &verify->listing.seals, "seals");

	verify->report->n_lanes = 0;
	for (unsigned id = 0; id < LANES && result == VERIFY_OK; id++) {
		char of_what[16];
		snprintf(of_what, sizeof(of_what), "lane-%02u", id);
		verify->report->n_lanes += verify->listing.lanes[id].n > 0;
		n_files += verify->listing.lanes[id].n > 0;
		result = check_row(verify, &verify->listing.lanes[id], of_what);
	}
	verify->report->n_torn_segments = (unsigned)verify->listing.n_torn;
	if (result == VERIFY_OK && n_files == 0)
		return broken(verify, NULL, VERIFY_MISSING, ".", 0, "no journal is here");
	return result;
}

static enum verify_result check_tails(struct verify *verify)
{
	struct verify_report *report = verify->report;

	for (unsigned id = 0; id < LANES; id++) {
		struct lane *lane = &verify->lanes[id];
		if (lane->files->n == 0)
			continue;
		enum verify_result result = lane_walk_tail(verify, lane);
		if (result != VERIFY_OK)
			return result;
	}
	/* A record can only name a seal that was on disk before it. A server that runs meanwhile
	 * has made more seals since they were walked. */
	if (verify->highest_named_seal > report->last_seal) {
		enum verify_result result = seals_follow(verify);
		if (result != VERIFY_OK)
			return result;
	}
	if (verify->highest_named_seal > report->last_seal)
		return broken(verify, NULL, VERIFY_BAD_SEAL, "seals", 0,
			"records name seal %llu, but the last one is %llu",
			(unsigned long long)verify->highest_named_seal,
			(unsigned long long)report->last_seal);
	if (report->n_records != report->n_sealed)
		report->stopped_in_order = false;
	if (report->stopped_in_order && report->has_unfinished)
		return broken(verify, NULL, VERIFY_TORN, "a lane", 0,
			"bytes behind the last record of a server that stopped in order");
	return VERIFY_OK;
}

static enum verify_result run(struct verify *verify)
{
	enum verify_result result = VERIFY_UNREADABLE;

	/* A list that is read while files are made may lack one and have its successor. */
	for (unsigned n_tries = 0; n_tries < 3; n_tries++) {
		if (listing_read(verify->folder, &verify->listing, verify->err) != 0)
			return VERIFY_UNREADABLE;
		result = check_files(verify);
		if (result == VERIFY_OK)
			break;
		usleep(1000);
	}
	if (result == VERIFY_OK)
		result = seals_walk(verify);
	if (result == VERIFY_OK)
		result = check_tails(verify);
	return result;
}

enum verify_result verify_folder(
	const struct verify_options *options, struct verify_report *ret, struct err *err)
{
	enum verify_result result = VERIFY_UNREADABLE;
	struct verify *verify = calloc(1, sizeof(*verify));

	*ret = (struct verify_report){ .lane = -1 };
	if (!verify) {
		ERR_SET(err, ERR_NOMEM, "no memory to verify");
		return result;
	}
	verify->options = options;
	verify->report = ret;
	verify->err = err;
	if (options->key) {
		memcpy(ret->key, options->key, sizeof(ret->key));
		ret->has_key = true;
	}
	for (unsigned id = 0; id < LANES; id++) {
		verify->lanes[id].id = id;
		verify->lanes[id].files = &verify->listing.lanes[id];
		verify->lanes[id].window.fd = -1;
	}
	verify->seals.window.fd = -1;
	verify->folder = open(options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (verify->folder >= 0) {
		result = run(verify);
		close(verify->folder);
	} else {
		ERR_SET(err, ERR_IO, "cannot open %s", options->folder);
	}
	for (unsigned id = 0; id < LANES; id++) {
		window_close(&verify->lanes[id].window);
		free(verify->lanes[id].window.buffer);
	}
	window_close(&verify->seals.window);
	free(verify->seals.window.buffer);
	free(verify);
	return result;
}
