#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm.h"

#define MAGIC         0x676e6952u /* "Ring" */
#define VERSION       1u
#define PAGE_BYTES    4096u
#define LINE_BYTES    64u
#define CONTROL_BYTES (4u * LINE_BYTES)
#define HEAD_BYTES    (2u * PAGE_BYTES)
#define MFD_NO_EXEC   0x8u /* MFD_NOEXEC_SEAL, since Linux 6.3 */

/* 8 loops, two rings each, fill the control page exactly. */
_Static_assert(RING_LOOPS_MAX * 2 * CONTROL_BYTES == PAGE_BYTES, "controls fill one page");
_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "a power of two");
_Static_assert(WIRE_FRAME_MAX <= RING_BYTES / 4, "a ring holds several of the biggest frames");
_Static_assert(WIRE_HEADER_BYTES == LINE_BYTES, "a header never wraps around");

struct header {
	struct shm_word magic, version, n_loops, ring_bytes;
	char fill[LINE_BYTES - 4 * sizeof(struct shm_word)];
	struct shm_word worker_asleep; /* the futex word */
};

struct control {
	struct shm_word head; /* consumer writes: bytes taken since the start, modulo 2^32 */
	char fill_1[LINE_BYTES - sizeof(struct shm_word)];
	struct shm_word tail; /* producer writes: bytes put since the start, modulo 2^32 */
	char fill_2[LINE_BYTES - sizeof(struct shm_word)];
	struct shm_word asleep; /* consumer sets, producer takes */
	char fill_3[LINE_BYTES - sizeof(struct shm_word)];
	struct shm_word waiting; /* producer sets, consumer takes */
	char fill_4[LINE_BYTES - sizeof(struct shm_word)];
};
_Static_assert(sizeof(struct control) == CONTROL_BYTES, "four lines");

struct ring {
	struct control *control;
	char *data;
	uint32_t mine;   /* our own index, never read back from the segment */
	uint32_t theirs; /* the last checked value of the other side's index */
	uint32_t wanted; /* producer: bytes that the frame which did not fit needs; 0: none */
	enum wire_direction direction;
	bool is_poisoned;
};

struct ring_segment {
	char *base;
	size_t n_bytes;
	int fd;
	bool is_shared; /* the mapping is another's */
	unsigned n_loops;
	struct ring to_worker[RING_LOOPS_MAX], to_core[RING_LOOPS_MAX];
};

static size_t segment_bytes(unsigned n_loops)
{
	return HEAD_BYTES + (size_t)n_loops * 2 * RING_BYTES;
}

static struct header *segment_header(const struct ring_segment *segment)
{
	return (struct header *)(void *)segment->base;
}

/* Makes the ends of all rings over the mapping. */
static void segment_ends(struct ring_segment *segment)
{
	for (unsigned i = 0; i < 2 * segment->n_loops; i++) {
		char *control = segment->base + PAGE_BYTES + (size_t)i * CONTROL_BYTES;
		bool is_to_core = i % 2 == 1;
		struct ring *ring =
			is_to_core ? &segment->to_core[i / 2] : &segment->to_worker[i / 2];
		*ring = (struct ring){
			.control = (struct control *)(void *)control,
			.data = segment->base + HEAD_BYTES + (size_t)i * RING_BYTES,
			.direction = is_to_core ? WIRE_TO_CORE : WIRE_TO_WORKER,
		};
	}
}

static int segment_attach(struct ring_segment *segment, int fd, unsigned n_loops, struct err *err)
{
	size_t n_bytes = segment_bytes(n_loops);
	void *base = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return ERR_SET(err, ERR_IO, "cannot map a segment of %zu bytes", n_bytes);
	segment->base = base;
	segment->n_bytes = n_bytes;
	segment->n_loops = n_loops;
	segment_ends(segment);
	return 0;
}

static int segment_memfd(unsigned n_loops, struct err *err)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("tenon-ring", flags | MFD_NO_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("tenon-ring", flags);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot create a segment");
	/* Without the seals the worker could truncate it, and our next read would be a SIGBUS. */
	if (ftruncate(fd, (off_t)segment_bytes(n_loops)) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		(void)ERR_SET(err, ERR_IO, "cannot size and seal a segment");
		close(fd);
		return -1;
	}
	return fd;
}

int ring_segment_new(unsigned n_loops, struct ring_segment **ret, struct err *err)
{
	assert(n_loops >= 1 && n_loops <= RING_LOOPS_MAX);
	DEFER(ring_segment_free) struct ring_segment *segment = calloc(1, sizeof *segment);

	if (!segment)
		return ERR_SET(err, ERR_NOMEM, "no memory for a segment");
	segment->fd = segment_memfd(n_loops, err);
	if (segment->fd < 0 || segment_attach(segment, segment->fd, n_loops, err) < 0)
		return -1;
	struct header *header = segment_header(segment);
	shm_write_u32(&header->version, VERSION);
	shm_write_u32(&header->n_loops, n_loops);
	shm_write_u32(&header->ring_bytes, RING_BYTES);
	shm_write_u32(&header->magic, MAGIC);
	*ret = segment;
	segment = NULL; /* handed over */
	return 0;
}

