/*
 * group.c - the items of a group: made ready one after the other, then run in one job
 */
#include "group.h"

#include "once.h"
#include "write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLICE 32 /* items made ready before the loop has its turn again */

enum group_state {
	GROUP_READYING, /* items[0..n_ready) are ready, items[n_ready] is on its way */
	GROUP_QUEUED,   /* on the writer */
	GROUP_ENDING    /* answers are being made */
};

struct group_work {
	struct store_job job;
	struct loop_message message; /* the next slice */
	struct store_job find_job;   /* whether the record of an upsert is there */
	struct record_group *group;
	struct arena *arena;
	enum group_state state;
	size_t n_started, n_ready, running;
	unsigned n_tries;
	bool is_advancing, is_item_failed, is_again, is_sliced;
	bool is_whole; /* what was refused is not one item but all */
};

static struct group_work *work_of(struct store_job *job)
{
	return (struct group_work *)(void *)((char *)job - offsetof(struct group_work, job));
}

static struct group_work *work_of_find(struct store_job *job)
{
	return (struct group_work *)(void *)((char *)job - offsetof(struct group_work, find_job));
}

static void advance(struct record_group *group);
static void start_all(struct record_group *group);

/* ---- the end ---- */

/* Gives back what the items hold that will not be answered. */
static void drop_items(struct record_group *group, const struct record_work *but)
{
	for (size_t i = 0; i < group->n_items; i++) {
		struct record_call *call = &group->items[i].call;
		if (!call->work || call->work == but)
			continue;
		work_release(call->work);
		call->work = NULL;
	}
}

static void end(struct record_group *group)
{
	group->work->state = GROUP_ENDING;
	drop_items(group, NULL);
	group->done(group);
}

static void end_with(struct record_group *group, int status, const char *message)
{
	group->result = RECORD_GROUP_FAILED;
	group->status = status;
	group->message = message;
	end(group);
}

/* The item has its answer. What is the server's own trouble is not the item's. */
static void end_failed(struct record_group *group, size_t index)
{
	struct record_call *call = &group->items[index].call;
	group->failed = index;
	group->err = call->err;
	group->status = call->status;
	group->message = call->message;
	group->result = call->status >= 500 || group->work->is_whole ? RECORD_GROUP_FAILED
								     : RECORD_GROUP_ITEM_FAILED;
	end(group);
}

/* ---- on the writer ---- */

/* What concerns the whole is answered as the first item's. */
static enum store_outcome begin_run(struct record_group *group, struct store_conn *conn)
{
	struct record_work *first = group->items[0].call.work;
	first->refused_status = 0;
	first->has_refusal_data = false;
	first->job.err = (struct err){ 0 };
	bytes_buf_clear(&group->answer);
	enum store_outcome outcome = once_begin(first, group->once, conn);
	group->work->is_whole = outcome != STORE_OK;
	return outcome;
}

/* As the last item's. */
static enum store_outcome end_run(struct record_group *group, struct store_conn *conn)
{
	struct record_work *last = group->items[group->n_items - 1].call.work;
	if (group->compose)
		group->compose(group, &group->answer);
	if (group->answer.failed) {
		ERR_SET(&last->job.err, ERR_NOMEM, "no memory for the answer of a group");
		return STORE_FAULT;
	}
	enum store_outcome outcome =
		once_keep(last, group->once, conn, 200, bytes_buf_view(&group->answer));
	group->work->is_whole = outcome != STORE_OK;
	return outcome;
}

static enum store_outcome run_group(struct store_job *job, struct store_conn *conn)
{
	struct group_work *work = work_of(job);
	struct record_group *group = work->group;
	size_t n_bytes = 0;
	work->running = 0;
	enum store_outcome begun = begin_run(group, conn);
	if (begun != STORE_OK)
		return begun;
	for (size_t i = 0; i < group->n_items; i++) {
		struct record_work *item = group->items[i].call.work;
		work->running = i;
		item->job.err = (struct err){ 0 };
		enum store_outcome outcome = item->job.run(&item->job, conn);
		n_bytes += item->call->answer.n;
		if (outcome == STORE_OK && n_bytes > RECORD_GROUP_ANSWERS_MAX)
			outcome = row_refuse(item, 400,
				"The answers are larger than 8 MiB in all: ask for fewer fields.");
		if (outcome == STORE_OK && i + 1 == group->n_items)
			outcome = end_run(group, conn);
		if (outcome == STORE_OK)
			continue;
		if (job->err.code == ERR_NONE)
			job->err = item->job.err;
		return outcome;
	}
	work->running = group->n_items; /* what fails now is the commit */
	return STORE_OK;
}

static void committed_group(struct store_job *job)
{
	struct record_group *group = work_of(job)->group;
	for (size_t i = 0; i < group->n_items; i++) {
		struct store_job *item = &group->items[i].call.work->job;
		if (item->committed)
			item->committed(item);
	}
}

static void answer_all(struct record_group *group)
{
	group->result = RECORD_GROUP_DONE;
	group->status = 200;
	group->message = "";
	for (size_t i = 0; i < group->n_items; i++) {
		struct store_job *job = &group->items[i].call.work->job;
		job->outcome = STORE_OK;
		job->done(job);
	}
	end(group);
}

