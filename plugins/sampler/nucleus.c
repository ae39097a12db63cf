/* nucleus.c - sampler-nucleus: temperature, then top-k, top-p and min-p, then chance.
 *
 * The order is that of transformers' logits warpers:
 *   temperature   p = softmax(logits / temperature); 0 takes the best token
 *   top_k         the k most probable tokens stay
 *   top_p         of these, renormalised, the fewest whose sum reaches top_p (Holtzman 2020)
 *   min_p         of these, those with at least min_p of the best one's probability (Nguyen 2024)
 * vLLM, too, applies the temperature first.  llama.cpp's default chain applies it last, so its
 * top_p and min_p look at the probabilities of temperature 1: for the same tokens at another
 * temperature the limits have to be set anew.  Of equals the smaller id comes first.
 *
 * Nothing is sorted: tokens leave a heap in order until the limits are met, which for the usual
 * limits is after a few of 152 thousand. */
#include "logits.h"

#include <retort/memory.h>

#include <stdbool.h>

struct config {
	double  temperature, top_p, min_p;
	int64_t top_k;
};

struct state {
	const struct config *cfg;
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

/* Tokens not taken yet: a heap with the best at 0. */
struct heap {
	const float *logit;
	int32_t     *id;
	int64_t      n;
};

static bool better(const struct heap *h, int32_t a, int32_t b)
{
	return h->logit[a] > h->logit[b] || (h->logit[a] == h->logit[b] && a < b);
}

static void sink(struct heap *h, int64_t at)
{
	const int32_t id = h->id[at];

	for (int64_t child; (child = 2 * at + 1) < h->n; at = child) {
		if (child + 1 < h->n && better(h, h->id[child + 1], h->id[child]))
			child++;
		if (!better(h, h->id[child], id))
			break;
		h->id[at] = h->id[child];
	}
	h->id[at] = id;
}

/* The best leaves to the place that becomes free: taken tokens stand behind the heap. */
static int32_t take(struct heap *h)
{
	const int32_t id = h->id[0];

	h->id[0] = h->id[--h->n];
	h->id[h->n] = id;
	sink(h, 0);
	return id;
}

/* Unnormalised probability: 1 for the best. */
static double weight(const struct config *c, const float *logits, int32_t best, int64_t i)
{
	return exp(((double)logits[i] - (double)logits[best]) / c->temperature);
}

/* How many of V tokens stay, and the sum of their weights; they stand at the end of h->id, the
 * best last. */
static int64_t choose(const struct config *c, struct heap *h, int64_t V, int32_t best,
                      double *ret_sum)
{
	const int64_t k = c->top_k > 0 && c->top_k < V ? c->top_k : V;
	double        total = 0, sum = 0;
	int64_t       n = 0;

	if (k < V)
		for (int64_t i = 0; i < k; i++)
			total += weight(c, h->logit, best, take(h));
	else
		for (int64_t i = 0; i < V; i++)
			total += weight(c, h->logit, best, i);
	while (n < k && (n == 0 || c->top_p == 1 || sum < c->top_p * total)) {
		const int32_t id = k < V ? h->id[V - 1 - n] : take(h);
		const double  w = weight(c, h->logit, best, id);

		if (!(w > 0) || w < c->min_p)
			break;
		sum += w;
		n++;
	}
	*ret_sum = sum;
	return n;
}

/* Tokens in order of their ids: where neither top_k nor top_p asks for another. */
static int32_t draw_any(const struct config *c, const float *logits, int64_t V, int32_t best,
                        double uniform)
{
	double  sum = 0, left;
	int32_t last = best;

	for (int64_t i = 0; i < V; i++) {
		const double w = weight(c, logits, best, i);

		sum += w < c->min_p ? 0 : w;
	}
	left = uniform * sum;
	for (int64_t i = 0; i < V; i++) {
		const double w = weight(c, logits, best, i);

		if (!(w > 0) || w < c->min_p)
			continue;
		last = (int32_t)i;
		left -= w;
		if (left < 0)
			break;
	}
	return last;
}

static int draw_ordered(const struct config *c, const float *logits, int64_t V, int32_t best,
                        double uniform, int32_t *ret, struct rt_error *err)
{
	struct heap h = { logits, rt_alloc((size_t)V, sizeof *h.id), V };
	double      left, sum = 0;
	int64_t     n;

	if (!h.id)
		return rt_fail_nomem(err, "the tokens to choose from");
	for (int64_t i = 0; i < V; i++)
		h.id[i] = (int32_t)i;
	for (int64_t i = V / 2 - 1; i >= 0; i--)
		sink(&h, i);
	n = choose(c, &h, V, best, &sum);
	left = uniform * sum;
	*ret = best;
	for (int64_t i = 0; i < n; i++) {
		*ret = h.id[V - 1 - i];
		left -= weight(c, logits, best, *ret);
		if (left < 0)
			break;
	}
	rt_free(h.id);
	return 0;
}

static int sample(void *state, float *logits, int64_t V, const int32_t *history, int64_t n,
                  double uniform, int32_t *ret_token, struct rt_error *err)
{
	const struct config *c = ((const struct state *)state)->cfg;
	int32_t              best = 0;
	int                  r = best_token(logits, V, &best, err);

	(void)history, (void)n;
	if (r < 0)
		return r;
	if (c->temperature > 0 && (c->top_k > 0 || c->top_p < 1))
		return draw_ordered(c, logits, V, best, uniform, ret_token, err);
	*ret_token = c->temperature > 0 ? draw_any(c, logits, V, best, uniform) : best;
	return 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->cfg = config;
	return 0;
}

static const struct rt_sampler_ops ops = { .size = sizeof ops, .sample = sample };

RT_PLUGIN(
	sampler_nucleus, SAMPLER, .name = "nucleus", .version = "1.0", .license = "Apache-2.0",
	.summary = "Samples at a temperature from the most probable tokens (top-k, top-p, min-p).",
	.config_size = sizeof(struct config), .params = params, .state_size = sizeof(struct state),
	.open = open_, .ops.sampler = &ops);
