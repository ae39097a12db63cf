/* prune-cut.c - units are ranked, and those that stay become a new model.  See prune.h */
#include "pick.h"
#include "prune.h"

#include <retort/file.h>
#include <retort/memory.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

uint32_t prune_units_of(const struct prune_config *c)
{
	const struct rt_pruner_ops *ops = c->pruner->plugin->ops.pruner;

	return ops->units ? ops->units(c->pruner->config) : 0;
}

/* The share that goes. */
static double share(const struct prune_config *c)
{
	return c->remove > 0 ? c->remove : .2;
}

/* ---- ranking -------------------------------------------------------------------------------- */

static int rank(struct pruning *j, struct rt_unit_stats *u, float *score, struct rt_error *err)
{
	const struct rt_component *p = j->cfg->pruner;
	int                        r = p->plugin->ops.pruner->score(p->state, u, score, err);

	for (int64_t i = 0; r == 0 && i < u->n; i++)
		if (!isfinite(score[i]))
			r = rt_fail(err, RT_E_NUMERIC, "unit %lld has the importance %g",
			            (long long)i, (double)score[i]);
	return r < 0 ? rt_within(err, r, "pruner-%s", p->plugin->name) : 0;
}

/* How many of n stay. */
static int left(const struct pruning *j, int64_t n, int64_t multiple, int64_t *ret,
                struct rt_error *err)
{
	const struct prune_config *c = j->cfg;
	const int64_t              go = c->count ? c->count : (int64_t)(share(c) * (double)n + .5);
	int64_t                    stay = n - go;

	if (stay > multiple)
		stay = (stay + multiple / 2) / multiple * multiple;
	if (stay < 1 || stay > n)
		return rt_fail(err, RT_E_RANGE,
		               "%lld of %lld units would go; at least one must stay", (long long)go,
		               (long long)n);
	*ret = stay;
	return 0;
}

/* ---- a new model ---------------------------------------------------------------------------- */

static int add(struct pruning *j, const char *name, struct rt_tensor t)
{
	char *own = rt_arena_strdup(&j->room, name);

	if (!own)
		return RT_E_NOMEM;
	j->tensors[j->n++] = (struct rt_named_tensor){ own, t };
	return 0;
}

static int set_int(struct pruning *j, const char *key, int64_t value)
{
	return rt_json_set(j->config, key, rt_json_new_int(value));
}

/* Blocks of `block` rows (or columns) of a matrix or vector that stay, side by side. */
static int cut(struct pruning *j, const struct rt_parameter *p, bool columns, int64_t block,
               const int64_t *keep, int64_t n)
{
	const int64_t rows = p->tensor.dim[0], wide = p->tensor.ndim > 1 ? p->tensor.dim[1] : 1;
	const int64_t dim[2] = { columns ? rows : n * block, columns ? n * block : wide };
	const float  *from = p->tensor.data;
	float        *to = rt_arena_alloc(&j->room, (size_t)(dim[0] * dim[1]), sizeof *to);
	float        *at = to;

	if (!to)
		return RT_E_NOMEM;
	for (int64_t r = 0; columns && r < rows; r++)
		for (int64_t i = 0; i < n; i++, at += block)
			memcpy(at, from + r * wide + keep[i] * block, (size_t)block * sizeof *at);
	for (int64_t i = 0; !columns && i < n; i++, at += block * wide)
		memcpy(at, from + keep[i] * block * wide, (size_t)(block * wide) * sizeof *at);
	return add(j, p->name, rt_tensor(to, RT_F32, p->tensor.ndim, dim));
}

static bool has(const struct rt_parameter *p, const char *part)
{
	return strstr(p->name, part) != NULL;
}

/* ---- layers --------------------------------------------------------------------------------- */

/* Lists with an entry for each layer lose those of the layers that go. */
static int cut_lists(struct pruning *j, const int64_t *keep, int64_t n, int64_t layers)
{
	static const char *const lists[] = { "layer_types", NULL };
	const struct rt_json    *most = rt_json_get(j->config, "max_window_layers");
	int                      r = 0;

	for (int i = 0; r == 0 && lists[i]; i++) {
		struct rt_json *old = rt_json_get(j->config, lists[i]), *list;

		if (!rt_json_is(old, RT_JSON_ARRAY) || (int64_t)rt_json_length(old) != layers)
			continue;
		list = rt_json_new_array();
		for (int64_t k = 0; list && r == 0 && k < n; k++)
			r = rt_json_append(list, rt_json_ref(rt_json_at(old, (size_t)keep[k])));
		r |= rt_json_set(j->config, lists[i], list);
	}
	if (r == 0 && rt_json_is(most, RT_JSON_INT)) {
		int64_t below = 0;

		for (int64_t k = 0; k < n; k++)
			below += keep[k] < rt_json_int(most, 0);
		r = set_int(j, "max_window_layers", below);
	}
	return r;
}