/* An upsert that found another row than it was made ready for. */
static bool is_upsert_overtaken(const struct record_item *item, const struct store_job *job)
{
	if (item->kind != RECORD_ITEM_UPSERT)
		return false;
	if (item->action == RECORD_UPDATE)
		return job->outcome == STORE_REFUSED && item->call.work->refused_status == 404;
	size_t n = strlen(job->conflict_columns);
	return job->outcome == STORE_CONFLICT && n > 3 &&
	       strcmp(job->conflict_columns + n - 3, ".id") == 0;
}

static void done_group(struct store_job *job)
{
	struct group_work *work = work_of(job);
	struct record_group *group = work->group;
	work->state = GROUP_ENDING;
	if (job->outcome == STORE_OK) {
		answer_all(group);
		return;
	}
	/* Whose fault it was, or, of the queue or the commit, anybody's: the outcome becomes a
	 * status the same way. */
	size_t index = work->running < group->n_items ? work->running : 0;
	struct record_item *item = &group->items[index];
	struct record_work *failed = item->call.work;
	if (is_upsert_overtaken(item, job) && work->n_tries < TRIES_MAX) {
		group_begin_again(group);
	} else {
		drop_items(group, failed);
		failed->job.outcome = job->outcome;
		failed->job.conflict = job->conflict;
		memcpy(failed->job.conflict_columns, job->conflict_columns,
			sizeof(job->conflict_columns));
		failed->job.err = job->err;
		failed->job.done(&failed->job);
	}
	if (work->is_again)
		start_all(group);
	else
		end_failed(group, index);
}

static void queue(struct record_group *group)
{
	struct group_work *work = group->work;
	work->state = GROUP_QUEUED;
	work->running = group->n_items;
	work->job = (struct store_job){ .run = run_group,
		.done = done_group,
		.committed = committed_group,
		.loop = group->loop,
		.alone = true,
		.deadline_ns = group->deadline_ns };
	store_write(group->book->store, &work->job);
}

/* ---- on the loop: making ready ---- */

static void on_item_done(struct record_call *call)
{
	struct record_group *group = call->group;
	if (group->work->state != GROUP_READYING)
		return; /* done_group looks at it */
	group->work->is_item_failed = true;
	advance(group);
}

void group_item_ready(struct record_group *group)
{
	group->work->n_ready++;
	advance(group);
}

void group_begin_again(struct record_group *group)
{
	group->work->is_again = true;
	if (group->work->state == GROUP_READYING)
		advance(group);
}

static bool is_same_row(const struct record_call *a, const struct record_call *b)
{
	const struct record_work *first = a->work, *second = b->work;
	if (!first || !second || !first->collection || !second->collection)
		return false;
	return bytes_eq(first->collection->id, second->collection->id) &&
	       strcmp(first->id, second->id) == 0;
}

bool group_wrote_before(const struct record_work *work)
{
	const struct record_group *group = work->call->group;
	if (!group)
		return false;
	for (size_t i = 0; i < group->n_items && &group->items[i].call != work->call; i++)
		if (is_same_row(&group->items[i].call, work->call))
			return true;
	return false;
}

static void start_action(struct record_item *item, enum record_action action)
{
	struct record_call *call = &item->call;
	item->action = action;
	call->answer.max = call->answer.max ? call->answer.max : RECORD_BODY_MAX;
	if (action == RECORD_CREATE)
		record_create(call);
	else if (action == RECORD_UPDATE)
		record_update(call);
	else
		record_delete(call);
}

/* ---- upsert ---- */

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct group_work *work = work_of_find(job);
	struct record_item *item = &work->group->items[work->n_started - 1];
	DEFER(schema_unref) struct record_schema *schema = book_schema(work->group->book);
	const struct record_collection *collection = schema_find(schema, item->call.collection);
	struct store_stmt *stmt;
	bool found = false;
	if (!collection || !item->call.id.n)
		return STORE_REFUSED;
	enum store_outcome outcome = store_prepare(conn, collection->get_sql, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, item->call.id);
	outcome = store_step(stmt, &found);
	return outcome == STORE_OK && !found ? STORE_REFUSED : outcome;
}

static void done_find(struct store_job *job)
{
	struct group_work *work = work_of_find(job);
	struct record_item *item = &work->group->items[work->n_started - 1];
	/* What could not be found out, the write itself will. */
	start_action(item, job->outcome == STORE_OK ? RECORD_UPDATE : RECORD_CREATE);
}

/* Whether the record will be there, as far as the items before this one decide it. */
static bool find_among_items(
	const struct record_group *group, const struct record_item *item, enum record_action *ret)
{
	bool found = false;
	for (const struct record_item *at = group->items; at < item; at++) {
		const struct record_work *work = at->call.work;
		if (!work || !work->collection || !item->call.id.n ||
			!bytes_eq_string(item->call.id, work->id) ||
			(!bytes_eq_nocase(work->collection->name, item->call.collection) &&
				!bytes_eq(work->collection->id, item->call.collection)))
			continue;
		found = true;
		*ret = at->action == RECORD_DELETE ? RECORD_CREATE : RECORD_UPDATE;
	}
	return found;
}

