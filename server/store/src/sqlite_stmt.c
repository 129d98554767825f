/*
 * sqlite_stmt.c - prepared statements, cached per connection by their text
 */
#include <stdlib.h>
#include <string.h>

#include "sqlite_conn.h"

/* Eight bytes a step: a statement's text is some 500 bytes, hashed for every call. The texts are
 * ours, so nobody chooses them to collide; equality is compared in full anyway. */
static uint64_t hash_of(struct bytes text)
{
	uint64_t hash = 0x9e3779b97f4a7c15ull ^ text.n;
	size_t i = 0;
	for (; i + 8 <= text.n; i += 8) {
		uint64_t word;
		memcpy(&word, text.p + i, 8);
		hash = (hash ^ word) * 0xff51afd7ed558ccdull;
		hash ^= hash >> 32;
	}
	for (; i < text.n; i++)
		hash = (hash ^ (uint8_t)text.p[i]) * 0x100000001b3ull;
	return hash ^ (hash >> 29);
}

static void lru_unlink(struct store_conn *conn, struct store_stmt *stmt)
{
	*(stmt->older ? &stmt->older->newer : &conn->oldest) = stmt->newer;
	*(stmt->newer ? &stmt->newer->older : &conn->newest) = stmt->older;
	stmt->older = stmt->newer = NULL;
}

static void lru_append(struct store_conn *conn, struct store_stmt *stmt)
{
	stmt->older = conn->newest;
	*(conn->newest ? &conn->newest->newer : &conn->oldest) = stmt;
	conn->newest = stmt;
}

static void stmt_free(struct store_stmt *stmt)
{
	sqlite3_finalize(stmt->handle);
	free(stmt->key);
	free(stmt);
}

static void evict(struct store_conn *conn, struct store_stmt *stmt)
{
	struct store_stmt **at = &conn->buckets[stmt->hash % STMT_CACHE_BUCKETS];
	while (*at != stmt)
		at = &(*at)->bucket_next;
	*at = stmt->bucket_next;
	lru_unlink(conn, stmt);
	conn->n_stmts--;
	stmt_free(stmt);
}

void stmt_cache_clear(struct store_conn *conn)
{
	while (conn->oldest)
		evict(conn, conn->oldest);
	conn->used = NULL;
}

/* Makes room for one more. A job that holds more than the cache keeps what it holds. */
static void make_room(struct store_conn *conn)
{
	struct store_stmt *next;
	for (struct store_stmt *s = conn->oldest; s && conn->n_stmts >= STMT_CACHE_SIZE; s = next) {
		next = s->newer;
		if (!s->is_used)
			evict(conn, s);
	}
}

static enum store_outcome stmt_new(struct store_conn *conn, struct bytes text, struct bytes key,
	uint64_t hash, bool is_foreign, struct store_stmt **ret)
{
	struct store_stmt *stmt = calloc(1, sizeof(*stmt));
	char *own_key = malloc(key.n + 1);
	if (!stmt || !own_key) {
		free(stmt);
		free(own_key);
		ERR_SET(&conn->err, ERR_NOMEM, "no memory for a statement");
		return STORE_FAULT;
	}
	memcpy(own_key, key.p, key.n);
	*stmt = (struct store_stmt){
		.conn = conn, .hash = hash, .key = own_key, .n_key = key.n, .is_foreign = is_foreign
	};

	const char *tail = NULL;
	int rc = sqlite3_prepare_v3(
		conn->db, text.p, (int)text.n, SQLITE_PREPARE_PERSISTENT, &stmt->handle, &tail);
	enum store_outcome outcome = STORE_OK;
	if (rc != SQLITE_OK) {
		outcome = conn_fail(conn, rc);
	} else if (!stmt->handle || tail != text.p + text.n) {
		/* One statement, all of the text. */
		bytes_to_string(BYTES("more or less than one statement"), conn->message,
			sizeof(conn->message));
		ERR_SET(&conn->err, ERR_INVALID, "%s", conn->message);
		outcome = is_foreign ? STORE_REFUSED : STORE_FAULT;
	}
	if (outcome != STORE_OK) {
		stmt_free(stmt);
		return outcome;
	}
	*ret = stmt;
	return STORE_OK;
}

enum store_outcome stmt_get(struct store_conn *conn, struct bytes text, struct bytes key,
	bool is_foreign, struct store_stmt **ret)
{
	uint64_t hash = hash_of(key);
	struct store_stmt **bucket = &conn->buckets[hash % STMT_CACHE_BUCKETS];
	struct store_stmt *stmt = *bucket;
	while (stmt && (stmt->hash != hash || stmt->is_foreign != is_foreign ||
			       !bytes_eq((struct bytes){ stmt->key, stmt->n_key }, key)))
		stmt = stmt->bucket_next;

	if (stmt) {
		sqlite3_reset(stmt->handle);
		sqlite3_clear_bindings(stmt->handle);
		lru_unlink(conn, stmt);
	} else {
		make_room(conn);
		enum store_outcome outcome = stmt_new(conn, text, key, hash, is_foreign, &stmt);
		if (outcome != STORE_OK)
			return outcome;
		stmt->bucket_next = *bucket;
		*bucket = stmt;
		conn->n_stmts++;
	}
	lru_append(conn, stmt);
	stmt->bind_failed = false;
	stmt->grant = NULL;
	if (!stmt->is_used) {
		stmt->is_used = true;
		stmt->used_next = conn->used;
		conn->used = stmt;
	}
	*ret = stmt;
	return STORE_OK;
}

