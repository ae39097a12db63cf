/* fault.c - see fault.h */
#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { NONE, ALLOC, FULL, KILL, CANCEL };

static const char *const names[] = {
	[NONE] = "none", [ALLOC] = "alloc", [FULL] = "full", [KILL] = "kill", [CANCEL] = "cancel"
};

static enum kind   wanted;
static long        at;
static atomic_long allocs, disk_ops, questions;

int fault_set(const char *wish, struct rt_error *err)
{
	const char *colon = wish ? strchr(wish, ':') : NULL;
	char       *end;

	atomic_store(&allocs, 0);
	atomic_store(&disk_ops, 0);
	atomic_store(&questions, 0);
	wanted = NONE;
	if (!wish || !*wish)
		return 0;
	for (enum kind k = ALLOC; colon && k <= CANCEL; k++) {
		if (strlen(names[k]) != (size_t)(colon - wish) ||
		    strncmp(wish, names[k], strlen(names[k])) != 0)
			continue;
		errno = 0;
		at = strtol(colon + 1, &end, 10);
		if (errno || *end || end == colon + 1 || at < 1)
			break;
		wanted = k;
		return 0;
	}
	return rt_fail(err, RT_E_USAGE,
	               "RETORT_FAULT = '%s': write alloc:N, full:N, kill:N or cancel:N, N from 1",
	               wish);
}

bool fault_alloc(void)
{
	if (wanted != ALLOC)
		return false;
	return atomic_fetch_add(&allocs, 1) + 1 == at;
}

bool fault_disk(void)
{
	long n;

	if (wanted != FULL && wanted != KILL)
		return false;
	n = atomic_fetch_add(&disk_ops, 1) + 1;
	if (wanted == KILL && n == at)
		kill(getpid(), SIGKILL);
	if (wanted == FULL && n >= at) {
		errno = ENOSPC;
		return true;
	}
	return false;
}

bool fault_cancel(void)
{
	return wanted == CANCEL && atomic_fetch_add(&questions, 1) + 1 == at;
}

long fault_seen_allocs(void)
{
	return atomic_load(&allocs);
}

long fault_seen_disk(void)
{
	return atomic_load(&disk_ops);
}
