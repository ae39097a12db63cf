/* test-rl.c - losses of reinforcement and preference against TRL: values and gradients. */
#include <retort/rl.h>

#include "golden.h"
#include "runner.h"

#include <math.h>
#include <string.h>

extern const struct rt_plugin retort_plugin_rl_dpo, retort_plugin_rl_grpo, retort_plugin_rl_rloo;

/* f64 results of inputs that f32 holds exactly; advantages and gradients are f32 here. */
#define BOUND 2e-6

enum { ROWS = 8, LENGTH = 10, CELLS = ROWS * LENGTH };

/* As the plugins declare them: the test fills what the host would. */
struct dpo {
	int    loss;
	double beta, smoothing;
};

struct grpo {
	int    loss, scale, level, kl;
	double clip_low, clip_high, delta, beta;
};

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static int place(const char *const *list, const char *word)
{
	for (int i = 0; list[i]; i++)
		if (word && strcmp(list[i], word) == 0)
			return i;
	return -1;
}

/* Numbers of a list, or of a list of lists, one after another; null is NaN. */
static int flatten(const json_t *list, float *x)
{
	size_t        i;
	const json_t *v;
	int           n = 0;

	json_array_foreach(list, i, v)
	{
		if (json_is_array(v))
			n += flatten(v, x + n);
		else
			x[n++] = json_is_null(v) ? NAN : (float)json_number_value(v);
	}
	return n;
}

static void compare(const float *have, const json_t *want, int n)
{
	float x[CELLS];

	ck_assert_int_eq(flatten(want, x), n);
	for (int i = 0; i < n; i++)
		ck_assert_double_eq_tol((double)have[i], (double)x[i],
		                        BOUND * fmax(1, fabs((double)x[i])));
}

START_TEST(preference_losses_are_those_of_trl)
	{
		static const char *const names[] = { "sigmoid", "cdpo", "robust",
			                             "hinge",   "ipo",  NULL };
		static float             in[6][6];
		static const char *const keys[6] = { "policy_chosen_logps", "policy_rejected_logps",
			                             "ref_chosen_logps",    "ref_rejected_logps",
			                             "chosen_tokens",       "rejected_tokens" };
		json_t                  *j = golden_json("losses/dpo.json");
		const struct rt_rl_pairs p = { 6, in[0], in[1], in[2], in[3], in[4], in[5] };
		const json_t            *c;
		size_t                   i;
		int                      compared = 0;

		ck_assert_ptr_nonnull(j);
		for (int k = 0; k < 6; k++)
			flatten(json_object_get(json_object_get(j, "inputs"), keys[k]), in[k]);
		json_array_foreach(json_object_get(j, "cases"), i, c)
		{
			const json_t *type = json_object_get(c, "loss_type");
			struct dpo d = { place(names, json_string_value(type)), number(c, "beta"),
				         number(c, "label_smoothing") };
			float      chosen[6], rejected[6];
			double     loss;

			/* f-divergences, WPO and LD are other losses under the same name */
			if (d.loss < 0 || json_object_get(c, "f_divergence_type") ||
			    json_object_get(c, "ld_alpha") || json_object_get(c, "use_weighting"))
				continue;
			ck_assert_int_eq(retort_plugin_rl_dpo.check(&d, NULL), 0);
			ck_assert_int_eq(retort_plugin_rl_dpo.ops.rl->prefer(&d, &p, chosen,
			                                                     rejected, &loss, NULL),
			                 0);
			ck_assert_double_eq_tol(loss, number(c, "loss"), BOUND * 40);
			compare(chosen, json_object_get(c, "grad_policy_chosen_logps"), 6);
			compare(rejected, json_object_get(c, "grad_policy_rejected_logps"), 6);
			compared++;
		}
		ck_assert_int_eq(compared, 11);
		json_decref(j);
	}
END_TEST

struct golden {
	json_t            *file;
	struct rt_rl_batch batch;
	int64_t            group[ROWS];
	double             reward[ROWS];
	float              mask[CELLS], logp[CELLS], old[CELLS], ref[CELLS];
};

