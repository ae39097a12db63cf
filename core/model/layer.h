/* layer.h - one decoder layer: what its forward pass leaves for the backward pass.
 *
 * x + attention(norm(x)) = mid;  mid + mlp(norm(mid)) is the next layer's x.  Normed rows and
 * the product of gate and up are cheap and computed again. */
#ifndef MODEL_LAYER_H
#define MODEL_LAYER_H

#include "model/model.h"

/* Where elements are left out (nn_dropout()): of the embedding, and of what attention and MLP of a
 * layer add to its input. */
enum { SITE_EMBED, SITE_LAYERS };
enum { SITE_ATTENTION, SITE_MLP, LAYER_SITES }; /* of one layer */

static inline uint64_t layer_site(int64_t layer, int which)
{
	return (uint64_t)(SITE_LAYERS + layer * LAYER_SITES + which);
}

static inline bool layer_drops(const struct model_run *run)
{
	return run->dropout && run->dropout->rate > 0;
}

/* Everything f32; [rows, ...] each. */
struct layer {
	float *scale;          /* of the first norm: 1 / rms */
	float *raw, *qk_scale; /* q and k in front of their norms, and the norms' scales; or NULL */
	float *qkv;            /* q, k, v side by side, ready for attention */
	float *attention, *lse;
	float *mid, *mid_scale;
	float *gate, *up;
};

/* What every layer uses, and no layer keeps. */
struct scratch {
	float *cos, *sin;
	float *normed;             /* [rows, hidden] */
	float *act;                /* [rows, feed_forward] */
	float *dqkv, *dgate, *dup; /* backward only */
	float *dattention, *dnormed;
};

/* Lay the parts out from `at` on; floats that they take.  With at NULL only the size counts. */
int64_t layer_place(struct layer *l, const struct model_config *c, int64_t rows, float *at);
int64_t scratch_place(struct scratch *s, const struct model_config *c, int64_t rows, bool backward,
                      float *at);

/* Parts of qkv and of its gradient. */
struct nn_heads layer_q(const struct model_config *c, float *qkv, int64_t rows);
struct nn_heads layer_k(const struct model_config *c, float *qkv, int64_t rows);
struct nn_heads layer_v(const struct model_config *c, float *qkv, int64_t rows);

static inline struct nn_heads layer_rows(float *x, int64_t rows, int64_t n)
{
	return (struct nn_heads){ x, rows, 1, n, n };
}

/* next = the layer's output; it may be x. */
int layer_forward(const struct model *m, int64_t layer, const struct rt_batch *b,
                  const struct model_run *run, float *x, struct layer *l, struct scratch *s,
                  float *next, struct rt_error *err);

/* dx holds the gradient of the output and gets that of x. */
int layer_backward(const struct model *m, int64_t layer, const struct rt_batch *b,
                   const struct model_run *run, float *x, const struct layer *l, struct scratch *s,
                   float *dx, const struct weights *gradients, struct rt_error *err);

/* y = x weight^T (+ bias) (+ y); weight and bias by their index in the table, bias -1: none. */
struct linear {
	int64_t         weight, bias;
	struct nn_heads y; /* rows may lie apart */
	bool            add;
};

enum { LINEARS = 3 }; /* that share an input */

/* Up to LINEARS linear layers of one input: by integers where run has panels. */
int layer_linears(const struct model *m, const struct model_run *run, struct nn_heads x,
                  const struct linear *l, int n, struct rt_error *err);

/* What a batch must hold; the tables of rotary positions of its rows. */
int layer_check_batch(const struct model *m, const struct rt_batch *b, struct rt_error *err);

#endif
