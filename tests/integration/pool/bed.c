#include "bed.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "executor.h"
#include "loop.h"
#include "migrate.h"
#include "pool_hooks.h"
#include "record.h"
#include "unit.h"

#define LOOPS 2

static struct bed {
	char folder[64];
	const char *inspector;
	struct executor *executor;
	struct store *control;
	struct tenant_catalogue *tenants;
	struct audit *audit;
	struct gate *gate;
	struct deploy *deploy;
	struct record_hooks hooks;
	struct loop *loops[LOOPS];
	pthread_t threads[LOOPS];
	atomic_bool is_slow;
} bed;

/* ---- start and stop ---- */
static int sync_slowly(int fd)
{
	if (atomic_load(&bed.is_slow))
		usleep(200000);
	return fdatasync(fd);
}

void bed_slow_journal(bool is_slow)
{
	atomic_store(&bed.is_slow, is_slow);
}

static int open_tenant(void *context, struct tenant *tenant, const char *path,
	struct store **ret_store, void **ret_hung, struct err *err)
{
	struct record_boot boot = { 0 };
	struct store_config config = { .path = path,
		.n_loops = LOOPS,
		.n_readers = 2,
		.write_queue_limit = 1024,
		.on_open = record_on_open,
		.on_open_context = &boot };
	(void)context;
	if (store_open(&config, bed.executor, ret_store, err) < 0)
		return -1;
	struct record_config book = { .store = *ret_store,
		.executor = bed.executor,
		.boot = &boot,
		.tenant = bytes_of(tenant_name(tenant)),
		.hooks = &bed.hooks };
	return record_book_new(&book, (struct record_book **)ret_hung, err);
}

static void close_tenant(void *context, struct store *store, void *hung)
{
	(void)context;
	record_book_free(hung);
	store_close(store);
}

static void *run_loop(void *loop)
{
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	return NULL;
}

static void on_created(struct tenant_request *request)
{
	(void)request;
}

/* The request lives on: its last message may still be on its way when the tenant is found. */
static void create_tenant(const char *name, struct tenant_request *request)
{
	if (tenant_find(bed.tenants, bytes_of(name)))
		return;
	*request = (struct tenant_request){ .done = on_created, .loop = bed.loops[0] };
	tenant_create(bed.tenants, bytes_of(name), request);
	while (!tenant_find(bed.tenants, bytes_of(name)))
		usleep(1000);
}

static const char *at(const char *name)
{
	static char paths[8][256];
	static unsigned n;
	char *path = paths[n++ % 8];
	snprintf(path, 256, "%s/%s", bed.folder, name);
	return path;
}

static const char *binary(const char *variable, const char *name)
{
	static char paths[8][256];
	static unsigned n;
	char *path = paths[n++ % 8];
	const char *folder = getenv(variable);
	snprintf(path, 256, "%s/%s", folder ? folder : ".", name);
	return path;
}

static void open_stores(struct err *err)
{
	struct executor_config lanes = { .n_threads = { 2, 1, 1, 1 },
		.queue_limit = { 4096, 64, 64, 4096 } };
	CU_ASSERT_EQUAL_FATAL(executor_new(&lanes, &bed.executor, err), 0);
	struct store_config control = { .path = at("control.db"),
		.n_loops = LOOPS,
		.n_readers = 1,
		.write_queue_limit = 64,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_control() };
	CU_ASSERT_EQUAL_FATAL(store_open(&control, bed.executor, &bed.control, err), 0);
	struct tenant_config tenants = { .data_folder = bed.folder,
		.control = bed.control,
		.executor = bed.executor,
		.on_open = open_tenant,
		.on_close = close_tenant };
	CU_ASSERT_EQUAL_FATAL(tenant_catalogue_open(&tenants, &bed.tenants, err), 0);
	mkdir(at("keys"), 0700);
	static const struct audit_os os = { .sync = sync_slowly };
	struct audit_config audit = { .os = &os,
		.folder = at("audit"),
		.key_path = at("keys/seal.key"),
		.n_lanes = LOOPS + 1,
		.segment_bytes = 1u << 20 };
	CU_ASSERT_EQUAL_FATAL(audit_open(&audit, &bed.audit, err), 0);
}

