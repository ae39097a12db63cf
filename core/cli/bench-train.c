/* bench-train.c - the part that trains: whole steps on random sequences, as stage-train does them.
 * See bench.h */
#include "cli/bench.h"

#include "engine/engine.h"

#include <retort/memory.h>
#include <retort/random.h>

#include <math.h>

enum { LARGE = 50000000, SEED = 1 }; /* LARGE: parameters from which on one sequence is a batch */

struct training {
	const struct bench_job    *j;
	struct rt_model           *m;
	struct rt_trainer         *t;
	struct rt_tape            *tape;
	struct rt_packed           packed;
	struct rt_pass             pass;
	struct rt_sequence        *sequences;
	const struct rt_sequence **order;
	int32_t                   *ids;
	float                     *weights;
	int64_t                    batch, length;
};

static void free_training(struct training *k)
{
	rt_trainer_close(k->t);
	rt_tape_free(k->tape);
	rt_packed_free(&k->packed);
	rt_pass_free(&k->pass);
	rt_free(k->sequences);
	rt_free(k->order);
	rt_free(k->ids);
	rt_free(k->weights);
	rt_model_close(k->m);
}

/* All sequences are as long, and every token but the first counts. */
static int make_sequences(struct training *k, struct rt_error *err)
{
	const int64_t  n = k->batch, length = k->length;
	const uint64_t vocabulary = (uint64_t)rt_model_shape(k->m)->vocabulary;

	k->ids = rt_alloc((size_t)(n * length), sizeof *k->ids);
	k->weights = rt_alloc((size_t)length, sizeof *k->weights);
	k->sequences = rt_alloc((size_t)n, sizeof *k->sequences);
	k->order = rt_alloc((size_t)n, sizeof *k->order);
	if (!k->ids || !k->weights || !k->sequences || !k->order)
		return rt_fail_nomem(err, "sequences");
	for (int64_t i = 0; i < n * length; i++)
		k->ids[i] = (int32_t)rt_random_below(SEED, 2, (uint64_t)i, vocabulary);
	for (int64_t i = 1; i < length; i++)
		k->weights[i] = 1;
	for (int64_t i = 0; i < n; i++) {
		k->sequences[i] = (struct rt_sequence){ .token = k->ids + i * length,
			                                .weight = k->weights,
			                                .n = length };
		k->order[i] = &k->sequences[i];
	}
	return 0;
}

static int open_training(struct training *k, struct rt_error *err)
{
	const struct bench_job *j = k->j;
	bool                    large;
	int                     r = rt_model_open(&k->m, j->path, RT_MODEL_TRAIN, err);

	if (r < 0)
		return r;
	large = rt_model_shape(k->m)->parameters >= LARGE;
	k->batch = j->batch ? j->batch : large ? 1 : 16;
	k->length = j->batch ? j->length : large ? 512 : 128;
	if (k->length > rt_model_shape(k->m)->context)
		return rt_fail(err, RT_E_RANGE,
		               "--batch: sequences of %lld tokens, and the model was made for %lld",
		               (long long)k->length, (long long)rt_model_shape(k->m)->context);
	r = make_sequences(k, err);
	if (r == 0)
		r = rt_tape_new(&k->tape, j->training->recompute, err);
	if (r == 0)
		r = rt_trainer_open(&k->t, k->m, j->training, j->repeat + 1, j->context, err);
	return r;
}

/* Some sequences forward and backward: gradients of the mean loss over all of the batch. */
static int pass(struct training *k, int64_t first, int64_t n, double total, double *sum,
                struct rt_error *err)
{
	struct rt_packed    *p = &k->packed;
	struct rt_pass      *x = &k->pass;
	struct rt_gradients *g = rt_trainer_gradients(k->t);
	int                  r = rt_pack(p, k->order + first, n, err);

	if (r == 0)
		r = rt_pass_reserve(x, k->m, p->batch.rows, err);
	if (r == 0)
		r = rt_model_forward(k->m, &p->batch, k->tape, x->hidden, err);
	for (int64_t i = 0; r == 0 && i < p->batch.rows; i++)
		x->coef[i] = (float)(-p->weight[i] / total);
	if (r == 0)
		r = rt_model_logps(k->m, x->hidden, p->batch.rows, p->label, x->coef, x->logp, NULL,
		                   x->dhidden, g, err);
	for (int64_t i = 0; r == 0 && i < p->batch.rows; i++)
		*sum -= (double)p->weight[i] * (double)x->logp[i];
	if (r == 0)
		r = rt_model_backward(k->m, &p->batch, k->tape, x->dhidden, g, err);
	return r;
}

static int step(struct training *k, struct rt_error *err)
{
	const double      total = rt_pack_weight(k->order, k->batch);
	struct rt_stepped did;
	double            sum = 0;
	int               r = 0;

	for (int64_t i = 0, n; r == 0 && i < k->batch; i += n) {
		n = rt_pack_count(k->order + i, k->batch - i, k->j->training->rows);
		r = pass(k, i, n, total, &sum, err);
	}
	if (r == 0 && !isfinite(sum))
		r = rt_fail(err, RT_E_NUMERIC, "the loss is not finite");
	return r == 0 ? rt_trainer_step(k->t, &did, err) : r;
}

int bench_train(const struct bench_job *j, struct bench_result *ret, struct rt_error *err)
{
	struct training k = { .j = j };
	int             r = open_training(&k, err);

	/* The first step touches the memory; it is not counted. */
	for (int64_t i = -1; r == 0 && i < j->repeat; i++) {
		const double begun = engine_now();

		r = step(&k, err);
		if (i >= 0)
			ret->seconds[ret->n++] = engine_now() - begun;
	}
	if (r == 0) {
		const struct rt_model_shape *s = rt_model_shape(k.m);

		ret->parameters = s->parameters;
		ret->batch = k.batch;
		ret->length = k.length;
		ret->tokens = (double)(k.batch * k.length);
		/* Backward multiplies twice for each product forward. */
		ret->flops = 3 * bench_flops(s, k.batch, k.length, k.length);
	}
	free_training(&k);
	return r;
}
