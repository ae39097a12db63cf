/* gptq.c - quantizer-gptq: columns are rounded one after another, and what a column loses is made
 * up for by those behind it (Frantar et al. 2022, arXiv 2210.17323).
 *
 * The least of tr(D H D^T), D = W - Q, greedily.  GPTQ keeps U = chol(H^-1) and subtracts
 * e_i U_ij from every later column, where E = D U^-1.  The same without an inverse: H = V V^T
 * with V = U^-1 upper triangular, E = D V, so that column j, by the time it is rounded, is
 *     w_j + sum over i < j of D_i V_ij / V_jj
 * (Babai's nearest plane; Chen et al. 2025, arXiv 2507.18553).  The sum over the columns in front
 * of a panel is one matrix product.  A group's grid is fitted to what its columns are when its
 * first one is rounded, w + S V_gg^-1 with S = D_before V_before,g: V_gg is all of V that matters.
 */
#include "factor.h"
#include "grid.h"

#include <retort/memory.h>
#include <retort/parallel.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = 128 };

struct config {
	double damp;
	bool   act_order, static_groups, search;
};

struct state {
	struct config      cfg;
	struct rt_context *context;
};

static const struct rt_param params[] = {
	RT_PARAM_REAL(
		struct config, damp, .01, 0, 1, NULL,
		"Added to the diagonal of the Hessian, as a share of its mean; ten times more "
		"when it has no factor."),
	RT_PARAM_BOOL(struct config, act_order, false,
	              "Whether columns with the largest activations come first."),
	RT_PARAM_BOOL(struct config, static_groups, false,
	              "Whether grids are fitted to the weights as they were; always so with "
	              "act_order."),
	RT_PARAM_BOOL(struct config, search, false,
	              "Whether ranges are shrunk where that makes the weights' errors smaller."),
	RT_PARAM_END
};

struct job {
	const struct state     *st;
	const struct rt_linear *layer;
	const struct rt_grid   *grid;
	uint8_t                *codes, *zeros;
	float                  *scales;
	int64_t                *order; /* column of the layer at each place */
	float                  *v;     /* (cols, cols) H, then V; columns in order */
	float                  *w;     /* (rows, cols) weights in order, dead columns 0 */
	float                  *lost;  /* (rows, cols) w - w' */
	float                  *sum;   /* (rows, cols) lost before V */
	struct rt_error        *errors;
	int64_t                 first, n;              /* the group or the panel at work */
	float                   corner[PANEL * PANEL]; /* V of the panel, transposed */
};

struct rank {
	float   h;
	int64_t column;
};

static int larger_first(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->h != y->h)
		return x->h > y->h ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

static int sort_columns(struct job *j, struct rt_error *err)
{
	const int64_t n = j->layer->cols;
	struct rank  *all = rt_alloc((size_t)n, sizeof *all);

	if (!all)
		return rt_fail_nomem(err, "the order of columns");
	for (int64_t i = 0; i < n; i++)
		all[i] = (struct rank){ j->layer->hessian[i * n + i], i };
	if (j->st->cfg.act_order)
		qsort(all, (size_t)n, sizeof *all, larger_first);
	for (int64_t i = 0; i < n; i++)
		j->order[i] = all[i].column;
	rt_free(all);
	return 0;
}

/* Weights in order.  A column that never met an input does not count, and becomes 0. */
static int take_weights(struct job *j, struct rt_error *err)
{
	const struct rt_linear *l = j->layer;

	for (int64_t r = 0; r < l->rows; r++)
		for (int64_t i = 0; i < l->cols; i++) {
			const int64_t at = j->order[i];
			const float   x = l->weight[r * l->cols + at];

			if (!isfinite(x))
				return rt_fail(err, RT_E_NUMERIC,
				               "a weight of row %lld is not finite", (long long)r);
			j->w[r * l->cols + i] = l->hessian[at * l->cols + at] > 0 ? x : 0;
		}
	return 0;
}

/* Mean of what is on the diagonal of columns that met an input; 1 when none did. */
static int mean_diagonal(const struct rt_linear *l, double *ret, struct rt_error *err)
{
	double  sum = 0;
	int64_t alive = 0;

	for (int64_t i = 0; i < l->cols; i++) {
		const double h = (double)l->hessian[i * l->cols + i];

		if (!(h >= 0) || isinf(h))
			return rt_fail(err, RT_E_NUMERIC, "the Hessian has %g on its diagonal", h);
		alive += h > 0;
		sum += h;
	}
	*ret = alive > 0 ? sum / (double)alive : 1;
	return 0;
}

