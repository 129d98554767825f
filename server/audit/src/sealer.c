/*
 * The sealer's round, every seal_interval_ms, or at once when somebody waits:
 *
 *   take the waits -> collect new records' hashes up to each lane's committed mark -> fdatasync
 * every segment that changed -> answer the waits -> sign a seal over what was collected, fdatasync
 * it -> publish its number -> let go of segments that are wholly sealed
 *
 * What was committed before a wait was pushed is synced before it is answered, since the marks are
 * read after the waits were taken. A round for a wait alone makes no seal before its time.
 *
 * An fdatasync that failed may have marked the lost pages clean, so that a second try would lie:
 * the state becomes AUDIT_BROKEN for good, and only a new start, which reads the files again, ends
 * it.
 */
#include "journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "format.h"
#include "record.h"

#define AHEAD_MIN (128u << 10)
#define AHEAD_MAX (2u << 20)

void sealer_wake(struct audit *audit)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(audit->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static void break_down(struct audit *audit)
{
	atomic_store(&audit->state, AUDIT_BROKEN);
}

static bool is_broken(struct audit *audit)
{
	return atomic_load(&audit->state) != AUDIT_OK;
}

/* Makes pages resident in front of the writer: twice what it wrote since the last round, or it
 * would take the faults itself when it is fast. One that is faster than AHEAD_MAX a round does, a
 * step at a time, which is some 50 ns a record; more would stay resident after a burst. */
static void populate(struct audit_lane *lane, struct segment *writing)
{
	struct segment *next = atomic_load_explicit(&writing->next, memory_order_acquire);
	uint64_t committed = atomic_load(&writing->committed);
	uint64_t n_bytes = atomic_load_explicit(&lane->n_bytes, memory_order_relaxed);
	uint64_t ahead = AHEAD_MIN + 2 * (n_bytes - lane->n_bytes_seen);

	lane->n_bytes_seen = n_bytes;
	if (ahead > AHEAD_MAX)
		ahead = AHEAD_MAX;
	uint64_t end = committed + ahead;
	segment_populate(writing, end < writing->size ? end : writing->size);
	/* After a burst: what a writer at this pace does not get to in two rounds. */
	if (end + AHEAD_MIN < writing->size)
		segment_depopulate(writing, end + AHEAD_MIN);
	if (next && end > writing->size) {
		end -= writing->size;
		segment_populate(next, end < next->size ? end : next->size);
	}
}

/* Sees to it that each lane has a segment to go on in, and resident pages in front of its writer.
 */
static void prepare(struct audit *audit)
{
	bool is_full = audit->has_no_seal_room;

	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct audit_lane *lane = &audit->lanes[i];
		if (!lane->is_active)
			continue;
		struct segment *writing = lane->sealing;
		while (atomic_load_explicit(&writing->is_closed, memory_order_acquire))
			writing = atomic_load_explicit(&writing->next, memory_order_acquire);
		if (atomic_load(&writing->committed) > 0 && !atomic_load(&writing->next) &&
			lane_extend(lane, writing, NULL, NULL) != 0)
			is_full = true;
		populate(lane, writing);
	}
	/* lane_extend told of the last lane only. */
	atomic_store(&audit->is_full, is_full);
}

static void collect_lane(struct audit *audit, struct audit_lane *lane)
{
	for (;;) {
		struct segment *segment = lane->sealing;
		bool is_closed = atomic_load_explicit(&segment->is_closed, memory_order_acquire);
		uint64_t end = atomic_load_explicit(&segment->committed, memory_order_acquire);

		if (lane->sealing_at == 0)
			lane->sealing_at = SEGMENT_HEADER;
		while (lane->sealing_at < end) {
			const uint8_t *p = segment->map + lane->sealing_at;
			uint32_t length = get_u32(p + RECORD_AT_LENGTH);
			assert(length >= RECORD_MIN && length <= end - lane->sealing_at);
			const uint8_t *hash = p + length - RECORD_HASH;
			seal_tree_add(&audit->tree, hash);
			lane->sealing_at += length;
			lane->sealed = (struct seal_lane){
				.lane = lane->id,
				.segment = segment->number,
				.offset = lane->sealing_at,
				.count = get_u64(p + RECORD_AT_SEQ),
			};
			memcpy(lane->sealed.head, hash, HASH_BYTES);
			lane->has_moved = true;
		}
		/* Nobody reads them here again, and a busy lane would hold its whole segment. */
		segment_release(segment, lane->sealing_at);
		if (!is_closed)
			return;
		lane->sealing = atomic_load_explicit(&segment->next, memory_order_acquire);
		lane->sealing_at = SEGMENT_HEADER;
	}
}

