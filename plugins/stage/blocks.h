/* blocks.h - codes and scales of a quantizer as blocks of GGUF. */
#ifndef STAGE_BLOCKS_H
#define STAGE_BLOCKS_H

#include <retort/quantizer.h>

/* The grid of a block type whose numbers are scale * (code - zero) with one zero for all: q4_0,
 * q5_0 and q8_0, of 32 columns each.  False for all others. */
bool blocks_grid(uint32_t dtype, struct rt_grid *ret);

/* Codes (rows, cols) and scales (rows, cols / group), group a multiple of 32, as blocks.  What the
 * blocks stand for is compared with scale * (code - zero): RT_E_NUMERIC where it differs, as when
 * a scale is no number of f16. [any] */
int blocks_pack(uint32_t dtype, int64_t rows, int64_t cols, int64_t group, const uint8_t *codes,
                const float *scales, void *dst, struct rt_error *err);

#endif
