/*
 * account.c - auth records found, and whether they may sign in
 */
#include <stdio.h>
#include <string.h>

#include "auth_options.h"
#include "write.h"

#define FIND_MAX_NS (2 * CLOCK_NS_PER_S)

static struct record_find_auth *find_of(struct store_job *job)
{
	return (struct record_find_auth *)(void *)((char *)job -
						   offsetof(struct record_find_auth, job));
}

#define SELECT_AUTH                                                                                \
	"SELECT \"id\",\"email\",\"_password_hash\",\"_token_key\",\"verified\" FROM %.*s "        \
	"WHERE %.*s=?1"

/* The record whose field holds value. */
static enum store_outcome find_by(struct record_find_auth *find, struct store_conn *conn,
	struct bytes column, struct bytes value, bool *ret_found)
{
	const struct record_collection *collection = find->found;
	struct store_stmt *stmt;
	char sql[448];
	/* A unique index may leave out the empty: it serves only who says that he does not ask for
	 * these. */
	int n = snprintf(sql, sizeof(sql), SELECT_AUTH " AND %.*s!=''", (int)collection->table.n,
		collection->table.p, (int)column.n, column.p, (int)column.n, column.p);
	enum store_outcome outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, value);
	outcome = store_step(stmt, ret_found);
	if (outcome != STORE_OK || !*ret_found)
		return outcome;
	bytes_to_string(store_column_text(stmt, 0), find->record_id, sizeof(find->record_id));
	bytes_to_string(store_column_text(stmt, 1), find->email, sizeof(find->email));
	bytes_to_string(
		store_column_text(stmt, 2), find->password_hash, sizeof(find->password_hash));
	bytes_to_string(store_column_text(stmt, 3), find->token_key, sizeof(find->token_key));
	find->is_verified = store_column_int64(stmt, 4) != 0;
	return STORE_OK;
}

/* An identity may stand in any of the collection's fields for it: in what looks like an address,
 * the e-mail address first, so that nobody takes it by calling himself so. */
static enum store_outcome find_by_identity(
	struct record_find_auth *find, struct store_conn *conn, bool *ret_found)
{
	const struct record_collection *collection = find->found;
	const struct bytes_list *names = &collection->auth->identity_fields;
	bool is_address = memchr(find->identity.p, '@', find->identity.n) != NULL;
	*ret_found = false;
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < names->n; i++) {
			const struct record_field *field =
				collection_field(collection, names->items[i]);
			bool is_first = is_address && bytes_eq_string(names->items[i], "email");
			bool is_wanted = !find->identity_field.n ||
					 bytes_eq(find->identity_field, names->items[i]);
			if (!field || field->is_secret || !is_wanted || is_first != (round == 0))
				continue;
			enum store_outcome outcome =
				find_by(find, conn, field->column, find->identity, ret_found);
			if (outcome != STORE_OK || *ret_found)
				return outcome;
		}
	return STORE_OK;
}

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct record_find_auth *find = find_of(job);
	bool is_found = false;
	enum store_outcome outcome =
		find->id.n ? find_by(find, conn, BYTES("\"id\""), find->id, &is_found)
		: find->is_address
			? find_by(find, conn, BYTES("\"email\""), find->identity, &is_found)
			: find_by_identity(find, conn, &is_found);
	return outcome == STORE_OK && !is_found ? STORE_REFUSED : outcome;
}

static void done_find(struct store_job *job)
{
	struct record_find_auth *find = find_of(job);
	find->result = RECORD_FOUND;
	if (job->outcome == STORE_REFUSED)
		find->result = RECORD_NO_RECORD;
	else if (job->outcome != STORE_OK)
		find->result = RECORD_UNAVAILABLE;
	find->err = job->err;
	schema_unref(find->schema);
	find->schema = NULL;
	find->done(find);
}

