/* gemm-rows.c - products with few rows: each row of b is read once.  See gemm.h */
#include "tensor/gemm.h"

#include <retort/parallel.h>

#include "tensor/kernels.h"

#include <string.h>

enum { STRETCH = 2048, GRAIN = 64 }; /* a multiple of every block; rows of b a piece takes */

static const char *element(const struct operand *o, int64_t index)
{
	const struct rt_dtype_info *info = rt_dtype_info(o->dtype);

	return (const char *)o->data + index / info->block * info->bytes;
}

static void put(const struct product *p, int64_t i, int64_t j, float sum)
{
	float *c = p->c + i * p->ldc + j;

	*c = p->alpha * sum + (p->add ? *c : 0.0f);
}

/* Row j of b against rows [i, i + rows) of a. */
static void row_by_rows(const struct product *p, const struct kernels *kn, int64_t j, int64_t i,
                        int rows)
{
	const float *a = (const float *)p->a.data + i * p->a.row;
	float        sum[DOT_ROWS] = { 0 }, buffer[STRETCH];

	for (int64_t k = 0; k < p->k; k += STRETCH) {
		const int64_t n = p->k - k < STRETCH ? p->k - k : STRETCH;
		const void   *row = element(&p->b, j * p->b.row + k);
		float         s[DOT_ROWS];

		if (p->b.dtype != RT_F32)
			kn->load[p->b.dtype](row, n, buffer);
		kn->dots(a + k, p->a.row, rows, p->b.dtype == RT_F32 ? row : buffer, n, s);
		for (int r = 0; r < rows; r++)
			sum[r] += s[r];
	}
	for (int r = 0; r < rows; r++)
		put(p, i + r, j, sum[r]);
}

static void rows_piece(void *arg, int64_t first, int64_t last)
{
	const struct product *p = arg;
	const struct kernels *kn = kernels();

	for (int64_t j = first; j < last; j++)
		for (int64_t i = 0; i < p->m; i += DOT_ROWS)
			row_by_rows(p, kn, j, i, p->m - i < DOT_ROWS ? (int)(p->m - i) : DOT_ROWS);
}

int gemm_rows(const struct product *p, struct rt_error *err)
{
	(void)err;
	if (p->serial)
		rows_piece((void *)p, 0, p->n);
	else
		rt_parallel(p->n, GRAIN, rows_piece, (void *)p);
	return 0;
}

/* ---- 8-bit activations ------------------------------------------------------------------ */

enum {
	INT8_ROWS = 64,        /* rows of a that share one unpacking of b */
	AHEAD = 8,             /* stretches of AFFINE that are unpacked together */
	ROUND_GRAIN = 1 << 15, /* activations that one piece of work rounds */
	INT8_GRAIN = 1 << 16   /* weights that one piece multiplies */
};

struct int8_job {
	const struct product *p;
	const struct kernels *kernels;
	int8_t               *q;
	float                *scale;
	int16_t              *sums;
};

static void round_rows(void *arg, int64_t first, int64_t last)
{
	const struct int8_job *j = arg;
	const struct product  *p = j->p;

	for (int64_t i = first; i < last; i++)
		j->kernels->int8_row((const float *)p->a.data + i * p->a.row, p->k, j->q + i * p->k,
		                     j->scale + i * (p->k / INT8_GROUP),
		                     j->sums + i * (p->k / AFFINE_GROUP));
}

static bool has_min(int64_t dtype)
{
	return dtype == RT_Q4_1 || dtype == RT_Q5_1 || dtype == RT_Q2_K || dtype == RT_Q4_K ||
	       dtype == RT_Q5_K;
}

/* One row of b against some rows of a: unpacked AHEAD stretches at a time, because vectors that
 * are loaded right after they were stored in parts stall. */
static void int8_row(const struct int8_job *j, const char *row, int64_t i, int64_t rows, float *sum)
{
	const struct product *p = j->p;
	const int64_t         bytes = element(&p->b, AFFINE) - element(&p->b, 0);
	const bool            min = has_min(p->b.dtype);
	struct affine         w[AHEAD];

	if (j->kernels->direct[p->b.dtype]) {
		j->kernels->direct[p->b.dtype](row, p->k, j->q + i * p->k,
		                               j->scale + i * (p->k / INT8_GROUP), p->k, rows, sum);
		return;
	}
	for (int64_t k = 0; k < p->k; k += AHEAD * AFFINE) {
		const int64_t last = p->k - k < AHEAD * AFFINE ? p->k : k + AHEAD * AFFINE;

		for (int64_t c = k; c < last; c += AFFINE, row += bytes)
			j->kernels->unpack[p->b.dtype](row, last - c < AFFINE ? last - c : AFFINE,
			                               &w[(c - k) / AFFINE]);
		for (int64_t c = k; c < last; c += AFFINE) {
			const int64_t at = i * p->k + c;

			j->kernels->int8_dots(&w[(c - k) / AFFINE], min,
			                      last - c < AFFINE ? last - c : AFFINE, j->q + at,
			                      j->scale + at / INT8_GROUP,
			                      j->sums + at / AFFINE_GROUP, p->k, rows, sum);
		}
	}
}

static void int8_piece(void *arg, int64_t first, int64_t last)
{
	const struct int8_job *j = arg;
	const struct product  *p = j->p;

	for (int64_t n = first; n < last; n++)
		for (int64_t i = 0; i < p->m; i += INT8_ROWS) {
			const int64_t rows = p->m - i < INT8_ROWS ? p->m - i : INT8_ROWS;
			float         sum[INT8_ROWS] = { 0 };

			int8_row(j, element(&p->b, n * p->b.row), i, rows, sum);
			for (int64_t r = 0; r < rows; r++)
				put(p, i + r, n, sum[r]);
		}
}

int gemm_int8(const struct product *p, struct rt_error *err)
{
	struct int8_job j = { .p = p, .kernels = kernels() };
	const int64_t   n = p->m * p->k;

	j.scale = workspace_take((size_t)(n / INT8_GROUP) * sizeof *j.scale +
	                         (size_t)(n / AFFINE_GROUP) * sizeof *j.sums + (size_t)n);
	if (!j.scale)
		return rt_fail_nomem(err, "a matrix product");
	j.sums = (int16_t *)(j.scale + n / INT8_GROUP);
	j.q = (int8_t *)(j.sums + n / AFFINE_GROUP);
	if (p->serial) {
		round_rows(&j, 0, p->m);
		int8_piece(&j, 0, p->n);
	} else {
		rt_parallel(p->m, 1 + ROUND_GRAIN / p->k, round_rows, &j);
		rt_parallel(p->n, 1 + INT8_GRAIN / p->k, int8_piece, &j);
	}
	workspace_give(j.scale);
	return 0;
}
