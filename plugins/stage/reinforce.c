/* reinforce.c - stage-reinforce: a model answers, judges reward, an rl plugin turns the rewards of
 * each group of answers into a step.
 *
 * One step: some prompts, `group` answers to each by the model as it is, rewards, advantages, and
 * one update.  The same engine generates and the same weights learn; how far the log-probabilities
 * of both are apart is a scalar of every step (sampling/logp_difference). */
#include "policy.h"
#include "scores.h"

#include <retort/file.h>
#include <retort/generate.h>
#include <retort/judge.h>
#include <retort/memory.h>
#include <retort/metrics.h>
#include <retort/rl.h>
#include <retort/row.h>
#include <retort/rows.h>
#include <retort/stage.h>
#include <retort/train.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const   dtypes[] = { "f32", "bf16", "f16", NULL };
static const enum rt_dtype numbers[] = { RT_F32, RT_BF16, RT_F16 };

struct config {
	const struct rt_artifact *model, *reference, *data;
	struct rt_components      judges;
	struct rt_reals           weights;
	struct rt_component      *rl;
	int64_t                   steps, prompts, group, max_answer;
	double                    temperature, low, high;
	int                       dtype;
	struct rt_training        training;
};

struct state {
	const struct config *cfg;
};

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
	RT_PARAM_INT(struct config, steps, 100, 1, INT64_MAX, NULL, "Steps to go."),
	RT_PARAM_INT(struct config, prompts, 16, 1, 1 << 16, "rows", "Prompts of a step."),
	RT_PARAM_INT(struct config, group, 8, 2, 256, "answers", "Answers to each."),
	RT_PARAM_INT(struct config, max_answer, 256, 1, 1 << 20, "tokens", "Longest answer."),
	RT_PARAM_REAL(struct config, temperature, 1, 0.01, 10, NULL, "Of the answers."),
	RT_PARAM_REAL(
		struct config, low, 0, 0, 1, NULL,
		"Groups whose mean reward is not above this are left out (dynamic filtering)."),
	RT_PARAM_REAL(struct config, high, 1, 0, 1, NULL,
	              "And those whose mean reward is not below this."),
	RT_PARAM_ENUM(struct config, dtype, 0, dtypes, "How the weights are stored."),
	RT_TRAINING_PARAMS(struct config, training),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = {
	{ "model", "The model, trained.", RT_MODEL, 0 },
	{ "report", "Steps, rewards at the beginning and at the end.", RT_METRICS, 0 },
	{ 0 }
};

/* An answer of this step. */
struct rollout {
	struct rt_sequence s; /* owns token and weight */
	struct rt_json    *message;
	int64_t            answer;  /* tokens of it that the model wrote */
	float             *sampled; /* [answer] log-probabilities that the engine saw */
};

/* One run. */
struct job {
	const struct config *cfg;
	struct rt_context   *c;
	struct rt_model     *m, *reference;
	struct rt_engine    *engine;
	struct rt_trainer   *t;
	struct rt_tape      *tape;
	struct rt_json     **rows;
	int64_t              n_rows, cap_rows;
	struct rt_order      order;
	struct rt_packed     packed;
	struct rt_pass       pass, ref_pass;
	struct rt_ids       *prompts; /* [prompts] of this step */
	struct rollout      *rollouts;
	int64_t             *index;
	int64_t              N, T;  /* answers; tokens of the longest */
	int64_t             *group; /* [N] and so on: a batch of retort/rl.h */
	double              *reward;
	float               *mask, *logp, *logp_old, *logp_ref, *gradient, *advantage;
};

/* ---- rollouts ------------------------------------------------------------------------------- */

static void forget(struct job *j)
{
	for (int64_t i = 0; j->rollouts && i < j->N; i++) {
		struct rollout *o = &j->rollouts[i];

		rt_free((void *)o->s.token);
		rt_free((void *)o->s.weight);
		rt_free(o->sampled);
		rt_json_free(o->message);
		*o = (struct rollout){ 0 };
	}
	for (int64_t i = 0; j->prompts && i < j->cfg->prompts; i++)
		j->prompts[i].len = 0;
}

