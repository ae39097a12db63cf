/* torture.h - do it again and again, and let one more thing go wrong each time. */
#ifndef TESTS_TORTURE_H
#define TESTS_TORTURE_H

#include "base/fault.h"

#include <check.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* One run of what is tested: 0 or a negative code. */
typedef int torture_fn(struct rt_error *err);

/* Fault KIND:1, KIND:2, ... until one run has seen none of it.  Every run before it must
 * fail with `want`, and say something. */
static inline int torture(const char *kind, torture_fn *fn, int want)
{
	for (int n = 1; n < 100000; n++) {
		struct rt_error err = RT_ERROR_INIT;
		char            wish[32];
		long            seen;
		int             r;

		snprintf(wish, sizeof wish, "%s:%d", kind, n);
		ck_assert_int_eq(fault_set(wish, NULL), 0);
		r = fn(&err);
		seen = kind[0] == 'a' ? fault_seen_allocs() : fault_seen_disk();
		fault_set(NULL, NULL);
		if (seen < n) {
			ck_assert_msg(r == 0, "%s: %s", wish, err.msg);
			return n - 1;
		}
		ck_assert_msg(r == want, "%s: %d, want %d: %s", wish, r, want, err.msg);
		ck_assert_int_eq(err.code, want);
		ck_assert(err.msg[0] != '\0');
	}
	ck_abort_msg("%s: no end", kind);
	return 0;
}

/* Die in front of the first, second, ... change to the disk, in a child; look() judges what
 * was left behind.  The number of deaths. */
static inline int torture_kill(torture_fn *fn, void (*look)(void))
{
	for (int n = 1; n < 100000; n++) {
		const pid_t child = fork();
		char        wish[32];
		int         status;

		ck_assert_int_ge(child, 0);
		if (child == 0) {
			snprintf(wish, sizeof wish, "kill:%d", n);
			fault_set(wish, NULL);
			_exit(fn(NULL) == 0 ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		look();
		if (WIFEXITED(status)) {
			ck_assert_int_eq(WEXITSTATUS(status), 0);
			return n - 1;
		}
	}
	ck_abort_msg("kill: no end");
	return 0;
}

#endif
