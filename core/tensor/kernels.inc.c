/* kernels.inc.c - the body of all kernels, included once per instruction set.
 *
 * The including file defines
 *   KERNELS        name of the table        ISA        its name in a string
 *   VBYTES         bytes of a vector        FMA(a,b,c) a * b + c on vectors
 *   MR, NV         rows, and vectors a row, of the block of c that gemm() keeps in registers
 * and may define LOAD_F16(p), a vector of floats from f16, PANELS, a file with its own integer
 * products, and GEMM_BF16 where it has one, with pack_bf16() and pack_across_bf16().
 *
 * Loops are plain where the compiler vectorizes them.  Their sums run in sixteen lanes and
 * are added in a fixed tree, so they do not depend on the width of a vector. */
#include "tensor/kernels.h"
#include "tensor/block.h"
#include "tensor/half.h"

#include <float.h>
#include <math.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { LANES = VBYTES / 4, NR = NV * LANES, TREE = 16 };

/* 1.5 * 2^23: adding it and taking it away rounds what is below 2^22 to an integer. */
#define MAGIC 12582912.0f

typedef float vec __attribute__((vector_size(VBYTES)));
typedef float vec_loose __attribute__((vector_size(VBYTES), aligned(4), may_alias));
typedef float vec8 __attribute__((vector_size(32)));
typedef float vec4 __attribute__((vector_size(16)));
typedef float vec4_loose __attribute__((vector_size(16), aligned(4), may_alias));

static inline vec vload(const float *p)
{
	return *(const vec_loose *)p;
}

static inline void vstore(float *p, vec v)
{
	*(vec_loose *)p = v;
}

static inline vec splat(float x)
{
	return x - (vec){ 0 };
}

/* The upper half is added to the lower until one is left. */
static inline float vsum(vec v)
{
#if VBYTES == 64
	const vec8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
	               __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
	const vec  a = v;
#endif
#if VBYTES >= 32
	const vec4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) +
	               __builtin_shufflevector(a, a, 4, 5, 6, 7);
#else
	const vec4 b = a;
#endif
	const vec4 c = b + __builtin_shufflevector(b, b, 2, 3, 0, 1);

	return c[0] + c[1];
}

/* Size of the largest of a group, as the bits of a float: these are in the order of the numbers,
 * what is not finite above all others. */
static inline uint32_t largest_bits(const float *x)
{
	uint32_t top = 0;

	for (int i = 0; i < INT_GROUP; i++) {
		const uint32_t size = half_to_bits(x[i]) & 0x7fffffffu;

		top = size > top ? size : top;
	}
	return top;
}

#include "tensor/dots.inc.c"
#include "tensor/dropout.inc.c"
#include "tensor/panel-pack.inc.c"
#include "tensor/rows.inc.c"
#include "tensor/unpack.inc.c"
#ifdef PANELS
#include PANELS
#else
#include "tensor/panel.inc.c"
#endif

/* ---- products --------------------------------------------------------------------------- */

/* Where three rows of a begin: one pointer and one distance reach all of them. */
enum { THREES = (MR + 2) / 3 };

static inline void find_threes(const struct strip *a, const float *threes[THREES])
{
	UNROLL
	for (int i = 0; i < THREES; i++)
		threes[i] = a->at + 3 * i * a->row;
}

static void gemm(int64_t k, const struct strip *a, const float *b, float *c, int64_t ldc, bool add)
{
	const int64_t ld = a->row, step = a->k;
	const float  *threes[THREES];
	vec           acc[MR][NV] = { { { 0 } } };

	find_threes(a, threes);
	for (int64_t p = 0; p < k; p++, b += NR) {
		vec row[NV];

		UNROLL
		for (int j = 0; j < NV; j++)
			row[j] = vload(b + j * LANES);
		UNROLL
		for (int i = 0; i < MR; i++) {
			const vec x = splat(threes[i / 3][i % 3 * ld]);

			UNROLL
			for (int j = 0; j < NV; j++)
				acc[i][j] = FMA(x, row[j], acc[i][j]);
		}
		UNROLL
		for (int i = 0; i < THREES; i++)
			threes[i] += step;
	}
	UNROLL
	for (int i = 0; i < MR; i++) {
		UNROLL
		for (int j = 0; j < NV; j++) {
			float *at = c + i * ldc + j * LANES;

			vstore(at, add ? acc[i][j] + vload(at) : acc[i][j]);
		}
	}
}

