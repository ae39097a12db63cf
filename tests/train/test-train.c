/* test-train.c - the trainer against PyTorch's steps and the formulas; number types; packing. */
#include "temp.h"
#include "tiny.h"

#include <retort/memory.h>
#include <retort/safetensors.h>
#include <retort/train.h>

#include <math.h>
#include <string.h>

/* ---- against PyTorch ------------------------------------------------------------------------- */

/* The golden batch: 2 x 72 tokens, of which the labelled ones count. */
static void golden_batch(struct rt_sequence s[2])
{
	static struct rt_safetensors file;
	static float                 counts[2][72];
	char                         path[4096];
	const int32_t               *ids, *labels;

	snprintf(path, sizeof path, "%s/qwen2-tiny/golden.safetensors", GOLDEN_DIR);
	ck_assert_int_eq(rt_safetensors_open(&file, path, NULL), 0);
	ids = rt_safetensors_find(&file, "input_ids")->data;
	labels = rt_safetensors_find(&file, "labels")->data;
	for (int r = 0; r < 2; r++) {
		for (int i = 1; i < 72; i++)
			counts[r][i] = labels[r * 72 + i] == RT_IGNORE ? 0 : 1;
		s[r] = (struct rt_sequence){ "g", ids + (ptrdiff_t)r * 72, counts[r], 72, 0 };
	}
}

/* Losses before each of three steps of torch.optim.AdamW, every parameter decayed, and after them.
 * 2e-5: f32 sums of logits in another order, through three steps of a rate of .01. */
START_TEST(losses_fall_as_under_pytorch)
	{
		json_t            *j = golden_json("qwen2-tiny/golden.json");
		const json_t      *o = json_object_get(j, "adamw");
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny();
		struct rt_sequence batch[2];
		const struct rt_sequence *s[2] = { &batch[0], &batch[1] };
		struct rt_trainer        *t;
		struct rt_stepped         did;

		golden_batch(batch);
		training.decay_vectors = true;
		ck_assert_double_eq(json_number_value(json_object_get(o, "lr")), training.rate);
		ck_assert_double_eq(json_number_value(json_object_get(o, "weight_decay")),
		                    adamw.decay);
		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 3, &c, NULL), 0);
		for (size_t i = 0; i < 3; i++) {
			ck_assert_double_eq_tol(
				learn(m, t, s, 2),
				json_number_value(json_array_get(json_object_get(o, "losses"), i)),
				2e-5);
			ck_assert_int_eq(rt_trainer_step(t, &did, NULL), 0);
		}
		ck_assert_double_eq_tol(learn(m, t, s, 2),
		                        json_number_value(json_object_get(o, "loss_after")), 2e-5);
		rt_trainer_close(t);
		rt_model_close(m);
		json_decref(j);
	}
END_TEST

/* AdamW in double, every parameter decayed, the norm clipped to 1: what the trainer did, up to the
 * rounding of f32 moments (2^-24 relative, over a rate of .01: 1e-6 is wide). */
START_TEST(a_step_is_the_formula)
	{
		const struct rt_sequence *s[2] = { &two[0], &two[1] };
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny();
		struct rt_trainer *t;
		struct rt_stepped  did;
		double            *want[400], norm;
		const int64_t      n = rt_model_parameters(m);

		training.decay_vectors = true;
		ck_assert_int_lt(n, 400);
		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 3, &c, NULL), 0);
		learn(m, t, s, 2);
		norm = rt_gradients_norm(rt_trainer_gradients(t));
		for (int64_t i = 0; i < n; i++) {
			const struct rt_parameter p = rt_model_parameter(m, i);
			const float              *g = rt_gradients_at(rt_trainer_gradients(t), i),
				    *x = p.tensor.data;

			want[i] = calloc((size_t)rt_numel(&p.tensor), sizeof *want[i]);
			for (int64_t k = 0; k < rt_numel(&p.tensor); k++) {
				const double h = (double)g[k] * fmin(1, 1 / (norm + 1e-6));

				want[i][k] =
					(double)x[k] * (1 - .01 * .1) - .01 * h / (fabs(h) + 1e-8);
			}
		}
		ck_assert_int_eq(rt_trainer_step(t, &did, NULL), 0);
		ck_assert_double_eq_tol(did.norm, norm, 1e-12);
		for (int64_t i = 0; i < n; i++) {
			const struct rt_parameter p = rt_model_parameter(m, i);
			const float              *x = p.tensor.data;

			for (int64_t k = 0; k < rt_numel(&p.tensor); k++)
				ck_assert_double_eq_tol((double)x[k], want[i][k], 1e-6);
			free(want[i]);
		}
		rt_trainer_close(t);
		rt_model_close(m);
	}
