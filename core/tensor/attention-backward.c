/* attention-backward.c - gradients of attention, weights computed again from lse.  See nn.h
 *
 * With P = exp(S - lse), dP = dout V^T, D = sum dout * out: dS = P * (dP - D);
 * dV = P^T dout, dK = dS^T (scale Q), dQ = scale dS K (Dao 2022, algorithm 4).  Queries and
 * keys each have their own pass, so that no two threads add to the same place; where one tile
 * holds all keys of a span, its pass gives the gradients of the queries as well. */
#include "tensor/attention.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <string.h>

/* Scratch: a tile of queries and of their gradients, scores, gradients of scores. */
struct backward {
	float *q, *dout, *p, *ds; /* [rows, n], [rows, v.n], [rows, TILE_KEYS] twice */
	float *dq;                /* [rows, n] */
};

static int64_t index_of(const struct attention_job *j, const struct attention_tile *t, int64_t r)
{
	return (t->span->q + t->first + r / j->group) * j->q.heads + t->head * j->group +
	       r % j->group;
}

/* P and dS of a tile of queries and `n` keys from `first` on. */
static int scores(const struct attention_job *j, const struct attention_tile *t, struct backward *b,
                  int64_t first, int64_t n)
{
	const int64_t row = t->span->k + first;
	const float  *k = j->k.data + row * j->k.ld + t->head * j->k.n;
	const float  *v = j->v.data + row * j->v.ld + t->head * j->v.n;
	int           r;

	r = attention_abt(t->rows, n, j->q.n, b->q, j->q.n, k, j->k.ld, b->p, TILE_KEYS);
	if (r == 0)
		r = attention_abt(t->rows, n, j->v.n, b->dout, j->v.n, v, j->v.ld, b->ds,
		                  TILE_KEYS);
	for (int64_t i = 0; i < t->rows && r == 0; i++) {
		float      *p = b->p + i * TILE_KEYS, *ds = b->ds + i * TILE_KEYS;
		const float delta = j->delta[index_of(j, t, i)];
		int64_t     low, high;

		attention_sees(j, t->span, t->first + i / j->group, &low, &high);
		low = low > first ? low - first : 0;
		low = low < n ? low : n;
		high = high - first < n ? high - first : n;
		high = high > low ? high : low;
		kernels()->sum_exp(p + low, high - low, j->lse[index_of(j, t, i)], p + low);
		for (int64_t c = low; c < high; c++)
			ds[c] = p[c] * (ds[c] - delta);
		memset(p, 0, (size_t)low * sizeof *p);
		memset(ds, 0, (size_t)low * sizeof *ds);
		memset(p + high, 0, (size_t)(n - high) * sizeof *p);
		memset(ds + high, 0, (size_t)(n - high) * sizeof *ds);
	}
	return r;
}

static void gather(const struct attention_job *j, const struct attention_tile *t,
                   struct backward *b)
{
	attention_gather(j, t, j->q, j->o->scale, b->q);
	attention_gather(j, t, j->dout, 1.0f, b->dout);
}

/* Do the gradients of the span's queries come from its only tile of keys? */
static bool in_one(const struct rt_span *s)
{
	return s->context <= TILE_KEYS;
}

/* dq += dS K for n keys from `first` on. */
static int add_dq(const struct attention_job *j, const struct attention_tile *t, struct backward *b,
                  int64_t first, int64_t n)
{
	const float *k = j->k.data + (t->span->k + first) * j->k.ld + t->head * j->k.n;

	return attention_ab(t->rows, j->q.n, n, b->ds, TILE_KEYS, k, j->k.ld, b->dq, j->q.n);
}

static void write_dq(const struct attention_job *j, const struct attention_tile *t,
                     const struct backward *b)
{
	for (int64_t i = 0; i < t->rows; i++) {
		const int64_t row = t->span->q + t->first + i / j->group;
		float        *dst =
			j->dq.data + row * j->dq.ld + (t->head * j->group + i % j->group) * j->dq.n;

		for (int64_t c = 0; c < j->q.n; c++)
			dst[c] = j->o->scale * b->dq[i * j->q.n + c];
	}
}

static void clear_dq(const struct attention_job *j, const struct attention_tile *t,
                     struct backward *b)
{
	memset(b->dq, 0, (size_t)(t->rows * j->q.n) * sizeof *b->dq);
}

/* The gradients of a tile of queries whose keys are all at hand. */
static int only_dq(const struct attention_job *j, const struct attention_tile *t,
                   struct backward *b, int64_t n)
{
	int r;

	clear_dq(j, t, b);
	r = add_dq(j, t, b, 0, n);
	write_dq(j, t, b);
	return r;
}

static int queries_tile(const struct attention_job *j, const struct attention_tile *t,
                        struct backward *b)
{
	int64_t low, high, ignored;
	int     r = 0;

	attention_sees(j, t->span, t->first, &low, &ignored);
	attention_sees(j, t->span, t->first + t->count - 1, &ignored, &high);
	gather(j, t, b);
	clear_dq(j, t, b);
	for (int64_t first = low / TILE_KEYS * TILE_KEYS; first < high && r == 0;
	     first += TILE_KEYS) {
		const int64_t n = high - first < TILE_KEYS ? high - first : TILE_KEYS;

		r = scores(j, t, b, first, n);
		if (r == 0)
			r = add_dq(j, t, b, first, n);
	}
	write_dq(j, t, b);
	return r;
}