static int prune_layers(struct pruning *j, struct rt_error *err)
{
	const int64_t        layers = rt_model_shape(j->m)->layers;
	float               *similarity = rt_arena_alloc(&j->room, (size_t)layers, sizeof(float));
	float               *score = rt_arena_alloc(&j->room, (size_t)layers, sizeof(float));
	int64_t             *keep = rt_arena_alloc(&j->room, (size_t)layers, sizeof *keep), n = 0;
	struct rt_unit_stats u = { .units = RT_UNIT_LAYER, .n = layers, .similarity = similarity };
	int                  r = similarity && score && keep ? 0 : rt_fail_nomem(err, "a ranking");

	for (int64_t i = 0; r == 0 && i < layers; i++)
		similarity[i] = (float)(j->stats.similarity[i] / (double)j->stats.tokens);
	if (r == 0)
		r = rank(j, &u, score, err);
	if (r == 0)
		r = left(j, layers, 1, &n, err);
	if (r == 0)
		r = pick(score, layers, n, keep, err);
	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->m); i++) {
		struct rt_parameter p = rt_model_parameter(j->m, i);
		int64_t             to = 0;
		const char         *tail = strstr(p.name, "layers.");
		char                name[128];

		snprintf(name, sizeof name, "%s", p.name);
		if (p.layer >= 0) {
			while (to < n && keep[to] != p.layer)
				to++;
			if (to == n)
				continue;
			snprintf(name, sizeof name, "model.layers.%lld%s", (long long)to,
			         strchr(tail + 7, '.'));
		}
		if (add(j, name, p.tensor) < 0)
			r = rt_fail_nomem(err, "a model");
	}
	if (r == 0 && (set_int(j, "num_hidden_layers", n) < 0 || cut_lists(j, keep, n, layers) < 0))
		r = rt_fail_nomem(err, "a configuration");
	for (int64_t i = 0, at = 0; r == 0 && i < layers; i++)
		if (at < n && keep[at] == i)
			at++;
		else
			rt_log(j->c, RT_LOG_INFO, "layer %lld goes (cosine %.4f)", (long long)i,
			       (double)similarity[i]);
	j->before = layers;
	j->after = n;
	return r;
}

/* ---- neurons and heads ------------------------------------------------------------------------
 */

/* L2 norms of the weights that belong to each of n units of a layer. */
static void unit_norms(const struct pruning *j, int64_t layer, const char *const *rows,
                       const char *columns, int64_t block, int64_t n, float *ret)
{
	memset(ret, 0, (size_t)n * sizeof *ret);
	for (int64_t i = 0; i < rt_model_parameters(j->m); i++) {
		const struct rt_parameter p = rt_model_parameter(j->m, i);
		const float              *w = p.tensor.data;
		bool                      is_row = false;

		if (p.layer != layer || !p.linear)
			continue;
		for (int k = 0; rows[k]; k++)
			is_row |= has(&p, rows[k]);
		if (!is_row && !has(&p, columns))
			continue;
		for (int64_t r = 0; r < p.tensor.dim[0]; r++)
			for (int64_t k = 0; k < p.tensor.dim[1]; k++) {
				const float x = w[r * p.tensor.dim[1] + k];

				ret[(is_row ? r : k) / block] += x * x;
			}
	}
	for (int64_t i = 0; i < n; i++)
		ret[i] = sqrtf(ret[i]);
}

/* The units of a layer: what stays of n, by the pruner. */
static int choose(struct pruning *j, uint32_t units, const double *sums, int64_t n, float *weight,
                  int64_t stay, int64_t group, int64_t *keep, struct rt_error *err)
{
	float               *activation = rt_arena_alloc(&j->room, (size_t)n, sizeof(float));
	float               *score = rt_arena_alloc(&j->room, (size_t)n, sizeof(float));
	struct rt_unit_stats u = {
		.units = units, .n = n, .activation = activation, .weight = weight
	};
	int r = activation && score ? 0 : rt_fail_nomem(err, "a ranking");

	for (int64_t i = 0; r == 0 && i < n; i++)
		activation[i] = (float)(sums[i] / (double)j->stats.tokens);
	if (r == 0)
		r = rank(j, &u, score, err);
	/* Heads go with the key and value head that they share. */
	for (int64_t i = 0; r == 0 && group > 1 && i < n / group; i++) {
		float sum = 0;

		for (int64_t k = 0; k < group; k++)
			sum += score[i * group + k];
		score[i] = sum;
	}
	return r < 0 ? r : pick(score, n / group, stay, keep, err);
}