void record_find_auth(struct record_find_auth *find)
{
	find->schema = book_schema(find->book);
	find->found = schema_find(find->schema, find->collection);
	find->record_id[0] = find->email[0] = find->password_hash[0] = find->token_key[0] = '\0';
	find->err = (struct err){ 0 };
	if (!find->found || !find->found->is_auth || (!find->id.n && !find->identity.n)) {
		find->result = find->found && find->found->is_auth ? RECORD_NO_RECORD
								   : RECORD_NO_COLLECTION;
		schema_unref(find->schema);
		find->schema = NULL;
		find->done(find);
		return;
	}
	find->is_superuser = find->found->is_superusers;
	bytes_to_string(find->found->id, find->collection_id, sizeof(find->collection_id));
	bytes_to_string(find->found->name, find->collection_name, sizeof(find->collection_name));
	memcpy(find->lifetime_s, find->found->auth->lifetime_s, sizeof(find->lifetime_s));
	find->job = (struct store_job){ .run = run_find, .done = done_find, .loop = find->loop };
	if (find->id.n) {
		find->job.outcome = store_read_now(find->book->store, find->loop, &find->job);
		if (find->job.outcome == STORE_OK || find->job.outcome == STORE_REFUSED) {
			done_find(&find->job);
			return;
		}
	}
	find->job.deadline_ns = clock_mono_ns() + FIND_MAX_NS;
	store_read(find->book->store, &find->job);
}

/* ---- options ---- */

static bool copy_text(struct arena *arena, struct bytes text, struct bytes *ret)
{
	char *copy = arena_copy(arena, text);
	*ret = (struct bytes){ copy, text.n };
	return copy;
}

static bool copy_options(const struct record_collection *collection, struct arena *arena,
	struct record_auth_options *ret)
{
	const struct auth_options *from = collection->auth;
	size_t n = from->identity_fields.n;
	struct bytes *fields = arena_alloc(arena, (n + 1) * sizeof(*fields));
	*ret = (struct record_auth_options){ .is_superusers = collection->is_superusers,
		.has_password = from->has_password,
		.identity_fields = fields,
		.n_identity_fields = n };
	memcpy(ret->lifetime_s, from->lifetime_s, sizeof(ret->lifetime_s));
	bool is_done = fields && copy_text(arena, collection->id, &ret->collection_id) &&
		       copy_text(arena, collection->name, &ret->collection_name);
	for (size_t i = 0; i < n && is_done; i++)
		is_done = copy_text(arena, from->identity_fields.items[i], &fields[i]);
	for (int i = 0; i < RECORD_LETTERS && is_done; i++)
		is_done = copy_text(arena, from->letters[i].subject, &ret->letters[i].subject) &&
			  copy_text(arena, from->letters[i].html, &ret->letters[i].html);
	return is_done;
}

enum record_options_result record_auth_options(struct record_book *book, struct bytes collection,
	struct arena *arena, struct record_auth_options *ret)
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	const struct record_collection *found = schema_find(schema, collection);
	if (!found || !found->is_auth)
		return RECORD_OPTIONS_NONE;
	return copy_options(found, arena, ret) ? RECORD_OPTIONS_OK : RECORD_OPTIONS_NOMEM;
}

void record_collection_name(
	struct record_book *book, struct bytes collection, char ret[static RECORD_NAME_BYTES])
{
	DEFER(schema_unref) struct record_schema *schema = book_schema(book);
	const struct record_collection *found = schema_find(schema, collection);
	(void)bytes_to_string(
		found ? found->name : (struct bytes){ NULL, 0 }, ret, RECORD_NAME_BYTES);
}

/* ---- what only some may change ---- */

enum store_outcome account_may_manage(struct record_work *work, struct store_conn *conn, bool *ret)
{
	/* A rule that is null has no text, which would let everybody. */
	*ret = work_is_superuser(work);
	if (*ret || !work->collection->is_auth || work->collection->rules[RULE_MANAGE].is_null)
		return STORE_OK;
	return row_meets_rule(work, conn, RULE_MANAGE, ret);
}

static const struct value *value_of(const struct record_work *work, const char *name)
{
	const struct record_field *field = collection_field(work->collection, bytes_of(name));
	return field ? &work->values[field - work->collection->fields] : NULL;
}

