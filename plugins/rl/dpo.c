/* dpo.c - rl-dpo: preference losses on pairs, from the margin of their log-ratios.
 *
 * With d = (log pi - log ref)(chosen) - (log pi - log ref)(rejected) and h = beta d:
 *     sigmoid   -log s(h)                                            DPO, Rafailov 2023
 *     cdpo      -(1-e) log s(h) - e log s(-h)                        conservative, Mitchell 2023
 *     robust    (-(1-e) log s(h) + e log s(-h)) / (1-2e)             Chowdhury 2024
 *     hinge     max(0, 1 - h)                                        SLiC, Zhao 2023
 *     ipo       (d - 1/(2 beta))^2, log-ratios a token's mean        Azar 2023
 * robust is unbiased under flipped labels and may be negative. */
#include <retort/rl.h>

#include <math.h>

enum loss { SIGMOID, CDPO, ROBUST, HINGE, IPO };

struct config {
	int    loss;
	double beta, smoothing;
};

static const char *const losses[] = { "sigmoid", "cdpo", "robust", "hinge", "ipo", NULL };

static const struct rt_param params[] = {
	RT_PARAM_ENUM(struct config, loss, SIGMOID, losses, "Which function of the margin."),
	RT_PARAM_REAL(struct config, beta, 0.1, 1e-4, 100, NULL,
	              "How closely the policy is held to the reference; of `ipo`: its tau."),
	RT_PARAM_REAL(struct config, smoothing, 0, 0, 0.5, NULL,
	              "The share of pairs that are labelled the wrong way round, for `cdpo` and "
	              "`robust`."),
	RT_PARAM_END
};

/* log(1 + exp(-x)), that is -log of the sigmoid. */
static double softplus(double x)
{
	return fmax(-x, 0) + log1p(exp(-fabs(x)));
}

static double sigmoid(double x)
{
	return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* The loss of a margin d, and its slope. */
static double of_margin(const struct config *c, double d, double *ret_slope)
{
	const double b = c->beta, h = b * d, e = c->smoothing;
	const double up = softplus(h), down = softplus(-h); /* slopes: -s(-h), s(h) */

	switch (c->loss) {
	case CDPO:
		*ret_slope = b * (e * sigmoid(h) - (1 - e) * sigmoid(-h));
		return (1 - e) * up + e * down;
	case ROBUST:
		*ret_slope = -b * ((1 - e) * sigmoid(-h) + e * sigmoid(h)) / (1 - 2 * e);
		return ((1 - e) * up - e * down) / (1 - 2 * e);
	case HINGE: *ret_slope = h < 1 ? -b : 0; return fmax(0, 1 - h);
	case IPO: *ret_slope = 2 * (d - 0.5 / b); return (d - 0.5 / b) * (d - 0.5 / b);
	default: *ret_slope = -b * sigmoid(-h); return up;
	}
}

static int check_lengths(const struct rt_rl_pairs *p, struct rt_error *err)
{
	if (!p->chosen_tokens || !p->rejected_tokens)
		return rt_fail(err, RT_E_UNSUP, "ipo needs the lengths of the answers");
	for (int64_t i = 0; i < p->N; i++)
		if (!(p->chosen_tokens[i] > 0) || !(p->rejected_tokens[i] > 0))
			return rt_fail(err, RT_E_RANGE,
			               "pair %lld has an answer without a token: drop it",
			               (long long)i);
	return 0;
}

static int prefer(const void *state, const struct rt_rl_pairs *p, float *chosen_gradient,
                  float *rejected_gradient, double *ret_loss, struct rt_error *err)
{
	const struct config *c = state;
	double               sum = 0;
	int                  r = c->loss == IPO ? check_lengths(p, err) : 0;

	if (r == 0 && (!p->chosen_ref || !p->rejected_ref))
		r = rt_fail(err, RT_E_UNSUP, "needs a reference model");
	if (r < 0)
		return r;
	for (int64_t i = 0; i < p->N; i++) {
		const double n = c->loss == IPO ? (double)p->chosen_tokens[i] : 1;
		const double m = c->loss == IPO ? (double)p->rejected_tokens[i] : 1;
		const double d = ((double)p->chosen[i] - p->chosen_ref[i]) / n -
		                 ((double)p->rejected[i] - p->rejected_ref[i]) / m;
		double slope;

		sum += of_margin(c, d, &slope);
		chosen_gradient[i] = (float)(slope / n / (double)p->N);
		rejected_gradient[i] = (float)(-slope / m / (double)p->N);
	}
	if (!isfinite(sum))
		return rt_fail(err, RT_E_NUMERIC, "a log-probability is not finite");
	*ret_loss = p->N > 0 ? sum / (double)p->N : 0;
	return 0;
}

static double reward_scale(const void *state)
{
	return ((const struct config *)state)->beta;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->loss == ROBUST && c->smoothing >= 0.5)
		return rt_fail(
			err, RT_E_USAGE,
			"smoothing = %g: robust divides by 1 - 2 smoothing; use less than 0.5",
			c->smoothing);
	if (c->smoothing > 0 && c->loss != CDPO && c->loss != ROBUST)
		return rt_fail(err, RT_E_USAGE,
		               "smoothing is for cdpo and robust, loss = \"%s\" has none",
		               losses[c->loss]);
	return 0;
}

static const struct rt_rl_ops ops = { .size = sizeof ops,
	                              .prefer = prefer,
	                              .reward_scale = reward_scale };

RT_PLUGIN(rl_dpo, RL, .name = "dpo", .version = "1.0", .license = "Apache-2.0",
          .summary =
                  "Preference losses on pairs: DPO (Rafailov 2023), conservative, robust, hinge, "
                  "IPO (Azar 2023).",
          .config_size = sizeof(struct config), .params = params, .check = check, .ops.rl = &ops);