static int prune_neurons(struct pruning *j, struct rt_error *err)
{
	static const char *const rows[] = { ".gate_proj.", ".up_proj.", NULL };
	const int64_t layers = rt_model_shape(j->m)->layers, n = rt_model_shape(j->m)->feed_forward;
	int64_t      *keep = rt_arena_alloc(&j->room, (size_t)n, sizeof *keep), stay, at = -1;
	float        *weight = rt_arena_alloc(&j->room, (size_t)n, sizeof *weight);
	const int64_t multiple = j->cfg->multiple ? j->cfg->multiple : 32;
	int r = keep && weight ? left(j, n, multiple, &stay, err) : rt_fail_nomem(err, "a ranking");

	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->m); i++) {
		const struct rt_parameter p = rt_model_parameter(j->m, i);

		if (p.layer >= 0 && p.layer != at) {
			at = p.layer;
			unit_norms(j, at, rows, ".down_proj.", 1, n, weight);
			r = choose(j, RT_UNIT_NEURON, j->stats.neurons + at * n, n, weight, stay, 1,
			           keep, err);
			if (r < 0)
				return r;
			rt_progress(j->c, at + 1, layers, "layers");
		}
		if (p.layer >= 0 && (has(&p, rows[0]) || has(&p, rows[1])))
			r = cut(j, &p, false, 1, keep, stay);
		else if (p.layer >= 0 && has(&p, ".down_proj.weight"))
			r = cut(j, &p, true, 1, keep, stay);
		else
			r = add(j, p.name, p.tensor);
		if (r < 0)
			r = rt_fail_nomem(err, "a model");
	}
	if (r == 0 && set_int(j, "intermediate_size", stay) < 0)
		r = rt_fail_nomem(err, "a configuration");
	j->before = n;
	j->after = r == 0 ? stay : 0;
	return r;
}

/* One parameter of a layer of which `stay` groups of heads are kept. */
static int cut_heads(struct pruning *j, const struct rt_parameter *p, const int64_t *keep,
                     int64_t stay)
{
	const struct rt_model_shape *s = rt_model_shape(j->m);
	const int64_t                group = s->heads / s->kv_heads, dim = s->head_dim;

	if (p->layer < 0)
		return add(j, p->name, p->tensor);
	if (has(p, ".q_proj."))
		return cut(j, p, false, group * dim, keep, stay);
	if (has(p, ".k_proj.") || has(p, ".v_proj."))
		return cut(j, p, false, dim, keep, stay);
	if (has(p, ".o_proj.weight"))
		return cut(j, p, true, group * dim, keep, stay);
	return add(j, p->name, p->tensor);
}

static int prune_heads(struct pruning *j, struct rt_error *err)
{
	static const char *const     rows[] = { ".q_proj.", NULL };
	const struct rt_model_shape *s = rt_model_shape(j->m);
	const int64_t                n = s->heads, group = n / s->kv_heads;
	int64_t *keep = rt_arena_alloc(&j->room, (size_t)s->kv_heads, sizeof *keep), stay, at = -1;
	float   *weight = rt_arena_alloc(&j->room, (size_t)n, sizeof *weight);
	int      r = keep && weight ? left(j, s->kv_heads, 1, &stay, err)
	                            : rt_fail_nomem(err, "a ranking");

	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->m); i++) {
		const struct rt_parameter p = rt_model_parameter(j->m, i);

		if (p.layer >= 0 && p.layer != at) {
			at = p.layer;
			unit_norms(j, at, rows, ".o_proj.", s->head_dim, n, weight);
			r = choose(j, RT_UNIT_HEAD, j->stats.heads + at * n, n, weight, stay, group,
			           keep, err);
			if (r < 0)
				return r;
		}
		r = cut_heads(j, &p, keep, stay);
		if (r < 0)
			r = rt_fail_nomem(err, "a model");
	}
	if (r == 0 && (set_int(j, "num_attention_heads", stay * group) < 0 ||
	               set_int(j, "num_key_value_heads", stay) < 0 ||
	               set_int(j, "head_dim", s->head_dim) < 0))
		r = rt_fail_nomem(err, "a configuration");
	j->before = n;
	j->after = r == 0 ? stay * group : 0;
	return r;
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

