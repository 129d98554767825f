#include "store.h"

#include "file_type.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AHEAD_BYTES (512 * 1024)

static void deliver_got(struct loop_message *message)
{
	struct file_get *get =
		(struct file_get *)(void *)((char *)message - offsetof(struct file_get, message));

	get->done(get);
}

/* O_NONBLOCK: a FIFO that somebody planted must not hold the thread. */
static int open_file(struct file_get *get)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	char name[FILE_NAME_MAX + 1];

	errno = ENOENT;
	if (!file_name_is_component(get->name))
		return -1;
	(void)bytes_to_string(get->name, name, sizeof name);
	int folder = store_record_folder(get->store, get->collection, get->record, false);
	int fd = folder >= 0 ? openat(folder, name, flags) : -1;
	int saved = errno;
	if (folder >= 0)
		close(folder);
	errno = saved;
	/* Between its record's commit and its placing, it is still where it was staged. */
	if (fd < 0 && errno == ENOENT)
		fd = openat(get->store->staging_fd, name, flags);
	if (fd < 0 && errno == ENOENT) { /* placed between the two looks */
		folder = store_record_folder(get->store, get->collection, get->record, false);
		fd = folder >= 0 ? openat(folder, name, flags) : -1;
		saved = errno;
		if (folder >= 0)
			close(folder);
		errno = saved;
	}
	return fd;
}

static enum file_outcome look_at(struct file_get *get)
{
	char head[FILE_TYPE_HEAD];
	struct stat info;

	if (get->fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO)
			return FILE_NONE;
		if (errno == EMFILE || errno == ENFILE)
			return FILE_BUSY;
		(void)ERR_SET(&get->err, ERR_IO, "cannot open a file");
		return FILE_FAULT;
	}
	if (get->fd > get->store->most_fd)
		return FILE_BUSY;
	if (fstat(get->fd, &info) < 0 || !S_ISREG(info.st_mode))
		return FILE_NONE;
	ssize_t n = pread(get->fd, head, sizeof head, 0);
	if (n < 0) {
		(void)ERR_SET(&get->err, ERR_IO, "cannot read a file");
		return FILE_FAULT;
	}
	get->n_bytes = (uint64_t)info.st_size;
	get->modified_s = info.st_mtim.tv_sec;
	get->modified_ns = (uint32_t)info.st_mtim.tv_nsec;
	get->type = file_type_of((struct bytes){ head, (size_t)n });
	(void)posix_fadvise(get->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	(void)posix_fadvise(get->fd, 0, READ_AHEAD_BYTES, POSIX_FADV_WILLNEED);
	return FILE_OK;
}

static void run_get(struct executor_job *job)
{
	struct file_get *get =
		(struct file_get *)(void *)((char *)job - offsetof(struct file_get, job));

	get->fd = open_file(get);
	get->outcome = look_at(get);
	if (get->outcome != FILE_OK && get->fd >= 0) {
		close(get->fd);
		get->fd = -1;
	}
	loop_post(get->loop, &get->message);
}

void file_get(struct file_get *get)
{
	get->fd = -1;
	get->err = (struct err){ 0 };
	get->message.deliver = deliver_got;
	get->job.run = run_get;
	if (executor_submit(get->store->executor, EXECUTOR_FILE, &get->job) == EXECUTOR_OK)
		return;
	get->outcome = FILE_BUSY;
	loop_post(get->loop, &get->message);
}
