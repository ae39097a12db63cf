/* test-distill.c - distillation losses against TRL, hand-checked values, and extremes. */
#include <retort/distill.h>

#include "golden.h"
#include "runner.h"

#include <retort/memory.h>

#include <math.h>
#include <string.h>

extern const struct rt_plugin retort_plugin_distill_ckd, retort_plugin_distill_kl;

enum { MOST = 200, TOP = 5 };

/* As kl.c declares it: the test fills what the host would from a pipeline file. */
struct config {
	int    divergence, tail;
	double beta, alpha, temperature;
	bool   square;
};

/* Inputs are f64 rounded to f32, results f32: about 2^-24 of logits up to 20, amplified by 2. */
#define BOUND 4e-6

static double run(const struct config *c, const struct rt_distill_rows *rows, float *gradient)
{
	double loss = NAN;

	ck_assert_int_eq(retort_plugin_distill_kl.ops.distill->eval(c, rows, gradient, &loss, NULL),
	                 0);
	return loss;
}

static void read_rows(const json_t *list, float *x)
{
	size_t  i, k;
	json_t *row, *v;

	json_array_foreach(list, i, row) json_array_foreach(row, k, v) *x++ =
		(float)json_number_value(v);
}

static void compare(const json_t *c, double loss, const float *gradient)
{
	const double want = json_number_value(json_object_get(c, "loss_batchmean"));
	float        g[MOST];

	ck_assert_double_eq_tol(loss, want, BOUND * fmax(1, want));
	read_rows(json_object_get(c, "grad_student_logits"), g);
	for (int i = 0; i < 5 * 37; i++)
		ck_assert_double_eq_tol((double)gradient[i], (double)g[i], BOUND);
}

/* What a top-k teacher says of full logits. */
static void take_top(const float *t, int32_t *id, float *logprob)
{
	bool   used[37] = { false };
	double sum = 0;

	for (int v = 0; v < 37; v++)
		sum += exp((double)t[v]);
	for (int k = 0; k < TOP; k++) {
		int best = -1;

		for (int v = 0; v < 37; v++)
			if (!used[v] && (best < 0 || t[v] > t[best]))
				best = v;
		used[best] = true;
		id[k] = best;
		logprob[k] = (float)((double)t[best] - log(sum));
	}
}

struct golden {
	json_t                *file;
	struct rt_distill_rows rows;
	float                  student[MOST], teacher[MOST], weight[5], gradient[MOST];
	float                  logprob[5 * TOP];
	int32_t                id[5 * TOP];
};

static void golden_begin(struct golden *g)
{
	const json_t *in;

	g->file = golden_json("losses/distill.json");
	ck_assert_ptr_nonnull(g->file);
	in = json_object_get(g->file, "inputs");
	read_rows(json_object_get(in, "student_logits"), g->student);
	read_rows(json_object_get(in, "teacher_logits"), g->teacher);
	for (size_t i = 0; i < 5; i++) {
		const json_t *m = json_array_get(json_object_get(in, "mask"), i);

		g->weight[i] = json_is_true(m) || json_number_value(m) > 0;
		take_top(g->teacher + i * 37, g->id + i * TOP, g->logprob + i * TOP);
	}
	g->rows = (struct rt_distill_rows){ .R = 5,
		                            .V = 37,
		                            .student = g->student,
		                            .teacher = g->teacher,
		                            .weight = g->weight,
		                            .scale = 0.25 };
}

static struct config config_of(const json_t *c)
{
	const double beta = json_number_value(json_object_get(c, "beta"));

	return (struct config){ beta <= 0   ? 0
		                : beta >= 1 ? 1
		                            : 2,
		                json_is_false(json_object_get(c, "add_tail")),
		                beta,
		                0.1,
		                json_number_value(json_object_get(c, "temperature")),
		                false };
}

START_TEST(whole_rows_give_what_trl_gives)
	{
		static struct golden g;
		const json_t        *c;
		size_t               i;

		golden_begin(&g);
		ck_assert_uint_eq(json_array_size(json_object_get(g.file, "cases")), 10);
		json_array_foreach(json_object_get(g.file, "cases"), i, c)
		{
			const struct config cfg = config_of(c);
			const double        loss = run(&cfg, &g.rows, g.gradient);

			compare(c, loss, g.gradient);
		}
		json_decref(g.file);
	}
