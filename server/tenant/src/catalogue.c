#include "internal.h"

#include "clock.h"
#include "id.h"
#include "store_wait.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OPEN_LIMIT_DEFAULT 1024

static const char *const state_names[] = {
	[TENANT_ACTIVE] = "active", [TENANT_SUSPENDED] = "suspended"
};

/* FNV-1a, Fowler/Noll/Vo, 32 bits. Names are the operator's, so nobody gains by making them
 * collide. */
static uint32_t bucket_of(struct bytes name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		hash = (hash ^ (unsigned char)name.p[i]) * 16777619u;
	return hash % BUCKETS;
}

bool tenant_name_is_valid(struct bytes text)
{
	if (text.n < 2 || text.n > TENANT_NAME_MAX || text.p[0] < 'a' || text.p[0] > 'z')
		return false;
	for (size_t i = 1; i < text.n; i++) {
		char c = text.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return true;
}

struct tenant *tenant_find(struct tenant_catalogue *catalogue, struct bytes name)
{
	struct tenant *tenant =
		atomic_load_explicit(&catalogue->buckets[bucket_of(name)], memory_order_acquire);

	while (tenant && !bytes_eq_string(name, tenant->name))
		tenant = atomic_load_explicit(&tenant->next, memory_order_acquire);
	return tenant;
}

const char *tenant_name(const struct tenant *tenant)
{
	return tenant->name;
}

const char *tenant_id(const struct tenant *tenant)
{
	return tenant->id;
}

enum tenant_state tenant_get_state(const struct tenant *tenant)
{
	return (enum tenant_state)atomic_load_explicit(&tenant->state, memory_order_relaxed);
}

int64_t tenant_created_us(const struct tenant *tenant)
{
	return tenant->created_us;
}

size_t tenant_count(const struct tenant_catalogue *catalogue)
{
	return atomic_load(&catalogue->n_tenants);
}

static int compare_names(const void *a, const void *b)
{
	const struct tenant *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void tenant_each(struct tenant_catalogue *catalogue,
	bool (*each)(struct tenant *tenant, void *context), void *context)
{
	size_t cap = tenant_count(catalogue), n = 0;
	struct tenant **list = calloc(cap ? cap : 1, sizeof *list);

	if (!list)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct tenant *tenant = atomic_load(&catalogue->buckets[i]);
		for (; tenant && n < cap; tenant = atomic_load(&tenant->next))
			list[n++] = tenant;
	}
	qsort(list, n, sizeof *list, compare_names);
	for (size_t i = 0; i < n && each(list[i], context); i++)
		;
	free(list);
}

static struct tenant *new_tenant(struct tenant_catalogue *catalogue, struct bytes name,
	struct bytes id, enum tenant_state state, int64_t created_us)
{
	struct tenant *tenant = calloc(1, sizeof *tenant);

	if (!tenant)
		return NULL;
	(void)bytes_to_string(name, tenant->name, sizeof tenant->name);
	(void)bytes_to_string(id, tenant->id, sizeof tenant->id);
	tenant->created_us = created_us;
	tenant->catalogue = catalogue;
	atomic_init(&tenant->state, (int)state);
	return tenant;
}

/* From here on it can be found. Locked, or before there are threads. */
static void publish(struct tenant *tenant)
{
	struct tenant_catalogue *catalogue = tenant->catalogue;
	struct tenant *_Atomic *bucket = &catalogue->buckets[bucket_of(bytes_of(tenant->name))];

	atomic_store(&tenant->next, atomic_load(bucket));
	atomic_store_explicit(bucket, tenant, memory_order_release);
	atomic_fetch_add(&catalogue->n_tenants, 1);
}

struct load {
	struct store_job job;
	struct tenant_catalogue *catalogue;
};

static enum store_outcome load_rows(struct store_job *job, struct store_conn *conn)
{
	struct load *load = (struct load *)job;
	struct store_stmt *stmt;
	bool has_row;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("SELECT id, name, state, created_us, hosts, origins FROM tenants"), &stmt);

	while (outcome == STORE_OK && (outcome = store_step(stmt, &has_row)) == STORE_OK &&
		has_row) {
		struct tenant *tenant = new_tenant(load->catalogue, store_column_text(stmt, 1),
			store_column_text(stmt, 0),
			bytes_eq(store_column_text(stmt, 2), BYTES("suspended")) ? TENANT_SUSPENDED
										 : TENANT_ACTIVE,
			store_column_int64(stmt, 3));
		if (!tenant) {
			(void)ERR_SET(
				&job->err, ERR_NOMEM, "no memory for the catalogue of tenants");
			return STORE_FAULT;
		}
		publish(tenant);
		if (!tenant_web_load(
			    tenant, store_column_text(stmt, 4), store_column_text(stmt, 5))) {
			(void)ERR_SET(&job->err, ERR_CORRUPT,
				"the host names or origins of tenant %s are unreadable",
				tenant->name);
			return STORE_FAULT;
		}
	}
	return outcome;
}