END_TEST

/* bf16 keeps 8 bits: a moment is off by at most 2^-7 of itself in one step, so is the update. */
START_TEST(small_moments_step_nearly_the_same_way)
	{
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *a = open_tiny(), *b = open_tiny();
		struct rt_trainer *t;

		ck_assert_int_eq(rt_trainer_open(&t, a, &training, 9, &c, NULL), 0);
		steps(a, t, 3);
		rt_trainer_close(t);
		training.small_moments = true;
		ck_assert_int_eq(rt_trainer_open(&t, b, &training, 9, &c, NULL), 0);
		steps(b, t, 3);
		rt_trainer_close(t);
		ck_assert_double_lt(distance(a, b), 3 * .01 * .05);
		ck_assert_double_gt(distance(a, b), 0);
		rt_model_close(a);
		rt_model_close(b);
	}
END_TEST

/* ---- matrices as a whole --------------------------------------------------------------------- */

enum { MARK = 3 }; /* what a moment holds after the first step; bf16 keeps it */

static int mark(const struct rt_update *u, float distance)
{
	for (int64_t i = 0; i < u->n; i++) {
		ck_assert_double_eq((double)u->moment[0][i], u->step == 1 ? 0 : MARK);
		u->moment[0][i] = MARK;
		u->param[i] += distance;
	}
	return 0;
}

static int mark_elements(const void *state, const struct rt_update *u, struct rt_error *err)
{
	(void)state, (void)err;
	ck_assert_int_eq(u->rows + u->columns, 0);
	return mark(u, 1);
}

static int mark_matrix(const void *state, const struct rt_update *u, struct rt_error *err)
{
	(void)state, (void)err;
	ck_assert_int_eq(u->rows * u->columns, u->n);
	return u->step == 3 ? rt_fail(err, RT_E_NUMERIC, "enough") : mark(u, 2);
}

static const struct rt_optimizer_ops marking = { .size = sizeof marking,
	                                         .moments = 1,
	                                         .update = mark_elements,
	                                         .update_matrix = mark_matrix,
	                                         .matrix_moments = 1 };
static const struct rt_plugin        marker = { .kind = RT_KIND_OPTIMIZER,
	                                        .name = "marker",
	                                        .ops.optimizer = &marking };

static const bool smalls[] = { false, true };

START_TEST(matrices_of_layers_are_updated_whole_and_all_else_element_by_element)
	{
		struct rt_context   c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_component marks = { .plugin = &marker };
		struct rt_training  training = plain();
		struct rt_model    *a = open_tiny(), *b = open_tiny();
		struct rt_error     err = RT_ERROR_INIT;
		struct rt_stepped   did;
		struct rt_trainer  *t;
		int64_t             matrices = 0;

		training.optimizer = &marks;
		training.small_moments = smalls[_i];
		ck_assert_int_eq(rt_trainer_open(&t, a, &training, 9, &c, NULL), 0);
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(rt_trainer_step(t, &did, NULL), 0);
		for (int64_t i = 0; i < rt_model_parameters(a); i++) {
			const struct rt_parameter p = rt_model_parameter(a, i);
			const float *x = p.tensor.data, *was = rt_model_parameter(b, i).tensor.data;
			const bool   matrix = p.linear && p.layer >= 0;

			matrices += matrix;
			for (int64_t k = 0; k < rt_numel(&p.tensor); k++)
				ck_assert_double_eq_tol((double)x[k] - (double)was[k],
				                        matrix ? 4 : 2, 1e-5);
		}
		ck_assert_int_eq(matrices, 7 * rt_model_shape(a)->layers);
		ck_assert_int_eq(rt_trainer_step(t, &did, &err), RT_E_NUMERIC);
		ck_assert_str_eq(err.msg, "optimizer-marker: enough");
		rt_trainer_close(t);
		rt_model_close(a);
		rt_model_close(b);
	}
