/*
 * file.h - one tenant's files: staged while they arrive, placed when their record stands, read back
 *
 *   files/.staging/<name>                         arriving, or waiting for its record's commit
 *   files/<collection id>/<record id>/<name>      what a committed record names
 *
 * The database is the truth, the folder follows it. Whoever holds the records writes down, in the
 * record's own transaction, what has to be done to the folder (acts), and hands the acts over after
 * the commit. A crash in between leaves the list: at the next opening it is done again, which is
 * harmless, because a stored name is drawn at random and never used twice. What is staged and not
 * placed by then belongs to nobody and is swept away.
 *
 * Every name is one path component that was checked, opened below its folder's descriptor without
 * following links: no path of a client's, and no link that somebody planted, leads anywhere.
 *
 * Threads: file_store_open, sweep and do from threads that may block; all else on a loop, and
 *          answered there. Disk work runs on the executor's file lane.
 * Memory:  a store lives until it is closed and the last stage and act are over.
 */
#ifndef FILE_FILE_H
#define FILE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "executor.h"
#include "file_name.h"
#include "loop.h"

struct file_store;

struct file_config {
	const char *folder; /* made when absent, 0700 */
	struct executor *executor;
	uint64_t limit_bytes; /* of all files together; 0: none */
};

/* Blocking. Returns 0 and a store to close, or -1 (ERR_IO, ERR_NOMEM). */
int file_store_open(const struct file_config *config, struct file_store **ret, struct err *err);
/* Takes NULL. What was handed over is still done. */
void file_store_close(struct file_store *store);
/* Throws away what is staged: before the first stage, after the acts that a crash left were done.
 * Blocking; large folders go on being emptied in the background. */
int file_store_sweep(struct file_store *store, struct err *err);
uint64_t file_store_limit(const struct file_store *store);

/* ---- acts: what a transaction means for the folder ---- */
enum file_act_kind {
	FILE_PLACE,  /* a staged file becomes its record's */
	FILE_REMOVE, /* a file goes, placed or still staged */
	FILE_DROP    /* a collection's folder goes with all that is in it; record and name are "" */
};

struct file_act {
	enum file_act_kind kind;
	struct bytes collection, record, name;
};

/* Does an act; doing it again changes nothing. Blocking. Returns 0, or -1 (ERR_IO). */
int file_act_do(struct file_store *store, const struct file_act *act, struct err *err);

/* A list of them, with the numbers that they have in the caller's own log. */
struct file_acts;
/* Adds a copy; *list is made by the first. False when there is no memory. */
bool file_acts_add(struct file_acts **list, int64_t number, const struct file_act *act);
/* Takes NULL. */
void file_acts_free(struct file_acts *list);

/* The transaction stands: does the list, later, and takes it over (NULL: nothing to do). Once it is
 * done its numbers can be taken out of the log, see below; an act that fails, or finds no room in
 * the lane, stays there for the next opening. */
void file_store_act(struct file_store *store, struct file_acts *list);

/* Numbers first to last of the log that are done. Takes up to n of them out; gives back those that
 * could not be deleted after all. Any thread. */
struct file_done {
	int64_t first, last;
};
size_t file_store_take_done(struct file_store *store, struct file_done *out, size_t n);
void file_store_give_done(struct file_store *store, const struct file_done *done, size_t n);

/* ---- staging: a file that arrives ---- */
struct file_stage;

enum file_outcome {
	FILE_OK,
	FILE_NONE, /* there is no such file */
	FILE_FULL, /* the disk, or the tenant's limit */
	FILE_BUSY, /* too much is going on: try again */
	FILE_FAULT /* see err */
};

#define FILE_ORIGINAL_MAX 255 /* bytes that are kept of what the client calls a file */

/* original is the client's name for it; more than max_bytes are counted, but not kept. NULL when
 * there is no memory. */
struct file_stage *file_stage_new(
	struct file_store *store, struct loop *loop, struct bytes original, uint64_t max_bytes);
/* Takes bytes of the file into the stage's buffer. Returns how many; a few (FILE_STAGE_FEW) are
 * taken whole as long as it is not full. */
#define FILE_STAGE_FEW 128
size_t file_stage_add(struct file_stage *stage, struct bytes data);
/* A flush has to come before anything more is added. */
bool file_stage_is_full(const struct file_stage *stage);
/* Writes the buffer out; is_last: the file is whole, and on the disk when done is called, later, on
 * the loop. Nothing may be added before that. */
void file_stage_flush(struct file_stage *stage, bool is_last,
	void (*done)(struct file_stage *stage, enum file_outcome outcome, void *context),
	void *context);
/* Ends the stage, also in the middle of a flush (whose done is then not called). The file goes,
 * unless its record stands. Takes NULL. */
void file_stage_free(struct file_stage *stage);
/* Its record's transaction stands, and an act places it. */
void file_stage_keep(struct file_stage *stage);

/* After the last flush: the stored name, terminated; what the client called it; what it is. */
const char *file_stage_name(const struct file_stage *stage);
struct bytes file_stage_original(const struct file_stage *stage);
const char *file_stage_type(const struct file_stage *stage);
uint64_t file_stage_bytes(const struct file_stage *stage);
const struct err *file_stage_err(const struct file_stage *stage);

/* ---- reading ---- */
struct file_get {
	struct file_store *store;
	struct bytes collection, record, name;
	struct loop *loop;
	void (*done)(struct file_get *get); /* on loop */
	void *context;

	enum file_outcome outcome;
	int fd; /* of FILE_OK: the caller's to close. Read-ahead of its beginning is under way */
	uint64_t n_bytes;
	int64_t modified_s;
	uint32_t modified_ns;
	const char *type; /* what its first bytes say */
	struct err err;

	/* the module's own */
	struct executor_job job;
	struct loop_message message;
};

/* done is always called, later. The store stays open until then. */
void file_get(struct file_get *get);

DEFER_DEFINE(struct file_store *, file_store_close)
DEFER_DEFINE(struct file_acts *, file_acts_free)

#endif
