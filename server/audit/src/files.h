/*
 * files.h - which files the journal's folder holds
 */
#ifndef AUDIT_FILES_H
#define AUDIT_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "defer.h"
#include "err.h"

#define FILES_NAME_SIZE 40
#define FILES_SEALS     UINT32_MAX /* in the place of a lane's id: a file of seals */

struct files_entry {
	uint32_t lane;
	uint64_t number;
};

/* Sorted by lane, then number; the seals come last. */
struct files {
	struct files_entry *entries;
	size_t n;
};

/* Lists the folder. Names that are not the journal's are passed over. The caller calls files_fini.
 */
int files_list(int folder, struct files *ret, struct err *err);
void files_fini(struct files *files);

/* The entries of one lane: their index range in [*ret_from, *ret_to). */
void files_of_lane(const struct files *files, uint32_t lane, size_t *ret_from, size_t *ret_to);

void files_name(uint32_t lane, uint64_t number, char out[static FILES_NAME_SIZE]);

static inline __attribute__((unused)) void files_fini_deferred(struct files *files)
{
	files_fini(files);
}

#endif
