#include "migrate.h"
#include "plugin.h"
#include "unit.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- manifests ---- */
#define HEAD                                                                                       \
	"{\"id\":\"p\",\"version\":\"1.0.0\",\"abi\":{\"major\":1,\"minor\":0},"                   \
	"\"interfaces\":[{\"id\":\"x.tenon.call/0\",\"rev\":1}]"

static struct plugin_version *parse(const char *json, struct err *err)
{
	static const char HASH[PLUGIN_SHA256_HEX + 1] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct plugin_version *version = NULL;
	*err = (struct err){ 0 };
	if (plugin_version_new(bytes_of(json), HASH, 1234, &version, err) < 0)
		CU_ASSERT_EQUAL(err->code, ERR_INVALID);
	return version;
}

static void a_whole_manifest_becomes_tables(void)
{
	struct err err;
	struct plugin_version *version = parse(HEAD
		",\"concurrency\":\"cooperative\",\"routes\":[{\"id\":7,\"method\":\"POST\","
		"\"path\":\"/a/{b}\",\"access\":\"user\",\"bodyLimit\":10,\"timeoutMs\":20}],"
		"\"hooks\":[{\"id\":1,\"collection\":\"lines\",\"when\":\"before\","
		"\"action\":\"delete\",\"onFailure\":\"open\"}],"
		"\"statements\":[{\"name\":\"s\",\"kind\":\"exec\",\"sql\":\"DELETE FROM t\","
		"\"params\":[\"x\",\"y\"],\"maxRows\":3}],"
		"\"upstreams\":[{\"name\":\"u\",\"scheme\":\"http\",\"host\":\"h.example\","
		"\"methods\":[\"GET\",\"PUT\"],\"paths\":[\"/v1/*\"]}],"
		"\"grants\":{\"collections\":{\"t\":[\"read\",\"delete\"]}},"
		"\"limits\":{\"memoryMiB\":32}}",
		&err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(version);
	const struct plugin_manifest *manifest = &version->manifest;
	CU_ASSERT_EQUAL(manifest->concurrency, PLUGIN_COOPERATIVE);
	CU_ASSERT_EQUAL(manifest->memory_mib, 32);
	CU_ASSERT_EQUAL_FATAL(manifest->n_routes, 1);
	CU_ASSERT_EQUAL(manifest->routes[0].id, 7);
	CU_ASSERT_EQUAL(manifest->routes[0].method, PLUGIN_POST);
	CU_ASSERT_EQUAL(manifest->routes[0].access, PLUGIN_ACCESS_USER);
	CU_ASSERT_EQUAL(manifest->routes[0].body_limit, 10);
	CU_ASSERT_EQUAL(manifest->routes[0].timeout_ms, 20);
	CU_ASSERT_EQUAL(manifest->routes[0].n_segments, 2);
	CU_ASSERT_EQUAL_FATAL(manifest->n_hooks, 1);
	CU_ASSERT(manifest->hooks[0].fail_open);
	CU_ASSERT_EQUAL(manifest->hooks[0].action, PLUGIN_REMOVE);
	CU_ASSERT_EQUAL(manifest->hooks[0].timeout_ms, 2000);
	CU_ASSERT_EQUAL_FATAL(manifest->n_statements, 1);
	CU_ASSERT_EQUAL(manifest->statements[0].n_params, 2);
	CU_ASSERT_EQUAL(manifest->statements[0].max_rows, 3);
	CU_ASSERT_EQUAL_FATAL(manifest->n_upstreams, 1);
	CU_ASSERT_EQUAL(manifest->upstreams[0].port, 80);
	CU_ASSERT_EQUAL_FATAL(manifest->n_grants, 1);
	CU_ASSERT_EQUAL(manifest->grants[0].actions, PLUGIN_GRANT_READ | PLUGIN_GRANT_DELETE);

	struct plugin_granted granted;
	plugin_grant_none(&granted);
	CU_ASSERT(!plugin_has_statement(&granted, 0) && !plugin_has_upstream(&granted, 0));
	plugin_grant_all(manifest, &granted);
	CU_ASSERT(plugin_has_statement(&granted, 0) && plugin_has_upstream(&granted, 0));
	CU_ASSERT_EQUAL(granted.actions[0], manifest->grants[0].actions);
	plugin_version_unref(version);
}

static void a_refusal_names_the_place_and_the_fix(void)
{
	static const struct {
		const char *json, *says;
	} ROWS[] = {
		{ "", "not JSON" },
		{ "[]", "must be an object" },
		{ "{\"id\":\"p\"}", "/version: is missing" },
		{ HEAD ",\"rutes\":[]}", "/rutes: this server knows no such member" },
		{ HEAD ",\"routes\":{}}", "/routes: must be an array" },
		{ HEAD ",\"routes\":[3]}", "/routes/0: must be an object" },
		{ HEAD ",\"routes\":[{\"id\":1,\"method\":\"GET\",\"path\":\"/\",\"access\":"
		       "\"public\",\"timeoutMs\":90000}]}",
			"/routes/0/timeoutMs: 90000 is out of bounds: use 1 to 30000" },
		{ HEAD ",\"routes\":[{\"id\":1,\"method\":\"GET\",\"path\":\"/\"}]}",
			"/routes/0/access: is missing" },
		{ HEAD ",\"routes\":[{\"id\":1,\"method\":\"get\",\"path\":\"/\",\"access\":"
		       "\"public\"}]}",
			"/routes/0/method: is not one of \"GET\"" },
		{ HEAD ",\"routes\":[{\"id\":1,\"method\":\"GET\",\"path\":\"/a/../b\",\"access\":"
		       "\"public\"}]}",
			"dotted segment" },
		{ HEAD ",\"routes\":[{\"id\":1,\"method\":\"GET\",\"path\":\"/a\",\"access\":"
		       "\"public\"},{\"id\":1,\"method\":\"GET\",\"path\":\"/b\",\"access\":"
		       "\"public\"}]}",
			"/routes: two routes have the id 1" },
		{ HEAD ",\"routes\":[{\"id\":1,\"method\":\"GET\",\"path\":\"/{a}\",\"access\":"
		       "\"public\"},{\"id\":2,\"method\":\"GET\",\"path\":\"/{b}\",\"access\":"
		       "\"public\"}]}",
			"/routes: routes 1 and 2 take the same requests" },
		{ HEAD ",\"statements\":[{\"name\":\"a\\u0000b\",\"kind\":\"query\",\"sql\":\"x\"}]"
		       "}",
			"/statements/0/name: must not contain" },
		{ HEAD ",\"upstreams\":[{\"name\":\"u\",\"scheme\":\"ftp\",\"host\":\"h\","
		       "\"methods\":[],\"paths\":[]}]}",
			"/upstreams/0/scheme: is not one of" },
		{ HEAD ",\"grants\":{\"collections\":{\"t\":[\"drop\"]}}}",
			"/grants/collections/t: is not one of" },
		{ "{\"id\":\"Big\",\"version\":\"1\",\"abi\":{\"major\":1,\"minor\":0},"
		  "\"interfaces\":[]}",
			"/id:" },
		{ "{\"id\":\"p\",\"version\":\"1\",\"abi\":{\"major\":2,\"minor\":0},"
		  "\"interfaces\":[]}",
			"/abi: was built for ABI 2.0" },
		{ "{\"id\":\"p\",\"version\":\"1\",\"abi\":{\"major\":1,\"minor\":0},"
		  "\"interfaces\":[{\"id\":\"tenon.time/1\",\"rev\":1}]}",
			"this server has no interface \"tenon.time/1\"" },
		{ "{\"id\":\"p\",\"version\":\"1\",\"abi\":{\"major\":1,\"minor\":0},"
		  "\"interfaces\":[{\"id\":\"x.tenon.db/0\",\"rev\":3}]}",
			"needs x.tenon.db/0 revision 3, this server has 1" },
	};
	for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
		struct err err;
		struct plugin_version *version = parse(ROWS[i].json, &err);
		bool is_said = !version && strstr(err.message, ROWS[i].says);
		if (!is_said)
			printf(" [row %zu: %s]", i, err.message);
		CU_ASSERT(is_said);
		plugin_version_unref(version);
	}
}

