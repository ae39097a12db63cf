/* trial-loss.c - distill and rl: gradients against central differences. */
#include "plugin/trial.h"

#include <retort/distill.h>
#include <retort/memory.h>
#include <retort/rl.h>

#include <math.h>
#include <string.h>

/* The gradient of one element, checked; counts what lies next to a kink. */
struct slopes {
	int64_t n, kinks;
	double  worst; /* difference over what is allowed */
};

static void compare(struct slopes *s, double slope, double gradient, double largest)
{
	s->n++;
	if (isnan(slope)) {
		s->kinks++;
		return;
	}
	s->worst = fmax(s->worst, fabs(slope - gradient) / (0.02 * largest + 1e-4));
}

static double largest_of(const float *x, int64_t n)
{
	double most = 0;

	for (int64_t i = 0; i < n; i++)
		most = fmax(most, fabs((double)x[i]));
	return most;
}

static void judge_slopes(struct trial *t, const struct slopes *s)
{
	if (s->kinks * 2 > s->n)
		trial_say(t, TRIAL_SKIP, "gradient against central differences",
		          "too many kinks to tell");
	else
		trial_check(t, s->worst <= 1, "gradient against central differences",
		            "off by %.3g times what rounding allows", s->worst);
}

/* ---- distill ---- */

enum { ROWS = 5, VOCABULARY = 37, TOP = 6 };

struct distilling {
	struct rt_distill_rows rows;
	float                 *gradient;
	double                 loss;
	/* of one probe */
	struct trial *t;
	float        *student, *scratch;
	int64_t       at;
};

/* The most likely tokens of the teacher, for plugins that take no whole row. */
static void use_top(struct rt_distill_rows *rows)
{
	int32_t *id = trial_output(ROWS * TOP, sizeof *id);
	float   *logprob = trial_output(ROWS * TOP, sizeof *logprob);

	for (int64_t r = 0; r < ROWS; r++) {
		const float *x = rows->teacher + r * VOCABULARY;
		bool         used[VOCABULARY] = { false };
		double       sum = 0;

		for (int v = 0; v < VOCABULARY; v++)
			sum += exp((double)x[v]);
		for (int k = 0; k < TOP; k++) {
			int best = -1;

			for (int v = 0; v < VOCABULARY; v++)
				if (!used[v] && (best < 0 || x[v] > x[best]))
					best = v;
			used[best] = true;
			id[r * TOP + k] = best;
			logprob[r * TOP + k] = (float)((double)x[best] - log(sum));
		}
	}
	rows->teacher = NULL;
	rows->top_id = id;
	rows->top_logprob = logprob;
	rows->K = TOP;
}

static int eval(struct trial *t, const struct rt_distill_rows *rows, float *gradient, double *loss,
                struct rt_error *err)
{
	return t->plugin->ops.distill->eval(t->state, rows, gradient, loss, err);
}

static void distill_prepare(struct trial *t)
{
	static const float weight[ROWS] = { 1, 0, 1, 1, 1 };
	struct distilling *d = trial_output(1, sizeof *d);

	memset(d, 0, sizeof *d);
	d->rows = (struct rt_distill_rows){ .R = ROWS, .V = VOCABULARY, .scale = 0.25 };
	d->rows.student = trial_normal(1, ROWS * VOCABULARY, 1.5);
	d->rows.teacher = trial_normal(2, ROWS * VOCABULARY, 1.5);
	d->rows.weight = trial_input(weight, ROWS, sizeof *weight);
	d->gradient = trial_output(ROWS * VOCABULARY, sizeof(float));
	t->data = d;
}

static int distill_once(struct trial *t, struct rt_error *err)
{
	struct distilling *d = t->data;
	int                r = eval(t, &d->rows, d->gradient, &d->loss, err);

	if (r == RT_E_UNSUP && d->rows.teacher) {
		use_top(&d->rows);
		r = eval(t, &d->rows, d->gradient, &d->loss, err);
	}
	if (r == 0)
		rt_hash_add(&t->digest, d->gradient, ROWS * VOCABULARY * sizeof(float));
	return r;
}

static double loss_at(void *arg, float x)
{
	struct distilling     *d = arg;
	struct rt_distill_rows rows = d->rows;
	const float            before = d->student[d->at];
	double                 loss = NAN;

	rows.student = d->student;
	d->student[d->at] = x;
	if (eval(d->t, &rows, d->scratch, &loss, NULL) < 0)
		loss = NAN;
	d->student[d->at] = before;
	return loss;
}

/* The loss and its gradient once more, with one row not counted and twice the scale. */
static void distill_scale(struct trial *t, struct distilling *d)
{
	struct rt_distill_rows rows = d->rows;
	double                 loss = 0, worst = 0;

	rows.scale *= 2;
	if (eval(t, &rows, d->scratch, &loss, NULL) < 0)
		loss = NAN;
	for (int64_t i = 0; i < ROWS * VOCABULARY; i++)
		worst = fmax(worst, fabs(2.0 * d->gradient[i] - d->scratch[i]));
	trial_check(t, fabs(loss - 2 * d->loss) <= 1e-5 * fabs(loss) + 1e-9 && worst <= 1e-5,
	            "twice the scale, twice the loss", "%g became %g", d->loss, loss);
	worst = 0;
	for (int64_t i = VOCABULARY; i < 2 * VOCABULARY; i++)
		worst = fmax(worst, fabs((double)d->gradient[i]));
	trial_check(t, worst <= 0, "a row that does not count has gradient 0", "it has %g", worst);
}

