/* muon.c - optimizer-muon: momentum, made orthogonal (Jordan 2024, "Muon: an optimizer for hidden
 * layers"; Liu et al. 2025, "Muon is scalable for LLM training").
 *
 * For the weight matrix W [r, c] of a linear layer with gradient G:
 *
 *     M = momentum M + (1 - momentum) G
 *     U = orthogonal((1 - momentum) G + momentum M)            (Nesterov's look ahead)
 *     W -= rate decay W
 *     W -= rate 0.2 sqrt(max(r, c)) U
 *
 * where orthogonal(X) brings all singular values near 1 by `iterations` steps of
 *
 *     X = (a I + b A + c A A) X,  A = X X^T,  from X / |X|,    (Newton and Schulz, quintic)
 *
 * with a, b, c = 3.4445, -4.7750, 2.0315, on the transpose where r > c.  The factor makes the
 * update as large as AdamW's usually is (Liu et al., equation 4): rate and decay are those of
 * AdamW, which embedding, head, norms and biases get (adam.h).
 *
 * A step takes 20 m m n (n much larger than m, the shorter side) to 30 m m m operations for a
 * matrix, however many tokens the batch has; forward and backward take 6 m n for each token.  So it
 * pays where a batch has more tokens than some three to five times m. */
#include "adam.h"

#include <retort/memory.h>
#include <retort/tensor.h>
#include <retort/train.h>

#include <string.h>

struct config {
	struct adam adam;
	double      momentum;
	int64_t     iterations;
	int         products;
};

#define ADAM_REAL(member, value, most, text)                                                       \
	{                                                                                          \
		.name = #member, .type = RT_REAL,                                                  \
		.offset = RT_FIELD(struct config, adam.member, double), .dflt.r = (value),         \
		.max.r = (most), .doc = (text)                                                     \
	}

static const struct rt_param params[] = {
	RT_PARAM_REAL(struct config, momentum, .95, 0, .999999, NULL,
	              "Share of the old mean that stays in the mean of a matrix's gradients."),
	RT_PARAM_INT(struct config, iterations, 5, 1, 20, NULL,
	             "Steps that make the mean orthogonal."),
	RT_PARAM_ENUM(struct config, products, RT_PRODUCTS_BF16, rt_products,
	              "What matrices are rounded to before they are multiplied in these steps."),
	ADAM_REAL(beta1, .9, .999999,
	          "Of AdamW, for all that is no matrix of a layer: share of the old mean of "
	          "gradients."),
	ADAM_REAL(beta2, .95, .999999, "The same: share of the old mean of squared gradients."),
	ADAM_REAL(eps, 1e-8, 1, "The same: added to the root of the mean of squares."),
	ADAM_REAL(decay, .1, 100,
	          "Weight decay: share of a weight, times the rate, that each step takes off."),
	RT_PARAM_END
};

static int multiply(const struct config *o, struct rt_tensor a, struct rt_tensor b,
                    struct rt_tensor c, struct rt_error *err)
{
	const struct rt_matmul_options how = { 1, 0, NULL, rt_products_matmul(o->products) };

	return rt_matmul(&a, &b, &c, &how, err);
}

/* t = scale t + more I */
static void shift(struct rt_tensor t, float scale, float more)
{
	float        *x = t.data;
	const int64_t n = t.dim[0];

	for (int64_t i = 0; i < n * n; i++)
		x[i] *= scale;
	for (int64_t i = 0; i < n; i++)
		x[i * (n + 1)] += more;
}

/* Bring the singular values of *x [m, n], m <= n, near 1.  y: room for as much, square for 3 m m;
 * *x and *y change places as often as there are iterations. */
static int orthogonal(const struct config *o, float **x, float **y, float *square, int64_t m,
                      int64_t n, struct rt_error *err)
{
	const struct rt_tensor gram = rt_matrix(square, m, m);
	const struct rt_tensor inner = rt_matrix(square + m * m, m, m);
	const struct rt_tensor outer = rt_matrix(square + 2 * m * m, m, m);
	double                 sum = 0, norm;
	int                    r = 0;

	for (int64_t i = 0; i < m * n; i++)
		sum += (double)(*x)[i] * (double)(*x)[i];
	norm = fmax(sqrt(sum), 1e-7);
	for (int64_t i = 0; i < m * n; i++)
		(*x)[i] = (float)((*x)[i] / norm);
	for (int64_t k = 0; r == 0 && k < o->iterations; k++) {
		const struct rt_tensor tx = rt_matrix(*x, m, n), ty = rt_matrix(*y, m, n);
		float                 *old = *x;

		/* (a I + (b I + c A) A) X */
		r = multiply(o, tx, rt_transpose(tx, 0, 1), gram, err);
		if (r < 0)
			break;
		memcpy(inner.data, gram.data, (size_t)(m * m) * sizeof *square);
		shift(inner, 2.0315f, -4.7750f);
		r = multiply(o, inner, gram, outer, err);
		if (r < 0)
			break;
		shift(outer, 1, 3.4445f);
		r = multiply(o, outer, tx, ty, err);
		*x = *y;
		*y = old;
	}
	return r;
}

/* to [columns, rows] = from [rows, columns], turned. */
static void turn(const float *from, int64_t rows, int64_t columns, float *to)
{
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < columns; j++)
			to[j * rows + i] = from[i * columns + j];
}

/* The new mean, and its look ahead. */
static void momentum(const struct config *o, const struct rt_update *u, float *ahead)
{
	const float stays = (float)o->momentum, rest = (float)(1 - o->momentum);

	for (int64_t i = 0; i < u->n; i++) {
		const float g = (float)u->clip * u->gradient[i];

		u->moment[0][i] = stays * u->moment[0][i] + rest * g;
		ahead[i] = rest * g + stays * u->moment[0][i];
	}
}

static int update_matrix(const void *state, const struct rt_update *u, struct rt_error *err)
{
	const struct config *o = state;
	const bool           tall = u->rows > u->columns;
	const int64_t        m = tall ? u->columns : u->rows, n = tall ? u->rows : u->columns;
	const float          stays = (float)(u->decay ? 1 - u->rate * o->adam.decay : 1);
	const float          rate = (float)(u->rate * .2 * sqrt((double)n));
	float               *room = rt_alloc_unset((size_t)(2 * m * n + 3 * m * m), sizeof *room);
	float               *x = room, *y = room + m * n;
	int                  r;

	if (!room)
		return rt_fail_nomem(err, "an orthogonal update");
	momentum(o, u, tall ? y : x);
	if (tall)
		turn(y, u->rows, u->columns, x);
	r = orthogonal(o, &x, &y, room + 2 * m * n, m, n, err);
	if (r == 0 && tall) {
		turn(x, m, n, y);
		x = y;
	}
	for (int64_t i = 0; r == 0 && i < u->n; i++)
		u->param[i] = stays * u->param[i] - rate * x[i];
	rt_free(room);
	return r;
}

static int update(const void *state, const struct rt_update *u, struct rt_error *err)
{
	(void)err;
	adam_update(&((const struct config *)state)->adam, u);
	return 0;
}

static const struct rt_optimizer_ops ops = { .size = sizeof ops,
	                                     .moments = 2,
	                                     .update = update,
	                                     .update_matrix = update_matrix,
	                                     .matrix_moments = 1 };

RT_PLUGIN(optimizer_muon, OPTIMIZER, .name = "muon", .version = "1.0", .license = "Apache-2.0",
          .summary = "Momentum made orthogonal for the matrices of layers, AdamW for the rest "
                     "(Jordan 2024).",
          .config_size = sizeof(struct config), .params = params, .ops.optimizer = &ops);
