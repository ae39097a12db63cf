/* policy.h - a model that learns from how likely it finds answers: packs of answers through it, and
 * back. */
#ifndef STAGE_POLICY_H
#define STAGE_POLICY_H

#include <retort/train.h>

/* As many of the sequences s[0..n) as fit in `rows` rows, *ret_n of them and at least one, in one
 * pack; x->logp gets the log-probability of each row's label.  With a tape policy_learn() may
 * follow. */
int policy_logps(struct rt_packed *packed, struct rt_model *m, struct rt_pass *x,
                 const struct rt_sequence *const *s, int64_t n, int64_t rows, struct rt_tape *tape,
                 int64_t *ret_n, struct rt_error *err);

/* Add the gradients of sum x->coef[row] * logp[row] over that pack. */
int policy_learn(const struct rt_packed *packed, struct rt_model *m, struct rt_pass *x,
                 struct rt_tape *tape, struct rt_gradients *g, struct rt_error *err);

#endif
