/*
 * unit.h - the frame of a CUnit program: a table of claims and a main
 *
 * A test's name is a claim. UNIT_MAIN("module", tests) runs the table and fails when a claim fails
 * or when there was none to run.
 */
#ifndef UNIT_H
#define UNIT_H

#include <CUnit/Basic.h>
#include <stddef.h>

struct unit_test {
	const char *claim;
	void (*run)(void);
};

/* A row of the table: the function's name is the claim. */
#define UNIT(function)                                                                             \
	{                                                                                          \
		.claim = #function, .run = function                                                \
	}

/* Runs the table. Returns the exit status of the program: 0 only when every claim held. */
static inline int unit_run(const char *suite_name, const struct unit_test *tests, size_t n)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; suite && i < n; i++)
		if (!CU_add_test(suite, tests[i].claim, tests[i].run))
			suite = NULL;
	if (!suite)
		return 2;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	int failed = CU_get_number_of_failures() > 0 || CU_get_number_of_tests_run() != n || n == 0;
	CU_cleanup_registry();
	return failed;
}

#define UNIT_MAIN(suite_name, tests)                                                               \
	int main(void)                                                                             \
	{                                                                                          \
		return unit_run((suite_name), (tests), sizeof(tests) / sizeof((tests)[0]));        \
	}

#endif