static int answered(void *arg, int64_t q, const struct rt_answer *a, struct rt_error *err)
{
	struct job          *j = arg;
	struct rollout      *o = &j->rollouts[q];
	const struct rt_ids *prompt = &j->prompts[q / j->cfg->group];
	const int64_t        before = (int64_t)prompt->len, stop = a->stop >= 0;
	int32_t             *token;
	float               *weight;

	o->answer = a->n + stop;
	o->s.n = before + o->answer;
	o->s.prompt = before;
	o->s.token = token = rt_alloc((size_t)o->s.n, sizeof *token);
	o->s.weight = weight = rt_alloc((size_t)o->s.n, sizeof *weight);
	o->sampled = rt_alloc((size_t)o->answer, sizeof *o->sampled);
	if (!token || !weight || !o->sampled)
		return rt_fail_nomem(err, "an answer");
	memcpy(token, prompt->data, (size_t)before * sizeof *token);
	memcpy(token + before, a->id, (size_t)a->n * sizeof *token);
	memcpy(o->sampled, a->logp, (size_t)a->n * sizeof *o->sampled);
	if (stop) {
		token[o->s.n - 1] = a->stop;
		o->sampled[a->n] = a->stop_logp;
	}
	for (int64_t k = before; k < o->s.n; k++)
		weight[k] = 1;
	return rt_chat_message(a->text, a->text_n, &o->message, err);
}

static int roll_out(struct job *j, int64_t at, struct rt_error *err)
{
	const struct config *c = j->cfg;
	struct rt_request   *q = rt_alloc((size_t)j->N, sizeof *q);
	int r = q ? rt_order_step(&j->order, at, j->index, err) : rt_fail_nomem(err, "requests");

	for (int64_t p = 0; r == 0 && p < c->prompts; p++) {
		r = rt_model_encode_prompt(j->m, j->rows[j->index[p]], &j->prompts[p], err);
		for (int64_t k = 0; r == 0 && k < c->group; k++)
			q[p * c->group + k] = (struct rt_request){
				.prompt = j->prompts[p].data,
				.n = (int64_t)j->prompts[p].len,
				.max_tokens = c->max_answer,
				.sampling = { .temperature = c->temperature },
				.seed = rt_seed(j->c),
				.stream = (uint64_t)(at * j->N + p * c->group + k)
			};
	}
	if (r == 0)
		r = rt_generate(j->engine, q, j->N, answered, NULL, j, err);
	rt_free(q);
	return r;
}

/* ---- rewards -------------------------------------------------------------------------------- */

struct sums {
	double *at; /* of each judge's scores */
	int64_t n;
};

static void add_scores(void *arg, int64_t judge, const struct rt_verdict *verdicts)
{
	const struct sums *sums = arg;

	for (int64_t i = 0; i < sums->n; i++)
		sums->at[judge] += verdicts[i].score;
}

/* Judges see all groups at once. */
static int judge_all(struct job *j, double *scores, struct rt_error *err)
{
	const struct config     *c = j->cfg;
	const struct scores_rule rule = { c->judges, c->weights };
	struct rt_group         *groups = rt_alloc((size_t)c->prompts, sizeof *groups);
	const struct rt_json   **at = rt_alloc((size_t)j->N, sizeof *at);
	struct rt_verdict       *verdicts = rt_alloc((size_t)j->N, sizeof *verdicts);
	struct sums              sums = { scores, j->N };
	int                      r = groups && at && verdicts ? 0 : rt_fail_nomem(err, "rewards");

	for (int64_t i = 0; r == 0 && i < j->N; i++)
		at[i] = j->rollouts[i].message;
	for (int64_t p = 0; r == 0 && p < c->prompts; p++)
		groups[p] = (struct rt_group){ j->rows[j->index[p]], at + p * c->group, c->group };
	if (r == 0)
		r = scores_give(&rule, groups, c->prompts, verdicts, j->reward, add_scores, &sums,
		                err);
	rt_free(groups);
	rt_free(at);
	rt_free(verdicts);
	return r;
}

