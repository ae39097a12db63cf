/* grpo.c - rl-grpo: the group's rewards as a baseline, ratios clipped (GRPO, Shao 2024).
 *
 * Advantage: reward - mean of the group, over the standard deviation (n - 1) + 1e-4 of the
 * group or batch, or over nothing (Dr. GRPO, Liu 2025).  Token loss, with ratio = pi / pi_old:
 *     -min(min(ratio, delta) A, clip(ratio, 1 - low, 1 + high) A) + beta KL
 * cispo instead: -min(ratio, high) A log pi, the first factor held fixed (MiniMax 2025).
 * Sequence level: one ratio a completion, exp of the mean of its log-ratios (GSPO, Zheng 2025).
 * Denominators: grpo means of completions, then their mean; bnpo tokens of this batch; dr_grpo
 * completions x longest allowed; dapo (Yu 2025) and cispo tokens of the generation batch. */
#include <retort/rl.h>

#include <math.h>

enum loss { GRPO, BNPO, DR_GRPO, DAPO, CISPO };
enum scale { SCALE_GROUP, SCALE_BATCH, SCALE_NONE };
enum level { TOKEN, SEQUENCE };
enum kl { K1, K2, K3 };

struct config {
	int    loss, scale, level, kl;
	double clip_low, clip_high, delta, beta;
};

static const char *const losses[] = { "grpo", "bnpo", "dr_grpo", "dapo", "cispo", NULL };
static const char *const scales[] = { "group", "batch", "none", NULL };
static const char *const levels[] = { "token", "sequence", NULL };
static const char *const kls[] = { "k1", "k2", "k3", NULL };

static const struct rt_param params[] = {
	RT_PARAM_ENUM(struct config, loss, DAPO, losses, "Which denominator, or cispo."),
	RT_PARAM_ENUM(struct config, scale, SCALE_GROUP, scales,
	              "Whose standard deviation the advantages are divided by."),
	RT_PARAM_ENUM(struct config, level, TOKEN, levels,
	              "Whether each token has its ratio, or the completion one."),
	RT_PARAM_REAL(struct config, clip_low, 0.2, 0, 1, NULL,
	              "How far below 1 a ratio still counts; not of cispo."),
	RT_PARAM_REAL(struct config, clip_high, 0.2, 0, 100, NULL,
	              "How far above 1 a ratio still counts; of cispo: the largest ratio itself, 1 "
	              "or more."),
	RT_PARAM_REAL(struct config, delta, 0, 0, 1000, NULL,
	              "The largest ratio of tokens with a negative advantage; 0: no limit."),
	RT_PARAM_REAL(struct config, beta, 0, 0, 10, NULL,
	              "Weight of the divergence from the reference model; 0 needs none."),
	RT_PARAM_ENUM(struct config, kl, K3, kls,
	              "Estimator of that divergence (Schulman 2020); k2 has the right gradient."),
	RT_PARAM_END
};

struct moments {
	int64_t n;
	double  mean, deviation; /* of the scored; deviation with n - 1, 0 for one alone */
};

static struct moments moments_of(const double *x, int64_t first, int64_t end)
{
	struct moments m = { 0, 0, 0 };
	double         squares = 0;

	for (int64_t i = first; i < end; i++)
		if (!isnan(x[i])) {
			m.mean += x[i];
			m.n++;
		}
	m.mean = m.n ? m.mean / (double)m.n : 0;
	for (int64_t i = first; i < end; i++)
		if (!isnan(x[i]))
			squares += (x[i] - m.mean) * (x[i] - m.mean);
	m.deviation = m.n > 1 ? sqrt(squares / (double)(m.n - 1)) : 0;
	return m;
}

static int advantages(const void *state, const struct rt_rl_batch *b, float *advantage,
                      struct rt_error *err)
{
	const struct config *c = state;
	const struct moments batch = moments_of(b->reward, 0, b->N);

	if (!isfinite(batch.mean))
		return rt_fail(err, RT_E_NUMERIC, "a reward is infinite");
	for (int64_t first = 0, end = 0; first < b->N; first = end) {
		struct moments m;
		double         over = 1;

		while (end < b->N && b->group[end] == b->group[first])
			end++;
		m = moments_of(b->reward, first, end);
		if (c->scale != SCALE_NONE)
			over = (c->scale == SCALE_GROUP ? m : batch).deviation + 1e-4;
		for (int64_t i = first; i < end; i++)
			advantage[i] =
				isnan(b->reward[i]) ? 0 : (float)((b->reward[i] - m.mean) / over);
	}
	return 0;
}

struct sums {
	double loss, kl, ratio, low, high, tokens;
};

/* The divergence from the reference, and its slope with respect to logp. */
static double divergence(int kl, double x, double *ret_slope)
{
	switch (kl) {
	case K1: *ret_slope = 1; return -x;
	case K2: *ret_slope = -x; return 0.5 * x * x;
	default: *ret_slope = -expm1(x); return expm1(x) - x;
	}
}

/* The policy's part of a token's loss; *ret_slope is with respect to the log-ratio (cispo: logp).
 */
static double policy(const struct config *c, double ratio, double logp, double a, double *ret_slope,
                     struct sums *s)
{
	const double top = c->loss == CISPO ? c->clip_high : 1 + c->clip_high,
		     low = 1 - c->clip_low;
	const bool   capped = c->delta > 0 && ratio > c->delta;
	const double free = capped ? c->delta : ratio, held = fmin(fmax(ratio, low), top);

