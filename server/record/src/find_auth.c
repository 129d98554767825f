/*
 * find_auth.c - auth records for sign-in and for tokens
 */
#include <stdio.h>
#include <string.h>

#include "work.h"

static struct record_find_auth *find_of(struct store_job *job)
{
	return (struct record_find_auth *)(void *)((char *)job -
						   offsetof(struct record_find_auth, job));
}

#define SELECT_AUTH                                                                                \
	"SELECT \"id\",\"email\",\"_password_hash\",\"_token_key\",\"verified\" FROM %.*s "        \
	"WHERE \"%s\"=?1"

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct record_find_auth *find = find_of(job);
	const struct record_collection *collection = find->found;
	char sql[256];
	bool has_row;
	bool is_by_id = find->id.n > 0;
	/* The index of the addresses leaves out the empty ones: it serves only who says that he
	 * does not ask for these. */
	int n = snprintf(sql, sizeof(sql), SELECT_AUTH "%s", (int)collection->table.n,
		collection->table.p, is_by_id ? "id" : "email",
		is_by_id ? "" : " AND \"email\"!=''");
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, (struct bytes){ sql, (size_t)n }, &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, is_by_id ? find->id : find->identity);
	outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return outcome;
	if (!has_row)
		return STORE_REFUSED;
	bytes_to_string(store_column_text(stmt, 0), find->record_id, sizeof(find->record_id));
	bytes_to_string(store_column_text(stmt, 1), find->email, sizeof(find->email));
	bytes_to_string(
		store_column_text(stmt, 2), find->password_hash, sizeof(find->password_hash));
	bytes_to_string(store_column_text(stmt, 3), find->token_key, sizeof(find->token_key));
	find->is_verified = store_column_int64(stmt, 4) != 0;
	return STORE_OK;
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
	find->job = (struct store_job){ .run = run_find, .done = done_find, .loop = find->loop };
	if (find->id.n) {
		enum store_outcome outcome =
			store_read_now(find->book->store, find->loop, &find->job);
		if (outcome == STORE_OK || outcome == STORE_REFUSED) {
			done_find(&find->job);
			return;
		}
	}
	find->job.deadline_ns = clock_mono_ns() + 2 * CLOCK_NS_PER_S;
	store_read(find->book->store, &find->job);
}
