/*
 * pool_hooks.h - plugins' hooks as module record asks for them
 *
 * Before a write, outside of the writer, the hooks of all plugins for that event are asked one
 * after the other, in order of plugin id; the first that says no ends it. What they attach is
 * collected and later runs inside the write's own savepoint. A hook whose plugin does not answer
 * (down, too slow, crashed) refuses the write, unless its manifest says "onFailure":"open".
 *
 * Threads: as record.h says. Memory: hooks points to the pool, which must outlive it.
 */
#ifndef POOL_POOL_HOOKS_H
#define POOL_POOL_HOOKS_H

#include "pool.h"
#include "record.h"

/* The hooks of all plugins. The tenant that a record_book names must be the tenant's name. */
struct record_hooks pool_hooks(struct pool *pool);

#endif
