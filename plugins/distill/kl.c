/* kl.c - distill-kl: the Kullback-Leibler family between teacher p and student q.
 *
 *     forward        sum p log(p/q)                                     Hinton 2015
 *     reverse        sum q log(q/p)                                     MiniLLM, Gu 2023
 *     jensen         b KL(p||m) + (1-b) KL(q||m), m = b p + (1-b) q     GKD, Agarwal 2023
 *     skew-forward   KL(p || a p + (1-a) q)                             DistiLLM, Ko 2024
 *     skew-reverse   KL(q || (1-a) p + a q)                             DistiLLM, Ko 2024
 *
 * p and q are softmax(logits / T).  A row is a list of outcomes: each token of the vocabulary, or
 * the teacher's K most likely ones, renormalised or with all others as one more outcome.  Each
 * outcome gives its term f of the loss and g = q df/dq; then the gradient with respect to a
 * logit is (g - q sum g) / T, where tokens in one outcome share its g by their part of q. */
#include "rows.h"

#include <math.h>
#include <string.h>

enum divergence { FORWARD, REVERSE, JENSEN, SKEW_FORWARD, SKEW_REVERSE };
enum tail { BUCKET, RENORMALIZE };

struct config {
	int    divergence, tail;
	double beta, alpha, temperature;
	bool   square;
};

static const char *const divergences[] = { "forward",      "reverse",      "jensen",
	                                   "skew-forward", "skew-reverse", NULL };
static const char *const tails[] = { "bucket", "renormalize", NULL };

static const struct rt_param params[] = {
	RT_PARAM_ENUM(struct config, divergence, FORWARD, divergences,
	              "Which member of the family is minimised."),
	RT_PARAM_REAL(struct config, beta, 0.5, 0, 1, NULL,
	              "The teacher's share of the mixture of `jensen`, 0 and 1 excluded."),
	RT_PARAM_REAL(struct config, alpha, 0.1, 0, 1, NULL,
	              "How far the skew divergences mix one side into the other, 1 excluded."),
	RT_PARAM_REAL(struct config, temperature, 1, 0.01, 100, NULL,
	              "Both sides' logits are divided by it."),
	RT_PARAM_BOOL(struct config, square, true,
	              "Whether the loss is multiplied with the temperature's square, so that "
	              "gradients keep their size."),
	RT_PARAM_ENUM(struct config, tail, BUCKET, tails,
	              "What becomes of tokens that a top-k teacher does not name: one outcome "
	              "together, or none."),
	RT_PARAM_END
};

struct term {
	double f, g; /* of the loss; q times its derivative with respect to q */
};

/* log(exp(a) + exp(b)); -inf is the logarithm of 0. */
static double log_add(double a, double b)
{
	const double high = fmax(a, b), low = fmin(a, b);

	return isinf(high) ? high : high + log1p(exp(low - high));
}

/* x log(x/y) of logarithms, 0 where x is 0. */
static double cross(double x, double log_x, double log_y)
{
	return x > 0 ? x * (log_x - log_y) : 0;
}

static struct term term_of(const struct config *c, double lp, double lq)
{
	const double b = c->beta, a = c->alpha, p = exp(lp), q = exp(lq);
	double       lm;

	switch (c->divergence) {
	case REVERSE: return (struct term){ cross(q, lq, lp), cross(q, lq, lp) };
	case JENSEN:
		lm = log_add(log(b) + lp, log1p(-b) + lq);
		return (struct term){ b * cross(p, lp, lm) + (1 - b) * cross(q, lq, lm),
			              (1 - b) * cross(q, lq, lm) };
	case SKEW_FORWARD:
		lm = log_add(log(a) + lp, log1p(-a) + lq);
		return (struct term){ cross(p, lp, lm), p > 0 ? -(1 - a) * exp(lp + lq - lm) : 0 };
	case SKEW_REVERSE:
		lm = log_add(log1p(-a) + lp, log(a) + lq);
		return (struct term){ cross(q, lq, lm),
			              cross(q, lq, lm) + q - (q > 0 ? a * exp(2 * lq - lm) : 0) };
	default: return (struct term){ cross(p, lp, lq), -p };
	}
}

/* log sum exp(x / T); -inf: of nothing. */
static double log_sum(const float *x, int64_t n, double t)
{
	double high = -INFINITY, sum = 0;

	for (int64_t i = 0; i < n; i++)
		high = fmax(high, x[i]);
	for (int64_t i = 0; i < n && !isinf(high); i++)
		sum += exp((x[i] - high) / t);
	return isinf(high) ? high : high / t + log(sum);
}

static double all_row(const struct config *c, const float *s, const float *t, int64_t V,
                      double factor, float *gradient)
{
	const double T = c->temperature;
	const double of_s = log_sum(s, V, T), of_t = log_sum(t, V, T);
	double       f = 0, g = 0;

	for (int64_t v = 0; v < V; v++) {
		const struct term x = term_of(c, t[v] / T - of_t, s[v] / T - of_s);

		f += x.f;
		g += x.g;
	}
	for (int64_t v = 0; v < V; v++) {
		const double lq = s[v] / T - of_s;

		gradient[v] =
			(float)(factor / T * (term_of(c, t[v] / T - of_t, lq).g - exp(lq) * g));
	}
	return factor * f;
}

/* The outcomes of a top-k teacher: normalisers of both sides, and those of the tail. */
struct support {
	double      teacher, student; /* subtracted from logits / T */
	double      tail_p, tail_q;   /* logarithms; -inf: there is no tail */
	struct term tail;
};

/* Of the student's logits at the teacher's tokens: as log_sum. */
static double log_sum_inside(const float *s, const int32_t *id, int64_t K, double t)
{
	double sum = -INFINITY;

	for (int64_t k = 0; k < K; k++)
		sum = log_add(sum, s[id[k]] / t);
	return sum;
}