static void start_upsert(struct record_group *group, struct record_item *item)
{
	struct group_work *work = group->work;
	enum record_action action = RECORD_CREATE;
	if (!item->call.id.n || find_among_items(group, item, &action)) {
		start_action(item, action);
		return;
	}
	work->find_job = (struct store_job){ .run = run_find,
		.done = done_find,
		.loop = group->loop,
		.deadline_ns = group->deadline_ns };
	store_read(group->book->store, &work->find_job);
}

static void start_item(struct record_group *group, struct record_item *item)
{
	static const enum record_action actions[] = { [RECORD_ITEM_CREATE] = RECORD_CREATE,
		[RECORD_ITEM_UPDATE] = RECORD_UPDATE,
		[RECORD_ITEM_DELETE] = RECORD_DELETE };
	struct record_call *call = &item->call;
	call->book = group->book;
	call->loop = group->loop;
	call->arena = group->work->arena;
	call->viewer = group->viewer;
	call->ignore_rules = group->ignore_rules;
	call->depth = group->depth;
	call->deadline_ns = group->deadline_ns;
	memcpy(call->trace_id, group->trace_id, sizeof(call->trace_id));
	call->group = group;
	call->done = on_item_done;
	if (item->kind == RECORD_ITEM_UPSERT)
		start_upsert(group, item);
	else
		start_action(item, actions[item->kind]);
}

static void deliver_slice(struct loop_message *message)
{
	struct group_work *work =
		(struct group_work *)(void *)((char *)message -
					      offsetof(struct group_work, message));
	work->is_sliced = false;
	advance(work->group);
}

/* Starts items as long as each is ready at once. Items call back into this while it runs: those
 * calls return, and the loop here sees what changed. */
static void advance(struct record_group *group)
{
	struct group_work *work = group->work;
	if (work->is_advancing || work->is_sliced)
		return;
	work->is_advancing = true;
	for (unsigned n = 0; n < SLICE && !work->is_item_failed && !work->is_again &&
			     work->n_ready == work->n_started && work->n_started < group->n_items;
		n++)
		start_item(group, &group->items[work->n_started++]);
	work->is_advancing = false;

	if (work->is_again) {
		start_all(group);
	} else if (work->is_item_failed) {
		end_failed(group, work->n_started - 1);
	} else if (work->n_ready == group->n_items) {
		queue(group);
	} else if (work->n_ready == work->n_started) {
		work->is_sliced = true;
		work->message.deliver = deliver_slice;
		loop_post(group->loop, &work->message);
	}
}

static void start_all(struct record_group *group)
{
	struct group_work *work = group->work;
	drop_items(group, NULL);
	for (size_t i = 0; i < group->n_items; i++)
		group->items[i].call.work = NULL;
	if (work->n_tries++ >= TRIES_MAX) {
		end_with(group, 503, "The collections are being changed. Try again.");
		return;
	}
	work->state = GROUP_READYING;
	work->n_started = work->n_ready = 0;
	work->is_item_failed = work->is_again = false;
	advance(group);
}

/* ---- what callers see ---- */

int record_group_new(size_t n_items, struct record_group **ret, struct err *err)
{
	assert(n_items > 0 && n_items <= RECORD_GROUP_MAX);
	DEFER(arena_free) struct arena *arena = NULL;
	if (arena_new(RECORD_GROUP_ARENA_BYTES, &arena, err) < 0)
		return -1;
	struct record_group *group = arena_alloc(arena, sizeof(*group));
	struct group_work *work = arena_alloc(arena, sizeof(*work));
	struct record_item *items = arena_alloc(arena, n_items * sizeof(*items));
	if (!group || !work || !items)
		return ERR_SET(err, ERR_NOMEM, "no memory for %zu writes", n_items);
	*work = (struct group_work){ .group = group, .arena = arena };
	*group = (struct record_group){ .items = items, .n_items = n_items, .work = work };
	/* What wraps an answer is less than this. */
	bytes_buf_init(&group->answer, RECORD_GROUP_ANSWERS_MAX + 64 * n_items + 64);
	arena = NULL; /* the group lies in it */
	*ret = group;
	return 0;
}

void record_group_free(struct record_group *group)
{
	if (!group)
		return;
	for (size_t i = 0; i < group->n_items; i++)
		record_call_fini(&group->items[i].call);
	bytes_buf_fini(&group->answer);
	arena_free(group->work->arena);
}

struct arena *record_group_arena(struct record_group *group)
{
	return group->work->arena;
}

void record_group_run(struct record_group *group)
{
	if (!group->deadline_ns)
		group->deadline_ns = clock_mono_ns() + CALL_MAX_NS;
	start_all(group);
}

void record_group_cancel(struct record_group *group)
{
	struct group_work *work = group->work;
	if (work->state == GROUP_QUEUED)
		store_cancel(&work->job);
	else if (work->n_started > 0)
		record_cancel(&group->items[work->n_started - 1].call);
}
