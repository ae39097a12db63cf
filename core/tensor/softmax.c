/* softmax.c - softmax, log-softmax, log-probabilities of tokens, cross-entropy.  See nn.h */
#include <retort/memory.h>
#include <retort/parallel.h>

#include "tensor/gemm.h"
#include "tensor/kernels.h"
#include "tensor/nn.h"

#include <math.h>
#include <stdatomic.h>

/* 320 MiB: a product's stretch of rows (512) for the largest vocabularies in use.  Each part of the
 * rows reads the head's weights twice and its gradient once, so few parts are better. */
enum { MAX_BYTES = 320 << 20, KEEP = 64 << 20, STRETCH = 256 };

struct job {
	const float *x;
	float       *y;
	int64_t      n;
	bool         logarithm;
	atomic_llong bad; /* 1 + a row that is not finite */
};

static void softmax_rows(void *arg, int64_t first, int64_t last)
{
	struct job *j = arg;

	for (int64_t r = first; r < last; r++) {
		const float *x = j->x + r * j->n;
		float       *y = j->y + r * j->n;
		const float  top = kernels()->max(x, j->n);
		const double sum = kernels()->sum_exp(x, j->n, top, j->logarithm ? NULL : y);
		const float  lse = top + (float)log(sum), inverse = (float)(1.0 / sum);

		if (!isfinite(top) || !isfinite(sum))
			atomic_store(&j->bad, r + 1);
		for (int64_t i = 0; i < j->n; i++)
			y[i] = j->logarithm ? x[i] - lse : y[i] * inverse;
	}
}

static int run(struct job *j, int64_t rows, bool check, struct rt_error *err)
{
	rt_parallel(rows, 1 + 16384 / (j->n + 1), softmax_rows, j);
	if (check && atomic_load(&j->bad))
		return rt_fail(err, RT_E_NUMERIC, "logits of row %lld are not finite",
		               (long long)atomic_load(&j->bad) - 1);
	return 0;
}

int nn_softmax(const float *x, int64_t rows, int64_t n, float *y, bool check, struct rt_error *err)
{
	struct job j = { .x = x, .y = y, .n = n };

	return run(&j, rows, check, err);
}

int nn_log_softmax(const float *x, int64_t rows, int64_t n, float *y, bool check,
                   struct rt_error *err)
{
	struct job j = { .x = x, .y = y, .n = n, .logarithm = true };

	return run(&j, rows, check, err);
}

/* ---- log-probabilities of tokens ---------------------------------------------------------- */

struct chunk {
	float         *logits; /* [rows, vocabulary]; becomes their gradient */
	int64_t        vocabulary;
	const int32_t *label;
	const float   *coef;
	float         *logp, *entropy;
	atomic_llong   bad;
};

/* Entropy = lse - sum p x, summed around the largest logit. */
static float entropy_of(const float *x, int64_t n, float lse)
{
	double sum = 0.0;

	for (int64_t first = 0; first < n; first += STRETCH) {
		const int64_t m = n - first < STRETCH ? n - first : STRETCH;
		float         p[STRETCH], depth[STRETCH];

		kernels()->sum_exp(x + first, m, lse, p);
		for (int64_t i = 0; i < m; i++)
			depth[i] = p[i] > 0.0f ? lse - x[first + i] : 0.0f;
		sum += kernels()->sum_products(p, depth, m);
	}
	return (float)sum;
}

/* One row of logits: its results, and in place the gradient coef (onehot - p).  lse is not finite
 * exactly when the row has NaN, +infinity, or -infinity alone. */
static void finish_row(struct chunk *c, int64_t r)
{
	const struct kernels *kn = kernels();
	const int64_t         n = c->vocabulary, label = c->label[r];
	const bool            counts = label != RT_IGNORE, early = c->coef && !c->entropy;
	float                *x = c->logits + r * n;
	const float           own = counts ? x[label] : 0.0f, top = kn->max(x, n);
	const double          sum = isfinite(top) ? kn->sum_exp(x, n, top, early ? x : NULL) : 1.0;
	const float           lse = top + (float)log(sum),
		    factor = c->coef ? (float)(-c->coef[r] / sum) : 0.0f;

	if (!isfinite(lse))
		atomic_store(&c->bad, r + 1);
	if (c->logp)
		c->logp[r] = counts ? own - lse : 0.0f;
	if (c->entropy)
		c->entropy[r] = entropy_of(x, n, lse);
	if (!c->coef)
		return;
	if (!early)
		kn->sum_exp(x, n, top, x);
	for (int64_t i = 0; i < n; i++)
		x[i] = counts ? factor * x[i] : 0.0f;
	if (counts)
		x[label] += c->coef[r];
}

static void finish_rows(void *arg, int64_t first, int64_t last)
{
	for (int64_t r = first; r < last; r++)
		finish_row(arg, r);
}

/* dhidden and dweight out of the gradient of the logits of some rows. */
static int products_back(const struct nn_head *head, const struct rt_tensor *dlogits,
                         struct nn_heads hidden, float *dhidden, float *dweight,
                         struct rt_error *err)
{
	struct rt_matmul_options o = RT_MATMUL_DEFAULT;
	struct rt_tensor         h = rt_matrix(hidden.data, hidden.rows, hidden.n);
	int                      r = 0;

