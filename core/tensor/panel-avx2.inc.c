/* panel-avx2.inc.c - panels times rows of integers by AVX2.  See panel.h for what stands where.
 *
 * vpmaddubsw adds two products u * q in 16 bits: with u of b bits at most 2 (2^b - 1) 127.  Small
 * types add several of them before they go on to 32 bits.  8 bits would overflow at once: there
 * |u - 128| is multiplied by q with its sign, so the zero is taken off already.  Of 16 bits
 * vpmaddwd adds two products in 32.
 *
 * Up to four rows of activations; of these half a panel, eight rows of weights, at a time where the
 * sums in 16 bits take registers, too.  With one row, memory is the limit: what comes AHEAD bytes
 * later is asked for, as the loads of a group are too few to keep it busy.  Those of 16 bits are
 * not: they were slower with it. */
#define PANEL_OF(name) panel_avx2_##name
#define PANELS_HERE(X) PANEL_LAYOUTS_ALL(X)

enum { AHEAD = 2048, PANEL_ALONE = 50000 };

/* u of one quad of a group, in the eight rows from w on; of 8 bits u - 128, of 16 those of a pair. */
static inline __attribute__((always_inline)) __m256i quad_avx2(const uint8_t *w, const int bits,
                                                               const int s)
{
	__m256i x, plane;

	if (bits == 16)
		return _mm256_loadu_si256((const __m256i *)(w + 64 * s));
	if (bits == 8)
		return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(w + 64 * s)),
		                        _mm256_set1_epi8(-128));
	x = _mm256_loadu_si256((const __m256i *)(w + 64 * (s % 4)));
	x = _mm256_and_si256(s < 4 ? x : _mm256_srli_epi16(x, 4), _mm256_set1_epi8(15));
	if (bits == 5) { /* bit s of the plane to bit 4 */
		plane = _mm256_loadu_si256((const __m256i *)(w + 256));
		plane = s < 4 ? _mm256_slli_epi16(plane, 4 - s) : _mm256_srli_epi16(plane, s - 4);
		x = _mm256_or_si256(x, _mm256_and_si256(plane, _mm256_set1_epi8(16)));
	} else if (bits == 6) { /* bits 2 (s mod 4) and the next to bits 4 and 5 */
		plane = _mm256_loadu_si256((const __m256i *)(w + 256 + 64 * (s / 4)));
		plane = s % 4 < 2 ? _mm256_slli_epi16(plane, 4 - 2 * (s % 4))
		                  : _mm256_srli_epi16(plane, 2 * (s % 4) - 4);
		x = _mm256_or_si256(x, _mm256_and_si256(plane, _mm256_set1_epi8(48)));
	}
	return x;
}

/* Scales or mins. */
static inline __m256 halves_avx2(const int bits, const uint16_t *p)
{
	const __m128i x = _mm_loadu_si128((const __m128i *)p);

	if (bits == 16) /* bf16 */
		return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
	return _mm256_cvtph_ps(x);
}

/* a + b, here: left alone, gcc makes a tree of a chain of sums, which no set of registers holds. */
static inline __m256i plus_avx2(__m256i a, __m256i b)
{
	a = _mm256_add_epi32(a, b);
	__asm__("" : "+x"(a));
	return a;
}

/* Some quads of a group: the sums in 32 bits of each row, for eight rows of weights or, with two
 * sides, sixteen. */
static inline __attribute__((always_inline)) void quads_avx2(const int bits, const uint8_t *w,
                                                             const int first, const int count,
                                                             const int sides, const char *q,
                                                             const int rows, __m256i *dot)
{
	/* Quads whose sums fit 16 bits. */
	const int     fit = bits == 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1;
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i       part[8];

	UNROLL
	for (int t = 0; t < count; t++) {
		const bool begin = t % fit == 0, end = t + 1 == count || (t + 1) % fit == 0;

		UNROLL
		for (int i = 0; i < rows * sides; i++) {
			const int     r = i / sides;
			const __m256i u = quad_avx2(w + 32 * (i % sides), bits, first + t);
			__m256i       two;
			int32_t       four;

			memcpy(&four, q + 4 * (t * rows + r), sizeof four);
			two = _mm256_set1_epi32(four);
			if (bits == 16) {
				dot[i] = plus_avx2(dot[i], _mm256_madd_epi16(u, two));
				continue;
			}
			two = bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(u),
			                                       _mm256_sign_epi8(two, u))
			                : _mm256_maddubs_epi16(u, two);
			part[i] = begin ? two : _mm256_add_epi16(part[i], two);
			if (end)
				dot[i] = plus_avx2(dot[i], _mm256_madd_epi16(part[i], ones));
		}
	}
}