void bed_start(void)
{
	bed_start_with("selftest-1.0.0.so");
}

void bed_start_without_inspector(void)
{
	bed.inspector = "tenon-there-is-none";
	bed_start();
	bed.inspector = NULL;
}

void bed_move_artifacts(bool away)
{
	const char *here = at("plugins"), *there = at("plugins.away");
	CU_ASSERT_EQUAL(rename(away ? here : there, away ? there : here), 0);
}

void bed_start_with(const char *selftest)
{
	struct err err = { 0 };
	if (!bed.folder[0]) {
		strcpy(bed.folder, "/tmp/tenon-pool-XXXXXX");
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(bed.folder));
	}
	open_stores(&err);
	for (unsigned i = 0; i < LOOPS; i++)
		CU_ASSERT_EQUAL_FATAL(loop_new(i, &bed.loops[i], &err), 0);
	struct gate_config gate = { .audit = bed.audit };
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &bed.gate, &err), 0);
	struct deploy_config config = {
		.loops = bed.loops,
		.n_loops = LOOPS,
		.executor = bed.executor,
		.control = bed.control,
		.tenants = bed.tenants,
		.gate = bed.gate,
		.audit = bed.audit,
		.data_folder = bed.folder,
		.spawner_path = binary("POOL_BIN", "tenon-spawn"),
		.worker_path = binary("POOL_BIN", "tenon-worker"),
		.inspector_path =
			binary("POOL_BIN", bed.inspector ? bed.inspector : "tenon-inspect"),
		.selftest_path = binary("POOL_PLUGINS", selftest),
		.allow_missing = ~0u,
	};
	CU_ASSERT_EQUAL_FATAL(deploy_open(&config, &bed.deploy, &err), 0);
	bed.hooks = pool_hooks(deploy_pool(bed.deploy));
	for (unsigned i = 0; i < LOOPS; i++)
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&bed.threads[i], NULL, run_loop, bed.loops[i]), 0);
	static struct tenant_request requests[2];
	create_tenant("shop", &requests[0]);
	create_tenant("other", &requests[1]);
	CU_ASSERT_FATAL(deploy_wait_ready(bed.deploy, 10000));
}

void bed_stop_keeper(void)
{
	CU_ASSERT_FATAL(deploy_close(bed.deploy));
}

void bed_stop_rest(void)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		loop_stop(bed.loops[i]);
		pthread_join(bed.threads[i], NULL);
	}
	deploy_free(bed.deploy);
	gate_free(bed.gate);
	tenant_catalogue_close(bed.tenants);
	store_close(bed.control);
	audit_close(bed.audit);
	executor_free(bed.executor);
	for (unsigned i = 0; i < LOOPS; i++)
		loop_free(bed.loops[i]);
}

void bed_stop(void)
{
	bed_stop_keeper();
	bed_stop_rest();
}