static int sync_segments(struct audit *audit)
{
	uint64_t start = clock_mono_ns();
	bool has_synced = false;

	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct segment *segment = audit->lanes[i].oldest;
		for (; segment;
			segment = atomic_load_explicit(&segment->next, memory_order_acquire)) {
			uint64_t committed =
				atomic_load_explicit(&segment->committed, memory_order_acquire);
			if (committed == segment->synced)
				continue;
			if (audit->os.sync(segment->fd) != 0)
				return -1;
			segment->synced = committed;
			has_synced = true;
		}
	}
	if (has_synced) {
		uint64_t took = clock_mono_ns() - start;
		atomic_store(&audit->sync_ns_last, took);
		if (took > atomic_load(&audit->sync_ns_max))
			atomic_store(&audit->sync_ns_max, took);
	}
	return 0;
}

/* Makes the next file of seals; the one before is done and cut to what it holds. */
static int open_seal_file(struct audit *audit)
{
	char name[FILES_NAME_SIZE];
	/* About ten thousand seals to a file: enough that files stay few, little enough to read at
	 * start. */
	size_t size = audit->segment_bytes / 16 / SEAL_PAGE * SEAL_PAGE;

	if (size < 16 * SEAL_PAGE)
		size = 16 * SEAL_PAGE;
	files_name(FILES_SEALS, audit->seal_file + 1, name);
	int fd = openat(
		audit->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (audit->os.allocate(fd, size) != 0 || audit->os.sync(fd) != 0 ||
		audit->os.sync(audit->folder) != 0) {
		close(fd);
		unlinkat(audit->folder, name, 0);
		return -1;
	}
	sealer_close_file(audit);
	audit->seal_fd = fd;
	audit->seal_file++;
	audit->seal_at = 0;
	audit->seal_size = size;
	return 0;
}

void sealer_close_file(struct audit *audit)
{
	if (audit->seal_fd < 0)
		return;
	/* Zeros behind the last seal mean nothing: if this fails they stay. */
	if (ftruncate(audit->seal_fd, (off_t)audit->seal_at) == 0)
		fchmod(audit->seal_fd, 0440);
	close(audit->seal_fd);
	audit->seal_fd = -1;
}

/* Fills in the lanes that moved, or all of them. */
static void list_lanes(const struct audit *audit, bool all, struct seal *seal)
{
	seal->n_lanes = 0;
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		const struct audit_lane *lane = &audit->lanes[i];
		if (lane->sealed.count > 0 && (all || lane->has_moved))
			seal->lanes[seal->n_lanes++] = lane->sealed;
	}
}

/* Finds room for the seal within one page, in a new file if need be. A file begins with a seal of
 * all lanes, so that a start needs to read the last file only; one page always holds it. */
static int make_seal_room(struct audit *audit, struct seal *seal)
{
	list_lanes(audit, false, seal);
	size_t length = SEAL_HEADER + (size_t)seal->n_lanes * SEAL_LANE + SEAL_SIGNATURE;
	uint64_t at = audit->seal_at;

	if (SEAL_PAGE - at % SEAL_PAGE < length)
		at = (at / SEAL_PAGE + 1) * SEAL_PAGE;
	if (audit->seal_fd >= 0 && at + length <= audit->seal_size) {
		audit->seal_at = at;
		return 0;
	}
	if (open_seal_file(audit) != 0)
		return -1;
	seal->flags |= SEAL_FLAG_ALL;
	list_lanes(audit, true, seal);
	return 0;
}

static int write_seal(struct audit *audit, uint32_t flags)
{
	uint8_t data[SEAL_MAX], hash[HASH_BYTES];
	struct seal seal = {
		.number = atomic_load(&audit->seal) + 1,
		.wall_us = clock_wall_us(),
		.flags = flags,
		.n_records = audit->tree.n,
	};

	audit->has_no_seal_room = make_seal_room(audit, &seal) != 0;
	if (audit->has_no_seal_room)
		return -1;
	memcpy(seal.previous, audit->seal_hash, HASH_BYTES);
	seal_tree_root(&audit->tree, seal.root);
	size_t length = seal_write(data, &seal, &audit->key, hash);
	if (pwrite(audit->seal_fd, data, length, (off_t)audit->seal_at) != (ssize_t)length ||
		audit->os.sync(audit->seal_fd) != 0) {
		break_down(audit);
		return -1;
	}

	memcpy(audit->seal_hash, hash, HASH_BYTES);
	audit->seal_at += length;
	seal_tree_init(&audit->tree);
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		audit->lanes[i].has_moved = false;
	atomic_store_explicit(&audit->seal, seal.number, memory_order_release);
	atomic_store(&audit->seal_wall_us, seal.wall_us);
	atomic_fetch_add(&audit->n_seals, 1);
	return 0;
}