END_TEST

/* All gradients of one pass, one after another; the losses of some steps. */
static double *gradients_of(int products, double *ret_loss, int n_steps, int64_t *ret_n)
{
	struct rt_context         c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
	struct rt_training        training = plain();
	struct rt_model          *m = open_tiny();
	struct rt_trainer        *t;
	const struct rt_sequence *s[2] = { &two[0], &two[1] };
	struct rt_stepped         did;
	double                   *all = NULL;

	training.products = products;
	ck_assert_int_eq(rt_trainer_open(&t, m, &training, 20, &c, NULL), 0);
	ret_loss[0] = learn(m, t, s, 2);
	*ret_n = 0;
	for (int64_t i = 0; i < rt_model_parameters(m); i++) {
		const struct rt_parameter p = rt_model_parameter(m, i);
		const int64_t             n = rt_numel(&p.tensor);

		all = realloc(all, (size_t)(*ret_n + n) * sizeof *all);
		ck_assert_ptr_nonnull(all);
		for (int64_t k = 0; k < n; k++)
			all[(*ret_n)++] = rt_gradients_at(rt_trainer_gradients(t), i)[k];
	}
	for (int i = 1; i < n_steps; i++) {
		ck_assert_int_eq(rt_trainer_step(t, &did, NULL), 0);
		ret_loss[i] = learn(m, t, s, 2);
	}
	rt_trainer_close(t);
	rt_model_close(m);
	return all;
}

/* Each product is off by at most 2^-8 of itself, and signs vary: gradients are off by a few such
 * parts of their norm (1/120 was seen), losses, which fall from 6.7 to .03, by less than .04 (.016
 * was seen). */
START_TEST(products_of_bf16_learn_as_those_of_f32)
	{
		enum { STEPS = 12 };
		double  loss[2][STEPS], *g[2], off = 0, norm = 0;
		int64_t n;

		g[0] = gradients_of(RT_PRODUCTS_F32, loss[0], STEPS, &n);
		g[1] = gradients_of(RT_PRODUCTS_BF16, loss[1], STEPS, &n);
		for (int64_t i = 0; i < n; i++) {
			off += (g[0][i] - g[1][i]) * (g[0][i] - g[1][i]);
			norm += g[0][i] * g[0][i];
		}
		ck_assert_double_lt(sqrt(off / norm), 1. / 64);
		ck_assert_double_gt(sqrt(off / norm), 1. / 4096);
		for (int i = 0; i < STEPS; i++)
			ck_assert_double_eq_tol(loss[0][i], loss[1][i], .04);
		free(g[0]);
		free(g[1]);
	}
END_TEST

/* A model is multiplied in f32 again when its trainer is gone. */
START_TEST(products_are_those_of_the_trainer_while_it_is_open)
	{
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny();
		struct rt_trainer *t;
		float              hidden[3][LONG * 64];
		const struct rt_sequence *s = &two[0];
		struct rt_packed          p = { 0 };

		ck_assert_int_le(rt_model_shape(m)->hidden, 64);
		ck_assert_int_eq(rt_pack(&p, &s, 1, NULL), 0);
		memset(hidden, 0, sizeof hidden);
		training.products = RT_PRODUCTS_BF16;
		ck_assert_int_eq(rt_model_forward(m, &p.batch, NULL, hidden[0], NULL), 0);
		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		ck_assert_int_eq(rt_model_forward(m, &p.batch, NULL, hidden[1], NULL), 0);
		rt_trainer_close(t);
		ck_assert_int_eq(rt_model_forward(m, &p.batch, NULL, hidden[2], NULL), 0);
		ck_assert_mem_ne(hidden[0], hidden[1], sizeof hidden[0]);
		ck_assert_mem_eq(hidden[0], hidden[2], sizeof hidden[0]);
		rt_packed_free(&p);
		rt_model_close(m);
	}
