/*
 * process.h - the spawner as a process: exec it, end it
 *
 * Threads: the caller's; the spawner dies with the thread that exec'd it. Memory: the caller's.
 */
#ifndef SPAWN_PROCESS_H
#define SPAWN_PROCESS_H

#include <sys/types.h>

#include "err.h"

/* Execs spawner_path with the path of the worker as its argument: empty environment, a session of
 * its own (so that Ctrl-C does not reach it), /dev/null, our standard error, and its end of a
 * socket. Returns 0, its process id and our end of the socket (non-blocking); or -1 with *err set
 * (ERR_IO). */
int process_start(const char *spawner_path, const char *worker_path, pid_t *ret_pid,
	int *ret_socket, struct err *err);

/* Kills and reaps it. */
void process_end(pid_t pid);

/* Reaps it when it ends by itself, as it does once our end of the socket is closed; kills it when
 * it has not within a second. */
void process_wait(pid_t pid);

#endif
