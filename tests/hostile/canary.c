/*
 * canary.c - two listeners of 127.0.0.1: one that redirects, and one that nobody may ever reach
 *
 * Prints "FIRST SECOND", the ports, then a line "touched" for each connection to the second.
 *   GET /direct   on FIRST   200
 *   anything else on FIRST   302 to http://127.0.0.1:SECOND/secret
 *
 * Threads: one; a connection at a time, which is what the test makes. Ends with its parent.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int listen_anywhere(unsigned *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) < 0 || listen(fd, 16) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &n) < 0) {
		perror("canary");
		exit(1);
	}
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void redirect(int fd, unsigned second)
{
	char request[4096], text[256];
	size_t got = 0;
	ssize_t n;

	while (got < sizeof request - 1 &&
		(n = read(fd, request + got, sizeof request - 1 - got)) > 0) {
		got += (size_t)n;
		request[got] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	request[got] = '\0';
	if (strncmp(request, "GET /direct ", 12) == 0)
		(void)snprintf(text, sizeof text,
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
	else
		(void)snprintf(text, sizeof text,
			"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/secret\r\n"
			"Content-Length: 0\r\nConnection: close\r\n\r\n",
			second);
	(void)!write(fd, text, strlen(text));
}

int main(void)
{
	const struct timeval patience = { .tv_sec = 2 };
	unsigned first, second;
	struct pollfd listeners[2] = { { .events = POLLIN }, { .events = POLLIN } };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	listeners[0].fd = listen_anywhere(&first);
	listeners[1].fd = listen_anywhere(&second);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%u %u\n", first, second);
	while (poll(listeners, 2, -1) >= 0) {
		for (int i = 0; i < 2; i++) {
			if (!(listeners[i].revents & POLLIN))
				continue;
			int fd = accept(listeners[i].fd, NULL, NULL);
			if (fd < 0)
				continue;
			(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
			if (i == 0)
				redirect(fd, second);
			else
				puts("touched");
			(void)close(fd);
		}
	}
	return 0;
}
