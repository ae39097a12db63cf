/* test-quantizers.c - rounding with and without second order, against a plain second path. */
#include <retort/memory.h>
#include <retort/quantizer.h>
#include <retort/random.h>

#include "plugin/component.h"
#include "plugin/context.h"
#include "quantizer/factor.h"
#include "runner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const struct rt_plugin retort_plugin_quantizer_gptq, retort_plugin_quantizer_rtn;

/* As the plugins declare them: the test fills what the host would. */
struct gptq {
	double damp;
	bool   act_order, static_groups, search;
};
struct rtn {
	bool search;
};

static int raised; /* how often more dampening was told of */

static void hear(void *arg, const char *stage, enum rt_level level, const char *text)
{
	(void)arg, (void)stage, (void)level;
	raised += strstr(text, "dampening is raised") != NULL;
}

static const struct context_sink sink = { .log = hear };
static struct rt_context         context = { .sink = &sink, .stage = "test" };

struct result {
	uint8_t *codes, *zeros;
	float   *scales;
};

/* The layer's memory, released by layer_fini(). */
static struct rt_linear layer_init(int64_t rows, int64_t cols)
{
	return (struct rt_linear){ .rows = rows,
		                   .cols = cols,
		                   .weight = rt_alloc((size_t)(rows * cols), sizeof(float)),
		                   .hessian = rt_alloc((size_t)(cols * cols), sizeof(float)) };
}

static void layer_fini(struct rt_linear *l)
{
	rt_free((void *)(uintptr_t)l->weight);
	rt_free((void *)(uintptr_t)l->hessian);
}

/* Normal weights; inputs whose neighbours are correlated and of which some are large. */
static struct rt_linear correlated(uint64_t seed, int64_t rows, int64_t cols, int64_t samples)
{
	struct rt_linear l = layer_init(rows, cols);
	float           *w = (float *)(uintptr_t)l.weight, *h = (float *)(uintptr_t)l.hessian;
	double          *x = rt_alloc((size_t)(samples * cols), sizeof *x);

	for (int64_t i = 0; i < rows * cols; i++)
		w[i] = (float)(0.1 * rt_random_normal(seed, 0, (uint64_t)i));
	for (int64_t s = 0; s < samples; s++)
		for (int64_t i = 0; i < cols; i++) {
			const int64_t at = s * cols + i;
			const double  own = rt_random_normal(seed, 1, (uint64_t)at);

			x[at] = (i > 0 ? 0.7 * x[at - 1] : 0) + own * (i % 7 == 3 ? 4 : 1);
		}
	for (int64_t i = 0; i < cols; i++)
		for (int64_t k = 0; k < cols; k++) {
			double sum = 0;

			for (int64_t s = 0; s < samples; s++)
				sum += x[s * cols + i] * x[s * cols + k];
			h[i * cols + k] = (float)(sum / (double)samples);
		}
	rt_free(x);
	return l;
}

static struct result run(const struct rt_plugin *p, const void *config, const struct rt_linear *l,
                         const struct rt_grid *g, int want)
{
	const size_t        groups = (size_t)(l->rows * l->cols / g->group);
	struct result       q = { rt_alloc((size_t)(l->rows * l->cols), 1), rt_alloc(groups, 1),
		                  rt_alloc(groups, sizeof(float)) };
	struct rt_component o = { .plugin = p, .config = config, .context = &context };
	struct rt_error     err = RT_ERROR_INIT;
	int                 r;

	ck_assert_int_eq(component_open(&o, &err), 0);
	r = p->ops.quantizer->quantize(o.state, l, g, q.codes, q.scales, q.zeros, &err);
	component_close(&o);
	ck_assert_msg(r == want, "%d, want %d: %s", r, want, err.msg);
	return q;
}

static void result_fini(struct result *q)
{
	rt_free(q->codes);
	rt_free(q->zeros);
	rt_free(q->scales);
}

static double value(const struct result *q, const struct rt_grid *g, int64_t i)
{
	const int64_t at = i / g->group;

	return (double)q->scales[at] * (q->codes[i] - q->zeros[at]);
}

