/* retort/model.h - a decoder transformer with its tokenizer and its chat template: from a file,
 * through forward and backward passes, and back to a file.
 *
 *     struct rt_model *m;
 *     rt_model_open(&m, "Qwen2.5-0.5B-Instruct", 0, err);
 *     rt_model_forward(m, &batch, NULL, hidden, err);
 *     rt_model_logps(m, hidden, rows, label, NULL, logp, NULL, NULL, NULL, err);
 *     rt_model_close(m);
 *
 * Families: Qwen2, Qwen3, Llama, Mistral; what cannot be computed as the file means it is
 * RT_E_UNSUP and named.  A model that is not being trained does not change: any number of
 * threads may run it.  Every function uses all threads and gives the same bits for any number
 * of them. */
#ifndef RETORT_MODEL_H
#define RETORT_MODEL_H

#include <retort/chat.h>
#include <retort/format.h>
#include <retort/tensor.h>
#include <retort/tokenizer.h>

/* ---- life ------------------------------------------------------------------------------- */

struct rt_model;

enum {
	RT_MODEL_TRAIN = 1, /* weights are copied to f32 memory of its own, and may be written; the
	                     * files are let go of */
	RT_MODEL_TEXT = 2   /* tokenizer, template and stop tokens alone; weights need not be there.
	                     * Its shape is zeros, and nothing can be computed with it */
};

/* A Hugging Face directory or a GGUF file; a folder that holds a model.gguf and no config.json is
 * that file, here and wherever else a path names a model.  Weights are mapped, not copied.
 * Tokenizer, template and stop tokens are read when they are there; a broken one is an error.
 * [worker] */
int  rt_model_open(struct rt_model **ret, const char *path, unsigned flags, struct rt_error *err);
void rt_model_close(struct rt_model *m); /* NULL is fine */

/* A new one to train: config is a config.json.  Matrices are drawn from a normal distribution
 * with deviation initializer_range (.02), those that write to the residual stream from one that
 * is sqrt(2 layers) smaller (Radford 2019); norms are 1, biases 0. [worker] */
int rt_model_new(struct rt_model **ret, const struct rt_json *config, uint64_t seed,
                 struct rt_error *err);

/* One of parts: config.json and tensors under Hugging Face's names, of any type, which stay the
 * caller's and must outlive the model.  Tokenizer and template are those of the folder or GGUF
 * file `text`, or none with NULL. [worker] */
int rt_model_assemble(struct rt_model **ret, const struct rt_json *config,
                      const struct rt_named_tensor *tensors, int64_t n, const char *text,
                      struct rt_error *err);

/* Write a Hugging Face directory (the folder is there) with plain weights f32, f16 or bf16, in
 * shards of at most 5 GB.  Tokenizer files of `text` go along (rt_model_copy_text(); NULL: none).
 * What was written is opened again and compared before this returns 0. [worker] */
int rt_model_write(const struct rt_model *m, const char *folder, enum rt_dtype dtype,
                   const char *text, struct rt_error *err);

/* The tokenizer files of one folder to another, byte for byte; those that are not there are no
 * error.  From a GGUF file, what its metadata says as tokenizer.json, tokenizer_config.json,
 * chat_template.jinja and generation_config.json, or RT_E_UNSUP where that would not give the same
 * tokens. [worker] */
int rt_model_copy_text(const char *from, const char *to, struct rt_error *err);

enum { RT_AS_STORED = -1 }; /* every matrix in the type that it has */

/* What rt_model_write_gguf() stores a tensor as: vectors as f32, matrices as dtype (or
 * RT_AS_STORED).  Where blocks do not divide a row it is the nearest type of smaller blocks
 * (q4_k: q5_0, q5_k: q5_1, q6_k: q8_0, iq4_xs: iq4_nl, as llama.cpp does; q2_k and q3_k: q4_0,
 * where it takes iq4_nl), and f16 where there is none. [any] */
enum rt_dtype rt_gguf_type(const struct rt_tensor *t, int64_t dtype);

/* Write one GGUF file (its name ends in .gguf), every tensor as rt_gguf_type() says; what has that
 * block type already goes along byte for byte.  Tokenizer, template and stop tokens of the folder
 * or GGUF file `text` become metadata (NULL: none), or RT_E_UNSUP where GGUF cannot say them.
 * What was written is opened again and compared. [worker] */
int rt_model_write_gguf(const struct rt_model *m, const char *file, int64_t dtype, const char *text,
                        struct rt_error *err);

