/* pool.h - what retort/parallel.h does not tell plugins of the pool of threads. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

/* How long it takes to give another thread work and to hear that it is done, in seconds, when that
 * thread looks about for some: the least of some tries, made on the first call, within 2 ms.  A
 * tenth of a microsecond or several, by where the processors are; INFINITY where the others have
 * too much else to do, or could not be started; 0 when there is one thread.  [any] */
double pool_hand_over(void);

#endif
