/*
 * once.c - answers kept by the key of their request
 */
#include "once.h"

#include "write.h"

#define KEEP_US     (INT64_C(24) * 3600 * 1000000)
#define KEYS_MAX    10000 /* of a tenant */
#define CLEAN_BATCH 16    /* old ones that one write takes away: more than it adds */

static struct record_once_find *find_of(struct store_job *job)
{
	return (struct record_once_find *)(void *)((char *)job -
						   offsetof(struct record_once_find, job));
}

static enum store_outcome select_key(struct store_conn *conn, const struct record_once *once,
	int64_t now_us, struct store_stmt **ret, bool *ret_found)
{
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT request,status,body FROM _idempotency WHERE key=?1 AND "
		      "created_us>?2"),
		ret);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(*ret, 1, bytes_of(once->key));
	store_bind_int64(*ret, 2, now_us - KEEP_US);
	return store_step(*ret, ret_found);
}

/* ---- before: on any connection ---- */

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct record_once_find *find = find_of(job);
	struct store_stmt *stmt;
	bool found;
	bytes_buf_clear(&find->body);
	find->result = RECORD_ONCE_NEW;
	enum store_outcome outcome = select_key(conn, find->once, clock_wall_us(), &stmt, &found);
	if (outcome != STORE_OK || !found)
		return outcome;
	find->result = RECORD_ONCE_OTHER;
	if (!bytes_eq_string(store_column_text(stmt, 0), find->once->request))
		return STORE_OK;
	find->result = RECORD_ONCE_SAME;
	find->status = (int)store_column_int64(stmt, 1);
	if (bytes_buf_append(&find->body, store_column_text(stmt, 2)))
		return STORE_OK;
	ERR_SET(&job->err, ERR_NOMEM, "no memory for a kept answer");
	return STORE_FAULT;
}

static void done_find(struct store_job *job)
{
	struct record_once_find *find = find_of(job);
	find->err = job->err;
	if (job->outcome != STORE_OK)
		find->result = RECORD_ONCE_UNAVAILABLE;
	find->done(find);
}

void record_once_find(struct record_once_find *find)
{
	bytes_buf_init(&find->body, RECORD_ONCE_BODY_MAX);
	find->job = (struct store_job){ .run = run_find,
		.done = done_find,
		.loop = find->loop,
		.deadline_ns = clock_mono_ns() + CALL_MAX_NS };
	store_read(find->book->store, &find->job);
}

void record_once_find_fini(struct record_once_find *find)
{
	bytes_buf_fini(&find->body);
}

/* ---- with the write: on the writer's connection ---- */

enum store_outcome once_begin(
	struct record_work *work, const struct record_once *once, struct store_conn *conn)
{
	struct store_stmt *stmt;
	bool found;
	if (!once)
		return STORE_OK;
	enum store_outcome outcome =
		select_key(conn, once, work->environment.now_us, &stmt, &found);
	if (outcome != STORE_OK || !found)
		return outcome;
	return row_refuse(work, 409,
		"A request with this Idempotency-Key has just been answered. Send it again to get "
		"its answer.");
}

static enum store_outcome run_sql(
	struct store_conn *conn, struct bytes sql, const int64_t *numbers, int n)
{
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, sql, &stmt);
	for (int i = 0; outcome == STORE_OK && i < n; i++)
		store_bind_int64(stmt, i + 1, numbers[i]);
	return outcome == STORE_OK ? store_exec(stmt, NULL) : outcome;
}

/* What is older than a day goes, a few at a time; and the oldest, when there are too many. */
static enum store_outcome clean(struct store_conn *conn, int64_t now_us)
{
	enum store_outcome outcome = run_sql(conn,
		BYTES("DELETE FROM _idempotency WHERE key IN (SELECT key FROM _idempotency WHERE "
		      "created_us<=?1 ORDER BY created_us LIMIT ?2)"),
		(int64_t[]){ now_us - KEEP_US, CLEAN_BATCH }, 2);
	if (outcome != STORE_OK)
		return outcome;
	return run_sql(conn,
		BYTES("DELETE FROM _idempotency WHERE created_us<=(SELECT created_us FROM "
		      "_idempotency ORDER BY created_us DESC LIMIT 1 OFFSET ?1)"),
		(int64_t[]){ KEYS_MAX - 1 }, 1);
}

enum store_outcome once_keep(struct record_work *work, const struct record_once *once,
	struct store_conn *conn, int status, struct bytes body)
{
	struct store_stmt *stmt;
	if (!once)
		return STORE_OK;
	if (body.n > RECORD_ONCE_BODY_MAX)
		return row_refuse(work, 400,
			"The answer is too large to be kept for its Idempotency-Key: ask for fewer "
			"fields (?fields=id).");
	enum store_outcome outcome = clean(conn, work->environment.now_us);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn,
			BYTES("INSERT OR REPLACE INTO _idempotency VALUES(?1,?2,?3,?4,?5)"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(once->key));
	store_bind_text(stmt, 2, bytes_of(once->request));
	store_bind_int64(stmt, 3, status);
	store_bind_text(stmt, 4, body);
	store_bind_int64(stmt, 5, work->environment.now_us);
	return store_exec(stmt, NULL);
}
