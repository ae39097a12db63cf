/* test-pruners.c - what matters least, on cases worked out by hand. */
#include <retort/pruner.h>

#include "runner.h"

#include <string.h>

extern const struct rt_plugin retort_plugin_pruner_depth, retort_plugin_pruner_vocabulary,
	retort_plugin_pruner_wanda, retort_plugin_pruner_width;

struct wanda {
	int64_t n, m;
};
struct width {
	int units, by;
};

static const float weight[6] = { .5f, -.2f, .1f, -.3f, .4f, -.6f };
/* channels [1, 2], [3, -4], [.1, .2] */
static const float norm[3] = { 2.236068f, 5, .223607f };

START_TEST(weights_times_norms_are_compared_within_a_row)
	{
		/* products: 1.118034 1 .022361; .670820 2 .134164 */
		static const struct {
			double  density;
			uint8_t keep[6];
		} cases[] = {
			{ 1. / 3, { 1, 0, 0, 0, 1, 0 } },
			{ 2. / 3, { 1, 1, 0, 1, 1, 0 } },
			{ 1, { 1, 1, 1, 1, 1, 1 } },
			{ 0, { 0, 0, 0, 0, 0, 0 } },
		};
		const struct rt_linear l = { .rows = 2, .cols = 3, .weight = weight, .norm = norm };
		struct wanda           c = { 0, 4 };
		uint8_t                keep[6];
		float                  out[6];

		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			ck_assert_int_eq(retort_plugin_pruner_wanda.ops.pruner->mask(
						 &c, &l, cases[i].density, keep, out, NULL),
			                 0);
			ck_assert_mem_eq(keep, cases[i].keep, 6);
			for (int k = 0; k < 6; k++)
				ck_assert(out[k] == (keep[k] ? weight[k] : 0));
		}
	}
END_TEST

START_TEST(n_of_m_stay_in_every_group_of_neighbours)
	{
		static const float     w[8] = { 1, -2, 3, 4, .1f, .3f, -.2f, 0 };
		static const float     ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
		static const uint8_t   want[8] = { 0, 0, 1, 1, 0, 1, 1, 0 };
		const struct rt_linear l = { .rows = 1, .cols = 8, .weight = w, .norm = ones };
		const struct rt_linear odd = { .rows = 1, .cols = 6, .weight = w, .norm = ones };
		struct wanda           c = { 2, 4 };
		const struct rt_pruner_ops *const ops = retort_plugin_pruner_wanda.ops.pruner;
		uint8_t                           keep[8];

		ck_assert_int_eq(ops->mask(&c, &l, .5, keep, NULL, NULL), 0);
		ck_assert_mem_eq(keep, want, 8);
		ck_assert_int_eq(ops->mask(&c, &l, .25, keep, NULL, NULL), RT_E_UNSUP);
		ck_assert_int_eq(ops->mask(&c, &odd, .5, keep, NULL, NULL), RT_E_SHAPE);
		c.n = 5;
		ck_assert_int_eq(retort_plugin_pruner_wanda.check(&c, NULL), RT_E_USAGE);
	}
END_TEST

START_TEST(without_its_statistics_a_pruner_says_so)
	{
		const struct rt_linear     l = { .rows = 2, .cols = 3, .weight = weight };
		const struct rt_unit_stats none = { .units = RT_UNIT_LAYER, .n = 2 };
		struct wanda               c = { 0, 4 };
		struct width               w = { 0, 0 };
		uint8_t                    keep[6];
		float                      x[2];

		ck_assert_int_eq(
			retort_plugin_pruner_wanda.ops.pruner->mask(&c, &l, .5, keep, NULL, NULL),
			RT_E_UNSUP);
		ck_assert_int_eq(retort_plugin_pruner_depth.ops.pruner->score(NULL, &none, x, NULL),
		                 RT_E_UNSUP);
		ck_assert_int_eq(retort_plugin_pruner_width.ops.pruner->score(&w, &none, x, NULL),
		                 RT_E_UNSUP);
		ck_assert_int_eq(
			retort_plugin_pruner_vocabulary.ops.pruner->score(NULL, &none, x, NULL),
			RT_E_UNSUP);
	}
END_TEST

START_TEST(a_layer_counts_by_its_block_influence)
	{
		/* x = ([1,0], [1,1]) becomes y = ([1,1], [1,1]): cosines 1/sqrt 2 and 1 */
		const float                similarity[2] = { (.70710678f + 1) / 2, 1 };
		const struct rt_unit_stats s = { .n = 2, .similarity = similarity };
		float                      x[2];

		ck_assert_int_eq(retort_plugin_pruner_depth.ops.pruner->score(NULL, &s, x, NULL),
		                 0);
		/* a cosine in f32 */
		ck_assert_double_eq_tol((double)x[0], .146447, 1e-6);
		ck_assert(x[1] == 0);
	}
END_TEST

START_TEST(units_count_by_what_was_asked_for)
	{
		const float                a[2] = { 3, 1 }, w[2] = { 1, 2 };
		const struct rt_unit_stats s = { .n = 2, .activation = a, .weight = w, .count = a };
		const struct rt_pruner_ops *const ops = retort_plugin_pruner_width.ops.pruner;
		float                             x[2];

		ck_assert_int_eq(ops->score(&(struct width){ 0, 0 }, &s, x, NULL), 0);
		ck_assert_mem_eq(x, a, sizeof x);
		ck_assert_int_eq(ops->score(&(struct width){ 1, 1 }, &s, x, NULL), 0);
		ck_assert_mem_eq(x, w, sizeof x);
		ck_assert_uint_eq(ops->units(&(struct width){ 0, 0 }), RT_UNIT_NEURON);
		ck_assert_uint_eq(ops->units(&(struct width){ 1, 0 }), RT_UNIT_HEAD);
		ck_assert_int_eq(
			retort_plugin_pruner_vocabulary.ops.pruner->score(NULL, &s, x, NULL), 0);
		ck_assert_mem_eq(x, a, sizeof x);
	}
END_TEST

RUNNER("pruners", 20, {
	tcase_add_test(tc, weights_times_norms_are_compared_within_a_row);
	tcase_add_test(tc, n_of_m_stay_in_every_group_of_neighbours);
	tcase_add_test(tc, without_its_statistics_a_pruner_says_so);
	tcase_add_test(tc, a_layer_counts_by_its_block_influence);
	tcase_add_test(tc, units_count_by_what_was_asked_for);
})
