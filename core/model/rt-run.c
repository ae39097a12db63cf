/* rt-run.c - forward and backward of a model, for the SDK.  See retort/model.h */
#include "model/rt-model.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

/* ---- passes --------------------------------------------------------------------------------- */

struct rt_tape {
	struct model_tape tape;
};

void rt_model_multiply(struct rt_model *m, unsigned matmul_flags)
{
	m->matmul_flags = matmul_flags;
}

int rt_tape_new(struct rt_tape **ret, bool recompute, struct rt_error *err)
{
	*ret = rt_alloc(1, sizeof **ret);
	if (!*ret)
		return rt_fail_nomem(err, "a tape");
	(*ret)->tape.recompute = recompute;
	return 0;
}

void rt_tape_free(struct rt_tape *t)
{
	if (t)
		model_tape_fini(&t->tape);
	rt_free(t);
}

void rt_tape_dropout(struct rt_tape *t, double rate, uint64_t seed, uint64_t stream)
{
	t->tape.dropout = (struct nn_dropout){ rate, seed, stream };
}

int rt_model_forward(const struct rt_model *m, const struct rt_batch *b, struct rt_tape *tape,
                     float *hidden, struct rt_error *err)
{
	const struct model_run run = { .tape = tape ? &tape->tape : NULL,
		                       .dropout = tape ? &tape->tape.dropout : NULL,
		                       .matmul_flags = m->matmul_flags };

	return model_forward(&m->m, b, &run, hidden, err);
}

struct observer {
	rt_watch_fn *fn;
	void        *arg;
	int64_t      layers;
};

static void observe(void *arg, int64_t layer, int part, struct nn_heads x)
{
	const struct observer *o = arg;
	const enum rt_watch    what = part == L_Q      ? RT_WATCH_QKV
	                              : part == L_O    ? RT_WATCH_O
	                              : part == L_GATE ? RT_WATCH_GATE_UP
	                              : part == L_DOWN ? RT_WATCH_DOWN
	                                               : RT_WATCH_LAYER;

	o->fn(o->arg, layer, what, x.data, x.rows, x.heads * x.n, x.ld);
}

int rt_model_observe(const struct rt_model *m, const struct rt_batch *b, rt_watch_fn *fn, void *arg,
                     float *hidden, struct rt_error *err)
{
	struct observer        o = { fn, arg, m->shape.layers };
	const struct model_run run = { .watch = observe, .watch_arg = &o };

	return model_forward(&m->m, b, &run, hidden, err);
}

int rt_model_embed(const struct rt_model *m, const struct rt_batch *b, float *x,
                   struct rt_error *err)
{
	return model_embed(&m->m, b, x, err);
}

int rt_model_layer(const struct rt_model *m, int64_t layer, const struct rt_batch *b,
                   rt_watch_fn *fn, void *arg, float *x, float *next, struct rt_error *err)
{
	struct observer        o = { fn, arg, m->shape.layers };
	const struct model_run run = { .watch = fn ? observe : NULL, .watch_arg = &o };

	if (layer < 0 || layer >= m->shape.layers)
		return rt_fail(err, RT_E_RANGE, "layer %lld of a model of %lld layers",
		               (long long)layer, (long long)m->shape.layers);
	return model_layer(&m->m, layer, b, &run, x, next, err);
}

/* ---- gradients ------------------------------------------------------------------------------ */

enum { PIECE = 1 << 16 };

struct rt_gradients {
	const struct rt_model *m;
	struct weights         w;
	double                *partial; /* sums of squares of pieces */
	int64_t                pieces;  /* of the largest parameter */
};

int rt_gradients_new(struct rt_gradients **ret, const struct rt_model *m, struct rt_error *err)
{
	struct rt_gradients *g = rt_alloc(1, sizeof *g);
	int r = g ? weights_zeros(&g->w, &m->m.config, err) : rt_fail_nomem(err, "gradients");

	if (r < 0) {
		rt_free(g);
		return r;
	}
	g->m = m;
	for (int64_t i = 0; i < m->parameters; i++) {
		const int64_t n = rt_numel(&g->w.t[m->index[i]]);

		if ((n + PIECE - 1) / PIECE > g->pieces)
			g->pieces = (n + PIECE - 1) / PIECE;
	}
	g->partial = rt_alloc((size_t)g->pieces, sizeof *g->partial);
	if (!g->partial) {
		rt_gradients_free(g);
		return rt_fail_nomem(err, "gradients");
	}
	*ret = g;
	return 0;
}