END_TEST

START_TEST(gradients_that_are_no_numbers_stop_the_run)
	{
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny(), *same = open_tiny();
		struct rt_trainer *t;
		struct rt_stepped  did;
		struct rt_error    err = RT_ERROR_INIT;

		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		rt_gradients_at(rt_trainer_gradients(t), 3)[1] = NAN;
		ck_assert_int_eq(rt_trainer_step(t, &did, &err), RT_E_NUMERIC);
		ck_assert(strstr(err.msg, "lower rate") != NULL);
		ck_assert_double_eq(distance(m, same), 0);
		rt_trainer_close(t);
		rt_model_close(m);
		rt_model_close(same);
	}
END_TEST

/* ---- packing --------------------------------------------------------------------------------- */

/* Side by side or alone: the same losses, so nothing leaks (f32 sums in other orders: 1e-5). */
START_TEST(packed_sequences_do_not_see_one_another)
	{
		struct rt_context  c = { .sink = &silence, .stage = "t", .work_dir = temp_folder };
		struct rt_training training = plain();
		struct rt_model   *m = open_tiny();
		struct rt_trainer *t;
		const struct rt_sequence *s[2] = { &two[0], &two[1] };
		double                    both, a, b;

		ck_assert_int_eq(rt_trainer_open(&t, m, &training, 6, &c, NULL), 0);
		both = learn(m, t, s, 2);
		a = learn(m, t, s, 1);
		b = learn(m, t, s + 1, 1);
		ck_assert_double_eq_tol(both, (30 * a + 25 * b) / 55, 1e-5);
		ck_assert_double_eq(rt_pack_weight(s, 2), 55);
		ck_assert_int_eq(rt_pack_count(s, 2, 75), 2);
		ck_assert_int_eq(rt_pack_count(s, 2, 74), 1);
		ck_assert_int_eq(rt_pack_count(s, 2, 1), 1);
		rt_trainer_close(t);
		rt_model_close(m);
	}
END_TEST

START_TEST(an_epoch_sees_every_row_once_in_an_order_of_its_own)
	{
		struct rt_order o = { .seed = 4, .n = 10, .batch = 4 };
		int64_t         index[4], first[20], again[4];

		for (int step = 0; step < 5; step++) {
			ck_assert_int_eq(rt_order_step(&o, step, index, NULL), 0);
			memcpy(first + 4 * step, index, sizeof index);
		}
		for (int epoch = 0; epoch < 2; epoch++) {
			int seen[10] = { 0 };

			for (int i = 0; i < 10; i++)
				seen[first[10 * epoch + i]]++;
			for (int i = 0; i < 10; i++)
				ck_assert_int_eq(seen[i], 1);
		}
		ck_assert_mem_ne(first, first + 10, 10 * sizeof *first);
		/* A step that spans two epochs, come to directly. */
		rt_order_free(&o);
		o.epoch = -1;
		ck_assert_int_eq(rt_order_step(&o, 2, again, NULL), 0);
		ck_assert_mem_eq(again, first + 8, sizeof again);
		rt_order_free(&o);
	}
END_TEST

RUNNER("train", 300, {
	make_two();
	tcase_add_checked_fixture(tc, temp_begin, temp_end);
	tcase_add_test(tc, losses_fall_as_under_pytorch);
	tcase_add_test(tc, a_step_is_the_formula);
	tcase_add_test(tc, small_moments_step_nearly_the_same_way);
	TABLE_TEST(tc, matrices_of_layers_are_updated_whole_and_all_else_element_by_element,
	           smalls);
	tcase_add_test(tc, products_of_bf16_learn_as_those_of_f32);
	tcase_add_test(tc, products_are_those_of_the_trainer_while_it_is_open);
	tcase_add_test(tc, gradients_that_are_no_numbers_stop_the_run);
	tcase_add_test(tc, packed_sequences_do_not_see_one_another);
	tcase_add_test(tc, an_epoch_sees_every_row_once_in_an_order_of_its_own);
})
