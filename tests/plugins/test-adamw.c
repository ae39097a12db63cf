/* test-adamw.c - the optimizer by itself: against PyTorch, and against its formulas in double. */
#include <retort/optimizer.h>

#include "runner.h"

#include <math.h>

extern const struct rt_plugin retort_plugin_optimizer_adamw;

/* As its config begins. */
struct adamw {
	double beta1, beta2, eps, decay;
};

enum { N = 4, STEPS = 3, MANY = 300 };

static const float first[N] = { .5f, -1.25f, 2, 0 };
static const float gradients[STEPS][N] = { { .1f, -.2f, .3f, 0 },
	                                   { -.05f, .4f, 1e-4f, 2 },
	                                   { .2f, -.6f, -.3f, -1 } };

static void step(const struct adamw *c, struct rt_update *u)
{
	ck_assert_int_eq(retort_plugin_optimizer_adamw.ops.optimizer->update(c, u, NULL), 0);
}

/* torch.optim.AdamW of PyTorch 2.15.0 in float64, lr 1e-2, betas (.9, .95), eps 1e-8, weight_decay
 * .1, the numbers above.  Tolerance: 4 roundings of f32 of numbers below 2. */
START_TEST(its_steps_are_those_of_pytorch)
	{
		static const double want[STEPS][N] = {
			{ .48950000099999991, -1.2387500005000001, 1.9880000003333334, 0 },
			{ .4863268068602668, -1.2411449898902382, 1.9792230100759556,
			  -.0073495999717204949 },
			{ .47935303120197997, -1.2365197722517738, 1.9781009206344999,
			  -.009617939321241338 },
		};
		const struct adamw c = { .9, .95, 1e-8, .1 };
		float              p[N], m[N] = { 0 }, v[N] = { 0 };

		for (int i = 0; i < N; i++)
			p[i] = first[i];
		for (int t = 0; t < STEPS; t++) {
			struct rt_update u = { .n = N,
				               .param = p,
				               .gradient = gradients[t],
				               .moment = { m, v },
				               .step = t + 1,
				               .rate = 1e-2,
				               .clip = 1,
				               .decay = true };

			step(&c, &u);
			for (int i = 0; i < N; i++)
				ck_assert_double_eq_tol((double)p[i], want[t][i], 5e-7);
		}
	}
END_TEST

/* The published update in double: rates that change, gradients that are cut, with and without
 * decay. Tolerance: MANY steps, each off by at most a rounding of f32 of a number near 1. */
START_TEST(it_follows_its_formulas_for_hundreds_of_steps)
	{
		const struct adamw c = { .8, .99, 1e-6, .05 };

		for (int decay = 0; decay < 2; decay++) {
			float  p = .75f, m = 0, v = 0;
			double x = .75, a = 0, b = 0;

			for (int t = 1; t <= MANY; t++) {
				const double     rate = 1e-2 / t, clip = t % 3 ? 1 : .25;
				const float      g = (float)sin(t * .37);
				struct rt_update u = { .n = 1,
					               .param = &p,
					               .gradient = &g,
					               .moment = { &m, &v },
					               .step = t,
					               .rate = rate,
					               .clip = clip,
					               .decay = decay };
				const double     h = clip * (double)g;

				step(&c, &u);
				x -= decay ? rate * c.decay * x : 0;
				a = c.beta1 * a + (1 - c.beta1) * h;
				b = c.beta2 * b + (1 - c.beta2) * h * h;
				x -= rate * (a / (1 - pow(c.beta1, t))) /
				     (sqrt(b / (1 - pow(c.beta2, t))) + c.eps);
				ck_assert_double_eq_tol((double)p, x, MANY * 6e-8);
				ck_assert_double_eq_tol((double)m, a, 1e-6);
				ck_assert_double_eq_tol((double)v, b, 1e-6);
			}
		}
	}
END_TEST

/* A tensor may be cut anywhere. */
START_TEST(parts_of_a_tensor_are_updated_as_the_whole)
	{
		const struct adamw c = { .9, .999, 1e-8, .01 };
		float              p[2][N], m[2][N] = { { 0 } }, v[2][N] = { { 0 } };

		for (int i = 0; i < N; i++)
			p[0][i] = p[1][i] = first[i];
		for (int t = 0; t < STEPS; t++) {
			struct rt_update u = { .n = N,
				               .param = p[0],
				               .gradient = gradients[t],
				               .moment = { m[0], v[0] },
				               .step = t + 1,
				               .rate = .1,
				               .clip = 1,
				               .decay = true };

			step(&c, &u);
			for (int i = 0; i < N; i++) {
				u.n = 1;
				u.param = &p[1][i];
				u.gradient = &gradients[t][i];
				u.moment[0] = &m[1][i];
				u.moment[1] = &v[1][i];
				step(&c, &u);
			}
		}
		ck_assert_mem_eq(p[0], p[1], sizeof p[0]);
		ck_assert_mem_eq(m[0], m[1], sizeof m[0]);
		ck_assert_mem_eq(v[0], v[1], sizeof v[0]);
	}
END_TEST

RUNNER("adamw", 20, {
	tcase_add_test(tc, its_steps_are_those_of_pytorch);
	tcase_add_test(tc, it_follows_its_formulas_for_hundreds_of_steps);
	tcase_add_test(tc, parts_of_a_tensor_are_updated_as_the_whole);
})
