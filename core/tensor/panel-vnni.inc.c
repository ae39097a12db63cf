/* panel-vnni.inc.c - panels times rows of integers by VNNI: one instruction adds four products in
 * each of sixteen rows.  See panel.h for what stands where.
 *
 * Integer sums of up to PANEL_MOST rows stay in registers over a group, float sums over all.  What
 * comes AHEAD bytes later is asked for, whether it comes from memory or, for many rows, from the
 * second cache: a thread's own loads are too few to keep either busy. */
#define PANEL_OF(name) panel_vnni_##name
#define PANELS_HERE(X) PANEL_LAYOUTS_ALL(X)

enum { AHEAD = 8192, PANEL_ALONE = 150000 };

/* Asks for lines of a group to come, those that begin in bytes [from, to) of it.  Memory
 * takes few requests at a time, so for few rows, whose limit it is, they must stand between the
 * products: compilers move nothing across the end.  What few rows read is not read again soon, and
 * need not take the place of other things. */
static inline __attribute__((always_inline)) void ask_ahead(const uint8_t *group, const int from,
                                                            const int to, const int rows)
{
	const char *at = (const char *)group + AHEAD;

	UNROLL
	for (int line = (from + 63) / 64 * 64; line < to; line += 64)
		if (rows < PANEL_MOST)
			_mm_prefetch(at + line, _MM_HINT_NTA);
		else
			_mm_prefetch(at + line, _MM_HINT_T0);
	if (rows < PANEL_MOST)
		__asm__ volatile("" ::: "memory");
}

/* u of one quad of a group; of 16 bits, of a pair. */
static inline __attribute__((always_inline)) __m512i quad_vnni(const uint8_t *w, const int bits,
                                                               const int s)
{
	const __m512i low = _mm512_set1_epi8(15);
	__m512i       x, plane;

	if (bits >= 8)
		return _mm512_loadu_si512(w + 64 * s);
	x = _mm512_loadu_si512(w + 64 * (s % 4));
	x = _mm512_and_si512(s < 4 ? x : _mm512_srli_epi16(x, 4), low);
	if (bits == 5) { /* bit s of the plane to bit 4 */
		plane = _mm512_loadu_si512(w + 256);
		plane = s < 4 ? _mm512_slli_epi16(plane, (unsigned)(4 - s))
		              : _mm512_srli_epi16(plane, (unsigned)(s - 4));
		x = _mm512_ternarylogic_epi64(plane, _mm512_set1_epi8(16), x, 0xEA);
	} else if (bits == 6) { /* bits 2 (s mod 4) and the next to bits 4 and 5 */
		plane = _mm512_loadu_si512(w + 256 + 64 * (s / 4));
		plane = s % 4 < 2 ? _mm512_slli_epi16(plane, (unsigned)(4 - 2 * (s % 4)))
		                  : _mm512_srli_epi16(plane, (unsigned)(2 * (s % 4) - 4));
		x = _mm512_ternarylogic_epi64(plane, _mm512_set1_epi8(48), x, 0xEA);
	}
	return x;
}

/* Scales or mins. */
static inline __m512 halves_vnni(const int bits, const uint16_t *p)
{
	const __m256i x = _mm256_loadu_si256((const __m256i *)p);

	if (bits == 16) /* bf16 */
		return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
	return _mm512_cvtph_ps(x);
}

/* dot + the products of a quad, or pair, of each row with `four` bytes of activations. */
static inline __attribute__((always_inline)) __m512i add_vnni(const int bits, __m512i dot,
                                                              __m512i u, __m512i four)
{
	return bits == 16 ? _mm512_dpwssd_epi32(dot, u, four) : _mm512_dpbusd_epi32(dot, u, four);
}

static inline __attribute__((always_inline)) void
rows_vnni(const int bits, const bool min, const bool half, const uint8_t *w, int64_t groups,
          const struct input_rows *a, const int rows, float *ret)
{
	const int halves = half ? 2 : 1, quads = (bits == 16 ? 16 : 8) / halves,
		  scales = PANEL_ROWS * (halves << min), bytes = 64 * bits + 2 * scales;
	const char *q = a->q;
	__m512      sum[PANEL_MOST];

	UNROLL
	for (int r = 0; r < rows; r++)
		sum[r] = _mm512_setzero_ps();
	for (int64_t g = 0; g < groups; g++, w += bytes) {
		const uint16_t *scale = (const uint16_t *)w;

		UNROLL
		for (int h = 0; h < halves; h++) {
			const int64_t at = (halves * g + h) * rows;
			const __m512  d = halves_vnni(bits, scale + h * PANEL_ROWS);
			__m512i       dot[PANEL_MOST];

			UNROLL
			for (int r = 0; r < rows; r++)
				dot[r] = bits == 16 ? _mm512_setzero_si512()
				                    : _mm512_set1_epi32(a->less[at + r]);
			UNROLL
			for (int t = 0; t < quads; t++) {
				const int     s = h * quads + t;
				const __m512i u = quad_vnni(w + 2 * scales, bits, s);

				ask_ahead(w, bytes * s / (halves * quads),
				          bytes * (s + 1) / (halves * quads), rows);
				UNROLL
				for (int r = 0; r < rows; r++, q += 4) {
					int32_t four;

					memcpy(&four, q, sizeof four);
					dot[r] = add_vnni(bits, dot[r], u, _mm512_set1_epi32(four));
				}
			}
			UNROLL
			for (int r = 0; r < rows; r++) {
				const __m512 x = _mm512_set1_ps(a->scale[g * rows + r]);

				sum[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r]),
				                         _mm512_mul_ps(d, x), sum[r]);
			}
			UNROLL
			for (int r = 0; min && r < rows; r++)
				sum[r] = _mm512_fnmadd_ps(
					halves_vnni(bits, scale + (halves + h) * PANEL_ROWS),
					_mm512_set1_ps(a->sum[at + r]), sum[r]);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		_mm512_storeu_ps(ret + r * PANEL_ROWS, sum[r]);
}

static int panel_block(int64_t rows)
{
	return rows >= 12 ? 12 : rows >= 8 ? 8 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
}

#define PANEL_FN(name, bits, min, half)                                                            \
	static void panel_vnni_##name(const uint8_t *w, int64_t groups,                            \
	                              const struct input_rows *a, int rows, float *ret)            \
	{                                                                                          \
		switch (rows) {                                                                    \
		case 1: rows_vnni(bits, min, half, w, groups, a, 1, ret); break;                   \
		case 2: rows_vnni(bits, min, half, w, groups, a, 2, ret); break;                   \
		case 4: rows_vnni(bits, min, half, w, groups, a, 4, ret); break;                   \
		case 8: rows_vnni(bits, min, half, w, groups, a, 8, ret); break;                   \
		default: rows_vnni(bits, min, half, w, groups, a, 12, ret); break;                 \
		}                                                                                  \
	}

PANELS_HERE(PANEL_FN)
