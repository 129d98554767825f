/*
 * book.c - a tenant's book, and what the beginnings and ends of all calls have in common
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "group.h"
#include "list.h"

int record_book_new(const struct record_config *config, struct record_book **ret, struct err *err)
{
	struct record_book *book = calloc(1, sizeof(*book));
	char *tenant = calloc(1, config->tenant.n + 1);
	if (!book || !tenant) {
		free(book);
		free(tenant);
		return ERR_SET(err, ERR_NOMEM, "no memory for a tenant's book");
	}
	if (config->tenant.n)
		memcpy(tenant, config->tenant.p, config->tenant.n);
	*book = (struct record_book){ .store = config->store,
		.executor = config->executor,
		.hooks = config->hooks,
		.events = config->events,
		.files = config->files,
		.tenant_text = tenant,
		.tenant = { tenant, config->tenant.n },
		.schema = config->boot->schema };
	config->boot->schema = NULL; /* handed over */
	pthread_mutex_init(&book->lock, NULL);
	pthread_mutex_init(&book->totals_lock, NULL);
	*ret = book;
	return 0;
}

void record_book_free(struct record_book *book)
{
	if (!book)
		return;
	schema_unref(book->schema);
	pthread_mutex_destroy(&book->lock);
	pthread_mutex_destroy(&book->totals_lock);
	totals_fini(book);
	free(book->tenant_text);
	free(book);
}

void record_boot_fini(struct record_boot *boot)
{
	schema_unref(boot->schema);
	boot->schema = NULL;
}

struct store *record_book_store(const struct record_book *book)
{
	return book->store;
}

struct bytes record_book_tenant(const struct record_book *book)
{
	return book->tenant;
}

struct record_schema *book_schema(struct record_book *book)
{
	pthread_mutex_lock(&book->lock);
	struct record_schema *schema = schema_ref(book->schema);
	pthread_mutex_unlock(&book->lock);
	return schema;
}

void book_swap_schema(struct record_book *book, struct record_schema *schema)
{
	pthread_mutex_lock(&book->lock);
	struct record_schema *old = book->schema;
	book->schema = schema;
	pthread_mutex_unlock(&book->lock);
	schema_unref(old);
}

/* ---- calls ---- */

static void end(struct record_call *call, int status, const char *message)
{
	call->status = status;
	call->message = message;
	if (status >= 400 && call->answer.n == 0)
		bytes_buf_append_string(&call->answer, "{}");
	/* Half an answer is none. */
	if (call->answer.failed) {
		bytes_buf_clear(&call->answer);
		bytes_buf_append_string(&call->answer, "{}");
		call->status = status < 300 ? 400 : status;
		call->message = "The answer is larger than 4 MiB: ask for fewer records or fields.";
	}
	call->done(call);
}

static bool find_pair(const struct expr_environment *environment, enum expr_source source,
	struct bytes name, struct bytes *ret)
{
	const struct record_call *call = environment->find_context;
	bool is_query = source == EXPR_QUERY;
	const struct record_pair *pairs = is_query ? call->query : call->headers;
	size_t n = is_query ? call->n_query : call->n_headers;
	for (size_t i = n; i-- > 0;)
		if (bytes_eq(pairs[i].name, name)) {
			*ret = pairs[i].value;
			return true;
		}
	return false;
}

