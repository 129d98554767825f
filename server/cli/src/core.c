#include "core.h"

#include "api.h"
#include "api_house.h"
#include "audit.h"
#include "auth.h"
#include "client.h"
#include "clock.h"
#include "egress.h"
#include "executor.h"
#include "file.h"
#include "gate.h"
#include "http.h"
#include "id.h"
#include "inspect.h"
#include "live.h"
#include "log.h"
#include "loop.h"
#include "mail.h"
#include "migrate.h"
#include "pool_hooks.h"
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
/* The control database is asked seldom: what it keeps in memory does not grow with its history. */
#define CONTROL_CACHE_KIB 128
#define CONNECTION_LIMIT  16384 /* per loop, as far as descriptors reach */
/* Half a second below the 10 s that are promised: a busy loop closes a little late. */
#define HEADER_TIMEOUT_MS 9500
#define BODY_TIMEOUT_MS   9500
#define IDLE_TIMEOUT_MS   60000
#define SEND_TIMEOUT_MS   10000
#define PLUGINS_READY_MS  10000
#define DRAIN_MS          10000
/* What a call may still need once nothing new comes: a full password lane takes its time. */
#define STUCK_MS   20000
#define RANGES_MAX 16

struct core {
	struct core_config config;
	char data_folder[PATH_MAX];
	char audit_folder[PATH_MAX + 32];
	char url[160];
	char token[AUTH_SECRET_HEX + 1];
	unsigned n_loops, n_readers;

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
	struct egress_range ranges[RANGES_MAX]; /* for plugins */
	size_t n_ranges;
	struct egress_range mail_ranges[RANGES_MAX]; /* for mail servers */
	size_t n_mail_ranges;
	struct vault vault;
	struct mail *mail;
	struct gate *gate;
	struct deploy *deploy;
	struct record_hooks hooks; /* of deploy's pool */
	struct live *live;
	struct api *api;
	struct http *http;
	struct log_source log;
	bool is_stuck; /* a call did not end: what it uses must not be freed */
};

/* ---- a tenant's database, wired to what hangs on it ---- */

static int open_house(void *context, struct tenant *tenant, const char *path,
	struct store **ret_store, void **ret_hung, struct err *err)
{
	struct core *core = context;
	DEFER(file_store_close) struct file_store *files = NULL;
	struct api_house *house = NULL;
	struct live_hub *hub = live_hub(core->live, tenant);
	char folder[PATH_MAX];

	/* Beside the database. */
	if (snprintf(folder, sizeof folder, "%.*s/files", (int)(strrchr(path, '/') - path), path) >=
		(int)sizeof folder)
		return ERR_SET(err, ERR_LIMIT, "the data folder's path is too long");
	const struct file_config file_config = { .folder = folder,
		.executor = core->executor,
		.limit_bytes = core->config.files_limit_bytes };
	if (file_store_open(&file_config, &files, err) < 0)
		return -1;
	struct api_house_boot boot = { .config = { .vault = &core->vault,
					       .tenant = bytes_of(tenant_name(tenant)) },
		.record = { .files = files } };
	const struct store_config store_config = { .path = path,
		.n_loops = core->n_loops,
		.n_readers = core->n_readers,
		.write_queue_limit = WRITE_QUEUE_LIMIT,
		.on_open = api_house_on_open,
		.on_open_context = &boot };

	if (store_open(&store_config, core->executor, ret_store, err) < 0) {
		api_house_boot_fini(&boot);
		return -1;
	}
	const struct record_config record_config = { .executor = core->executor,
		.files = files,
		.tenant = bytes_of(tenant_name(tenant)),
		.hooks = core->deploy ? &core->hooks : NULL,
		.events = hub ? live_hub_events(hub) : NULL };
	if (api_house_new(&record_config, *ret_store, &boot, &house, err) < 0) {
		api_house_boot_fini(&boot);
		store_close(*ret_store);
		return -1;
	}
	files = NULL; /* the house's, see close_house */
	*ret_hung = house;
	return 0;
}

static struct record_book *book_of(void *hung)
{
	return ((struct api_house *)hung)->book;
}

