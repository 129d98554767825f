#include "executor.h"
#include "settings.h"
#include "store_wait.h"
#include "text_json_check.h"
#include "text_json_reader.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/tenon-settings-XXXXXX";
static struct executor *executor;
static struct loop *loop;
static struct store *store;
static struct vault vault;
static struct settings_book *book;
static unsigned n_changes;

static int on_open(struct store_conn *conn, void *context, struct err *err)
{
	const struct settings_config config = { .vault = &vault, .tenant = BYTES("shop") };

	(void)context;
	if (store_run_script(conn, BYTES("CREATE TABLE IF NOT EXISTS _settings (name TEXT PRIMARY "
					 "KEY NOT NULL, value TEXT NOT NULL) STRICT")) != STORE_OK)
		return -1;
	return settings_book_open(conn, &config, &book, err);
}

static void on_change(void *context, const struct settings *settings)
{
	(void)context;
	(void)settings;
	n_changes++;
}

static void open_store(void)
{
	char path[96];
	struct err err = { 0 };

	(void)snprintf(path, sizeof path, "%s/data.db", folder);
	const struct store_config config = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 16,
		.on_open = on_open };
	if (store_open(&config, executor, &store, &err) < 0)
		printf("%s\n", err.message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(book);
	settings_book_attach(book, store, on_change, NULL);
}

static void close_store(void)
{
	settings_book_free(book);
	book = NULL;
	store_close(store);
}

