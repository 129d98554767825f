/*
 * store.h - what the parts of the module share
 */
#ifndef FILE_STORE_INTERNAL_H
#define FILE_STORE_INTERNAL_H

#include "file.h"

#include <pthread.h>
#include <stdatomic.h>

#define DONE_MOST                                                                                  \
	256 /* ranges that wait to be deleted from the log; what is beyond stays there             \
	     */

struct file_store {
	atomic_uint n_refs;
	struct executor *executor;
	int folder_fd, staging_fd;
	uint64_t limit_bytes;
	int most_fd; /* a descriptor above this means that the process is short of them */
	atomic_uint n_drops;

	pthread_mutex_t acting; /* held while an act is done: a remove and a place may meet */

	pthread_mutex_t lock; /* all below */
	bool is_measured;     /* placed_bytes is known; only asked for when there is a limit */
	uint64_t placed_bytes, staged_bytes;
	struct file_done done[DONE_MOST];
	size_t n_done;
};

struct file_store *store_ref(struct file_store *store);

/* The folder of a record, or -1 with errno. make: makes it when it is not there. */
int store_record_folder(
	struct file_store *store, struct bytes collection, struct bytes record, bool make);
/* Makes room for n staged bytes. False: the tenant's limit would be passed. Blocking. */
bool store_charge(struct file_store *store, uint64_t n_bytes);
void store_give_staged(struct file_store *store, uint64_t n_bytes);
/* Staged bytes that were placed, placed bytes that are gone. */
void store_count_placed(struct file_store *store, uint64_t n_bytes);
void store_count_removed(struct file_store *store, uint64_t n_bytes);
/* A folder went: what is placed has to be counted anew. */
void store_forget_measure(struct file_store *store);
/* Empties and removes the folder of this name in .staging, on the file lane, a part at a time. */
void store_empty_later(struct file_store *store, const char *name);

#endif