int tenant_catalogue_open(
	const struct tenant_config *config, struct tenant_catalogue **ret, struct err *err)
{
	DEFER(tenant_catalogue_close)
	struct tenant_catalogue *catalogue = calloc(1, sizeof *catalogue);
	char path[PATH_MAX];

	if (!catalogue)
		return ERR_SET(err, ERR_NOMEM, "no memory for the catalogue of tenants");
	catalogue->config = *config;
	if (!catalogue->config.open_limit)
		catalogue->config.open_limit = OPEN_LIMIT_DEFAULT;
	(void)pthread_mutex_init(&catalogue->lock, NULL);
	(void)pthread_cond_init(&catalogue->jobs_ended, NULL);
	catalogue->data_folder = strdup(config->data_folder);
	if (!catalogue->data_folder)
		return ERR_SET(err, ERR_NOMEM, "no memory for the catalogue of tenants");
	(void)snprintf(path, sizeof path, "%s/tenants", config->data_folder);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return ERR_SET(err, ERR_IO, "cannot make %s", path);

	struct load load = { .job = { .run = load_rows }, .catalogue = catalogue };
	enum store_outcome outcome = store_read_and_wait(config->control, &load.job);
	if (outcome != STORE_OK) {
		if (err)
			*err = load.job.err;
		return -1;
	}
	*ret = catalogue;
	catalogue = NULL; /* handed over */
	return 0;
}

void tenant_catalogue_close(struct tenant_catalogue *catalogue)
{
	if (!catalogue)
		return;
	/* A job lets its users in first and closes the surplus then: it may still be at that. */
	pthread_mutex_lock(&catalogue->lock);
	while (catalogue->n_jobs > 0)
		(void)pthread_cond_wait(&catalogue->jobs_ended, &catalogue->lock);
	pthread_mutex_unlock(&catalogue->lock);
	for (size_t i = 0; i < BUCKETS; i++) {
		struct tenant *tenant = atomic_load(&catalogue->buckets[i]), *next;
		for (; tenant; tenant = next) {
			next = atomic_load(&tenant->next);
			tenant_close_database(tenant);
			tenant_web_fini(tenant);
			free(tenant);
		}
	}
	tenant_hosts_fini(catalogue);
	(void)pthread_cond_destroy(&catalogue->jobs_ended);
	(void)pthread_mutex_destroy(&catalogue->lock);
	free(catalogue->data_folder);
	free(catalogue);
}

/* ---- creating ---- */

static void deliver_request(struct loop_message *message)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)message -
					  offsetof(struct tenant_request, message));

	request->done(request);
}

void tenant_finish(struct tenant_request *request, enum tenant_outcome outcome)
{
	request->outcome = outcome;
	request->message.deliver = deliver_request;
	loop_post(request->loop, &request->message);
}

