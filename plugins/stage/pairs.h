/* pairs.h - rows as pairs of answers, one better than the other, ready for a model.
 *
 * A row has
 *     chosen, rejected      each a message, its text, or a list of messages that ends with it; or
 *     candidates, scores    answers and a number for each; or
 *     candidates            which judges score
 * Of candidates the best one (the first of equals) is chosen, against the worst, or against each
 * that is worse by at least the margin. */
#ifndef STAGE_PAIRS_H
#define STAGE_PAIRS_H

#include "scores.h"

#include <retort/train.h>

enum pairs_against { PAIRS_WORST, PAIRS_ALL };

struct pairs_options {
	struct scores_rule rule;
	double             margin; /* of scores, at least; equal ones never make a pair */
	int                against;
	int64_t            max_length; /* pairs with a longer one are left out; 0: the context */
};

enum { PAIRS_CHOSEN, PAIRS_REJECTED };

/* weight is 1 where a token is the answer's, up to the one that ends its turn, and 0 elsewhere. */
struct pair {
	struct rt_sequence s[2];
	float              tokens[2];    /* of the answers */
	float              reference[2]; /* for the caller */
};

struct pairs {
	struct pair     *at;
	int64_t          n, cap;
	int64_t          rows, few, level, equal, too_long; /* rows; why not: rows, then pairs */
	struct rt_arena *memory;
};

/* No pair at all is an error that counts why. */
int  pairs_read(struct pairs *ret, const struct rt_model *m, const char *folder,
                const struct pairs_options *o, struct rt_context *c, struct rt_error *err);
void pairs_free(struct pairs *p);

#endif
