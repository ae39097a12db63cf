/* test-muon.c - the optimizer by itself: against PyTorch, and what its steps promise. */
#include <retort/optimizer.h>
#include <retort/tensor.h>
#include <retort/train.h>

#include "runner.h"

#include <math.h>
#include <string.h>

extern const struct rt_plugin retort_plugin_optimizer_muon;

/* As its config begins. */
struct muon {
	double  beta1, beta2, eps, decay, momentum;
	int64_t iterations;
	int     products;
};

static const struct muon usual = { .9, .95, 1e-8, .1, .95, 5, RT_PRODUCTS_F32 };

enum { STEPS = 3, MOST = 8, LARGE = 96 * 40 };

static void step(const struct muon *c, struct rt_update *u)
{
	ck_assert_int_eq(retort_plugin_optimizer_muon.ops.optimizer->update_matrix(c, u, NULL), 0);
}

struct golden {
	int64_t rows, columns;
	double  want[STEPS][MOST];
};

/* torch.optim.Muon of PyTorch 2.15.0, lr 1e-2, weight_decay .1, momentum .95, nesterov,
 * adjust_lr_fn "match_rms_adamw", its Newton-Schulz steps in float64 instead of bfloat16. */
static const struct golden golden[] = {
	{ 2,
	  3,
	  { { -.6218553023367719, -.37461704061975337, -.12743449456446107, .24810469220558315,
	      .5003345929675783, -.6269026570434747 },
	    { -.6201682319142396, -.3764862114032532, -.12712493582686904, .24998689440699148,
	      .500839105432958, -.6255433894075519 },
	    { -.6169507748092619, -.37415095552594246, -.12804782126054076, .2518591260942703,
	      .4986421998839932, -.6256041360858116 } } },
	{ 4,
	  2,
	  { { -.6214915109344872, -.3744362496489988, .24789059073999187, .5002881418667532,
	      -.24962416643266586, .0018279508681746048, .6264860763946765, -.49663224013040397 },
	    { -.6186768896071648, -.37594292221647635, .24962007082760407, .4993693748380137,
	      -.2512563408110869, .0026425667573500428, .6269011043316846, -.4936603472455017 },
	    { -.6155353059505333, -.3730547554287246, .2500661424138539, .49678193161414624,
	      -.24824615732473082, .002765756420796941, .6248885425651407, -.4930604742442446 } } },
};

static void begin(const struct golden *g, float *p)
{
	for (int64_t i = 0; i < g->rows; i++)
		for (int64_t j = 0; j < g->columns; j++)
			p[i * g->columns + j] = (float)((7 * i + 13 * j) % 11 - 5) / 8;
}

static void gradient(const struct golden *g, int64_t s, float *d)
{
	for (int64_t i = 0; i < g->rows; i++)
		for (int64_t j = 0; j < g->columns; j++)
			d[i * g->columns + j] =
				(float)((5 * i + 3 * j + 2 * s + i * j) % 7 - 3) / 16;
}

/* In f32: five steps that multiply small singular values by 3.4 each carry roundings of 6e-8 to
 * 3e-5 of an update, which is 4e-3 here: 1e-7, and the roundings of the weights.  In bf16 roundings
 * are 2^16 times as large, but the steps draw what is off back to 1: PyTorch's own differ by 1e-4.
 */
static void follow(const struct golden *g, int products, double tolerance)
{
	struct muon c = usual;
	float       p[MOST], m[MOST] = { 0 }, d[MOST];

	c.products = products;
	begin(g, p);
	for (int t = 0; t < STEPS; t++) {
		struct rt_update u = { .n = g->rows * g->columns,
			               .param = p,
			               .gradient = d,
			               .moment = { m },
			               .step = t + 1,
			               .rate = 1e-2,
			               .clip = 1,
			               .decay = true,
			               .rows = g->rows,
			               .columns = g->columns };

		gradient(g, t, d);
		step(&c, &u);
		for (int64_t i = 0; i < u.n; i++)
			ck_assert_double_eq_tol((double)p[i], g->want[t][i], tolerance);
	}
}

START_TEST(its_steps_are_those_of_pytorch)
	{
		follow(&golden[_i], RT_PRODUCTS_F32, 5e-7);
		follow(&golden[_i], RT_PRODUCTS_BF16, 4e-4);
	}
END_TEST

struct shape {
	int64_t rows, columns;
};

static const struct shape shapes[] = { { 40, 96 }, { 96, 40 }, { 1, 96 }, { 96, 1 }, { 40, 40 } };

/* Whatever the gradient's size, all directions of an update are near 1 after the factor is taken
 * off: the quintic's steps end between .65 and 1.25 (Jordan 2024).  By |U x| / |x| for x in the
 * space of the shorter side, and by the trace. */
START_TEST(an_update_is_nearly_orthogonal_whatever_the_gradient)
	{
		const struct shape s = shapes[_i];
		const int64_t      n = s.rows * s.columns;
		const int64_t      less = s.rows < s.columns ? s.rows : s.columns;
		const double       factor = .2 * sqrt((double)(s.rows + s.columns - less));
		float              d[LARGE], m[LARGE], p[LARGE], first[LARGE];

		for (int scale = -10; scale <= 10; scale += 10) {
			struct rt_update u = { .n = n,
				               .param = p,
				               .gradient = d,
				               .moment = { m },
				               .step = 1,
				               .rate = 1,
				               .clip = 1,
				               .rows = s.rows,
				               .columns = s.columns };
			double           sum = 0;

			memset(p, 0, sizeof p);
			memset(m, 0, sizeof m);
			for (int64_t i = 0; i < n; i++)
				d[i] = ldexpf((float)sin(i * 1.7 + i * i * .3), scale);
			step(&usual, &u);
			for (int64_t i = 0; i < n; i++)
				sum += p[i] * p[i] / factor / factor;
			/* the sum of the squares of singular values */
			ck_assert_double_ge(sum, .65 * .65 * (double)less);
			ck_assert_double_le(sum, 1.25 * 1.25 * (double)less);
			if (scale == -10)
				memcpy(first, p, sizeof p);
			for (int64_t i = 0; i < n; i++) /* scales are powers of two */
				ck_assert_double_eq_tol((double)p[i], (double)first[i], 1e-4);
		}
	}
END_TEST

START_TEST(no_gradient_moves_nothing)
	{
		float            d[6] = { 0 }, m[6] = { 0 }, p[6] = { 1, 2, 3, 4, 5, 6 };
		struct rt_update u = { .n = 6,
			               .param = p,
			               .gradient = d,
			               .moment = { m },
			               .step = 1,
			               .rate = .5,
			               .clip = 1,
			               .decay = true,
			               .rows = 2,
			               .columns = 3 };

		step(&usual, &u);
		for (int i = 0; i < 6; i++) /* but what decays: 1 - .5 * .1 */
			ck_assert_double_eq_tol((double)p[i], .95 * (i + 1), 1e-6);
	}
END_TEST

RUNNER("muon", 60, {
	TABLE_TEST(tc, its_steps_are_those_of_pytorch, golden);
	TABLE_TEST(tc, an_update_is_nearly_orthogonal_whatever_the_gradient, shapes);
	tcase_add_test(tc, no_gradient_moves_nothing);
})
