/* ckd.c - distill-ckd: the constrained distillation of STAR (Ni 2026, arXiv 2602.03022, eq. 3-5).
 *
 * With K the teacher's k most likely tokens and M the student's m most likely ones outside K:
 *     L = sum over K of p (log p - log q) + lambda sum over M of q
 * p is not renormalised over K.  The second sum is the mass of the student's confident mistakes,
 * which the first alone leaves almost unpushed.  With P = sum over K of p, S = sum over M of q:
 *     dL/dz_j = q_j P - p_j [j in K] + lambda q_j ([j in M] - S) */
#include "rows.h"

#include <retort/memory.h>

#include <math.h>
#include <string.h>

struct config {
	int64_t k, m;
	double  lambda_tail;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, k, 100, 1, 1 << 20, "tokens",
	             "How many of the teacher's most likely tokens count; a top-k teacher may give "
	             "fewer."),
	RT_PARAM_INT(struct config, m, 100, 0, 1 << 20, "tokens",
	             "Among how many of the student's most likely tokens mistakes are looked for."),
	RT_PARAM_REAL(struct config, lambda_tail, 10, 0, 1e6, NULL, "Weight of those mistakes."),
	RT_PARAM_END
};

/* Is a further from the top than b?  Of equals, the later one. */
static bool below(const float *x, int32_t a, int32_t b)
{
	return x[a] < x[b] || (x[a] <= x[b] && a > b);
}

/* Let heap[at], whose root is the least, sink to its place. */
static void sink(const float *x, int32_t *heap, int64_t n, int64_t at)
{
	for (;;) {
		const int32_t moved = heap[at];
		int64_t       least = 2 * at + 1;

		if (least >= n)
			return;
		if (least + 1 < n && below(x, heap[least + 1], heap[least]))
			least++;
		if (!below(x, heap[least], moved))
			return;
		heap[at] = heap[least];
		heap[least] = moved;
		at = least;
	}
}

/* Logits go into bins by how far they are below the highest; the last is for all that are far. */
enum { BINS = 1024, DEPTH = 32 };

static int bin_of(float x, float high)
{
	const float depth = high - x;

	return depth < DEPTH ? (int)(depth * (BINS / DEPTH)) : BINS;
}

static float highest(const float *x, int64_t n)
{
	float high = x[0];

	for (int64_t i = 1; i < n; i++)
		high = x[i] > high ? x[i] : high;
	return high;
}

/* The n largest of x[0, V) in any order.  Which bins are in as a whole is counted first, so that
 * only those of one bin are compared with each other. */
static void largest(const float *x, int64_t V, int64_t n, int32_t *ret)
{
	const float high = highest(x, V);
	int64_t     count[BINS + 1] = { 0 }, in, at = 0, whole = 0;
	int32_t    *heap;
	int         last = 0;

	if (n < 1)
		return;
	for (int64_t v = 0; v < V; v++)
		count[bin_of(x[v], high)]++;
	while (whole + count[last] < n)
		whole += count[last++];
	heap = ret + whole;
	in = 0;
	n -= whole;
	for (int64_t v = 0; v < V; v++) {
		const int bin = bin_of(x[v], high);

		if (bin < last)
			ret[at++] = (int32_t)v;
		if (bin != last)
			continue;
		if (in < n) {
			heap[in++] = (int32_t)v;
			for (int64_t i = in == n ? n / 2 : 0; i-- > 0;)
				sink(x, heap, n, i);
		} else if (below(x, heap[0], (int32_t)v)) {
			heap[0] = (int32_t)v;
			sink(x, heap, n, 0);
		}
	}
}

/* log sum exp(x); ret_share, where wanted, gets exp(x) over that sum. */
static double log_sum(const float *x, int64_t n, float *ret_share)
{
	const float high = highest(x, n);
	double      sum = 0;

	for (int64_t i = 0; i < n; i++) {
		const double e = exp((double)x[i] - (double)high);

		sum += e;
		if (ret_share)
			ret_share[i] = (float)e;
	}
	for (int64_t i = 0; ret_share && i < n; i++)
		ret_share[i] *= (float)(1 / sum);
	return (double)high + log(sum);
}

/* A row's sets: K with log p, and the student's m most likely. */
struct sets {
	int64_t  k, m;
	int32_t *teacher, *student;
	double  *logp;
};