static void close_house(void *context, struct store *store, void *hung)
{
	struct file_store *files = record_book_files(((struct api_house *)hung)->book);

	(void)context;
	api_house_free(hung);
	store_close(store);
	file_store_close(files);
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
		return ERR_SET(err, ERR_IO, "cannot make the data folder %s: %s",
			core->config.data_folder, strerror(errno));
	if (!realpath(core->config.data_folder, core->data_folder))
		return ERR_SET(err, ERR_IO, "cannot open the data folder %s: %s",
			core->config.data_folder, strerror(errno));
	if (store_lock_take(core->data_folder, &core->lock, err) < 0 ||
		make_folder(core, "/keys", err) < 0 || make_folder(core, "/plugins", err) < 0 ||
		make_folder(core, "/run", err) < 0)
		return -1;
	return 0;
}

static int open_threads(struct core *core, struct err *err)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	core->n_readers = n_cpus < 2 ? 2 : n_cpus < 16 ? (unsigned)n_cpus : 16;
	struct executor_config lanes = {
		/* More than one tenant may take: its slow reads leave some to the others. */
		.n_threads = { [EXECUTOR_READ] = 2 * core->n_readers,
			[EXECUTOR_WRITE] = core->n_readers,
			[EXECUTOR_FILE] = 2,
			/* argon2id takes 64 MiB and a core each: a flood of sign-ins gets two. */
			[EXECUTOR_PASSWORD] = 2 },
		.queue_limit = { [EXECUTOR_READ] = 8192,
			[EXECUTOR_WRITE] = 8192,
			[EXECUTOR_FILE] = 256,
			[EXECUTOR_PASSWORD] = 64 },
	};

	core->n_loops =
		core->config.n_loops ? core->config.n_loops : (unsigned)(n_cpus > 0 ? n_cpus : 1);
	if (core->n_loops > LOOPS_MAX)
		core->n_loops = LOOPS_MAX;
	if (executor_new(&lanes, &core->executor, err) < 0)
		return -1;
	for (unsigned i = 0; i < core->n_loops; i++)
		if (loop_new(i, &core->loops[i], err) < 0)
			return -1;
	return 0;
}

/* One lost tenant keeps no other from being served, but the operator has to know at once. */
static bool check_tenant(struct tenant *tenant, void *context)
{
	struct core *core = context;
	struct err err = { 0 };

	if (tenant_check_database(tenant, &err) < 0)
		log_write(LOG_ERROR, &core->log, NULL, err.message,
			LOG_FIELDS(log_string("tenant", tenant_name(tenant))));
	return true;
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
		.cache_kib = CONTROL_CACHE_KIB,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_control() };
	if (store_open(&store_config, core->executor, &core->control, err) < 0)
		return -1;

	(void)snprintf(key, sizeof key, "%s/keys/settings.key", core->data_folder);
	if (vault_open(key, &core->vault, err) < 0)
		return -1;
	(void)snprintf(folder, sizeof folder, "%s/keys", core->data_folder);
	const struct auth_config auth_config = { .keys_folder = folder,
		.executor = core->executor };
	if (auth_new(&auth_config, &core->auth, err) < 0 ||
		auth_operators_open(core->auth, core->control, &core->operators, err) < 0)
		return -1;

	const struct live_config live_config = { .loops = core->loops,
		.n_loops = core->n_loops,
		.clients_per_tenant = core->config.clients_per_tenant,
		.clients_per_address = core->config.clients_per_address,
		.book_of = book_of,
		.sink = realtime_sink };
	if (live_new(&live_config, &core->live, err) < 0)
		return -1;
	const struct tenant_config tenant_config = { .data_folder = core->data_folder,
		.control = core->control,
		.executor = core->executor,
		.on_open = open_house,
		.on_close = close_house,
		.context = core };
	if (tenant_catalogue_open(&tenant_config, &core->tenants, err) < 0)
		return -1;
	tenant_each(core->tenants, check_tenant, core);
	return 0;
}