static void more_entries_than_allowed_are_refused(void)
{
	static char json[40000];
	struct err err;
	size_t n = (size_t)snprintf(json, sizeof json, HEAD ",\"upstreams\":[");
	for (unsigned i = 0; i <= PLUGIN_UPSTREAMS_MAX; i++)
		n += (size_t)snprintf(json + n, sizeof json - n,
			"%s{\"name\":\"u%u\",\"scheme\":\"https\",\"host\":\"h\",\"methods\":"
			"[\"GET\"],\"paths\":[\"/\"]}",
			i ? "," : "", i);
	snprintf(json + n, sizeof json - n, "]}");
	CU_ASSERT_PTR_NULL(parse(json, &err));
	CU_ASSERT_STRING_EQUAL(err.message, "/upstreams: has 17 elements: at most 16");
}

/* ---- routes ---- */
static void literal_segments_win_and_methods_are_told_apart(void)
{
	struct err err;
	struct plugin_version *version = parse(HEAD
		",\"routes\":["
		"{\"id\":1,\"method\":\"GET\",\"path\":\"/\",\"access\":\"public\"},"
		"{\"id\":2,\"method\":\"GET\",\"path\":\"/a/{x}\",\"access\":\"public\"},"
		"{\"id\":3,\"method\":\"GET\",\"path\":\"/a/b\",\"access\":\"public\"},"
		"{\"id\":4,\"method\":\"POST\",\"path\":\"/a/b\",\"access\":\"public\"},"
		"{\"id\":5,\"method\":\"GET\",\"path\":\"/{x}/b\",\"access\":\"public\"}]}",
		&err);
	static const struct {
		const char *method, *path;
		enum plugin_match match;
		unsigned id;
	} ROWS[] = {
		{ "GET", "", PLUGIN_MATCH, 1 },
		{ "GET", "/", PLUGIN_MATCH, 1 },
		{ "HEAD", "/", PLUGIN_MATCH, 1 },
		{ "GET", "/a/b", PLUGIN_MATCH, 3 },
		{ "GET", "/a/c", PLUGIN_MATCH, 2 },
		{ "GET", "/c/b", PLUGIN_MATCH, 5 },
		{ "POST", "/a/b", PLUGIN_MATCH, 4 },
		{ "PUT", "/a/b", PLUGIN_NO_METHOD, 0 },
		{ "get", "/a/b", PLUGIN_NO_METHOD, 0 },
		{ "GET", "/a/b/", PLUGIN_NO_PATH, 0 },
		{ "GET", "/a//b", PLUGIN_NO_PATH, 0 },
		{ "GET", "a/b", PLUGIN_NO_PATH, 0 },
		{ "GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18", PLUGIN_NO_PATH, 0 },
	};
	CU_ASSERT_PTR_NOT_NULL_FATAL(version);
	for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
		unsigned index = 99;
		enum plugin_match match = plugin_match_route(&version->manifest,
			bytes_of(ROWS[i].method), bytes_of(ROWS[i].path), &index);
		CU_ASSERT_EQUAL(match, ROWS[i].match);
		if (match == PLUGIN_MATCH)
			CU_ASSERT_EQUAL(version->manifest.routes[index].id, ROWS[i].id);
	}
	plugin_version_unref(version);
}

