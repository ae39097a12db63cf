/* test-nn.c - norms, rotary positions, gates, embeddings: forward, backward, identities. */
#include "tensor/nn.h"

#include "numeric.h"
#include "runner.h"

#include <string.h>

/* Forward results differ from double arithmetic by a few roundings, backward ones by those
 * and the error of the differences. */
#define FORWARD  1e-6
#define BACKWARD 3e-6

/* ---- RMSNorm, on rows that lie apart, with heads ---------------------------------------- */

enum { ROWS = 5, HEADS = 3, N = 37, LD = 130 };

struct norm_case {
	double *x, *w, *r; /* r: d loss / d y */
	double  eps;
	double  y[ROWS * HEADS * N];
};

static double norm_loss(void *arg)
{
	struct norm_case *c = arg;
	double            loss = 0.0;

	for (int i = 0; i < ROWS * HEADS; i++) {
		double sum = 0.0;

		for (int k = 0; k < N; k++)
			sum += c->x[i * N + k] * c->x[i * N + k];
		for (int k = 0; k < N; k++) {
			c->y[i * N + k] = c->x[i * N + k] / sqrt(sum / N + c->eps) * c->w[k];
			loss += c->y[i * N + k] * c->r[i * N + k];
		}
	}
	return loss;
}

static struct nn_heads spread(const float *dense, float *room)
{
	for (int r = 0; r < ROWS; r++)
		memcpy(room + r * LD, dense + r * HEADS * N, sizeof *dense * HEADS * N);
	return (struct nn_heads){ room, ROWS, HEADS, N, LD };
}

static void collect(struct nn_heads x, float *dense)
{
	for (int64_t r = 0; r < x.rows; r++)
		memcpy(dense + r * x.heads * x.n, x.data + r * x.ld,
		       sizeof *dense * (size_t)(x.heads * x.n));
}

START_TEST(rmsnorm_and_its_gradients_agree_with_differences)
	{
		enum { SIZE = ROWS * HEADS * N };
		float           *x = random_floats(SIZE, 1), *w = random_floats(N, 2);
		float           *r = random_floats(SIZE, 3), got[SIZE], dw[N], scale[ROWS * HEADS];
		float            a[ROWS * LD], b[ROWS * LD], c[ROWS * LD];
		struct norm_case t = {
			doubles(x, SIZE), doubles(w, N), doubles(r, SIZE), 1e-6, { 0 }
		};
		double          dx_want[SIZE], dw_want[N];
		struct nn_heads hx = spread(x, a), hy = spread(r, b), hd = spread(x, c);

		norm_loss(&t);
		nn_rmsnorm(hx, w, t.eps, hd, scale);
		collect(hd, got);
		close_to("y", got, t.y, SIZE, FORWARD);

		differences(norm_loss, &t, t.x, SIZE, dx_want);
		differences(norm_loss, &t, t.w, N, dw_want);
		for (int i = 0; i < N; i++)
			dw[i] = 1.0f; /* gradients of parameters are added to */
		for (int i = 0; i < N; i++)
			dw_want[i] += 1.0;
		nn_rmsnorm_backward(hx, w, scale, hy, hd, false, dw);
		collect(hd, got);
		close_to("dx", got, dx_want, SIZE, BACKWARD);
		close_to("dweight", dw, dw_want, N, BACKWARD);
		nn_rmsnorm_backward(hx, w, scale, hy, hd, true, NULL);
		collect(hd, got);
		for (int i = 0; i < SIZE; i++)
			dx_want[i] *= 2.0;
		close_to("dx added", got, dx_want, SIZE, BACKWARD);
	}
END_TEST

/* ---- SwiGLU ----------------------------------------------------------------------------- */

struct gate_case {
	double *g, *u, *r;
	double  y[100];
};

static double gate_loss(void *arg)
{
	struct gate_case *c = arg;
	double            loss = 0.0;

	for (int i = 0; i < 100; i++) {
		c->y[i] = c->g[i] / (1.0 + exp(-c->g[i])) * c->u[i];
		loss += c->y[i] * c->r[i];
	}
	return loss;
}

START_TEST(swiglu_and_its_gradients_agree_with_differences)
	{
		float           *g = random_floats(100, 1), *u = random_floats(100, 2);
		float           *r = random_floats(100, 3), y[100], dg[100], du[100];
		struct gate_case t;
		double           want[100];
		struct nn_heads  hg = { g, 4, 1, 25, 25 }, hu = { u, 4, 1, 25, 25 },
				hr = { r, 4, 1, 25, 25 };
		struct nn_heads hy = { y, 4, 1, 25, 25 };
		struct nn_heads hdg = { dg, 4, 1, 25, 25 }, hdu = { du, 4, 1, 25, 25 };

		for (int i = 0; i < 100; i++)
			g[i] *= 12.0f;
		t = (struct gate_case){ doubles(g, 100), doubles(u, 100), doubles(r, 100), { 0 } };
		gate_loss(&t);
		nn_swiglu(hg, hu, hy);
		close_to("y", y, t.y, 100, FORWARD);
		nn_swiglu_backward(hg, hu, hr, hdg, hdu);
		differences(gate_loss, &t, t.g, 100, want);
		close_to("dgate", dg, want, 100, BACKWARD);
		differences(gate_loss, &t, t.u, 100, want);
		close_to("dup", du, want, 100, BACKWARD);
	}
