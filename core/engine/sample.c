/* sample.c - one token out of logits.  See rt_sample() in retort/generate.h
 *
 * The largest k, or the largest that together have a share p, are found without sorting: the bits
 * of numbers >= 0 are ordered as the numbers are, so three histograms over 11, 11 and 10 of
 * them narrow the smallest that stays down to its exact value. */
#include <retort/generate.h>

#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

enum { BINS = 2048, STRETCH = 64 };

static uint32_t bits_of(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits;
}

/* What must be reached: a number, or a mass; and what has been. */
struct goal {
	double count, mass;
	double got_count, got_mass;
};

static bool reaches(const struct goal *g, double count, double mass)
{
	return g->got_count + count >= g->count || g->got_mass + mass >= g->mass;
}

/* The bin, from the top, in which the goal is reached; everything above counts as got. */
static int descend(const float *w, int64_t n, uint32_t prefix, int shift, int width, int above,
                   struct goal *g)
{
	double         count[BINS] = { 0 }, mass[BINS] = { 0 };
	const uint32_t mask = (1u << width) - 1;
	int            bin = (int)mask;

	for (int64_t i = 0; i < n; i++) {
		const uint32_t b = bits_of(w[i]);

		if (w[i] > 0 && (above >= 32 || b >> above == prefix)) {
			count[b >> shift & mask]++;
			mass[b >> shift & mask] += (double)w[i];
		}
	}
	for (; bin > 0 && !reaches(g, count[bin], mass[bin]); bin--) {
		g->got_count += count[bin];
		g->got_mass += mass[bin];
	}
	return bin;
}

/* Set to 0 whatever is not among the largest that reach the goal; of equals the first stay. */
static void cut(float *w, int64_t n, double most, double share)
{
	struct goal g = { .count = most, .mass = share };
	uint32_t    prefix = (uint32_t)descend(w, n, 0, 21, 11, 32, &g);
	bool        open = true;

	prefix = prefix << 11 | (uint32_t)descend(w, n, prefix, 10, 11, 21, &g);
	prefix = prefix << 10 | (uint32_t)descend(w, n, prefix, 0, 10, 10, &g);
	for (int64_t i = 0; i < n; i++) {
		const uint32_t b = bits_of(w[i]);

		if (b > prefix)
			continue;
		if (b < prefix || !open) {
			w[i] = 0;
			continue;
		}
		open = !reaches(&g, 1, (double)w[i]);
		g.got_count++;
		g.got_mass += (double)w[i];
	}
}

static double sum_of(const float *w, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)w[i];
	return sum;
}

/* The index of the largest, or a negative error. */
static int64_t find_best(const float *logits, int64_t n, struct rt_error *err)
{
	const float top = n > 0 ? kernels()->max(logits, n) : -INFINITY;
	int64_t     i = 0;

	if (top == -INFINITY)
		return rt_fail(err, RT_E_NUMERIC, "no token is allowed");
	/* A stretch at a time: where it ends is known beforehand, so that it is a few instructions.
	 */
	for (int found = 0; !isnan(top) && i + STRETCH <= n; i += STRETCH) {
		for (int k = 0; k < STRETCH; k++)
			found |= logits[i + k] == top;
		if (found)
			break;
	}
	while (i < n && !(logits[i] == top || (isnan(top) && isnan(logits[i]))))
		i++;
	return isfinite(top) ? i
	                     : rt_fail(err, RT_E_NUMERIC, "the logit of token %lld is %g",
	                               (long long)i, (double)logits[i]);
}

int rt_sample(const struct rt_sampling *s, float *logits, int64_t V, double uniform,
              int32_t *ret_token, struct rt_error *err)
{
	const int64_t best = find_best(logits, V, err);
	const float   max = best < 0 ? 0 : logits[best];
	double        left;

	if (best < 0)
		return (int)best;
	*ret_token = (int32_t)best;
	if (s->temperature <= 0 || s->top_k == 1)
		return 0;
	/* Weights exp((l - max) / T). */
	for (int64_t i = 0; i < V; i++)
		logits[i] = (logits[i] - max) / (float)s->temperature;
	kernels()->sum_exp(logits, V, 0, logits);
	if (s->top_k > 0 && s->top_k < V)
		cut(logits, V, (double)s->top_k, INFINITY);
	if (s->top_p > 0 && s->top_p < 1)
		cut(logits, V, INFINITY, s->top_p * sum_of(logits, V));
	for (int64_t i = 0; s->min_p > 0 && i < V; i++)
		if ((double)logits[i] < s->min_p)
			logits[i] = 0;
	left = uniform * sum_of(logits, V);
	for (int64_t i = 0; i < V; i++) {
		if (logits[i] <= 0)
			continue;
		*ret_token = (int32_t)i; /* the last one, should rounding leave something over */
		left -= (double)logits[i];
		if (left < 0)
			break;
	}
	return 0;
}