static void golden_begin(struct golden *g, const char *file)
{
	const json_t *in;

	g->file = golden_json(file);
	ck_assert_ptr_nonnull(g->file);
	in = json_object_get(g->file, "inputs");
	ck_assert_int_eq(flatten(json_object_get(in, "logps"), g->logp), CELLS);
	flatten(json_object_get(in, "old_logps"), g->old);
	flatten(json_object_get(in, "ref_logps"), g->ref);
	flatten(json_object_get(in, "mask"), g->mask);
	for (int i = 0; i < ROWS; i++)
		g->group[i] = i / 4;
	g->batch = (struct rt_rl_batch){ ROWS,   LENGTH, g->group, g->reward, g->mask, g->logp,
		                         g->old, g->ref, 44,       ROWS,      16 };
}

/* The advantages of a case by name; -1 where it mixes several rewards. */
static int advantages(struct golden *g, const char *name, float *ret, const json_t **ret_want)
{
	static const char *const scales[] = { "group", "batch", "none", NULL };
	const json_t            *list = json_object_get(g->file, "advantage_cases"), *c;
	size_t                   i;
	float                    x[ROWS];

	json_array_foreach(list, i, c)
	{
		struct grpo   cfg = { 0 };
		const json_t *rewards = json_object_get(c, "rewards_per_func");

		if (strcmp(json_string_value(json_object_get(c, "name")), name) != 0)
			continue;
		if (json_array_size(rewards) != 1)
			return -1;
		cfg.scale = place(scales, json_string_value(json_object_get(c, "scale_rewards")));
		flatten(rewards, x);
		for (int k = 0; k < ROWS; k++)
			g->reward[k] = (double)x[k];
		*ret_want = json_object_get(c, "advantages");
		return retort_plugin_rl_grpo.ops.rl->advantages(&cfg, &g->batch, ret, NULL);
	}
	ck_abort_msg("no advantages called %s", name);
	return -1;
}

START_TEST(advantages_are_those_of_trl)
	{
		static const char *const names[] = { "group",
			                             "batch",
			                             "none",
			                             "group_equal_rewards",
			                             "batch_equal_rewards",
			                             "group_unscored" };
		static struct golden     g;
		const json_t            *want = NULL;
		float                    a[ROWS];

		golden_begin(&g, "losses/grpo.json");
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			ck_assert_int_eq(advantages(&g, names[i], a, &want), 0);
			compare(a, want, ROWS);
		}
		json_decref(g.file);
	}
END_TEST

/* A case that asks for something that rl-grpo does not have. */
static bool beyond(const json_t *c)
{
	static const char *const keys[] = { "use_bias_correction_kl", "off_policy_mask_threshold",
		                            "top_entropy_quantile", "entropy_coef" };

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (json_object_get(c, keys[i]))
			return true;
	return false;
}

static void one_case(struct golden *g, const json_t *c, const struct grpo *cfg)
{
	struct rt_rl_batch b = g->batch;
	struct rt_rl_stats stats;
	const json_t      *want, *mask = json_object_get(c, "mask");
	float              a[ROWS], gradient[CELLS], other[CELLS];

	ck_assert_int_eq(
		advantages(g, json_string_value(json_object_get(c, "advantages")), a, &want), 0);
	if (mask) {
		flatten(mask, other);
		b.mask = other;
		b.tokens = 0;
	}
	if (json_is_null(json_object_get(c, "old_logps")))
		b.logp_old = b.logp;
	ck_assert_int_eq(retort_plugin_rl_grpo.ops.rl->loss(cfg, &b, a, gradient, &stats, NULL), 0);
	ck_assert_msg(fabs(stats.loss - number(c, "loss")) <= 4 * BOUND, "%s: %g, want %g",
	              json_string_value(json_object_get(c, "name")), stats.loss, number(c, "loss"));
	compare(gradient, json_object_get(c, "grad_logps"), CELLS);
}

