/* answers.h - do two models that should be one render the same prompts, and answer alike? */
#ifndef STAGE_ANSWERS_H
#define STAGE_ANSWERS_H

#include <retort/train.h>

/* Rows and what both make of them. */
struct answers {
	const struct rt_model *before, *after;
	struct question       *at;
	int64_t                n, cap;
	int64_t                too_long; /* rows that were left out */
	int64_t                agree;    /* whose answers are the same tokens */
};

/* A prompt, and the greedy answers with the token that ended them. */
struct question {
	char         *id;
	struct rt_ids prompt, before, after;
};

/* The prompts of the first `samples` rows of a dataset, as `before` renders them.  RT_E_FORMAT with
 * the row where `after` renders other ids. [stage] */
int  answers_read(struct answers *a, const char *folder, int64_t samples, struct rt_context *c,
                  struct rt_error *err);
void answers_free(struct answers *a);

/* Let both answer, at most `tokens` tokens each, and count. [stage] */
int answers_give(struct answers *a, int64_t tokens, struct rt_context *c, struct rt_error *err);

/* Prompts with the answers of `before`, which are what weighs.  For rt_sequences_free(). */
int answers_sequences(const struct answers *a, struct rt_sequences *ret, struct rt_error *err);

#endif
