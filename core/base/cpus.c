/* cpus.c - see cpus.h */
#define _GNU_SOURCE /* sched_getaffinity() */
#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CPUS = 1 << 16, PATH = 4096 };

/* One number of a file, or two. */
static bool read_numbers(const char *folder, const char *file, long long *a, long long *b)
{
	char  path[PATH + 32];
	FILE *f;
	int   got;

	snprintf(path, sizeof path, "%s/%s", folder, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	got = b ? fscanf(f, "%lld %lld", a, b) : fscanf(f, "%lld", a);
	fclose(f);
	return got == (b ? 2 : 1);
}

/* Microseconds that a group may compute in each period; none in either version's words (max, -1),
 * or where there is no such group. */
static int quota_of(const char *folder)
{
	long long quota = 0, period = 0;

	if (!read_numbers(folder, "cpu.max", &quota, &period) &&
	    (!read_numbers(folder, "cpu.cfs_quota_us", &quota, NULL) ||
	     !read_numbers(folder, "cpu.cfs_period_us", &period, NULL)))
		return 0;
	if (quota <= 0 || period <= 0 || quota / period >= MOST_CPUS)
		return 0;
	return (int)(quota / period + (quota % period != 0));
}

/* The least of the quotas from the group `path` up to the root; path is cut on the way. */
static int tightest(const char *root, char *path)
{
	char folder[PATH];
	int  least = 0;

	for (char *slash = path; slash;) {
		int quota = 0;

		if (snprintf(folder, sizeof folder, "%s%s", root, path) < (int)sizeof folder)
			quota = quota_of(folder);
		if (quota && (!least || quota < least))
			least = quota;
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	}
	return least;
}

/* Is `name` in a list with commas? */
static bool listed(const char *list, const char *name)
{
	const size_t n = strlen(name);

	for (const char *p = list; (p = strstr(p, name)); p += n)
		if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}

int cpus_quota(const char *groups, const char *root)
{
	FILE  *f = fopen(groups, "re");
	char  *line = NULL, cpu[PATH];
	size_t room = 0;
	int    least = 0;

	if (!f || snprintf(cpu, sizeof cpu, "%s/cpu", root) >= (int)sizeof cpu) {
		if (f)
			fclose(f);
		return 0;
	}
	/* NUMBER:CONTROLLERS:PATH; version 2 has no controllers here. */
	while (getline(&line, &room, f) > 0) {
		char *which = strchr(line, ':'), *path = which ? strchr(which + 1, ':') : NULL;
		int   quota = 0;

		if (!path)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (which[1] == '\0')
			quota = tightest(root, path);
		else if (listed(which + 1, "cpu"))
			quota = tightest(cpu, path);
		if (quota && (!least || quota < least))
			least = quota;
	}
	free(line);
	fclose(f);
	return least;
}

/* The mask of a large machine does not fit a cpu_set_t. */
static int affinity(void)
{
	for (int most = CPU_SETSIZE; most <= MOST_CPUS; most *= 2) {
		cpu_set_t   *set = CPU_ALLOC((size_t)most);
		const size_t size = CPU_ALLOC_SIZE((size_t)most);
		int          n = 0;

		if (!set)
			break;
		if (sched_getaffinity(0, size, set) == 0)
			n = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (n > 0)
			return n;
	}
	return 1;
}

int cpus_allowed(void)
{
	const int n = affinity(), quota = cpus_quota("/proc/self/cgroup", "/sys/fs/cgroup");

	return quota && quota < n ? quota : n;
}
