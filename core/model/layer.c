/* layer.c - the forward pass of one decoder layer.  See layer.h */
#include "model/layer.h"

#include <math.h>
#include <string.h>

_Static_assert((int)LINEARS <= (int)PANELS_TOGETHER, "layers of one input are one call");

/* Hand out floats, a whole cache line at a time. */
static float *take(float *base, int64_t *used, int64_t n)
{
	float *p = base ? base + *used : NULL;

	*used += (n + 15) / 16 * 16;
	return p;
}

static int64_t width(const struct model_config *c)
{
	return (c->heads + 2 * c->kv_heads) * c->head_dim;
}

int64_t layer_place(struct layer *l, const struct model_config *c, int64_t rows, float *at)
{
	int64_t used = 0;

	*l = (struct layer){ 0 };
	l->scale = take(at, &used, rows);
	if (c->qk_norm) {
		l->raw = take(at, &used, rows * (c->heads + c->kv_heads) * c->head_dim);
		l->qk_scale = take(at, &used, rows * (c->heads + c->kv_heads));
	}
	l->qkv = take(at, &used, rows * width(c));
	l->attention = take(at, &used, rows * c->heads * c->head_dim);
	l->lse = take(at, &used, rows * c->heads);
	l->mid = take(at, &used, rows * c->hidden);
	l->mid_scale = take(at, &used, rows);
	l->gate = take(at, &used, rows * c->feed_forward);
	l->up = take(at, &used, rows * c->feed_forward);
	return used;
}

int64_t scratch_place(struct scratch *s, const struct model_config *c, int64_t rows, bool backward,
                      float *at)
{
	int64_t used = 0;

	*s = (struct scratch){ 0 };
	s->cos = take(at, &used, rows * c->head_dim / 2);
	s->sin = take(at, &used, rows * c->head_dim / 2);
	s->normed = take(at, &used, rows * c->hidden);
	s->act = take(at, &used, rows * c->feed_forward);
	if (!backward)
		return used;
	s->dqkv = take(at, &used, rows * width(c));
	s->dgate = take(at, &used, rows * c->feed_forward);
	s->dup = take(at, &used, rows * c->feed_forward);
	s->dattention = take(at, &used, rows * c->heads * c->head_dim);
	s->dnormed = take(at, &used, rows * c->hidden);
	return used;
}

struct nn_heads layer_q(const struct model_config *c, float *qkv, int64_t rows)
{
	return (struct nn_heads){ qkv, rows, c->heads, c->head_dim, width(c) };
}

struct nn_heads layer_k(const struct model_config *c, float *qkv, int64_t rows)
{
	return (struct nn_heads){ qkv + c->heads * c->head_dim, rows, c->kv_heads, c->head_dim,
		                  width(c) };
}

struct nn_heads layer_v(const struct model_config *c, float *qkv, int64_t rows)
{
	struct nn_heads v = layer_k(c, qkv, rows);

	v.data += c->kv_heads * c->head_dim;
	return v;
}

int layer_check_batch(const struct model *m, const struct rt_batch *b, struct rt_error *err)
{
	for (int64_t r = 0; r < b->rows; r++)
		if (b->position[r] < 0)
			return rt_fail(err, RT_E_RANGE, "position %ld of row %lld is below 0",
			               (long)b->position[r], (long long)r);
	for (int64_t i = 0; i < b->n_spans; i++)
		if (b->spans[i].q < 0 || b->spans[i].count < 0 ||
		    b->spans[i].count > b->rows - b->spans[i].q)
			return rt_fail(
				err, RT_E_SHAPE,
				"sequence %lld has %lld tokens from row %lld on, of %lld rows",
				(long long)i, (long long)b->spans[i].count,
				(long long)b->spans[i].q, (long long)b->rows);
	if (m->config.hidden < 1)
		return rt_fail(err, RT_E_INVAL, "the model is not open");
	return 0;
}

