/* retort/quantizer.h - kind `quantizer`: one linear layer becomes few bits.
 *
 * The grid of a layer: q = clamp(round(w / scale) + zero, 0, 2^bits - 1), one scale (and
 * zero) for each row and each group of `group` columns; w' = scale (q - zero). */
#ifndef RETORT_QUANTIZER_H
#define RETORT_QUANTIZER_H

#include <retort/pruner.h>

#define RT_QUANTIZER_ABI 1

struct rt_grid {
	int64_t bits;      /* 2..8 */
	int64_t group;     /* columns that share a scale; divides cols, or cols itself */
	bool    symmetric; /* zero is 2^(bits-1) everywhere */
};

struct rt_quantizer_ops {
	uint32_t size; /* sizeof(struct rt_quantizer_ops) */
	uint32_t reserved;

	/* codes (rows, cols), scales and zeros (rows, cols / group): all written.
	 * RT_E_NUMERIC when a weight is not finite. [worker] */
	int (*quantize)(void *state, const struct rt_linear *layer, const struct rt_grid *grid,
	                uint8_t *codes, float *scales, uint8_t *zeros, struct rt_error *err);
};

#endif