/* "ADDRESS/BITS:PORT ..." as egress takes it. */
static int parse_ranges(
	const char *text, struct egress_range *ranges, size_t *ret_n, struct err *err)
{
	struct bytes rest = bytes_of(text);

	while (rest.n > 0) {
		const char *space = memchr(rest.p, ' ', rest.n);
		struct bytes word = { rest.p, space ? (size_t)(space - rest.p) : rest.n };
		rest = (struct bytes){ rest.p + word.n, rest.n - word.n };
		while (rest.n > 0 && rest.p[0] == ' ')
			rest = (struct bytes){ rest.p + 1, rest.n - 1 };
		if (word.n == 0)
			continue;
		if (*ret_n == RANGES_MAX || !egress_range_parse(word, &ranges[*ret_n]))
			return ERR_SET(err, ERR_INVALID,
				"'%.*s' is no network that can be allowed; write it as "
				"10.1.0.0/16:443 (at most %d)",
				(int)word.n, word.p, RANGES_MAX);
		(*ret_n)++;
	}
	return 0;
}

static int open_mail(struct core *core, struct err *err)
{
	if (parse_ranges(core->config.mail_allow, core->mail_ranges, &core->n_mail_ranges, err) < 0)
		return -1;
	const struct mail_config config = { .allowed = core->mail_ranges,
		.n_allowed = core->n_mail_ranges };
	return mail_open(&config, &core->mail, err);
}

static int open_gate(struct core *core, struct err *err)
{
	const struct egress_options options = { 0 };

	if (parse_ranges(core->config.egress_allow, core->ranges, &core->n_ranges, err) < 0 ||
		egress_new(&options, &core->egress, err) < 0)
		return -1;
	const struct gate_config config = { .egress = core->egress,
		.audit = core->audit,
		.allowed = core->ranges,
		.n_allowed = core->n_ranges };
	return gate_new(&config, &core->gate, err);
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
	if (open_gate(core, err) < 0)
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
	if (deploy_open(&config, &core->deploy, err) < 0)
		return -1;
	core->hooks = pool_hooks(deploy_pool(core->deploy));
	return 0;
}

/* "ADDRESS/BITS ..." of the proxies in front. */
static int parse_proxies(const struct core *core, struct http_forward *ret, struct err *err)
{
	struct bytes rest = bytes_of(core->config.trusted_proxies);

	(void)bytes_to_string(bytes_of(core->config.proxy_header), ret->header, sizeof ret->header);
	while (rest.n > 0) {
		const char *space = memchr(rest.p, ' ', rest.n);
		struct bytes word = { rest.p, space ? (size_t)(space - rest.p) : rest.n };
		rest = space ? (struct bytes){ space + 1, rest.n - word.n - 1 }
			     : (struct bytes){ 0 };
		if (word.n == 0)
			continue;
		if (ret->n_trusted == HTTP_NETWORKS_MAX ||
			!http_network_parse(word, &ret->trusted[ret->n_trusted]))
			return ERR_SET(err, ERR_INVALID,
				"'%.*s' is no network of proxies; write it as 10.1.0.0/16 or ::1 "
				"(at most %d)",
				(int)word.n, word.p, HTTP_NETWORKS_MAX);
		ret->n_trusted++;
	}
	return 0;
}

static int open_listener(struct core *core, struct err *err)
{
	(void)snprintf(
		core->audit_folder, sizeof core->audit_folder, "%s/audit", core->data_folder);
	struct api_config api_config = { .loops = core->loops,
		.n_loops = core->n_loops,
		.tenants = core->tenants,
		.auth = core->auth,
		.mail = core->mail,
		.operators = core->operators,
		.pool = core->deploy ? deploy_pool(core->deploy) : NULL,
		.deploy = core->deploy,
		.live = core->live,
		.audit = core->audit,
		.version = CLI_VERSION,
		.local_token = core->token,
		.audit_folder = core->audit_folder,
		.executor = core->executor };
	if (parse_proxies(core, &api_config.forward, err) < 0 ||
		api_new(&api_config, &core->api, err) < 0)
		return -1;
	struct http_handler handler = api_handler(core->api);
	const struct http_config http_config = { .address = bytes_of(core->config.address),
		.port = core->config.port,
		.connection_limit = CONNECTION_LIMIT,
		.header_timeout_ms = HEADER_TIMEOUT_MS,
		.body_timeout_ms = BODY_TIMEOUT_MS,
		.idle_timeout_ms = IDLE_TIMEOUT_MS,
		.send_timeout_ms = SEND_TIMEOUT_MS };
	if (http_open(&http_config, core->loops, core->n_loops, &handler, &core->http, err) < 0)
		return -1;
	/* A quarter stays with those who ask and go. */
	live_set_limit(core->live, http_connection_limit(core->http) / 4 * 3);
	bool is_ipv6 = strchr(core->config.address, ':') != NULL;
	(void)snprintf(core->url, sizeof core->url, "http://%s%s%s:%u", is_ipv6 ? "[" : "",
		core->config.address, is_ipv6 ? "]" : "", http_port(core->http));
	return 0;
}

