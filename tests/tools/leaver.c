/*
 * leaver - a crowd of clients that leave: before, while and after the server works for them
 *
 *   leaver HOST PORT THREADS SECONDS REQUEST_FILE...
 *
 * Each file holds the bytes of one request. A client connects, sends one of them, whole or only the
 * start of it, waits between nothing and a third of a second, and then goes: with a reset, with an
 * orderly close, or half-closed and reading. Some stay for the answer. Prints one line: sent=N
 * answered=N unreachable=N. Exit status 0 when the server could always be reached.
 */
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX  64
#define REQUESTS_MAX 64

struct request {
	char *bytes;
	size_t n;
};

static const char *host;
static int port;
static time_t end_s;
static struct request requests[REQUESTS_MAX];
static unsigned n_requests;
static _Atomic unsigned long n_sent, n_answered, n_unreachable;

static time_t now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static bool load(const char *path, struct request *ret)
{
	struct stat info;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &info) < 0)
		return false;
	ret->n = (size_t)info.st_size;
	ret->bytes = malloc(ret->n);
	bool is_read = ret->bytes && read(fd, ret->bytes, ret->n) == (ssize_t)ret->n;
	(void)close(fd);
	return is_read && ret->n > 0;
}

/* All of it, or less when the server has closed. */
static void send_all(int fd, const char *bytes, size_t n)
{
	ssize_t sent;

	while (n > 0 && (sent = send(fd, bytes, n, MSG_NOSIGNAL)) > 0) {
		bytes += sent;
		n -= (size_t)sent;
	}
}

static void wait_answer(int fd)
{
	const struct timeval patience = { .tv_sec = 2 };
	char answer[4096];

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (recv(fd, answer, sizeof answer, 0) > 0)
		n_answered++;
}

static void *run(void *seed_of)
{
	static const unsigned pauses_us[] = { 0, 0, 200, 1000, 3000, 10000, 50000, 300000 };
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	unsigned seed = *(unsigned *)seed_of;

	while (now_s() < end_s) {
		const struct request *request = &requests[(unsigned)rand_r(&seed) % n_requests];
		unsigned way = (unsigned)rand_r(&seed) % 6;
		int fd = client_dial(host, port);
		if (fd < 0) {
			n_unreachable++;
			(void)usleep(10000);
			continue;
		}
		size_t part = way == 0 ? 1 + (size_t)rand_r(&seed) % request->n : request->n;
		send_all(fd, request->bytes, part);
		n_sent++;
		if (way == 1 && rand_r(&seed) % 2)
			send_all(fd, request->bytes, request->n); /* pipelined */
		if (way >= 4)
			wait_answer(fd);
		else
			(void)usleep(pauses_us[(unsigned)rand_r(&seed) % 8]);
		if (way == 3) {
			(void)shutdown(fd, SHUT_WR);
			wait_answer(fd);
		} else if (rand_r(&seed) % 3) {
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		}
		(void)close(fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	unsigned seeds[THREADS_MAX];

	if (argc < 6 || argc - 5 > REQUESTS_MAX || atoi(argv[3]) < 1 ||
		atoi(argv[3]) > THREADS_MAX) {
		fprintf(stderr, "usage: leaver HOST PORT THREADS SECONDS REQUEST_FILE...\n");
		return 2;
	}
	host = argv[1];
	port = atoi(argv[2]);
	end_s = now_s() + atoi(argv[4]);
	for (int i = 5; i < argc; i++)
		if (!load(argv[i], &requests[n_requests++])) {
			fprintf(stderr, "leaver: cannot read %s\n", argv[i]);
			return 2;
		}
	int n = atoi(argv[3]);
	for (int i = 0; i < n; i++) {
		seeds[i] = (unsigned)i;
		if (pthread_create(&threads[i], NULL, run, &seeds[i]) != 0)
			return 2;
	}
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < n_requests; i++)
		free(requests[i].bytes);
	printf("sent=%lu answered=%lu unreachable=%lu\n", n_sent, n_answered, n_unreachable);
	return n_unreachable > 0;
}