/* Groups that are all wrong or all right teach nothing; the rl plugin leaves NAN out. */
static bool filtered(struct job *j, int64_t p)
{
	const struct config *c = j->cfg;
	double              *reward = j->reward + p * c->group, mean = 0;

	for (int64_t k = 0; k < c->group; k++)
		mean += reward[k] / (double)c->group;
	if (mean > c->low && mean < c->high)
		return false;
	for (int64_t k = 0; k < c->group; k++)
		reward[k] = NAN;
	return true;
}

static int reward_all(struct job *j, int64_t at, double *ret_mean, struct rt_error *err)
{
	const struct config     *c = j->cfg;
	const struct scores_rule rule = { c->judges, c->weights };
	double                   scores[16] = { 0 }, sum = 0, weights = 0;
	int64_t                  left_out = 0;
	int                      r = judge_all(j, scores, err);

	if (r < 0)
		return r;
	for (int64_t p = 0; p < c->prompts; p++)
		left_out += filtered(j, p);
	for (int64_t i = 0; i < c->judges.n; i++) {
		char tag[120];

		snprintf(tag, sizeof tag, "rewards/%s/mean", c->judges.at[i]->plugin->name);
		rt_scalar(j->c, tag, at, scores[i] / (double)j->N);
		sum += scores_weight(&rule, i) * scores[i] / (double)j->N;
		weights += scores_weight(&rule, i);
	}
	*ret_mean = sum / weights;
	rt_scalar(j->c, "reward", at, *ret_mean);
	rt_scalar(j->c, "frac_groups_filtered", at, (double)left_out / (double)c->prompts);
	return 0;
}

/* ---- log-probabilities ---------------------------------------------------------------------- */

/* Rows of the packed batch belong to answers first.. ; copy between [row] and [N, T]. */
static void to_table(const struct job *j, int64_t first, int64_t n, const float *rows, float *table)
{
	int64_t at = 0;

	for (int64_t i = first; i < first + n; i++) {
		const struct rollout *o = &j->rollouts[i];

		for (int64_t k = 0; k < o->answer; k++)
			table[i * j->T + k] = rows[at + o->s.prompt - 1 + k];
		at += o->s.n;
	}
}

static void from_table(const struct job *j, int64_t first, int64_t n, const float *table,
                       float *rows)
{
	int64_t at = 0;

	memset(rows, 0, (size_t)j->packed.batch.rows * sizeof *rows);
	for (int64_t i = first; i < first + n; i++) {
		const struct rollout *o = &j->rollouts[i];

		for (int64_t k = 0; k < o->answer; k++)
			rows[at + o->s.prompt - 1 + k] = table[i * j->T + k];
		at += o->s.n;
	}
}

/* Pack answers [first, first + *ret_n), as many as fit; log-probabilities of one model. */
static int logps_of(struct job *j, struct rt_model *m, struct rt_pass *x, int64_t first,
                    struct rt_tape *tape, float *table, int64_t *ret_n, struct rt_error *err)
{
	const struct rt_sequence *s[4096];
	const int64_t             most = j->N - first < 4096 ? j->N - first : 4096;
	int                       r;

	for (int64_t i = 0; i < most; i++)
		s[i] = &j->rollouts[first + i].s;
	r = policy_logps(&j->packed, m, x, s, most, j->cfg->training.rows, tape, ret_n, err);
	if (r == 0)
		to_table(j, first, *ret_n, x->logp, table);
	return r;
}

static int score_all(struct job *j, struct rt_model *m, struct rt_pass *x, float *table,
                     struct rt_error *err)
{
	int     r = 0;
	int64_t n = 1;

	for (int64_t i = 0; r == 0 && i < j->N; i += n)
		r = logps_of(j, m, x, i, NULL, table, &n, err);
	return r;
}

/* ---- the update ----------------------------------------------------------------------------- */

static struct rt_rl_batch rl_batch(const struct job *j, int64_t first, int64_t n)
{
	const int64_t at = first * j->T;
	double        tokens = 0;

