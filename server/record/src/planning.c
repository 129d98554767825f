/*
 * planning.c - the plan of a call: made on its loop, run alone on the writer, answered
 *
 * The new snapshot is read inside the plan's transaction, and only after the COMMIT does it take
 * the old one's place, before any later write runs.
 */
#include "planning.h"
#include "keep_options.h"

#include "auth_options.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* ---- the plan of a call ---- */

static bool asks_for(const struct record_work *work, const char *name)
{
	struct bytes text = work_query(work, name);
	return bytes_eq_string(text, "1") || bytes_eq_nocase(text, BYTES("true"));
}

void planning_end(struct record_work *work)
{
	struct plan *plan = plan_of(work);
	work->change = NULL;
	work->arena = work->call->arena;
	if (!plan)
		return;
	schema_unref(plan->schema);
	arena_free(plan->arena);
}

struct plan *planning_begin(struct record_work *work, size_t n_max)
{
	struct arena *arena = NULL;
	if (arena_new(PLAN_ARENA_BYTES, &arena, &work->job.err) < 0)
		return NULL;
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct change **changes = plan ? arena_alloc(arena, (n_max + 1) * sizeof(*changes)) : NULL;
	if (!changes) {
		arena_free(arena);
		return NULL;
	}
	*plan = (struct plan){ .arena = arena,
		.changes = changes,
		.is_dry = asks_for(work, "dryRun"),
		.is_lossy = asks_for(work, "lossy") };
	work->change = plan;
	work->arena = arena;
	return plan;
}

struct change *planning_add(struct plan *plan, const struct record_collection *old)
{
	struct change *change = arena_alloc(plan->arena, sizeof(*change));
	if (!change)
		return NULL;
	*change = (struct change){ .old = old };
	if (old) {
		change->id = old->id;
		change->name = old->name;
		change->is_auth = old->is_auth;
		change->is_view = old->is_view;
	}
	flaws_init(&change->flaws, plan->arena);
	plan->changes[plan->n_changes++] = change;
	return change;
}

/* ---- answers ---- */

static const char *failed_message(const struct record_work *work, const struct plan *plan)
{
	if (plan->is_import)
		return "Failed to import collections.";
	if (plan->n_changes && plan->changes[0]->is_drop)
		return "Failed to delete collection due to existing dependency.";
	return work->collection ? "Failed to update collection." : "Failed to create collection.";
}

void planning_answer_flaws(struct record_work *work, const struct change *change)
{
	DEFER(bytes_buf_fini) struct bytes_buf inner;
	const struct plan *plan = plan_of(work);
	const char *message = failed_message(work, plan);
	struct bytes_buf *out = &work->call->answer;
	bytes_buf_clear(out);
	if (plan->is_import) {
		bytes_buf_init(&inner, 64u << 10);
		bytes_buf_appendf(&inner,
			"Data validations failed for collection \"%.*s\" (%.*s):\n",
			(int)change->name.n, change->name.p ? change->name.p : "",
			(int)change->id.n, change->id.p ? change->id.p : "");
		flaws_write(&change->flaws, &inner);
		bytes_buf_append_string(out,
			"{\"collections\":{\"code\":\"validation_collections_import_failure\","
			"\"message\":");
		text_json_append_string(out, bytes_buf_view(&inner));
		bytes_buf_append_string(out, "}}");
	} else {
		bytes_buf_init(&inner, 0);
		flaws_write(&change->flaws, out);
	}
	planning_end(work);
	work_answer(work, 400, message);
}

/* What multiple choices lost when they became one: "tags=3". */
static void note_losses(struct record_work *work)
{
	for (const struct conversion *c = plan_of(work)->conversions; c; c = c->next)
		if (c->n_lost)
			bytes_buf_appendf(&work->call->lost, "%s%.*s=%lld",
				work->call->lost.n ? "," : "", (int)c->field->name.n,
				c->field->name.p, (long long)c->n_lost);
}

static void answer_conflict(struct record_work *work, const char *message)
{
	planning_end(work);
	problems_init(&work->problems, &work->call->answer);
	problems_add(&work->problems, BYTES("name"), "validation_not_unique",
		"The records or collections that are there do not allow it.");
	work_answer_problems(work, message);
}

