/* retort/distill.h - kind `distill`: how far is the student from the teacher?
 *
 * A loss sees a chunk of R rows (positions) at a time, so memory does not grow with
 * vocabulary x tokens.  Rows are independent; the loss of a batch is the sum over counted
 * rows divided by their number, and the host does that division: `scale` is 1 over it. */
#ifndef RETORT_DISTILL_H
#define RETORT_DISTILL_H

#include <retort/plugin.h>

#define RT_DISTILL_ABI 1

struct rt_distill_rows {
	int64_t      R, V;
	const float *student; /* (R, V) logits */
	/* The teacher, in one of two forms: */
	const float   *teacher;     /* (R, V) logits, or NULL */
	const int32_t *top_id;      /* (R, K) its most likely tokens, best first, each once */
	const float   *top_logprob; /* (R, K) their log-probabilities in the whole vocabulary */
	int64_t        K;           /* 0 in the first form */
	const float   *weight;      /* (R) 0: not counted, 1: counted; NULL: all are */
	double         scale;       /* what each row's loss and gradient are multiplied with */
};

struct rt_distill_ops {
	uint32_t size; /* sizeof(struct rt_distill_ops) */
	uint32_t reserved;

	/* *ret_loss: scale x the weighted sum of the rows' losses.
	 * gradient (R, V) f32: of *ret_loss with respect to student; every element is
	 * written, 0 in rows that do not count.
	 * RT_E_NUMERIC when a counted logit is not finite; RT_E_UNSUP when the loss
	 * cannot do with the form of teacher it got. [any] */
	int (*eval)(const void *state, const struct rt_distill_rows *rows, float *gradient,
	            double *ret_loss, struct rt_error *err);
};

#endif
