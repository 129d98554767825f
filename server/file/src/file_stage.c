/*
 * A file on its way in: bytes gather in a buffer on the loop, and the file lane writes them out.
 * The file is made by the first flush, when its first bytes have told what it is; what is free'd
 * before its record stands is unlinked.
 */
#include "store.h"

#include "file_type.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (128 * 1024)

struct file_stage {
	struct executor_job job;
	struct loop_message message;
	struct file_store *store;
	struct loop *loop;
	void (*done)(struct file_stage *stage, enum file_outcome outcome, void *context);
	void *context;
	enum file_outcome outcome;
	struct err err;
	struct bytes_buf buffer;
	uint64_t n_bytes, n_written, max_bytes;
	int fd;
	bool is_made, is_last, is_flushing, is_dropped, is_kept;
	bool is_short; /* the buffer found no memory */
	const char *type;
	char random[ID_RECORD_BYTES + 1 + ID_RECORD_BYTES + 1];
	char original[FILE_ORIGINAL_MAX + 1];
	char name[FILE_NAME_MAX + 1];
};

struct file_stage *file_stage_new(
	struct file_store *store, struct loop *loop, struct bytes original, uint64_t max_bytes)
{
	struct file_stage *stage = calloc(1, sizeof *stage);

	if (!stage)
		return NULL;
	stage->store = store_ref(store);
	stage->loop = loop;
	stage->fd = -1;
	stage->max_bytes = max_bytes;
	stage->type = "application/octet-stream";
	bytes_buf_init(&stage->buffer, BUFFER_BYTES + FILE_STAGE_FEW);
	(void)bytes_to_string(original, stage->original, sizeof stage->original);
	id_record(loop_ids(loop), stage->random);
	id_record(loop_ids(loop), stage->random + FILE_NAME_RANDOM);
	return stage;
}

size_t file_stage_add(struct file_stage *stage, struct bytes data)
{
	assert(!stage->is_flushing && stage->buffer.n < BUFFER_BYTES);
	size_t room = BUFFER_BYTES - stage->buffer.n;

	if (stage->n_bytes + data.n > stage->max_bytes) {
		/* Too large whatever follows: it is only counted. */
		stage->n_bytes += data.n;
		bytes_buf_clear(&stage->buffer);
		return data.n;
	}
	if (data.n > room && data.n > FILE_STAGE_FEW)
		data.n = room;
	if (!bytes_buf_append(&stage->buffer, data)) {
		stage->is_short = true;
		return data.n; /* lost, and the flush says so */
	}
	stage->n_bytes += data.n;
	return data.n;
}

bool file_stage_is_full(const struct file_stage *stage)
{
	return stage->buffer.n >= BUFFER_BYTES || stage->is_short;
}

/* ---- on the file lane ---- */

static enum file_outcome outcome_of(struct file_stage *stage)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return FILE_FULL;
	if (errno == EMFILE || errno == ENFILE)
		return FILE_BUSY;
	(void)ERR_SET(&stage->err, ERR_IO, "cannot write the file %s", stage->name);
	return FILE_FAULT;
}

static enum file_outcome make(struct file_stage *stage)
{
	stage->type = file_type_of(bytes_buf_view(&stage->buffer));
	file_name_make(bytes_of(stage->original), file_type_extension(stage->type), stage->random,
		stage->name);
	stage->fd = openat(stage->store->staging_fd, stage->name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (stage->fd < 0)
		return outcome_of(stage);
	stage->is_made = true;
	return FILE_OK;
}

static enum file_outcome write_out(struct file_stage *stage)
{
	struct bytes left = bytes_buf_view(&stage->buffer);

	if (!store_charge(stage->store, left.n))
		return FILE_FULL;
	stage->n_written += left.n;
	while (left.n) {
		ssize_t n = write(stage->fd, left.p, left.n);
		if (n < 0 && errno != EINTR)
			return outcome_of(stage);
		if (n > 0)
			left = (struct bytes){ left.p + n, left.n - (size_t)n };
	}
	return FILE_OK;
}

static enum file_outcome flush(struct file_stage *stage)
{
	enum file_outcome outcome = stage->is_made ? FILE_OK : make(stage);

