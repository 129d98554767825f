/*
 * The demo tenant. Everything is done through the HTTP API with a client of our own: what works
 * here works for anybody with curl. A second start finds the tenant and only deploys the plugins
 * anew.
 */
#include "demo.h"

#include "client.h"
#include "demo_data.h"
#include "inspect.h"

#include "clock.h"
#include "id.h"
#include "text_json_reader.h"
#include "text_json_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX  (16u << 20)
#define FILE_MAX    (64u << 20)
#define TIMEOUT_MS  30000
#define TENANT      "/t/shop"
#define ADMIN_EMAIL "demo-admin@shop.example"
#define USER_EMAIL  "demo@shop.example"

struct demo {
	const char *url;
	struct client operator; /* with the data folder's token */
	struct egress_client *admin, *user;
	char admin_token[2048], user_token[2048];
	char password[33]; /* new at each start; nobody needs to remember it */
	struct bytes_buf answer;
};

static int fail(const char *what, struct bytes answer)
{
	fprintf(stderr, "tenon: demo: %s: %.*s\n", what, (int)(answer.n > 500 ? 500 : answer.n),
		answer.p);
	return -1;
}

/* One request; the answer's body is in demo->answer. Returns the status, or 0 when nobody answered.
 */
static unsigned ask(struct demo *demo, struct egress_client *client, const char *method,
	const char *path, const char *type, struct bytes body)
{
	struct err err = { 0 };
	unsigned status = 0;

	bytes_buf_clear(&demo->answer);
	if (egress_client_send(client, method, path, type, body, TIMEOUT_MS, &status, &demo->answer,
		    &err) < 0) {
		fprintf(stderr, "tenon: demo: %s\n", err.message);
		return 0;
	}
	return status;
}

static void credentials(
	struct bytes_buf *out, const char *name, const char *email, const char *password)
{
	struct text_json_writer json;

	bytes_buf_init(out, 2048);
	text_json_writer_init(&json, out);
	text_json_begin_object(&json);
	text_json_write_key(&json, bytes_of(name));
	text_json_write_string(&json, bytes_of(email));
	text_json_write_key(&json, BYTES("password"));
	text_json_write_string(&json, bytes_of(password));
	text_json_write_key(&json, BYTES("passwordConfirm"));
	text_json_write_string(&json, bytes_of(password));
	text_json_end_object(&json);
}

/* Signs in and makes a client that carries the token. */
static int sign_in(struct demo *demo, const char *collection, const char *email,
	char token[static 2048], struct egress_client **ret)
{
	DEFER(bytes_buf_fini) struct bytes_buf body;
	char path[128];
	struct bytes value;
	struct err err = { 0 };

	credentials(&body, "identity", email, demo->password);
	(void)snprintf(
		path, sizeof path, TENANT "/api/collections/%s/auth-with-password", collection);
	if (ask(demo, demo->operator.http, "POST", path, "application/json",
		    bytes_buf_view(&body)) != 200 ||
		text_json_find(bytes_buf_view(&demo->answer), BYTES("/token"), &value) !=
			TEXT_JSON_FOUND)
		return fail("signing in", bytes_buf_view(&demo->answer));
	if (!bytes_to_string((struct bytes){ value.p + 1, value.n - 2 }, token, 2048))
		return fail("the token is too long", value);
	const struct egress_client_header header = { "Authorization", token };
	if (egress_client_new(demo->url, &header, 1, ret, &err) < 0) {
		fprintf(stderr, "tenon: demo: %s\n", err.message);
		return -1;
	}
	return 0;
}

/* The tenant, and its superuser. */
static int make_tenant(struct demo *demo)
{
	DEFER(bytes_buf_fini) struct bytes_buf body;
	unsigned status = ask(demo, demo->operator.http, "POST", "/platform/tenants",
		"application/json", BYTES("{\"name\":\"shop\"}"));

	if (status != 200 && status != 409)
		return fail("making the tenant", bytes_buf_view(&demo->answer));
	credentials(&body, "email", ADMIN_EMAIL, demo->password);
	status = ask(demo, demo->operator.http, "PUT", "/platform/tenants/shop/superusers",
		"application/json", bytes_buf_view(&body));
	if (status != 204)
		return fail("making the superuser", bytes_buf_view(&demo->answer));
	return sign_in(demo, "_superusers", ADMIN_EMAIL, demo->admin_token, &demo->admin);
}

