/* @KIND@-@NAME@.c - the policy gradient with the mean of the group as its baseline (Williams 1992). */
#include <retort/rl.h>

#include <math.h>

/* The end of the group that begins at `first`, and the mean of its rewards that are scored. */
static int64_t group_mean(const struct rt_rl_batch *b, int64_t first, double *ret_mean)
{
	double  sum = 0;
	int64_t i = first, n = 0;

	for (; i < b->N && b->group[i] == b->group[first]; i++)
		if (!isnan(b->reward[i])) {
			sum += b->reward[i];
			n++;
		}
	*ret_mean = n ? sum / (double)n : 0;
	return i;
}

static int advantages(const void *state, const struct rt_rl_batch *b, float *advantage, struct rt_error *err)
{
	int64_t i = 0;

	(void)state, (void)err;
	while (i < b->N) {
		double        mean;
		const int64_t end = group_mean(b, i, &mean);

		for (; i < end; i++)
			advantage[i] = isnan(b->reward[i]) ? 0 : (float)(b->reward[i] - mean);
	}
	return 0;
}

/* Mean over tokens of -advantage * logp. */
static int loss(const void *state, const struct rt_rl_batch *b, const float *advantage, float *gradient,
                struct rt_rl_stats *ret, struct rt_error *err)
{
	double tokens = b->tokens, sum = 0;

	(void)state;
	for (int64_t i = 0; b->tokens == 0 && i < b->N * b->T; i++)
		tokens += b->mask[i];
	for (int64_t i = 0; i < b->N * b->T; i++) {
		const double a = b->mask[i] != 0 ? advantage[i / b->T] : 0;

		gradient[i] = tokens > 0 ? (float)(-a / tokens) : 0;
		if (a != 0)
			sum -= a * b->logp[i];
	}
	if (!isfinite(sum))
		return rt_fail(err, RT_E_NUMERIC, "a log-probability or an advantage is not finite");
	*ret = (struct rt_rl_stats){ tokens > 0 ? sum / tokens : 0, NAN, NAN, NAN, NAN };
	return 0;
}

static const struct rt_rl_ops ops = { .size = sizeof ops, .advantages = advantages, .loss = loss };

RT_PLUGIN(@KIND@_@ID@, @KINDUP@,
          .name = "@NAME@", .version = "0.1", .license = "Apache-2.0",
          .summary = "Policy gradient with the mean reward of the group as its baseline (Williams 1992).",
          .ops.rl = &ops);
