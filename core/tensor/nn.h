/* nn.h - the operations of a transformer besides matrix products, forward and backward.
 *
 * All data is f32, all memory is the caller's.  Backward functions take what forward took and
 * the gradient of its result.
 *
 *   Gradients of parameters (weights, biases, embeddings) are added to what is there, so
 *   micro-batches accumulate; gradients of activations are written.  Where a pointer to a
 *   gradient may be NULL, it is not computed: the parameter is frozen.
 *
 * Long sums run in double.  Every function uses all threads and returns the same bits for any
 * number of them.  Non-finite input gives non-finite output, never a plausible one; functions
 * with a `check` report it as RT_E_NUMERIC. [any] */
#ifndef TENSOR_NN_H
#define TENSOR_NN_H

#include <retort/model.h> /* struct rt_span, RT_IGNORE */
#include <retort/tensor.h>

/* Rows of heads: element i of head h of row r is data[r * ld + h * n + i].  A plain matrix has
 * one head; queries, keys and values may lie side by side in one buffer (ld larger than
 * heads * n). */
struct nn_heads {
	float  *data;
	int64_t rows, heads, n, ld;
};

/* ---- elementwise ------------------------------------------------------------------------ */

void nn_add(float *dst, const float *src, int64_t n); /* dst += src */

/* x[r] += bias, and its gradient: dbias += sum of dy over rows. */
void nn_bias(struct nn_heads x, const float *bias);
void nn_bias_backward(struct nn_heads dy, float *dbias);

/* y = silu(gate) * up, silu(x) = x / (1 + e^-x) (Shazeer 2020).  gate and up are [rows, n];
 * y may be either of them, as may dgate and dup. */
void nn_swiglu(struct nn_heads gate, struct nn_heads up, struct nn_heads y);
void nn_swiglu_backward(struct nn_heads gate, struct nn_heads up, struct nn_heads dy,
                        struct nn_heads dgate, struct nn_heads dup);

/* Dropout (Srivastava et al. 2014), inverted: each element of x becomes 0 with probability `rate`
 * and is divided by 1 - rate otherwise, so that its mean stays.  Which ones is a function of seed,
 * stream, site and the element's place alone: the same call on a gradient is the backward pass. */
struct nn_dropout {
	double   rate; /* in [0, 1); 0: nothing is done */
	uint64_t seed, stream;
};
void nn_dropout(const struct nn_dropout *o, uint64_t site, struct nn_heads x);

/* ---- norm and positions ----------------------------------------------------------------- */

/* y = x / sqrt(mean(x^2) + eps) * weight over each head of n (Zhang and Sennrich 2019).  y may
 * be x.  ret_scale[rows * heads] gets 1 / sqrt(...), for backward; or NULL. */
void nn_rmsnorm(struct nn_heads x, const float *weight, double eps, struct nn_heads y,
                float *ret_scale);

/* x is what forward got.  dx is written, or added to with `add`; it may be dy, or have data
 * NULL.  dweight may be NULL. */
void nn_rmsnorm_backward(struct nn_heads x, const float *weight, const float *scale,
                         struct nn_heads dy, struct nn_heads dx, bool add, float *dweight);

/* Rotary positions (Su 2021), in place, the two halves of the first `dim` elements of a head
 * forming the pairs, as Hugging Face lays them out.  cos and sin are [rows, dim / 2]: those of
 * each row's position.  The backward turns the other way. */
void nn_rotary(struct nn_heads x, const float *cos, const float *sin, int64_t dim, bool backward);

/* ---- attention -------------------------------------------------------------------------- */

struct nn_attention {
	const struct rt_span *spans;
	int64_t               n_spans;
	int64_t               window; /* keys that a query sees, its own included; 0: all */
	float                 scale;  /* of q k, usually 1 / sqrt(head_dim) */
};

/* out = softmax(scale q k + mask) v, grouped queries (Ainslie 2023): head h of q uses head
 * h / (q.heads / k.heads) of k and v.  Tiles with a running maximum (Milakov and Gimelshein
 * 2018, Dao 2022): memory does not depend on the lengths.  out has q's shape; its rows in no
 * span become 0.  ret_lse[q.rows * q.heads] gets the logarithms of the softmax's sums, for
 * backward; or NULL.  RT_E_SHAPE, RT_E_NOMEM. */
int nn_attention(const struct nn_attention *o, struct nn_heads q, struct nn_heads k,
                 struct nn_heads v, struct nn_heads out, float *ret_lse, struct rt_error *err);

/* dq, dk, dv are written, rows in no span as 0.  No key row is in two spans. */
int nn_attention_backward(const struct nn_attention *o, struct nn_heads q, struct nn_heads k,
                          struct nn_heads v, struct nn_heads out, const float *lse,
                          struct nn_heads dout, struct nn_heads dq, struct nn_heads dk,
                          struct nn_heads dv, struct rt_error *err);

/* ---- tokens ----------------------------------------------------------------------------- */

/* y[r] = table[id[r]] for a table [entries, n] of any type.  RT_E_RANGE for an id outside. */
int nn_embedding(const struct rt_tensor *table, const int32_t *id, struct nn_heads y,
                 struct rt_error *err);

/* dtable[id[r]] += dy[r], in the order of rows. */
void nn_embedding_backward(const int32_t *id, struct nn_heads dy, float *dtable);

/* Over the last dimension of [rows, n]; y may be x.  With check, RT_E_NUMERIC for a row with
 * NaN or +infinity, or with -infinity alone. */
int nn_softmax(const float *x, int64_t rows, int64_t n, float *y, bool check, struct rt_error *err);
int nn_log_softmax(const float *x, int64_t rows, int64_t n, float *y, bool check,
                   struct rt_error *err);

/* Log-probabilities of given tokens under logits = scale * hidden weight^T, without ever
 * holding more than `max_bytes` of logits.  One pass computes them and, where coef is given,
 * the gradients of sum coef[r] * logp[r]. */
struct nn_head {
	const struct rt_tensor *weight;    /* [vocabulary, n] of any type */
	float                   scale;     /* 1, or 1 / temperature */
	int64_t                 max_bytes; /* 0: 320 MiB */
	bool                    check;
	unsigned                matmul_flags;
};

/* hidden is [rows, n]; label[r] in the vocabulary or RT_IGNORE.
 *   ret_logp[rows]      log p(label); 0 where it is ignored; or NULL
 *   ret_entropy[rows]   of the whole distribution, in nats; or NULL
 *   coef[rows]          with it dhidden [rows, n] is written and dweight [vocabulary, n]
 *                       added to (either may be NULL); needs a plain type of weight for
 *                       dhidden.  Ignored rows have gradient 0.
 * RT_E_RANGE for a label outside, RT_E_NUMERIC with check, RT_E_NOMEM. */
int nn_logps(const struct nn_head *head, struct nn_heads hidden, const int32_t *label,
             const float *coef, float *ret_logp, float *ret_entropy, float *dhidden, float *dweight,
             struct rt_error *err);

/* Mean of -log p(label) over the labels that count, and its gradients times `weight`:
 * nn_logps() with coef = -weight / count.  No counted label gives loss 0 and no gradient. */
int nn_cross_entropy(const struct nn_head *head, struct nn_heads hidden, const int32_t *label,
                     float weight, double *ret_loss, int64_t *ret_count, float *dhidden,
                     float *dweight, struct rt_error *err);

#endif