int core_open(const struct core_config *config, struct core **ret, struct err *err)
{
	DEFER(core_close) struct core *core = calloc(1, sizeof *core);
	struct id_source ids = { 0 };
	uint8_t random[AUTH_SECRET_HEX / 2];

	if (!core)
		return ERR_SET(err, ERR_NOMEM, "no memory for the server");
	core->config = *config;
	core->log = LOG_SOURCE("core");
	id_random(&ids, random, sizeof random);
	bytes_hex((struct bytes){ (const char *)random, sizeof random }, core->token);
	if (open_folders(core, err) < 0 || open_threads(core, err) < 0 ||
		open_data(core, err) < 0 || open_mail(core, err) < 0 ||
		open_plugins(core, err) < 0 || open_listener(core, err) < 0)
		return -1;
	*ret = core;
	core = NULL; /* handed over */
	return 0;
}

/* ---- starting ---- */

static void *run_loop(void *loop)
{
	struct err err = { 0 };

	/* Without its loop a part of all connections would hang for ever: better to end and be
	 * started again. */
	if (loop_run(loop, &err) < 0) {
		log_write(LOG_ERROR, NULL, NULL, "a loop failed", LOG_FIELDS(log_fault(&err)));
		abort();
	}
	return NULL;
}

static int start_loops(struct core *core, struct err *err)
{
	sigset_t all, before;

	/* Signals are for the main thread, which waits for them. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	for (; core->n_running < core->n_loops; core->n_running++)
		if (pthread_create(&core->threads[core->n_running], NULL, run_loop,
			    core->loops[core->n_running]) != 0)
			break;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (core->n_running < core->n_loops)
		return ERR_SET(err, ERR_IO, "cannot start a thread");
	return 0;
}

struct first_tenant {
	struct tenant_request request;
	sem_t is_done;
};

static void on_first_tenant(struct tenant_request *request)
{
	(void)sem_post(&((struct first_tenant *)request)->is_done);
}

/* A fresh server has the tenant "default", so that a single app needs no prefix. */
static int make_first_tenant(struct core *core, struct err *err)
{
	struct first_tenant first = { .request = {
					      .done = on_first_tenant, .loop = core->loops[0] } };

	if (tenant_count(core->tenants) > 0)
		return 0;
	(void)sem_init(&first.is_done, 0, 0);
	tenant_create(core->tenants, BYTES("default"), &first.request);
	while (sem_wait(&first.is_done) < 0 && errno == EINTR)
		;
	(void)sem_destroy(&first.is_done);
	if (first.request.outcome == TENANT_OK)
		return 0;
	if (err)
		*err = first.request.err;
	return -1;
}

static int write_file(const struct core *core, const char *name, const char *text, struct err *err)
{
	char path[PATH_MAX + 32], part[PATH_MAX + 40];

	(void)snprintf(path, sizeof path, "%s/%s", core->data_folder, name);
	(void)snprintf(part, sizeof part, "%s.part", path);
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = strlen(text);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n) {
		(void)ERR_SET(err, ERR_IO, "cannot write %s", part);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	(void)close(fd);
	if (rename(part, path) < 0)
		return ERR_SET(err, ERR_IO, "cannot write %s", path);
	return 0;
}

int core_start(struct core *core, struct err *err)
{
	struct deploy_self_test self_test;

	api_start(core->api);
	live_start(core->live);
	if (start_loops(core, err) < 0 || make_first_tenant(core, err) < 0)
		return -1;
	if (core->deploy) {
		if (!deploy_wait_ready(core->deploy, PLUGINS_READY_MS))
			log_write(LOG_WARN, &core->log, NULL, "some plugins are not serving yet",
				NULL);
		deploy_self_test(core->deploy, &self_test);
		api_set_sandbox(core->api, &self_test);
	}
	/* A command's own server ends with the command: nobody else may find it. */
	if (core->config.is_private)
		return 0;
	/* The token first: who finds the address may use it at once. */
	return write_file(core, CLIENT_TOKEN_FILE, core->token, err) < 0 ||
			       write_file(core, CLIENT_ADDRESS_FILE, core->url, err) < 0
		       ? -1
		       : 0;
}

/* ---- stopping ---- */

static void remove_file(const struct core *core, const char *name)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/%s", core->data_folder, name);
	(void)unlink(path);
}

