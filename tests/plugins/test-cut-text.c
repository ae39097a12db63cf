/* test-cut-text.c - tokenizers without some of their tokens: texts of tokens that stay are
 * segmented as they were, and every text comes back. */
#include "runner.h"
#include "stage/cut-text.h"
#include "temp.h"

#include <retort/random.h>

static const char *const folders[] = { "tok-llama3-style", "tok-qwen2.5" };

static uint64_t place;

static int64_t below(int64_t n)
{
	return (int64_t)rt_random_below(3, 0, place++, (uint64_t)n);
}

/* Up to six tokens that stay, as text; nothing is said about how they are segmented. */
static void draw(const struct rt_tokenizer *a, const struct cut_text *t, struct rt_text *out)
{
	int32_t      ids[6];
	const size_t n = 1 + (size_t)below(6);

	for (size_t i = 0; i < n; i++)
		ids[i] = (int32_t)t->kept[below(t->n_kept)];
	rt_text_clear(out);
	ck_assert_int_eq(rt_tokenizer_decode(a, ids, n, RT_DECODE_SKIP, out, NULL), 0);
}

/* Whether all tokens of a text stay; then it must have the same ones in both. */
static bool compare(const struct rt_tokenizer *a, const struct rt_tokenizer *b,
                    const struct cut_text *t, const struct rt_text *text)
{
	struct rt_ids  x = RT_IDS_INIT, y = RT_IDS_INIT;
	struct rt_text one = RT_TEXT_INIT, other = RT_TEXT_INIT;
	bool           kept = true;

	ck_assert_int_eq(rt_tokenizer_encode(a, text->data, text->len, 0, &x, NULL), 0);
	ck_assert_int_eq(rt_tokenizer_encode(b, text->data, text->len, 0, &y, NULL), 0);
	for (size_t i = 0; i < x.len; i++)
		kept &= t->keep[x.data[i]];
	if (kept)
		ck_assert_uint_eq(x.len, y.len);
	for (size_t i = 0; kept && i < x.len; i++)
		ck_assert_int_eq(t->map[x.data[i]], y.data[i]);
	rt_tokenizer_decode(a, x.data, x.len, 0, &one, NULL);
	rt_tokenizer_decode(b, y.data, y.len, 0, &other, NULL);
	ck_assert_str_eq(one.data, other.data);
	rt_ids_free(&x);
	rt_ids_free(&y);
	rt_text_free(&one);
	rt_text_free(&other);
	return kept;
}

/* A share of the tokens is wanted, by chance. */
static void cut(const char *folder, const struct rt_tokenizer *a, int64_t percent)
{
	struct rt_tokenizer *b;
	struct cut_text      t = { 0 };
	struct rt_text       text = RT_TEXT_INIT;
	int                  kept = 0;

	ck_assert_int_eq(cut_text_open(&t, folder, temp_path("cut"), rt_tokenizer_size(a), NULL),
	                 0);
	for (int64_t i = 0; i < t.size; i++)
		t.keep[i] |= below(100) < percent;
	ck_assert_int_eq(cut_text_choose(&t, NULL), 0);
	ck_assert(t.n_kept >= 256 && t.n_kept < t.size);
	ck_assert_int_eq(cut_text_write(&t, NULL), 0);
	ck_assert_int_eq(rt_tokenizer_open(&b, temp_path("cut"), NULL), 0);
	ck_assert_int_eq(rt_tokenizer_size(b), t.n_kept);
	for (int i = 0; i < 500; i++) {
		draw(a, &t, &text);
		kept += compare(a, b, &t, &text);
	}
	ck_assert_int_gt(kept, 50); /* the claim was tried */
	rt_text_free(&text);
	rt_tokenizer_free(b);
	cut_text_close(&t);
}

START_TEST(texts_of_tokens_that_stay_are_segmented_as_they_were)
	{
		static const int64_t percents[] = { 0, 10, 60 };
		char                 folder[512];
		struct rt_tokenizer *a;

		snprintf(folder, sizeof folder, "%s/%s", GOLDEN_DIR, folders[_i]);
		ck_assert_int_eq(rt_tokenizer_open(&a, folder, NULL), 0);
		for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
			cut(folder, a, percents[i]);
		rt_tokenizer_free(a);
	}
END_TEST

START_TEST(other_kinds_of_tokenizers_are_refused)
	{
		struct cut_text t = { 0 };
		struct rt_error err = RT_ERROR_INIT;

		ck_assert_int_eq(cut_text_open(&t, GOLDEN_DIR "/tok-llama2-style", temp_path("cut"),
		                               300, &err),
		                 RT_E_UNSUP);
		ck_assert_ptr_nonnull(strstr(err.msg, "byte-level BPE alone"));
		cut_text_close(&t);
		ck_assert_int_eq(
			cut_text_open(&t, GOLDEN_DIR "/losses", temp_path("none"), 300, &err),
			RT_E_UNSUP);
		ck_assert_ptr_nonnull(strstr(err.msg, "no tokenizer.json"));
		cut_text_close(&t);
	}
END_TEST

RUNNER("cut-text", 120, {
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, texts_of_tokens_that_stay_are_segmented_as_they_were, folders);
	tcase_add_test(tc, other_kinds_of_tokenizers_are_refused);
})
