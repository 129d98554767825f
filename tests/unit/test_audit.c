#include "audit.h"
#include "audit_reader.h"
#include "clock.h"
#include "id.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL (64u << 10)

/* A journal in a folder of its own under /tmp. */
struct place {
	char root[64], folder[80], key[96];
};

static struct place place_new(void)
{
	struct place place = { .root = "/tmp/tenon-test-audit-XXXXXX" };

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place.root));
	snprintf(place.folder, sizeof(place.folder), "%s/audit", place.root);
	snprintf(place.key, sizeof(place.key), "%s/seal.key", place.root);
	return place;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void place_free(struct place *place)
{
	nftw(place->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct audit *open_with(
	const struct place *place, unsigned n_lanes, const struct audit_os *os)
{
	struct audit *audit = NULL;
	struct err err = { 0 };
	int result = audit_open(
		&(struct audit_config){
			.folder = place->folder,
			.key_path = place->key,
			.n_lanes = n_lanes,
			.segment_bytes = SMALL,
			.seal_interval_ms = 5,
			.os = os,
		},
		&audit, &err);

	if (result != 0)
		fprintf(stderr, "%s\n", err.message);
	CU_ASSERT_EQUAL_FATAL(result, 0);
	return audit;
}

static enum err_code open_fails(const struct place *place)
{
	struct audit *audit = NULL;
	struct err err = { 0 };
	int result = audit_open(&(struct audit_config){ .folder = place->folder,
					.key_path = place->key,
					.n_lanes = 2,
					.segment_bytes = SMALL },
		&audit, &err);

	audit_close(audit);
	return result == 0 ? ERR_NONE : err.code;
}

static struct audit_record request(const char *object)
{
	return (struct audit_record){
		.kind = AUDIT_REQUEST,
		.tenant = BYTES("shop"),
		.actor = BYTES("user:users/0123456789abcde"),
		.action = BYTES("record.create"),
		.object = bytes_of(object),
		.decision = AUDIT_ALLOWED,
		.status = 200,
	};
}

/* Appends; where a test outruns a sealer with such small segments, as no request would, it waits.
 */
static enum audit_result append_patiently(
	struct audit_lane *lane, const struct audit_record *record)
{
	enum audit_result result;

	while ((result = audit_append(lane, record, NULL)) == AUDIT_FULL)
		usleep(500);
	return result;
}

static void append_many(struct audit_lane *lane, unsigned n)
{
	struct audit_record record = request("orders/0123456789abcde");

	for (unsigned i = 0; i < n; i++) {
		record.n_rows = i + 1;
		CU_ASSERT_EQUAL_FATAL(append_patiently(lane, &record), AUDIT_OK);
	}
}

/* What a reader finds, counted. */
struct tally {
	unsigned n, n_of_kind[AUDIT_KINDS];
	uint64_t last_seq[AUDIT_LANES_MAX + 1];
	int64_t last_wall_us;
	bool is_in_order; /* no lane has a gap, no time goes back */
	uint64_t torn_bytes;
	uint8_t torn_hash[AUDIT_HASH_BYTES];
	char torn_reason[32];
};

static struct tally read_all(const struct place *place, const struct audit_filter *filter)
{
	DEFER(audit_reader_close) struct audit_reader *reader = NULL;
	struct tally tally = { .is_in_order = true };
	struct audit_entry entry;
	struct err err = { 0 };
	bool found = true;

	CU_ASSERT_EQUAL_FATAL(audit_reader_open(place->folder, filter, &reader, &err), 0);
	for (;;) {
		CU_ASSERT_EQUAL_FATAL(audit_reader_next(reader, &entry, &found, &err), 0);
		if (!found)
			return tally;
		tally.n++;
		tally.n_of_kind[entry.record.kind]++;
		if (entry.position.seq != ++tally.last_seq[entry.position.lane] ||
			entry.wall_us < tally.last_wall_us)
			tally.is_in_order = false;
		tally.last_wall_us = entry.wall_us;
		if (bytes_eq(entry.record.action, BYTES("journal.torn-tail"))) {
			tally.torn_bytes = entry.record.n_bytes;
			memcpy(tally.torn_hash, entry.record.digest, AUDIT_HASH_BYTES);
			bytes_to_string(
				entry.record.reason, tally.torn_reason, sizeof(tally.torn_reason));
		}
	}
}

static void a_record_comes_back_as_it_was_appended(void)
{
	struct place place = place_new();
	struct audit *audit = open_with(&place, 1, NULL);
	DEFER(audit_reader_close) struct audit_reader *reader = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf json;
	const uint8_t trace[ID_TRACE_BYTES] = "\x01\x02trace-of-16-b";
	const uint8_t artifact[AUDIT_ARTIFACT_BYTES] = "artifac";
	const uint8_t digest[AUDIT_HASH_BYTES] = "digest";
	struct audit_record record = request("orders/\"x\"");
	struct audit_position position;
	struct audit_entry entry;
	bool found;

	record.kind = AUDIT_FACADE;
	record.decision = AUDIT_DENIED;
	record.phase = AUDIT_OUTCOME;
	record.trace = trace;
	record.artifact = artifact;
	record.digest = digest;
	record.plugin = BYTES("order-rules");
	record.reason = BYTES("grant missing");
	record.generation = 7;
	record.worker_pid = 4242;
	record.duration_ns = 5000000000;
	record.n_rows = 3;
	record.n_bytes = UINT64_MAX;
	record.status = 403;
	CU_ASSERT_EQUAL(audit_append(audit_lane(audit, 0), &record, &position), AUDIT_OK);
	CU_ASSERT(position.lane == 1 && position.seq == 1);

	CU_ASSERT_EQUAL_FATAL(
		audit_reader_open(place.folder,
			&(struct audit_filter){ .plugin = BYTES("order-rules") }, &reader, NULL),
		0);
	CU_ASSERT_FATAL(audit_reader_next(reader, &entry, &found, NULL) == 0 && found);
	CU_ASSERT(entry.record.kind == AUDIT_FACADE && entry.record.decision == AUDIT_DENIED);
	CU_ASSERT(entry.record.phase == AUDIT_OUTCOME && entry.record.status == 403);
	CU_ASSERT(entry.record.generation == 7 && entry.record.worker_pid == 4242);
	CU_ASSERT(entry.record.duration_ns == 5000000000 && entry.record.n_rows == 3);
	CU_ASSERT(entry.record.n_bytes == UINT64_MAX && !entry.was_cut);
	CU_ASSERT(bytes_eq(entry.record.tenant, record.tenant));
	CU_ASSERT(bytes_eq(entry.record.actor, record.actor));
	CU_ASSERT(bytes_eq(entry.record.action, record.action));
	CU_ASSERT(bytes_eq(entry.record.object, record.object));
	CU_ASSERT(bytes_eq(entry.record.reason, record.reason));
	CU_ASSERT(memcmp(entry.record.trace, trace, sizeof(trace)) == 0);
	CU_ASSERT(memcmp(entry.record.artifact, artifact, sizeof(artifact)) == 0);
	CU_ASSERT(memcmp(entry.record.digest, digest, sizeof(digest)) == 0);
	CU_ASSERT(llabs(entry.wall_us - clock_wall_us()) < 5000000);

	bytes_buf_init(&json, 4096);
	CU_ASSERT(audit_entry_format(&entry, &json) && bytes_buf_append_byte(&json, 0));
	CU_ASSERT_PTR_NOT_NULL(strstr(json.p, "{\"lane\":1,\"seq\":1,\"time\":\"20"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(json.p, "\"object\":\"orders/\\\"x\\\"\",\"decision\":\"deny\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(json.p, "\"traceId\":\"010274726163652d6f662d31362d6200\""));
	audit_close(audit);
	place_free(&place);
}

static void a_text_that_is_too_long_is_cut_at_a_character(void)
{
	struct place place = place_new();
	struct audit *audit = open_with(&place, 1, NULL);
	DEFER(audit_reader_close) struct audit_reader *reader = NULL;
	struct audit_record record = request("");
	struct audit_entry entry;
	char text[4000];
	bool found;

	text[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	record.tenant = record.plugin = record.actor = record.action = record.object =
		record.reason = (struct bytes){ text, sizeof(text) - 1 };
	record.trace = record.artifact = record.digest = (const uint8_t *)text;
	record.duration_ns = record.n_bytes = record.n_rows = record.generation =
		record.worker_pid = 1;
	record.object.n =
		AUDIT_OBJECT_MAX; /* fits: not touched, half a character as it ends with */
	record.actor.n = AUDIT_ACTOR_MAX + 1; /* cut before half a character */
	CU_ASSERT_EQUAL(audit_append(audit_lane(audit, 0), &record, NULL), AUDIT_OK);
	CU_ASSERT_EQUAL_FATAL(
		audit_reader_open(place.folder, &(struct audit_filter){ .kind = AUDIT_REQUEST },
			&reader, NULL),
		0);
	CU_ASSERT_FATAL(audit_reader_next(reader, &entry, &found, NULL) == 0 && found);
	CU_ASSERT(entry.was_cut);
	CU_ASSERT_EQUAL(entry.record.object.n, AUDIT_OBJECT_MAX);
	CU_ASSERT_EQUAL(entry.record.actor.n, AUDIT_ACTOR_MAX - 1);
	CU_ASSERT_EQUAL(entry.record.plugin.n, AUDIT_PLUGIN_MAX - 1);
	audit_close(audit);
	place_free(&place);
}

static void lanes_go_on_over_segments_and_starts(void)
{
	struct place place = place_new();
	struct tally tally;

	for (unsigned start = 0; start < 3; start++) {
		struct audit *audit = open_with(&place, 2, NULL);
		append_many(audit_lane(audit, 0), 3000);
		append_many(audit_lane(audit, 1), 10);
		audit_close(audit);
	}
	tally = read_all(&place, &(struct audit_filter){ 0 });
	CU_ASSERT(tally.is_in_order);
	CU_ASSERT_EQUAL(tally.n_of_kind[AUDIT_REQUEST], 3 * 3010);
	CU_ASSERT_EQUAL(tally.n_of_kind[AUDIT_JOURNAL], 3 * 2); /* start and stop, nothing torn */
	place_free(&place);
}

struct seen {
	uint64_t rows[8];
	unsigned n;
	unsigned stop_after;
};

static bool see(const struct audit_entry *entry, void *arg)
{
	struct seen *seen = arg;

	seen->rows[seen->n++] = entry->record.n_rows;
	return seen->n != seen->stop_after;
}

static void a_query_gives_the_newest_matches_first(void)
{
	struct place place = place_new();
	struct audit *audit = open_with(&place, 2, NULL);
	struct seen seen = { 0 };
	struct audit_filter filter = { .tenant = BYTES("shop"), .action = BYTES("record.") };

	struct audit_record record = request("orders/0123456789abcde");
	append_many(audit_lane(audit, 0), 2000); /* over several segments */
	for (unsigned i = 0; i < 4; i++) {
		usleep(10);
		record.n_rows = 3001 + i;
		CU_ASSERT_EQUAL(append_patiently(audit_lane(audit, i % 2), &record), AUDIT_OK);
	}
	CU_ASSERT_EQUAL(audit_query(place.folder, &filter, 5, see, &seen, NULL), 0);
	CU_ASSERT(seen.n == 5 && seen.rows[0] == 3004 && seen.rows[1] == 3003);
	CU_ASSERT(seen.rows[2] == 3002 && seen.rows[3] == 3001 && seen.rows[4] == 2000);
	seen = (struct seen){ .stop_after = 1 };
	CU_ASSERT_EQUAL(audit_query(place.folder, &filter, 3, see, &seen, NULL), 0);
	CU_ASSERT_EQUAL(seen.n, 1);
	seen = (struct seen){ 0 };
	filter.tenant = BYTES("sho");
	CU_ASSERT_EQUAL(audit_query(place.folder, &filter, 3, see, &seen, NULL), 0);
	filter = (struct audit_filter){ .action = BYTES("record") };
	CU_ASSERT_EQUAL(audit_query(place.folder, &filter, 3, see, &seen, NULL), 0);
	filter = (struct audit_filter){ .decision = AUDIT_DENIED };
	CU_ASSERT_EQUAL(audit_query(place.folder, &filter, 3, see, &seen, NULL), 0);
	CU_ASSERT_EQUAL(seen.n, 0);
	audit_close(audit);
	place_free(&place);
}

static void a_reader_follows_a_journal_that_grows(void)
{
	struct place place = place_new();
	struct audit *audit = open_with(&place, 1, NULL);
	DEFER(audit_reader_close) struct audit_reader *reader = NULL;
	struct audit_entry entry;
	bool found;
	uint64_t n = 0;

	CU_ASSERT_EQUAL_FATAL(
		audit_reader_open(place.folder, &(struct audit_filter){ .kind = AUDIT_REQUEST },
			&reader, NULL),
		0);
	CU_ASSERT(audit_reader_next(reader, &entry, &found, NULL) == 0 && !found);
	for (unsigned round = 0; round < 2000; round++) {
		append_many(audit_lane(audit, 0), 1 + round % 3);
		for (unsigned i = 0; i <= round % 3; i++) {
			CU_ASSERT_FATAL(
				audit_reader_next(reader, &entry, &found, NULL) == 0 && found);
			CU_ASSERT_EQUAL(entry.position.seq, ++n);
		}
		CU_ASSERT(audit_reader_next(reader, &entry, &found, NULL) == 0 && !found);
	}
	audit_close(audit);
	place_free(&place);
}

/* Runs until it is killed: appends, and tells through the pipe how many it had appended. */
static void append_until_killed(const struct place *place, int fd)
{
	struct audit *audit = NULL;
	struct audit_record record = request("orders/0123456789abcde");

	if (audit_open(&(struct audit_config){ .folder = place->folder,
			       .key_path = place->key,
			       .n_lanes = 1,
			       .segment_bytes = SMALL },
		    &audit, NULL) != 0)
		_exit(1);
	for (uint32_t n = 1;; n++) {
		if (append_patiently(audit_lane(audit, 0), &record) != AUDIT_OK)
			_exit(2);
		if (n % 16 == 0 && write(fd, &n, sizeof(n)) != sizeof(n))
			_exit(3);
	}
}

static void what_was_appended_survives_a_kill(void)
{
	struct place place = place_new();
	uint64_t n_promised = 0;
	unsigned n_kills = 10;

	for (unsigned i = 0; i < n_kills; i++) {
		int fds[2];
		uint32_t n = 0, last = 0;
		CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
		pid_t pid = fork();
		if (pid == 0)
			append_until_killed(&place, fds[1]);
		close(fds[1]);
		for (unsigned reads = 0; reads < 100 + 37 * i; reads++)
			if (read(fds[0], &n, sizeof(n)) == sizeof(n))
				last = n;
		kill(pid, SIGKILL);
		int status;
		waitpid(pid, &status, 0);
		CU_ASSERT(WIFSIGNALED(status));
		while (read(fds[0], &n, sizeof(n)) == sizeof(n))
			last = n;
		close(fds[0]);
		n_promised += last;
	}
	audit_close(open_with(&place, 1, NULL));
	struct tally tally = read_all(&place, &(struct audit_filter){ 0 });
	CU_ASSERT(tally.is_in_order);
	CU_ASSERT(tally.n_of_kind[AUDIT_REQUEST] >= n_promised);
	/* At most fifteen of a run were appended and not told of, and one was under way. */
	CU_ASSERT(tally.n_of_kind[AUDIT_REQUEST] <= n_promised + 16 * n_kills);
	place_free(&place);
}

static void last_file(const struct place *place, const char *prefix, char *out, size_t cap)
{
	char best[256] = "";
	DIR *dir = opendir(place->folder);
	struct dirent *at;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while ((at = readdir(dir)))
		if (strncmp(at->d_name, prefix, strlen(prefix)) == 0 &&
			strcmp(at->d_name, best) > 0)
			snprintf(best, sizeof(best), "%s", at->d_name);
	closedir(dir);
	CU_ASSERT_NOT_EQUAL_FATAL(best[0], 0);
	snprintf(out, cap, "%s/%s", place->folder, best);
}

static int open_writable(const char *path)
{
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	return open(path, O_RDWR);
}

static void a_torn_tail_is_cut_and_told_of(void)
{
	struct place place = place_new();
	char path[400];
	uint8_t garbage[3000];

	struct audit *audit = open_with(&place, 1, NULL);
	append_many(audit_lane(audit, 0), 5);
	audit_close(audit);
	memset(garbage, 0xa5, sizeof(garbage));
	snprintf(path, sizeof(path), "%s/lane-01-0000000001.seg", place.folder);
	int fd = open_writable(path);
	CU_ASSERT_EQUAL(pwrite(fd, garbage, sizeof(garbage), 5000), (ssize_t)sizeof(garbage));
	close(fd);

	audit = open_with(&place, 1, NULL);
	append_many(audit_lane(audit, 0), 5);
	audit_close(audit);
	struct tally tally = read_all(&place, &(struct audit_filter){ 0 });
	CU_ASSERT(tally.is_in_order);
	CU_ASSERT_EQUAL(tally.n_of_kind[AUDIT_REQUEST], 10);
	/* From the end of the fifth record to the end of the garbage. */
	CU_ASSERT(tally.torn_bytes > sizeof(garbage) && tally.torn_bytes < 8000 - 128);
	CU_ASSERT_STRING_EQUAL(tally.torn_reason, "bad record");
	place_free(&place);
}

static void an_unfinished_append_is_cut_and_told_of(void)
{
	struct place place = place_new();
	char path[400];

	struct audit *audit = open_with(&place, 1, NULL);
	append_many(audit_lane(audit, 0), 1);
	audit_close(audit);
	snprintf(path, sizeof(path), "%s/lane-01-0000000001.seg", place.folder);
	int fd = open_writable(path);
	/* Header, then the length of the one record is its second word. */
	uint32_t length;
	CU_ASSERT_EQUAL(pread(fd, &length, 4, 128 + 4), 4);
	CU_ASSERT_EQUAL(pwrite(fd, "body", 4, 128 + length + 48), 4);
	close(fd);
	audit_close(open_with(&place, 1, NULL));
	struct tally tally = read_all(&place, &(struct audit_filter){ 0 });
	CU_ASSERT_EQUAL(tally.torn_bytes, 52);
	CU_ASSERT_STRING_EQUAL(tally.torn_reason, "unfinished append");
	place_free(&place);
}

/* How much of the journal's files this process has mapped and in memory. */
static size_t resident_kib(const struct place *place)
{
	char line[512];
	size_t total = 0, kib;
	bool is_ours = false;
	FILE *maps = fopen("/proc/self/smaps", "re");

	CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, " r") && strchr(line, '-') < strchr(line, ' '))
			is_ours = strstr(line, place->folder) != NULL;
		if (is_ours && sscanf(line, "Rss: %zu", &kib) == 1)
			total += kib;
	}
	fclose(maps);
	return total;
}

static struct audit *open_large(const struct place *place)
{
	struct audit *audit = NULL;

	CU_ASSERT_EQUAL_FATAL(audit_open(&(struct audit_config){ .folder = place->folder,
						 .key_path = place->key,
						 .n_lanes = 2,
						 .seal_interval_ms = 5 },
				      &audit, NULL),
		0);
	return audit;
}

/* Waits, for the sealer's next rounds, until no more than 2 MiB of each of four lanes is. */
static bool becomes_small(const struct place *place)
{
	for (unsigned i = 0; i < 100 && resident_kib(place) > 4 * 2048; i++)
		usleep(10000);
	return resident_kib(place) <= 4 * 2048;
}

static void a_full_segment_is_not_a_resident_one(void)
{
	struct place place = place_new();
	struct audit *audit = open_large(&place);

	append_many(audit_lane(audit, 0), 100000); /* about 20 MiB of 64 */
	CU_ASSERT(resident_kib(&place) > 0);
	CU_ASSERT(becomes_small(&place));
	audit_close(audit);

	/* A start reads what it finds: that must not stay either. */
	audit = open_large(&place);
	CU_ASSERT(becomes_small(&place));
	audit_close(audit);
	place_free(&place);
}

static void a_journal_without_its_sealed_records_is_not_opened(void)
{
	struct place place = place_new();
	char segment[400], seals[400], aside[440];
	uint8_t byte;

	struct audit *audit = open_with(&place, 2, NULL);
	for (unsigned i = 0; i < 20; i++) {
		append_many(audit_lane(audit, 0), 5);
		usleep(10000); /* over several seals */
	}
	audit_close(audit);
	snprintf(segment, sizeof(segment), "%s/lane-01-0000000001.seg", place.folder);
	last_file(&place, "seals-", seals, sizeof(seals));
	snprintf(aside, sizeof(aside), "%s/aside", place.root);

	CU_ASSERT_EQUAL(rename(segment, aside), 0);
	CU_ASSERT_EQUAL(open_fails(&place), ERR_CORRUPT);
	CU_ASSERT_EQUAL(rename(aside, segment), 0);

	CU_ASSERT_EQUAL(rename(seals, aside), 0);
	CU_ASSERT_EQUAL(open_fails(&place), ERR_CORRUPT);
	CU_ASSERT_EQUAL(rename(aside, seals), 0);

	int fd = open_writable(seals);
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, 140), 1);
	byte ^= 1;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, 140), 1);
	CU_ASSERT_EQUAL(open_fails(&place), ERR_CORRUPT);
	byte ^= 1;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, 140), 1);
	close(fd);
	CU_ASSERT_EQUAL(open_fails(&place), ERR_NONE);

	/* Another key: seals of it cannot be continued. */
	CU_ASSERT_EQUAL(unlink(place.key), 0);
	CU_ASSERT_EQUAL(open_fails(&place), ERR_CORRUPT);
	place_free(&place);
}

