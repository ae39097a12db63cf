/* gemm-rows.c - products with few rows: each row of b is read once.  See gemm.h */
#include "tensor/gemm.h"

#include <retort/parallel.h>

#include "tensor/kernels.h"

#include <string.h>

enum {
	STRETCH = 2048,  /* a multiple of every block */
	LEAST = 16,      /* rows of b that a piece takes */
	STREAM = 1 << 21 /* and bytes at most: each piece begins with misses, so it is long */
};

static const char *element(const struct operand *o, int64_t index)
{
	const struct rt_dtype_info *info = rt_dtype_info(o->dtype);

	return (const char *)o->data + index / info->block * info->bytes;
}

/* `columns` rows of b from j on against `rows` of a from i on. */
static void tile(const struct product *p, const struct kernels *kn, int64_t i, int rows, int64_t j,
                 int columns)
{
	const float *a = (const float *)p->a.data + i * p->a.row;
	const bool   direct = kn->dots[p->b.dtype] != NULL;
	float        sum[DOT_COLUMNS * DOT_ROWS] = { 0 }, buffer[DOT_COLUMNS * STRETCH];

	for (int64_t k = 0; k < p->k; k += STRETCH) {
		const int64_t n = p->k - k < STRETCH ? p->k - k : STRETCH;
		float         s[DOT_COLUMNS * DOT_ROWS] = { 0 };

		if (direct) {
			kn->dots[p->b.dtype](a + k, p->a.row, rows,
			                     element(&p->b, j * p->b.row + k), p->b.row, columns, n,
			                     s);
		} else {
			for (int c = 0; c < columns; c++)
				kn->load[p->b.dtype](element(&p->b, (j + c) * p->b.row + k), n,
				                     buffer + c * STRETCH);
			kn->dots[RT_F32](a + k, p->a.row, rows, buffer, STRETCH, columns, n, s);
		}
		for (int x = 0; x < DOT_COLUMNS * DOT_ROWS; x++)
			sum[x] += s[x];
	}
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < columns; c++) {
			float *to = p->c + (i + r) * p->ldc + j + c;

			*to = p->alpha * sum[c * DOT_ROWS + r] + (p->add ? *to : 0.0f);
		}
}

static int part(int64_t left, int most)
{
	return left < most ? (int)left : most;
}

static void rows_piece(void *arg, int64_t first, int64_t last)
{
	const struct product *p = arg;
	const struct kernels *kn = kernels();
	/* With few rows memory is the limit: one row of b after the other, so that the processor
	 * sees where it goes on.  With more, loading a is. */
	const int wide = p->m > DOT_ROWS ? DOT_COLUMNS : 1;

	for (int64_t j = first; j < last; j += wide)
		for (int64_t i = 0; i < p->m; i += DOT_ROWS)
			tile(p, kn, i, part(p->m - i, DOT_ROWS), j, part(last - j, wide));
}

int gemm_rows(const struct product *p, struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(p->b.dtype);
	const int64_t               most = STREAM * info->block / (p->k * info->bytes + 1);
	int64_t                     grain = p->n / (2 * rt_threads());

	(void)err;
	grain = grain > most ? most : grain;
	grain = grain < LEAST ? LEAST : grain;
	if (p->serial)
		rows_piece((void *)p, 0, p->n);
	else
		rt_parallel(p->n, grain, rows_piece, (void *)p);
	return 0;
}
