/* test-cpus.c - quotas of control groups, of both versions, on the host and in a container. */
#include "base/cpus.h"

#include "runner.h"
#include "temp.h"

static const struct {
	const char *groups; /* what /proc/self/cgroup says */
	const char *files[3][2];
	int         want;
} cases[] = {
	/* version 2: the group has none, the one around it has one and a half */
	{ "0::/a/b\n",
	  { { "a/b/cpu.max", "max 100000\n" }, { "a/cpu.max", "150000 100000\n" } },
	  2 },
	{ "0::/a/b\n",
	  { { "a/b/cpu.max", "300000 100000\n" }, { "cpu.max", "400000 100000\n" } },
	  3 },
	/* a container sees its own group as the root, under either name */
	{ "0::/\n", { { "cpu.max", "50000 100000\n" } }, 1 },
	{ "0::/../other\n", { { "cpu.max", "700000 100000\n" } }, 7 },
	/* version 1, beside an empty version 2 */
	{ "5:cpuset:/x\n4:cpu,cpuacct:/docker/x\n0::/\n",
	  { { "cpu/cpu.cfs_quota_us", "300000\n" }, { "cpu/cpu.cfs_period_us", "100000\n" } },
	  3 },
	{ "4:cpuacct,cpu:/x\n",
	  { { "cpu/x/cpu.cfs_quota_us", "200000\n" }, { "cpu/x/cpu.cfs_period_us", "100000\n" } },
	  2 },
	{ "4:cpu:/x\n",
	  { { "cpu/x/cpu.cfs_quota_us", "-1\n" }, { "cpu/x/cpu.cfs_period_us", "100000\n" } },
	  0 },
	{ "4:cpuacct,cpuset:/\n",
	  { { "cpu/cpu.cfs_quota_us", "200000\n" }, { "cpu/cpu.cfs_period_us", "100000\n" } },
	  0 },
	/* what makes no sense is no quota */
	{ "0::/\n", { { "cpu.max", "100000 0\n" } }, 0 },
	{ "0::/\n", { { "cpu.max", "many\n" } }, 0 },
	{ "0::/\n", { { "cpu.max", "9000000000000000000 1\n" } }, 0 },
	{ "nothing\n\n0:\n", { { "cpu.max", "100000 100000\n" } }, 0 },
	{ "", { { "cpu.max", "100000 100000\n" } }, 0 },
};

START_TEST(the_tightest_quota_around_the_process_counts)
	{
		char groups[512], folder[512];

		snprintf(groups, sizeof groups, "%s",
		         temp_write("groups", cases[_i].groups, strlen(cases[_i].groups)));
		for (int i = 0; i < 3 && cases[_i].files[i][0]; i++) {
			const char *path = cases[_i].files[i][0], *text = cases[_i].files[i][1];

			snprintf(folder, sizeof folder, "%s", temp_path(path));
			*strrchr(folder, '/') = '\0';
			ck_assert_int_eq(rt_mkdir_all(folder, NULL), 0);
			temp_write(path, text, strlen(text));
		}
		ck_assert_int_eq(cpus_quota(groups, temp_folder), cases[_i].want);
	}
END_TEST

START_TEST(without_groups_there_is_no_quota_and_always_a_processor)
	{
		ck_assert_int_eq(cpus_quota(temp_path("none"), temp_folder), 0);
		ck_assert_int_ge(cpus_allowed(), 1);
	}
END_TEST

RUNNER("cpus", 10, tcase_add_checked_fixture(tc, temp_begin, temp_end);
       TABLE_TEST(tc, the_tightest_quota_around_the_process_counts, cases);
       tcase_add_test(tc, without_groups_there_is_no_quota_and_always_a_processor);)
