/* threshold.c - rejector-threshold: every candidate that is good enough stays. */
#include <retort/rejector.h>

struct config {
	double threshold;
};

static const struct rt_param params[] = { RT_PARAM_REAL(struct config, threshold, 1, 0, 1, NULL,
	                                                "The lowest score that stays."),
	                                  RT_PARAM_END };

static int select_(void *state, const struct rt_group *group, const double *scores, bool *keep,
                   struct rt_error *err)
{
	const struct config *cfg = state;

	(void)err;
	for (int64_t i = 0; i < group->n; i++)
		keep[i] = scores[i] >= cfg->threshold;
	return 0;
}

static const struct rt_rejector_ops ops = { .size = sizeof ops, .select = select_ };

RT_PLUGIN(rejector_threshold, REJECTOR, .name = "threshold", .version = "1.0",
          .license = "Apache-2.0", .summary = "Keep every candidate that scores at least so much.",
          .config_size = sizeof(struct config), .params = params, .ops.rejector = &ops);
