/* weights.c - see weights.h */
#include "model/weights.h"

#include <retort/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum size { NONE, HIDDEN, QUERY, KEY, HEAD_DIM, FORWARD, VOCABULARY };
enum when { ALWAYS, BIAS_QKV, BIAS_O, BIAS_MLP, QK_NORM };

struct row {
	const char *hf, *gguf; /* the name, or what follows "model.layers.N." and "blk.N." */
	enum size   rows, columns;
	enum when   when;
};

static const struct row model_rows[W_LAYERS] = {
	[W_EMBED] = { "model.embed_tokens.weight", "token_embd.weight", VOCABULARY, HIDDEN,
	              ALWAYS },
	[W_NORM] = { "model.norm.weight", "output_norm.weight", HIDDEN, NONE, ALWAYS },
	[W_HEAD] = { "lm_head.weight", "output.weight", VOCABULARY, HIDDEN, ALWAYS },
};

static const struct row layer_rows[LAYER_PARTS] = {
	[L_ATTN_NORM] = { "input_layernorm.weight", "attn_norm.weight", HIDDEN, NONE, ALWAYS },
	[L_Q] = { "self_attn.q_proj.weight", "attn_q.weight", QUERY, HIDDEN, ALWAYS },
	[L_K] = { "self_attn.k_proj.weight", "attn_k.weight", KEY, HIDDEN, ALWAYS },
	[L_V] = { "self_attn.v_proj.weight", "attn_v.weight", KEY, HIDDEN, ALWAYS },
	[L_O] = { "self_attn.o_proj.weight", "attn_output.weight", HIDDEN, QUERY, ALWAYS },
	[L_Q_BIAS] = { "self_attn.q_proj.bias", "attn_q.bias", QUERY, NONE, BIAS_QKV },
	[L_K_BIAS] = { "self_attn.k_proj.bias", "attn_k.bias", KEY, NONE, BIAS_QKV },
	[L_V_BIAS] = { "self_attn.v_proj.bias", "attn_v.bias", KEY, NONE, BIAS_QKV },
	[L_O_BIAS] = { "self_attn.o_proj.bias", "attn_output.bias", HIDDEN, NONE, BIAS_O },
	[L_Q_NORM] = { "self_attn.q_norm.weight", "attn_q_norm.weight", HEAD_DIM, NONE, QK_NORM },
	[L_K_NORM] = { "self_attn.k_norm.weight", "attn_k_norm.weight", HEAD_DIM, NONE, QK_NORM },
	[L_MLP_NORM] = { "post_attention_layernorm.weight", "ffn_norm.weight", HIDDEN, NONE,
	                 ALWAYS },
	[L_GATE] = { "mlp.gate_proj.weight", "ffn_gate.weight", FORWARD, HIDDEN, ALWAYS },
	[L_UP] = { "mlp.up_proj.weight", "ffn_up.weight", FORWARD, HIDDEN, ALWAYS },
	[L_DOWN] = { "mlp.down_proj.weight", "ffn_down.weight", HIDDEN, FORWARD, ALWAYS },
	[L_GATE_BIAS] = { "mlp.gate_proj.bias", "ffn_gate.bias", FORWARD, NONE, BIAS_MLP },
	[L_UP_BIAS] = { "mlp.up_proj.bias", "ffn_up.bias", FORWARD, NONE, BIAS_MLP },
	[L_DOWN_BIAS] = { "mlp.down_proj.bias", "ffn_down.bias", HIDDEN, NONE, BIAS_MLP },
};

static const struct row *row_of(int64_t index)
{
	return index < W_LAYERS ? &model_rows[index]
	                        : &layer_rows[(index - W_LAYERS) % LAYER_PARTS];
}

int weights_init(struct weights *w, int64_t layers, struct rt_error *err)
{
	w->n = W_LAYERS + layers * LAYER_PARTS;
	w->t = rt_alloc((size_t)w->n, sizeof *w->t);
	return w->t ? 0 : rt_fail_nomem(err, "the table of weights");
}