/* tr(D H D^T) / 2 */
static double loss(const struct rt_linear *l, const struct rt_grid *g, const struct result *q)
{
	double sum = 0;

	for (int64_t r = 0; r < l->rows; r++)
		for (int64_t i = 0; i < l->cols; i++) {
			const int64_t a = r * l->cols + i;
			double        inner = 0;

			for (int64_t k = 0; k < l->cols; k++) {
				const int64_t b = r * l->cols + k;

				inner += (double)l->hessian[i * l->cols + k] *
				         ((double)l->weight[b] - value(q, g, b));
			}
			sum += inner * ((double)l->weight[a] - value(q, g, a));
		}
	return sum / 2;
}

START_TEST(the_small_case_of_the_paper_by_hand)
	{
		/* worked out in exact arithmetic; the fourth column only makes the scale 1/4 */
		static const float     w[4] = { -.15f, -.15f, -.15f, .75f };
		static const float     h[16] = { 2,   1.2f, .4f, 0, 1.2f, 1.5f, .5f, 0,
			                         .4f, .5f,  .6f, 0, 0,    0,    0,   1 };
		const struct rt_linear l = { .rows = 1, .cols = 4, .weight = w, .hessian = h };
		const struct rt_grid   g = { .bits = 3, .group = 4, .symmetric = true };
		struct result          q =
			run(&retort_plugin_quantizer_gptq, &(struct gptq){ 0 }, &l, &g, 0);
		struct result p = run(&retort_plugin_quantizer_rtn, &(struct rtn){ 0 }, &l, &g, 0);

		ck_assert_double_eq_tol((double)q.scales[0], .25, 1e-7);
		ck_assert_int_eq(q.codes[0], 3);
		ck_assert_int_eq(q.codes[1], 4);
		ck_assert_int_eq(q.codes[2], 3);
		ck_assert_int_eq(q.codes[3], 7);
		/* weights and H are given in f32 */
		ck_assert_double_eq_tol(loss(&l, &g, &q), .008375, 1e-7);
		ck_assert_double_eq_tol(loss(&l, &g, &p), .0415, 1e-7);
		result_fini(&q);
		result_fini(&p);
	}
END_TEST

static bool same(const struct result *a, const struct result *b, const struct rt_linear *l,
                 const struct rt_grid *g)
{
	const size_t n = (size_t)(l->rows * l->cols), groups = n / (size_t)g->group;

	return memcmp(a->codes, b->codes, n) == 0 && memcmp(a->zeros, b->zeros, groups) == 0 &&
	       memcmp(a->scales, b->scales, groups * sizeof(float)) == 0;
}

START_TEST(inputs_that_are_not_correlated_give_plain_rounding)
	{
		const struct rt_grid g = { .bits = 4, .group = 20 };
		struct rt_linear     l = correlated(3, 5, 140, 10);
		float               *h = (float *)(uintptr_t)l.hessian;
		struct result        q,
			p = run(&retort_plugin_quantizer_rtn, &(struct rtn){ 0 }, &l, &g, 0);

		for (int64_t i = 0; i < 140 * 140; i++)
			h[i] = i % 141 == 0 ? 1 + (float)(i % 5) : 0;
		for (int i = 0; i < 4; i++) {
			const struct gptq c = { .damp = i & 1 ? .01 : 0, .act_order = i & 2 };

			q = run(&retort_plugin_quantizer_gptq, &c, &l, &g, 0);
			ck_assert(same(&q, &p, &l, &g));
			result_fini(&q);
		}
		result_fini(&p);
		layer_fini(&l);
	}
END_TEST

/* Inverse of a symmetric positive definite matrix, Gauss and Jordan. */
static void invert(double *a, double *ret, int64_t n)
{
	for (int64_t i = 0; i < n * n; i++)
		ret[i] = i % (n + 1) == 0;
	for (int64_t p = 0; p < n; p++) {
		const double d = a[p * n + p];

		for (int64_t k = 0; k < n; k++) {
			a[p * n + k] /= d;
			ret[p * n + k] /= d;
		}
		for (int64_t i = 0; i < n; i++) {
			const double f = a[i * n + p];

			for (int64_t k = 0; i != p && k < n; k++) {
				a[i * n + k] -= f * a[p * n + k];
				ret[i * n + k] -= f * ret[p * n + k];
			}
		}
	}
}

/* Optimal brain quantization in a fixed order, in double, on the grids of q (Frantar 2022, eq. 2
 * and 3): round a column, correct the others by H^-1, take the column out of H^-1.  How many
 * codes differ from q's. */
