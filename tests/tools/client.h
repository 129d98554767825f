/*
 * client.h - the blocking client that the tools share: one connection, one request, one whole
 * answer
 */
#ifndef TOOLS_CLIENT_H
#define TOOLS_CLIENT_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX 16384

/* Connects. Returns a descriptor to close, or -1. */
static inline int client_dial(const char *host, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
		connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

/* Sends a request and reads one answer, framed by its Content-Length, into out (ANSWER_MAX bytes,
 * terminated). Returns its status, or -1 when the connection ended before the answer was whole. */
static inline int client_ask(int fd, const char *request, size_t n_request, char *out)
{
	size_t n = 0, want = 0;

	if (write(fd, request, n_request) != (ssize_t)n_request)
		return -1;
	while (n < ANSWER_MAX - 1) {
		ssize_t got = read(fd, out + n, ANSWER_MAX - 1 - n);
		if (got <= 0)
			return -1;
		n += (size_t)got;
		out[n] = '\0';
		char *head_end = strstr(out, "\r\n\r\n");
		if (!head_end)
			continue;
		if (!want) {
			const char *length = strcasestr(out, "content-length:");
			if (!length || length > head_end || strncmp(out, "HTTP/1.1 ", 9) != 0)
				return -1;
			want = (size_t)(head_end + 4 - out) + strtoul(length + 15, NULL, 10);
		}
		if (n >= want)
			return atoi(out + 9);
	}
	return -1;
}

#endif
