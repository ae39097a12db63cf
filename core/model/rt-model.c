/* rt-model.c - the life of a model, and what it is.  See retort/model.h */
#include "model/rt-model.h"

#include <retort/file.h>
#include <retort/memory.h>
#include <retort/parallel.h>
#include <retort/random.h>

#include <math.h>
#include <string.h>

/* ---- what it is ---------------------------------------------------------------------------- */

static bool is_parameter(const struct model *m, int64_t i)
{
	return m->weights.t[i].data && !(i == W_HEAD && m->config.tied);
}

/* The type of most bytes. */
static enum rt_dtype usual_dtype(const struct rt_model *m)
{
	int64_t bytes[RT_DTYPES] = { 0 };
	int     best = RT_F32;

	for (int64_t i = 0; i < m->parameters; i++) {
		const struct rt_tensor *t = &m->m.weights.t[m->index[i]];

		bytes[t->dtype] += rt_bytes(t);
		if (bytes[t->dtype] > bytes[best])
			best = (int)t->dtype;
	}
	return (enum rt_dtype)best;
}

static int describe(struct rt_model *m, struct rt_error *err)
{
	const struct model_config *c = &m->m.config;
	struct rt_model_shape     *s = &m->shape;

	m->index = rt_alloc((size_t)m->m.weights.n, sizeof *m->index);
	if (!m->index)
		return rt_fail_nomem(err, "a model");
	*s = (struct rt_model_shape){ .vocabulary = c->vocabulary,
		                      .hidden = c->hidden,
		                      .layers = c->layers,
		                      .heads = c->heads,
		                      .kv_heads = c->kv_heads,
		                      .head_dim = c->head_dim,
		                      .feed_forward = c->feed_forward,
		                      .context = config_reach(c),
		                      .tied = c->tied };
	for (int64_t i = 0; i < m->m.weights.n; i++) {
		if (!is_parameter(&m->m, i))
			continue;
		m->index[m->parameters++] = i;
		s->parameters += rt_numel(&m->m.weights.t[i]);
		s->bytes += rt_bytes(&m->m.weights.t[i]);
	}
	s->dtype = usual_dtype(m);
	return 0;
}

const struct rt_model_shape *rt_model_shape(const struct rt_model *m)
{
	return &m->shape;
}

const struct rt_json *rt_model_config(const struct rt_model *m)
{
	return m->m.config.json;
}

const struct rt_tokenizer *rt_model_tokenizer(const struct rt_model *m)
{
	return m->tokenizer;
}

const struct rt_template *rt_model_template(const struct rt_model *m)
{
	return m->template;
}

const int32_t *rt_model_stops(const struct rt_model *m, int64_t *ret_n)
{
	*ret_n = m->n_stops;
	return m->stops;
}

int64_t rt_model_parameters(const struct rt_model *m)
{
	return m->parameters;
}

static bool is_linear(int64_t index)
{
	if (index < W_LAYERS)
		return index == W_HEAD;
	switch ((index - W_LAYERS) % LAYER_PARTS) {
	case L_Q:
	case L_K:
	case L_V:
	case L_O:
	case L_GATE:
	case L_UP:
	case L_DOWN: return true;
	default: return false;
	}
}

struct rt_parameter rt_model_parameter(const struct rt_model *m, int64_t i)
{
	const int64_t       index = m->index[i];
	struct rt_parameter p = { .tensor = m->m.weights.t[index],
		                  .layer = index < W_LAYERS ? -1 : (index - W_LAYERS) / LAYER_PARTS,
		                  .linear = is_linear(index) };

	weights_name(index, NAME_HF, p.name);
	return p;
}

/* ---- life ----------------------------------------------------------------------------------- */

void rt_model_close(struct rt_model *m)
{
	if (!m)
		return;
	model_close(&m->m);
	rt_tokenizer_free(m->tokenizer);
	rt_template_free(m->template);
	rt_free(m->index);
	rt_free(m->bos);
	rt_free(m->eos);
	rt_free(m->pad);
	rt_free(m->stops);
	rt_free(m);
}

/* m, when r is 0 and the rest succeeds. */
static int finish(struct rt_model *m, int r, struct rt_model **ret, struct rt_error *err)
{
	if (r == 0)
		r = describe(m, err);
	if (r == 0)
		*ret = m;
	else
		rt_model_close(m);
	return r;
}

/* What a text folder or GGUF file holds, for a model of other weights. */
static int adopt_text(struct rt_model *m, const char *text, struct rt_error *err)
{
	char       *place = model_place(text);
	struct gguf g;
	int         r = place ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0 && !model_is_gguf(place)) {
		r = model_text_folder(m, place, err);
	} else if (r == 0) {
		r = gguf_open(&g, place, err);
		if (r == 0) {
			r = model_text_gguf(m, &g, place, err);
			gguf_close(&g);
		}
	}
	rt_free(place);
	return r;
}

