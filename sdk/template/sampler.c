/* @KIND@-@NAME@.c - sample from the softmax of the logits at a temperature. */
#include <retort/sampler.h>

#include <math.h>

struct config {
	double temperature;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, temperature, 1, 0.01, 100, NULL, "Below 1: surer; above 1: more varied."),
	RT_PARAM_END
};

/* The largest logit; RT_E_NUMERIC when there is nothing to choose from. */
static int largest(const float *logits, int64_t V, float *ret, struct rt_error *err)
{
	float most = -INFINITY;

	for (int64_t i = 0; i < V; i++) {
		if (isnan(logits[i]) || logits[i] == INFINITY)
			return rt_fail(err, RT_E_NUMERIC, "logit %lld is %g", (long long)i, (double)logits[i]);
		if (logits[i] > most)
			most = logits[i];
	}
	if (most == -INFINITY)
		return rt_fail(err, RT_E_NUMERIC, "all %lld tokens are excluded", (long long)V);
	*ret = most;
	return 0;
}

static int sample(void *state, float *logits, int64_t V, const int32_t *history, int64_t n, double uniform,
                  int32_t *ret_token, struct rt_error *err)
{
	const double t = ((const struct config *)state)->temperature;
	double       sum = 0, left;
	int32_t      last = 0;
	float        most = 0;
	int          r = largest(logits, V, &most, err);

	(void)history, (void)n;
	if (r < 0)
		return r;
	for (int64_t i = 0; i < V; i++)
		sum += exp(((double)logits[i] - most) / t);
	left = uniform * sum;
	for (int64_t i = 0; i < V; i++) {
		const double p = exp(((double)logits[i] - most) / t);

		if (p > 0)
			last = (int32_t)i;
		left -= p;
		if (p > 0 && left < 0)
			break;
	}
	*ret_token = last;
	return 0;
}

static const struct rt_sampler_ops ops = { .size = sizeof ops, .sample = sample };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Samples from the softmax of the logits at a temperature.",
          .config_size = sizeof(struct config), .params = params, .ops.sampler = &ops);
