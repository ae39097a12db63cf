/* checkpoint-gguf.c - a model's weights out of a GGUF file.  See checkpoint.h
 *
 * Metadata becomes the config.json that would have led to it, so one reader knows all rules.
 * Files of architecture llama keep the rows of q and k in another order (the two halves that
 * rotary positions pair are interleaved); they are put back. */
#include "model/checkpoint.h"

#include <stdio.h>
#include <string.h>

/* An integer of the architecture to a key of config.json. */
static const struct {
	const char *gguf, *hf;
} integers[] = {
	{ "embedding_length", "hidden_size" },
	{ "block_count", "num_hidden_layers" },
	{ "attention.head_count", "num_attention_heads" },
	{ "attention.head_count_kv", "num_key_value_heads" },
	{ "attention.key_length", "head_dim" },
	{ "feed_forward_length", "intermediate_size" },
	{ "context_length", "max_position_embeddings" },
};

struct source {
	const struct gguf *g;
	const char        *arch;
};

static const char *key_of(const struct source *s, const char *tail, char key[128])
{
	snprintf(key, 128, "%s.%s", s->arch, tail);
	return key;
}

/* rope_scaling, as far as metadata says it; 0 or an error. */
static int put_scaling(const struct source *s, struct rt_json *config, const char *path,
                       struct rt_error *err)
{
	char                   key[128], kind[16] = "none";
	const struct gguf_text type = gguf_string(s->g, key_of(s, "rope.scaling.type", key));
	struct rt_json        *o;
	const int64_t          original =
		gguf_int(s->g, key_of(s, "rope.scaling.original_context_length", key), 0);
	int r = 0;

	if (type.data && type.n < sizeof kind)
		snprintf(kind, sizeof kind, "%.*s", (int)type.n, type.data);
	if (strcmp(kind, "none") == 0)
		return 0;
	if (strcmp(kind, "linear") != 0 && strcmp(kind, "yarn") != 0)
		return rt_fail(err, RT_E_UNSUP, "%s: rope.scaling.type = %s is not supported", path,
		               kind);
	o = rt_json_new_object();
	if (!o)
		return rt_fail_nomem(err, "a configuration");
	r |= rt_json_set(o, "rope_type", rt_json_new_string(kind));
	r |= rt_json_set(
		o, "factor",
		rt_json_new_real(gguf_real(s->g, key_of(s, "rope.scaling.factor", key), 1.0)));
	if (original > 0)
		r |= rt_json_set(o, "original_max_position_embeddings", rt_json_new_int(original));
	r |= rt_json_set(config, "rope_scaling", o);
	return r ? rt_fail_nomem(err, "a configuration") : 0;
}

/* The class by which transformers and vLLM call it. */
static struct rt_json *architectures(const char *arch)
{
	struct rt_json *list = rt_json_new_array();
	const char     *name = strcmp(arch, "qwen2") == 0   ? "Qwen2ForCausalLM"
	                       : strcmp(arch, "qwen3") == 0 ? "Qwen3ForCausalLM"
	                                                    : "LlamaForCausalLM";

	if (rt_json_append(list, rt_json_new_string(name)) == 0)
		return list;
	rt_json_free(list);
	return NULL;
}

static int make_config(const struct source *s, const char *path, struct rt_json **ret,
                       struct rt_error *err)
{
	const struct gguf_tensor *embed = gguf_find_tensor(s->g, "token_embd.weight");
	struct rt_json           *c = rt_json_new_object();
	char                      key[128];
	int                       r = c ? 0 : RT_E_NOMEM;

	if (r == 0)
		r |= rt_json_set(c, "architectures", architectures(s->arch)) |
		     rt_json_set(c, "model_type", rt_json_new_string(s->arch));
	for (size_t i = 0; r == 0 && i < sizeof integers / sizeof *integers; i++) {
		const int64_t x = gguf_int(s->g, key_of(s, integers[i].gguf, key), -1);

		if (x >= 0)
			r |= rt_json_set(c, integers[i].hf, rt_json_new_int(x));
	}
	if (r == 0) {
		const double eps =
			gguf_real(s->g, key_of(s, "attention.layer_norm_rms_epsilon", key), 1e-6);
		const double theta = gguf_real(s->g, key_of(s, "rope.freq_base", key), 10000.0);

		r |= rt_json_set(c, "rms_norm_eps", rt_json_new_real(eps));
		r |= rt_json_set(c, "rope_theta", rt_json_new_real(theta));
		r |= rt_json_set(c, "vocab_size",
		                 rt_json_new_int(embed ? embed->tensor.dim[0] : 0));
		r |= rt_json_set(c, "tie_word_embeddings",
		                 rt_json_new_bool(!gguf_find_tensor(s->g, "output.weight")));
		r |= rt_json_set(c, "hidden_act", rt_json_new_string("silu"));
	}
	r = r ? rt_fail_nomem(err, "a configuration") : put_scaling(s, c, path, err);
	if (r == 0)
		*ret = c;
	else
		rt_json_free(c);
	return r;
}

