/*
 * store_lock.h - one server per data folder
 *
 * The lock is flock(2) on data/lock, which the kernel takes back when the process ends however it
 * ends. The file says who holds it (process and boot), for the message that the second one prints.
 *
 * Threads: any. Memory: the lock is the caller's until given back.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "defer.h"
#include "err.h"

struct store_lock;

/* Takes the lock of the data folder. Returns 0 and a lock to give back; or -1: ERR_STATE with a
 * message for the operator when another process holds it, ERR_IO. */
int store_lock_take(const char *folder, struct store_lock **ret, struct err *err);
/* Takes NULL. */
void store_lock_give(struct store_lock *lock);

DEFER_DEFINE(struct store_lock *, store_lock_give)

#endif
