/* retort/sampler.h - kind `sampler`: logits become a token. */
#ifndef RETORT_SAMPLER_H
#define RETORT_SAMPLER_H

#include <retort/plugin.h>

#define RT_SAMPLER_ABI 1

struct rt_sampler_ops {
	uint32_t size; /* sizeof(struct rt_sampler_ops) */
	uint32_t reserved;

	/* Choose one of V tokens.
	 * logits   (V) f32  may be overwritten; -inf is a token that is not allowed
	 * history  (n) the tokens of the answer so far, oldest first; its prompt is not among them
	 * uniform  in [0, 1): the only source of chance
	 * Called once more for the same place, with another uniform and fewer tokens allowed, when
	 * what it chose may not stand there (struct rt_request, grammar).
	 * Returns RT_E_NUMERIC when a logit is NaN or +inf or all are -inf.  Allocates nothing
	 * that stays. [worker] */
	int (*sample)(void *state, float *logits, int64_t V, const int32_t *history, int64_t n,
	              double uniform, int32_t *ret_token, struct rt_error *err);
};

#endif
