/* greedy.c - sampler-greedy: the most probable token, of equals the one with the smallest id. */
#include "logits.h"

static int sample(void *state, float *logits, int64_t V, const int32_t *history, int64_t n,
                  double uniform, int32_t *ret_token, struct rt_error *err)
{
	(void)state, (void)history, (void)n, (void)uniform;
	return best_token(logits, V, ret_token, err);
}

static const struct rt_sampler_ops ops = { .size = sizeof ops, .sample = sample };

RT_PLUGIN(sampler_greedy, SAMPLER, .name = "greedy", .version = "1.0", .license = "Apache-2.0",
          .summary = "The most probable token, always.", .ops.sampler = &ops);