/* ---- what it is ------------------------------------------------------------------------- */

struct rt_model_shape {
	int64_t       vocabulary, hidden, layers, heads, kv_heads, head_dim, feed_forward;
	int64_t       context;    /* positions that it was made for, stretched or not */
	int64_t       parameters; /* numbers; a tied embedding once */
	int64_t       bytes;      /* of the weights as they are stored */
	bool          tied;
	enum rt_dtype dtype; /* of most of its weights */
};

const struct rt_model_shape *rt_model_shape(const struct rt_model *m);
const struct rt_json        *rt_model_config(const struct rt_model *m);

/* NULL when the model came without. */
const struct rt_tokenizer *rt_model_tokenizer(const struct rt_model *m);
const struct rt_template  *rt_model_template(const struct rt_model *m);

/* Tokens that end an answer, from generation_config.json, config.json or GGUF. */
const int32_t *rt_model_stops(const struct rt_model *m, int64_t *ret_n);

/* Render with the model's template and its begin and end tokens (rt_template_encode()); chat's
 * bos and eos are filled in.  RT_E_INVAL without template or tokenizer. [any] */
int rt_model_encode_chat(const struct rt_model *m, const struct rt_chat *chat, struct rt_text *out,
                         struct rt_ids *ids, struct rt_ids *mask, struct rt_error *err);

/* The same with another template; NULL: the model's. [any] */
int rt_model_encode_with(const struct rt_model *m, const struct rt_template *t,
                         const struct rt_chat *chat, struct rt_text *out, struct rt_ids *ids,
                         struct rt_ids *mask, struct rt_error *err);

/* Append the ids of a row's prompt (retort/row.h), rendered as an answer to it begins: its messages
 * with its tools and template_kwargs, and what asks for an answer. [any] */
int rt_model_encode_prompt(const struct rt_model *m, const struct rt_json *row, struct rt_ids *ids,
                           struct rt_error *err);

/* Its parameters, each once (a tied head is the embedding), in the order of the layers. */
struct rt_parameter {
	char             name[96]; /* as Hugging Face names it */
	struct rt_tensor tensor;   /* f32 and writable under RT_MODEL_TRAIN */
	int64_t          layer;    /* -1: outside of the layers */
	bool             linear;   /* a matrix that multiplies; not embedding, norm or bias */
};
int64_t             rt_model_parameters(const struct rt_model *m);
struct rt_parameter rt_model_parameter(const struct rt_model *m, int64_t i);

/* ---- forward and backward ----------------------------------------------------------------- */

/* One sequence: `count` queries from row q on; `context` >= count keys and values from row k
 * on, of which the last belongs to the last query.  Query i sees the keys up to its own,
 * context - count + i, and nothing of other spans.
 *   packed sequences   several spans over the same rows
 *   padding, any side  rows that are in no span
 *   a cache            context > count, k and v being the cache
 * Frequencies that follow the length of a sequence (dynamic scaling) are those of `whole`
 * positions; 0: up to its last query.  A prompt in parts says how long all of it is. */
struct rt_span {
	int64_t q, count, k, context, whole;
};

/* Rows of tokens, several sequences one after another.  Without a cache span.k = span.q and
 * span.context = span.count. */
struct rt_batch {
	const int32_t        *token, *position; /* [rows] */
	int64_t               rows;
	const struct rt_span *spans;
	int64_t               n_spans;
};

/* What forward leaves for backward; grows as needed, and is reused.  With recompute only the
 * input of each layer is kept: less memory, a third more time. */
struct rt_tape;
int  rt_tape_new(struct rt_tape **ret, bool recompute, struct rt_error *err);
void rt_tape_free(struct rt_tape *t); /* NULL is fine */

/* Passes with this tape leave elements out from now on (dropout; Srivastava et al. 2014): of the
 * embedding, and of what attention and MLP add in each layer, as hidden_dropout and resid_pdrop do.
 * Each becomes 0 with probability `rate` and is divided by 1 - rate otherwise; which, is a function
 * of seed, stream and the element's place in the batch.  rate in [0, 1), in steps of
 * 2^-16; 0: none, as at first.
 * Passes without a tape leave nothing out. */
void rt_tape_dropout(struct rt_tape *t, double rate, uint64_t seed, uint64_t stream);

/* How the matrices of all passes declared here are multiplied: RT_MATMUL_BF16, or 0, as with every
 * model at first.  Weights, gradients, norms, attention and the softmax stay f32.  Not while
 * another thread runs the model, nor between a forward pass and its backward pass. */
