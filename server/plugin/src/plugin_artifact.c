#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin.h"

#define PATH_BYTES 4096

static int make_path(const char *dir, const char *name, const char *suffix,
	char path[static PATH_BYTES], struct err *err)
{
	int n = snprintf(path, PATH_BYTES, "%s/%s%s", dir, name, suffix);
	if (n < 0 || n >= PATH_BYTES)
		return ERR_SET(err, ERR_INVALID, "the data folder's path is too long");
	return 0;
}

static int write_all(int fd, struct bytes file, struct err *err)
{
	for (size_t at = 0; at < file.n;) {
		ssize_t n = write(fd, file.p + at, file.n - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_SET(err, ERR_IO, "cannot write a plugin's file");
		at += (size_t)n;
	}
	return 0;
}

/* A rename is only durable once its folder is synced. */
static int sync_folder(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", dir);
	int result = fsync(fd);
	if (result < 0)
		ERR_SET(err, ERR_IO, "cannot sync %s", dir);
	close(fd);
	return result;
}

/* Writes file to a fresh file whose name it makes of path, which ends in XXXXXX: two tenants may
 * deploy the same bytes at the same time. */
static int write_file(char *path, struct bytes file, struct err *err)
{
	int fd = mkostemp(path, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot create %s", path);
	int result = write_all(fd, file, err);
	if (result == 0 && fsync(fd) < 0)
		result = ERR_SET(err, ERR_IO, "cannot sync %s", path);
	close(fd);
	if (result < 0)
		unlink(path);
	return result;
}

int plugin_artifact_put(const char *dir, const char sha256[static PLUGIN_SHA256_HEX + 1],
	struct bytes file, struct err *err)
{
	char path[PATH_BYTES], temporary[PATH_BYTES];
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot create %s", dir);
	if (make_path(dir, sha256, "", path, err) < 0 ||
		make_path(dir, sha256, ".XXXXXX", temporary, err) < 0)
		return -1;
	if (write_file(temporary, file, err) < 0)
		return -1;
	if (rename(temporary, path) < 0) {
		ERR_SET(err, ERR_IO, "cannot rename %s", temporary);
		unlink(temporary);
		return -1;
	}
	return sync_folder(dir, err);
}

int plugin_artifact_open(const char *dir, const char sha256[static PLUGIN_SHA256_HEX + 1],
	int *ret_fd, struct err *err)
{
	char path[PATH_BYTES];
	if (make_path(dir, sha256, "", path, err) < 0)
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %s", path);
	*ret_fd = fd;
	return 0;
}
