/*
 * bare_mhd.c - libmicrohttpd alone, answering 1 KiB: what the listener is measured against
 *
 *   bare_mhd PORT internal   its own two threads with epoll, as one would run it by itself
 *   bare_mhd PORT external   two daemons on two threads of ours, each behind an outer epoll: the
 *                            set-up of the listener without anything of the listener
 *
 * The answer is built anew for each request, as any server must whose answers differ.
 */
#include <microhttpd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char body[1024];

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *n, void **request)
{
	static char seen;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)context;
	(void)url;
	(void)method;
	(void)version;
	(void)data;
	(void)n;
	if (!*request) {
		*request = &seen;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(sizeof body, body, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(response, "Content-Type", "application/json");
	result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
		perror("bare_mhd");
		exit(1);
	}
	return fd;
}

static void *run_external(void *port)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO, 0, NULL, NULL,
		on_access, NULL, MHD_OPTION_LISTEN_SOCKET, listen_on(*(uint16_t *)port),
		MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END);
	struct epoll_event event = { .events = EPOLLIN };
	int outer = epoll_create1(0);
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (!daemon)
		exit(1);
	epoll_ctl(outer, EPOLL_CTL_ADD,
		MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, &event);
	for (;;) {
		MHD_run(daemon);
		epoll_wait(outer, &event, 1,
			MHD_get_timeout(daemon, &timeout_ms) == MHD_YES ? (int)timeout_ms : -1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;
	pthread_t threads[2];

	if (argc < 3) {
		fprintf(stderr, "usage: bare_mhd PORT internal|external\n");
		return 2;
	}
	memset(body, 'x', sizeof body);
	if (strcmp(argv[2], "internal") == 0) {
		if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, port, NULL,
			    NULL, on_access, NULL, MHD_OPTION_THREAD_POOL_SIZE, 2u,
			    MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END))
			return 1;
	} else {
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, run_external, &port);
	}
	pause();
	return 0;
}
