/* retort/judge.h - kind `judge`: how good is an answer?
 *
 * One kind, used three times: to reject candidates, as a reward, and as a metric.  A
 * candidate is an assistant message: { role, content?, tool_calls? }, with one of the two
 * or both.  Judges that compare see all candidates of a row together. */
#ifndef RETORT_JUDGE_H
#define RETORT_JUDGE_H

#include <retort/plugin.h>

#define RT_JUDGE_ABI 1

/* A row and the answers to it.  Messages of the row up to and including the last one that
 * is not the assistant's are the prompt; an assistant message after them, where there is
 * one, is the reference. */
struct rt_group {
	const struct rt_json        *row;
	const struct rt_json *const *candidates;
	int64_t                      n;
};

struct rt_verdict {
	double score;       /* in [0, 1] */
	char   reason[120]; /* why not 1, for people and for counting: few distinct texts; "" when 1
	                     */
};

struct rt_judge_ops {
	uint32_t size; /* sizeof(struct rt_judge_ops) */
	uint32_t reserved;

	/* One verdict for each candidate of each group, in order; every one is written.  A
	 * candidate that cannot be judged (no reference) is an error that names the row. [worker]
	 */
	int (*judge)(void *state, const struct rt_group *groups, int64_t n,
	             struct rt_verdict *verdicts, struct rt_error *err);
};

/* For judges to which every answer stands by itself: one() for each candidate of each group, in
 * order, up to the first that fails. [any] */
typedef int rt_judge_fn(void *state, const struct rt_json *row, const struct rt_json *candidate,
                        struct rt_verdict *ret, struct rt_error *err);

int rt_judge_each(rt_judge_fn *one, void *state, const struct rt_group *groups, int64_t n,
                  struct rt_verdict *verdicts, struct rt_error *err);

#endif
