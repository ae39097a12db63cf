/* kernels-vnni.c - the kernels for AVX-512 with VNNI: integer products by one instruction. */
#include <immintrin.h>

#include "tensor/kernels.h"

#ifndef KERNELS /* kernels-bf16.c includes this */
#define KERNELS kernels_vnni
#define ISA     "avx512-vnni"
#endif
#define VBYTES       64
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MR           14
#define NV           2
#define INT8_DOTS    int8_dots_vnni

/* vpdpbusd multiplies unsigned by signed: weights are taken as w + 128, and 128 times the sum
 * of the activations is taken off again, together with the mins.  Each of its 16 sums runs
 * over four neighbours, so four of them share a group's scale. */
static inline __m512 spread(__m128 s)
{
	const __m512i index = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);

	return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(s));
}

/* Scales of activations, one for 32, as one for 16. */
static inline __m512 twice(const float *scale, int64_t n)
{
	const __m512i index = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
	const __m256  s = _mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1u), scale);

	return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(s));
}

static void int8_dots_vnni(const struct affine *w, bool min, int64_t n, const int8_t *q,
                           const float *scale, const int16_t *sums, int64_t ld, int64_t rows,
                           float *ret)
{
	const __mmask16 groups = (__mmask16)((1u << n / 16) - 1u);
	const __m512    ws = _mm512_maskz_loadu_ps(groups, w->scale);
	const __m512    wm = min ? _mm512_maskz_loadu_ps(groups, w->min) : _mm512_setzero_ps();
	const __m512    less = _mm512_fmadd_ps(ws, _mm512_set1_ps(128.0f), wm);

	for (int64_t r = 0; r < rows; r++) {
		const int8_t *x = q + r * ld;
		const __m512  as = twice(scale + r * (ld / INT8_GROUP), n / INT8_GROUP);
		const __m512i counts = _mm512_cvtepi16_epi32(
			_mm256_maskz_loadu_epi16(groups, sums + r * (ld / AFFINE_GROUP)));
		__m512 sum = _mm512_mul_ps(_mm512_mul_ps(less, as), _mm512_cvtepi32_ps(counts));
		float  s[16];

		_mm512_storeu_ps(s, _mm512_mul_ps(ws, as));
		sum = _mm512_sub_ps(_mm512_setzero_ps(), sum);
		for (int64_t i = 0; i < n; i += 64) {
			const __mmask64 k =
				n - i >= 64 ? ~(__mmask64)0 : ~(__mmask64)0 >> (64 - (n - i));
			const __m512i u = _mm512_xor_si512(_mm512_maskz_loadu_epi8(k, w->q + i),
			                                   _mm512_set1_epi8(-128));
			const __m512i a = _mm512_maskz_loadu_epi8(k, x + i);
			const __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), u, a);

			sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot),
			                      spread(_mm_loadu_ps(s + i / 16)), sum);
		}
		ret[r] += _mm512_reduce_add_ps(sum);
	}
}

#define DOT32(u, s) _mm256_dpbusd_epi32(_mm256_setzero_si256(), u, s)

#include "tensor/direct-avx2.inc.c"
#include "tensor/kernels.inc.c"