static int open_place(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err)
{
	struct rt_model *m = rt_alloc(1, sizeof *m);
	int              r;

	if (!m)
		return rt_fail_nomem(err, "a model");
	if (flags & RT_MODEL_TEXT)
		return finish(m, adopt_text(m, path, err), ret, err);
	r = model_open(&m->m, path, err);
	if (r < 0) {
		rt_free(m);
		return r;
	}
	r = m->m.checkpoint->gguf.map.data ? model_text_gguf(m, &m->m.checkpoint->gguf, path, err)
	                                   : model_text_folder(m, path, err);
	if (r == 0 && (flags & RT_MODEL_TRAIN))
		r = model_thaw(&m->m, err);
	return finish(m, r, ret, err);
}

int rt_model_open(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err)
{
	char *place = model_place(path);
	int   r = place ? open_place(ret, place, flags, err) : rt_fail_nomem(err, "a path");

	rt_free(place);
	return r;
}

int rt_model_assemble(struct rt_model **ret, const struct rt_json *config,
                      const struct rt_named_tensor *tensors, int64_t n, const char *text,
                      struct rt_error *err)
{
	static const char what[] = "the new model";
	struct rt_model  *m = rt_alloc(1, sizeof *m);
	struct rt_json   *own = m ? rt_json_ref(config) : NULL;
	int               r = m ? 0 : rt_fail_nomem(err, "a model");

	if (r < 0)
		return r;
	m->m.checkpoint = rt_alloc(1, sizeof *m->m.checkpoint);
	if (!m->m.checkpoint)
		r = rt_fail_nomem(err, "a model");
	if (r == 0)
		r = model_config_init(&m->m.config, own, what, err);
	if (r == 0)
		r = weights_init(&m->m.weights, m->m.config.layers, err);
	for (int64_t i = 0; r == 0 && i < n; i++) {
		const int64_t index = weights_find(tensors[i].name, NAME_HF, m->m.config.layers);

		r = index < 0
		            ? rt_fail(err, RT_E_UNSUP, "%s has no tensor %s", what, tensors[i].name)
		            : checkpoint_adopt(&m->m, index, tensors[i].name, &tensors[i].tensor,
		                               what, err);
	}
	if (r == 0)
		r = checkpoint_complete(&m->m, NAME_HF, what, err);
	if (r == 0 && text)
		r = adopt_text(m, text, err);
	rt_json_free(own);
	return finish(m, r, ret, err);
}

/* ---- a new one ------------------------------------------------------------------------------ */

struct draw {
	float   *to;
	uint64_t seed, stream;
	double   deviation;
};

static void draw_piece(void *arg, int64_t first, int64_t last)
{
	const struct draw *d = arg;

	for (int64_t i = first; i < last; i++)
		d->to[i] =
			(float)(d->deviation * rt_random_normal(d->seed, d->stream, (uint64_t)i));
}

static void init_weights(struct model *m, uint64_t seed)
{
	const double range = rt_json_real(rt_json_get(m->config.json, "initializer_range"), .02);
	const double residual = range / sqrt(2. * (double)m->config.layers);

	for (int64_t i = 0; i < m->weights.n; i++) {
		const struct rt_tensor *t = &m->weights.t[i];
		const int64_t           part = i < W_LAYERS ? -1 : (i - W_LAYERS) % LAYER_PARTS;
		const bool norm = i == W_NORM || part == L_ATTN_NORM || part == L_MLP_NORM ||
		                  part == L_Q_NORM || part == L_K_NORM;
		float *x = t->data;

		if (!is_parameter(m, i))
			continue;
		if (t->ndim == 2) {
			struct draw d = { x, seed, (uint64_t)i,
				          part == L_O || part == L_DOWN ? residual : range };

			rt_parallel(rt_numel(t), 1 << 14, draw_piece, &d);
		} else
			for (int64_t k = 0; norm && k < t->dim[0]; k++)
				x[k] = 1;
	}
}

int rt_model_new(struct rt_model **ret, const struct rt_json *config, uint64_t seed,
                 struct rt_error *err)
{
	struct rt_model *m = rt_alloc(1, sizeof *m);
	struct rt_json  *own = m ? rt_json_ref(config) : NULL;
	int              r = m ? 0 : rt_fail_nomem(err, "a model");

	if (r < 0)
		return r;
	r = model_config_init(&m->m.config, own, "the shape of a new model", err);
	if (r == 0)
		r = weights_zeros(&m->m.weights, &m->m.config, err);
	if (r == 0) {
		m->m.thawed = true;
		init_weights(&m->m, seed);
	}
	rt_json_free(own);
	return finish(m, r, ret, err);
}
