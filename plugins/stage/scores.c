/* scores.c - see scores.h */
#include "scores.h"

#include <stdio.h>
#include <string.h>

double scores_weight(const struct scores_rule *rule, int64_t judge)
{
	return judge < rule->weights.n ? rule->weights.at[judge] : 1;
}

const char *scores_name(const struct rt_components *judges, int64_t judge, char *room)
{
	const char *name = judges->at[judge]->plugin->name;
	int         number = 1;

	for (int64_t i = 0; i < judge; i++)
		number += strcmp(judges->at[i]->plugin->name, name) == 0;
	if (number == 1)
		snprintf(room, SCORES_NAME, "%s", name);
	else
		snprintf(room, SCORES_NAME, "%s_%d", name, number);
	return room;
}

int scores_check(const struct scores_rule *rule, struct rt_error *err)
{
	double sum = 0;

	if (rule->weights.n != 0 && rule->weights.n != rule->judges.n)
		return rt_fail(err, RT_E_RANGE,
		               "%lld weights for %lld judges; give each judge one, or none at all",
		               (long long)rule->weights.n, (long long)rule->judges.n);
	for (int64_t i = 0; i < rule->judges.n; i++)
		sum += scores_weight(rule, i);
	return sum > 0 || rule->judges.n == 0 ? 0 : rt_fail(err, RT_E_RANGE, "all weights are 0");
}

int scores_give(const struct scores_rule *rule, const struct rt_group *groups, int64_t n,
                struct rt_verdict *verdicts, double *ret, scores_fn *each, void *arg,
                struct rt_error *err)
{
	double  total = 0;
	int64_t all = 0;

	for (int64_t g = 0; g < n; g++)
		all += groups[g].n;
	for (int64_t i = 0; i < all; i++)
		ret[i] = 0;
	for (int64_t k = 0; k < rule->judges.n; k++) {
		const struct rt_component *judge = rule->judges.at[k];
		int r = judge->plugin->ops.judge->judge(judge->state, groups, n, verdicts, err);

		if (r < 0)
			return rt_within(err, r, "judge-%s", judge->plugin->name);
		total += scores_weight(rule, k);
		for (int64_t i = 0; i < all; i++) {
			if (!(verdicts[i].score >= 0 && verdicts[i].score <= 1))
				return rt_fail(err, RT_E_NUMERIC,
				               "judge-%s gives %g, not a score in 0..1",
				               judge->plugin->name, verdicts[i].score);
			ret[i] += scores_weight(rule, k) * verdicts[i].score;
		}
		if (each)
			each(arg, k, verdicts);
	}
	for (int64_t i = 0; i < all; i++)
		ret[i] /= total;
	return 0;
}