void bed_remove(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", bed.folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

struct deploy *bed_deploy_of(void)
{
	return bed.deploy;
}

const char *bed_audit_folder(void)
{
	return at("audit");
}

/* ---- one call ---- */
struct one_call {
	struct loop_message message; /* first */
	unsigned loop;
	const char *tenant, *plugin, *path;
	struct pool_call call;
	struct bed_answer answer;
	uint64_t started_ns;
	sem_t done;
};

static void copy_text(char *out, size_t cap, struct bytes text)
{
	bytes_to_string(text, out, cap);
}

static void on_call_done(struct pool_call *call)
{
	struct one_call *one = call->context;
	one->answer.outcome = call->outcome;
	one->answer.status = pool_status(call);
	one->answer.ns = clock_mono_ns() - one->started_ns;
	copy_text(one->answer.body, sizeof one->answer.body, call->answer_body);
	copy_text(one->answer.message, sizeof one->answer.message, call->message);
	sem_post(&one->done);
}

static void start_one(struct loop_message *message)
{
	struct one_call *one = (struct one_call *)message;
	struct pool_view *view = pool_view(deploy_pool(bed.deploy), bed.loops[one->loop]);
	struct pool_target target;
	one->started_ns = clock_mono_ns();
	one->answer.found = pool_find_route(view, bytes_of(one->tenant), bytes_of(one->plugin),
		BYTES("GET"), bytes_of(one->path), &target);
	if (one->answer.found != POOL_FOUND) {
		copy_text(one->answer.reason, sizeof one->answer.reason, bytes_of(target.reason));
		sem_post(&one->done);
		return;
	}
	one->call = (struct pool_call){ .method = BYTES("GET"),
		.path = bytes_of(one->path),
		.done = on_call_done,
		.context = one };
	memcpy(one->call.trace_id, "integration test", ID_TRACE_BYTES);
	pool_call_start(view, &target, &one->call);
}

struct bed_answer bed_call(unsigned loop, const char *tenant, const char *plugin, const char *path)
{
	struct one_call one = { .message.deliver = start_one,
		.loop = loop,
		.tenant = tenant,
		.plugin = plugin,
		.path = path };
	sem_init(&one.done, 0, 0);
	loop_post(bed.loops[loop], &one.message);
	sem_wait(&one.done);
	sem_destroy(&one.done);
	return one.answer;
}

/* ---- load ---- */
struct load_call {
	struct loop_message message; /* first */
	struct bed_load *load;
	struct pool_call call;
};

struct bed_load {
	unsigned loop, n;
	const char *tenant, *plugin, *path;
	_Atomic bool is_stopping;
	_Atomic unsigned n_running;
	struct bed_load_result result; /* the loop's */
	struct load_call calls[];
};

static void start_load_call(struct loop_message *message);

static void load_again(struct load_call *at_call)
{
	at_call->message.deliver = start_load_call;
	loop_post(bed.loops[at_call->load->loop], &at_call->message);
}

static void on_load_done(struct pool_call *call)
{
	struct load_call *at_call = call->context;
	if (call->outcome == POOL_ANSWERED && call->status == 200) {
		at_call->load->result.n_answered++;
	} else {
		at_call->load->result.n_other++;
		at_call->load->result.last_other = call->outcome;
	}
	load_again(at_call);
}

static void start_load_call(struct loop_message *message)
{
	struct load_call *at_call = (struct load_call *)message;
	struct bed_load *load = at_call->load;
	struct pool_view *view = pool_view(deploy_pool(bed.deploy), bed.loops[load->loop]);
	struct pool_target target;
	if (load->is_stopping) {
		load->n_running--;
		return;
	}
	enum pool_find_result found = pool_find_route(view, bytes_of(load->tenant),
		bytes_of(load->plugin), BYTES("GET"), bytes_of(load->path), &target);
	if (found != POOL_FOUND) {
		load->result.n_other++;
		load->result.last_other = 100 + found;
		load_again(at_call);
		return;
	}
	at_call->call = (struct pool_call){ .method = BYTES("GET"),
		.path = bytes_of(load->path),
		.done = on_load_done,
		.context = at_call };
	pool_call_start(view, &target, &at_call->call);
}

struct bed_load *bed_load_start(
	unsigned loop, unsigned n, const char *tenant, const char *plugin, const char *path)
{
	struct bed_load *load = calloc(1, sizeof *load + n * sizeof load->calls[0]);
	*load = (struct bed_load){ .loop = loop,
		.n = n,
		.tenant = tenant,
		.plugin = plugin,
		.path = path,
		.n_running = n };
	for (unsigned i = 0; i < n; i++) {
		load->calls[i].load = load;
		load_again(&load->calls[i]);
	}
	return load;
}

struct bed_load_result bed_load_stop(struct bed_load *load)
{
	load->is_stopping = true;
	while (load->n_running)
		usleep(1000);
	struct bed_load_result result = load->result;
	free(load);
	return result;
}

/* ---- deployments ---- */
static void on_deployed(struct deploy_request *request)
{
	sem_post(request->context);
}

static enum deploy_outcome submit(struct deploy_request *request)
{
	sem_t done;
	sem_init(&done, 0, 0);
	request->done = on_deployed;
	request->context = &done;
	request->loop = bed.loops[0];
	request->actor = BYTES("operator:1");
	request->grant_all = true;
	deploy_submit(bed.deploy, request);
	sem_wait(&done);
	sem_destroy(&done);
	return request->outcome;
}

enum deploy_outcome bed_deploy_bytes(
	const char *tenant, struct bytes file, char message[static 512])
{
	struct deploy_request request = {
		.act = DEPLOY_UPLOAD, .tenant = bytes_of(tenant), .file = file
	};
	enum deploy_outcome outcome = submit(&request);
	memcpy(message, request.message, sizeof request.message);
	return outcome;
}

enum deploy_outcome bed_deploy(const char *tenant, const char *file, char message[static 512])
{
	int fd = open(binary("POOL_PLUGINS", file), O_RDONLY);
	struct stat st;
	CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	char *bytes = malloc((size_t)st.st_size);
	CU_ASSERT_EQUAL_FATAL(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	enum deploy_outcome outcome =
		bed_deploy_bytes(tenant, (struct bytes){ bytes, (size_t)st.st_size }, message);
	free(bytes);
	return outcome;
}

enum deploy_outcome bed_act(enum deploy_act act, const char *tenant, const char *plugin)
{
	struct deploy_request request = {
		.act = act, .tenant = bytes_of(tenant), .plugin = bytes_of(plugin)
	};
	return submit(&request);
}

bool bed_status(const char *tenant, const char *plugin, struct deploy_status *ret)
{
	struct deploy_status *list;
	size_t n;
	bool is_found = false;
	CU_ASSERT_EQUAL_FATAL(deploy_list(bed.deploy, bytes_of(tenant), &list, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].plugin, plugin) == 0) {
			*ret = list[i];
			is_found = true;
		}
	free(list);
	return is_found;
}

/* ---- records ---- */
struct one_write {
	struct loop_message message; /* first */
	unsigned loop;
	const char *tenant, *collection;
	void (*start)(struct record_call *call);
	char body[512];
	struct tenant_use use;
	struct record_call call;
	int status;
	char answer[256];
	sem_t *done;
};

static void on_write_done(struct record_call *call)
{
	struct one_write *write = call->context;
	write->status = call->status;
	bytes_to_string(bytes_buf_view(&call->answer), write->answer, sizeof write->answer);
	record_call_fini(call);
	arena_free(call->arena);
	tenant_use_end(&write->use);
	sem_post(write->done);
}

static void on_write_tenant(struct tenant_use *use, bool is_open)
{
	struct one_write *write =
		(struct one_write *)(void *)((char *)use - offsetof(struct one_write, use));
	CU_ASSERT_FATAL(is_open);
	struct tenant *tenant = tenant_find(bed.tenants, bytes_of(write->tenant));
	write->call = (struct record_call){ .book = tenant_hung(tenant),
		.loop = bed.loops[write->loop],
		.viewer = { .is_superuser = true },
		.collection = bytes_of(write->collection),
		.body = bytes_of(write->body),
		.method = BYTES("POST"),
		.done = on_write_done,
		.context = write };
	CU_ASSERT_EQUAL_FATAL(arena_new(4u << 20, &write->call.arena, NULL), 0);
	write->start(&write->call);
}

static void start_write(struct loop_message *message)
{
	struct one_write *write = (struct one_write *)message;
	write->use = (struct tenant_use){ .done = on_write_tenant, .loop = bed.loops[write->loop] };
	tenant_use_begin(tenant_find(bed.tenants, bytes_of(write->tenant)), &write->use);
}

static void post_write(struct one_write *write, sem_t *done)
{
	write->message.deliver = start_write;
	write->done = done;
	loop_post(bed.loops[write->loop], &write->message);
}

static int create(const char *tenant, const char *collection, const char *body)
{
	struct one_write write = { .tenant = tenant,
		.collection = collection,
		.start = collection ? record_create : record_collection_create };
	sem_t done;
	sem_init(&done, 0, 0);
	snprintf(write.body, sizeof write.body, "%s", body);
	post_write(&write, &done);
	sem_wait(&done);
	sem_destroy(&done);
	if (write.status != 200)
		printf(" [%s: %d %s]", body, write.status, write.answer);
	return write.status;
}

void bed_make_shop(const char *tenant)
{
	static const char *const COLLECTIONS[] = {
		"{\"name\":\"products\",\"type\":\"base\",\"fields\":[{\"name\":\"stock\","
		"\"type\":\"number\"}]}",
		"{\"name\":\"customers\",\"type\":\"base\",\"fields\":[{\"name\":\"name\","
		"\"type\":\"text\"}]}",
		"{\"name\":\"orders\",\"type\":\"base\",\"fields\":[{\"name\":\"customer\","
		"\"type\":\"text\"}]}",
		"{\"name\":\"order_lines\",\"type\":\"base\",\"fields\":[{\"name\":\"order\","
		"\"type\":\"text\"},{\"name\":\"product\",\"type\":\"text\"},{\"name\":"
		"\"quantity\",\"type\":\"number\"},{\"name\":\"unit_price\",\"type\":"
		"\"number\"}]}",
	};
	for (unsigned i = 0; i < sizeof COLLECTIONS / sizeof COLLECTIONS[0]; i++)
		CU_ASSERT_EQUAL(create(tenant, NULL, COLLECTIONS[i]), 200);
	CU_ASSERT_EQUAL(
		create(tenant, "products", "{\"id\":\"chai00000000000\",\"stock\":10}"), 200);
	CU_ASSERT_EQUAL(
		create(tenant, "products", "{\"id\":\"chang0000000000\",\"stock\":40}"), 200);
}

static void fill_line(struct one_write *write, unsigned loop, const char *tenant,
	const char *product, int quantity)
{
	*write = (struct one_write){
		.loop = loop, .tenant = tenant, .collection = "order_lines", .start = record_create
	};
	snprintf(write->body, sizeof write->body,
		"{\"order\":\"o1\",\"product\":\"%s\",\"quantity\":%d,\"unit_price\":1}", product,
		quantity);
}

unsigned bed_write_line(
	const char *tenant, const char *product, int quantity, char message[static 256])
{
	struct one_write write;
	sem_t done;
	sem_init(&done, 0, 0);
	fill_line(&write, 0, tenant, product, quantity);
	post_write(&write, &done);
	sem_wait(&done);
	sem_destroy(&done);
	memcpy(message, write.answer, sizeof write.answer);
	return (unsigned)write.status;
}

unsigned bed_write_lines(const char *tenant, const char *product, int quantity, unsigned n)
{
	struct one_write *writes = calloc(n, sizeof *writes);
	unsigned n_written = 0;
	sem_t done;
	sem_init(&done, 0, 0);
	for (unsigned i = 0; i < n; i++) {
		fill_line(&writes[i], i % LOOPS, tenant, product, quantity);
		post_write(&writes[i], &done);
	}
	for (unsigned i = 0; i < n; i++)
		sem_wait(&done);
	for (unsigned i = 0; i < n; i++)
		n_written += writes[i].status == 200;
	sem_destroy(&done);
	free(writes);
	return n_written;
}

/* ---- looking ---- */
struct stock_job {
	struct store_job job; /* first */
	const char *product;
	int64_t stock;
	sem_t done;
};

static enum store_outcome read_stock(struct store_job *job, struct store_conn *conn)
{
	struct stock_job *stock = (struct stock_job *)job;
	struct store_stmt *stmt;
	bool has_row = false;
	enum store_outcome outcome =
		store_prepare(conn, BYTES("SELECT stock FROM products WHERE id = ?1"), &stmt);
	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(stock->product));
	outcome = store_step(stmt, &has_row);
	stock->stock = has_row ? store_column_int64(stmt, 0) : -1;
	return outcome;
}

