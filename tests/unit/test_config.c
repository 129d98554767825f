#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "unit.h"

static const struct config_row rows[] = {
	{ "listen", CONFIG_TEXT, "127.0.0.1:8090", 1, 64, NULL, NULL, "Address to serve on",
		false },
	{ "level", CONFIG_CHOICE, "info", 0, 0, NULL, "debug info warn error", "Least log level",
		false },
	{ "sandbox", CONFIG_BOOL, "true", 0, 0, NULL, NULL, "Refuse to start without the jail",
		false },
	{ "store.readers", CONFIG_INTEGER, "4", 1, 64, "threads", NULL, "Threads that read",
		false },
	{ "store.cache", CONFIG_BYTES, "64 MiB", 1 << 20, 1ll << 40, NULL, NULL, "Page cache",
		false },
	{ "deadline", CONFIG_DURATION, "2 s", 1, 60000, NULL, NULL, "Time a call may take", false },
	{ "proxies", CONFIG_LIST, "10.0.0.0/8 127.0.0.1/32", 1, 40, NULL, NULL, "Whom to believe",
		false },
	{ "key", CONFIG_TEXT, NULL, 0, 0, NULL, NULL, "A secret", true },
	{ "offset", CONFIG_INTEGER, "-5", -10, 10, NULL, NULL, "A number below 0", false },
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static struct config *make(void)
{
	struct config *config = NULL;

	CU_ASSERT_EQUAL_FATAL(config_new(rows, N_ROWS, &config, NULL), 0);
	return config;
}

/* Arguments as main has them: not const, and not changed either. */
static int args(struct config *config, int argc, const char *const argv[], struct err *err)
{
	return config_args(config, argc, (char *const *)(uintptr_t)argv, err);
}

static bool list_is(const struct config *config, const char *first, const char *second)
{
	size_t n = config_list_count(config, "proxies");

	return n == (size_t)(first != NULL) + (second != NULL) &&
	       (!first || bytes_eq_string(config_list_at(config, "proxies", 0), first)) &&
	       (!second || bytes_eq_string(config_list_at(config, "proxies", 1), second));
}

static void defaults_are_there_and_known_as_such(void)
{
	DEFER(config_free) struct config *config = make();

	CU_ASSERT(bytes_eq_string(config_text(config, "listen"), "127.0.0.1:8090"));
	CU_ASSERT(bytes_eq_string(config_text(config, "level"), "info"));
	CU_ASSERT(config_bool(config, "sandbox"));
	CU_ASSERT_EQUAL(config_int64(config, "store.readers"), 4);
	CU_ASSERT_EQUAL(config_int64(config, "store.cache"), 64 << 20);
	CU_ASSERT_EQUAL(config_int64(config, "deadline"), 2000);
	CU_ASSERT_EQUAL(config_int64(config, "offset"), -5);
	CU_ASSERT(list_is(config, "10.0.0.0/8", "127.0.0.1/32"));
	CU_ASSERT_EQUAL(config_origin(config, "listen"), CONFIG_DEFAULT);
	CU_ASSERT_EQUAL(config_origin(config, "key"), CONFIG_UNSET);
	CU_ASSERT_EQUAL(config_text(config, "key").n, 0);
}

static void flags_win_over_the_file_and_the_file_over_defaults(void)
{
	DEFER(config_free) struct config *config = make();
	const char *argv[] = { "--store-readers", "8", "--no-sandbox", "--proxies", "::1/128",
		"--proxies=fd00::/8", "--level=warn", "run", "--deadline", "9" };

	CU_ASSERT_EQUAL_FATAL(
		config_load(config,
			BYTES("{\"store\":{\"readers\":2,\"cache\":\"1 GiB\"},\"deadline\":1500,"
			      "\"proxies\":[\"192.168.0.0/"
			      "16\"],\"key\":\"hush\",\"sandbox\":true}"),
			NULL),
		0);
	CU_ASSERT_EQUAL(args(config, 10, argv, NULL), 7);
	CU_ASSERT_EQUAL(config_int64(config, "store.readers"), 8);
	CU_ASSERT_EQUAL(config_origin(config, "store.readers"), CONFIG_FLAG);
	CU_ASSERT_EQUAL(config_int64(config, "store.cache"), 1 << 30);
	CU_ASSERT_EQUAL(config_origin(config, "store.cache"), CONFIG_FILE);
	CU_ASSERT_EQUAL(config_int64(config, "deadline"), 1500);
	CU_ASSERT(!config_bool(config, "sandbox"));
	CU_ASSERT(list_is(config, "::1/128", "fd00::/8"));
	CU_ASSERT(bytes_eq_string(config_text(config, "level"), "warn"));
	CU_ASSERT_STRING_EQUAL(config_origin_name(config_origin(config, "key")), "file");
}

static void a_file_may_empty_a_list_and_use_full_names(void)
{
	DEFER(config_free) struct config *config = make();

	CU_ASSERT_EQUAL(
		config_load(config, BYTES("{\"proxies\":[],\"store.readers\":3}"), NULL), 0);
	CU_ASSERT(list_is(config, NULL, NULL));
	CU_ASSERT_EQUAL(config_int64(config, "store.readers"), 3);
	CU_ASSERT_EQUAL(config_load(config, BYTES("{\"proxies\":[\"1.2.3.4/32\"]}"), NULL), 0);
	CU_ASSERT(list_is(config, "1.2.3.4/32", NULL));
}

static void a_mistake_names_setting_value_and_range(void)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{ "{\"store\":{\"readers\":99}}", "store.readers: \"99\" is not 1 to 64 threads" },
		{ "{\"store\":{\"readers\":\"4\"}}",
			"store.readers: \"\"4\"\" is not 1 to 64 threads" },
		{ "{\"store\":{\"readers\":1.5}}",
			"store.readers: \"1.5\" is not 1 to 64 threads" },
		{ "{\"store\":{\"cache\":\"1 MB\"}}",
			"store.cache: \"1 MB\" is not 1 MiB to 1024 GiB" },
		{ "{\"level\":\"loud\"}", "level: \"loud\" is not one of debug info warn error" },
		{ "{\"level\":\"debug info\"}",
			"level: \"debug info\" is not one of debug info warn error" },
		{ "{\"sandbox\":\"no\"}", "sandbox: \"\"no\"\" is not true or false" },
		{ "{\"sandbox\":0}", "sandbox: \"0\" is not true or false" },
		{ "{\"deadline\":\"2 m\"}", "deadline: \"2 m\" is not 1 ms to 1 min" },
		{ "{\"deadline\":\"99999999999999999 d\"}",
			"deadline: \"99999999999999999 d\" is not 1 ms to 1 min" },
		{ "{\"deadline\":-1}", "deadline: \"-1\" is not 1 ms to 1 min" },
		{ "{\"listen\":\"\"}", "listen: \"\" is not a text of 1 to 64 bytes" },
		{ "{\"listen\":\"a\\u0000b\"}", "listen: \"a" },
		{ "{\"key\":7}", "key: \"(secret)\" is not a text" },
		{ "{\"proxies\":[1]}", "proxies: item 0 is not a text" },
		{ "{\"proxies\":\"10.0.0.0/8\"}", "proxies: " },
		{ "{\"nothing\":1}", "nothing: no such setting" },
		{ "{\"store\":{\"writers\":1}}", "store.writers: no such setting" },
		{ "{\"store\":4}", "store: no such setting" },
		{ "{\"listen\":{\"x\":1}}", "listen: " },
		{ "[]", "the settings are not an object" },
		{ "{\n\n\"a\":}", "line 3 (byte 7): a character that may not stand here" },
		{ "{\"listen\":\"a\",\"listen\":\"b\"}",
			"line 1 (byte 14): a key that its object has already" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		DEFER(config_free) struct config *config = make();
		struct err err = { 0 };
		CU_ASSERT_EQUAL(config_load(config, bytes_of(cases[i].json), &err), -1);
		CU_ASSERT_EQUAL(err.code, ERR_INVALID);
		if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
			printf("\n  %s", err.message);
		CU_ASSERT_EQUAL(
			strncmp(err.message, cases[i].message, strlen(cases[i].message)), 0);
	}
}

