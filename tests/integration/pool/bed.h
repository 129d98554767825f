/*
 * bed.h - a server's plugin path without HTTP: two loops, two tenants, a keeper
 *
 * Calls and deployments are made from the test's own thread and waited for.
 */
#ifndef BED_H
#define BED_H

#include <stdbool.h>
#include <stddef.h>

#include "deploy.h"
#include "gate.h"
#include "pool.h"
#include "store.h"
#include "tenant.h"

/* Opens everything in a fresh folder; again after bed_stop: in the same one. */
void bed_start(void);
/* With another file in the canary's place. */
void bed_start_with(const char *selftest);
/* With another program in the inspector's place. */
void bed_start_without_inspector(void);
/* Takes the folder of artifacts away, or brings it back. The bed must not run. */
void bed_move_artifacts(bool away);
/* The journal's disk takes 200 ms for each sync, or only what it takes. */
void bed_slow_journal(bool is_slow);
void bed_stop(void);
/* The same in two steps: the keeper and its workers, then all else. */
void bed_stop_keeper(void);
void bed_stop_rest(void);
void bed_remove(void);

struct bed_answer {
	enum pool_find_result found;
	enum pool_outcome outcome;
	unsigned status;
	char body[2048];
	char message[256];
	char reason[200]; /* of POOL_DOWN */
	uint64_t ns;      /* from the start of the call to its answer */
};

/* Calls a route on loop 0 or 1. */
struct bed_answer bed_call(unsigned loop, const char *tenant, const char *plugin, const char *path);

/* The same from n threads of control at once: keeps n calls in flight on a loop until stopped. */
struct bed_load;
struct bed_load *bed_load_start(
	unsigned loop, unsigned n, const char *tenant, const char *plugin, const char *path);
struct bed_load_result {
	uint64_t n_answered, n_other;
	unsigned last_other; /* enum pool_outcome, or 100 + enum pool_find_result */
};
struct bed_load_result bed_load_stop(struct bed_load *load);

enum deploy_outcome bed_deploy(const char *tenant, const char *file, char message[static 512]);
enum deploy_outcome bed_deploy_bytes(
	const char *tenant, struct bytes file, char message[static 512]);
enum deploy_outcome bed_act(enum deploy_act act, const char *tenant, const char *plugin);
bool bed_status(const char *tenant, const char *plugin, struct deploy_status *ret);

/* Collections as order-rules wants them: 10 chai and 40 chang in stock. */
void bed_make_shop(const char *tenant);
/* Creates a record of order_lines: the status that the client would see, and the answer. */
unsigned bed_write_line(
	const char *tenant, const char *product, int quantity, char answer[static 256]);
/* n of them at once, on both loops; how many were written. */
unsigned bed_write_lines(const char *tenant, const char *product, int quantity, unsigned n);
int64_t bed_stock(const char *tenant, const char *product);

/* Runs statements of ours in control.db, or in the database of a tenant that is in use. */
void bed_control_script(const char *sql);
void bed_tenant_script(const char *tenant, const char *sql);
/* Keeps the writer of control.db busy: whoever writes there waits until it is released. */
void bed_hold_control(void);
void bed_release_control(void);
/* While it is held: lets the next write pass, once it has come, and keeps the one behind it. */
void bed_pass_one_to_control(void);
/* The worker that was started last; 0: none runs. */
int bed_newest_worker(void);

struct bed_measure {
	unsigned n_fds, n_workers;
	uint64_t rss_bytes;
};
struct bed_measure bed_measure(void);

const char *bed_audit_folder(void);
struct deploy *bed_deploy_of(void);

#endif
