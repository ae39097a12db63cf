/* vocabulary.c - pruner-vocabulary: a token matters as often as calibration met it. */
#include <retort/pruner.h>

#include <math.h>

static int score(const void *state, const struct rt_unit_stats *stats, float *importance,
                 struct rt_error *err)
{
	(void)state;
	if (!stats->count)
		return rt_fail(err, RT_E_UNSUP, "needs the counts of tokens");
	for (int64_t i = 0; i < stats->n; i++) {
		if (!(stats->count[i] >= 0) || isinf(stats->count[i]))
			return rt_fail(err, RT_E_NUMERIC, "token %lld: count %g", (long long)i,
			               (double)stats->count[i]);
		importance[i] = stats->count[i];
	}
	return 0;
}

static uint32_t units(const void *config)
{
	(void)config;
	return RT_UNIT_TOKEN;
}

static const struct rt_pruner_ops ops = { .size = sizeof ops, .score = score, .units = units };

RT_PLUGIN(pruner_vocabulary, PRUNER, .name = "vocabulary", .version = "1.0",
          .license = "Apache-2.0",
          .summary = "Tokens by how often they occur in the calibration text.", .ops.pruner = &ops);
