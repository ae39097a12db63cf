/* test-softmax.c - softmax, log-probabilities of tokens and cross-entropy, in chunks. */
#include "tensor/nn.h"

#include "numeric.h"
#include "runner.h"

#include <string.h>

#define FORWARD  2e-6
#define BACKWARD 5e-6

START_TEST(softmax_sums_to_one_and_agrees_with_double)
	{
		static const int64_t lengths[] = { 1, 2, 15, 16, 17, 255, 256, 257, 1000, 152064 };

		for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
			const int64_t n = lengths[l];
			float        *x = random_floats(n, 1), *y = random_floats(n, 2);
			double       *want = doubles(NULL, n), sum = 0.0, total = 0.0;

			for (int64_t i = 0; i < n; i++) {
				x[i] *= 20.0f;
				sum += exp(x[i]);
			}
			for (int64_t i = 0; i < n; i++)
				want[i] = exp(x[i]) / sum;
			ck_assert_int_eq(nn_softmax(x, 1, n, y, true, NULL), 0);
			close_to("softmax", y, want, n, FORWARD);
			for (int64_t i = 0; i < n; i++) {
				total += y[i];
				want[i] = log(want[i]);
			}
			ck_assert_double_eq_tol(total, 1.0, 1e-6);
			ck_assert_int_eq(nn_log_softmax(x, 1, n, y, true, NULL), 0);
			close_to("log softmax", y, want, n, FORWARD);
		}
	}
END_TEST

START_TEST(huge_logits_do_not_overflow_and_nan_is_reported)
	{
		struct rt_error err = RT_ERROR_INIT;
		float           x[8] = { 3e38f, 3e38f, -3e38f, 0.0f, 1.0f, NAN, 2.0f, 3.0f }, y[8];
		float           minus[4] = { -INFINITY, -INFINITY, 1.0f, 1.0f };

		ck_assert_int_eq(nn_softmax(x, 1, 4, y, true, &err), 0);
		ck_assert_float_eq(y[0], 0.5f);
		ck_assert_float_eq(y[2], 0.0f);
		ck_assert_int_eq(nn_softmax(minus, 1, 4, y, true, &err), 0); /* some masked: fine */
		ck_assert_float_eq(y[3], 0.5f);
		ck_assert_int_eq(nn_softmax(minus, 2, 2, y, true, &err),
		                 RT_E_NUMERIC); /* all masked */
		ck_assert_int_eq(nn_softmax(x, 2, 4, y, true, &err), RT_E_NUMERIC);
		ck_assert_str_eq(err.msg, "logits of row 1 are not finite");
		ck_assert_int_eq(nn_softmax(x, 2, 4, y, false, &err), 0);
		ck_assert(isnan(y[4]) && isnan(y[7]));
	}
END_TEST

/* ---- tokens under a head ---------------------------------------------------------------- */

enum { ROWS = 13, N = 24, V = 301 };

static const int32_t labels[ROWS] = { 0, 300, RT_IGNORE, 5,         5,   RT_IGNORE, 77,
	                              8, 9,   10,        RT_IGNORE, 200, 123 };

struct head_case {
	double *h, *w, coef[ROWS], logp[ROWS], entropy[ROWS], scale;
};

static double head_loss(void *arg)
{
	struct head_case *c = arg;
	double            loss = 0.0;

	for (int r = 0; r < ROWS; r++) {
		double x[V], sum = 0.0, entropy = 0.0;

		for (int v = 0; v < V; v++) {
			x[v] = 0.0;
			for (int i = 0; i < N; i++)
				x[v] += c->scale * c->h[r * N + i] * c->w[v * N + i];
			sum += exp(x[v]);
		}
		for (int v = 0; v < V; v++)
			entropy -= exp(x[v]) / sum * (x[v] - log(sum));
		c->entropy[r] = entropy;
		c->logp[r] = labels[r] == RT_IGNORE ? 0.0 : x[labels[r]] - log(sum);
		loss += c->coef[r] * c->logp[r];
	}
	return loss;
}

static void run_head(int64_t max_bytes, float *logp, float *entropy, float *dh, float *dw)
{
	float           *h = random_floats(ROWS * N, 1), *w = random_floats(V * N, 2);
	float           *coef = random_floats(ROWS, 3);
	struct rt_tensor weight = rt_matrix(w, V, N);
	struct nn_head   head = { &weight, 1.25f, max_bytes, true, 0 };
	struct nn_heads  hidden = { h, ROWS, 1, N, N };

	memset(dw, 0, sizeof *dw * V * N);
	ck_assert_int_eq(nn_logps(&head, hidden, labels, coef, logp, entropy, dh, dw, NULL), 0);
}

