/* model.c - stage-model: a checkpoint that is there, or a new model of a given shape.
 *
 * A new model gets random weights, and a byte-level BPE tokenizer trained on the rows of datasets
 * (as the chat template writes them), or the tokenizer of a folder. */
#include "model-text.h"

#include <retort/file.h>
#include <retort/format.h>
#include <retort/memory.h>
#include <retort/stage.h>

#include <string.h>

static const char *const   families[] = { "qwen2", "qwen3", "llama", NULL };
static const char *const   architectures[] = { "Qwen2ForCausalLM", "Qwen3ForCausalLM",
	                                       "LlamaForCausalLM" };
static const char *const   dtypes[] = { "f32", "bf16", "f16", NULL };
static const enum rt_dtype numbers[] = { RT_F32, RT_BF16, RT_F16 };

struct config {
	const char          *path, *gguf, *config;
	struct rt_component *format;
	int                  family, dtype;
	int64_t              hidden, layers, heads, kv_heads, head_dim, feed_forward, context;
	double               rope_theta, range;
	bool                 tied;
	struct new_text      text;
};

static const struct rt_param params[] = {
	RT_PARAM_PATH(struct config, path, NULL, "Hugging Face directory to take.",
	              .flags = RT_P_FOLDER),
	RT_PARAM_PATH(struct config, gguf, NULL, "GGUF file to take."),
	RT_PARAM_COMPONENT(struct config, format, FORMAT, NULL,
	                   "Who reads the weights of the directory; the model is kept as "
	                   "model.gguf then, each tensor in the type that the format gives."),
	RT_PARAM_PATH(struct config, config, NULL,
	              "config.json of a new model; its vocab_size grows to the tokenizer's."),
	RT_PARAM_ENUM(struct config, family, 1, families, "Architecture of a new model."),
	RT_PARAM_INT(struct config, hidden, 0, 0, 1 << 16, "numbers", "Width of a new model."),
	RT_PARAM_INT(struct config, layers, 4, 1, 1024, NULL, "Layers of a new model."),
	RT_PARAM_INT(struct config, heads, 4, 1, 1024, NULL, "Query heads of a new model."),
	RT_PARAM_INT(struct config, kv_heads, 0, 0, 1024, NULL,
	             "Key and value heads; 0: as many as query heads."),
	RT_PARAM_INT(struct config, head_dim, 0, 0, 1024, "numbers",
	             "Width of a head; 0: hidden / heads."),
	RT_PARAM_INT(struct config, feed_forward, 0, 0, 1 << 20, "numbers",
	             "Neurons of a layer; 0: 8/3 of hidden, in whole 64s."),
	RT_PARAM_INT(struct config, context, 1024, 16, 1 << 24, "tokens", "Longest sequence."),
	RT_PARAM_REAL(struct config, rope_theta, 10000, 1, 1e12, NULL,
	              "Base of the rotary positions."),
	RT_PARAM_REAL(
		struct config, range, .02, 0, 1, NULL,
		"Deviation of the random weights of a new model.  What large ones begin with; a "
		"narrow one learns in fewer steps from about 0.6 / sqrt(hidden)."),
	RT_PARAM_BOOL(struct config, tied, true, "Whether embedding and head are one matrix."),
	RT_PARAM_ENUM(struct config, dtype, 0, dtypes, "How a new model's weights are stored."),
	NEW_TEXT_PARAMS(struct config, text),
	RT_PARAM_END
};

static const struct rt_stage_output outputs[] = { { "model", "The model.", RT_MODEL, 0 }, { 0 } };

static bool is_new(const struct config *c)
{
	return !c->path && !c->gguf;
}

/* ---- what counts ----------------------------------------------------------------------------- */

/* What a model that is there leaves to say; what a config.json says; what a tokenizer has. */
static const char *const taken_keys[] = { "path", "gguf", "format", NULL };
static const char *const shape_keys[] = { "family", "layers",       "heads",   "kv_heads",
	                                  "range",  "head_dim",     "context", "rope_theta",
	                                  "tied",   "feed_forward", NULL };
static const char *const text_keys[] = { "vocabulary", "pattern",  "special",
	                                 "marks",      "template", NULL };

static bool among(const char *name, const char *const *keys)
{
	while (*keys && strcmp(*keys, name) != 0)
		keys++;
	return *keys != NULL;
}

