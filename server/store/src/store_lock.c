#include "store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bytes.h"

struct store_lock {
	int fd;
};

/* The id that the kernel drew for this boot, or "unknown". */
static void read_boot_id(char out[static 40])
{
	bytes_to_string(BYTES("unknown"), out, 40);
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, out, 36);
	close(fd);
	out[n == 36 ? 36 : 0] = '\0';
}

static int refuse_held(int fd, const char *folder, struct err *err)
{
	char holder[128] = "";
	ssize_t n = pread(fd, holder, sizeof(holder) - 1, 0);
	holder[n > 0 ? n : 0] = '\0';
	long pid = strtol(holder, NULL, 10);
	return ERR_SET(err, ERR_STATE,
		"the data folder %.120s is in use by another Tenon server (process %ld)", folder,
		pid);
}

int store_lock_take(const char *folder, struct store_lock **ret, struct err *err)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/lock", folder);
	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_SET(err, ERR_INVALID, "the data folder's name is too long");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %.180s", path);

	int result;
	do {
		result = flock(fd, LOCK_EX | LOCK_NB);
	} while (result < 0 && errno == EINTR);
	if (result < 0) {
		result = errno == EWOULDBLOCK ? refuse_held(fd, folder, err)
					      : ERR_SET(err, ERR_IO, "cannot lock %.180s", path);
		close(fd);
		return result;
	}

	char boot_id[40], text[128];
	read_boot_id(boot_id);
	n = snprintf(text, sizeof(text), "%ld %s\n", (long)getpid(), boot_id);
	struct store_lock *lock = malloc(sizeof(*lock));
	if (!lock || ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
		result = ERR_SET(err, lock ? ERR_IO : ERR_NOMEM, "cannot write %.180s", path);
		free(lock);
		close(fd);
		return result;
	}
	lock->fd = fd;
	*ret = lock;
	return 0;
}

void store_lock_give(struct store_lock *lock)
{
	if (!lock)
		return;
	close(lock->fd); /* which unlocks; the file stays: removing it would race with a taker */
	free(lock);
}
