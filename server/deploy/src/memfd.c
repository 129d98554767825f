#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keeper.h"

static int write_all(int fd, struct bytes file, struct err *err)
{
	for (size_t at = 0; at < file.n;) {
		ssize_t n = pwrite(fd, file.p + at, file.n - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_SET(err, ERR_IO, "cannot copy a plugin's file into memory");
		at += (size_t)n;
	}
	return 0;
}

int memfd_make(struct bytes file, int *ret_fd, struct err *err)
{
	int fd = memfd_create("tenon-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot create a memfd");
	int result = write_all(fd, file, err);
	if (result == 0 && fcntl(fd, F_ADD_SEALS,
				   F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		result = ERR_SET(err, ERR_IO, "cannot seal a memfd");
	if (result < 0) {
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}
