/* judge.c - see retort/judge.h */
#include <retort/judge.h>

int rt_judge_each(rt_judge_fn *one, void *state, const struct rt_group *groups, int64_t n,
                  struct rt_verdict *verdicts, struct rt_error *err)
{
	for (int64_t g = 0; g < n; g++)
		for (int64_t i = 0; i < groups[g].n; i++) {
			int r = one(state, groups[g].row, groups[g].candidates[i], verdicts++, err);

			if (r < 0)
				return r;
		}
	return 0;
}
