/*
 * core.h - the server put together: every module, wired where one would point upward
 *
 *   core_open    lock the data folder, open journal and databases, make loops and listener
 *   core_start   run the loops, make the first tenant, start plugins, write down the address
 *   core_stop    stop listening, finish the calls in flight, end plugins and loops
 *   core_close   close what core_open opened, in the opposite order
 *
 * Threads: the main thread. Memory: a core owns all that it made.
 */
#ifndef CLI_CORE_H
#define CLI_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth_operator.h"
#include "defer.h"
#include "deploy.h"
#include "err.h"

struct core;

struct core_config {
	const char *data_folder;
	const char *address;    /* to listen on */
	uint16_t port;          /* 0: any free one */
	unsigned n_loops;       /* 0: one per CPU, at most 7 */
	bool is_private;        /* for a command: no plugins, and no address for others to find */
	uint32_t allow_missing; /* mask of sandbox layers */
	uint64_t files_limit_bytes;  /* of each tenant's files; 0: none */
	const char *mail_allow;      /* the same for tenants' mail servers; NULL: none */
	const char *trusted_proxies; /* "ADDRESS/BITS ..." whose proxy_header is believed */
	const char *proxy_header;
	unsigned clients_per_tenant, clients_per_address; /* that listen; 0: as live has it */
	const char *egress_allow; /* "ADDRESS/BITS:PORT ..." that plugins may reach although
				     private; NULL: none */
};

int core_open(const struct core_config *config, struct core **ret, struct err *err);
int core_start(struct core *core, struct err *err);
/* Returns true when every call in flight was finished in time. */
bool core_stop(struct core *core);
/* Takes NULL. When a call could not be ended, it frees nothing: then the process has to end. */
void core_close(struct core *core);

/* ---- of a core that has been started ---- */
const char *core_url(const struct core *core);
/* The local operator's token. */
const char *core_token(const struct core *core);
struct auth_operators *core_operators(struct core *core);
struct deploy *core_deploy(struct core *core);
/* What the sandbox's self-test found; has_run is false without plugins. */
void core_self_test(struct core *core, struct deploy_self_test *ret);

DEFER_DEFINE(struct core *, core_close)

#endif
