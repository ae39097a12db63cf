/* agree.c - judge-agree: how many of a row's other candidates say the same?
 *
 * Self-consistency (Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning"):
 * without a reference, an answer that the teacher gives again and again is likelier right. */
#include <retort/judge.h>
#include <retort/memory.h>
#include <retort/row.h>

#include <stdio.h>
#include <string.h>

struct config {
	int64_t least;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, least, 1, 1, 1000, "candidates",
	             "Fewer candidates than this in a row score 0: too few to agree."),
	RT_PARAM_END
};

static int vote(const struct config *cfg, const struct rt_group *g, struct rt_text *texts,
                struct rt_verdict *verdicts, struct rt_error *err)
{
	for (int64_t i = 0; i < g->n; i++) {
		rt_answer_text(g->candidates[i], &texts[i]);
		if (texts[i].failed)
			return rt_fail_nomem(err, "answers");
	}
	for (int64_t i = 0; i < g->n; i++) {
		int64_t same = 0;

		for (int64_t k = 0; k < g->n; k++)
			same += texts[i].len == texts[k].len &&
			        memcmp(texts[i].data, texts[k].data, texts[i].len) == 0;
		verdicts[i] = (struct rt_verdict){ .score = (double)same / (double)g->n };
		if (g->n < cfg->least) {
			verdicts[i].score = 0;
			snprintf(verdicts[i].reason, sizeof verdicts[i].reason,
			         "too few candidates to agree");
		} else if (same < g->n) {
			snprintf(verdicts[i].reason, sizeof verdicts[i].reason, "%s",
			         2 * same > g->n ? "not all agree" : "no majority");
		}
	}
	return 0;
}

static int judge(void *state, const struct rt_group *groups, int64_t n, struct rt_verdict *verdicts,
                 struct rt_error *err)
{
	int r = 0;

	for (int64_t g = 0; r == 0 && g < n; g++) {
		struct rt_text *texts = rt_alloc((size_t)groups[g].n, sizeof *texts);

		if (!texts)
			return rt_fail_nomem(err, "answers");
		for (int64_t i = 0; i < groups[g].n; i++)
			texts[i] = (struct rt_text)RT_TEXT_INIT;
		r = vote(state, &groups[g], texts, verdicts, err);
		for (int64_t i = 0; i < groups[g].n; i++)
			rt_text_free(&texts[i]);
		rt_free(texts);
		verdicts += groups[g].n;
	}
	return r;
}

static const struct rt_judge_ops ops = { .size = sizeof ops, .judge = judge };

RT_PLUGIN(judge_agree, JUDGE, .name = "agree", .version = "1.0", .license = "Apache-2.0",
          .summary = "The share of a row's candidates that give the same answer (self-consistency, "
                     "Wang 2022).",
          .config_size = sizeof(struct config), .params = params, .ops.judge = &ops);
