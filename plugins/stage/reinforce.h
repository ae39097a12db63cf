/* reinforce.h - what the parts of stage-reinforce share: its parameters, and a run. */
#ifndef STAGE_REINFORCE_H
#define STAGE_REINFORCE_H

#include <retort/generate.h>
#include <retort/stage.h>
#include <retort/train.h>

struct config {
	const struct rt_artifact *model, *reference, *data;
	struct rt_components      judges;
	struct rt_reals           weights;
	struct rt_component      *rl;
	int64_t                   steps, iterations, prompts, group, max_answer;
	double                    temperature, low, high;
	int                       dtype;
	struct rt_training        training;
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

/* reinforce-rollout.c: answers to the prompts of step `at`, their rewards and the mean of those;
 * and their end. */
int  rollouts_make(struct job *j, int64_t at, struct rt_error *err);
int  rollouts_reward(struct job *j, int64_t at, double *ret_mean, struct rt_error *err);
void rollouts_forget(struct job *j);

/* reinforce-update.c: what holds for all updates by the answers of step `at`; and the gradients of
 * the next one. */
int reinforce_begin(struct job *j, int64_t at, struct rt_error *err);
int reinforce_learn(struct job *j, struct rt_error *err);

#endif