/* A user of the app, with this start's password. */
static int make_user(struct demo *demo)
{
	DEFER(bytes_buf_fini) struct bytes_buf body;
	char path[160], id[32];
	struct bytes value;

	credentials(&body, "email", USER_EMAIL, demo->password);
	if (ask(demo, demo->admin, "GET",
		    TENANT "/api/collections/users/"
			   "records?perPage=1&filter=email%3D%22demo%40shop.example%22",
		    NULL, (struct bytes){ 0 }) != 200)
		return fail("looking for the user", bytes_buf_view(&demo->answer));
	bool is_there = text_json_find(bytes_buf_view(&demo->answer), BYTES("/items/0/id"),
				&value) == TEXT_JSON_FOUND &&
			bytes_to_string((struct bytes){ value.p + 1, value.n - 2 }, id, sizeof id);
	(void)snprintf(path, sizeof path, TENANT "/api/collections/users/records%s%s",
		is_there ? "/" : "", is_there ? id : "");
	if (ask(demo, demo->admin, is_there ? "PATCH" : "POST", path, "application/json",
		    bytes_buf_view(&body)) != 200)
		return fail("making the user", bytes_buf_view(&demo->answer));
	return sign_in(demo, "users", USER_EMAIL, demo->user_token, &demo->user);
}

/* Sends each item of a JSON array to a path. */
static int post_each(struct demo *demo, struct bytes array, const char *path)
{
	struct text_json_reader reader;
	struct text_json_token token;

	text_json_reader_init(&reader, array);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return fail("the demo's own data is broken", array);
	while (text_json_next(&reader, &token) == TEXT_JSON_OBJECT) {
		struct bytes item = text_json_skip(&reader, &token);
		if (ask(demo, demo->admin, "POST", path, "application/json", item) != 200)
			return fail(path, bytes_buf_view(&demo->answer));
	}
	return 0;
}

static const char *const collections[] = { "customers", "products", "orders", "order_lines" };
#define N_COLLECTIONS (sizeof collections / sizeof collections[0])

/* Collections and records, unless they are there. Before the plugins, so that the stock stays as it
 * is written. */
static int make_data(struct demo *demo)
{
	struct bytes part;
	char path[128], pointer[64];
	struct bytes data = { (const char *)demo_data, demo_data_bytes };

	if (ask(demo, demo->admin, "GET", TENANT "/api/collections/order_lines", NULL,
		    (struct bytes){ 0 }) == 200)
		return 0;
	if (text_json_find(data, BYTES("/collections"), &part) != TEXT_JSON_FOUND ||
		post_each(demo, part, TENANT "/api/collections") < 0)
		return -1;
	for (size_t i = 0; i < N_COLLECTIONS; i++) {
		(void)snprintf(pointer, sizeof pointer, "/records/%s", collections[i]);
		(void)snprintf(
			path, sizeof path, TENANT "/api/collections/%s/records", collections[i]);
		if (text_json_find(data, bytes_of(pointer), &part) != TEXT_JSON_FOUND ||
			post_each(demo, part, path) < 0)
			return -1;
	}
	return 0;
}

/* The build of a plugin that was made last: a changed version is another file beside the old one.
 * The path is copied to ret; -1 says that there is none. */
static int find_newest(const char *name, char ret[static PATH_MAX])
{
	char pattern[PATH_MAX], relative[128];
	struct timespec newest = { 0, 0 };
	struct stat st;
	glob_t found;

	(void)snprintf(relative, sizeof relative, "../plugins/%s-[0-9]*.so", name);
	if (sibling_path(relative, pattern, sizeof pattern) < 0)
		return -1;
	ret[0] = '\0';
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			if (stat(found.gl_pathv[i], &st) < 0 ||
				strlen(found.gl_pathv[i]) >= PATH_MAX ||
				st.st_mtim.tv_sec < newest.tv_sec ||
				(st.st_mtim.tv_sec == newest.tv_sec &&
					st.st_mtim.tv_nsec < newest.tv_nsec))
				continue;
			newest = st.st_mtim;
			memcpy(ret, found.gl_pathv[i], strlen(found.gl_pathv[i]) + 1);
		}
		globfree(&found);
	}
	if (ret[0])
		return 0;
	fprintf(stderr, "tenon: demo: no plugin is at %s\n", pattern);
	return -1;
}

static int deploy(struct demo *demo, const char *name)
{
	DEFER(bytes_buf_fini) struct bytes_buf file;
	char path[PATH_MAX];
	ssize_t got = -1;
	char *to = NULL;

	bytes_buf_init(&file, FILE_MAX);
	if (find_newest(name, path) < 0)
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (to = bytes_buf_reserve(&file, 65536)) && (got = read(fd, to, 65536)) > 0)
		file.n += (size_t)got;
	if (fd >= 0)
		(void)close(fd);
	if (fd < 0 || got < 0) {
		fprintf(stderr, "tenon: demo: cannot read %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (ask(demo, demo->operator.http, "POST", "/platform/tenants/shop/plugins?grantAll=1",
		    "application/octet-stream", bytes_buf_view(&file)) != 200)
		return fail(name, bytes_buf_view(&demo->answer));
	return 0;
}

/* ---- the table ---- */

static uint64_t count(struct demo *demo, const char *collection)
{
	char path[128];
	struct bytes value;
	uint64_t n = 0;

	(void)snprintf(
		path, sizeof path, TENANT "/api/collections/%s/records?perPage=1", collection);
	if (ask(demo, demo->admin, "GET", path, NULL, (struct bytes){ 0 }) == 200 &&
		text_json_find(bytes_buf_view(&demo->answer), BYTES("/totalItems"), &value) ==
			TEXT_JSON_FOUND)
		(void)bytes_parse_u64(value, UINT64_MAX, &n);
	return n;
}