	for (int64_t i = 0; i < j->N; i++)
		tokens += (double)j->rollouts[i].answer;
	return (struct rt_rl_batch){ .N = n,
		                     .T = j->T,
		                     .group = j->group + first,
		                     .reward = j->reward + first,
		                     .mask = j->mask + at,
		                     .logp = j->logp + at,
		                     .logp_old = j->logp_old + at,
		                     .logp_ref = j->reference ? j->logp_ref + at : NULL,
		                     .tokens = tokens,
		                     .completions = (double)j->N,
		                     .max_tokens = (double)j->cfg->max_answer };
}

/* The loss adds up; the rest are means over what each part held. */
static void add_stats(const struct job *j, int64_t n, const struct rt_rl_stats *s,
                      struct rt_rl_stats *sum)
{
	const double share = (double)n / (double)j->N;

	sum->loss += s->loss;
	sum->kl += share * s->kl;
	sum->clip_low += share * s->clip_low;
	sum->clip_high += share * s->clip_high;
	sum->ratio_mean += share * s->ratio_mean;
}

/* Gradients of some answers, which are a part of the batch; their losses add up in *ret. */
static int learn(struct job *j, int64_t first, int64_t *ret_n, struct rt_rl_stats *ret,
                 struct rt_error *err)
{
	const struct rt_component *rl = j->cfg->rl;
	struct rt_gradients       *g = rt_trainer_gradients(j->t);
	struct rt_rl_batch         b;
	struct rt_rl_stats         stats = { 0 };
	int r = logps_of(j, j->m, &j->pass, first, j->tape, j->logp, ret_n, err);

	if (r < 0)
		return r;
	b = rl_batch(j, first, *ret_n);
	r = rl->plugin->ops.rl->loss(rl->state, &b, j->advantage + first,
	                             j->gradient + first * j->T, &stats, err);
	if (r < 0)
		return rt_within(err, r, "rl-%s", rl->plugin->name);
	add_stats(j, *ret_n, &stats, ret);
	from_table(j, first, *ret_n, j->gradient, j->pass.coef);
	return policy_learn(&j->packed, j->m, &j->pass, j->tape, g, err);
}

/* How far the engine's log-probabilities are from those that learning sees. */
static double difference(const struct job *j)
{
	double  sum = 0;
	int64_t n = 0;

	for (int64_t i = 0; i < j->N; i++)
		for (int64_t k = 0; k < j->rollouts[i].answer; k++, n++)
			sum += fabs((double)j->rollouts[i].sampled[k] -
			            (double)j->logp_old[i * j->T + k]);
	return n ? sum / (double)n : 0;
}

static int make_table(struct job *j, struct rt_error *err)
{
	size_t size;

	j->T = 1;
	for (int64_t i = 0; i < j->N; i++)
		j->T = j->rollouts[i].answer > j->T ? j->rollouts[i].answer : j->T;
	size = (size_t)(j->N * j->T);
	float **tables[] = { &j->mask, &j->logp, &j->logp_old, &j->logp_ref, &j->gradient };

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		rt_free(*tables[i]);
		*tables[i] = rt_alloc(size, sizeof **tables[i]);
		if (!*tables[i])
			return rt_fail_nomem(err, "a batch");
	}
	for (int64_t i = 0; i < j->N; i++) {
		j->group[i] = i / j->cfg->group;
		for (int64_t k = 0; k < j->rollouts[i].answer; k++)
			j->mask[i * j->T + k] = 1;
	}
	return 0;
}