static void a_folder_belongs_to_one_journal_at_a_time(void)
{
	struct place place = place_new();
	struct audit *audit = open_with(&place, 1, NULL);

	CU_ASSERT_EQUAL(open_fails(&place), ERR_STATE);
	audit_close(audit);
	CU_ASSERT_EQUAL(open_fails(&place), ERR_NONE);
	place_free(&place);
}

static _Atomic int allocations_left, n_syncs, fail_syncs;

static int limited_allocate(int fd, size_t n_bytes)
{
	if (atomic_fetch_sub(&allocations_left, 1) <= 0) {
		errno = ENOSPC;
		return -1;
	}
	return ftruncate(fd, (off_t)n_bytes);
}

static int failing_sync(int fd)
{
	(void)fd;
	atomic_fetch_add(&n_syncs, 1);
	if (!atomic_load(&fail_syncs))
		return 0;
	errno = EIO;
	return -1;
}

static void a_full_disk_refuses_requests_before_administration(void)
{
	struct place place = place_new();
	const struct audit_os os = { .allocate = limited_allocate };
	struct audit_record record = request("x");
	struct audit_stats stats;
	unsigned n_requests = 0, n_admin = 0;

	atomic_store(&allocations_left, 5); /* one segment of each lane, seals, and a bit */
	struct audit *audit = open_with(&place, 1, &os);
	struct audit_lane *lane = audit_lane(audit, 0);
	CU_ASSERT_EQUAL(audit_ready(lane), AUDIT_OK);
	while (audit_append(lane, &record, NULL) == AUDIT_OK && n_requests < 100000)
		n_requests++;
	CU_ASSERT(n_requests > 100 && n_requests < 100000);
	CU_ASSERT_EQUAL(audit_append(lane, &record, NULL), AUDIT_FULL);
	CU_ASSERT_EQUAL(audit_ready(lane), AUDIT_FULL);
	record.kind = AUDIT_ADMIN;
	while (audit_append(lane, &record, NULL) == AUDIT_OK && n_admin < 100000)
		n_admin++;
	CU_ASSERT(n_admin > 50 && n_admin < 100000);
	audit_stats(audit, &stats);
	CU_ASSERT_EQUAL(stats.state, AUDIT_FULL);

	/* Room again: the sealer finds it by itself. */
	atomic_store(&allocations_left, 1000);
	for (unsigned i = 0; i < 1000 && audit_ready(lane) != AUDIT_OK; i++)
		usleep(2000);
	record.kind = AUDIT_REQUEST;
	CU_ASSERT_EQUAL(audit_append(lane, &record, NULL), AUDIT_OK);
	audit_close(audit);
	CU_ASSERT(read_all(&place, &(struct audit_filter){ 0 }).is_in_order);
	place_free(&place);
}

