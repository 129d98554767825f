/*
 * planning.h - the plan of a call: begun, filled, checked and queued on the call's loop
 *
 * Whoever begins a plan ends the call by one of the answers here, or queues the plan, which then
 * answers by itself.
 */
#ifndef RECORD_PLANNING_H
#define RECORD_PLANNING_H

#include "plan.h"

/* A plan with an arena of its own and room for so many changes; NULL when memory is short. */
struct plan *planning_begin(struct record_work *work, size_t n_max);
/* A change of old, or (NULL) a new collection; NULL when memory is short. */
struct change *planning_add(struct plan *plan, const struct record_collection *old);
/* What was read becomes what is wanted, with all that nobody needs to say. False: memory. */
bool planning_settle(struct record_work *work, struct change *change);
/* Adds flaws, when all changes of the plan are settled. False: memory. */
bool planning_check(struct record_work *work, struct change *change);

void planning_queue(struct record_work *work);
/* 400 with what is wrong with change; of an import, which of them it is. */
void planning_answer_flaws(struct record_work *work, const struct change *change);
/* 503 */
void planning_answer_short(struct record_work *work);
/* Gives the plan back, before an answer of one's own. */
void planning_end(struct record_work *work);

/* A collection that the plan leaves alone and that has a relation to this one; NULL: none. */
const struct record_collection *planning_find_pointer(
	const struct record_work *work, const struct record_collection *collection);

#endif
