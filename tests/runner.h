/* runner.h - the main() of a Check program: every test by name, one line each at the end. */
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include <check.h>
#include <stdlib.h>

/* Loops over a table: TABLE_TEST(tcase, test, table). */
#define TABLE_TEST(tc, test, table)                                                                \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

#define RUNNER(name, timeout, ...)                                                                 \
	int main(void)                                                                             \
	{                                                                                          \
		Suite   *s = suite_create(name);                                                   \
		TCase   *tc = tcase_create(name);                                                  \
		SRunner *sr;                                                                       \
		int      failed;                                                                   \
		tcase_set_timeout(tc, timeout);                                                    \
		__VA_ARGS__                                                                        \
		suite_add_tcase(s, tc);                                                            \
		sr = srunner_create(s);                                                            \
		srunner_run_all(sr, CK_ENV);                                                       \
		failed = srunner_ntests_failed(sr);                                                \
		srunner_free(sr);                                                                  \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                       \
	}

#endif
