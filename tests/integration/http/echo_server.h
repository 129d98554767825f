/*
 * echo_server.h - the listener with a handler that tells what it was asked
 *
 *   any method on any path     200 {"method":..,"path":..,"body":bytes}
 *   /smuggled                  the same, and counted
 *   /later                     answered after 20 ms, from a suspended connection
 *   /hang                      answered only when the client has gone, which is counted
 *   /big                       8 MiB
 *   /events                    a stream of one line each 10 ms
 *   /limited                   a body limit of 10 bytes
 *   /refused                   404 before the body is read
 *
 * Threads: one for the loop. Memory: freed by echo_server_stop.
 */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

struct echo_server;

struct echo_counts {
	atomic_uint n_requests, n_smuggled, n_aborted, n_done, n_streams_closed;
};

/* Short timers, a limit of 50 connections. Aborts when it cannot start. */
struct echo_server *echo_server_start(void);
uint16_t echo_server_port(const struct echo_server *server);
struct echo_counts *echo_server_counts(struct echo_server *server);
/* Requests that have begun and not ended. */
unsigned echo_server_in_flight(const struct echo_server *server);
/* Stops accepting, without waiting. */
void echo_server_quiesce(struct echo_server *server);
void echo_server_stop(struct echo_server *server);

#endif