	s->ratio += ratio;
	s->low += c->loss != CISPO && ratio < low && a < 0;
	s->high += ratio > top && a > 0;
	if (c->loss == CISPO) {
		*ret_slope = -fmin(ratio, top) * a;
		return *ret_slope * logp;
	}
	if (free * a <= held * a) {
		*ret_slope = capped ? 0 : -ratio * a;
		return -free * a;
	}
	*ret_slope = 0;
	return -held * a;
}

/* One completion: gradient holds the slopes of the tokens' losses times weight. */
static void completion(const struct config *c, const struct rt_rl_batch *b, int64_t i, double a,
                       double weight, float *gradient, struct sums *s)
{
	const int64_t at = i * b->T;
	double        n = 0, mean = 0, shared = 0;

	for (int64_t t = at; t < at + b->T; t++)
		if (b->mask[t] > 0) {
			n++;
			mean += (double)b->logp[t] - b->logp_old[t];
		}
	mean = n > 0 ? mean / n : 0;
	for (int64_t t = at; t < at + b->T; t++) {
		const double own = b->mask[t] > 0 ? (double)b->logp[t] - b->logp_old[t] : 0;
		double       slope, near = 0, kl = 0;

		gradient[t] = 0;
		if (!(b->mask[t] > 0))
			continue;
		s->loss += weight * policy(c, exp(c->level == SEQUENCE ? mean : own), b->logp[t], a,
		                           &slope, s);
		if (b->logp_ref)
			kl = divergence(c->kl, (double)b->logp_ref[t] - b->logp[t], &near);
		s->loss += weight * c->beta * kl;
		s->kl += kl;
		if (c->level == SEQUENCE && c->loss != CISPO) {
			shared += slope;
			slope = 0;
		}
		gradient[t] = (float)(weight * (slope + c->beta * near));
	}
	for (int64_t t = at; t < at + b->T && n > 0; t++)
		if (b->mask[t] > 0)
			gradient[t] += (float)(weight * shared / n);
	s->tokens += n;
}

/* Of the whole that b is a part of. */
static double completions(const struct rt_rl_batch *b)
{
	return b->completions > 0 ? b->completions : (double)b->N;
}

static double tokens_of(const struct rt_rl_batch *b, int64_t first, int64_t last)
{
	double n = 0;

	for (int64_t t = first * b->T; t < last * b->T; t++)
		n += b->mask[t] > 0;
	return n;
}

/* What each token's loss is multiplied with. */
static double weight_of(const struct config *c, const struct rt_rl_batch *b, int64_t i, double all)
{
	switch (c->loss) {
	case GRPO: return 1 / (fmax(1, tokens_of(b, i, i + 1)) * completions(b));
	case BNPO: return (double)b->N / completions(b) * (1 / fmax(1, all));
	case DR_GRPO: return 1 / (completions(b) * b->max_tokens);
	default: return 1 / fmax(1, b->tokens > 0 ? b->tokens : all);
	}
}

static int loss(const void *state, const struct rt_rl_batch *b, const float *advantage,
                float *gradient, struct rt_rl_stats *ret, struct rt_error *err)
{
	const struct config *c = state;
	const double         all = tokens_of(b, 0, b->N), n = fmax(1, all);
	struct sums          s = { 0 };

	if (c->beta > 0 && !b->logp_ref)
		return rt_fail(err, RT_E_UNSUP, "beta = %g needs a reference model", c->beta);
	if (c->loss == DR_GRPO && !(b->max_tokens > 0))
		return rt_fail(err, RT_E_UNSUP, "dr_grpo needs the longest completion allowed");
	for (int64_t i = 0; i < b->N; i++)
		completion(c, b, i, advantage[i], weight_of(c, b, i, all), gradient, &s);
	if (!isfinite(s.loss))
		return rt_fail(err, RT_E_NUMERIC,
		               "a log-probability, a ratio or an advantage is not finite");
	*ret = (struct rt_rl_stats){ s.loss, b->logp_ref ? s.kl / n : NAN,
		                     c->loss == CISPO ? NAN : s.low / n, s.high / n, s.ratio / n };
	return 0;
}

static bool holds_ratio(const void *state)
{
	return ((const struct config *)state)->loss == CISPO;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->loss == CISPO && c->delta > 0)
		return rt_fail(err, RT_E_USAGE,
		               "delta = %g: cispo has no second limit, leave it out", c->delta);
	if (c->loss == CISPO && c->clip_high < 1)
		return rt_fail(err, RT_E_USAGE,
		               "clip_high = %g: of cispo it is the largest ratio, want 1 or more "
		               "(5 is usual)",
		               c->clip_high);
	if (c->delta > 0 && c->delta <= 1 + c->clip_high)
		return rt_fail(err, RT_E_USAGE, "delta = %g must be above 1 + clip_high = %g",
		               c->delta, 1 + c->clip_high);
	return 0;
}

static const struct rt_rl_ops ops = {
	.size = sizeof ops, .advantages = advantages, .loss = loss, .holds_ratio = holds_ratio
};

RT_PLUGIN(
	rl_grpo, RL, .name = "grpo", .version = "1.0", .license = "Apache-2.0",
	.summary =
		"Group-relative policy optimization and its variants: GRPO (Shao 2024), Dr. GRPO, "
		"DAPO, GSPO, CISPO.",
	.config_size = sizeof(struct config), .params = params, .check = check, .ops.rl = &ops);
