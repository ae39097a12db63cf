/* tiny.h - a tiny model that learns from two sequences. */
#ifndef TESTS_TRAIN_TINY_H
#define TESTS_TRAIN_TINY_H

#include "golden.h"
#include "runner.h"

#include "plugin/component.h"
#include "plugin/context.h"

#include <retort/train.h>

#include <math.h>

extern const struct rt_plugin retort_plugin_optimizer_adamw;

/* As the first members of adamw's config. */
struct adamw_config {
	double beta1, beta2, eps, decay;
};

static struct adamw_config adamw = { .9, .95, 1e-8, .1 };
static struct rt_component optimizer = { .plugin = &retort_plugin_optimizer_adamw,
	                                 .config = &adamw };

static inline struct rt_training plain(void)
{
	ck_assert_int_eq(component_open(&optimizer, NULL), 0);
	return (struct rt_training){ .optimizer = &optimizer,
		                     .rate = .01,
		                     .rate_end = 1,
		                     .schedule = RT_SCHEDULE_CONSTANT,
		                     .clip = 1,
		                     .batch = 2,
		                     .rows = 1000,
		                     .save = 1e6 };
}

static const struct context_sink silence;

static inline struct rt_model *open_tiny(void)
{
	char             path[4096];
	struct rt_model *m;
	struct rt_error  err = RT_ERROR_INIT;

	snprintf(path, sizeof path, "%s/qwen2-tiny", GOLDEN_DIR);
	ck_assert_msg(rt_model_open(&m, path, RT_MODEL_TRAIN, &err) == 0, "%s", err.msg);
	return m;
}

/* Two sequences that stay the same from step to step. */
enum { LONG = 40 };
static int32_t            token[2][LONG];
static float              weight[2][LONG];
static struct rt_sequence two[2];

static inline void make_two(void)
{
	for (int s = 0; s < 2; s++) {
		for (int i = 0; i < LONG; i++) {
			token[s][i] = (s * 31 + i * 7) % 300;
			weight[s][i] = i > 9 ? 1 : 0;
		}
		two[s] = (struct rt_sequence){ "x", token[s], weight[s], LONG - 5 * s, 10 };
	}
}

/* One forward and backward pass over sequences; the mean loss. */
static inline double learn(struct rt_model *m, struct rt_trainer *t,
                           const struct rt_sequence *const *s, int64_t n)
{
	struct rt_packed p = { 0 };
	struct rt_pass   x = { 0 };
	struct rt_tape  *tape;
	double           loss = 0;

	ck_assert_int_eq(rt_tape_new(&tape, false, NULL), 0);
	ck_assert_int_eq(rt_pack(&p, s, n, NULL), 0);
	ck_assert_int_eq(rt_pass_reserve(&x, m, p.batch.rows, NULL), 0);
	ck_assert_int_eq(rt_model_forward(m, &p.batch, tape, x.hidden, NULL), 0);
	for (int64_t i = 0; i < p.batch.rows; i++)
		x.coef[i] = (float)(-p.weight[i] / p.total);
	ck_assert_int_eq(rt_model_logps(m, x.hidden, p.batch.rows, p.label, x.coef, x.logp, NULL,
	                                x.dhidden, rt_trainer_gradients(t), NULL),
	                 0);
	ck_assert_int_eq(
		rt_model_backward(m, &p.batch, tape, x.dhidden, rt_trainer_gradients(t), NULL), 0);
	for (int64_t i = 0; i < p.batch.rows; i++)
		loss -= (double)p.weight[i] * (double)x.logp[i] / p.total;
	rt_packed_free(&p);
	rt_pass_free(&x);
	rt_tape_free(tape);
	return loss;
}

static inline void steps(struct rt_model *m, struct rt_trainer *t, int64_t to)
{
	const struct rt_sequence *s[2] = { &two[0], &two[1] };
	struct rt_stepped         did;
	struct rt_error           err = RT_ERROR_INIT;

	while (rt_trainer_at(t) < to) {
		learn(m, t, s, 2);
		ck_assert_msg(rt_trainer_step(t, &did, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(did.step, rt_trainer_at(t));
	}
}

static inline double distance(const struct rt_model *a, const struct rt_model *b)
{
	double most = 0;

	for (int64_t i = 0; i < rt_model_parameters(a); i++) {
		const struct rt_parameter p = rt_model_parameter(a, i),
					  q = rt_model_parameter(b, i);
		const float *x = p.tensor.data, *y = q.tensor.data;

		for (int64_t k = 0; k < rt_numel(&p.tensor); k++)
			most = fmax(most, fabs((double)x[k] - (double)y[k]));
	}
	return most;
}

#endif
