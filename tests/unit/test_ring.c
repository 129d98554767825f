#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "id.h"
#include "ring.h"
#include "unit.h"

#define CONTROL_AT 4096u /* of the first ring: head, tail, asleep, waiting, a line each */
#define DATA_AT    8192u
#define HEAD       0u
#define TAIL       64u

/* A segment from both sides, in one process. */
struct pair {
	struct ring_segment *core, *worker;
	char *bytes; /* a third look at it, as a hostile worker has it */
	char buffer[WIRE_PAYLOAD_MAX];
};

static struct pair *pair_new(unsigned n_loops)
{
	struct pair *pair = calloc(1, sizeof *pair);

	CU_ASSERT_EQUAL_FATAL(ring_segment_new(n_loops, &pair->core, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(
		ring_segment_map(ring_segment_fd(pair->core), n_loops, &pair->worker, NULL), 0);
	pair->bytes = mmap(NULL, DATA_AT + (size_t)n_loops * 2 * RING_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED, ring_segment_fd(pair->core), 0);
	CU_ASSERT_FATAL(pair->bytes != MAP_FAILED);
	return pair;
}

static void pair_free(struct pair *pair)
{
	munmap(pair->bytes, DATA_AT + (size_t)ring_segment_loops(pair->core) * 2 * RING_BYTES);
	ring_segment_free(pair->worker);
	ring_segment_free(pair->core);
	free(pair);
}

static struct ring_message message_of(uint16_t type, struct bytes head, struct bytes tail)
{
	return (struct ring_message){
		.type = type, .slot = 5, .generation = 6, .sequence = 7, .head = head, .tail = tail
	};
}

static void set_word(struct pair *pair, size_t at, uint32_t value)
{
	memcpy(pair->bytes + at, &value, sizeof value);
}

static void a_segment_is_sealed_and_only_mapped_for_what_it_is(void)
{
	struct pair *pair = pair_new(2);
	struct ring_segment *other = NULL;
	struct err err;
	int fd = ring_segment_fd(pair->core);

	CU_ASSERT_EQUAL(ftruncate(fd, 4096), -1);
	CU_ASSERT_EQUAL(errno, EPERM);
	CU_ASSERT_EQUAL(ftruncate(fd, 1 << 24), -1);
	CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	CU_ASSERT_EQUAL(ring_segment_map(fd, 1, &other, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_INVALID);
	CU_ASSERT_EQUAL(ring_segment_map(fd, 0, &other, &err), -1);
	CU_ASSERT_EQUAL(ring_segment_map(fd, RING_LOOPS_MAX + 1, &other, &err), -1);
	set_word(pair, 4, 2); /* version */
	CU_ASSERT_EQUAL(ring_segment_map(fd, 2, &other, &err), -1);
	CU_ASSERT_PTR_NULL(other);
	pair_free(pair);
}

static void frames_come_out_as_they_went_in_through_many_turns(void)
{
	struct pair *pair = pair_new(1);
	struct ring *in = ring_to_worker(pair->core, 0), *out = ring_to_worker(pair->worker, 0);
	static char text[5000];
	struct wire_frame frame;

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 31 / 7);
	CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), RING_EMPTY);
	/* 5,000 frames of growing size: the ring turns dozens of times, at every offset of 64. */
	for (size_t i = 0; i < sizeof text; i++) {
		struct ring_message message = message_of(WIRE_CALL, (struct bytes){ text, i / 3 },
			(struct bytes){ text + i / 3, i - i / 3 });
		size_t sent = 0;
		CU_ASSERT_EQUAL_FATAL(ring_send(in, &message, &sent), RING_OK);
		CU_ASSERT_EQUAL(sent, i);
		CU_ASSERT_EQUAL_FATAL(ring_try_pop(out, &frame, pair->buffer), RING_OK);
		CU_ASSERT(frame.type == WIRE_CALL && frame.slot == 5 && frame.generation == 6);
		CU_ASSERT_EQUAL_FATAL(frame.payload_bytes, i);
		CU_ASSERT(memcmp(pair->buffer, text, i) == 0);
	}
	CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), RING_EMPTY);
	pair_free(pair);
}