/* Importance of tokens by how often they occur in all rows; those that have any stay. */
static int rank_tokens(struct pruning *j, struct rt_error *err)
{
	const int64_t        V = rt_model_shape(j->m)->vocabulary;
	float               *count = rt_arena_alloc(&j->room, (size_t)V, sizeof *count);
	float               *score = rt_arena_alloc(&j->room, (size_t)V, sizeof *score);
	struct rt_unit_stats u = { .units = RT_UNIT_TOKEN, .n = V, .count = count };
	int                  r = count && score ? 0 : rt_fail_nomem(err, "a ranking");

	for (int64_t i = 0; r == 0 && i < j->data.n; i++) {
		for (int64_t k = 0; k < j->data.at[i].n; k++)
			count[j->data.at[i].token[k]]++;
		j->stats.tokens += j->data.at[i].n;
	}
	if (r == 0)
		r = rank(j, &u, score, err);
	for (int64_t i = 0; r == 0 && i < V; i++)
		j->text.keep[i] |= score[i] > 0;
	return r;
}

static int prune_tokens(struct pruning *j, struct rt_error *err)
{
	const int64_t V = rt_model_shape(j->m)->vocabulary;
	char         *folder = rt_path_join(rt_work_dir(j->c), "text");
	int           r = folder ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = cut_text_open(&j->text, j->cfg->model->path, folder, V, err);
	rt_free(folder);
	if (r == 0)
		r = rank_tokens(j, err);
	if (r < 0)
		return r;
	cut_text_mark(&j->text, j->config);
	r = cut_text_choose(&j->text, err);
	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->m); i++) {
		const struct rt_parameter p = rt_model_parameter(j->m, i);

		if (p.layer < 0 && (has(&p, "embed_tokens") || has(&p, "lm_head")))
			r = cut(j, &p, false, 1, j->text.kept, j->text.n_kept);
		else
			r = add(j, p.name, p.tensor);
		if (r < 0)
			r = rt_fail_nomem(err, "a model");
	}
	if (r == 0 && (cut_text_rename(&j->text, j->config) < 0 ||
	               set_int(j, "vocab_size", j->text.n_kept) < 0))
		r = rt_fail_nomem(err, "a configuration");
	j->before = V;
	j->after = j->text.n_kept;
	return r < 0 ? r : cut_text_write(&j->text, err);
}

/* ---- single weights ----------------------------------------------------------------------------
 */

static int mask_one(struct pruning *j, const struct rt_parameter *p, struct rt_error *err)
{
	const struct rt_component *pruner = j->cfg->pruner;
	const int64_t              rows = p->tensor.dim[0], cols = p->tensor.dim[1];
	float                     *norm = rt_alloc((size_t)cols, sizeof *norm), *w = p->tensor.data;
	float                     *out = rt_alloc((size_t)(rows * cols), sizeof *out);
	uint8_t                   *keep = rt_alloc((size_t)(rows * cols), sizeof *keep);
	struct rt_linear           l = { rows, cols, w, NULL, norm, j->stats.tokens };
	int                        r = norm && out && keep ? 0 : rt_fail_nomem(err, "a mask");

	if (r == 0)
		moments_norm(&j->stats.inputs[p->layer], input_of(p->name), norm);
	if (r == 0)
		r = pruner->plugin->ops.pruner->mask(pruner->state, &l, 1 - share(j->cfg), keep,
		                                     out, err);
	if (r == 0)
		memcpy(w, out, (size_t)(rows * cols) * sizeof *w);
	for (int64_t i = 0; r == 0 && i < rows * cols; i++)
		j->after += keep[i];
	j->before += rows * cols;
	rt_free(norm);
	rt_free(out);
	rt_free(keep);
	return r < 0 ? rt_within(err, r, "pruner-%s, %s", pruner->plugin->name, p->name) : 0;
}

static int prune_weights(struct pruning *j, struct rt_error *err)
{
	int r = 0;

	for (int64_t i = 0; r == 0 && i < rt_model_parameters(j->m); i++) {
		const struct rt_parameter p = rt_model_parameter(j->m, i);

		if (p.layer >= 0 && p.linear)
			r = mask_one(j, &p, err);
		if (r == 0 && add(j, p.name, p.tensor) < 0)
			r = rt_fail_nomem(err, "a model");
	}
	return r;
}

/* ---- all kinds of units -------------------------------------------------------------------------
 */

int prune_cut(struct pruning *j, struct rt_error *err)
{
	switch (prune_units_of(j->cfg)) {
	case RT_UNIT_LAYER: return prune_layers(j, err);
	case RT_UNIT_NEURON: return prune_neurons(j, err);
	case RT_UNIT_HEAD: return prune_heads(j, err);
	case RT_UNIT_TOKEN: return prune_tokens(j, err);
	case 0: return prune_weights(j, err);
	default:
		return rt_fail(err, RT_E_UNSUP,
		               "this stage cuts layers, heads, neurons, tokens and single weights, "
		               "not the units of pruner-%s",
		               j->cfg->pruner->plugin->name);
	}
}
