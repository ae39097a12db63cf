/* retort/tensor.h - tensors are views; one entry to matrix products; block quantization.
 *
 * A tensor here is a view: shape, strides and borrowed bytes.  Nothing in this header
 * allocates what it returns, so a view is passed by value, cut and turned freely, and is
 * never released.
 *
 * Invariants
 *   Dimensions run from the outermost to the innermost; unused ones are 1.  Strides count
 *   elements, not bytes, and are int64_t like every size: a product of batch, tokens and
 *   vocabulary passes 2^31 easily.
 *   Block-quantized storage packs `block` neighbours into one block of `bytes`.  One
 *   dimension, the blocked one, has stride 1 and a size that is a multiple of the block; the
 *   other strides are multiples of the block.  It is the last dimension until a view is
 *   transposed.
 *
 * Determinism
 *   Every function gives the same bits on every run and for any number of threads.  Between
 *   instruction sets (see rt_isa()) products of length K differ by no more than
 *   K * 2^-23 * sum |a||b|, because sums are ordered differently. */
#ifndef RETORT_TENSOR_H
#define RETORT_TENSOR_H

#include <retort/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RT_MAX_DIM = 4 };

/* Storage types.  The numbers are those of GGUF files ("ggml type"), whatever the file; the
 * gaps are types of GGUF that are not supported. */
enum rt_dtype {
	RT_F32 = 0,
	RT_F16 = 1,
	RT_Q4_0 = 2,
	RT_Q4_1 = 3,
	RT_Q5_0 = 6,
	RT_Q5_1 = 7,
	RT_Q8_0 = 8,
	RT_Q2_K = 10,
	RT_Q3_K = 11,
	RT_Q4_K = 12,
	RT_Q5_K = 13,
	RT_Q6_K = 14,
	RT_IQ4_NL = 20,
	RT_IQ4_XS = 23,
	RT_I8 = 24,
	RT_I16 = 25,
	RT_I32 = 26,
	RT_I64 = 27,
	RT_F64 = 28,
	RT_BF16 = 30,
	RT_DTYPES = 31 /* one more than the largest number */
};

struct rt_dtype_info {
	const char *name;  /* lower case: "f32", "q4_k" */
	int64_t     block; /* elements that are stored together; 1 for plain numbers */
	int64_t     bytes; /* of one block */
	bool        to_float, from_float; /* rt_dequantize(), rt_quantize() take it */
};

/* NULL for a number that is not one of enum rt_dtype. [any] */
const struct rt_dtype_info *rt_dtype_info(int64_t dtype);

/* By name, in either case; -1 when there is no such type. [any] */
int rt_dtype_find(const char *name);

/* ---- views ---------------------------------------------------------------------------- */

struct rt_tensor {
	void    *data;               /* borrowed; 64-byte alignment is faster, not required */
	int64_t  dim[RT_MAX_DIM];    /* outermost first */
	int64_t  stride[RT_MAX_DIM]; /* in elements; 0 repeats the same elements */
	int32_t  ndim;               /* 1 to RT_MAX_DIM */
	uint32_t dtype;              /* enum rt_dtype */
};

/* A dense view of data.  Use rt_tensor_init() where the shape comes from outside; this one
 * trusts its caller.  Missing dimensions: rt_vector(p, n), rt_matrix(p, rows, columns). [any] */
struct rt_tensor rt_tensor(void *data, enum rt_dtype dtype, int ndim, const int64_t *dim);
struct rt_tensor rt_vector(const float *data, int64_t n);
struct rt_tensor rt_matrix(const float *data, int64_t rows, int64_t columns);

/* The same, checked: RT_E_SHAPE for a dimension below 0, a product that leaves int64_t, or
 * a last dimension that is no multiple of the block; RT_E_UNSUP for an unknown type. [any] */
int rt_tensor_init(struct rt_tensor *t, int64_t dtype, int ndim, const int64_t *dim, void *data,
                   struct rt_error *err);

/* Elements; bytes that a dense tensor of this shape and type takes. [any] */
int64_t rt_numel(const struct rt_tensor *t);
int64_t rt_bytes(const struct rt_tensor *t);

/* Are the elements one after another, in order? [any] */
bool rt_is_dense(const struct rt_tensor *t);

/* Swap two dimensions; keep [first, first + count) of one; drop one by fixing its index.
 * Views of the same bytes.  A cut through the blocked dimension starts at a block. [any] */
struct rt_tensor rt_transpose(struct rt_tensor t, int a, int b);
struct rt_tensor rt_slice(struct rt_tensor t, int dim, int64_t first, int64_t count);
struct rt_tensor rt_select(struct rt_tensor t, int dim, int64_t index);