static int64_t differ_from_obq(const struct rt_linear *l, const struct rt_grid *g, double damp,
                               const struct result *q)
{
	const int64_t n = l->cols;
	double       *h = rt_alloc((size_t)(n * n), sizeof *h),
	       *inv = rt_alloc((size_t)(n * n), sizeof *h);
	double *w = rt_alloc((size_t)(l->rows * n), sizeof *w), mean = 0;
	int64_t differ = 0;

	for (int64_t i = 0; i < n; i++)
		mean += (double)l->hessian[i * n + i] / (double)n;
	for (int64_t i = 0; i < n * n; i++)
		h[i] = (double)l->hessian[i] + (i % (n + 1) == 0 ? damp * mean : 0);
	for (int64_t i = 0; i < l->rows * n; i++)
		w[i] = (double)l->weight[i];
	invert(h, inv, n);
	for (int64_t j = 0; j < n; j++) {
		const double d = inv[j * n + j];

		for (int64_t r = 0; r < l->rows; r++) {
			const int64_t at = (r * n + j) / g->group;
			const double  top = (double)((1 << g->bits) - 1), s = (double)q->scales[at];
			const double  code =
				fmax(0, fmin(top, round(w[r * n + j] / s) + q->zeros[at]));
			const double e = (w[r * n + j] - s * (code - q->zeros[at])) / d;

			differ += code != q->codes[r * n + j];
			for (int64_t k = j; k < n; k++)
				w[r * n + k] -= e * inv[j * n + k];
		}
		for (int64_t i = j + 1; i < n; i++)
			for (int64_t k = j + 1; k < n; k++)
				inv[i * n + k] -= inv[i * n + j] * inv[j * n + k] / d;
	}
	rt_free(h);
	rt_free(inv);
	rt_free(w);
	return differ;
}

static const struct {
	struct rt_grid grid;
	struct gptq    gptq;
	int64_t        rows, cols;
} cases[] = {
	{ { 4, 16, false, false, RT_F32 }, { .damp = .01 }, 7, 16 },
	{ { 4, 16, true, false, RT_F16 }, { .damp = .01 }, 9, 48 },
	{ { 3, 32, true, true, RT_F16 }, { .damp = .01, .search = true }, 5, 160 },
	{ { 4, 300, false, false, RT_F32 }, { .damp = .01 }, 6, 300 },
	{ { 2, 20, false, false, RT_BF16 }, { .damp = .05, .static_groups = true }, 6, 300 },
	{ { 4, 150, false, false, RT_F32 }, { .damp = .001 }, 6, 300 },
	{ { 8, 32, true, false, RT_F16 }, { .damp = .01 }, 4, 288 },
};

START_TEST(panels_and_products_give_optimal_brain_quantization)
	{
		const struct rt_grid *g = &cases[_i].grid;
		struct rt_linear l = correlated(10 + (uint64_t)_i, cases[_i].rows, cases[_i].cols,
		                                cases[_i].cols * 2);
		struct result    q = run(&retort_plugin_quantizer_gptq, &cases[_i].gptq, &l, g, 0);
		const int64_t    differ = differ_from_obq(&l, g, cases[_i].gptq.damp, &q);

		/* f32 sums against double: what lies within some 1e-6 of the middle between two
		 * codes may go either way, and takes a few behind it along */
		ck_assert_msg(differ * 200 <= l.rows * l.cols, "%lld of %lld", (long long)differ,
		              (long long)(l.rows * l.cols));
		result_fini(&q);
		layer_fini(&l);
	}
END_TEST

START_TEST(the_output_loses_less_than_by_plain_rounding)
	{

		for (uint64_t seed = 0; seed < 8; seed++) {
			const struct rt_grid g = { .bits = 2 + (int64_t)seed % 3,
				                   .group = 16,
				                   .symmetric = seed & 1 };
			const struct gptq    c = { .damp = .01, .act_order = seed & 4 };
			struct rt_linear     l = correlated(20 + seed, 12, 64, 96);
			struct result        q = run(&retort_plugin_quantizer_gptq, &c, &l, &g, 0);
			struct result        p =
				run(&retort_plugin_quantizer_rtn, &(struct rtn){ 0 }, &l, &g, 0);

			ck_assert_double_lt(loss(&l, &g, &q), loss(&l, &g, &p));
			result_fini(&q);
			result_fini(&p);
			layer_fini(&l);
		}
	}
