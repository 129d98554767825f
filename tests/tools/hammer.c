/*
 * hammer - asks one path without pause and checks that no answer is older than what was promised
 *
 *   hammer HOST PORT PATH THREADS SECONDS FLOOR_FILE
 *
 * FLOOR_FILE holds a decimal number that its writer only raises. Each request reads it before it is
 * sent; the answer's first "build":N must not be below it. Ends after SECONDS, or with SIGINT or
 * SIGTERM. Prints one line: requests=N bad_status=N stale=N broken=N. Exit status 0 when the last
 * three are 0.
 */
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64

static const char *host, *path, *floor_file;
static int port;
static time_t end_s;
static volatile sig_atomic_t is_over;
static _Atomic unsigned long n_requests, n_bad_status, n_stale, n_broken;

static void on_signal(int number)
{
	(void)number;
	is_over = 1;
}

static time_t now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static long read_floor(void)
{
	char text[32] = "0";
	int fd = open(floor_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strtol(text, NULL, 10);
}

static void *run(void *unused)
{
	static _Thread_local char answer[ANSWER_MAX];
	char request[512];
	int fd = -1;

	(void)unused;
	int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n",
		path, host, port);
	while (!is_over && now_s() < end_s) {
		if (fd < 0 && (fd = client_dial(host, port)) < 0) {
			n_broken++;
			(void)usleep(1000);
			continue;
		}
		long least = read_floor();
		int status = client_ask(fd, request, (size_t)length, answer);
		if (status < 0) {
			n_broken++;
			(void)close(fd);
			fd = -1;
			continue;
		}
		n_requests++;
		if (status != 200) {
			if (n_bad_status++ == 0)
				fprintf(stderr, "%s\n", answer);
			continue;
		}
		const char *build = strstr(answer, "\"build\":");
		if (!build || strtol(build + 8, NULL, 10) < least)
			n_stale++;
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];

	if (argc != 7 || atoi(argv[4]) < 1 || atoi(argv[4]) > THREADS_MAX) {
		fprintf(stderr, "usage: hammer HOST PORT PATH THREADS SECONDS FLOOR_FILE\n");
		return 2;
	}
	host = argv[1];
	port = atoi(argv[2]);
	path = argv[3];
	floor_file = argv[6];
	end_s = now_s() + atoi(argv[5]);
	int n = atoi(argv[4]);
	/* A call under way is finished: the signal must not count as a broken one. */
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, NULL) != 0)
			return 2;
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	printf("requests=%lu bad_status=%lu stale=%lu broken=%lu\n", n_requests, n_bad_status,
		n_stale, n_broken);
	return n_bad_status || n_stale || n_broken;
}
