/* divergence.c - see divergence.h */
#include "divergence.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/parallel.h>

#include <math.h>
#include <string.h>

enum { LOGITS = 8 << 20 }; /* of each model, at once */

struct job {
	const struct rt_model *a, *b;
	int64_t                hidden, vocabulary;
	int64_t                step; /* tokens at once */
	struct rt_pass         pass_a, pass_b;
	int64_t               *row;      /* [rows] of a batch that count */
	float                 *gathered; /* [step][hidden] */
	float                 *x, *y;    /* [step][vocabulary] */
	double                *kl;       /* [rows] of a batch, by row */
	bool                  *same;
	const int64_t         *at; /* rows of the chunk at work */
};

static double log_sum(const float *x, int64_t n, int64_t *ret_best)
{
	double  sum = 0;
	int64_t best = 0;

	for (int64_t i = 1; i < n; i++)
		best = x[i] > x[best] ? i : best;
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)x[i] - (double)x[best]);
	*ret_best = best;
	return (double)x[best] + log(sum);
}

static void compare(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;

	for (int64_t k = first; k < last; k++) {
		const float *x = j->x + k * j->vocabulary, *y = j->y + k * j->vocabulary;
		int64_t      p, q;
		const double a = log_sum(x, j->vocabulary, &p), b = log_sum(y, j->vocabulary, &q);
		double       sum = 0;

		for (int64_t i = 0; i < j->vocabulary; i++) {
			const double lp = (double)x[i] - a, lq = (double)y[i] - b;

			sum += exp(lp) * (lp - lq);
		}
		j->kl[j->at[k]] = sum;
		j->same[j->at[k]] = p == q;
	}
}

static int logits_of(struct job *j, const struct rt_model *m, const float *hidden, int64_t n,
                     float *to, struct rt_error *err)
{
	for (int64_t i = 0; i < n; i++)
		memcpy(j->gathered + i * j->hidden, hidden + j->at[i] * rt_model_shape(m)->hidden,
		       (size_t)rt_model_shape(m)->hidden * sizeof *hidden);
	return rt_model_logits(m, j->gathered, n, to, err);
}

/* The rows of one batch that count. */
static int compare_rows(struct job *j, int64_t n, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < n; i += j->step) {
		const int64_t count = n - i < j->step ? n - i : j->step;

		j->at = j->row + i;
		r = logits_of(j, j->a, j->pass_a.hidden, count, j->x, err);
		if (r == 0)
			r = logits_of(j, j->b, j->pass_b.hidden, count, j->y, err);
		if (r == 0)
			rt_parallel(count, 1, compare, j);
	}
	return r;
}

/* Each sequence's mean onto the sums. */
static int add_sequences(const struct job *j, const struct rt_packed *p, struct divergence *d,
                         struct rt_error *err)
{
	for (int64_t i = 0; i < p->batch.n_spans; i++) {
		const struct rt_span *s = &p->batch.spans[i];
		double                sum = 0;
		int64_t               n = 0;

		for (int64_t k = s->q; k < s->q + s->count; k++) {
			if (!(p->weight[k] > 0))
				continue;
			sum += j->kl[k];
			d->same += j->same[k];
			n++;
		}
		if (!isfinite(sum))
			return rt_fail(err, RT_E_NUMERIC, "logits are not finite");
		if (n == 0)
			continue;
		d->tokens += n;
		d->sequences++;
		d->sum += sum / (double)n;
		d->squares += sum / (double)n * (sum / (double)n);
	}
	return 0;
}

static int see(struct job *j, const struct rt_packed *p, struct divergence *d, struct rt_error *err)
{
	int64_t n = 0;
	int     r = rt_model_forward(j->a, &p->batch, NULL, j->pass_a.hidden, err);

	for (int64_t i = 0; i < p->batch.rows; i++)
		if (p->weight[i] > 0)
			j->row[n++] = i;
	if (r == 0)
		r = rt_model_forward(j->b, &p->batch, NULL, j->pass_b.hidden, err);
	if (r == 0)
		r = compare_rows(j, n, err);
	return r == 0 ? add_sequences(j, p, d, err) : r;
}

static int prepare(struct job *j, int64_t rows, struct rt_error *err)
{
	const int64_t a = rt_model_shape(j->a)->hidden, b = rt_model_shape(j->b)->hidden;
	int           r = rt_pass_reserve(&j->pass_a, j->a, rows, err);

	j->hidden = a > b ? a : b;
	j->step = 1 + LOGITS / j->vocabulary;
	j->step = j->step < rows ? j->step : rows;
	if (r == 0)
		r = rt_pass_reserve(&j->pass_b, j->b, rows, err);
	j->row = rt_alloc((size_t)rows, sizeof *j->row);
	j->kl = rt_alloc((size_t)rows, sizeof *j->kl);
	j->same = rt_alloc((size_t)rows, sizeof *j->same);
	j->gathered = rt_alloc_aligned((size_t)j->step, (size_t)j->hidden * sizeof(float));
	j->x = rt_alloc_aligned((size_t)j->step, (size_t)j->vocabulary * sizeof(float));
	j->y = rt_alloc_aligned((size_t)j->step, (size_t)j->vocabulary * sizeof(float));
	return r == 0 && !(j->row && j->kl && j->same && j->gathered && j->x && j->y)
	               ? rt_fail_nomem(err, "a comparison")
	               : r;
}

static void free_job(struct job *j)
{
	rt_pass_free(&j->pass_a);
	rt_pass_free(&j->pass_b);
	rt_free(j->row);
	rt_free(j->kl);
	rt_free(j->same);
	rt_free(j->gathered);
	rt_free(j->x);
	rt_free(j->y);
}

int divergence_measure(struct divergence *d, const struct rt_model *a, const struct rt_model *b,
                       const struct calibration *data, struct rt_context *c, struct rt_error *err)
{
	const int64_t V = rt_model_shape(a)->vocabulary, W = rt_model_shape(b)->vocabulary;
	struct job    j = { .a = a, .b = b, .vocabulary = V };
	int           r;

	*d = (struct divergence){ 0 };
	if (V != W)
		return rt_fail(err, RT_E_SHAPE,
		               "models of %lld and %lld tokens have no distributions to compare",
		               (long long)V, (long long)W);
	r = prepare(&j, data->most, err);
	for (int64_t i = 0; r == 0 && i < data->n; i++) {
		r = rt_cancelled(c) ? rt_fail(err, RT_E_CANCEL, "cancelled")
		                    : see(&j, &data->batch[i], d, err);
		rt_progress(c, i + 1, data->n, "batches");
	}
	free_job(&j);
	return r;
}

int divergence_report(const struct divergence *d, struct rt_json *metrics)
{
	int r = rt_metric_mean(metrics, "kl", d->sum, d->squares, d->sequences);

	return r | rt_metric_rate(metrics, "same_token", d->same, d->tokens);
}
