/* diverse.c - rejector-diverse: good candidates that differ from each other stay.
 *
 * Greedy: the best one first (the earlier of equals), then each in the order of its score whose
 * similarity to every one that stays already is below a limit.  Similarity is ROUGE-L F1 (Lin
 * 2004), the one that Self-Instruct (Wang 2022) filters with, of the words of two answers; of
 * calls, of their names and arguments as JSON with sorted keys.  A call is never similar to text.
 */
#include "../judge/words.h"

#include <retort/memory.h>
#include <retort/rejector.h>
#include <retort/row.h>

#include <string.h>

struct config {
	int64_t count;
	double  threshold, limit;
};

struct state {
	const struct config *cfg;
	struct words_room    room;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, count, 4, 1, 1000, "candidates",
	             "How many of a row stay at most."),
	RT_PARAM_REAL(struct config, threshold, 0, 0, 1, NULL, "The lowest score that may stay."),
	RT_PARAM_REAL(struct config, limit, .7, 0, 1, NULL,
	              "A candidate whose similarity (ROUGE-L F1) to one that stays is this or more "
	              "does not stay; 1: only what has the same words is dropped."),
	RT_PARAM_END
};

static bool similar(struct state *st, const struct rt_group *g, const struct rt_text *texts,
                    int64_t i, int64_t k)
{
	if ((rt_call_count(g->candidates[i]) > 0) != (rt_call_count(g->candidates[k]) > 0))
		return false;
	return words_rouge_l(&st->room, texts[i].data, texts[k].data) >= st->cfg->limit;
}

/* The best of those that are not decided, the first of equals; -1: none. */
static int64_t best(const struct config *c, const struct rt_group *g, const double *scores,
                    const bool *decided)
{
	int64_t at = -1;

	for (int64_t i = 0; i < g->n; i++)
		if (!decided[i] && scores[i] >= c->threshold && (at < 0 || scores[i] > scores[at]))
			at = i;
	return at;
}

static void choose(struct state *st, const struct rt_group *g, const double *scores,
                   const struct rt_text *texts, bool *decided, bool *keep)
{
	int64_t kept = 0, i;

	while (kept < st->cfg->count && (i = best(st->cfg, g, scores, decided)) >= 0) {
		bool near = false;

		for (int64_t k = 0; k < g->n && !near; k++)
			near = keep[k] && similar(st, g, texts, i, k);
		decided[i] = true;
		keep[i] = !near;
		kept += !near;
	}
}

static int select_(void *state, const struct rt_group *group, const double *scores, bool *keep,
                   struct rt_error *err)
{
	struct rt_text *texts = rt_alloc((size_t)group->n, sizeof *texts);
	bool           *decided = rt_alloc((size_t)group->n, sizeof *decided);
	bool            failed = !texts || !decided;

	for (int64_t i = 0; texts && i < group->n; i++) {
		keep[i] = false;
		texts[i] = (struct rt_text)RT_TEXT_INIT;
		rt_answer_text(group->candidates[i], &texts[i]);
		failed |= texts[i].failed;
	}
	if (!failed)
		choose(state, group, scores, texts, decided, keep);
	for (int64_t i = 0; texts && i < group->n; i++)
		rt_text_free(&texts[i]);
	rt_free(texts);
	rt_free(decided);
	return failed ? rt_fail_nomem(err, "answers") : 0;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	(void)c, (void)err;
	((struct state *)state)->cfg = config;
	return 0;
}

static const struct rt_rejector_ops ops = { .size = sizeof ops, .select = select_ };

RT_PLUGIN(rejector_diverse, REJECTOR, .name = "diverse", .version = "1.0", .license = "Apache-2.0",
          .summary = "Keep good candidates that differ from each other (Self-Instruct, Wang 2022).",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .ops.rejector = &ops);
