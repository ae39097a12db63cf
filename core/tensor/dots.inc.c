/* dots.inc.c - a few rows of floats against one row of another type; included by kernels.inc.c.
 *
 * Each keeps two vectors of sums.  All types go through the same order, so a row of bf16 gives the
 * bits of the same numbers as f32. */

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

#define DOTS(name, type, load, one)                                                                \
	static inline __attribute__((always_inline)) void name##_of(                               \
		const float *x, int64_t ld, const int rows, const type *y, int64_t n, float *ret)  \
	{                                                                                          \
		vec     s[DOT_ROWS][2] = { { { 0 } } };                                            \
		int64_t i = 0;                                                                     \
                                                                                                   \
		for (; i + 2 * LANES <= n; i += 2 * LANES) {                                       \
			const vec y0 = load(y + i), y1 = load(y + i + LANES);                      \
                                                                                                   \
			UNROLL                                                                     \
			for (int r = 0; r < rows; r++) {                                           \
				s[r][0] = FMA(vload(x + r * ld + i), y0, s[r][0]);                 \
				s[r][1] = FMA(vload(x + r * ld + i + LANES), y1, s[r][1]);         \
			}                                                                          \
		}                                                                                  \
		UNROLL                                                                             \
		for (int r = 0; r < rows; r++) {                                                   \
			float tail = 0.0f;                                                         \
                                                                                                   \
			for (int64_t j = i; j < n; j++)                                            \
				tail += x[r * ld + j] * one(y[j]);                                 \
			ret[r] = vsum(s[r][0] + s[r][1]) + tail;                                   \
		}                                                                                  \
	}                                                                                          \
	static void name(const float *x, int64_t ld, int rows, const void *y, int64_t n,           \
	                 float *ret)                                                               \
	{                                                                                          \
		switch (rows) {                                                                    \
		case 1: name##_of(x, ld, 1, y, n, ret); break;                                     \
		case 2: name##_of(x, ld, 2, y, n, ret); break;                                     \
		case 3: name##_of(x, ld, 3, y, n, ret); break;                                     \
		default: name##_of(x, ld, DOT_ROWS, y, n, ret); break;                             \
		}                                                                                  \
	}

DOTS(dots_f32, float, vload, same)
DOTS(dots_bf16, uint16_t, vload_bf16, bf16_to_f32)
#ifdef LOAD_F16
DOTS(dots_f16, uint16_t, LOAD_F16, f16_to_f32)
#endif
