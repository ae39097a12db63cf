/* depth.c - pruner-depth: a layer that hardly turns its input matters least.
 *
 * Block influence, 1 - mean cosine of a layer's input and output (ShortGPT, Men et al. 2024,
 * arXiv 2403.03853, eq. 1). */
#include <retort/pruner.h>

#include <math.h>

static int score(const void *state, const struct rt_unit_stats *stats, float *importance,
                 struct rt_error *err)
{
	(void)state;
	if (!stats->similarity)
		return rt_fail(err, RT_E_UNSUP, "needs the similarity of input and output");
	for (int64_t i = 0; i < stats->n; i++) {
		if (!isfinite(stats->similarity[i]))
			return rt_fail(err, RT_E_NUMERIC, "layer %lld: similarity %g", (long long)i,
			               (double)stats->similarity[i]);
		importance[i] = 1 - stats->similarity[i];
	}
	return 0;
}

static uint32_t units(const void *config)
{
	(void)config;
	return RT_UNIT_LAYER;
}

static const struct rt_pruner_ops ops = { .size = sizeof ops, .score = score, .units = units };

RT_PLUGIN(pruner_depth, PRUNER, .name = "depth", .version = "1.0", .license = "Apache-2.0",
          .summary = "Layers by block influence, 1 - cosine of input and output (ShortGPT, Men "
                     "2024).",
          .ops.pruner = &ops);