void rt_gradients_free(struct rt_gradients *g)
{
	if (!g)
		return;
	weights_free_zeros(&g->w);
	rt_free(g->partial);
	rt_free(g);
}

float *rt_gradients_at(const struct rt_gradients *g, int64_t i)
{
	return g->w.t[g->m->index[i]].data;
}

struct sum {
	const float *x;
	float       *zero;
	double      *partial;
};

static void zero_piece(void *arg, int64_t first, int64_t last)
{
	const struct sum *s = arg;

	memset(s->zero + first, 0, (size_t)(last - first) * sizeof *s->zero);
}

void rt_gradients_zero(struct rt_gradients *g)
{
	for (int64_t i = 0; i < g->m->parameters; i++) {
		struct sum s = { .zero = rt_gradients_at(g, i) };

		rt_parallel(rt_numel(&g->w.t[g->m->index[i]]), PIECE, zero_piece, &s);
	}
}

static void sum_piece(void *arg, int64_t first, int64_t last)
{
	const struct sum *s = arg;

	s->partial[first / PIECE] = kernels()->sum_squares(s->x + first, last - first);
}

double rt_gradients_norm(const struct rt_gradients *g)
{
	double total = 0;

	for (int64_t i = 0; i < g->m->parameters; i++) {
		const int64_t n = rt_numel(&g->w.t[g->m->index[i]]);
		struct sum    s = { .x = rt_gradients_at(g, i), .partial = g->partial };

		rt_parallel(n, PIECE, sum_piece, &s);
		for (int64_t k = 0; k < (n + PIECE - 1) / PIECE; k++)
			total += g->partial[k];
	}
	return sqrt(total);
}

/* ---- the head ------------------------------------------------------------------------------- */

static float *head_gradient(const struct rt_gradients *g)
{
	return g ? g->w.t[W_HEAD].data : NULL;
}

int rt_model_logits(const struct rt_model *m, const float *hidden, int64_t rows, float *logits,
                    struct rt_error *err)
{
	const struct model_run run = { .matmul_flags = m->matmul_flags };

	return model_logits(&m->m, hidden, rows, &run, logits, err);
}

int rt_model_logits_backward(const struct rt_model *m, const float *hidden, const float *dlogits,
                             int64_t rows, float *dhidden, struct rt_gradients *g,
                             struct rt_error *err)
{
	const int64_t            n = m->shape.hidden, V = m->shape.vocabulary;
	const struct rt_tensor   d = rt_matrix(dlogits, rows, V), h = rt_matrix(hidden, rows, n);
	struct rt_matmul_options o = RT_MATMUL_DEFAULT;
	int                      r = 0;

	o.flags = m->matmul_flags;
	if (dhidden) {
		const struct rt_tensor to = rt_matrix(dhidden, rows, n);

		r = rt_matmul(&d, &m->m.weights.t[W_HEAD], &to, &o, err);
	}
	if (r == 0 && head_gradient(g)) {
		const struct rt_tensor turned = rt_transpose(d, 0, 1);
		const struct rt_tensor to = rt_matrix(head_gradient(g), V, n);

		o.beta = 1;
		r = rt_matmul(&turned, &h, &to, &o, err);
	}
	return r;
}

int rt_model_logps(const struct rt_model *m, const float *hidden, int64_t rows,
                   const int32_t *label, const float *coef, float *logp, float *entropy,
                   float *dhidden, struct rt_gradients *g, struct rt_error *err)
{
	struct nn_head head = model_head(&m->m);
	/* The rows are only read. */
	const struct nn_heads h = { (float *)hidden, rows, 1, m->shape.hidden, m->shape.hidden };

	head.check = true;
	head.matmul_flags = m->matmul_flags;
	return nn_logps(&head, h, label, coef, logp, entropy, dhidden,
	                coef ? head_gradient(g) : NULL, err);
}

int rt_model_backward(const struct rt_model *m, const struct rt_batch *b, struct rt_tape *tape,
                      float *dhidden, struct rt_gradients *g, struct rt_error *err)
{
	return model_backward(&m->m, b, &tape->tape, dhidden, &g->w, err);
}
