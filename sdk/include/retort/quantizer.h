/* retort/quantizer.h - kind `quantizer`: one linear layer becomes few bits.
 *
 * The grid of a layer: q = clamp(round(w / scale) + zero, 0, 2^bits - 1), one scale (and
 * zero) for each row and each group of `group` columns; w' = scale (q - zero).
 *
 * Formats are grids.  compressed-tensors and GPTQ, 4 bits: { 4, 128, symmetric or not,
 * .scale = RT_BF16 or RT_F16 }; GGUF q8_0: { 8, 32, true, .scale = RT_F16 }; GGUF q4_0: the
 * same with 4 bits and .flip.  Types of GGUF whose smallest value is a number of its own (q4_1,
 * the K types) are not such grids: rt_quantize() makes them.  retort/blocks.h makes blocks of codes
 * and scales. */
#ifndef RETORT_QUANTIZER_H
#define RETORT_QUANTIZER_H

#include <retort/pruner.h>
#include <retort/tensor.h>

#define RT_QUANTIZER_ABI 1

struct rt_grid {
	int64_t bits;      /* 2..8 */
	int64_t group;     /* columns that share a scale; divides cols, or cols itself */
	bool    symmetric; /* zero is 2^(bits-1) everywhere */
	bool    flip;   /* symmetric only: scales may be below 0, so that the end of the grid with
	                 * one step more lies where the weights reach furthest */
	uint32_t scale; /* scales are numbers of this type: RT_F32 (0), RT_F16 or RT_BF16; codes
	                 * are those of the rounded scale */
};

struct rt_quantizer_ops {
	uint32_t size; /* sizeof(struct rt_quantizer_ops) */
	uint32_t reserved;

	/* codes (rows, cols), scales and zeros (rows, cols / group): all written.
	 * RT_E_NUMERIC when a weight is not finite or a scale leaves its type; RT_E_UNSUP when
	 * the layer lacks a statistic that the method needs. [worker] */
	int (*quantize)(void *state, const struct rt_linear *layer, const struct rt_grid *grid,
	                uint8_t *codes, float *scales, uint8_t *zeros, struct rt_error *err);
};

#endif
