#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "format.h"

#define N_MAX (1u << 20) /* of files: 64 TiB of segments */

void files_name(uint32_t lane, uint64_t number, char out[static FILES_NAME_SIZE])
{
	if (lane == FILES_SEALS)
		snprintf(out, FILES_NAME_SIZE, SEAL_FILE_FORMAT, (unsigned long long)number);
	else
		snprintf(out, FILES_NAME_SIZE, LANE_FILE_FORMAT, lane, (unsigned long long)number);
}

/* A name counts only when it is spelt as files_name spells it. */
static bool parse_name(const char *name, struct files_entry *ret)
{
	char again[FILES_NAME_SIZE];
	unsigned long long number;
	unsigned lane = FILES_SEALS;

	if (strlen(name) >= FILES_NAME_SIZE)
		return false;
	if (sscanf(name, "lane-%2u-%19llu.seg", &lane, &number) != 2 &&
		sscanf(name, "seals-%19llu.log", &number) != 1)
		return false;
	if ((lane > AUDIT_LANES_MAX && lane != FILES_SEALS) || number == 0)
		return false;
	files_name(lane, number, again);
	if (strcmp(name, again) != 0)
		return false;
	*ret = (struct files_entry){ .lane = lane, .number = number };
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct files_entry *left = a, *right = b;

	if (left->lane != right->lane)
		return left->lane < right->lane ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

static int append(struct files *files, size_t *cap, struct files_entry entry, struct err *err)
{
	if (files->n == N_MAX)
		return ERR_SET(err, ERR_LIMIT, "the journal's folder holds too many files");
	if (files->n == *cap) {
		size_t wanted = *cap ? 2 * *cap : 64;
		void *grown = realloc(files->entries, wanted * sizeof(files->entries[0]));
		if (!grown)
			return ERR_SET(err, ERR_NOMEM, "no memory for a list of files");
		files->entries = grown;
		*cap = wanted;
	}
	files->entries[files->n++] = entry;
	return 0;
}

int files_list(int folder, struct files *ret, struct err *err)
{
	DEFER(files_fini) struct files files = { 0 };
	size_t cap = 0;
	int result = 0;
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir) {
		result = ERR_SET(err, ERR_IO, "cannot list the journal's folder");
		if (fd >= 0)
			close(fd);
		return result;
	}
	for (;;) {
		struct files_entry entry;
		errno = 0;
		struct dirent *at = readdir(dir);
		if (!at && errno != 0)
			result = ERR_SET(err, ERR_IO, "cannot list the journal's folder");
		if (!at || result != 0)
			break;
		if (parse_name(at->d_name, &entry))
			result = append(&files, &cap, entry, err);
	}
	closedir(dir);
	if (result != 0)
		return -1;
	if (files.n > 0)
		qsort(files.entries, files.n, sizeof(files.entries[0]), compare);
	*ret = files;
	files = (struct files){ 0 }; /* handed over */
	return 0;
}

void files_fini(struct files *files)
{
	free(files->entries);
	*files = (struct files){ 0 };
}

void files_of_lane(const struct files *files, uint32_t lane, size_t *ret_from, size_t *ret_to)
{
	size_t from = 0;

	while (from < files->n && files->entries[from].lane < lane)
		from++;
	*ret_from = from;
	while (from < files->n && files->entries[from].lane == lane)
		from++;
	*ret_to = from;
}
