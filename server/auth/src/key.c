#include "auth_key.h"
#include "auth_limit.h"

#include "base64.h"
#include "clock.h"
#include "hash.h"
#include "id.h"
#include "text_json_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES (sizeof AUTH_KEY_PREFIX - 1)
#define SECRET_TEXT  43 /* characters of 32 bytes */
#define KEY_BYTES    (PREFIX_BYTES + AUTH_RECORD_MAX + 1 + SECRET_TEXT)
#define ANSWER_MAX   (4u << 20)
#define USED_EVERY_S 60

_Static_assert(KEY_BYTES < AUTH_KEY_TEXT_MAX, "a key fits");

bool auth_key_is_key(struct bytes text)
{
	return bytes_starts_with(text, BYTES(AUTH_KEY_PREFIX));
}

static void hash_secret(struct bytes secret, char out[static 2 * HASH_BYTES + 1])
{
	uint8_t digest[HASH_BYTES];

	hash_of(secret, digest);
	bytes_hex((struct bytes){ (const char *)digest, sizeof digest }, out);
	out[2 * HASH_BYTES] = '\0';
}

/* ---- finding ---- */

static struct auth_key_find *find_of(struct store_job *job)
{
	return (struct auth_key_find *)((char *)job - offsetof(struct auth_key_find, job));
}

static enum store_outcome run_find(struct store_job *job, struct store_conn *conn)
{
	struct auth_key_find *find = find_of(job);
	struct bytes secret = { find->text.p + KEY_BYTES - SECRET_TEXT, SECRET_TEXT };
	char hash[2 * HASH_BYTES + 1];
	struct store_stmt *stmt;
	bool has_row = false;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT hash, scopes, collection_id, record_id, expires_s, last_used_s FROM "
		      "_api_keys WHERE id=?1"),
		&stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(find->id));
	outcome = store_step(stmt, &has_row);
	if (outcome != STORE_OK)
		return outcome;
	hash_secret(secret, hash);
	int64_t expires_s = has_row ? store_column_int64(stmt, 4) : 0;
	if (!has_row || !bytes_eq_secret(store_column_text(stmt, 0), bytes_of(hash)) ||
		(expires_s && expires_s <= find->now_s) ||
		!bytes_to_string(store_column_text(stmt, 1), find->scopes, sizeof find->scopes) ||
		!bytes_to_string(store_column_text(stmt, 2), find->collection_id,
			sizeof find->collection_id) ||
		!bytes_to_string(
			store_column_text(stmt, 3), find->record_id, sizeof find->record_id))
		return STORE_REFUSED;
	find->last_used_s = store_column_int64(stmt, 5);
	return STORE_OK;
}

struct used {
	struct store_job job;
	char id[AUTH_RECORD_MAX + 1];
	int64_t now_s;
};

static enum store_outcome run_used(struct store_job *job, struct store_conn *conn)
{
	const struct used *used = (const struct used *)job;
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("UPDATE _api_keys SET last_used_s=?2 WHERE id=?1"), &stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(used->id));
	store_bind_int64(stmt, 2, used->now_s);
	return store_exec(stmt, NULL);
}

static void done_used(struct store_job *job)
{
	free(job); /* the first member of a struct used */
}

/* Writes down that the key was used, once a minute. Nobody waits for it. */
static void note_use(const struct auth_key_find *find)
{
	const struct auth_rate rate = { 1, USED_EVERY_S };
	const struct bytes parts[] = { BYTES("key used"), bytes_of(find->id) };

	if (find->now_s - find->last_used_s < USED_EVERY_S ||
		!auth_limit_take(find->auth, rate, parts, 2).is_allowed)
		return;
	struct used *used = calloc(1, sizeof *used);
	if (!used)
		return;
	used->job = (struct store_job){ .run = run_used, .done = done_used };
	memcpy(used->id, find->id, sizeof used->id);
	used->now_s = find->now_s;
	store_write(find->store, &used->job);
}

static void done_find(struct store_job *job)
{
	struct auth_key_find *find = find_of(job);

	find->result = job->outcome == STORE_OK        ? AUTH_KEY_FOUND
		       : job->outcome == STORE_REFUSED ? AUTH_KEY_NONE
						       : AUTH_KEY_UNAVAILABLE;
	if (find->result == AUTH_KEY_FOUND)
		note_use(find);
	find->done(find);
}

void auth_key_find(struct auth_key_find *find)
{
	struct bytes text = find->text;

	find->id[0] = find->scopes[0] = '\0';
	find->job = (struct store_job){ .run = run_find, .done = done_find, .loop = find->loop };
	if (text.n != KEY_BYTES || text.p[PREFIX_BYTES + AUTH_RECORD_MAX] != '_') {
		find->job.outcome = STORE_REFUSED;
		done_find(&find->job);
		return;
	}
	(void)bytes_to_string((struct bytes){ text.p + PREFIX_BYTES, AUTH_RECORD_MAX }, find->id,
		sizeof find->id);
	find->job.outcome = store_read_now(find->store, find->loop, &find->job);
	if (find->job.outcome == STORE_OK || find->job.outcome == STORE_REFUSED)
		done_find(&find->job);
	else
		store_read(find->store, &find->job);
}

/* ---- made, listed, revoked ---- */

static struct auth_key_call *call_of(struct store_job *job)
{
	return (struct auth_key_call *)((char *)job - offsetof(struct auth_key_call, job));
}

static void write_text(struct text_json_writer *json, const char *key, struct bytes text)
{
	text_json_write_key(json, bytes_of(key));
	text_json_write_string(json, text);
}

static void write_time(struct text_json_writer *json, const char *key, int64_t at_s)
{
	char text[CLOCK_TEXT_BYTES] = "";

	if (at_s)
		clock_format(at_s * 1000000, text);
	write_text(json, key, bytes_of(text));
}