static void a_deep_file_ends_with_an_error(void)
{
	DEFER(config_free) struct config *config = make();
	DEFER(bytes_buf_fini) struct bytes_buf doc;
	struct err err;

	bytes_buf_init(&doc, 65536);
	for (int i = 0; i < 30; i++)
		bytes_buf_append_string(&doc, "{\"a_rather_long_name_of_an_object\":");
	bytes_buf_append_byte(&doc, '1');
	for (int i = 0; i < 30; i++)
		bytes_buf_append_byte(&doc, '}');
	CU_ASSERT_EQUAL(config_load(config, bytes_buf_view(&doc), &err), -1);
}

static void wrong_flags_are_refused(void)
{
	static const char *const flags[][2] = { { "--nothing", "1" }, { "--no-listen", "1" },
		{ "--store.readers", "1" }, { "--store-readers", "0x1" }, { "--store-readers", "" },
		{ "--store-readers", "1 threads" }, { "--sandbox=maybe", "" },
		{ "--offset", "-11" }, { "--offset", "--5" }, { "--no-no-sandbox", "" },
		{ "--listen", "\xff" }, { "--store-cache", "-1 MiB" }, { "--=", "" } };
	struct err err;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		DEFER(config_free) struct config *config = make();
		char first[64], second[64];
		(void)snprintf(first, sizeof first, "%s", flags[i][0]);
		(void)snprintf(second, sizeof second, "%s", flags[i][1]);
		CU_ASSERT_EQUAL(config_args(config, 2, (char *[]){ first, second }, &err), -1);
	}
	DEFER(config_free) struct config *config = make();
	CU_ASSERT_EQUAL(args(config, 1, (const char *[]){ "--listen" }, &err), -1);
	CU_ASSERT_EQUAL(args(config, 2, (const char *[]){ "--", "--listen" }, &err), 1);
	CU_ASSERT_EQUAL(args(config, 1, (const char *[]){ "-x" }, &err), 0);
	CU_ASSERT_EQUAL(config_args(config, 0, NULL, &err), 0);
}

