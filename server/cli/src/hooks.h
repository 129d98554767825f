/*
 * hooks.h - where record and pool are wired: a write's before-hooks are calls into plugins
 *
 * record (which knows no plugins) asks through struct record_hooks; each plugin that declared a
 * hook for the event is called in order of its id, outside the writer. The first that refuses ends
 * it. What they attached runs later, in the write's own savepoint.
 */
#ifndef CLI_HOOKS_H
#define CLI_HOOKS_H

#include "pool.h"
#include "record.h"

/* Fills *ret for a pool, which must outlive it. */
void hooks_init(struct pool *pool, struct record_hooks *ret);

#endif