struct waiting {
	struct audit_wait wait;
	sem_t answered;
	enum audit_result result;
};

static void answered(struct audit_wait *wait, enum audit_result result)
{
	struct waiting *waiting = (struct waiting *)wait;

	waiting->result = result;
	sem_post(&waiting->answered);
}

static enum audit_result wait_for(struct audit_lane *lane)
{
	struct waiting waiting = { .wait.done = answered };

	sem_init(&waiting.answered, 0, 0);
	audit_sync(lane, &waiting.wait);
	sem_wait(&waiting.answered);
	sem_destroy(&waiting.answered);
	return waiting.result;
}

static void a_wait_is_answered_after_the_disk_has_it(void)
{
	struct place place = place_new();
	const struct audit_os os = { .sync = failing_sync };

	atomic_store(&fail_syncs, 0);
	struct audit *audit = open_with(&place, 1, &os);
	append_many(audit_lane(audit, 0), 1);
	int before = atomic_load(&n_syncs);
	append_many(audit_lane(audit, 0), 1);
	CU_ASSERT_EQUAL(wait_for(audit_lane(audit, 0)), AUDIT_OK);
	CU_ASSERT(atomic_load(&n_syncs) > before);
	audit_close(audit);
	place_free(&place);
}

static void after_a_failed_sync_nothing_is_acknowledged(void)
{
	struct place place = place_new();
	const struct audit_os os = { .sync = failing_sync };
	struct audit_record record = request("x");

	atomic_store(&fail_syncs, 0);
	struct audit *audit = open_with(&place, 1, &os);
	append_many(audit_lane(audit, 0), 1);
	CU_ASSERT_EQUAL(wait_for(audit_lane(audit, 0)), AUDIT_OK);
	atomic_store(&fail_syncs, 1);
	append_many(audit_lane(audit, 0), 1);
	CU_ASSERT_EQUAL(wait_for(audit_lane(audit, 0)), AUDIT_BROKEN);
	/* The disk is well again, but a second try would be told that all is written. */
	atomic_store(&fail_syncs, 0);
	int before = atomic_load(&n_syncs);
	CU_ASSERT_EQUAL(audit_append(audit_lane(audit, 0), &record, NULL), AUDIT_BROKEN);
	CU_ASSERT_EQUAL(audit_ready(audit_lane(audit, 0)), AUDIT_BROKEN);
	CU_ASSERT_EQUAL(wait_for(audit_lane(audit, 0)), AUDIT_BROKEN);
	usleep(30000);
	CU_ASSERT_EQUAL(atomic_load(&n_syncs), before);
	audit_close(audit);
	audit_close(open_with(&place, 1, NULL));
	place_free(&place);
}

