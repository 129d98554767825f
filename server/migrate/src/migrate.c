#include "migrate.h"

#include <string.h>

#include "clock.h"

static int fault(struct store_conn *conn, const char *what, const char *name, struct err *err)
{
	return ERR_SET(err, ERR_STATE, "migration %s: %s: %.120s", name, what, store_message(conn));
}

static const char table_sql[] = "CREATE TABLE IF NOT EXISTS _migrations ("
				"id INTEGER PRIMARY KEY, name TEXT NOT NULL, "
				"digest TEXT NOT NULL, applied TEXT NOT NULL) STRICT";

/* Compares what was applied with what we know. Stores in *ret_n how many steps are done. */
static int check_applied(
	struct store_conn *conn, const struct migrate_set *set, size_t *ret_n, struct err *err)
{
	struct store_stmt *stmt;
	if (store_prepare(conn, BYTES("SELECT id, name, digest FROM _migrations ORDER BY id"),
		    &stmt) != STORE_OK)
		return fault(conn, "cannot read what was applied", "table", err);
	for (size_t n = 0;; n++) {
		bool has_row;
		if (store_step(stmt, &has_row) != STORE_OK)
			return fault(conn, "cannot read what was applied", "table", err);
		if (!has_row) {
			*ret_n = n;
			return 0;
		}
		struct bytes name = store_column_text(stmt, 1);
		int shown = name.n < 80 ? (int)name.n : 80;
		if (n >= set->n_steps)
			return ERR_SET(err, ERR_STATE,
				"the database was used by a newer server (migration %.*s): "
				"start that version, or restore a backup made before it",
				shown, name.p);
		const struct migrate_step *step = &set->steps[n];
		if (store_column_int64(stmt, 0) != (int64_t)step->id ||
			!bytes_eq_string(store_column_text(stmt, 2), step->digest))
			return ERR_SET(err, ERR_STATE,
				"migration %.*s of the database is not the one this server knows "
				"(%s): the server was built from changed files",
				shown, name.p, step->name);
	}
}

static enum store_outcome note_step(struct store_conn *conn, const struct migrate_step *step)
{
	char now[CLOCK_TEXT_BYTES];
	clock_format(clock_wall_us(), now);
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO _migrations(id, name, digest, applied) VALUES(?,?,?,?)"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, step->id);
	store_bind_text(stmt, 2, bytes_of(step->name));
	store_bind_text(stmt, 3, bytes_of(step->digest));
	store_bind_text(stmt, 4, bytes_of(now));
	return store_exec(stmt, NULL);
}

static int apply_step(struct store_conn *conn, const struct migrate_step *step, struct err *err)
{
	if (store_run_script(conn, BYTES("BEGIN IMMEDIATE")) != STORE_OK)
		return fault(conn, "cannot begin", step->name, err);
	if (store_run_script(conn, step->sql) == STORE_OK && note_step(conn, step) == STORE_OK &&
		store_run_script(conn, BYTES("COMMIT")) == STORE_OK)
		return 0;
	fault(conn, "failed", step->name, err);
	store_run_script(conn, BYTES("ROLLBACK"));
	return -1;
}

int migrate_apply(struct store_conn *conn, const struct migrate_set *set, struct err *err)
{
	size_t n_done = 0;
	if (store_run_script(conn, bytes_of(table_sql)) != STORE_OK)
		return fault(conn, "cannot create", "table", err);
	if (check_applied(conn, set, &n_done, err) < 0)
		return -1;
	for (size_t i = n_done; i < set->n_steps; i++)
		if (apply_step(conn, &set->steps[i], err) < 0)
			return -1;
	return 0;
}

int migrate_on_open(struct store_conn *conn, void *set, struct err *err)
{
	return migrate_apply(conn, set, err);
}
