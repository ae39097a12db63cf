/* retort/parallel.h - one pool of threads for everything: kernels, BLAS, stages.
 *
 * The caller works too, so a pool of N threads has N - 1 of its own; a call from
 * inside a piece is allowed and shares the same threads (of more than 32 calls at
 * a time, those beyond are done by their callers alone).  A child that is forked
 * after the first call has no pool and must not call; its parent goes on.  BLAS
 * runs single-threaded inside pieces; nothing else in the process starts compute
 * threads. */
#ifndef RETORT_PARALLEL_H
#define RETORT_PARALLEL_H

#include <stdint.h>

typedef void rt_piece_fn(void *arg, int64_t first, int64_t last);

/* Call fn(arg, first, last) on [0, n) cut into pieces of `grain` (the last may be
 * smaller); returns when all are done.  Which thread takes which piece varies, the
 * cuts never do: reductions that store one partial result per piece (number
 * first / grain) and add them in order give the same bits for any thread count.
 * n <= 0 does nothing; grain < 1 counts as 1. [any] */
void rt_parallel(int64_t n, int64_t grain, rt_piece_fn *fn, void *arg);

/* Threads that work on a call, the caller included: RETORT_THREADS, else the CPUs this
 * process may run on (affinity and cgroup limits respected). [any] */
int rt_threads(void);

#endif
