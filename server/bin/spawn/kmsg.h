/*
 * kmsg.h - which system call a worker was killed for, from the kernel's log
 *
 * The kernel logs each kill by a filter as an audit record, even where no audit daemon runs. The
 * log names processes as the initial namespaces see them, so a worker is found by its outer user id
 * when it has one of its own, else by its process id. Best effort: the log is for root only, and
 * the kernel limits its rate.
 *
 * Threads: one. Memory: the caller owns the descriptor.
 */
#ifndef SPAWN_KMSG_H
#define SPAWN_KMSG_H

#include <stdint.h>
#include <sys/types.h>

#include "bytes.h"

/* Opens the kernel's log at its end, without blocking. -1 where that is not allowed. */
int kmsg_open(void);

/* The number of the system call for which the worker was killed just now, or -1. Waits for the
 * kernel's record for at most 5 ms. outer_uid is 0 when the worker has none of its own. */
int kmsg_find_kill(int fd, pid_t pid, uint32_t outer_uid);

/* The system call in one record of the log, when it tells of a kill of that worker; else -1. */
int kmsg_parse_kill(struct bytes record, pid_t pid, uint32_t outer_uid);

#endif
