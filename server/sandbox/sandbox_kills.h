/*
 * sandbox_kills.h - which system call a worker was killed for, as the kernel records it
 *
 * The kernel makes an audit record of each kill by a filter, also where no audit daemon runs. Best
 * is to listen to the records themselves (CAP_AUDIT_READ, first network namespace); else the
 * kernel's log has them, limited in their rate; both are for root only, so the answer may be: not
 * known. Records name processes as the initial namespaces see them, hence a worker is known by its
 * outer user id where it has one of its own.
 *
 * Threads: one. Memory: the caller's.
 */
#ifndef SANDBOX_KILLS_H
#define SANDBOX_KILLS_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

struct sandbox_kills {
	int fd; /* to wait on; -1: nothing to be learnt here */
	bool is_log;
};

struct sandbox_kills_record {
	uint64_t pid, uid;
	int call; /* number of the system call */
};

/* Before the network namespace is left. Always fills *ret; nothing is read that was there before.
 */
void sandbox_kills_open(struct sandbox_kills *ret);

/* The next record of a kill, without waiting. False when there is none. */
bool sandbox_kills_next(const struct sandbox_kills *kills, struct sandbox_kills_record *ret);

/* Reads one record's text: "... uid=1 ... pid=2 ... syscall=3 ...". False when it is not complete.
 */
bool sandbox_kills_parse(struct bytes text, struct sandbox_kills_record *ret);

#endif