struct record_work *work_new(struct record_call *call, void (*start)(struct record_call *call))
{
	struct record_work *last = call->work;
	struct record_work *work = arena_alloc(call->arena, sizeof(*work));
	if (!call->answer.max)
		bytes_buf_init(&call->answer, RECORD_BODY_MAX);
	if (!call->ignored.max)
		bytes_buf_init(&call->ignored, 4096);
	if (!call->lost.max)
		bytes_buf_init(&call->lost, 1024);
	bytes_buf_clear(&call->answer);
	bytes_buf_clear(&call->ignored);
	bytes_buf_clear(&call->lost);
	if (!work) {
		call->work = NULL;
		end(call, 503, "The server is short of memory.");
		return NULL;
	}
	if (!call->deadline_ns)
		call->deadline_ns = clock_mono_ns() + CALL_MAX_NS;
	call->refused_by = RECORD_BY_NOBODY;
	*work = (struct record_work){ .call = call,
		.start = start,
		.arena = call->arena,
		.schema = book_schema(call->book),
		.n_tries = last ? last->n_tries + 1 : 0,
		.environment = { .auth_id = call->viewer.record_id,
			.auth_collection_id = call->viewer.collection_id,
			.auth_collection_name = call->viewer.collection_name,
			.method = call->method,
			.body = call->body,
			.find = find_pair,
			.find_context = call,
			.now_us = clock_wall_us(),
			.arena = call->arena } };
	work->job.loop = call->loop;
	work->job.deadline_ns = call->deadline_ns;
	call->work = work;
	return work;
}

struct record_work *work_new_with_collection(
	struct record_call *call, void (*start)(struct record_call *call))
{
	struct record_work *work = work_new(call, start);
	if (!work)
		return NULL;
	work->collection = schema_find(work->schema, call->collection);
	if (work->collection)
		return work;
	work_answer(work, 404, "Missing collection context.");
	return NULL;
}

struct record_work *work_new_for_superuser(
	struct record_call *call, void (*start)(struct record_call *call), bool needs_collection)
{
	struct record_work *work =
		needs_collection ? work_new_with_collection(call, start) : work_new(call, start);
	if (!work || work_is_superuser(work))
		return work;
	work_answer(work, 403, "Only superusers can perform this action.");
	return NULL;
}

void work_release(struct record_work *work)
{
	const struct record_hooks *hooks = work->call->book->hooks;
	if (work->has_attached)
		hooks->release_attached(hooks->context, work->hook.attached);
	work->has_attached = false;
	bytes_buf_fini(&work->hook_record);
	bytes_buf_fini(&work->hook_old);
	changes_free(work->changes);
	work->changes = NULL;
	files_end(work);
	schema_unref(work->schema);
	work->schema = NULL;
	explicit_bzero(work->password_hash, sizeof(work->password_hash));
	explicit_bzero(work->old_hash, sizeof(work->old_hash));
	explicit_bzero(work->token_key, sizeof(work->token_key));
}

void work_answer(struct record_work *work, int status, const char *message)
{
	struct record_call *call = work->call;
	work_release(work);
	call->work = NULL; /* its memory is the arena's */
	end(call, status, message);
}

void work_answer_problems(struct record_work *work, const char *message)
{
	if (!work->problems.writer.out)
		problems_init(&work->problems, &work->call->answer);
	problems_finish(&work->problems);
	work_answer(work, 400, message);
}

/* The schema of this call is not the one that stands: begin again with that. */
static void begin_again(struct record_work *work)
{
	struct record_call *call = work->call;
	if (work->n_tries >= TRIES_MAX) {
		work_answer(work, 503, "What this is about keeps changing. Try again.");
		return;
	}
	work_release(work);
	if (call->group)
		group_begin_again(call->group);
	else
		work->start(call); /* call->work is still set: the next one counts on */
}

bool work_answer_outcome(struct record_work *work)
{
	struct record_call *call = work->call;
	switch (work->job.outcome) {
	case STORE_OK:
	case STORE_CONFLICT:
		return false;
	case STORE_REFUSED:
		if (!work->is_stale)
			return false;
		begin_again(work);
		return true;
	case STORE_FULL:
		bytes_buf_clear(&call->answer);
		work_answer(work, 507, "The storage is full.");
		return true;
	case STORE_BUSY:
		bytes_buf_clear(&call->answer);
		work_answer(work, 503, "The server is busy. Try again.");
		return true;
	case STORE_FAULT:
		break;
	}
	bytes_buf_clear(&call->answer);
	struct record_schema *now = book_schema(call->book);
	bool is_stale = now != work->schema;
	schema_unref(now);
	bool is_views =
		work->job.err.code == ERR_INVALID && work->collection && work->collection->is_view;
	if (is_stale && (is_views || work->job.err.code == ERR_STATE)) {
		begin_again(work);
		return true;
	}
	if (is_views) {
		work_answer(work, 400, "The view's query fails on what the collections hold.");
		return true;
	}
	if (work->job.err.code == ERR_TIMEOUT) {
		work_answer(work, 504, "The request took too long.");
		return true;
	}
	call->err = work->job.err;
	work_answer(work, 500, "Something went wrong while processing your request.");
	return true;
}