int ring_segment_map(int fd, unsigned n_loops, struct ring_segment **ret, struct err *err)
{
	if (n_loops < 1 || n_loops > RING_LOOPS_MAX)
		return ERR_SET(err, ERR_INVALID, "a segment has 1 to %u loops", RING_LOOPS_MAX);
	DEFER(ring_segment_free) struct ring_segment *segment = calloc(1, sizeof *segment);
	struct stat status;

	if (!segment)
		return ERR_SET(err, ERR_NOMEM, "no memory for a segment");
	segment->fd = -1;
	if (fstat(fd, &status) < 0)
		return ERR_SET(err, ERR_IO, "no segment behind descriptor %d", fd);
	if (status.st_size != (off_t)segment_bytes(n_loops))
		return ERR_SET(
			err, ERR_INVALID, "descriptor %d is no segment of %u loops", fd, n_loops);
	if (segment_attach(segment, fd, n_loops, err) < 0)
		return -1;
	struct header *header = segment_header(segment);
	if (shm_read_u32(&header->magic) != MAGIC || shm_read_u32(&header->version) != VERSION ||
		shm_read_u32(&header->n_loops) != n_loops ||
		shm_read_u32(&header->ring_bytes) != RING_BYTES)
		return ERR_SET(err, ERR_INVALID, "the segment is of another version");
	*ret = segment;
	segment = NULL; /* handed over */
	return 0;
}

int ring_segment_share(struct ring_segment *segment, struct ring_segment **ret, struct err *err)
{
	struct ring_segment *other = calloc(1, sizeof *other);

	if (!other)
		return ERR_SET(err, ERR_NOMEM, "no memory for a segment");
	other->base = segment->base;
	other->n_bytes = segment->n_bytes;
	other->n_loops = segment->n_loops;
	other->fd = -1;
	other->is_shared = true;
	segment_ends(other);
	*ret = other;
	return 0;
}

void ring_segment_free(struct ring_segment *segment)
{
	if (!segment)
		return;
	if (segment->base && !segment->is_shared)
		munmap(segment->base, segment->n_bytes);
	if (segment->fd >= 0)
		close(segment->fd);
	free(segment);
}

int ring_segment_fd(const struct ring_segment *segment)
{
	return segment->fd;
}

unsigned ring_segment_loops(const struct ring_segment *segment)
{
	return segment->n_loops;
}

struct ring *ring_to_worker(struct ring_segment *segment, unsigned loop)
{
	assert(loop < segment->n_loops);
	return &segment->to_worker[loop];
}

struct ring *ring_to_core(struct ring_segment *segment, unsigned loop)
{
	assert(loop < segment->n_loops);
	return &segment->to_core[loop];
}

/* ---- frames ---- */

static enum ring_result poison(struct ring *ring)
{
	ring->is_poisoned = true;
	return RING_POISONED;
}

