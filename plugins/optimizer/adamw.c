/* adamw.c - optimizer-adamw: Adam with decoupled weight decay (Loshchilov and Hutter 2019).
 *
 *     p -= rate decay p
 *     m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
 *     p -= rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * in the order in which PyTorch's AdamW computes it. */
#include <retort/optimizer.h>

#include <math.h>

struct config {
	double beta1, beta2, eps, decay;
};

struct state {
	const struct config *cfg;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, beta1, .9, 0, .999999, NULL,
	              "Share of the old mean that stays in the mean of gradients."),
	RT_PARAM_REAL(struct config, beta2, .999, 0, .999999, NULL,
	              "The same for the mean of squared gradients."),
	RT_PARAM_REAL(struct config, eps, 1e-8, 0, 1, NULL,
	              "Added to the root of the mean of squares."),
	RT_PARAM_REAL(struct config, decay, .01, 0, 100, NULL,
	              "Weight decay: share of a weight, times the rate, that each step takes off."),
	RT_PARAM_END
};

static int update(const void *state, const struct rt_update *u, struct rt_error *err)
{
	const struct config *c = ((const struct state *)state)->cfg;
	const double         t = (double)u->step;
	const float          beta1 = (float)c->beta1, beta2 = (float)c->beta2;
	const float          rest1 = (float)(1 - c->beta1), rest2 = (float)(1 - c->beta2);
	const float          rate = (float)(u->rate / (1 - pow(c->beta1, t)));
	const float          root = (float)(1 / sqrt(1 - pow(c->beta2, t)));
	const float          stays = (float)(u->decay ? 1 - u->rate * c->decay : 1);
	const float          clip = (float)u->clip, eps = (float)c->eps;
	float *restrict p = u->param, *restrict m = u->moment[0], *restrict v = u->moment[1];
	const float *restrict gradient = u->gradient;

	(void)err;
	for (int64_t i = 0; i < u->n; i++) {
		const float g = clip * gradient[i];

		m[i] = beta1 * m[i] + rest1 * g;
		v[i] = beta2 * v[i] + rest2 * g * g;
		p[i] = stays * p[i] - rate * m[i] / (sqrtf(v[i]) * root + eps);
	}
	return 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->cfg = config;
	return 0;
}

static const struct rt_optimizer_ops ops = { .size = sizeof ops, .moments = 2, .update = update };

RT_PLUGIN(optimizer_adamw, OPTIMIZER, .name = "adamw", .version = "1.0", .license = "Apache-2.0",
          .summary = "Adam with decoupled weight decay (Loshchilov and Hutter 2019).",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .ops.optimizer = &ops);
