#include <stdio.h>
#include <string.h>

#include "loader.h"
#include "unit.h"

/* The folder of the plugins that loader_plugin.c was built to. */
#ifndef LOADER_PLUGINS
#error "the build says where they are"
#endif

static int load(const char *name, struct loader_plugin *ret, struct err *err)
{
	char path[1024];

	(void)snprintf(path, sizeof path, "%s/%s.so", LOADER_PLUGINS, name);
	return loader_open(path, ret, err);
}

static void a_good_plugin_says_who_it_is_and_shows_its_manifest(void)
{
	struct loader_plugin loaded;
	struct err err = { 0 };

	CU_ASSERT_EQUAL_FATAL(load("loader_0", &loaded, &err), 0);
	CU_ASSERT_STRING_EQUAL(loaded.plugin.id, "good");
	CU_ASSERT_STRING_EQUAL(loaded.plugin.version, "1.2.3");
	CU_ASSERT_EQUAL(loaded.plugin.concurrency, TENON_COOPERATIVE);
	CU_ASSERT(bytes_starts_with(loaded.manifest, BYTES("{ \"id\": \"good\"")));
	CU_ASSERT_EQUAL(loaded.manifest.p[loaded.manifest.n - 1], '\n'); /* to the last byte */
}

static void a_longer_descriptor_of_a_later_minor_loads(void)
{
	struct loader_plugin loaded;
	struct err err = { 0 };

	CU_ASSERT_EQUAL_FATAL(load("loader_1", &loaded, &err), 0);
	CU_ASSERT_STRING_EQUAL(loaded.plugin.id, "good");
	CU_ASSERT_PTR_NULL(loaded.plugin.drain);
}

static void each_fault_is_refused_with_its_sentence(void)
{
	static const struct {
		const char *name, *sentence;
	} rows[] = {
		{ "loader_2", "tenon_plugin_v1.size is 63: set it to sizeof(struct tenon_plugin)" },
		{ "loader_3", "needs ABI major 2, this worker serves 1" },
		{ "loader_4", "tenon_plugin_v1.flags has unknown flags 0x1: set it to 0" },
		{ "loader_5", "tenon_plugin_v1 lacks create, invoke or destroy" },
		{ "loader_6", "tenon_plugin_v1.id or .version is not a terminated string" },
		{ "loader_7", "tenon_plugin_v1.id or .version is not a terminated string" },
		{ "loader_8", "tenon_plugin_v1.concurrency 2 is not known" },
		{ "absent", "cannot be loaded: " },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct loader_plugin loaded;
		struct err err = { 0 };
		CU_ASSERT_EQUAL(load(rows[i].name, &loaded, &err), -1);
		CU_ASSERT_EQUAL(err.code, ERR_INVALID);
		bool is_right =
			strncmp(err.message, rows[i].sentence, strlen(rows[i].sentence)) == 0;
		if (!is_right)
			(void)printf("\n    %s: %s", rows[i].name, err.message);
		CU_ASSERT(is_right);
	}
}

static const struct unit_test tests[] = {
	UNIT(a_good_plugin_says_who_it_is_and_shows_its_manifest),
	UNIT(a_longer_descriptor_of_a_later_minor_loads),
	UNIT(each_fault_is_refused_with_its_sentence),
};
UNIT_MAIN("loader", tests)
