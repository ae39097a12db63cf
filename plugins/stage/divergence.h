/* divergence.h - how far one model's distributions are from another's, over what the assistant
 * wrote. */
#ifndef STAGE_DIVERGENCE_H
#define STAGE_DIVERGENCE_H

#include "calibration.h"

/* KL(a || b) in nats of every token that weighs in its sequence; each sequence's mean is one
 * observation. */
struct divergence {
	int64_t sequences, tokens;
	int64_t same;         /* tokens of which both find the same one most likely */
	double  sum, squares; /* over sequences */
};

/* Both models get the same batches; their vocabularies must be of one size, else RT_E_SHAPE.
 * RT_E_NUMERIC when a logit is not finite. */
int divergence_measure(struct divergence *d, const struct rt_model *a, const struct rt_model *b,
                       const struct calibration *data, struct rt_context *c, struct rt_error *err);

/* `kl` (mean over sequences, with its interval) and `same_token` (share of tokens). 0 or
 * RT_E_NOMEM. */
int divergence_report(const struct divergence *d, struct rt_json *metrics);

#endif
