/* pick.c - see pick.h */
#include "pick.h"

#include <retort/memory.h>

#include <stdlib.h>

struct ranked {
	float   score;
	int64_t index;
};

static int by_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->score != y->score ? (x->score > y->score ? -1 : 1)
	                            : (x->index > y->index) - (x->index < y->index);
}

static int by_index(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int pick(const float *score, int64_t n, int64_t stay, int64_t *ret, struct rt_error *err)
{
	struct ranked *all = rt_alloc((size_t)n, sizeof *all);

	if (!all)
		return rt_fail_nomem(err, "a ranking");
	for (int64_t i = 0; i < n; i++)
		all[i] = (struct ranked){ score[i], i };
	qsort(all, (size_t)n, sizeof *all, by_score);
	for (int64_t i = 0; i < stay; i++)
		ret[i] = all[i].index;
	rt_free(all);
	qsort(ret, (size_t)stay, sizeof *ret, by_index);
	return 0;
}
