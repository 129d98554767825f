#include "raw_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t raw_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool raw_open(struct raw_exchange *exchange, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int one = 1;

	*exchange = (struct raw_exchange){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	if (exchange->fd < 0)
		return false;
	setsockopt(exchange->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return connect(exchange->fd, (struct sockaddr *)&address, sizeof address) == 0;
}

void raw_fini(struct raw_exchange *exchange)
{
	if (exchange->fd >= 0)
		close(exchange->fd);
	free(exchange->received);
	*exchange = (struct raw_exchange){ .fd = -1 };
}

void raw_send(struct raw_exchange *exchange, const char *bytes, size_t n, enum raw_pace pace)
{
	for (size_t at = 0; at < n;) {
		size_t piece = pace == RAW_WHOLE   ? n
			       : pace == RAW_BYTES ? 1
						   : (size_t)(rand() % 40) + 1;

		/* Long fillers go faster: they test a size, not a split. */
		if (pace != RAW_WHOLE && at > 500 && n - at > 1500)
			piece = 997;
		if (piece > n - at)
			piece = n - at;
		ssize_t sent = send(exchange->fd, bytes + at, piece, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return;
		at += (size_t)sent;
		if (pace != RAW_WHOLE)
			usleep(20);
	}
}

/* Length of the whole answer at p, 0 when it is not complete, -1 when it is none. */
static ssize_t measure_answer(const char *p, size_t n, bool is_closed, int *ret_status)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	size_t head_n, body_n = 0;

	if (n < 12)
		return memcmp(p, "HTTP/1.1 ", n < 9 ? n : 9) == 0 ? 0 : -1;
	if (memcmp(p, "HTTP/1.1 ", 9) != 0)
		return -1;
	*ret_status = atoi(p + 9);
	if (!end)
		return 0;
	head_n = (size_t)(end - p) + 4;
	if (memmem(p + 9, head_n - 9, "HTTP/1.", 7))
		return -1; /* a second status line among the headers */
	for (const char *line = p; line < end;
		line = (const char *)memchr(line, '\n', head_n) + 1) {
		if (strncasecmp(line, "content-length:", 15) == 0)
			body_n = strtoul(line + 15, NULL, 10);
		if (strncasecmp(line, "transfer-encoding:", 18) == 0)
			return is_closed ? (ssize_t)n : 0; /* streams: not taken apart here */
	}
	return head_n + body_n <= n ? (ssize_t)(head_n + body_n) : 0;
}

int raw_count_answers(const struct raw_exchange *exchange, int *ret_status)
{
	int n_answers = 0, status = 0;

	*ret_status = 0;
	for (size_t at = 0; at < exchange->n;) {
		ssize_t n = measure_answer(
			exchange->received + at, exchange->n - at, exchange->is_closed, &status);

		if (n_answers == 0)
			*ret_status = status;
		if (n <= 0)
			return exchange->is_closed || n < 0 ? -1 : n_answers;
		at += (size_t)n;
		n_answers++;
	}
	return n_answers;
}

void raw_receive(struct raw_exchange *exchange, unsigned n_answers, unsigned timeout_ms)
{
	uint64_t began_ms = raw_now_ms(), now_ms;
	int status;

	while ((now_ms = raw_now_ms()) - began_ms < timeout_ms) {
		struct pollfd ready = { .fd = exchange->fd, .events = POLLIN };

		if (n_answers > 0 && raw_count_answers(exchange, &status) >= (int)n_answers)
			return;
		if (poll(&ready, 1, (int)(timeout_ms - (now_ms - began_ms))) <= 0)
			continue;
		if (exchange->cap - exchange->n < 65536) {
			exchange->cap = exchange->cap * 2 + 131072;
			exchange->received = realloc(exchange->received, exchange->cap);
			if (!exchange->received)
				abort();
		}
		ssize_t n = recv(exchange->fd, exchange->received + exchange->n,
			exchange->cap - exchange->n - 1, 0);

		if (n <= 0) {
			exchange->is_closed = true;
			exchange->closed_ms = (unsigned)(raw_now_ms() - began_ms);
			return;
		}
		exchange->n += (size_t)n;
		exchange->received[exchange->n] = '\0';
	}
}

int raw_get(uint16_t port, const char *path)
{
	struct raw_exchange exchange;
	char request[256];
	int status = 0, n = snprintf(request, sizeof request,
				"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

	if (raw_open(&exchange, port)) {
		raw_send(&exchange, request, (size_t)n, RAW_WHOLE);
		raw_receive(&exchange, 0, 10000);
		if (raw_count_answers(&exchange, &status) < 0)
			status = 0;
	}
	raw_fini(&exchange);
	return status;
}
