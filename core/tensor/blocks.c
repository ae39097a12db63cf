/* blocks.c - see retort/blocks.h
 *
 * In memory a block is its scale as f16, then for q8_0 code - 128 as signed bytes; for q4_0 16
 * bytes with code i in the lower and code i + 16 in the upper half; q5_0 has the fifth bits of all
 * 32 codes in four bytes between the two. */
#include <retort/blocks.h>
#include <retort/tensor.h>

#include "tensor/half.h"

enum { N = 32 };

int64_t rt_block_bits(int64_t dtype)
{
	return dtype == RT_Q4_0 ? 4 : dtype == RT_Q5_0 ? 5 : dtype == RT_Q8_0 ? 8 : 0;
}

static void put_codes(int64_t bits, const uint8_t *q, uint8_t *p)
{
	uint32_t fifth = 0;

	for (int i = 0; bits == 8 && i < N; i++)
		p[i] = (uint8_t)(q[i] - 128);
	if (bits == 8)
		return;
	for (int i = 0; i < N; i++)
		fifth |= (uint32_t)(q[i] >> 4 & 1) << i;
	for (int i = 0; bits == 5 && i < 4; i++)
		*p++ = (uint8_t)(fifth >> 8 * i);
	for (int i = 0; i < N / 2; i++)
		p[i] = (uint8_t)((q[i] & 15) | (q[i + N / 2] & 15) << 4);
}

static void get_codes(int64_t bits, const uint8_t *p, uint8_t *q)
{
	uint32_t fifth = 0;

	for (int i = 0; bits == 8 && i < N; i++)
		q[i] = (uint8_t)(p[i] + 128);
	if (bits == 8)
		return;
	for (int i = 0; bits == 5 && i < 4; i++)
		fifth |= (uint32_t)*p++ << 8 * i;
	for (int i = 0; i < N / 2; i++) {
		q[i] = (uint8_t)((p[i] & 15) | (fifth >> i & 1) << 4);
		q[i + N / 2] = (uint8_t)(p[i] >> 4 | (fifth >> (i + N / 2) & 1) << 4);
	}
}

static int check(int64_t dtype, int64_t cols, int64_t group, struct rt_error *err)
{
	const struct rt_dtype_info *info = rt_dtype_info(dtype);

	if (!rt_block_bits(dtype))
		return rt_fail(err, RT_E_UNSUP,
		               "%s has no codes with one zero: q4_0, q5_0, q8_0 do",
		               info ? info->name : "this type");
	return group > 0 && group % N == 0 && cols % group == 0
	               ? 0
	               : rt_fail(err, RT_E_SHAPE,
	                         "groups of %lld in %lld columns are not whole blocks of %d",
	                         (long long)group, (long long)cols, N);
}

int rt_blocks_pack(int64_t dtype, int64_t rows, int64_t cols, int64_t group, const uint8_t *codes,
                   const float *scales, void *dst, struct rt_error *err)
{
	const int64_t bits = rt_block_bits(dtype);
	uint8_t      *p = dst;
	int           r = check(dtype, cols, group, err);

	for (int64_t i = 0; r == 0 && i < rows * cols; i += N) {
		const float    scale = scales[i / group];
		const uint16_t half = f32_to_f16(scale);
		float          back[N];

		p[0] = (uint8_t)half;
		p[1] = (uint8_t)(half >> 8);
		put_codes(bits, codes + i, p + 2);
		r = rt_dequantize(dtype, p, N, back, err);
		for (int64_t k = 0; r == 0 && k < N; k++)
			if (back[k] != scale * (float)(codes[i + k] - (1 << (bits - 1))))
				r = rt_fail(err, RT_E_NUMERIC,
				            "row %lld, column %lld: code %d with the scale %g "
				            "cannot be kept as %s",
				            (long long)(i / cols), (long long)(i % cols + k),
				            codes[i + k], (double)scale,
				            rt_dtype_info(dtype)->name);
		p += rt_dtype_info(dtype)->bytes;
	}
	return r;
}

int rt_blocks_unpack(int64_t dtype, const void *src, int64_t n, uint8_t *codes, float *scales,
                     struct rt_error *err)
{
	const uint8_t *p = src;
	const int      r = check(dtype, n, N, err);

	for (int64_t i = 0; r == 0 && i < n; i += N) {
		scales[i / N] = f16_to_f32((uint16_t)(p[0] | p[1] << 8));
		get_codes(rt_block_bits(dtype), p + 2, codes + i);
		p += rt_dtype_info(dtype)->bytes;
	}
	return r;
}
