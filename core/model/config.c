/* config.c - see config.h */
#include "model/config.h"

#include <retort/memory.h>

#include <stdio.h>
#include <string.h>

/* What the families take for granted when a key is absent. */
static const struct family {
	const char *type;
	int64_t     kv_heads, head_dim; /* 0: as many as heads; hidden / heads */
	int64_t     context;
	bool        qk_norm, bias_qkv; /* built in, whatever attention_bias says */
	bool        window_everywhere; /* sliding_window counts without use_sliding_window */
	int64_t     window;
} families[] = {
	{ "llama", 0, 0, 2048, false, false, false, 0 },
	{ "mistral", 8, 0, 131072, false, false, true, 4096 },
	{ "qwen2", 32, 0, 32768, false, true, false, 4096 },
	{ "qwen3", 32, 128, 32768, true, false, false, 4096 },
};

/* Keys that change the computation: fine only with the neutral value. */
static const struct neutral {
	const char *key, *value; /* value as JSON; null and absence are neutral, too */
} neutral_keys[] = {
	{ "hidden_act", "\"silu\"" },
	{ "hidden_activation", "\"silu\"" },
	{ "partial_rotary_factor", "1.0" },
	{ "rope_interleaved", "false" },
	{ "attn_logit_softcapping", "0.0" },
	{ "final_logit_softcapping", "0.0" },
	{ "query_pre_attn_scalar", "0" },
	{ "logit_scale", "1.0" },
	{ "logits_scaling", "1.0" },
	{ "embedding_multiplier", "1.0" },
	{ "residual_multiplier", "1.0" },
	{ "attention_multiplier", "1.0" },
	{ "scale_emb", "1.0" },
	{ "scale_depth", "1.0" },
	{ "num_local_experts", "0" },
	{ "num_experts", "0" },
	{ "n_routed_experts", "0" },
	{ "no_rope_layers", "[]" },
	{ "quantization_config", "null" },
	{ "attention_chunk_size", "0" },
	{ "use_mrope", "false" },
	{ "qkv_bias", "true" },
	{ "tie_encoder_decoder", "false" },
	{ "is_encoder_decoder", "false" },
	{ "add_cross_attention", "false" },
};

struct reader {
	const struct rt_json *json;
	const char           *name;
	struct rt_error      *err;
	int                   code;
};

static int64_t integer(struct reader *r, const char *key, int64_t otherwise, int64_t low,
                       int64_t high)
{
	const struct rt_json *v = rt_json_get(r->json, key);
	int64_t               x = otherwise;

	if (r->code != 0)
		return otherwise;
	if (rt_json_type(v) != RT_JSON_NULL) {
		if (!rt_json_is(v, RT_JSON_INT)) {
			r->code = rt_fail(r->err, RT_E_FORMAT, "%s: %s is %s, want an integer",
			                  r->name, key, rt_json_type_name(v));
			return otherwise;
		}
		x = rt_json_int(v, otherwise);
	}
	if (x < low || x > high)
		r->code = rt_fail(r->err, v ? RT_E_RANGE : RT_E_FORMAT,
		                  v ? "%s: %s = %lld is outside %lld to %lld"
		                    : "%s: %s is missing (%lld; want %lld to %lld)",
		                  r->name, key, (long long)x, (long long)low, (long long)high);
	return x;
}

static double real(struct reader *r, const struct rt_json *from, const char *key, double otherwise,
                   double low, double high)
{
	const struct rt_json *v = rt_json_get(from, key);
	double                x;

	if (r->code != 0 || rt_json_type(v) == RT_JSON_NULL)
		return otherwise;
	x = rt_json_real(v, low - 1.0);
	if (!(x >= low && x <= high))
		r->code = rt_fail(r->err, RT_E_RANGE, "%s: %s is no number from %g to %g", r->name,
		                  key, low, high);
	return x;
}

static bool boolean(struct reader *r, const char *key, bool otherwise)
{
	const struct rt_json *v = rt_json_get(r->json, key);

	if (r->code == 0 && rt_json_type(v) != RT_JSON_NULL && !rt_json_is(v, RT_JSON_BOOL))
		r->code = rt_fail(r->err, RT_E_FORMAT, "%s: %s is %s, want true or false", r->name,
		                  key, rt_json_type_name(v));
	return rt_json_bool(v, otherwise);
}

static const struct family *family_of(struct reader *r)
{
	const char *type = rt_json_string(rt_json_get(r->json, "model_type"));

	for (size_t i = 0; type && i < sizeof families / sizeof *families; i++)
		if (strcmp(type, families[i].type) == 0)
			return &families[i];
	r->code = rt_fail(r->err, RT_E_UNSUP,
	                  "%s: model_type %s is not supported; qwen2, qwen3, "
	                  "llama and mistral are",
	                  r->name, type ? type : "(none)");
	return NULL;
}

