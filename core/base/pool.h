/* pool.h - what retort/parallel.h does not tell plugins of the pool of threads. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <retort/error.h>

/* Is RETORT_THREADS, where it is set, a number that there can be?  For a program to ask once, at
 * its start: the pool itself goes by the processors when it is none.  RT_E_USAGE, or 0.  [any] */
int pool_check(struct rt_error *err);

/* How long it takes to give another thread work and to hear that it is done, in seconds, when that
 * thread looks about for some: the least of some tries, made on the first call, within 2 ms.  A
 * tenth of a microsecond or several, by where the processors are; INFINITY where the others have
 * too much else to do, or could not be started; 0 when there is one thread.  [any] */
double pool_hand_over(void);

#endif
