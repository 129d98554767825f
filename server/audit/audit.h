/*
 * audit.h - the journal: what happened, who did it, what was decided, provable afterwards
 *
 * Each appending thread has a lane of its own: a series of mapped, preallocated files with one
 * writer, so an append is a copy, a hash and one release store, with no lock, no allocation and no
 * system call. Each record's hash covers the one before it. A thread of the journal's own, the
 * sealer, makes what was appended durable (fdatasync) and signs the heads of all lanes, at most
 * seal_interval_ms apart; what it sealed cannot be changed, cut, swapped or dropped without
 * tenon-verify saying where.
 *
 * A record is in the journal, and survives a kill -9, when audit_append() returns. It survives a
 * power cut once sealed or synced: acts that must not be acknowledged before (administrative ones,
 * deployments) wait for audit_sync(). The bytes on disk are described in docs/journal.md.
 *
 * Never put into a record: bodies, tokens, passwords, keys, e-mail addresses. Actors are ids.
 *
 * Threads: a lane belongs to the first thread that appends to it, which is checked. Everything that
 *          takes the journal itself may be called from any thread, but open and close.
 * Memory:  a lane has its current segment and the next one mapped, and of them resident what was
 *          written in the last seal_interval_ms and room for about as much: 0.2 to 3 MiB.
 */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"

#define AUDIT_LANES_MAX     31 /* that a caller may ask for; the journal has one more of its own */
#define AUDIT_SEGMENT_BYTES (64u << 20)
#define AUDIT_HASH_BYTES    32

struct audit;
struct audit_lane;

enum audit_kind {
	AUDIT_JOURNAL = 1, /* the journal's own: start, stop, torn tail */
	AUDIT_REQUEST,     /* closes one call: one for each request that was admitted or refused */
	AUDIT_FACADE,      /* one facade call of a plugin, denials too */
	AUDIT_LIFECYCLE,   /* deploy, load, ready, drain, exit, kill (signal and system call in
			      reason) */
	AUDIT_ADMIN,       /* an operator's or superuser's act: tenants, grants, settings, schema */
	AUDIT_AUTH,        /* sign-in, refusal, token, session */
	AUDIT_SANDBOX,     /* sandbox level, violation, poisoned ring */
	AUDIT_VERIFY,      /* a verification was run, with its result in status */
	AUDIT_KINDS
};

enum audit_decision {
	AUDIT_UNDECIDED, /* nothing was to be decided */
	AUDIT_ALLOWED,
	AUDIT_DENIED
};

enum audit_phase {
	AUDIT_WHOLE,  /* this record tells all */
	AUDIT_INTENT, /* the act follows, and then a record with AUDIT_OUTCOME and the same trace
			 and action */
	AUDIT_OUTCOME
};

/* What a text may have, in bytes; what is longer is cut at a character and the record says so. */
#define AUDIT_TENANT_MAX     64
#define AUDIT_PLUGIN_MAX     128
#define AUDIT_ACTOR_MAX      160
#define AUDIT_ADDRESS_MAX    45 /* of an IP address as text; a longer one is left out */
#define AUDIT_ACTION_MAX     64
#define AUDIT_OBJECT_MAX     512
#define AUDIT_REASON_MAX     256

#define AUDIT_ARTIFACT_BYTES 8 /* of the artifact's SHA-256 */

/* One record. Zero, NULL and empty mean "has none" and take no room. Time, lane and number are the
 * journal's to add. All memory is the caller's and is only read. */
struct audit_record {
	enum audit_kind kind;
	enum audit_decision decision;
	enum audit_phase phase;
	uint16_t status;     /* the HTTP status answered, or the plugin ABI's status code */
	uint32_t generation; /* of the plugin's deployment */
	uint32_t worker_pid;
	uint64_t duration_ns;
	uint64_t n_rows;
	uint64_t n_bytes;
	const uint8_t *trace;    /* ID_TRACE_BYTES */
	const uint8_t *artifact; /* AUDIT_ARTIFACT_BYTES: the start of the artifact's SHA-256 */
	const uint8_t *digest;   /* AUDIT_HASH_BYTES: SHA-256 of the call's arguments */
	struct bytes tenant;     /* its name */
	struct bytes plugin;     /* its id */
	struct bytes actor;   /* "user:users/0123456789abcde", "operator:1", "plugin:order-rules",
				 "system" */
	struct bytes action;  /* "record.create", "db.query", "http.fetch", "plugin.deploy",
				 "auth.password" */
	struct bytes object;  /* "orders/0123456789abcde", "GET https://api.example.com/v1" without
				 query */
	struct bytes reason;  /* the rule or limit that decided, or what failed */
	struct bytes address; /* the client's, as text */
};

