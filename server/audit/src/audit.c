#include "audit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "journal.h"

#define SEGMENT_BYTES_MIN        (64u << 10)
#define SEAL_INTERVAL_MS_DEFAULT 50

static int system_allocate(int fd, size_t n_bytes)
{
	int result;

	do
		result = fallocate(fd, 0, 0, (off_t)n_bytes);
	while (result != 0 && errno == EINTR);
	/* A file system without it: what cannot be reserved may end in SIGBUS, so take it by
	 * writing. */
	if (result != 0 && errno == EOPNOTSUPP) {
		errno = posix_fallocate(fd, 0, (off_t)n_bytes);
		result = errno == 0 ? 0 : -1;
	}
	return result;
}

static int system_sync(int fd)
{
	return fdatasync(fd);
}

/* The kernel's name for this boot: monotonic times compare only within it. */
static void read_boot_id(uint8_t out[16])
{
	char text[37] = "", digits[32];
	size_t n = 0;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, 36) != 36)
			text[0] = 0;
		close(fd);
	}
	for (size_t i = 0; i < sizeof(text) && n < 32; i++)
		if (text[i] != '-' && text[i] != 0)
			digits[n++] = text[i];
	if (n != 32 || !bytes_unhex((struct bytes){ digits, 32 }, out, 16))
		memset(out, 0, 16);
}

static int new_journal(const struct audit_config *config, struct audit **ret, struct err *err)
{
	struct audit *audit = calloc(1, sizeof(*audit));

	if (!audit)
		return ERR_SET(err, ERR_NOMEM, "no memory for the journal");
	audit->folder = audit->seal_fd = audit->wake_fd = -1;
	audit->os = (struct audit_os){ .sync = system_sync, .allocate = system_allocate };
	if (config->os && config->os->sync)
		audit->os.sync = config->os->sync;
	if (config->os && config->os->allocate)
		audit->os.allocate = config->os->allocate;
	audit->segment_bytes = config->segment_bytes ? config->segment_bytes : AUDIT_SEGMENT_BYTES;
	audit->segment_bytes =
		(audit->segment_bytes + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
	audit->seal_interval_ms =
		config->seal_interval_ms ? config->seal_interval_ms : SEAL_INTERVAL_MS_DEFAULT;
	audit->n_lanes = config->n_lanes;
	read_boot_id(audit->boot_id);
	pthread_mutex_init(&audit->shared_lock, NULL);
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct audit_lane *lane = &audit->lanes[i];
		lane->audit = audit;
		lane->id = i;
		lane->is_active = i <= config->n_lanes;
		pthread_mutex_init(&lane->make_lock, NULL);
	}
	*ret = audit;
	return 0;
}

static void free_journal(struct audit *audit)
{
	if (!audit)
		return;
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct audit_lane *lane = &audit->lanes[i];
		while (lane->oldest) {
			struct segment *next = atomic_load(&lane->oldest->next);
			segment_free(lane->oldest);
			lane->oldest = next;
		}
		pthread_mutex_destroy(&lane->make_lock);
	}
	sealer_close_file(audit);
	if (audit->wake_fd >= 0)
		close(audit->wake_fd);
	if (audit->folder >= 0)
		close(audit->folder);
	pthread_mutex_destroy(&audit->shared_lock);
	sign_key_fini(&audit->key);
	free(audit);
}

DEFER_DEFINE(struct audit *, free_journal)

/* Puts the public key beside the secret one, for whoever verifies: it is not secret, and no start
 * depends on it. */
static void publish_key(const char *key_path, const struct sign_key *key)
{
	char path[PATH_MAX], text[2 * SIGN_PUBLIC_BYTES + 1];

	if (snprintf(path, sizeof(path), "%s.pub", key_path) >= (int)sizeof(path))
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	bytes_hex((struct bytes){ (const char *)key->public_key, SIGN_PUBLIC_BYTES }, text);
	text[sizeof(text) - 1] = '\n';
	bool written = write(fd, text, sizeof(text)) == (ssize_t)sizeof(text);
	close(fd);
	if (!written)
		unlink(path);
}