void rt_model_multiply(struct rt_model *m, unsigned matmul_flags);

/* hidden [rows, hidden] gets what the final norm gives.  tape NULL: no backward will follow.
 * RT_E_RANGE for a token or a position outside, RT_E_SHAPE, RT_E_NOMEM. [any] */
int rt_model_forward(const struct rt_model *m, const struct rt_batch *b, struct rt_tape *tape,
                     float *hidden, struct rt_error *err);

/* Gradients of all parameters, f32, 0 at first.  `at` is that of parameter i, or NULL when it is
 * frozen and gets none. */
struct rt_gradients;
int    rt_gradients_new(struct rt_gradients **ret, const struct rt_model *m, struct rt_error *err);
void   rt_gradients_free(struct rt_gradients *g); /* NULL is fine */
void   rt_gradients_zero(struct rt_gradients *g);
double rt_gradients_norm(const struct rt_gradients *g); /* L2, of all together; in double */
float *rt_gradients_at(const struct rt_gradients *g, int64_t i);

/* Logits [rows, vocabulary] of some rows of hidden; and back: dhidden [rows, hidden] is
 * written, the head's gradient added to (either may be NULL).  For losses on whole
 * distributions, a chunk of rows at a time. [any] */
int rt_model_logits(const struct rt_model *m, const float *hidden, int64_t rows, float *logits,
                    struct rt_error *err);
int rt_model_logits_backward(const struct rt_model *m, const float *hidden, const float *dlogits,
                             int64_t rows, float *dhidden, struct rt_gradients *g,
                             struct rt_error *err);

enum { RT_IGNORE = -100 }; /* a label that does not count */

/* Log-probabilities of given tokens, never holding more than some 320 MiB of logits.  label[r]
 * is the token that follows row r, or RT_IGNORE.  One pass computes them and, where coef is
 * given, the gradients of sum coef[r] * logp[r].
 *   logp[rows]      log p(label); 0 where it is ignored; or NULL
 *   entropy[rows]   of the whole distribution, in nats; or NULL
 *   dhidden         [rows, hidden], written; or NULL
 * RT_E_RANGE for a label outside, RT_E_NUMERIC when a logit is not finite. [any] */
int rt_model_logps(const struct rt_model *m, const float *hidden, int64_t rows,
                   const int32_t *label, const float *coef, float *logp, float *entropy,
                   float *dhidden, struct rt_gradients *g, struct rt_error *err);

/* Gradients with respect to what forward gave as hidden; added to g.  The same batch and tape
 * as in forward; dhidden is overwritten. [any] */
int rt_model_backward(const struct rt_model *m, const struct rt_batch *b, struct rt_tape *tape,
                      float *dhidden, struct rt_gradients *g, struct rt_error *err);

/* ---- looking inside -------------------------------------------------------------------------- */

/* For calibration: what each linear layer gets, and what goes from layer to layer. */
enum rt_watch {
	RT_WATCH_QKV = 1, /* input of q_proj, k_proj and v_proj */
	RT_WATCH_O,       /* of o_proj: the heads' outputs side by side */
	RT_WATCH_GATE_UP, /* of gate_proj and up_proj */
	RT_WATCH_DOWN,    /* of down_proj: the neurons' outputs */
	RT_WATCH_LAYER    /* of the layer; layer == layers: of the final norm */
};
typedef void rt_watch_fn(void *arg, int64_t layer, enum rt_watch what, const float *x, int64_t rows,
                         int64_t columns, int64_t ld);

/* rt_model_forward(), calling fn on the calling thread in the order of the computation.  Rows of
 * no span are not left out. [any] */
int rt_model_observe(const struct rt_model *m, const struct rt_batch *b, rt_watch_fn *fn, void *arg,
                     float *hidden, struct rt_error *err);

/* The same in steps, for calibration that changes each layer before it looks at the next.  x
 * [rows, hidden]: what the embedding gives; next (x is fine) what the layer makes of x.  fn, when
 * it is not NULL, is called with what the linear layers of this layer get. [any] */
int rt_model_embed(const struct rt_model *m, const struct rt_batch *b, float *x,
                   struct rt_error *err);
int rt_model_layer(const struct rt_model *m, int64_t layer, const struct rt_batch *b,
                   rt_watch_fn *fn, void *arg, float *x, float *next, struct rt_error *err);

#endif
