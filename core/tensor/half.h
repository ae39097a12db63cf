/* half.h - f16 and bf16 to float and back, in plain integer arithmetic.
 *
 * Exact to float; from float rounded to nearest, ties to even; NaN stays NaN (quiet), what
 * is too large becomes infinity.  Written so that loops over them vectorize. */
#ifndef TENSOR_HALF_H
#define TENSOR_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_from_bits(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

static inline uint32_t half_to_bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

/* Exponent and fraction move into place; the bias is corrected by a subtraction that is exact
 * for subnormals, too. */
static inline float f16_to_f32(uint16_t h)
{
	const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, body = (uint32_t)(h & 0x7fffu) << 13;
	const uint32_t high = body + (112u << 23);                                   /* 127 - 15 */
	const float    low = half_from_bits(body + (113u << 23)) - 6.103515625e-05f; /* 2^-14 */
	uint32_t       r = body < (1u << 23) ? half_to_bits(low) : high;

	r = body >= (31u << 23) ? body + (224u << 23) : r; /* infinity and NaN */
	return half_from_bits(r | sign);
}

static inline uint16_t f32_to_f16(float f)
{
	const uint32_t u = half_to_bits(f), sign = u >> 16 & 0x8000u, body = u & 0x7fffffffu;
	/* Below 2^-14 the sum with one half puts the rounded fraction into the low bits. */
	const uint32_t low = half_to_bits(half_from_bits(body) + 0.5f) - 0x3f000000u;
	const uint32_t high = (body + 0xfffu + (body >> 13 & 1u) - (112u << 23)) >> 13;
	uint32_t       r = body < (113u << 23) ? low : high;

	r = body >= 0x477ff000u ? 0x7c00u : r; /* 65520 and above round to infinity */
	r = body > 0x7f800000u ? 0x7e00u : r;
	return (uint16_t)(r | sign);
}

static inline float bf16_to_f32(uint16_t h)
{
	return half_from_bits((uint32_t)h << 16);
}

static inline uint16_t f32_to_bf16(float f)
{
	const uint32_t u = half_to_bits(f);
	const uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;

	return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? u >> 16 | 0x40u : rounded);
}

#endif