END_TEST

static const struct gptq dead[] = { { .damp = .01 },
	                            { .damp = .01, .act_order = true },
	                            { .damp = .01, .static_groups = true } };

START_TEST(a_dead_column_is_0_and_changes_no_other)
	{
		const struct rt_grid g = { .bits = 4, .group = 8 };
		struct rt_linear     l = correlated(40, 6, 24, 60);
		float        *h = (float *)(uintptr_t)l.hessian, *w = (float *)(uintptr_t)l.weight;
		struct result q, p;

		for (int i = 0; i < 24; i++)
			h[i * 24 + 5] = h[5 * 24 + i] = 0;
		q = run(&retort_plugin_quantizer_gptq, &dead[_i], &l, &g, 0);
		for (int r = 0; r < 6; r++) {
			ck_assert(value(&q, &g, r * 24 + 5) == 0);
			w[r * 24 + 5] = 1000;
		}
		p = run(&retort_plugin_quantizer_gptq, &dead[_i], &l, &g, 0);
		ck_assert(same(&p, &q, &l, &g));
		result_fini(&q);
		result_fini(&p);
		layer_fini(&l);
	}
END_TEST

START_TEST(a_hessian_without_a_factor_is_dampened_more)
	{
		const struct rt_grid g = { .bits = 4, .group = 8 };
		struct rt_linear     l = correlated(41, 6, 24, 5); /* rank 5 of 24 */
		struct result        q =
			run(&retort_plugin_quantizer_gptq, &(struct gptq){ .damp = 0 }, &l, &g, 0);
		struct result p = run(&retort_plugin_quantizer_rtn, &(struct rtn){ 0 }, &l, &g, 0);

		ck_assert_double_lt(loss(&l, &g, &q), loss(&l, &g, &p));
		ck_assert_int_gt(raised, 0);
		((float *)(uintptr_t)l.hessian)[25] = -1;
		result_fini(&q);
		q = run(&retort_plugin_quantizer_gptq, &(struct gptq){ .damp = 0 }, &l, &g,
		        RT_E_NUMERIC);
		result_fini(&q);
		result_fini(&p);
		layer_fini(&l);
	}
END_TEST

START_TEST(v_times_its_transpose_is_h)
	{
		const int64_t    n = 330;
		struct rt_linear l = correlated(50, 1, n, 2 * n);
		float           *v = rt_alloc((size_t)(n * n), sizeof *v);
		double           most = 0, largest = 0;

		memcpy(v, l.hessian, (size_t)(n * n) * sizeof *v);
		ck_assert_int_eq(factor_upper(v, n, NULL), 0);
		for (int64_t i = 0; i < n; i++)
			for (int64_t j = i; j < n; j++) {
				double sum = 0;

				for (int64_t k = j; k < n; k++)
					sum += (double)v[i * n + k] * (double)v[j * n + k];
				most = fmax(most, fabs(sum - (double)l.hessian[i * n + j]));
				largest = fmax(largest, (double)l.hessian[i * n + j]);
			}
		/* backward error of a Cholesky factorization in f32: some n/128 + 128 roundings */
		ck_assert_double_le(most, 1e-5 * largest);
		rt_free(v);
		layer_fini(&l);
	}
END_TEST

START_TEST(scales_are_numbers_of_their_type)
	{
		static const uint32_t types[] = { RT_F16, RT_BF16 };
		struct rt_linear      l = correlated(60, 8, 64, 10);

		for (int i = 0; i < 4; i++) {
			const struct rt_grid g = { .bits = 4,
				                   .group = 32,
				                   .symmetric = true,
				                   .flip = i & 2,
				                   .scale = types[i & 1] };
			struct result        q = run(&retort_plugin_quantizer_rtn,
			                             &(struct rtn){ .search = true }, &l, &g, 0);

			for (int k = 0; k < 16; k++) {
				uint16_t bits;
				float    back;

				ck_assert_int_eq(
					rt_quantize(g.scale, &q.scales[k], 1, 1, NULL, &bits, NULL),
					0);
				ck_assert_int_eq(rt_dequantize(g.scale, &bits, 1, &back, NULL), 0);
				ck_assert(back == q.scales[k]);
			}
			result_fini(&q);
		}
		layer_fini(&l);
	}
