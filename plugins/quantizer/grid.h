/* grid.h - the grid of a group of weights: what all quantizers round to. */
#ifndef QUANTIZER_GRID_H
#define QUANTIZER_GRID_H

#include <retort/quantizer.h>

/* A scale and a zero for n weights: the range of the weights and 0; with `search` the range is
 * shrunk where that lowers the sum of |error|^2.4, as GPTQ's authors do.  RT_E_NUMERIC when a
 * weight is not finite or the scale is too large for its type. [any] */
int grid_fit(const struct rt_grid *grid, bool search, const float *w, int64_t n, float *ret_scale,
             uint8_t *ret_zero, struct rt_error *err);

/* The nearest code, halves away from zero; and what it stands for. [any] */
uint8_t grid_code(const struct rt_grid *grid, float w, float scale, uint8_t zero);
float   grid_value(uint8_t code, float scale, uint8_t zero);

#endif