	if (outcome == FILE_OK)
		outcome = write_out(stage);
	if (outcome != FILE_OK || !stage->is_last)
		return outcome;
	/* Bytes and name have to be there before a record is committed that names them. */
	if (fsync(stage->fd) < 0 || fsync(stage->store->staging_fd) < 0)
		return outcome_of(stage);
	close(stage->fd);
	stage->fd = -1;
	return FILE_OK;
}

static void deliver_flushed(struct loop_message *message)
{
	struct file_stage *stage =
		(struct file_stage *)(void *)((char *)message -
					      offsetof(struct file_stage, message));

	stage->is_flushing = false;
	if (stage->is_dropped) {
		file_stage_free(stage);
		return;
	}
	bytes_buf_clear(&stage->buffer);
	if (stage->is_last)
		bytes_buf_fini(&stage->buffer);
	stage->done(stage, stage->outcome, stage->context);
}

static void run_flush(struct executor_job *job)
{
	struct file_stage *stage = (struct file_stage *)(void *)job;

	stage->outcome = flush(stage);
	loop_post(stage->loop, &stage->message);
}

void file_stage_flush(struct file_stage *stage, bool is_last,
	void (*done)(struct file_stage *stage, enum file_outcome outcome, void *context),
	void *context)
{
	assert(!stage->is_flushing);
	stage->is_flushing = true;
	stage->is_last = is_last;
	stage->done = done;
	stage->context = context;
	stage->message.deliver = deliver_flushed;
	stage->job.run = run_flush;
	stage->outcome = FILE_OK;
	/* Of a file that is too large nothing more is written; it still needs a name to be refused
	 * by. */
	if (!stage->name[0] && stage->n_bytes > stage->max_bytes)
		file_name_make(bytes_of(stage->original), "", stage->random, stage->name);
	if (stage->n_bytes <= stage->max_bytes) {
		if (!stage->is_short && executor_submit(stage->store->executor, EXECUTOR_FILE,
						&stage->job) == EXECUTOR_OK)
			return;
		stage->outcome = FILE_BUSY;
	}
	loop_post(stage->loop, &stage->message);
}

/* ---- the end ---- */

static void run_drop(struct executor_job *job)
{
	struct file_stage *stage = (struct file_stage *)(void *)job;
	struct file_store *store = stage->store;

	if (stage->fd >= 0)
		close(stage->fd);
	if (stage->is_made && !stage->is_kept) {
		(void)unlinkat(store->staging_fd, stage->name, 0);
		store_give_staged(store, stage->n_written);
	}
	bytes_buf_fini(&stage->buffer);
	free(stage);
	file_store_close(store);
}

void file_stage_free(struct file_stage *stage)
{
	if (!stage)
		return;
	if (stage->is_flushing) {
		stage->is_dropped = true; /* and freed when the flush is over */
		return;
	}
	stage->job.run = run_drop;
	/* A full lane must not leave a file behind: then it is unlinked here and now. */
	if (!stage->is_made || stage->is_kept ||
		executor_submit(stage->store->executor, EXECUTOR_FILE, &stage->job) != EXECUTOR_OK)
		run_drop(&stage->job);
}

void file_stage_keep(struct file_stage *stage)
{
	stage->is_kept = true;
}

const char *file_stage_name(const struct file_stage *stage)
{
	return stage->name;
}

struct bytes file_stage_original(const struct file_stage *stage)
{
	return bytes_of(stage->original);
}

const char *file_stage_type(const struct file_stage *stage)
{
	return stage->type;
}

uint64_t file_stage_bytes(const struct file_stage *stage)
{
	return stage->n_bytes;
}

const struct err *file_stage_err(const struct file_stage *stage)
{
	return &stage->err;
}