/* Four rows by four columns at a time, turned in registers. */
static inline void turn(const float *src, int64_t ld, int width, float *dst)
{
	const vec4 r0 = *(const vec4_loose *)src, r1 = *(const vec4_loose *)(src + ld);
	const vec4 r2 = *(const vec4_loose *)(src + 2 * ld),
		   r3 = *(const vec4_loose *)(src + 3 * ld);
	const vec4 t0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
	const vec4 t1 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
	const vec4 t2 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
	const vec4 t3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);

	*(vec4_loose *)dst = __builtin_shufflevector(t0, t2, 0, 1, 4, 5);
	*(vec4_loose *)(dst + width) = __builtin_shufflevector(t0, t2, 2, 3, 6, 7);
	*(vec4_loose *)(dst + 2 * width) = __builtin_shufflevector(t1, t3, 0, 1, 4, 5);
	*(vec4_loose *)(dst + 3 * width) = __builtin_shufflevector(t1, t3, 2, 3, 6, 7);
}

static void pack(const float *src, int64_t ld, int count, int width, int64_t k, float *dst)
{
	int64_t p = 0;

	for (; p + 4 <= k; p += 4) {
		int i = 0;

		for (; i + 4 <= count; i += 4)
			turn(src + i * ld + p, ld, width, dst + p * width + i);
		if (i < count && count >= 4) { /* the last four once more */
			i = count;
			turn(src + (i - 4) * ld + p, ld, width, dst + p * width + i - 4);
		}
		for (int q = 0; q < 4; q++)
			for (int j = i; j < width; j++)
				dst[(p + q) * width + j] = j < count ? src[j * ld + p + q] : 0.0f;
	}
	for (; p < k; p++)
		for (int j = 0; j < width; j++)
			dst[p * width + j] = j < count ? src[j * ld + p] : 0.0f;
}

/* Known numbers of neighbours become a few moves of vectors. */
static void pack_across(const float *src, int64_t ld, int count, int width, int64_t k, float *dst)
{
	if (count == NR && width == NR) {
		for (int64_t p = 0; p < k; p++)
			memcpy(dst + p * NR, src + p * ld, NR * sizeof *dst);
	} else if (count == MR && width == MR) {
		for (int64_t p = 0; p < k; p++)
			memcpy(dst + p * MR, src + p * ld, MR * sizeof *dst);
	} else {
		for (int64_t p = 0; p < k; p++)
			for (int i = 0; i < width; i++)
				dst[p * width + i] = i < count ? src[p * ld + i] : 0.0f;
	}
}

static void interleave(const uint32_t *src, int64_t ld, int rows, int64_t n, uint32_t *dst)
{
	int r = 0;

	for (; r + 4 <= rows; r += 4)
		for (int64_t i = 0; i < n; i += 4) /* as vectors, which keep all bits */
			turn((const float *)src + r * ld + i, ld, rows,
			     (float *)dst + i * rows + r);
	for (; r < rows; r++)
		for (int64_t i = 0; i < n; i++)
			dst[i * rows + r] = src[r * ld + i];
}

static void bf16_round(float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = bf16_to_f32(f32_to_bf16(x[i]));
}

/* ---- integer products ------------------------------------------------------------------- */

/* How a group is rounded to integers of at most `most`: what x is multiplied by, 0 where all become
 * 0; the scale. */