/* Is a parameter another than it is by itself? */
static bool given(const struct rt_param *p, const struct config *c)
{
	const void *at = (const char *)c + p->offset;
	const char *s;

	if (p->list) /* none by itself */
		return p->type == RT_INPUT ? ((const struct rt_inputs *)at)->n > 0
		                           : ((const struct rt_strings *)at)->n > 0;
	switch (p->type) {
	case RT_BOOL: return *(const bool *)at != (p->dflt.i != 0);
	case RT_INT: return *(const int64_t *)at != p->dflt.i;
	case RT_ENUM: return *(const int *)at != p->dflt.i;
	case RT_REAL: return *(const double *)at < p->dflt.r || *(const double *)at > p->dflt.r;
	case RT_STRING:
	case RT_PATH:
		s = *(const char *const *)at;
		return s && (!p->dflt.s || strcmp(s, p->dflt.s) != 0);
	default: return false;
	}
}

static int check_counts(const struct config *c, struct rt_error *err)
{
	for (const struct rt_param *p = params; p->name; p++) {
		const char *from = NULL;

		if (!is_new(c) && !among(p->name, taken_keys))
			from = "a model that is there";
		else if (is_new(c) && c->config && among(p->name, shape_keys))
			from = "config.json";
		else if (is_new(c) && c->text.tokenizer && among(p->name, text_keys))
			from = "a tokenizer that is there";
		if (from && given(p, c))
			return rt_fail(err, RT_E_USAGE, "%s has its own %s: leave %s out", from,
			               p->name, p->name);
	}
	return 0;
}

static int check(const void *config, struct rt_error *err)
{
	const struct config *c = config;
	int                  r;

	if (!!c->path + !!c->gguf + !!c->config + (c->hidden > 0) != 1)
		return rt_fail(err, RT_E_USAGE,
		               "give one of path, gguf, config and hidden: where the model comes "
		               "from, or how wide a new one is");
	if (c->format && !c->path)
		return rt_fail(err, RT_E_USAGE, "format-%s reads a directory: give path",
		               c->format->plugin->name);
	r = check_counts(c, err);
	if (r < 0 || !is_new(c))
		return r;
	if (c->hidden && !c->head_dim && c->hidden % c->heads)
		return rt_fail(
			err, RT_E_RANGE,
			"hidden %lld is no multiple of %lld heads; change one, or set head_dim",
			(long long)c->hidden, (long long)c->heads);
	if (c->kv_heads && c->heads % c->kv_heads)
		return rt_fail(err, RT_E_RANGE,
		               "%lld heads cannot share %lld key-value heads evenly",
		               (long long)c->heads, (long long)c->kv_heads);
	return new_text_check(&c->text, err);
}

/* ---- a new one ------------------------------------------------------------------------------ */

static struct rt_json *shape_config(const struct config *c)
{
	const int64_t kv = c->kv_heads ? c->kv_heads : c->heads;
	const int64_t dim = c->head_dim ? c->head_dim : c->hidden / c->heads;
	const int64_t neurons =
		c->feed_forward ? c->feed_forward : (c->hidden * 8 / 3 + 63) / 64 * 64;
	struct rt_json *o = rt_json_new_object(), *names = rt_json_new_array();
	int             r = o && names ? 0 : RT_E_NOMEM;

	if (r < 0) {
		rt_json_free(o);
		rt_json_free(names);
		return NULL;
	}
	r |= rt_json_append(names, rt_json_new_string(architectures[c->family]));
	r |= rt_json_set(o, "architectures", names);
	r |= rt_json_set(o, "model_type", rt_json_new_string(families[c->family]));
	r |= rt_json_set(o, "hidden_size", rt_json_new_int(c->hidden));
	r |= rt_json_set(o, "intermediate_size", rt_json_new_int(neurons));
	r |= rt_json_set(o, "num_hidden_layers", rt_json_new_int(c->layers));
	r |= rt_json_set(o, "num_attention_heads", rt_json_new_int(c->heads));
	r |= rt_json_set(o, "num_key_value_heads", rt_json_new_int(kv));
	r |= rt_json_set(o, "head_dim", rt_json_new_int(dim));
	r |= rt_json_set(o, "hidden_act", rt_json_new_string("silu"));
	r |= rt_json_set(o, "max_position_embeddings", rt_json_new_int(c->context));
	r |= rt_json_set(o, "rms_norm_eps", rt_json_new_real(1e-6));
	r |= rt_json_set(o, "rope_theta", rt_json_new_real(c->rope_theta));
	r |= rt_json_set(o, "tie_word_embeddings", rt_json_new_bool(c->tied));
	r |= rt_json_set(o, "initializer_range", rt_json_new_real(c->range));
	r |= rt_json_set(o, "torch_dtype", rt_json_new_string("float32"));
	if (r == 0)
		return o;
	rt_json_free(o);
	return NULL;
}