/* V for H + damp mean I; dead columns have the mean on the diagonal. */
static int factor(struct job *j, double mean, double damp, struct rt_error *err)
{
	const int64_t n = j->layer->cols;

	for (int64_t i = 0; i < n; i++) {
		const float *h = j->layer->hessian + j->order[i] * n;

		for (int64_t k = 0; k < n; k++)
			j->v[i * n + k] = h[j->order[k]];
		if (!(j->v[i * n + i] > 0))
			j->v[i * n + i] = (float)mean;
		j->v[i * n + i] = (float)((double)j->v[i * n + i] + damp * mean);
	}
	return factor_upper(j->v, n, err);
}

static int factor_damped(struct job *j, struct rt_error *err)
{
	double damp = j->st->cfg.damp, mean = 0;
	int    r = mean_diagonal(j->layer, &mean, err);

	if (r < 0)
		return r;
	while ((r = factor(j, mean, damp, err)) == RT_E_NUMERIC && damp < 1) {
		damp = fmin(1, fmax(10 * damp, 1e-4));
		rt_log(j->st->context, RT_LOG_INFO,
		       "the Hessian has no factor, dampening is raised to %g", damp);
	}
	return r == 0 ? 0 : rt_within(err, r, "Hessian of %lld columns", (long long)j->layer->cols);
}

/* Grids of all groups of some rows, from the weights as they were: dead columns are 0 here, too.
 * `lost` is not in use yet, and holds them in the layer's own order. */
static void fit_static(void *arg, int64_t first, int64_t last)
{
	const struct job       *j = arg;
	const struct rt_linear *l = j->layer;
	const int64_t           g = j->grid->group, each = l->cols / g;

	for (int64_t r = first; r < last; r++)
		for (int64_t i = 0; i < l->cols; i++)
			j->lost[r * l->cols + j->order[i]] = j->w[r * l->cols + i];
	for (int64_t i = first * each; i < last * each; i++)
		if (grid_fit(j->grid, j->st->cfg.search, j->lost + i * g, g, &j->scales[i],
		             &j->zeros[i], &j->errors[i / each]) < 0)
			return;
}

/* Grids of the group at work: sum becomes sum V_gg^-1 for a moment, in `lost`, which the group
 * has not written yet. */
static void fit_current(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     cols = j->layer->cols, each = cols / j->grid->group;

	for (int64_t r = first; r < last; r++) {
		float        *x = j->lost + r * cols + j->first;
		const int64_t at = r * each + j->first / j->grid->group;

		memcpy(x, j->sum + r * cols + j->first, (size_t)j->n * sizeof *x);
		for (int64_t i = 0; i < j->n; i++) {
			const float *v = j->v + (j->first + i) * cols + j->first;

			x[i] /= v[i];
			for (int64_t k = i + 1; k < j->n; k++)
				x[k] -= x[i] * v[k];
		}
		for (int64_t i = 0; i < j->n; i++)
			x[i] += j->w[r * cols + j->first + i];
		if (grid_fit(j->grid, j->st->cfg.search, x, j->n, &j->scales[at], &j->zeros[at],
		             &j->errors[r]) < 0)
			return;
	}
}

/* The columns of the panel at work, of some rows. */
static void round_panel(void *arg, int64_t first, int64_t last)
{
	const struct job *j = arg;
	const int64_t     cols = j->layer->cols, each = cols / j->grid->group;

	for (int64_t r = first; r < last; r++) {
		const float *w = j->w + r * cols + j->first, *s = j->sum + r * cols + j->first;
		float       *lost = j->lost + r * cols + j->first;

		for (int64_t k = 0; k < j->n; k++) {
			const float  *v = j->corner + k * PANEL;
			const int64_t column = j->order[j->first + k];
			const int64_t at = r * each + column / j->grid->group;
			double        sum = (double)s[k];
			uint8_t       q;

			for (int64_t i = 0; i < k; i++)
				sum += (double)lost[i] * (double)v[i];
			q = grid_code(j->grid, (float)((double)w[k] + sum / (double)v[k]),
			              j->scales[at], j->zeros[at]);
			lost[k] = w[k] - grid_value(q, j->scales[at], j->zeros[at]);
			j->codes[r * cols + column] = q;
		}
	}
}

/* sum of columns [at, at + n) += lost of columns [from, at) V. */
static int carry(struct job *j, int64_t from, int64_t at, int64_t n, struct rt_error *err)
{
	const struct rt_matmul_options more = { .alpha = 1, .beta = 1 };
	const int64_t                  rows = j->layer->rows, cols = j->layer->cols;
	const struct rt_tensor a = rt_slice(rt_matrix(j->lost, rows, cols), 1, from, at - from);
	const struct rt_tensor b =
		rt_slice(rt_slice(rt_matrix(j->v, cols, cols), 0, from, at - from), 1, at, n);
	const struct rt_tensor c = rt_slice(rt_matrix(j->sum, rows, cols), 1, at, n);

	return at > from ? rt_matmul(&a, &b, &c, &more, err) : 0;
}