enum store_outcome store_refresh_schema(struct store_conn *conn)
{
	struct store_stmt *stmt;
	bool has_row;
	/* The first step of the snapshot compares schemas, and loads the new one. */
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT 1 FROM sqlite_schema LIMIT 1"), &stmt);
	if (outcome == STORE_OK)
		outcome = store_step(stmt, &has_row);
	stmt_cache_clear(conn);
	return outcome;
}

enum store_outcome store_prepare(struct store_conn *conn, struct bytes sql, struct store_stmt **ret)
{
	return stmt_get(conn, sql, sql, false, ret);
}

static void note_bind(struct store_stmt *stmt, int rc)
{
	if (rc != SQLITE_OK)
		stmt->bind_failed = true;
}

void store_bind_null(struct store_stmt *stmt, int index)
{
	note_bind(stmt, sqlite3_bind_null(stmt->handle, index));
}

void store_bind_int64(struct store_stmt *stmt, int index, int64_t value)
{
	note_bind(stmt, sqlite3_bind_int64(stmt->handle, index, value));
}

void store_bind_double(struct store_stmt *stmt, int index, double value)
{
	note_bind(stmt, sqlite3_bind_double(stmt->handle, index, value));
}

/* The library takes a NULL pointer for SQL's NULL, also when the length is 0. */
void store_bind_text(struct store_stmt *stmt, int index, struct bytes text)
{
	note_bind(stmt, sqlite3_bind_text64(stmt->handle, index, text.p ? text.p : "", text.n,
				SQLITE_STATIC, SQLITE_UTF8));
}

void store_bind_blob(struct store_stmt *stmt, int index, struct bytes blob)
{
	note_bind(stmt, sqlite3_bind_blob64(
				stmt->handle, index, blob.p ? blob.p : "", blob.n, SQLITE_STATIC));
}

int store_parameter(struct store_stmt *stmt, const char *name)
{
	return sqlite3_bind_parameter_index(stmt->handle, name);
}

int store_n_parameters(struct store_stmt *stmt)
{
	return sqlite3_bind_parameter_count(stmt->handle);
}

enum store_outcome store_step(struct store_stmt *stmt, bool *ret_has_row)
{
	struct store_conn *conn = stmt->conn;
	*ret_has_row = false;
	if (stmt->bind_failed) {
		bytes_to_string(BYTES("a value that cannot be bound"), conn->message,
			sizeof(conn->message));
		ERR_SET(&conn->err, ERR_INVALID, "%s", conn->message);
		return stmt->is_foreign ? STORE_REFUSED : STORE_FAULT;
	}
	/* A step after a schema change prepares again, and would do so with our own rights. */
	if (stmt->is_foreign && !stmt->grant && !conn->grant) {
		ERR_SET(&conn->err, ERR_STATE, "foreign SQL is stepped without a grant");
		return STORE_FAULT;
	}
	if (stmt->grant)
		return grant_step(stmt, ret_has_row);
	int rc = sqlite3_step(stmt->handle);
	if (rc == SQLITE_ROW) {
		*ret_has_row = true;
		return STORE_OK;
	}
	if (rc == SQLITE_DONE)
		return STORE_OK;
	enum store_outcome outcome = conn_fail(conn, rc);
	sqlite3_reset(stmt->handle);
	return outcome;
}

enum store_outcome store_exec(struct store_stmt *stmt, int64_t *ret_changes)
{
	bool has_row = true;
	/* The counter keeps its value over statements that are no writes. */
	int64_t before = sqlite3_total_changes64(stmt->conn->db);
	while (has_row) {
		enum store_outcome outcome = store_step(stmt, &has_row);
		if (outcome != STORE_OK)
			return outcome;
	}
	if (ret_changes)
		*ret_changes = sqlite3_total_changes64(stmt->conn->db) == before
				       ? 0
				       : sqlite3_changes64(stmt->conn->db);
	sqlite3_reset(stmt->handle);
	return STORE_OK;
}

int store_n_columns(struct store_stmt *stmt)
{
	return sqlite3_column_count(stmt->handle);
}

struct bytes store_column_name(struct store_stmt *stmt, int column)
{
	return bytes_of(sqlite3_column_name(stmt->handle, column));
}

void store_column_origin(
	struct store_stmt *stmt, int column, struct bytes *ret_table, struct bytes *ret_column)
{
	*ret_table = bytes_of(sqlite3_column_table_name(stmt->handle, column));
	*ret_column = bytes_of(sqlite3_column_origin_name(stmt->handle, column));
}

enum store_type type_of_code(int code)
{
	switch (code) {
	case SQLITE_INTEGER:
		return STORE_INT64;
	case SQLITE_FLOAT:
		return STORE_DOUBLE;
	case SQLITE_TEXT:
		return STORE_TEXT;
	case SQLITE_BLOB:
		return STORE_BLOB;
	default:
		return STORE_NULL;
	}
}

enum store_type store_column_type(struct store_stmt *stmt, int column)
{
	return type_of_code(sqlite3_column_type(stmt->handle, column));
}

int64_t store_column_int64(struct store_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->handle, column);
}

double store_column_double(struct store_stmt *stmt, int column)
{
	return sqlite3_column_double(stmt->handle, column);
}

struct bytes store_column_text(struct store_stmt *stmt, int column)
{
	const void *p = sqlite3_column_type(stmt->handle, column) == SQLITE_BLOB
				? sqlite3_column_blob(stmt->handle, column)
				: sqlite3_column_text(stmt->handle, column);
	if (!p)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ p, (size_t)sqlite3_column_bytes(stmt->handle, column) };
}

bool store_column_is_null(struct store_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}