static void a_full_ring_takes_the_rest_when_there_is_room(void)
{
	struct pair *pair = pair_new(1);
	struct ring *in = ring_to_core(pair->worker, 0), *out = ring_to_core(pair->core, 0);
	const size_t n_bytes = 1u << 20;
	char *text = malloc(n_bytes);
	struct ring_message message =
		message_of(WIRE_RESPOND, BYTES("head"), (struct bytes){ text, n_bytes });
	struct wire_frame frame;
	struct wire_join join;
	struct bytes whole = { 0 };
	size_t sent = 0, n_full = 0;
	enum wire_join_result joined = WIRE_JOIN_MORE;

	for (size_t i = 0; i < n_bytes; i++)
		text[i] = (char)(i * 131 / 17);
	wire_join_init(&join, WIRE_MESSAGE_MAX);
	while (joined == WIRE_JOIN_MORE) {
		enum ring_result result =
			sent < n_bytes + 4 ? ring_send(in, &message, &sent) : RING_OK;
		n_full += result == RING_FULL;
		if (result == RING_FULL)
			CU_ASSERT(ring_try_wait(in));
		CU_ASSERT_EQUAL_FATAL(ring_try_pop(out, &frame, pair->buffer), RING_OK);
		if (result == RING_FULL)
			CU_ASSERT(ring_take_waiter(out));
		CU_ASSERT(!ring_take_waiter(out));
		joined = wire_join_add(
			&join, &frame, (struct bytes){ pair->buffer, frame.payload_bytes }, &whole);
	}
	CU_ASSERT_EQUAL(joined, WIRE_JOIN_WHOLE);
	CU_ASSERT(n_full > 10);
	CU_ASSERT(whole.n == n_bytes + 4 && memcmp(whole.p, "head", 4) == 0 &&
		  memcmp(whole.p + 4, text, n_bytes) == 0);
	CU_ASSERT(!ring_try_wait(in)); /* there is room: nobody waits */
	wire_join_fini(&join);
	free(text);
	pair_free(pair);
}

static void who_sleeps_is_woken_exactly_once(void)
{
	struct pair *pair = pair_new(1);
	struct ring *in = ring_to_core(pair->worker, 0), *out = ring_to_core(pair->core, 0);
	struct ring_message message = message_of(WIRE_DONE, BYTES("1234"), (struct bytes){ 0 });
	struct wire_frame frame;
	size_t sent = 0;

	CU_ASSERT(!ring_take_sleeper(in));
	CU_ASSERT(ring_try_sleep(out));
	CU_ASSERT_EQUAL(ring_send(in, &message, &sent), RING_OK);
	CU_ASSERT(ring_take_sleeper(in));
	CU_ASSERT(!ring_take_sleeper(in));
	CU_ASSERT(!ring_try_sleep(out)); /* something is there */
	CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), RING_OK);
	CU_ASSERT(ring_try_sleep(out));
	ring_stay_awake(out);
	CU_ASSERT(!ring_take_sleeper(in));
	pair_free(pair);
}

/* What a hostile worker may do to one word, and whether the core must notice. */
static void impossible_indices_poison(void)
{
	static const struct {
		uint32_t tail;
		enum ring_result result;
	} rows[] = {
		{ 0, RING_EMPTY }, { 63, RING_POISONED }, /* not a multiple of a line */
		{ 64, RING_POISONED },                    /* a frame of zeroes */
		{ RING_BYTES, RING_POISONED },            /* full of zeroes */
		{ RING_BYTES + 64, RING_POISONED }, { 0x80000000, RING_POISONED },
		{ UINT32_MAX, RING_POISONED }, { UINT32_MAX - 63, RING_POISONED }, /* backwards */
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pair *pair = pair_new(1);
		struct wire_frame frame;
		struct ring *out = ring_to_core(pair->core, 0);
		set_word(pair, CONTROL_AT + 256 + TAIL, rows[i].tail);
		CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), rows[i].result);
		/* Poison stays, even when the worker takes it back. */
		set_word(pair, CONTROL_AT + 256 + TAIL, 0);
		CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), rows[i].result);
		pair_free(pair);
	}
	/* A consumer that has taken more than was put. */
	struct pair *pair = pair_new(1);
	struct ring *in = ring_to_worker(pair->core, 0);
	struct ring_message message = message_of(WIRE_CALL, BYTES("x"), (struct bytes){ 0 });
	enum ring_result result = RING_OK;
	set_word(pair, CONTROL_AT + HEAD, 0x40000000);
	for (int i = 0; i < 5000 && result == RING_OK; i++) {
		size_t sent = 0;
		result = ring_send(in, &message, &sent);
	}
	CU_ASSERT_EQUAL(result, RING_POISONED);
	pair_free(pair);
}