START_TEST(log_probabilities_and_gradients_agree_with_differences)
	{
		float           *h = random_floats(ROWS * N, 1), *w = random_floats(V * N, 2);
		float           *coef = random_floats(ROWS, 3);
		float            logp[ROWS], entropy[ROWS], dh[ROWS * N], dw[V * N];
		double           want[V * N];
		struct head_case c = { .h = doubles(h, ROWS * N),
			               .w = doubles(w, V * N),
			               .scale = 1.25 };

		for (int r = 0; r < ROWS; r++)
			c.coef[r] = coef[r];
		head_loss(&c);
		run_head(0, logp, entropy, dh, dw);
		close_to("logp", logp, c.logp, ROWS, FORWARD);
		close_to("entropy", entropy, c.entropy, ROWS, FORWARD);
		differences(head_loss, &c, c.h, ROWS * N, want);
		close_to("dhidden", dh, want, ROWS * N, BACKWARD);
		/* The head is large: a stretch that has tokens with and without a label. */
		differences(head_loss, &c, c.w, 12 * N, want);
		close_to("dweight", dw, want, 12 * N, BACKWARD);
	}
END_TEST

/* A chunk of one row, of four, and all at once. */
START_TEST(chunks_do_not_change_the_result)
	{
		float  logp[3][ROWS], dh[3][ROWS * N], dw[3][V * N], entropy[ROWS];
		double want[V * N];

		run_head(1, logp[0], entropy, dh[0], dw[0]);
		run_head(4 * 4 * (V + 1), logp[1], entropy, dh[1], dw[1]);
		run_head(0, logp[2], entropy, dh[2], dw[2]);
		for (int k = 0; k < 2; k++) {
			for (int i = 0; i < ROWS; i++)
				want[i] = logp[2][i];
			close_to("logp", logp[k], want, ROWS, FORWARD);
			for (int i = 0; i < ROWS * N; i++)
				want[i] = dh[2][i];
			close_to("dhidden", dh[k], want, ROWS * N, BACKWARD);
			for (int i = 0; i < V * N; i++)
				want[i] = dw[2][i];
			close_to("dweight", dw[k], want, V * N, BACKWARD);
		}
	}
END_TEST

START_TEST(cross_entropy_is_the_mean_over_labels_that_count)
	{
		float *h = random_floats(ROWS * N, 1), *w = random_floats(V * N, 2), dh[ROWS * N];
		struct rt_tensor weight = rt_matrix(w, V, N);
		struct nn_head   head = { &weight, 1.0f, 0, true, 0 };
		struct nn_heads  hidden = { h, ROWS, 1, N, N };
		struct head_case c = { .h = doubles(h, ROWS * N),
			               .w = doubles(w, V * N),
			               .scale = 1.0 };
		double           loss, want = 0.0, dwant[ROWS * N];
		int32_t          none[ROWS];
		int64_t          count;

		ck_assert_int_eq(nn_cross_entropy(&head, hidden, labels, 1.0f, &loss, &count, dh,
		                                  NULL, NULL),
		                 0);
		ck_assert_int_eq(count, 10);
		for (int r = 0; r < ROWS; r++)
			c.coef[r] = -1.0 / 10.0;
		want = head_loss(&c);
		ck_assert_double_eq_tol(loss, want, 1e-6 * want);
		differences(head_loss, &c, c.h, ROWS * N, dwant);
		close_to("dhidden", dh, dwant, ROWS * N, BACKWARD);
		for (int r = 0; r < ROWS; r++)
			none[r] = RT_IGNORE;
		ck_assert_int_eq(
			nn_cross_entropy(&head, hidden, none, 1.0f, &loss, &count, dh, NULL, NULL),
			0);
		ck_assert_int_eq(count, 0);
		ck_assert_double_eq(loss, 0.0);
		for (int i = 0; i < ROWS * N; i++)
			ck_assert_float_eq(dh[i], 0.0f);
	}
END_TEST

START_TEST(labels_outside_and_logits_that_are_not_finite_are_errors)
	{
		float h[4] = { 1.0f, 2.0f, INFINITY, 0.0f }, w[6] = { 1, 2, 3, 4, 5, 6 }, logp[2];
		struct rt_tensor weight = rt_matrix(w, 3, 2);
		struct nn_head   head = { &weight, 1.0f, 0, true, 0 };
		struct nn_heads  hidden = { h, 2, 1, 2, 2 };
		int32_t          label[2] = { 0, 3 };
		struct rt_error  err = RT_ERROR_INIT;

		ck_assert_int_eq(nn_logps(&head, hidden, label, NULL, logp, NULL, NULL, NULL, &err),
		                 RT_E_RANGE);
		ck_assert_str_eq(err.msg, "label 3 at position 1 is outside the vocabulary of 3");
		label[1] = 2;
		ck_assert_int_eq(nn_logps(&head, hidden, label, NULL, logp, NULL, NULL, NULL, &err),
		                 RT_E_NUMERIC);
		head.check = false;
		ck_assert_int_eq(nn_logps(&head, hidden, label, NULL, logp, NULL, NULL, NULL, &err),
		                 0);
		ck_assert(isfinite(logp[0]) && !isfinite(logp[1]));
	}
END_TEST

RUNNER("softmax", 120, {
	tcase_add_test(tc, softmax_sums_to_one_and_agrees_with_double);
	tcase_add_test(tc, huge_logits_do_not_overflow_and_nan_is_reported);
	tcase_add_test(tc, log_probabilities_and_gradients_agree_with_differences);
	tcase_add_test(tc, chunks_do_not_change_the_result);
	tcase_add_test(tc, cross_entropy_is_the_mean_over_labels_that_count);
	tcase_add_test(tc, labels_outside_and_logits_that_are_not_finite_are_errors);
})