/* Lets go of the segments before the one that is being sealed. */
static void retire(struct audit *audit)
{
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct audit_lane *lane = &audit->lanes[i];
		while (lane->oldest != lane->sealing) {
			struct segment *done = lane->oldest;
			lane->oldest = atomic_load(&done->next);
			fchmod(done->fd, 0440);
			segment_free(done);
			atomic_fetch_sub(&lane->n_segments, 1);
		}
	}
}

static void answer(struct audit_wait *waits, enum audit_result result)
{
	struct audit_wait *in_order = NULL;

	/* The stack gives the latest first. */
	while (waits) {
		struct audit_wait *next = waits->next;
		waits->next = in_order;
		in_order = waits;
		waits = next;
	}
	while (in_order) {
		struct audit_wait *wait = in_order;
		in_order = wait->next; /* before done, which may free it */
		wait->done(wait, result);
	}
}

static void round_of(struct audit *audit, bool is_due, uint32_t flags)
{
	struct audit_wait *waits = atomic_exchange(&audit->waits, NULL);

	if (!is_broken(audit)) {
		prepare(audit);
		for (unsigned i = 0; is_due && i < JOURNAL_LANES; i++)
			if (audit->lanes[i].sealing)
				collect_lane(audit, &audit->lanes[i]);
		if ((is_due || waits) && sync_segments(audit) != 0)
			break_down(audit);
	}
	answer(waits, is_broken(audit) ? AUDIT_BROKEN : AUDIT_OK);
	/* Without disk for a file of seals, what was collected waits for the next round. */
	if (!is_broken(audit) && is_due && audit->tree.n > 0 && write_seal(audit, flags) == 0)
		retire(audit);
}

/* Whether so much waits that a seal should not wait for its time. */
static bool is_crowded(struct audit *audit)
{
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		if (atomic_load(&audit->lanes[i].n_segments) > JOURNAL_SEGMENTS_DUE)
			return true;
	return false;
}

static void *run(void *arg)
{
	struct audit *audit = arg;
	uint64_t interval_ns = audit->seal_interval_ms * CLOCK_NS_PER_MS;
	uint64_t due_ns = clock_mono_ns() + interval_ns;

	pthread_setname_np(pthread_self(), "sealer");
	for (;;) {
		uint64_t now = clock_mono_ns(), ignored;
		/* Up to the next millisecond, or the last one would be spent in a busy loop. */
		int wait_ms =
			due_ns > now ? (int)((due_ns - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS)
				     : 0;
		struct pollfd wake = { .fd = audit->wake_fd, .events = POLLIN };

		if (poll(&wake, 1, wait_ms) > 0 && read(audit->wake_fd, &ignored, 8) < 0)
			assert(errno == EAGAIN || errno == EINTR);
		bool is_stopping = atomic_load(&audit->is_stopping);
		bool is_due = is_stopping || clock_mono_ns() >= due_ns || is_crowded(audit);
		bool is_woken = wake.revents != 0;
		if (is_due || is_woken)
			round_of(audit, is_due, is_stopping ? SEAL_FLAG_STOP : 0);
		if (is_stopping)
			return NULL;
		if (is_due)
			due_ns = clock_mono_ns() + interval_ns;
	}
}

int sealer_start(struct audit *audit, struct err *err)
{
	int failed = pthread_create(&audit->thread, NULL, run, audit);

	if (failed) {
		errno = failed;
		return ERR_SET(err, ERR_IO, "cannot start the sealer");
	}
	audit->has_thread = true;
	return 0;
}

void sealer_stop(struct audit *audit)
{
	if (!audit->has_thread)
		return;
	atomic_store(&audit->is_stopping, true);
	sealer_wake(audit);
	pthread_join(audit->thread, NULL);
	audit->has_thread = false;
}

static void push(struct audit *audit, struct audit_wait *wait)
{
	wait->next = atomic_load(&audit->waits);
	while (!atomic_compare_exchange_weak(&audit->waits, &wait->next, wait))
		;
	sealer_wake(audit);
}

void audit_sync(struct audit_lane *lane, struct audit_wait *wait)
{
	wait->lane = lane;
	push(lane->audit, wait);
}

void audit_sync_shared(struct audit *audit, struct audit_wait *wait)
{
	audit_sync(&audit->lanes[JOURNAL_SHARED], wait);
}
