/*
 * A tenant's database: opened by the first that needs it, closed when others need its place.
 *
 *   CLOSED --first use--> OPENING --job--> OPENED --least recently used, no users--> CLOSING -->
 * CLOSED
 *
 * The lock guards the transitions; using an open database takes only the gate.
 */
#include "internal.h"

#include "clock.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct store *tenant_store(const struct tenant *tenant)
{
	return tenant->store;
}

void *tenant_hung(const struct tenant *tenant)
{
	return tenant->hung;
}

static int format_path(
	const struct tenant *tenant, const char *name, char path[static PATH_MAX], struct err *err)
{
	int n = snprintf(path, PATH_MAX, "%s/tenants/%s%s", tenant->catalogue->data_folder,
		tenant->id, name);

	if (n < 0 || n >= PATH_MAX)
		return ERR_SET(err, ERR_LIMIT, "the data folder's path is too long");
	return 0;
}

static int open_at(struct tenant *tenant, const char *path, struct err *err)
{
	const struct tenant_config *config = &tenant->catalogue->config;

	return config->on_open(config->context, tenant, path, &tenant->store, &tenant->hung, err);
}

int tenant_check_database(const struct tenant *tenant, struct err *err)
{
	char path[PATH_MAX];
	struct stat file;

	if (format_path(tenant, "/data.db", path, err) < 0)
		return -1;
	/* A database has a first page from its making on. */
	bool is_there = stat(path, &file) == 0;
	if (is_there && file.st_size > 0)
		return 0;
	return ERR_SET(err, ERR_CORRUPT,
		"the database of the tenant \"%s\" is %s: %s; stop the server and put it back from "
		"a backup",
		tenant->name, is_there ? "empty" : "gone", path);
}

int tenant_open_database(struct tenant *tenant, struct err *err)
{
	char path[PATH_MAX];

	/* The store would make an empty one, and nobody would miss what was in the other. */
	if (tenant_check_database(tenant, err) < 0 ||
		format_path(tenant, "/data.db", path, err) < 0)
		return -1;
	return open_at(tenant, path, err);
}

/* So that a row that was committed never names a file that the disk forgets. */
static int sync_folder(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);

	if (result < 0)
		(void)ERR_SET(err, ERR_IO, "cannot sync the folder %s", path);
	if (fd >= 0)
		(void)close(fd);
	return result;
}

int tenant_make_database(struct tenant *tenant, struct err *err)
{
	char path[PATH_MAX];

	if (format_path(tenant, "", path, err) < 0)
		return -1;
	if (mkdir(path, 0700) < 0)
		return ERR_SET(err, ERR_IO, "cannot make %s", path);
	if (format_path(tenant, "/data.db", path, err) < 0 || open_at(tenant, path, err) < 0)
		return -1;
	tenant_close_database(tenant);
	if (format_path(tenant, "", path, err) < 0 || sync_folder(path, err) < 0 ||
		format_path(tenant, "/..", path, err) < 0)
		return -1;
	return sync_folder(path, err);
}

void tenant_remove_files(const struct tenant *tenant)
{
	static const char *const names[] = { "/data.db", "/data.db-wal", "/data.db-shm",
		"/files/.staging", "/files", "" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		int n = snprintf(path, sizeof path, "%s/tenants/%s%s",
			tenant->catalogue->data_folder, tenant->id, names[i]);
		if (n > 0 && (size_t)n < sizeof path)
			(void)remove(path);
	}
}

void tenant_close_database(struct tenant *tenant)
{
	const struct tenant_config *config = &tenant->catalogue->config;

	if (!tenant->store)
		return;
	config->on_close(config->context, tenant->store, tenant->hung);
	tenant->hung = NULL;
	tenant->store = NULL;
}

bool tenant_try_use(struct tenant *tenant, struct tenant_use *use)
{
	uint32_t gate = atomic_load_explicit(&tenant->gate, memory_order_relaxed);

	do {
		if (!(gate & GATE_OPEN))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&tenant->gate, &gate, gate + 1, memory_order_acquire, memory_order_relaxed));
	atomic_store_explicit(&tenant->last_used_ns, loop_now_ns(use->loop), memory_order_relaxed);
	use->tenant = tenant;
	return true;
}

void tenant_use_end(struct tenant_use *use)
{
	uint32_t before = atomic_fetch_sub_explicit(&use->tenant->gate, 1, memory_order_release);

	assert((before & ~GATE_OPEN) > 0);
	use->tenant = NULL;
}

static void deliver_opened(struct loop_message *message)
{
	struct tenant_use *use =
		(struct tenant_use *)((char *)message - offsetof(struct tenant_use, message));

	use->done(use, true);
}

static void deliver_failed(struct loop_message *message)
{
	struct tenant_use *use =
		(struct tenant_use *)((char *)message - offsetof(struct tenant_use, message));

	use->tenant = NULL;
	use->done(use, false);
}

/* The open tenant that was used longest ago and has no user now, its gate shut, or NULL. Locked. */
static struct tenant *shut_least_used(struct tenant_catalogue *catalogue)
{
	struct tenant *oldest;

