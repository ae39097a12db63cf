/* packed.h - linear layers in the layout "pack-quantized" of compressed-tensors.
 *
 * The layer X is stored as
 *   X.weight_packed      int32 [rows, ceil(cols bits / 32)]: codes of `bits` bits side by side, the
 *                        lowest bits first; code - 2^(bits-1) is the number
 *   X.weight_scale       [rows, groups] f16, bf16 or f32
 *   X.weight_shape       int [2]
 *   X.weight_zero_point  int32 [ceil(rows bits / 32), groups], packed along the rows, in the same
 *                        way; only where zeros are not all 0
 *   X.weight_g_idx       int [cols], the group of each column; only where they are not in order
 * and stands for (number - zero) scale.
 * (https://github.com/vllm-project/compressed-tensors, compressors/pack_quantized) */
#ifndef FORMAT_PACKED_H
#define FORMAT_PACKED_H

#include "scheme.h"

#include <retort/memory.h>
#include <retort/tensor.h>

/* ---- reading --------------------------------------------------------------------------------- */

/* Tensors of one layer as the file has them; NULL: not there. */
struct packed {
	const struct rt_tensor *codes, *scale, *shape, *zero, *order;
};

/* The layer as a tensor in `room`: q4_0, q5_0 or q8_0 where one of them holds the same numbers,
 * else f32.  Nothing of its shapes is believed; messages are without its name. */
int packed_read(const struct packed *p, const struct scheme *s, struct rt_arena *room,
                struct rt_tensor *ret, struct rt_error *err);

/* ---- writing --------------------------------------------------------------------------------- */

/* The largest number of blocks side by side that have one scale, everywhere in a tensor of q4_0,
 * q5_0 or q8_0, and that divides `most` (0: nothing yet). */
int packed_run(const struct rt_tensor *t, int64_t most, int64_t *ret, struct rt_error *err);

/* Codes int32 [rows, cols bits / 32] and scales f16 [rows, cols / group] of such a tensor; memory
 * for rt_free(). */
int packed_codes(const struct rt_tensor *t, uint8_t **ret, struct rt_error *err);
int packed_scales(const struct rt_tensor *t, int64_t group, uint8_t **ret, struct rt_error *err);

#endif