static bool equals(struct reader *r, const struct rt_json *v, const char *value)
{
	struct rt_json *want = NULL;
	bool            same;

	r->code = rt_json_parse(value, strlen(value), r->name, 1, &want, r->err);
	if (r->code != 0) /* out of memory: the text is our own */
		return false;
	same = rt_json_equal(v, want) ||
	       ((rt_json_is(v, RT_JSON_INT) || rt_json_is(v, RT_JSON_REAL)) &&
	        (rt_json_is(want, RT_JSON_INT) || rt_json_is(want, RT_JSON_REAL)) &&
	        rt_json_real(v, 0.0) == rt_json_real(want, 1.0));
	rt_json_free(want);
	return same;
}

static void check_neutral(struct reader *r)
{
	for (size_t i = 0; r->code == 0 && i < sizeof neutral_keys / sizeof *neutral_keys; i++) {
		const struct neutral *n = &neutral_keys[i];
		const struct rt_json *v = rt_json_get(r->json, n->key);
		struct rt_text        t = RT_TEXT_INIT;

		if (rt_json_type(v) == RT_JSON_NULL || equals(r, v, n->value) || r->code != 0)
			continue;
		rt_json_print(v, RT_JSON_SPACED, &t);
		r->code =
			rt_fail(r->err, RT_E_UNSUP, "%s: %s = %.80s is not supported (only %s is)",
		                r->name, n->key, t.data, n->value);
		rt_text_free(&t);
	}
}

/* Other layouts of weights are for plugins of kind format. */
static void check_plain(struct reader *r)
{
	const struct rt_json *q = rt_json_get(r->json, "quantization_config");
	const char           *method = rt_json_string(rt_json_get(q, "quant_method"));

	if (r->code == 0 && method)
		r->code = rt_fail(r->err, RT_E_UNSUP,
		                  "%s: the weights are quantized by %.40s; format-%.40s reads "
		                  "them, where there is such a plugin, as `format` of stage-model",
		                  r->name, method, method);
}

static void read_shape(struct reader *r, const struct family *f, struct model_config *c)
{
	const int64_t big = (int64_t)1 << 31, many = (int64_t)1 << 24;

	c->hidden = integer(r, "hidden_size", 0, 1, many);
	c->layers = integer(r, "num_hidden_layers", 0, 1, 65536);
	c->heads = integer(r, "num_attention_heads", 0, 1, 65536);
	c->feed_forward = integer(r, "intermediate_size", 0, 1, many);
	c->vocabulary = integer(r, "vocab_size", 0, 1, big);
	c->context = integer(r, "max_position_embeddings", f->context, 1, big);
	if (r->code != 0)
		return;
	c->kv_heads = integer(r, "num_key_value_heads", f->kv_heads ? f->kv_heads : c->heads, 1,
	                      c->heads);
	c->head_dim =
		integer(r, "head_dim", f->head_dim ? f->head_dim : c->hidden / c->heads, 2, 65536);
	if (r->code == 0 && c->heads % c->kv_heads)
		r->code = rt_fail(r->err, RT_E_RANGE,
		                  "%s: %lld attention heads are no multiple of "
		                  "%lld key-value heads",
		                  r->name, (long long)c->heads, (long long)c->kv_heads);
	if (r->code == 0 && c->head_dim % 2)
		r->code = rt_fail(r->err, RT_E_RANGE, "%s: head_dim %lld is odd", r->name,
		                  (long long)c->head_dim);
	c->norm_eps = real(r, r->json, "rms_norm_eps", 1e-6, 0.0, 1.0);
	c->tied = boolean(r, "tie_word_embeddings", false);
	c->qk_norm = f->qk_norm;
	c->bias_qkv = f->bias_qkv || boolean(r, "attention_bias", false);
	c->bias_o = boolean(r, "attention_bias", false);
	c->bias_mlp = boolean(r, "mlp_bias", false);
}

static const struct {
	const char    *name;
	enum rope_kind kind;
} rope_kinds[] = { { "default", ROPE_DEFAULT },
	           { "linear", ROPE_LINEAR },
	           { "dynamic", ROPE_DYNAMIC },
	           { "llama3", ROPE_LLAMA3 },
	           { "yarn", ROPE_YARN } };

/* Older: rope_theta beside rope_scaling { type or rope_type, .. }; newer: all of it in
 * rope_parameters. */
