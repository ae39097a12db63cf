/* test-top.c - a teacher's most likely tokens: which they are, and the file that they are kept in.
 */
#include "runner.h"
#include "stage/top.h"
#include "temp.h"

#include <retort/random.h>

#include <math.h>

enum { V = 1000 };

/* Logits of a coarse grid: many are equal. */
static void draw(float *x, int64_t seed)
{
	for (int i = 0; i < V; i++)
		x[i] = floorf(8 * (float)rt_random_normal(5, (uint64_t)seed, (uint64_t)i)) / 4;
}

static const int64_t counts[] = { 1, 2, 7, 999, V };

START_TEST(the_best_come_in_order_and_of_equal_ones_the_first)
	{
		const int64_t k = counts[_i];
		float         x[V], logp[V];
		int32_t       id[V];
		double        sum = 0;
		bool          taken[V] = { false };

		draw(x, _i);
		for (int i = 0; i < V; i++)
			sum += exp((double)x[i]);
		top_pick(x, V, k, id, logp);
		for (int64_t r = 0; r < k; r++) {
			int best = -1;

			for (int i = 0; i < V; i++)
				if (!taken[i] && (best < 0 || x[i] > x[best]))
					best = i;
			taken[best] = true;
			ck_assert_int_eq(id[r], best);
			/* rounded once, to 24 bits of a number below 16 */
			ck_assert_double_eq_tol((double)logp[r], (double)x[best] - log(sum), 5e-7);
		}
	}
END_TEST

START_TEST(logits_that_are_huge_or_minus_infinity_have_probabilities)
	{
		const float x[] = { -INFINITY, 3e38f, 1, -3e38f };
		float       logp[4];
		int32_t     id[4];

		top_pick(x, 4, 4, id, logp);
		ck_assert(id[0] == 1 && id[1] == 2 && id[2] == 3 && id[3] == 0);
		ck_assert(logp[0] == 0 && logp[1] == -3e38f && isinf(logp[3]));
	}
END_TEST

/* ---- the file ---- */

static const int32_t            tokens[] = { 3, 1, 4, 1, 5 };
static const float              weights[] = { 0, 0, 1, 0, 1 };
static const struct rt_sequence first = { "one", tokens, weights, 5, 2 },
				second = { "a longer name", tokens + 1, weights + 1, 4, 1 };
static const int32_t ids[] = { 9, 8, 7, 6, 5, 4 };
static const float   logps[] = { -1, -2, -3, -4, -5, -6 };

/* Two records with three ids for each of two labels. */
static void write_file(void)
{
	struct top_head head = { .k = 3, .vocabulary = 10, .records = 2 };
	struct rt_file *f;

	memcpy(head.magic, top_magic, sizeof head.magic);
	ck_assert_int_eq(rt_file_create(&f, temp_path(top_file), NULL), 0);
	rt_file_put(f, &head, sizeof head);
	top_put(f, &first, 3, ids, logps);
	top_put(f, &second, 3, ids, logps);
	ck_assert_int_eq(rt_file_commit(f, NULL), 0);
}

START_TEST(what_was_put_is_found_by_the_rows_id)
	{
		struct top     t = { 0 };
		const int32_t *id;
		const float   *logp;

		write_file();
		ck_assert_int_eq(top_open(&t, temp_folder, NULL), 0);
		ck_assert(t.head.k == 3 && t.head.vocabulary == 10);
		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(top_labels(i ? &second : &first), 2);
			ck_assert_int_eq(top_find(&t, i ? &second : &first, &id, &logp, NULL), 0);
			ck_assert_mem_eq(id, ids, sizeof ids);
			ck_assert_mem_eq(logp, logps, sizeof logps);
		}
		top_close(&t);
	}
END_TEST

START_TEST(other_tokens_other_labels_and_other_rows_are_refused)
	{
		const int32_t      changed[] = { 3, 1, 4, 2, 5 };
		const float        fewer[] = { 0, 0, 0, 0, 1 };
		struct rt_sequence s = first;
		struct top         t = { 0 };
		struct rt_error    err = RT_ERROR_INIT;
		const int32_t     *id;
		const float       *logp;

		write_file();
		ck_assert_int_eq(top_open(&t, temp_folder, NULL), 0);
		s.token = changed;
		ck_assert_int_eq(top_find(&t, &s, &id, &logp, &err), RT_E_FORMAT);
		ck_assert_str_eq(err.msg,
		                 "row 'one' is other tokens than when it was scored: student "
		                 "and teacher differ in tokenizer or chat template");
		s = first;
		s.weight = fewer;
		ck_assert_int_eq(top_find(&t, &s, &id, &logp, NULL), RT_E_FORMAT);
		s = first;
		s.n = 4;
		ck_assert_int_eq(top_find(&t, &s, &id, &logp, NULL), RT_E_FORMAT);
		s = first;
		s.id = "none";
		ck_assert_int_eq(top_find(&t, &s, &id, &logp, &err), RT_E_FORMAT);
		ck_assert_str_eq(err.msg,
		                 "row 'none' was not scored: it was longer than what stage "
		                 "score took");
		top_close(&t);
	}
END_TEST

/* Cut anywhere, or with any byte of its numbers changed, it is read or refused, never past its end.
 */
START_TEST(a_file_that_is_damaged_is_refused)
	{
		struct rt_text whole = RT_TEXT_INIT;

		write_file();
		ck_assert_int_eq(rt_file_read(temp_path(top_file), 0, &whole, NULL), 0);
		for (size_t n = 1; n < whole.len; n++) {
			struct top t = { 0 };

			temp_write(top_file, whole.data, n);
			ck_assert_int_eq(top_open(&t, temp_folder, NULL), RT_E_FORMAT);
			top_close(&t);
		}
		for (size_t i = 0; i < whole.len; i++) {
			const char     was = whole.data[i];
			struct top     t = { 0 };
			const int32_t *id;
			const float   *logp;

			whole.data[i] = (char)(was ^ 0x81);
			temp_write(top_file, whole.data, whole.len);
			whole.data[i] = was;
			if (top_open(&t, temp_folder, NULL) == 0)
				top_find(&t, &first, &id, &logp, NULL);
			top_close(&t);
		}
		rt_text_free(&whole);
	}
END_TEST

RUNNER("top", 60, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, the_best_come_in_order_and_of_equal_ones_the_first, counts);
	tcase_add_test(tc, logits_that_are_huge_or_minus_infinity_have_probabilities);
	tcase_add_test(tc, what_was_put_is_found_by_the_rows_id);
	tcase_add_test(tc, other_tokens_other_labels_and_other_rows_are_refused);
	tcase_add_test(tc, a_file_that_is_damaged_is_refused);
})
