/* train.c - stage-train: supervised fine-tuning of all weights on the answers of a dataset.
 *
 * The loss is the mean of -log p over the tokens that count, over the whole batch: parts of a batch
 * weigh what they hold, so it does not matter how a batch is cut.
 *
 * With judges or `every` the weights are tried as training goes on: the mean score of the judges on
 * greedy answers to validation prompts, and among equals the loss, say which weights are the best;
 * those are the output.  A try comes in front of the next step and depends on the weights alone,
 * and what it found is in the notes of the trainer: a run that is gone on with tries again what its
 * last checkpoint does not know of, and ends with the same bytes. */
#include "scores.h"
#include "training.h"
#include "trial.h"

#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/stage.h>
#include <retort/train.h>

#include <math.h>
#include <stdio.h>

struct config {
	const struct rt_artifact *model, *data, *validation;
	double                    epochs, prompt_weight, dropout;
	struct rt_components      judges;
	int64_t                   steps, max_length, every, patience, validation_rows, max_answer;
	int                       dtype;
	struct rt_training        training;
};

static const struct rt_param params[] = {
	RT_PARAM_INPUT(struct config, model, MODEL, "The model to begin with.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, data, DATASET, "Rows with the answers to learn.",
	               .flags = RT_P_REQUIRED),
	RT_PARAM_INPUT(struct config, validation, DATASET, "Rows that the model is tried on."),
	RT_PARAM_REAL(struct config, epochs, 3, 0, 1e6, NULL, "How often each row is seen."),
	RT_PARAM_INT(struct config, steps, 0, 0, INT64_MAX, NULL,
	             "Steps to go, instead of epochs; 0: as epochs say."),
	RT_PARAM_INT(struct config, max_length, 0, 0, 1 << 24, "tokens",
	             "Longest row, prompt and answer; longer ones are left out; 0: what the model "
	             "was made for."),
	RT_PARAM_REAL(struct config, prompt_weight, 0, 0, 1, NULL,
	              "What a token that the assistant did not write counts in the loss."),
	RT_PARAM_REAL(
		struct config, dropout, 0, 0, .9, NULL,
		"Share of the elements that are left out by chance, of the embedding and of "
		"what attention and MLP add: a small model of few rows learns less by heart."),
	RT_PARAM_COMPONENTS(struct config, judges, JUDGE, 0, TRIAL_JUDGES,
	                    "Who judges answers to the validation's prompts, again and again; the "
	                    "weights with the best mean score (of equals: the smallest loss) are "
	                    "kept."),
	RT_PARAM_INT(
		struct config, every, 0, 0, INT64_MAX, "steps",
		"How often the validation is gone through; 0: once an epoch with judges, only in "
		"the end without.  Without judges the smallest loss is the best."),
	RT_PARAM_INT(struct config, patience, 0, 0, 1 << 20, "validations",
	             "Training stops when so many in a row were not better; 0: never."),
	RT_PARAM_INT(struct config, validation_rows, 64, 1, 1 << 20, "rows",
	             "How many of the validation's rows, from its beginning, are answered."),
	RT_PARAM_INT(struct config, max_answer, 256, 1, 1 << 20, "tokens",
	             "Longest answer in a validation."),
	RT_PARAM_ENUM(struct config, dtype, 0, training_dtypes, "How the weights are stored."),
	RT_TRAINING_BATCH(struct config, training),
	RT_TRAINING_PARAMS(struct config, training),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = { { "model", "The trained model.", RT_MODEL, 0 },
	                                          { "report", "Steps, tokens, losses.", RT_METRICS,
	                                            0 },
	                                          { 0 } };

/* One run. */
struct job {
	const struct config       *cfg;
	struct rt_context         *c;
	struct rt_model           *m;
	struct rt_trainer         *t;
	struct rt_tape            *tape;
	struct rt_sequences        data, validation;
	struct rt_order            order;
	struct rt_packed           packed;
	int64_t                    steps;
	int64_t                   *index; /* [batch] */
	const struct rt_sequence **chosen;
	struct rt_pass             pass;
	struct trial               trial;
	int64_t                    every; /* steps between validations; 0: none */
};

/* Sequences side by side through the model; *ret_sum gets the weighted sum of -log p.  With
 * total > 0 the gradients of that sum / total are added. */
static int pass(struct job *j, const struct rt_sequence *const *s, int64_t n, double total,
                double *ret_sum, struct rt_error *err)
{
	struct rt_gradients *g = total > 0 ? rt_trainer_gradients(j->t) : NULL;
	struct rt_packed    *p = &j->packed;
	struct rt_pass      *x = &j->pass;
	int                  r = rt_pack(p, s, n, err);

	if (r == 0)
		r = rt_pass_reserve(x, j->m, p->batch.rows, err);
	if (r == 0)
		r = rt_model_forward(j->m, &p->batch, g ? j->tape : NULL, x->hidden, err);
	if (r < 0)
		return r;
	for (int64_t i = 0; g && i < p->batch.rows; i++)
		x->coef[i] = (float)(-p->weight[i] / total);
	r = rt_model_logps(j->m, x->hidden, p->batch.rows, p->label, g ? x->coef : NULL, x->logp,
	                   NULL, g ? x->dhidden : NULL, g, err);
	*ret_sum = 0;
	for (int64_t i = 0; i < p->batch.rows; i++)
		*ret_sum -= (double)p->weight[i] * (double)x->logp[i];
	if (r == 0 && g)
		r = rt_model_backward(j->m, &p->batch, j->tape, x->dhidden, g, err);
	return r;
}

/* Mean loss over sequences, in parts of at most `rows` tokens. */
static int mean_loss(struct job *j, const struct rt_sequence *const *s, int64_t n, bool learn,
                     double *ret, struct rt_error *err)
{
	const double total = rt_pack_weight(s, n);
	double       sum = 0;
	int          r = 0;

	for (int64_t i = 0, count; r == 0 && i < n; i += count) {
		double part;

		count = rt_pack_count(s + i, n - i, j->cfg->training.rows);
		rt_tape_dropout(j->tape, j->cfg->dropout, rt_seed(j->c),
		                (uint64_t)rt_trainer_at(j->t) << 20 | (uint64_t)i);
		r = training_goes_on(j->c, err);
		if (r == 0)
			r = pass(j, s + i, count, learn ? total : 0, &part, err);
		sum += r == 0 ? part : 0;
	}
	*ret = sum / total;
	return r;
}

/* The running mean of the losses of all steps so far, which a checkpoint keeps. */
static double running_loss(const struct job *j, double otherwise)
{
	return rt_json_real(rt_json_get(rt_trainer_notes(j->t), "loss"), otherwise);
}

static int step(struct job *j, int64_t at, struct rt_error *err)
{
	const int64_t     batch = j->order.batch;
	struct rt_stepped did;
	double            loss, mean;
	int               r = rt_order_step(&j->order, at, j->index, err);

	for (int64_t i = 0; r == 0 && i < batch; i++)
		j->chosen[i] = &j->data.at[j->index[i]];
	if (r == 0)
		r = mean_loss(j, j->chosen, batch, true, &loss, err);
	if (r == 0 && !isfinite(loss))
		r = rt_fail(err, RT_E_NUMERIC, "the loss of step %lld is not finite",
		            (long long)at + 1);
	if (r < 0)
		return training_stopped(j->t, r, err);
	mean = running_loss(j, loss);
	mean += .05 * (loss - mean);
	if (rt_json_set(rt_trainer_notes(j->t), "loss", rt_json_new_real(mean)) < 0)
		return rt_fail_nomem(err, "notes");
	rt_scalar(j->c, "train/loss", at + 1, loss);
	rt_scalar(j->c, "train/epoch", at + 1, (double)((at + 1) * batch) / (double)j->data.n);
	return rt_trainer_step(j->t, &did, err);
}

/* ---- validation ----------------------------------------------------------------------------- */

static int validate(struct job *j, double *ret, struct rt_error *err)
{
	const struct rt_sequence **all = rt_alloc((size_t)j->validation.n, sizeof *all);
	int                        r = all ? 0 : rt_fail_nomem(err, "validation");

	for (int64_t i = 0; r == 0 && i < j->validation.n; i++)
		all[i] = &j->validation.at[i];
	if (r == 0)
		r = mean_loss(j, all, j->validation.n, false, ret, err);
	rt_free(all);
	return r;
}

static const char best_weights[] = "best.weights";

static int note(struct rt_json *o, const char *key, double value)
{
	return rt_json_set(o, key, rt_json_new_real(value));
}

static double noted(const struct rt_json *o, const char *key, double otherwise)
{
	return rt_json_real(rt_json_get(o, key), otherwise);
}

/* What the weights of now are worth: { step, loss, score?, of: { judge: score } }. */
static int measure(struct job *j, int64_t at, struct rt_json *ret, struct rt_error *err)
{
	const struct rt_components *judges = &j->cfg->judges;
	struct rt_json             *of = rt_json_new_object();
	double                      loss, score[TRIAL_JUDGES] = { 0 }, sum = 0;
	int                         r = of ? validate(j, &loss, err) : rt_fail_nomem(err, "notes");

	if (r == 0 && judges->n)
		r = trial_run(&j->trial, score, err);
	if (r < 0) {
		rt_json_free(of);
		return r;
	}
	for (int64_t i = 0; i < judges->n; i++) {
		char name[SCORES_NAME], tag[SCORES_NAME + 8];

		snprintf(tag, sizeof tag, "eval/%s", scores_name(judges, i, name));
		rt_scalar(j->c, tag, at, score[i]);
		r |= note(of, name, score[i]);
		sum += score[i];
	}
	rt_scalar(j->c, "eval/loss", at, loss);
	r |= rt_json_set(ret, "of", of);
	r |= rt_json_set(ret, "step", rt_json_new_int(at));
	r |= note(ret, "loss", loss);
	r |= note(ret, "score", judges->n ? sum / (double)judges->n : 0);
	return r < 0 ? rt_fail_nomem(err, "notes") : 0;
}

static bool better(const struct rt_json *a, const struct rt_json *b)
{
	const double x = noted(a, "score", 0), y = noted(b, "score", 0);

	return !b || x > y || (x == y && noted(a, "loss", INFINITY) < noted(b, "loss", INFINITY));
}

/* Measure the weights that would be the result, keep them when they are the best so far. */
static int try_weights(struct job *j, int64_t at, struct rt_error *err)
{
	struct rt_json *notes = rt_trainer_notes(j->t), *now = rt_json_new_object();
	const int64_t   worse = rt_json_int(rt_json_get(notes, "worse"), 0);
	bool            best = false;
	int             r = now ? 0 : rt_fail_nomem(err, "notes");

	rt_trainer_swap(j->t);
	if (r == 0)
		r = measure(j, at, now, err);
	if (r == 0) {
		best = better(now, rt_json_get(notes, "best"));
		rt_log(j->c, RT_LOG_INFO, "step %lld: score %.4f, loss %.4f%s", (long long)at,
		       noted(now, "score", 0), noted(now, "loss", NAN), best ? ", the best" : "");
	}
	if (r == 0 && best)
		r = rt_trainer_keep(j->t, best_weights, err);
	rt_trainer_swap(j->t);
	r = training_stopped(j->t, r, err);
	if (r < 0) {
		rt_json_free(now);
		return r;
	}
	r |= rt_json_set(notes, "tried", rt_json_new_int(at));
	r |= rt_json_set(notes, "worse", rt_json_new_int(best ? 0 : worse + 1));
	if (best)
		r |= rt_json_set(notes, "best", rt_json_ref(now));
	rt_json_free(now);
	return r < 0 ? rt_fail_nomem(err, "notes") : 0;
}

/* Validate in front of step `at` when it is time; *ret_stop: no step is worth it any more. */
static int look(struct job *j, int64_t at, bool *ret_stop, struct rt_error *err)
{
	const struct rt_json *notes = rt_trainer_notes(j->t);
	const int64_t         patience = j->cfg->patience;
	int                   r = 0;

	if (j->every && at > 0 && (at % j->every == 0 || at == j->steps) &&
	    rt_json_int(rt_json_get(notes, "tried"), 0) < at)
		r = try_weights(j, at, err);
	*ret_stop = at == j->steps || (j->every && patience &&
	                               rt_json_int(rt_json_get(notes, "worse"), 0) >= patience);
	return r;
}

/* ---- before and after -------------------------------------------------------------------------
 */

static int report(struct job *j, const char *dir, struct rt_error *err)
{
	const struct rt_json *best = rt_json_get(rt_trainer_notes(j->t), "best");
	struct rt_json       *m = rt_json_new_object();
	double                loss = NAN;
	int                   r = m ? 0 : rt_fail_nomem(err, "a report");

	if (r == 0 && j->validation.n && !best)
		r = validate(j, &loss, err);
	else
		loss = noted(best, "loss", NAN);
	if (r < 0) {
		rt_json_free(m);
		return r;
	}
	r |= rt_metric(m, "steps", (double)rt_trainer_at(j->t), j->steps);
	r |= rt_metric(m, "rows", (double)j->data.n, j->data.n + j->data.too_long);
	r |= rt_metric(m, "train_loss", running_loss(j, NAN), j->steps);
	if (j->validation.n)
		r |= rt_metric(m, "eval_loss", loss, j->validation.n);
	for (int64_t i = 0; best && i < j->cfg->judges.n; i++) {
		char judge[SCORES_NAME], name[SCORES_NAME + 8];

		snprintf(name, sizeof name, "eval_%s", scores_name(&j->cfg->judges, i, judge));
		r |= rt_metric(m, name, noted(rt_json_get(best, "of"), judge, NAN), j->trial.n);
	}
	if (best)
		r |= rt_metric(m, "best_step", (double)rt_json_int(rt_json_get(best, "step"), 0),
		               j->steps);
	r = r < 0 ? rt_fail_nomem(err, "a report") : rt_metrics_write(m, dir, err);
	rt_json_free(m);
	return r;
}

static int prepare(struct job *j, struct rt_error *err)
{
	const struct config             *c = j->cfg;
	const struct rt_sequence_options o = { c->max_length, c->prompt_weight };
	int64_t                          batch;
	int r = rt_model_open(&j->m, c->model->path, RT_MODEL_TRAIN, err);

	if (r == 0)
		r = rt_sequences_read(&j->data, j->m, c->data->path, &o, j->c, err);
	if (r == 0 && c->validation)
		r = rt_sequences_read(&j->validation, j->m, c->validation->path,
		                      &(struct rt_sequence_options){ 0 }, j->c, err);
	if (r == 0)
		r = rt_tape_new(&j->tape, c->training.recompute, err);
	if (r < 0)
		return r;
	j->steps =
		training_order(&j->order, j->c, j->data.n, c->training.batch, c->epochs, c->steps);
	batch = j->order.batch;
	j->index = rt_alloc((size_t)batch, sizeof *j->index);
	j->chosen = rt_alloc((size_t)batch, sizeof *j->chosen);
	if (!j->index || !j->chosen)
		return rt_fail_nomem(err, "a batch");
	if (c->judges.n) {
		r = trial_open(&j->trial, j->m, c->validation->path, c->validation_rows,
		               c->max_answer, &c->judges, j->c, err);
		if (r < 0)
			return rt_within(err, r, "validation");
	}
	if (c->every || c->judges.n)
		j->every = c->every ? c->every : (j->data.n + batch - 1) / batch;
	return rt_trainer_open(&j->t, j->m, &c->training, j->steps, j->c, err);
}

static void clean(struct job *j)
{
	trial_free(&j->trial);
	rt_trainer_close(j->t);
	rt_tape_free(j->tape);
	rt_sequences_free(&j->data);
	rt_sequences_free(&j->validation);
	rt_order_free(&j->order);
	rt_packed_free(&j->packed);
	rt_free(j->index);
	rt_free(j->chosen);
	rt_pass_free(&j->pass);
	rt_model_close(j->m);
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	struct job j = { .cfg = state, .c = c };
	bool       stop = false;
	int        r = prepare(&j, err);

	for (int64_t i = r == 0 ? rt_trainer_at(j.t) : 0; r == 0; i++) {
		r = look(&j, i, &stop, err);
		if (r < 0 || stop)
			break;
		r = step(&j, i, err);
	}
	if (r == 0 && j.every)
		r = rt_trainer_bring(j.t, best_weights, err);
	else if (r == 0)
		rt_trainer_swap(j.t);
	if (r == 0)
		r = training_stopped(j.t, report(&j, out[1], err), err);
	if (r == 0)
		r = training_write(j.m, &j.t, &j.tape, j.cfg->dtype, out[0], j.cfg->model, err);
	clean(&j);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;

	if ((c->judges.n || c->every) && !c->validation)
		return rt_fail(err, RT_E_USAGE, "%s without validation: name the rows to try it on",
		               c->judges.n ? "judges" : "every");
	if (c->patience && !c->judges.n && !c->every)
		return rt_fail(err, RT_E_USAGE, "patience without judges or every");
	return training_check(&c->training, c->epochs, c->steps, err);
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_train, STAGE, .name = "train", .version = "1.1", .license = "Apache-2.0",
          .summary = "Supervised fine-tuning of all weights on the answers of a dataset.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
