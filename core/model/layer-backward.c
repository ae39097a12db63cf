/* layer-backward.c - the backward pass of one decoder layer.  See layer.h */
#include "model/layer.h"

#include <math.h>
#include <string.h>

struct pass {
	const struct model     *m;
	const struct model_run *run;
	int64_t                 layer, rows;
	const struct weights   *gradients;
	struct rt_error        *err;
};

static struct rt_tensor matrix(struct nn_heads x)
{
	struct rt_tensor t = rt_matrix(x.data, x.rows, x.heads * x.n);

	t.stride[0] = x.ld;
	return t;
}

/* Of y = x weight^T + bias: the gradients of weight and bias, and dx = or += dy weight. */
static int linear(const struct pass *p, int part, int bias, struct nn_heads x, struct nn_heads dy,
                  struct nn_heads dx, float beta)
{
	const struct rt_tensor  *dw = weights_at(p->gradients, p->layer, part);
	const struct rt_tensor  *db = weights_at(p->gradients, p->layer, bias);
	const struct rt_tensor   ty = matrix(dy), tx = matrix(x), tdx = matrix(dx);
	const struct rt_tensor   turned = rt_transpose(ty, 0, 1);
	struct rt_matmul_options o = RT_MATMUL_DEFAULT;
	int                      r = 0;

	if (db->data)
		nn_bias_backward(dy, db->data);
	o.flags = p->run->matmul_flags;
	o.beta = 1.0f;
	if (dw->data)
		r = rt_matmul(&turned, &tx, dw, &o, p->err);
	o.beta = beta;
	if (r == 0)
		r = rt_matmul(&ty, weights_at(&p->m->weights, p->layer, part), &tdx, &o, p->err);
	return r;
}

static void norm(const struct pass *p, int part, struct nn_heads x, const float *scale,
                 struct nn_heads dy, struct nn_heads dx, bool add)
{
	nn_rmsnorm_backward(x, weights_at(&p->m->weights, p->layer, part)->data, scale, dy, dx, add,
	                    weights_at(p->gradients, p->layer, part)->data);
}

/* Forward's normed rows once more. */
static struct nn_heads normed_again(const struct pass *p, int part, struct nn_heads x,
                                    struct scratch *s)
{
	const struct nn_heads y = layer_rows(s->normed, p->rows, p->m->config.hidden);

	nn_rmsnorm(x, weights_at(&p->m->weights, p->layer, part)->data, p->m->config.norm_eps, y,
	           NULL);
	return y;
}

/* The gradient of what a part of the layer added, from that of the sum: what forward left out has
 * none.  In the memory of dnormed. */
static struct nn_heads added(const struct pass *p, int which, struct nn_heads dx, struct scratch *s)
{
	const struct nn_heads d = layer_rows(s->dnormed, p->rows, dx.n);

	if (!layer_drops(p->run))
		return dx;
	memcpy(d.data, dx.data, (size_t)(d.rows * d.n) * sizeof *d.data);
	nn_dropout(p->run->dropout, layer_site(p->layer, which), d);
	return d;
}

/* dx: gradient of mid + mlp(norm(mid)), then of mid. */
static int mlp(const struct pass *p, const struct layer *l, struct scratch *s, struct nn_heads dx)
{
	const int64_t         n = p->m->config.feed_forward;
	const struct nn_heads gate = layer_rows(l->gate, p->rows, n),
			      up = layer_rows(l->up, p->rows, n);
	const struct nn_heads act = layer_rows(s->act, p->rows, n);
	const struct nn_heads dgate = layer_rows(s->dgate, p->rows, n);
	const struct nn_heads dup = layer_rows(s->dup, p->rows, n);
	const struct nn_heads mid = layer_rows(l->mid, p->rows, dx.n);
	const struct nn_heads dnormed = layer_rows(s->dnormed, p->rows, dx.n);
	struct nn_heads       normed;
	int                   r;

	nn_swiglu(gate, up, act);
	r = linear(p, L_DOWN, L_DOWN_BIAS, act, added(p, SITE_MLP, dx, s), dgate, 0.0f);
	if (r != 0)
		return r;
	nn_swiglu_backward(gate, up, dgate, dgate, dup);
	normed = normed_again(p, L_MLP_NORM, mid, s);
	r = linear(p, L_GATE, L_GATE_BIAS, normed, dgate, dnormed, 0.0f);
	if (r == 0)
		r = linear(p, L_UP, L_UP_BIAS, normed, dup, dnormed, 1.0f);
	if (r == 0)
		norm(p, L_MLP_NORM, mid, l->mid_scale, dnormed, dx, true);
	return r;
}

