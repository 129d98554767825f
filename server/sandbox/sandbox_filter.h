/*
 * sandbox_filter.h - which system calls a program of ours may make, as a table, and as BPF
 *
 * Each list is a const table whose rows read: system call, test of one argument, verdict. Rows of
 * one call stand together and the first whose test holds decides; a call without such a row gets
 * the default of the list. The table is compiled to classic BPF here: no library stands between the
 * rows that a reader reviews and the instructions that the kernel runs, and a unit test interprets
 * the instructions over every number of three architectures against a table written by hand.
 *
 * There is exactly one filter per worker, installed before any byte of the plugin runs. A second,
 * tighter one later could be forged: code that runs before it could install a filter of its own
 * that answers seccomp() with success.
 *
 * Threads: any. Memory: the caller's.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum sandbox_list {
	SANDBOX_LIST_WORKER,    /* a glibc process that computes, maps memory, waits on futexes and
				   writes */
	SANDBOX_LIST_SPAWNER,   /* clones, mounts and execs; no sockets, no kernel interfaces */
	SANDBOX_LIST_INSPECTOR, /* reads 0, writes 1 and 2, ends */
	SANDBOX_LISTS
};

/* One BPF instruction, laid out as the kernel's struct sock_filter. */
struct sandbox_insn {
	uint16_t code;
	uint8_t jump_true, jump_false;
	uint32_t k;
};

#define SANDBOX_PROGRAM_INSNS 512

struct sandbox_program {
	size_t n_insns;
	struct sandbox_insn insns[SANDBOX_PROGRAM_INSNS];
};

/* Compiles a list for a process whose id, as itself sees it, is own_pid. A soft program answers
 * what is refused with EPERM, a hard one kills the process. */
void sandbox_filter_compile(
	enum sandbox_list list, uint32_t own_pid, bool is_soft, struct sandbox_program *ret);

/* Compiles for the calling process and installs, for all its threads and for ever. The caller has
 * set no_new_privs or holds CAP_SYS_ADMIN. Returns 0, or -1 with *err set (ERR_IO). */
int sandbox_filter_install(enum sandbox_list list, bool is_soft, struct err *err);

#endif