/* "order-rules 1.0.0, saboteur 1.0.0 (1.9 MiB each)", with what their workers hold now. */
static void print_plugins(struct demo *demo)
{
	char pointer[32];
	struct bytes id, version, rss;
	uint64_t most = 0, bytes = 0;

	if (ask(demo, demo->operator.http, "GET", "/platform/plugins?tenant=shop", NULL,
		    (struct bytes){ 0 }) != 200)
		return;
	for (unsigned i = 0;; i++) {
		struct bytes answer = bytes_buf_view(&demo->answer);
		(void)snprintf(pointer, sizeof pointer, "/items/%u/id", i);
		if (text_json_find(answer, bytes_of(pointer), &id) != TEXT_JSON_FOUND)
			break;
		(void)snprintf(pointer, sizeof pointer, "/items/%u/version", i);
		(void)text_json_find(answer, bytes_of(pointer), &version);
		(void)snprintf(pointer, sizeof pointer, "/items/%u/rssBytes", i);
		if (text_json_find(answer, bytes_of(pointer), &rss) == TEXT_JSON_FOUND &&
			bytes_parse_u64(rss, UINT64_MAX, &bytes) && bytes > most)
			most = bytes;
		printf("%s%.*s %.*s", i ? ", " : "", (int)id.n - 2, id.p + 1, (int)version.n - 2,
			version.p + 1);
	}
	printf(" (%.1f MiB each)\n", (double)most / (1 << 20));
}

static void print_table(struct demo *demo, const char *data_folder,
	const struct deploy_self_test *self_test, uint64_t ready_ns, const char *setup_token)
{
	const char *url = demo->url;
	uint64_t n_records = 0;

	for (size_t i = 0; i < N_COLLECTIONS; i++)
		n_records += count(demo, collections[i]);
	printf("Tenon " CLI_VERSION
	       "  %s   ready in %.1f s   sandbox: %s; self-test %u/%u refused\n",
		url, (double)ready_ns / 1e9, self_test->layers, self_test->n_refused,
		self_test->n_attempts);
	printf("shop: %zu collections, %llu records; plugins ", N_COLLECTIONS,
		(unsigned long long)n_records);
	print_plugins(demo);
	printf(" 1 read      curl '%s" TENANT "/api/collections/products/records?perPage=2'\n",
		url);
	printf(" 2 refused   curl '%s" TENANT
	       "/api/collections/order_lines/records' -H 'Authorization: %s' "
	       "-H 'Content-Type: application/json' -d '{\"order\":\"order0000000001\","
	       "\"product\":\"product00000001\",\"quantity\":40,\"unit_price\":9.5}'   → 39 in "
	       "stock\n",
		url, demo->user_token);
	printf(" 3 crash it  curl -i '%s" TENANT
	       "/api/x/saboteur/crash'   → 502 + trace; 1 still works\n",
		url);
	printf(" 4 rob it    curl '%s" TENANT "/api/x/saboteur/rob'   → 3 tries, 3 refused\n", url);
	printf(" 5 reload    change a line in plugins/order-rules, save: serving, 0 dropped\n");
	printf(" 6 prove     build/bin/tenon audit verify --data %s   (then flip a byte, run it "
	       "again)\n",
		data_folder);
	if (setup_token[0])
		printf(" console     %s/_/#setup=%s   (once, 15 min)\n", url, setup_token);
	else
		printf(" console     %s/_/\n", url);
	printf(" Ctrl-C finishes the calls in flight\n");
}

int demo_run(struct core *core, const char *data_folder, uint64_t ready_ns, const char *setup_token)
{
	struct demo demo = { .url = core_url(core) };
	struct deploy_self_test self_test;
	struct id_source ids = { 0 };
	struct err err = { 0 };
	uint8_t random[16];
	int rc = -1;

	bytes_buf_init(&demo.answer, ANSWER_MAX);
	id_random(&ids, random, sizeof random);
	bytes_hex((struct bytes){ (const char *)random, sizeof random }, demo.password);
	demo.password[32] = '\0';
	core_self_test(core, &self_test);
	if (client_open(data_folder, true, &demo.operator, & err) < 0) {
		fprintf(stderr, "tenon: demo: %s\n", err.message);
		return -1;
	}
	if (make_tenant(&demo) == 0 && make_data(&demo) == 0 && make_user(&demo) == 0 &&
		deploy(&demo, "order-rules") == 0 && deploy(&demo, "saboteur") == 0) {
		print_table(&demo, data_folder, &self_test, ready_ns, setup_token);
		rc = 0;
	}
	egress_client_free(demo.admin);
	egress_client_free(demo.user);
	client_close(&demo.operator);
	bytes_buf_fini(&demo.answer);
	return rc;
}
