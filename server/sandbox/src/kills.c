#include "sandbox_kills.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_BYTES 8192 /* the kernel's own largest */

/* Listens to audit records, of which the kernel's filter lets through those of seccomp alone: a
 * busy machine has thousands of others a second. */
static int open_audit(void)
{
	/* The type stands in the second half of the header's second word; BPF reads big-endian. */
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(AUDIT_SECCOMP), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { sizeof rows / sizeof rows[0], rows };
	const struct sockaddr_nl group = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (AUDIT_NLGRP_READLOG - 1),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);

	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ||
			       bind(fd, (const struct sockaddr *)&group, sizeof group))) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/* The first network namespace is the one whose audit socket the kernel sends to. */
static bool is_first_network(void)
{
	char link[64];
	ssize_t n = readlink("/proc/self/ns/net", link, sizeof link - 1);

	/* Number of the initial network namespace; newer kernels promise it in their headers. */
	return n > 0 && bytes_eq((struct bytes){ link, (size_t)n }, BYTES("net:[4026531833]"));
}

static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

void sandbox_kills_open(struct sandbox_kills *ret)
{
	*ret = (struct sandbox_kills){ .fd = is_first_network() ? open_audit() : -1 };
	if (ret->fd < 0)
		*ret = (struct sandbox_kills){ .fd = open_log(), .is_log = true };
}

/* The number behind " name=" in the text. */
static bool field(struct bytes text, struct bytes name, uint64_t *ret)
{
	const char *at = memmem(text.p, text.n, name.p, name.n);
	if (!at)
		return false;
	at += name.n;
	size_t n = 0, left = text.n - (size_t)(at - text.p);
	while (n < left && at[n] >= '0' && at[n] <= '9')
		n++;
	return bytes_parse_u64((struct bytes){ at, n }, INT32_MAX, ret);
}

bool sandbox_kills_parse(struct bytes text, struct sandbox_kills_record *ret)
{
	uint64_t pid, uid, call;

	if (!field(text, BYTES(" pid="), &pid) || !field(text, BYTES(" uid="), &uid) ||
		!field(text, BYTES(" syscall="), &call))
		return false;
	*ret = (struct sandbox_kills_record){ pid, uid, (int)call };
	return true;
}

bool sandbox_kills_next(const struct sandbox_kills *kills, struct sandbox_kills_record *ret)
{
	static const char log_mark[] = "type=1326 ";
	char record[RECORD_BYTES];

	while (kills->fd >= 0) {
		ssize_t n = read(kills->fd, record, sizeof record);
		/* Records were lost, to the log's ring or to a full socket: go on with those left.
		 */
		if (n < 0 && (errno == EINTR || errno == EPIPE || errno == ENOBUFS))
			continue;
		if (n <= 0)
			return false;
		struct bytes text = { record, (size_t)n };
		if (kills->is_log && !memmem(text.p, text.n, log_mark, sizeof log_mark - 1))
			continue;
		if (sandbox_kills_parse(text, ret))
			return true;
	}
	return false;
}
