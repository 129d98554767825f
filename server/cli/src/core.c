#include "core.h"

#include "api.h"
#include "audit.h"
#include "auth.h"
#include "client.h"
#include "clock.h"
#include "egress.h"
#include "executor.h"
#include "gate.h"
#include "http.h"
#include "id.h"
#include "inspect.h"
#include "log.h"
#include "loop.h"
#include "migrate.h"
#include "record.h"
#include "store.h"
#include "store_lock.h"
#include "tenant.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOPS_MAX         7 /* POOL_LOOPS_MAX */
#define WRITE_QUEUE_LIMIT 4096
#define READERS           4
#define CONNECTION_LIMIT  4096 /* per loop */
#define HEADER_TIMEOUT_MS 10000
#define BODY_TIMEOUT_MS   10000
#define IDLE_TIMEOUT_MS   75000
#define SEND_TIMEOUT_MS   30000
#define PLUGINS_READY_MS  10000
#define DRAIN_MS          10000

struct core {
	struct core_config config;
	char data_folder[PATH_MAX];
	char url[160];
	char token[AUTH_SECRET_HEX + 1];
	unsigned n_loops;

	struct store_lock *lock;
	struct executor *executor;
	struct loop *loops[LOOPS_MAX];
	pthread_t threads[LOOPS_MAX];
	unsigned n_running;
	struct audit *audit;
	struct store *control;
	struct auth *auth;
	struct auth_operators *operators;
	struct tenant_catalogue *tenants;
	struct egress *egress;
	struct gate *gate;
	struct deploy *deploy;
	struct api *api;
	struct http *http;
	struct log_source log;
};

/* ---- a tenant's database, wired to its book of collections ---- */

static int open_book(void *context, struct tenant *tenant, const char *path, struct store **ret_store,
	void **ret_hung, struct err *err)
{
	struct core *core = context;
	struct record_boot boot = { 0 };
	struct record_book *book = NULL;
	const struct store_config store_config = { .path = path,
		.n_loops = core->n_loops,
		.n_readers = READERS,
		.write_queue_limit = WRITE_QUEUE_LIMIT,
		.on_open = record_on_open,
		.on_open_context = &boot };

	if (store_open(&store_config, core->executor, ret_store, err) < 0)
		return -1;
	const struct record_config record_config = { .store = *ret_store,
		.executor = core->executor,
		.boot = &boot,
		.tenant = bytes_of(tenant_name(tenant)),
		.hooks = core->gate ? gate_record_hooks(core->gate) : NULL };
	if (record_book_new(&record_config, &book, err) < 0) {
		record_boot_fini(&boot);
		store_close(*ret_store);
		return -1;
	}
	*ret_hung = book;
	return 0;
}

static void close_book(void *context, struct store *store, void *hung)
{
	(void)context;
	record_book_free(hung);
	store_close(store);
}

/* ---- opening ---- */

static int make_folder(const struct core *core, const char *name, struct err *err)
{
	char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof path, "%s%s", core->data_folder, name);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
	return 0;
}

static int open_folders(struct core *core, struct err *err)
{
	char given[PATH_MAX];

	if (strlen(core->config.data_folder) >= sizeof given - 64)
		return ERR_SET(err, ERR_INVALID, "the data folder's path is too long");
	if (mkdir(core->config.data_folder, 0700) < 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot make the data folder %s: %s", core->config.data_folder,
			strerror(errno));
	if (!realpath(core->config.data_folder, core->data_folder))
		return ERR_SET(err, ERR_IO, "cannot open the data folder %s: %s", core->config.data_folder,
			strerror(errno));
	if (store_lock_take(core->data_folder, &core->lock, err) < 0 ||
		make_folder(core, "/keys", err) < 0 || make_folder(core, "/plugins", err) < 0 ||
		make_folder(core, "/run", err) < 0)
		return -1;
	return 0;
}

