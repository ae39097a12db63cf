/* retort/rejector.h - kind `rejector`: which of a row's candidates stay? */
#ifndef RETORT_REJECTOR_H
#define RETORT_REJECTOR_H

#include <retort/judge.h>

#define RT_REJECTOR_ABI 1

struct rt_rejector_ops {
	uint32_t size; /* sizeof(struct rt_rejector_ops) */
	uint32_t reserved;

	/* scores[i] in [0, 1] of candidate i, the judges' together.  Set keep[i] of every
	 * candidate.  Ties are broken by order, so that the result is the same every time. [worker]
	 */
	int (*select)(void *state, const struct rt_group *group, const double *scores, bool *keep,
	              struct rt_error *err);
};

#endif
