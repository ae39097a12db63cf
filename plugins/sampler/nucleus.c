/* nucleus.c - sampler-nucleus: temperature, then top-k, top-p and min-p, then chance.
 *
 * The order is that of transformers' logits warpers:
 *   temperature   p = softmax(logits / temperature); 0 takes the best token
 *   top_k         the k most probable tokens stay
 *   top_p         of these, renormalised, the fewest whose sum reaches top_p (Holtzman 2020)
 *   min_p         of these, those with at least min_p of the best one's probability (Nguyen 2024)
 * vLLM, too, applies the temperature first.  llama.cpp's default chain applies it last, so its
 * top_p and min_p look at the probabilities of temperature 1: for the same tokens at another
 * temperature the limits have to be set anew.
 *
 * The engine does the same itself, through the same function, where no sampler is named. */
#include <retort/generate.h>

struct config {
	double  temperature, top_p, min_p;
	int64_t top_k;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, temperature, 1, 0, 100, NULL,
	              "Logits are divided by it; 0: the most probable token."),
	RT_PARAM_INT(struct config, top_k, 0, 0, 1 << 22, "tokens",
	             "So many of the most probable tokens stay; 0: all."),
	RT_PARAM_REAL(struct config, top_p, 1, 1e-6, 1, NULL,
	              "The most probable tokens stay until their sum reaches this; 1: all."),
	RT_PARAM_REAL(
		struct config, min_p, 0, 0, 1, NULL,
		"Tokens with less than this share of the best one's probability go; 0: none."),
	RT_PARAM_END
};

static int sample(void *state, float *logits, int64_t V, const int32_t *history, int64_t n,
                  double uniform, int32_t *ret_token, struct rt_error *err)
{
	const struct config     *c = state;
	const struct rt_sampling s = { c->temperature, c->top_p, c->min_p, c->top_k };

	(void)history, (void)n;
	return rt_sample(&s, logits, V, uniform, ret_token, err);
}

static const struct rt_sampler_ops ops = { .size = sizeof ops, .sample = sample };

RT_PLUGIN(
	sampler_nucleus, SAMPLER, .name = "nucleus", .version = "1.0", .license = "Apache-2.0",
	.summary = "Samples at a temperature from the most probable tokens (top-k, top-p, min-p).",
	.config_size = sizeof(struct config), .params = params, .ops.sampler = &ops);
