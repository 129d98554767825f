/*
 * The newest first: each lane is read a segment at a time, the newest segment first, keeping the
 * places of its last matches, until it has as many as were asked for. The lanes' places are then
 * sorted by time, and only what is to be seen is read a second time.
 */
#include "audit_reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cursor.h"
#include "files.h"
#include "journal.h"

struct match {
	int64_t wall_us;
	uint64_t number, offset, seq;
	uint32_t lane;
};

/* The last limit matches of one segment, as a ring. */
struct ring {
	struct match *at;
	unsigned limit;
	uint64_t n; /* matches seen */
};

static int scan_segment(struct cursor *cursor, const struct audit_filter *filter, struct ring *ring,
	struct err *err)
{
	struct audit_entry entry;
	bool found;

	ring->n = 0;
	for (;;) {
		uint64_t offset = cursor_offset(cursor);
		if (cursor_next(cursor, &entry, &found, err) != 0)
			return -1;
		if (!found)
			return 0;
		if (filter_takes(filter, &entry))
			ring->at[ring->n++ % ring->limit] = (struct match){
				.wall_us = entry.wall_us,
				.number = cursor->number,
				.offset = offset,
				.seq = entry.position.seq,
				.lane = cursor->lane,
			};
	}
}

/* Appends the lane's newest matches, at most limit of them, to matches. */
static int scan_lane_backwards(struct cursor *cursor, const struct files *files,
	const struct audit_filter *filter, struct ring *ring, struct match *matches, size_t *n,
	struct err *err)
{
	size_t from, to, start = *n;

	files_of_lane(files, cursor->lane, &from, &to);
	for (; to > from && *n - start < ring->limit; to--) {
		bool is_there;
		int64_t wall_us;
		if (cursor_enter(cursor, files->entries[to - 1].number, &is_there, &wall_us, err) !=
			0)
			return -1;
		if (!is_there || (filter->until_us && wall_us >= filter->until_us))
			continue;
		if (scan_segment(cursor, filter, ring, err) != 0)
			return -1;
		for (uint64_t i = ring->n; i > 0 && ring->n - i < ring->limit; i--)
			if (*n - start < ring->limit)
				matches[(*n)++] = ring->at[(i - 1) % ring->limit];
		if (filter->since_us && wall_us < filter->since_us)
			break;
	}
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct match *left = a, *right = b;

	if (left->wall_us != right->wall_us)
		return left->wall_us > right->wall_us ? -1 : 1;
	if (left->lane != right->lane)
		return left->lane < right->lane ? -1 : 1;
	return left->seq > right->seq ? -1 : left->seq < right->seq;
}

static int visit_all(struct cursor *cursors, const struct match *matches, size_t n,
	bool (*visit)(const struct audit_entry *entry, void *arg), void *arg, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct cursor *cursor = &cursors[matches[i].lane];
		struct audit_entry entry;
		bool is_there = true, found = false;

		if (cursor->number != matches[i].number &&
			cursor_enter(cursor, matches[i].number, &is_there, NULL, err) != 0)
			return -1;
		if (is_there) {
			cursor_seek(cursor, matches[i].offset);
			if (cursor_next(cursor, &entry, &found, err) != 0)
				return -1;
		}
		if (found && !visit(&entry, arg))
			return 0;
	}
	return 0;
}

static int query(int folder, const struct audit_filter *filter, struct ring *ring,
	struct cursor *cursors, bool (*visit)(const struct audit_entry *, void *), void *arg,
	struct err *err)
{
	DEFER(files_fini) struct files files = { 0 };
	size_t n = 0;

	if (files_list(folder, &files, err) != 0)
		return -1;
	struct match *matches = malloc(sizeof(*matches) * ring->limit * JOURNAL_LANES);
	if (!matches)
		return ERR_SET(err, ERR_NOMEM, "no memory for a query of the journal");
	int result = 0;
	for (unsigned i = 0; result == 0 && i < JOURNAL_LANES; i++) {
		size_t from, to;
		files_of_lane(&files, i, &from, &to);
		if (from == to)
			continue;
		result = cursor_init(&cursors[i], folder, i, err);
		if (result == 0)
			result = scan_lane_backwards(
				&cursors[i], &files, filter, ring, matches, &n, err);
	}
	if (result == 0) {
		if (n > 0)
			qsort(matches, n, sizeof(*matches), newest_first);
		result = visit_all(
			cursors, matches, n < ring->limit ? n : ring->limit, visit, arg, err);
	}
	free(matches);
	return result;
}

int audit_query(const char *folder, const struct audit_filter *filter, unsigned limit,
	bool (*visit)(const struct audit_entry *entry, void *arg), void *arg, struct err *err)
{
	struct cursor cursors[JOURNAL_LANES];
	struct ring ring = { .limit = limit < AUDIT_QUERY_MAX ? limit : AUDIT_QUERY_MAX };
	int result = -1;

	if (limit == 0)
		return 0;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", folder);
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		cursors[i] = (struct cursor){ .fd = -1 };
	ring.at = malloc(sizeof(*ring.at) * ring.limit);
	if (ring.at)
		result = query(fd, filter, &ring, cursors, visit, arg, err);
	else
		ERR_SET(err, ERR_NOMEM, "no memory for a query of the journal");
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		cursor_fini(&cursors[i]);
	free(ring.at);
	close(fd);
	return result;
}
