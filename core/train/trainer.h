/* trainer.h - what a trainer holds. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include <retort/train.h>

enum { MAX_MOMENTS = 4 };

/* One parameter: n numbers with all that belongs to them. */
struct slot {
	float   *param, *gradient, *average; /* average NULL: none */
	void    *moment[MAX_MOMENTS];        /* f32, or bf16 with small_moments */
	int64_t  n, first;      /* first: numbers in the slots before, for random rounding */
	int64_t  rows, columns; /* of a matrix that is updated as a whole; else 0 */
	uint32_t moments;
	bool     decay;
};

/* What one thread updates at once. */
struct piece {
	int64_t slot, first, n;
};

struct rt_trainer {
	struct rt_model          *m;
	struct rt_gradients      *g;
	const struct rt_training *o;
	struct rt_context        *c;
	struct rt_json           *notes;
	char                     *state; /* path of the checkpoint */
	struct slot              *slots;
	struct piece             *pieces;
	int64_t                   n, n_pieces, steps, at;
	size_t                    moment_size; /* bytes of one number */
	double                    saved;       /* when, in seconds of the monotonic clock */
	double                    wait;        /* until the next */
	bool                      held;        /* no checkpoint, no cancelling */
	bool                      swapped;     /* the model has the running mean */
};

double trainer_now(void);

/* The rate of step `at` (from 1) of `steps`. */
double schedule_rate(const struct rt_training *o, int64_t at, int64_t steps);

/* Update all weights; their gradients become 0.  RT_E_* of the optimizer. */
int trainer_update(struct rt_trainer *t, double rate, double clip, struct rt_error *err);

/* The checkpoint: weights, moments, averages, step and notes, in one file that appears whole.
 * Loading finds 0 when there is none. */
int state_save(struct rt_trainer *t, struct rt_error *err);
int state_load(struct rt_trainer *t, struct rt_error *err);

#endif