static int update(struct job *j, int64_t at, struct rt_error *err)
{
	const struct rt_component *rl = j->cfg->rl;
	struct rt_rl_batch         all;
	struct rt_rl_stats         stats = { 0 };
	double                     apart;
	int64_t                    n = 1;
	int                        r = make_table(j, err);

	if (r == 0)
		r = score_all(j, j->m, &j->pass, j->logp_old, err);
	if (r == 0 && j->reference)
		r = score_all(j, j->reference, &j->ref_pass, j->logp_ref, err);
	if (r < 0)
		return r;
	memcpy(j->logp, j->logp_old, (size_t)(j->N * j->T) * sizeof *j->logp);
	apart = difference(j);
	if (rt_json_set(rt_trainer_notes(j->t), "difference", rt_json_new_real(apart)) < 0)
		return rt_fail_nomem(err, "notes");
	all = rl_batch(j, 0, j->N);
	r = rl->plugin->ops.rl->advantages(rl->state, &all, j->advantage, err);
	if (r < 0)
		return rt_within(err, r, "rl-%s", rl->plugin->name);
	for (int64_t i = 0; r == 0 && i < j->N; i += n)
		r = learn(j, i, &n, &stats, err);
	rt_scalar(j->c, "train/loss", at, stats.loss);
	rt_scalar(j->c, "kl", at, stats.kl);
	rt_scalar(j->c, "clip_ratio/low_mean", at, stats.clip_low);
	rt_scalar(j->c, "clip_ratio/high_mean", at, stats.clip_high);
	rt_scalar(j->c, "sampling/logp_difference", at, apart);
	return r;
}

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
	int               r = roll_out(j, at, err);

	if (r == 0)
		r = reward_all(j, at + 1, &reward, err);
	if (r == 0)
		r = update(j, at + 1, err);
	forget(j);
	if (r == 0 && note(j, at, reward) < 0)
		r = rt_fail_nomem(err, "notes");
	return r < 0 ? r : rt_trainer_step(j->t, &did, err);
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
		r = rt_model_open(&j->reference, c->reference->path, 0, err);
	if (r == 0 && j->reference &&
	    rt_model_shape(j->reference)->vocabulary != rt_model_shape(j->m)->vocabulary)
		r = rt_fail(err, RT_E_SHAPE, "the reference model has another vocabulary");
	if (r == 0 && j->reference)
		rt_model_multiply(j->reference, rt_training_matmul(&c->training));
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
	return rt_trainer_open(&j->t, j->m, &c->training, c->steps, j->c, err);
}

static void clean(struct job *j)
{
	forget(j);
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
	struct job j = { .cfg = ((struct state *)state)->cfg, .c = c };
	int        r = prepare(&j, err);

	for (int64_t i = r == 0 ? rt_trainer_at(j.t) : 0; r == 0 && i < j.cfg->steps; i++)
		r = step(&j, i, err);
	if (r == 0) {
		rt_trainer_swap(j.t);
		r = report(&j, out[1], err);
	}
	/* Writing reads what was written: the memory of training is not needed any more. */
	rt_trainer_close(j.t);
	rt_tape_free(j.tape);
	j.t = NULL;
	j.tape = NULL;
	if (r == 0)
		r = rt_model_write(j.m, out[0], numbers[j.cfg->dtype], j.cfg->model->path, err);
	clean(&j);
	return r;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config     *c = config;
	const struct rt_rl_ops  *ops = c->rl->plugin->ops.rl;
	const struct scores_rule rule = { c->judges, c->weights };

	if (!RT_HAS(ops, advantages) || !RT_HAS(ops, loss))
		return rt_fail(err, RT_E_USAGE,
		               "rl-%s is for preferences between pairs: use the "
		               "stage prefer",
		               c->rl->plugin->name);
	return scores_check(&rule, err);
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->cfg = config;
	return 0;
}

static int estimate(const void *config, struct rt_estimate *ret, struct rt_error *err)
{
	const struct config     *c = config;
	const struct scores_rule rule = { c->judges, c->weights };

	(void)err;
	if (!scores_ask(&rule))
		ret->calls = ret->input_tokens = ret->output_tokens = ret->money = 0;
	return 0;
}

static const struct rt_stage_ops ops = {
	.size = sizeof ops, .outputs = outputs, .run = run, .estimate = estimate
};

RT_PLUGIN(stage_reinforce, STAGE, .name = "reinforce", .version = "1.1", .license = "Apache-2.0",
          .summary = "A model answers, judges reward, and the better answers become likelier.",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .check = check, .open = open_, .ops.stage = &ops);