START_TEST(policy_losses_are_those_of_trl)
	{
		static const char *const names[] = { "grpo", "bnpo",  "dr_grpo",
			                             "dapo", "cispo", NULL };
		static struct golden     g;
		const json_t            *c;
		size_t                   i;
		int                      compared = 0;

		golden_begin(&g, "losses/grpo.json");
		json_array_foreach(json_object_get(g.file, "loss_cases"), i, c)
		{
			struct grpo cfg = {
				.loss = place(names,
				              json_string_value(json_object_get(c, "loss_type"))),
				.level = json_object_get(c, "importance_sampling_level") != NULL,
				.kl = 2,
				.clip_low = number(c, "epsilon_low"),
				.clip_high = number(c, "epsilon_high"),
				.delta = number(c, "delta"),
				.beta = number(c, "beta"),
			};

			if (cfg.loss < 0 || beyond(c))
				continue;
			one_case(&g, c, &cfg);
			compared++;
		}
		ck_assert_int_eq(compared, 28);
		json_decref(g.file);
	}
END_TEST

struct rloo {
	double          beta, clip_low, clip_high;
	struct rt_reals clip_reward;
	bool            normalize;
};

/* The advantages of a case by name, as the plugin gives them; compared. */
static void rloo_advantages(struct golden *g, const char *name, float *ret)
{
	const json_t *c;
	size_t        i;
	float         x[ROWS], range[2];
	double        limits[2];

	json_array_foreach(json_object_get(g->file, "advantage_cases"), i, c)
	{
		struct rloo cfg = { .beta = number(c, "beta"),
			            .normalize = json_is_true(
					    json_object_get(c, "normalize_advantages")) };

		if (strcmp(json_string_value(json_object_get(c, "name")), name) != 0)
			continue;
		if (json_is_array(json_object_get(c, "reward_clip_range"))) {
			flatten(json_object_get(c, "reward_clip_range"), range);
			limits[0] = (double)range[0], limits[1] = (double)range[1];
			cfg.clip_reward = (struct rt_reals){ limits, 2 };
		}
		flatten(json_object_get(c, "rewards"), x);
		for (int k = 0; k < ROWS; k++)
			g->reward[k] = (double)x[k];
		ck_assert_int_eq(retort_plugin_rl_rloo.check(&cfg, NULL), 0);
		ck_assert_int_eq(
			retort_plugin_rl_rloo.ops.rl->advantages(&cfg, &g->batch, ret, NULL), 0);
		compare(ret, json_object_get(c, "advantages"), ROWS);
		return;
	}
	ck_abort_msg("no advantages called %s", name);
}

START_TEST(leave_one_out_is_that_of_trl)
	{
		static struct golden g;
		const json_t        *c;
		size_t               i;
		int                  compared = 0;

		golden_begin(&g, "losses/rloo.json");
		json_array_foreach(json_object_get(g.file, "loss_cases"), i, c)
		{
			const struct rloo  cfg = { .clip_low = number(c, "epsilon_low"),
				                   .clip_high = number(c, "epsilon_high") };
			struct rt_rl_batch b = g.batch;
			struct rt_rl_stats stats;
			float              a[ROWS], gradient[CELLS], logp[CELLS];

			rloo_advantages(&g, json_string_value(json_object_get(c, "advantages")), a);
			if (json_object_get(c, "logps")) {
				flatten(json_object_get(c, "logps"), logp);
				b.logp = logp;
			}
			ck_assert_int_eq(retort_plugin_rl_rloo.ops.rl->loss(&cfg, &b, a, gradient,
			                                                    &stats, NULL),
			                 0);
			ck_assert_double_eq_tol(stats.loss, number(c, "loss"), 4 * BOUND);
			compare(gradient, json_object_get(c, "grad_logps"), CELLS);
			compared++;
		}
		ck_assert_int_eq(compared, 7);
		json_decref(g.file);
	}
END_TEST

RUNNER("rl", 60, {
	tcase_add_test(tc, preference_losses_are_those_of_trl);
	tcase_add_test(tc, advantages_are_those_of_trl);
	tcase_add_test(tc, policy_losses_are_those_of_trl);
	tcase_add_test(tc, leave_one_out_is_that_of_trl);
})