END_TEST

/* TRL's support is the teacher's at beta 0 only.  With a tail and T = 2 the teacher's logits are
 * needed: that is refused. */
START_TEST(a_top_k_teacher_gives_what_trl_gives)
	{
		static struct golden g;
		const json_t        *c;
		size_t               i;
		int                  compared = 0, refused = 0;

		golden_begin(&g);
		g.rows.teacher = NULL;
		g.rows.top_id = g.id;
		g.rows.top_logprob = g.logprob;
		g.rows.K = TOP;
		json_array_foreach(json_object_get(g.file, "top_k_cases"), i, c)
		{
			const struct config cfg = config_of(c);
			double              loss;

			if (cfg.divergence != 0)
				continue;
			if (retort_plugin_distill_kl.ops.distill->eval(&cfg, &g.rows, g.gradient,
			                                               &loss, NULL) == RT_E_UNSUP) {
				refused++;
				continue;
			}
			compare(c, loss, g.gradient);
			compared++;
		}
		ck_assert_int_eq(compared, 3);
		ck_assert_int_eq(refused, 1);
		json_decref(g.file);
	}
END_TEST

/* P = [.6,.3,.08,.02], Q = [.4,.4,.15,.05]; six decimals computed in exact arithmetic. */
static const struct {
	struct config c;
	double        loss, gradient[4];
} small[] = {
	{ { 0, 0, .5, .1, 1, true }, .088360, { -.2, .1, .07, .03 } },
	{ { 1, 0, .5, .1, 1, true }, .092993, { -.199383, .077876, .080342, .041165 } },
	{ { 2, 0, .5, .1, 1, true }, .022384, { -.048998, .022337, .018289, .008371 } },
	{ { 2, 0, .1, .1, 1, true }, .007960, { -.017879, .008800, .006334, .002745 } },
	{ { 3, 0, .5, .1, 1, true }, .071742, { -.159933, .077430, .057358, .025145 } },
	{ { 4, 0, .5, .1, 1, true }, .073867, { -.159386, .067169, .062157, .030060 } },
};

static const float P[4] = { .6f, .3f, .08f, .02f }, Q[4] = { .4f, .4f, .15f, .05f };

START_TEST(every_divergence_has_its_value_and_gradient)
	{
		float                  s[4], t[4], g[4];
		struct rt_distill_rows rows = {
			.R = 1, .V = 4, .student = s, .teacher = t, .scale = 1
		};

		for (int i = 0; i < 4; i++) {
			s[i] = logf(Q[i]);
			t[i] = logf(P[i]);
		}
		ck_assert_double_eq_tol(run(&small[_i].c, &rows, g), small[_i].loss, 6e-7);
		for (int i = 0; i < 4; i++)
			ck_assert_double_eq_tol((double)g[i], small[_i].gradient[i], 6e-7);
	}
END_TEST

START_TEST(extreme_logits_and_ruled_out_tokens_give_numbers)
	{
		const float s[4] = { 1e4f, -1e4f, 0, 5 }, t[4] = { -1e4f, 1e4f, -INFINITY, 5 };
		float       g[4];
		struct rt_distill_rows rows = {
			.R = 1, .V = 4, .student = s, .teacher = t, .scale = 1
		};

		ck_assert(isfinite(run(&small[_i].c, &rows, g)));
		for (int i = 0; i < 4; i++)
			ck_assert(isfinite(g[i]));
	}
END_TEST

struct ckd {
	int64_t k, m;
	double  lambda_tail;
};