void weights_fini(struct weights *w)
{
	rt_free(w->t);
	memset(w, 0, sizeof *w);
}

void weights_name(int64_t index, enum weights_style style, char *ret)
{
	const struct row *row = row_of(index);
	const char       *tail = style == NAME_HF ? row->hf : row->gguf;

	if (index < W_LAYERS)
		snprintf(ret, WEIGHTS_NAME, "%s", tail);
	else
		snprintf(ret, WEIGHTS_NAME,
		         style == NAME_HF ? "model.layers.%lld.%s" : "blk.%lld.%s",
		         (long long)(index - W_LAYERS) / LAYER_PARTS, tail);
}

int64_t weights_find(const char *name, enum weights_style style, int64_t layers)
{
	const char *prefix = style == NAME_HF ? "model.layers." : "blk.";
	char       *end;
	long long   layer;

	for (int i = 0; i < W_LAYERS; i++)
		if (strcmp(name, style == NAME_HF ? model_rows[i].hf : model_rows[i].gguf) == 0)
			return i;
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return -1;
	name += strlen(prefix);
	if (*name < '0' || *name > '9')
		return -1;
	layer = strtoll(name, &end, 10);
	if (*end != '.' || layer >= layers)
		return -1;
	for (int i = 0; i < LAYER_PARTS; i++)
		if (strcmp(end + 1, style == NAME_HF ? layer_rows[i].hf : layer_rows[i].gguf) == 0)
			return W_LAYERS + layer * LAYER_PARTS + i;
	return -1;
}

static int64_t size_of(const struct model_config *c, enum size s)
{
	switch (s) {
	case HIDDEN: return c->hidden;
	case QUERY: return c->heads * c->head_dim;
	case KEY: return c->kv_heads * c->head_dim;
	case HEAD_DIM: return c->head_dim;
	case FORWARD: return c->feed_forward;
	case VOCABULARY: return c->vocabulary;
	default: return 0;
	}
}

static bool holds(const struct model_config *c, enum when w)
{
	switch (w) {
	case BIAS_QKV: return c->bias_qkv;
	case BIAS_O: return c->bias_o;
	case BIAS_MLP: return c->bias_mlp;
	case QK_NORM: return c->qk_norm;
	default: return true;
	}
}

bool weights_shape(const struct model_config *c, int64_t index, int64_t *ret_rows,
                   int64_t *ret_columns)
{
	const struct row *row = row_of(index);

	*ret_rows = size_of(c, row->rows);
	*ret_columns = size_of(c, row->columns);
	return holds(c, row->when);
}

/* Floats of a parameter, in whole cache lines. */
static int64_t room(const struct model_config *c, int64_t index)
{
	int64_t rows, columns;

	if (!weights_shape(c, index, &rows, &columns) || (index == W_HEAD && c->tied))
		return 0;
	return (rows * (columns ? columns : 1) + 15) / 16 * 16;
}

int weights_zeros(struct weights *ret, const struct model_config *c, struct rt_error *err)
{
	int64_t total = 0, at = 0;
	float  *data;
	int     r = weights_init(ret, c->layers, err);

	if (r != 0)
		return r;
	for (int64_t i = 0; i < ret->n; i++)
		total += room(c, i);
	data = rt_alloc_aligned((size_t)total, sizeof *data);
	if (!data) {
		weights_fini(ret);
		return rt_fail_nomem(err, "gradients");
	}
	for (int64_t i = 0; i < ret->n; i++) {
		int64_t dim[2];

		if (!weights_shape(c, i, &dim[0], &dim[1]))
			continue;
		if (i == W_HEAD && c->tied) {
			ret->t[i] = ret->t[W_EMBED];
			continue;
		}
		ret->t[i] = rt_tensor(data + at, RT_F32, dim[1] ? 2 : 1, dim);
		at += room(c, i);
	}
	return 0;
}

void weights_free_zeros(struct weights *w)
{
	if (w->t)
		rt_free(w->t[W_EMBED].data); /* the first, where the allocation begins */
	weights_fini(w);
}