static int open_threads(struct core *core, struct err *err)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n_sql = n_cpus > 2 ? (unsigned)n_cpus : 2;
	struct executor_config lanes = {
		.n_threads = { [EXECUTOR_SQL] = n_sql > 16 ? 16 : n_sql,
			[EXECUTOR_FILE] = 2,
			/* argon2id takes 64 MiB and a core each: a flood of sign-ins gets two. */
			[EXECUTOR_PASSWORD] = 2 },
		.queue_limit = { [EXECUTOR_SQL] = 8192, [EXECUTOR_FILE] = 256, [EXECUTOR_PASSWORD] = 64 },
	};

	core->n_loops = core->config.n_loops ? core->config.n_loops : (unsigned)(n_cpus > 0 ? n_cpus : 1);
	if (core->n_loops > LOOPS_MAX)
		core->n_loops = LOOPS_MAX;
	if (executor_new(&lanes, &core->executor, err) < 0)
		return -1;
	for (unsigned i = 0; i < core->n_loops; i++)
		if (loop_new(i, &core->loops[i], err) < 0)
			return -1;
	return 0;
}

static int open_data(struct core *core, struct err *err)
{
	char folder[PATH_MAX + 32], key[PATH_MAX + 32];

	(void)snprintf(folder, sizeof folder, "%s/audit", core->data_folder);
	(void)snprintf(key, sizeof key, "%s/keys/audit-seal.key", core->data_folder);
	/* A lane for each loop and one for the keeper. */
	const struct audit_config audit_config = {
		.folder = folder, .key_path = key, .n_lanes = core->n_loops + 1
	};
	if (audit_open(&audit_config, &core->audit, err) < 0)
		return -1;

	(void)snprintf(folder, sizeof folder, "%s/control.db", core->data_folder);
	const struct store_config store_config = { .path = folder,
		.n_loops = core->n_loops,
		.n_readers = 2,
		.write_queue_limit = WRITE_QUEUE_LIMIT,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_control() };
	if (store_open(&store_config, core->executor, &core->control, err) < 0)
		return -1;

	(void)snprintf(folder, sizeof folder, "%s/keys", core->data_folder);
	const struct auth_config auth_config = { .keys_folder = folder, .executor = core->executor };
	if (auth_new(&auth_config, &core->auth, err) < 0 ||
		auth_operators_open(core->auth, core->control, &core->operators, err) < 0)
		return -1;

	const struct tenant_config tenant_config = { .data_folder = core->data_folder,
		.control = core->control,
		.executor = core->executor,
		.on_open = open_book,
		.on_close = close_book,
		.context = core };
	return tenant_catalogue_open(&tenant_config, &core->tenants, err);
}

static int open_plugins(struct core *core, struct err *err)
{
	char spawner[PATH_MAX], worker[PATH_MAX], inspector[PATH_MAX], self_test[PATH_MAX];

	if (core->config.is_private)
		return 0;
	if (sibling_path("tenon-spawn", spawner, sizeof spawner) < 0 ||
		sibling_path("tenon-worker", worker, sizeof worker) < 0 ||
		sibling_path("tenon-inspect", inspector, sizeof inspector) < 0 ||
		sibling_path("../plugins/selftest-1.0.0.so", self_test, sizeof self_test) < 0)
		return ERR_SET(err, ERR_INVALID, "the path of this program is too long");
	if (core_open_gate(core, err) < 0)
		return -1;
	const struct deploy_config config = { .loops = core->loops,
		.n_loops = core->n_loops,
		.executor = core->executor,
		.control = core->control,
		.tenants = core->tenants,
		.gate = core->gate,
		.audit = core->audit,
		.data_folder = core->data_folder,
		.spawner_path = spawner,
		.worker_path = worker,
		.inspector_path = inspector,
		.selftest_path = self_test,
		.allow_missing = core->config.allow_missing };
	return deploy_open(&config, &core->deploy, err);
}
