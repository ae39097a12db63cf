/* reinforce.c - stage-reinforce: a model answers, judges reward, an rl plugin turns the rewards of
 * each group of answers into a step.
 *
 * One step: some prompts, `group` answers to each by the model as it is, rewards, advantages, and
 * `iterations` updates.  At the first of them the ratios of new to old probabilities are 1 and
 * clipping has nothing to do.  The same engine generates and the same weights learn; how far the
 * log-probabilities of both are apart is a scalar of every step (sampling/logp_difference). */
#include "reinforce.h"
#include "scores.h"
#include "training.h"

#include <retort/file.h>
#include <retort/judge.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/rl.h>
#include <retort/rows.h>

#include <math.h>

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model to begin with.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, reference, MODEL,
	               "What the divergence is measured from; without it there is none."),
	RT_PARAM_INPUT(struct config, data, DATASET,
	               "Rows whose prompts are answered; judges may compare with their answers.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_COMPONENTS(struct config, judges, JUDGE, 1, 16, "Who gives the rewards."),
	RT_PARAM_REALS(struct config, weights, 0, 1e6, 0, 16, NULL,
	               "What each judge's score counts; one number a judge, all 1 without."),
	RT_PARAM_COMPONENT(struct config, rl, RL, "grpo", "How rewards become gradients."),
	RT_PARAM_INT(struct config, steps, 100, 1, 1LL << 40, NULL,
	             "Steps to go, each with answers of its own."),
	RT_PARAM_INT(
		struct config, iterations, 1, 1, 1000, "updates",
		"Updates by the same answers.  At the first all ratios of new to old "
		"probabilities are 1: what rl cuts them to counts from the second on.  A run that "
		"is stopped makes them all."),
	RT_PARAM_INT(struct config, prompts, 16, 1, 1 << 16, "rows", "Prompts of a step."),
	RT_PARAM_INT(struct config, group, 8, 2, 256, "answers", "Answers to each."),
	RT_PARAM_INT(struct config, max_answer, 256, 1, 1 << 20, "tokens", "Longest answer."),
	RT_PARAM_REAL(struct config, temperature, 1, 0.01, 10, NULL, "Of the answers."),
	RT_PARAM_REAL(
		struct config, low, 0, 0, 1, NULL,
		"Groups whose mean reward is not above this are left out (dynamic filtering)."),
	RT_PARAM_REAL(struct config, high, 1, 0, 1, NULL,
	              "And those whose mean reward is not below this."),
	RT_PARAM_ENUM(struct config, dtype, 0, training_dtypes, "How the weights are stored."),
	RT_TRAINING_PARAMS(struct config, training),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "model", "The model, trained.", RT_MODEL, 0 },
	{ "report", "Steps, rewards at the beginning and at the end.", RT_METRICS, 0 },
	{ 0 }
};

static int note(struct job *j, int64_t at, double reward)
{
	struct rt_json *notes = rt_trainer_notes(j->t);
	const double    mean = rt_json_real(rt_json_get(notes, "reward"), reward);
	int             r = 0;

	if (at == 0)
		r |= rt_json_set(notes, "first", rt_json_new_real(reward));
	return r | rt_json_set(notes, "reward", rt_json_new_real(mean + .1 * (reward - mean)));
}

static int step(struct job *j, int64_t at, struct rt_error *err)
{
	struct rt_stepped did;
	double            reward = 0;
	int               r = rollouts_make(j, at, err);

	if (r == 0)
		r = rollouts_reward(j, at + 1, &reward, err);
	if (r == 0)
		r = reinforce_begin(j, at + 1, err);
	if (r < 0)
		r = training_stopped(j->t, r, err);
	/* Answers are not kept: a run goes on behind the last update by them, or in front of all.
	 */
	for (int64_t i = j->cfg->iterations; r == 0 && i > 0; i--) {
		r = reinforce_learn(j, err);
		if (r == 0 && i == 1 && note(j, at, reward) < 0)
			r = rt_fail_nomem(err, "notes");
		if (r < 0) {
			r = training_stopped(j->t, r, err);
			break;
		}
		rt_trainer_hold(j->t, i > 1);
		r = rt_trainer_step(j->t, &did, err);
	}
	rollouts_forget(j);
	return r;
}

/* ---- before and after -------------------------------------------------------------------------
 */

static int read_rows(struct job *j, struct rt_error *err)
{
	char           *path = rt_path_join(j->cfg->data->path, "rows.jsonl");
	struct rt_rows *rows = NULL;
	struct rt_json *row;
	int             r = path ? rt_rows_open(&rows, path, 0, err) : rt_fail_nomem(err, "a path");

	while (r >= 0 && (r = rt_rows_next(rows, &row, err)) == 1) {
		if (j->n_rows == j->cap_rows) {
			const int64_t    cap = j->cap_rows ? 2 * j->cap_rows : 256;
			struct rt_json **at = rt_realloc(j->rows, (size_t)cap, sizeof *at);

			if (!at) {
				rt_json_free(row);
				r = rt_fail_nomem(err, "rows");
				break;
			}
			j->rows = at;
			j->cap_rows = cap;
		}
		j->rows[j->n_rows++] = row;
	}
	if (r == 0 && j->n_rows == 0)
		r = rt_fail(err, RT_E_FORMAT, "%s has no rows", path);
	rt_rows_close(rows);
	rt_free(path);
	return r;
}

