/* int8-avx2.inc.c - integer products by AVX2; included by the tables that have it and no VNNI.
 *
 * |w| times a with w's sign: products of pairs stay below 2 * 128 * 127 < 2^15, so the 16-bit
 * sums of vpmaddubsw never saturate. */
#define INT8_DOTS int8_dots_avx2

static inline float sum8(__m256 v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_movehdup_ps(s));
	return _mm_cvtss_f32(s);
}

/* One stretch of weights times one row of activations. */
static inline float dot_avx2(const struct affine *w, bool min, int64_t n, const int8_t *q,
                             const float *scale, const int16_t *sums)
{
	const __m256i ones = _mm256_set1_epi16(1);
	__m256        sum = _mm256_setzero_ps();
	float         less = 0.0f;

	for (int64_t b = 0; b < n / 32; b++) {
		const __m256i x = _mm256_loadu_si256((const __m256i *)(w->q + 32 * b));
		const __m256i y = _mm256_loadu_si256((const __m256i *)(q + 32 * b));
		const __m256i pairs =
			_mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
		const __m256 dot = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
		const __m128 low = _mm_set1_ps(w->scale[2 * b]);
		const __m128 high = _mm_set1_ps(w->scale[2 * b + 1]);
		const __m256 s =
			_mm256_mul_ps(_mm256_set_m128(high, low), _mm256_set1_ps(scale[b]));

		sum = _mm256_fmadd_ps(dot, s, sum);
		if (min)
			less += scale[b] * (w->min[2 * b] * (float)sums[2 * b] +
			                    w->min[2 * b + 1] * (float)sums[2 * b + 1]);
	}
	return sum8(sum) - less;
}

static void int8_dots_avx2(const struct affine *w, bool min, int64_t n, const int8_t *q,
                           const float *scale, const int16_t *sums, int64_t ld, int64_t rows,
                           float *ret)
{
	for (int64_t r = 0; r < rows; r++)
		ret[r] += dot_avx2(w, min, n, q + r * ld, scale + r * (ld / INT8_GROUP),
		                   sums + r * (ld / AFFINE_GROUP));
}
