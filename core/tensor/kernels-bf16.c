/* kernels-bf16.c - the kernels for AVX-512 with VNNI and BF16: products of bf16 by pairs. */
#include <immintrin.h>

#include "tensor/kernels.h"

#define KERNELS   kernels_bf16
#define ISA       "avx512-bf16"
#define GEMM_BF16 gemm_bf16 /* and what else is declared here */

static gemm_fn          gemm_bf16;
static pack_fn          pack_bf16, pack_across_bf16;
static panel_fn         panel_tight, panel_loose;
static panel_tighten_fn panel_tighten;
static panel_loosen_fn  panel_loosen;
static void             bf16_row(const float *x, int64_t n, uint16_t *q);

#include "tensor/kernels-vnni.c"

/* gemm() with vdpbf16ps, which adds both products of a pair to a float; operands that are
 * subnormal count as 0. */
static void gemm_bf16(int64_t k, const struct strip *a, const float *b, float *c, int64_t ldc,
                      bool add)
{
	const int64_t ld = a->row, step = a->k;
	const float  *threes[THREES];
	vec           acc[MR][NV] = { { { 0 } } };

	find_threes(a, threes);
	for (int64_t p = 0; p < k; p++, b += NR) {
		__m512bh row[NV];

		UNROLL
		for (int j = 0; j < NV; j++)
			row[j] = (__m512bh)vload(b + j * LANES);
		UNROLL
		for (int i = 0; i < MR; i++) {
			const __m512bh x = (__m512bh)_mm512_set1_ps(threes[i / 3][i % 3 * ld]);

			UNROLL
			for (int j = 0; j < NV; j++)
				acc[i][j] = _mm512_dpbf16_ps(acc[i][j], x, row[j]);
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

/* Rows become rows of pairs, which are packed as if they were floats. */
static void pack_bf16(const float *src, int64_t ld, int count, int width, int64_t k, float *dst)
{
	enum { STRETCH = 64, LD = STRETCH / 2 + 8 };
	float pairs[NR * LD];

	for (int64_t first = 0; first < k; first += STRETCH, dst += STRETCH / 2 * width) {
		const int n = k - first < STRETCH ? (int)(k - first) : STRETCH;

		for (int i = 0; i < count; i++)
			for (int p = 0; p < n; p += LANES) {
				const __mmask16 some =
					(__mmask16)(n - p < LANES ? (1 << (n - p)) - 1 : -1);
				const __m512 x =
					_mm512_maskz_loadu_ps(some, src + i * ld + first + p);

				_mm256_storeu_si256((__m256i *)(pairs + i * LD + p / 2),
				                    (__m256i)_mm512_cvtneps_pbh(x));
			}
		pack(pairs, LD, count, width, (n + 1) / 2, dst);
	}
}

/* Two lines, rounded, woven into each other. */
static inline __m512 weave(__m512 even, __m512 odd)
{
	const __m512i order =
		_mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
	                         7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

	return (__m512)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

static void pack_across_bf16(const float *src, int64_t ld, int count, int width, int64_t k,
                             float *dst)
{
	for (int first = 0; first < width; first += LANES) {
		const int       in = count - first, out = width - first;
		const __mmask16 from = (__mmask16)(in >= LANES ? -1 : in > 0 ? (1 << in) - 1 : 0);
		const __mmask16 to = (__mmask16)(out >= LANES ? -1 : (1 << out) - 1);
		const float    *x = src + first;
		float          *y = dst + first;

		for (int64_t p = 0; p < k; p += 2, x += 2 * ld, y += width) {
			const __mmask16 odd = p + 1 < k ? from : 0;

			_mm512_mask_storeu_ps(y, to,
			                      weave(_mm512_maskz_loadu_ps(from, x),
			                            _mm512_maskz_loadu_ps(odd, x + ld)));
		}
	}
}

/* Subnormal numbers become 0. */
static void bf16_row(const float *x, int64_t n, uint16_t *q)
{
	for (int64_t i = 0; i < n; i += LANES) {
		const __mmask16 some = (__mmask16)(n - i < LANES ? (1 << (n - i)) - 1 : -1);

		_mm256_mask_storeu_epi16(
			q + i, some,
			(__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, x + i)));
	}
}

#include "tensor/panel-bf16.inc.c"
