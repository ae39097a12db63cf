/* adamw.c - optimizer-adamw: Adam with decoupled weight decay (Loshchilov and Hutter 2019).  See
 * adam.h */
#include "adam.h"

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct adam, beta1, .9, 0, .999999, NULL,
	              "Share of the old mean that stays in the mean of gradients."),
	RT_PARAM_REAL(struct adam, beta2, .999, 0, .999999, NULL,
	              "The same for the mean of squared gradients."),
	RT_PARAM_REAL(struct adam, eps, 1e-8, 0, 1, NULL,
	              "Added to the root of the mean of squares."),
	RT_PARAM_REAL(struct adam, decay, .01, 0, 100, NULL,
	              "Weight decay: share of a weight, times the rate, that each step takes off."),
	RT_PARAM_END
};

static int update(const void *state, const struct rt_update *u, struct rt_error *err)
{
	(void)err;
	adam_update(state, u);
	return 0;
}

static const struct rt_optimizer_ops ops = { .size = sizeof ops, .moments = 2, .update = update };

RT_PLUGIN(optimizer_adamw, OPTIMIZER, .name = "adamw", .version = "1.0", .license = "Apache-2.0",
          .summary = "Adam with decoupled weight decay (Loshchilov and Hutter 2019).",
          .config_size = sizeof(struct adam), .params = params, .ops.optimizer = &ops);
