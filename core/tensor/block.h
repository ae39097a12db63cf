/* block.h - the block types of GGUF: what all parts of the tensor room must agree on. */
#ifndef TENSOR_BLOCK_H
#define TENSOR_BLOCK_H

#include <retort/tensor.h>

/* X(name, its number, bytes of a block, elements in a block) */
#define BLOCK_TYPES(X)                                                                             \
	X(q4_0, RT_Q4_0, 18, 32)                                                                   \
	X(q4_1, RT_Q4_1, 20, 32)                                                                   \
	X(q5_0, RT_Q5_0, 22, 32)                                                                   \
	X(q5_1, RT_Q5_1, 24, 32)                                                                   \
	X(q8_0, RT_Q8_0, 34, 32)                                                                   \
	X(q2_k, RT_Q2_K, 84, 256)                                                                  \
	X(q3_k, RT_Q3_K, 110, 256)                                                                 \
	X(q4_k, RT_Q4_K, 144, 256)                                                                 \
	X(q5_k, RT_Q5_K, 176, 256)                                                                 \
	X(q6_k, RT_Q6_K, 210, 256)                                                                 \
	X(iq4_nl, RT_IQ4_NL, 18, 32)                                                               \
	X(iq4_xs, RT_IQ4_XS, 136, 256)

/* The sixteen levels of iq4_nl and iq4_xs. */
extern const int8_t block_iq4_levels[16];

#endif
