/*
 * tenant.h - who is served: the catalogue of tenants, and each one's open database
 *
 * control.db has one row per tenant; data/tenants/<id>/ has its files. The catalogue is a snapshot
 * of the rows: finding a tenant by name takes no lock and asks no database. A tenant's database is
 * opened by the first request that needs it and stays open until it is the least recently used of
 * more than open_limit.
 *
 * What other modules keep for an open tenant (its schema) hangs on the tenant as its context:
 * on_open makes it, on_close frees it, both on an executor thread, and nothing of the tenant is
 * used in between.
 *
 * Threads: find, use and drop from any loop; create and set_state from any loop, answered there.
 * Memory:  a struct tenant lives as long as the catalogue; suspended or not.
 */
#ifndef TENANT_TENANT_H
#define TENANT_TENANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"
#include "executor.h"
#include "loop.h"
#include "store.h"

struct tenant;
struct tenant_web;
struct tenant_catalogue;

#define TENANT_NAME_MAX 31 /* [a-z][a-z0-9-]{1,30} */
#define TENANT_ID_MAX   15 /* as a record id */

enum tenant_state { TENANT_ACTIVE, TENANT_SUSPENDED };

struct tenant_config {
	const char *data_folder; /* tenants/<id>/ is made below it */
	struct store *control;
	struct executor *executor;
	unsigned open_limit; /* databases open at once; 0: 1,024 */
	/* Opens the database at path, migrated, and makes what hangs on it. Blocking, on the
	 * executor. Returns 0 with both results, or -1: the tenant does not open. */
	int (*on_open)(void *context, struct tenant *tenant, const char *path,
		struct store **ret_store, void **ret_hung, struct err *err);
	/* Frees both. */
	void (*on_close)(void *context, struct store *store, void *hung);
	void *context;
};

/* Reads the rows. Blocking, at start. Returns 0 and a catalogue to close, or -1. */
int tenant_catalogue_open(
	const struct tenant_config *config, struct tenant_catalogue **ret, struct err *err);
/* After the last request, while the executor still runs: waits for openings, closes every database.
 * Takes NULL. */
void tenant_catalogue_close(struct tenant_catalogue *catalogue);

/* True when text may be a tenant's name. */
bool tenant_name_is_valid(struct bytes text);

/* The tenant of that name, or NULL. Any thread. */
struct tenant *tenant_find(struct tenant_catalogue *catalogue, struct bytes name);
const char *tenant_name(const struct tenant *tenant);
const char *tenant_id(const struct tenant *tenant);
enum tenant_state tenant_get_state(const struct tenant *tenant);
int64_t tenant_created_us(const struct tenant *tenant);
/* Calls each for every tenant, in order of name; each returns false to stop. Any thread. */
void tenant_each(struct tenant_catalogue *catalogue,
	bool (*each)(struct tenant *tenant, void *context), void *context);
size_t tenant_count(const struct tenant_catalogue *catalogue);

/* Whether its database is where it was made, without opening it: 0, or -1 with a sentence that says
 * what to do. One that is lost is never made anew. Any thread, blocking. */
int tenant_check_database(const struct tenant *tenant, struct err *err);

/* ---- using the database ---- */
struct tenant_use {
	/* Called on loop; also before tenant_use_begin returns, when the database is open already.
	 * is_open false: it could not be opened, err says why; nothing is to be dropped then. */
	void (*done)(struct tenant_use *use, bool is_open);
	struct loop *loop;
	struct err err;
	/* the module's own */
	struct tenant *tenant;
	struct tenant_use *next;
	struct loop_message message;
};

/* Opens the database when it is not open, and holds it open until tenant_use_end. */
void tenant_use_begin(struct tenant *tenant, struct tenant_use *use);
/* Ends what done(use, true) began. */
void tenant_use_end(struct tenant_use *use);
/* The fast path: holds it when it is open, false when tenant_use_begin has to be taken. */
bool tenant_try_use(struct tenant *tenant, struct tenant_use *use);

/* Of a tenant in use: its database, and what on_open made. */
struct store *tenant_store(const struct tenant *tenant);
void *tenant_hung(const struct tenant *tenant);

/* ---- changing the catalogue ---- */
enum tenant_outcome { TENANT_OK, TENANT_EXISTS, TENANT_BAD_NAME, TENANT_FAULT };

struct tenant_request {
	void (*done)(struct tenant_request *request); /* on loop */
	struct loop *loop;
	enum tenant_outcome outcome;
	struct tenant *tenant; /* of TENANT_OK */
	struct err err;
	/* the module's own */
	char name[TENANT_NAME_MAX + 1];
	enum tenant_state state;
	struct tenant_web *web;
	size_t n_hosts, n_origins; /* bytes */
	struct tenant_catalogue *catalogue;
	struct executor_job job;
	struct store_job write;
	struct loop_message message;
};

/* Makes folder, database and row, in that order, so that a crash between leaves a folder without a
 * row, which nobody ever looks at. done is always called. */
void tenant_create(
	struct tenant_catalogue *catalogue, struct bytes name, struct tenant_request *request);
/* Journals the new state, then lets it hold. done is always called. */
void tenant_set_state(
	struct tenant *tenant, enum tenant_state state, struct tenant_request *request);

DEFER_DEFINE(struct tenant_catalogue *, tenant_catalogue_close)

#endif
