/* best-of.c - rejector-best-of: the best few candidates of a row stay, each different answer once.
 *
 * RAFT (Dong et al. 2023) keeps the best of k; rejection-sampling fine-tuning (Yuan et al.
 * 2023) keeps several that differ, so that easy rows do not fill the data with copies. */
#include <retort/memory.h>
#include <retort/rejector.h>
#include <retort/row.h>

#include <string.h>

struct config {
	int64_t count;
	double  threshold;
	bool    distinct;
};

static const struct rt_param params[] = {
	RT_PARAM_INT(struct config, count, 1, 1, 1000, "candidates",
	             "How many of a row stay at most."),
	RT_PARAM_REAL(struct config, threshold, 0, 0, 1, NULL, "The lowest score that may stay."),
	RT_PARAM_BOOL(struct config, distinct, true, "Whether equal answers count as one."),
	RT_PARAM_END
};

static bool equal(const struct rt_text *a, const struct rt_text *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* The best candidate that may still be taken, the first of equals; -1: none. */
static int64_t best(const struct config *c, const struct rt_group *g, const double *scores,
                    const bool *keep, const struct rt_text *texts)
{
	int64_t at = -1;

	for (int64_t i = 0; i < g->n; i++) {
		bool taken = keep[i];

		for (int64_t k = 0; c->distinct && !taken && k < g->n; k++)
			taken = keep[k] && equal(&texts[k], &texts[i]);
		if (!taken && scores[i] >= c->threshold && (at < 0 || scores[i] > scores[at]))
			at = i;
	}
	return at;
}

static int select_(void *state, const struct rt_group *group, const double *scores, bool *keep,
                   struct rt_error *err)
{
	const struct config *c = state;
	struct rt_text      *texts = rt_alloc((size_t)group->n, sizeof *texts);
	bool                 failed = false;

	if (!texts)
		return rt_fail_nomem(err, "answers");
	for (int64_t i = 0; i < group->n; i++) {
		keep[i] = false;
		texts[i] = (struct rt_text)RT_TEXT_INIT;
		rt_answer_text(group->candidates[i], &texts[i]);
		failed |= texts[i].failed;
	}
	for (int64_t k = 0; !failed && k < c->count; k++) {
		const int64_t i = best(c, group, scores, keep, texts);

		if (i < 0)
			break;
		keep[i] = true;
	}
	for (int64_t i = 0; i < group->n; i++)
		rt_text_free(&texts[i]);
	rt_free(texts);
	return failed ? rt_fail_nomem(err, "answers") : 0;
}

static const struct rt_rejector_ops ops = { .size = sizeof ops, .select = select_ };

RT_PLUGIN(rejector_best_of, REJECTOR, .name = "best-of", .version = "1.0", .license = "Apache-2.0",
          .summary = "Keep the best few different candidates of each row (RAFT, Dong 2023; RFT, "
                     "Yuan 2023).",
          .config_size = sizeof(struct config), .params = params, .ops.rejector = &ops);
