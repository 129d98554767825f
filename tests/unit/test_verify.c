/* Written by the audit module, judged by the verifier: two readings of one format. Each kind of
 * change has the one exit status that names it. */
#include "audit.h"
#include "hash.h"
#include "unit.h"
#include "verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL     (64u << 10)
#define N_RECORDS 10000

struct place {
	char root[64], folder[80], key[96];
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void place_free(struct place *place)
{
	nftw(place->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct place place_new(void)
{
	struct place place = { .root = "/tmp/tenon-test-verify-XXXXXX" };

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place.root));
	snprintf(place.folder, sizeof(place.folder), "%s/audit", place.root);
	snprintf(place.key, sizeof(place.key), "%s/seal.key", place.root);
	return place;
}

static struct audit *open_journal(const struct place *place)
{
	struct audit *audit = NULL;

	if (audit_open(&(struct audit_config){ .folder = place->folder,
			       .key_path = place->key,
			       .n_lanes = 3,
			       .segment_bytes = SMALL,
			       .seal_interval_ms = 5 },
		    &audit, NULL) != 0)
		abort();
	return audit;
}

static void append(struct audit *audit, unsigned lane, unsigned n)
{
	struct audit_record record = {
		.kind = AUDIT_FACADE,
		.tenant = BYTES("shop"),
		.plugin = BYTES("order-rules"),
		.actor = BYTES("plugin:order-rules"),
		.action = BYTES("db.query"),
		.object = BYTES("order_total"),
		.decision = AUDIT_ALLOWED,
		.n_rows = n,
		.duration_ns = 12345,
	};

	record.object.n -= n % 7; /* of different lengths */
	while (audit_append(audit_lane(audit, lane), &record, NULL) == AUDIT_FULL)
		usleep(500);
}

static void wait_for_seal(struct audit *audit)
{
	struct audit_stats before, now;

	audit_stats(audit, &before);
	do {
		usleep(500);
		audit_stats(audit, &now);
	} while (now.seal == before.seal);
}

/* N_RECORDS in three lanes, over many segments, seals and two starts, closed in order. */
static struct place written_place(void)
{
	struct place place = place_new();

	for (unsigned start = 0; start < 2; start++) {
		struct audit *audit = open_journal(&place);
		for (unsigned i = 0; i < N_RECORDS / 2; i++) {
			append(audit, i % 3, i);
			if (i % 500 == 0)
				wait_for_seal(audit);
		}
		audit_close(audit);
	}
	return place;
}

static enum verify_result check_with(
	const struct place *place, struct verify_options options, struct verify_report *report)
{
	struct verify_report unused;
	struct err err = { 0 };

	options.folder = place->folder;
	return verify_folder(&options, report ? report : &unused, &err);
}

static enum verify_result check(const struct place *place)
{
	return check_with(place, (struct verify_options){ 0 }, NULL);
}

/* A file of the journal in memory, to be changed and put back. */
struct file {
	char path[200];
	uint8_t *p;
	size_t n;
};

static struct file file_get(const struct place *place, const char *name)
{
	struct file file = { 0 };
	struct stat st;

