#include "kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define RECORD_BYTES 8192 /* the kernel's own largest */
#define WAIT_MS      5

int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/* The number behind " name=" in the record. */
static bool field(struct bytes record, struct bytes name, uint64_t *ret)
{
	const char *at = memmem(record.p, record.n, name.p, name.n);
	if (!at)
		return false;
	at += name.n;
	size_t n = 0, left = record.n - (size_t)(at - record.p);
	while (n < left && at[n] >= '0' && at[n] <= '9')
		n++;
	return bytes_parse_u64((struct bytes){ at, n }, INT32_MAX, ret);
}

int kmsg_parse_kill(struct bytes record, pid_t pid, uint32_t outer_uid)
{
	static const char seccomp_record[] = "type=1326 ";
	uint64_t number = 0, is_of = 0;

	if (!memmem(record.p, record.n, seccomp_record, sizeof seccomp_record - 1))
		return -1;
	bool is_it = outer_uid ? field(record, BYTES(" uid="), &is_of) && is_of == outer_uid
			       : field(record, BYTES(" pid="), &is_of) && is_of == (uint64_t)pid;
	if (!is_it || !field(record, BYTES(" syscall="), &number))
		return -1;
	return (int)number;
}

int kmsg_find_kill(int fd, pid_t pid, uint32_t outer_uid)
{
	char record[RECORD_BYTES];
	int found = -1;

	if (fd < 0)
		return -1;
	/* The log's writer is a thread of the kernel: its record may come a little after the death.
	 */
	for (;;) {
		ssize_t n = read(fd, record, sizeof record);
		if (n > 0) {
			found = kmsg_parse_kill(
				(struct bytes){ record, (size_t)n }, pid, outer_uid);
			if (found >= 0)
				return found;
			continue;
		}
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* EPIPE: older records were overwritten */
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		if (n == 0 || errno != EAGAIN || poll(&ready, 1, WAIT_MS) <= 0)
			return -1;
	}
}