static int open_models(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = rt_model_open(&j->m, c->model->path, RT_MODEL_TRAIN, err);

	if (r == 0 && c->reference)
		r = training_reference(&j->reference, j->m, c->reference, c->training.products,
		                       err);
	if (r == 0)
		r = rt_engine_open(&j->engine, j->m, &(struct rt_engine_options){ .sequences = 64 },
		                   err);
	return r < 0 ? r : rt_tape_new(&j->tape, c->training.recompute, err);
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct config *c = j->cfg;
	int                  r = read_rows(j, err);

	if (r == 0)
		r = open_models(j, err);
	if (r < 0)
		return r;
	j->N = c->prompts * c->group;
	j->order = (struct rt_order){ .seed = rt_seed(j->c), .n = j->n_rows, .batch = c->prompts };
	j->prompts = rt_alloc((size_t)c->prompts, sizeof *j->prompts);
	j->rollouts = rt_alloc((size_t)j->N, sizeof *j->rollouts);
	j->index = rt_alloc((size_t)c->prompts, sizeof *j->index);
	j->group = rt_alloc((size_t)j->N, sizeof *j->group);
	j->reward = rt_alloc((size_t)j->N, sizeof *j->reward);
	j->advantage = rt_alloc((size_t)j->N, sizeof *j->advantage);
	if (!j->prompts || !j->rollouts || !j->index || !j->group || !j->reward || !j->advantage)
		return rt_fail_nomem(err, "a batch");
	return rt_trainer_open(&j->t, j->m, &c->training, c->steps * c->iterations, j->c, err);
}

static void clean(struct job *j)
{
	rollouts_forget(j);
	rt_trainer_close(j->t);
	rt_tape_free(j->tape);
	rt_order_free(&j->order);
	rt_packed_free(&j->packed);
	rt_pass_free(&j->pass);
	rt_pass_free(&j->ref_pass);
	for (int64_t i = 0; j->prompts && i < j->cfg->prompts; i++)
		rt_ids_free(&j->prompts[i]);
	for (int64_t i = 0; i < j->n_rows; i++)
		rt_json_free(j->rows[i]);
	rt_free(j->rows);
	rt_free(j->prompts);
	rt_free(j->rollouts);
	rt_free(j->index);
	rt_free(j->group);
	rt_free(j->reward);
	rt_free(j->mask);
	rt_free(j->logp);
	rt_free(j->logp_old);
	rt_free(j->logp_ref);
	rt_free(j->gradient);
	rt_free(j->advantage);
	rt_engine_close(j->engine);
	rt_model_close(j->reference);
	rt_model_close(j->m);
}

static int report(struct job *j, const char *dir, struct rt_error *err)
{
	const struct rt_json *notes = rt_trainer_notes(j->t);
	struct rt_json       *m = rt_json_new_object();
	int                   r = m ? 0 : RT_E_NOMEM;

	if (r == 0) {
		r |= rt_metric(m, "steps", (double)j->cfg->steps, j->cfg->steps);
		r |= rt_metric(m, "reward_first", rt_json_real(rt_json_get(notes, "first"), NAN),
		               j->N);
		r |= rt_metric(m, "reward_last", rt_json_real(rt_json_get(notes, "reward"), NAN),
		               j->N);
		r |= rt_metric(m, "logp_difference",
		               rt_json_real(rt_json_get(notes, "difference"), NAN), j->N);
	}
	r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .c = c };
	int        r = prepare(&j, err);

	for (int64_t i = r == 0 ? rt_trainer_at(j.t) / j.cfg->iterations : 0;
	     r == 0 && i < j.cfg->steps; i++)
		r = step(&j, i, err);
	if (r == 0) {
		rt_trainer_swap(j.t);
		r = training_stopped(j.t, report(&j, out[1], err), err);
	}
	if (r == 0)
		r = training_write(j.m, &j.t, &j.tape, j.cfg->dtype, out[0], j.cfg->model, err);
	clean(&j);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config     *c = config;
	const struct rt_rl_ops  *ops = c->rl->plugin->ops.rl;
	const struct scores_rule rule = { c->judges, c->weights };
	int                      r;

	if (!RT_HAS(ops, advantages) || !RT_HAS(ops, loss))
		return rt_fail(err, RT_E_USAGE,
		               "rl-%s is for preferences between pairs: use the "
		               "stage prefer",
		               c->rl->plugin->name);
	r = training_check(&c->training, 0, c->steps, err);
	return r < 0 ? r : scores_check(&rule, err);
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_reinforce, STAGE, .name = "reinforce", .version = "1.1", .license = "Apache-2.0",
          .summary = "A model answers, judges reward, and the better answers become likelier.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
