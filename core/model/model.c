/* model.c - forward and backward of a whole model.  See model.h */
#include "model/model.h"

#include <retort/memory.h>

#include "model/layer.h"

#include <string.h>

int model_cache_init(struct model_cache *c, const struct model *m, int64_t rows,
                     struct rt_error *err)
{
	const size_t row = (size_t)(m->config.layers * m->config.kv_heads * m->config.head_dim);

	*c = (struct model_cache){ .rows = rows };
	c->k = rt_alloc_aligned((size_t)rows, row * sizeof *c->k);
	c->v = rt_alloc_aligned((size_t)rows, row * sizeof *c->v);
	if (c->k && c->v)
		return 0;
	model_cache_fini(c);
	return rt_fail_nomem(err, "keys and values");
}

void model_cache_fini(struct model_cache *c)
{
	rt_free(c->k);
	rt_free(c->v);
	*c = (struct model_cache){ 0 };
}

void model_cache_copy(const struct model_cache *c, const struct model *m, int64_t from, int64_t to,
                      int64_t n)
{
	const int64_t row = m->config.kv_heads * m->config.head_dim;
	const size_t  bytes = (size_t)(n * row) * sizeof *c->k;

	for (int64_t i = 0; i < m->config.layers; i++) {
		const int64_t layer = i * c->rows * row;

		memcpy(c->k + layer + to * row, c->k + layer + from * row, bytes);
		memcpy(c->v + layer + to * row, c->v + layer + from * row, bytes);
	}
}

void model_tape_fini(struct model_tape *t)
{
	rt_free(t->data);
	*t = (struct model_tape){ 0 };
}

/* A tape: the input of every layer and of the final norm, that norm's scales, scratch, and one
 * layer's activations for each layer (or one for all, when they are computed again). */
struct reel {
	float         *x, *scale;
	float         *layers;
	int64_t        rows_size, layer_size; /* floats from one x, one layer, to the next */
	struct scratch scratch;
};

static int64_t reel_place(struct reel *r, const struct model_config *c, int64_t rows, bool keep,
                          bool all_x, float *at)
{
	struct layer  l;
	int64_t       used = 0;
	const int64_t copies = all_x ? c->layers + 1 : 1;

	r->rows_size = (rows * c->hidden + 15) / 16 * 16;
	r->layer_size = layer_place(&l, c, rows, NULL);
	r->x = at;
	used += copies * r->rows_size;
	r->scale = at ? at + used : NULL;
	used += (rows + 15) / 16 * 16;
	used += scratch_place(&r->scratch, c, rows, all_x, at ? at + used : NULL);
	r->layers = at ? at + used : NULL;
	return used + (keep ? c->layers : 1) * r->layer_size;
}

static int grow(struct model_tape *t, int64_t size, struct rt_error *err)
{
	if (t->size >= size)
		return 0;
	rt_free(t->data);
	t->size = 0;
	t->data = rt_alloc_aligned((size_t)size, sizeof *t->data);
	if (!t->data)
		return rt_fail_nomem(err, "activations");
	t->size = size;
	return 0;
}

/* With dynamic scaling frequencies depend on how far a sequence has come: on its own, not on the
 * others of the batch. */
static void rope_tables(const struct model_config *c, const struct rt_batch *b,
                        const struct scratch *s)
{
	const int64_t half = c->head_dim / 2;

	config_rope_tables(c, b->position, b->rows, 0, s->cos, s->sin);
	for (int64_t i = 0; c->rope.kind == ROPE_DYNAMIC && i < b->n_spans; i++) {
		const int64_t q = b->spans[i].q;

		config_rope_tables(c, b->position + q, b->spans[i].count, b->spans[i].whole,
		                   s->cos + q * half, s->sin + q * half);
	}
}

static int run_layers(const struct model *m, const struct rt_batch *b, const struct model_run *run,
                      struct reel *reel, bool keep, bool all_x, float **ret_x, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	float                     *x = reel->x;
	int                        r;

	r = nn_embedding(&m->weights.t[W_EMBED], b->token, layer_rows(x, b->rows, c->hidden), err);
	if (r == 0 && layer_drops(run))
		nn_dropout(run->dropout, SITE_EMBED, layer_rows(x, b->rows, c->hidden));
	rope_tables(c, b, &reel->scratch);
	for (int64_t i = 0; r == 0 && i < c->layers; i++) {
		float       *next = all_x ? x + reel->rows_size : x;
		struct layer l;

		layer_place(&l, c, b->rows, reel->layers + (keep ? i * reel->layer_size : 0));
		r = layer_forward(m, i, b, run, x, &l, &reel->scratch, next, err);
		x = next;
	}
	*ret_x = x;
	return r;
}

