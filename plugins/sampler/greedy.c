/* greedy.c - sampler-greedy: the most probable token, of equals the one with the smallest id. */
#include <retort/generate.h>

static int sample(void *state, float *logits, int64_t V, const int32_t *history, int64_t n,
                  double uniform, int32_t *ret_token, struct rt_error *err)
{
	const struct rt_sampling s = { .temperature = 0 };

	(void)state, (void)history, (void)n;
	return rt_sample(&s, logits, V, uniform, ret_token, err);
}

static const struct rt_sampler_ops ops = { .size = sizeof ops, .sample = sample };

RT_PLUGIN(sampler_greedy, SAMPLER, .name = "greedy", .version = "1.0", .license = "Apache-2.0",
          .summary = "The most probable token, always.", .ops.sampler = &ops);