static void a_length_beyond_what_was_put_poisons(void)
{
	struct pair *pair = pair_new(1);
	struct ring *out = ring_to_core(pair->core, 0);
	const struct wire_frame forged = { .total_bytes = WIRE_HEADER_BYTES + 1000,
		.type = WIRE_LOG,
		.payload_bytes = 1000,
		.message_bytes = 1000 };
	struct wire_frame frame;

	memcpy(pair->bytes + DATA_AT + RING_BYTES, &forged, sizeof forged);
	set_word(pair, CONTROL_AT + 256 + TAIL, 128);
	CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), RING_POISONED);
	pair_free(pair);
}

static void a_good_frame_behind_an_impossible_index_is_not_read(void)
{
	struct pair *pair = pair_new(1);
	const struct wire_frame good = { .total_bytes = WIRE_HEADER_BYTES, .type = WIRE_LOG };
	struct wire_frame frame;

	memcpy(pair->bytes + DATA_AT + RING_BYTES, &good, sizeof good);
	set_word(pair, CONTROL_AT + 256 + TAIL, RING_BYTES + 64);
	CU_ASSERT_EQUAL(
		ring_try_pop(ring_to_core(pair->core, 0), &frame, pair->buffer), RING_POISONED);
	pair_free(pair);
	pair = pair_new(1);
	memcpy(pair->bytes + DATA_AT + RING_BYTES, &good, sizeof good);
	set_word(pair, CONTROL_AT + 256 + TAIL, 64);
	CU_ASSERT_EQUAL(ring_try_pop(ring_to_core(pair->core, 0), &frame, pair->buffer), RING_OK);
	pair_free(pair);
}

struct sleeper {
	struct ring_segment *segment;
	_Atomic bool has_returned;
};

static void *sleep_once(void *context)
{
	struct sleeper *sleeper = context;

	ring_worker_sleep(sleeper->segment);
	sleeper->has_returned = true;
	return NULL;
}

/* True when ring_worker_sleep() comes back by itself within that time. Wakes it when not. */
static bool comes_back_within(struct pair *pair, unsigned ms)
{
	struct sleeper sleeper = { .segment = pair->worker };
	bool has_returned = false;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
	for (unsigned i = 0; i < ms && !has_returned; i++) {
		usleep(1000);
		has_returned = sleeper.has_returned;
	}
	while (!sleeper.has_returned) {
		ring_wake_worker(pair->core);
		usleep(1000);
	}
	pthread_join(thread, NULL);
	return has_returned;
}

/* On a busy machine a thread may need long to begin. */
#define COMES_BACK(pair)   CU_ASSERT(comes_back_within(pair, 20000))
#define STAYS_ASLEEP(pair) CU_ASSERT(!comes_back_within(pair, 100))

static void a_worker_does_not_sleep_over_what_came_in_just_before(void)
{
	struct pair *pair = pair_new(2);
	struct ring *in = ring_to_core(pair->worker, 1), *out = ring_to_core(pair->core, 1);
	static char text[WIRE_PAYLOAD_MAX];
	struct ring_message message = message_of(WIRE_CALL, BYTES("x"), (struct bytes){ 0 });
	struct wire_frame frame;
	size_t sent = 0;

	STAYS_ASLEEP(pair);
	/* A frame, whose wake-up was sent when nobody slept yet. */
	CU_ASSERT_EQUAL(ring_send(ring_to_worker(pair->core, 1), &message, &sent), RING_OK);
	COMES_BACK(pair);
	CU_ASSERT_EQUAL(
		ring_try_pop(ring_to_worker(pair->worker, 1), &frame, pair->buffer), RING_OK);
	STAYS_ASLEEP(pair);
	/* Room, likewise. */
	message =
		message_of(WIRE_RESPOND, (struct bytes){ text, sizeof text }, (struct bytes){ 0 });
	do
		sent = 0;
	while (ring_send(in, &message, &sent) == RING_OK);
	CU_ASSERT(ring_try_wait(in));
	STAYS_ASLEEP(pair);
	CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), RING_OK);
	COMES_BACK(pair);
	pair_free(pair);
}

