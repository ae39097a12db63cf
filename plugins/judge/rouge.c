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

static int judge_one(struct state *st, const struct rt_json *row, const struct rt_json *candidate,
                     struct rt_verdict *v, struct rt_error *err)
{
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
	if (best < 0) {
		const char *id = rt_json_string(rt_json_get(row, "id"));

		return rt_fail(err, RT_E_FORMAT, "row '%s' has no reference answer to compare with",
		               id ? id : "?");
	}
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
	for (int64_t g = 0; g < n; g++)
		for (int64_t i = 0; i < groups[g].n; i++) {
			int r = judge_one(state, groups[g].row, groups[g].candidates[i], verdicts++,
			                  err);

			if (r < 0)
				return r;
		}
	return 0;
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(judge_rouge, JUDGE, .name = "rouge", .version = "1.0", .license = "Apache-2.0",
          .summary = "ROUGE-L F1 of words with the nearest reference (Lin 2004).",
          .state_size = sizeof(struct state), .ops.judge = &ops);