static void an_upstream_takes_declared_methods_and_paths_alone(void)
{
	static const struct bytes PATHS[] = { { "/v1/latest", sizeof("/v1/latest") - 1 },
		{ "/v2/*", sizeof("/v2/*") - 1 } };
	struct plugin_upstream upstream = {
		.methods = 1u << PLUGIN_GET, .paths = PATHS, .n_paths = 2
	};
	CU_ASSERT(plugin_upstream_allows(&upstream, BYTES("GET"), BYTES("/v1/latest")));
	CU_ASSERT(plugin_upstream_allows(&upstream, BYTES("GET"), BYTES("/v2/any/thing")));
	CU_ASSERT(!plugin_upstream_allows(&upstream, BYTES("GET"), BYTES("/v1/latest2")));
	CU_ASSERT(!plugin_upstream_allows(&upstream, BYTES("GET"), BYTES("/v1")));
	CU_ASSERT(!plugin_upstream_allows(&upstream, BYTES("POST"), BYTES("/v1/latest")));
	CU_ASSERT(!plugin_upstream_allows(&upstream, BYTES(""), BYTES("/v1/latest")));
}

static void ids_follow_the_rule(void)
{
	CU_ASSERT(plugin_id_is_valid(BYTES("order-rules")));
	CU_ASSERT(!plugin_id_is_valid(BYTES("")));
	CU_ASSERT(!plugin_id_is_valid(BYTES("-a")));
	CU_ASSERT(!plugin_id_is_valid(BYTES("a/b")));
	CU_ASSERT(!plugin_id_is_valid(BYTES("a123456789012345678901234567890123456789012345678")));
}

/* ---- the catalogue ---- */
static char folder[] = "/tmp/tenon-plugin-XXXXXX";

struct catalogue_job {
	struct store_job job; /* first */
	void (*check)(struct store_conn *conn);
	sem_t done;
};

static enum store_outcome run_check(struct store_job *job, struct store_conn *conn)
{
	((struct catalogue_job *)job)->check(conn);
	return STORE_OK;
}

static void check_done(struct store_job *job)
{
	sem_post(&((struct catalogue_job *)job)->done);
}

static void count_deployments(void *context, const struct plugin_deployment *deployment)
{
	CU_ASSERT_STRING_EQUAL(deployment->tenant, "shop");
	CU_ASSERT_EQUAL(deployment->wanted, PLUGIN_WANTED_DISABLED);
	++*(unsigned *)context;
}

