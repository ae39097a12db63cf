/* gemm.h - the parts behind rt_matmul(): own products, and those of a BLAS.
 *
 * All of them compute c = alpha a b + (c or 0), a matrix at a time: m x n, sums of length k.
 * Element (i, p) of a is at i * a.row + p * a.k; element (p, j) of b at j * b.row + p * b.k:
 * both operands look the same, "rows" that are multiplied along k. */
#ifndef TENSOR_GEMM_H
#define TENSOR_GEMM_H

#include <retort/tensor.h>

struct operand {
	const void *data;
	int64_t     dtype;
	int64_t     row, k; /* strides in elements */
};

struct product {
	int64_t        m, n, k;
	struct operand a, b;
	float         *c;
	int64_t        ldc; /* elements of c's rows are neighbours */
	float          alpha;
	bool           add;    /* to c, else c is overwritten */
	bool           serial; /* on the caller's thread alone */
	bool           bf16;   /* both operands rounded to it: gemm_packed() only */
};

/* Panels packed in cache-sized blocks and multiplied in registers (Goto and van de Geijn 2008).
 * Takes every type and stride. */
int gemm_packed(const struct product *p, struct rt_error *err);

/* Few rows of a (f32, k = 1) against rows of b (k = 1, any type), each read once. */
int gemm_rows(const struct product *p, struct rt_error *err);

/* ---- blas.c, or blas-none.c where the build has no BLAS --------------------------------- */

/* Is there a BLAS that multiplies correctly?  Tried once, on first use. [any] */
bool blas_usable(void);

/* Is it faster than gemm_packed() with the kernels in use? [any] */
bool blas_preferred(void);

/* f32 operands, one stride of each being 1, all sizes below 2^31. */
bool blas_takes(const struct product *p);
void blas_gemm(const struct product *p);

/* ---- work space --------------------------------------------------------------------------- */

/* At least `bytes`, aligned, not cleared; NULL when out of memory.  Blocks are kept for
 * the life of the process, as many as were taken at once but 64 at most, each as large as the
 * largest request that it met: the usual caller allocates nothing.  Give back what was taken. [any]
 */
void *workspace_take(size_t bytes);
void  workspace_give(void *p);

#endif