	h.stride[0] = hidden.ld;
	o.alpha = head->scale;
	o.flags = head->matmul_flags;
	if (dhidden) {
		struct rt_tensor dh = rt_matrix(dhidden, hidden.rows, hidden.n);

		r = rt_matmul(dlogits, head->weight, &dh, &o, err);
	}
	if (r == 0 && dweight) {
		struct rt_tensor dw = rt_matrix(dweight, head->weight->dim[0], hidden.n);
		struct rt_tensor turned = rt_transpose(*dlogits, 0, 1);

		o.beta = 1.0f;
		r = rt_matmul(&turned, &h, &dw, &o, err);
	}
	return r;
}

static int one_chunk(const struct nn_head *head, struct chunk *c, struct nn_heads hidden,
                     float *dhidden, float *dweight, struct rt_error *err)
{
	struct rt_matmul_options o = RT_MATMUL_DEFAULT;
	struct rt_tensor         h = rt_matrix(hidden.data, hidden.rows, hidden.n);
	const struct rt_tensor   logits = rt_matrix(c->logits, hidden.rows, c->vocabulary);
	const struct rt_tensor   turned = rt_transpose(*head->weight, 0, 1);
	int                      r;

	h.stride[0] = hidden.ld;
	o.alpha = head->scale;
	o.flags = head->matmul_flags;
	r = rt_matmul(&h, &turned, &logits, &o, err);
	if (r != 0)
		return r;
	rt_parallel(hidden.rows, 1, finish_rows, c);
	if (head->check && atomic_load(&c->bad))
		return rt_fail(err, RT_E_NUMERIC, "logits are not finite");
	return c->coef ? products_back(head, &logits, hidden, dhidden, dweight, err) : 0;
}

static int check_labels(const struct nn_head *head, struct nn_heads hidden, const int32_t *label,
                        struct rt_error *err)
{
	const struct rt_tensor *w = head->weight;

	if (w->ndim != 2 || w->dim[1] != hidden.n || hidden.heads != 1)
		return rt_fail(err, RT_E_SHAPE, "a head of %lld columns does not take rows of %lld",
		               (long long)w->dim[1], (long long)hidden.n);
	for (int64_t r = 0; r < hidden.rows; r++)
		if (label[r] != RT_IGNORE && (label[r] < 0 || label[r] >= w->dim[0]))
			return rt_fail(err, RT_E_RANGE,
			               "label %ld at position %lld is outside the "
			               "vocabulary of %lld",
			               (long)label[r], (long long)r, (long long)w->dim[0]);
	return 0;
}

int nn_logps(const struct nn_head *head, struct nn_heads hidden, const int32_t *label,
             const float *coef, float *ret_logp, float *ret_entropy, float *dhidden, float *dweight,
             struct rt_error *err)
{
	const int64_t vocabulary = head->weight->dim[0], rows = hidden.rows;
	const int64_t budget = head->max_bytes > 0 ? head->max_bytes : MAX_BYTES;
	int64_t       step = budget / (int64_t)sizeof(float) / (vocabulary + 1), parts;
	size_t        bytes;
	float        *logits;
	int           r = check_labels(head, hidden, label, err);

	if (r != 0)
		return r;
	step = step < 1 ? 1 : step;
	parts = rows > 0 ? (rows + step - 1) / step : 1;
	step = (rows + parts - 1) / parts;
	bytes = (size_t)((step > 0 ? step : 1) * vocabulary) * sizeof *logits;
	/* Large ones would stay beside the gradients; small ones would be cleared at each call. */
	logits = bytes > KEEP ? rt_alloc_unset(bytes, 1) : workspace_take(bytes);
	if (!logits)
		return rt_fail_nomem(err, "logits");
	for (int64_t i = 0; i < rows && r == 0; i += step) {
		struct nn_heads part = hidden;
		struct chunk    c = { .logits = logits,
			              .vocabulary = vocabulary,
			              .label = label + i,
			              .coef = coef ? coef + i : NULL,
			              .logp = ret_logp ? ret_logp + i : NULL,
			              .entropy = ret_entropy ? ret_entropy + i : NULL };

		part.data += i * hidden.ld;
		part.rows = rows - i < step ? rows - i : step;
		r = one_chunk(head, &c, part, dhidden ? dhidden + i * hidden.n : NULL, dweight,
		              err);
		if (r == RT_E_NUMERIC)
			r = rt_within(err, r, "rows %lld to %lld", (long long)i,
			              (long long)(i + part.rows - 1));
	}
	workspace_give(logits);
	return r;
}

int nn_cross_entropy(const struct nn_head *head, struct nn_heads hidden, const int32_t *label,
                     float weight, double *ret_loss, int64_t *ret_count, float *dhidden,
                     float *dweight, struct rt_error *err)
{
	const bool gradient = dhidden || dweight;
	float     *coef, *logp = rt_alloc((size_t)hidden.rows * 2, sizeof *logp);
	double     sum = 0.0;
	int64_t    count = 0;
	int        r;

	if (!logp)
		return rt_fail_nomem(err, "a loss");
	coef = logp + hidden.rows;
	for (int64_t i = 0; i < hidden.rows; i++)
		count += label[i] != RT_IGNORE;
	for (int64_t i = 0; i < hidden.rows; i++)
		coef[i] = count ? -weight / (float)count : 0.0f;
	r = nn_logps(head, hidden, label, gradient ? coef : NULL, logp, NULL, dhidden, dweight,
	             err);
	for (int64_t i = 0; i < hidden.rows; i++)
		sum -= logp[i];
	rt_free(logp);
	if (r != 0)
		return r;
	*ret_loss = count ? sum / (double)count : 0.0;
	if (ret_count)
		*ret_count = count;
	return 0;
}