/* By floats: one of them. */
static int product(const struct model *m, const struct model_run *run, struct nn_heads x,
                   const struct linear *l, struct rt_error *err)
{
	const struct rt_tensor  *v = l->bias >= 0 ? &m->weights.t[l->bias] : NULL;
	const struct rt_tensor   w = rt_transpose(m->weights.t[l->weight], 0, 1);
	struct rt_tensor         a = rt_matrix(x.data, x.rows, x.heads * x.n);
	struct rt_tensor         c = rt_matrix(l->y.data, l->y.rows, l->y.heads * l->y.n);
	struct rt_matmul_options o = RT_MATMUL_DEFAULT;

	a.stride[0] = x.ld;
	c.stride[0] = l->y.ld;
	o.beta = l->add ? 1.0f : 0.0f;
	o.bias = v && v->data ? v : NULL;
	o.flags = run->matmul_flags;
	if (run->round_bf16 && w.dtype == RT_BF16)
		o.flags |= RT_MATMUL_BF16;
	return rt_matmul(&a, &w, &c, &o, err);
}

int layer_linears(const struct model *m, const struct model_run *run, struct nn_heads x,
                  const struct linear *l, int n, struct rt_error *err)
{
	struct panels_product p[LINEARS];
	int                   packed = 0, r = 0;

	for (int i = 0; r == 0 && i < n; i++) {
		const struct panels *w = run->panels ? &run->panels[l[i].weight] : NULL;
		const float         *bias = l[i].bias >= 0 ? m->weights.t[l[i].bias].data : NULL;

		if (w && w->data)
			p[packed++] = (struct panels_product){ w, bias, l[i].y.data, l[i].y.ld,
				                               l[i].add };
		else
			r = product(m, run, x, &l[i], err);
	}
	return r == 0 && packed ? panels_multiply(x.data, x.ld, x.rows, p, packed, err) : r;
}

static struct linear part(int64_t layer, int weight, int bias, struct nn_heads y)
{
	const int64_t first = W_LAYERS + layer * LAYER_PARTS;

	return (struct linear){ first + weight, first + bias, y, false };
}

static void look(const struct model_run *run, int64_t layer, int part, struct nn_heads x)
{
	if (run->watch)
		run->watch(run->watch_arg, layer, part, x);
}

static const float *vector(const struct model *m, int64_t layer, int part)
{
	return weights_at(&m->weights, layer, part)->data;
}

/* Queries, keys and values of normed rows, with their norms and positions. */
static int project(const struct model *m, int64_t layer, const struct model_run *run,
                   struct nn_heads x, struct layer *l, const struct scratch *s,
                   struct rt_error *err)
{
	const struct model_config *c = &m->config;
	const struct nn_heads      q = layer_q(c, l->qkv, x.rows), k = layer_k(c, l->qkv, x.rows);
	const int64_t              raw_width = (c->heads + c->kv_heads) * c->head_dim;
	struct nn_heads            raw_q = q, raw_k = k;
	int                        r;

	if (l->raw) {
		raw_q = (struct nn_heads){ l->raw, x.rows, c->heads, c->head_dim, raw_width };
		raw_k = (struct nn_heads){ l->raw + c->heads * c->head_dim, x.rows, c->kv_heads,
			                   c->head_dim, raw_width };
	}
	const struct linear three[] = { part(layer, L_Q, L_Q_BIAS, raw_q),
		                        part(layer, L_K, L_K_BIAS, raw_k),
		                        part(layer, L_V, L_V_BIAS, layer_v(c, l->qkv, x.rows)) };

	r = layer_linears(m, run, x, three, 3, err);
	if (r != 0)
		return r;
	if (l->raw) {
		nn_rmsnorm(raw_q, vector(m, layer, L_Q_NORM), c->norm_eps, q, l->qk_scale);
		nn_rmsnorm(raw_k, vector(m, layer, L_K_NORM), c->norm_eps, k,
		           l->qk_scale + x.rows * c->heads);
	}
	nn_rotary(q, s->cos, s->sin, c->head_dim, false);
	nn_rotary(k, s->cos, s->sin, c->head_dim, false);
	return 0;
}

/* New keys or values to their places in a cache. */
static struct nn_heads remember(const struct rt_batch *b, struct nn_heads x, float *cache,
                                int64_t rows)
{
	const int64_t         n = x.heads * x.n;
	const struct nn_heads all = { cache, rows, x.heads, x.n, n };

	for (int64_t i = 0; i < b->n_spans; i++) {
		const struct rt_span s = b->spans[i];
		const int64_t        at = s.k + s.context - s.count;

		for (int64_t j = 0; j < s.count; j++)
			memcpy(cache + (at + j) * n, x.data + (s.q + j) * x.ld,
			       (size_t)n * sizeof *cache);
	}
	return all;
}

