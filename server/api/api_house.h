/*
 * api_house.h - what hangs on an open tenant: its collections, its settings, what is limited
 *
 * Made on an executor thread when the tenant's database is opened, freed when it is closed; in
 * between every request of the tenant reaches it through tenant_hung().
 *
 * Threads: made and freed while nobody else has it; read from every loop.
 * Memory:  a house owns its book and its settings.
 */
#ifndef API_API_HOUSE_H
#define API_API_HOUSE_H

#include <stdatomic.h>

#include "err.h"
#include "record.h"
#include "settings.h"
#include "store.h"

#define API_ROUTES_MAX 128 /* of a tenant */

struct api_house {
	struct record_book *book;
	struct settings_book *settings;
	/* Bit i: a rate limit may concern the i-th route. What no limit concerns pays for one load.
	 */
	atomic_uint_fast64_t limited[API_ROUTES_MAX / 64];
};

/* For struct store_config: on_open = api_house_on_open, on_open_context = a struct api_house_boot
 * with settings filled in. */
struct api_house_boot {
	struct settings_config config;
	/* out; handed over to api_house_new, or api_house_boot_fini */
	struct record_boot record;
	struct settings_book *settings;
};
int api_house_on_open(struct store_conn *conn, void *boot, struct err *err);
void api_house_boot_fini(struct api_house_boot *boot);

/* record's store and boot are taken from here. Returns 0 and a house to free, or -1. */
int api_house_new(const struct record_config *record, struct store *store,
	struct api_house_boot *boot, struct api_house **ret, struct err *err);
/* Takes NULL. */
void api_house_free(struct api_house *house);

DEFER_DEFINE(struct api_house *, api_house_free)

#endif