static void add_mismatch(struct record_work *work, const char *field)
{
	if (!work->problems.n)
		problems_init(&work->problems, &work->call->answer);
	problems_add(&work->problems, bytes_of(field), "validation_values_mismatch",
		"Values don't match.");
}

enum store_outcome account_check(struct record_work *work, struct store_conn *conn, bool is_create)
{
	const struct record_collection *collection = work->collection;
	const struct value *email = value_of(work, "email");
	const struct value *verified = value_of(work, "verified");
	bool is_found, can_manage = false;
	struct store_stmt *stmt;
	char sql[160];
	if (!collection->is_auth || !email || !verified)
		return STORE_OK;
	if (is_create ? verified->number == 0 : !email->is_set && !verified->is_set)
		return STORE_OK;
	int n = snprintf(sql, sizeof(sql),
		"SELECT \"email\",\"verified\" FROM %.*s WHERE \"id\"=?1", (int)collection->table.n,
		collection->table.p);
	enum store_outcome outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	outcome = store_step(stmt, &is_found);
	if (outcome != STORE_OK || !is_found)
		return outcome;
	bool is_other =
		!is_create && email->is_set && !bytes_eq(store_column_text(stmt, 0), email->text);
	bool was_verified = !is_create && store_column_int64(stmt, 1) != 0;
	bool is_turned = verified->is_set && (verified->number != 0) != was_verified;
	work->has_new_key = is_other;
	if (is_other || is_turned)
		outcome = account_may_manage(work, conn, &can_manage);
	if (outcome != STORE_OK || can_manage)
		return outcome;
	if (is_other)
		add_mismatch(work, "email");
	if (is_turned)
		add_mismatch(work, "verified");
	return work->problems.n ? row_refuse(work, 0, NULL) : STORE_OK;
}

enum store_outcome account_check_key(struct record_work *work, struct store_conn *conn)
{
	const struct record_collection *collection = work->collection;
	struct store_stmt *stmt;
	bool is_same = false;
	char sql[160];
	if (!work->call->token_key.n)
		return STORE_OK;
	int n = snprintf(sql, sizeof(sql),
		"SELECT 1 FROM %.*s WHERE \"id\"=?1 AND \"_token_key\"=?2",
		(int)collection->table.n, collection->table.p);
	enum store_outcome outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(work->id));
	store_bind_text(stmt, 2, work->call->token_key);
	outcome = store_step(stmt, &is_same);
	return outcome == STORE_OK && !is_same
		       ? row_refuse(work, 404, "The requested resource wasn't found.")
		       : outcome;
}

bool account_is_set(const struct record_work *work, size_t i)
{
	const struct record_field *field = &work->collection->fields[i];
	if (!field->is_secret)
		return work->values[i].is_set;
	return work->has_password || (field->type != FIELD_PASSWORD && work->has_new_key);
}

/* ---- the authRule ---- */

static enum store_outcome run_rule(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
	bool is_met = false;
	enum store_outcome outcome = row_meets_rule(work, conn, RULE_AUTH, &is_met);
	return outcome == STORE_OK && !is_met ? STORE_REFUSED : outcome;
}

static void refuse_by_rule(struct record_work *work)
{
	work->call->refused_by = RECORD_BY_RULE;
	work_answer(work, 403,
		"The request doesn't satisfy the collection requirements to authenticate.");
}

static void done_rule(struct store_job *job)
{
	struct record_work *work =
		(struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK)
		work_answer(work, 200, "");
	else
		refuse_by_rule(work);
}

void record_check_auth_rule(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_check_auth_rule);
	if (!work)
		return;
	const struct record_rule *rule = &work->collection->rules[RULE_AUTH];
	bytes_to_string(call->id, work->id, sizeof(work->id));
	if (!work->collection->is_auth || rule->is_null) {
		refuse_by_rule(work);
	} else if (bytes_eq_string(rule->sql.sql, "1")) {
		work_answer(work, 200, "");
	} else {
		work->job.run = run_rule;
		work->job.done = done_rule;
		store_read(call->book->store, &work->job);
	}
}
