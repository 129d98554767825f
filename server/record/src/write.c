/*
 * write.c - records created and changed
 *
 *   on the loop          body -> values -> checks ─▶ password lane ─▶ before-hook ─▶ writer's queue
 *   on the writer        version -> insert or merge -> rule -> attached checks -> answer's JSON
 */
#include <stdio.h>
#include <string.h>

#include "field_rule.h"
#include "keep.h"
#include "once.h"
#include "password.h"
#include "write.h"

/* For the values of one update: twice the largest body, and what modifiers build on. */
#define UPDATE_ARENA_BYTES (4u << 20)

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

void write_draw_token_key(struct record_work *work)
{
	char random[24];
	id_random(work_ids(work), random, sizeof(random));
	bytes_hex((struct bytes){ random, sizeof(random) }, work->token_key);
	work->token_key[48] = '\0';
}

/* ---- the password lane ---- */

static void done_password(struct loop_message *message)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)message -
					       offsetof(struct record_work, password_done));
	if (work->is_password_wrong) {
		problems_add(&work->problems, BYTES("oldPassword"),
			"validation_invalid_old_password", "Missing or invalid old password.");
		work_answer_problems(work, "Failed to update record.");
	} else if (work->job.err.code != ERR_NONE) {
		work->job.outcome = STORE_FAULT;
		work_answer_outcome(work);
	} else {
		ask_then_queue(work);
	}
}

static void run_password(struct executor_job *job)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)job -
					       offsetof(struct record_work, password_job));
	struct err *err = &work->job.err;
	bool is_right = false;
	*err = (struct err){ 0 };
	if (work->needs_old &&
		password_check(bytes_of(work->old_hash), work->old_password, &is_right, err) == 0)
		work->is_password_wrong = !is_right;
	if (err->code == ERR_NONE && !work->is_password_wrong)
		password_hash(work->password, PASSWORD_COST, work->password_hash, err);
	work->password_done.deliver = done_password;
	loop_post(work->call->loop, &work->password_done);
}

static void start_password(struct record_work *work)
{
	work->password_job.run = run_password;
	if (executor_submit(work->call->book->executor, EXECUTOR_PASSWORD, &work->password_job) ==
		EXECUTOR_OK)
		return;
	work->job.outcome = STORE_BUSY;
	work_answer_outcome(work);
}

/* ---- on the writer ---- */

enum store_outcome write_create_row(struct record_work *work, struct store_conn *conn)
{
	bool is_met = false;
	int note = -1;
	enum store_outcome outcome = field_rules_apply(work, conn);
	if (outcome == STORE_OK)
		outcome = row_check_relations(work, conn);
	if (outcome == STORE_OK)
		outcome = changes_begin(
			work, conn, RECORD_CREATE, work->collection, bytes_of(work->id), &note);
	if (outcome == STORE_OK)
		outcome = row_insert(work, conn);
	if (outcome == STORE_OK)
		outcome = files_write(work, conn);
	if (outcome == STORE_OK)
		outcome = changes_end(work, conn, note);
	if (outcome == STORE_OK)
		outcome = account_check(work, conn, true);
	if (outcome == STORE_OK)
		outcome = row_meets_rule(work, conn, RULE_CREATE, &is_met);
	if (outcome == STORE_OK && !is_met) {
		work_note_rule(work, RULE_CREATE);
		outcome = row_refuse(work, 400, "Failed to create record.");
	}
	return outcome == STORE_OK ? ask_run_attached(work, conn) : outcome;
}

/* What every run of a write begins and ends with. */
static enum store_outcome begin_run(struct record_work *work, struct store_conn *conn)
{
	changes_forget(work);
	files_begin(work);
	enum store_outcome outcome = work_check_version(work, conn);
	return outcome == STORE_OK ? once_begin(work, work->call->once, conn) : outcome;
}

static enum store_outcome end_run(struct record_work *work, struct store_conn *conn)
{
	enum store_outcome outcome = row_answer(work, conn);
	return outcome == STORE_OK ? once_keep(work, work->call->once, conn, 200,
					     bytes_buf_view(&work->call->answer))
				   : outcome;
}

static enum store_outcome run_create(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	work->refused_status = 0;
	work->has_refusal_data = false;
	work->call->refused_by = RECORD_BY_NOBODY;
	work->problems.n = 0;
	enum store_outcome outcome = begin_run(work, conn);
	if (outcome == STORE_OK)
		outcome = write_create_row(work, conn);
	return outcome == STORE_OK ? end_run(work, conn) : outcome;
}

