/* numeric.h - what the tests of kernels share: numbers, comparisons, differences. */
#ifndef TESTS_TENSOR_NUMERIC_H
#define TESTS_TENSOR_NUMERIC_H

#include <retort/memory.h>

#include "tensor/kernels.h"

#include <check.h>
#include <math.h>
#include <stdint.h>

/* The same numbers everywhere, in [-1, 1). */
static inline float random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (float)(*seed >> 8) / 8388608.0f - 1.0f;
}

/* Memory of a test: kept until the process ends. */
static struct rt_arena numeric_room = RT_ARENA_INIT;

static inline float *random_floats(int64_t n, uint32_t seed)
{
	float *x = rt_arena_alloc(&numeric_room, (size_t)n, sizeof *x);

	ck_assert_ptr_nonnull(x);
	for (int64_t i = 0; i < n; i++)
		x[i] = random_next(&seed);
	return x;
}

/* |got - want| <= tolerance * largest |want|: errors relative to the tensor's size. */
static inline void close_to(const char *what, const float *got, const double *want, int64_t n,
                            double tolerance)
{
	double largest = 0.0;

	for (int64_t i = 0; i < n; i++)
		largest = fmax(largest, fabs(want[i]));
	for (int64_t i = 0; i < n; i++)
		if (!(fabs(got[i] - want[i]) <= tolerance * largest + 1e-30))
			ck_abort_msg("%s (%s): element %lld is %.9g, want %.9g", what,
			             kernels()->isa, (long long)i, (double)got[i], want[i]);
}

/* d loss / d x by central differences of a loss in double.  With h = 1e-4 the truncation is
 * about h^2 = 1e-8 and the rounding 1e-16 / h = 1e-12, relative to values of about 1. */
typedef double loss_fn(void *arg);

static inline void differences(loss_fn *loss, void *arg, double *x, int64_t n, double *ret)
{
	for (int64_t i = 0; i < n; i++) {
		const double keep = x[i], h = 1e-4;
		double       up;

		x[i] = keep + h;
		up = loss(arg);
		x[i] = keep - h;
		ret[i] = (up - loss(arg)) / (2.0 * h);
		x[i] = keep;
	}
}

static inline double *doubles(const float *x, int64_t n)
{
	double *y = rt_arena_alloc(&numeric_room, (size_t)n, sizeof *y);

	ck_assert_ptr_nonnull(y);
	for (int64_t i = 0; x && i < n; i++)
		y[i] = x[i];
	return y;
}

#endif