static void a_worker_that_has_sent_all_sleeps_until_it_is_woken(void)
{
	struct pair *pair = pair_new(1);
	struct ring *in = ring_to_core(pair->worker, 0), *out = ring_to_core(pair->core, 0);
	static char text[WIRE_PAYLOAD_MAX];
	const struct ring_message message =
		message_of(WIRE_RESPOND, (struct bytes){ text, sizeof text }, (struct bytes){ 0 });
	struct wire_frame frame;
	size_t sent = 0;

	/* It has waited for room, got it, and needs no more. */
	while (ring_send(in, &message, &sent) == RING_OK)
		sent = 0;
	CU_ASSERT(ring_try_wait(in));
	CU_ASSERT_EQUAL(ring_try_pop(out, &frame, pair->buffer), RING_OK);
	CU_ASSERT_EQUAL(ring_send(in, &message, &sent), RING_OK);
	while (ring_try_pop(out, &frame, pair->buffer) == RING_OK)
		;
	STAYS_ASLEEP(pair);
	pair_free(pair);
}

static void random_bytes_everywhere_never_do_more_than_poison(void)
{
	static struct id_source ids;
	struct ring_message message = message_of(WIRE_CALL, BYTES("abc"), (struct bytes){ 0 });
	unsigned n_poisoned = 0;

	for (unsigned round = 0; round < 300; round++) {
		struct pair *pair = pair_new(1);
		struct ring *in = ring_to_worker(pair->core, 0), *out = ring_to_core(pair->core, 0);
		for (unsigned i = 0; i < 50; i++) {
			uint32_t at, n;
			char noise[64];
			struct wire_frame frame;
			size_t sent = 0;
			id_random(&ids, &at, sizeof at);
			id_random(&ids, &n, sizeof n);
			id_random(&ids, noise, sizeof noise);
			/* Controls more often than data, whole lines and single bytes. */
			at = n % 3 ? CONTROL_AT + at % 512 : DATA_AT + at % (2 * RING_BYTES - 64);
			memcpy(pair->bytes + at, noise, n % 64 + 1);
			(void)ring_send(in, &message, &sent);
			n_poisoned += ring_try_pop(out, &frame, pair->buffer) == RING_POISONED;
			(void)ring_try_sleep(out);
			(void)ring_try_wait(in);
			(void)ring_take_waiter(out);
			ring_wake_worker(pair->core);
		}
		pair_free(pair);
	}
	CU_ASSERT(n_poisoned > 1000);
}

/* ---- races ---- */

#define RACE_MESSAGES 20000u

struct race {
	struct ring_segment *core, *worker;
	_Atomic uint64_t n_slept;
	_Atomic bool is_broken;
};

/* The worker echoes every frame, and sleeps whenever it can. */
static void *echo(void *context)
{
	struct race *race = context;
	struct ring *in = ring_to_worker(race->worker, 0), *out = ring_to_core(race->worker, 0);
	char *buffer = malloc(WIRE_PAYLOAD_MAX);
	struct wire_frame frame;

	for (uint32_t n = 0; n < RACE_MESSAGES && !race->is_broken;) {
		enum ring_result result = ring_try_pop(in, &frame, buffer);
		if (result == RING_EMPTY) {
			race->n_slept++;
			ring_worker_sleep(race->worker);
			continue;
		}
		if (result == RING_POISONED) {
			race->is_broken = true;
			break;
		}
		const struct ring_message message = { .type = WIRE_DONE,
			.slot = frame.slot,
			.generation = frame.generation,
			.head = { buffer, frame.payload_bytes } };
		size_t sent = 0;
		while (ring_send(out, &message, &sent) == RING_FULL)
			if (ring_try_wait(out))
				ring_worker_sleep(race->worker);
		n++;
	}
	free(buffer);
	return NULL;
}

