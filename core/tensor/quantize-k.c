/* quantize-k.c - q2_k to q6_k, iq4_nl and iq4_xs: fit.h finds the numbers, this packs them. */
#include "tensor/fit.h"
#include "tensor/quantize.h"

#include <string.h>

const int8_t block_iq4_levels[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
	                              1,    13,   25,  38,  53,  69,  89,  113 };

static void put16(uint8_t *p, uint16_t x)
{
	p[0] = (uint8_t)x;
	p[1] = (uint8_t)(x >> 8);
}

/* Two-bit numbers as q2_k and q3_k store them: 32 bytes hold 4 x 32 of them. */
static void put_pairs(const struct fit *f, int offset, uint8_t *p)
{
	memset(p, 0, 64);
	for (int i = 0; i < FIT_N; i++)
		p[i / 128 * 32 + i % 32] |= (uint8_t)((f->q[i] + offset) & 3) << 2 * (i / 32 % 4);
}

/* Nibbles of 64: low ones the first 32, high ones the rest. */
static void put_nibbles(const struct fit *f, uint8_t *p)
{
	for (int b = 0; b < 4; b++)
		for (int i = 0; i < 32; i++)
			p[32 * b + i] = (uint8_t)((f->q[64 * b + i] & 15) |
			                          (f->q[64 * b + 32 + i] & 15) << 4);
}

static void put_q2_k(const struct fit *f, uint8_t *p)
{
	for (int j = 0; j < 16; j++)
		p[j] = (uint8_t)(f->scale[j] | f->min[j] << 4);
	put_pairs(f, 0, p + 16);
	put16(p + 80, f->d);
	put16(p + 82, f->dmin);
}

static void put_q3_k(const struct fit *f, uint8_t *p)
{
	uint8_t *s = p + 96;

	memset(p, 0, 110);
	for (int i = 0; i < FIT_N; i++)
		p[i % 32] |= (uint8_t)((f->q[i] >= 0) << i / 32);
	put_pairs(f, 4, p + 32);
	for (int j = 0; j < 16; j++) {
		const int v = f->scale[j] + 32;

		s[j % 8] |= (uint8_t)((v & 15) << 4 * (j / 8));
		s[8 + j % 4] |= (uint8_t)(v >> 4 << 2 * (j / 4));
	}
	put16(p + 108, f->d);
}

static void put_scales_k4(const struct fit *f, uint8_t *p)
{
	uint8_t *s = p + 4;

	put16(p, f->d);
	put16(p + 2, f->dmin);
	for (int j = 0; j < 4; j++) {
		const int scale = f->scale[j + 4], min = f->min[j + 4];

		s[j] = (uint8_t)(f->scale[j] | scale >> 4 << 6);
		s[j + 4] = (uint8_t)(f->min[j] | min >> 4 << 6);
		s[j + 8] = (uint8_t)((scale & 15) | (min & 15) << 4);
	}
}

static void put_q4_k(const struct fit *f, uint8_t *p)
{
	put_scales_k4(f, p);
	put_nibbles(f, p + 16);
}

static void put_q5_k(const struct fit *f, uint8_t *p)
{
	put_scales_k4(f, p);
	memset(p + 16, 0, 32);
	for (int i = 0; i < FIT_N; i++)
		p[16 + i % 32] |= (uint8_t)(f->q[i] >> 4 << i / 32);
	put_nibbles(f, p + 48);
}

static void put_q6_k(const struct fit *f, uint8_t *p)
{
	for (int half = 0; half < 2; half++)
		for (int i = 0; i < 32; i++) {
			const int8_t *q = f->q + 128 * half + i;
			const int     a = q[0] + 32, b = q[32] + 32, c = q[64] + 32, d = q[96] + 32;

			p[64 * half + i] = (uint8_t)((a & 15) | (c & 15) << 4);
			p[64 * half + 32 + i] = (uint8_t)((b & 15) | (d & 15) << 4);
			p[128 + 32 * half + i] =
				(uint8_t)(a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6);
		}
	for (int j = 0; j < 16; j++)
		p[192 + j] = (uint8_t)f->scale[j];
	put16(p + 208, f->d);
}

static void put_codes(const int8_t *q, uint8_t *p)
{
	for (int i = 0; i < 16; i++)
		p[i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

static void put_iq4_nl(const struct fit *f, uint8_t *p)
{
	put16(p, f->d);
	put_codes(f->q, p + 2);
}

static void put_iq4_xs(const struct fit *f, uint8_t *p)
{
	unsigned high = 0;

	memset(p, 0, 8);
	put16(p, f->d);
	for (int j = 0; j < 8; j++) {
		const int v = f->scale[j] + 32;

		p[4 + j / 2] |= (uint8_t)((v & 15) << 4 * (j % 2));
		high |= (unsigned)(v >> 4) << 2 * j;
		put_codes(f->q + 32 * j, p + 8 + 16 * j);
	}
	put16(p + 2, (uint16_t)high);
}

/* A sub-block whose importance is zero everywhere would be fitted to nothing. */
static void weights(const float *importance, int64_t at, int n, float *w)
{
	float top = 0.0f;

	for (int i = 0; i < n; i++)
		top = importance && importance[at + i] > top ? importance[at + i] : top;
	for (int i = 0; i < n; i++)
		w[i] = top > 0.0f ? importance[at + i] / top + 1e-6f : 1.0f;
}

static const struct fit_levels levels_q3_k = { -4, 3, NULL, 16, -32, 31 };
static const struct fit_levels levels_q6_k = { -32, 31, NULL, 16, -128, 127 };
static const struct fit_levels levels_iq4_nl = { 0, 15, block_iq4_levels, 32, 1, 1 };
static const struct fit_levels levels_iq4_xs = { 0, 15, block_iq4_levels, 32, -32, 31 };
static const struct fit_affine levels_q2_k = { 3, 16, 15 };
static const struct fit_affine levels_q4_k = { 15, 32, 63 };
static const struct fit_affine levels_q5_k = { 31, 32, 63 };

#define QUANTIZE(type, form, bytes, block)                                                         \
	void quantize_##type(const float *src, int64_t n, const float *importance, void *dst)      \
	{                                                                                          \
		for (int64_t b = 0; b < n / (block); b++) {                                        \
			struct fit f = { 0 };                                                      \
			float      w[FIT_N];                                                       \
                                                                                                   \
			weights(importance, b *(block), block, w);                                 \
			fit_##form(&levels_##type, src + b * (block), w, block, &f);               \
			put_##type(&f, (uint8_t *)dst + b * (bytes));                              \
		}                                                                                  \
	}

QUANTIZE(q2_k, affine, 84, 256)
QUANTIZE(q3_k, symmetric, 110, 256)
QUANTIZE(q4_k, affine, 144, 256)
QUANTIZE(q5_k, affine, 176, 256)
QUANTIZE(q6_k, symmetric, 210, 256)
QUANTIZE(iq4_nl, symmetric, 18, 32)
QUANTIZE(iq4_xs, symmetric, 136, 256)
