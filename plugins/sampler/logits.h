/* logits.h - what every sampler looks at first. */
#ifndef SAMPLER_LOGITS_H
#define SAMPLER_LOGITS_H

#include <retort/sampler.h>

#include <math.h>

/* The best token, of equals the one with the smallest id. */
static inline int best_token(const float *logits, int64_t V, int32_t *ret, struct rt_error *err)
{
	int64_t best = -1;

	for (int64_t i = 0; i < V; i++) {
		if (isnan(logits[i]) || logits[i] == INFINITY)
			return rt_fail(err, RT_E_NUMERIC, "logit %lld is %g", (long long)i,
			               (double)logits[i]);
		if (logits[i] > (best < 0 ? -INFINITY : logits[best]))
			best = i;
	}
	if (best < 0)
		return rt_fail(err, RT_E_NUMERIC, "all %lld tokens are excluded", (long long)V);
	*ret = (int32_t)best;
	return 0;
}

#endif
