/* retort/optimizer.h - kind `optimizer`: parameter, gradient and state become a better parameter.
 */
#ifndef RETORT_OPTIMIZER_H
#define RETORT_OPTIMIZER_H

#include <retort/plugin.h>

#define RT_OPTIMIZER_ABI 1

/* One parameter tensor, or a part of it: n numbers with their gradient and moments. */
struct rt_update {
	int64_t      n;
	float       *param;
	const float *gradient;
	float       *moment[4]; /* (n) each, zero before the first step; as many as `moments` */
	int64_t      step;      /* from 1 */
	double       rate;      /* learning rate of this step */
	double       clip;      /* the gradient is to be multiplied with this first */
	bool         decay;     /* weight decay applies to this tensor */
};

struct rt_optimizer_ops {
	uint32_t size;    /* sizeof(struct rt_optimizer_ops) */
	uint32_t moments; /* how many numbers are kept for each parameter, 0..4 */

	/* Element-wise: the host may cut a tensor as it likes and call side by side. [any] */
	int (*update)(const void *state, const struct rt_update *u, struct rt_error *err);
};

#endif
