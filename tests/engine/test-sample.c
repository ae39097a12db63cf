/* test-sample.c - sampling against closed forms. */
#include "runner.h"

#include <retort/generate.h>
#include <retort/random.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { V = 1000, DRAWS = 20000 };

static int draw(const struct rt_sampling *s, const float *logits, int64_t n, double u)
{
	float   x[V];
	int32_t id = -1;

	memcpy(x, logits, (size_t)n * sizeof *x);
	ck_assert_int_eq(rt_sample(s, x, n, u, &id, NULL), 0);
	return id;
}

/* Probabilities .4 .3 .2 .1 in a mixed order; ranges of the uniform that give each. */
START_TEST(filters_leave_what_their_definitions_say)
	{
		const float logits[] = { logf(.2f), logf(.4f), -INFINITY, logf(.1f), logf(.3f) };
		const struct {
			struct rt_sampling s;
			double             want[5];
		} cases[] = {
			{ { .temperature = 1 }, { .2, .4, 0, .1, .3 } },
			{ { .temperature = 0 }, { 0, 1, 0, 0, 0 } },
			{ { .temperature = 1, .top_k = 1 }, { 0, 1, 0, 0, 0 } },
			{ { .temperature = 1, .top_k = 2 }, { 0, 4. / 7, 0, 0, 3. / 7 } },
			{ { .temperature = 1, .top_k = 50 }, { .2, .4, 0, .1, .3 } },
			{ { .temperature = 1, .top_p = .65 }, { 0, 4. / 7, 0, 0, 3. / 7 } },
			{ { .temperature = 1, .top_p = .75 }, { 2. / 9, 4. / 9, 0, 0, 3. / 9 } },
			{ { .temperature = 1, .top_p = 1e-6 }, { 0, 1, 0, 0, 0 } },
			{ { .temperature = 1, .min_p = .6 }, { 0, 4. / 7, 0, 0, 3. / 7 } },
			/* of the two that top_k leaves, .4 is 4/7 of the mass */
			{ { .temperature = 1, .top_k = 2, .top_p = .5 }, { 0, 1, 0, 0, 0 } },
			/* squares: 4, 16, 1, 9 of 30 */
			{ { .temperature = .5 }, { 4. / 30, 16. / 30, 0, 1. / 30, 9. / 30 } },
		};

		for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
			double edge = 0;

			for (int i = 0; i < 5; i++) {
				if (cases[c].want[i] == 0)
					continue;
				ck_assert_int_eq(draw(&cases[c].s, logits, 5, edge + 1e-6), i);
				edge += cases[c].want[i];
				ck_assert_int_eq(draw(&cases[c].s, logits, 5, edge - 1e-6), i);
			}
		}
	}
END_TEST

static int descending(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x < y) - (x > y);
}

/* Against sorting, on numbers with many ties and many sizes. */
START_TEST(the_largest_are_found_as_sorting_finds_them)
	{
		for (uint64_t trial = 0; trial < 60; trial++) {
			float         logits[V], sorted[V], x[V];
			const int64_t k = 1 + (int64_t)rt_random_below(1, trial, 0, V);
			double        left = 0;
			int32_t       id;

			for (int i = 0; i < V; i++) {
				logits[i] = (float)(3 * rt_random_normal(2, trial, (uint64_t)i));
				if (trial % 3 == 0) /* ties */
					logits[i] = (float)(int)logits[i];
			}
			memcpy(sorted, logits, sizeof sorted);
			qsort(sorted, V, sizeof *sorted, descending);
			memcpy(x, logits, sizeof x);
			ck_assert_int_eq(
				rt_sample(&(struct rt_sampling){ .temperature = 1, .top_k = k }, x,
			                  V, .5, &id, NULL),
				0);
			for (int i = 0; i < V && k > 1; i++) {
				left += x[i] > 0;
				if (x[i] > 0)
					ck_assert(logits[i] >= sorted[k - 1]);
			}
			if (k > 1)
				ck_assert_int_eq((int64_t)left, k);
		}
	}
END_TEST

/* 20000 draws of a fixed seed over 8 tokens: chi-square of 7 degrees of freedom, the 99.9 % point
 * is 24.3; the seed is fixed, so this passes always or never. */
START_TEST(frequencies_are_the_probabilities)
	{
		const struct rt_sampling s = { .temperature = 1 };
		float                    logits[8];
		double                   p[8], sum = 0, chi = 0;
		int                      count[8] = { 0 };

		for (int i = 0; i < 8; i++) {
			logits[i] = .3f * (float)i;
			p[i] = exp((double)logits[i]);
			sum += p[i];
		}
		for (uint64_t i = 0; i < DRAWS; i++)
			count[draw(&s, logits, 8, rt_random_uniform(1, 2, i))]++;
		for (int i = 0; i < 8; i++) {
			const double want = DRAWS * p[i] / sum;

			chi += (count[i] - want) * (count[i] - want) / want;
		}
		ck_assert_double_lt(chi, 24.3);
	}
END_TEST

START_TEST(logits_that_are_no_numbers_are_errors)
	{
		const struct rt_sampling s = { .temperature = 1 };
		float                    bad[2][2] = { { 0, NAN }, { INFINITY, 0 } };
		float                    none[2] = { -INFINITY, -INFINITY };
		int32_t                  id;

		ck_assert_int_eq(rt_sample(&s, bad[0], 2, .5, &id, NULL), RT_E_NUMERIC);
		ck_assert_int_eq(rt_sample(&s, bad[1], 2, .5, &id, NULL), RT_E_NUMERIC);
		ck_assert_int_eq(rt_sample(&s, none, 2, .5, &id, NULL), RT_E_NUMERIC);
	}
END_TEST

/* Wherever in the row it stands: of equals the first, and the first that is not a number. */
START_TEST(the_best_is_found_in_every_place)
	{
		enum { N = 200 };
		const struct rt_sampling s = { .temperature = 0 };

		for (int at = 0; at < N; at++) {
			float           x[N + 1] = { [N] = NAN };
			struct rt_error err = RT_ERROR_INIT;
			char            want[40];

			x[at] = x[N - 1] = 1;
			ck_assert_int_eq(draw(&s, x, N, 0), at);
			x[at] = NAN;
			snprintf(want, sizeof want, "the logit of token %d is nan", at);
			ck_assert_int_eq(rt_sample(&s, x, N, 0, &(int32_t){ 0 }, &err),
			                 RT_E_NUMERIC);
			ck_assert_str_eq(err.msg, want);
		}
	}
END_TEST

RUNNER("sample", 300, {
	tcase_add_test(tc, filters_leave_what_their_definitions_say);
	tcase_add_test(tc, the_largest_are_found_as_sorting_finds_them);
	tcase_add_test(tc, frequencies_are_the_probabilities);
	tcase_add_test(tc, logits_that_are_no_numbers_are_errors);
	tcase_add_test(tc, the_best_is_found_in_every_place);
})