	do {
		uint64_t oldest_ns = UINT64_MAX;
		oldest = NULL;
		for (size_t i = 0; i < BUCKETS; i++) {
			struct tenant *tenant = atomic_load(&catalogue->buckets[i]);
			for (; tenant; tenant = atomic_load(&tenant->next)) {
				uint64_t used_ns = atomic_load(&tenant->last_used_ns);
				if (tenant->opening == TENANT_OPENED && used_ns < oldest_ns &&
					atomic_load(&tenant->gate) == GATE_OPEN) {
					oldest_ns = used_ns;
					oldest = tenant;
				}
			}
		}
		uint32_t unused = GATE_OPEN;
		if (!oldest || atomic_compare_exchange_strong(&oldest->gate, &unused, 0))
			break;
	} while (true); /* somebody began to use it meanwhile: look again */
	if (oldest)
		oldest->opening = TENANT_CLOSING;
	return oldest;
}

static void submit_open(struct tenant *tenant);

/* Closes what is open beyond the limit. On the executor, unlocked. */
static void close_surplus(struct tenant_catalogue *catalogue)
{
	for (;;) {
		struct tenant *victim = NULL;
		pthread_mutex_lock(&catalogue->lock);
		if (catalogue->n_open > catalogue->config.open_limit)
			victim = shut_least_used(catalogue);
		pthread_mutex_unlock(&catalogue->lock);
		if (!victim)
			return;

		tenant_close_database(victim);
		pthread_mutex_lock(&catalogue->lock);
		catalogue->n_open--;
		bool is_wanted = victim->waiters != NULL;
		victim->opening = is_wanted ? TENANT_OPENING : TENANT_CLOSED;
		pthread_mutex_unlock(&catalogue->lock);
		if (is_wanted)
			submit_open(victim);
	}
}

/* The last that a job does: the catalogue may be gone behind it. */
static void job_ended(struct tenant_catalogue *catalogue)
{
	pthread_mutex_lock(&catalogue->lock);
	if (--catalogue->n_jobs == 0)
		(void)pthread_cond_signal(&catalogue->jobs_ended);
	pthread_mutex_unlock(&catalogue->lock);
}

/* Opens a database and lets everybody in who waits for it. On the executor. */
static void run_open(struct executor_job *job)
{
	struct tenant *tenant = (struct tenant *)((char *)job - offsetof(struct tenant, open_job));
	struct tenant_catalogue *catalogue = tenant->catalogue;
	struct err err = { 0 };
	bool is_open = tenant_open_database(tenant, &err) == 0;
	uint32_t n_waiters = 0;

	pthread_mutex_lock(&catalogue->lock);
	struct tenant_use *waiters = tenant->waiters;
	tenant->waiters = NULL;
	for (struct tenant_use *use = waiters; use; use = use->next)
		n_waiters++;
	tenant->opening = is_open ? TENANT_OPENED : TENANT_CLOSED;
	if (is_open) {
		catalogue->n_open++;
		atomic_store(&tenant->last_used_ns, clock_mono_ns());
		atomic_store_explicit(&tenant->gate, GATE_OPEN | n_waiters, memory_order_release);
	}
	pthread_mutex_unlock(&catalogue->lock);

	for (struct tenant_use *use = waiters, *next; use; use = next) {
		next = use->next;
		use->err = err;
		use->message.deliver = is_open ? deliver_opened : deliver_failed;
		loop_post(use->loop, &use->message);
	}
	close_surplus(catalogue);
	job_ended(catalogue);
}

static void submit_open(struct tenant *tenant)
{
	struct tenant_catalogue *catalogue = tenant->catalogue;

	tenant->open_job.run = run_open;
	pthread_mutex_lock(&catalogue->lock);
	catalogue->n_jobs++;
	pthread_mutex_unlock(&catalogue->lock);
	if (executor_submit(catalogue->config.executor, EXECUTOR_FILE, &tenant->open_job) ==
		EXECUTOR_OK)
		return;

	/* The lane is full: nobody gets in now, and each is told so. */
	struct err err = { 0 };
	(void)ERR_SET(&err, ERR_LIMIT, "too many databases wait to be opened");
	pthread_mutex_lock(&catalogue->lock);
	struct tenant_use *waiters = tenant->waiters;
	tenant->waiters = NULL;
	tenant->opening = TENANT_CLOSED;
	pthread_mutex_unlock(&catalogue->lock);
	for (struct tenant_use *use = waiters, *next; use; use = next) {
		next = use->next;
		use->err = err;
		use->message.deliver = deliver_failed;
		loop_post(use->loop, &use->message);
	}
	job_ended(catalogue);
}

void tenant_use_begin(struct tenant *tenant, struct tenant_use *use)
{
	struct tenant_catalogue *catalogue = tenant->catalogue;

	if (tenant_try_use(tenant, use)) {
		use->done(use, true);
		return;
	}
	pthread_mutex_lock(&catalogue->lock);
	/* It may have been opened between the two looks. */
	if (tenant_try_use(tenant, use)) {
		pthread_mutex_unlock(&catalogue->lock);
		use->done(use, true);
		return;
	}
	bool is_first = tenant->opening == TENANT_CLOSED;
	use->tenant = tenant;
	use->next = tenant->waiters;
	tenant->waiters = use;
	if (is_first)
		tenant->opening = TENANT_OPENING;
	pthread_mutex_unlock(&catalogue->lock);
	if (is_first)
		submit_open(tenant);
}
