/* @KIND@-@NAME@.c - gradient descent with momentum (Polyak 1964). */
#include <retort/optimizer.h>

struct config {
	double momentum, decay;
};

struct state {
	double momentum, decay;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, momentum, 0.9, 0, 0.9999, NULL, "How much of the last step goes on."),
	RT_PARAM_REAL(struct config, decay, 0, 0, 1, NULL, "Weight decay, as a share for each unit of rate."),
	RT_PARAM_END
};

static int update(const void *state, const struct rt_update *u, struct rt_error *err)
{
	const struct state *s = state;
	const double        shrink = u->decay ? 1 - u->rate * s->decay : 1;

	(void)err;
	for (int64_t i = 0; i < u->n; i++) {
		const double m = s->momentum * u->moment[0][i] + u->clip * u->gradient[i];

		u->moment[0][i] = (float)m;
		u->param[i] = (float)(shrink * u->param[i] - u->rate * m);
	}
	return 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	const struct config *wish = config;

	(void)c, (void)err;
	*(struct state *)state = (struct state){ wish->momentum, wish->decay };
	return 0;
}

static const struct rt_optimizer_ops ops = { .size = sizeof ops, .moments = 1, .update = update };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Gradient descent with momentum (Polyak 1964).",
          .config_size = sizeof(struct config), .params = params, .state_size = sizeof(struct state),
          .open = open_, .ops.optimizer = &ops);
