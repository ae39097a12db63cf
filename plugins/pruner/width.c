/* width.c - pruner-width: neurons or heads whose outputs are small matter least.
 *
 * Minitron (Muralidharan et al. 2024, arXiv 2407.14679, sec. 2.2): the mean of a neuron's |output|,
 * of a head the L2 norm of its output.  Heads that share keys and values are removed together:
 * the host adds up the scores of a group. */
#include <retort/pruner.h>

#include <math.h>

enum by { ACTIVATION, WEIGHT };

struct config {
	int units, by;
};

static const char *const unit_names[] = { "neurons", "heads", NULL };
static const char *const by_names[] = { "activation", "weight", NULL };

static const struct rt_param params[] = {
	RT_PARAM_ENUM(struct config, units, 0, unit_names, "What is removed."),
	RT_PARAM_ENUM(struct config, by, ACTIVATION, by_names,
	              "Whether the size of outputs counts, or that of the weights."),
	RT_PARAM_END
};

static int score(const void *state, const struct rt_unit_stats *stats, float *importance,
                 struct rt_error *err)
{
	const struct config *c = state;
	const float         *x = c->by == WEIGHT ? stats->weight : stats->activation;

	if (!x)
		return rt_fail(err, RT_E_UNSUP, "needs the statistics of %ss", by_names[c->by]);
	for (int64_t i = 0; i < stats->n; i++) {
		if (!isfinite(x[i]))
			return rt_fail(err, RT_E_NUMERIC, "unit %lld: %s %g", (long long)i,
			               by_names[c->by], (double)x[i]);
		importance[i] = x[i];
	}
	return 0;
}

static uint32_t units(const void *config)
{
	return ((const struct config *)config)->units == 0 ? RT_UNIT_NEURON : RT_UNIT_HEAD;
}

static const struct rt_pruner_ops ops = { .size = sizeof ops, .score = score, .units = units };

RT_PLUGIN(pruner_width, PRUNER, .name = "width", .version = "1.0", .license = "Apache-2.0",
          .summary = "Neurons or heads by the size of their outputs (Minitron, Muralidharan 2024).",
          .config_size = sizeof(struct config), .params = params, .ops.pruner = &ops);