int model_forward(const struct model *m, const struct rt_batch *b, const struct model_run *run,
                  float *hidden, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	struct model_tape          own = { 0 };
	struct model_tape         *tape = run->tape ? run->tape : run->room ? run->room : &own;
	const bool                 all_x = run->tape != NULL, keep = all_x && !tape->recompute;
	const struct nn_heads      out = layer_rows(hidden, b->rows, c->hidden);
	struct reel                reel;
	float                     *x;
	int                        r = layer_check_batch(m, b, err);

	if (r == 0)
		r = grow(tape, reel_place(&reel, c, b->rows, keep, all_x, NULL), err);
	if (r != 0)
		return r;
	reel_place(&reel, c, b->rows, keep, all_x, tape->data);
	tape->rows = b->rows;
	tape->matmul_flags = run->matmul_flags;
	r = run_layers(m, b, run, &reel, keep, all_x, &x, err);
	if (r == 0) {
		nn_rmsnorm(layer_rows(x, b->rows, c->hidden), m->weights.t[W_NORM].data,
		           c->norm_eps, out, reel.scale);
		if (run->watch)
			run->watch(run->watch_arg, c->layers, LAYER_PARTS, out);
	}
	model_tape_fini(&own);
	return r;
}

int model_embed(const struct model *m, const struct rt_batch *b, float *x, struct rt_error *err)
{
	int r = layer_check_batch(m, b, err);

	return r < 0 ? r
	             : nn_embedding(&m->weights.t[W_EMBED], b->token,
	                            layer_rows(x, b->rows, m->config.hidden), err);
}

int model_layer(const struct model *m, int64_t layer, const struct rt_batch *b,
                const struct model_run *run, float *x, float *next, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	struct model_tape          room = { 0 };
	struct reel                reel;
	struct layer               l;
	int                        r = layer_check_batch(m, b, err);

	if (r == 0)
		r = grow(&room, reel_place(&reel, c, b->rows, false, false, NULL), err);
	if (r != 0)
		return r;
	reel_place(&reel, c, b->rows, false, false, room.data);
	rope_tables(c, b, &reel.scratch);
	layer_place(&l, c, b->rows, reel.layers);
	r = layer_forward(m, layer, b, run, x, &l, &reel.scratch, next, err);
	model_tape_fini(&room);
	return r;
}

int model_logits(const struct model *m, const float *hidden, int64_t rows,
                 const struct model_run *run, float *logits, struct rt_error *err)
{
	const struct nn_heads x = layer_rows((float *)hidden, rows, m->config.hidden); /* is read */
	const struct linear   head = { W_HEAD, -1, layer_rows(logits, rows, m->config.vocabulary),
		                       false };

	return layer_linears(m, run, x, &head, 1, err);
}

struct nn_head model_head(const struct model *m)
{
	return (struct nn_head){ .weight = &m->weights.t[W_HEAD], .scale = 1.0f };
}

int model_backward(const struct model *m, const struct rt_batch *b, struct model_tape *tape,
                   float *dhidden, const struct weights *gradients, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	const struct model_run     again = { .matmul_flags = tape->matmul_flags,
		                             .dropout = &tape->dropout };
	const struct nn_heads      d = layer_rows(dhidden, b->rows, c->hidden);
	struct reel                reel;
	const bool                 keep = !tape->recompute;
	int                        r = 0;

	if (!tape->data || tape->rows != b->rows)
		return rt_fail(err, RT_E_INVAL,
		               "a tape of %lld rows for a batch of %lld: run forward "
		               "with the tape first",
		               (long long)tape->rows, (long long)b->rows);
	reel_place(&reel, c, b->rows, keep, true, tape->data);
	nn_rmsnorm_backward(layer_rows(reel.x + c->layers * reel.rows_size, b->rows, c->hidden),
	                    m->weights.t[W_NORM].data, reel.scale, d, d, false,
	                    gradients->t[W_NORM].data);
	for (int64_t i = c->layers - 1; r == 0 && i >= 0; i--) {
		float       *x = reel.x + i * reel.rows_size;
		struct layer l;

		layer_place(&l, c, b->rows, reel.layers + (keep ? i * reel.layer_size : 0));
		if (!keep) /* its output is known already: into the place of the old one */
			r = layer_forward(m, i, b, &again, x, &l, &reel.scratch, x + reel.rows_size,
			                  err);
		if (r == 0)
			r = layer_backward(m, i, b, &again, x, &l, &reel.scratch, dhidden,
			                   gradients, err);
	}
	if (r == 0 && layer_drops(&again))
		nn_dropout(again.dropout, SITE_EMBED, d);
	if (r == 0 && gradients->t[W_EMBED].data)
		nn_embedding_backward(b->token, d, gradients->t[W_EMBED].data);
	return r;
}