/* Where element `index` (in elements, block-aligned for block types) of the storage is. [any] */
void *rt_at(const struct rt_tensor *t, int64_t index);

/* ---- storage types ---------------------------------------------------------------------- */

/* n elements of storage to float, n a multiple of the block.  Block types give the same bits
 * as the reference implementation (ggml). RT_E_UNSUP, RT_E_SHAPE. [any] */
int rt_dequantize(int64_t dtype, const void *src, int64_t n, float *dst, struct rt_error *err);

/* rows x columns floats to storage, columns a multiple of the block.  q8_0, q4_0, q4_1, q5_0
 * and q5_1 give the reference's bits.  The others minimise the squared error, each column
 * weighted by importance[column] (mean square of the activation it meets) where that is not
 * NULL; it must then be finite and >= 0.  Uses all threads.  RT_E_NUMERIC when src or
 * importance is not finite (dst is then unspecified). [any] */
int rt_quantize(int64_t dtype, const float *src, int64_t rows, int64_t columns,
                const float *importance, void *dst, struct rt_error *err);

/* Any view to a dense tensor of the same shape in another plain type or block type. [any] */
int rt_convert(const struct rt_tensor *src, struct rt_tensor *dst, struct rt_error *err);

/* ---- products --------------------------------------------------------------------------- */

enum rt_matmul_flags {
	/* RT_E_NUMERIC if a result is infinite or not a number. */
	RT_MATMUL_CHECK = 1,
	/* Each row of c is the same bits for any number of rows beside it: what one sequence
	 * gets does not depend on the others.  ROWS is fast for few rows, MANY for many; their
	 * bits differ. */
	RT_MATMUL_ROWS = 2,
	RT_MATMUL_MANY = 4,
	/* Elements of a (times alpha) and of b are rounded to bf16, the nearest, ties to even;
	 * their products are added as f32.  With u = 2^-8, half a step of bf16, a result of length
	 * K is within (2u + u^2 + K 2^-23) sum |a||b| of the exact one; operands below 2^-126 may
	 * count as 0.  About twice as fast as f32 where the processor multiplies bf16
	 * ("avx512-bf16"); the same numbers, in another order, at the speed of f32 elsewhere.
	 * Rows do not depend on one another. */
	RT_MATMUL_BF16 = 8
};

struct rt_matmul_options {
	float                   alpha, beta;
	const struct rt_tensor *bias;  /* f32 [n], added to every row; or NULL */
	unsigned                flags; /* enum rt_matmul_flags */
};

#define RT_MATMUL_DEFAULT                                                                          \
	{                                                                                          \
		1.0f, 0.0f, NULL, 0                                                                \
	}

/* c = alpha * a b + beta * c + bias; the one entry to matrix products.
 *
 * a is [..., m, k], b is [..., k, n], c is f32 [..., m, n].  Leading dimensions of a and b
 * that are 1 (or missing) repeat along those of c.  A transpose is a view: weights w of a
 * linear layer are stored [n, k] and go in as rt_transpose(w, 0, 1), block types too.  a and
 * b may be any type that rt_dequantize() takes; block types want the blocked dimension along
 * k.  Arithmetic is f32, but for flags.  c overlaps nothing; with beta = 0 what it held does not
 * matter. options NULL means RT_MATMUL_DEFAULT.
 *
 * RT_E_SHAPE, RT_E_UNSUP (types), RT_E_NOMEM, RT_E_NUMERIC (when asked).  Uses all threads;
 * may be called inside a piece of rt_parallel(). [any] */
int rt_matmul(const struct rt_tensor *a, const struct rt_tensor *b, const struct rt_tensor *c,
              const struct rt_matmul_options *options, struct rt_error *err);

/* ---- instruction sets --------------------------------------------------------------------- */

/* Choose the kernels, once: RETORT_ISA=generic|avx2|avx512|neon in the environment, else the
 * best that this processor has.  RT_E_USAGE for a name that is unknown or that the processor
 * lacks.  A program calls it at its start; without that the first kernel chooses, and falls
 * back to the best where the wish cannot be met. [any] */
int rt_isa_init(struct rt_error *err);

/* The name of what was chosen: "generic", "avx2", "avx512", "avx512-vnni", "avx512-bf16" or
 * "neon". [any] */
const char *rt_isa(void);

/* What multiplies f32 matrices, in one clause for a log: "own kernels" where there are some
 * for this processor, else "OpenBLAS 0.3.21 (Core2)", or why that is not used. [any] */
const char *rt_blas(void);

#endif