static uint32_t padded(uint32_t n)
{
	return (n + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
}

static void put_bytes(struct ring *ring, uint32_t at, const char *from, size_t n)
{
	size_t offset = at & (RING_BYTES - 1), first = RING_BYTES - offset;

	if (n == 0)
		return;
	if (first > n)
		first = n;
	shm_write_bytes(ring->data + offset, from, first);
	if (n > first)
		shm_write_bytes(ring->data, from + first, n - first);
}

static void get_bytes(const struct ring *ring, uint32_t at, char *to, size_t n)
{
	size_t offset = at & (RING_BYTES - 1), first = RING_BYTES - offset;

	if (n == 0)
		return;
	if (first > n)
		first = n;
	shm_read_bytes(to, ring->data + offset, first);
	if (n > first)
		shm_read_bytes(to + first, ring->data, n - first);
}

/* Producer: true when n more bytes fit. Reads the consumer's index only when the last known value
 * does not do. A consumer that moves its index backwards, or past ours, is caught or harms itself
 * alone. */
static bool has_room(struct ring *ring, uint32_t n)
{
	if (RING_BYTES - (ring->mine - ring->theirs) >= n)
		return true;
	uint32_t head = shm_read_u32(&ring->control->head);
	if (ring->mine - head > RING_BYTES) {
		ring->is_poisoned = true;
		return false;
	}
	ring->theirs = head;
	return RING_BYTES - (ring->mine - head) >= n;
}

/* Copies n bytes of head and tail, taken as one run, from offset on into the ring. */
static void put_payload(
	struct ring *ring, uint32_t at, const struct ring_message *message, size_t offset, size_t n)
{
	if (offset < message->head.n) {
		size_t of_head = message->head.n - offset < n ? message->head.n - offset : n;
		put_bytes(ring, at, message->head.p + offset, of_head);
		at += (uint32_t)of_head;
		offset += of_head;
		n -= of_head;
	}
	if (n)
		put_bytes(ring, at, message->tail.p + (offset - message->head.n), n);
}

enum ring_result ring_send(struct ring *ring, const struct ring_message *message, size_t *sent)
{
	size_t total = message->head.n + message->tail.n;

	assert(total <= WIRE_MESSAGE_MAX && *sent <= total);
	if (ring->is_poisoned)
		return RING_POISONED;
	do {
		size_t n = total - *sent < WIRE_PAYLOAD_MAX ? total - *sent : WIRE_PAYLOAD_MAX;
		struct wire_frame frame = {
			.total_bytes = WIRE_HEADER_BYTES + (uint32_t)n,
			.type = message->type,
			.flags = *sent + n < total ? WIRE_FLAG_MORE : 0,
			.slot = message->slot,
			.generation = message->generation,
			.sequence = message->sequence,
			.payload_bytes = (uint32_t)n,
			.message_bytes = (uint32_t)total,
		};
		uint32_t room = padded(frame.total_bytes);
		if (!has_room(ring, room)) {
			ring->wanted = room;
			return ring->is_poisoned ? RING_POISONED : RING_FULL;
		}
		put_bytes(ring, ring->mine, (const char *)&frame, sizeof frame);
		put_payload(ring, ring->mine + WIRE_HEADER_BYTES, message, *sent, n);
		ring->mine += room;
		ring->wanted = 0;
		shm_write_u32(&ring->control->tail, ring->mine);
		*sent += n;
	} while (*sent < total);
	return RING_OK;
}

enum ring_result ring_try_pop(struct ring *ring, struct wire_frame *frame, char *buffer)
{
	if (ring->is_poisoned)
		return RING_POISONED;
	if (ring->theirs == ring->mine) {
		uint32_t tail = shm_read_u32(&ring->control->tail);
		if (tail - ring->mine > RING_BYTES || tail % LINE_BYTES != 0)
			return poison(ring);
		ring->theirs = tail;
		if (tail == ring->mine)
			return RING_EMPTY;
	}
	/* From here on only the private copy counts: the producer may write meanwhile. */
	struct wire_frame copy;
	get_bytes(ring, ring->mine, (char *)&copy, sizeof copy);
	if (!wire_frame_check(&copy, ring->direction) ||
		padded(copy.total_bytes) > ring->theirs - ring->mine)
		return poison(ring);
	get_bytes(ring, ring->mine + WIRE_HEADER_BYTES, buffer, copy.payload_bytes);
	ring->mine += padded(copy.total_bytes);
	shm_write_u32(&ring->control->head, ring->mine);
	*frame = copy;
	return RING_OK;
}

/* ---- sleeping and waking ---- */

bool ring_try_sleep(struct ring *ring)
{
	shm_write_u32(&ring->control->asleep, 1);
	if (!ring->is_poisoned && ring->theirs == ring->mine &&
		shm_read_u32(&ring->control->tail) == ring->mine)
		return true;
	shm_write_u32(&ring->control->asleep, 0);
	return false;
}

void ring_stay_awake(struct ring *ring)
{
	shm_write_u32(&ring->control->asleep, 0);
}

bool ring_take_sleeper(struct ring *ring)
{
	return shm_read_u32(&ring->control->asleep) == 1 &&
	       shm_swap_u32(&ring->control->asleep, 0) == 1;
}

bool ring_try_wait(struct ring *ring)
{
	shm_write_u32(&ring->control->waiting, 1);
	if (!ring->is_poisoned && ring->wanted && !has_room(ring, ring->wanted) &&
		!ring->is_poisoned)
		return true;
	shm_write_u32(&ring->control->waiting, 0);
	return false;
}

bool ring_take_waiter(struct ring *ring)
{
	return shm_read_u32(&ring->control->waiting) == 1 &&
	       shm_swap_u32(&ring->control->waiting, 0) == 1;
}

static long futex(struct shm_word *word, int operation, uint32_t value)
{
	return syscall(SYS_futex, &word->value, operation, value, NULL, NULL, 0);
}

void ring_wake_worker(struct ring_segment *segment)
{
	struct shm_word *word = &segment_header(segment)->worker_asleep;

	if (shm_read_u32(word) == 1 && shm_swap_u32(word, 0) == 1)
		(void)futex(word, FUTEX_WAKE, 1);
}

/* True when the worker has nothing to read and none of the room that it waits for. */
static bool worker_is_idle(struct ring_segment *segment)
{
	for (unsigned i = 0; i < segment->n_loops; i++) {
		struct ring *in = &segment->to_worker[i], *out = &segment->to_core[i];
		if (in->theirs != in->mine || shm_read_u32(&in->control->tail) != in->mine)
			return false;
		if (out->wanted && has_room(out, out->wanted))
			return false;
	}
	return true;
}

void ring_worker_sleep(struct ring_segment *segment)
{
	struct shm_word *word = &segment_header(segment)->worker_asleep;

	shm_write_u32(word, 1);
	if (worker_is_idle(segment))
		(void)futex(word, FUTEX_WAIT, 1);
	shm_write_u32(word, 0);
}
