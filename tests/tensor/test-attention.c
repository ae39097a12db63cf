/* test-attention.c - attention against a naive second implementation in double, its gradients
 * against central differences of that, and the identities between layouts. */
#include "tensor/nn.h"

#include "numeric.h"
#include "runner.h"

#include <string.h>

/* Softmax over up to a few hundred keys in float. */
#define FORWARD  3e-6
#define BACKWARD 2e-5

struct shape {
	int64_t        heads, kv, n, rows, keys, window;
	int64_t        n_spans;
	struct rt_span spans[4];
};

static const struct shape shapes[] = {
	{ 1, 1, 4, 3, 3, 0, 1, { { 0, 3, 0, 3, 0 } } },
	{ 4, 2, 8, 9, 9, 0, 1, { { 0, 9, 0, 9, 0 } } },
	{ 6, 3, 5, 11, 11, 4, 1, { { 0, 11, 0, 11, 0 } } }, /* sliding window */
	{ 4,
	  1,
	  8,
	  12,
	  12,
	  0,
	  3,
	  { { 0, 5, 0, 5, 0 }, { 5, 1, 5, 1, 0 }, { 6, 6, 6, 6, 0 } } },     /* packed */
	{ 2, 2, 6, 10, 10, 0, 2, { { 0, 3, 0, 3, 0 }, { 7, 3, 7, 3, 0 } } }, /* padding in between
	                                                                      */
	{ 4, 2, 8, 3, 20, 0, 2, { { 0, 1, 1, 7, 0 }, { 1, 2, 9, 11, 0 } } }, /* caches */
	{ 3, 1, 8, 2, 30, 7, 1, { { 0, 2, 2, 25, 0 } } },                    /* cache and window */
	{ 14, 2, 16, 70, 70, 0, 1, { { 0, 70, 0, 70, 0 } } },                /* several tiles */
	{ 2, 1, 16, 150, 290, 0, 1, { { 0, 150, 0, 290, 0 } } },             /* tiles of keys */
	{ 2, 1, 8, 200, 200, 33, 1, { { 0, 200, 0, 200, 0 } } },
};

struct naive {
	const struct shape *s;
	double             *q, *k, *v, *r; /* r: d loss / d out */
	double             *out;
	double              scale;
};

