/* adam.h - Adam with decoupled weight decay, which optimizer-adamw is and others fall back on.
 *
 *     p -= rate decay p
 *     m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
 *     p -= rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * in the order in which PyTorch's AdamW computes it (Loshchilov and Hutter 2019). */
#ifndef OPTIMIZER_ADAM_H
#define OPTIMIZER_ADAM_H

#include <retort/optimizer.h>

#include <math.h>

struct adam {
	double beta1, beta2, eps, decay;
};

static inline void adam_update(const struct adam *c, const struct rt_update *u)
{
	const double t = (double)u->step;
	const float  beta1 = (float)c->beta1, beta2 = (float)c->beta2;
	const float  rest1 = (float)(1 - c->beta1), rest2 = (float)(1 - c->beta2);
	const float  rate = (float)(u->rate / (1 - pow(c->beta1, t)));
	const float  root = (float)(1 / sqrt(1 - pow(c->beta2, t)));
	const float  stays = (float)(u->decay ? 1 - u->rate * c->decay : 1);
	const float  clip = (float)u->clip, eps = (float)c->eps;
	float *restrict p = u->param, *restrict m = u->moment[0], *restrict v = u->moment[1];
	const float *restrict gradient = u->gradient;

	for (int64_t i = 0; i < u->n; i++) {
		const float g = clip * gradient[i];

		m[i] = beta1 * m[i] + rest1 * g;
		v[i] = beta2 * v[i] + rest2 * g * g;
		p[i] = stays * p[i] - rate * m[i] / (sqrtf(v[i]) * root + eps);
	}
}

#endif