static void *append_shared(void *arg)
{
	struct audit_record record = request("x");

	for (int i = 0; i < 2000; i++) {
		enum audit_result result;
		while ((result = audit_append_shared(arg, &record, NULL)) == AUDIT_FULL)
			usleep(500);
		if (result != AUDIT_OK)
			return arg;
	}
	return NULL;
}

static void threads_without_a_lane_share_one(void)
{
	struct place place = place_new();
	struct audit *audit = open_with(&place, 1, NULL);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, append_shared, audit), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		CU_ASSERT_PTR_NULL(failed);
	}
	audit_close(audit);
	struct tally tally = read_all(&place, &(struct audit_filter){ 0 });
	CU_ASSERT(tally.is_in_order && tally.n_of_kind[AUDIT_REQUEST] == 8000);
	place_free(&place);
}

static const struct unit_test tests[] = {
	UNIT(a_record_comes_back_as_it_was_appended),
	UNIT(a_text_that_is_too_long_is_cut_at_a_character),
	UNIT(lanes_go_on_over_segments_and_starts),
	UNIT(a_query_gives_the_newest_matches_first),
	UNIT(a_reader_follows_a_journal_that_grows),
	UNIT(what_was_appended_survives_a_kill),
	UNIT(a_torn_tail_is_cut_and_told_of),
	UNIT(an_unfinished_append_is_cut_and_told_of),
	UNIT(a_full_segment_is_not_a_resident_one),
	UNIT(a_journal_without_its_sealed_records_is_not_opened),
	UNIT(a_folder_belongs_to_one_journal_at_a_time),
	UNIT(a_full_disk_refuses_requests_before_administration),
	UNIT(a_wait_is_answered_after_the_disk_has_it),
	UNIT(after_a_failed_sync_nothing_is_acknowledged),
	UNIT(threads_without_a_lane_share_one),
};

UNIT_MAIN("audit", tests)