static void read_rope(struct reader *r, struct model_config *c)
{
	const struct rt_json *newer = rt_json_get(r->json, "rope_parameters");
	const struct rt_json *s =
		rt_json_type(newer) != RT_JSON_NULL ? newer : rt_json_get(r->json, "rope_scaling");
	const char  *kind = rt_json_string(rt_json_get(s, "rope_type"));
	struct rope *p = &c->rope;
	size_t       i = 0;

	if (!kind)
		kind = rt_json_string(rt_json_get(s, "type"));
	kind = kind ? kind : "default";
	while (i < sizeof rope_kinds / sizeof *rope_kinds && strcmp(kind, rope_kinds[i].name) != 0)
		i++;
	if (i == sizeof rope_kinds / sizeof *rope_kinds || rt_json_get(s, "full_attention")) {
		r->code =
			rt_fail(r->err, RT_E_UNSUP,
		                "%s: rotary scaling %s is not supported; "
		                "default, linear, dynamic, llama3 and yarn are",
		                r->name, rt_json_get(s, "full_attention") ? "by layer type" : kind);
		return;
	}
	p->kind = rope_kinds[i].kind;
	p->theta = real(r, r->json, "rope_theta", 10000.0, 1.0, 1e15);
	p->theta = real(r, s, "rope_theta", p->theta, 1.0, 1e15);
	p->original = c->context;
	if (rt_json_type(rt_json_get(s, "original_max_position_embeddings")) != RT_JSON_NULL)
		p->original =
			(int64_t)real(r, s, "original_max_position_embeddings", 0.0, 1.0, 1e9);
	p->factor = real(r, s, "factor",
	                 p->kind == ROPE_YARN ? (double)c->context / (double)p->original : 1.0,
	                 1e-3, 1e6);
	p->low = real(r, s, "low_freq_factor", 1.0, 1e-3, 1e6);
	p->high = real(r, s, "high_freq_factor", 4.0, 1e-3, 1e6);
	p->beta_fast = real(r, s, "beta_fast", 32.0, 1e-3, 1e6);
	p->beta_slow = real(r, s, "beta_slow", 1.0, 1e-3, 1e6);
	p->truncate = rt_json_bool(rt_json_get(s, "truncate"), true);
	if (r->code == 0 && p->kind == ROPE_LLAMA3 && p->low >= p->high)
		r->code = rt_fail(r->err, RT_E_RANGE,
		                  "%s: low_freq_factor %g is not below "
		                  "high_freq_factor %g",
		                  r->name, p->low, p->high);
}

/* Which layers see a window only. */
static void read_windows(struct reader *r, const struct family *f, struct model_config *c)
{
	const struct rt_json *types = rt_json_get(r->json, "layer_types");
	const bool            listed = rt_json_type(types) != RT_JSON_NULL;
	const bool            null = rt_json_get(r->json, "sliding_window") &&
	                  rt_json_type(rt_json_get(r->json, "sliding_window")) == RT_JSON_NULL;
	const bool    use = f->window_everywhere || boolean(r, "use_sliding_window", false);
	const int64_t window =
		null ? 0 : integer(r, "sliding_window", f->window, 0, (int64_t)1 << 31);
	const int64_t from =
		f->window_everywhere ? 0 : integer(r, "max_window_layers", 28, 0, 65536);

	if (r->code == 0 && listed && rt_json_length(types) != (size_t)c->layers)
		r->code = rt_fail(r->err, RT_E_FORMAT,
		                  "%s: layer_types has %zu entries for %lld "
		                  "layers",
		                  r->name, rt_json_length(types), (long long)c->layers);
	for (int64_t i = 0; r->code == 0 && i < c->layers; i++) {
		const char *type = listed ? rt_json_string(rt_json_at(types, (size_t)i)) : NULL;

		if (listed && (!type || (strcmp(type, "full_attention") != 0 &&
		                         strcmp(type, "sliding_attention") != 0)))
			r->code = rt_fail(r->err, RT_E_UNSUP,
			                  "%s: layer %lld is of type %s; "
			                  "full_attention and sliding_attention are supported",
			                  r->name, (long long)i, type ? type : "(none)");
		else if (listed)
			c->window[i] = strcmp(type, "full_attention") == 0 ? 0 : window;
		else
			c->window[i] = use && i >= from ? window : 0;
	}
}

static void read_dtype(struct reader *r, struct model_config *c)
{
	static const struct {
		const char   *name;
		enum rt_dtype dtype;
	} names[] = { { "float32", RT_F32 },
		      { "float16", RT_F16 },
		      { "bfloat16", RT_BF16 },
		      { "float64", RT_F64 } };
	const char *name = rt_json_string(rt_json_get(r->json, "dtype"));

	if (!name)
		name = rt_json_string(rt_json_get(r->json, "torch_dtype"));
	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i].name) == 0)
			c->dtype = names[i].dtype;
}

int model_config_init(struct model_config *ret, struct rt_json *json, const char *name,
                      struct rt_error *err)
{
	struct reader        r = { json, name, err, 0 };
	struct model_config  c = { .json = rt_json_ref(json) };
	const struct family *f = NULL;

	if (!rt_json_is(json, RT_JSON_OBJECT))
		r.code = rt_fail(err, RT_E_FORMAT, "%s: %s, want an object", name,
		                 rt_json_type_name(json));
	else
		f = family_of(&r);
	if (f) {
		snprintf(c.type, sizeof c.type, "%s", f->type);
		check_plain(&r);
		check_neutral(&r);
		read_shape(&r, f, &c);
	}
	if (r.code == 0) {
		read_rope(&r, &c);
		read_dtype(&r, &c);
		c.window = rt_alloc((size_t)c.layers, sizeof *c.window);
		if (!c.window)
			r.code = rt_fail_nomem(err, "a configuration");
		else
			read_windows(&r, f, &c);
	}
	if (r.code != 0) {
		model_config_fini(&c);
		memset(ret, 0, sizeof *ret);
		return r.code;
	}
	*ret = c;
	return 0;
}

void model_config_fini(struct model_config *c)
{
	rt_free(c->window);
	rt_free(c->rope.divisor);
	rt_json_free(c->json);
	memset(c, 0, sizeof *c);
}
