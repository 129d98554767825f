/*
 * collection.c - collections listed, made, changed and dropped over the API
 *
 * A change runs alone on the writer: the tables are altered, the new snapshot is read inside the
 * same transaction, the rules are tried on it, and only after the COMMIT does it take the old one's
 * place, before any later write runs.
 */
#include <stdio.h>
#include <string.h>

#include "auth_options.h"
#include "field_rule.h"

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

/* Superusers only. NULL: answered. */
static struct record_work *begin(
	struct record_call *call, void (*start)(struct record_call *call), bool needs_collection)
{
	struct record_work *work =
		needs_collection ? work_new_with_collection(call, start) : work_new(call, start);
	if (!work || work_is_superuser(work))
		return work;
	work_answer(work, 403, "Only superusers can perform this action.");
	return NULL;
}

/* ---- reading ---- */

static uint64_t number_query(
	const struct record_work *work, const char *name, uint64_t fallback, uint64_t max)
{
	uint64_t number;
	if (!bytes_parse_u64(work_query(work, name), max, &number) || number == 0)
		return fallback;
	return number;
}

void record_collection_list(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_list, false);
	if (!work)
		return;
	const struct record_schema *schema = work->schema;
	uint64_t page = number_query(work, "page", 1, 1000000);
	uint64_t per_page = number_query(work, "perPage", 30, RECORD_PER_PAGE_MAX);
	uint64_t n_pages = (schema->n_collections + per_page - 1) / per_page;
	struct text_json_writer writer;
	text_json_writer_init(&writer, &call->answer);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("page"));
	text_json_write_uint64(&writer, page);
	text_json_write_key(&writer, BYTES("perPage"));
	text_json_write_uint64(&writer, per_page);
	text_json_write_key(&writer, BYTES("totalItems"));
	text_json_write_uint64(&writer, schema->n_collections);
	text_json_write_key(&writer, BYTES("totalPages"));
	text_json_write_uint64(&writer, n_pages);
	text_json_write_key(&writer, BYTES("items"));
	text_json_begin_array(&writer);
	for (uint64_t i = (page - 1) * per_page; i < page * per_page && i < schema->n_collections;
		i++)
		collection_write(&writer, &schema->collections[i]);
	text_json_end_array(&writer);
	text_json_end_object(&writer);
	work_answer(work, 200, "");
}

void record_collection_get(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_get, true);
	if (!work)
		return;
	struct text_json_writer writer;
	text_json_writer_init(&writer, &call->answer);
	collection_write(&writer, work->collection);
	work_answer(work, 200, "");
}

/* ---- on the writer ---- */

/* The rules, and the relations' targets, as the new snapshot sees them. */
static bool check_result(struct record_work *work, const struct record_collection *collection)
{
	problems_init(&work->problems, &work->call->answer);
	static const char *const names[RULE_SLOTS] = { "listRule", "viewRule", "createRule",
		"updateRule", "deleteRule", "authRule", "manageRule" };
	for (int i = 0; i < RULE_SLOTS; i++) {
		const struct expr_node *tree;
		struct expr_sql sql;
		struct expr_error error;
		enum expr_result result =
			expr_parse(collection->rules[i].text, work->call->arena, &tree, &error);
		if (result == EXPR_OK)
			result = expr_compile(tree, &work->new_schema->rules.expr, collection,
				BYTES("t"), RULE_PARAM, work->call->arena, &sql, &error);
		if (result == EXPR_INVALID)
			problems_add(&work->problems, bytes_of(names[i]), "validation_invalid_rule",
				"Invalid rule: %s (at byte %zu)", error.message, error.offset);
	}
	for (size_t i = 0; i < collection->n_fields; i++)
		if (collection->fields[i].type == FIELD_RELATION && !collection->fields[i].target) {
			problems_add(&work->problems, BYTES("fields"),
				"validation_field_relation_missing_collection",
				"The relation collection doesn't exist.");
			break;
		}
	field_rules_check(work, collection);
	return work->problems.n == 0;
}