static void check_catalogue(struct store_conn *conn)
{
	struct err err;
	struct plugin_version *version = parse(HEAD "}", &err);
	struct plugin_deployment row = { .tenant = "shop", .plugin = "p", .grant_all = true }, read;
	struct arena *arena = NULL;
	struct bytes manifest;
	uint64_t size;
	bool is_found = true;
	CU_ASSERT_PTR_NOT_NULL_FATAL(version);
	CU_ASSERT_EQUAL(arena_new(1u << 20, &arena, NULL), 0);
	CU_ASSERT_EQUAL(
		plugin_catalogue_get_deployment(conn, "shop", "p", &read, &is_found), STORE_OK);
	CU_ASSERT(!is_found);
	strcpy(row.sha256, version->sha256);
	/* A deployment of a version that the catalogue does not have cannot be written. */
	CU_ASSERT_EQUAL(plugin_catalogue_put_deployment(conn, &row), STORE_CONFLICT);
	CU_ASSERT_EQUAL(plugin_catalogue_put_version(conn, version), STORE_OK);
	CU_ASSERT_EQUAL(plugin_catalogue_put_version(conn, version), STORE_OK);
	CU_ASSERT_EQUAL(plugin_catalogue_put_deployment(conn, &row), STORE_OK);
	row.wanted = PLUGIN_WANTED_DISABLED;
	CU_ASSERT_EQUAL(plugin_catalogue_put_deployment(conn, &row), STORE_OK);
	CU_ASSERT_EQUAL(
		plugin_catalogue_get_deployment(conn, "shop", "p", &read, &is_found), STORE_OK);
	CU_ASSERT(is_found && read.generation == 2 && read.grant_all);
	CU_ASSERT_STRING_EQUAL(read.previous_sha256, "");
	unsigned n = 0;
	CU_ASSERT_EQUAL(plugin_catalogue_each_deployment(conn, count_deployments, &n), STORE_OK);
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_EQUAL(
		plugin_catalogue_get_version(conn, version->sha256, arena, &manifest, &size),
		STORE_OK);
	CU_ASSERT(bytes_eq(manifest, version->manifest.json) && size == 1234);
	for (unsigned i = 0; i < 250; i++)
		CU_ASSERT_EQUAL(
			plugin_catalogue_put_step(conn, "shop", "p", version->sha256, "active", ""),
			STORE_OK);
	struct store_stmt *stmt;
	CU_ASSERT_EQUAL(
		store_prepare(conn, BYTES("SELECT count(*) FROM plugin_steps"), &stmt), STORE_OK);
	CU_ASSERT_EQUAL(store_step(stmt, &is_found), STORE_OK);
	CU_ASSERT_EQUAL(store_column_int64(stmt, 0), 200);
	arena_free(arena);
	plugin_version_unref(version);
}

static void the_catalogue_keeps_versions_and_what_is_wanted(void)
{
	struct executor_config lanes = { .n_threads = { 1, 0, 0, 1 },
		.queue_limit = { 8, 0, 0, 8 } };
	struct executor *executor = NULL;
	struct store *control = NULL;
	char path[64];
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/control.db", folder);
	struct store_config config = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 8,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_control() };
	CU_ASSERT_EQUAL_FATAL(executor_new(&lanes, &executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(store_open(&config, executor, &control, NULL), 0);
	struct catalogue_job job = { .job = { .run = run_check, .done = check_done },
		.check = check_catalogue };
	sem_init(&job.done, 0, 0);
	store_write(control, &job.job);
	sem_wait(&job.done);
	CU_ASSERT_EQUAL(job.job.outcome, STORE_OK);
	store_close(control);
	executor_free(executor);
}

static void an_artifact_is_kept_whole(void)
{
	static const char NAME[PLUGIN_SHA256_HEX + 1] =
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
	char path[96], command[96], read_back[16];
	int fd = -1;
	snprintf(path, sizeof path, "%s/plugins", folder);
	CU_ASSERT_EQUAL(plugin_artifact_open(path, NAME, &fd, NULL), -1);
	CU_ASSERT_EQUAL(plugin_artifact_put(path, NAME, BYTES("damaged"), NULL), 0);
	CU_ASSERT_EQUAL(plugin_artifact_put(path, NAME, BYTES("bytes"), NULL), 0);
	CU_ASSERT_EQUAL_FATAL(plugin_artifact_open(path, NAME, &fd, NULL), 0);
	CU_ASSERT_EQUAL(read(fd, read_back, sizeof read_back), 5);
	CU_ASSERT_EQUAL(memcmp(read_back, "bytes", 5), 0);
	close(fd);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static const struct unit_test tests[] = {
	UNIT(a_whole_manifest_becomes_tables),
	UNIT(a_refusal_names_the_place_and_the_fix),
	UNIT(more_entries_than_allowed_are_refused),
	UNIT(literal_segments_win_and_methods_are_told_apart),
	UNIT(an_upstream_takes_declared_methods_and_paths_alone),
	UNIT(ids_follow_the_rule),
	UNIT(the_catalogue_keeps_versions_and_what_is_wanted),
	UNIT(an_artifact_is_kept_whole),
};

UNIT_MAIN("plugin", tests)