static double dot(const double *a, const double *b, int64_t n)
{
	double sum = 0.0;

	for (int64_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void naive_row(struct naive *c, const struct rt_span *span, int64_t i, int64_t h)
{
	const struct shape *s = c->s;
	const int64_t       g = h / (s->heads / s->kv), last = span->context - span->count + i;
	const int64_t       first = s->window && last >= s->window ? last - s->window + 1 : 0;
	const double       *q = c->q + ((span->q + i) * s->heads + h) * s->n;
	double             *out = c->out + ((span->q + i) * s->heads + h) * s->n;
	double              sum = 0.0;

	for (int64_t j = first; j <= last; j++) {
		const int64_t at = ((span->k + j) * s->kv + g) * s->n;
		const double  p = exp(c->scale * dot(q, c->k + at, s->n));

		sum += p;
		for (int64_t d = 0; d < s->n; d++)
			out[d] += p * c->v[at + d];
	}
	for (int64_t d = 0; d < s->n; d++)
		out[d] /= sum;
}

static double naive_loss(void *arg)
{
	struct naive       *c = arg;
	const struct shape *s = c->s;
	const int64_t       size = s->rows * s->heads * s->n;

	memset(c->out, 0, (size_t)size * sizeof *c->out);
	for (int64_t i = 0; i < s->n_spans; i++)
		for (int64_t r = 0; r < s->spans[i].count; r++)
			for (int64_t h = 0; h < s->heads; h++)
				naive_row(c, &s->spans[i], r, h);
	return dot(c->out, c->r, size);
}

struct run {
	float *q, *k, *v, *r, *out, *lse, *dq, *dk, *dv;
};

static struct nn_heads of(float *x, int64_t rows, int64_t heads, int64_t n)
{
	return (struct nn_heads){ x, rows, heads, n, heads * n };
}

static struct run run_shape(const struct shape *s)
{
	const int64_t       nq = s->rows * s->heads * s->n, nk = s->keys * s->kv * s->n;
	struct run          t = { random_floats(nq, 1), random_floats(nk, 2),
		                  random_floats(nk, 3), random_floats(nq, 4),
		                  random_floats(nq, 5), random_floats(s->rows * s->heads, 6),
		                  random_floats(nq, 7), random_floats(nk, 8),
		                  random_floats(nk, 9) };
	struct nn_attention o = { s->spans, s->n_spans, s->window, 0.7f };
	struct nn_heads     q, k, v, out;

	for (int64_t i = 0; i < nq; i++)
		t.q[i] *= 3.0f; /* so that weights differ */
	q = of(t.q, s->rows, s->heads, s->n);
	k = of(t.k, s->keys, s->kv, s->n);
	v = of(t.v, s->keys, s->kv, s->n);
	out = of(t.out, s->rows, s->heads, s->n);
	ck_assert_int_eq(nn_attention(&o, q, k, v, out, t.lse, NULL), 0);
	ck_assert_int_eq(nn_attention_backward(
				 &o, q, k, v, out, t.lse, of(t.r, s->rows, s->heads, s->n),
				 of(t.dq, s->rows, s->heads, s->n), of(t.dk, s->keys, s->kv, s->n),
				 of(t.dv, s->keys, s->kv, s->n), NULL),
	                 0);
	return t;
}

/* Gradients in the middle of a tensor, at most 200 of them. */
static void part(const char *what, struct naive *c, double *x, int64_t n, const float *got)
{
	const int64_t first = n > 200 ? n / 2 - 100 : 0, count = n > 200 ? 200 : n;
	double        want[200];

	differences(naive_loss, c, x + first, count, want);
	close_to(what, got + first, want, count, BACKWARD);
}

static void check_shape(const struct shape *s)
{
	const int64_t nq = s->rows * s->heads * s->n, nk = s->keys * s->kv * s->n;
	struct run    t = run_shape(s);
	struct naive  c = { s,
		            doubles(t.q, nq),
		            doubles(t.k, nk),
		            doubles(t.v, nk),
		            doubles(t.r, nq),
		            doubles(NULL, nq),
		            (double)0.7f };

	naive_loss(&c);
	close_to("out", t.out, c.out, nq, FORWARD);
	if (s->rows < 100) { /* differences take the square of that */
		part("dv", &c, c.v, nk, t.dv);
		part("dk", &c, c.k, nk, t.dk);
		part("dq", &c, c.q, nq, t.dq);
	}
}

START_TEST(attention_and_its_gradients_agree_with_a_naive_one)
	{
		for (const struct isa *isa = isa_all; isa->kernels; isa++)
			if (isa->usable()) {
				kernels_set(isa->kernels);
				check_shape(&shapes[_i]);
			}
		kernels_set(NULL);
	}
END_TEST

/* Gradients of long sequences, where differences take too long: by the closed form. */
START_TEST(gradients_over_many_tiles_agree_with_the_closed_form)
	{
		const struct shape *s = &shapes[8];
		const int64_t nq = s->rows * s->heads * s->n, nk = s->keys * s->kv * s->n, n = s->n;
		struct run    t = run_shape(s);
		double *dq = doubles(NULL, nq), *dk = doubles(NULL, nk), *dv = doubles(NULL, nk);

		for (int64_t i = 0; i < s->rows * s->heads; i++) {
			const int64_t r = i / s->heads, last = s->keys - s->rows + r;
			const int64_t g = i % s->heads / (s->heads / s->kv);
			double        p[300], dp[300], sum = 0.0, mean = 0.0;

			for (int64_t j = 0; j <= last; j++) {
				double score = 0.0, d = 0.0;

				for (int64_t c = 0; c < n; c++) {
					score += (double)t.q[i * n + c] *
					         t.k[(j * s->kv + g) * n + c];
					d += (double)t.r[i * n + c] * t.v[(j * s->kv + g) * n + c];
				}
				p[j] = exp((double)0.7f * score);
				dp[j] = d;
				sum += p[j];
				mean += p[j] * d;
			}
			mean /= sum;
			for (int64_t j = 0; j <= last; j++)
				for (int64_t c = 0; c < n; c++) {
					const double ds =
						(double)0.7f * p[j] / sum * (dp[j] - mean);
					const int64_t at = (j * s->kv + g) * n + c;

					dq[i * n + c] += ds * t.k[at];
					dk[at] += ds * t.q[i * n + c];
					dv[at] += p[j] / sum * t.r[i * n + c];
				}
		}
		close_to("dq", t.dq, dq, nq, BACKWARD);
		close_to("dk", t.dk, dk, nk, BACKWARD);
		close_to("dv", t.dv, dv, nk, BACKWARD);
	}
END_TEST

/* Three sequences one after another, packed into one call; the same bits. */
START_TEST(packed_sequences_equal_separate_ones)
	{
		enum { H = 4, KV = 2, D = 16, ROWS = 200 };
		static const struct rt_span spans[] = { { 0, 70, 0, 70, 0 },
			                                { 70, 1, 70, 1, 0 },
			                                { 71, 129, 71, 129, 0 } };
		float *q = random_floats(ROWS * H * D, 1), *k = random_floats(ROWS * KV * D, 2);
		float *v = random_floats(ROWS * KV * D, 3), packed[ROWS * H * D],
		      single[ROWS * H * D];
		struct nn_attention o = { spans, 3, 0, 0.25f };

		ck_assert_int_eq(nn_attention(&o, of(q, ROWS, H, D), of(k, ROWS, KV, D),
		                              of(v, ROWS, KV, D), of(packed, ROWS, H, D), NULL,
		                              NULL),
		                 0);
		for (int i = 0; i < 3; i++) {
			const int64_t  at = spans[i].q, n = spans[i].count;
			struct rt_span one = { 0, n, 0, n, 0 };

			o = (struct nn_attention){ &one, 1, 0, 0.25f };
			ck_assert_int_eq(nn_attention(&o, of(q + at * H * D, n, H, D),
			                              of(k + at * KV * D, n, KV, D),
			                              of(v + at * KV * D, n, KV, D),
			                              of(single + at * H * D, n, H, D), NULL, NULL),
			                 0);
		}
		ck_assert_mem_eq(packed, single, sizeof packed);
	}
END_TEST

/* Token by token with a cache, and in chunks, against all at once.  Not the same bits: a lone
 * query takes another product. */
START_TEST(cached_steps_equal_one_pass)
	{
		enum { H = 6, KV = 2, D = 8, ROWS = 150 };
		float *q = random_floats(ROWS * H * D, 1), *k = random_floats(ROWS * KV * D, 2);
		float *v = random_floats(ROWS * KV * D, 3), once[ROWS * H * D], steps[ROWS * H * D];
		double want[ROWS * H * D];
		const struct rt_span all = { 0, ROWS, 0, ROWS, 0 };
		struct nn_attention  o = { &all, 1, 40, 0.3f };

		ck_assert_int_eq(nn_attention(&o, of(q, ROWS, H, D), of(k, ROWS, KV, D),
		                              of(v, ROWS, KV, D), of(once, ROWS, H, D), NULL, NULL),
		                 0);
		for (int at = 0, n = 1; at < ROWS; at += n) {
			struct rt_span span;

			n = at < 30 ? 1 : 29;
			n = n < ROWS - at ? n : ROWS - at;
			span = (struct rt_span){ 0, n, 0, at + n, 0 };
			o = (struct nn_attention){ &span, 1, 40, 0.3f };
			ck_assert_int_eq(nn_attention(&o, of(q + at * H * D, n, H, D),
			                              of(k, ROWS, KV, D), of(v, ROWS, KV, D),
			                              of(steps + at * H * D, n, H, D), NULL, NULL),
			                 0);
		}
		for (int i = 0; i < ROWS * H * D; i++)
			want[i] = once[i];
		close_to("steps", steps, want, ROWS * H * D, FORWARD);
	}
END_TEST

/* Padding on either side holds NaN; nothing of it is seen, and its rows come out as 0. */
START_TEST(padding_is_never_read)
	{
		enum { H = 2, D = 4, ROWS = 20, FIRST = 6, COUNT = 9 };
		const struct rt_span span = { FIRST, COUNT, FIRST, COUNT, 0 },
				     alone = { 0, COUNT, 0, COUNT, 0 };
		float *q = random_floats(ROWS * H * D, 1), *k = random_floats(ROWS * H * D, 2);
		float *v = random_floats(ROWS * H * D, 3), out[ROWS * H * D], want[COUNT * H * D];
		struct nn_attention o = { &alone, 1, 0, 1.0f };
		const int64_t       skip = FIRST * H * D;

		ck_assert_int_eq(nn_attention(&o, of(q + skip, COUNT, H, D),
		                              of(k + skip, COUNT, H, D), of(v + skip, COUNT, H, D),
		                              of(want, COUNT, H, D), NULL, NULL),
		                 0);
		for (int i = 0; i < ROWS * H * D; i++)
			if (i < skip || i >= skip + COUNT * H * D)
				q[i] = k[i] = v[i] = NAN;
		o.spans = &span;
		ck_assert_int_eq(nn_attention(&o, of(q, ROWS, H, D), of(k, ROWS, H, D),
		                              of(v, ROWS, H, D), of(out, ROWS, H, D), NULL, NULL),
		                 0);
		ck_assert_mem_eq(out + skip, want, sizeof want);
		for (int i = 0; i < skip; i++)
			ck_assert_float_eq(out[i], 0.0f);
		ck_assert_float_eq(out[ROWS * H * D - 1], 0.0f);
	}
END_TEST

START_TEST(large_scores_and_nan_are_neither_hidden_nor_overflow)
	{
		enum { D = 4, ROWS = 3 };
		const struct rt_span span = { 0, ROWS, 0, ROWS, 0 };
		float              *q = random_floats(ROWS * D, 1), *k = random_floats(ROWS * D, 2);
		float              *v = random_floats(ROWS * D, 3), out[ROWS * D];
		struct nn_attention o = { &span, 1, 0, 1e6f };

		ck_assert_int_eq(nn_attention(&o, of(q, ROWS, 1, D), of(k, ROWS, 1, D),
		                              of(v, ROWS, 1, D), of(out, ROWS, 1, D), NULL, NULL),
		                 0);
		for (int i = 0; i < ROWS * D; i++)
			ck_assert(isfinite(out[i]));
		k[D] = NAN; /* key 1: seen by rows 1 and 2 */
		ck_assert_int_eq(nn_attention(&o, of(q, ROWS, 1, D), of(k, ROWS, 1, D),
		                              of(v, ROWS, 1, D), of(out, ROWS, 1, D), NULL, NULL),
		                 0);
		ck_assert(isfinite(out[0]) && isnan(out[D]) && isnan(out[2 * D]));
	}
END_TEST

START_TEST(spans_outside_the_rows_are_refused)
	{
		float               x[16] = { 0 };
		struct rt_span      span = { 0, 3, 0, 2, 0 };
		struct nn_attention o = { &span, 1, 0, 1.0f };
		struct nn_heads     h = of(x, 4, 1, 4);
		struct rt_error     err = RT_ERROR_INIT;

		ck_assert_int_eq(nn_attention(&o, h, h, h, h, NULL, &err), RT_E_SHAPE);
		span = (struct rt_span){ 2, 3, 0, 4, 0 };
		ck_assert_int_eq(nn_attention(&o, h, h, h, h, NULL, &err), RT_E_SHAPE);
		ck_assert_str_eq(
			err.msg,
			"span 0 (3 queries from 2, 4 keys from 0) leaves 4 rows and 4 keys");
		ck_assert_int_eq(nn_attention(&o, of(x, 1, 3, 4), of(x, 1, 2, 4), h, h, NULL, &err),
		                 RT_E_SHAPE);
	}
END_TEST

RUNNER("attention", 300, {
	TABLE_TEST(tc, attention_and_its_gradients_agree_with_a_naive_one, shapes);
	tcase_add_test(tc, gradients_over_many_tiles_agree_with_the_closed_form);
	tcase_add_test(tc, packed_sequences_equal_separate_ones);
	tcase_add_test(tc, cached_steps_equal_one_pass);
	tcase_add_test(tc, padding_is_never_read);
	tcase_add_test(tc, large_scores_and_nan_are_neither_hidden_nor_overflow);
	tcase_add_test(tc, spans_outside_the_rows_are_refused);
})
