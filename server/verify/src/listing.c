#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* Reads n decimal digits, no more and no fewer. */
static bool take_digits(const char **at, unsigned n, uint64_t *ret)
{
	*ret = 0;
	for (; n > 0; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(**at - '0');
	}
	return true;
}

/* "lane-LL-NNNNNNNNNN.seg" or "seals-NNNNNNNNNN.log". */
static struct listing_row *row_of(struct listing *listing, const char *name, uint64_t *ret_number)
{
	uint64_t lane;

	if (strncmp(name, "seals-", 6) == 0) {
		name += 6;
		return take_digits(&name, 10, ret_number) && strcmp(name, ".log") == 0
			       ? &listing->seals
			       : NULL;
	}
	if (strncmp(name, "lane-", 5) != 0)
		return NULL;
	name += 5;
	if (!take_digits(&name, 2, &lane) || *name++ != '-' ||
		!take_digits(&name, 10, ret_number) || strcmp(name, ".seg") != 0 || lane >= LANES)
		return NULL;
	return &listing->lanes[lane];
}

int listing_read(int folder, struct listing *ret, struct err *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *at;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return ERR_SET(err, ERR_IO, "cannot list the folder");
	}
	*ret = (struct listing){ 0 };
	while (errno = 0, (at = readdir(dir))) {
		uint64_t number;
		struct listing_row *row = row_of(ret, at->d_name, &number);
		if (strncmp(at->d_name, "torn-", 5) == 0)
			ret->n_torn++;
		if (!row || number == 0)
			continue;
		if (row->n == 0 || number < row->first)
			row->first = number;
		if (number > row->last)
			row->last = number;
		row->n++;
	}
	int failed = errno;
	closedir(dir);
	errno = failed;
	return failed ? ERR_SET(err, ERR_IO, "cannot list the folder") : 0;
}