static void done_write(struct store_job *job)
{
	struct record_work *work = work_of(job);
	const char *message = work->action == RECORD_CREATE ? "Failed to create record."
							    : "Failed to update record.";
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK) {
		match_note(work); /* here, where writes do not wait for the hash */
		work_answer(work, 200, "");
	} else if (job->outcome == STORE_CONFLICT) {
		row_note_conflict(work);
		work_answer_problems(work, message);
	} else if (work->refused_status) {
		if (!work->has_refusal_data)
			bytes_buf_clear(&work->call->answer);
		work_answer(work, work->refused_status, work->refused_message);
	} else {
		work_answer_problems(work, message);
	}
}

/* ---- create ---- */

/* Makes work->values, all at their defaults for a create. False: the call has been answered. */
static bool begin_write(struct record_work *work, bool is_create)
{
	const struct record_collection *collection = work->collection;
	work->values =
		arena_alloc(work->call->arena, (collection->n_fields + 1) * sizeof(struct value));
	if (!work->values || !field_rules_begin(work)) {
		work_answer(work, 503, "The server is short of memory.");
		return false;
	}
	if (!work_parse_shape(work))
		return false;
	for (size_t i = 0; i < collection->n_fields && is_create; i++)
		value_default(&collection->fields[i], &work->values[i]);
	problems_init(&work->problems, &work->call->answer);
	return true;
}

/* A body that has problems is told all of them: also of relations, which only the database knows.
 */
static enum store_outcome run_find_problems(struct store_job *job, struct store_conn *conn)
{
	return row_check_relations(work_of(job), conn);
}

static void done_find_problems(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (!work_answer_outcome(work))
		work_answer_problems(work, "Failed to create record.");
}

static void answer_all_problems(struct record_work *work)
{
	work->job.run = run_find_problems;
	work->job.done = done_find_problems;
	store_read(work->call->book->store, &work->job);
}

void record_create(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_create);
	struct bytes confirm;
	if (!work || work_answer_forbidden(work, RULE_CREATE) || !begin_write(work, true))
		return;
	work->action = RECORD_CREATE;
	if (!body_apply(work, &confirm)) {
		bytes_buf_clear(&call->answer);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	body_set_id(work);
	body_set_autodates(work, true);
	body_check_values(work);
	body_check_password(work, confirm, true);
	if (work->problems.n) {
		answer_all_problems(work);
		return;
	}
	work->run_write = run_create;
	work->done_write = done_write;
	if (work->collection->is_auth) {
		write_draw_token_key(work);
		start_password(work);
	} else {
		ask_then_queue(work);
	}
}

/* ---- update ---- */

enum store_outcome write_work_out(struct record_work *work)
{
	struct bytes confirm;
	if (!files_remember(work) || !body_apply(work, &confirm)) {
		ERR_SET(&work->job.err, ERR_LIMIT, "an update does not fit into its arena");
		return STORE_FAULT;
	}
	body_set_autodates(work, false);
	body_check_values(work);
	body_check_password(work, confirm, false);
	return work->problems.n ? row_refuse(work, 0, NULL) : STORE_OK;
}

void write_committed(struct store_job *job)
{
	changes_tell(work_of(job));
	files_committed(work_of(job));
}

enum store_outcome write_update_row(struct record_work *work, struct store_conn *conn)
{
	bool is_met = false;
	int note = -1;
	enum store_outcome outcome = row_meets_rule(work, conn, RULE_UPDATE, &is_met);
	if (outcome == STORE_OK && !is_met) {
		work_note_rule(work, RULE_UPDATE);
		return row_refuse(work, 404, "The requested resource wasn't found.");
	}
	if (outcome == STORE_OK)
		outcome = account_check_key(work, conn);
	if (outcome == STORE_OK)
		outcome = match_check(work, conn);
	if (outcome == STORE_OK)
		outcome = ask_check_old(work, conn);
	if (outcome == STORE_OK)
		outcome = row_load(work, conn);
	if (outcome == STORE_OK)
		outcome = field_rules_ask(work, conn);
	if (outcome == STORE_OK)
		outcome = write_work_out(work);
	if (outcome == STORE_OK)
		outcome = account_check(work, conn, false);
	if (outcome == STORE_OK || (outcome == STORE_REFUSED && work->problems.n))
		outcome = row_check_relations(work, conn);
	if (outcome == STORE_OK)
		outcome = keep_row(work, conn, RECORD_UPDATE, work->collection, bytes_of(work->id));
	if (outcome == STORE_OK)
		outcome = changes_begin(
			work, conn, RECORD_UPDATE, work->collection, bytes_of(work->id), &note);
	if (outcome == STORE_OK)
		outcome = row_update(work, conn);
	if (outcome == STORE_OK)
		outcome = files_write(work, conn);
	if (outcome == STORE_OK)
		outcome = changes_end(work, conn, note);
	return outcome == STORE_OK ? ask_run_attached(work, conn) : outcome;
}

