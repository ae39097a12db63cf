/* config.h - the shape of a decoder transformer, from config.json alone.
 *
 * Families: Qwen2, Qwen3, Llama (2, 3, SmolLM2, TinyLlama), Mistral, in the older spelling of
 * Hugging Face's config.json (rope_theta, rope_scaling, torch_dtype) and the newer one
 * (rope_parameters, dtype).  A model_type that is unknown, or a key that would change the
 * computation in a way that is not supported, is an error that names it.  What is not
 * understood and does no harm stays in `json` and is written again. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <retort/json.h>
#include <retort/tensor.h>

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN };

struct rope {
	enum rope_kind kind;
	double         theta, factor;
	double         low, high;            /* llama3: low_freq_factor, high_freq_factor */
	double         beta_fast, beta_slow; /* yarn */
	double         attention_factor;     /* yarn: multiplies cos and sin; 1 elsewhere */
	bool           truncate;             /* yarn: bounds rounded to whole dimensions */
	int64_t        original;             /* positions that the model was trained on */
	float         *divisor;              /* [head_dim / 2] of the frequencies, or NULL */
};

struct model_config {
	char            type[16]; /* model_type */
	int64_t         vocabulary, hidden, layers, heads, kv_heads, head_dim, feed_forward;
	int64_t         context; /* max_position_embeddings */
	double          norm_eps;
	bool            tied, qk_norm;
	bool            bias_qkv, bias_o, bias_mlp;
	struct rope     rope;
	int64_t        *window; /* [layers]: keys that a query sees; 0: all */
	enum rt_dtype   dtype;  /* that the file names; f32 when it names none */
	struct rt_json *json;   /* the whole of it */
};

/* Takes a reference of its own to json.  `name` (a path) begins messages.  RT_E_UNSUP,
 * RT_E_FORMAT, RT_E_RANGE, RT_E_NOMEM; on failure *ret is empty. [any] */
int  model_config_init(struct model_config *ret, struct rt_json *json, const char *name,
                       struct rt_error *err);
void model_config_fini(struct model_config *c);

/* Positions that it can be run over: dynamic scaling stretches what it was trained on. */
int64_t config_reach(const struct model_config *c);

/* Cosines and sines [rows, head_dim / 2] of the rows' positions.  With dynamic scaling they
 * depend on how long the sequence is: `length`, or up to the largest position if that is more.
 * [any] */
void config_rope_tables(const struct model_config *c, const int32_t *position, int64_t rows,
                        int64_t length, float *cos, float *sin);

/* Divisors of the plain frequencies [head_dim / 2] that say what this scaling does, for files
 * that store it so; NULL when the frequencies are plain, or scaled in another way, or memory is
 * out.  The caller frees it with rt_free(). */
float *config_rope_divisor(const struct model_config *c);

/* The way back: llama3's scaling where these divisors are what it makes (with the frequency factors
 * 1 and 4 that all published models have), and then it is in c->json too; else as they are. */
int config_rope_adopt(struct model_config *c, const float *divisor, struct rt_error *err);

#endif