static int check_places(const struct rt_batch *b, int64_t rows, struct rt_error *err)
{
	for (int64_t i = 0; i < b->n_spans; i++) {
		const struct rt_span s = b->spans[i];

		if (s.q < 0 || s.count < 0 || s.count > b->rows - s.q || s.k < 0 ||
		    s.context < s.count || s.context > rows - s.k)
			return rt_fail(err, RT_E_SHAPE,
			               "sequence %lld with %lld tokens does not fit "
			               "a cache of %lld rows",
			               (long long)i, (long long)s.context, (long long)rows);
	}
	return 0;
}

static int attend(const struct model *m, int64_t layer, const struct rt_batch *b,
                  const struct model_run *run, struct layer *l, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	const struct nn_attention  o = { b->spans, b->n_spans, c->window[layer],
		                         (float)(1.0 / sqrt((double)c->head_dim)) };
	const struct nn_heads      q = layer_q(c, l->qkv, b->rows);
	struct nn_heads            k = layer_k(c, l->qkv, b->rows), v = layer_v(c, l->qkv, b->rows);
	struct nn_heads            out = { l->attention, b->rows, c->heads, c->head_dim,
		                           c->heads * c->head_dim };

	if (run->cache) {
		const int64_t rows = run->cache->rows, size = rows * c->kv_heads * c->head_dim;
		const int     r = check_places(b, rows, err);

		if (r != 0)
			return r;
		k = remember(b, k, run->cache->k + layer * size, rows);
		v = remember(b, v, run->cache->v + layer * size, rows);
	}
	return nn_attention(&o, q, k, v, out, l->lse, err);
}

/* y = x + what the linear layer `l` makes of `in`, of which some may be left out. */
static int join(const struct model *m, const struct model_run *run, uint64_t site,
                struct nn_heads in, struct linear l, const float *x, struct rt_error *err)
{
	const int64_t n = l.y.rows * l.y.n;
	int           r;

	l.add = !layer_drops(run);
	if (l.add)
		memcpy(l.y.data, x, (size_t)n * sizeof *x);
	r = layer_linears(m, run, in, &l, 1, err);
	if (r == 0 && !l.add) {
		nn_dropout(run->dropout, site, l.y);
		nn_add(l.y.data, x, n);
	}
	return r;
}

int layer_forward(const struct model *m, int64_t layer, const struct rt_batch *b,
                  const struct model_run *run, float *x, struct layer *l, struct scratch *s,
                  float *next, struct rt_error *err)
{
	const struct model_config *c = &m->config;
	const int64_t              rows = b->rows;
	const struct nn_heads      hx = layer_rows(x, rows, c->hidden);
	const struct nn_heads      normed = layer_rows(s->normed, rows, c->hidden);
	const struct nn_heads      mid = layer_rows(l->mid, rows, c->hidden);
	const struct nn_heads      gate = layer_rows(l->gate, rows, c->feed_forward);
	const struct nn_heads      up = layer_rows(l->up, rows, c->feed_forward);
	const struct nn_heads      act = layer_rows(s->act, rows, c->feed_forward);
	const struct nn_heads      out = layer_rows(l->attention, rows, c->heads * c->head_dim);
	const struct linear        two[] = { part(layer, L_GATE, L_GATE_BIAS, gate),
		                             part(layer, L_UP, L_UP_BIAS, up) };
	const struct nn_heads      end = layer_rows(next, rows, c->hidden);
	int                        r;

	look(run, layer, LAYER_PARTS, hx);
	nn_rmsnorm(hx, vector(m, layer, L_ATTN_NORM), c->norm_eps, normed, l->scale);
	look(run, layer, L_Q, normed);
	r = project(m, layer, run, normed, l, s, err);
	if (r == 0)
		r = attend(m, layer, b, run, l, err);
	if (r != 0)
		return r;
	look(run, layer, L_O, out);
	r = join(m, run, layer_site(layer, SITE_ATTENTION), out, part(layer, L_O, L_O_BIAS, mid), x,
	         err);
	if (r != 0)
		return r;
	nn_rmsnorm(mid, vector(m, layer, L_MLP_NORM), c->norm_eps, normed, l->mid_scale);
	look(run, layer, L_GATE, normed);
	r = layer_linears(m, run, normed, two, 2, err);
	if (r != 0)
		return r;
	nn_swiglu(gate, up, act);
	look(run, layer, L_DOWN, act);
	return join(m, run, layer_site(layer, SITE_MLP), act, part(layer, L_DOWN, L_DOWN_BIAS, end),
	            l->mid, err);
}
