/* unpack.inc.c - every storage type to plain numbers; included by kernels.inc.c.
 *
 * Layouts are those of GGUF (ggml): a block type becomes small integers with a scale and a
 * min per group of 16, in such a way that scale * q - min rounds exactly as ggml's own
 * dequantization does. */

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Blocks of 32 take two groups. */
static void group32(struct affine *w, int64_t block, float scale, float min)
{
	w->scale[2 * block] = w->scale[2 * block + 1] = scale;
	w->min[2 * block] = w->min[2 * block + 1] = min;
}

/* Low nibbles are the first half of a block, high nibbles the second. */
static void nibbles(const uint8_t *src, int offset, int8_t *q)
{
	for (int i = 0; i < 16; i++) {
		q[i] = (int8_t)((src[i] & 15) - offset);
		q[i + 16] = (int8_t)((src[i] >> 4) - offset);
	}
}

/* The same with a fifth bit out of a 32-bit mask. */
static void nibbles5(const uint8_t *src, uint32_t mask, int offset, int8_t *q)
{
	for (int i = 0; i < 16; i++) {
		q[i] = (int8_t)(((src[i] & 15) | (int)(mask >> i << 4 & 16)) - offset);
		q[i + 16] = (int8_t)((src[i] >> 4 | (int)(mask >> (i + 16) << 4 & 16)) - offset);
	}
}

/* The f16 that begins each of up to eight blocks, as the scales of their groups. */
static void scales32(const uint8_t *p, int64_t bytes, int64_t n, struct affine *w)
{
	for (int64_t b = 0; b < n / 32; b++) {
#if defined(__F16C__)
		const float d = _cvtsh_ss(u16(p + b * bytes));
#else
		const float d = f16_to_f32(u16(p + b * bytes));
#endif

		group32(w, b, d, 0.0f);
	}
}

static void unpack_q8_0(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;

	scales32(p, 34, n, w);
	for (int64_t b = 0; b < n / 32; b++)
		memcpy(w->q + 32 * b, p + 34 * b + 2, 32);
}

static void unpack_q4_0(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;

	scales32(p, 18, n, w);
	for (int64_t b = 0; b < n / 32; b++)
		nibbles(p + 18 * b + 2, 8, w->q + 32 * b);
}

static void unpack_q4_1(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;

	for (int64_t b = 0; b < n / 32; b++, p += 20) {
		group32(w, b, f16_to_f32(u16(p)), -f16_to_f32(u16(p + 2)));
		nibbles(p + 4, 0, w->q + 32 * b);
	}
}

static void unpack_q5_0(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;

	for (int64_t b = 0; b < n / 32; b++, p += 22) {
		group32(w, b, f16_to_f32(u16(p)), 0.0f);
		nibbles5(p + 6, u32(p + 2), 16, w->q + 32 * b);
	}
}

static void unpack_q5_1(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;

	for (int64_t b = 0; b < n / 32; b++, p += 24) {
		group32(w, b, f16_to_f32(u16(p)), -f16_to_f32(u16(p + 2)));
		nibbles5(p + 8, u32(p + 4), 0, w->q + 32 * b);
	}
}

static void codebook(const uint8_t *src, int8_t *q)
{
	for (int i = 0; i < 16; i++) {
		q[i] = block_iq4_levels[src[i] & 15];
		q[i + 16] = block_iq4_levels[src[i] >> 4];
	}
}

static void unpack_iq4_nl(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;

	scales32(p, 18, n, w);
	for (int64_t b = 0; b < n / 32; b++)
		codebook(p + 18 * b + 2, w->q + 32 * b);
}

/* d, high scale bits (2 each), low scale bits (4 each), nibbles. */
static void unpack_iq4_xs(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;
	const float    d = f16_to_f32(u16(p));

	(void)n; /* one block is AFFINE long */
	for (int b = 0; b < 8; b++) {
		const int low = p[4 + b / 2] >> 4 * (b % 2) & 15, high = u16(p + 2) >> 2 * b & 3;

		group32(w, b, d * (float)((low | high << 4) - 32), 0.0f);
		codebook(p + 8 + 16 * b, w->q + 32 * b);
	}
}

/* scales and mins (4 bits each), 2-bit numbers, d, dmin. */
static void unpack_q2_k(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src, *q = p + 16;
	const float    d = f16_to_f32(u16(p + 80)), dmin = f16_to_f32(u16(p + 82));

	(void)n;
	for (int g = 0; g < 16; g++) {
		w->scale[g] = d * (float)(p[g] & 15);
		w->min[g] = dmin * (float)(p[g] >> 4);
	}
	for (int b = 0; b < 8; b++)
		for (int i = 0; i < 32; i++)
			w->q[32 * b + i] = (int8_t)(q[b / 4 * 32 + i] >> 2 * (b % 4) & 3);
}

/* third bits, 2-bit numbers, scales (6 bits each), d. */
static void unpack_q3_k(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src, *q = p + 32, *s = p + 96;
	const float    d = f16_to_f32(u16(p + 108));

	(void)n;
	for (int g = 0; g < 16; g++) {
		const int low = s[g % 8] >> 4 * (g / 8) & 15,
			  high = s[8 + g % 4] >> 2 * (g / 4) & 3;

		w->scale[g] = d * (float)((low | high << 4) - 32);
		w->min[g] = 0.0f;
	}
	for (int b = 0; b < 8; b++)
		for (int i = 0; i < 32; i++) {
			const int low = q[b / 4 * 32 + i] >> 2 * (b % 4) & 3, third = p[i] >> b & 1;

			w->q[32 * b + i] = (int8_t)(low + 4 * third - 4);
		}
}