static void stock_read(struct store_job *job)
{
	sem_post(&((struct stock_job *)job)->done);
}

int64_t bed_stock(const char *tenant, const char *product)
{
	struct stock_job stock = { .job = { .run = read_stock, .done = stock_read },
		.product = product };
	sem_init(&stock.done, 0, 0);
	store_read(tenant_store(tenant_find(bed.tenants, bytes_of(tenant))), &stock.job);
	sem_wait(&stock.done);
	sem_destroy(&stock.done);
	return stock.stock;
}

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Processes whose name is tenon-worker and whose ancestor is this process. */
static unsigned count_workers(void)
{
	char command[200], text[32] = "";
	snprintf(command, sizeof command,
		"for s in $(pgrep -P %d -x tenon-spawn); do pgrep -P $s -x tenon-worker; done | wc "
		"-l",
		(int)getpid());
	FILE *pipe = popen(command, "r");
	if (pipe && fgets(text, sizeof text, pipe))
		text[sizeof text - 1] = 0;
	if (pipe)
		pclose(pipe);
	return (unsigned)strtoul(text, NULL, 10);
}

int bed_newest_worker(void)
{
	char command[200], text[32] = "";
	snprintf(command, sizeof command,
		"for s in $(pgrep -P %d -x tenon-spawn); do pgrep -n -P $s -x tenon-worker; done",
		(int)getpid());
	FILE *pipe = popen(command, "r");
	if (pipe && fgets(text, sizeof text, pipe))
		text[sizeof text - 1] = 0;
	if (pipe)
		pclose(pipe);
	return (int)strtol(text, NULL, 10);
}