static void deliver_change(struct loop_message *message)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)message -
					       offsetof(struct record_work, password_done));
	struct plan *plan = plan_of(work);
	if (work->job.outcome == STORE_OK || plan->is_told) {
		bool has_body = plan->is_told || (!plan->is_import && !plan->changes[0]->is_drop);
		note_losses(work);
		planning_end(work);
		work_answer(work, has_body ? 200 : 204, "");
	} else if (work->job.outcome == STORE_REFUSED && plan->flawed) {
		planning_answer_flaws(work, plan->flawed);
	} else if (work->job.outcome == STORE_CONFLICT) {
		answer_conflict(work, failed_message(work, plan));
	} else {
		const char *failed = failed_message(work, plan);
		planning_end(work);
		if (!work_answer_outcome(work))
			work_answer_problems(work, failed);
	}
}

/* ---- on the writer ---- */

static enum store_outcome run_change(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct plan *plan = plan_of(work);
	struct text_json_writer writer;
	plan->is_told = false;
	enum store_outcome outcome = plan_run(work, conn);
	if (outcome != STORE_OK)
		return outcome;
	bytes_buf_clear(&work->call->answer);
	if (plan->is_dry) {
		plan_report(work);
		plan->is_told = true;
		return STORE_REFUSED; /* which takes all of it back */
	}
	if (!plan->is_import && !plan->changes[0]->is_drop) {
		text_json_writer_init(&writer, &work->call->answer);
		collection_write(&writer, schema_find(work->new_schema, plan->changes[0]->id));
	}
	return STORE_OK;
}

/* On the writer's thread, right after the COMMIT: the next write must find the new snapshot. */
static void done_change(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (job->outcome == STORE_OK) {
		book_swap_schema(work->call->book, work->new_schema);
		files_committed(work);
	} else {
		schema_unref(work->new_schema);
	}
	work->new_schema = NULL;
	work->password_done.deliver = deliver_change;
	loop_post(work->call->loop, &work->password_done);
}

void planning_queue(struct record_work *work)
{
	work->job.run = run_change;
	work->job.done = done_change;
	work->job.loop = NULL;
	work->job.alone = true;
	work->job.deadline_ns = 0;
	store_write(work->call->book->store, &work->job);
}

/* ---- what was read becomes what is wanted ---- */

static bool give_id(struct record_work *work, struct change *change)
{
	if (change->id.n)
		return true;
	/* Of type and name, as PocketBase makes it; with a random one when that is in use. */
	const char *type = change->is_view ? "view" : change->is_auth ? "auth" : "base";
	struct bytes text = arena_printf(work->arena, "%s%.*s", type, (int)change->name.n,
		change->name.p ? change->name.p : "");
	if (!text.p)
		return false;
	change->id = arena_printf(work->arena, "pbc_%u", (unsigned)change_checksum(text));
	if (change->id.p && schema_find(work->schema, change->id)) {
		char id[ID_RECORD_BYTES + 1];
		id_record(loop_ids(work->call->loop), id);
		change->id = arena_printf(work->arena, "%s", id);
	}
	return change->id.p;
}

bool planning_settle(struct record_work *work, struct change *change)
{
	if (!give_id(work, change) || !change_inherit(work, change))
		return false;
	if (change->is_view) {
		change->n_fields = 0; /* its SELECT says them */
		return true;
	}
	return change_settle_fields(work, change) && change_add_system_fields(change, work->arena);
}

bool planning_check(struct record_work *work, struct change *change)
{
	const struct plan *plan = plan_of(work);
	change_check(work, change, plan->changes, plan->n_changes);
	keep_options_settle(change);
	return change_add_system_indexes(change, work->arena) &&
	       auth_options_settle(work, change) && !change->flaws.failed;
}

void planning_answer_short(struct record_work *work)
{
	planning_end(work);
	bytes_buf_clear(&work->call->answer);
	work_answer(work, 503, "The server is short of memory.");
}

const struct record_collection *planning_find_pointer(
	const struct record_work *work, const struct record_collection *collection)
{
	const struct plan *plan = plan_of(work);
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		bool is_changed = other == collection || other->is_view;
		for (size_t i = 0; i < plan->n_changes; i++)
			is_changed |= plan->changes[i]->old == other;
		for (size_t i = 0; i < other->n_fields && !is_changed; i++)
			if (other->fields[i].target == collection)
				return other;
	}
	return NULL;
}
