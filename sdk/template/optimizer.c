/* @KIND@-@NAME@.c - gradient descent with momentum (Polyak 1964). */
#include <retort/optimizer.h>

struct config {
	double momentum, decay;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, momentum, 0.9, 0, 0.9999, NULL, "How much of the last step goes on."),
	RT_PARAM_REAL(struct config, decay, 0, 0, 1, NULL, "Weight decay, as a share for each unit of rate."),
	RT_PARAM_END
};

static int update(const void *state, const struct rt_update *u, struct rt_error *err)
{
	const struct config *c = state;
	const double         shrink = u->decay ? 1 - u->rate * c->decay : 1;

	(void)err;
	for (int64_t i = 0; i < u->n; i++) {
		const double m = c->momentum * u->moment[0][i] + u->clip * u->gradient[i];

		u->moment[0][i] = (float)m;
		u->param[i] = (float)(shrink * u->param[i] - u->rate * m);
	}
	return 0;
}

static const struct rt_optimizer_ops ops = { .size = sizeof ops, .moments = 1, .update = update };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Gradient descent with momentum (Polyak 1964).",
          .config_size = sizeof(struct config), .params = params, .ops.optimizer = &ops);
