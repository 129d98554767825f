#include "journal.h"

#include <assert.h>
#include <errno.h>

#include "clock.h"
#include "format.h"
#include "record.h"

struct segment *lane_newest(struct audit_lane *lane)
{
	struct segment *at = lane->current, *next;

	while ((next = atomic_load_explicit(&at->next, memory_order_acquire)))
		at = next;
	return at;
}

static int extend_locked(struct audit_lane *lane, struct segment *after, struct err *err)
{
	struct audit *audit = lane->audit;
	struct segment *made = NULL;

	if (atomic_load(&after->next))
		return 0;
	if (atomic_load(&lane->n_segments) >= JOURNAL_SEGMENTS_MAX)
		return ERR_SET(err, ERR_LIMIT, "lane %u has too many unsealed segments", lane->id);
	if (segment_make(audit->folder, lane->id, after->number + 1, audit->segment_bytes,
		    &audit->os, &made, err) != 0)
		return -1;
	atomic_fetch_add(&lane->n_segments, 1);
	atomic_store_explicit(&after->next, made, memory_order_release);
	return 0;
}

int lane_extend(
	struct audit_lane *lane, struct segment *after, struct segment **ret, struct err *err)
{
	pthread_mutex_lock(&lane->make_lock);
	int result = extend_locked(lane, after, err);
	pthread_mutex_unlock(&lane->make_lock);
	atomic_store(&lane->audit->is_full, result != 0);
	if (result == 0 && ret)
		*ret = atomic_load_explicit(&after->next, memory_order_acquire);
	return result;
}

/* Makes current a segment with a header and room for a record. The header of the next one is
 * written before this one is closed, so whoever sees a closed segment finds the next one begun. */
static int turn(struct audit_lane *lane)
{
	struct audit *audit = lane->audit;
	struct segment *segment = lane->current;

	if (lane->offset != 0) {
		struct segment *next = atomic_load_explicit(&segment->next, memory_order_acquire);
		if (!next) {
			if (lane_extend(lane, segment, &next, NULL) != 0)
				return -1;
			atomic_fetch_add_explicit(
				&audit->n_inline_segments, 1, memory_order_relaxed);
		}
		segment = next;
	}
	segment_populate(segment, SEGMENT_HEADER);
	segment_begin(segment,
		&(struct segment_start){
			.first_seq = lane->seq + 1,
			.seal = atomic_load_explicit(&audit->seal, memory_order_acquire),
			.boot_id = audit->boot_id,
		},
		lane->head);
	if (segment != lane->current)
		atomic_store_explicit(&lane->current->is_closed, true, memory_order_release);
	lane->current = segment;
	lane->offset = SEGMENT_HEADER;
	/* It makes the segment after this one, and seals early when many wait. */
	sealer_wake(audit);
	return 0;
}

static bool is_ordinary(const struct audit_record *record)
{
	return record->kind == AUDIT_REQUEST || record->kind == AUDIT_FACADE;
}

/* Whether less than part (a half, a quarter) of the current segment is left and no other follows.
 */
static bool is_short_of_room(const struct audit_lane *lane, unsigned part)
{
	const struct segment *segment = lane->current;

	return segment->size - lane->offset < segment->size / part &&
	       !atomic_load_explicit(&segment->next, memory_order_acquire);
}

/* Whether an ordinary record may go in: the last quarter of a segment that nothing follows is kept
 * for the others. The sealer makes the next segment long before; the writer only when it is late.
 */
static bool may_append(struct audit_lane *lane)
{
	if (!is_short_of_room(lane, 4))
		return true;
	if (atomic_load_explicit(&lane->audit->is_full, memory_order_relaxed))
		return false;
	atomic_fetch_add_explicit(&lane->audit->n_inline_segments, 1, memory_order_relaxed);
	return lane_extend(lane, lane->current, NULL, NULL) == 0;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction needed. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static enum audit_result refuse(struct audit_lane *lane, enum audit_result why)
{
	count(&lane->n_refused, 1);
	return why;
}

enum audit_result lane_append(
	struct audit_lane *lane, const struct audit_record *record, struct audit_position *ret)
{
	struct audit *audit = lane->audit;

	assert(lane->is_active && record->kind > 0 && record->kind < AUDIT_KINDS);
	if (atomic_load_explicit(&audit->state, memory_order_relaxed) != AUDIT_OK)
		return refuse(lane, AUDIT_BROKEN);
	if (is_ordinary(record) && !may_append(lane))
		return refuse(lane, AUDIT_FULL);
	if ((lane->offset == 0 || lane->current->size - lane->offset < RECORD_MAX) &&
		turn(lane) != 0)
		return refuse(lane, AUDIT_FULL);

	struct segment *segment = lane->current;
	if (lane->offset + RECORD_MAX >
		atomic_load_explicit(&segment->populated, memory_order_relaxed))
		segment_populate(segment, lane->offset + RECORD_MAX);

	struct record_stamp stamp = {
		.seq = lane->seq + 1,
		.seal = atomic_load_explicit(&audit->seal, memory_order_acquire),
		.wall_us = clock_wall_us(),
		.mono_ns = clock_mono_ns(),
	};
	uint8_t *p = segment->map + lane->offset;
	size_t length = record_write(p, record, &stamp, lane->head);
	atomic_store_explicit((_Atomic uint32_t *)(void *)(p + RECORD_AT_COMMIT),
		record_commit_word(p), memory_order_release);

	lane->seq = stamp.seq;
	lane->offset += length;
	atomic_store_explicit(&segment->committed, lane->offset, memory_order_release);
	count(&lane->n_records, 1);
	count(&lane->n_bytes, length);
	if (ret)
		*ret = (struct audit_position){ .lane = lane->id, .seq = stamp.seq };
	return AUDIT_OK;
}

enum audit_result audit_append(
	struct audit_lane *lane, const struct audit_record *record, struct audit_position *ret)
{
	/* Two writers would leave a chain that no verifier accepts: a lane knows its thread. */
	if (!atomic_load_explicit(&lane->has_owner, memory_order_relaxed)) {
		lane->owner = pthread_self();
		bool was_owned = atomic_exchange(&lane->has_owner, true);
		assert(!was_owned);
	}
	assert(pthread_equal(lane->owner, pthread_self()));
	return lane_append(lane, record, ret);
}

enum audit_result audit_ready(const struct audit_lane *lane)
{
	if (atomic_load_explicit(&lane->audit->state, memory_order_relaxed) != AUDIT_OK)
		return AUDIT_BROKEN;
	bool is_full = atomic_load_explicit(&lane->audit->is_full, memory_order_relaxed);
	return is_full && is_short_of_room(lane, 2) ? AUDIT_FULL : AUDIT_OK;
}