/* STAR's loss at k = 2, m = 3, lambda = 10, from whole rows and from the teacher's top two. */
START_TEST(constrained_distillation_has_its_value_and_gradient)
	{
		static const double    want[4] = { -.84, -.54, 1.41, -.03 };
		const struct ckd       c = { 2, 3, 10 };
		const int32_t          id[2] = { 0, 1 };
		float                  s[4], t[4], g[4];
		double                 loss = 0;
		struct rt_distill_rows rows = { .R = 1, .V = 4, .student = s, .scale = 1 };

		for (int i = 0; i < 4; i++) {
			s[i] = logf(Q[i]);
			t[i] = logf(P[i]);
		}
		if (_i == 0) {
			rows.teacher = t;
		} else {
			rows.top_id = id;
			rows.top_logprob = t;
			rows.K = 2;
		}
		ck_assert_int_eq(
			retort_plugin_distill_ckd.ops.distill->eval(&c, &rows, g, &loss, NULL), 0);
		/* six decimals; f32 logits, amplified by lambda */
		ck_assert_double_eq_tol(loss, 1.656974, 3e-6);
		for (int i = 0; i < 4; i++)
			ck_assert_double_eq_tol((double)g[i], want[i], 3e-6);
	}
END_TEST

/* How many of x are in front of x[v]: of equals, the earlier one. */
static int rank(const float *x, int n, int v)
{
	int before = 0;

	for (int i = 0; i < n; i++)
		before += x[i] > x[v] || (x[i] >= x[v] && i < v);
	return before;
}

static double share(const float *x, int n, int v)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += exp((double)x[i] - (double)x[v]);
	return 1 / sum;
}

/* The gradient by the formula, with every token ranked against all others: logits that are equal by
 * the dozen, far below the rest, and any number of them looked at. */
START_TEST(of_many_tokens_the_most_likely_ones_are_mistakes)
	{
		enum { V = 300, K = 5 };
		static const int64_t   some[] = { 0, 1, 37, 100, 250, 299, 300 };
		const struct ckd       c = { K, some[_i], 10 };
		float                  s[V], t[V], g[V];
		double                 loss = 0, top = 0, missed = 0;
		struct rt_distill_rows rows = {
			.R = 1, .V = V, .student = s, .teacher = t, .scale = 1
		};

		for (int i = 0; i < V; i++) {
			s[i] = i % 3 ? (float)((i * 37) % 23) / 4 : -20 - (float)((i * 11) % 40);
			t[i] = (float)((i * 53) % 31) / 5;
		}
		ck_assert_int_eq(
			retort_plugin_distill_ckd.ops.distill->eval(&c, &rows, g, &loss, NULL), 0);
		for (int i = 0; i < V; i++) {
			top += rank(t, V, i) < K ? share(t, V, i) : 0;
			missed += rank(t, V, i) >= K && rank(s, V, i) < c.m ? share(s, V, i) : 0;
		}
		for (int i = 0; i < V; i++) {
			const bool   in = rank(t, V, i) < K;
			const double q = share(s, V, i), p = in ? share(t, V, i) : 0;
			const double m = !in && rank(s, V, i) < c.m;

			/* f32 exponentials and results, amplified by lambda */
			ck_assert_double_eq_tol(
				(double)g[i], q * top - p + c.lambda_tail * q * (m - missed), 1e-6);
		}
	}
END_TEST

START_TEST(a_jensen_divergence_of_one_side_is_refused)
	{
		struct config   c = { 2, 0, 1, .1, 1, true };
		struct rt_error err = RT_ERROR_INIT;

		ck_assert_int_eq(retort_plugin_distill_kl.check(&c, &err), RT_E_USAGE);
		ck_assert_str_eq(err.msg,
		                 "beta = 1: the Jensen divergence is 0 there; use divergence "
		                 "= \"reverse\"");
	}
END_TEST

RUNNER("distill", 60, {
	tcase_add_test(tc, whole_rows_give_what_trl_gives);
	tcase_add_test(tc, a_top_k_teacher_gives_what_trl_gives);
	TABLE_TEST(tc, every_divergence_has_its_value_and_gradient, small);
	TABLE_TEST(tc, extreme_logits_and_ruled_out_tokens_give_numbers, small);
	tcase_add_loop_test(tc, constrained_distillation_has_its_value_and_gradient, 0, 2);
	tcase_add_loop_test(tc, of_many_tokens_the_most_likely_ones_are_mistakes, 0, 7);
	tcase_add_test(tc, a_jensen_divergence_of_one_side_is_refused);
})
