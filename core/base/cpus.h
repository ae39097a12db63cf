/* base/cpus.h - how many processors this process may use. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* Those that it may run on, cut to what the quotas of its control groups amount to. */
int cpus_allowed(void);

/* What the quotas amount to, rounded up; 0 when there are none.  The tightest of the process's
 * group and the groups around it counts.  `groups` is /proc/self/cgroup, `root` where groups are
 * mounted: version 2 there, version 1 in its folder cpu.  A group that is mounted as the root, as
 * in a container, has a path that leads nowhere: then the root's quota is its own. */
int cpus_quota(const char *groups, const char *root);

#endif
