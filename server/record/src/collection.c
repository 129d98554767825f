/*
 * collection.c - one collection made, changed or dropped over the API
 */
#include "planning.h"

static void start_change(struct record_work *work)
{
	struct plan *plan = planning_begin(work, 1);
	struct change *change = plan ? planning_add(plan, work->collection) : NULL;
	if (!change) {
		planning_answer_short(work);
		return;
	}
	if (!change_parse(work, change, work->call->body)) {
		planning_end(work);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	if (!planning_settle(work, change) || (!change->flaws.n && !planning_check(work, change)))
		planning_answer_short(work);
	else if (change->flaws.n)
		planning_answer_flaws(work, change);
	else
		planning_queue(work);
}

void record_collection_create(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_create, false);
	if (work)
		start_change(work);
}

void record_collection_update(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_update, true);
	if (work)
		start_change(work);
}

void record_collection_delete(struct record_call *call)
{
	struct record_work *work = work_new_for_superuser(call, record_collection_delete, true);
	if (!work)
		return;
	if (work->collection->is_system) {
		work_answer(work, 400, "You cannot delete system collections.");
		return;
	}
	struct plan *plan = planning_begin(work, 1);
	struct change *change = plan ? planning_add(plan, work->collection) : NULL;
	if (!change) {
		planning_answer_short(work);
		return;
	}
	change->is_drop = true;
	const struct record_collection *pointer = planning_find_pointer(work, work->collection);
	if (pointer) {
		flaws_add(&change->flaws, "relations", -1, NULL, "validation_relation_dependency",
			"The collection %.*s has a relation to it.", (int)pointer->name.n,
			pointer->name.p);
		planning_answer_flaws(work, change);
		return;
	}
	planning_queue(work);
}
