/* update.c - one optimizer step over all weights, piece by piece on all threads. */
#include "train/trainer.h"

#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/random.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { BLOCK = 2048 }; /* numbers whose moments are widened at once */

struct work {
	struct rt_trainer *t;
	double             rate, clip, decay; /* decay: of the running mean */
	uint64_t           seed;
	atomic_int         failed;
	struct rt_error    why; /* of the piece that failed first */
};

static void widen(const uint16_t *from, int64_t n, float *to)
{
	for (int64_t i = 0; i < n; i++) {
		const uint32_t bits = (uint32_t)from[i] << 16;

		memcpy(&to[i], &bits, sizeof bits);
	}
}

/* To bf16, up or down with the probability that makes the mean right: small steps of a moving
 * average would all be lost by rounding to the nearest (Gupta 2015).  place: of from[0] among all
 * numbers, a multiple of 8. */
static void narrow(const float *from, int64_t n, uint64_t seed, uint64_t stream, int64_t place,
                   uint16_t *to)
{
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };

	for (int64_t i = 0; i < n; i += 8) {
		const uint64_t at = (uint64_t)(place + i) / 8;
		const uint32_t counter[4] = { (uint32_t)at, (uint32_t)(at >> 32), (uint32_t)stream,
			                      (uint32_t)(stream >> 32) };
		uint32_t       chance[4];

		rt_philox(counter, key, chance);
		for (int64_t k = 0; k < 8 && i + k < n; k++) {
			uint32_t bits;

			memcpy(&bits, &from[i + k], sizeof bits);
			if ((bits & 0x7f800000u) != 0x7f800000u)
				bits += chance[k / 2] >> (16 * (k % 2)) & 0xffffu;
			to[i + k] = (uint16_t)(bits >> 16);
		}
	}
}

/* wide: room for the moments as floats, with small_moments. */
static int update_block(struct work *w, const struct slot *s, int64_t first, int64_t n,
                        float *const *wide, struct rt_error *err)
{
	const struct rt_trainer       *t = w->t;
	const struct rt_component     *optimizer = t->o->optimizer;
	const struct rt_optimizer_ops *ops = optimizer->plugin->ops.optimizer;
	const bool                     small = t->o->small_moments;
	struct rt_update               u = { .n = n,
		                             .param = s->param + first,
		                             .gradient = s->gradient + first,
		                             .step = t->at + 1,
		                             .rate = w->rate,
		                             .clip = w->clip,
		                             .decay = s->decay,
		                             .rows = s->rows,
		                             .columns = s->columns };
	int                            r;

	for (uint32_t k = 0; k < s->moments; k++) {
		u.moment[k] = small ? wide[k] : (float *)s->moment[k] + first;
		if (small)
			widen((const uint16_t *)s->moment[k] + first, n, wide[k]);
	}
	r = (s->rows ? ops->update_matrix : ops->update)(optimizer->state, &u, err);
	for (uint32_t k = 0; small && k < s->moments; k++)
		narrow(wide[k], n, w->seed, (uint64_t)u.step * MAX_MOMENTS + k, s->first + first,
		       (uint16_t *)s->moment[k] + first);
	for (int64_t i = 0; s->average && i < n; i++) {
		float *a = &s->average[first + i];

		*a += (float)(1 - w->decay) * (u.param[i] - *a);
	}
	return r;
}

static void update_part(struct work *w, const struct slot *s, int64_t first, int64_t n,
                        float *const *wide)
{
	struct rt_error err;
	int             r = update_block(w, s, first, n, wide, &err), none = 0;

	if (r < 0 && atomic_compare_exchange_strong(&w->failed, &none, r))
		w->why = err;
	/* Now, while they are in the cache. */
	memset(s->gradient + first, 0, (size_t)n * sizeof(float));
}

/* Blocks that stay in the cache. */
static void update_elements(struct work *w, const struct slot *s, const struct piece *p)
{
	float  room[MAX_MOMENTS][BLOCK];
	float *wide[MAX_MOMENTS] = { room[0], room[1], room[2], room[3] };

	for (int64_t i = 0; i < p->n; i += BLOCK)
		update_part(w, s, p->first + i, p->n - i < BLOCK ? p->n - i : BLOCK, wide);
}

static void update_matrix(struct work *w, const struct slot *s)
{
	float *wide[MAX_MOMENTS] = { 0 };
	bool   room = true;
	int    none = 0;

	for (uint32_t k = 0; w->t->o->small_moments && k < s->moments; k++) {
		wide[k] = rt_alloc_unset((size_t)s->n, sizeof *wide[k]);
		room = room && wide[k];
	}
	if (room)
		update_part(w, s, 0, s->n, wide);
	else if (atomic_compare_exchange_strong(&w->failed, &none, RT_E_NOMEM))
		rt_fail_nomem(&w->why, "moments of a matrix");
	for (uint32_t k = 0; k < s->moments; k++)
		rt_free(wide[k]);
}

static void update_pieces(void *arg, int64_t from, int64_t to)
{
	struct work *w = arg;

	for (int64_t p = from; p < to; p++) {
		const struct piece *piece = &w->t->pieces[p];
		const struct slot  *s = &w->t->slots[piece->slot];

		if (s->rows)
			update_matrix(w, s);
		else
			update_elements(w, s, piece);
	}
}

int trainer_update(struct rt_trainer *t, double rate, double clip, struct rt_error *err)
{
	const double warm = (1. + (double)t->at) / (10. + (double)t->at);
	struct work  w = { .t = t, .rate = rate, .clip = clip, .seed = rt_seed(t->c) };

	/* While there are few weights to average the mean follows them closely. */
	w.decay = t->o->average < warm ? t->o->average : warm;
	rt_parallel(t->n_pieces, 1, update_pieces, &w);
	if (w.failed < 0 && err)
		*err = w.why;
	return w.failed;
}
