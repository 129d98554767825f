#include "sandbox_wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int sandbox_wire_send(int socket, const struct sandbox_wire *message, const int *fds, size_t n_fds,
	int flags, struct err *err)
{
	assert(n_fds <= SANDBOX_WIRE_FDS);
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(SANDBOX_WIRE_FDS * sizeof(int))] = { 0 };
	struct iovec part = { (void *)(uintptr_t)message, sizeof *message };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (n_fds) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(socket, &header, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof *message)
		return ERR_SET(err, ERR_IO, "cannot send to the other end of the spawner's socket");
	return 0;
}

/* Takes the descriptors out of the control data. */
static size_t take_fds(struct msghdr *header, int *fds)
{
	size_t n_fds = 0;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at)) {
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		assert(n <= SANDBOX_WIRE_FDS - n_fds); /* the control buffer holds no more */
		memcpy(fds + n_fds, CMSG_DATA(at), n * sizeof(int));
		n_fds += n;
	}
	return n_fds;
}

enum sandbox_wire_result sandbox_wire_receive(int socket, int flags, struct sandbox_wire *ret,
	int fds[static SANDBOX_WIRE_FDS], size_t *ret_n_fds)
{
	/* CMSG_LEN and not CMSG_SPACE: the kernel would fill the padding with one descriptor more.
	 */
	_Alignas(struct cmsghdr) char control[CMSG_LEN(SANDBOX_WIRE_FDS * sizeof(int))];
	struct iovec part = { ret, sizeof *ret };
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};
	ssize_t n;

	*ret_n_fds = 0;
	do
		n = recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? SANDBOX_WIRE_NONE : SANDBOX_WIRE_CLOSED;
	size_t n_fds = n > 0 ? take_fds(&header, fds) : 0;
	if (n != (ssize_t)sizeof *ret || ret->version != SANDBOX_WIRE_VERSION ||
		header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (size_t i = 0; i < n_fds; i++)
			(void)close(fds[i]);
		return SANDBOX_WIRE_CLOSED;
	}
	*ret_n_fds = n_fds;
	return SANDBOX_WIRE_MESSAGE;
}