/* ---- the databases behind everybody's back ---- */
struct script {
	struct store_job job;
	const char *sql;
	sem_t done;
};

static enum store_outcome run_script(struct store_job *job, struct store_conn *conn)
{
	return store_run_script(conn, bytes_of(((struct script *)job)->sql));
}

static void on_script_done(struct store_job *job)
{
	sem_post(&((struct script *)job)->done);
}

static void run_in(struct store *store, const char *sql)
{
	struct script script = {
		.job = { .run = run_script, .done = on_script_done, .alone = true }, .sql = sql
	};
	sem_init(&script.done, 0, 0);
	store_write(store, &script.job);
	sem_wait(&script.done);
	sem_destroy(&script.done);
	CU_ASSERT_EQUAL(script.job.outcome, STORE_OK);
	if (script.job.outcome != STORE_OK)
		printf(" [%s: %s]", sql, script.job.err.message);
}

void bed_control_script(const char *sql)
{
	run_in(bed.control, sql);
}

void bed_tenant_script(const char *tenant, const char *sql)
{
	run_in(tenant_store(tenant_find(bed.tenants, bytes_of(tenant))), sql);
}

static struct hold {
	struct store_job job; /* first */
	sem_t is_held, may_go, has_gone;
} holds[2], *hold = holds;

