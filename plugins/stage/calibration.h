/* calibration.h - rows that go through a model in batches, and what its linear layers get. */
#ifndef STAGE_CALIBRATION_H
#define STAGE_CALIBRATION_H

#include <retort/train.h>

/* Sequences in packed batches. */
struct calibration {
	struct rt_packed *batch;
	int64_t           n, tokens; /* batches; tokens of all */
	int64_t           most;      /* tokens of the largest */
};

/* The first `samples` sequences at most, some `rows` tokens a batch. */
int  calibration_pack(struct calibration *c, const struct rt_sequences *data, int64_t samples,
                      int64_t rows, struct rt_error *err);
void calibration_fini(struct calibration *c);

/* ---- second moments -------------------------------------------------------------------------- */

enum input { INPUT_QKV, INPUT_O, INPUT_GATE_UP, INPUT_DOWN, INPUTS };

/* Which of them a linear layer of this name gets. */
enum input input_of(const char *parameter);

/* Sums over tokens, in double, at the four inputs of one layer's linear layers. */
struct moments {
	int64_t cols[INPUTS];
	double *square[INPUTS];  /* [cols] of x_j^2 */
	double *product[INPUTS]; /* [cols][cols] of x x^T; NULL: not wanted */
	int64_t tokens;
	float  *part; /* x x^T of one batch */
	int     code; /* of the first product that failed */
};

int  moments_init(struct moments *s, const struct rt_model *m, bool products, struct rt_error *err);
void moments_fini(struct moments *s);
void moments_clear(struct moments *s);

/* What rt_model_observe() or rt_model_layer() shows; others than inputs of linear layers are no
 * matter here.  `code` tells of a failure. */
void moments_see(struct moments *s, enum rt_watch what, const float *x, int64_t rows, int64_t ld);

/* Root of the mean square of each column; mean of x x^T [cols][cols]. */
void moments_norm(const struct moments *s, enum input in, float *ret);
void moments_mean(const struct moments *s, enum input in, float *ret);

#endif