static inline float round_group(const float *x, float most, float *scale)
{
	const uint32_t bits = largest_bits(x);
	const float    top = half_from_bits(bits);
	const bool     finite = bits < 0x7f800000u;

	/* What is not finite must show in all that it is multiplied with. */
	*scale = finite ? top / most : NAN;
	return finite && top > 1e-30f ? most / top : 0.0f; /* finite */
}

static void int8_row(const float *x, int64_t n, int8_t *q, float *scale, int16_t *sums)
{
	for (int64_t g = 0; g < n / INT_GROUP; g++, x += INT_GROUP, q += INT_GROUP) {
		const float inverse = round_group(x, 127.0f, &scale[g]);

		memset(q, 0, INT_GROUP * sizeof *q);
		for (int i = 0; inverse > 0.0f && i < INT_GROUP; i++)
			q[i] = (int8_t)((x[i] * inverse + MAGIC) - MAGIC);
		for (int h = 0; h < 2; h++) {
			int sum = 0;

			for (int i = 0; i < 16; i++)
				sum += q[16 * h + i];
			sums[2 * g + h] = (int16_t)sum;
		}
	}
}

static void int16_row(const float *x, int64_t n, int16_t *q, float *scale)
{
	for (int64_t g = 0; g < n / INT_GROUP; g++, x += INT_GROUP, q += INT_GROUP) {
		const float inverse = round_group(x, (float)WIDE_MOST, &scale[g]);

		memset(q, 0, INT_GROUP * sizeof *q);
		for (int i = 0; inverse > 0.0f && i < INT_GROUP; i++)
			q[i] = (int16_t)((x[i] * inverse + MAGIC) - MAGIC);
	}
}

#ifndef GEMM_BF16
static void bf16_row(const float *x, int64_t n, uint16_t *q)
{
	for (int64_t i = 0; i < n; i++)
		q[i] = f32_to_bf16(x[i]);
}
#endif

#define PANEL_ENTRY(name, bits, min, half)       [PANEL_##name] = PANEL_OF(name),
#define UNPACK_ENTRY(type, number, bytes, block) [number] = unpack_##type,
#define LOAD_ENTRY(type, number, bytes, block)   [number] = load_##type,

const struct kernels KERNELS = {
	.isa = ISA,
	.load = { BLOCK_TYPES(LOAD_ENTRY)[RT_F32] = load_f32, [RT_F16] = load_f16,
	          [RT_BF16] = load_bf16, [RT_F64] = load_f64, [RT_I8] = load_i8,
	          [RT_I16] = load_i16, [RT_I32] = load_i32, [RT_I64] = load_i64 },
	.unpack = { BLOCK_TYPES(UNPACK_ENTRY) },
	.mr = MR,
	.nr = NR,
	.gemm = gemm,
	.pack = pack,
	.dots = { [RT_F32] = dots_f32, [RT_BF16] = dots_bf16,
#ifdef LOAD_F16
	          [RT_F16] = dots_f16,
#endif
	},
	.weigh = weigh,
	.int8_row = int8_row,
	.int16_row = int16_row,
	.bf16_row = bf16_row,
	.panel = { PANELS_HERE(PANEL_ENTRY)
#ifdef GEMM_BF16
	                   [PANEL_tight] = panel_tight,
	                   [PANEL_loose] = panel_loose,
#endif
	},
	.panel_block = panel_block,
	.panel_alone = PANEL_ALONE,
	.interleave = interleave,
	.panel_pack = panel_pack,
	.panel_pack_wide = panel_pack_wide,
	.max = max_of,
	.sum_exp = sum_exp,
	.sum_squares = sum_squares,
	.sum_products = sum_products,
	.swiglu = swiglu,
	.swiglu_backward = swiglu_backward,
	.dropout = dropout,
	.pack_across = pack_across,
#ifdef GEMM_BF16
	.gemm_bf16 = GEMM_BF16,
	.pack_bf16 = pack_bf16,
	.pack_across_bf16 = pack_across_bf16,
	.panel_tighten = panel_tighten,
	.panel_loosen = panel_loosen,
#endif
	.bf16_round = bf16_round,
};
