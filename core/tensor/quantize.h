/* quantize.h - one row of floats to each block type.
 *
 * n is a multiple of the block; src is finite; importance[n] (finite, >= 0) or NULL for equal
 * weights.  q8_0, q4_0, q4_1, q5_0, q5_1 are fixed by their definition and ignore it. */
#ifndef TENSOR_QUANTIZE_H
#define TENSOR_QUANTIZE_H

#include "tensor/block.h"

#define QUANTIZE_ROW(type, number, bytes, block)                                                   \
	void quantize_##type(const float *src, int64_t n, const float *importance, void *dst);

BLOCK_TYPES(QUANTIZE_ROW)
#undef QUANTIZE_ROW

#endif