static void distill_edges(struct trial *t, struct distilling *d)
{
	struct rt_distill_rows rows = d->rows;
	double                 loss = 0;
	int                    r;

	rows.student = d->student;
	for (int64_t i = 0; i < ROWS * VOCABULARY; i++)
		d->student[i] *= 1e4f;
	r = eval(t, &rows, d->scratch, &loss, NULL);
	trial_check(t, r < 0 || (isfinite(loss) && trial_finite(d->scratch, ROWS * VOCABULARY)),
	            "huge logits give finite numbers or an error", "loss %g", loss);
	d->student[0] = NAN;
	r = eval(t, &rows, d->scratch, &loss, NULL);
	trial_check(t, r == RT_E_NUMERIC, "a logit that is not finite is RT_E_NUMERIC",
	            "returned %d", r);
}

static void distill_verify(struct trial *t)
{
	struct distilling *d = t->data;
	struct slopes      s = { 0 };
	const int64_t      n = ROWS * VOCABULARY;

	if (!trial_check(t, isfinite(d->loss) && trial_finite(d->gradient, n),
	                 "every output is written and finite", "loss %g", d->loss))
		return;
	d->t = t;
	d->student = memcpy(trial_output((size_t)n, sizeof(float)), d->rows.student,
	                    (size_t)n * sizeof(float));
	d->scratch = trial_output((size_t)n, sizeof(float));
	for (d->at = 0; d->at < n; d->at++)
		compare(&s, trial_slope(loss_at, d, d->student[d->at], 0.01f), d->gradient[d->at],
		        largest_of(d->gradient, n));
	judge_slopes(t, &s);
	distill_scale(t, d);
	distill_edges(t, d);
}

const struct trial_kind trial_distill = { distill_prepare, distill_once, distill_verify };

/* ---- rl ---- */

enum { COMPLETIONS = 8, TOKENS = 6, CELLS = COMPLETIONS * TOKENS };

struct reinforcing {
	struct rt_rl_batch batch;
	struct rt_rl_pairs pairs;
	float             *advantage, *gradient, *other; /* other: of the rejected */
	double             loss;
	struct trial      *t;
	float             *x, *scratch, *scratch2;
	int64_t            at;
};

static void prepare_batch(struct rt_rl_batch *b)
{
	static const int64_t group[COMPLETIONS] = { 0, 0, 0, 0, 1, 1, 1, 1 };
	static const double  reward[COMPLETIONS] = { 1, 0, 0.5, 0, NAN, 1, 0.25, 0 };
	float                mask[CELLS], near[CELLS];
	const float         *noise = trial_normal(12, CELLS, 0.05);

	*b = (struct rt_rl_batch){ .N = COMPLETIONS, .T = TOKENS, .max_tokens = TOKENS };
	b->group = trial_input(group, COMPLETIONS, sizeof *group);
	b->reward = trial_input(reward, COMPLETIONS, sizeof *reward);
	b->logp = trial_normal(11, CELLS, 0.5);
	for (int i = 0; i < CELLS; i++) {
		mask[i] = i % TOKENS < 3 + i / TOKENS % 4;
		near[i] = b->logp[i] + noise[i];
	}
	b->mask = trial_input(mask, CELLS, sizeof *mask);
	b->logp_old = trial_input(near, CELLS, sizeof *near);
	b->logp_ref = trial_normal(13, CELLS, 0.5);
}

static void prepare_pairs(struct rt_rl_pairs *p)
{
	static const float tokens[COMPLETIONS] = { 3, 4, 5, 6, 3, 4, 5, 6 };

	*p = (struct rt_rl_pairs){ .N = COMPLETIONS };
	p->chosen = trial_normal(21, COMPLETIONS, 2);
	p->rejected = trial_normal(22, COMPLETIONS, 2);
	p->chosen_ref = trial_normal(23, COMPLETIONS, 2);
	p->rejected_ref = trial_normal(24, COMPLETIONS, 2);
	p->chosen_tokens = p->rejected_tokens = trial_input(tokens, COMPLETIONS, sizeof *tokens);
}

static void rl_prepare(struct trial *t)
{
	struct reinforcing *d = trial_output(1, sizeof *d);

	memset(d, 0, sizeof *d);
	prepare_batch(&d->batch);
	prepare_pairs(&d->pairs);
	d->advantage = trial_output(COMPLETIONS, sizeof(float));
	d->gradient = trial_output(CELLS, sizeof(float));
	d->other = trial_output(CELLS, sizeof(float));
	d->scratch = trial_output(CELLS, sizeof(float));
	d->scratch2 = trial_output(CELLS, sizeof(float));
	d->x = trial_output(CELLS, sizeof(float));
	d->t = t;
	t->data = d;
}

