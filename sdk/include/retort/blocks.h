/* retort/blocks.h - codes and scales as blocks, and back: what quantizers make and formats store.
 *
 * q4_0, q5_0 and q8_0 hold blocks of 32 numbers scale * (code - 2^(bits-1)) with bits = 4, 5, 8
 * and one scale, a number of f16.  (The other block types have a smallest value of their own, or
 * scales of scales.) */
#ifndef RETORT_BLOCKS_H
#define RETORT_BLOCKS_H

#include <retort/error.h>

#include <stdint.h>

/* 4, 5 or 8; 0 for every other type. [any] */
int64_t rt_block_bits(int64_t dtype);

/* Codes (rows, cols), below 2^bits, and scales (rows, cols / group) as blocks; group is a multiple
 * of 32 that divides cols.  What the blocks stand for has been compared when this returns 0:
 * RT_E_NUMERIC where that differs, as when a scale is no number of f16.  RT_E_UNSUP,
 * RT_E_SHAPE. [any] */
int rt_blocks_pack(int64_t dtype, int64_t rows, int64_t cols, int64_t group, const uint8_t *codes,
                   const float *scales, void *dst, struct rt_error *err);

/* The codes of n numbers, a multiple of 32, and the scales (n / 32) of their blocks. RT_E_UNSUP,
 * RT_E_SHAPE. [any] */
int rt_blocks_unpack(int64_t dtype, const void *src, int64_t n, uint8_t *codes, float *scales,
                     struct rt_error *err);

#endif
