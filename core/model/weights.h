/* weights.h - the parameters of a decoder transformer: one table of names and shapes.
 *
 * All parameters stand in one array: three of the model, then LAYER_PARTS for each layer.
 * Weights, their gradients and an optimizer's moments are three arrays of the same kind, so a
 * loop over one is a loop over all.  An entry whose data is NULL is not there: the model has
 * no such bias, or the gradient of a frozen parameter is not wanted.
 *
 * A tied head is a view of the embedding: the same data under both indices. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "model/config.h"

enum { W_EMBED, W_NORM, W_HEAD, W_LAYERS };

enum layer_part {
	L_ATTN_NORM,
	L_Q,
	L_K,
	L_V,
	L_O,
	L_Q_BIAS,
	L_K_BIAS,
	L_V_BIAS,
	L_O_BIAS,
	L_Q_NORM,
	L_K_NORM,
	L_MLP_NORM,
	L_GATE,
	L_UP,
	L_DOWN,
	L_GATE_BIAS,
	L_UP_BIAS,
	L_DOWN_BIAS,
	LAYER_PARTS
};

struct weights {
	struct rt_tensor *t;
	int64_t           n;
};

/* Entries for this many layers, all absent.  RT_E_NOMEM. */
int  weights_init(struct weights *w, int64_t layers, struct rt_error *err);
void weights_fini(struct weights *w);

/* The parameter of a layer. */
static inline struct rt_tensor *weights_at(const struct weights *w, int64_t layer, int part)
{
	return &w->t[W_LAYERS + layer * LAYER_PARTS + part];
}

enum { WEIGHTS_NAME = 96 };
enum weights_style { NAME_HF, NAME_GGUF };

/* The name of a parameter; room for WEIGHTS_NAME bytes. */
void weights_name(int64_t index, enum weights_style style, char *ret);

/* The index of a name, or -1. */
int64_t weights_find(const char *name, enum weights_style style, int64_t layers);

/* Does a model of this configuration have the parameter?  Its shape: a matrix [rows, columns],
 * or a vector [rows] with *ret_columns = 0. */
bool weights_shape(const struct model_config *c, int64_t index, int64_t *ret_rows,
                   int64_t *ret_columns);

/* Dense f32 zeros for every parameter of the configuration, a tied head being the embedding's:
 * gradients or moments.  One allocation; weights_free_zeros() releases it. */
int  weights_zeros(struct weights *ret, const struct model_config *c, struct rt_error *err);
void weights_free_zeros(struct weights *w);

#endif
