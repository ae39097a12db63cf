/* retort/optimizer.h - kind `optimizer`: parameter, gradient and state become a better parameter.
 */
#ifndef RETORT_OPTIMIZER_H
#define RETORT_OPTIMIZER_H

#include <retort/plugin.h>

#define RT_OPTIMIZER_ABI 2

/* One parameter tensor, or a part of it: n numbers with their gradient and moments. */
struct rt_update {
	int64_t      n;
	float       *param;
	const float *gradient;
	float       *moment[4];     /* (n) each, zero before the first step; as many as `moments` */
	int64_t      step;          /* from 1 */
	double       rate;          /* learning rate of this step */
	double       clip;          /* the gradient is to be multiplied with this first */
	bool         decay;         /* weight decay applies to this tensor */
	int64_t      rows, columns; /* of update_matrix(), n = rows * columns; else 0 */
};

struct rt_optimizer_ops {
	uint32_t size;    /* sizeof(struct rt_optimizer_ops) */
	uint32_t moments; /* how many numbers are kept for each parameter, 0..4 */

	/* Element-wise: the host may cut a tensor as it likes and call side by side. [any] */
	int (*update)(const void *state, const struct rt_update *u, struct rt_error *err);

	/* A matrix [rows, columns] that multiplies inside a layer, all of it, or NULL: update() is
	 * for all tensors then.  Embedding, head, norms and biases go to update() in any case.
	 * Different matrices side by side; rt_parallel() and rt_matmul() are allowed. [any] */
	int (*update_matrix)(const void *state, const struct rt_update *u, struct rt_error *err);
	uint32_t matrix_moments; /* as `moments`, for update_matrix() */
};

#endif
