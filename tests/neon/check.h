/* check.h - as much of the Check library as the tensor tests use, for cross-compiled tests: a
 * target without libraries.  Every test runs in a process of its own. */
#ifndef NEON_CHECK_H
#define NEON_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int  Suite;
typedef int  TCase;
typedef int  SRunner;
typedef void TFun(int);

enum { CK_ENV };

static int check_failed;

static inline void check_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static inline void check_run(const char *name, TFun *fn, int n)
{
	for (int i = 0; i < n; i++) {
		const pid_t child = fork();
		int         status = 1;

		if (child == 0) {
			fn(i);
			exit(0);
		}
		waitpid(child, &status, 0);
		if (status != 0) {
			fprintf(stderr, "FAIL %s:%d\n", name, i);
			check_failed++;
		}
	}
}

#define START_TEST(name) static void name(int _i __attribute__((unused)))
#define END_TEST

#define suite_create(name)                ((void)(name), NULL)
#define tcase_create(name)                ((void)(name), NULL)
#define tcase_set_timeout(tc, s)          ((void)(tc), (void)(s))
#define suite_add_tcase(s, tc)            ((void)(s), (void)(tc))
#define srunner_create(s)                 ((void)(s), NULL)
#define srunner_run_all(sr, how)          ((void)(sr))
#define srunner_ntests_failed(sr)         ((void)(sr), check_failed)
#define srunner_free(sr)                  ((void)(sr))
#define tcase_add_test(tc, fn)            check_run(#fn, fn, 1)
#define tcase_add_loop_test(tc, fn, a, b) check_run(#fn, fn, (b) - (a))

#define ck_abort_msg(...)                 check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(x, ...)                                                                      \
	do {                                                                                       \
		if (!(x))                                                                          \
			check_fail(__FILE__, __LINE__, __VA_ARGS__);                               \
	} while (0)
#define ck_assert(x)                     ck_assert_msg(x, "%s", #x)
#define ck_assert_int_eq(a, b)           ck_assert((long long)(a) == (long long)(b))
#define ck_assert_int_ge(a, b)           ck_assert((long long)(a) >= (long long)(b))
#define ck_assert_uint_eq(a, b)          ck_assert((unsigned long long)(a) == (unsigned long long)(b))
#define ck_assert_uint_gt(a, b)          ck_assert((unsigned long long)(a) > (unsigned long long)(b))
#define ck_assert_ptr_nonnull(p)         ck_assert((p) != NULL)
#define ck_assert_ptr_null(p)            ck_assert((p) == NULL)
#define ck_assert_str_eq(a, b)           ck_assert_msg(strcmp(a, b) == 0, "\"%s\" is not \"%s\"", a, b)
#define ck_assert_mem_eq(a, b, n)        ck_assert(memcmp(a, b, n) == 0)
#define ck_assert_float_eq(a, b)         ck_assert((a) == (b))
#define ck_assert_float_eq_tol(a, b, t)  ck_assert(fabsf((a) - (b)) <= (t))
#define ck_assert_double_eq(a, b)        ck_assert((a) == (b))
#define ck_assert_double_lt(a, b)        ck_assert((a) < (b))
#define ck_assert_double_gt(a, b)        ck_assert((a) > (b))
#define ck_assert_float_le(a, b)         ck_assert((a) <= (b))
#define ck_assert_double_eq_tol(a, b, t) ck_assert(fabs((a) - (b)) <= (t))

#endif
