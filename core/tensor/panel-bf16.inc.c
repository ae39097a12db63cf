/* panel-bf16.inc.c - panels of bf16 times rows of bf16: one instruction adds two products in each
 * of sixteen rows.  See panel.h for what stands where.
 *
 * Two panels go at once: their sums take up to 24 registers, which is more than what waits for one
 * another.  Of twelve bits each number is put together in registers, so that one row of activations
 * is as fast as memory gives three quarters of the bytes; for many rows that is done once, in the
 * cache (loose). */

/* Bytes of a pair of k in two panels of twelve bits, and how far ahead they are asked for. */
enum { TIGHT_PAIR = 2 * TIGHT_GROUP / (INT_GROUP / 2), TIGHT_AHEAD = 24576 };

/* Asks for what is to come in place of pair s of a group.  Putting twelve bits together is so many
 * instructions that the processor looks ahead over a group alone: less than what is under way from
 * memory, so the second cache is asked to have it.  Requests that are made all at once wait for one
 * another: they stand between the products, and compilers move nothing across the end. */
static inline __attribute__((always_inline)) void ask_tight(const uint8_t *group, const int s)
{
	const char *at = (const char *)group + TIGHT_AHEAD;

	UNROLL
	for (int line = (TIGHT_PAIR * s + 63) / 64 * 64; line < TIGHT_PAIR * (s + 1); line += 64)
		_mm_prefetch(at + line, _MM_HINT_T1);
	__asm__ volatile("" ::: "memory");
}

/* The exponents of a group's rows, where a pair has both of its own. */
static inline __m512i exponents_tight(const uint8_t *row)
{
	const __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)row));

	return _mm512_or_si512(_mm512_slli_epi32(x, 7), _mm512_slli_epi32(x, 23));
}

/* Pair s of a group's rows as it was. */
static inline __attribute__((always_inline)) __m512bh pair_tight(const uint8_t *w,
                                                                 __m512i exponents, const int s)
{
	const __m512i swap = _mm512_set4_epi32(0x0e0f0c0d, 0x0a0b0809, 0x06070405, 0x02030001);
	const __m512i zero = _mm512_set1_epi16(15 << 7);
	__m512i       rest = _mm512_loadu_si512(w + 192 * (s / 4) + 64 + 64 * (s / 2 % 2));
	__m512i       below = _mm512_loadu_si512(w + 192 * (s / 4));

	rest = s % 2 ? _mm512_shuffle_epi8(rest, swap) : rest;
	below = s % 4 < 2 ? _mm512_slli_epi16(below, (unsigned)(7 - 4 * (s % 4)))
	                  : _mm512_srli_epi16(below, (unsigned)(4 * (s % 4) - 7));
	below = _mm512_and_si512(below, zero);
	below = _mm512_maskz_sub_epi16(_mm512_cmpneq_epi16_mask(below, zero), exponents, below);
	return (__m512bh)_mm512_ternarylogic_epi32(rest, _mm512_set1_epi16((short)0x807f), below,
	                                           0xEA); /* rest & mask | below */
}

/* sum += a pair of each of two panels' rows times those of `rows` rows. */
static inline __attribute__((always_inline)) const char *
add_pair(__m512bh u, __m512bh v, const char *q, const int rows, __m512 *sum)
{
	UNROLL
	for (int r = 0; r < rows; r++, q += 4) {
		int32_t two;

		memcpy(&two, q, sizeof two);
		const __m512bh x = (__m512bh)_mm512_set1_epi32(two);

		sum[2 * r] = _mm512_dpbf16_ps(sum[2 * r], u, x);
		sum[2 * r + 1] = _mm512_dpbf16_ps(sum[2 * r + 1], v, x);
	}
	return q;
}

static inline __attribute__((always_inline)) void
rows_tight(const uint8_t *w, int64_t groups, const char *q, const int rows, float *ret)
{
	const uint8_t *exponents = w;
	__m512         sum[2 * PANEL_MOST];

	w += tight_head(groups);
	UNROLL
	for (int i = 0; i < 2 * rows; i++)
		sum[i] = _mm512_setzero_ps();
	for (int64_t g = 0; g < groups; g++, w += 2 * TIGHT_GROUP, exponents += PANEL_TWO) {
		const __m512i one = exponents_tight(exponents),
			      two = exponents_tight(exponents + PANEL_ROWS);

		UNROLL
		for (int s = 0; s < INT_GROUP / 2; s++) {
			ask_tight(w, s);
			q = add_pair(pair_tight(w, one, s), pair_tight(w + TIGHT_GROUP, two, s), q,
			             rows, sum);
		}
	}
	UNROLL
	for (int i = 0; i < 2 * rows; i++)
		_mm512_storeu_ps(ret + i * PANEL_ROWS, sum[i]);
}

static inline __attribute__((always_inline)) void
rows_loose(const uint8_t *w, int64_t groups, const char *q, const int rows, float *ret)
{
	__m512 sum[2 * PANEL_MOST];

	UNROLL
	for (int i = 0; i < 2 * rows; i++)
		sum[i] = _mm512_setzero_ps();
	for (int64_t s = 0; s < groups * INT_GROUP / 2; s++, w += 128)
		q = add_pair((__m512bh)_mm512_loadu_si512(w), (__m512bh)_mm512_loadu_si512(w + 64),
		             q, rows, sum);
	UNROLL
	for (int i = 0; i < 2 * rows; i++)
		_mm512_storeu_ps(ret + i * PANEL_ROWS, sum[i]);
}