enum audit_result {
	AUDIT_OK,
	AUDIT_FULL,  /* no disk left for requests and facade calls: refuse them, 503 */
	AUDIT_BROKEN /* the disk failed: nothing may be acknowledged until the server is started
			again */
};

/* For tests of a failing disk; NULL members are the system's own. Each returns 0 or -1 with errno.
 */
struct audit_os {
	int (*sync)(int fd);
	int (*allocate)(int fd, size_t n_bytes);
};

struct audit_config {
	const char *folder;   /* data/audit, created when absent (0700); its parent must exist */
	const char *key_path; /* data/keys/audit-seal.key, created when absent, with its public half
				 .pub */
	unsigned n_lanes;     /* 1 to AUDIT_LANES_MAX */
	size_t segment_bytes; /* 0: AUDIT_SEGMENT_BYTES; at least 64 KiB, up to whole pages */
	unsigned seal_interval_ms; /* 0: 50 */
	const struct audit_os *os; /* NULL: the system's */
};

/* Opens the journal: checks the last seal, recovers each lane (what is torn is cut and a record
 * says how many bytes and their hash), appends a start record and starts the sealer. The folder
 * must be this process's alone: the data folder's lock sees to that. Returns 0 and a journal to
 * close, or -1: ERR_IO, ERR_NOMEM, ERR_INVALID (key file), or ERR_CORRUPT when sealed records are
 * missing or changed. Then nothing is written: run tenon-verify, and move the folder aside to start
 * a new journal. */
int audit_open(const struct audit_config *config, struct audit **ret, struct err *err);

/* Appends a stop record, seals, ends the sealer and frees everything. No thread may append any
 * more. Takes NULL. */
void audit_close(struct audit *audit);

/* The caller's lane number index, less than n_lanes. Borrowed. */
struct audit_lane *audit_lane(struct audit *audit, unsigned index);

/* The number of a record: its lane, and its place in it counted from 1. */
struct audit_position {
	uint32_t lane;
	uint64_t seq;
};

/* Appends a record; about 0.4 µs. ret may be NULL. AUDIT_FULL comes for kinds REQUEST and FACADE
 * first; a quarter of the last segment is kept for all the others. */
enum audit_result audit_append(
	struct audit_lane *lane, const struct audit_record *record, struct audit_position *ret);

/* Appends to the journal's own lane, from any thread, under a lock: for rare acts of threads that
 * have no lane (commands, start, the executor). */
enum audit_result audit_append_shared(
	struct audit *audit, const struct audit_record *record, struct audit_position *ret);

/* Whether work that will be audited may begin: with the disk full, AUDIT_FULL while half of the
 * last segment is still left, so that what has begun can be closed. A few loads; the lane's own
 * thread asks it when it admits a request. */
enum audit_result audit_ready(const struct audit_lane *lane);

/* A wait for durability. Zero it, set done, and keep it alive until done was called. */
struct audit_wait {
	void (*done)(struct audit_wait *wait, enum audit_result result);
	struct audit_wait *next;       /* private */
	const struct audit_lane *lane; /* private */
};

/* Calls wait->done(wait, result) once everything that this thread had appended to lane is on disk
 * (AUDIT_OK) or never will be (AUDIT_BROKEN). The call is made on the sealer's thread and must not
 * block: post it to your loop. Every wait is answered, the last ones by audit_close(). */
void audit_sync(struct audit_lane *lane, struct audit_wait *wait);
/* As above for what went through audit_append_shared() before. */
void audit_sync_shared(struct audit *audit, struct audit_wait *wait);

struct audit_stats {
	uint64_t n_records;    /* appended since the start */
	uint64_t n_bytes;      /* of them, in the files */
	uint64_t n_refused;    /* appends answered AUDIT_FULL or AUDIT_BROKEN */
	uint64_t n_seals;      /* since the start */
	uint64_t seal;         /* number of the newest seal */
	int64_t seal_wall_us;  /* when it was signed; 0: none since the start */
	uint64_t sync_ns_last; /* the last fdatasync round */
	uint64_t sync_ns_max;
	uint64_t n_inline_segments; /* segments that an appending thread had to make itself: disk
				       too slow */
	enum audit_result state;
	uint8_t public_key[32]; /* that seals verify under: give it to whoever verifies */
};

/* A snapshot of counters for /metrics. */
void audit_stats(struct audit *audit, struct audit_stats *ret);

/* The kind as its word in JSON, for example "facade". "unknown" for a number that is none. */
const char *audit_kind_name(unsigned kind);
/* The kind of a word, or 0. */
unsigned audit_kind_parse(struct bytes word);

DEFER_DEFINE(struct audit *, audit_close)

#endif