static void two_threads_lose_nothing_and_sleep_in_between(void)
{
	struct race race = { 0 };
	pthread_t thread;
	char *buffer = malloc(WIRE_PAYLOAD_MAX), *text = calloc(1, 3000);
	uint32_t n_sent = 0, n_received = 0;
	uint64_t until = clock_mono_ns() + 60 * CLOCK_NS_PER_S;

	CU_ASSERT_EQUAL_FATAL(ring_segment_new(1, &race.core, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(ring_segment_share(race.core, &race.worker, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, echo, &race), 0);
	struct ring *in = ring_to_worker(race.core, 0), *out = ring_to_core(race.core, 0);
	while (race.n_slept == 0) /* it finds nothing and sleeps at least once */
		usleep(100);
	while (n_received < RACE_MESSAGES && !race.is_broken && clock_mono_ns() < until) {
		/* Bursts of changing length, so that both sides run dry and run full. */
		for (uint32_t i = 0; i < n_sent % 97 + 1 && n_sent < RACE_MESSAGES; i++) {
			size_t n = n_sent * 37 % 3000, sent = 0;
			memset(text, (int)(n_sent & 0x7f), n);
			const struct ring_message message = { .type = WIRE_CALL,
				.slot = n_sent % WIRE_SLOTS,
				.generation = n_sent,
				.head = { text, n } };
			if (ring_send(in, &message, &sent) != RING_OK)
				break;
			n_sent++;
		}
		ring_wake_worker(race.core);
		struct wire_frame frame;
		enum ring_result result;
		while ((result = ring_try_pop(out, &frame, buffer)) == RING_OK) {
			bool is_right =
				frame.generation == n_received &&
				frame.payload_bytes == n_received * 37 % 3000 &&
				(frame.payload_bytes == 0 || buffer[frame.payload_bytes - 1] ==
								     (char)(n_received & 0x7f));
			if (!is_right)
				race.is_broken = true;
			n_received++;
		}
		if (result == RING_POISONED)
			race.is_broken = true;
		if (ring_take_waiter(out))
			ring_wake_worker(race.core);
	}
	CU_ASSERT(!race.is_broken);
	CU_ASSERT_EQUAL(n_received, RACE_MESSAGES);
	if (n_received < RACE_MESSAGES)
		abort(); /* a lost wake-up: the other thread sleeps for ever */
	pthread_join(thread, NULL);
	CU_ASSERT(race.n_slept > 0);
	free(text);
	free(buffer);
	ring_segment_free(race.worker);
	ring_segment_free(race.core);
}

static void waking_never_blocks_whoever_the_sleeper_is(void)
{
	struct pair *pair = pair_new(1);
	uint64_t start = clock_mono_ns();

	/* A worker that says it sleeps and does not, a hundred thousand times. */
	for (int i = 0; i < 100000; i++) {
		set_word(pair, 64, 1);
		ring_wake_worker(pair->core);
	}
	CU_ASSERT(clock_mono_ns() - start < 50 * CLOCK_NS_PER_S);
	pair_free(pair);
}

static const struct unit_test tests[] = {
	UNIT(a_segment_is_sealed_and_only_mapped_for_what_it_is),
	UNIT(frames_come_out_as_they_went_in_through_many_turns),
	UNIT(a_full_ring_takes_the_rest_when_there_is_room),
	UNIT(who_sleeps_is_woken_exactly_once),
	UNIT(impossible_indices_poison),
	UNIT(a_length_beyond_what_was_put_poisons),
	UNIT(a_good_frame_behind_an_impossible_index_is_not_read),
	UNIT(a_worker_does_not_sleep_over_what_came_in_just_before),
	UNIT(a_worker_that_has_sent_all_sleeps_until_it_is_woken),
	UNIT(random_bytes_everywhere_never_do_more_than_poison),
	UNIT(two_threads_lose_nothing_and_sleep_in_between),
	UNIT(waking_never_blocks_whoever_the_sleeper_is),
};
UNIT_MAIN("ring", tests)