static void values_format_as_they_are_written(void)
{
	static const struct {
		const char *name, *text;
	} cases[] = { { "store.cache", "64 MiB" }, { "deadline", "2 s" }, { "sandbox", "true" },
		{ "store.readers", "4" }, { "offset", "-5" },
		{ "proxies", "10.0.0.0/8 127.0.0.1/32" }, { "listen", "127.0.0.1:8090" },
		{ "key", "(set)" } };
	DEFER(config_free) struct config *config = make();
	DEFER(bytes_buf_fini) struct bytes_buf out;

	bytes_buf_init(&out, 4096);
	CU_ASSERT_EQUAL(config_set(config, "key", BYTES("hush"), CONFIG_FLAG, NULL), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bytes_buf_clear(&out);
		config_format(config, cases[i].name, &out);
		CU_ASSERT(bytes_eq_string(bytes_buf_view(&out), cases[i].text));
	}
}

static void help_says_range_and_default(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;

	bytes_buf_init(&out, 8192);
	config_help(rows, N_ROWS, &out);
	bytes_buf_append_byte(&out, '\0');
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p,
		"  --store-readers N\n      Threads that read (1 to 64 threads; default 4)\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "  --[no-]sandbox\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "(one of debug info warn error; default info)\n"));
}

static void a_file_is_read_or_says_why_not(void)
{
	DEFER(config_free) struct config *config = make();
	char path[] = "/tmp/test_config_XXXXXX";
	struct err err;
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "{\"deadline\":\"3 s\"}\n", 19), 19);
	CU_ASSERT_EQUAL(config_load_file(config, path, &err), 0);
	CU_ASSERT_EQUAL(config_int64(config, "deadline"), 3000);
	CU_ASSERT_EQUAL(ftruncate(fd, 2 << 20), 0);
	CU_ASSERT_EQUAL(config_load_file(config, path, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_INVALID);
	close(fd);
	unlink(path);
	CU_ASSERT_EQUAL(config_load_file(config, path, &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_IO);
	CU_ASSERT_EQUAL(config_load_file(config, "/", &err), -1);
	CU_ASSERT_EQUAL(err.code, ERR_IO);
}

static const struct unit_test tests[] = {
	UNIT(defaults_are_there_and_known_as_such),
	UNIT(flags_win_over_the_file_and_the_file_over_defaults),
	UNIT(a_file_may_empty_a_list_and_use_full_names),
	UNIT(a_mistake_names_setting_value_and_range),
	UNIT(a_deep_file_ends_with_an_error),
	UNIT(wrong_flags_are_refused),
	UNIT(values_format_as_they_are_written),
	UNIT(help_says_range_and_default),
	UNIT(a_file_is_read_or_says_why_not),
};

UNIT_MAIN("config", tests)