struct id_source *work_ids(struct record_work *work)
{
	return work->ids ? work->ids : loop_ids(work->call->loop);
}

const char *work_now(struct record_work *work)
{
	if (!work->now[0])
		clock_format(work->environment.now_us, work->now);
	return work->now;
}

bool work_is_superuser(const struct record_work *work)
{
	return work->call->viewer.is_superuser || work->call->ignore_rules;
}

bool work_sees_all(const struct record_work *work)
{
	const struct record_call *call = work->call;
	return call->viewer.is_superuser || (call->ignore_rules && !call->viewer.record_id.n);
}

bool work_answer_forbidden(struct record_work *work, enum rule rule)
{
	if (work->collection->is_view && rule != RULE_LIST && rule != RULE_VIEW) {
		work_answer(work, 400, "Unsupported collection type.");
		return true;
	}
	if (work_is_superuser(work) || !work->collection->rules[rule].is_null)
		return false;
	work->call->refused_by = RECORD_BY_RULE;
	work_answer(work, 403, "Only superusers can perform this action.");
	return true;
}

const struct expr_sql *work_rule(struct record_work *work, enum rule rule)
{
	static const struct expr_sql none = { .sql = { "1", 1 }, .first_param = RULE_PARAM };
	return work_is_superuser(work) ? &none : &work->collection->rules[rule].sql;
}

void work_note_rule(struct record_work *work, enum rule rule)
{
	if (!bytes_eq_string(work_rule(work, rule)->sql, "1"))
		work->call->refused_by = RECORD_BY_RULE;
}

bool work_parse_shape(struct record_work *work)
{
	struct record_call *call = work->call;
	const char *name = "fields", *message = NULL;
	enum shape_result result = SHAPE_OK;
	if (call->n_query == 0)
		return true;
	struct bytes fields = work_query(work, "fields"), expand = work_query(work, "expand");
	if (fields.n)
		result = mask_parse(fields, call->arena, &work->mask, &message);
	if (result == SHAPE_OK && expand.n) {
		name = "expand";
		result = expand_parse(expand, work->schema, work->collection, work_sees_all(work),
			call->arena, &work->expand, &message);
	}
	if (result == SHAPE_OK)
		return true;
	if (result == SHAPE_NOMEM) {
		work_answer(work, 503, "The server is short of memory.");
		return false;
	}
	problems_init(&work->problems, &call->answer);
	problems_add(&work->problems, bytes_of(name), "validation_invalid_value", "%s", message);
	work_answer_problems(work, WORK_BAD_QUERY);
	return false;
}

bool work_has_query(const struct record_work *work, const char *name, struct bytes *ret)
{
	*ret = (struct bytes){ NULL, 0 };
	return find_pair(&work->environment, EXPR_QUERY, bytes_of(name), ret);
}

struct bytes work_query(const struct record_work *work, const char *name)
{
	struct bytes value;
	work_has_query(work, name, &value);
	return value;
}

enum store_outcome work_check_version(struct record_work *work, struct store_conn *conn)
{
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT version FROM _schema_version WHERE id=1"), &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK && store_column_int64(stmt, 0) != work->schema->version) {
		work->is_stale = true;
		return STORE_REFUSED;
	}
	return outcome;
}

void record_call_fini(struct record_call *call)
{
	assert(!call->work); /* else it is still running */
	bytes_buf_fini(&call->answer);
	bytes_buf_fini(&call->ignored);
	bytes_buf_fini(&call->lost);
}

void record_cancel(struct record_call *call)
{
	if (call->work)
		store_cancel(&call->work->job);
}