#define PAIRS_OF(name)                                                                             \
	static void panel_##name(const uint8_t *w, int64_t groups, const struct input_rows *a,     \
	                         int rows, float *ret)                                             \
	{                                                                                          \
		switch (rows) {                                                                    \
		case 1: rows_##name(w, groups, a->q, 1, ret); break;                               \
		case 2: rows_##name(w, groups, a->q, 2, ret); break;                               \
		case 4: rows_##name(w, groups, a->q, 4, ret); break;                               \
		case 8: rows_##name(w, groups, a->q, 8, ret); break;                               \
		default: rows_##name(w, groups, a->q, 12, ret); break;                             \
		}                                                                                  \
	}

PAIRS_OF(tight)
PAIRS_OF(loose)

static void panel_loosen(const uint8_t *w, int64_t groups, uint8_t *dst)
{
	const uint8_t *exponents = w;

	w += tight_head(groups);
	for (int64_t g = 0; g < groups; g++, w += 2 * TIGHT_GROUP, exponents += PANEL_TWO) {
		const __m512i one = exponents_tight(exponents),
			      two = exponents_tight(exponents + PANEL_ROWS);

		UNROLL
		for (int s = 0; s < INT_GROUP / 2; s++, dst += 128) {
			ask_tight(w, s);
			_mm512_storeu_si512(dst, (__m512i)pair_tight(w, one, s));
			_mm512_storeu_si512(dst + 64, (__m512i)pair_tight(w + TIGHT_GROUP, two, s));
		}
	}
}

/* ---- packing -------------------------------------------------------------------------------- */

enum { PAIR_LINE = 2 * PANEL_ROWS, PAIR_LINES = INT_GROUP / 2, LEAST_EXPONENT = 15 };

/* The exponent that a row's numbers of a group are told from, twice, as those of a pair stand side
 * by side: that of the largest. */
static inline void pair_exponents(const uint16_t (*w)[PAIR_LINE], uint16_t *ret)
{
	uint16_t top[PAIR_LINE] = { 0 };

	for (int s = 0; s < PAIR_LINES; s++)
		for (int i = 0; i < PAIR_LINE; i++) {
			const uint16_t size = w[s][i] & 0x7fffu;

			top[i] = size > top[i] ? size : top[i];
		}
	for (int i = 0; i < PAIR_LINE; i++) {
		const uint16_t other = top[i ^ 1], most = top[i] > other ? top[i] : other;

		ret[i] = (uint16_t)(most >> 7 > LEAST_EXPONENT ? most >> 7 : LEAST_EXPONENT);
	}
}

/* Sign and fraction of a line, and how far below that its exponents are: 15 stands for 0. */
static inline void tighten_line(const uint16_t *w, const uint16_t *top, uint16_t *rest,
                                uint16_t *below)
{
	for (int i = 0; i < PAIR_LINE; i++) {
		const uint16_t exponent = w[i] >> 7 & 255, far = (uint16_t)(top[i] - exponent);
		const bool     next = far == 15 && exponent; /* half of the smallest, or more */

		below[i] = next ? 14 : far > 15 ? 15 : far;
		rest[i] = far < 15 ? w[i] & 0x807fu : next ? w[i] & 0x8000u : 0;
	}
}

static void panel_tighten(const uint8_t *pairs, int64_t groups, uint8_t *dst, uint8_t *exponents)
{
	for (int64_t g = 0; g < groups; g++, pairs += PAIR_LINES * 4 * PANEL_ROWS) {
		uint16_t w[PAIR_LINES][PAIR_LINE], top[PAIR_LINE];
		uint16_t rest[PAIR_LINES][PAIR_LINE], below[PAIR_LINES][PAIR_LINE], line[PAIR_LINE];

		memcpy(w, pairs, sizeof w);
		pair_exponents((const uint16_t(*)[PAIR_LINE])w, top);
		for (int j = 0; j < PANEL_ROWS; j++)
			exponents[j] = (uint8_t)top[2 * j];
		exponents += PANEL_TWO;
		for (int s = 0; s < PAIR_LINES; s++)
			tighten_line(w[s], top, rest[s], below[s]);
		for (int s = 0; s < PAIR_LINES; s += 4) {
			for (int i = 0; i < PAIR_LINE; i++)
				line[i] = (uint16_t)(below[s][i] | below[s + 1][i] << 4 |
				                     below[s + 2][i] << 8 | below[s + 3][i] << 12);
			memcpy(dst, line, sizeof line);
			dst += sizeof line;
			for (int t = s; t < s + 4; t += 2, dst += sizeof line) {
				for (int i = 0; i < PAIR_LINE; i++)
					line[i] = (uint16_t)(rest[t][i] | rest[t + 1][i] << 8 |
					                     rest[t + 1][i] >> 8);
				memcpy(dst, line, sizeof line);
			}
		}
		dst += TIGHT_GROUP; /* of the other panel */
	}
}
