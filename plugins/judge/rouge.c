/* rouge.c - judge-rouge: how many words does the answer share with the nearest reference, in order?
 *
 * ROUGE-L F1 (Lin 2004): twice the longest common subsequence of words over the words of both.
 * Calls are compared as text: the name, and the arguments as JSON with sorted keys.  What words are
 * is said in words.h. */
#include "words.h"

#include <retort/judge.h>
#include <retort/row.h>

#include <stdio.h>

struct state {
	struct words_room room;
};

static int judge_one(void *state, const struct rt_json *row, const struct rt_json *candidate,
                     struct rt_verdict *v, struct rt_error *err)
{
	struct state         *st = state;
	const struct rt_json *reference;
	struct rt_text        x = RT_TEXT_INIT, y = RT_TEXT_INIT;
	double                best = -1;
	bool                  failed;

	rt_answer_text(candidate, &x);
	for (size_t i = 0; (reference = rt_row_reference(row, i)); i++) {
		double s;

		rt_text_clear(&y);
		rt_answer_text(reference, &y);
		s = words_rouge_l(&st->room, x.data, y.data);
		best = s > best ? s : best;
	}
	failed = x.failed || y.failed;
	rt_text_free(&x);
	rt_text_free(&y);
	if (failed)
		return rt_fail_nomem(err, "an answer");
	if (best < 0)
		return rt_row_no_reference(row, err);
	*v = (struct rt_verdict){ .score = best };
	if (best < 1)
		snprintf(v->reason, sizeof v->reason, "%s",
		         best <= 0    ? "no word in common"
		         : best < 0.5 ? "less than half in common"
		                      : "some words differ");
	return 0;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	return rt_judge_each(judge_one, state, groups, n, verdicts, err);
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(judge_rouge, JUDGE, .name = "rouge", .version = "1.0", .license = "Apache-2.0",
          .summary = "ROUGE-L F1 of words with the nearest reference (Lin 2004).",
          .state_size = sizeof(struct state), .ops.judge = &ops);
