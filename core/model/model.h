/* model.h - a decoder transformer: weights from a checkpoint, forward and backward.
 *
 * Life
 *   model_open -> model_forward ... model_backward ... -> model_close
 *   A model is constant after opening: any number of threads may run it, each with its own
 *   tape or cache. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "model/weights.h"
#include "tensor/nn.h"
#include "tensor/panel.h"

struct model {
	struct model_config config;
	struct weights      weights;
	struct checkpoint  *checkpoint; /* what the weights point into; see checkpoint.h */
	bool                thawed;     /* the weights are f32 memory of our own */
};

/* A Hugging Face directory (config.json and model.safetensors, or shards with an index), or a
 * GGUF file.  Every parameter of the configuration must be there with its shape, and nothing
 * that would have to take part in the computation may be left over.  Weights are mapped, not
 * copied. [worker] */
int  model_open(struct model *ret, const char *path, struct rt_error *err);
void model_close(struct model *m);

/* Copy the weights to f32 memory that may be written: to train them.  The files are let go of.
 * On failure the model is as it was. [worker] */
int model_thaw(struct model *m, struct rt_error *err);

/* Keys and values of past tokens: f32 [layers][rows][kv_heads * head_dim] each. */
struct model_cache {
	float  *k, *v;
	int64_t rows;
};

int  model_cache_init(struct model_cache *c, const struct model *m, int64_t rows,
                      struct rt_error *err);
void model_cache_fini(struct model_cache *c);

/* Keys and values of n rows from `from` on, to those from `to` on. */
void model_cache_copy(const struct model_cache *c, const struct model *m, int64_t from, int64_t to,
                      int64_t n);

/* What forward leaves for backward.  Zeroed at first; grows as needed, and is reused. */
struct model_tape {
	bool recompute;            /* keep the input of each layer only, and compute the rest again:
	                              less memory, a third more time */
	struct nn_dropout dropout; /* of passes with this tape */
	unsigned          matmul_flags; /* of the forward pass, and so of the backward pass */
	int64_t           rows;
	float            *data;
	int64_t           size; /* floats */
};

void model_tape_fini(struct model_tape *t);

/* Where others may look on: called with the input of each linear layer (part L_Q, L_O, L_GATE,
 * L_DOWN; q, k, v share theirs, as do gate and up) and of each layer as a whole (part
 * LAYER_PARTS; layer == layers is what the final norm gives). */
typedef void model_watch_fn(void *arg, int64_t layer, int part, struct nn_heads x);

struct model_run {
	struct model_cache *cache; /* or NULL */
	struct model_tape  *tape;  /* or NULL: no backward will follow */
	struct model_tape
		       *room;  /* without a tape: memory that is kept for the next pass, or NULL */
	model_watch_fn *watch; /* or NULL */
	void           *watch_arg;
	unsigned        matmul_flags;
	const struct nn_dropout *dropout; /* or NULL; the tape's, where there is one */
	const struct panels     *panels;  /* of each parameter, for inference; or NULL */
	bool round_bf16;                  /* activations, where weights are bf16 without panels */
};

/* hidden[rows, config.hidden] gets the output of the final norm.  RT_E_RANGE for a token or a
 * position outside, RT_E_SHAPE, RT_E_NOMEM. [any] */
int model_forward(const struct model *m, const struct rt_batch *b, const struct model_run *run,
                  float *hidden, struct rt_error *err);

/* The two parts of it that come before the final norm: what the embedding gives; what one layer
 * makes of x (next may be x).  Of `run` only watch counts. */
int model_embed(const struct model *m, const struct rt_batch *b, float *x, struct rt_error *err);
int model_layer(const struct model *m, int64_t layer, const struct rt_batch *b,
                const struct model_run *run, float *x, float *next, struct rt_error *err);

/* Logits [rows, vocabulary] of some rows of hidden.  Of `run` flags and panels count. */
int model_logits(const struct model *m, const float *hidden, int64_t rows,
                 const struct model_run *run, float *logits, struct rt_error *err);

/* The matrices in panels, where there are some for their type (tensor/panel.h): products with them
 * are those of integers.  One for each parameter, without data for all others; rt_free() frees all.
 * NULL when out of memory.  [worker] */
struct panels *model_pack(const struct model *m, struct rt_error *err);

/* Bytes of weights that a pass reads whole, in panels where they are: all but an embedding of which
 * it takes a few rows.  p may be NULL. */
int64_t model_read_bytes(const struct model *m, const struct panels *p);

/* The head, for nn_logps() and nn_cross_entropy(). */
struct nn_head model_head(const struct model *m);

/* dhidden is the gradient with respect to forward's hidden; gradients are added to those that
 * are there.  The same batch and tape as in forward.  dhidden is overwritten. */
int model_backward(const struct model *m, const struct rt_batch *b, struct model_tape *tape,
                   float *dhidden, const struct weights *gradients, struct rt_error *err);

#endif
