/* blocks.c - see blocks.h
 *
 * A block of GGUF holds 32 numbers d (q - 2^(bits-1)): d as f16, then for q8_0 q - 128 as signed
 * bytes; for q4_0 16 bytes with q[i] in the lower and q[i + 16] in the upper half; q5_0 has the
 * fifth bits of all 32 in four bytes between the two. */
#include "blocks.h"

#include <string.h>

enum { N = 32 };

bool blocks_grid(uint32_t dtype, struct rt_grid *ret)
{
	const int64_t bits = dtype == RT_Q4_0 ? 4 : dtype == RT_Q5_0 ? 5 : dtype == RT_Q8_0 ? 8 : 0;

	*ret = (struct rt_grid){ bits, N, .symmetric = true, .flip = bits < 8, .scale = RT_F16 };
	return bits > 0;
}

static void pack_block(uint32_t dtype, const uint8_t *q, uint8_t *p)
{
	uint32_t fifth = 0;

	if (dtype == RT_Q8_0) {
		for (int i = 0; i < N; i++)
			p[2 + i] = (uint8_t)(q[i] - 128);
		return;
	}
	for (int i = 0; i < N; i++)
		fifth |= (uint32_t)(q[i] >> 4 & 1) << i;
	for (int i = 0; dtype == RT_Q5_0 && i < 4; i++)
		p[2 + i] = (uint8_t)(fifth >> 8 * i);
	p += dtype == RT_Q5_0 ? 6 : 2;
	for (int i = 0; i < N / 2; i++)
		p[i] = (uint8_t)((q[i] & 15) | (q[i + N / 2] & 15) << 4);
}

int blocks_pack(uint32_t dtype, int64_t rows, int64_t cols, int64_t group, const uint8_t *codes,
                const float *scales, void *dst, struct rt_error *err)
{
	const int64_t  size = rt_dtype_info(dtype)->bytes, each = cols / group;
	struct rt_grid grid;
	uint8_t       *p = dst;

	blocks_grid(dtype, &grid);
	for (int64_t i = 0; i < rows * cols; i += N, p += size) {
		const float   scale = scales[i / cols * each + i % cols / group];
		const int64_t middle = 1 << (grid.bits - 1);
		float         back[N];
		int           r = rt_quantize(RT_F16, &scale, 1, 1, NULL, p, err);

		if (r < 0)
			return r;
		pack_block(dtype, codes + i, p);
		r = rt_dequantize(dtype, p, N, back, err);
		for (int64_t k = 0; r == 0 && k < N; k++)
			if (back[k] != scale * (float)(codes[i + k] - middle))
				r = rt_fail(err, RT_E_NUMERIC,
				            "row %lld, column %lld: code %d with the scale %g "
				            "cannot be kept as %s",
				            (long long)(i / cols), (long long)(i % cols + k),
				            codes[i + k], (double)scale,
				            rt_dtype_info(dtype)->name);
		if (r < 0)
			return r;
	}
	return 0;
}