static enum store_outcome run_hold(struct store_job *job, struct store_conn *conn)
{
	struct hold *at_hold = (struct hold *)job;
	(void)conn;
	sem_post(&at_hold->is_held);
	sem_wait(&at_hold->may_go);
	return STORE_OK;
}

static void on_hold_done(struct store_job *job)
{
	sem_post(&((struct hold *)job)->has_gone);
}

static void submit_hold(void)
{
	*hold = (struct hold){ .job = { .run = run_hold, .done = on_hold_done, .alone = true } };
	sem_init(&hold->is_held, 0, 0);
	sem_init(&hold->may_go, 0, 0);
	sem_init(&hold->has_gone, 0, 0);
	store_write(bed.control, &hold->job);
}

static void release(struct hold *at_hold)
{
	sem_post(&at_hold->may_go);
	sem_wait(&at_hold->has_gone);
	sem_destroy(&at_hold->is_held);
	sem_destroy(&at_hold->may_go);
	sem_destroy(&at_hold->has_gone);
}

void bed_hold_control(void)
{
	submit_hold();
	sem_wait(&hold->is_held);
}

void bed_release_control(void)
{
	release(hold);
}

void bed_pass_one_to_control(void)
{
	struct hold *before = hold;
	struct store_stats stats;
	do {
		usleep(1000);
		store_stats(bed.control, &stats);
	} while (stats.write_queue < 2);
	hold = before == &holds[0] ? &holds[1] : &holds[0];
	submit_hold();
	release(before);
	sem_wait(&hold->is_held);
}

struct bed_measure bed_measure(void)
{
	struct bed_measure measure = { .n_fds = count_entries("/proc/self/fd") };
	FILE *statm = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;
	if (statm && fscanf(statm, "%*u %lu", &pages) == 1)
		measure.rss_bytes = pages * 4096ull;
	if (statm)
		fclose(statm);
	measure.n_workers = count_workers();
	return measure;
}