/* Waits until no request is in flight, and no event on its way. False when until_ns came first. */
static bool wait_drained(const struct core *core, uint64_t until_ns)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000000 };

	while (http_in_flight(core->http) > 0 || !live_is_idle(core->live)) {
		if (clock_mono_ns() >= until_ns)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

static void stop_loops(struct core *core)
{
	for (unsigned i = 0; i < core->n_running; i++)
		loop_stop(core->loops[i]);
	for (unsigned i = 0; i < core->n_running; i++)
		(void)pthread_join(core->threads[i], NULL);
	core->n_running = 0;
}

bool core_stop(struct core *core)
{
	uint64_t began_ns = clock_mono_ns();

	if (!core->config.is_private) {
		remove_file(core, CLIENT_ADDRESS_FILE);
		remove_file(core, CLIENT_TOKEN_FILE);
	}
	http_quiesce(core->http);
	bool is_drained = wait_drained(core, began_ns + DRAIN_MS * CLOCK_NS_PER_MS);
	/* What still waits for a plugin gets 4 s more; then its worker is killed, and it is
	 * answered. */
	bool is_closed = deploy_close(core->deploy);
	core->is_stuck = !wait_drained(core, began_ns + STUCK_MS * CLOCK_NS_PER_MS) || !is_closed;
	stop_loops(core);
	return is_drained && !core->is_stuck;
}

void core_close(struct core *core)
{
	if (!core)
		return;
	if (core->n_running > 0) {
		(void)core_stop(core);
	} else if (core->deploy) {
		/* Opened and never started, as when the port is taken: the keeper runs already, and
		 * its end is said to loops that run. */
		core->is_stuck = start_loops(core, NULL) < 0 || !deploy_close(core->deploy);
		stop_loops(core);
	}
	/* A job of that call may still come back to it. The process is about to end: the kernel
	 * frees all, and the databases are made to survive that. */
	if (core->is_stuck) {
		audit_close(core->audit);
		return;
	}
	http_close(core->http);
	api_free(core->api);
	deploy_free(core->deploy);
	tenant_catalogue_close(core->tenants);
	live_free(core->live);
	mail_close(core->mail);
	vault_fini(&core->vault);
	auth_operators_close(core->operators);
	auth_free(core->auth);
	store_close(core->control);
	egress_free(core->egress);
	gate_free(core->gate);
	executor_free(core->executor);
	for (unsigned i = 0; i < LOOPS_MAX; i++)
		loop_free(core->loops[i]);
	audit_close(core->audit);
	store_lock_give(core->lock);
	explicit_bzero(core->token, sizeof core->token);
	free(core);
}

const char *core_url(const struct core *core)
{
	return core->url;
}

const char *core_token(const struct core *core)
{
	return core->token;
}

struct auth_operators *core_operators(struct core *core)
{
	return core->operators;
}

struct deploy *core_deploy(struct core *core)
{
	return core->deploy;
}

void core_self_test(struct core *core, struct deploy_self_test *ret)
{
	*ret = (struct deploy_self_test){ 0 };
	if (core->deploy)
		deploy_self_test(core->deploy, ret);
}