END_TEST

START_TEST(a_gate_far_out_is_zero_or_linear_never_nan)
	{
		float g[4] = { -1e4f, -90.0f, 90.0f, 1e4f }, u[4] = { 1.0f, 1.0f, 1.0f, 1.0f },
		      y[4];
		struct nn_heads hg = { g, 1, 1, 4, 4 }, hu = { u, 1, 1, 4, 4 },
				hy = { y, 1, 1, 4, 4 };

		nn_swiglu(hg, hu, hy);
		ck_assert_float_eq_tol(y[0], 0.0f, 1e-30f);
		ck_assert_float_eq_tol(y[1], 0.0f, 1e-30f);
		ck_assert_float_eq(y[2], 90.0f);
		ck_assert_float_eq(y[3], 1e4f);
		g[0] = NAN;
		nn_swiglu(hg, hu, hy);
		ck_assert(isnan(y[0]));
	}
END_TEST

/* ---- rotary positions ------------------------------------------------------------------- */

static void tables(const int32_t *position, int rows, int half, float *c, float *s)
{
	for (int r = 0; r < rows; r++)
		for (int i = 0; i < half; i++) {
			const double angle = position[r] * pow(10000.0, -(double)i / half);

			c[r * half + i] = (float)cos(angle);
			s[r * half + i] = (float)sin(angle);
		}
}

START_TEST(rotary_turns_pairs_and_backward_turns_them_back)
	{
		enum { R = 7, H = 2, D = 10, DIM = 8, SIZE = R * H * D };
		static const int32_t position[R] = { 0, 1, 2, 50, 3, 3, 99 };
		float *x = random_floats(SIZE, 1), keep[SIZE], c[R * DIM / 2], s[R * DIM / 2];
		double want[SIZE];
		struct nn_heads h = { x, R, H, D, H * D };

		memcpy(keep, x, sizeof keep);
		tables(position, R, DIM / 2, c, s);
		for (int i = 0; i < R * H; i++)
			for (int k = 0; k < D; k++) {
				const int    p = k % (DIM / 2);
				const double angle =
					position[i / H] * pow(10000.0, -(double)p / (DIM / 2));
				const double a = keep[i * D + p], b = keep[i * D + p + DIM / 2];

				want[i * D + k] = k >= DIM      ? keep[i * D + k]
				                  : k < DIM / 2 ? a * cos(angle) - b * sin(angle)
				                                : b * cos(angle) + a * sin(angle);
			}
		nn_rotary(h, c, s, DIM, false);
		close_to("turned", x, want, SIZE, FORWARD);
		nn_rotary(h, c, s, DIM, true);
		for (int i = 0; i < SIZE; i++)
			want[i] = keep[i];
		close_to("turned back", x, want, SIZE, FORWARD);
	}
END_TEST

/* ---- embedding, bias -------------------------------------------------------------------- */

START_TEST(embedding_takes_rows_of_any_type_and_scatters_back)
	{
		enum { V = 9, D = 96, R = 6 };
		static const int32_t id[R] = { 3, 0, 3, 8, 3, 1 };
		float               *table = random_floats(V * D, 1), *dy = random_floats(R * D, 2);
		float                y[R * D], d[V * D] = { 0 }, row[D];
		unsigned char        bytes[V * D * 2];
		struct nn_heads      hy = { y, R, 1, D, D }, hd = { dy, R, 1, D, D };
		struct rt_tensor     t = rt_tensor(bytes, RT_Q5_0, 2, (int64_t[]){ V, D });
		double               want[V * D] = { 0 };

		ck_assert_int_eq(rt_quantize(RT_Q5_0, table, V, D, NULL, bytes, NULL), 0);
		ck_assert_int_eq(nn_embedding(&t, id, hy, NULL), 0);
		for (int r = 0; r < R; r++) {
			ck_assert_int_eq(
				rt_dequantize(RT_Q5_0, bytes + id[r] * 3 * 22, D, row, NULL), 0);
			ck_assert_mem_eq(row, y + r * D, sizeof row);
			for (int i = 0; i < D; i++)
				want[id[r] * D + i] += dy[r * D + i];
		}
		nn_embedding_backward(id, hd, d);
		close_to("dtable", d, want, V * D, FORWARD);
	}
END_TEST

START_TEST(a_token_outside_the_table_is_named)
	{
		float            table[8] = { 0 }, y[4];
		int32_t          id[2] = { 1, 4 };
		struct rt_tensor t = rt_matrix(table, 4, 2);
		struct nn_heads  hy = { y, 2, 1, 2, 2 };
		struct rt_error  err = RT_ERROR_INIT;

		ck_assert_int_eq(nn_embedding(&t, id, hy, &err), RT_E_RANGE);
		ck_assert_str_eq(err.msg, "token 4 at position 1 is outside the vocabulary of 4");
		id[1] = -1;
		ck_assert_int_eq(nn_embedding(&t, id, hy, &err), RT_E_RANGE);
	}
