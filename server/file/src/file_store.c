/*
 * The folder, its descriptors, and what is in it. All paths are made of single checked components,
 * each opened with O_NOFOLLOW below the descriptor of the one before: ".." and links have no place
 * in them.
 */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS_SPARE    96   /* descriptors that reading files leaves to everybody else */
#define EMPTY_BATCH  1000 /* files that one job removes */

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct file_store *store_ref(struct file_store *store)
{
	atomic_fetch_add(&store->n_refs, 1);
	return store;
}

void file_store_close(struct file_store *store)
{
	if (!store || atomic_fetch_sub(&store->n_refs, 1) > 1)
		return;
	if (store->folder_fd >= 0)
		close(store->folder_fd);
	if (store->staging_fd >= 0)
		close(store->staging_fd);
	pthread_mutex_destroy(&store->acting);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

int file_store_open(const struct file_config *config, struct file_store **ret, struct err *err)
{
	DEFER(file_store_close) struct file_store *store = calloc(1, sizeof *store);
	struct rlimit fds;

	if (!store)
		return ERR_SET(err, ERR_NOMEM, "no memory for a tenant's files");
	store->n_refs = 1;
	store->executor = config->executor;
	store->limit_bytes = config->limit_bytes;
	store->folder_fd = store->staging_fd = -1;
	pthread_mutex_init(&store->acting, NULL);
	pthread_mutex_init(&store->lock, NULL);
	store->most_fd = getrlimit(RLIMIT_NOFILE, &fds) == 0 && fds.rlim_cur < INT32_MAX
				 ? (int)fds.rlim_cur - FDS_SPARE
				 : INT32_MAX;
	if (mkdir(config->folder, 0700) < 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot make %s", config->folder);
	store->folder_fd = open(config->folder, FOLDER_FLAGS);
	if (store->folder_fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", config->folder);
	if (mkdirat(store->folder_fd, ".staging", 0700) < 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot make %s/.staging", config->folder);
	store->staging_fd = openat(store->folder_fd, ".staging", FOLDER_FLAGS);
	if (store->staging_fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s/.staging", config->folder);
	*ret = store;
	store = NULL; /* handed over */
	return 0;
}

uint64_t file_store_limit(const struct file_store *store)
{
	return store->limit_bytes;
}

/* ---- paths ---- */

/* The folder of this name below parent, or -1. */
static int open_folder(int parent, struct bytes component, bool make)
{
	char name[FILE_NAME_MAX + 1];

	if (!file_name_is_component(component)) {
		errno = ENOENT;
		return -1;
	}
	(void)bytes_to_string(component, name, sizeof name);
	if (make && mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(parent, name, FOLDER_FLAGS);
}

int store_record_folder(
	struct file_store *store, struct bytes collection, struct bytes record, bool make)
{
	int parent = open_folder(store->folder_fd, collection, make), fd;

	if (parent < 0)
		return -1;
	fd = open_folder(parent, record, make);
	int saved = errno;
	close(parent);
	errno = saved;
	return fd;
}

/* ---- walking ---- */

/* Calls each for every name in the folder but "." and ".."; each returns false to stop. False when
 * it was stopped. */
static bool each_name(
	int folder_fd, bool (*each)(int folder_fd, const char *name, void *context), void *context)
{
	int fd = openat(folder_fd, ".", FOLDER_FLAGS); /* a position of its own */
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	bool goes_on = true;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return true;
	}
	for (struct dirent *entry; goes_on && (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			goes_on = each(dirfd(dir), entry->d_name, context);
	closedir(dir);
	return goes_on;
}

struct measure {
	uint64_t n_bytes;
	unsigned depth;
};

/* Collections, their records, their files: three levels. */
static bool measure_entry(int folder_fd, const char *name, void *context)
{
	struct measure *measure = context;
	struct stat info;

	if (measure->depth == 0 && strcmp(name, ".staging") == 0)
		return true;
	if (fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	if (S_ISREG(info.st_mode))
		measure->n_bytes += (uint64_t)info.st_size;
	if (!S_ISDIR(info.st_mode) || measure->depth == 2)
		return true;
	int fd = openat(folder_fd, name, FOLDER_FLAGS);
	if (fd < 0)
		return true;
	measure->depth++;
	each_name(fd, measure_entry, measure);
	measure->depth--;
	close(fd);
	return true;
}

/* ---- the limit ---- */

bool store_charge(struct file_store *store, uint64_t n_bytes)
{
	bool has_room = true;

	pthread_mutex_lock(&store->lock);
	if (store->limit_bytes && !store->is_measured) {
		/* Others who stage wait for it, as they have to know too. */
		struct measure measure = { 0 };
		each_name(store->folder_fd, measure_entry, &measure);
		store->placed_bytes = measure.n_bytes;
		store->is_measured = true;
	}
	uint64_t used = store->placed_bytes + store->staged_bytes;
	if (store->limit_bytes &&
		(used > store->limit_bytes || n_bytes > store->limit_bytes - used))
		has_room = false;
	else
		store->staged_bytes += n_bytes;
	pthread_mutex_unlock(&store->lock);
	return has_room;
}

void store_give_staged(struct file_store *store, uint64_t n_bytes)
{
	pthread_mutex_lock(&store->lock);
	store->staged_bytes -= n_bytes < store->staged_bytes ? n_bytes : store->staged_bytes;
	pthread_mutex_unlock(&store->lock);
}

void store_count_placed(struct file_store *store, uint64_t n_bytes)
{
	pthread_mutex_lock(&store->lock);
	store->staged_bytes -= n_bytes < store->staged_bytes ? n_bytes : store->staged_bytes;
	store->placed_bytes += n_bytes;
	pthread_mutex_unlock(&store->lock);
}

void store_count_removed(struct file_store *store, uint64_t n_bytes)
{
	pthread_mutex_lock(&store->lock);
	store->placed_bytes -= n_bytes < store->placed_bytes ? n_bytes : store->placed_bytes;
	pthread_mutex_unlock(&store->lock);
}

void store_forget_measure(struct file_store *store)
{
	pthread_mutex_lock(&store->lock);
	store->is_measured = false;
	pthread_mutex_unlock(&store->lock);
}

/* ---- emptying a folder that nobody looks into any more ---- */

struct emptying {
	struct executor_job job;
	struct file_store *store;
	char name[32];
	unsigned n_left;
};

static bool remove_entry(int folder_fd, const char *name, void *context)
{
	struct emptying *emptying = context;

	if (emptying->n_left == 0)
		return false;
	emptying->n_left--;
	if (unlinkat(folder_fd, name, 0) == 0 || errno != EISDIR)
		return true;
	int fd = openat(folder_fd, name, FOLDER_FLAGS);
	if (fd < 0)
		return true;
	bool is_empty = each_name(fd, remove_entry, emptying);
	close(fd);
	(void)unlinkat(folder_fd, name, AT_REMOVEDIR);
	return is_empty;
}

static void run_emptying(struct executor_job *job)
{
	struct emptying *emptying = (struct emptying *)(void *)job;
	struct file_store *store = emptying->store;

	emptying->n_left = EMPTY_BATCH;
	int fd = openat(store->staging_fd, emptying->name, FOLDER_FLAGS);
	bool is_empty = fd < 0 || each_name(fd, remove_entry, emptying);

	if (fd >= 0)
		close(fd);
	if (is_empty)
		(void)unlinkat(store->staging_fd, emptying->name, AT_REMOVEDIR);
	/* Behind what waits meanwhile; without a place it is the next opening's. */
	else if (executor_submit(store->executor, EXECUTOR_FILE, &emptying->job) == EXECUTOR_OK)
		return;
	free(emptying);
	file_store_close(store);
}

void store_empty_later(struct file_store *store, const char *name)
{
	struct emptying *emptying = calloc(1, sizeof *emptying);

	if (!emptying || !bytes_to_string(bytes_of(name), emptying->name, sizeof emptying->name)) {
		free(emptying);
		return; /* the next opening finds it */
	}
	emptying->job.run = run_emptying;
	emptying->store = store_ref(store);
	if (executor_submit(store->executor, EXECUTOR_FILE, &emptying->job) == EXECUTOR_OK)
		return;
	free(emptying);
	file_store_close(store);
}

static bool sweep_entry(int folder_fd, const char *name, void *context)
{
	struct file_store *store = context;

	if (unlinkat(folder_fd, name, 0) < 0 && errno == EISDIR)
		store_empty_later(store, name);
	return true;
}

int file_store_sweep(struct file_store *store, struct err *err)
{
	(void)err;
	each_name(store->staging_fd, sweep_entry, store);
	return 0;
}