static int make_config(const struct config *c, const struct made_text *text, struct rt_json **ret,
                       struct rt_error *err)
{
	int64_t size = text->size;
	int     r = 0;

	*ret = NULL;
	if (c->config)
		r = rt_json_read(c->config, 0, ret, err);
	else
		*ret = shape_config(c);
	if (r < 0)
		return r;
	if (!*ret)
		return rt_fail_nomem(err, "a configuration");
	/* A shape may have more rows than its tokenizer has tokens. */
	if (rt_json_int(rt_json_get(*ret, "vocab_size"), 0) > text->size)
		size = rt_json_int(rt_json_get(*ret, "vocab_size"), 0);
	if (rt_json_set(*ret, "vocab_size", rt_json_new_int(size)) < 0 ||
	    (text->end >= 0 && rt_json_set(*ret, "eos_token_id", rt_json_new_int(text->end)) < 0))
		return rt_fail_nomem(err, "a configuration");
	return 0;
}

static int make(const struct config *c, struct rt_context *context, const char *out,
                struct rt_error *err)
{
	char            *text_dir = rt_path_join(rt_work_dir(context), "text");
	struct made_text text;
	struct rt_json  *config = NULL;
	struct rt_model *m = NULL;
	int              r = text_dir ? 0 : rt_fail_nomem(err, "a path");

	if (r == 0)
		r = new_text_make(&c->text, text_dir, &text, context, err);
	if (r == 0)
		r = make_config(c, &text, &config, err);
	if (r == 0)
		r = rt_model_new(&m, config, rt_seed(context), err);
	if (r == 0) {
		const struct rt_model_shape *s = rt_model_shape(m);

		rt_log(context, RT_LOG_INFO,
		       "a new %s model of %lld parameters, %lld of them "
		       "the embedding of %lld tokens",
		       rt_json_string(rt_json_get(config, "model_type")), (long long)s->parameters,
		       (long long)(s->vocabulary * s->hidden), (long long)s->vocabulary);
		r = rt_model_write(m, out, numbers[c->dtype], text_dir, err);
	}
	rt_model_close(m);
	rt_json_free(config);
	rt_free(text_dir);
	return r;
}

/* ---- one that is there ---------------------------------------------------------------------- */

/* Plain weights go on as they are stored, all others as f32. */
static int take(const struct config *c, const char *out, struct rt_error *err)
{
	const char      *from = c->path ? c->path : c->gguf;
	struct rt_model *m;
	int              r = rt_model_open(&m, from, 0, err);

	if (r < 0)
		return r;
	const enum rt_dtype dtype = rt_model_shape(m)->dtype;
	const bool          plain = dtype == RT_F32 || dtype == RT_BF16 || dtype == RT_F16;

	r = rt_model_write(m, out, plain ? dtype : RT_F32, from, err);
	rt_model_close(m);
	return r;
}

/* What a format reads keeps its types: only GGUF holds them all. */
static int take_format(const struct config *c, const char *out, struct rt_error *err)
{
	const struct rt_component *f = c->format;
	struct rt_weights          w = { 0 };
	struct rt_model           *m = NULL;
	char                      *file = rt_path_join(out, "model.gguf");
	int                        r = file ? 0 : rt_fail_nomem(err, "a path");
	bool                       lent;

	if (r == 0)
		r = f->plugin->ops.format->read(f->state, c->path, &w, err);
	lent = file && r == 0;
	if (r == 0)
		r = rt_model_assemble(&m, w.config, w.tensors, w.n, c->path, err);
	if (r == 0)
		r = rt_model_write_gguf(m, file, RT_AS_STORED, c->path, err);
	rt_model_close(m);
	if (lent)
		f->plugin->ops.format->release(f->state, &w);
	rt_free(file);
	return r < 0 ? rt_within(err, r, "format-%s", f->plugin->name) : 0;
}

static int run(void *state, struct rt_context *c, const char *const *out, struct rt_error *err)
{
	const struct config *cfg = state;

	return is_new(cfg)   ? make(cfg, c, out[0], err)
	       : cfg->format ? take_format(cfg, out[0], err)
	                     : take(cfg, out[0], err);
}

static const struct rt_stage_ops ops = { .size = sizeof ops, .outputs = outputs, .run = run };

RT_PLUGIN(stage_model, STAGE, .name = "model", .version = "1.1", .license = "Apache-2.0",
          .summary = "A model to begin with: a checkpoint, or a new one with its own tokenizer.",
          .config_size = sizeof(struct config), .params = params, .check = check,
          .ops.stage = &ops);
