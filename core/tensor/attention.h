/* attention.h - what the forward and the backward pass of attention share.
 *
 * Work is cut by span, by key-value head, and by tile of queries (or, for the gradients of
 * keys and values, of keys).  The query heads of one key-value head stand in one tile, row
 * i * group + g for query i of head g, so grouped queries share each tile of keys. */
#ifndef TENSOR_ATTENTION_H
#define TENSOR_ATTENTION_H

#include "tensor/gemm.h"
#include "tensor/kernels.h"
#include "tensor/nn.h"

enum { TILE_ROWS = 128, TILE_KEYS = 128, FEW_ROWS = 8 };

struct attention_job {
	const struct nn_attention *o;
	struct nn_heads            q, k, v, out, dout, dq, dk, dv;
	float                     *lse;     /* [q.rows, q.heads] */
	float                     *delta;   /* the same shape: sum of dout * out */
	int64_t                    group;   /* query heads of a key-value head */
	int64_t                    queries; /* of a tile, at most */
	int                        code;    /* a failure in some piece; atomic access */
};

/* A tile of queries: `rows` = count * group rows of the span's queries from `first` on. */
struct attention_tile {
	const struct rt_span *span;
	int64_t               head; /* key-value head */
	int64_t               first, count, rows;
};

/* Queries of a tile of this span: about the same for all of them. */
int64_t attention_queries(const struct attention_job *j, const struct rt_span *s);

/* Pieces of work, each a tile of queries, or of TILE_KEYS keys; the one with this number. */
int64_t               attention_pieces(const struct attention_job *j, bool keys);
struct attention_tile attention_piece(const struct attention_job *j, bool keys, int64_t number);

/* Keys [*ret_low, *ret_high) that query i of the span sees, counted from the span's first. */
void attention_sees(const struct attention_job *j, const struct rt_span *s, int64_t i,
                    int64_t *ret_low, int64_t *ret_high);

/* Rows of a tile, contiguous: dst[row][n] = factor * x. */
void attention_gather(const struct attention_job *j, const struct attention_tile *t,
                      struct nn_heads x, float factor, float *dst);

/* c [m, n] = a b^T for m up to FEW_ROWS, row by row; the bits do not depend on m and n. */
void attention_few(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                   int64_t ldb, float *c, int64_t ldc);

/* c [m, n] = or += a b^T, or a b when `plain`, or a^T b when `turned`; row strides lda, ldb. */
int attention_abt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                  int64_t ldb, float *c, int64_t ldc);
int attention_ab(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                 int64_t ldb, float *c, int64_t ldc);
int attention_atb(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                  int64_t ldb, float *c, int64_t ldc);

/* Shapes that fit, spans inside the rows; fills group and queries. */
int attention_check(struct attention_job *j, struct rt_error *err);

void attention_zero(struct nn_heads x);
void attention_failed(struct attention_job *j, int code);

#endif