static int open_folder(struct audit *audit, const struct audit_config *config, struct err *err)
{
	assert(audit);
	if (mkdir(config->folder, 0700) != 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot create %s", config->folder);
	audit->folder = open(config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (audit->folder < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", config->folder);
	/* The data folder's lock keeps a second server out; this one keeps out everybody else. */
	if (flock(audit->folder, LOCK_EX | LOCK_NB) != 0)
		return ERR_SET(err, ERR_STATE, "%s is in use by another process", config->folder);
	audit->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (audit->wake_fd < 0)
		return ERR_SET(err, ERR_IO, "no eventfd for the sealer");
	if (sign_key_open(config->key_path, &audit->key, err) != 0)
		return -1;
	publish_key(config->key_path, &audit->key);
	return 0;
}

static int append_torn(struct audit_lane *lane, const char *action, struct bytes object,
	struct bytes reason, uint64_t n_bytes, const uint8_t *hash, struct err *err)
{
	struct audit_record record = {
		.kind = AUDIT_JOURNAL,
		.action = bytes_of(action),
		.actor = BYTES("system"),
		.object = object,
		.reason = reason,
		.n_bytes = n_bytes,
		.digest = hash,
	};

	if (lane_append(lane, &record, NULL) != AUDIT_OK)
		return ERR_SET(err, ERR_IO, "no disk for the journal's first records");
	return 0;
}

/* Cuts what is torn off a lane, gives it a segment when it has none, and tells of the cut. */
static int repair_lane(struct audit_lane *lane, struct scan_tail *tail, struct err *err)
{
	struct audit *audit = lane->audit;
	char object[FILES_NAME_SIZE + 32];

	if (tail->n_bytes > 0) {
		if (scan_cut(lane, tail, err) != 0)
			return -1;
		lane->is_active = true;
	}
	if (!lane->is_active)
		return 0;
	if (!lane->oldest) {
		if (segment_make(audit->folder, lane->id, 1, audit->segment_bytes, &audit->os,
			    &lane->oldest, err) != 0)
			return -1;
		atomic_store(&lane->n_segments, 1);
		lane->current = lane->sealing = lane->oldest;
	}
	if (tail->n_bytes == 0)
		return 0;
	files_name(lane->id, tail->segment->number, object);
	size_t n = strlen(object);
	snprintf(object + n, sizeof(object) - n, " %llu", (unsigned long long)tail->offset);
	return append_torn(lane, "journal.torn-tail", bytes_of(object),
		tail->is_unfinished ? BYTES("unfinished append") : BYTES("bad record"),
		tail->n_bytes, tail->hash, err);
}

/* Removes the files that a kill left half made. */
static void sweep(struct audit *audit)
{
	char name[FILES_NAME_SIZE + 4];

	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		struct segment *newest = audit->lanes[i].current;
		if (!newest)
			continue;
		files_name(i, lane_newest(&audit->lanes[i])->number + 1, name);
		memcpy(name + strlen(name), ".new", 5);
		unlinkat(audit->folder, name, 0);
	}
}

/* First everything is read and judged, then everything is mended: a journal that is refused is left
 * as it was found. */
static int recover(struct audit *audit, struct err *err)
{
	DEFER(files_fini) struct files files = { 0 };
	struct scan_tail tails[JOURNAL_LANES];
	struct seals_tail seals_tail;
	uint64_t seal;

	if (files_list(audit->folder, &files, err) != 0 ||
		seals_read(audit, &files, &seals_tail, err) != 0)
		return -1;
	seal = atomic_load(&audit->seal);
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		if (scan_lane(&audit->lanes[i], &files, seal, &tails[i], err) != 0)
			return -1;

	if (seals_cut(audit, &seals_tail, err) != 0)
		return -1;
	for (unsigned i = 0; i < JOURNAL_LANES; i++)
		if (repair_lane(&audit->lanes[i], &tails[i], err) != 0)
			return -1;
	sweep(audit);
	if (seals_tail.n_bytes == 0)
		return 0;
	return append_torn(&audit->lanes[JOURNAL_SHARED], "journal.torn-seal", BYTES("seals"),
		BYTES("bad seal"), seals_tail.n_bytes, seals_tail.hash, err);
}

static enum audit_result append_own(struct audit *audit, const char *action)
{
	char object[32];
	struct audit_record record = {
		.kind = AUDIT_JOURNAL,
		.actor = BYTES("system"),
		.action = bytes_of(action),
		.worker_pid = (uint32_t)getpid(),
	};

	/* Names the newest seal at this point: one more place that a rolled-back file would have to
	 * fit. */
	snprintf(
		object, sizeof(object), "seal %llu", (unsigned long long)atomic_load(&audit->seal));
	record.object = bytes_of(object);
	return audit_append_shared(audit, &record, NULL);
}

int audit_open(const struct audit_config *config, struct audit **ret, struct err *err)
{
	DEFER(free_journal) struct audit *audit = NULL;

	assert(config->n_lanes > 0 && config->n_lanes <= AUDIT_LANES_MAX);
	assert(config->segment_bytes == 0 || config->segment_bytes >= SEGMENT_BYTES_MIN);
	if (new_journal(config, &audit, err) != 0 || open_folder(audit, config, err) != 0 ||
		recover(audit, err) != 0)
		return -1;
	if (append_own(audit, "journal.start") != AUDIT_OK)
		return ERR_SET(err, ERR_IO, "no disk for the journal's first records");
	if (sealer_start(audit, err) != 0)
		return -1;
	*ret = audit;
	audit = NULL; /* handed over */
	return 0;
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	append_own(audit, "journal.stop");
	sealer_stop(audit);
	free_journal(audit);
}

struct audit_lane *audit_lane(struct audit *audit, unsigned index)
{
	assert(index < audit->n_lanes);
	return &audit->lanes[index + 1];
}

enum audit_result audit_append_shared(
	struct audit *audit, const struct audit_record *record, struct audit_position *ret)
{
	pthread_mutex_lock(&audit->shared_lock);
	enum audit_result result = lane_append(&audit->lanes[JOURNAL_SHARED], record, ret);
	pthread_mutex_unlock(&audit->shared_lock);
	return result;
}

void audit_stats(struct audit *audit, struct audit_stats *ret)
{
	*ret = (struct audit_stats){
		.n_seals = atomic_load(&audit->n_seals),
		.seal = atomic_load(&audit->seal),
		.seal_wall_us = atomic_load(&audit->seal_wall_us),
		.sync_ns_last = atomic_load(&audit->sync_ns_last),
		.sync_ns_max = atomic_load(&audit->sync_ns_max),
		.n_inline_segments = atomic_load(&audit->n_inline_segments),
	};
	for (unsigned i = 0; i < JOURNAL_LANES; i++) {
		ret->n_records +=
			atomic_load_explicit(&audit->lanes[i].n_records, memory_order_relaxed);
		ret->n_bytes +=
			atomic_load_explicit(&audit->lanes[i].n_bytes, memory_order_relaxed);
		ret->n_refused +=
			atomic_load_explicit(&audit->lanes[i].n_refused, memory_order_relaxed);
	}
	if (atomic_load(&audit->state) != AUDIT_OK)
		ret->state = AUDIT_BROKEN;
	else if (atomic_load(&audit->is_full))
		ret->state = AUDIT_FULL;
	memcpy(ret->public_key, audit->key.public_key, sizeof(ret->public_key));
}

static const char *const kinds[AUDIT_KINDS] = {
	[AUDIT_JOURNAL] = "journal",
	[AUDIT_REQUEST] = "request",
	[AUDIT_FACADE] = "facade",
	[AUDIT_LIFECYCLE] = "lifecycle",
	[AUDIT_ADMIN] = "admin",
	[AUDIT_AUTH] = "auth",
	[AUDIT_SANDBOX] = "sandbox",
	[AUDIT_VERIFY] = "verify",
};

const char *audit_kind_name(unsigned kind)
{
	return kind > 0 && kind < AUDIT_KINDS ? kinds[kind] : "unknown";
}

unsigned audit_kind_parse(struct bytes word)
{
	for (unsigned kind = 1; kind < AUDIT_KINDS; kind++)
		if (bytes_eq_string(word, kinds[kind]))
			return kind;
	return 0;
}