/* Scales and mins of q4_k and q5_k: eight of each in 6 bits, the last four split. */
static void scales_k4(const uint8_t *p, struct affine *w)
{
	const float    d = f16_to_f32(u16(p)), dmin = f16_to_f32(u16(p + 2));
	const uint8_t *s = p + 4;

	for (int b = 0; b < 8; b++) {
		const int scale = b < 4 ? s[b] & 63 : (s[b + 4] & 15) | s[b - 4] >> 6 << 4;
		const int min = b < 4 ? s[b + 4] & 63 : s[b + 4] >> 4 | s[b] >> 6 << 4;

		group32(w, b, d * (float)scale, dmin * (float)min);
	}
}

static void unpack_q4_k(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src, *q = p + 16;

	(void)n;
	scales_k4(p, w);
	for (int b = 0; b < 4; b++)
		for (int i = 0; i < 32; i++) {
			w->q[64 * b + i] = (int8_t)(q[32 * b + i] & 15);
			w->q[64 * b + 32 + i] = (int8_t)(q[32 * b + i] >> 4);
		}
}

static void unpack_q5_k(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src, *high = p + 16, *q = p + 48;

	(void)n;
	scales_k4(p, w);
	for (int b = 0; b < 4; b++)
		for (int i = 0; i < 32; i++) {
			const int h = high[i] >> 2 * b;

			w->q[64 * b + i] = (int8_t)((q[32 * b + i] & 15) | (h & 1) << 4);
			w->q[64 * b + 32 + i] = (int8_t)(q[32 * b + i] >> 4 | (h & 2) << 3);
		}
}

/* low 4 bits, high 2 bits, int8 scales, d. */
static void unpack_q6_k(const void *src, int64_t n, struct affine *w)
{
	const uint8_t *p = src;
	const float    d = f16_to_f32(u16(p + 208));

	(void)n;
	for (int g = 0; g < 16; g++) {
		w->scale[g] = d * (float)(int8_t)p[192 + g];
		w->min[g] = 0.0f;
	}
	for (int half = 0; half < 2; half++) {
		const uint8_t *low = p + 64 * half, *high = p + 128 + 32 * half;
		int8_t        *q = w->q + 128 * half;

		for (int i = 0; i < 32; i++) {
			const int h = high[i];

			q[i] = (int8_t)(((low[i] & 15) | (h & 3) << 4) - 32);
			q[i + 32] = (int8_t)(((low[i + 32] & 15) | (h >> 2 & 3) << 4) - 32);
			q[i + 64] = (int8_t)((low[i] >> 4 | (h >> 4 & 3) << 4) - 32);
			q[i + 96] = (int8_t)((low[i + 32] >> 4 | (h >> 6) << 4) - 32);
		}
	}
}

/* scale * q - min, in this order of roundings. */
static void affine_floats(const struct affine *w, int64_t n, float *dst)
{
	for (int64_t g = 0; g < n / AFFINE_GROUP; g++) {
		const float s = w->scale[g], m = w->min[g];

		for (int i = 0; i < AFFINE_GROUP; i++)
			dst[16 * g + i] = s * (float)w->q[16 * g + i] - m;
	}
}

#define LOAD_BLOCKS(type, number, bytes, block)                                                    \
	static void load_##type(const void *src, int64_t n, float *dst)                            \
	{                                                                                          \
		struct affine w;                                                                   \
                                                                                                   \
		for (int64_t i = 0; i < n; i += AFFINE) {                                          \
			const int64_t part = n - i < AFFINE ? n - i : AFFINE;                      \
                                                                                                   \
			unpack_##type((const uint8_t *)src + i / (block) * (bytes), part, &w);     \
			affine_floats(&w, part, dst + i);                                          \
		}                                                                                  \
	}

BLOCK_TYPES(LOAD_BLOCKS)

static void load_f32(const void *src, int64_t n, float *dst)
{
	memcpy(dst, src, (size_t)n * sizeof *dst);
}

/* Plain numbers need not be aligned in a file, so they are copied out one by one, which
 * compilers turn into ordinary loads. */
#define LOAD_NUMBERS(name, type, convert)                                                          \
	static void load_##name(const void *src, int64_t n, float *dst)                            \
	{                                                                                          \
		for (int64_t i = 0; i < n; i++) {                                                  \
			type x;                                                                    \
                                                                                                   \
			memcpy(&x, (const char *)src + i * (int64_t)sizeof x, sizeof x);           \
			dst[i] = convert(x);                                                       \
		}                                                                                  \
	}

LOAD_NUMBERS(f16, uint16_t, f16_to_f32)
LOAD_NUMBERS(bf16, uint16_t, bf16_to_f32)
LOAD_NUMBERS(f64, double, (float))
LOAD_NUMBERS(i8, int8_t, (float))
LOAD_NUMBERS(i16, int16_t, (float))
LOAD_NUMBERS(i32, int32_t, (float))
LOAD_NUMBERS(i64, int64_t, (float))
