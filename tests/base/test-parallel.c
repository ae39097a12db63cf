/* test-parallel.c - the thread pool cuts the same way always, and every piece runs once. */
#include <retort/parallel.h>

#include "base/pool.h"
#include "runner.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int seen[10000];

static void mark(void *arg, int64_t first, int64_t last)
{
	ck_assert_int_eq(first % *(int64_t *)arg, 0);
	for (int64_t i = first; i < last; i++)
		atomic_fetch_add(&seen[i], 1);
}

static const struct {
	int64_t n, grain;
} cuts[] = {
	{ 0, 1 },       { 1, 1 },   { 10000, 1 }, { 10000, 7 },
	{ 9999, 5000 }, { 5, 100 }, { -3, 4 },    { 10, 1 },
};

START_TEST(every_index_is_visited_exactly_once)
	{
		int64_t grain = cuts[_i].grain;

		for (int64_t i = 0; i < 10000; i++)
			seen[i] = 0;
		rt_parallel(cuts[_i].n, grain, mark, &grain);
		for (int64_t i = 0; i < 10000; i++)
			ck_assert_int_eq(seen[i], i < cuts[_i].n);
	}
END_TEST

static void inner(void *arg, int64_t first, int64_t last)
{
	atomic_fetch_add((atomic_int *)arg, (int)(last - first));
}

static void outer(void *arg, int64_t first, int64_t last)
{
	for (int64_t i = first; i < last; i++)
		rt_parallel(100, 3, inner, arg);
}

START_TEST(a_call_inside_a_piece_finishes)
	{
		atomic_int sum = 0;

		rt_parallel(50, 1, outer, &sum);
		ck_assert_int_eq(sum, 5000);
	}
END_TEST

static void *caller(void *sum)
{
	for (int i = 0; i < 20; i++)
		outer(sum, 0, 5);
	return NULL;
}

START_TEST(several_threads_may_call_at_once)
	{
		pthread_t  id[40];
		atomic_int sum = 0;

		for (int i = 0; i < 40; i++)
			ck_assert_int_eq(pthread_create(&id[i], NULL, caller, &sum), 0);
		for (int i = 0; i < 40; i++)
			pthread_join(id[i], NULL);
		ck_assert_int_eq(sum, 40 * 20 * 5 * 100);
	}
END_TEST

struct deep {
	int         left;
	atomic_int *sum;
};

static void deeper(void *arg, int64_t first, int64_t last)
{
	const struct deep *d = arg;
	struct deep        next = { d->left - 1, d->sum };

	(void)last;
	if (first > 0 || d->left == 0)
		atomic_fetch_add(d->sum, 1);
	else
		rt_parallel(3, 1, deeper, &next);
}

/* A job of its own: others would leave their marks elsewhere, or too late. */
struct own {
	int        n, step;
	atomic_int seen[200];
};

static void mark_own(void *arg, int64_t first, int64_t last)
{
	struct own *o = arg;

	for (int64_t i = first; i < last; i++)
		atomic_fetch_add(&o->seen[i], o->step);
}

static void mark_back(void *arg, int64_t first, int64_t last)
{
	struct own *o = arg;

	for (int64_t i = first; i < last; i++)
		atomic_fetch_add(&o->seen[o->n - 1 - i], o->step);
}

static void *many_jobs(void *number)
{
	for (int i = 0; i < 3000; i++) {
		struct own o = { .n = 2 + (i * 7 + *(int *)number * 31) % 199, .step = i + 1 };

		rt_parallel(o.n, 1 + i % 5, i % 2 ? mark_own : mark_back, &o);
		for (int k = 0; k < 200; k++)
			if (o.seen[k] != (k < o.n ? o.step : 0))
				return (void *)"an index was seen by another job, or not once";
		memset(&o, -1, sizeof o);
	}
	return NULL;
}

START_TEST(jobs_are_not_mixed_up)
	{
		pthread_t id[6];
		int       number[6];

		for (int i = 0; i < 6; i++) {
			number[i] = i;
			ck_assert_int_eq(pthread_create(&id[i], NULL, many_jobs, &number[i]), 0);
		}
		for (int i = 0; i < 6; i++) {
			void *wrong = NULL;

			pthread_join(id[i], &wrong);
			ck_assert_msg(!wrong, "%s", (const char *)wrong);
		}
	}
END_TEST

/* Each piece waits for the other, so that one thread alone does not come to an end. */
static void meet(void *arg, int64_t first, int64_t last)
{
	atomic_int *here = arg;

	(void)first, (void)last;
	atomic_fetch_add(here, 1);
	for (int i = 0; i < 10000 && atomic_load(here) < 2; i++)
		usleep(1000);
	if (atomic_load(here) < 2)
		atomic_store(here, -1);
}

static bool another_thread_comes(void)
{
	atomic_int here = 0;

	rt_parallel(2, 1, meet, &here);
	return here == 2;
}

/* Once, whoever asks; of how long it takes nothing is known. */
START_TEST(a_hand_over_is_measured)
	{
		const double took = pool_hand_over();
		atomic_int   sum = 0;

		ck_assert(took > 0.0);
		ck_assert(pool_hand_over() == took);
		rt_parallel(100, 3, inner, &sum);
		ck_assert_int_eq(sum, 100);
	}
END_TEST

START_TEST(work_is_shared)
	{
		for (int i = 0; i < 10; i++)
			ck_assert(another_thread_comes());
	}
END_TEST

/* More than the pool has places for. */
START_TEST(calls_inside_calls_inside_calls_finish)
	{
		atomic_int  sum = 0;
		struct deep d = { 100, &sum };

		rt_parallel(3, 1, deeper, &d);
		ck_assert_int_eq(sum, 2 * 101 + 1);
	}
END_TEST

/* Threads of this process that are not asleep, this one aside. */
static int awake(void)
{
	DIR           *d = opendir("/proc/self/task");
	struct dirent *entry;
	int            n = 0;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL) {
		char  path[300], line[300] = "";
		FILE *f;

		snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fgets(line, sizeof line, f) && strrchr(line, ')'))
			n += strncmp(strrchr(line, ')'), ") S", 3) != 0;
		fclose(f);
	}
	closedir(d);
	return n - 1;
}

/* It may look about for a while; then it must rest. */
START_TEST(an_idle_pool_sleeps)
	{
		atomic_int sum = 0;
		int        tries = 0;

		for (int i = 0; i < 100; i++)
			rt_parallel(100, 3, inner, &sum);
		while (awake() > 0 && ++tries < 1000)
			usleep(10000);
		ck_assert_int_lt(tries, 1000);
		ck_assert_int_eq(sum, 10000);
		ck_assert(another_thread_comes()); /* wakes up again */
	}
END_TEST

/* Before the first call, and more than most machines have processors. */
static void have_threads(void)
{
	setenv("RETORT_THREADS", "5", 1);
}

RUNNER("parallel", 60, {
	tcase_add_checked_fixture(tc, have_threads, NULL);
	TABLE_TEST(tc, every_index_is_visited_exactly_once, cuts);
	tcase_add_test(tc, a_call_inside_a_piece_finishes);
	tcase_add_test(tc, work_is_shared);
	tcase_add_test(tc, jobs_are_not_mixed_up);
	tcase_add_test(tc, a_hand_over_is_measured);
	tcase_add_test(tc, calls_inside_calls_inside_calls_finish);
	tcase_add_test(tc, several_threads_may_call_at_once);
	tcase_add_test(tc, an_idle_pool_sleeps);
})
