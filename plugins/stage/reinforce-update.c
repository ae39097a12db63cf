/* reinforce-update.c - log-probabilities of the answers, and the step that follows from them. */
#include "reinforce.h"

#include "policy.h"
#include "training.h"

#include <retort/memory.h>
#include <retort/rl.h>

#include <math.h>
#include <string.h>

/* ---- log-probabilities ---- */

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

/* Within the updates of a step there is no place to go on from: they are made before a run stops.
 */
static int goes_on(const struct job *j, struct rt_error *err)
{
	return rt_trainer_at(j->t) % j->cfg->iterations ? 0 : training_goes_on(j->c, err);
}

/* Pack answers [first, first + *ret_n), as many as fit; log-probabilities of one model. */
static int logps_of(struct job *j, struct rt_model *m, struct rt_pass *x, int64_t first,
                    struct rt_tape *tape, float *table, int64_t *ret_n, struct rt_error *err)
{
	const struct rt_sequence *s[4096];
	const int64_t             most = j->N - first < 4096 ? j->N - first : 4096;
	int                       r = goes_on(j, err);

	if (r < 0)
		return r;
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

/* ---- the update ---- */

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

int reinforce_begin(struct job *j, int64_t at, struct rt_error *err)
{
	const struct rt_component *rl = j->cfg->rl;
	struct rt_rl_batch         all;
	double                     apart;
	int                        r = make_table(j, err);

	if (r == 0)
		r = score_all(j, j->m, &j->pass, j->logp_old, err);
	if (r == 0 && j->reference)
		r = score_all(j, j->reference, &j->ref_pass, j->logp_ref, err);
	if (r < 0)
		return r;
	memcpy(j->logp, j->logp_old, (size_t)(j->N * j->T) * sizeof *j->logp);
	apart = difference(j);
	rt_scalar(j->c, "sampling/logp_difference", at, apart);
	if (rt_json_set(rt_trainer_notes(j->t), "difference", rt_json_new_real(apart)) < 0)
		return rt_fail_nomem(err, "notes");
	all = rl_batch(j, 0, j->N);
	r = rl->plugin->ops.rl->advantages(rl->state, &all, j->advantage, err);
	return r < 0 ? rt_within(err, r, "rl-%s", rl->plugin->name) : 0;
}

int reinforce_learn(struct job *j, struct rt_error *err)
{
	const int64_t      at = rt_trainer_at(j->t) + 1;
	struct rt_rl_stats stats = { 0 };
	int64_t            n = 1;
	int                r = 0;

	for (int64_t i = 0; r == 0 && i < j->N; i += n)
		r = learn(j, i, &n, &stats, err);
	if (r < 0)
		return r;
	rt_scalar(j->c, "train/loss", at, stats.loss);
	rt_scalar(j->c, "kl", at, stats.kl);
	rt_scalar(j->c, "clip_ratio/low_mean", at, stats.clip_low);
	rt_scalar(j->c, "clip_ratio/high_mean", at, stats.clip_high);
	return 0;
}
