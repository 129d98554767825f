#include "segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "format.h"

#define RESIDENT_STEP (64u << 10)

static int map(struct segment *segment, struct err *err)
{
	void *at = mmap(NULL, segment->size, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);
	if (at == MAP_FAILED)
		return ERR_SET(err, ERR_IO, "cannot map a segment of %zu bytes", segment->size);
	/* A crash dump would otherwise carry the journal. */
	madvise(at, segment->size, MADV_DONTDUMP);
	/* Reading ahead would fill the cache with the zeros that are still to be written, and then
	 * the file system calls them data. */
	madvise(at, segment->size, MADV_RANDOM);
	segment->map = at;
	return 0;
}

static struct segment *new_segment(uint32_t lane, uint64_t number)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (segment) {
		segment->fd = -1;
		segment->lane = lane;
		segment->number = number;
	}
	return segment;
}

/* The file gets its name only once it has its size on disk: a kill or a power cut leaves no short
 * one. */
static int make_file(int folder, const char *name, struct segment *segment,
	const struct audit_os *os, struct err *err)
{
	char aside[FILES_NAME_SIZE + 4];

	snprintf(aside, sizeof(aside), "%s.new", name);
	segment->fd =
		openat(folder, aside, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (segment->fd < 0)
		return ERR_SET(err, ERR_IO, "cannot create %s", aside);
	int result = 0;
	if (os->allocate(segment->fd, segment->size) != 0)
		result = ERR_SET(
			err, ERR_IO, "cannot allocate %zu bytes for %s", segment->size, name);
	else if (os->sync(segment->fd) != 0)
		result = ERR_SET(err, ERR_IO, "cannot sync %s", aside);
	else
		result = map(segment, err);
	if (result == 0 && renameat(folder, aside, folder, name) != 0)
		result = ERR_SET(err, ERR_IO, "cannot create %s", name);
	if (result != 0)
		unlinkat(folder, aside, 0);
	return result;
}

int segment_make(int folder, uint32_t lane, uint64_t number, size_t size, const struct audit_os *os,
	struct segment **ret, struct err *err)
{
	char name[FILES_NAME_SIZE];
	struct segment *segment = new_segment(lane, number);

	if (!segment)
		return ERR_SET(err, ERR_NOMEM, "no memory for a segment");
	files_name(lane, number, name);
	segment->size = size;
	if (make_file(folder, name, segment, os, err) != 0) {
		segment_free(segment);
		return -1;
	}
	/* Without its entry on disk a power cut could lose the whole file, sealed records and all.
	 */
	if (os->sync(folder) != 0) {
		segment_free(segment);
		return ERR_SET(err, ERR_IO, "cannot sync the journal's folder");
	}
	*ret = segment;
	return 0;
}

int segment_open(int folder, uint32_t lane, uint64_t number, struct segment **ret, struct err *err)
{
	char name[FILES_NAME_SIZE];
	struct stat st = { 0 };
	struct segment *segment = new_segment(lane, number);
	int result = 0;

	if (!segment)
		return ERR_SET(err, ERR_NOMEM, "no memory for a segment");
	files_name(lane, number, name);
	/* Sealed files are read-only; a power cut may have left us one that is to be written on. */
	int allowed = fchmodat(folder, name, 0600, 0);
	segment->fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (allowed != 0 || segment->fd < 0 || fstat(segment->fd, &st) != 0)
		result = ERR_SET(err, ERR_IO, "cannot open %s", name);
	else if (!S_ISREG(st.st_mode) || st.st_size < SEGMENT_HEADER + RECORD_MAX)
		result = ERR_SET(err, ERR_CORRUPT, "%s is too small to be a segment", name);
	if (result == 0) {
		segment->size = (size_t)st.st_size;
		result = map(segment, err);
	}
	if (result != 0) {
		segment_free(segment);
		return -1;
	}
	*ret = segment;
	return 0;
}

void segment_free(struct segment *segment)
{
	if (!segment)
		return;
	if (segment->map)
		munmap(segment->map, segment->size);
	if (segment->fd >= 0)
		close(segment->fd);
	free(segment);
}

void segment_populate(struct segment *segment, uint64_t end)
{
	uint64_t from = atomic_load_explicit(&segment->populated, memory_order_relaxed);

	if (end <= from)
		return;
	uint64_t to = (end + RESIDENT_STEP - 1) / RESIDENT_STEP * RESIDENT_STEP;
	if (to > segment->size)
		to = segment->size;
	from = from / RESIDENT_STEP * RESIDENT_STEP;
	/* A kernel without it says EINVAL, and the writer takes the page faults itself. */
#ifdef MADV_POPULATE_WRITE
	madvise(segment->map + from, to - from, MADV_POPULATE_WRITE);
#endif
	while (from < to && !atomic_compare_exchange_weak(&segment->populated, &from, to))
		;
}

void segment_release(struct segment *segment, uint64_t end)
{
	end = end / RESIDENT_STEP * RESIDENT_STEP;
	if (end <= segment->released)
		return;
	madvise(segment->map + segment->released, end - segment->released, MADV_DONTNEED);
	segment->released = end;
}

void segment_depopulate(struct segment *segment, uint64_t end)
{
	uint64_t to = atomic_load_explicit(&segment->populated, memory_order_relaxed);

	end = (end + RESIDENT_STEP - 1) / RESIDENT_STEP * RESIDENT_STEP;
	/* The mark first: a writer that has seen the old one takes a page fault, no more. */
	if (end >= to || !atomic_compare_exchange_strong(&segment->populated, &to, end))
		return;
	madvise(segment->map + end, to - end, MADV_DONTNEED);
}

/* The end of what is not zero in [from, to), or from. */
static uint64_t last_byte(const struct segment *segment, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[SEGMENT_PAGE];

	while (to - from > sizeof(zeros) &&
		memcmp(segment->map + to - sizeof(zeros), zeros, sizeof(zeros)) == 0)
		to -= sizeof(zeros);
	while (to > from && segment->map[to - 1] == 0)
		to--;
	return to;
}

uint64_t segment_data_end(const struct segment *segment, uint64_t at)
{
	uint64_t end = at, from = at;

	/* Pages that somebody else has read, a verifier for example, count as data although they
	 * were never stored: let the cache forget them. What was stored stays. */
	(void)posix_fadvise(segment->fd, (off_t)at, 0, POSIX_FADV_DONTNEED);
	/* What was allocated and never stored is a hole to lseek; a file system that knows no holes
	 * says that all is data. */
	while (from < segment->size) {
		off_t data = lseek(segment->fd, (off_t)from, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		off_t hole = data < 0 ? -1 : lseek(segment->fd, data, SEEK_HOLE);
		uint64_t start = data < 0 ? from : (uint64_t)data;
		uint64_t stop = hole < 0 ? segment->size : (uint64_t)hole;
		if (stop > segment->size)
			stop = segment->size;
		if (start >= stop)
			break;
		uint64_t last = last_byte(segment, start, stop);
		if (last > start)
			end = last;
		from = stop;
	}
	return end;
}

void segment_begin(
	struct segment *segment, const struct segment_start *start, uint8_t head[static HASH_BYTES])
{
	uint8_t header[SEGMENT_HEADER];

	assert(!segment_is_begun(segment));
	put_u64(header + SEGMENT_AT_MAGIC, SEGMENT_MAGIC);
	put_u16(header + SEGMENT_AT_VERSION, SEGMENT_VERSION);
	put_u16(header + SEGMENT_AT_LANE, (uint16_t)segment->lane);
	put_u32(header + SEGMENT_AT_PAGES, (uint32_t)(segment->size / SEGMENT_PAGE));
	put_u64(header + SEGMENT_AT_NUMBER, segment->number);
	put_u64(header + SEGMENT_AT_FIRST, start->first_seq);
	put_u64(header + SEGMENT_AT_WALL, (uint64_t)clock_wall_us());
	put_u64(header + SEGMENT_AT_SEAL, start->seal);
	memcpy(header + SEGMENT_AT_BOOT, start->boot_id, 16);
	memcpy(header + SEGMENT_AT_PREVIOUS, head, HASH_BYTES);
	hash_of((struct bytes){ (const char *)header, SEGMENT_AT_HASH }, head);
	memcpy(header + SEGMENT_AT_HASH, head, HASH_BYTES);

	memcpy(segment->map + 8, header + 8, SEGMENT_HEADER - 8);
	atomic_store_explicit(
		(_Atomic uint64_t *)(void *)segment->map, SEGMENT_MAGIC, memory_order_release);
}

bool segment_is_begun(const struct segment *segment)
{
	return get_u64(segment->map + SEGMENT_AT_MAGIC) != 0;
}

bool segment_follows(
	const struct segment *segment, uint64_t first_seq, uint8_t head[static HASH_BYTES])
{
	const uint8_t *p = segment->map;
	uint8_t expected[HASH_BYTES];

	hash_of((struct bytes){ (const char *)p, SEGMENT_AT_HASH }, expected);
	if (get_u64(p + SEGMENT_AT_MAGIC) != SEGMENT_MAGIC ||
		get_u16(p + SEGMENT_AT_VERSION) != SEGMENT_VERSION ||
		get_u16(p + SEGMENT_AT_LANE) != segment->lane ||
		(uint64_t)get_u32(p + SEGMENT_AT_PAGES) * SEGMENT_PAGE != segment->size ||
		get_u64(p + SEGMENT_AT_NUMBER) != segment->number ||
		get_u64(p + SEGMENT_AT_FIRST) != first_seq ||
		memcmp(p + SEGMENT_AT_PREVIOUS, head, HASH_BYTES) != 0 ||
		memcmp(p + SEGMENT_AT_HASH, expected, HASH_BYTES) != 0)
		return false;
	memcpy(head, expected, HASH_BYTES);
	return true;
}
