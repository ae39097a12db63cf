/* attention-few.c - scores of a few queries against keys, as each step of an answer wants them.
 *
 * A short cache has few keys of few numbers: what counts is what is done for each of them. */
#include "tensor/attention.h"

static int at_most(int64_t left, int most)
{
	return left < most ? (int)left : most;
}

void attention_few(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                   int64_t ldb, float *c, int64_t ldc)
{
	const struct kernels *kn = kernels();

	for (int64_t j = 0; j < n; j += DOT_COLUMNS)
		for (int64_t i = 0; i < m; i += DOT_ROWS) {
			const int rows = at_most(m - i, DOT_ROWS);
			const int columns = at_most(n - j, DOT_COLUMNS);
			float     s[DOT_COLUMNS * DOT_ROWS];

			kn->dots[RT_F32](a + i * lda, lda, rows, b + j * ldb, ldb, columns, k, s);
			for (int r = 0; r < rows; r++)
				for (int x = 0; x < columns; x++)
					c[(i + r) * ldc + j + x] = s[x * DOT_ROWS + r];
		}
}
