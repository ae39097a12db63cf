/* reinforce-rollout.c - the model answers, and judges reward it. */
#include "reinforce.h"

#include "scores.h"
#include "training.h"

#include <retort/judge.h>
#include <retort/memory.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- answers ---- */

void rollouts_forget(struct job *j)
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
	int                  r;

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
	r = training_goes_on(j->c, err);
	return r < 0 ? r : rt_chat_message(a->text, a->text_n, &o->message, err);
}

int rollouts_make(struct job *j, int64_t at, struct rt_error *err)
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

/* ---- rewards ---- */

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
		mean += reward[k];
	mean /= (double)c->group;
	if (mean > c->low && mean < c->high)
		return false;
	for (int64_t k = 0; k < c->group; k++)
		reward[k] = NAN;
	return true;
}

int rollouts_reward(struct job *j, int64_t at, double *ret_mean, struct rt_error *err)
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
		char name[SCORES_NAME], tag[SCORES_NAME + 16];

		snprintf(tag, sizeof tag, "rewards/%s/mean", scores_name(&c->judges, i, name));
		rt_scalar(j->c, tag, at, scores[i] / (double)j->N);
		sum += scores_weight(&rule, i) * (scores[i] / (double)j->N);
		weights += scores_weight(&rule, i);
	}
	*ret_mean = sum / weights;
	rt_scalar(j->c, "reward", at, *ret_mean);
	rt_scalar(j->c, "frac_groups_filtered", at, (double)left_out / (double)c->prompts);
	return 0;
}
