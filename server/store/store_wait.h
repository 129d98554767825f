/*
 * store_wait.h - run a store job and wait for it: at start, at the end, and in commands
 *
 * Never on a loop's thread, nor on the executor lane that the job itself needs.
 *
 * Threads: any other. Memory: the job is the caller's; done and loop are set here.
 */
#ifndef STORE_WAIT_H
#define STORE_WAIT_H

#include "store.h"

/* As store_write and store_read; returns job->outcome. */
enum store_outcome store_write_and_wait(struct store *store, struct store_job *job);
enum store_outcome store_read_and_wait(struct store *store, struct store_job *job);

#endif
