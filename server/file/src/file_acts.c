/*
 * Acts on the folder. Two that concern the same file may be handed over by two loops in either
 * order: a remove also takes what is still staged, and then the place finds nothing to place. The
 * lock keeps the steps of two such acts apart.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An act in the list: a byte for its kind, then three terminated names. */
#define ACTS_BYTES (256u << 20)

struct file_acts {
	struct executor_job job;
	struct file_store *store;
	int64_t first, last;
	struct bytes_buf items;
};

bool file_acts_add(struct file_acts **list, int64_t number, const struct file_act *act)
{
	const struct bytes names[] = { act->collection, act->record, act->name };
	struct file_acts *acts = *list;

	if (!acts) {
		acts = *list = calloc(1, sizeof *acts);
		if (!acts)
			return false;
		bytes_buf_init(&acts->items, ACTS_BYTES);
		acts->first = number;
	}
	acts->last = number;
	bytes_buf_append_byte(&acts->items, (char)act->kind);
	for (size_t i = 0; i < 3; i++) {
		/* A name that is none of ours leads nowhere, and is left out. */
		if (file_name_is_component(names[i]))
			bytes_buf_append(&acts->items, names[i]);
		bytes_buf_append_byte(&acts->items, '\0');
	}
	return !acts->items.failed;
}

void file_acts_free(struct file_acts *list)
{
	if (!list)
		return;
	bytes_buf_fini(&list->items);
	free(list);
}

/* ---- doing ---- */

static int place(struct file_store *store, const struct file_act *act, struct err *err)
{
	char name[FILE_NAME_MAX + 1];
	struct stat info;

	(void)bytes_to_string(act->name, name, sizeof name);
	if (fstatat(store->staging_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* it is placed, or removed already */
	int fd = store_record_folder(store, act->collection, act->record, true);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot make the folder of a record's files");
	int result = renameat(store->staging_fd, name, fd, name);
	if (result < 0)
		(void)ERR_SET(err, ERR_IO, "cannot place the file %s", name);
	else
		store_count_placed(store, (uint64_t)info.st_size);
	close(fd);
	return result;
}

static int drop_file(struct file_store *store, const struct file_act *act, struct err *err)
{
	char name[FILE_NAME_MAX + 1], record[FILE_NAME_MAX + 1];
	struct stat info;
	int result = 0;

	(void)bytes_to_string(act->name, name, sizeof name);
	if (fstatat(store->staging_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
		unlinkat(store->staging_fd, name, 0) == 0)
		store_give_staged(store, (uint64_t)info.st_size);
	int fd = store_record_folder(store, act->collection, act->record, false);
	if (fd < 0)
		return 0;
	bool is_there = fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
	if (is_there && unlinkat(fd, name, 0) == 0)
		store_count_removed(store, (uint64_t)info.st_size);
	else if (is_there)
		result = ERR_SET(err, ERR_IO, "cannot remove the file %s", name);
	close(fd);
	/* The last file takes the folder with it; one that is not empty stays. */
	(void)bytes_to_string(act->record, record, sizeof record);
	(void)bytes_to_string(act->collection, name, sizeof name);
	fd = openat(store->folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		(void)unlinkat(fd, record, AT_REMOVEDIR);
		close(fd);
	}
	return result;
}

/* At once out of the way, then emptied at leisure. */
static int drop_folder(struct file_store *store, const struct file_act *act, struct err *err)
{
	char collection[FILE_NAME_MAX + 1], name[32];

	(void)bytes_to_string(act->collection, collection, sizeof collection);
	for (unsigned tries = 0; tries < 8; tries++) {
		(void)snprintf(name, sizeof name, "drop-%d-%u", (int)getpid(),
			atomic_fetch_add(&store->n_drops, 1));
		if (renameat(store->folder_fd, collection, store->staging_fd, name) == 0) {
			store_forget_measure(store);
			store_empty_later(store, name);
			return 0;
		}
		if (errno == ENOENT)
			return 0;
		if (errno != EEXIST && errno != ENOTEMPTY)
			break;
	}
	return ERR_SET(err, ERR_IO, "cannot remove the files of a collection");
}

int file_act_do(struct file_store *store, const struct file_act *act, struct err *err)
{
	bool is_file = act->kind != FILE_DROP;
	int result;

	if (!file_name_is_component(act->collection) ||
		(is_file && (!file_name_is_component(act->record) ||
				    !file_name_is_component(act->name))))
		return 0;
	pthread_mutex_lock(&store->acting);
	switch (act->kind) {
	case FILE_PLACE:
		result = place(store, act, err);
		break;
	case FILE_REMOVE:
		result = drop_file(store, act, err);
		break;
	default:
		result = drop_folder(store, act, err);
	}
	pthread_mutex_unlock(&store->acting);
	return result;
}

static void run_acts(struct executor_job *job)
{
	struct file_acts *acts = (struct file_acts *)(void *)job;
	struct file_store *store = acts->store;
	bool is_done = true;

	for (const char *at = acts->items.p; at < acts->items.p + acts->items.n;) {
		struct file_act act = { .kind = (enum file_act_kind) * at++ };
		act.collection = bytes_of(at);
		act.record = bytes_of(at += act.collection.n + 1);
		act.name = bytes_of(at += act.record.n + 1);
		at += act.name.n + 1;
		is_done &= file_act_do(store, &act, NULL) == 0;
	}
	if (is_done)
		file_store_give_done(store, &(struct file_done){ acts->first, acts->last }, 1);
	file_acts_free(acts);
	file_store_close(store);
}

void file_store_act(struct file_store *store, struct file_acts *list)
{
	if (!list)
		return;
	list->job.run = run_acts;
	list->store = store_ref(store);
	if (executor_submit(store->executor, EXECUTOR_FILE, &list->job) == EXECUTOR_OK)
		return;
	file_acts_free(list);
	file_store_close(store);
}

size_t file_store_take_done(struct file_store *store, struct file_done *out, size_t n)
{
	pthread_mutex_lock(&store->lock);
	if (n > store->n_done)
		n = store->n_done;
	store->n_done -= n;
	if (n)
		memcpy(out, store->done + store->n_done, n * sizeof *out);
	pthread_mutex_unlock(&store->lock);
	return n;
}

void file_store_give_done(struct file_store *store, const struct file_done *done, size_t n)
{
	pthread_mutex_lock(&store->lock);
	for (size_t i = 0; i < n && store->n_done < DONE_MOST; i++)
		store->done[store->n_done++] = done[i];
	pthread_mutex_unlock(&store->lock);
}