/* Of all others, which have 0 in `share` where the teacher's have -1: as log_sum.  `share` gets
 * each one's part of the tail, so that nothing else of them needs an exponential. */
static double log_sum_outside(const float *s, int64_t n, double t, float *share)
{
	double high = -INFINITY, sum = 0;

	for (int64_t i = 0; i < n; i++)
		if (!signbit(share[i]))
			high = fmax(high, s[i]);
	if (isinf(high))
		return high;
	for (int64_t i = 0; i < n; i++)
		if (!signbit(share[i])) {
			const double e = exp((s[i] - high) / t);

			sum += e;
			share[i] = (float)e;
		}
	for (int64_t i = 0; i < n; i++)
		share[i] *= (float)(1 / sum);
	return high / t + log(sum);
}

/* `share` gets each token's part of the tail; those of the teacher get nothing of use. */
static struct support support_of(const struct config *c, const struct rt_distill_rows *rows,
                                 int64_t r, float *share)
{
	const float   *s = rows->student + r * rows->V, *lp = rows->top_logprob + r * rows->K;
	const int32_t *id = rows->top_id + r * rows->K;
	const double   T = c->temperature, mass = log_sum(lp, rows->K, T);
	struct support u = {
		mass, log_sum_inside(s, id, rows->K, T), -INFINITY, -INFINITY, { 0, 0 }
	};
	double outside;

	memset(share, 0, (size_t)rows->V * sizeof *share);
	if (c->tail == RENORMALIZE)
		return u;
	for (int64_t k = 0; k < rows->K; k++)
		share[id[k]] = -1;
	outside = log_sum_outside(s, rows->V, T, share);
	u.student = log_add(u.student, outside);
	u.teacher = 0;
	if (isinf(outside))
		return u;
	/* rounding may leave the K tokens with a mass of 1 or more: the tail has 1e-7 at least */
	u.tail_p = log(-expm1(fmin(mass, -1e-7)));
	u.tail_q = outside - u.student;
	u.tail = term_of(c, u.tail_p, u.tail_q);
	return u;
}

static double top_row(const struct config *c, const struct rt_distill_rows *rows, int64_t r,
                      double factor, float *gradient)
{
	const float   *s = rows->student + r * rows->V, *lp = rows->top_logprob + r * rows->K;
	const int32_t *id = rows->top_id + r * rows->K;
	const double   T = c->temperature;
	struct support u = support_of(c, rows, r, gradient);
	double         f = u.tail.f, g = u.tail.g, of_tail;

	for (int64_t k = 0; k < rows->K; k++) {
		const struct term x = term_of(c, lp[k] / T - u.teacher, s[id[k]] / T - u.student);

		f += x.f;
		g += x.g;
	}
	of_tail = factor / T * (u.tail.g - exp(u.tail_q) * g);
	for (int64_t v = 0; v < rows->V; v++)
		gradient[v] *= (float)of_tail;
	for (int64_t k = 0; k < rows->K; k++) {
		const double lq = s[id[k]] / T - u.student;

		gradient[id[k]] = (float)(factor / T *
		                          (term_of(c, lp[k] / T - u.teacher, lq).g - exp(lq) * g));
	}
	return factor * f;
}

static int eval(const void *state, const struct rt_distill_rows *rows, float *gradient,
                double *ret_loss, struct rt_error *err)
{
	const struct config *c = state;
	const double         T = c->temperature;
	double               loss = 0;

	if (!rows->teacher && c->tail == BUCKET && fabs(T - 1) > 0)
		return rt_fail(err, RT_E_UNSUP,
		               "temperature %g needs all logits of the teacher, or tail = "
		               "\"renormalize\"",
		               T);
	for (int64_t r = 0; r < rows->R; r++) {
		const double weight = rows->weight ? (double)rows->weight[r] : 1;
		const double factor = weight * rows->scale * (c->square ? T * T : 1);
		float       *g = gradient + r * rows->V;
		int          code;

		if (!(weight > 0)) {
			memset(g, 0, (size_t)rows->V * sizeof *g);
			continue;
		}
		code = distill_check_row(rows, r, err);
		if (code < 0)
			return code;
		loss += rows->teacher ? all_row(c, rows->student + r * rows->V,
		                                rows->teacher + r * rows->V, rows->V, factor, g)
		                      : top_row(c, rows, r, factor, g);
	}
	if (!isfinite(loss))
		return rt_fail(err, RT_E_NUMERIC,
		               "the divergence is infinite: the teacher rules out what the student "
		               "does not; use forward, jensen or a skew one");
	*ret_loss = loss;
	return 0;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if (c->divergence == JENSEN && (c->beta <= 0 || c->beta >= 1))
		return rt_fail(
			err, RT_E_USAGE,
			"beta = %g: the Jensen divergence is 0 there; use divergence = \"%s\"",
			c->beta, c->beta <= 0 ? "forward" : "reverse");
	if ((c->divergence == SKEW_FORWARD || c->divergence == SKEW_REVERSE) && c->alpha >= 1)
		return rt_fail(err, RT_E_USAGE,
		               "alpha = %g: a skew divergence is 0 there; use one below 1",
		               c->alpha);
	return 0;
}

static const struct rt_distill_ops ops = { .size = sizeof ops, .eval = eval };

RT_PLUGIN(distill_kl, DISTILL, .name = "kl", .version = "1.1", .license = "Apache-2.0",
          .summary =
                  "Kullback-Leibler divergences: forward, reverse, Jensen, skew (Hinton 2015; Gu, "
                  "Agarwal 2023; Ko 2024).",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.distill = &ops);