/* HF row (head, half, i) stands at (head, 2 i + half). */
static int unturn(struct model *m, struct rt_tensor *t, struct rt_error *err)
{
	const int64_t half = m->config.head_dim / 2, heads = t->dim[0] / (2 * half);
	const int64_t row = rt_bytes(t) / t->dim[0];
	const char   *src = t->data;
	char         *dst = rt_arena_alloc(&m->checkpoint->copies, (size_t)rt_bytes(t), 1);

	if (!dst)
		return rt_fail_nomem(err, "a tensor");
	t->data = dst;
	for (int64_t h = 0; h < heads; h++)
		for (int64_t j = 0; j < 2; j++)
			for (int64_t i = 0; i < half; i++, dst += row)
				memcpy(dst, src + (h * 2 * half + 2 * i + j) * row, (size_t)row);
	return 0;
}

static bool is_turned(int64_t index)
{
	const int64_t part = index < W_LAYERS ? -1 : (index - W_LAYERS) % LAYER_PARTS;

	return part == L_Q || part == L_K || part == L_Q_BIAS || part == L_K_BIAS;
}

/* Biases and norms are there or not, whatever the family usually has. */
static void look_for_parts(const struct gguf *g, struct model_config *c)
{
	c->bias_qkv = gguf_find_tensor(g, "blk.0.attn_q.bias") != NULL;
	c->bias_o = gguf_find_tensor(g, "blk.0.attn_output.bias") != NULL;
	c->bias_mlp = gguf_find_tensor(g, "blk.0.ffn_gate.bias") != NULL;
	c->qk_norm = gguf_find_tensor(g, "blk.0.attn_q_norm.weight") != NULL;
}

/* Divisors of the rotary frequencies, which carry llama3's scaling. */
static int adopt_divisors(struct model *m, const struct rt_tensor *t, const char *path,
                          struct rt_error *err)
{
	const int64_t half = m->config.head_dim / 2;

	if (t->ndim != 1 || t->dim[0] != half || t->dtype != RT_F32)
		return rt_fail(err, RT_E_SHAPE, "%s: rope_freqs.weight is not f32 [%lld]", path,
		               (long long)half);
	return config_rope_adopt(&m->config, t->data, err);
}

static int adopt_all(struct model *m, const char *path, bool turned, struct rt_error *err)
{
	const struct gguf *g = &m->checkpoint->gguf;
	int                r = 0;

	for (int64_t i = 0; r == 0 && i < g->n_tensors; i++) {
		struct rt_tensor t = g->tensors[i].tensor;
		char             name[WEIGHTS_NAME];
		int64_t          index;

		snprintf(name, sizeof name, "%.*s",
		         (int)(g->tensors[i].name.n < sizeof name - 1 ? g->tensors[i].name.n
		                                                      : sizeof name - 1),
		         g->tensors[i].name.data);
		if (strcmp(name, "rope_freqs.weight") == 0) {
			r = adopt_divisors(m, &t, path, err);
			continue;
		}
		index = weights_find(name, NAME_GGUF, m->config.layers);
		if (index < 0)
			r = rt_fail(err, RT_E_UNSUP,
			            "%s: tensor %s is not part of a %s model of %lld "
			            "layers",
			            path, name, m->config.type, (long long)m->config.layers);
		if (r == 0)
			r = checkpoint_adopt(m, index, name, &t, path, err);
		if (r == 0 && turned && is_turned(index))
			r = unturn(m, &m->weights.t[index], err);
	}
	return r;
}

int checkpoint_open_gguf(struct model *m, const char *path, struct rt_error *err)
{
	struct gguf     *g = &m->checkpoint->gguf;
	char             arch[32] = "";
	struct gguf_text name;
	struct rt_json  *json = NULL;
	int              r = gguf_open(g, path, err);

	if (r != 0)
		return r;
	name = gguf_string(g, "general.architecture");
	snprintf(arch, sizeof arch, "%.*s", (int)(name.n < 31 ? name.n : 31),
	         name.n ? name.data : "");
	r = make_config(&(struct source){ g, arch }, path, &json, err);
	if (r == 0)
		r = model_config_init(&m->config, json, path, err);
	rt_json_free(json);
	if (r != 0)
		return r;
	look_for_parts(g, &m->config);
	r = weights_init(&m->weights, m->config.layers, err);
	if (r == 0)
		r = adopt_all(m, path, strcmp(arch, "llama") == 0, err);
	return r ? r : checkpoint_complete(m, NAME_GGUF, path, err);
}