static enum store_outcome run_update(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	DEFER(arena_free) struct arena *arena = NULL;
	work->refused_status = 0;
	work->has_refusal_data = false;
	work->call->refused_by = RECORD_BY_NOBODY;
	bytes_buf_clear(&work->call->ignored);
	problems_init(&work->problems, &work->call->answer);
	/* The body is worked out a second time here, and once more when a batch has to be run
	 * again: the call's arena might hold it only once. */
	if (arena_new(UPDATE_ARENA_BYTES, &arena, &job->err) < 0)
		return STORE_FAULT;
	work->arena = arena;
	enum store_outcome outcome = begin_run(work, conn);
	if (outcome == STORE_OK)
		outcome = write_update_row(work, conn);
	if (outcome == STORE_OK)
		outcome = end_run(work, conn);
	work->arena = work->call->arena;
	return outcome;
}

/* The hash that the old password is checked against; for nobody but who may change the record, or
 * the answer would tell whether a guess was right. */
static enum store_outcome run_old_hash(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	bool is_met, found = false;
	char sql[160];
	enum store_outcome outcome = row_meets_rule(work, conn, RULE_UPDATE, &is_met);
	if (outcome == STORE_OK && is_met)
		outcome = account_may_manage(work, conn, &work->can_manage);
	if (outcome != STORE_OK || !is_met)
		return outcome == STORE_OK ? STORE_REFUSED : outcome;
	int n = snprintf(sql, sizeof(sql), "SELECT \"_password_hash\" FROM %.*s WHERE \"id\"=?1",
		(int)collection->table.n, collection->table.p);
	outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	outcome = store_step(stmt, &found);
	if (outcome == STORE_OK && found)
		bytes_to_string(store_column_text(stmt, 0), work->old_hash, sizeof(work->old_hash));
	return outcome == STORE_OK && !found ? STORE_REFUSED : outcome;
}

static void done_old_hash(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (work_answer_outcome(work))
		return;
	if (job->outcome != STORE_OK) {
		bytes_buf_clear(&work->call->answer);
		work_answer(work, 404, "The requested resource wasn't found.");
		return;
	}
	work->needs_old = !work->can_manage;
	if (work->needs_old && !work->old_password.n) {
		problems_add(&work->problems, BYTES("oldPassword"), "validation_required",
			"Missing required value.");
		work_answer_problems(work, "Failed to update record.");
		return;
	}
	start_password(work);
}

static void start_new_password(struct record_work *work)
{
	if (work_is_superuser(work)) {
		start_password(work);
		return;
	}
	work->job.run = run_old_hash;
	work->job.done = done_old_hash;
	store_read(work->call->book->store, &work->job);
}

void record_update(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_update);
	struct bytes confirm;
	if (!work || work_answer_forbidden(work, RULE_UPDATE) || !begin_write(work, false))
		return;
	work->action = RECORD_UPDATE;
	if (!call->id.n || call->id.n > ID_RECORD_BYTES) {
		bytes_buf_clear(&call->answer);
		work_answer(work, 404, "The requested resource wasn't found.");
		return;
	}
	bytes_to_string(call->id, work->id, sizeof(work->id));
	/* What the body changes is worked out on the writer, over the row as it is then; here it is
	 * only looked at for its form and a password. */
	if (!body_apply(work, &confirm)) {
		bytes_buf_clear(&call->answer);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	body_check_password(work, confirm, false);
	if (work->problems.n) {
		work_answer_problems(work, "Failed to update record.");
		return;
	}
	if (work->collection->is_auth)
		write_draw_token_key(work);
	work->run_write = run_update;
	work->done_write = done_write;
	if (work->has_password && body_password_field(work->collection))
		start_new_password(work);
	else
		ask_then_queue(work);
}
