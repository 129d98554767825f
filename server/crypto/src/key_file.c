#include "key_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "id.h"

#define TEXT_MAX (2 * KEY_FILE_MAX + 1) /* digits and a line feed */

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int read_all(int fd, char *p, size_t cap, size_t *ret_n)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = read(fd, p + n, cap - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_n = n;
	return 0;
}

/* Makes the entry of path in its folder durable. */
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -1;
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = fsync(fd);
	close(fd);
	return result;
}

/* The file appears under its name only whole: written aside, synced, then linked. Another process
 * may have linked its own first; that one counts. */
static int create(const char *path, size_t n, struct err *err)
{
	static const char suffix[] = ".new";
	struct id_source ids = { 0 };
	char aside[PATH_MAX], text[TEXT_MAX];
	uint8_t secret[KEY_FILE_MAX];
	char unique[ID_RECORD_BYTES + 1];

	id_record(&ids, unique);
	if (snprintf(aside, sizeof(aside), "%s.%s%s", path, unique, suffix) >= (int)sizeof(aside))
		return ERR_SET(err, ERR_INVALID, "path too long: %s", path);
	int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot create %s", aside);

	id_random(&ids, secret, n);
	bytes_hex((struct bytes){ (const char *)secret, n }, text);
	text[2 * n] = '\n';
	bool written = write_all(fd, text, 2 * n + 1) == 0 && fsync(fd) == 0;
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&ids, sizeof(ids));
	close(fd);

	int result = 0;
	if (!written)
		result = ERR_SET(err, ERR_IO, "cannot write %s", aside);
	else if (link(aside, path) != 0 && errno != EEXIST)
		result = ERR_SET(err, ERR_IO, "cannot create %s", path);
	unlink(aside);
	if (result == 0 && sync_folder(path) != 0)
		result = ERR_SET(err, ERR_IO, "cannot sync the folder of %s", path);
	return result;
}

static int check_is_private(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR_SET(err, ERR_IO, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return ERR_SET(err, ERR_INVALID, "%s is not a regular file", path);
	if (st.st_uid != geteuid())
		return ERR_SET(err, ERR_INVALID, "%s belongs to another user", path);
	if (st.st_mode & 077)
		return ERR_SET(err, ERR_INVALID,
			"%s has mode %04o: others may have read this secret; it must be 0600", path,
			(unsigned)(st.st_mode & 07777));
	return 0;
}

int key_file_open(const char *path, size_t n, uint8_t *out, struct err *err)
{
	char text[TEXT_MAX + 1];
	size_t n_text = 0;

	assert(n > 0 && n <= KEY_FILE_MAX);
	/* O_NONBLOCK: a FIFO in the key's place must not hang the start. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		if (create(path, n, err) != 0)
			return -1;
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", path);

	int result = check_is_private(fd, path, err);
	if (result == 0 && read_all(fd, text, sizeof(text), &n_text) != 0)
		result = ERR_SET(err, ERR_IO, "cannot read %s", path);
	if (result == 0 && (n_text != 2 * n + 1 || text[2 * n] != '\n' ||
				   !bytes_unhex((struct bytes){ text, 2 * n }, out, n)))
		result = ERR_SET(err, ERR_INVALID, "%s does not hold a key of %zu bytes", path, n);
	explicit_bzero(text, sizeof(text));
	close(fd);
	return result;
}