static void setup(void)
{
	struct executor_config config = { { 2, 1, 1, 1 }, { 64, 64, 64, 64 } };
	char path[96];

	if (executor)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/vault.key", folder);
	CU_ASSERT_EQUAL_FATAL(vault_open(path, &vault, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(executor_new(&config, &executor, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	open_store();
}

static char answer[32768];

static void done(struct settings_change *change)
{
	(void)bytes_to_string(bytes_buf_view(&change->answer), answer, sizeof answer);
	bytes_buf_fini(&change->answer);
	loop_stop(loop);
}

static enum settings_outcome change(const char *body)
{
	struct settings_change change = {
		.book = book, .loop = loop, .body = bytes_of(body), .done = done
	};

	CU_ASSERT_EQUAL(text_json_check(change.body, &TEXT_JSON_LIMITS, NULL), TEXT_JSON_VALID);
	settings_change(&change);
	CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
	CU_ASSERT_EQUAL(
		text_json_check(bytes_of(answer), &TEXT_JSON_LIMITS, NULL), TEXT_JSON_VALID);
	return change.outcome;
}

static void expect(const char *pointer, const char *value)
{
	struct bytes found = { 0 };
	char text[512] = "(absent)";

	if (text_json_find(bytes_of(answer), bytes_of(pointer), &found) == TEXT_JSON_FOUND)
		(void)bytes_to_string(found, text, sizeof text);
	if (strcmp(text, value) != 0)
		printf("\n%s is %s\n", pointer, text);
	CU_ASSERT_STRING_EQUAL(text, value);
}

static void a_change_names_what_it_changes_and_no_more(void)
{
	setup();
	CU_ASSERT_EQUAL(n_changes, 1); /* of attaching */
	CU_ASSERT_EQUAL(
		change("{\"meta\":{\"appName\":\"Shop\"},\"frob\":{\"x\":1}}"), SETTINGS_OK);
	expect("/meta/appName", "\"Shop\"");
	expect("/meta/appURL", "\"http://localhost:8090\"");
	expect("/batch/enabled", "true");
	expect("/rateLimits/rules/0/label", "\"*:auth\"");
	CU_ASSERT_EQUAL(change("{\"batch\":{\"maxRequests\":7}}"), SETTINGS_OK);
	expect("/meta/appName", "\"Shop\"");
	CU_ASSERT_EQUAL(n_changes, 3);
	close_store();
	open_store();
	struct settings *now = settings_ref(book);
	CU_ASSERT(bytes_eq_string(now->meta.app_name, "Shop"));
	CU_ASSERT_EQUAL(now->batch.max_requests, 7);
	CU_ASSERT_EQUAL(now->limits.n_rules, 3);
	settings_unref(now);
}

static void what_is_out_of_bounds_is_named(void)
{
	static const struct {
		const char *body, *pointer, *code;
	} rows[] = {
		{ "{\"meta\":{\"appName\":\"\"}}", "/meta/appName/code",
			"\"validation_required\"" },
		{ "{\"meta\":{\"appURL\":\"javascript:x\"}}", "/meta/appURL/code",
			"\"validation_is_url\"" },
		{ "{\"meta\":{\"senderAddress\":\"a@b\\r\\nBcc: c@d\"}}",
			"/meta/senderAddress/code", "\"validation_is_email\"" },
		{ "{\"smtp\":{\"enabled\":true,\"host\":\"a/b\"}}", "/smtp/host/code",
			"\"validation_is_host\"" },
		{ "{\"smtp\":{\"port\":0}}", "/smtp/port/code",
			"\"validation_min_greater_equal_than_required\"" },
		{ "{\"smtp\":{\"port\":\"x\"}}", "/smtp/port/code",
			"\"validation_invalid_value\"" },
		{ "{\"smtp\":{\"authMethod\":\"NTLM\"}}", "/smtp/authMethod/code",
			"\"validation_in_invalid\"" },
		{ "{\"batch\":{\"maxRequests\":1001}}", "/batch/maxRequests/code",
			"\"validation_max_less_equal_than_required\"" },
		{ "{\"rateLimits\":{\"rules\":[{\"label\":\"x\",\"maxRequests\":1,\"duration\":1}]}"
		  "}",
			"/rateLimits/rules/code", "\"validation_match_invalid\"" },
		{ "{\"rateLimits\":{\"rules\":[{\"label\":\"/api/"
		  "\",\"maxRequests\":0,\"duration\":1}]}}",
			"/rateLimits/rules/code",
			"\"validation_min_greater_equal_than_required\"" },
		{ "{\"rateLimits\":{\"rules\":[{\"label\":\"*:list\",\"maxRequests\":1,"
		  "\"duration\":1},"
		  "{\"label\":\"*:list\",\"maxRequests\":2,\"duration\":1}]}}",
			"/rateLimits/rules/code", "\"validation_conflicting_rate_limit_rule\"" },
		{ "{\"rateLimits\":{\"rules\":{}}}", "/rateLimits/rules/code",
			"\"validation_length_out_of_range\"" },
	};

	setup();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CU_ASSERT_EQUAL(change(rows[i].body), SETTINGS_INVALID);
		expect(rows[i].pointer, rows[i].code);
	}
	CU_ASSERT_EQUAL(change("{}"), SETTINGS_OK);
	expect("/smtp/port", "587");
}

static bool file_has(const char *name, const char *text)
{
	static char content[1 << 20];
	char path[128];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	size_t n = file ? fread(content, 1, sizeof content, file) : 0;
	if (file)
		(void)fclose(file);
	return n && memmem(content, n, text, strlen(text));
}

static void a_password_is_sealed_and_never_shown(void)
{
	setup();
	CU_ASSERT_EQUAL(change("{\"smtp\":{\"username\":\"u\",\"password\":\"correct horse\"}}"),
		SETTINGS_OK);
	CU_ASSERT_PTR_NULL(strstr(answer, "correct horse"));
	expect("/smtp/password", "(absent)");
	/* A change of something else keeps it. */
	CU_ASSERT_EQUAL(change("{\"meta\":{\"appName\":\"Two\"}}"), SETTINGS_OK);
	close_store();
	CU_ASSERT(!file_has("data.db", "correct horse"));
	CU_ASSERT(!file_has("data.db-wal", "correct horse"));
	CU_ASSERT(file_has("data.db", "\"username\":\"u\""));
	open_store();
	struct settings *now = settings_ref(book);
	CU_ASSERT(bytes_eq_string(now->smtp.password, "correct horse"));
	settings_unref(now);
	/* Another key does not open it. */
	close_store();
	vault.key[0] ^= 1;
	open_store();
	now = settings_ref(book);
	CU_ASSERT_EQUAL(now->smtp.password.n, 0);
	settings_unref(now);
	CU_ASSERT_EQUAL(change("{\"smtp\":{\"password\":\"\"}}"), SETTINGS_OK);
}

static void everything_closes(void)
{
	char command[64];

	close_store();
	executor_free(executor);
	loop_free(loop);
	vault_fini(&vault);
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

static const struct unit_test tests[] = {
	UNIT(a_change_names_what_it_changes_and_no_more),
	UNIT(what_is_out_of_bounds_is_named),
	UNIT(a_password_is_sealed_and_never_shown),
	UNIT(everything_closes),
};

UNIT_MAIN("settings", tests)
