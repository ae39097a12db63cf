/* trial.h - a model that is being trained answers prompts, and judges say how well. */
#ifndef STAGE_TRIAL_H
#define STAGE_TRIAL_H

#include <retort/plugin.h>
#include <retort/train.h>

enum { TRIAL_JUDGES = 16 };

struct trial {
	const struct rt_model      *m;
	const struct rt_components *judges;
	struct rt_context          *c;
	struct rt_engine           *engine;
	struct rt_json            **rows;
	struct rt_ids              *prompts;  /* [n] */
	struct rt_request          *requests; /* [n] */
	const struct rt_json      **answers;  /* [n] messages of this time */
	int64_t                     n;        /* rows that are answered */
};

/* The prompts of the first `rows` rows of a dataset, each answered with at most `tokens` tokens.
 * Rows that do not fit the model's context are left out with a warning; RT_E_FORMAT when none is
 * left.  The trial is zeroed before, and freed whatever this returns.  [stage] */
int  trial_open(struct trial *t, const struct rt_model *m, const char *folder, int64_t rows,
                int64_t tokens, const struct rt_components *judges, struct rt_context *c,
                struct rt_error *err);
void trial_free(struct trial *t);

/* Answer all greedily; score[i] is the mean of judge i, in 0..1.  Depends on the weights alone.
 * [stage] */
int trial_run(struct trial *t, double score[TRIAL_JUDGES], struct rt_error *err);

#endif
