/* factor.c - H = V V^T with V upper triangular, from the last block to the first. */
#include "factor.h"

#include <retort/memory.h>
#include <retort/tensor.h>

#include <math.h>

enum { BLOCK = 128, STRIP = 1024 };

struct corner {
	double v[BLOCK * BLOCK], inverse[BLOCK * BLOCK];
	float  f[BLOCK * BLOCK];
};

/* The block of n rows at h, in double.  Its V replaces it; inverse gets V^-1. */
static int factor_corner(struct corner *c, float *h, int64_t n, int64_t ld, struct rt_error *err)
{
	double *v = c->v, *u = c->inverse;

	for (int64_t j = n - 1; j >= 0; j--)
		for (int64_t i = j; i >= 0; i--) {
			double sum = (double)h[i * ld + j];

			for (int64_t k = j + 1; k < n; k++)
				sum -= v[i * n + k] * v[j * n + k];
			if (i == j && !(sum > 0))
				return rt_fail(err, RT_E_NUMERIC, "not positive definite");
			v[i * n + j] = i == j ? sqrt(sum) : sum / v[j * n + j];
		}
	for (int64_t j = 0; j < n; j++)
		for (int64_t i = j; i >= 0; i--) {
			double sum = i == j;

			for (int64_t k = i + 1; k <= j; k++)
				sum -= v[i * n + k] * u[k * n + j];
			u[i * n + j] = sum / v[i * n + i];
		}
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < n; j++) {
			h[i * ld + j] = j < i ? 0 : (float)v[i * n + j];
			c->f[i * n + j] = j < i ? 0 : (float)u[i * n + j];
		}
	return 0;
}

static struct rt_tensor part(float *h, int64_t n, int64_t row, int64_t rows, int64_t col,
                             int64_t cols)
{
	return rt_slice(rt_slice(rt_matrix(h, n, n), 0, row, rows), 1, col, cols);
}

/* Above block [at, at + n): V_ak = H_ak V_kk^-T, then H_aa -= V_ak V_ak^T, its upper half. */
static int eliminate(struct corner *c, float *h, int64_t size, int64_t at, int64_t n, float *panel,
                     struct rt_error *err)
{
	const struct rt_matmul_options less = { .alpha = -1, .beta = 1 };
	const struct rt_tensor         above = part(h, size, 0, at, at, n);
	const struct rt_tensor         turned = rt_transpose(rt_matrix(c->f, n, n), 0, 1);
	const struct rt_tensor         solved = rt_matrix(panel, at, n);
	int                            r = rt_matmul(&above, &turned, &solved, NULL, err);

	for (int64_t i = 0; r == 0 && i < at; i++)
		for (int64_t j = 0; j < n; j++)
			h[i * size + at + j] = panel[i * n + j];
	for (int64_t j = 0; r == 0 && j < at; j += STRIP) {
		const int64_t          wide = at - j < STRIP ? at - j : STRIP;
		const struct rt_tensor a = rt_slice(solved, 0, 0, j + wide);
		const struct rt_tensor b = rt_transpose(rt_slice(solved, 0, j, wide), 0, 1);
		const struct rt_tensor to = part(h, size, 0, j + wide, j, wide);

		r = rt_matmul(&a, &b, &to, &less, err);
	}
	return r;
}

int factor_upper(float *h, int64_t n, struct rt_error *err)
{
	struct corner *c = rt_alloc_aligned(1, sizeof *c);
	float         *panel = rt_alloc_aligned((size_t)n, BLOCK * sizeof *panel);
	int            r = c && panel ? 0 : rt_fail_nomem(err, "a factorization");

	for (int64_t end = n, at; r == 0 && end > 0; end = at) {
		at = (end - 1) / BLOCK * BLOCK;
		r = factor_corner(c, h + at * n + at, end - at, n, err);
		if (r == 0 && at > 0)
			r = eliminate(c, h, n, at, end - at, panel, err);
	}
	rt_free(panel);
	rt_free(c);
	return r;
}
