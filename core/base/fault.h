/* base/fault.h - make failure happen, so that tests can see what follows.
 *
 * RETORT_FAULT in the environment asks for it, as KIND:N with N counted from 1:
 *
 *   alloc:N   the Nth allocation fails
 *   full:N    from the Nth write on, the disk is full (ENOSPC)
 *   kill:N    the process dies by SIGKILL in front of its Nth change to the disk
 *   cancel:N  a run is stopped, as by Ctrl-C, when a stage asks for the Nth time whether it is
 *
 * Unset, each check costs one load and one branch. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <retort/error.h>

#include <stdbool.h>

/* Read a wish; "" and NULL mean none.  RT_E_USAGE when it makes no sense. */
int fault_set(const char *wish, struct rt_error *err);

/* Must this allocation fail? [any] */
bool fault_alloc(void);

/* Call in front of every operation that changes the disk.  May not return; true when
 * the operation must fail with the errno that is set. [any] */
bool fault_disk(void);

/* Must a run be stopped now? [any] */
bool fault_cancel(void);

/* Allocations and disk operations seen since fault_set(): what a torture loop counts to. */
long fault_seen_allocs(void);
long fault_seen_disk(void);

#endif