/* One tile of keys against all tiles of queries that see any of it, as far as these see. */
static int keys_tile(const struct attention_job *j, const struct attention_tile *keys,
                     struct backward *b)
{
	const struct rt_span *s = keys->span;
	const int64_t         row = s->k + keys->first;
	float                *dk = j->dk.data + row * j->dk.ld + keys->head * j->dk.n;
	float                *dv = j->dv.data + row * j->dv.ld + keys->head * j->dv.n;
	const int64_t         per = attention_queries(j, s);
	const int64_t         lead = s->context - s->count; /* query i sees keys up to lead + i */
	int64_t               i = keys->first > lead ? keys->first - lead : 0;
	int                   r = 0;

	for (i = i / per * per; i < s->count && r == 0; i += per) {
		struct attention_tile t = { .span = s, .head = keys->head, .first = i };
		int64_t               low, high, ignored, n;

		t.count = s->count - i < per ? s->count - i : per;
		t.rows = t.count * j->group;
		attention_sees(j, s, i, &low, &ignored);
		attention_sees(j, s, i + t.count - 1, &ignored, &high);
		if (low >= keys->first + keys->count)
			break; /* the window has passed */
		n = high - keys->first < keys->count ? high - keys->first : keys->count;
		gather(j, &t, b);
		r = scores(j, &t, b, keys->first, n);
		if (r == 0)
			r = attention_atb(n, j->v.n, t.rows, b->p, TILE_KEYS, b->dout, j->v.n, dv,
			                  j->dv.ld);
		if (r == 0)
			r = attention_atb(n, j->k.n, t.rows, b->ds, TILE_KEYS, b->q, j->q.n, dk,
			                  j->dk.ld);
		if (r == 0 && in_one(s))
			r = only_dq(j, &t, b, n);
	}
	return r;
}

static void backward_piece(struct attention_job *j, int64_t first, int64_t last, bool keys)
{
	const int64_t   rows = j->queries * j->group;
	struct backward b = { .q = workspace_take(
				      (size_t)(rows * (2 * j->q.n + j->v.n + 2 * TILE_KEYS)) *
				      sizeof *b.q) };

	if (!b.q) {
		attention_failed(j, RT_E_NOMEM);
		return;
	}
	b.dout = b.q + rows * j->q.n;
	b.p = b.dout + rows * j->v.n;
	b.ds = b.p + rows * TILE_KEYS;
	b.dq = b.ds + rows * TILE_KEYS;
	for (int64_t i = first; i < last; i++) {
		const struct attention_tile t = attention_piece(j, keys, i);
		const int                   r = keys             ? keys_tile(j, &t, &b)
		                                : in_one(t.span) ? 0
		                                                 : queries_tile(j, &t, &b);

		if (r != 0)
			attention_failed(j, r);
	}
	workspace_give(b.q);
}

static void queries_piece(void *arg, int64_t first, int64_t last)
{
	backward_piece(arg, first, last, false);
}

static void keys_piece(void *arg, int64_t first, int64_t last)
{
	backward_piece(arg, first, last, true);
}

static void delta_piece(void *arg, int64_t first, int64_t last)
{
	const struct attention_job *j = arg;

	for (int64_t r = first; r < last; r++)
		for (int64_t h = 0; h < j->q.heads; h++)
			j->delta[r * j->q.heads + h] = (float)kernels()->sum_products(
				j->out.data + r * j->out.ld + h * j->out.n,
				j->dout.data + r * j->dout.ld + h * j->dout.n, j->out.n);
}

int nn_attention_backward(const struct nn_attention *o, struct nn_heads q, struct nn_heads k,
                          struct nn_heads v, struct nn_heads out, const float *lse,
                          struct nn_heads dout, struct nn_heads dq, struct nn_heads dk,
                          struct nn_heads dv, struct rt_error *err)
{
	struct attention_job j = { .o = o,
		                   .q = q,
		                   .k = k,
		                   .v = v,
		                   .out = out,
		                   .dout = dout,
		                   .dq = dq,
		                   .dk = dk,
		                   .dv = dv,
		                   .lse = (float *)lse };
	int                  r = attention_check(&j, err);

	if (r != 0)
		return r;
	j.delta = rt_alloc_aligned((size_t)q.rows, (size_t)q.heads * sizeof *j.delta);
	if (!j.delta)
		return rt_fail_nomem(err, "gradients of attention");
	attention_zero(dq);
	attention_zero(dk);
	attention_zero(dv);
	rt_parallel(q.rows, 16, delta_piece, &j);
	rt_parallel(attention_pieces(&j, false), 1, queries_piece, &j);
	rt_parallel(attention_pieces(&j, true), 1, keys_piece, &j);
	rt_free(j.delta);
	return j.code ? rt_fail(err, j.code, "gradients of attention: %s", rt_code_text(j.code))
	              : 0;
}