/* Rows 8 side to 8 side + 7 of the panel, or with two sides all.  Float sums leave the registers to
 * those of integers for most of a group. */
static inline __attribute__((always_inline)) void
rows_avx2(const int bits, const bool min, const bool half, const uint8_t *w, const int side,
          const int sides, int64_t groups, const struct input_rows *a, const int rows, float *ret)
{
	const int halves = half ? 2 : 1, quads = (bits == 16 ? 16 : 8) / halves,
		  scales = PANEL_ROWS * (halves << min),
		  ahead = rows == 1 && bits < 16 ? 64 * bits + 2 * scales : 0;
	__m256 sum[8];

	UNROLL
	for (int i = 0; i < rows * sides; i++)
		sum[i] = _mm256_setzero_ps();
	for (int64_t g = 0; g < groups; g++, w += 64 * bits + 2 * scales) {
		const uint16_t *scale = (const uint16_t *)w + side;

		UNROLL
		for (int line = 0; line < ahead; line += 64)
			_mm_prefetch((const char *)w + AHEAD + line, _MM_HINT_T0);
		UNROLL
		for (int h = 0; h < halves; h++) {
			const int64_t at = (halves * g + h) * rows;
			__m256i       dot[8];

			UNROLL
			for (int i = 0; i < rows * sides; i++)
				dot[i] = bits >= 8 ? _mm256_setzero_si256()
				                   : _mm256_set1_epi32(a->less[at + i / sides]);
			quads_avx2(bits, w + 2 * scales + 4 * side, h * quads, quads, sides,
			           a->q + 4 * quads * at, rows, dot);
			UNROLL
			for (int i = 0; i < rows * sides; i++) {
				const __m256 d =
					halves_avx2(bits, scale + h * PANEL_ROWS + 8 * (i % sides));
				const __m256 x = _mm256_set1_ps(a->scale[g * rows + i / sides]);

				sum[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[i]),
				                         _mm256_mul_ps(d, x), sum[i]);
			}
			const int mins = min ? rows * sides : 0;

			UNROLL
			for (int i = 0; i < mins; i++)
				sum[i] = _mm256_fnmadd_ps(
					halves_avx2(bits, scale + (halves + h) * PANEL_ROWS +
				                                  8 * (i % sides)),
					_mm256_set1_ps(a->sum[at + i / sides]), sum[i]);
		}
	}
	UNROLL
	for (int i = 0; i < rows * sides; i++)
		_mm256_storeu_ps(ret + i / sides * PANEL_ROWS + 8 * (i % sides), sum[i]);
}

static int panel_block(int64_t rows)
{
	return rows >= 4 ? 4 : 1;
}

#define PANEL_FN(name, bits, min, half)                                                            \
	static void panel_avx2_##name(const uint8_t *w, int64_t groups,                            \
	                              const struct input_rows *a, int rows, float *ret)            \
	{                                                                                          \
		const int sides = bits >= 8 ? 2 : 1;                                               \
                                                                                                   \
		if (rows == 1)                                                                     \
			rows_avx2(bits, min, half, w, 0, 2, groups, a, 1, ret);                    \
		else                                                                               \
			for (int side = 0; side < 16; side += 8 * sides)                           \
				rows_avx2(bits, min, half, w, side, sides, groups, a, 4,           \
				          ret + side);                                             \
	}

PANELS_HERE(PANEL_FN)