#define COLUMNS                                                                                    \
	"id, name, scopes, collection_id, record_id, expires_s, last_used_s, created FROM "        \
	"_api_keys "

/* The row that stmt stands on, with COLUMNS. */
static void write_key(struct text_json_writer *json, struct store_stmt *stmt)
{
	text_json_begin_object(json);
	write_text(json, "id", store_column_text(stmt, 0));
	write_text(json, "name", store_column_text(stmt, 1));
	text_json_write_key(json, BYTES("scopes"));
	text_json_write_raw(json, store_column_text(stmt, 2));
	write_text(json, "collectionId", store_column_text(stmt, 3));
	write_text(json, "recordId", store_column_text(stmt, 4));
	write_time(json, "expires", store_column_int64(stmt, 5));
	write_time(json, "lastUsed", store_column_int64(stmt, 6));
	write_text(json, "created", store_column_text(stmt, 7));
	text_json_end_object(json);
}

static enum store_outcome count_keys(struct store_conn *conn, int64_t *ret)
{
	struct store_stmt *stmt;
	bool has_row = false;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT count(*) FROM _api_keys"), &stmt);

	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	if (outcome == STORE_OK)
		*ret = store_column_int64(stmt, 0);
	return outcome;
}

static enum store_outcome run_create(struct store_job *job, struct store_conn *conn)
{
	struct auth_key_call *call = call_of(job);
	char now[CLOCK_TEXT_BYTES];
	struct text_json_writer json;
	struct store_stmt *stmt;
	bool has_row = false;
	int64_t n = 0;
	enum store_outcome outcome = count_keys(conn, &n);

	if (outcome == STORE_OK && n >= AUTH_KEYS_MAX)
		return STORE_REFUSED;
	if (outcome == STORE_OK)
		outcome = store_prepare(conn,
			BYTES("INSERT INTO _api_keys(id, name, hash, scopes, collection_id, "
			      "record_id, expires_s, created) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"),
			&stmt);
	if (outcome != STORE_OK)
		return outcome;
	clock_format(call->now_s * 1000000, now);
	store_bind_text(stmt, 1, bytes_of(call->new_id));
	store_bind_text(stmt, 2, call->name);
	store_bind_text(stmt, 3, bytes_of(call->hash));
	store_bind_text(stmt, 4, call->scopes);
	store_bind_text(stmt, 5, call->collection_id);
	store_bind_text(stmt, 6, call->record_id);
	store_bind_int64(stmt, 7, call->expires_s);
	store_bind_text(stmt, 8, bytes_of(now));
	outcome = store_exec(stmt, NULL);
	if (outcome == STORE_OK)
		outcome = store_prepare(conn, BYTES("SELECT " COLUMNS "WHERE id=?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(call->new_id));
	outcome = store_step(stmt, &has_row);
	bytes_buf_clear(&call->answer);
	text_json_writer_init(&json, &call->answer);
	if (outcome == STORE_OK && has_row)
		write_key(&json, stmt);
	return outcome;
}

static enum store_outcome run_list(struct store_job *job, struct store_conn *conn)
{
	struct auth_key_call *call = call_of(job);
	struct text_json_writer json;
	struct store_stmt *stmt;
	bool has_row = true;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT " COLUMNS "ORDER BY rowid"), &stmt);

	bytes_buf_clear(&call->answer);
	text_json_writer_init(&json, &call->answer);
	text_json_begin_object(&json);
	text_json_write_key(&json, BYTES("items"));
	text_json_begin_array(&json);
	while (outcome == STORE_OK && has_row) {
		outcome = store_step(stmt, &has_row);
		if (outcome == STORE_OK && has_row)
			write_key(&json, stmt);
	}
	text_json_end_array(&json);
	text_json_end_object(&json);
	return outcome;
}

static enum store_outcome run_revoke(struct store_job *job, struct store_conn *conn)
{
	struct auth_key_call *call = call_of(job);
	struct store_stmt *stmt;
	int64_t n = 0;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("DELETE FROM _api_keys WHERE id=?1"), &stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, call->id);
	outcome = store_exec(stmt, &n);
	return outcome == STORE_OK && n == 0 ? STORE_REFUSED : outcome;
}

static void done_call(struct store_job *job)
{
	struct auth_key_call *call = call_of(job);

	call->outcome = job->outcome;
	call->err = job->err;
	call->done(call);
}

static void draw_key(struct auth_key_call *call)
{
	uint8_t random[32];
	char secret[SECRET_TEXT + 1];

	id_record(loop_ids(call->loop), call->new_id);
	id_random(loop_ids(call->loop), random, sizeof random);
	secret[base64_format((struct bytes){ (const char *)random, sizeof random }, secret)] = '\0';
	hash_secret(bytes_of(secret), call->hash);
	(void)snprintf(
		call->text, sizeof call->text, AUTH_KEY_PREFIX "%s_%s", call->new_id, secret);
	explicit_bzero(random, sizeof random);
	explicit_bzero(secret, sizeof secret);
}

void auth_key_run(struct auth_key_call *call)
{
	bytes_buf_init(&call->answer, ANSWER_MAX);
	call->job = (struct store_job){ .done = done_call, .loop = call->loop };
	switch (call->act) {
	case AUTH_KEY_CREATE:
		draw_key(call);
		call->job.run = run_create;
		store_write(call->store, &call->job);
		return;
	case AUTH_KEY_LIST:
		call->job.run = run_list;
		store_read(call->store, &call->job);
		return;
	case AUTH_KEY_REVOKE:
		call->job.run = run_revoke;
		store_write(call->store, &call->job);
		return;
	}
}