static enum store_outcome insert_row(struct store_job *job, struct store_conn *conn)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, write));
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn,
		BYTES("INSERT INTO tenants (id, name, state, created_us) VALUES (?1, ?2, 'active', "
		      "?3)"),
		&stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(request->tenant->id));
	store_bind_text(stmt, 2, bytes_of(request->tenant->name));
	store_bind_int64(stmt, 3, request->tenant->created_us);
	return store_exec(stmt, NULL);
}

static void on_inserted(struct store_job *job)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, write));

	if (job->outcome == STORE_OK) {
		pthread_mutex_lock(&request->catalogue->lock);
		publish(request->tenant);
		pthread_mutex_unlock(&request->catalogue->lock);
		tenant_finish(request, TENANT_OK);
		return;
	}
	request->err = job->err;
	tenant_remove_files(request->tenant);
	free(request->tenant);
	request->tenant = NULL;
	tenant_finish(request, job->outcome == STORE_CONFLICT ? TENANT_EXISTS : TENANT_FAULT);
}

/* On the executor: folder and database, which may take their time; then the row, through the
 * writer. */
static void run_create(struct executor_job *job)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, job));
	struct id_source ids = { 0 };
	char id[TENANT_ID_MAX + 1];

	id_record(&ids, id);
	request->tenant = new_tenant(request->catalogue, bytes_of(request->name), bytes_of(id),
		TENANT_ACTIVE, clock_wall_us());
	if (!request->tenant) {
		(void)ERR_SET(&request->err, ERR_NOMEM, "no memory for a tenant");
		tenant_finish(request, TENANT_FAULT);
		return;
	}
	if (tenant_make_database(request->tenant, &request->err) < 0) {
		tenant_remove_files(request->tenant);
		free(request->tenant);
		request->tenant = NULL;
		tenant_finish(request, TENANT_FAULT);
		return;
	}
	request->write = (struct store_job){ .run = insert_row, .done = on_inserted, .loop = NULL };
	store_write(request->catalogue->config.control, &request->write);
}

void tenant_create(
	struct tenant_catalogue *catalogue, struct bytes name, struct tenant_request *request)
{
	request->catalogue = catalogue;
	request->tenant = NULL;
	request->err = (struct err){ 0 };
	if (!tenant_name_is_valid(name)) {
		tenant_finish(request, TENANT_BAD_NAME);
		return;
	}
	if (tenant_find(catalogue, name)) {
		tenant_finish(request, TENANT_EXISTS);
		return;
	}
	(void)bytes_to_string(name, request->name, sizeof request->name);
	request->job.run = run_create;
	if (executor_submit(catalogue->config.executor, EXECUTOR_FILE, &request->job) !=
		EXECUTOR_OK) {
		(void)ERR_SET(&request->err, ERR_LIMIT, "too much file work waits");
		tenant_finish(request, TENANT_FAULT);
	}
}

/* ---- suspending and resuming ---- */

static enum store_outcome update_state(struct store_job *job, struct store_conn *conn)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, write));
	struct store_stmt *stmt;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("UPDATE tenants SET state = ?2 WHERE id = ?1"), &stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(request->tenant->id));
	store_bind_text(stmt, 2, bytes_of(state_names[request->state]));
	return store_exec(stmt, NULL);
}

static void on_updated(struct store_job *job)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, write));

	if (job->outcome == STORE_OK)
		atomic_store(&request->tenant->state, (int)request->state);
	else
		request->err = job->err;
	tenant_finish(request, job->outcome == STORE_OK ? TENANT_OK : TENANT_FAULT);
}

void tenant_set_state(
	struct tenant *tenant, enum tenant_state state, struct tenant_request *request)
{
	assert(state == TENANT_ACTIVE || state == TENANT_SUSPENDED);
	request->catalogue = tenant->catalogue;
	request->tenant = tenant;
	request->state = state;
	request->err = (struct err){ 0 };
	request->write =
		(struct store_job){ .run = update_state, .done = on_updated, .loop = NULL };
	store_write(tenant->catalogue->config.control, &request->write);
}
