/* direct-avx2.inc.c - q8_0 and q4_0 rows times int8 rows without unpacking them first; included
 * by the tables that have AVX2.  DOT32(u, s): eight sums of four products each, u unsigned.
 *
 * Memory is the limit of a product with one row; this keeps up with it. */
#include "tensor/half.h"

#define DIRECT 1

static inline __m256i bytes_q8_0(const uint8_t *block)
{
	return _mm256_loadu_si256((const __m256i *)(block + 2));
}

static inline __m256i bytes_q4_0(const uint8_t *block)
{
	const __m128i x = _mm_loadu_si128((const __m128i *)(block + 2));
	const __m256i both = _mm256_set_m128i(_mm_srli_epi16(x, 4), x);

	return _mm256_sub_epi8(_mm256_and_si256(both, _mm256_set1_epi8(15)), _mm256_set1_epi8(8));
}

static inline float sum_lanes(__m256 v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_movehdup_ps(s));
	return _mm_cvtss_f32(s);
}

/* `rows` is a constant wherever this is inlined; even and odd blocks have sums of their own. */
#define DIRECT_ROWS(type, size)                                                                    \
	static inline __attribute__((always_inline)) void block_##type(                            \
		const uint8_t *w, const int8_t *q, const float *scale, int64_t ld, const int rows, \
		__m256 *sum)                                                                       \
	{                                                                                          \
		const __m256i x = bytes_##type(w), u = _mm256_abs_epi8(x);                         \
		const float   d = f16_to_f32((uint16_t)(w[0] | w[1] << 8));                        \
                                                                                                   \
		for (int r = 0; r < rows; r++) {                                                   \
			const __m256i y = _mm256_loadu_si256((const __m256i *)(q + r * ld));       \
			const __m256  dot = _mm256_cvtepi32_ps(DOT32(u, _mm256_sign_epi8(y, x)));  \
			const __m256  s = _mm256_set1_ps(d * scale[r * (ld / 32)]);                \
                                                                                                   \
			sum[r] = _mm256_fmadd_ps(dot, s, sum[r]);                                  \
		}                                                                                  \
	}                                                                                          \
	static inline __attribute__((always_inline)) void rows_##type(                             \
		const uint8_t *w, int64_t n, const int8_t *q, const float *scale, int64_t ld,      \
		const int rows, float *ret)                                                        \
	{                                                                                          \
		__m256  even[4], odd[4];                                                           \
		int64_t b = 0;                                                                     \
                                                                                                   \
		for (int r = 0; r < rows; r++)                                                     \
			even[r] = odd[r] = _mm256_setzero_ps();                                    \
		for (; b + 2 <= n / 32; b += 2) {                                                  \
			block_##type(w + b * (size), q + 32 * b, scale + b, ld, rows, even);       \
			block_##type(w + (b + 1) * (size), q + 32 * b + 32, scale + b + 1, ld,     \
			             rows, odd);                                                   \
		}                                                                                  \
		if (b < n / 32)                                                                    \
			block_##type(w + b * (size), q + 32 * b, scale + b, ld, rows, even);       \
		for (int r = 0; r < rows; r++)                                                     \
			ret[r] += sum_lanes(_mm256_add_ps(even[r], odd[r]));                       \
	}                                                                                          \
	static void direct_##type(const void *w, int64_t n, const int8_t *q, const float *scale,   \
	                          int64_t ld, int64_t rows, float *ret)                            \
	{                                                                                          \
		for (; rows >= 4; rows -= 4, q += 4 * ld, scale += 4 * (ld / 32), ret += 4)        \
			rows_##type(w, n, q, scale, ld, 4, ret);                                   \
		for (; rows > 0; rows--, q += ld, scale += ld / 32, ret++)                         \
			rows_##type(w, n, q, scale, ld, 1, ret);                                   \
	}

DIRECT_ROWS(q8_0, 34)
DIRECT_ROWS(q4_0, 18)
