/* scores.h - what several judges say of the candidates of a row, as one number each. */
#ifndef STAGE_SCORES_H
#define STAGE_SCORES_H

#include <retort/judge.h>

/* Who scores, and what each one's score counts; no weights: all 1. */
struct scores_rule {
	struct rt_components judges;
	struct rt_reals      weights;
};

double scores_weight(const struct scores_rule *rule, int64_t judge);

enum { SCORES_NAME = 96 };

/* What a judge's figures are called: by its plugin, the second of a kind NAME_2, and so on.  In
 * room, of SCORES_NAME bytes. */
const char *scores_name(const struct rt_components *judges, int64_t judge, char *room);

/* For check(): as many weights as judges or none, and not all 0. */
int scores_check(const struct scores_rule *rule, struct rt_error *err);

/* Called once for each judge, with its verdicts on all candidates of all groups. */
typedef void scores_fn(void *arg, int64_t judge, const struct rt_verdict *verdicts);

/* ret[i]: weighted mean of the scores of candidate i, in 0..1, those of the groups one after
 * another. verdicts is room for one for each; each may be NULL.  A score outside of 0..1 is
 * RT_E_NUMERIC and names the judge. */
int scores_give(const struct scores_rule *rule, const struct rt_group *groups, int64_t n,
                struct rt_verdict *verdicts, double *ret, scores_fn *each, void *arg,
                struct rt_error *err);

#endif
