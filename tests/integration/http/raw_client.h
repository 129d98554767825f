/*
 * raw_client.h - a client that sends exact bytes and judges exact bytes
 *
 * Threads: none inside. Memory: an exchange owns what it received until raw_fini.
 */
#ifndef RAW_CLIENT_H
#define RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum raw_pace {
	RAW_WHOLE,
	RAW_BYTES, /* one byte at a time */
	RAW_RANDOM /* pieces of 1 to 40 bytes */
};

struct raw_exchange {
	int fd;
	char *received;
	size_t n, cap;
	bool is_closed;     /* the server has ended the connection */
	unsigned closed_ms; /* after how long, since the last byte was sent */
};

/* Connects to a port of 127.0.0.1. False when that fails. */
bool raw_open(struct raw_exchange *exchange, uint16_t port);
void raw_fini(struct raw_exchange *exchange);
/* Sends bytes; stops silently when the server closes. */
void raw_send(struct raw_exchange *exchange, const char *bytes, size_t n, enum raw_pace pace);
/* Receives until the server closes, or n_answers whole answers are there (0: until it closes), for
 * at most timeout_ms. */
void raw_receive(struct raw_exchange *exchange, unsigned n_answers, unsigned timeout_ms);
/* Whole answers received; *ret_status is the first one's status (0: none). -1 when there are bytes
 * that are not a whole answer, or a status line where none belongs. */
int raw_count_answers(const struct raw_exchange *exchange, int *ret_status);
uint64_t raw_now_ms(void);
/* One GET on a connection of its own: its status, 0 when there is no answer within 2 s. */
int raw_get(uint16_t port, const char *path);

#endif
