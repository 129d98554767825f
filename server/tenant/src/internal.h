/*
 * internal.h - what the two halves of the module share: the catalogue's rows and a tenant's open
 * database
 */
#ifndef TENANT_INTERNAL_H
#define TENANT_INTERNAL_H

#include "tenant.h"

#include <pthread.h>
#include <stdatomic.h>

/* Tenants are only ever added, so a chain of one bucket is read without a lock. 4,096 buckets keep
 * chains short at the 10,000 tenants that a server is meant for. */
#define BUCKETS      4096

#define HOST_BUCKETS 1024 /* few tenants have host names of their own */

struct tenant_host;

/* gate: the number of users, and this bit while the database is open. Users come in only while it
 * is set; the database is closed only after it went from (OPEN | 0) to 0. */
#define GATE_OPEN 0x80000000u

enum opening { TENANT_CLOSED, TENANT_OPENING, TENANT_OPENED, TENANT_CLOSING };

struct tenant {
	char name[TENANT_NAME_MAX + 1];
	char id[TENANT_ID_MAX + 1];
	int64_t created_us;
	_Atomic int state; /* enum tenant_state */
	struct tenant_catalogue *catalogue;
	struct tenant *_Atomic next;    /* of its bucket */
	struct tenant_web *_Atomic web; /* NULL: nothing was ever set */

	_Atomic uint32_t gate;
	_Atomic uint64_t last_used_ns;
	struct store *store; /* while open */
	void *hung;

	/* under the catalogue's lock */
	enum opening opening;
	struct tenant_use *waiters;
	struct executor_job open_job;
};

struct tenant_catalogue {
	struct tenant_config config;
	char *data_folder;
	struct tenant *_Atomic buckets[BUCKETS];
	_Atomic size_t n_tenants;
	struct tenant_host *_Atomic hosts[HOST_BUCKETS];
	atomic_bool has_hosts; /* else nobody looks for them */
	pthread_mutex_t lock;  /* opening, waiters, n_open, n_jobs, and creating */
	unsigned n_open;
	unsigned n_jobs; /* open_jobs that the executor has: they outlive the uses that asked */
	pthread_cond_t jobs_ended;
};

/* Opens the database of a tenant that nobody uses yet, with migrations and what hangs on it. It
 * must be there. Blocking. */
int tenant_open_database(struct tenant *tenant, struct err *err);
/* Makes the folder and the database of a new tenant, and leaves it closed and on disk. Blocking. */
int tenant_make_database(struct tenant *tenant, struct err *err);
void tenant_close_database(struct tenant *tenant);
/* Of a tenant that was not made after all: nobody has ever seen it. */
void tenant_remove_files(const struct tenant *tenant);

/* Ends a request on its loop. */
void tenant_finish(struct tenant_request *request, enum tenant_outcome outcome);

/* web.c */
/* What the catalogue's row says, before there are threads. False when it cannot be. */
bool tenant_web_load(struct tenant *tenant, struct bytes hosts, struct bytes origins);
void tenant_web_fini(struct tenant *tenant);
void tenant_hosts_fini(struct tenant_catalogue *catalogue);

#endif