static int first_error(const struct job *j, struct rt_error *err)
{
	for (int64_t r = 0; r < j->layer->rows; r++)
		if (j->errors[r].code < 0)
			return rt_fail(err, j->errors[r].code, "row %lld: %s", (long long)r,
			               j->errors[r].msg);
	return 0;
}

/* Columns [at, at + n), which have the sums of what is in front of them, in panels. */
static int round_columns(struct job *j, int64_t at, int64_t n, struct rt_error *err)
{
	const int64_t cols = j->layer->cols;
	int           r = 0;

	for (int64_t k = at; r == 0 && k < at + n; k += PANEL) {
		j->first = k;
		j->n = at + n - k < PANEL ? at + n - k : PANEL;
		r = carry(j, at, k, j->n, err);
		for (int64_t i = 0; i < j->n; i++)
			for (int64_t m = i; m < j->n; m++)
				j->corner[m * PANEL + i] = j->v[(k + i) * cols + k + m];
		if (r == 0)
			rt_parallel(j->layer->rows, 4, round_panel, j);
	}
	return r;
}

static int round_all(struct job *j, struct rt_error *err)
{
	const int64_t cols = j->layer->cols, group = j->grid->group;
	int           r;

	if (j->st->cfg.act_order || j->st->cfg.static_groups) {
		rt_parallel(j->layer->rows, 4, fit_static, j);
		r = first_error(j, err);
		return r < 0 ? r : round_columns(j, 0, cols, err);
	}
	r = 0;
	for (int64_t at = 0; r == 0 && at < cols; at += group) {
		r = carry(j, 0, at, group, err);
		j->first = at;
		j->n = group;
		if (r == 0)
			rt_parallel(j->layer->rows, 4, fit_current, j);
		if (r == 0)
			r = first_error(j, err);
		if (r == 0)
			r = round_columns(j, at, group, err);
	}
	return r;
}

static int quantize(void *state, const struct rt_linear *layer, const struct rt_grid *grid,
                    uint8_t *codes, float *scales, uint8_t *zeros, struct rt_error *err)
{
	const size_t    rows = (size_t)layer->rows, cols = (size_t)layer->cols;
	struct rt_arena room = RT_ARENA_INIT;
	struct job     *j;
	int             r = 0;

	if (!layer->hessian)
		return rt_fail(err, RT_E_UNSUP, "the layer has no Hessian, which gptq needs");
	j = rt_arena_alloc(&room, 1, sizeof *j);
	if (j) {
		*j = (struct job){ .st = state,
			           .layer = layer,
			           .grid = grid,
			           .codes = codes,
			           .zeros = zeros,
			           .scales = scales };
		j->order = rt_arena_alloc(&room, cols, sizeof *j->order);
		j->v = rt_arena_alloc(&room, cols * cols, sizeof *j->v);
		j->w = rt_arena_alloc(&room, rows * cols, sizeof *j->w);
		j->lost = rt_arena_alloc(&room, rows * cols, sizeof *j->lost);
		j->sum = rt_arena_alloc(&room, rows * cols, sizeof *j->sum);
		j->errors = rt_arena_alloc(&room, rows, sizeof *j->errors);
	}
	if (!j || !j->order || !j->v || !j->w || !j->lost || !j->sum || !j->errors)
		r = rt_fail_nomem(err, "the Hessian of a layer");
	if (r == 0)
		r = sort_columns(j, err);
	if (r == 0)
		r = take_weights(j, err);
	if (r == 0)
		r = factor_damped(j, err);
	if (r == 0)
		r = round_all(j, err);
	rt_arena_free(&room);
	return r;
}

static int open_(void *state, const void *config, struct rt_context *c, struct rt_error *err)
{
	struct state *st = state;

	(void)err;
	st->cfg = *(const struct config *)config;
	st->context = c;
	return 0;
}

static const struct rt_quantizer_ops ops = { .size = sizeof ops, .quantize = quantize };

RT_PLUGIN(quantizer_gptq, QUANTIZER, .name = "gptq", .version = "1.0", .license = "Apache-2.0",
          .summary = "Second-order rounding: later columns make up for what earlier ones lose "
                     "(Frantar 2022).",
          .config_size = sizeof(struct config), .params = params,
          .state_size = sizeof(struct state), .open = open_, .ops.quantizer = &ops);
