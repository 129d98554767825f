/*
 * landlock.h - no file but one, no TCP, no signal and no abstract socket to the outside
 *
 * The rights are written out here because the kernel may be newer than the headers of the system
 * that we build on; a right that this kernel does not know is not asked for.
 *
 * Threads: the calling one. Memory: none.
 */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include "err.h"

/* The kernel's Landlock version, 0 when it has none. */
int landlock_abi(void);

/* Handles every right that the kernel knows and gives back only the reading of the one file; a NULL
 * path gives back nothing. *ret_abi, unless NULL, is the kernel's version. no_new_privs must be
 * set. Returns 0, or -1 with *err set (ERR_IO, ERR_UNAVAILABLE when the kernel has no Landlock). */
int landlock_restrict(const char *readable_path, int *ret_abi, struct err *err);

#endif
