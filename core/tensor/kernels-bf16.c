/* kernels-bf16.c - the kernels for AVX-512 with VNNI and BF16: products of bf16 by pairs. */
#include <immintrin.h>

#include "tensor/kernels.h"

#define KERNELS   kernels_bf16
#define ISA       "avx512-bf16"
#define GEMM_BF16 gemm_bf16

static gemm_fn gemm_bf16;

#include "tensor/kernels-vnni.c"

/* gemm() with vdpbf16ps, which adds both products of a pair to a float; operands that are
 * subnormal count as 0. */
static void gemm_bf16(int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add)
{
	vec acc[MR][NV] = { { { 0 } } };

	for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
		__m512bh row[NV];

		UNROLL
		for (int j = 0; j < NV; j++)
			row[j] = (__m512bh)vload(b + j * LANES);
		UNROLL
		for (int i = 0; i < MR; i++) {
			const __m512bh x = (__m512bh)_mm512_set1_ps(a[i]);

			UNROLL
			for (int j = 0; j < NV; j++)
				acc[i][j] = _mm512_dpbf16_ps(acc[i][j], x, row[j]);
		}
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
