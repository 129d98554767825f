/*
 * migrate.h - bring a database of ours to the schema that this server knows
 *
 * The migrations are the files of migrations/control and migrations/tenant, built into the binary
 * with the SHA-256 of their bytes. They are applied in order, each in a transaction of its own, and
 * written down in _migrations. A database that holds a migration we do not know (a newer server's),
 * or one whose text has changed since, is refused: nothing is guessed.
 *
 * Threads: any. Memory: the sets are static.
 */
#ifndef MIGRATE_MIGRATE_H
#define MIGRATE_MIGRATE_H

#include <stddef.h>

#include "bytes.h"
#include "err.h"
#include "store.h"

struct migrate_step {
	unsigned id;        /* 1, 2, 3, ... without gaps */
	const char *name;   /* "0001_create_collections" */
	const char *digest; /* SHA-256 of sql, 64 hexadecimal digits */
	struct bytes sql;
};

struct migrate_set {
	const struct migrate_step *steps;
	size_t n_steps;
};

const struct migrate_set *migrate_control(void);
const struct migrate_set *migrate_tenant(void);

/* Applies what is missing; outside of any transaction. Returns 0; or -1 with ERR_STATE and a
 * message for the operator when the database is newer than this server or was changed, else with
 * what the store said. A step that fails leaves the database at the step before. */
int migrate_apply(struct store_conn *conn, const struct migrate_set *set, struct err *err);

/* For struct store_config: on_open = migrate_on_open, on_open_context = (void *)migrate_control().
 */
int migrate_on_open(struct store_conn *conn, void *set, struct err *err);

#endif
