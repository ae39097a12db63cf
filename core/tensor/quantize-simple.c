/* quantize-simple.c - q8_0, q4_0, q4_1, q5_0, q5_1: one scale per 32, by definition.
 *
 * The roundings and their order are those of ggml's reference quantizers, bit for bit:
 * the inverse is taken from the scale before it is rounded to f16, q8_0 rounds half away
 * from zero, the others truncate after adding an offset. */
#include "tensor/half.h"
#include "tensor/quantize.h"

#include <math.h>

enum { N = 32 };

static void put_f16(uint8_t *p, float x)
{
	const uint16_t h = f32_to_f16(x);

	p[0] = (uint8_t)h;
	p[1] = (uint8_t)(h >> 8);
}

void quantize_q8_0(const float *src, int64_t n, const float *importance, void *dst)
{
	uint8_t *p = dst;

	(void)importance;
	for (int64_t b = 0; b < n / N; b++, src += N, p += 34) {
		float top = 0.0f, scale, inverse;

		for (int i = 0; i < N; i++)
			top = fmaxf(top, fabsf(src[i]));
		scale = top / 127.0f;
		inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
		put_f16(p, scale);
		for (int i = 0; i < N; i++)
			p[2 + i] = (uint8_t)(int8_t)roundf(src[i] * inverse);
	}
}

/* How the four nibble types differ. */
struct layout {
	int  levels; /* largest number: 15 or 31 */
	bool min;    /* scale and min, or a signed scale */
	int  bytes;
};

/* The scale, and what is subtracted before scaling, of one block. */
static float range(const float *x, const struct layout *l, float *ret_min)
{
	float low = x[0], high = x[0], top = 0.0f;

	for (int i = 0; i < N; i++) {
		low = x[i] < low ? x[i] : low;
		high = x[i] > high ? x[i] : high;
		top = fabsf(x[i]) > fabsf(top) ? x[i] : top; /* the first of equals, signed */
	}
	*ret_min = l->min ? low : 0.0f;
	return l->min ? (high - low) / (float)l->levels : top / (float)-(l->levels / 2 + 1);
}

static void quantize_block(const float *x, const struct layout *l, uint8_t *p)
{
	float       min;
	const float scale = range(x, l, &min), inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
	const float offset = l->min ? 0.5f : (float)(l->levels / 2 + 1) + 0.5f;
	uint32_t    fifth = 0;
	uint8_t    *low = p + l->bytes - N / 2;

	put_f16(p, scale);
	if (l->min)
		put_f16(p + 2, min);
	for (int i = 0; i < N; i++) {
		const float y = (x[i] - min) * inverse + offset;
		const int   v = y < 0.0f ? 0 : y > (float)l->levels ? l->levels : (int)y;

		low[i % 16] = (uint8_t)(i < 16 ? v & 15 : low[i % 16] | (v & 15) << 4);
		fifth |= (uint32_t)(v >> 4) << i;
	}
	if (l->levels > 15)
		for (int i = 0; i < 4; i++)
			low[i - 4] = (uint8_t)(fifth >> 8 * i);
}

#define SIMPLE(type, levels_, min_, bytes_)                                                        \
	void quantize_##type(const float *src, int64_t n, const float *importance, void *dst)      \
	{                                                                                          \
		static const struct layout l = { levels_, min_, bytes_ };                          \
                                                                                                   \
		(void)importance;                                                                  \
		for (int64_t b = 0; b < n / N; b++)                                                \
			quantize_block(src + b * N, &l, (uint8_t *)dst + b * (bytes_));            \
	}

SIMPLE(q4_0, 15, false, 18)
SIMPLE(q4_1, 15, true, 20)
SIMPLE(q5_0, 31, false, 22)
SIMPLE(q5_1, 31, true, 24)