END_TEST

/* The value at the far end of a flipped grid is the largest weight itself, as in GGUF's q4_0. */
START_TEST(flipped_grids_are_those_of_gguf)
	{
		const struct rt_grid g = {
			.bits = 4, .group = 32, .symmetric = true, .flip = true, .scale = RT_F16
		};
		struct rt_linear l = correlated(61, 40, 64, 10);
		struct result q = run(&retort_plugin_quantizer_rtn, &(struct rtn){ 0 }, &l, &g, 0);
		uint8_t       blocks[80 * 18];
		float         back[40 * 64];
		double        ours = 0, theirs = 0;

		ck_assert_int_eq(rt_quantize(RT_Q4_0, l.weight, 40, 64, NULL, blocks, NULL), 0);
		ck_assert_int_eq(rt_dequantize(RT_Q4_0, blocks, 40 * 64, back, NULL), 0);
		for (int i = 0; i < 40 * 64; i++) {
			const double w = (double)l.weight[i];

			if (i % 32 == 0) { /* the scale is stored in front of the codes */
				float d;

				ck_assert_int_eq(
					rt_dequantize(RT_F16, blocks + i / 32 * 18, 1, &d, NULL),
					0);
				ck_assert(d == q.scales[i / 32]);
			}
			ours += (w - value(&q, &g, i)) * (w - value(&q, &g, i));
			theirs += (w - (double)back[i]) * (w - (double)back[i]);
		}
		/* the reference rounds by the scale before it is stored */
		ck_assert_double_le(ours, theirs);
		result_fini(&q);
		layer_fini(&l);
	}
END_TEST

START_TEST(a_search_never_makes_the_error_larger)
	{
		const struct rt_grid g = { .bits = 3, .group = 16 };
		struct rt_linear     l = correlated(62, 8, 64, 10);
		struct result        q =
			run(&retort_plugin_quantizer_rtn, &(struct rtn){ true }, &l, &g, 0);
		struct result p = run(&retort_plugin_quantizer_rtn, &(struct rtn){ 0 }, &l, &g, 0);
		int           better = 0;

		for (int k = 0; k < 32; k++) {
			double a = 0, b = 0;

			for (int i = k * 16; i < k * 16 + 16; i++) {
				a += pow(fabs((double)l.weight[i] - value(&q, &g, i)), 2.4);
				b += pow(fabs((double)l.weight[i] - value(&p, &g, i)), 2.4);
			}
			ck_assert_double_le(a, b);
			better += a < b;
		}
		ck_assert_int_gt(better, 16);
		result_fini(&q);
		result_fini(&p);
		layer_fini(&l);
	}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
	{
		const struct rt_grid          g = { .bits = 4, .group = 8, .scale = RT_F16 };
		struct rt_linear              l = correlated(63, 2, 8, 10);
		const struct rt_plugin *const p = &retort_plugin_quantizer_rtn;
		struct result                 q;

		((float *)(uintptr_t)l.weight)[9] = 1e7f;
		q = run(p, &(struct rtn){ 0 }, &l, &g, RT_E_NUMERIC);
		result_fini(&q);
		rt_free((void *)(uintptr_t)l.hessian);
		l.hessian = NULL;
		q = run(&retort_plugin_quantizer_gptq, &(struct gptq){ 0 }, &l, &g, RT_E_UNSUP);
		result_fini(&q);
		layer_fini(&l);
	}
END_TEST

RUNNER("quantizers", 60, {
	tcase_add_test(tc, the_small_case_of_the_paper_by_hand);
	tcase_add_test(tc, inputs_that_are_not_correlated_give_plain_rounding);
	TABLE_TEST(tc, panels_and_products_give_optimal_brain_quantization, cases);
	tcase_add_test(tc, the_output_loses_less_than_by_plain_rounding);
	TABLE_TEST(tc, a_dead_column_is_0_and_changes_no_other, dead);
	tcase_add_test(tc, a_hessian_without_a_factor_is_dampened_more);
	tcase_add_test(tc, v_times_its_transpose_is_h);
	tcase_add_test(tc, scales_are_numbers_of_their_type);
	tcase_add_test(tc, flipped_grids_are_those_of_gguf);
	tcase_add_test(tc, a_search_never_makes_the_error_larger);
	tcase_add_test(tc, what_does_not_fit_is_an_error);
})
