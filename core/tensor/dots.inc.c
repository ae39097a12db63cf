/* dots.inc.c - a few rows of floats against a few rows of another type, and sums of weighted rows;
 * included by kernels.inc.c.
 *
 * Each product keeps two vectors of sums, which are added in the same order for any number of rows
 * and columns and for all types: a row of bf16 gives the bits of the same numbers as f32. */

typedef uint16_t vec_u16 __attribute__((vector_size(VBYTES / 2), aligned(2), may_alias));
typedef uint32_t vec_u32 __attribute__((vector_size(VBYTES)));

static inline vec vload_bf16(const uint16_t *p)
{
	return (vec)(__builtin_convertvector(*(const vec_u16 *)p, vec_u32) << 16);
}

static inline float same(float x)
{
	return x;
}

/* ret[c * DOT_ROWS + r]; rows and columns are constants wherever it is inlined. */
#define DOTS_OF(name, type, load, one)                                                             \
	static inline __attribute__((always_inline)) void name##_of(                               \
		const float *x, int64_t ldx, const int rows, const type *y, int64_t ldy,           \
		const int columns, int64_t n, float *ret)                                          \
	{                                                                                          \
		vec     s[DOT_COLUMNS][DOT_ROWS][2] = { { { { 0 } } } };                           \
		int64_t i = 0;                                                                     \
                                                                                                   \
		for (; i + 2 * LANES <= n; i += 2 * LANES) {                                       \
			vec at[DOT_COLUMNS][2];                                                    \
                                                                                                   \
			UNROLL                                                                     \
			for (int c = 0; c < columns; c++) {                                        \
				at[c][0] = load(y + c * ldy + i);                                  \
				at[c][1] = load(y + c * ldy + i + LANES);                          \
			}                                                                          \
			UNROLL                                                                     \
			for (int r = 0; r < rows; r++) {                                           \
				const vec x0 = vload(x + r * ldx + i);                             \
				const vec x1 = vload(x + r * ldx + i + LANES);                     \
                                                                                                   \
				UNROLL                                                             \
				for (int c = 0; c < columns; c++) {                                \
					s[c][r][0] = FMA(x0, at[c][0], s[c][r][0]);                \
					s[c][r][1] = FMA(x1, at[c][1], s[c][r][1]);                \
				}                                                                  \
			}                                                                          \
		}                                                                                  \
		UNROLL                                                                             \
		for (int c = 0; c < columns; c++) {                                                \
			UNROLL                                                                     \
			for (int r = 0; r < rows; r++) {                                           \
				float tail = 0.0f;                                                 \
                                                                                                   \
				for (int64_t j = i; j < n; j++)                                    \
					tail += x[r * ldx + j] * one(y[c * ldy + j]);              \
				ret[c * DOT_ROWS + r] = vsum(s[c][r][0] + s[c][r][1]) + tail;      \
			}                                                                          \
		}                                                                                  \
	}

#define DOTS_CASE(name, rows, columns)                                                             \
	case rows + 8 * columns:                                                                   \
		name##_of(x, ldx, rows, y, ldy, columns, n, ret);                                  \
		break;

#define DOTS(name, type, load, one)                                                                \
	DOTS_OF(name, type, load, one)                                                             \
	static void name(const float *x, int64_t ldx, int rows, const void *y, int64_t ldy,        \
	                 int columns, int64_t n, float *ret)                                       \
	{                                                                                          \
		switch (rows + 8 * columns) {                                                      \
			DOTS_CASE(name, 1, 1)                                                      \
			DOTS_CASE(name, 2, 1)                                                      \
			DOTS_CASE(name, 3, 1)                                                      \
			DOTS_CASE(name, 4, 1)                                                      \
			DOTS_CASE(name, 1, 2)                                                      \
			DOTS_CASE(name, 2, 2)                                                      \
			DOTS_CASE(name, 3, 2)                                                      \
		default: name##_of(x, ldx, DOT_ROWS, y, ldy, DOT_COLUMNS, n, ret); break;          \
		}                                                                                  \
	}

DOTS(dots_f32, float, vload, same)
DOTS(dots_bf16, uint16_t, vload_bf16, bf16_to_f32)
#ifdef LOAD_F16
DOTS(dots_f16, uint16_t, LOAD_F16, f16_to_f32)
#endif

/* `vectors` of them from `at` on. */
static inline __attribute__((always_inline)) void weigh_vectors(const float *weight, int64_t rows,
                                                                const float *x, int64_t ld,
                                                                const int vectors, float *y)
{
	vec sum[4];

	UNROLL
	for (int v = 0; v < vectors; v++)
		sum[v] = vload(y + v * LANES);
	for (int64_t r = 0; r < rows; r++) {
		const vec w = splat(weight[r]);

		UNROLL
		for (int v = 0; v < vectors; v++)
			sum[v] = FMA(w, vload(x + r * ld + v * LANES), sum[v]);
	}
	UNROLL
	for (int v = 0; v < vectors; v++)
		vstore(y + v * LANES, sum[v]);
}

static void weigh(const float *weight, int64_t rows, const float *x, int64_t ld, float *y,
                  int64_t n)
{
	int64_t i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
		weigh_vectors(weight, rows, x + i, ld, 4, y + i);
	for (; i + LANES <= n; i += LANES)
		weigh_vectors(weight, rows, x + i, ld, 1, y + i);
	for (; i < n; i++)
		for (int64_t r = 0; r < rows; r++)
			y[i] += weight[r] * x[r * ld + i];
}