static int policy_loss(struct reinforcing *d, const struct rt_rl_batch *b, float *gradient,
                       struct rt_error *err)
{
	struct rt_rl_stats stats = { 0 };
	int r = d->t->plugin->ops.rl->loss(d->t->state, b, d->advantage, gradient, &stats, err);

	d->loss = stats.loss;
	return r;
}

static int rl_once(struct trial *t, struct rt_error *err)
{
	struct reinforcing     *d = t->data;
	const struct rt_rl_ops *ops = t->plugin->ops.rl;
	int                     r = 0;

	if (ops->advantages) {
		r = ops->advantages(t->state, &d->batch, d->advantage, err);
		if (r == 0)
			r = policy_loss(d, &d->batch, d->gradient, err);
	} else {
		r = ops->prefer(t->state, &d->pairs, d->gradient, d->other, &d->loss, err);
	}
	if (r == 0)
		rt_hash_add(&t->digest, d->gradient,
		            (ops->advantages ? CELLS : COMPLETIONS) * sizeof(float));
	return r;
}

/* Where the ratio is held fixed, the old log-probability moves along. */
static double policy_loss_at(void *arg, float x)
{
	struct reinforcing     *d = arg;
	const struct rt_rl_ops *ops = d->t->plugin->ops.rl;
	struct rt_rl_batch      b = d->batch;
	const float             before = d->x[d->at];
	float                   old[CELLS];

	if (RT_HAS(ops, holds_ratio) && ops->holds_ratio(d->t->state)) {
		memcpy(old, d->batch.logp_old, sizeof old);
		old[d->at] += x - before;
		b.logp_old = old;
	}
	b.logp = d->x;
	d->x[d->at] = x;
	if (policy_loss(d, &b, d->scratch, NULL) < 0)
		d->loss = NAN;
	d->x[d->at] = before;
	return d->loss;
}

static void verify_policy(struct trial *t, struct reinforcing *d)
{
	struct slopes s = { 0 };
	double        masked = 0;

	if (!trial_check(t,
	                 trial_finite(d->advantage, COMPLETIONS) &&
	                         trial_finite(d->gradient, CELLS) && isfinite(d->loss),
	                 "every output is written and finite", "loss %g", d->loss))
		return;
	trial_check(t, fabs((double)d->advantage[4]) <= 0, "an unscored completion has advantage 0",
	            "it has %g", (double)d->advantage[4]);
	memcpy(d->x, d->batch.logp, CELLS * sizeof *d->x);
	for (d->at = 0; d->at < CELLS; d->at++) {
		if (d->batch.mask[d->at] > 0)
			compare(&s, trial_slope(policy_loss_at, d, d->x[d->at], 0.01f),
			        d->gradient[d->at], largest_of(d->gradient, CELLS));
		else
			masked = fmax(masked, fabs((double)d->gradient[d->at]));
	}
	judge_slopes(t, &s);
	trial_check(t, masked <= 0, "a masked token has gradient 0", "one has %g", masked);
}

static double pair_loss_at(void *arg, float x)
{
	struct reinforcing *d = arg;
	struct rt_rl_pairs  p = d->pairs;
	const float         before = d->x[d->at];
	double              loss = NAN;

	p.chosen = d->x;
	p.rejected = d->x + COMPLETIONS;
	d->x[d->at] = x;
	if (d->t->plugin->ops.rl->prefer(d->t->state, &p, d->scratch, d->scratch2, &loss, NULL) < 0)
		loss = NAN;
	d->x[d->at] = before;
	return loss;
}

static void verify_pairs(struct trial *t, struct reinforcing *d)
{
	struct slopes s = { 0 };

	if (t->plugin->ops.rl->prefer(t->state, &d->pairs, d->gradient, d->other, &d->loss, NULL) <
	            0 ||
	    !trial_finite(d->gradient, COMPLETIONS) || !trial_finite(d->other, COMPLETIONS)) {
		trial_say(t, TRIAL_FAIL, "every output is written and finite", "loss %g", d->loss);
		return;
	}
	memcpy(d->x, d->pairs.chosen, COMPLETIONS * sizeof *d->x);
	memcpy(d->x + COMPLETIONS, d->pairs.rejected, COMPLETIONS * sizeof *d->x);
	for (d->at = 0; d->at < 2 * COMPLETIONS; d->at++)
		compare(&s, trial_slope(pair_loss_at, d, d->x[d->at], 0.01f),
		        d->at < COMPLETIONS ? d->gradient[d->at] : d->other[d->at - COMPLETIONS],
		        fmax(largest_of(d->gradient, COMPLETIONS),
		             largest_of(d->other, COMPLETIONS)));
	judge_slopes(t, &s);
}

static void rl_verify(struct trial *t)
{
	if (t->plugin->ops.rl->advantages)
		verify_policy(t, t->data);
	if (t->plugin->ops.rl->prefer)
		verify_pairs(t, t->data);
}

const struct trial_kind trial_rl = { rl_prepare, rl_once, rl_verify };
