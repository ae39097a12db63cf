/* test-resume.c - a training that was cut short against one that was not; checkpoints. */
#include "temp.h"
#include "tiny.h"

#include <retort/memory.h>
#include <retort/safetensors.h>

#include <string.h>

extern const struct rt_plugin retort_plugin_optimizer_muon;

/* As muon's config begins. */
static struct muon_config {
	struct adamw_config adam;
	double              momentum;
	int64_t             iterations;
	int                 products;
} muon = { { .9, .95, 1e-8, .1 }, .95, 5, RT_PRODUCTS_F32 };
static struct rt_component orthogonal = { .plugin = &retort_plugin_optimizer_muon,
	                                  .state = &muon,
	                                  .config = &muon };

/* ---- going on -------------------------------------------------------------------------------- */

static const struct {
	double average;
	bool   small;
	int    products;
	bool   muon;
} kinds[] = { { 0, false, RT_PRODUCTS_F32, false }, { .9, false, RT_PRODUCTS_F32, false },
	      { .9, true, RT_PRODUCTS_F32, false }, { 0, false, RT_PRODUCTS_BF16, false },
	      { .9, false, RT_PRODUCTS_F32, true }, { 0, true, RT_PRODUCTS_BF16, true } };

START_TEST(a_run_that_goes_on_ends_with_the_same_bytes)
	{
		struct rt_context c = {
			.sink = &silence, .stage = "t", .seed = 5, .work_dir = temp_folder
		};
		struct rt_training training = plain();
		struct rt_model   *whole = open_tiny(), *cut = open_tiny();
		struct rt_trainer *t;

		training.average = kinds[_i].average;
		training.small_moments = kinds[_i].small;
		training.products = kinds[_i].products;
		if (kinds[_i].muon)
			training.optimizer = &orthogonal;
		ck_assert_int_eq(rt_trainer_open(&t, whole, &training, 6, &c, NULL), 0);
		steps(whole, t, 6);
		rt_trainer_swap(t);
		rt_trainer_close(t);

		training.save = 0; /* after every step */
		ck_assert_int_eq(rt_trainer_open(&t, cut, &training, 6, &c, NULL), 0);
		ck_assert_int_eq(rt_json_set(rt_trainer_notes(t), "best", rt_json_new_int(42)), 0);
		steps(cut, t, 4);
		rt_trainer_close(t);
		rt_model_close(cut);

		cut = open_tiny();
		ck_assert_int_eq(rt_trainer_open(&t, cut, &training, 6, &c, NULL), 0);
		ck_assert_int_eq(rt_trainer_at(t), 4);
		ck_assert_int_eq(rt_json_int(rt_json_get(rt_trainer_notes(t), "best"), 0), 42);
		steps(cut, t, 6);
		rt_trainer_swap(t);
		rt_trainer_close(t);
		ck_assert_double_eq(distance(whole, cut), 0);
		rt_model_close(whole);
		rt_model_close(cut);
	}
END_TEST

static bool stop_now(void *arg)
{
	(void)arg;
	return true;
}

START_TEST(a_cancelled_run_keeps_where_it_was)
	{
		const struct context_sink stopping = { .cancelled = stop_now };
		const struct rt_sequence *s[2] = { &two[0], &two[1] };
		struct rt_context  c = { .sink = &stopping, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny();
		struct rt_trainer *t;
		struct rt_stepped  did;

		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		learn(m, t, s, 2);
		ck_assert_int_eq(rt_trainer_step(t, &did, NULL), RT_E_CANCEL);
		rt_trainer_close(t);
		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		ck_assert_int_eq(rt_trainer_at(t), 1);
		rt_trainer_close(t);
		rt_model_close(m);
	}
END_TEST

START_TEST(a_damaged_checkpoint_is_an_error)
	{
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny();
		struct rt_trainer *t;
		struct rt_error    err = RT_ERROR_INIT;
		FILE              *f;

		training.save = 0;
		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		steps(m, t, 1);
		rt_trainer_close(t);
		f = fopen(temp_path("trainer.state"), "r+b");
		ck_assert_ptr_nonnull(f);
		ck_assert_int_eq(fseek(f, 5000, SEEK_SET), 0);
		ck_assert_int_ne(fputc('?', f), EOF);
		ck_assert_int_eq(fclose(f), 0);
		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, &err), RT_E_FORMAT);
		ck_assert_str_eq(
			temp_strip(err.msg),
			"trainer.state: the checkpoint is damaged; remove it to begin this "
			"stage again");
		rt_model_close(m);
	}
END_TEST

START_TEST(weights_under_a_name_come_back)
	{
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny(), *first = open_tiny();
		struct rt_trainer *t;

		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		ck_assert_int_eq(rt_trainer_keep(t, "best", NULL), 0);
		steps(m, t, 2);
		ck_assert_double_gt(distance(m, first), 1e-3);
		ck_assert_int_eq(rt_trainer_bring(t, "best", NULL), 0);
		ck_assert_double_eq(distance(m, first), 0);
		rt_trainer_close(t);
		rt_model_close(m);
		rt_model_close(first);
	}
END_TEST

RUNNER("resume", 300, {
	make_two();
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	TABLE_TEST(tc, a_run_that_goes_on_ends_with_the_same_bytes, kinds);
	tcase_add_test(tc, a_cancelled_run_keeps_where_it_was);
	tcase_add_test(tc, a_damaged_checkpoint_is_an_error);
	tcase_add_test(tc, weights_under_a_name_come_back);
})