static enum store_outcome run_change(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	const struct change *change = work->change;
	struct bytes_buf *out = &work->call->answer;
	schema_unref(work->new_schema); /* of a run before this one */
	work->new_schema = NULL;
	enum store_outcome outcome = work_check_version(work, conn);
	if (outcome == STORE_OK && !change)
		outcome = collection_drop(conn, work->collection);
	else if (outcome == STORE_OK && work->collection)
		outcome = collection_alter(conn, work->collection, change, work_now(work));
	else if (outcome == STORE_OK)
		outcome = collection_insert(conn, change, work_now(work));
	if (outcome == STORE_OK)
		outcome = schema_bump(conn);
	if (outcome != STORE_OK)
		return outcome;
	if (schema_load(conn, &work->new_schema, &job->err) < 0)
		return STORE_FAULT;
	if (!change)
		return STORE_OK;
	const struct record_collection *result = schema_find(work->new_schema, change->id);
	if (!result || !check_result(work, result))
		return STORE_REFUSED;
	struct text_json_writer writer;
	bytes_buf_clear(out);
	text_json_writer_init(&writer, out);
	collection_write(&writer, result);
	return STORE_OK;
}

static void deliver_change(struct loop_message *message)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)message -
					       offsetof(struct record_work, password_done));
	const char *failed =
		work->collection ? "Failed to update collection." : "Failed to create collection.";
	if (work_answer_outcome(work))
		return;
	if (work->job.outcome == STORE_OK) {
		work_answer(work, work->change ? 200 : 204, "");
		return;
	}
	if (work->job.outcome == STORE_CONFLICT) {
		problems_init(&work->problems, &work->call->answer);
		problems_add(&work->problems, BYTES("indexes"), "validation_invalid_index",
			"The records that are there break a unique index.");
	}
	work_answer_problems(work, failed);
}

/* On the writer's thread, right after the COMMIT: the next write must find the new snapshot. */
static void done_change(struct store_job *job)
{
	struct record_work *work = work_of(job);
	if (job->outcome == STORE_OK)
		book_swap_schema(work->call->book, work->new_schema);
	else
		schema_unref(work->new_schema);
	work->new_schema = NULL;
	work->password_done.deliver = deliver_change;
	loop_post(work->call->loop, &work->password_done);
}

static void queue_change(struct record_work *work)
{
	work->job.run = run_change;
	work->job.done = done_change;
	work->job.loop = NULL;
	work->job.alone = true;
	work->job.deadline_ns = 0;
	store_write(work->call->book->store, &work->job);
}

/* ---- the calls ---- */

static void start_change(struct record_work *work)
{
	struct record_call *call = work->call;
	bool is_new = !work->collection;
	const char *failed =
		is_new ? "Failed to create collection." : "Failed to update collection.";
	struct change *change = arena_alloc(call->arena, sizeof(*change));
	if (!change) {
		work_answer(work, 503, "The server is short of memory.");
		return;
	}
	*change = (struct change){ .is_auth = work->collection && work->collection->is_auth };
	problems_init(&work->problems, &call->answer);
	if (!change_parse(work, change)) {
		bytes_buf_clear(&call->answer);
		work_answer(
			work, 400, "Failed to load the submitted data due to invalid formatting.");
		return;
	}
	if (!change->id.n) {
		char id[ID_RECORD_BYTES + 1];
		id_record(loop_ids(call->loop), id);
		change->id =
			(struct bytes){ arena_copy(call->arena, bytes_of(id)), ID_RECORD_BYTES };
	}
	bool is_done = change->id.p && change_inherit(work, change) &&
		       change_settle_fields(work, change) &&
		       change_add_system_fields(change, call->arena);
	if (is_done && !work->problems.n) {
		change_check_id(work, change);
		change_check_name(work, change);
		change_check_duplicates(work, change);
		change_settle_indexes(work, change);
		is_done = change_add_system_indexes(change, call->arena) &&
			  auth_options_settle(work, change);
	}
	if (!is_done) {
		bytes_buf_clear(&call->answer);
		work_answer(work, 503, "The server is short of memory.");
	} else if (work->problems.n) {
		work_answer_problems(work, failed);
	} else {
		work->change = change;
		queue_change(work);
	}
}

void record_collection_create(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_create, false);
	if (work)
		start_change(work);
}

void record_collection_update(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_update, true);
	if (work)
		start_change(work);
}

void record_collection_delete(struct record_call *call)
{
	struct record_work *work = begin(call, record_collection_delete, true);
	if (!work)
		return;
	if (work->collection->is_system) {
		work_answer(work, 400, "You cannot delete system collections.");
		return;
	}
	for (size_t c = 0; c < work->schema->n_collections; c++) {
		const struct record_collection *other = &work->schema->collections[c];
		for (size_t i = 0; i < other->n_fields; i++)
			if (other->fields[i].target == work->collection &&
				other != work->collection) {
				work_answer(work, 400,
					"Failed to delete collection due to existing dependency.");
				return;
			}
	}
	queue_change(work);
}
