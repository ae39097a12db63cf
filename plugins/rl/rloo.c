/* rloo.c - rl-rloo: each answer against the mean of the group's others (REINFORCE leave-one-out,
 * Kool 2019; Ahmadian 2024, "Back to Basics").
 *
 * Reward: cut to clip_reward, less beta times log(pi_old / pi_ref) of the whole completion, which
 * is not differentiated.  Advantage: the reward less the mean of those of the group's others; with
 * `normalize` less the mean and over the standard deviation (n - 1) + 1e-4 of the batch.  Loss,
 * with ratio = pi / pi_old of the whole completion: -min(ratio A, clip(ratio, 1 - low, 1 + high)
 * A), the mean over completions */
#include <retort/rl.h>

#include <math.h>

struct config {
	double          beta, clip_low, clip_high;
	struct rt_reals clip_reward;
	bool            normalize;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(
		struct config, beta, 0, 0, 10, NULL,
		"Weight of the divergence from the reference model in the reward; 0 needs none."),
	RT_PARAM_REAL(struct config, clip_low, 0.2, 0, 1, NULL,
	              "How far below 1 the ratio of a completion still counts."),
	RT_PARAM_REAL(struct config, clip_high, 0.2, 0, 100, NULL, "How far above 1."),
	RT_PARAM_REALS(
		struct config, clip_reward, -1e6, 1e6, 0, 2, NULL,
		"The least and the largest reward, which others are cut to; without, none is."),
	RT_PARAM_BOOL(struct config, normalize, false,
	              "Whether advantages are made to have mean 0 and deviation 1 in a batch."),
	RT_PARAM_END
};

/* Sum over a completion of one log-probability less another. */
static double log_ratio(const struct rt_rl_batch *b, int64_t i, const float *x, const float *y)
{
	double sum = 0;

	for (int64_t t = i * b->T; t < (i + 1) * b->T; t++)
		if (b->mask[t] > 0)
			sum += (double)x[t] - (double)y[t];
	return sum;
}

/* NAN when it is unscored. */
static double reward_of(const struct config *c, const struct rt_rl_batch *b, int64_t i)
{
	double r = b->reward[i];

	if (isnan(r))
		return r;
	if (c->clip_reward.n == 2)
		r = fmax(c->clip_reward.at[0], fmin(c->clip_reward.at[1], r));
	return c->beta > 0 ? r - c->beta * log_ratio(b, i, b->logp_old, b->logp_ref) : r;
}

/* A group with one scored answer has nothing to compare it with. */
static int64_t do_group(const struct config *c, const struct rt_rl_batch *b, int64_t first,
                        float *advantage, double *ret_sum)
{
	double  sum = 0;
	int64_t n = 0, end = first;

	for (; end < b->N && b->group[end] == b->group[first]; end++) {
		const double r = reward_of(c, b, end);

		sum += isnan(r) ? 0 : r;
		n += !isnan(r);
	}
	for (int64_t i = first; i < end; i++) {
		const double r = reward_of(c, b, i);

		advantage[i] = isnan(r) || n < 2 ? 0 : (float)(r - (sum - r) / (double)(n - 1));
		*ret_sum += (double)advantage[i];
	}
	return end;
}

static void normalize(const struct rt_rl_batch *b, double sum, float *advantage)
{
	double  squares = 0, mean;
	int64_t n = 0;

	for (int64_t i = 0; i < b->N; i++)
		n += !isnan(b->reward[i]);
	mean = n ? sum / (double)n : 0;
	for (int64_t i = 0; i < b->N; i++)
		if (!isnan(b->reward[i]))
			squares += ((double)advantage[i] - mean) * ((double)advantage[i] - mean);
	for (int64_t i = 0; i < b->N; i++)
		if (!isnan(b->reward[i]))
			advantage[i] =
				(float)(((double)advantage[i] - mean) /
			                ((n > 1 ? sqrt(squares / (double)(n - 1)) : 0) + 1e-4));
}

static int advantages(const void *state, const struct rt_rl_batch *b, float *advantage,
                      struct rt_error *err)
{
	const struct config *c = state;
	double               sum = 0;

	if (c->beta > 0 && !b->logp_ref)
		return rt_fail(err, RT_E_UNSUP, "beta = %g needs a reference model", c->beta);
	for (int64_t i = 0; i < b->N;)
		i = do_group(c, b, i, advantage, &sum);
	if (!isfinite(sum))
		return rt_fail(err, RT_E_NUMERIC, "a reward or a log-probability is not finite");
	if (c->normalize)
		normalize(b, sum, advantage);
	return 0;
}

static int loss(const void *state, const struct rt_rl_batch *b, const float *advantage,
                float *gradient, struct rt_rl_stats *ret, struct rt_error *err)
{
	const struct config *c = state;
	const double         all = b->completions > 0 ? b->completions : (double)b->N;
	const double         n = fmax(1, (double)b->N);
	struct rt_rl_stats   s = { 0, b->logp_ref ? 0 : NAN, 0, 0, 0 };

	for (int64_t i = 0; i < b->N; i++) {
		const double ratio = exp(log_ratio(b, i, b->logp, b->logp_old));
		const double held = fmin(fmax(ratio, 1 - c->clip_low), 1 + c->clip_high);
		const double a = (double)advantage[i];
		const bool   free = ratio * a <= held * a;

		s.loss -= (free ? ratio : held) * a / all;
		s.clip_low += (ratio < 1 - c->clip_low && a < 0) / n;
		s.clip_high += (ratio > 1 + c->clip_high && a > 0) / n;
		s.ratio_mean += ratio / n;
		if (b->logp_ref)
			s.kl += log_ratio(b, i, b->logp_old, b->logp_ref) / n;
		for (int64_t t = i * b->T; t < (i + 1) * b->T; t++)
			gradient[t] = b->mask[t] > 0 && free ? (float)(-ratio * a / all) : 0;
	}
	if (!isfinite(s.loss))
		return rt_fail(err, RT_E_NUMERIC,
		               "a log-probability, a ratio or an advantage is not finite");
	*ret = s;
	return 0;
}

static int check(const void *config, struct rt_error *err)
{
	const struct rt_reals *x = &((const struct config *)config)->clip_reward;

	return x->n == 0 || (x->n == 2 && x->at[0] < x->at[1])
	               ? 0
	               : rt_fail(err, RT_E_USAGE,
	                         "clip_reward wants two numbers, the smaller one first");
}

static const struct rt_rl_ops ops = { .size = sizeof ops, .advantages = advantages, .loss = loss };

RT_PLUGIN(rl_rloo, RL, .name = "rloo", .version = "1.0", .license = "Apache-2.0",
          .summary = "REINFORCE with the mean of the group's other answers as baseline (Ahmadian "
                     "2024).",
          .config_size = sizeof(struct config), .params = params, .check = check, .ops.rl = &ops);