END_TEST

START_TEST(a_bias_is_added_and_its_gradient_summed)
	{
		enum { R = 300, D = 70 };
		float          *x = random_floats(R * D, 1), *bias = random_floats(D, 2), d[D];
		double          want[D], all[R * D];
		struct nn_heads h = { x, R, 1, D, D };

		for (int i = 0; i < D; i++) {
			d[i] = bias[i];
			want[i] = bias[i];
		}
		for (int i = 0; i < R * D; i++)
			want[i % D] += x[i];
		nn_bias_backward(h, d);
		close_to("dbias", d, want, D, FORWARD);
		for (int i = 0; i < R * D; i++)
			all[i] = (double)x[i] + bias[i % D];
		nn_bias(h, bias);
		close_to("sum", x, all, R * D, FORWARD);
		nn_add(x, x, 0);
	}
END_TEST

/* ---- dropout ----------------------------------------------------------------------------- */

enum { DROP_ROWS = 500, DROP_N = 130, DROPPED = DROP_ROWS * DROP_N };

static const double drop_rates[] = { .1, .25, .5 };

START_TEST(dropout_leaves_out_its_share_and_keeps_the_mean)
	{
		const struct nn_dropout o = { drop_rates[_i], 7, 3 };
		float          *x = random_floats(DROPPED, 1), *y = random_floats(DROPPED, 1);
		struct nn_heads h = { y, DROP_ROWS, 1, DROP_N, DROP_N };
		int64_t         left_out = 0;
		double          sigma = sqrt(o.rate * (1 - o.rate) / DROPPED), share;

		nn_dropout(&o, 5, h);
		for (int i = 0; i < DROPPED; i++) {
			left_out += y[i] == 0;
			if (y[i] != 0) /* 16 bits of a draw: the rate is right to 1 / 131072 */
				ck_assert_double_eq_tol(y[i], x[i] / (1 - o.rate),
				                        2e-5 * fabs((double)x[i]));
		}
		share = (double)left_out / DROPPED;
		/* four deviations, of numbers that are the same in every run */
		ck_assert_double_eq_tol(share, o.rate, 4 * sigma + 1e-5);
	}
END_TEST

static int64_t differ(const float *x, const float *y)
{
	int64_t n = 0;

	for (int i = 0; i < DROPPED; i++)
		n += x[i] != y[i];
	return n;
}

START_TEST(dropout_is_a_function_of_seed_stream_site_and_place)
	{
		const struct nn_dropout o[] = { { .5, 7, 3 }, { .5, 7, 3 }, { .5, 8, 3 },
			                        { .5, 7, 4 }, { .5, 7, 3 }, { 0, 7, 3 } };
		float                  *y[6], *wide = random_floats(DROP_ROWS * 200, 1);
		const struct nn_heads   apart = { wide, DROP_ROWS, 1, DROP_N, 200 };

		for (int i = 0; i < 6; i++) {
			y[i] = random_floats(DROPPED, 1);
			nn_dropout(&o[i], i == 4 ? 6 : 5,
			           (struct nn_heads){ y[i], DROP_ROWS, 1, DROP_N, DROP_N });
		}
		ck_assert_int_eq(differ(y[0], y[1]), 0);
		for (int i = 2; i < 6; i++) /* one of two masks, or none: half of all differ */
			ck_assert_double_eq_tol((double)differ(y[0], y[i]) / DROPPED,
			                        i == 5 ? 1 : .5, .01);
		for (int r = 0; r < DROP_ROWS; r++)
			memcpy(wide + r * 200, random_floats(DROPPED, 1) + r * DROP_N,
			       DROP_N * sizeof *wide);
		nn_dropout(&o[0], 5, apart);
		for (int r = 0; r < DROP_ROWS; r++)
			ck_assert_mem_eq(wide + r * 200, y[0] + r * DROP_N, DROP_N * sizeof *wide);
	}
END_TEST

RUNNER("nn", 120, {
	tcase_add_test(tc, rmsnorm_and_its_gradients_agree_with_differences);
	tcase_add_test(tc, swiglu_and_its_gradients_agree_with_differences);
	tcase_add_test(tc, a_gate_far_out_is_zero_or_linear_never_nan);
	tcase_add_test(tc, rotary_turns_pairs_and_backward_turns_them_back);
	tcase_add_test(tc, embedding_takes_rows_of_any_type_and_scatters_back);
	tcase_add_test(tc, a_token_outside_the_table_is_named);
	tcase_add_test(tc, a_bias_is_added_and_its_gradient_summed);
	TABLE_TEST(tc, dropout_leaves_out_its_share_and_keeps_the_mean, drop_rates);
	tcase_add_test(tc, dropout_is_a_function_of_seed_stream_site_and_place);
})
