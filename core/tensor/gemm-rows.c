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

		if (kn->dots[p->b.dtype]) {
			kn->dots[p->b.dtype](a + k, p->a.row, rows, row, n, s);
		} else {
			kn->load[p->b.dtype](row, n, buffer);
			kn->dots[RT_F32](a + k, p->a.row, rows, buffer, n, s);
		}
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
