/*
 * ledger - writers that keep, outside of the server, a list of what it acknowledged
 *
 *   ledger HOST PORT PATH TOKEN WRITERS FILE PREFIX
 *
 * Each writer posts {"title":"PREFIX-WRITER-N"} to PATH, N = 0, 1, 2, ..., one request at a time,
 * and appends the title to FILE (O_APPEND) as soon as the 200 answer is complete. It ends when the
 * server does not answer any more. The server is killed by somebody else. Prints acknowledged=N
 * refused=N.
 */
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITERS_MAX 256

static const char *host, *path, *token, *prefix;
static int port, ledger_fd;
static _Atomic unsigned long n_acknowledged, n_refused;

static void *run(void *writer)
{
	static _Thread_local char answer[ANSWER_MAX];
	char request[4096], title[128], body[160], line[160];
	int fd = client_dial(host, port);

	for (unsigned long n = 0; fd >= 0; n++) {
		(void)snprintf(
			title, sizeof title, "%s-%ld-%lu", prefix, (long)(intptr_t)writer, n);
		int n_body = snprintf(body, sizeof body, "{\"title\":\"%s\"}", title);
		int length = snprintf(request, sizeof request,
			"POST %s HTTP/1.1\r\nHost: %s:%d\r\nAuthorization: %s\r\nContent-Type: "
			"application/json\r\n"
			"Content-Length: %d\r\n\r\n%s",
			path, host, port, token, n_body, body);
		int status = client_ask(fd, request, (size_t)length, answer);
		if (status < 0)
			break;
		if (status != 200) {
			if (n_refused++ == 0)
				fprintf(stderr, "%s\n", answer);
			continue;
		}
		int n_line = snprintf(line, sizeof line, "%s\n", title);
		if (write(ledger_fd, line, (size_t)n_line) != n_line)
			abort();
		n_acknowledged++;
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[WRITERS_MAX];

	if (argc != 8 || atoi(argv[5]) < 1 || atoi(argv[5]) > WRITERS_MAX) {
		fprintf(stderr, "usage: ledger HOST PORT PATH TOKEN WRITERS FILE PREFIX\n");
		return 2;
	}
	host = argv[1];
	port = atoi(argv[2]);
	path = argv[3];
	token = argv[4];
	prefix = argv[7];
	ledger_fd = open(argv[6], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (ledger_fd < 0) {
		perror(argv[6]);
		return 2;
	}
	int n = atoi(argv[5]);
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i) != 0)
			return 2;
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	printf("acknowledged=%lu refused=%lu\n", n_acknowledged, n_refused);
	return n_refused ? 1 : 0;
}