static void find_sets(const struct rt_distill_rows *rows, int64_t r, struct sets *s)
{
	const float *t;

	largest(rows->student + r * rows->V, rows->V, s->m, s->student);
	if (rows->teacher) {
		double all;

		t = rows->teacher + r * rows->V;
		all = log_sum(t, rows->V, NULL);
		largest(t, rows->V, s->k, s->teacher);
		for (int64_t i = 0; i < s->k; i++)
			s->logp[i] = t[s->teacher[i]] - all;
		return;
	}
	for (int64_t i = 0; i < s->k; i++) {
		s->teacher[i] = rows->top_id[r * rows->K + i];
		s->logp[i] = rows->top_logprob[r * rows->K + i];
	}
}

/* gradient first has q, with the sign set in K, so that M is told apart. */
static double one_row(const struct config *c, const float *z, int64_t V, const struct sets *s,
                      double factor, float *gradient)
{
	const double all = log_sum(z, V, gradient), lambda = c->lambda_tail;
	double       loss = 0, P = 0, S = 0;
	int64_t      mistakes = 0;

	for (int64_t i = 0; i < s->k; i++) {
		const double p = exp(s->logp[i]);

		gradient[s->teacher[i]] = -gradient[s->teacher[i]];
		P += p;
		loss += p > 0 ? p * (s->logp[i] - (z[s->teacher[i]] - all)) : 0;
	}
	for (int64_t i = 0; i < s->m; i++)
		if (!signbit(gradient[s->student[i]])) {
			s->student[mistakes++] = s->student[i];
			S += exp(z[s->student[i]] - all);
		}
	for (int64_t v = 0; v < V; v++)
		gradient[v] = (float)(factor * (P - lambda * S)) * fabsf(gradient[v]);
	for (int64_t i = 0; i < s->k; i++) {
		const int32_t v = s->teacher[i];

		gradient[v] =
			(float)(factor * (exp(z[v] - all) * (P - lambda * S) - exp(s->logp[i])));
	}
	for (int64_t i = 0; i < mistakes; i++) {
		const int32_t v = s->student[i];

		gradient[v] = (float)(factor * exp(z[v] - all) * (P + lambda * (1 - S)));
	}
	return factor * (loss + lambda * S);
}

static int all_rows(const struct config *c, const struct rt_distill_rows *rows, struct sets *s,
                    float *gradient, double *ret_loss, struct rt_error *err)
{
	double loss = 0;

	for (int64_t r = 0; r < rows->R; r++) {
		const double weight = rows->weight ? (double)rows->weight[r] : 1;
		float       *g = gradient + r * rows->V;
		int          code = weight > 0 ? distill_check_row(rows, r, err) : 0;

		if (code < 0)
			return code;
		if (!(weight > 0)) {
			memset(g, 0, (size_t)rows->V * sizeof *g);
			continue;
		}
		find_sets(rows, r, s);
		loss += one_row(c, rows->student + r * rows->V, rows->V, s, weight * rows->scale,
		                g);
	}
	if (!isfinite(loss))
		return rt_fail(err, RT_E_NUMERIC, "the loss is not finite");
	*ret_loss = loss;
	return 0;
}

static int eval(const void *state, const struct rt_distill_rows *rows, float *gradient,
                double *ret_loss, struct rt_error *err)
{
	const struct config *c = state;
	const int64_t        most = rows->teacher ? rows->V : rows->K;
	struct sets s = { c->k < most ? c->k : most, c->m < rows->V ? c->m : rows->V, NULL, NULL,
		          NULL };
	int         r;

	s.teacher = rt_alloc((size_t)s.k, sizeof *s.teacher);
	s.student = rt_alloc((size_t)s.m, sizeof *s.student);
	s.logp = rt_alloc((size_t)s.k, sizeof *s.logp);
	r = s.teacher && s.student && s.logp ? all_rows(c, rows, &s, gradient, ret_loss, err)
	                                     : rt_fail_nomem(err, "the most likely tokens");
	rt_free(s.teacher);
	rt_free(s.student);
	rt_free(s.logp);
	return r;
}

static const struct rt_distill_ops ops = { .size = sizeof ops, .eval = eval };

RT_PLUGIN(distill_ckd, DISTILL, .name = "ckd", .version = "1.0", .license = "Apache-2.0",
          .summary = "Top-k divergence plus the mass of the student's confident mistakes (STAR, Ni "
                     "2026, eq. 3-5).",
          .config_size = sizeof(struct config), .params = params, .ops.distill = &ops);