/* Gradients of q and k in front of positions and norms, in place. */
static void positions(const struct pass *p, const struct layer *l, struct scratch *s)
{
	const struct model_config *c = &p->m->config;
	const struct nn_heads dq = layer_q(c, s->dqkv, p->rows), dk = layer_k(c, s->dqkv, p->rows);
	const int64_t         ld = (c->heads + c->kv_heads) * c->head_dim;

	nn_rotary(dq, s->cos, s->sin, c->head_dim, true);
	nn_rotary(dk, s->cos, s->sin, c->head_dim, true);
	if (l->raw) {
		const struct nn_heads q = { l->raw, p->rows, c->heads, c->head_dim, ld };
		const struct nn_heads k = { l->raw + c->heads * c->head_dim, p->rows, c->kv_heads,
			                    c->head_dim, ld };

		norm(p, L_Q_NORM, q, l->qk_scale, dq, dq, false);
		norm(p, L_K_NORM, k, l->qk_scale + p->rows * c->heads, dk, dk, false);
	}
}

/* dx: gradient of x + attention(norm(x)), then of x. */
static int attention(const struct pass *p, const struct rt_batch *b, float *x,
                     const struct layer *l, struct scratch *s, struct nn_heads dx)
{
	const struct model_config *c = &p->m->config;
	const int64_t              rows = p->rows, n = c->heads * c->head_dim;
	const struct nn_heads      out = { l->attention, rows, c->heads, c->head_dim, n };
	const struct nn_heads      dout = { s->dattention, rows, c->heads, c->head_dim, n };
	const struct nn_heads      dq = layer_q(c, s->dqkv, rows), dk = layer_k(c, s->dqkv, rows);
	const struct nn_heads      dv = layer_v(c, s->dqkv, rows);
	const struct nn_heads      hx = layer_rows(x, rows, c->hidden);
	const struct nn_heads      dnormed = layer_rows(s->dnormed, rows, c->hidden);
	const struct nn_attention  o = { b->spans, b->n_spans, c->window[p->layer],
		                         (float)(1.0 / sqrt((double)c->head_dim)) };
	struct nn_heads            normed;
	int                        r;

	r = linear(p, L_O, L_O_BIAS, out, added(p, SITE_ATTENTION, dx, s), dout, 0.0f);
	if (r == 0)
		r = nn_attention_backward(&o, layer_q(c, l->qkv, rows), layer_k(c, l->qkv, rows),
		                          layer_v(c, l->qkv, rows), out, l->lse, dout, dq, dk, dv,
		                          p->err);
	if (r != 0)
		return r;
	positions(p, l, s);
	normed = normed_again(p, L_ATTN_NORM, hx, s);
	r = linear(p, L_Q, L_Q_BIAS, normed, dq, dnormed, 0.0f);
	if (r == 0)
		r = linear(p, L_K, L_K_BIAS, normed, dk, dnormed, 1.0f);
	if (r == 0)
		r = linear(p, L_V, L_V_BIAS, normed, dv, dnormed, 1.0f);
	if (r == 0)
		norm(p, L_ATTN_NORM, hx, l->scale, dnormed, dx, true);
	return r;
}

int layer_backward(const struct model *m, int64_t layer, const struct rt_batch *b,
                   const struct model_run *run, float *x, const struct layer *l, struct scratch *s,
                   float *dx, const struct weights *gradients, struct rt_error *err)
{
	const struct pass     p = { m, run, layer, b->rows, gradients, err };
	const struct nn_heads d = layer_rows(dx, b->rows, m->config.hidden);
	const int             r = mlp(&p, l, s, d);

	return r ? r : attention(&p, b, x, l, s, d);
}
