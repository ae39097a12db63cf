/* retort/rl.h - kind `rl`: rewards become advantages, and advantages a gradient; preference
 * losses do the same on pairs. */
#ifndef RETORT_RL_H
#define RETORT_RL_H

#include <retort/plugin.h>

#define RT_RL_ABI 1

/* N completions of at most T tokens; (N, T) arrays are padded, mask says where. */
struct rt_rl_batch {
	int64_t        N, T;
	const int64_t *group; /* (N) completions of one prompt have one number, side by side */
	const double
		    *reward; /* (N); NAN: unscored, has advantage 0 and is left out of statistics */
	const float *mask;   /* (N, T) 1: a token of the completion */
	const float *logp;   /* (N, T) log-probability (nats) under the policy, now */
	const float *logp_old; /* (N, T) when it was sampled */
	const float *logp_ref; /* (N, T) under the reference model; NULL: none */
	/* Of the whole generation batch that this is a part of; 0: of this one.  Losses and
	 * gradients of the parts add up to those of the whole. */
	double tokens, completions;
	double max_tokens; /* the longest completion that was allowed */
};

/* What a step did, for the trackers; NAN where it has no meaning.  kl: from the reference, in nats,
 * a mean over tokens; clip_low, clip_high: the share of tokens whose ratio was cut; ratio_mean: of
 * policy to old.  Where ratios are of whole completions, all three are of completions. */
struct rt_rl_stats {
	double loss, kl, clip_low, clip_high, ratio_mean;
};

struct rt_rl_pairs {
	int64_t      N;
	const float *chosen, *rejected;         /* (N) sums of log-probabilities under the policy */
	const float *chosen_ref, *rejected_ref; /* (N) under the reference model; NULL: none */
	const float *chosen_tokens, *rejected_tokens; /* (N) lengths */
};

struct rt_rl_ops {
	uint32_t size; /* sizeof(struct rt_rl_ops) */
	uint32_t reserved;

	/* For on-policy methods, both: advantage (N) of whole generation batches; then the loss
	 * of any part of it and its gradient (N, T) with respect to logp, 0 where mask is 0. [any]
	 */
	int (*advantages)(const void *state, const struct rt_rl_batch *b, float *advantage,
	                  struct rt_error *err);
	int (*loss)(const void *state, const struct rt_rl_batch *b, const float *advantage,
	            float *gradient, struct rt_rl_stats *ret, struct rt_error *err);

	/* For preference methods: mean loss over pairs, and its gradient with respect to chosen
	 * and rejected (N each). [any] */
	int (*prefer)(const void *state, const struct rt_rl_pairs *p, float *chosen_gradient,
	              float *rejected_gradient, double *ret_loss, struct rt_error *err);

	/* The reward that a preference method means is this times log(policy / reference)
	 * (Rafailov 2023), for the trackers; NULL: 1. [any] */
	double (*reward_scale)(const void *state);

	/* true: loss() takes the ratios policy / old for constants in its gradient, by design, so
	 * that this is not the slope of its value (CISPO).  It is the slope along which a token's
	 * logp and logp_old move together.  NULL: false. [any] */
	bool (*holds_ratio)(const void *state);
};

#endif
