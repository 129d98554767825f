#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

int window_open(
	struct window *window, int folder, const char *name, bool *ret_is_there, struct err *err)
{
	struct stat st;

	window_close(window);
	*ret_is_there = false;
	/* O_NONBLOCK: a FIFO under a segment's name must not hang us. */
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : ERR_SET(err, ERR_IO, "cannot open %s", name);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return ERR_SET(err, ERR_IO, "%s is not a regular file", name);
	}
	if (!window->buffer)
		window->buffer = malloc(WINDOW_BYTES);
	if (!window->buffer) {
		close(fd);
		return ERR_SET(err, ERR_NOMEM, "no memory to read %s", name);
	}
	window->fd = fd;
	window->size = (uint64_t)st.st_size;
	window->start = 0;
	window->n = 0;
	*ret_is_there = true;
	return 0;
}

void window_close(struct window *window)
{
	if (window->fd >= 0)
		close(window->fd);
	window->fd = -1;
	window->n = 0;
}

static int fill(struct window *window, uint64_t offset, struct err *err)
{
	window->start = offset;
	window->n = 0;
	while (window->n < WINDOW_BYTES) {
		ssize_t got = pread(window->fd, window->buffer + window->n,
			WINDOW_BYTES - window->n, (off_t)(offset + window->n));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_SET(err, ERR_IO, "cannot read a file of the journal");
		if (got == 0)
			break;
		window->n += (size_t)got;
	}
	return 0;
}

int window_get(
	struct window *window, uint64_t offset, size_t n, const uint8_t **ret, struct err *err)
{
	*ret = NULL;
	if (offset > window->size || n > window->size - offset || n > WINDOW_BYTES)
		return 0;
	if (offset < window->start || offset - window->start > window->n ||
		n > window->n - (size_t)(offset - window->start)) {
		if (fill(window, offset, err) != 0)
			return -1;
		/* It shrank since it was opened. */
		if (n > window->n)
			return 0;
	}
	*ret = window->buffer + (offset - window->start);
	return 0;
}

/* Where the next byte may be that is not zero: holes read as zeros. */
static uint64_t skip_hole(const struct window *window, uint64_t at)
{
	off_t data = lseek(window->fd, (off_t)at, SEEK_DATA);

	if (data >= 0)
		return (uint64_t)data;
	return errno == ENXIO ? window->size : at;
}

int window_data_end(struct window *window, uint64_t offset, uint64_t *ret, struct err *err)
{
	uint64_t end = offset;

	for (uint64_t at = skip_hole(window, offset); at < window->size;
		at = skip_hole(window, at + window->n)) {
		if (fill(window, at, err) != 0)
			return -1;
		if (window->n == 0)
			break;
		for (size_t i = window->n; i > 0; i--)
			if (window->buffer[i - 1] != 0) {
				end = at + i;
				break;
			}
	}
	*ret = end;
	return 0;
}
