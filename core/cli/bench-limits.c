/* bench-limits.c - what the machine can do at most: arithmetic, and reading memory.  See bench.h
 *
 * Best of several runs, not the median: a limit is what is never exceeded. */
#include "cli/bench.h"

#include "engine/engine.h"
#include "tensor/kernels.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum {
	DEPTH = 128, /* of panels that lie in the first cache, both of them */
	RUNS = 7,
	SIDE = 2048,
	STRETCH = 1024,   /* floats that one call reads of each row */
	SHARE = 1 << 22,  /* floats of a piece: four streams of 4 MiB */
	BLOCK_MIB = 512,  /* to read: no cache holds a large part of it */
	MEMORY_SHARE = 8, /* but at most this part of the machine's memory */
	LEAST_PIECES = 8  /* 128 MiB */
};

static const double LONG_ENOUGH = .02; /* seconds */

/* ---- arithmetic ------------------------------------------------------------------------------ */

struct bursts {
	const struct kernels *k;
	float                *at; /* a, b and c of each thread */
	int64_t               size, rounds;
};

static void multiply(void *arg, int64_t first, int64_t last)
{
	const struct bursts *p = arg;

	for (int64_t i = first; i < last; i++) {
		float *a = p->at + i * p->size, *b = a + (int64_t)DEPTH * GEMM_MAX_MR;
		float *c = b + (int64_t)DEPTH * GEMM_MAX_NR;

		for (int64_t n = 0; n < p->rounds; n++)
			p->k->gemm(DEPTH, &(struct strip){ a, 1, p->k->mr }, b, c, p->k->nr, false);
	}
}

static double time_bursts(struct bursts *p)
{
	const double begun = engine_now();

	rt_parallel(rt_threads(), 1, multiply, p);
	return engine_now() - begun;
}

static int arithmetic(double *ret, struct rt_error *err)
{
	const int     threads = rt_threads();
	struct bursts p = { .k = kernels(), .rounds = 1 };
	double        best = INFINITY;

	p.size = (int64_t)DEPTH * (GEMM_MAX_MR + GEMM_MAX_NR) + GEMM_MAX_MR * GEMM_MAX_NR;
	p.at = rt_alloc_aligned((size_t)(threads * p.size), sizeof *p.at);
	if (!p.at)
		return rt_fail_nomem(err, "panels");
	for (int64_t i = 0; i < threads * p.size; i++)
		p.at[i] = .5f;
	while (time_bursts(&p) < LONG_ENOUGH)
		p.rounds *= 2;
	for (int i = 0; i < RUNS; i++)
		best = fmin(best, time_bursts(&p));
	*ret = 2. * DEPTH * p.k->mr * p.k->nr * (double)p.rounds * threads / best;
	rt_free(p.at);
	return 0;
}

static int product(double *ret, struct rt_error *err)
{
	const size_t           n = (size_t)SIDE * SIDE;
	float                 *x = rt_alloc_aligned(3 * n, sizeof *x);
	const struct rt_tensor a = rt_matrix(x, SIDE, SIDE), b = rt_matrix(x + n, SIDE, SIDE),
			       c = rt_matrix(x + 2 * n, SIDE, SIDE);
	double best = INFINITY;
	int    r = x ? 0 : rt_fail_nomem(err, "matrices");

	for (size_t i = 0; r == 0 && i < 2 * n; i++)
		x[i] = (float)(i % 17) - 8;
	for (int i = 0; r == 0 && i < RUNS / 2; i++) {
		const double begun = engine_now();

		r = rt_matmul(&a, &b, &c, NULL, err);
		best = fmin(best, engine_now() - begun);
	}
	*ret = 2. * SIDE * SIDE * SIDE / best;
	rt_free(x);
	return r;
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct block {
	const struct kernels *k;
	float                *at, *sums, *ones;
};

static void fill(void *arg, int64_t first, int64_t last)
{
	const struct block *b = arg;

	for (int64_t i = first * SHARE; i < last * SHARE; i++)
		b->at[i] = 1;
}

/* Four rows at once, each as long as the piece allows. */
static void sum(void *arg, int64_t first, int64_t last)
{
	const struct block *b = arg;
	const int64_t       row = SHARE / DOT_ROWS;

	for (int64_t i = first; i < last; i++) {
		float all = 0, part[DOT_ROWS];

		for (int64_t k = 0; k < row; k += STRETCH) {
			b->k->dots[RT_F32](b->at + i * SHARE + k, row, DOT_ROWS, b->ones, 0, 1,
			                   STRETCH, part);
			all += part[0] + part[1] + part[2] + part[3];
		}
		b->sums[i] = all;
	}
}

static int reading(double *ret, struct rt_error *err)
{
	const double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
	const double share = (double)SHARE * sizeof(float);
	const double most = fmin(BLOCK_MIB * 1048576., machine / MEMORY_SHARE);
	/* As many for each thread. */
	const int64_t threads = rt_threads(), few = (int64_t)fmax(LEAST_PIECES, most / share);
	const int64_t n = (few + threads - 1) / threads * threads;
	struct block  b = { .k = kernels() };
	double        best = INFINITY;
	int           r = 0;

	b.at = rt_alloc_unset((size_t)n * SHARE, sizeof *b.at);
	b.sums = rt_alloc((size_t)n, sizeof *b.sums);
	b.ones = rt_alloc_aligned(STRETCH, sizeof *b.ones);
	if (!b.at || !b.sums || !b.ones)
		r = rt_fail_nomem(err, "a block to read");
	for (int64_t i = 0; r == 0 && i < STRETCH; i++)
		b.ones[i] = 1;
	if (r == 0)
		rt_parallel(n, 1, fill,
		            &b); /* by all threads: pages are near who touches them first */
	for (int i = 0; r == 0 && i < RUNS; i++) {
		const double begun = engine_now();

		rt_parallel(n, 1, sum, &b);
		best = fmin(best, engine_now() - begun);
	}
	for (int64_t i = 0; r == 0 && i < n; i++)
		if (b.sums[i] != (float)SHARE)
			r = rt_fail(err, RT_E_NUMERIC,
			            "%d ones in memory add up to %g; this machine computes wrongly",
			            SHARE, (double)b.sums[i]);
	*ret = (double)n * share / best;
	rt_free(b.at);
	rt_free(b.sums);
	rt_free(b.ones);
	return r;
}

int bench_limit(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	int r = arithmetic(&ret->limits.arithmetic, err);

	(void)j;
	if (r == 0)
		r = product(&ret->limits.product, err);
	if (r == 0)
		r = reading(&ret->limits.read, err);
	snprintf(ret->blas, sizeof ret->blas, "%s", rt_blas());
	return r;
}