	snprintf(file.path, sizeof(file.path), "%s/%s", place->folder, name);
	int fd = open(file.path, O_RDONLY);
	CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	file.n = (size_t)st.st_size;
	file.p = malloc(file.n + 1);
	CU_ASSERT_EQUAL_FATAL(read(fd, file.p, file.n), (ssize_t)file.n);
	close(fd);
	return file;
}

static void file_put(const struct file *file, const void *p, size_t n)
{
	unlink(file->path);
	int fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

static void file_restore(struct file *file)
{
	file_put(file, file->p, file->n);
	free(file->p);
	file->p = NULL;
}

static uint32_t word(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return v;
}

/* The offset of the record that is index records behind the segment's header. */
static size_t record_at(const struct file *file, unsigned index)
{
	size_t at = 128;

	while (index-- > 0)
		at += word(file->p + at + 4);
	return at;
}

static size_t data_end(const struct file *file)
{
	size_t at = 128;

	while (at + 80 <= file->n && word(file->p + at) != 0)
		at += word(file->p + at + 4);
	return at;
}

static void an_untouched_journal_is_whole(void)
{
	struct place place = written_place();
	struct verify_report report;

	CU_ASSERT_EQUAL(check_with(&place, (struct verify_options){ 0 }, &report), VERIFY_OK);
	CU_ASSERT_EQUAL(report.n_records, N_RECORDS + 4); /* two starts, two stops */
	CU_ASSERT_EQUAL(report.n_sealed, report.n_records);
	CU_ASSERT_EQUAL(report.n_lanes, 4);
	CU_ASSERT(report.n_seals > 20 && report.n_segments > 20);
	CU_ASSERT(report.stopped_in_order && !report.has_unfinished && report.n_cuts == 0);
	place_free(&place);
}

static void every_flipped_bit_of_a_record_is_tampering(void)
{
	struct place place = written_place();
	const char *names[] = { "lane-01-0000000001.seg", "lane-02-0000000003.seg",
		"lane-03-0000000002.seg", "lane-00-0000000001.seg" };
	unsigned n_flips = 0;

	srand(42);
	for (unsigned i = 0; i < 4; i++) {
		struct file file = file_get(&place, names[i]);
		size_t end = data_end(&file);
		for (unsigned k = 0; k < 150; k++, n_flips++) {
			/* One record byte by byte, header included, then anywhere. */
			size_t at = k < 64 ? 128 + k : (size_t)rand() % end;
			uint8_t bit = (uint8_t)(1u << rand() % 8);
			file.p[at] ^= bit;
			file_put(&file, file.p, file.n);
			enum verify_result result = check(&place);
			if (result != VERIFY_TAMPERED)
				fprintf(stderr, "%s byte %zu bit %u: %d\n", names[i], at, bit,
					result);
			CU_ASSERT_EQUAL(result, VERIFY_TAMPERED);
			file.p[at] ^= bit;
		}
		file_restore(&file);
	}
	CU_ASSERT_EQUAL(n_flips, 600);
	CU_ASSERT_EQUAL(check(&place), VERIFY_OK);
	place_free(&place);
}

static void every_flipped_bit_of_a_seal_is_a_bad_seal(void)
{
	struct place place = written_place();
	struct file file = file_get(&place, "seals-0000000002.log");

	for (unsigned k = 0; k < 300; k++) {
		size_t at = k < 200 ? k : (size_t)rand() % file.n;
		uint8_t bit = (uint8_t)(1u << rand() % 8);
		file.p[at] ^= bit;
		file_put(&file, file.p, file.n);
		enum verify_result result = check(&place);
		if (result != VERIFY_BAD_SEAL)
			fprintf(stderr, "seal byte %zu bit %u: %d\n", at, bit, result);
		CU_ASSERT_EQUAL(result, VERIFY_BAD_SEAL);
		file.p[at] ^= bit;
	}
	file_restore(&file);
	CU_ASSERT_EQUAL(check(&place), VERIFY_OK);
	place_free(&place);
}

/* The last segment of the lane that has records. */
static struct file last_segment(const struct place *place, unsigned lane)
{
	for (unsigned number = 100; number > 0; number--) {
		char name[40], path[200];
		snprintf(name, sizeof(name), "lane-%02u-%010u.seg", lane, number);
		snprintf(path, sizeof(path), "%s/%s", place->folder, name);
		if (access(path, F_OK) != 0)
			continue;
		struct file file = file_get(place, name);
		if (word(file.p) != 0)
			return file;
		free(file.p);
	}
	abort();
}

/* What whoever can write the folder, but lacks the key, would do. */
static void a_record_that_was_hashed_anew_with_all_behind_it_is_tampering(void)
{
	struct place place = written_place();
	struct file file = last_segment(&place, 2);
	size_t end = data_end(&file), at = record_at(&file, 2);
	uint8_t *changed = malloc(file.n), head[HASH_BYTES];

	memcpy(changed, file.p, file.n);
	changed[at + 60] ^= 1; /* in a text */
	memcpy(head, changed + at - HASH_BYTES, HASH_BYTES);
	for (size_t length; at < end; at += length) {
		struct hash hash;
		length = word(changed + at + 4);
		hash_init(&hash);
		hash_add(&hash, head, HASH_BYTES);
		hash_add(&hash, changed + at + 4, length - 4 - HASH_BYTES);
		hash_end(&hash, head);
		memcpy(changed + at + length - HASH_BYTES, head, HASH_BYTES);
	}
	file_put(&file, changed, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_TAMPERED);
	free(changed);
	file_restore(&file);
	place_free(&place);
}

static void records_in_another_order_are_a_gap(void)
{
	struct place place = written_place();
	struct file file = file_get(&place, "lane-02-0000000001.seg");
	uint8_t *changed = malloc(file.n);
	size_t a = record_at(&file, 10), b = record_at(&file, 11), c = record_at(&file, 12);
	size_t end = data_end(&file);

	/* Swapped. */
	memcpy(changed, file.p, file.n);
	memcpy(changed + a, file.p + b, c - b);
	memcpy(changed + a + (c - b), file.p + a, b - a);
	file_put(&file, changed, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_GAP);
	/* Dropped, the rest moved up. */
	memset(changed, 0, file.n);
	memcpy(changed, file.p, b);
	memcpy(changed + b, file.p + c, end - c);
	file_put(&file, changed, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_GAP);
	/* Doubled, the last one pushed out. */
	memset(changed, 0, file.n);
	memcpy(changed, file.p, b);
	memcpy(changed + b, file.p + a, b - a);
	size_t last = record_at(&file, 12), next;
	while ((next = last + word(file.p + last + 4)) < end && next + (b - a) <= end)
		last = next;
	memcpy(changed + b + (b - a), file.p + b, last - b);
	file_put(&file, changed, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_GAP);
	file_restore(&file);
	free(changed);
	place_free(&place);
}

static void segments_in_another_place_are_a_gap_and_lost_ones_are_missing(void)
{
	struct place place = written_place();
	struct file first = file_get(&place, "lane-01-0000000001.seg");
	struct file second = file_get(&place, "lane-01-0000000002.seg");
	struct file other = file_get(&place, "lane-02-0000000002.seg");
	struct file seals = file_get(&place, "seals-0000000001.log");

	file_put(&second, first.p, first.n); /* doubled */
	CU_ASSERT_EQUAL(check(&place), VERIFY_GAP);
	file_put(&first, second.p, second.n); /* swapped */
	CU_ASSERT_EQUAL(check(&place), VERIFY_GAP);
	file_put(&first, first.p, first.n);
	file_put(&second, other.p, other.n); /* another lane's */
	CU_ASSERT_EQUAL(check(&place), VERIFY_GAP);
	unlink(second.path);
	CU_ASSERT_EQUAL(check(&place), VERIFY_MISSING);
	file_put(&second, second.p, second.n);
	unlink(first.path);
	CU_ASSERT_EQUAL(check(&place), VERIFY_MISSING);
	file_put(&first, first.p, first.n);
	unlink(seals.path);
	CU_ASSERT_EQUAL(check(&place), VERIFY_MISSING);
	file_put(&seals, seals.p, seals.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_OK);
	free(other.p), free(first.p), free(second.p), free(seals.p);
	place_free(&place);
}

static void a_lane_that_ends_before_its_seal_is_truncated_or_missing(void)
{
	struct place place = written_place();
	struct file file = last_segment(&place, 3);
	uint8_t *changed = malloc(file.n);
	size_t end = data_end(&file);
	char name[40], path[200];
	unsigned number;

	/* The file cut: anywhere, at a record's end, and where only zeros are lost. */
	size_t cuts[] = { 0, 1, 127, 128, 200, record_at(&file, 1), end - 1, end, file.n - 1 };
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		file_put(&file, file.p, cuts[i]);
		enum verify_result result = check(&place);
		if (result != VERIFY_TRUNCATED)
			fprintf(stderr, "cut at %zu: %d\n", cuts[i], result);
		CU_ASSERT_EQUAL(result, VERIFY_TRUNCATED);
	}
	/* The last record zeroed, and then all of them. */
	memcpy(changed, file.p, file.n);
	size_t at = 128, next;
	while ((next = at + word(file.p + at + 4)) < end)
		at = next;
	memset(changed + at, 0, file.n - at);
	file_put(&file, changed, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_TRUNCATED);
	memset(changed, 0, file.n);
	file_put(&file, changed, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_TRUNCATED);
	/* The last segment, and the one made ahead behind it, gone. */
	CU_ASSERT_EQUAL(sscanf(strrchr(file.path, '/'), "/lane-03-%u", &number), 1);
	snprintf(name, sizeof(name), "lane-03-%010u.seg", number + 1);
	snprintf(path, sizeof(path), "%s/%s", place.folder, name);
	unlink(path);
	unlink(file.path);
	CU_ASSERT_EQUAL(check(&place), VERIFY_MISSING);
	file_restore(&file);
	CU_ASSERT_EQUAL(check(&place), VERIFY_OK);
	free(changed);
	place_free(&place);
}

static void dropped_seals_are_noticed_by_records_and_by_an_anchor(void)
{
	struct place place = written_place();
	struct verify_report whole, report;
	struct file seals = file_get(&place, "seals-0000000002.log");
	struct verify_options options = { 0 };

	CU_ASSERT_EQUAL(check_with(&place, options, &whole), VERIFY_OK);
	/* All but the first seal of the second start: later records name later seals. */
	file_put(&seals, seals.p, word(seals.p + 4));
	CU_ASSERT_EQUAL(check(&place), VERIFY_BAD_SEAL);
	/* The newest one: only who knows it can tell. */
	size_t at = 0, last = 0;
	while (at + 200 <= seals.n) {
		if (word(seals.p + at) == 0) {
			at = (at / 4096 + 1) * 4096;
			continue;
		}
		last = at;
		at += word(seals.p + at + 4);
	}
	file_put(&seals, seals.p, last);
	options.from_seal = whole.last_seal;
	options.from_hash = whole.last_seal_hash;
	CU_ASSERT_EQUAL(check_with(&place, options, &report), VERIFY_TRUNCATED);
	file_restore(&seals);
	CU_ASSERT_EQUAL(check_with(&place, options, &report), VERIFY_OK);
	CU_ASSERT_EQUAL(report.n_records, 0);
	options.from_seal = 3;
	options.from_hash = NULL;
	CU_ASSERT_EQUAL(check_with(&place, options, &report), VERIFY_OK);
	CU_ASSERT(report.n_records > 0 && report.n_records < whole.n_records);
	options.from_hash = whole.last_seal_hash;
	CU_ASSERT_EQUAL(check_with(&place, options, &report), VERIFY_BAD_SEAL);
	options = (struct verify_options){ .key = whole.last_seal_hash };
	CU_ASSERT_EQUAL(check_with(&place, options, &report), VERIFY_BAD_SEAL);
	options.key = whole.key;
	CU_ASSERT_EQUAL(check_with(&place, options, &report), VERIFY_OK);
	/* It is the key that the server has published. */
	char path[120], text[65];
	uint8_t key[32];
	snprintf(path, sizeof(path), "%s.pub", place.key);
	int fd = open(path, O_RDONLY);
	CU_ASSERT_EQUAL(read(fd, text, sizeof(text)), (ssize_t)sizeof(text));
	close(fd);
	CU_ASSERT(bytes_unhex((struct bytes){ text, 64 }, key, 32));
	CU_ASSERT(memcmp(key, whole.key, 32) == 0);
	place_free(&place);
}

static void garbage_behind_the_last_record_is_a_torn_tail(void)
{
	struct place place = written_place();
	struct file file = last_segment(&place, 1);
	size_t end = data_end(&file);

	/* In a journal that was closed in order even one byte. */
	file.p[end + 40] = 1;
	file_put(&file, file.p, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_TORN);
	file.p[end] = 1;
	file_put(&file, file.p, file.n);
	CU_ASSERT_EQUAL(check(&place), VERIFY_TORN);
	file.p[end] = file.p[end + 40] = 0;
	if (end + 3000 < file.n) {
		file.p[end + 2000] = 1;
		file_put(&file, file.p, file.n);
		CU_ASSERT_EQUAL(check(&place), VERIFY_TORN);
		file.p[end + 2000] = 0;
	}
	file_restore(&file);

	struct file seals = file_get(&place, "seals-0000000002.log");
	uint8_t *longer = calloc(1, seals.n + 100000);
	memcpy(longer, seals.p, seals.n);
	longer[seals.n + 90000] = 1;
	file_put(&seals, longer, seals.n + 100000);
	CU_ASSERT_EQUAL(check(&place), VERIFY_TORN);
	free(longer);
	file_restore(&seals);
	place_free(&place);
}

static void a_break_names_its_place_and_neighbours(void)
{
	struct place place = written_place();
	struct file file = file_get(&place, "lane-01-0000000001.seg");
	struct verify_report report;
	size_t at = record_at(&file, 20), after = record_at(&file, 21);

	file.p[at + 50] ^= 4;
	file_put(&file, file.p, file.n);
	CU_ASSERT_EQUAL(check_with(&place, (struct verify_options){ 0 }, &report), VERIFY_TAMPERED);
	CU_ASSERT(report.lane == 1 && report.seq == 21 && report.offset == at && report.seal > 0);
	CU_ASSERT_STRING_EQUAL(report.file, "lane-01-0000000001.seg");
	CU_ASSERT(report.before.is_there && report.before.seq == 20);
	CU_ASSERT(report.after.is_there && report.after.seq == 22 && report.after.offset == after);
	file.p[at + 50] ^= 4;
	file_restore(&file);
	place_free(&place);
}

static void an_empty_folder_is_no_journal(void)
{
	struct place place = place_new();

	CU_ASSERT_EQUAL(check(&place), VERIFY_UNREADABLE);
	CU_ASSERT_EQUAL(mkdir(place.folder, 0700), 0);
	CU_ASSERT_EQUAL(check(&place), VERIFY_MISSING);
	place_free(&place);
}

static void append_for_ever(const struct place *place)
{
	struct audit *audit = open_journal(place);

	for (unsigned i = 0;; i++)
		append(audit, i % 3, i);
}

static void after_a_kill_the_journal_is_whole_before_and_after_recovery(void)
{
	struct place place = place_new();
	struct verify_report report;

	srand(7);
	for (unsigned i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (pid == 0)
			append_for_ever(&place);
		usleep(3000 + (unsigned)rand() % 40000);
		kill(pid, SIGKILL);
		int status;
		CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		if (access(place.folder, F_OK) != 0)
			continue;
		enum verify_result result =
			check_with(&place, (struct verify_options){ 0 }, &report);
		if (result != VERIFY_OK && result != VERIFY_MISSING)
			fprintf(stderr, "kill %u: %d %s, %s byte %llu\n", i, result, report.what,
				report.file, (unsigned long long)report.offset);
		CU_ASSERT(result == VERIFY_OK || (result == VERIFY_MISSING && report.n_lanes == 0));
	}
	audit_close(open_journal(&place));
	CU_ASSERT_EQUAL(check_with(&place, (struct verify_options){ 0 }, &report), VERIFY_OK);
	CU_ASSERT(report.n_records == report.n_sealed && report.n_records > 1000);
	place_free(&place);
}

/* A few thousand records a second. A writer that is faster than its verifier makes each run longer
 * than the one before by a factor, and 25 runs never end under sanitizers. */
static void append_at_leisure(const struct place *place)
{
	struct audit *audit = open_journal(place);

	for (unsigned i = 0;; i++) {
		append(audit, i % 3, i);
		if (i % 8 == 0)
			usleep(1000);
	}
}

static void a_running_server_does_not_look_broken(void)
{
	struct place place = place_new();
	struct verify_report report = { 0 };
	uint64_t n_before = 0;
	unsigned n_grown = 0;

	pid_t pid = fork();
	if (pid == 0)
		append_at_leisure(&place);
	for (unsigned i = 0; i < 5000 && n_grown < 25; i++) {
		enum verify_result result =
			check_with(&place, (struct verify_options){ 0 }, &report);
		if (report.n_lanes == 0) {
			usleep(5000); /* it is still about to make its folder */
			continue;
		}
		if (result != VERIFY_OK)
			fprintf(stderr, "run %u: %d %s, %s byte %llu\n", i, result, report.what,
				report.file, (unsigned long long)report.offset);
		CU_ASSERT_EQUAL(result, VERIFY_OK);
		if (report.n_records > n_before)
			n_grown++;
		else
			usleep(1000); /* it waits for its disk */
		n_before = report.n_records;
	}
	CU_ASSERT_EQUAL(n_grown, 25);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	place_free(&place);
}

static const struct unit_test tests[] = {
	UNIT(an_untouched_journal_is_whole),
	UNIT(every_flipped_bit_of_a_record_is_tampering),
	UNIT(every_flipped_bit_of_a_seal_is_a_bad_seal),
	UNIT(a_record_that_was_hashed_anew_with_all_behind_it_is_tampering),
	UNIT(records_in_another_order_are_a_gap),
	UNIT(segments_in_another_place_are_a_gap_and_lost_ones_are_missing),
	UNIT(a_lane_that_ends_before_its_seal_is_truncated_or_missing),
	UNIT(dropped_seals_are_noticed_by_records_and_by_an_anchor),
	UNIT(garbage_behind_the_last_record_is_a_torn_tail),
	UNIT(a_break_names_its_place_and_neighbours),
	UNIT(an_empty_folder_is_no_journal),
	UNIT(a_running_server_does_not_look_broken),
	UNIT(after_a_kill_the_journal_is_whole_before_and_after_recovery),
};

UNIT_MAIN("verify", tests)
